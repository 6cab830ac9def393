/* SPDX-License-Identifier: BSD-2-Clause */
/* Spans: comparisons, cuts, lists and numbers, at their edges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "filters/ascii.h"
#include "filters/base64.h"
#include "filters/glob.h"
#include "filters/memory.h"
#include "filters/span.h"
#include <stdlib.h>

static void assert_span(struct span span, const char *text)
{
    assert_int_equal(span.size, strlen(text));
    if (span.size)
        assert_memory_equal(span.data, text, span.size);
}

static void test_of_and_equal(void **state)
{
    (void)state;
    assert_int_equal(span_of(NULL).size, 0);
    assert_span(span_of("abc"), "abc");
    assert_true(span_equal(span_of(NULL), SPAN("")));
    assert_true(span_equal(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_equal(SPAN("a"), SPAN("A")));
    assert_true(span_equal_nocase(SPAN("Host-1@[`{"), SPAN("hOST-1@[`{")));
    /* bytes that differ in the case bit but are no letters */
    assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
    assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
    assert_false(span_equal_nocase(SPAN("\xc4"), SPAN("\xe4")));
    assert_false(span_equal_nocase(SPAN("ab"), SPAN("abc")));
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    assert_true(span_starts(SPAN("abc"), SPAN("")));
    assert_true(span_starts(SPAN("abc"), SPAN("abc")));
    assert_false(span_starts(SPAN("ab"), SPAN("abc")));
    assert_false(span_starts(SPAN("abc"), SPAN("A")));
    assert_true(span_starts_nocase(SPAN("aBc"), SPAN("Ab")));
    assert_false(span_starts_nocase(SPAN(""), SPAN("a")));
    assert_true(span_ends(SPAN("abc"), SPAN("bc")));
    assert_true(span_ends(SPAN("abc"), SPAN("")));
    assert_false(span_ends(SPAN("bc"), SPAN("abc")));
    assert_false(span_ends(SPAN("abc"), SPAN("ab")));
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(span_find_nocase(SPAN("text/HTML"), SPAN("html")), 5);
    assert_int_equal(span_find_nocase(SPAN("ababc"), SPAN("ABC")), 2);
    assert_int_equal(span_find_nocase(SPAN("abab"), SPAN("abc")), 4);
    assert_int_equal(span_find_nocase(SPAN("ab"), SPAN("abc")), 2);
    assert_int_equal(span_find_nocase(SPAN("ab"), SPAN("")), 0);
    assert_int_equal(span_find_nocase(SPAN(""), SPAN("a")), 0);
    assert_int_equal(span_index(SPAN("a:b:c"), ':'), 1);
    assert_int_equal(span_index(SPAN("abc"), ':'), 3);
    assert_int_equal(span_index(span_of(NULL), ':'), 0);
    assert_int_equal(span_index(SPAN("a\0b"), '\0'), 1);
}

static void test_cuts(void **state)
{
    (void)state;
    assert_span(span_from(SPAN("abc"), 1), "bc");
    assert_span(span_from(SPAN("abc"), 3), "");
    assert_span(span_from(SPAN("abc"), SIZE_MAX), "");
    assert_span(span_first(SPAN("abc"), 2), "ab");
    assert_span(span_first(SPAN("abc"), SIZE_MAX), "abc");
    assert_span(span_trim(SPAN(" \ta b\t ")), "a b");
    assert_span(span_trim(SPAN(" \t ")), "");
    assert_span(span_trim(span_of(NULL)), "");
    /* OWS is space and tab, nothing else */
    assert_span(span_trim(SPAN("\r\na\v")), "\r\na\v");
}

static void test_next(void **state)
{
    (void)state;
    static const char *const wanted[] = {"a", "", "b c", ""};
    struct span rest = SPAN("a ,, b c,\t,"), element;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        assert_true(span_next(&rest, ',', &element));
        assert_span(element, wanted[i]);
    }
    assert_false(span_next(&rest, ',', &element));
    rest = span_of(NULL);
    assert_false(span_next(&rest, ',', &element));
}

static void test_number(void **state)
{
    (void)state;
    int64_t value = -1;
    assert_true(span_number(SPAN("0"), &value));
    assert_int_equal(value, 0);
    assert_true(span_number(SPAN("0000000000000000042"), &value));
    assert_int_equal(value, 42);
    assert_true(span_number(SPAN("9223372036854775807"), &value));
    assert_true(value == INT64_MAX);
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1.",
                                      "1a",
                                      "\xd9",
                                      "9223372036854775808",
                                      "9999999999999999999",
                                      "00000000000000000000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        value = -1;
        assert_false(span_number(span_of(bad[i]), &value));
        assert_int_equal(value, -1);
    }
}

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches, decoded;
    } cases[] = {
        {"", "", true, true},
        {"", "a", false, false},
        {"*", "", true, true},
        {"*", "anything/?", true, true},
        {"a*", "a", true, true},
        {"*a", "ba", true, true},
        {"*a", "ab", false, false},
        {"a*b*c", "aXbYbZc", true, true},
        {"a*b*c", "aXbYbZ", false, false},
        {"**a**", "xax", true, true},
        {"/file", "/fil%65", false, true},
        {"/a b", "/a%20b", false, true},
        {"/%2", "/%2", true, true},
        {"/%zz", "/%zz", true, true},
        {"*x", "%78", false, true},
        {"a", "%", false, false},
        {"%41", "%41", true, false},
        {"*ab", "aab", true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct span pattern = span_of(cases[i].pattern), text = span_of(cases[i].text);
        assert_int_equal(glob_matches(pattern, text), cases[i].matches);
        assert_int_equal(glob_matches_decoded(pattern, text), cases[i].decoded);
    }
}

static void test_memory(void **state)
{
    (void)state;
    char *bytes = memory_allocate(4, 8);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(bytes[i], 0);
    bytes = memory_resize(bytes, 100, 1);
    bytes[99] = 'x';
    free(bytes);
    free(memory_allocate(0, 0));
    char *copy = memory_span(SPAN("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = memory_span(span_of(NULL));
    assert_string_equal(copy, "");
    free(copy);
}

/* Where a byte stands in a list, -1 when it does not; the lists have no NUL. */
static int place_in(const char *list, char byte)
{
    const char *found = byte == '\0' ? NULL : strchr(list, byte);
    return found ? (int)(found - list) : -1;
}

static void test_ascii(void **state)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", digits[] = "0123456789abcdef",
                      base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                      url64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (void)state;
    for (int code = 0; code < 256; code++) {
        char byte = (char)code;
        int capital = place_in(capitals, byte);
        char lower = capital < 0 ? byte : (char)('a' + capital);
        int digit = place_in(digits, lower), coded = place_in(base64, byte);

        assert_int_equal(ascii_lower(byte), lower);
        assert_int_equal(ascii_is_digit(byte), digit >= 0 && digit < 10);
        assert_int_equal(ascii_digit(byte, 16), digit);
        assert_int_equal(ascii_digit(byte, 10), digit < 10 ? digit : -1);
        assert_int_equal(ascii_digit(byte, 8), digit < 8 ? digit : -1);
        assert_int_equal(base64_digit(byte), coded < 0 ? place_in(url64, byte) : coded);
        assert_int_equal(ascii_alone((struct span){&byte, 1}), code < 128);
    }
    assert_true(ascii_alone(span_of(NULL)));
    assert_false(ascii_alone(SPAN("example.jp\xe3\x80\x82")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_and_equal), cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_find),         cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_next),         cmocka_unit_test(test_number),
        cmocka_unit_test(test_glob),         cmocka_unit_test(test_memory),
        cmocka_unit_test(test_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
