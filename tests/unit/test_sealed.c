/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that only their passphrase opens: the form, and that nothing opens but what was sealed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/sealed.h"

#define PHRASE SPAN("correct horse battery")
#define PLAIN  SPAN("what the clinic has")

/* The same made without this code: hashlib.scrypt() and AESGCM of Python's cryptography. */
static const char known[] =
    "000102030405060708090a0b0c0d0e0f6465666768696a6b6c6d6e6f452f5c3a99b716f2"
    "defe29c97da752560eb092d0f7a77bba88a30416ce507660bf7774";

static size_t bytes_of(const char *hex, char *bytes)
{
    size_t size = strlen(hex) / 2;

    for (size_t i = 0; i < size; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    return size;
}

static void test_form(void **state)
{
    char sealed[256] = SEALED_MAGIC, *plain;
    size_t head = strlen(SEALED_MAGIC), size = 0;
    size_t whole = head + bytes_of(known, sealed + head);

    (void)state;
    plain = sealed_open((struct span){sealed, whole}, PHRASE, &size);
    assert_non_null(plain);
    assert_true(span_equal((struct span){plain, size}, PLAIN));
    free(plain);
}

static void test_both_ways(void **state)
{
    static const struct span texts[] = {{"", 0}, {"x", 1}, {"\0\1\2", 3}};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t size = 0, length = 0;
        char *sealed = sealed_make(texts[i], PHRASE, &size), *plain;

        assert_non_null(sealed);
        assert_int_equal(size, SEALED_HEAD + texts[i].size + SEALED_TAG);
        assert_true(sealed_is((struct span){sealed, size}));
        plain = sealed_open((struct span){sealed, size}, PHRASE, &length);
        assert_non_null(plain);
        assert_true(span_equal((struct span){plain, length}, texts[i]));
        free(plain);
        free(sealed);
    }
}

/* Salt and nonce are never the same. */
static void test_no_two_are_the_same(void **state)
{
    size_t size = 0;
    char *first = sealed_make(PLAIN, PHRASE, &size), *second = sealed_make(PLAIN, PHRASE, &size);

    (void)state;
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_not_equal(first + strlen(SEALED_MAGIC), second + strlen(SEALED_MAGIC), 16);
    assert_memory_not_equal(first + SEALED_HEAD, second + SEALED_HEAD, PLAIN.size);
    free(first);
    free(second);
}

static void test_nothing_else_opens(void **state)
{
    size_t size = 0, length = 0;
    char *sealed = sealed_make(SPAN("few"), PHRASE, &size);

    (void)state;
    assert_non_null(sealed);
    assert_null(sealed_open((struct span){sealed, size}, SPAN("correct horse batterz"), &length));
    assert_null(sealed_open((struct span){sealed, size}, SPAN(""), &length));
    for (size_t i = 0; i < size; i++) { /* every byte counts */
        sealed[i] = (char)(sealed[i] ^ 1);
        assert_null(sealed_open((struct span){sealed, size}, PHRASE, &length));
        sealed[i] = (char)(sealed[i] ^ 1);
    }
    for (size_t i = 0; i < size; i += 7)
        assert_null(sealed_open((struct span){sealed, i}, PHRASE, &length));
    assert_null(sealed_open((struct span){sealed, size - 1}, PHRASE, &length));
    free(sealed);
}

static void test_limits(void **state)
{
    char *large = calloc(1, SEALED_LIMIT), phrase[SEALED_PHRASE_MOST + 1];
    size_t size = 0;

    (void)state;
    assert_non_null(large);
    assert_null(sealed_make((struct span){large, SEALED_LIMIT}, PHRASE, &size));
    free(large);
    memset(phrase, 'x', sizeof(phrase));
    assert_null(sealed_make(PLAIN, (struct span){phrase, sizeof(phrase)}, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_no_two_are_the_same),
        cmocka_unit_test(test_nothing_else_opens),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
