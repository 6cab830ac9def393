/* SPDX-License-Identifier: BSD-2-Clause */
/* Learned links: who was first, scopes, time, the bound, floods, and the two ways to find one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/learned.h"

static struct learned_link make(unsigned url, unsigned host, enum learned_kind kind, int64_t until)
{
    struct learned_link link = {.kind = kind, .since = 1, .until = until};

    memcpy(link.url_sha256, &url, sizeof(url));
    memcpy(link.host_sha256, &host, sizeof(host));
    snprintf(link.scope, sizeof(link.scope), "clinic");
    snprintf(link.service, sizeof(link.service), "telemed");
    return link;
}

static const struct learned_link *find(const struct learned_links *links, const char *scope,
                                       unsigned url, unsigned host, enum learned_reach reach,
                                       int64_t now)
{
    struct learned_link wanted = make(url, host, LEARNED_TEXT, 0);

    return learned_links_find(links, scope, wanted.url_sha256, wanted.host_sha256, reach, now);
}

static void test_found_by_url_and_host(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link link = make(1, 10, LEARNED_CODE, 100);

    (void)state;
    assert_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 50));
    assert_true(learned_links_add(links, &link, 50));
    assert_non_null(find(links, "clinic", 1, 99, LEARNED_OF_URL, 50));
    assert_int_equal(find(links, "clinic", 1, 99, LEARNED_OF_URL, 50)->kind, LEARNED_CODE);
    assert_null(find(links, "clinic", 2, 10, LEARNED_OF_URL, 50));
    assert_non_null(find(links, "clinic", 2, 10, LEARNED_OF_HOST, 50));
    assert_null(find(links, "clinic", 3, 11, LEARNED_OF_HOST, 50));
    assert_null(find(links, "room:1", 1, 10, LEARNED_OF_URL, 50));
    assert_null(find(links, "room:1", 1, 10, LEARNED_OF_HOST, 50));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 99));
    assert_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 100));
    learned_links_free(links);
}

static void test_whole_host(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link link = make(1, 10, LEARNED_TEXT, 100);

    (void)state;
    link.whole_host = true;
    assert_true(learned_links_add(links, &link, 50));
    assert_non_null(find(links, "clinic", 1, 11, LEARNED_OF_URL, 50));
    assert_null(find(links, "clinic", 2, 10, LEARNED_OF_URL, 50));
    assert_non_null(find(links, "clinic", 2, 10, LEARNED_OF_LONG, 50));
    assert_null(find(links, "clinic", 2, 11, LEARNED_OF_LONG, 50));
    learned_links_free(links);
}

static void test_told_once(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link link = make(1, 10, LEARNED_TEXT, 100),
                        later = make(1, 10, LEARNED_TEXT, 200);

    (void)state;
    assert_true(learned_links_add(links, &link, 50));
    assert_false(learned_links_add(links, &link, 50));
    assert_true(learned_links_add(links, &later, 60));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 150));
    assert_false(learned_links_add(links, &link, 60)); /* never shortened */
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 150));
    later.until = 203; /* a thirty-second part of its time is no news, more is */
    assert_false(learned_links_add(links, &later, 70));
    later.until = 205;
    assert_true(learned_links_add(links, &later, 70));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 204));
    learned_links_free(links);
}

/* A link of that kind, seen at that millisecond. */
static bool add(struct learned_links *links, unsigned url, enum learned_kind kind, int64_t since,
                int64_t until, int64_t now)
{
    struct learned_link link = make(url, 10, kind, until);

    link.since = since;
    return learned_links_add(links, &link, now);
}

/* Typed first: the copies that come back at once, however many, are its echo. A later one is not.
 */
static void test_typed_then_outside(void **state)
{
    struct learned_links *links = learned_links_new();

    (void)state;
    assert_true(add(links, 1, LEARNED_TYPED, 50000, 110, 50));
    assert_false(add(links, 1, LEARNED_TEXT, 50000, 950, 50));
    assert_false(add(links, 1, LEARNED_TEXT, 50200, 950, 50)); /* on another device */
    assert_false(add(links, 1, LEARNED_TEXT, 109999, 1009, 109));
    assert_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 109));
    assert_null(find(links, "clinic", 1, 10, LEARNED_OF_HOST, 109));
    assert_true(add(links, 1, LEARNED_TEXT, 110000, 1010, 110));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 110));
    /* Typing it again does not take it back. */
    assert_false(add(links, 1, LEARNED_TYPED, 120000, 180, 120));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 121));
    /* Who types it again explains what comes back again. */
    assert_true(add(links, 2, LEARNED_TYPED, 50000, 110, 50));
    assert_true(add(links, 2, LEARNED_TYPED, 100000, 160, 100));
    assert_false(add(links, 2, LEARNED_TEXT, 150000, 1050, 150));
    assert_true(add(links, 2, LEARNED_TEXT, 160000, 1060, 160));
    learned_links_free(links);
}

static void test_outside_then_typed(void **state)
{
    struct learned_links *links = learned_links_new();

    (void)state;
    assert_true(add(links, 1, LEARNED_TEXT, 50000, 950, 50));
    assert_false(add(links, 1, LEARNED_TYPED, 50000, 110, 50)); /* a script that answers at once */
    assert_false(add(links, 1, LEARNED_TYPED, 50001, 110, 50));
    assert_false(add(links, 1, LEARNED_TEXT, 50002, 950, 50));
    assert_non_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 51));
    learned_links_free(links);
}

/* The news of two workers may cross: then the times say who was first. */
static void test_news_that_cross(void **state)
{
    struct learned_links *links = learned_links_new();

    (void)state;
    /* the echo is heard of before the typing */
    assert_true(add(links, 1, LEARNED_TEXT, 50010, 950, 50));
    assert_true(add(links, 1, LEARNED_TYPED, 50000, 110, 50));
    assert_null(find(links, "clinic", 1, 10, LEARNED_OF_URL, 51));
    assert_false(add(links, 1, LEARNED_TEXT, 50010, 950, 51));
    /* the typing is heard of before what came first */
    assert_true(add(links, 2, LEARNED_TYPED, 50000, 110, 50));
    assert_true(add(links, 2, LEARNED_TEXT, 49990, 950, 50));
    assert_non_null(find(links, "clinic", 2, 10, LEARNED_OF_URL, 51));
    assert_int_equal(find(links, "clinic", 2, 10, LEARNED_OF_URL, 51)->since, 49990);
    /* too late to explain anything */
    assert_true(add(links, 3, LEARNED_TEXT, 50010, 950, 50));
    assert_false(add(links, 3, LEARNED_TYPED, 50000, 110, 110));
    assert_non_null(find(links, "clinic", 3, 10, LEARNED_OF_URL, 111));
    learned_links_free(links);
}

/* Nobody's typing comes back as a code in a picture or as a redirect. */
static void test_only_text_is_explained(void **state)
{
    struct learned_links *links = learned_links_new();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum learned_kind kind = i == 0 ? LEARNED_CODE : LEARNED_REDIRECT;
        assert_true(add(links, i, LEARNED_TYPED, 50000, 110, 50));
        assert_true(add(links, i, kind, 50100, 950, 50));
        assert_int_equal(find(links, "clinic", i, 10, LEARNED_OF_URL, 51)->kind, kind);
        assert_false(add(links, i, LEARNED_TYPED, 50050, 110, 50));
        assert_int_equal(find(links, "clinic", i, 10, LEARNED_OF_URL, 51)->kind, kind);
    }
    learned_links_free(links);
}

static void count(void *context, const struct learned_link *link)
{
    unsigned *last = context, url;

    memcpy(&url, link->url_sha256, sizeof(url));
    assert_int_equal(url, last[1] + 1); /* oldest first */
    last[0]++;
    last[1] = url;
}

static void test_bound(void **state)
{
    struct learned_links *links = learned_links_new();
    const struct learned_link *last;
    unsigned seen[2] = {0, 99};

    (void)state;
    for (unsigned i = 0; i < LEARNED_MAX + 100; i++) {
        struct learned_link link = make(i, i % 7, LEARNED_TEXT, 1000);
        assert_true(learned_links_add(links, &link, 10));
        assert_int_equal(learned_links_pushed_out(links, &last),
                         i < LEARNED_MAX ? 0 : i - LEARNED_MAX + 1);
        assert_int_equal(last != NULL, i >= LEARNED_MAX);
    }
    assert_string_equal(last->service, "telemed");
    assert_null(find(links, "clinic", 99, 0, LEARNED_OF_URL, 10));
    assert_non_null(find(links, "clinic", 100, 0, LEARNED_OF_URL, 10));
    assert_non_null(find(links, "clinic", LEARNED_MAX + 99, 0, LEARNED_OF_URL, 10));
    for (unsigned i = 0; i < 7; i++)
        assert_non_null(find(links, "clinic", 0, i, LEARNED_OF_HOST, 10));
    learned_links_each(links, 10, count, seen);
    assert_int_equal(seen[0], LEARNED_MAX);
    seen[0] = 0;
    learned_links_each(links, 1000, count, seen);
    assert_int_equal(seen[0], 0);
    /* Over anyway: nothing is lost. */
    struct learned_link late = make(7, 7, LEARNED_TEXT, 3000);
    assert_true(learned_links_add(links, &late, 2000));
    assert_int_equal(learned_links_pushed_out(links, &last), 100);
    learned_links_free(links);
}

/* A flood of one chat costs itself, not another service's links nor another scope's. */
static void test_flood(void **state)
{
    static const struct {
        const char *scope, *service;
        unsigned links;
        enum learned_kind kind;
    } chats[] = {
        {"clinic", "telemed", 300, LEARNED_TEXT},
        {"clinic", "flooded", 3 * LEARNED_MAX, LEARNED_TEXT},
        {"room:1", "flooded", 200, LEARNED_TEXT},
        {"clinic", "telemed", 2 * LEARNED_MAX, LEARNED_TYPED},
        {"clinic", "flooded", 2 * LEARNED_MAX, LEARNED_CODE},
    };
    struct learned_links *links = learned_links_new();
    const struct learned_link *last;
    struct learned_link link;
    unsigned url = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(chats) / sizeof(chats[0]); i++)
        for (unsigned n = 0; n < chats[i].links; n++) {
            link = make(url++, 10, chats[i].kind, 1000);
            snprintf(link.scope, sizeof(link.scope), "%s", chats[i].scope);
            snprintf(link.service, sizeof(link.service), "%s", chats[i].service);
            assert_true(learned_links_add(links, &link, 10));
        }
    assert_true(learned_links_pushed_out(links, &last) > 0);
    assert_string_equal(last->service, "flooded");
    for (unsigned n = 0; n < 300; n++)
        assert_non_null(find(links, "clinic", n, 99, LEARNED_OF_URL, 10));
    for (unsigned n = 0; n < 200; n++)
        assert_non_null(find(links, "room:1", 300 + 3 * LEARNED_MAX + n, 99, LEARNED_OF_URL, 10));
    /* Of the two that flood each has its half, the latest. */
    for (unsigned n = 1; n < LEARNED_MAX / 2 - 500; n++)
        assert_non_null(find(links, "clinic", url - n, 99, LEARNED_OF_URL, 10));
    assert_false(learned_links_has(links, &(struct learned_link){.scope = "room:2"}));
    link = make(url - 1, 10, LEARNED_TEXT, 1000);
    assert_true(learned_links_has(links, &link));
    learned_links_free(links);
}

/* What is seen again is not the oldest any more. */
static void test_seen_again(void **state)
{
    struct learned_links *links = learned_links_new();

    (void)state;
    for (unsigned i = 0; i < LEARNED_MAX; i++)
        assert_true(add(links, i, LEARNED_TEXT, 1, 1000, 10));
    assert_true(add(links, 0, LEARNED_TEXT, 1, 2000, 20));
    assert_true(add(links, LEARNED_MAX, LEARNED_TEXT, 1, 2000, 20));
    assert_non_null(find(links, "clinic", 0, 99, LEARNED_OF_URL, 20));
    assert_null(find(links, "clinic", 1, 99, LEARNED_OF_URL, 20));
    learned_links_free(links);
}

/* What another process sends is looked at before it is used. */
static void test_sound(void **state)
{
    struct learned_link good = make(1, 10, LEARNED_TEXT, 100), link = good;
    uint8_t flags[] = {0, 1, 2, 0x80, 0xff};

    (void)state;
    for (size_t i = 0; i < sizeof(flags); i++) {
        memcpy(&link.whole_host, &flags[i], 1);
        assert_int_equal(learned_link_is_sound(&link), flags[i] <= 1);
    }
    link = good;
    link.kind = LEARNED_KIND_COUNT;
    assert_false(learned_link_is_sound(&link));
    memset(&link.kind, 0xff, sizeof(link.kind));
    assert_false(learned_link_is_sound(&link));
    link = good;
    link.since = -1;
    assert_false(learned_link_is_sound(&link));
    link = good;
    memset(link.scope, 'a', sizeof(link.scope));
    assert_false(learned_link_is_sound(&link));
    link = good;
    memset(link.service, 'a', sizeof(link.service));
    assert_false(learned_link_is_sound(&link));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(learned_kind_name(LEARNED_TEXT), "text");
    assert_string_equal(learned_kind_name(LEARNED_TYPED), "typed");
    assert_string_equal(learned_kind_name(LEARNED_KIND_COUNT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_by_url_and_host),
        cmocka_unit_test(test_whole_host),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_typed_then_outside),
        cmocka_unit_test(test_outside_then_typed),
        cmocka_unit_test(test_news_that_cross),
        cmocka_unit_test(test_only_text_is_explained),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_seen_again),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
