/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry's state: consultations, releases, incident numbers and counters, kept in memory and
 * in the store, and told to every worker the moment it changes. registry.c is the process around
 * it, control_commands.c what the control program asks of it.
 */
#ifndef GATEWAY_REGISTRY_H
#define GATEWAY_REGISTRY_H

#include <sys/queue.h>

#include "filters/consultation.h"
#include "filters/reason.h"
#include "gateway/control.h"
#include "gateway/neighbour.h"
#include "gateway/observed.h"
#include "gateway/process.h"
#include "gateway/record.h"
#include "gateway/store.h"
#include "gateway/syslog.h"

#define REGISTRY_RELEASES  1000 /* that hold at one time: each request asks them */
#define REGISTRY_SCOPES    (CONSULTATION_SCOPES + 1) /* and CONSULTATION_EVERY */
#define REGISTRY_FLOWS     10000                     /* in one answer */
#define REGISTRY_QUESTIONS 8                         /* flows and reload requests under way */
#define REGISTRY_LEASE     100 /* incident numbers given to a worker at once */
#define REGISTRY_LEASES    8   /* of a worker that are remembered; it uses them in their order */

struct registry_worker {
    TAILQ_ENTRY(registry_worker) next;
    struct registry *registry;
    struct link *link;
    unsigned slot;
    struct message_numbers leases[REGISTRY_LEASES];
    unsigned next_lease;
};

/* What is shown and kept of a consultation beside what the core knows. */
struct registry_consultation {
    char scope[SCOPE_TEXT];
    char service[SERVICE_TEXT];
    int64_t since, until; /* Unix milliseconds */
    int64_t told, stored; /* `until` as the workers and the store know it */
};

/* A request of the control program that waits for other processes. */
struct registry_question {
    enum { QUESTION_NONE, QUESTION_FLOWS, QUESTION_RELOAD, QUESTION_STATUS } kind;
    uint64_t id;      /* in the messages */
    uint64_t request; /* of the control program */
    size_t workers;   /* that have not ended their answer */
    json_t *flows;
    bool truncated;
    struct event *timer;
    struct registry *registry;
};

struct registry {
    struct event_base *base;
    const struct configuration *configuration;
    struct child *child; /* NULL in tests: no parent to ask */
    struct store *store;
    struct syslog *syslog; /* may be NULL in tests */
    struct control *control;
    struct neighbours *neighbours;                    /* may be NULL */
    struct networks *asn_database, *country_database; /* may be NULL */
    struct event *timer;
    TAILQ_HEAD(, registry_worker) workers;

    struct consultations *consultations;
    struct registry_consultation *scopes;
    uint32_t *scope_hashes; /* of the rows' scopes, side by side: a worker may know thousands */
    size_t scope_count;
    int told_parent; /* whether any is on, as the parent was told; -1 before */
    struct learned_links *learned;
    uint64_t told_pushed_out;   /* of learned_links_pushed_out() */
    int64_t tell_pushed_out_at; /* Unix seconds: not again before */

    struct observations *observations;
    int64_t distrust_told; /* Unix seconds of the last line about a device without our CA */
    unsigned distrust_untold;

    struct stored_release *releases;
    size_t release_count;
    int64_t unended[REGISTRY_RELEASES]; /* ids that are over, but the store does not know */
    size_t unended_count;

    bool loaded;         /* the store was read */
    bool store_failed;   /* at the last look */
    char complaint[512]; /* of the store, not yet logged */
    int64_t retry_at;    /* Unix milliseconds */
    uint64_t sequence, sequence_end;
    uint64_t first_number; /* the first incident number that this process gave out, or 0 */

    int64_t started; /* Unix milliseconds */
    uint64_t events[EVENT_COUNT];
    uint64_t reasons[REASON_COUNT];
    json_t *processes; /* the parent's last word, or NULL */
    struct registry_question questions[REGISTRY_QUESTIONS];
    uint64_t last_question;
};

/* Unix milliseconds. */
int64_t registry_now(void);

/*
 * The state, kept at `path`, without process or sockets. Never fails. The caller sets what it has
 * (child, syslog, neighbours, control); the first registry_look() reads the store.
 */
struct registry *registry_new(struct event_base *base, const struct configuration *configuration,
                              const char *path);
void registry_free(struct registry *registry);
/* What is over ends, what failed is tried again; then at once the next look is planned. */
void registry_look(struct registry *registry);
/* Writes to the store what a clean stop should keep exactly. */
void registry_flush(struct registry *registry);

/* Numbers, counts, keeps and logs a record. */
void registry_write(struct registry *registry, struct record *record);

/* A device, as an address or a MAC address names it. False when the text is neither. */
struct registry_client {
    struct address address; /* family 0 when a MAC was given */
    bool has_mac;
    uint8_t mac[6];
    char name[64]; /* the MAC where it is known, otherwise the address */
};
bool registry_find_client(struct registry *registry, const char *text,
                          struct registry_client *client);
/* The room that it is in, or NULL; and the scope of its consultations, as a worker makes it. */
const struct room *registry_room(const struct registry *registry,
                                 const struct registry_client *client);
void registry_name_scope(const struct registry *registry, const struct registry_client *client,
                         char scope[SCOPE_TEXT]);

/* The kernel sees a call of a client. False when the message makes no sense. */
bool registry_take_media(struct registry *registry, const struct message_media *message);
/* Adds to what the parent tells of a call the client's room, and whose network the peer is in. */
void registry_complete_record(struct registry *registry, struct record *record);
/* What the parent says of the kernel, with what is known here of it; NULL when it is no JSON. */
json_t *registry_read_kernel(struct registry *registry, struct span text);

/* Notes what a record says of a host that was touched. */
void registry_observe(struct registry *registry, const struct record *record);

/* Says in the log that a device does not take our certificate, and what could be done; once a
 * minute at the most. */
void registry_note_distrust(struct registry *registry, const struct observed *what, int64_t now);

/* For `sekisho status`: [{client, host, count, last, hint}]. */
json_t *registry_list_distrust(const struct registry *registry);

/* A worker came; the socket belongs to the callee. It is told the whole state. */
void registry_add_worker(struct registry *registry, unsigned slot, int fd);
void registry_drop_worker(struct registry_worker *worker);
/* Takes nothing more of them: each keeps what it has to say for the next registry. What they have
 * sent is still taken, and then they are gone from the list. */
void registry_shut_workers(struct registry *registry);
/* To every worker. */
void registry_broadcast(struct registry *registry, enum message_type type, const void *payload,
                        size_t size);

/* A sign of a call was seen. False when the message makes no sense. */
bool registry_sign(struct registry *registry, const struct message_sign *sign);
/* Whether what a worker sent is a terminated, printable text; and whether such a text is a scope.
 */
bool registry_is_clean_text(const char *text, size_t size);
bool registry_is_scope(const char *scope);
bool registry_is_on(struct registry *registry, const char *scope, const char **service);
void registry_send_state(struct registry *registry, struct link *link);

/* A link came in through a chat. False when the message makes no sense. */
bool registry_learn(struct registry *registry, const struct message_learned *message);
void registry_load_learned(struct registry *registry);
/* Once more into a store that had failed. */
void registry_keep_learned(struct registry *registry);
void registry_send_learned(struct registry *registry, struct link *link);

/* Grants a release: STORE_OK and in force everywhere, or STORE_FAILED and not at all. */
enum store_result registry_grant(struct registry *registry, struct stored_release *release);
/* Ends it. STORE_ABSENT when there is none; STORE_FAILED: over, but a restart may bring it back. */
enum store_result registry_revoke(struct registry *registry, int64_t id, const char *by);

/* The parts of the periodic look, in registry_consultation.c and registry_release.c. */
void registry_load_consultations(struct registry *registry);
/* The parent, whose rules for the kernel depend on it, hears when the first begins and the last
 * ends. */
void registry_tell_parent(struct registry *registry);
void registry_keep_consultations(struct registry *registry, bool exactly);
int64_t registry_expire_consultations(struct registry *registry, int64_t now);
bool registry_load_releases(struct registry *registry);
int64_t registry_expire_releases(struct registry *registry, int64_t now);
void registry_send_releases(struct registry *registry, struct link *link);

/* A question to the workers or the parent; false when too many are under way. */
bool registry_ask_flows(struct registry *registry, uint64_t request);
bool registry_ask_status(struct registry *registry, uint64_t request);
void registry_take_kernel(struct registry *registry, const void *payload, size_t size);
bool registry_ask_reload(struct registry *registry, uint64_t request);
void registry_take_flow(struct registry *registry, const struct message_flow *flow);
void registry_take_flows_end(struct registry *registry, uint64_t id);
void registry_take_reload_result(struct registry *registry, const void *payload, size_t size);
void registry_free_questions(struct registry *registry);

#endif
