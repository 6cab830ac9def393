/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to the portal: at most one request, one answer, and the end. Over https first a
 * leaf of the CA and a handshake.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/channel.h"
#include "gateway/portal_private.h"

struct visit {
    LIST_ENTRY(visit) next;
    struct portal *portal;
    struct address from;
    bool tls;
    struct channel *channel;
    struct http1 *parser;
    struct leaf_request *leaf;
    struct deadline deadline;
};

/* No browser needs more to ask for a page. */
static const struct http1_limits limits = {.line = 4096, .head = 16384, .fields = 64};

size_t visit_count(const struct portal *portal, const struct address *from)
{
    const struct visit *visit;
    size_t count = 0;

    LIST_FOREACH (visit, &portal->visits, next)
        count += address_equal(&visit->from, from);
    return count;
}

void visit_end(struct visit *visit)
{
    struct portal *portal = visit->portal;

    leaf_cancel(visit->leaf);
    deadline_clear(&visit->deadline);
    http1_free(visit->parser);
    if (visit->channel != NULL)
        channel_free(visit->channel);
    LIST_REMOVE(visit, next);
    free(visit);
    portal->count--;
    portal_note_end(portal);
}

static void on_patience(void *context)
{
    visit_end(context);
}

static void on_closing(void *context, struct channel *channel, enum channel_event event)
{
    (void)channel;
    if (event == CHANNEL_FINISHED)
        visit_end(context);
}

static void send_answer(struct visit *visit, const struct portal_answer *answer)
{
    portal_pages_write(visit->portal->pages, answer, channel_output(visit->channel));
    deadline_set(&visit->deadline, PORTAL_SEND);
    channel_finish_and_tell(visit->channel, on_closing, visit);
}

/* True when the visit has its answer, or is gone. */
static bool take_bytes(struct visit *visit, const void *bytes, size_t size)
{
    struct portal_answer answer;
    struct span data;
    size_t used;

    switch (http1_feed(visit->parser, bytes, size, &used, &data)) {
    case HTTP1_MORE:
        return false;
    case HTTP1_HEAD:
        portal_pages_answer(visit->portal->pages, http1_head(visit->parser), visit->tls, &answer);
        break;
    default:
        portal_pages_refuse(http1_error_status(http1_error(visit->parser)), &answer);
    }
    send_answer(visit, &answer);
    return true;
}

static void read_request(struct visit *visit)
{
    char bytes[4096];
    size_t got;

    for (;;) {
        enum channel_result result = channel_read(visit->channel, bytes, sizeof(bytes), &got);
        if (result == CHANNEL_AGAIN)
            return;
        if (result != CHANNEL_DATA) {
            visit_end(visit);
            return;
        }
        if (take_bytes(visit, bytes, got))
            return;
    }
}

static void on_event(void *context, struct channel *channel, enum channel_event event)
{
    struct visit *visit = context;

    switch (event) {
    case CHANNEL_HANDSHAKEN:
        channel_want_read(channel, true);
        break;
    case CHANNEL_READABLE:
        read_request(visit);
        break;
    case CHANNEL_FAILED:
        visit_end(visit);
        break;
    default:
        break;
    }
}

static void on_leaf(void *context, struct leaf *leaf)
{
    struct visit *visit = context;
    SSL *ssl = leaf != NULL ? SSL_new(visit->portal->context) : NULL;

    visit->leaf = NULL;
    if (ssl == NULL || leaf_install(leaf, ssl) != 0) {
        SSL_free(ssl);
        visit_end(visit);
        return;
    }
    channel_start_tls(visit->channel, ssl, true);
}

void visit_begin(struct portal *portal, int fd, bool tls, const struct address *from)
{
    struct visit *visit = memory_allocate(1, sizeof(*visit));

    visit->portal = portal;
    visit->from = *from;
    visit->tls = tls;
    visit->channel = channel_new(portal->child->base, fd, on_event, visit);
    visit->parser = http1_new_request_parser(&limits);
    deadline_init(&visit->deadline, portal->child->base, on_patience, visit);
    deadline_set(&visit->deadline, PORTAL_PATIENCE);
    LIST_INSERT_HEAD(&portal->visits, visit, next);
    portal->count++;
    if (tls)
        leaf_get(portal->leaves, portal->configuration->portal_host, NULL, 0, on_leaf, visit,
                 &visit->leaf);
    else
        channel_want_read(visit->channel, true);
}
