/* SPDX-License-Identifier: BSD-2-Clause */
/* Punycode: examples of RFC 3492 section 7.1, symbols, and labels that are too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filters/punycode.h"

static void check(struct span label, const char *wanted)
{
    char text[PUNYCODE_LABEL];
    size_t size = punycode_encode(label, text);

    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(text, wanted, size);
}

static void test_examples(void **state)
{
    static const struct {
        const char *label, *wanted;
    } cases[] = {
        {"他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"},
        {"なぜみんな日本語を話してくれないのか", "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa"},
        {"porquénopuedensimplementehablarenespañol",
         "xn--porqunopuedensimplementehablarenespaol-fmd56a"},
        {"3年B組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"},
        {"パフィーdeルンバ", "xn--de-jg4avhby1noc0d"},
        {"そのスピードで", "xn--d9juau41awczczp"},
        {"i❤", "xn--i-7iq"},
        {"💩", "xn--ls8h"},
        {"\U0010ffff", "xn--dn32g"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(span_of(cases[i].label), cases[i].wanted);
}

static void test_too_long(void **state)
{
    char label[200];

    (void)state;
    for (size_t size = 2; size < sizeof(label); size++) {
        char text[PUNYCODE_LABEL];
        memset(label, 'a', size);
        memcpy(label, "\xc3\xa9", 2);
        assert_in_range(punycode_encode((struct span){label, size}, text), 0, PUNYCODE_LABEL);
        if (size > PUNYCODE_LABEL)
            assert_int_equal(punycode_encode((struct span){label, size}, text), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
