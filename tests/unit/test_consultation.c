/* SPDX-License-Identifier: BSD-2-Clause */
/* Consultations: on at the first sign, off when the last has lingered out, never lost when full. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "filters/consultation.h"

#define LINGER 600000

static int setup(void **state)
{
    *state = consultations_new();
    return 0;
}

static int teardown(void **state)
{
    consultations_free(*state);
    return 0;
}

struct told {
    int count;
    char scope[64], service[64];
};

static void tell(void *context, const char *scope, const char *service)
{
    struct told *told = context;
    told->count++;
    snprintf(told->scope, sizeof(told->scope), "%s", scope);
    snprintf(told->service, sizeof(told->service), "%s", service);
}

static void test_on_and_off(void **state)
{
    struct consultations *set = *state;
    const char *service = "x";
    struct told told = {0};
    assert_false(consultation_find(set, "clinic", 0, &service));
    assert_null(service);
    assert_true(consultation_sign(set, "clinic", "zoom", 1000, LINGER));
    assert_true(consultation_find(set, "clinic", 1000, &service));
    assert_string_equal(service, "zoom");
    assert_true(consultation_find(set, "clinic", 1000, NULL));
    assert_false(consultation_find(set, "room:1", 1000, &service));
    assert_false(consultation_find(set, "", 1000, NULL));
    assert_false(consultation_sign(set, "clinic", "teams", 2000, LINGER));
    assert_true(consultation_find(set, "clinic", 1999 + LINGER, &service));
    assert_string_equal(service, "zoom");
    consultation_expire(set, 1999 + LINGER, tell, &told);
    assert_int_equal(told.count, 0);
    assert_false(consultation_find(set, "clinic", 2000 + LINGER, NULL));
    consultation_expire(set, 2000 + LINGER, tell, &told);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.scope, "clinic");
    assert_string_equal(told.service, "zoom");
    consultation_expire(set, 2000 + LINGER, tell, &told);
    assert_int_equal(told.count, 1);
    assert_true(consultation_sign(set, "clinic", "teams", 3000 + LINGER, LINGER));
    assert_true(consultation_find(set, "clinic", 3000 + LINGER, &service));
    assert_string_equal(service, "teams");
}

static void test_sign_never_shortens(void **state)
{
    struct consultations *set = *state;
    assert_true(consultation_sign(set, "a", "zoom", 0, LINGER));
    assert_false(consultation_sign(set, "a", "zoom", 10, 5));
    assert_true(consultation_find(set, "a", LINGER - 1, NULL));
    assert_true(consultation_sign(set, "b", "zoom", INT64_MAX - 1, LINGER));
    assert_true(consultation_find(set, "b", INT64_MAX - 1, NULL));
    /* over, though nobody expired it: the next sign is a new consultation */
    assert_true(consultation_sign(set, "a", "teams", LINGER, 5));
    assert_true(consultation_find(set, "a", LINGER + 4, NULL));
    assert_false(consultation_find(set, "a", LINGER + 5, NULL));
}

static void test_replica(void **state)
{
    struct consultations *set = *state;
    const char *service;
    consultation_set(set, "a", "zoom", 500);
    assert_true(consultation_find(set, "a", 499, &service));
    assert_string_equal(service, "zoom");
    consultation_set(set, "a", "teams", 100);
    assert_false(consultation_find(set, "a", 100, NULL));
    consultation_set(set, "a", "teams", 900);
    assert_true(consultation_find(set, "a", 500, &service));
    assert_string_equal(service, "teams");
    consultation_set(set, "a", service, 1000); /* the text that was borrowed from it */
    assert_true(consultation_find(set, "a", 999, &service));
    assert_string_equal(service, "teams");
    consultation_set(set, "a", "", 0);
    assert_false(consultation_find(set, "a", 500, NULL));
    consultation_set(set, "never", "", 0);
    consultation_set(set, CONSULTATION_EVERY, "zoom", 900);
    assert_true(consultation_find(set, "anything", 899, &service));
    assert_string_equal(service, "zoom");
    consultation_set(set, CONSULTATION_EVERY, "", 0);
    assert_false(consultation_find(set, "anything", 0, NULL));
}

static void fill(struct consultations *set, int64_t now)
{
    char scope[32];
    for (int i = 0; i < CONSULTATION_SCOPES; i++) {
        snprintf(scope, sizeof(scope), "client:%d", i);
        assert_true(consultation_sign(set, scope, "zoom", now + i, LINGER));
    }
}

static void test_full_counts_every_scope_as_on(void **state)
{
    struct consultations *set = *state;
    const char *service;
    struct told told = {0};
    fill(set, 0);
    assert_false(consultation_find(set, "one too many", 5000, NULL));
    assert_true(consultation_sign(set, "one too many", "teams", 5000, LINGER));
    assert_true(consultation_find(set, "one too many", 5000, &service));
    assert_string_equal(service, "teams");
    assert_true(consultation_find(set, "yet another", 5000, &service));
    assert_true(consultation_find(set, "client:7", 5000, &service));
    assert_string_equal(service, "zoom");
    consultation_set(set, "a replica's", "zoom", 5001); /* a shorter one does not shorten */
    assert_true(consultation_find(set, "yet another", 4999 + LINGER, NULL));
    assert_false(consultation_find(set, "yet another", 5000 + LINGER, NULL));
    consultation_expire(set, 5000 + LINGER, tell, &told);
    assert_int_equal(told.count, CONSULTATION_SCOPES + 1);
    assert_string_equal(told.scope, CONSULTATION_EVERY);
    /* all places are free again */
    fill(set, 6000 + LINGER);
    assert_false(consultation_find(set, "none", 6000 + LINGER, NULL));
}

static void test_full_drops_what_is_over(void **state)
{
    struct consultations *set = *state;
    fill(set, 0);
    /* client:0 and client:1 are over, the others are on */
    assert_true(consultation_sign(set, "new", "teams", LINGER + 1, LINGER));
    assert_true(consultation_find(set, "new", LINGER + 1, NULL));
    assert_false(consultation_find(set, "client:0", LINGER + 1, NULL));
    assert_true(consultation_find(set, "client:2", LINGER + 1, NULL));
    assert_false(consultation_find(set, "none", LINGER + 1, NULL));
    /* a replica is not told the time, but knows the latest */
    consultation_set(set, "newer", "teams", 3 * LINGER);
    assert_true(consultation_find(set, "newer", LINGER + 1, NULL));
    assert_false(consultation_find(set, "none", LINGER + 1, NULL));
    /* now every place is on */
    consultation_set(set, "newest", "teams", 3 * LINGER);
    assert_true(consultation_find(set, "none", LINGER + 1, NULL));
}

static void visit(void *context, const char *scope, const char *service, int64_t until)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%s %s %lld;", scope, service, (long long)until);
}

static void test_each(void **state)
{
    struct consultations *set = *state;
    char text[256] = "";
    consultation_each(set, 0, visit, text);
    assert_string_equal(text, "");
    consultation_set(set, "a", "zoom", 100);
    consultation_set(set, "b", "teams", 200);
    consultation_set(set, CONSULTATION_EVERY, "line", 300);
    consultation_each(set, 100, visit, text);
    assert_string_equal(text, "b teams 200;* line 300;");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_on_and_off),
        TEST(test_sign_never_shortens),
        TEST(test_replica),
        TEST(test_full_counts_every_scope_as_on),
        TEST(test_full_drops_what_is_over),
        TEST(test_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
