/* SPDX-License-Identifier: BSD-2-Clause */
/* Records: fields and their bounds, the packed form under hostile bytes, the RFC 5424 line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/record.h"

#define TIME INT64_C(1772341506123456) /* 2026-03-01T05:05:06.123456Z */

static void assert_span(struct span actual, const char *expected)
{
    assert_int_equal(actual.size, strlen(expected));
    assert_memory_equal(actual.data, expected, actual.size);
}

static const char *format(const struct record *record)
{
    static char line[RECORD_LINE];
    size_t length = record_format(record, TIME, "gw1", 77, line, sizeof(line));

    assert_int_equal(length, strlen(line));
    return line;
}

static void test_fields(void **state)
{
    struct record record;

    (void)state;
    record_init(&record, EVENT_BLOCK);
    assert_span(record_get(&record, RECORD_EVENT), "block");
    assert_int_equal(record_get(&record, RECORD_HOST).size, 0);
    record_set_text(&record, RECORD_HOST, "a.example");
    record_set_text(&record, RECORD_PATH, "/x");
    record_set_number(&record, RECORD_SEQ, UINT64_MAX);
    assert_span(record_get(&record, RECORD_SEQ), "18446744073709551615");
    /* Replacing a field leaves its neighbours alone, whichever way its length goes. */
    record_set_text(&record, RECORD_HOST, "much-longer.example");
    assert_span(record_get(&record, RECORD_HOST), "much-longer.example");
    assert_span(record_get(&record, RECORD_PATH), "/x");
    record_set_text(&record, RECORD_HOST, "b");
    assert_span(record_get(&record, RECORD_HOST), "b");
    assert_span(record_get(&record, RECORD_SEQ), "18446744073709551615");
    record_set_text(&record, RECORD_HOST, NULL);
    assert_int_equal(record_get(&record, RECORD_HOST).size, 0);
    assert_span(record_get(&record, RECORD_PATH), "/x");
    /* A value that is a field of the same record. */
    record_set(&record, RECORD_DETAIL, record_get(&record, RECORD_PATH));
    record_set(&record, RECORD_PATH, record_get(&record, RECORD_SEQ));
    record_set(&record, RECORD_SEQ, record_get(&record, RECORD_SEQ));
    assert_span(record_get(&record, RECORD_DETAIL), "/x");
    assert_span(record_get(&record, RECORD_PATH), "18446744073709551615");
    assert_span(record_get(&record, RECORD_SEQ), "18446744073709551615");
}

static void test_replacing_does_not_leak(void **state)
{
    struct record record;

    (void)state;
    record_init(&record, EVENT_ALLOW);
    for (int i = 0; i < 10000; i++)
        record_set_number(&record, RECORD_MS, (uint64_t)i);
    assert_span(record_get(&record, RECORD_MS), "9999");
    assert_int_equal(record.used, strlen("allow9999"));
}

static void test_cut_at_character(void **state)
{
    char value[RECORD_VALUE + 8];
    struct record record;

    (void)state;
    record_init(&record, EVENT_ALLOW);
    for (size_t before = 0; before < 4; before++) {
        memset(value, 'a', sizeof(value));
        /* U+8A3A stands `before` bytes before the limit. */
        memcpy(value + RECORD_VALUE - before, "\xe8\xa8\xba", 3);
        record_set(&record, RECORD_PATH, (struct span){value, sizeof(value)});
        assert_int_equal(record_get(&record, RECORD_PATH).size,
                         before == 3 ? RECORD_VALUE : RECORD_VALUE - before);
    }
}

static void test_full(void **state)
{
    char value[RECORD_VALUE];
    struct record record;

    (void)state;
    memset(value, 'x', sizeof(value));
    record_init(&record, EVENT_BLOCK);
    for (unsigned i = RECORD_INCIDENT; i < RECORD_SEQ; i++)
        record_set(&record, i, (struct span){value, sizeof(value)});
    assert_true(record.used <= sizeof(record.text));
    /* However long the values of a peer were, the short fields of the gateway have room. */
    record_set_number(&record, RECORD_SEQ, 123456789);
    assert_span(record_get(&record, RECORD_SEQ), "123456789");
    record_set_text(&record, RECORD_RULE, "/etc/sekisho/sekisho.conf:12");
    assert_span(record_get(&record, RECORD_RULE), "/etc/sekisho/sekisho.conf:12");
    assert_non_null(strstr(format(&record), " seq=\"123456789\"]"));
}

static void test_line(void **state)
{
    struct record record;

    (void)state;
    record_init(&record, EVENT_BLOCK);
    record_set_text(&record, RECORD_SEQ, "9"); /* set first, written last */
    record_set_text(&record, RECORD_REASON, "patient-link");
    record_set_text(&record, RECORD_HOST, "evil.example");
    record_set_text(&record, RECORD_ROOM, "診察室1");
    assert_string_equal(format(&record),
                        "<28>1 2026-03-01T05:05:06.123456Z gw1 sekishod 77 block "
                        "[sekisho@32473 event=\"block\" reason=\"patient-link\" room=\"診察室1\" "
                        "host=\"evil.example\" seq=\"9\"] block patient-link evil.example");
    record_init(&record, EVENT_ERROR);
    assert_string_equal(format(&record), "<27>1 2026-03-01T05:05:06.123456Z gw1 sekishod 77 error "
                                         "[sekisho@32473 event=\"error\"] error");
}

static void test_escaping(void **state)
{
    static const struct {
        const char *value, *written;
    } rows[] = {
        {"a\"b", "a\\\"b"},
        {"a\\b", "a\\\\b"},
        {"a]b", "a\\]b"},
        {"\"] forged", "\\\"\\] forged"},
        {"a\nb\r\t", "a\u240ab\u240d\u2409"},
        {"\x1b[31m", "\u241b[31m"},
        {"\x7f", "\u2421"},
        {"\xc2\x85", "\ufffd"},                           /* NEL, a C1 control */
        {"\xff\xfe", "\ufffd\ufffd"},                     /* never UTF-8 */
        {"\xc0\xaf", "\ufffd\ufffd"},                     /* overlong */
        {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},           /* a surrogate */
        {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"}, /* past U+10FFFF */
        {"\xe8\xa8", "\ufffd\ufffd"},                     /* cut */
        {"fdp\u202e.exe", "fdp\ufffd.exe"},               /* right-to-left override */
        {"診\U0001F3E5", "診\U0001F3E5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct record record;
        char expected[200];

        record_init(&record, EVENT_ALLOW);
        record_set_text(&record, RECORD_PATH, rows[i].value);
        snprintf(expected, sizeof(expected), " path=\"%s\"] allow", rows[i].written);
        assert_non_null(strstr(format(&record), expected));
    }
}

static void test_nul_in_value(void **state)
{
    struct record record;

    (void)state;
    record_init(&record, EVENT_ALLOW);
    record_set(&record, RECORD_PATH, SPAN("a\0b"));
    assert_non_null(strstr(format(&record), "path=\"a\u2400b\""));
}

/* With any room at all the line is whole in itself: head, closed element, no half parameter. */
static void test_every_size(void **state)
{
    struct record record;
    char line[400];
    size_t whole;

    (void)state;
    record_init(&record, EVENT_BLOCK);
    record_set_text(&record, RECORD_REASON, "]]]]]");
    record_set_text(&record, RECORD_PATH, "/\n\n\n");
    record_set_number(&record, RECORD_SEQ, 5);
    whole = record_format(&record, TIME, "gw1", 77, line, sizeof(line));
    for (size_t size = 1; size <= whole + 1; size++) {
        char *exact = malloc(size); /* the sanitizer watches its end */
        size_t length = record_format(&record, TIME, "gw1", 77, exact, size);
        size_t quotes = 0;

        assert_true(length < size);
        assert_int_equal(exact[length], '\0');
        assert_int_equal(strlen(exact), length);
        for (size_t i = 0; i < length; i++)
            quotes += exact[i] == '"';
        assert_int_equal(quotes % 2, 0);
        if (length > 0) {
            assert_non_null(strstr(exact, " [sekisho@32473"));
            assert_non_null(strchr(exact, ']'));
        }
        if (size == whole + 1)
            assert_string_equal(exact, line);
        free(exact);
    }
    assert_int_equal(record_format(&record, TIME, "gw1", 77, line, 0), 0);
}

static void test_host_and_time(void **state)
{
    static const char *const hosts[] = {"", "with space", "\x80", "a\nb", NULL};
    char line[300], longest[300];
    struct record record;

    (void)state;
    record_init(&record, EVENT_START);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        record_format(&record, TIME, hosts[i], 1, line, sizeof(line));
        assert_non_null(strstr(line, "Z - sekishod 1 start "));
    }
    memset(longest, 'h', 256);
    longest[256] = '\0';
    record_format(&record, 0, longest, 1, line, sizeof(line));
    assert_non_null(strstr(line, "1970-01-01T00:00:00.000000Z - sekishod"));
    record_format(&record, -1, "h", 1, line, sizeof(line));
    assert_non_null(strstr(line, " 1969-12-31T23:59:59.999999Z h "));
    record_format(&record, INT64_MAX, "h", 1, line, sizeof(line));
    assert_non_null(strstr(line, "<29>1 - h sekishod 1 start ["));
}

static void test_pack(void **state)
{
    struct record record, copy;
    uint8_t packed[16384];
    size_t size;

    (void)state;
    record_init(&record, EVENT_RELEASE);
    record_set_text(&record, RECORD_SEQ, "1");
    record_set_text(&record, RECORD_BY, "山田");
    record_set(&record, RECORD_PATH, SPAN("/a\0b"));
    size = record_pack(&record, packed, sizeof(packed));
    assert_true(size > 0);
    assert_true(record_unpack(packed, size, &copy));
    assert_int_equal(copy.event, EVENT_RELEASE);
    for (unsigned i = 0; i < RECORD_FIELD_COUNT; i++)
        assert_true(span_equal(record_get(&record, i), record_get(&copy, i)));
    /* No room: nothing, not a part. */
    for (size_t room = 0; room < size; room++)
        assert_int_equal(record_pack(&record, packed, room), 0);
    size = record_pack(&record, packed, sizeof(packed));
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut + 1);

        memcpy(part, packed, cut);
        assert_false(record_unpack(part, cut, &copy));
        free(part);
    }
    packed[size] = 0;
    assert_false(record_unpack(packed, size + 1, &copy));
    assert_false(record_unpack(packed, 0, &copy));
    /* One behind the other. */
    assert_int_equal(record_unpack_first(packed, size + 1, &copy), size);
    record_init(&record, EVENT_BLOCK);
    record_set_number(&record, RECORD_INCIDENT, UINT64_MAX);
    size_t second = record_pack(&record, packed + size, sizeof(packed) - size);
    assert_int_equal(record_unpack_first(packed, size + second, &copy), size);
    assert_int_equal(record_unpack_first(packed + size, second, &copy), second);
    assert_int_equal(copy.event, EVENT_BLOCK);
    assert_true(span_equal(record_get(&copy, RECORD_INCIDENT), SPAN("18446744073709551615")));
    record_set_number(&record, RECORD_INCIDENT, 0);
    assert_true(span_equal(record_get(&record, RECORD_INCIDENT), SPAN("0")));
}

static void test_unpack_refuses(void **state)
{
    static const struct {
        const char *why;
        uint8_t bytes[12];
        size_t size;
    } rows[] = {
        {"version", {2, 0, 0}, 3},
        {"event", {1, EVENT_COUNT, 0}, 3},
        {"field number", {1, 0, 1, RECORD_FIELD_COUNT, 0, 1, 'a'}, 7},
        {"the event as a field", {1, 0, 1, RECORD_EVENT, 0, 1, 'a'}, 7},
        {"empty value", {1, 0, 1, RECORD_HOST, 0, 0}, 6},
        {"twice", {1, 0, 2, RECORD_HOST, 0, 1, 'a', RECORD_HOST, 0, 1, 'b'}, 11},
        {"out of order", {1, 0, 2, RECORD_PATH, 0, 1, 'a', RECORD_HOST, 0, 1, 'b'}, 11},
        {"length past the end", {1, 0, 1, RECORD_HOST, 0, 2, 'a'}, 7},
        {"count too high", {1, 0, 2, RECORD_HOST, 0, 1, 'a'}, 7},
        {"count too low", {1, 0, 0, RECORD_HOST, 0, 1, 'a'}, 7},
    };
    static uint8_t big[3 + RECORD_FIELD_COUNT * (3 + RECORD_VALUE)];
    struct record record;
    size_t at = 3;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (record_unpack(rows[i].bytes, rows[i].size, &record))
            fail_msg("accepted: %s", rows[i].why);
    /* A value over the limit, and values that are each allowed but too many bytes together. */
    memset(big, 'a', sizeof(big));
    memcpy(big, (uint8_t[]){1, 0, 1, RECORD_HOST, (RECORD_VALUE + 1) >> 8, 1}, 6);
    assert_false(record_unpack(big, 6 + RECORD_VALUE + 1, &record));
    memcpy(big, (uint8_t[]){1, 0, 7}, 3);
    for (unsigned field = 1; field <= 7; field++) {
        memcpy(big + at, (uint8_t[]){(uint8_t)field, RECORD_VALUE >> 8, RECORD_VALUE & 255}, 3);
        at += 3 + RECORD_VALUE;
    }
    assert_false(record_unpack(big, at, &record));
    big[2] = 5;
    assert_true(record_unpack(big, 3 + 5 * (3 + RECORD_VALUE), &record));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(record_field_name(RECORD_URL_SHA256), "url-sha256");
    assert_string_equal(record_field_name(RECORD_FIELD_COUNT), "?");
    assert_string_equal(record_event_name(EVENT_WOULD_BLOCK), "would-block");
    assert_string_equal(record_event_name(EVENT_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_replacing_does_not_leak),
        cmocka_unit_test(test_cut_at_character),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_nul_in_value),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_host_and_time),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_unpack_refuses),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
