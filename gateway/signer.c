/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signer: holds the issuing CA's key and answers one request, a leaf for a name. It builds
 * every leaf itself from the fixed template and signs nothing that it was given. No network, no
 * files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "filters/memory.h"
#include "gateway/certificate.h"
#include "gateway/custody.h"
#include "gateway/log.h"
#include "gateway/process.h"

#define MILLISECONDS 1000

/* What one role is served with: the CA, and leaves for a key that this role alone has. A portal
 * that was taken over cannot stand in for the sites that the workers inspect. */
struct desk {
    struct issuer *issuer;
    const char *only;  /* the one name that it may ask for, or NULL */
    uint8_t *greeting; /* the payload of LEAF_KEY */
    size_t greeting_size;
};

struct peer {
    LIST_ENTRY(peer) next;
    struct signer *signer;
    const struct desk *desk;
    struct link *link;
};

struct signer {
    const struct configuration *configuration;
    struct desk workers, portal;
    LIST_HEAD(, peer) peers;
};

/* u32 big-endian length, the leaves' key, the chain: what is needed to serve a leaf. */
static bool make_greeting(struct desk *desk)
{
    unsigned char *key = NULL, *chain = NULL;
    int key_length = issuer_leaf_key(desk->issuer, &key);
    int chain_length = issuer_chain(desk->issuer, &chain);
    bool done = key_length > 0 && chain_length > 0 &&
                (size_t)key_length + (size_t)chain_length + 4 <= MESSAGE_MAX;

    if (done) {
        uint8_t *out = memory_allocate(1, (size_t)key_length + (size_t)chain_length + 4);
        for (int i = 0; i < 4; i++)
            out[i] = (uint8_t)((unsigned)key_length >> (24 - 8 * i));
        memcpy(out + 4, key, (size_t)key_length);
        memcpy(out + 4 + key_length, chain, (size_t)chain_length);
        desk->greeting = out;
        desk->greeting_size = (size_t)key_length + (size_t)chain_length + 4;
    }
    if (key_length > 0)
        OPENSSL_clear_free(key, (size_t)key_length);
    OPENSSL_free(chain);
    return done;
}

static void desk_free(struct desk *desk)
{
    issuer_free(desk->issuer);
    if (desk->greeting)
        OPENSSL_cleanse(desk->greeting, desk->greeting_size);
    free(desk->greeting);
}

static void signer_free(struct signer *signer)
{
    desk_free(&signer->workers);
    desk_free(&signer->portal);
    custody_end();
    free(signer);
}

/* The key must not reach the disk: no core file, and memory that may be locked without a limit. */
static void limit_resources(void)
{
    static const struct rlimit none = {0, 0}, all = {RLIM_INFINITY, RLIM_INFINITY};

    if (setrlimit(RLIMIT_CORE, &none) < 0)
        log_warn("no core limit");
    /* Best effort: without privilege the limit stays, and locking below may fail. */
    setrlimit(RLIMIT_MEMLOCK, &all);
}

static bool desk_prepare(struct desk *desk, const struct configuration *configuration)
{
    char error[512];

    desk->issuer =
        issuer_read(configuration->ca_certificate, configuration->ca_key, error, sizeof(error));
    if (!desk->issuer) {
        log_warnx("%s", error);
        return false;
    }
    if (make_greeting(desk))
        return true;
    log_warnx("%s: the chain does not fit into a message", configuration->ca_certificate);
    return false;
}

static int signer_prepare(struct child *child)
{
    const struct configuration *configuration = child->configuration;
    struct signer *signer = memory_allocate(1, sizeof(*signer));

    limit_resources();
    if (!custody_begin()) {
        free(signer);
        return -1;
    }
    LIST_INIT(&signer->peers);
    signer->configuration = configuration;
    signer->portal.only = configuration->portal_host;
    if (!desk_prepare(&signer->workers, configuration) ||
        (configuration->portal_listener_count > 0 &&
         !desk_prepare(&signer->portal, configuration))) {
        signer_free(signer);
        return -1;
    }
    child->state = signer;
    return 0;
}

static int signer_start(struct child *child)
{
    /* On fault: only what is used is held, so that a small limit or a small router does. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_warn("the signer's memory is not locked");
    child_ready(child);
    return 0;
}

/* The certificate's length, or -1: refused. The name comes from a worker that may have been taken
 * over. */
static int make_leaf(const struct peer *peer, const struct message_leaf *question,
                     unsigned char **der)
{
    const struct configuration *configuration = peer->signer->configuration;
    const struct desk *desk = peer->desk;
    int64_t now = (int64_t)time(NULL);

    *der = NULL;
    if (!memchr(question->name, '\0', sizeof(question->name)) || question->not_after < 0)
        return -1;
    if (desk->only && strcmp(question->name, desk->only) != 0)
        return -1;
    return issuer_make_leaf(desk->issuer, question->name, now,
                            configuration->leaf_backdate / MILLISECONDS,
                            configuration->leaf_lifetime / MILLISECONDS,
                            question->not_after ? question->not_after : INT64_MAX, der);
}

static void answer(struct peer *peer, const struct message_leaf *question)
{
    uint8_t payload[MESSAGE_MAX];
    unsigned char *der;
    int length = make_leaf(peer, question, &der);
    size_t size = sizeof(question->id);

    memcpy(payload, &question->id, size);
    if (length > 0 && (size_t)length <= sizeof(payload) - size) {
        memcpy(payload + size, der, (size_t)length);
        size += (size_t)length;
    }
    OPENSSL_free(der);
    if (link_send(peer->link, MESSAGE_LEAF_CERTIFICATE, payload, size, -1) < 0)
        log_warnx("a worker does not take its leaf");
}

static void forget(struct peer *peer)
{
    LIST_REMOVE(peer, next);
    free(peer);
}

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct peer *peer = context;
    struct message_leaf question;

    if (fd >= 0)
        close(fd);
    if (type == MESSAGE_LEAF && size == sizeof(question)) {
        memcpy(&question, payload, sizeof(question));
        answer(peer, &question);
        return;
    }
    if (type != MESSAGE_NONE) {
        log_warnx("a worker sent %s: its link is closed", message_name(type));
        link_free(link);
    }
    forget(peer);
}

static void signer_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct signer *signer = child->state;
    struct peer *peer;

    const struct desk *desk = role == ROLE_WORKER   ? &signer->workers
                              : role == ROLE_PORTAL ? &signer->portal
                                                    : NULL;

    if (!desk || !desk->issuer) {
        if (!desk)
            log_warnx("no use for a link to %s", role_name(role));
        close(fd);
        return;
    }
    peer = memory_allocate(1, sizeof(*peer));
    peer->signer = signer;
    peer->desk = desk;
    peer->link = link_new(child->base, fd, ROLE_SIGNER, role, receive, peer);
    LIST_INSERT_HEAD(&signer->peers, peer, next);
    /* One that drains may be gone already: then its link tells so. */
    (void)slot;
    (void)link_send(peer->link, MESSAGE_LEAF_KEY, desk->greeting, desk->greeting_size, -1);
}

/* Every request is answered where it arrives: nothing is ever under way. */
static void signer_drain(struct child *child)
{
    event_base_loopbreak(child->base);
}

static void signer_stop(struct child *child)
{
    struct signer *signer = child->state;
    struct peer *peer;

    if (!signer)
        return;
    while ((peer = LIST_FIRST(&signer->peers)) != NULL) {
        link_free(peer->link);
        forget(peer);
    }
    signer_free(signer);
    child->state = NULL;
}

const struct role_operations signer_operations = {
    .user = "_sekisho-signer",
    .sandbox = SANDBOX_SIGNER,
    .prepare = signer_prepare,
    .start = signer_start,
    .peer = signer_peer,
    .drain = signer_drain,
    .stop = signer_stop,
};
