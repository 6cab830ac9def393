/* SPDX-License-Identifier: BSD-2-Clause */
/* DER: what is an element, and what is a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/der.h"

static void test_elements(void **state)
{
    static char bytes[70000] = {0x04};
    static const struct {
        const char *bytes;
        size_t size;
        bool right;
        size_t content, left;
    } rows[] = {
        {"\5\0", 2, true, 0, 0},
        {"\2\1\7", 3, true, 1, 0},
        {"\2\1\7\5\0", 5, true, 1, 2},
        {"\x30\3\2\1\7", 5, true, 3, 0},
        {"", 0, false, 0, 0},
        {"\5", 1, false, 0, 0},
        {"\2\2\7", 3, false, 0, 0},       /* not whole */
        {"\x30\x80\0\0", 4, false, 0, 0}, /* without length */
        {"\4\x81\1x", 4, false, 0, 0},    /* longer than it must be */
        {"\4\x82\0\1x", 5, false, 0, 0},  /* the same */
        {"\4\x85\0\0\0\0\1x", 8, false, 0, 0},
        {"\4\x84\xff\xff\xff\xff", 6, false, 0, 0},
        {"\4\x81", 2, false, 0, 0},
        {"\4\xff\1", 3, false, 0, 0},
        {"\x1f\1\1", 3, false, 0, 0}, /* a tag of more bytes */
        {"\xbf\x81\1\0", 4, false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span rest = {rows[i].bytes, rows[i].size};
        struct der element;
        if (der_next(&rest, &element) != rows[i].right)
            fail_msg("row %zu", i);
        assert_int_equal(rest.size, rows[i].right ? rows[i].left : rows[i].size);
        if (rows[i].right)
            assert_int_equal(element.content.size, rows[i].content);
    }
    static const size_t sizes[] = {127, 128, 255, 256, 65535, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i], head = size < 128 ? 2 : size < 256 ? 3 : size < 65536 ? 4 : 5;
        struct der element;
        if (head > 2)
            bytes[1] = (char)(0x80 | (head - 2));
        for (size_t j = 0; j < (head > 2 ? head - 2 : 1); j++)
            bytes[head - 1 - j] = (char)(size >> 8 * j);
        struct span rest = {bytes, head + size};
        assert_true(der_take(&rest, DER_OCTET_STRING, &element));
        assert_int_equal(element.content.size, size);
        assert_int_equal(element.whole.size, head + size);
        rest = (struct span){bytes, head + size - 1};
        assert_false(der_next(&rest, &element));
    }
}

static void test_take(void **state)
{
    struct span rest = SPAN("\2\1\7\5\0");
    struct der element;

    (void)state;
    assert_false(der_take(&rest, DER_SEQUENCE, &element));
    assert_int_equal(rest.size, 5);
    assert_true(der_take(&rest, DER_INTEGER, &element));
    assert_int_equal(rest.size, 2);
    rest = span_from(rest, 2);
    assert_false(der_take(&rest, DER_INTEGER, &element));
}

static void test_times(void **state)
{
    static const struct {
        unsigned tag;
        const char *text;
        int64_t time;
    } rows[] = {
        {DER_UTC_TIME, "700101000000Z", 0},
        {DER_UTC_TIME, "260101000000Z", 1767225600},
        {DER_UTC_TIME, "491231235959Z", 2524607999},
        {DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
        {DER_UTC_TIME, "240229000000Z", 1709164800},
        {DER_UTC_TIME, "230229000000Z", -1},
        {DER_UTC_TIME, "261301000000Z", -1},
        {DER_UTC_TIME, "260001000000Z", -1},
        {DER_UTC_TIME, "260132000000Z", -1},
        {DER_UTC_TIME, "260101240000Z", -1},
        {DER_UTC_TIME, "260101006000Z", -1},
        {DER_UTC_TIME, "260101000060Z", -1},
        {DER_UTC_TIME, "2601010000Z", -1},
        {DER_UTC_TIME, "260101000000+0900", -1},
        {DER_UTC_TIME, "26010100000 Z", -1},
        {DER_UTC_TIME, "260101000000", -1},
        {DER_UTC_TIME, "260101000000z", -1},
        {DER_GENERALIZED_TIME, "20490101000000Z", -1},
        {DER_GENERALIZED_TIME, "20500101000000.5Z", -1},
        {DER_GENERALIZED_TIME, "205001010000Z", -1},
        {DER_INTEGER, "260101000000Z", -1},
        {DER_UTC_TIME, "", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct der element = {.tag = rows[i].tag, .content = span_of(rows[i].text)};
        if (der_time(&element) != rows[i].time)
            fail_msg("%s: %lld", rows[i].text, (long long)der_time(&element));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements), cmocka_unit_test(test_take),
                                       cmocka_unit_test(test_times)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
