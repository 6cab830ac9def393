/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files of the store share: the connection and the table of its statements. */
#ifndef GATEWAY_STORE_PRIVATE_H
#define GATEWAY_STORE_PRIVATE_H

#include "gateway/store.h"

#include <sqlite3.h>

#define STORE_COLUMN_NAME(symbol, column) ", " column
#define STORE_COLUMN_MARK(symbol, column) ", ?"
#define STORE_INCIDENT_SELECT                                                                      \
    "SELECT number, time" STORE_INCIDENT_COLUMNS(STORE_COLUMN_NAME) " FROM incidents "

/* X(symbol, SQL): everything that is ever asked of the file. */
#define STORE_STATEMENTS(X)                                                                        \
    X(COUNTER_GET, "SELECT value FROM meta WHERE key = ?")                                         \
    X(COUNTER_SET, "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)")                         \
    X(INCIDENT_ADD,                                                                                \
      "INSERT INTO incidents(number, time" STORE_INCIDENT_COLUMNS(                                 \
          STORE_COLUMN_NAME) ") VALUES(?, ?" STORE_INCIDENT_COLUMNS(STORE_COLUMN_MARK) ")")        \
    X(INCIDENT_TRIM, "DELETE FROM incidents WHERE id <= (SELECT max(id) FROM incidents) - ?")      \
    X(INCIDENT_FIND, STORE_INCIDENT_SELECT "WHERE number = ? ORDER BY id DESC LIMIT 1")            \
    X(INCIDENT_LIST, STORE_INCIDENT_SELECT "WHERE time >= ? ORDER BY id DESC LIMIT ?")             \
    X(WOULD_BLOCK_LIST,                                                                            \
      "SELECT host, reason, sum(n) AS total, max(newest), max(n) FROM (SELECT host, reason,"       \
      " count(*) AS n, max(number) AS newest FROM incidents WHERE event = 'would-block'"           \
      " AND host IS NOT NULL GROUP BY host, reason) GROUP BY host"                                 \
      " ORDER BY total DESC, host LIMIT ?")                                                        \
    X(RELEASE_ADD,                                                                                 \
      "INSERT INTO releases(scope, host, url_sha256, until, created, incident, uid, reason, by)"   \
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                        \
    X(RELEASE_TRIM,                                                                                \
      "DELETE FROM releases WHERE ended != 0 AND id <= (SELECT max(id) FROM releases) - ?")        \
    X(RELEASE_END, "UPDATE releases SET ended = ? WHERE id = ? AND ended = 0")                     \
    X(RELEASE_LIST,                                                                                \
      "SELECT id, scope, host, url_sha256, until, created, incident, uid, reason, by"              \
      " FROM releases WHERE ended = 0 AND until > ? ORDER BY id")                                  \
    X(CONSULTATION_SET,                                                                            \
      "INSERT OR REPLACE INTO consultations(scope, service, since, until) VALUES(?, ?, ?, ?)")     \
    X(CONSULTATION_END, "DELETE FROM consultations WHERE scope = ?")                               \
    X(CONSULTATION_LIST,                                                                           \
      "SELECT scope, service, since, until FROM consultations WHERE until > ? ORDER BY since")     \
    X(LEARNED_SET, "INSERT OR REPLACE INTO learned(scope, url_sha256, host_sha256, kind, since, "  \
                   "until, service,"                                                               \
                   " whole_host) VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                  \
    X(LEARNED_TRIM,                                                                                \
      "DELETE FROM learned WHERE until <= ?1 OR (scope, url_sha256) IN (SELECT scope, url_sha256"  \
      " FROM (SELECT scope, url_sha256, row_number() OVER (PARTITION BY scope, service, kind = ?2" \
      " ORDER BY until DESC) AS place FROM learned WHERE until > ?1)"                              \
      " ORDER BY place LIMIT -1 OFFSET ?3)")                                                       \
    X(LEARNED_LIST, "SELECT scope, url_sha256, host_sha256, kind, since, until, service, "         \
                    "whole_host FROM learned"                                                      \
                    " WHERE until > ? ORDER BY since")

enum store_statement {
#define X(symbol, text) STATEMENT_##symbol,
    STORE_STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

struct pending;

struct store {
    char *path;
    sqlite3 *database; /* NULL while the file fails */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    store_report *report;
    void *context;
    char failure[512];
    int64_t retry_at, report_at; /* monotonic milliseconds */
    uint64_t next[STORE_COUNTERS];
    unsigned inserts; /* since the last trim */
    unsigned learned; /* likewise */
    struct pending *pending, **pending_end;
    size_t pending_count;
    uint64_t pending_lost;
};

/* Opens the file again when it is time to. */
enum store_result store_ready(struct store *store);
/* Closes the connection and remembers why. Always STORE_FAILED. */
enum store_result store_fail(struct store *store, const char *what, const char *why);
enum store_result store_fail_statement(struct store *store, const char *what);
/* Whether a commit waits for the disk: for what must not be undone by a power cut. */
bool store_sync_fully(struct store *store, bool fully);
void store_keep_pending(struct store *store, const struct record *record, int64_t time);
enum store_result store_insert_incident(struct store *store, const struct record *record,
                                        int64_t time);
enum store_result store_save_counter(struct store *store, enum store_counter counter);

#endif
