/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose a meeting is: which links lead to one room, and which only look so. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "filters/meeting.h"
#include "tests/unit/policy_fixture.h"

static struct url_pattern joins[6];
static struct service service;

static int prepare(void **state)
{
    static const char *const patterns[] = {".zoom.example/j/*",        ".zoom.example/wc/*/join",
                                           "*.webex.example/*/j.php*", "*.room.example",
                                           "meet.example/*-*",         "meet.example/_meet/*"};
    static char name[] = "zoom";
    const char *error;

    (void)state;
    service = (struct service){.name = name, .join = joins, .join_count = COUNT(joins)};
    for (size_t i = 0; i < COUNT(joins); i++)
        if (!url_pattern_parse(span_of(patterns[i]), (struct rule){"test.conf", 1}, &joins[i],
                               &error))
            return -1;
    return 0;
}

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(joins); i++)
        url_pattern_clear(&joins[i]);
    return 0;
}

static bool digest_of(const char *text, uint8_t digest[32])
{
    struct url url;

    assert_true(url_parse(span_of(text), &url));
    return meeting_digest(&service, span_of(url.host), url.target, fixture_digest, digest);
}

static void test_same_room(void **state)
{
    static const char *const rooms[][2] = {
        {"https://us02web.zoom.example/j/123?pwd=x", "https://us02web.zoom.example/j/123"},
        {"https://US02web.zoom.example./j/123/", "https://us02web.zoom.example/j/123#success"},
        {"https://us02web.zoom.example/wc/123/join?x", "https://us02web.zoom.example/j/123"},
        {"https://zoom.example/j/%31%323", "https://zoom.example/j/123"},
        {"https://a.webex.example/s/j.php?MTID=m1&x=2", "https://a.webex.example/s/j.php?MTID=m1"},
        {"https://meet.example/_meet/a-b", "https://meet.example/a-b"},
        {"https://a.room.example/Sato/1", "https://a.room.example/sato/1?x"},
    };
    uint8_t a[32], b[32];

    (void)state;
    for (size_t i = 0; i < COUNT(rooms); i++) {
        assert_true(digest_of(rooms[i][0], a));
        assert_true(digest_of(rooms[i][1], b));
        if (memcmp(a, b, sizeof(a)) != 0)
            fail_msg("%s is not %s", rooms[i][0], rooms[i][1]);
    }
}

static void test_other_room(void **state)
{
    static const char *const rooms[][2] = {
        {"https://zoom.example/j/123", "https://zoom.example/j/124"},
        {"https://zoom.example/j/123", "https://us02web.zoom.example/j/123"},
        {"https://zoom.example/j/123", "https://zoom.example/j/124?x=/j/123"},
        {"https://zoom.example/j/123", "https://zoom.example/j/123%3F"},
        {"https://zoom.example/j/123", "https://zoom.example/j/123/../124"},
        {"https://zoom.example/j/123", "https://zoom.example/j/124%2F..%2F123"},
        {"https://zoom.example/j/123", "https://zoom.example/wc/124/123/join"},
        {"https://a.webex.example/s/j.php?MTID=m1", "https://a.webex.example/s/j.php?x&MTID=m1"},
        {"https://a.webex.example/s/j.php?MTID=m1", "https://a.webex.example/t/j.phpz?MTID=m1"},
    };
    uint8_t a[32], b[32];

    (void)state;
    for (size_t i = 0; i < COUNT(rooms); i++) {
        assert_true(digest_of(rooms[i][0], a));
        if (digest_of(rooms[i][1], b) && memcmp(a, b, sizeof(a)) == 0)
            fail_msg("%s is %s", rooms[i][0], rooms[i][1]);
    }
}

static void test_no_room(void **state)
{
    static const char *const links[] = {
        "https://zoom.example/j/",           "https://zoom.example/j/?123",
        "https://zoom.example/j//",          "https://zoom.example/s/123",
        "https://other.example/j/123",       "https://zoom.example.evil/j/123",
        "https://zoom.example/wc//join",     "https://a.webex.example/s/j.php",
        "https://a.webex.example/s/t/j.php", "https://a.room.example/",
    };
    uint8_t digest[32];
    char *text = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(links); i++)
        if (digest_of(links[i], digest))
            fail_msg("%s has a room", links[i]);
    /* longer than any room */
    assert_true(asprintf(&text, "https://zoom.example/j/%0512d", 1) > 0);
    assert_true(digest_of(text, digest));
    free(text);
    assert_true(asprintf(&text, "https://zoom.example/j/%0513d", 1) > 0);
    assert_false(digest_of(text, digest));
    free(text);
    assert_false(meeting_digest(&service, SPAN("zoom.example"), SPAN("/j/1"), NULL, digest));
}

static void test_named(void **state)
{
    struct url url;
    char *text = NULL;

    (void)state;
    assert_true(url_parse(SPAN("https://zoom.example/j/Room9"), &url));
    assert_false(meeting_is_named(&service, &url, SPAN("/new")));
    assert_false(meeting_is_named(&service, &url, SPAN("/new?x=room8")));
    assert_true(meeting_is_named(&service, &url, SPAN("/new?x=ROOM9")));
    assert_true(meeting_is_named(&service, &url, SPAN("/new?x=%52oom9")));
    assert_true(url_parse(SPAN("https://other.example/j/Room9"), &url));
    assert_true(meeting_is_named(&service, &url, SPAN("/new")));
    /* too long to be looked through */
    assert_true(url_parse(SPAN("https://zoom.example/j/Room9"), &url));
    assert_true(asprintf(&text, "/new?%08190d", 1) > 0);
    assert_true(meeting_is_named(&service, &url, span_of(text)));
    free(text);
}

static void test_foreign(void **state)
{
    struct policy policy = {.services = &service, .service_count = 1};
    struct learned_links *known = learned_links_new();
    struct standing standing = {.now = 1000, .learned = known, .sha256 = fixture_digest};
    struct learned_link links[MEETING_LINKS];
    struct span host = SPAN("zoom.example");
    struct url url;

    (void)state;
    assert_null(meeting_find_foreign(&policy, &standing, host, SPAN("/j/1")));
    assert_true(url_parse(SPAN("https://zoom.example/j/7?pwd=x"), &url));
    assert_true(meeting_learn(&service, &url, fixture_digest, links));
    assert_false(meeting_is_mark(&links[0]));
    assert_true(meeting_is_mark(&links[1]));
    for (size_t i = 0; i < MEETING_LINKS; i++) {
        links[i].since = 1000;
        links[i].until = 2000;
        assert_int_equal(links[i].kind, LEARNED_OWN);
        assert_true(learned_links_add(known, &links[i], 1000));
    }
    assert_null(meeting_find_foreign(&policy, &standing, host, SPAN("/j/7")));
    assert_ptr_equal(meeting_find_foreign(&policy, &standing, host, SPAN("/j/1")), &joins[0]);
    /* a join link without a room is nobody's own */
    assert_ptr_equal(meeting_find_foreign(&policy, &standing, host, SPAN("/j/")), &joins[0]);
    assert_null(meeting_find_foreign(&policy, &standing, host, SPAN("/pricing")));
    /* it is no link of the patient's, nor does it make a host one */
    assert_null(learned_links_find(known, "clinic", links[0].url_sha256, links[0].host_sha256,
                                   LEARNED_OF_HOST, 1000));
    standing.now = 2000;
    assert_null(meeting_find_foreign(&policy, &standing, host, SPAN("/j/1")));
    learned_links_free(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_room), cmocka_unit_test(test_other_room),
        cmocka_unit_test(test_no_room),   cmocka_unit_test(test_named),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
