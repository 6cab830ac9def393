/* SPDX-License-Identifier: BSD-2-Clause */
/* The store: what is kept comes back, and no failure of the file goes further than an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/store.h"

static char folder[64], path[96];
static unsigned reports;
static char reported[600];

static void on_report(void *context, const char *text)
{
    assert_ptr_equal(context, &reports);
    reports++;
    snprintf(reported, sizeof(reported), "%s", text);
}

static struct store *open_store(void)
{
    return store_new(path, on_report, &reports);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_store.XXXXXX");
    reports = 0;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/registry.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    char name[128];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        unlink(name);
    }
    return rmdir(folder);
}

static void run_sql(const char *sql)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static int64_t ask_sql(const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    int64_t value;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return value;
}

static void write_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void make_incident(struct record *record, enum record_event event, uint64_t number,
                          const char *host)
{
    record_init(record, event);
    record_set_number(record, RECORD_INCIDENT, number);
    record_set_text(record, RECORD_REASON, "unverified-destination");
    record_set_text(record, RECORD_HOST, host);
    record_set_text(record, RECORD_PATH, "/a/b?token=secret#part");
    record_set_text(record, RECORD_ROOM, "診察室1");
    record_set_text(record, RECORD_FROM, "page:x.example");
}

static void add(struct store *store, enum record_event event, uint64_t number, const char *host,
                int64_t time)
{
    struct record record;

    make_incident(&record, event, number, host);
    store_add_incident(store, &record, time);
}

static bool has(const struct record *record, enum record_field field, const char *text)
{
    return span_equal(record_get(record, field), span_of(text));
}

/* --- incidents --- */

static void incident_comes_back(void **state)
{
    struct store *store = open_store();
    struct incident incident;

    (void)state;
    assert_null(store_failure(store));
    add(store, EVENT_WOULD_BLOCK, 7, "a.example", 1234567);
    store_free(store);
    store = open_store();
    assert_int_equal(store_find_incident(store, 7, &incident), STORE_OK);
    assert_int_equal(incident.number, 7);
    assert_int_equal(incident.time, 1234567);
    assert_int_equal(incident.record.event, EVENT_WOULD_BLOCK);
    assert_true(has(&incident.record, RECORD_HOST, "a.example"));
    assert_true(has(&incident.record, RECORD_ROOM, "診察室1"));
    assert_true(has(&incident.record, RECORD_FROM, "page:x.example"));
    assert_true(has(&incident.record, RECORD_INCIDENT, "7"));
    assert_int_equal(record_get(&incident.record, RECORD_FILE_NAME).size, 0);
    assert_int_equal(store_find_incident(store, 8, &incident), STORE_ABSENT);
    store_free(store);
    assert_int_equal(reports, 0);
}

static void no_query_is_kept(void **state)
{
    struct store *store = open_store();
    struct incident incident;
    char bytes[65536];
    FILE *file;

    (void)state;
    add(store, EVENT_BLOCK, 1, "a.example", 1);
    assert_int_equal(store_find_incident(store, 1, &incident), STORE_OK);
    assert_true(has(&incident.record, RECORD_PATH, "/a/b"));
    store_free(store);
    file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_non_null(memmem(bytes, size, "a.example", 9)); /* it is the right file */
    assert_null(memmem(bytes, size, "secret", 6));
}

struct seen {
    uint64_t numbers[16];
    size_t count;
};

static void on_incident(void *context, const struct incident *incident)
{
    struct seen *seen = context;

    assert_true(seen->count < 16);
    seen->numbers[seen->count++] = incident->number;
}

static void list_is_newest_first(void **state)
{
    struct store *store = open_store();
    struct seen seen = {.count = 0};

    (void)state;
    for (uint64_t i = 1; i <= 10; i++)
        add(store, EVENT_BLOCK, i, "a.example", (int64_t)i * 1000);
    assert_int_equal(store_list_incidents(store, 0, 3, on_incident, &seen), STORE_OK);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.numbers[0], 10);
    assert_int_equal(seen.numbers[2], 8);
    seen.count = 0;
    assert_int_equal(store_list_incidents(store, 9000, 16, on_incident, &seen), STORE_OK);
    assert_int_equal(seen.count, 2);
    store_free(store);
}

static void old_incidents_are_removed(void **state)
{
    struct store *store = open_store();
    char sql[400];

    (void)state;
    store_free(store);
    /* A full table, made cheaply; then enough real ones for the trim to come by. */
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO incidents(number, time) SELECT i, i FROM n",
             STORE_INCIDENTS);
    run_sql(sql);
    store = open_store();
    for (uint64_t i = 1; i <= 600; i++)
        add(store, EVENT_BLOCK, STORE_INCIDENTS + i, "a.example", 1);
    store_free(store);
    assert_in_range(ask_sql("SELECT count(*) FROM incidents"), STORE_INCIDENTS,
                    STORE_INCIDENTS + 500);
    assert_int_equal(ask_sql("SELECT max(number) FROM incidents"), STORE_INCIDENTS + 600);
    assert_true(ask_sql("SELECT min(number) FROM incidents") > 100);
}

static void on_would_block(void *context, const struct would_block *row)
{
    unsigned *rows = context;

    if (*rows == 0) {
        assert_string_equal(row->host, "often.example");
        assert_int_equal(row->count, 3);
        assert_int_equal(row->newest, 4);
        assert_string_equal(row->reason, "unverified-destination");
    } else {
        assert_string_equal(row->host, "once.example");
    }
    ++*rows;
}

static void would_block_by_host(void **state)
{
    struct store *store = open_store();
    unsigned rows = 0;

    (void)state;
    add(store, EVENT_WOULD_BLOCK, 1, "often.example", 1);
    add(store, EVENT_WOULD_BLOCK, 2, "once.example", 1);
    add(store, EVENT_WOULD_BLOCK, 3, "often.example", 1);
    add(store, EVENT_WOULD_BLOCK, 4, "often.example", 1);
    add(store, EVENT_BLOCK, 5, "blocked.example", 1);
    assert_int_equal(store_list_would_block(store, 10, on_would_block, &rows), STORE_OK);
    assert_int_equal(rows, 2);
    store_free(store);
}

/* --- counters --- */

static void numbers_are_never_given_twice(void **state)
{
    struct store *store = open_store();

    (void)state;
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 100), 1);
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 100), 101);
    assert_int_equal(store_take(store, STORE_NEXT_SEQUENCE, 5), 1);
    /* As another process that dies now would leave it: the mark is there already. */
    assert_int_equal(ask_sql("SELECT value FROM meta WHERE key = 0"), 201);
    store_give_back(store, STORE_NEXT_SEQUENCE, 3);
    store_give_back(store, STORE_NEXT_SEQUENCE, 99);
    store_free(store);
    store = open_store();
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 1), 201);
    assert_int_equal(store_take(store, STORE_NEXT_SEQUENCE, 1), 3);
    store_free(store);
}

/* --- releases --- */

static void make_release(struct stored_release *release, const char *host, int64_t until)
{
    memset(release, 0, sizeof(*release));
    release->release.scope = RELEASE_URL;
    snprintf(release->release.host, sizeof(release->release.host), "%s", host);
    memset(release->release.url_sha256, 0xab, 32);
    release->release.until = until;
    release->created = 50;
    release->incident = 12;
    release->uid = 1000;
    snprintf(release->reason, sizeof(release->reason), "検査結果の確認");
    snprintf(release->by, sizeof(release->by), "院長 山田");
}

static void on_release(void *context, const struct stored_release *release)
{
    struct stored_release *all = context;

    while (all->release.id != 0)
        all++;
    *all = *release;
}

static void releases_survive_and_end(void **state)
{
    struct store *store = open_store();
    struct stored_release one, two, found[4];

    (void)state;
    make_release(&one, "a.example", 100);
    make_release(&two, "b.example", 200);
    assert_int_equal(store_add_release(store, &one), STORE_OK);
    assert_int_equal(store_add_release(store, &two), STORE_OK);
    assert_true(one.release.id > 0 && two.release.id > one.release.id);
    store_free(store);
    store = open_store();
    memset(found, 0, sizeof(found));
    assert_int_equal(store_list_releases(store, 99, on_release, found), STORE_OK);
    assert_memory_equal(&found[0], &one, sizeof(one));
    assert_memory_equal(&found[1], &two, sizeof(two));
    assert_int_equal(store_end_release(store, two.release.id, 99), STORE_OK);
    assert_int_equal(store_end_release(store, two.release.id, 99), STORE_ABSENT);
    memset(found, 0, sizeof(found));
    assert_int_equal(store_list_releases(store, 100, on_release, found), STORE_OK);
    assert_int_equal(found[0].release.id, 0); /* one is over by time, the other by hand */
    store_free(store);
    assert_int_equal(ask_sql("SELECT count(*) FROM releases"), 2); /* the auditor's */
}

/* --- consultations --- */

static void on_consultation(void *context, const char *scope, const char *service, int64_t since,
                            int64_t until)
{
    assert_string_equal(scope, "room:診察室1");
    assert_string_equal(service, "zoom");
    assert_int_equal(since, 10);
    assert_int_equal(until, 2000);
    ++*(unsigned *)context;
}

/* --- learned links --- */

static void on_learned(void *context, const struct learned_link *link)
{
    unsigned *rows = context;

    assert_string_equal(link->scope, "clinic");
    assert_string_equal(link->service, "telemed");
    assert_int_equal(link->kind, LEARNED_CODE);
    assert_int_equal(link->url_sha256[31], 7);
    assert_int_equal(link->host_sha256[0], 9);
    assert_int_equal(link->since, 10000);
    (*rows)++;
}

static void learned_links_survive(void **state)
{
    struct store *store = open_store();
    struct learned_link link = {.kind = LEARNED_CODE, .since = 10500, .until = 2000};
    unsigned rows = 0;

    (void)state;
    link.url_sha256[31] = 7;
    link.host_sha256[0] = 9;
    snprintf(link.scope, sizeof(link.scope), "clinic");
    snprintf(link.service, sizeof(link.service), "telemed");
    assert_int_equal(store_set_learned(store, &link, 1), STORE_OK);
    assert_int_equal(store_set_learned(store, &link, 1), STORE_OK); /* the same again: one row */
    link.url_sha256[31] = 8;
    link.until = 500;
    assert_int_equal(store_set_learned(store, &link, 1), STORE_OK);
    store_free(store);
    store = open_store();
    assert_int_equal(store_list_learned(store, 600, on_learned, &rows), STORE_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(store_list_learned(store, 2000, on_learned, &rows), STORE_OK);
    assert_int_equal(rows, 1);
    store_free(store);
}

static void count_learned(void *context, const struct learned_link *link)
{
    unsigned *rows = context;

    assert_true(link->until > 1000 + 2000); /* the latest stay */
    (*rows)++;
}

/* A flooded chat fills neither the disk nor the next start. */
static void learned_links_are_bounded(void **state)
{
    struct store *store = open_store();
    struct learned_link link = {.kind = LEARNED_TEXT, .scope = "clinic", .service = "telemed"};
    unsigned rows = 0;

    (void)state;
    for (unsigned i = 0; i < LEARNED_MAX + 2800; i++) {
        memcpy(link.url_sha256, &i, sizeof(i));
        link.since = i;
        link.until = 1000 + i;
        assert_int_equal(store_set_learned(store, &link, 1), STORE_OK);
    }
    assert_int_equal(store_list_learned(store, 1, count_learned, &rows), STORE_OK);
    assert_true(rows >= LEARNED_MAX && rows <= LEARNED_MAX + 256);
    store_free(store);
}

static void count_telemed(void *context, const struct learned_link *link)
{
    unsigned *rows = context;

    *rows += strcmp(link->service, "telemed") == 0;
}

/* A flood of one chat leaves the rows of another. */
static void flood_leaves_other_rows(void **state)
{
    struct store *store = open_store();
    struct learned_link link = {.kind = LEARNED_TEXT, .scope = "clinic", .service = "telemed"};
    unsigned rows = 0;

    (void)state;
    for (unsigned i = 0; i < LEARNED_MAX + 2800; i++) {
        memcpy(link.url_sha256, &i, sizeof(i));
        link.until = 1000 + i;
        if (i == 500)
            snprintf(link.service, sizeof(link.service), "flooded");
        assert_int_equal(store_set_learned(store, &link, 1), STORE_OK);
    }
    assert_int_equal(store_list_learned(store, 1, count_telemed, &rows), STORE_OK);
    assert_int_equal(rows, 500);
    store_free(store);
}

static void consultations_survive(void **state)
{
    struct store *store = open_store();
    unsigned rows = 0;

    (void)state;
    assert_int_equal(store_set_consultation(store, "room:診察室1", "x", 1, 1000), STORE_OK);
    assert_int_equal(store_set_consultation(store, "room:診察室1", "zoom", 10, 2000), STORE_OK);
    assert_int_equal(store_set_consultation(store, "clinic", "zoom", 1, 500), STORE_OK);
    assert_int_equal(store_set_consultation(store, "clinic", "zoom", 0, 0), STORE_OK);
    store_free(store);
    store = open_store();
    assert_int_equal(store_list_consultations(store, 1999, on_consultation, &rows), STORE_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(store_list_consultations(store, 2000, on_consultation, &rows), STORE_OK);
    assert_int_equal(rows, 1);
    store_free(store);
}

/* --- failures --- */

/* Everything still answers, nothing is granted, numbers go on, incidents wait. */
static void check_failing(struct store *store, const char *why)
{
    struct stored_release release;
    struct incident incident;
    uint64_t first, lost;
    size_t waiting;

    assert_non_null(store_failure(store));
    assert_non_null(strstr(store_failure(store), why));
    assert_int_equal(reports, 1);
    assert_non_null(strstr(reported, why));
    make_release(&release, "a.example", 100);
    assert_int_equal(store_add_release(store, &release), STORE_FAILED);
    assert_int_equal(release.release.id, 0);
    first = store_take(store, STORE_NEXT_INCIDENT, 100);
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 100), first + 100);
    add(store, EVENT_BLOCK, first, "a.example", 1);
    store_count_pending(store, &waiting, &lost);
    assert_int_equal(waiting, 1);
    assert_int_equal(store_find_incident(store, first, &incident), STORE_FAILED);
    assert_int_equal(store_set_consultation(store, "clinic", "zoom", 1, 2), STORE_FAILED);
    assert_int_equal(store_retry(store), STORE_FAILED);
    assert_int_equal(reports, 1); /* at most once a minute */
}

static void foreign_file_is_left_alone(void **state)
{
    struct store *store;

    (void)state;
    run_sql("CREATE TABLE recipes(name TEXT); INSERT INTO recipes VALUES('miso')");
    store = open_store();
    check_failing(store, "another program");
    store_free(store);
    assert_int_equal(ask_sql("SELECT count(*) FROM sqlite_schema"), 1);
}

static void newer_layout_is_left_alone(void **state)
{
    struct store *store = open_store();

    (void)state;
    store_free(store);
    run_sql("PRAGMA user_version = 2");
    store = open_store();
    check_failing(store, "another version");
    store_free(store);
}

static void lacking_column_is_told(void **state)
{
    struct store *store = open_store();

    (void)state;
    store_free(store);
    run_sql("ALTER TABLE incidents DROP COLUMN rule");
    store = open_store();
    check_failing(store, "lacks a table or a column");
    store_free(store);
}

static void garbage_is_told_and_comes_back(void **state)
{
    struct incident incident;
    struct store *store;
    uint64_t lost;
    size_t waiting;

    (void)state;
    write_file("this is not a database, and it is long enough to be read as its header.......", 77);
    store = open_store();
    check_failing(store, "not a database");
    unlink(path); /* somebody moves it away */
    assert_int_equal(store_retry(store), STORE_OK);
    assert_null(store_failure(store));
    store_count_pending(store, &waiting, &lost);
    assert_int_equal(waiting, 0);
    assert_int_equal(lost, 0);
    assert_int_equal(store_find_incident(store, 1, &incident), STORE_OK);
    /* What was taken meanwhile is not given again, by this process or the next. */
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 1), 201);
    store_free(store);
    store = open_store();
    assert_int_equal(store_take(store, STORE_NEXT_INCIDENT, 1), 202);
    store_free(store);
}

static void missing_folder_is_told(void **state)
{
    struct store *store;

    (void)state;
    store = store_new("/nonexistent/folder/registry.db", on_report, &reports);
    check_failing(store, "cannot be opened");
    store_free(store);
}

static void pending_is_bounded(void **state)
{
    struct store *store = store_new("/nonexistent/folder/registry.db", on_report, &reports);
    uint64_t lost;
    size_t waiting;

    (void)state;
    for (uint64_t i = 1; i <= STORE_PENDING + 5; i++)
        add(store, EVENT_BLOCK, i, "a.example", 1);
    store_count_pending(store, &waiting, &lost);
    assert_int_equal(waiting, STORE_PENDING);
    assert_int_equal(lost, 5);
    store_free(store);
}

/* A file that may not grow is what a full disk looks like to SQLite. */
static void full_disk_is_survived(void **state)
{
    struct rlimit before, small;
    struct store *store = open_store();
    struct incident incident;
    struct stored_release release;
    uint64_t number, lost;
    size_t waiting;

    (void)state;
    assert_null(store_failure(store));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (number = 1; number < 500 && store_failure(store) == NULL; number++)
        add(store, EVENT_BLOCK, number, "a.example", 1);
    assert_non_null(store_failure(store));
    make_release(&release, "a.example", 100);
    assert_int_equal(store_add_release(store, &release), STORE_FAILED);
    add(store, EVENT_BLOCK, number, "a.example", 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(store_retry(store), STORE_OK);
    store_count_pending(store, &waiting, &lost);
    assert_int_equal(waiting, 0);
    for (uint64_t i = 1; i <= number; i++) /* none was lost */
        assert_int_equal(store_find_incident(store, i, &incident), STORE_OK);
    assert_int_equal(store_add_release(store, &release), STORE_OK);
    assert_int_equal(reports, 1);
    store_free(store);
}

static void locked_file_is_survived(void **state)
{
    struct store *store = open_store();
    struct incident incident;
    sqlite3 *other;

    (void)state;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    add(store, EVENT_BLOCK, 1, "a.example", 1);
    assert_non_null(store_failure(store));
    assert_non_null(strstr(store_failure(store), "locked"));
    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(other);
    assert_int_equal(store_retry(store), STORE_OK);
    assert_int_equal(store_find_incident(store, 1, &incident), STORE_OK);
    store_free(store);
}

/* Pages overwritten behind its back. */
static void damaged_pages_are_survived(void **state)
{
    struct store *store = open_store();
    struct seen seen = {.count = 0};
    char noise[4096];
    int fd;

    (void)state;
    for (uint64_t i = 1; i <= 200; i++)
        add(store, EVENT_BLOCK, i, "a.example", 1);
    store_free(store);
    memset(noise, 0x5a, sizeof(noise));
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (off_t page = 1; page < 12; page++)
        assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
    close(fd);
    store = open_store();
    assert_int_equal(store_list_incidents(store, 0, 16, on_incident, &seen), STORE_FAILED);
    add(store, EVENT_BLOCK, 201, "a.example", 1);
    assert_non_null(store_failure(store));
    assert_int_equal(reports, 1);
    store_free(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(incident_comes_back),
        TEST(no_query_is_kept),
        TEST(list_is_newest_first),
        TEST(old_incidents_are_removed),
        TEST(would_block_by_host),
        TEST(numbers_are_never_given_twice),
        TEST(releases_survive_and_end),
        TEST(consultations_survive),
        TEST(learned_links_survive),
        TEST(learned_links_are_bounded),
        TEST(flood_leaves_other_rows),
        TEST(foreign_file_is_left_alone),
        TEST(newer_layout_is_left_alone),
        TEST(lacking_column_is_told),
        TEST(garbage_is_told_and_comes_back),
        TEST(missing_folder_is_told),
        TEST(pending_is_bounded),
        TEST(full_disk_is_survived),
        TEST(locked_file_is_survived),
        TEST(damaged_pages_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
