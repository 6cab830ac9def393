/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 against the examples of FIPS 180-4, and hexadecimal text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/digest.h"

static void expect_digest(struct span bytes, const char *expected)
{
    uint8_t digest[DIGEST_SIZE];
    char text[2 * DIGEST_SIZE + 1];

    digest_sha256(bytes, digest);
    digest_hex(digest, sizeof(digest), text);
    assert_string_equal(text, expected);
}

static void test_sha256(void **state)
{
    static char million[1000000];

    (void)state;
    expect_digest((struct span){NULL, 0},
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest(SPAN("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(million, 'a', sizeof(million));
    expect_digest((struct span){million, sizeof(million)},
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    /* A NUL is a byte like others. */
    expect_digest(SPAN("\0"), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

static void test_hex(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char text[] = "xxxxxxxxxx";

    (void)state;
    digest_hex(bytes, sizeof(bytes), text);
    assert_string_equal(text, "000fa5ff");
    assert_int_equal(text[9], 'x');
    digest_hex(bytes, 0, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256), cmocka_unit_test(test_hex)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
