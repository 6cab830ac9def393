/* SPDX-License-Identifier: BSD-2-Clause */
/* Host names and sets of host patterns: what is a name, which entry wins, many entries. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "filters/hostset.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_normalise(void **state)
{
    (void)state;
    static const struct {
        const char *host, *normal; /* NULL: none */
    } cases[] = {
        {"Example.JP", "example.jp"},
        {"example.jp.", "example.jp"},
        {"localhost", "localhost"},
        {"_dmarc.a_b.jp", "_dmarc.a_b.jp"},
        {"xn--wgv71a119e.jp", "xn--wgv71a119e.jp"},
        {"1.example.jp", "1.example.jp"},
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7.", "192.0.2.7"},
        {"2001:DB8::0:1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[::ffff:192.0.2.7]", "192.0.2.7"},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
        {".example.jp", NULL},
        {"example..jp", NULL},
        {"example.jp..", NULL},
        {"-a.jp", NULL},
        {"a-.jp", NULL},
        {"a b.jp", NULL},
        {"a/b", NULL},
        {"a@b.jp", NULL},
        {"*.example.jp", NULL},
        {"ex%61mple.jp", NULL},
        {"日本.jp", NULL},
        {"2130706433", NULL},
        {"0x7f.0.0.1", NULL},
        {"127.1", NULL},
        {"a.0x7f", NULL},
        {"01.2.3.4", NULL},
        {"example.jp:443", NULL},
        {"[192.0.2.7]", NULL},
        {"[::1", NULL},
        {"[", NULL},
        {"[]", NULL},
        {"fe80::1%eth0", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[HOST_TEXT] = "untouched";
        assert_int_equal(host_normalise(span_of(cases[i].host), text), cases[i].normal != NULL);
        assert_string_equal(text, cases[i].normal ? cases[i].normal : "");
    }
    char text[HOST_TEXT];
    assert_false(host_normalise(SPAN("a\0b.jp"), text));
}

static void test_normalise_sizes(void **state)
{
    (void)state;
    char host[300], text[HOST_TEXT];
    memset(host, 'a', sizeof(host));
    assert_true(host_normalise((struct span){host, 63}, text));
    assert_false(host_normalise((struct span){host, 64}, text));
    for (size_t i = 63; i < sizeof(host); i += 64)
        host[i] = '.';
    assert_true(host_normalise((struct span){host, 253}, text));
    assert_int_equal(strlen(text), 253);
    assert_false(host_normalise((struct span){host, 254}, text));
    assert_false(host_normalise((struct span){host, 299}, text));
    host[253] = '.'; /* the dot of the root does not count */
    assert_true(host_normalise((struct span){host, 254}, text));
}

static const char *find(const struct hostset *set, const char *host)
{
    const struct hostset_entry *entry = hostset_find(set, span_of(host));
    return entry ? entry->pattern : NULL;
}

static void add(struct hostset *set, const char *pattern)
{
    assert_null(hostset_add(set, span_of(pattern), 0, (struct rule){"t", 1}));
}

static void test_patterns(void **state)
{
    (void)state;
    static const char *const patterns[] = {"example.jp",    "*.below.jp",      ".within.jp",
                                           "*file.zoom.us", "us*web*.zoom.us", "192.0.2.7",
                                           "2001:db8::7",   "日本語.jp",       "*.TLD."};
    static const struct {
        const char *host, *pattern;
    } cases[] = {
        {"example.jp", "example.jp"},
        {"EXAMPLE.jp.", "example.jp"},
        {"a.example.jp", NULL},
        {"xexample.jp", NULL},
        {"below.jp", NULL},
        {"a.below.jp", "*.below.jp"},
        {"a.b.below.jp", "*.below.jp"},
        {"xbelow.jp", NULL},
        {"within.jp", ".within.jp"},
        {"a.b.within.jp", ".within.jp"},
        {"xwithin.jp", NULL},
        {"file.zoom.us", "*file.zoom.us"},
        {"us04file.zoom.us", "*file.zoom.us"},
        {"a.us04file.zoom.us", NULL},
        {"us04file.b.zoom.us", NULL},
        {"us02web1.zoom.us", "us*web*.zoom.us"},
        {"usweb.zoom.us", "us*web*.zoom.us"},
        {"us02we.zoom.us", NULL},
        {"zoom.us", NULL},
        {"192.0.2.7", "192.0.2.7"},
        {"1.192.0.2.7", NULL},
        {"[2001:DB8::7]", "2001:db8::7"},
        {"xn--wgv71a119e.jp", "xn--wgv71a119e.jp"},
        {"any.tld", "*.tld"},
        {"tld", NULL},
        {"", NULL},
        {"not a host", NULL},
        {"jp", NULL},
    };
    struct hostset *set = hostset_new();
    assert_null(find(set, "example.jp"));
    for (size_t i = 0; i < COUNT(patterns); i++)
        add(set, patterns[i]);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *found = find(set, cases[i].host);
        if (cases[i].pattern)
            assert_string_equal(found, cases[i].pattern);
        else
            assert_null(found);
    }
    hostset_free(set);
}

static void test_precedence(void **state)
{
    (void)state;
    struct hostset *set = hostset_new();
    add(set, ".jp");
    add(set, ".a.jp");
    assert_string_equal(find(set, "x.a.jp"), ".a.jp");
    assert_string_equal(find(set, "x.b.jp"), ".jp");
    add(set, "*.a.jp");
    assert_string_equal(find(set, "x.a.jp"), "*.a.jp");
    assert_string_equal(find(set, "a.jp"), ".a.jp");
    add(set, "x*.a.jp");
    add(set, "*y.a.jp");
    add(set, "xx*.a.jp");
    assert_string_equal(find(set, "xy.a.jp"), "x*.a.jp"); /* equally long: the first */
    assert_string_equal(find(set, "xxy.a.jp"), "xx*.a.jp");
    assert_string_equal(find(set, "b.xy.a.jp"), "*.a.jp");
    add(set, ".xy.a.jp");
    assert_string_equal(find(set, "xy.a.jp"), "x*.a.jp");
    assert_string_equal(find(set, "b.xy.a.jp"), ".xy.a.jp");
    add(set, "xy.a.jp");
    assert_string_equal(find(set, "xy.a.jp"), "xy.a.jp");
    hostset_free(set);
}

static void test_first_of_equal_stays(void **state)
{
    (void)state;
    struct hostset *set = hostset_new();
    static const char *const patterns[] = {"a.jp", "*.a.jp", ".a.jp", "x*.a.jp"};
    for (size_t i = 0; i < COUNT(patterns); i++)
        assert_null(hostset_add(set, span_of(patterns[i]), 1, (struct rule){"f", (unsigned)i}));
    for (size_t i = 0; i < COUNT(patterns); i++)
        assert_null(hostset_add(set, span_of(patterns[i]), 2, (struct rule){"g", 99}));
    assert_null(hostset_add(set, SPAN("A.jp."), 2, (struct rule){"g", 99}));
    assert_int_equal(hostset_count(set), COUNT(patterns));
    for (size_t i = 0; i < COUNT(patterns); i++) {
        const struct hostset_entry *entry = hostset_at(set, i);
        assert_string_equal(entry->pattern, patterns[i]);
        assert_int_equal(entry->tag, 1);
        assert_int_equal(entry->rule.line, i);
        assert_string_equal(entry->rule.file, "f");
    }
    assert_null(hostset_at(set, COUNT(patterns)));
    hostset_free(set);
    hostset_free(NULL);
    assert_int_equal(hostset_count(NULL), 0);
    assert_null(hostset_find(NULL, SPAN("a.jp")));
}

static void test_bad_patterns(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "  ",
                                      "*",
                                      "*.",
                                      ".",
                                      "..a.jp",
                                      "a.*.jp",
                                      "*.*.jp",
                                      "foo*",
                                      "a b.jp",
                                      "*.192.0.2.7",
                                      ".192.0.2.7",
                                      "a*.0.2.7",
                                      "192.0.2.256",
                                      "https://a.jp",
                                      "a.jp/x",
                                      "a.jp:443",
                                      "-*.a.jp/",
                                      "*é.a.jp",
                                      "\xff\xfe.jp",
                                      "a..jp",
                                      "*.2001:db8::1"};
    struct hostset *set = hostset_new();
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_non_null(hostset_add(set, span_of(bad[i]), 0, (struct rule){0}));
    char label[80];
    memset(label, '*', sizeof(label));
    memcpy(label + 70, ".a.jp", 6);
    assert_non_null(hostset_add(set, span_of(label), 0, (struct rule){0}));
    assert_non_null(hostset_add(set, SPAN("\xe3\x81\x82\0.jp"), 0, (struct rule){0}));
    assert_int_equal(hostset_count(set), 0);
    hostset_free(set);
}

static void test_single_pattern_is_like_a_set(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a.jp", "*.a.jp", ".a.jp", "x*y.a.jp", "192.0.2.7"};
    static const char *const hosts[] = {"a.jp",  "b.a.jp",    "c.b.a.jp",  "xzy.a.jp", "xy.a.jp",
                                        "ba.jp", "xy.b.a.jp", "192.0.2.7", "jp",       "a.jp.jp"};
    for (size_t i = 0; i < COUNT(patterns); i++) {
        struct hostset *set = hostset_new();
        char text[HOST_PATTERN_TEXT];
        add(set, patterns[i]);
        assert_null(host_pattern_normalise(span_of(patterns[i]), text));
        for (size_t k = 0; k < COUNT(hosts); k++)
            assert_int_equal(host_pattern_matches(span_of(text), span_of(hosts[k])),
                             find(set, hosts[k]) != NULL);
        hostset_free(set);
    }
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 60000 };
    char name[64];
    struct hostset *set = hostset_new();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), i % 2 ? "n%d.example.jp" : ".n%d.example.jp", i);
        assert_null(hostset_add(set, span_of(name), i, (struct rule){0}));
    }
    assert_int_equal(hostset_count(set), MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%d.example.jp", i);
        const struct hostset_entry *entry = hostset_find(set, span_of(name));
        assert_non_null(entry);
        assert_int_equal(entry->tag, i);
        snprintf(name, sizeof(name), "x.n%d.example.jp", i);
        entry = hostset_find(set, span_of(name));
        assert_int_equal(entry != NULL, i % 2 == 0);
    }
    hostset_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_normalise_sizes),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_first_of_equal_stays),
        cmocka_unit_test(test_bad_patterns),
        cmocka_unit_test(test_single_pattern_is_like_a_set),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
