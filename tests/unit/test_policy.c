/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy's questions about destinations: classes, patterns, services, releases. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/policy_fixture.h"

static void test_classes(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *host;
        enum destination_class class;
        unsigned line; /* 0: no entry */
    } cases[] = {
        {"meet.terakoya.example", CLASS_SERVICE, 11},
        {"MEET.terakoya.example.", CLASS_SERVICE, 11},
        {"a.media.terakoya.example", CLASS_SERVICE, 12},
        {"call.media.terakoya.example", CLASS_SERVICE, 12},
        {"signal.example", CLASS_SERVICE, 15},
        {"us04file.terakoya.example", CLASS_SERVICE, 0},
        {"chat.example", CLASS_UNKNOWN, 0},
        {"terakoya.example", CLASS_UNKNOWN, 0},
        {"clinic.example", CLASS_CLINIC, 30},
        {"ehr.clinic.example", CLASS_CLINIC, 31},
        {"192.0.2.80", CLASS_CLINIC, 32},
        {"old.clinic.example", CLASS_DENIED, 33},
        {"a.short.example", CLASS_DENIED, 40},
        {"cdn.update.example", CLASS_SYSTEM, 42},
        {"evil.example", CLASS_UNKNOWN, 0},
        {"192.0.2.81", CLASS_UNKNOWN, 0},
        {"", CLASS_UNKNOWN, 0},
        {"not a host", CLASS_UNKNOWN, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct service *service;
        const struct hostset_entry *entry;
        assert_int_equal(
            policy_classify(&fixture->policy, span_of(cases[i].host), &service, &entry),
            cases[i].class);
        assert_ptr_equal(service, cases[i].class == CLASS_SERVICE ? &fixture->service : NULL);
        assert_int_equal(entry ? entry->rule.line : 0, cases[i].line);
        assert_int_equal(policy_classify(&fixture->policy, span_of(cases[i].host), NULL, NULL),
                         cases[i].class);
    }
}

static void test_class_order(void **state)
{
    struct fixture *fixture = *state;
    const struct policy *policy = &fixture->policy;
    struct span host = SPAN("all.example");
    fixture_add(policy->system, "all.example", 0, 1);
    assert_int_equal(policy_classify(policy, host, NULL, NULL), CLASS_SYSTEM);
    fixture_add(policy->denied, "all.example", 0, 1);
    assert_int_equal(policy_classify(policy, host, NULL, NULL), CLASS_DENIED);
    fixture_add(policy->clinic, "all.example", 0, 1);
    assert_int_equal(policy_classify(policy, host, NULL, NULL), CLASS_CLINIC);
    fixture_add(fixture->service.call, "all.example", 0, 1);
    assert_int_equal(policy_classify(policy, host, NULL, NULL), CLASS_SERVICE);
    fixture_add(policy->clinic_deny, "all.example", 0, 1);
    assert_int_equal(policy_classify(policy, host, NULL, NULL), CLASS_DENIED);
}

static void test_empty_policy(void **state)
{
    (void)state;
    struct policy policy = {0};
    struct address address;
    assert_int_equal(policy_classify(&policy, SPAN("a.example"), NULL, NULL), CLASS_UNKNOWN);
    assert_null(policy_call_service(&policy, SPAN("a.example")));
    assert_true(address_parse(SPAN("192.0.2.1"), &address));
    assert_null(policy_service_by_address(&policy, &address));
    assert_string_equal(destination_class_name(CLASS_CLINIC), "clinic");
    assert_string_equal(destination_class_name((enum destination_class)99), "unknown");
}

static void test_services(void **state)
{
    struct fixture *fixture = *state;
    const struct policy *policy = &fixture->policy;
    assert_ptr_equal(policy_call_service(policy, SPAN("signal.example")), &fixture->service);
    assert_ptr_equal(policy_call_service(policy, SPAN("call.media.terakoya.example")),
                     &fixture->service);
    assert_null(policy_call_service(policy, SPAN("meet.terakoya.example")));
    assert_ptr_equal(policy_service_by_host(policy, SPAN("chat.example")), &fixture->service);
    assert_ptr_equal(policy_service_by_host(policy, SPAN("file.terakoya.example")),
                     &fixture->service);
    assert_null(policy_service_by_host(policy, SPAN("clinic.example")));
    static const struct {
        const char *address;
        bool known;
    } addresses[] = {{"198.51.100.255", true},
                     {"198.51.101.0", false},
                     {"2001:db8:7::1", true},
                     {"2001:db8:8::1", false}};
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct address address;
        assert_true(address_parse(span_of(addresses[i].address), &address));
        assert_int_equal(policy_service_by_address(policy, &address) != NULL, addresses[i].known);
    }
    assert_null(policy_service_by_address(policy, &(struct address){0}));
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *host, *target;
        bool matches;
    } cases[] = {
        {"a.jp", "a.jp", "/any?thing", true},
        {"a.jp", "A.JP.", "/", true},
        {"a.jp", "b.a.jp", "/", false},
        {"*.a.jp", "b.a.jp", "/", true},
        {"*file.a.jp/", "us1file.a.jp", "/", true},
        {"*file.a.jp/", "us1file.a.jp", "/x", false},
        {"a.jp/j/1", "a.jp", "/j/1", true},
        {"a.jp/j/1", "a.jp", "/j/1?pwd=x", true},
        {"a.jp/j/1", "a.jp", "/j/12", false},
        {"a.jp/j/1?pwd=x", "a.jp", "/j/1", false},
        {"a.jp/j/1?pwd=x*", "a.jp", "/j/1?pwd=xyz", true},
        {"a.jp/files/*", "a.jp", "/files/", true},
        {"a.jp/files/*", "a.jp", "/fil%65s/x", true},
        {"a.jp/files/*", "a.jp", "/%66iles%2Fx", true},
        {"a.jp/files/*", "a.jp", "/Files/x", false},
        {"a.jp/files/*", "a.jp", "/x/files/x", false},
        {"a.jp/*/views/*", "a.jp", "/v1/o/views/full", true},
        {"a.jp/", "a.jp", "?x", true},
        {"a.jp/", "a.jp", "", true},
        {"a.jp/x", "not a host", "/x", false},
        {"192.0.2.7/x", "192.0.2.7", "/x", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url_pattern pattern;
        fixture_pattern(&pattern, cases[i].pattern, 1);
        assert_int_equal(
            url_pattern_matches(&pattern, span_of(cases[i].host), span_of(cases[i].target)),
            cases[i].matches);
        url_pattern_clear(&pattern);
    }
}

static void test_pattern_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "/x",       "https://a.jp/x", "a.jp:443/x",
                                      "a b.jp/x", "a.jp/x y", "a.jp/あ",        "a.jp/x#y",
                                      "*/x",      "a..jp"};
    struct url_pattern pattern;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *error = NULL;
        assert_false(url_pattern_parse(span_of(bad[i]), (struct rule){0}, &pattern, &error));
        assert_non_null(error);
        assert_null(pattern.host);
        assert_null(pattern.path);
    }
    fixture_pattern(&pattern, " 日本語.JP ", 7);
    assert_string_equal(pattern.host, "xn--wgv71a119e.jp");
    assert_string_equal(pattern.path, "/*");
    assert_true(url_pattern_is_whole_host(&pattern));
    assert_int_equal(pattern.rule.line, 7);
    url_pattern_clear(&pattern);
    fixture_pattern(&pattern, "a.jp/x*", 7);
    assert_false(url_pattern_is_whole_host(&pattern));
    url_pattern_clear(&pattern);
}

static const struct release *find(const struct fixture *fixture, const char *text)
{
    struct url url;
    assert_true(url_parse(span_of(text), &url));
    return release_find(&fixture->standing, url.tls, span_of(url.host), url.port, url.target);
}

static void test_release_of_host(void **state)
{
    struct fixture *fixture = *state;
    assert_null(find(fixture, "https://evil.example/"));
    fixture_release(fixture, RELEASE_HOST, "evil.example", 60);
    assert_ptr_equal(find(fixture, "https://EVIL.example/x"), &fixture->releases[0]);
    assert_non_null(find(fixture, "http://evil.example:8080/"));
    assert_null(find(fixture, "https://a.evil.example/"));
    assert_non_null(release_find_host(&fixture->standing, SPAN("evil.example")));
    assert_null(release_find_host(&fixture->standing, SPAN("")));
    fixture->standing.now += 59;
    assert_non_null(find(fixture, "https://evil.example/"));
    fixture->standing.now += 1;
    assert_null(find(fixture, "https://evil.example/"));
    assert_null(release_find_host(&fixture->standing, SPAN("evil.example")));
}

static void test_release_of_url(void **state)
{
    struct fixture *fixture = *state;
    fixture_release(fixture, RELEASE_URL, "https://evil.example/a?b=1", 60);
    assert_non_null(find(fixture, "https://evil.example:443/a?b=1#c"));
    assert_null(find(fixture, "https://evil.example/a?b=2"));
    assert_null(find(fixture, "https://evil.example/a"));
    assert_null(find(fixture, "http://evil.example/a?b=1"));
    assert_null(find(fixture, "https://evil.example:8443/a?b=1"));
    assert_non_null(release_find_host(&fixture->standing, SPAN("evil.example")));
    fixture->standing.sha256 = NULL;
    assert_null(find(fixture, "https://evil.example/a?b=1"));
    fixture->standing.sha256 = fixture_digest;
    fixture->standing.now += 60;
    assert_null(find(fixture, "https://evil.example/a?b=1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_classes),
        TEST(test_class_order),
        cmocka_unit_test(test_empty_policy),
        TEST(test_services),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_pattern_texts),
        TEST(test_release_of_host),
        TEST(test_release_of_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
