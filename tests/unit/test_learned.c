/* SPDX-License-Identifier: BSD-2-Clause */
/* Learned links: who was first, scopes, time, the bound, and the two ways to find one. */
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
                                       unsigned url, unsigned host, bool by_host, int64_t now)
{
    struct learned_link wanted = make(url, host, LEARNED_TEXT, 0);

    return learned_links_find(links, scope, wanted.url_sha256, wanted.host_sha256, by_host, now);
}

static void test_found_by_url_and_host(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link link = make(1, 10, LEARNED_CODE, 100);

    (void)state;
    assert_null(find(links, "clinic", 1, 10, false, 50));
    assert_true(learned_links_add(links, &link, 50));
    assert_non_null(find(links, "clinic", 1, 99, false, 50));
    assert_int_equal(find(links, "clinic", 1, 99, false, 50)->kind, LEARNED_CODE);
    assert_null(find(links, "clinic", 2, 10, false, 50));
    assert_non_null(find(links, "clinic", 2, 10, true, 50));
    assert_null(find(links, "clinic", 3, 11, true, 50));
    assert_null(find(links, "room:1", 1, 10, false, 50));
    assert_null(find(links, "room:1", 1, 10, true, 50));
    assert_non_null(find(links, "clinic", 1, 10, false, 99));
    assert_null(find(links, "clinic", 1, 10, false, 100));
    learned_links_free(links);
}

static void test_whole_host(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link link = make(1, 10, LEARNED_TEXT, 100);

    (void)state;
    link.whole_host = true;
    assert_true(learned_links_add(links, &link, 50));
    assert_non_null(find(links, "clinic", 2, 10, false, 50));
    assert_null(find(links, "clinic", 2, 11, false, 50));
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
    assert_non_null(find(links, "clinic", 1, 10, false, 150));
    assert_false(learned_links_add(links, &link, 60)); /* never shortened */
    assert_non_null(find(links, "clinic", 1, 10, false, 150));
    later.until = 203; /* a thirty-second part of its time is no news, more is */
    assert_false(learned_links_add(links, &later, 70));
    later.until = 205;
    assert_true(learned_links_add(links, &later, 70));
    assert_non_null(find(links, "clinic", 1, 10, false, 204));
    learned_links_free(links);
}

static void test_who_was_first_decides(void **state)
{
    struct learned_links *links = learned_links_new();
    struct learned_link typed = make(1, 10, LEARNED_TYPED, 100),
                        echo = make(1, 10, LEARNED_TEXT, 120);
    struct learned_link outside = make(2, 20, LEARNED_TEXT, 100),
                        quoted = make(2, 20, LEARNED_TYPED, 120);

    (void)state;
    assert_true(learned_links_add(links, &typed, 50));
    assert_false(learned_links_add(links, &echo, 51));
    assert_null(find(links, "clinic", 1, 10, false, 52));
    assert_null(find(links, "clinic", 1, 10, true, 52));
    assert_true(learned_links_add(links, &outside, 50));
    assert_false(learned_links_add(links, &quoted, 51));
    assert_non_null(find(links, "clinic", 2, 20, false, 52));
    /* What was typed is forgotten with its time: then what comes is from outside. */
    assert_true(learned_links_add(links, &echo, 100));
    assert_non_null(find(links, "clinic", 1, 10, false, 101));
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
    unsigned seen[2] = {0, 99};

    (void)state;
    for (unsigned i = 0; i < LEARNED_MAX + 100; i++) {
        struct learned_link link = make(i, i % 7, LEARNED_TEXT, 1000);
        assert_true(learned_links_add(links, &link, 10));
        assert_int_equal(learned_links_pushed_out(links),
                         i < LEARNED_MAX ? 0 : i - LEARNED_MAX + 1);
    }
    assert_null(find(links, "clinic", 99, 0, false, 10));
    assert_non_null(find(links, "clinic", 100, 0, false, 10));
    assert_non_null(find(links, "clinic", LEARNED_MAX + 99, 0, false, 10));
    for (unsigned i = 0; i < 7; i++)
        assert_non_null(find(links, "clinic", 0, i, true, 10));
    learned_links_each(links, 10, count, seen);
    assert_int_equal(seen[0], LEARNED_MAX);
    seen[0] = 0;
    learned_links_each(links, 1000, count, seen);
    assert_int_equal(seen[0], 0);
    /* Over anyway: nothing is lost. */
    struct learned_link last = make(7, 7, LEARNED_TEXT, 3000);
    assert_true(learned_links_add(links, &last, 2000));
    assert_int_equal(learned_links_pushed_out(links), 100);
    learned_links_free(links);
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
        cmocka_unit_test(test_who_was_first_decides),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
