/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of calls: see calls.h. */
#include "gateway/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

struct calls {
    struct call rows[CALLS_MAX];
    size_t count;
    uint64_t look;
    int64_t now;
};

struct calls *calls_new(void)
{
    return memory_allocate(1, sizeof(struct calls));
}

void calls_free(struct calls *calls)
{
    free(calls);
}

void calls_begin(struct calls *calls, int64_t now)
{
    calls->look++;
    calls->now = now;
    for (size_t i = 0; i < calls->count; i++)
        calls->rows[i].active = false;
}

static struct call *find_call(struct calls *calls, const char *service,
                              const struct address *client)
{
    struct call *call;

    for (size_t i = 0; i < calls->count; i++)
        if (address_equal(&calls->rows[i].client, client) &&
            strcmp(calls->rows[i].service, service) == 0)
            return &calls->rows[i];
    if (calls->count == CALLS_MAX)
        return NULL;
    call = &calls->rows[calls->count++];
    *call = (struct call){.client = *client, .since = calls->now};
    snprintf(call->service, sizeof(call->service), "%s", service);
    return call;
}

static struct call_peer *find_peer(struct call *call, const struct address *address)
{
    for (size_t i = 0; i < call->peer_count; i++)
        if (address_equal(&call->peers[i].address, address))
            return &call->peers[i];
    if (call->peer_count == CALL_PEERS)
        return NULL;
    call->peers[call->peer_count] = (struct call_peer){.address = *address};
    return &call->peers[call->peer_count++];
}

void calls_note(struct calls *calls, const char *service, const struct address *client,
                const struct address *peer, bool outside, uint64_t packets, uint64_t bytes)
{
    struct call *call = find_call(calls, service, client);
    struct call_peer *row;

    if (call == NULL)
        return;
    call->looked = calls->look;
    call->on = call->on || packets >= CALL_PACKETS;
    row = find_peer(call, peer);
    if (row == NULL) {
        call->active = true; /* not counted, so it may well be under way */
        return;
    }
    call->active = call->active || packets != row->packets;
    row->outside = outside;
    row->packets = packets;
    row->bytes = bytes;
    row->looked = calls->look;
}

static void end_peers(struct calls *calls, struct call *call, calls_tell *tell, void *context)
{
    for (size_t i = 0; i < call->peer_count;) {
        struct call_peer *peer = &call->peers[i];

        if (peer->looked != calls->look) {
            *peer = call->peers[--call->peer_count];
            continue;
        }
        if (call->on && peer->outside && !peer->told)
            peer->told = tell(context, CALL_OUTSIDE, call, peer);
        i++;
    }
}

void calls_end(struct calls *calls, calls_tell *tell, void *context)
{
    for (size_t i = 0; i < calls->count;) {
        struct call *call = &calls->rows[i];

        if (call->looked != calls->look) {
            if (call->told)
                tell(context, CALL_ENDS, call, NULL);
            *call = calls->rows[--calls->count];
            continue;
        }
        if (call->on && !call->told)
            call->told = tell(context, CALL_BEGINS, call, NULL);
        end_peers(calls, call, tell, context);
        i++;
    }
}

const struct call *calls_at(const struct calls *calls, size_t index)
{
    for (size_t i = 0; i < calls->count; i++)
        if (calls->rows[i].on && index-- == 0)
            return &calls->rows[i];
    return NULL;
}
