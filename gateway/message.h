/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the processes talk: typed messages over SOCK_SEQPACKET socketpairs, one message a packet, a
 * file descriptor attached where the type says so. Every message is checked against the tables
 * below before anybody looks at it: who may say it to whom, version, length, that texts end within
 * their arrays and numbers are within their ranges. One that is not so closes the link, whatever
 * else the sender is allowed: a process that was taken over can only say what its role says.
 */
#ifndef GATEWAY_MESSAGE_H
#define GATEWAY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/learned.h"
#include "filters/policy.h"

#define MESSAGE_MAX      16384      /* bytes of payload */
#define LINK_QUEUE_LIMIT (8u << 20) /* bytes of unsent messages that a link holds at the most */
#define LINK_DESCRIPTORS 256        /* of unsent messages: all that a fetcher hands on at once */

enum role {
    ROLE_PARENT,
    ROLE_SIGNER,
    ROLE_WORKER,
    ROLE_REGISTRY,
    ROLE_EXAMINER,
    ROLE_PORTAL,
    ROLE_FETCHER,
    ROLE_COUNT
};
const char *role_name(enum role role);

/* Several of them. */
enum roles {
    ROLES_PARENT = 1 << ROLE_PARENT,
    ROLES_SIGNER = 1 << ROLE_SIGNER,
    ROLES_WORKER = 1 << ROLE_WORKER,
    ROLES_REGISTRY = 1 << ROLE_REGISTRY,
    ROLES_EXAMINER = 1 << ROLE_EXAMINER,
    ROLES_PORTAL = 1 << ROLE_PORTAL,
    ROLES_FETCHER = 1 << ROLE_FETCHER,
    ROLES_CHILD = ((1 << ROLE_COUNT) - 1) & ~ROLES_PARENT
};

/*
 * X(symbol, who says it, to whom, smallest payload, largest payload, what it means). Payloads are
 * the structs below or, where so noted, bytes.
 */
#define MESSAGES(X)                                                                                \
    X(PEER, ROLES_PARENT, ROLES_CHILD, sizeof(struct message_peer), sizeof(struct message_peer),   \
      "carries a socket to a peer")                                                                \
    X(DRAIN, ROLES_PARENT, ROLES_CHILD, 0, 0,                                                      \
      "finish what is under way, accept nothing, then exit")                                       \
    X(READY, ROLES_CHILD, ROLES_PARENT, 0, 0, "initialised; a worker: accepting")                  \
    /* parent and registry */                                                                      \
    X(STATUS, ROLES_PARENT, ROLES_REGISTRY, 1, MESSAGE_MAX, "JSON text about the processes")       \
    X(RELOAD, ROLES_REGISTRY, ROLES_PARENT, 0, 0, "the control program asks for a reload")         \
    X(RELOAD_RESULT, ROLES_PARENT, ROLES_REGISTRY, 1, MESSAGE_MAX, "one byte success, then text")  \
    X(MEDIA, ROLES_PARENT, ROLES_REGISTRY, sizeof(struct message_media),                           \
      sizeof(struct message_media), "the kernel sees a call of this client")                       \
    X(KERNEL_ASK, ROLES_REGISTRY, ROLES_PARENT, sizeof(struct message_flows),                      \
      sizeof(struct message_flows), "what has the kernel counted, who is in a call")               \
    X(KERNEL, ROLES_PARENT, ROLES_REGISTRY, sizeof(uint64_t) + 1, MESSAGE_MAX, "id, then JSON")    \
    X(BOUNDARY, ROLES_REGISTRY, ROLES_PARENT, sizeof(struct message_boundary),                     \
      sizeof(struct message_boundary), "whether any consultation is on")                           \
    /* to the registry */                                                                          \
    X(RECORD, ROLES_WORKER | ROLES_PARENT, ROLES_REGISTRY, 1, MESSAGE_MAX, "packed records")       \
    X(SIGN, ROLES_WORKER, ROLES_REGISTRY, sizeof(struct message_sign),                             \
      sizeof(struct message_sign), "a sign of a call")                                             \
    X(LEARNED, ROLES_WORKER | ROLES_REGISTRY, ROLES_REGISTRY | ROLES_WORKER,                       \
      sizeof(struct message_learned), sizeof(struct message_learned),                              \
      "a link came in through a chat; both ways")                                                  \
    X(FLOW, ROLES_WORKER, ROLES_REGISTRY, sizeof(struct message_flow),                             \
      sizeof(struct message_flow), "one live connection")                                          \
    X(FLOWS_END, ROLES_WORKER, ROLES_REGISTRY, sizeof(struct message_flows),                       \
      sizeof(struct message_flows), "that was all")                                                \
    X(NUMBERS_LOW, ROLES_WORKER, ROLES_REGISTRY, 0, 0, "more incident numbers, please")            \
    /* registry to worker */                                                                       \
    X(CONSULTATION, ROLES_REGISTRY, ROLES_WORKER, sizeof(struct message_consultation),             \
      sizeof(struct message_consultation), "the state of one scope")                               \
    X(RELEASE, ROLES_REGISTRY, ROLES_WORKER, sizeof(struct message_release),                       \
      sizeof(struct message_release), "a release holds")                                           \
    X(UNRELEASE, ROLES_REGISTRY, ROLES_WORKER, sizeof(struct message_unrelease),                   \
      sizeof(struct message_unrelease), "a release is over")                                       \
    X(NUMBERS, ROLES_REGISTRY, ROLES_WORKER, sizeof(struct message_numbers),                       \
      sizeof(struct message_numbers), "incident numbers to use")                                   \
    X(SNAPSHOT_END, ROLES_REGISTRY, ROLES_WORKER, 0, 0, "the state at connection is whole")        \
    X(FLOWS, ROLES_REGISTRY, ROLES_WORKER, sizeof(struct message_flows),                           \
      sizeof(struct message_flows), "list the connections")                                        \
    /* worker, portal and signer */                                                                \
    X(LEAF, ROLES_WORKER | ROLES_PORTAL, ROLES_SIGNER, sizeof(struct message_leaf),                \
      sizeof(struct message_leaf), "sign a leaf for this name")                                    \
    X(LEAF_CERTIFICATE, ROLES_SIGNER, ROLES_WORKER | ROLES_PORTAL, sizeof(uint64_t), MESSAGE_MAX,  \
      "id, then DER; only the id: refused")                                                        \
    X(LEAF_KEY, ROLES_SIGNER, ROLES_WORKER | ROLES_PORTAL, 1, MESSAGE_MAX,                         \
      "the leaves' private key and the chain")                                                     \
    /* worker to examiner: BEGIN, DATA in order, then END; CANCEL at any time */                   \
    X(EXAMINE_BEGIN, ROLES_WORKER, ROLES_EXAMINER, sizeof(struct message_examine),                 \
      sizeof(struct message_examine), "something to open comes")                                   \
    X(EXAMINE_DATA, ROLES_WORKER, ROLES_EXAMINER, sizeof(uint64_t) + 1, MESSAGE_MAX,               \
      "id, then bytes of it")                                                                      \
    X(EXAMINE_END, ROLES_WORKER, ROLES_EXAMINER, sizeof(struct message_examine_end),               \
      sizeof(struct message_examine_end), "that was all of it")                                    \
    X(EXAMINE_CANCEL, ROLES_WORKER, ROLES_EXAMINER, sizeof(struct message_examine_end),            \
      sizeof(struct message_examine_end), "nobody waits for it any more")                          \
    /* examiner to worker: TEXT any number of times, then EXAMINED */                              \
    X(EXAMINED_TEXT, ROLES_EXAMINER, ROLES_WORKER, sizeof(uint64_t) + 1, MESSAGE_MAX,              \
      "id, then one text that was in it")                                                          \
    X(EXAMINED, ROLES_EXAMINER, ROLES_WORKER, sizeof(struct message_examined),                     \
      sizeof(struct message_examined), "what became of it")                                        \
    /* worker and fetcher, and one fetcher and the next */                                         \
    X(FETCH, ROLES_WORKER, ROLES_FETCHER, sizeof(struct message_fetch),                            \
      sizeof(struct message_fetch), "a file is wanted")                                            \
    X(FETCHED, ROLES_FETCHER, ROLES_WORKER, sizeof(struct message_fetched),                        \
      sizeof(struct message_fetched), "carries the file")                                          \
    X(FETCH_FAILED, ROLES_FETCHER, ROLES_WORKER, sizeof(struct message_fetch_failed),              \
      sizeof(struct message_fetch_failed), "there is none")                                        \
    X(FETCH_KEPT, ROLES_FETCHER, ROLES_FETCHER, sizeof(struct message_fetch_kept),                 \
      sizeof(struct message_fetch_kept), "carries a file to the successor")

/* X(symbol, struct, member): the texts of payloads, each ended by a NUL within its array. */
#define MESSAGE_TEXTS(X)                                                                           \
    X(SIGN, message_sign, scope)                                                                   \
    X(SIGN, message_sign, service)                                                                 \
    X(SIGN, message_sign, client)                                                                  \
    X(LEARNED, message_learned, link.scope)                                                        \
    X(LEARNED, message_learned, link.service)                                                      \
    X(CONSULTATION, message_consultation, scope)                                                   \
    X(CONSULTATION, message_consultation, service)                                                 \
    X(MEDIA, message_media, service)                                                               \
    X(MEDIA, message_media, client)                                                                \
    X(RELEASE, message_release, host)                                                              \
    X(FLOW, message_flow, client)                                                                  \
    X(FLOW, message_flow, destination)                                                             \
    X(FLOW, message_flow, host)                                                                    \
    X(FLOW, message_flow, state)                                                                   \
    X(FLOW, message_flow, service)                                                                 \
    X(LEAF, message_leaf, name)                                                                    \
    X(FETCH, message_fetch, url)                                                                   \
    X(FETCH_KEPT, message_fetch_kept, url)

/* X(symbol, struct, member, how many values it has): numbers of 32 bits, all below that. */
#define MESSAGE_RANGES(X)                                                                          \
    X(PEER, message_peer, role, ROLE_COUNT)                                                        \
    X(LEARNED, message_learned, link.kind, LEARNED_KIND_COUNT)                                     \
    X(BOUNDARY, message_boundary, consultation, 2)                                                 \
    X(RELEASE, message_release, scope, RELEASE_HOST + 1)                                           \
    X(FETCH, message_fetch, kind, FETCH_KIND_COUNT)                                                \
    X(FETCH_KEPT, message_fetch_kept, kind, FETCH_KIND_COUNT)

enum message_type {
    MESSAGE_NONE,
#define X(symbol, from, to, smallest, largest, help) MESSAGE_##symbol,
    MESSAGES(X)
#undef X
        MESSAGE_COUNT
};
const char *message_name(enum message_type type);

/* A message of these types has a descriptor with it, and one of the others none. */
#define MESSAGE_CARRIES_DESCRIPTOR(type)                                                           \
    ((type) == MESSAGE_PEER || (type) == MESSAGE_FETCHED || (type) == MESSAGE_FETCH_KEPT)

struct message_peer {
    uint32_t role; /* of the one at the other end */
    uint32_t slot; /* which worker, 0 otherwise */
};
/* The scope of a consultation as text: "clinic", "room:NAME" or "client:ADDRESS or MAC". */
#define SCOPE_TEXT   200
#define SERVICE_TEXT 64
struct message_sign {
    char scope[SCOPE_TEXT];
    char service[SERVICE_TEXT];
    char client[64];
};
struct message_learned {
    struct learned_link link;
};
struct message_consultation {
    char scope[SCOPE_TEXT];
    char service[SERVICE_TEXT];
    int64_t until; /* Unix milliseconds; 0: it is over */
};
struct message_media {
    char service[SERVICE_TEXT];
    char client[64]; /* its address */
};
struct message_boundary {
    uint32_t consultation; /* 0 or 1 */
};
struct message_release {
    int64_t id;
    int64_t until;  /* Unix seconds */
    uint32_t scope; /* enum release_scope */
    char host[256];
    uint8_t url_sha256[32];
};
struct message_unrelease {
    int64_t id;
};
struct message_numbers {
    uint64_t first;
    uint64_t count;
};
struct message_flows {
    uint64_t id; /* of the question */
};
struct message_flow {
    uint64_t id;       /* of the question */
    int64_t age;       /* milliseconds */
    uint64_t up, down; /* bytes */
    char client[64];
    char destination[64];
    char host[256];
    char state[32];
    char service[SERVICE_TEXT];
};
struct message_leaf {
    uint64_t id;       /* chosen by the worker */
    int64_t not_after; /* Unix seconds: the origin's own */
    char name[256];    /* a host name or an address literal */
};
struct message_examine {
    uint64_t id;   /* chosen by the worker, ever larger */
    uint32_t kind; /* enum examination_kind */
    uint32_t unused;
};
struct message_examine_end {
    uint64_t id;
    uint64_t size; /* bytes that were sent: fewer came when one message could not be sent */
};
struct message_examined {
    uint64_t id;
    uint32_t status; /* enum examination_status */
    uint32_t texts;  /* how many were sent before */
};
#define FETCHES_MAX 64 /* that one worker waits for at once */
/* What a file that is fetched may be, and how large by that. */
enum fetch_kind { FETCH_LIST, FETCH_ISSUER, FETCH_KIND_COUNT };
struct message_fetch {
    uint64_t id;    /* chosen by the worker */
    int64_t since;  /* monotonic ms: what was fetched before is too old */
    uint32_t kind;  /* enum fetch_kind */
    char url[1024]; /* with a NUL behind it */
    uint32_t unused;
};
struct message_fetched {
    uint64_t id;
    int64_t at; /* monotonic ms at which it was fetched: an older one when there is no newer */
    uint64_t size;
};
struct message_fetch_kept {
    int64_t at; /* as above */
    uint64_t size;
    uint32_t kind; /* enum fetch_kind */
    char url[1024];
    uint32_t unused;
};
struct message_fetch_failed {
    uint64_t id;
    uint32_t fault; /* enum fetch_fault */
    uint32_t unused;
};

/* --- one end of a link --- */

struct event_base;
struct link;

/*
 * Called for each well-formed message; `fd` is -1 or a descriptor that now belongs to the callee.
 * With MESSAGE_NONE: the link is closed (the peer went away or sent nonsense); `link` is freed
 * after.
 */
typedef void link_handler(void *context, struct link *link, enum message_type type,
                          const void *payload, size_t size, int fd);

/*
 * Takes the socket `fd`, whose ends are of these roles: what they do not say to each other is
 * neither taken nor sent. The queue of unsent messages is bounded: over it link_send() returns -1.
 */
struct link *link_new(struct event_base *base, int fd, enum role own, enum role peer,
                      link_handler *handler, void *context);
void link_free(struct link *link);
/* Sends now or queues. `fd` is -1 or a descriptor that is duplicated to the peer; the caller keeps
 * its own. */
int link_send(struct link *link, enum message_type type, const void *payload, size_t size, int fd);
void link_set_context(struct link *link, void *context);
/* Takes nothing more: the peer's link_send() fails from now on. What it had sent is still
 * delivered, then MESSAGE_NONE. */
void link_shut(struct link *link);

/* A connected pair of such sockets (close-on-exec, non-blocking). 0 or -1 with errno. */
int link_pair(int fds[2]);

#endif
