/* SPDX-License-Identifier: BSD-2-Clause */
/* What all connections of one worker share. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <openssl/ssl.h>
#include <sys/queue.h>

#include "gateway/deadline.h"
#include "gateway/page.h"
#include "gateway/process.h"

/* One client of the LAN, for as long as it has connections. */
struct client {
    LIST_ENTRY(client) next;
    struct address address;
    unsigned flows;
    int room;               /* index into the configuration's, or -1 */
    bool told;              /* the log knows that it is over its share */
    char text[64];          /* for the log: the address */
    char scope[SCOPE_TEXT]; /* of its consultations, by policy.scope */
};

#define CLIENT_BUCKETS 256

struct flow;
struct relay_pipe;

struct worker {
    struct child *child;
    const struct configuration *configuration;
    struct event_base *base;
    struct resolver *resolver;
    struct neighbours *neighbours;
    struct leaf_cache *leaves;
    struct examinations *examinations;
    struct fetching *fetching;             /* or NULL: nothing is fetched */
    LIST_HEAD(, watched_picture) pictures; /* with the examiner: see watch.c */
    struct replica *replica;
    struct page *page;
    struct networks *asn_database, *country_database; /* or NULL */
    SSL_CTX *origin_context, *client_context;
    struct link *registry, *signer, *examiner, *fetcher;
    TAILQ_HEAD(, flow) flows;
    unsigned flow_count, flow_limit;
    LIST_HEAD(, client) clients[CLIENT_BUCKETS];
    struct acceptor *acceptors;   /* one per listener */
    struct deadline accept_again; /* accepting pauses at the descriptor limit */
    bool accepting, draining;
    bool has_key, whole; /* what it takes to accept: the signer's key, the registry's state */
    struct deadline drain;
    struct deadline tell; /* learned links that wait */
    unsigned unseen;      /* what of a chat that could not be looked through */
    int64_t tell_unseen_at;
    struct relay_pipe *idle_pipes;
    unsigned idle_pipe_count;
    uint8_t scratch[65536]; /* for one read, never kept */
};

/* A connection ended: accept again if that had to pause, stop if that was the last one of a drain.
 */
void worker_flow_ended(struct worker *worker);

/* Tells the registry what was learned, now or as soon as it may be told. */
void worker_tell(struct worker *worker);

/* The client's entry, made if need be, with one more connection; NULL when it has its share. */
struct client *client_enter(struct worker *worker, const struct address *address);
void client_leave(struct worker *worker, struct client *client);

#endif
