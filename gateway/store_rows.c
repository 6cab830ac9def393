/* SPDX-License-Identifier: BSD-2-Clause */
/* What the registry asks of its SQLite file: counters, incidents, releases and consultations. */
#include "gateway/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_EVERY 500 /* inserts */

/* Runs a statement that gives no rows, and resets it. */
static enum store_result finish(struct store *store, sqlite3_stmt *statement, const char *what)
{
    if (sqlite3_step(statement) != SQLITE_DONE)
        return store_fail_statement(store, what);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return STORE_OK;
}

/* The same, and not before it is on the disk. */
static enum store_result finish_on_disk(struct store *store, sqlite3_stmt *statement,
                                        const char *what)
{
    enum store_result result;

    if (!store_sync_fully(store, true))
        return store_fail_statement(store, what);
    result = finish(store, statement, what);
    if (result == STORE_OK)
        store_sync_fully(store, false);
    return result;
}

/* What a loop over rows ended with. */
static enum store_result finish_rows(struct store *store, sqlite3_stmt *statement, int step,
                                     const char *what)
{
    if (step != SQLITE_DONE && step != SQLITE_ROW)
        return store_fail_statement(store, what);
    sqlite3_reset(statement);
    return STORE_OK;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static void copy_column(sqlite3_stmt *statement, int column, char *text, size_t size)
{
    const unsigned char *value = sqlite3_column_text(statement, column);

    snprintf(text, size, "%s", value == NULL ? "" : (const char *)value);
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
    const unsigned char *value = sqlite3_column_text(statement, column);

    return value == NULL ? "" : (const char *)value;
}

/* --- counters --- */

enum store_result store_save_counter(struct store *store, enum store_counter counter)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_COUNTER_SET];

    sqlite3_bind_int(statement, 1, (int)counter);
    sqlite3_bind_int64(statement, 2, (int64_t)store->next[counter]);
    return finish_on_disk(store, statement, "cannot keep a counter");
}

uint64_t store_take(struct store *store, enum store_counter counter, uint64_t count)
{
    uint64_t first;

    /* Opening first: it may move the counter forward to what the file says. */
    bool ready = store_ready(store) == STORE_OK;

    first = store->next[counter];
    store->next[counter] += count;
    if (ready)
        store_save_counter(store, counter);
    return first;
}

void store_give_back(struct store *store, enum store_counter counter, uint64_t next)
{
    if (next >= store->next[counter])
        return;
    store->next[counter] = next;
    if (store_ready(store) == STORE_OK)
        store_save_counter(store, counter);
}

/* --- incidents --- */

/* What may be kept of a field: of a path nothing from the query on. */
static struct span kept_value(const struct record *record, enum record_field field)
{
    struct span value = record_get(record, field);

    if (field == RECORD_PATH) {
        value = span_first(value, span_index(value, '?'));
        value = span_first(value, span_index(value, '#'));
    }
    return value;
}

static enum store_result trim_incidents(struct store *store)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INCIDENT_TRIM];

    if (++store->inserts < TRIM_EVERY)
        return STORE_OK;
    store->inserts = 0;
    sqlite3_bind_int64(statement, 1, STORE_INCIDENTS);
    return finish(store, statement, "cannot remove old incidents");
}

enum store_result store_insert_incident(struct store *store, const struct record *record,
                                        int64_t time)
{
    static const enum record_field fields[] = {
#define X(symbol, column) RECORD_##symbol,
        STORE_INCIDENT_COLUMNS(X)
#undef X
    };
    sqlite3_stmt *statement = store->statements[STATEMENT_INCIDENT_ADD];
    int64_t number = 0;

    span_number(record_get(record, RECORD_INCIDENT), &number);
    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_int64(statement, 2, time);
    for (int i = 0; i < (int)(sizeof(fields) / sizeof(fields[0])); i++) {
        struct span value = kept_value(record, fields[i]);

        if (fields[i] == RECORD_EVENT)
            value = span_of(record_event_name(record->event));
        if (value.size > 0)
            sqlite3_bind_text(statement, 3 + i, value.data, (int)value.size, SQLITE_STATIC);
        else
            sqlite3_bind_null(statement, 3 + i);
    }
    if (finish(store, statement, "cannot keep an incident") != STORE_OK)
        return STORE_FAILED;
    trim_incidents(store);
    return STORE_OK;
}

void store_add_incident(struct store *store, const struct record *record, int64_t time)
{
    if (store_ready(store) != STORE_OK || store_insert_incident(store, record, time) != STORE_OK)
        store_keep_pending(store, record, time);
}

static void read_incident(sqlite3_stmt *statement, struct incident *incident)
{
    static const enum record_field fields[] = {
#define X(symbol, column) RECORD_##symbol,
        STORE_INCIDENT_COLUMNS(X)
#undef X
    };
    const char *event = text_of(statement, 2);

    incident->number = (uint64_t)sqlite3_column_int64(statement, 0);
    incident->time = sqlite3_column_int64(statement, 1);
    record_init(&incident->record, EVENT_BLOCK);
    for (int i = 0; i < EVENT_COUNT; i++)
        if (strcmp(event, record_event_name((enum record_event)i)) == 0)
            incident->record.event = (enum record_event)i;
    for (int i = 1; i < (int)(sizeof(fields) / sizeof(fields[0])); i++) {
        struct span value = span_of(text_of(statement, 2 + i));

        if (value.size > 0)
            record_set(&incident->record, fields[i], value);
    }
    record_set_number(&incident->record, RECORD_INCIDENT, incident->number);
}

enum store_result store_find_incident(struct store *store, uint64_t number,
                                      struct incident *incident)
{
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_INCIDENT_FIND];
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        read_incident(statement, incident);
    if (finish_rows(store, statement, step, "cannot read an incident") != STORE_OK)
        return STORE_FAILED;
    return step == SQLITE_ROW ? STORE_OK : STORE_ABSENT;
}

enum store_result store_list_incidents(struct store *store, int64_t since, unsigned limit,
                                       store_incident_row *row, void *context)
{
    struct incident incident;
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_INCIDENT_LIST];
    sqlite3_bind_int64(statement, 1, since);
    sqlite3_bind_int64(statement, 2, limit);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        read_incident(statement, &incident);
        row(context, &incident);
    }
    return finish_rows(store, statement, step, "cannot read the incidents");
}

enum store_result store_list_would_block(struct store *store, unsigned limit,
                                         store_would_block_row *row, void *context)
{
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_WOULD_BLOCK_LIST];
    sqlite3_bind_int64(statement, 1, limit);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct would_block would_block = {
            .host = text_of(statement, 0),
            .reason = text_of(statement, 1),
            .count = (uint64_t)sqlite3_column_int64(statement, 2),
            .newest = (uint64_t)sqlite3_column_int64(statement, 3),
        };

        row(context, &would_block);
    }
    return finish_rows(store, statement, step, "cannot read the incidents");
}

/* --- releases --- */

enum store_result store_add_release(struct store *store, struct stored_release *release)
{
    const struct release *what = &release->release;
    sqlite3_stmt *statement;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_RELEASE_ADD];
    sqlite3_bind_int(statement, 1, (int)what->scope);
    bind_text(statement, 2, what->host);
    sqlite3_bind_blob(statement, 3, what->url_sha256, sizeof(what->url_sha256), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, what->until);
    sqlite3_bind_int64(statement, 5, release->created);
    sqlite3_bind_int64(statement, 6, (int64_t)release->incident);
    sqlite3_bind_int64(statement, 7, release->uid);
    bind_text(statement, 8, release->reason);
    bind_text(statement, 9, release->by);
    if (finish_on_disk(store, statement, "cannot keep a release") != STORE_OK)
        return STORE_FAILED;
    release->release.id = sqlite3_last_insert_rowid(store->database);
    statement = store->statements[STATEMENT_RELEASE_TRIM];
    sqlite3_bind_int64(statement, 1, STORE_RELEASES);
    finish(store, statement, "cannot remove old releases");
    return STORE_OK;
}

enum store_result store_end_release(struct store *store, int64_t id, int64_t now)
{
    sqlite3_stmt *statement;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_RELEASE_END];
    sqlite3_bind_int64(statement, 1, now);
    sqlite3_bind_int64(statement, 2, id);
    if (finish_on_disk(store, statement, "cannot end a release") != STORE_OK)
        return STORE_FAILED;
    return sqlite3_changes(store->database) > 0 ? STORE_OK : STORE_ABSENT;
}

static bool read_release(sqlite3_stmt *statement, struct stored_release *release)
{
    const void *digest = sqlite3_column_blob(statement, 3);
    int scope = sqlite3_column_int(statement, 1);

    if (digest == NULL ||
        sqlite3_column_bytes(statement, 3) != (int)sizeof(release->release.url_sha256) ||
        (scope != RELEASE_URL && scope != RELEASE_HOST))
        return false;
    memset(release, 0, sizeof(*release));
    memcpy(release->release.url_sha256, digest, sizeof(release->release.url_sha256));
    release->release.id = sqlite3_column_int64(statement, 0);
    release->release.scope = (enum release_scope)scope;
    copy_column(statement, 2, release->release.host, sizeof(release->release.host));
    release->release.until = sqlite3_column_int64(statement, 4);
    release->created = sqlite3_column_int64(statement, 5);
    release->incident = (uint64_t)sqlite3_column_int64(statement, 6);
    release->uid = (uint32_t)sqlite3_column_int64(statement, 7);
    copy_column(statement, 8, release->reason, sizeof(release->reason));
    copy_column(statement, 9, release->by, sizeof(release->by));
    return true;
}

enum store_result store_list_releases(struct store *store, int64_t now, store_release_row *row,
                                      void *context)
{
    struct stored_release release;
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_RELEASE_LIST];
    sqlite3_bind_int64(statement, 1, now);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        if (read_release(statement, &release))
            row(context, &release);
    return finish_rows(store, statement, step, "cannot read the releases");
}

/* --- consultations --- */

static enum store_result end_consultation(struct store *store, const char *scope)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_CONSULTATION_END];

    bind_text(statement, 1, scope);
    return finish(store, statement, "cannot forget a consultation");
}

enum store_result store_set_consultation(struct store *store, const char *scope,
                                         const char *service, int64_t since, int64_t until)
{
    sqlite3_stmt *statement;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    if (until == 0)
        return end_consultation(store, scope);
    statement = store->statements[STATEMENT_CONSULTATION_SET];
    bind_text(statement, 1, scope);
    bind_text(statement, 2, service);
    sqlite3_bind_int64(statement, 3, since);
    sqlite3_bind_int64(statement, 4, until);
    return finish(store, statement, "cannot keep a consultation");
}

enum store_result store_list_consultations(struct store *store, int64_t now,
                                           store_consultation_row *row, void *context)
{
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_CONSULTATION_LIST];
    sqlite3_bind_int64(statement, 1, now);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        row(context, text_of(statement, 0), text_of(statement, 1),
            sqlite3_column_int64(statement, 2), sqlite3_column_int64(statement, 3));
    return finish_rows(store, statement, step, "cannot read the consultations");
}
