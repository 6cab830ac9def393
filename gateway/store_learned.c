/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's rows about learned links. */
#include <string.h>

#include "gateway/store_private.h"

#define TRIM_EVERY 256 /* inserts: it reads the whole table */

static enum store_result run_once(struct store *store, sqlite3_stmt *statement)
{
    int step = sqlite3_step(statement);
    enum store_result result =
        step == SQLITE_DONE ? STORE_OK : store_fail_statement(store, "cannot keep a learned link");

    if (result == STORE_OK) {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
    return result;
}

/* As many as the registry itself keeps, and of the same chats: the rest would only slow its next
 * start. */
static enum store_result trim(struct store *store, int64_t now)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_LEARNED_TRIM];

    if (store->learned++ % TRIM_EVERY != 0)
        return STORE_OK;
    sqlite3_bind_int64(statement, 1, now);
    sqlite3_bind_int(statement, 2, LEARNED_TYPED);
    sqlite3_bind_int64(statement, 3, LEARNED_MAX);
    return run_once(store, statement);
}

enum store_result store_set_learned(struct store *store, const struct learned_link *link,
                                    int64_t now)
{
    sqlite3_stmt *statement;

    if (store_ready(store) != STORE_OK || trim(store, now) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_LEARNED_SET];
    sqlite3_bind_text(statement, 1, link->scope, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, link->url_sha256, sizeof(link->url_sha256), SQLITE_STATIC);
    sqlite3_bind_blob(statement, 3, link->host_sha256, sizeof(link->host_sha256), SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, (int)link->kind);
    sqlite3_bind_int64(statement, 5, link->since / 1000);
    sqlite3_bind_int64(statement, 6, link->until);
    sqlite3_bind_text(statement, 7, link->service, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 8, link->whole_host);
    return run_once(store, statement);
}

static bool read_digest(sqlite3_stmt *statement, int column, uint8_t digest[32])
{
    const void *bytes = sqlite3_column_blob(statement, column);

    if (bytes == NULL || sqlite3_column_bytes(statement, column) != 32)
        return false;
    memcpy(digest, bytes, 32);
    return true;
}

static bool read_text(sqlite3_stmt *statement, int column, char *text, size_t size)
{
    const char *bytes = (const char *)sqlite3_column_text(statement, column);
    size_t length = (size_t)sqlite3_column_bytes(statement, column);

    if (bytes == NULL || length == 0 || length >= size)
        return false;
    memcpy(text, bytes, length + 1);
    return true;
}

static bool read_link(sqlite3_stmt *statement, struct learned_link *link)
{
    int kind = sqlite3_column_int(statement, 3);

    memset(link, 0, sizeof(*link));
    link->kind = (enum learned_kind)kind;
    link->since = sqlite3_column_int64(statement, 4) * 1000;
    link->until = sqlite3_column_int64(statement, 5);
    link->whole_host = sqlite3_column_int(statement, 7) != 0;
    return kind >= 0 && kind < LEARNED_KIND_COUNT &&
           read_text(statement, 0, link->scope, sizeof(link->scope)) &&
           read_digest(statement, 1, link->url_sha256) &&
           read_digest(statement, 2, link->host_sha256) &&
           read_text(statement, 6, link->service, sizeof(link->service));
}

enum store_result store_list_learned(struct store *store, int64_t now, learned_links_visit *row,
                                     void *context)
{
    sqlite3_stmt *statement;
    int step;

    if (store_ready(store) != STORE_OK)
        return STORE_FAILED;
    statement = store->statements[STATEMENT_LEARNED_LIST];
    sqlite3_bind_int64(statement, 1, now);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct learned_link link;
        if (read_link(statement, &link))
            row(context, &link);
    }
    if (step != SQLITE_DONE)
        return store_fail_statement(store, "cannot read the learned links");
    sqlite3_reset(statement);
    return STORE_OK;
}
