/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The portal: the page of the LAN by which devices are given the clinic's CA, over http, and over
 * https under a leaf of that CA, for those who want to know whether it worked. It has the CA's
 * certificates, no key but that of its leaf, and no traffic of others; all that it serves was made
 * before it was shut in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/authority.h"
#include "gateway/certificate.h"
#include "gateway/channel.h"
#include "gateway/log.h"
#include "gateway/portal_private.h"
#include "gateway/socket.h"

#define PROTOCOL     "\x08http/1.1" /* as ALPN writes it (RFC 7301, section 3.1) */
#define ACCEPT_TURNS 16

/* --- before it is shut in --- */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *argument)
{
    (void)ssl;
    (void)argument;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_size,
                                 (const unsigned char *)PROTOCOL, sizeof(PROTOCOL) - 1, in,
                                 in_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static STACK_OF(X509) * read_next(const struct configuration *configuration)
{
    char *path = authority_path(configuration->ca_certificate, AUTHORITY_NEXT), error[512];
    STACK_OF(X509) *chain =
        access(path, F_OK) == 0 ? authority_read(path, error, sizeof(error)) : NULL;

    free(path);
    return chain;
}

static struct portal_pages *make_pages(const struct configuration *configuration, char *error,
                                       size_t size)
{
    struct portal_facts facts = {
        .template_text = configuration->portal_template,
        .messages = {configuration->portal_messages[0], configuration->portal_messages[1]},
        .host = configuration->portal_host,
        .tls_port = configuration->portal_tls_port,
        .clinic = configuration->clinic_name,
        .contact = configuration->clinic_contact};
    STACK_OF(X509) *now = authority_read(configuration->ca_certificate, error, size);
    STACK_OF(X509) *next = now != NULL ? read_next(configuration) : NULL;
    struct portal_pages *pages = NULL;

    if (now != NULL) {
        facts.root = authority_enrolled(now);
        facts.next = next != NULL ? authority_enrolled(next) : NULL;
        /* another issuing CA under the same root is nothing that devices need */
        if (facts.next != NULL && X509_cmp(facts.root, facts.next) == 0)
            facts.next = NULL;
        pages = portal_pages_new(&facts, error, size);
    }
    sk_X509_pop_free(now, X509_free);
    sk_X509_pop_free(next, X509_free);
    return pages;
}

static int portal_prepare(struct child *child)
{
    const struct configuration *configuration = child->configuration;
    struct portal *portal = memory_allocate(1, sizeof(*portal));
    char error[512];

    child->state = portal;
    portal->child = child;
    portal->configuration = configuration;
    LIST_INIT(&portal->visits);
    if (configuration->portal_listener_count == 0)
        return 0;
    portal->pages = make_pages(configuration, error, sizeof(error));
    if (portal->pages == NULL) {
        log_warnx("the enrolment page: %s", error);
        return -1;
    }
    portal->context = certificate_client_context();
    if (portal->context == NULL) {
        log_warnx("the TLS context for clients could not be made");
        return -1;
    }
    SSL_CTX_set_alpn_select_cb(portal->context, select_protocol, NULL);
    return 0;
}

/* --- connections --- */

static bool may_accept(const struct portal *portal)
{
    return !portal->draining && portal->count < PORTAL_VISITS;
}

static void want_accept(struct portal *portal, bool wanted)
{
    if (portal->accepting == wanted)
        return;
    portal->accepting = wanted;
    for (size_t i = 0; i < portal->configuration->portal_listener_count; i++) {
        if (wanted)
            event_add(portal->acceptors[i], NULL);
        else
            event_del(portal->acceptors[i]);
    }
}

void portal_note_end(struct portal *portal)
{
    if (may_accept(portal) && portal->acceptors != NULL)
        want_accept(portal, true);
    if (portal->draining && portal->count == 0)
        event_base_loopbreak(portal->child->base);
}

static bool is_tls(const struct portal *portal, int listener)
{
    for (size_t i = 0; i < portal->configuration->portal_listener_count; i++)
        if (event_get_fd(portal->acceptors[i]) == listener)
            return portal->configuration->portal_listeners[i].tls;
    return false;
}

static void on_connection(evutil_socket_t listener, short what, void *argument)
{
    struct portal *portal = argument;

    (void)what;
    for (int turn = 0; turn < ACCEPT_TURNS && may_accept(portal); turn++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        struct address from;
        int fd =
            accept4((int)listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        socket_address_read(&peer, &from, NULL);
        if (visit_count(portal, &from) < PORTAL_VISITS_OF)
            visit_begin(portal, fd, is_tls(portal, (int)listener), &from);
        else
            close(fd);
    }
    if (!may_accept(portal))
        want_accept(portal, false);
}

/* --- the role --- */

static int portal_start(struct child *child)
{
    struct portal *portal = child->state;
    size_t count = portal->configuration->portal_listener_count;
    const int *sockets = child->listeners + child->configuration->listener_count;

    portal->leaves = leaf_cache_new(child->base, 4);
    portal->acceptors = memory_allocate(count + 1, sizeof(*portal->acceptors));
    for (size_t i = 0; i < count; i++) {
        portal->acceptors[i] =
            event_new(child->base, sockets[i], EV_READ | EV_PERSIST, on_connection, portal);
        if (portal->acceptors[i] == NULL) {
            log_warnx("no memory for events");
            return -1;
        }
    }
    want_accept(portal, true);
    child_ready(child);
    return 0;
}

static void on_signer(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct portal *portal = context;

    (void)fd;
    if (type == MESSAGE_NONE) {
        if (portal->signer == link) {
            portal->signer = NULL;
            leaf_cache_set_signer(portal->leaves, NULL);
        }
    } else if (leaf_cache_receive(portal->leaves, type, payload, size) != 0) {
        log_warnx("the signer sent %s", message_name(type));
    }
}

static void portal_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct portal *portal = child->state;

    (void)slot;
    if (role != ROLE_SIGNER) {
        log_warnx("no use for a link to %s", role_name(role));
        close(fd);
        return;
    }
    leaf_cache_set_signer(portal->leaves, NULL);
    link_free(portal->signer);
    portal->signer = link_new(child->base, fd, ROLE_PORTAL, ROLE_SIGNER, on_signer, portal);
    leaf_cache_set_signer(portal->leaves, portal->signer);
}

/* What has begun is finished, within its time. */
static void portal_drain(struct child *child)
{
    struct portal *portal = child->state;

    if (portal->acceptors != NULL)
        want_accept(portal, false);
    portal->draining = true;
    if (portal->count == 0 || child->stopping)
        event_base_loopbreak(child->base);
}

static void portal_stop(struct child *child)
{
    struct portal *portal = child->state;
    struct visit *visit;

    portal->draining = true;
    while ((visit = LIST_FIRST(&portal->visits)) != NULL)
        visit_end(visit);
    for (size_t i = 0; i < portal->configuration->portal_listener_count; i++)
        event_free(portal->acceptors[i]);
    free(portal->acceptors);
    leaf_cache_set_signer(portal->leaves, NULL);
    link_free(portal->signer);
    leaf_cache_free(portal->leaves);
    portal_pages_free(portal->pages);
    SSL_CTX_free(portal->context);
    free(portal);
    child->state = NULL;
}

const struct role_operations portal_operations = {
    .user = "_sekisho-portal",
    .sandbox = SANDBOX_PORTAL,
    .prepare = portal_prepare,
    .start = portal_start,
    .peer = portal_peer,
    .drain = portal_drain,
    .stop = portal_stop,
};
