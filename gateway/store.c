/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry's SQLite file: opening and checking it, and living through its failures. What is
 * asked of it stands in store_rows.c. A connection that failed is closed and made again, whatever
 * the cause: one way back for a full disk, a damaged page and a file that was replaced.
 */
#include "gateway/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/deadline.h"

#define STORE_APPLICATION 0x53454b49 /* "SEKI" */
#define STORE_VERSION     1
#define RETRY_MS          1000
#define REPORT_MS         60000

#define X(symbol, column) ", " column " TEXT"
static const char schema[] =
    "CREATE TABLE incidents(id INTEGER PRIMARY KEY, number INTEGER NOT NULL, time INTEGER NOT "
    "NULL" STORE_INCIDENT_COLUMNS(
        X) ");"
#undef X
           "CREATE INDEX incidents_number ON incidents(number);"
           "CREATE INDEX incidents_time ON incidents(time);"
           "CREATE TABLE releases(id INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL,"
           " host TEXT NOT NULL, url_sha256 BLOB NOT NULL, until INTEGER NOT NULL, created INTEGER "
           "NOT NULL,"
           " incident INTEGER NOT NULL, uid INTEGER NOT NULL, reason TEXT NOT NULL, by TEXT NOT "
           "NULL,"
           " ended INTEGER NOT NULL DEFAULT 0);"
           "CREATE INDEX releases_open ON releases(until) WHERE ended = 0;"
           "CREATE TABLE consultations(scope TEXT PRIMARY KEY, service TEXT NOT NULL,"
           " since INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;"
           "CREATE TABLE learned(scope TEXT NOT NULL, url_sha256 BLOB NOT NULL,"
           " host_sha256 BLOB NOT NULL, kind INTEGER NOT NULL, since INTEGER NOT NULL,"
           " until INTEGER NOT NULL, service TEXT NOT NULL, whole_host INTEGER NOT NULL,"
           " PRIMARY KEY(scope, url_sha256)) WITHOUT ROWID;"
           "CREATE TABLE meta(key INTEGER PRIMARY KEY, value INTEGER NOT NULL);"
           "INSERT INTO meta(key, value) VALUES(0, 1), (1, 1);";

static const char *const statement_text[STATEMENT_COUNT] = {
#define X(symbol, text) text,
    STORE_STATEMENTS(X)
#undef X
};

static void store_close(struct store *store)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->database);
    store->database = NULL;
}

enum store_result store_fail(struct store *store, const char *what, const char *why)
{
    int64_t now = clock_monotonic();

    snprintf(store->failure, sizeof(store->failure), "%s: %s: %s", store->path, what, why);
    store_close(store);
    store->retry_at = now + RETRY_MS;
    if (store->report != NULL && now >= store->report_at) {
        store->report_at = now + REPORT_MS;
        store->report(store->context, store->failure);
    }
    return STORE_FAILED;
}

static enum store_result fail_database(struct store *store, const char *what)
{
    /* Copied first: closing the connection takes the text away. */
    char why[160];

    snprintf(why, sizeof(why), "%s",
             store->database == NULL ? "out of memory" : sqlite3_errmsg(store->database));
    return store_fail(store, what, why);
}

/* --- opening --- */

static bool ask_number(sqlite3 *database, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    bool found = false;

    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        found = true;
    }
    sqlite3_finalize(statement);
    return found;
}

static bool run(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static enum store_result create_schema(struct store *store)
{
    char marks[120];

    snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             STORE_APPLICATION, STORE_VERSION);
    if (!run(store->database, "BEGIN IMMEDIATE") || !run(store->database, schema) ||
        !run(store->database, marks))
        return fail_database(store, "cannot create the tables");
    return STORE_OK;
}

/* Ours, empty, or somebody else's: a file that Sekisho did not make is never written to. */
static enum store_result check_schema(struct store *store)
{
    int64_t application = 0, version = 0, tables = 0;

    if (!ask_number(store->database, "PRAGMA application_id", &application) ||
        !ask_number(store->database, "PRAGMA user_version", &version) ||
        !ask_number(store->database, "SELECT count(*) FROM sqlite_schema", &tables))
        return fail_database(store, "cannot be read (move the file away to begin a new one)");
    if (application == 0 && version == 0 && tables == 0)
        return create_schema(store);
    if (application != STORE_APPLICATION)
        return store_fail(store, "is a database of another program", "move it away");
    if (version != STORE_VERSION)
        return store_fail(store, "has another layout", "it was written by another version");
    return STORE_OK;
}

/* A counter goes on from whichever is further: the file, or what was taken while the file failed.
 */
static enum store_result load_counters(struct store *store)
{
    for (int i = 0; i < STORE_COUNTERS; i++) {
        sqlite3_stmt *statement = store->statements[STATEMENT_COUNTER_GET];
        int64_t stored = 0;

        sqlite3_bind_int(statement, 1, i);
        if (sqlite3_step(statement) == SQLITE_ROW)
            stored = sqlite3_column_int64(statement, 0);
        if (sqlite3_reset(statement) != SQLITE_OK)
            return fail_database(store, "cannot read the counters");
        if (stored > 0 && (uint64_t)stored > store->next[i])
            store->next[i] = (uint64_t)stored;
        else if ((uint64_t)stored < store->next[i] &&
                 store_save_counter(store, (enum store_counter)i) != STORE_OK)
            return STORE_FAILED;
    }
    return STORE_OK;
}

static enum store_result store_open(struct store *store)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(store->path, &store->database, flags, NULL) != SQLITE_OK)
        return fail_database(store, "cannot be opened");
    sqlite3_extended_result_codes(store->database, 1);
    /* Short: the registry answers workers in the meantime. */
    sqlite3_busy_timeout(store->database, 50);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (check_schema(store) != STORE_OK)
        return STORE_FAILED;
    if (!run(store->database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                              "PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -2000"))
        return fail_database(store, "cannot be written");
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        if (sqlite3_prepare_v3(store->database, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK)
            return fail_database(store, "lacks a table or a column");
    if (load_counters(store) != STORE_OK)
        return STORE_FAILED;
    store->failure[0] = '\0';
    return STORE_OK;
}

/* --- what waits in memory --- */

struct pending {
    struct pending *next;
    int64_t time;
    size_t size;
    uint8_t bytes[];
};

void store_keep_pending(struct store *store, const struct record *record, int64_t time)
{
    uint8_t bytes[MESSAGE_MAX];
    size_t size = record_pack(record, bytes, sizeof(bytes));
    struct pending *pending;

    if (size == 0)
        return;
    if (store->pending_count == STORE_PENDING) {
        struct pending *oldest = store->pending;

        store->pending = oldest->next;
        store->pending_count--;
        store->pending_lost++;
        if (store->pending == NULL)
            store->pending_end = &store->pending;
        free(oldest);
    }
    pending = memory_allocate(1, sizeof(*pending) + size);
    pending->time = time;
    pending->size = size;
    memcpy(pending->bytes, bytes, size);
    *store->pending_end = pending;
    store->pending_end = &pending->next;
    store->pending_count++;
}

static enum store_result flush_pending(struct store *store)
{
    while (store->pending != NULL) {
        struct pending *first = store->pending;
        struct record record;

        if (record_unpack(first->bytes, first->size, &record) &&
            store_insert_incident(store, &record, first->time) != STORE_OK)
            return STORE_FAILED;
        store->pending = first->next;
        store->pending_count--;
        free(first);
    }
    store->pending_end = &store->pending;
    return STORE_OK;
}

static enum store_result store_reopen(struct store *store)
{
    store_close(store);
    if (store_open(store) != STORE_OK)
        return STORE_FAILED;
    return flush_pending(store);
}

enum store_result store_ready(struct store *store)
{
    if (store->database != NULL)
        return STORE_OK;
    return clock_monotonic() < store->retry_at ? STORE_FAILED : store_reopen(store);
}

enum store_result store_fail_statement(struct store *store, const char *what)
{
    return fail_database(store, what);
}

bool store_sync_fully(struct store *store, bool fully)
{
    return run(store->database,
               fully ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

/* --- public --- */

struct store *store_new(const char *path, store_report *report, void *context)
{
    struct store *store = memory_allocate(1, sizeof(*store));

    store->path = memory_string(path);
    store->report = report;
    store->context = context;
    store->pending_end = &store->pending;
    for (size_t i = 0; i < STORE_COUNTERS; i++)
        store->next[i] = 1;
    store_open(store);
    return store;
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    if (store_ready(store) == STORE_OK)
        flush_pending(store);
    store_close(store);
    while (store->pending != NULL) {
        struct pending *first = store->pending;

        store->pending = first->next;
        free(first);
    }
    free(store->path);
    free(store);
}

const char *store_failure(const struct store *store)
{
    return store->failure[0] == '\0' ? NULL : store->failure;
}

enum store_result store_retry(struct store *store)
{
    return store->database != NULL ? STORE_OK : store_reopen(store);
}

void store_count_pending(const struct store *store, size_t *waiting, uint64_t *lost)
{
    *waiting = store->pending_count;
    *lost = store->pending_lost;
}
