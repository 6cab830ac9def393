/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the registry keeps over a restart, in one SQLite file: incidents, releases, consultations
 * and the counters. Every failure of the file (a full disk, a read-only or damaged one) is
 * survived: the caller is told, the text is reported at most once a minute, and the file is opened
 * again after a second. Nothing that policy forbids to keep gets in: no query, no cookie, no body;
 * of a URL only host, path and the SHA-256 of the whole.
 */
#ifndef GATEWAY_STORE_H
#define GATEWAY_STORE_H

#include "filters/policy.h"
#include "gateway/message.h"
#include "gateway/record.h"

#define STORE_INCIDENTS 100000 /* kept; the oldest go first */
#define STORE_RELEASES  10000  /* kept, those that are over included */
#define STORE_PENDING   1000   /* incidents held in memory while the file fails */
#define STORE_BY        501    /* bytes of a reason or a name, with the NUL */

/* X(symbol, record field, column): what is kept of an incident's record. */
#define STORE_INCIDENT_COLUMNS(X)                                                                  \
    X(EVENT, "event")                                                                              \
    X(REASON, "reason")                                                                            \
    X(RULE, "rule")                                                                                \
    X(ITEM, "item")                                                                                \
    X(CLIENT, "client")                                                                            \
    X(ROOM, "room")                                                                                \
    X(SERVICE, "service")                                                                          \
    X(DST, "dst")                                                                                  \
    X(SNI, "sni")                                                                                  \
    X(HOST, "host")                                                                                \
    X(PATH, "path")                                                                                \
    X(URL_SHA256, "url_sha256")                                                                    \
    X(METHOD, "method")                                                                            \
    X(KIND, "kind")                                                                                \
    X(FROM, "source")                                                                              \
    X(TYPE_DECLARED, "type_declared")                                                              \
    X(TYPE_SNIFFED, "type_sniffed")                                                                \
    X(FILE_NAME, "file_name")                                                                      \
    X(DETAIL, "detail")

enum store_result {
    STORE_OK = 0,
    STORE_FAILED = -1, /* the file fails; store_failure() says how */
    STORE_ABSENT = -2  /* there is no such row */
};

enum store_counter { STORE_NEXT_INCIDENT, STORE_NEXT_SEQUENCE, STORE_COUNTERS };

struct incident {
    uint64_t number;
    int64_t time; /* Unix milliseconds */
    struct record record;
};

struct stored_release {
    struct release release;
    int64_t created;   /* Unix seconds */
    uint64_t incident; /* that it answers, 0 for none */
    uint32_t uid;      /* of the process that asked */
    char reason[STORE_BY];
    char by[STORE_BY];
};

/* Called with the text of a failure, at most once a minute. */
typedef void store_report(void *context, const char *text);

struct store;

/* Remembers where the file is and opens it. Never fails: see store_failure(). */
struct store *store_new(const char *path, store_report *report, void *context);
void store_free(struct store *store);

/* Why the file cannot be used at the moment, or NULL. Borrowed until the next call. */
const char *store_failure(const struct store *store);
/* Tries again now what failed, without waiting for the second to pass. */
enum store_result store_retry(struct store *store);
/* How many incidents wait in memory for the file, and how many were lost because too many waited.
 */
void store_count_pending(const struct store *store, size_t *waiting, uint64_t *lost);

/*
 * Takes `count` numbers; returns the first. The mark above them is on the disk before this returns;
 * while the file fails they are still unique within this process.
 */
uint64_t store_take(struct store *store, enum store_counter counter, uint64_t count);
/* Gives back the numbers from `next` on, on a clean stop. */
void store_give_back(struct store *store, enum store_counter counter, uint64_t next);

/* Keeps the incident that `record` tells of; its INCIDENT field is the number. Waits in memory
 * while the file fails. */
void store_add_incident(struct store *store, const struct record *record, int64_t time);
enum store_result store_find_incident(struct store *store, uint64_t number,
                                      struct incident *incident);
/* The newest `limit` of those since `since` (Unix milliseconds), newest first. */
typedef void store_incident_row(void *context, const struct incident *incident);
enum store_result store_list_incidents(struct store *store, int64_t since, unsigned limit,
                                       store_incident_row *row, void *context);
/* Would-block incidents by host, most frequent first, at most `limit` hosts. */
struct would_block {
    const char *host, *reason; /* borrowed for the call; the most frequent reason */
    uint64_t count, newest;    /* how many, and the number of the newest */
};
typedef void store_would_block_row(void *context, const struct would_block *would_block);
enum store_result store_list_would_block(struct store *store, unsigned limit,
                                         store_would_block_row *row, void *context);

/* Keeps a release and sets its id. STORE_OK only when it is on the disk. */
enum store_result store_add_release(struct store *store, struct stored_release *release);
/* Marks it as over since `now` (Unix seconds); the row stays for the auditor. */
enum store_result store_end_release(struct store *store, int64_t id, int64_t now);
/* Those that hold at `now`. */
typedef void store_release_row(void *context, const struct stored_release *release);
enum store_result store_list_releases(struct store *store, int64_t now, store_release_row *row,
                                      void *context);

/* Keeps the state of a scope; `until` in Unix milliseconds, 0: it is over and forgotten. */
enum store_result store_set_consultation(struct store *store, const char *scope,
                                         const char *service, int64_t since, int64_t until);
typedef void store_consultation_row(void *context, const char *scope, const char *service,
                                    int64_t since, int64_t until);
enum store_result store_list_consultations(struct store *store, int64_t now,
                                           store_consultation_row *row, void *context);

/* Keeps a learned link, known by hashes only; those that are over, or too many, are forgotten now
 * and then. */
enum store_result store_set_learned(struct store *store, const struct learned_link *link,
                                    int64_t now);
/* Those in force at `now` (Unix seconds), oldest first. */
enum store_result store_list_learned(struct store *store, int64_t now, learned_links_visit *row,
                                     void *context);

#endif
