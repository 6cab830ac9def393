/* SPDX-License-Identifier: BSD-2-Clause */
/* Declarative redirects, in the spellings that browsers follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/refresh.h"

static void is(struct span found, const char *expected)
{
    assert_true(span_equal(found, span_of(expected)));
}

static void test_parse(void **state)
{
    (void)state;
    is(refresh_parse(SPAN("0;url=https://a.example/")), "https://a.example/");
    is(refresh_parse(SPAN("0; URL = '/x'")), "/x");
    is(refresh_parse(SPAN(" 1.5 , \"https://a.example/\" tail")), "https://a.example/");
    is(refresh_parse(SPAN("1, https://a.example/x")), "https://a.example/x");
    is(refresh_parse(SPAN("3;next")), "next");
    is(refresh_parse(SPAN("3;url=urlaub")), "urlaub");
    is(refresh_parse(SPAN("30")), "");
    is(refresh_parse(SPAN("")), "");
    is(refresh_parse(SPAN("0;url='open")), "open");
}

static void test_meta(void **state)
{
    (void)state;
    is(refresh_find_meta(SPAN("<html><meta http-equiv=\"refresh\" content=\"0; url=/x\">")),
       "0; url=/x");
    is(refresh_find_meta(SPAN("<META content='1;URL=/y' HTTP-EQUIV=Refresh>")), "1;URL=/y");
    is(refresh_find_meta(SPAN("<meta charset=x><meta http-equiv=refresh content=5>")), "5");
    is(refresh_find_meta(SPAN("<meta name='a>b' http-equiv=refresh content='0;/z'>")), "0;/z");
    is(refresh_find_meta(SPAN("<meta http-equiv=content-type content=x>")), "");
    is(refresh_find_meta(SPAN("<meta http-equiv=refresh data-content='9' content='0;/z'>")),
       "0;/z");
    is(refresh_find_meta(SPAN("<meta x-http-equiv=x http-equiv=refresh/content='0;/z'>")), "");
    is(refresh_find_meta(SPAN("<meta content='0;/z'http-equiv='refresh'>")), "0;/z");
    is(refresh_find_meta(SPAN("<meta http-equiv=refresh")), "");
    is(refresh_find_meta(SPAN("<meta")), "");
    is(refresh_find_meta(SPAN("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_meta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
