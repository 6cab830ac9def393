/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures in data: URLs: found, decoded, the same however the text was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/data_url.h"

/* What was found, as text: '[' bytes ']' for each picture. */
struct found {
    char text[8192];
    size_t size;
};

static void put(struct found *found, const void *bytes, size_t size)
{
    assert_true(found->size + size < sizeof(found->text));
    memcpy(found->text + found->size, bytes, size);
    found->size += size;
    found->text[found->size] = '\0';
}

static void on_begin(void *context)
{
    put(context, "[", 1);
}

static void on_bytes(void *context, const void *bytes, size_t size)
{
    put(context, bytes, size);
}

static void on_end(void *context)
{
    put(context, "]", 1);
}

static const struct data_url_handler handler = {on_begin, on_bytes, on_end};

static void check(const char *text, const char *expected)
{
    size_t size = strlen(text);

    for (size_t step = 1; step <= size; step++) {
        struct data_url_scanner scanner = {0};
        struct found found = {0};
        for (size_t at = 0; at < size; at += step)
            data_url_feed(&scanner, text + at, at + step < size ? step : size - at, &handler,
                          &found);
        data_url_end(&scanner, &handler, &found);
        assert_string_equal(found.text, expected);
    }
}

static void test_found(void **state)
{
    (void)state;
    check("{\"img\":\"data:image/png;base64,aGVsbG8=\"}", "[hello]");
    check("{\"img\":\"data:image\\/png;base64,aGVsbG8\"}", "[hello]");
    check("DATA:Image/JPEG;charset=x;BASE64,aGVsbG8", "[hello]");
    check("ddata:datadata:image/gif;base64,aGk= data:image/png;base64,aGV5\"", "[hi][hey]");
    check("data:image/png;base64,aGVs\nbG8=", "[hello]");
    check("data:image/webp;base64,", "[]");
    /* '+' and '/' as JSON for HTML has them, also in JSON in JSON; '=' ends it */
    check("data:image/png;base64,Pj4\\u002bPz8\\u002Fdd\\u003d\\u003d", "[>>>???u]");
    check("data:image/png;base64,Pj4\\\\u002bPz8\\\\/", "[>>>???]");
    check("data:image/png;base64,aGVs\\nbG8=", "[hello]");
}

static void test_not_found(void **state)
{
    (void)state;
    check("", "");
    check("data:text/plain;base64,aGVsbG8=", "");
    check("data:image/svg+xml,<svg/>", "");
    check("data:image/png;base6,aGVsbG8=", "");
    check("data:image/png\";base64,aGVsbG8=", "");
    check("dat", "");
    check("data:image/"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaa"
          ";base64,aGk=",
          "");
}

static void test_long(void **state)
{
    char text[5000] = "data:image/png;base64,";
    struct data_url_scanner scanner = {0};
    struct found found = {0};
    size_t size = strlen(text);

    (void)state;
    while (size + 4 < sizeof(text)) {
        memcpy(text + size, "QUJD", 4);
        size += 4;
    }
    data_url_feed(&scanner, text, size, &handler, &found);
    data_url_end(&scanner, &handler, &found);
    assert_int_equal(found.size, (size - 22) / 4 * 3 + 2);
    assert_memory_equal(found.text, "[ABCABC", 7);
    assert_int_equal(found.text[found.size - 1], ']');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
