/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-16: what is taken for it, both byte orders, broken pairs, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filters/utf16.h"

struct output {
    char text[8192];
    size_t size;
};

static void give(void *context, struct span text)
{
    struct output *output = context;

    assert_true(output->size + text.size < sizeof(output->text));
    memcpy(output->text + output->size, text.data, text.size);
    output->size += text.size;
}

static void check_pieces(enum utf16_form form, struct span bytes, size_t first, size_t step,
                         struct span wanted)
{
    struct utf16 utf16 = {.form = form};
    struct output output = {.size = 0};

    while (bytes.size > 0) {
        struct span piece = span_first(bytes, first > 0 ? first : 1);
        utf16_feed(&utf16, piece, give, &output);
        bytes = span_from(bytes, piece.size);
        first = step;
    }
    utf16_end(&utf16, give, &output);
    assert_int_equal(output.size, wanted.size);
    assert_memory_equal(output.text, wanted.data, wanted.size);
}

static void check(enum utf16_form form, struct span bytes, struct span wanted)
{
    for (size_t first = 0; first <= bytes.size; first++)
        check_pieces(form, bytes, first, bytes.size, wanted);
    check_pieces(form, bytes, 1, 1, wanted);
}

static void test_forms(void **state)
{
    (void)state;
    check(UTF16_NONE, SPAN(""), SPAN(""));
    check(UTF16_NONE, SPAN("a"), SPAN("a"));
    check(UTF16_NONE, SPAN("plain text"), SPAN("plain text"));
    check(UTF16_NONE,
          SPAN("\xff\xfe"
               "a\0b\0"),
          SPAN("ab"));
    check(UTF16_NONE, SPAN("\xfe\xff\0a\0b"), SPAN("ab"));
    check(UTF16_LITTLE, SPAN("a\0b\0"), SPAN("ab"));
    check(UTF16_BIG, SPAN("\0a\0b"), SPAN("ab"));
    check(UTF16_LITTLE, SPAN("\xfe\xff\0a"), SPAN("a")); /* the mark is right */
    check(UTF16_LITTLE,
          SPAN("\xef\xbb\xbf"
               "ab"),
          SPAN("\xef\xbb\xbf"
               "ab"));
    check(UTF16_BIG, SPAN("\0a\0"), SPAN("a"));
}

static void test_characters(void **state)
{
    (void)state;
    check(UTF16_BIG, SPAN("\x30\x02\0\xe9\xd8\x3d\xde\0"),
          SPAN("\xe3\x80\x82\xc3\xa9\xf0\x9f\x98\x80"));
    check(UTF16_LITTLE, SPAN("\x3d\xd8\0\xde"), SPAN("\xf0\x9f\x98\x80"));
    check(UTF16_BIG, SPAN("\xd8\x3d\0a"),
          SPAN("\xef\xbf\xbd"
               "a"));
    check(UTF16_BIG, SPAN("\xde\0\0a"),
          SPAN("\xef\xbf\xbd"
               "a"));
    check(UTF16_BIG, SPAN("\xd8\x3d\xd8\x3d\xde\0"), SPAN("\xef\xbf\xbd\xf0\x9f\x98\x80"));
    check(UTF16_BIG, SPAN("\xd8\x3d"), SPAN(""));
}

static void test_long(void **state)
{
    char bytes[4098] = "\xfe\xff", wanted[2048 * 3];

    (void)state;
    for (size_t i = 0; i < 2048; i++) {
        memcpy(bytes + 2 + 2 * i, "\x30\x42", 2);
        memcpy(wanted + 3 * i, "\xe3\x81\x82", 3);
    }
    check_pieces(UTF16_NONE, (struct span){bytes, sizeof(bytes)}, sizeof(bytes), 1,
                 (struct span){wanted, sizeof(wanted)});
    check_pieces(UTF16_NONE, (struct span){bytes, sizeof(bytes)}, 7, 13,
                 (struct span){wanted, sizeof(wanted)});
}

static void test_declared(void **state)
{
    (void)state;
    assert_int_equal(utf16_declared(SPAN("application/json")), UTF16_NONE);
    assert_int_equal(utf16_declared(SPAN("text/plain; charset=utf-8")), UTF16_NONE);
    assert_int_equal(utf16_declared(SPAN("text/plain;charset=UTF-16")), UTF16_LITTLE);
    assert_int_equal(utf16_declared(SPAN("text/plain; charset=\"utf-16le\"; x=y")), UTF16_LITTLE);
    assert_int_equal(utf16_declared(SPAN("text/plain; Charset=utf-16BE ;x")), UTF16_BIG);
    assert_int_equal(utf16_declared(SPAN("text/plain; charset=")), UTF16_NONE);
    assert_int_equal(utf16_declared(SPAN("text/plain; charset=\"")), UTF16_NONE);
    assert_int_equal(utf16_declared(SPAN("")), UTF16_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
