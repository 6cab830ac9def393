/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8: every character there and back, every malformed form, cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/utf8.h"

static void test_all_characters(void **state)
{
    (void)state;
    for (uint32_t character = 0; character <= 0x10ffff; character++) {
        char bytes[UTF8_BYTES];
        uint32_t back;
        size_t size, expected;

        if (character >= 0xd800 && character <= 0xdfff)
            continue;
        expected = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
        size = utf8_encode(character, bytes);
        assert_int_equal(size, expected);
        assert_int_equal(utf8_decode((struct span){bytes, size}, &back), size);
        assert_int_equal(back, character);
        /* Cut anywhere it is none. */
        for (size_t cut = 1; cut < size; cut++) {
            assert_int_equal(utf8_decode((struct span){bytes, cut}, &back), 1);
            assert_int_equal(back, UTF8_REPLACEMENT);
        }
    }
}

/* Of all sequences of two bytes those are accepted that begin with ASCII or are a good pair. */
static void test_all_pairs(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char bytes[2] = {(char)first, (char)second};
            bool pair = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;
            uint32_t character;

            assert_int_equal(utf8_decode((struct span){bytes, 2}, &character), pair ? 2 : 1);
            assert_int_equal(character, first < 0x80 ? first
                                        : pair       ? (first & 31) << 6 | (second & 63)
                                                     : UTF8_REPLACEMENT);
        }
}

static void test_malformed(void **state)
{
    static const char *const rows[] = {"\xe0\x80\x80",     "\xe0\x9f\xbf",     "\xed\xa0\x80",
                                       "\xed\xbf\xbf",     "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe3\x81\x41",
                                       "\xf0\x9f\x98\x41"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t character;

        assert_int_equal(utf8_decode(span_of(rows[i]), &character), 1);
        assert_int_equal(character, UTF8_REPLACEMENT);
    }
}

static void test_first(void **state)
{
    const struct span text = SPAN("a\u00e9\u8a3a\U0001f3e5z"); /* 1 + 2 + 3 + 4 + 1 bytes */
    static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    const struct span broken = SPAN("\x80\x80\x80\x80\x80\x80");

    (void)state;
    for (size_t size = 0; size < sizeof(ends) / sizeof(ends[0]); size++)
        assert_int_equal(utf8_first(text, size).size, ends[size]);
    assert_int_equal(utf8_first(text, 100).size, text.size);
    for (size_t size = 0; size <= broken.size; size++)
        assert_int_equal(utf8_first(broken, size).size, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_characters), cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_first)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
