/* SPDX-License-Identifier: BSD-2-Clause */
/* What was touched: counted by device, host and consultation, bounded, and asked for. */
#include "tests/unit/registry_fixture.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- the table --- */

static void note(struct observations *observations, const char *client, const char *host,
                 const char *service, enum observed_way way, int64_t now)
{
    struct observed what = {.reason = "allowed"};

    snprintf(what.client, sizeof(what.client), "%s", client);
    snprintf(what.host, sizeof(what.host), "%s", host);
    snprintf(what.service, sizeof(what.service), "%s", service);
    observations_note(observations, &what, way, now);
}

static void rows_are_counted(void **state)
{
    struct observations *observations = observations_new();
    const struct observed *row;

    (void)state;
    assert_null(observations_at(observations, 0));
    note(observations, "a", "h", "zoom", OBSERVED_SPLICED, 10);
    note(observations, "a", "h", "zoom", OBSERVED_SPLICED, 12);
    note(observations, "a", "h", "zoom", OBSERVED_STOPPED, 11);
    note(observations, "a", "", "zoom", OBSERVED_STOPPED, 11);
    row = observations_at(observations, 0);
    assert_int_equal(row->counts[OBSERVED_SPLICED], 2);
    assert_int_equal(row->counts[OBSERVED_STOPPED], 1);
    assert_int_equal(row->first, 10);
    assert_null(observations_at(observations, 1));
    /* neither text runs into the next */
    note(observations, "ah", "", "zoom", OBSERVED_SPLICED, 13);
    note(observations, "b", "h", "zoom", OBSERVED_SPLICED, 13);
    note(observations, "a", "h", "", OBSERVED_SPLICED, 13);
    note(observations, "a", "hz", "oom", OBSERVED_SPLICED, 13);
    assert_non_null(observations_at(observations, 3));
    assert_null(observations_at(observations, 4));
    observations_free(observations);
}

static void the_quietest_makes_room(void **state)
{
    struct observations *observations = observations_new();
    char host[32];
    size_t found = 0;

    (void)state;
    for (int i = 0; i < OBSERVED_MAX; i++) {
        snprintf(host, sizeof(host), "h%d", i);
        note(observations, "a", host, "", OBSERVED_SPLICED, i);
    }
    note(observations, "a", "h0", "", OBSERVED_SPLICED, 5000); /* heard of again */
    note(observations, "a", "new", "", OBSERVED_SPLICED, 5001);
    for (size_t i = 0; observations_at(observations, i) != NULL; i++, found++) {
        assert_string_not_equal(observations_at(observations, i)->host, "h1");
        if (strcmp(observations_at(observations, i)->host, "new") == 0)
            assert_int_equal(observations_at(observations, i)->counts[OBSERVED_SPLICED], 1);
    }
    assert_int_equal(found, OBSERVED_MAX);
    observations_free(observations);
}

/* --- from records to the answer --- */

static void touch(struct fixture *fixture, enum record_event event, const char *client,
                  const char *host, const char *kind, const char *reason)
{
    struct record record;

    record_init(&record, event);
    record_set_text(&record, RECORD_CLIENT, client);
    record_set_text(&record,
                    event == EVENT_SPLICE || event == EVENT_TLS_ERROR ? RECORD_SNI : RECORD_HOST,
                    host);
    record_set_text(&record, RECORD_PATH, "/secret?token=1");
    if (kind != NULL)
        record_set_text(&record, RECORD_KIND, kind);
    record_set_text(&record, RECORD_REASON, reason);
    registry_write(fixture->registry, &record);
}

static json_t *row_of(json_t *reply, const char *host)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(reply, "touched"), i,
                       row) if (strcmp(text_of(row, "host"), host) == 0) return row;
    return NULL;
}

static void what_a_call_touched(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply, *row;
    char *text;

    touch(fixture, EVENT_ALLOW, "192.168.10.21", "before.example", "navigation", "allowed");
    join(fixture, &worker, 0);
    sign(fixture, &worker, "clinic");
    touch(fixture, EVENT_SPLICE, "192.168.10.21", "media.example", NULL, "allowed");
    touch(fixture, EVENT_ALLOW, "192.168.10.21", "api.example", "other", "allowed");
    touch(fixture, EVENT_ALLOW, "192.168.10.22", "api.example", "subresource", "allowed");
    touch(fixture, EVENT_ALLOW, "192.168.10.22", "cdn.example", "subresource", "allowed");
    touch(fixture, EVENT_BLOCK, "192.168.10.22", "evil.example", "navigation",
          "unverified-destination");
    touch(fixture, EVENT_TLS_ERROR, "192.168.10.22", "pinned.example", NULL, "client-tls");
    touch(fixture, EVENT_TLS_ERROR, "192.168.10.22", "broken.example", NULL, "origin-certificate");
    touch(fixture, EVENT_ALLOW, "192.168.10.21", "ehr.example", "navigation", "allowed");
    touch(fixture, EVENT_LEARNED, "192.168.10.21", "learned.example", "text", "allowed");

    reply = ask_well(fixture, "{\"command\":\"observe\",\"service\":\"zoom\"}");
    assert_true(json_is_true(json_object_get(reply, "known")));
    assert_int_equal(count_of(reply, "splice"), 1);
    assert_int_equal(count_of(reply, "touched"), 5);
    assert_null(row_of(reply, "media.example")); /* the profile names it */
    row = row_of(reply, "api.example");          /* two devices, one row */
    assert_int_equal(number_of(row, "inspected"), 2);
    assert_true(json_is_true(json_object_get(row, "opened")));
    assert_string_equal(text_of(row, "class"), "unknown");
    assert_false(json_is_true(json_object_get(row_of(reply, "cdn.example"), "opened")));
    assert_string_equal(text_of(row_of(reply, "evil.example"), "reason"), "unverified-destination");
    assert_int_equal(number_of(row_of(reply, "pinned.example"), "rejected"), 1);
    assert_string_equal(text_of(row_of(reply, "ehr.example"), "class"), "clinic");
    text = json_dumps(reply, 0);
    assert_null(strstr(text, "secret"));
    free(text);
    json_decref(reply);

    reply = ask_well(fixture, "{\"command\":\"observe\",\"service\":\"other\"}");
    assert_false(json_is_true(json_object_get(reply, "known")));
    assert_int_equal(count_of(reply, "touched"), 0);
    json_decref(reply);
    link_free(worker.link);
}

static void one_device_and_a_time(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply;
    char request[160];

    touch(fixture, EVENT_ALLOW, "192.168.10.21", "a.example", "navigation", "allowed");
    touch(fixture, EVENT_ALLOW, "192.168.10.22", "b.example", "navigation", "allowed");
    /* without a consultation only a named device tells anything, also of the profile's own hosts
     * when there is no profile */
    reply = ask_well(fixture, "{\"command\":\"observe\",\"service\":\"new\"}");
    assert_int_equal(count_of(reply, "touched"), 0);
    json_decref(reply);
    reply = ask_well(fixture, "{\"command\":\"observe\",\"service\":\"new\",\"from\":"
                              "\"192.168.10.21\"}");
    assert_int_equal(count_of(reply, "touched"), 1);
    assert_non_null(row_of(reply, "a.example"));
    json_decref(reply);
    snprintf(request, sizeof(request),
             "{\"command\":\"observe\",\"service\":\"new\",\"from\":\"192.168.10.21\","
             "\"since\":%lld}",
             (long long)(registry_now() / 1000 + 5));
    reply = ask_well(fixture, request);
    assert_int_equal(count_of(reply, "touched"), 0);
    json_decref(reply);
    ask_badly(fixture, "{\"command\":\"observe\",\"service\":\"new\",\"from\":\"nobody\"}",
              "from must be");
    ask_badly(fixture, "{\"command\":\"observe\",\"service\":\"new\",\"since\":-1}", "since must");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_counted),
        cmocka_unit_test(the_quietest_makes_room),
        TEST(what_a_call_touched),
        TEST(one_device_and_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
