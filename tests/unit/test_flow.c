/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a TLS connection, by its name or its address. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/policy_fixture.h"

static struct flow_finding judge(const struct fixture *fixture, const char *sni,
                                 const char *address, bool alpn_is_http)
{
    struct flow_facts facts = {.sni = span_of(sni), .alpn_is_http = alpn_is_http};
    struct flow_finding finding;
    if (address)
        assert_true(address_parse(span_of(address), &facts.destination));
    memset(&finding, 0x5a, sizeof(finding));
    filters_judge_flow(&fixture->policy, &fixture->standing, &facts, &finding);
    return finding;
}

static void test_names(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *sni;
        enum flow_verdict verdict;
        enum reason reason;
        enum destination_class class;
        unsigned line;
        bool call;
        enum flow_verdict otherwise; /* with an ALPN that is not HTTP */
        enum reason otherwise_reason;
    } cases[] = {
        {"meet.terakoya.example", FLOW_INSPECT, REASON_ALLOWED, CLASS_SERVICE, 11, false,
         FLOW_REFUSE, REASON_NOT_WEB},
        {"a.media.terakoya.example", FLOW_SPLICE, REASON_ALLOWED, CLASS_SERVICE, 12, false,
         FLOW_SPLICE, REASON_ALLOWED},
        {"call.media.terakoya.example", FLOW_SPLICE, REASON_ALLOWED, CLASS_SERVICE, 12, true,
         FLOW_SPLICE, REASON_ALLOWED},
        /* a call host that no hosts list names is inspected, whatever its tag */
        {"signal.example", FLOW_INSPECT, REASON_ALLOWED, CLASS_SERVICE, 15, true, FLOW_REFUSE,
         REASON_NOT_WEB},
        {"us04file.terakoya.example", FLOW_ANSWER, REASON_CHAT_ATTACHMENT, CLASS_SERVICE, 17, false,
         FLOW_REFUSE, REASON_CHAT_ATTACHMENT},
        {"clinic.example", FLOW_INSPECT, REASON_ALLOWED, CLASS_CLINIC, 30, false, FLOW_REFUSE,
         REASON_NOT_WEB},
        {"ehr.clinic.example", FLOW_SPLICE, REASON_ALLOWED, CLASS_CLINIC, 31, false, FLOW_SPLICE,
         REASON_ALLOWED},
        {"old.clinic.example", FLOW_ANSWER, REASON_DENIED_DESTINATION, CLASS_DENIED, 33, false,
         FLOW_REFUSE, REASON_DENIED_DESTINATION},
        {"go.short.example", FLOW_ANSWER, REASON_DENIED_DESTINATION, CLASS_DENIED, 40, false,
         FLOW_REFUSE, REASON_DENIED_DESTINATION},
        {"dl.update.example", FLOW_SPLICE, REASON_ALLOWED, CLASS_SYSTEM, 42, false, FLOW_SPLICE,
         REASON_ALLOWED},
        {"evil.example", FLOW_INSPECT, REASON_ALLOWED, CLASS_UNKNOWN, 0, false, FLOW_REFUSE,
         REASON_NOT_WEB},
    };
    for (int round = 0; round < 4; round++) {
        /* neither a consultation nor `outside` changes it: parts of allowed pages must pass */
        fixture->standing.consultation = round & 1;
        fixture->policy.outside = round & 2 ? OUTSIDE_DENY : OUTSIDE_INSPECT;
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct flow_finding finding = judge(fixture, cases[i].sni, "203.0.113.1", true);
            assert_int_equal(finding.verdict, cases[i].verdict);
            assert_int_equal(finding.reason, cases[i].reason);
            assert_int_equal(finding.class, cases[i].class);
            assert_int_equal(finding.rule.line, cases[i].line);
            assert_ptr_equal(finding.call, cases[i].call ? &fixture->service : NULL);
            assert_ptr_equal(finding.service,
                             cases[i].class == CLASS_SERVICE ? &fixture->service : NULL);
            finding = judge(fixture, cases[i].sni, NULL, false);
            assert_int_equal(finding.verdict, cases[i].otherwise);
            assert_int_equal(finding.reason, cases[i].otherwise_reason);
        }
    }
}

static void test_name_counts_before_address(void **state)
{
    struct fixture *fixture = *state;
    /* the address of a service lends nothing to a name that is not its own */
    assert_int_equal(judge(fixture, "evil.example", "198.51.100.7", true).verdict, FLOW_INSPECT);
    assert_int_equal(judge(fixture, "go.short.example", "198.51.100.7", true).verdict, FLOW_ANSWER);
}

static void test_releases(void **state)
{
    struct fixture *fixture = *state;
    fixture_release(fixture, RELEASE_HOST, "us04file.terakoya.example", 60);
    fixture_release(fixture, RELEASE_URL, "https://go.short.example/x", 60);
    assert_int_equal(judge(fixture, "us04file.terakoya.example", NULL, true).verdict, FLOW_INSPECT);
    assert_int_equal(judge(fixture, "go.short.example", NULL, true).verdict, FLOW_INSPECT);
    assert_int_equal(judge(fixture, "us05file.terakoya.example", NULL, true).verdict, FLOW_ANSWER);
    assert_int_equal(judge(fixture, "go.short.example", NULL, false).verdict, FLOW_REFUSE);
    fixture->standing.now += 60;
    assert_int_equal(judge(fixture, "us04file.terakoya.example", NULL, true).verdict, FLOW_ANSWER);
    assert_int_equal(judge(fixture, "go.short.example", NULL, true).verdict, FLOW_ANSWER);
}

static void test_denied_call_host_is_no_sign(void **state)
{
    struct fixture *fixture = *state;
    fixture_add(fixture->policy.clinic_deny, "signal.example", 0, 50);
    struct flow_finding finding = judge(fixture, "signal.example", NULL, true);
    assert_int_equal(finding.verdict, FLOW_ANSWER);
    assert_null(finding.call);
    assert_null(finding.service);
}

static void test_addresses(void **state)
{
    struct fixture *fixture = *state;
    struct flow_finding finding = judge(fixture, "", "198.51.100.7", false);
    assert_int_equal(finding.verdict, FLOW_SPLICE);
    assert_int_equal(finding.class, CLASS_SERVICE);
    assert_int_equal(finding.rule.line, 10);
    assert_null(finding.call);
    assert_int_equal(judge(fixture, "", "192.0.2.80", true).verdict, FLOW_INSPECT);
    assert_int_equal(judge(fixture, "", "192.0.2.80", true).class, CLASS_CLINIC);
    fixture_add(fixture->policy.denied, "192.0.2.99", 0, 51);
    finding = judge(fixture, "", "192.0.2.99", true);
    assert_int_equal(finding.verdict, FLOW_REFUSE);
    assert_int_equal(finding.reason, REASON_DENIED_DESTINATION);
    fixture_release(fixture, RELEASE_HOST, "203.0.113.9", 60);
    assert_int_equal(judge(fixture, "", "203.0.113.9", true).verdict, FLOW_INSPECT);
}

static void test_no_sni(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 8; round++) {
        fixture->policy.no_sni = round & 1 ? NO_SNI_INSPECT : NO_SNI_REFUSE;
        fixture->standing.consultation = round & 2;
        fixture->policy.outside = round & 4 ? OUTSIDE_DENY : OUTSIDE_INSPECT;
        for (int named = 0; named < 2; named++) {
            struct flow_finding finding = judge(fixture, "", named ? NULL : "203.0.113.1", true);
            assert_int_equal(finding.verdict, round == 1 ? FLOW_INSPECT : FLOW_REFUSE);
            assert_int_equal(finding.reason, round == 1 ? REASON_ALLOWED : REASON_NO_SNI);
        }
    }
    fixture->policy.no_sni = NO_SNI_INSPECT;
    fixture->policy.outside = OUTSIDE_INSPECT;
    fixture->standing.consultation = false;
    assert_int_equal(judge(fixture, "", "203.0.113.1", false).reason, REASON_NOT_WEB);
    assert_int_equal(judge(fixture, "", "203.0.113.1", false).verdict, FLOW_REFUSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* What is never inspected: passed on untouched where it may be opened at all, else refused. */
static void test_never_inspected(void **state)
{
    struct fixture *fixture = *state;
    enum { NOTHING, CONSULTATION, DENY };
    static const struct {
        const char *sni;
        int when;
        enum flow_verdict verdict;
        enum reason reason;
    } cases[] = {
        {"www.bank.example", NOTHING, FLOW_SPLICE, REASON_ALLOWED},
        {"www.bank.example", CONSULTATION, FLOW_REFUSE, REASON_UNVERIFIED_DESTINATION},
        {"www.bank.example", DENY, FLOW_REFUSE, REASON_UNKNOWN_DESTINATION},
        {"bank.example", CONSULTATION, FLOW_REFUSE, REASON_UNVERIFIED_DESTINATION},
        {"mybank.example", NOTHING, FLOW_INSPECT, REASON_ALLOWED},
        /* what the clinic or a service lists, to be inspected even */
        {"clinic.example", CONSULTATION, FLOW_SPLICE, REASON_ALLOWED},
        {"meet.terakoya.example", CONSULTATION, FLOW_SPLICE, REASON_ALLOWED},
        {"clinic.example", DENY, FLOW_SPLICE, REASON_ALLOWED},
        /* nobody can be shown a page in its name */
        {"old.clinic.example", NOTHING, FLOW_REFUSE, REASON_DENIED_DESTINATION},
        {"us04file.terakoya.example", NOTHING, FLOW_REFUSE, REASON_CHAT_ATTACHMENT},
    };

    fixture->policy.never = hostset_new();
    fixture_add(fixture->policy.never, ".bank.example", 0, 90);
    fixture_add(fixture->policy.never, ".clinic.example", 0, 91);
    fixture_add(fixture->policy.never, ".terakoya.example", 0, 92);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int is_http = 0; is_http < 2; is_http++) {
            fixture->standing.consultation = cases[i].when == CONSULTATION;
            fixture->policy.outside = cases[i].when == DENY ? OUTSIDE_DENY : OUTSIDE_INSPECT;
            struct flow_finding finding = judge(fixture, cases[i].sni, NULL, is_http);
            if (cases[i].verdict == FLOW_INSPECT && !is_http)
                continue;
            if (finding.verdict != cases[i].verdict || finding.reason != cases[i].reason)
                fail_msg("%s, row %zu: %d %s", cases[i].sni, i, finding.verdict,
                         reason_code(finding.reason));
        }
    fixture_release(fixture, RELEASE_HOST, "www.bank.example", 60);
    fixture->standing.consultation = true;
    assert_int_equal(judge(fixture, "www.bank.example", NULL, true).verdict, FLOW_SPLICE);
    assert_int_equal(judge(fixture, "www.bank.example", NULL, true).class, CLASS_RELEASED);
    hostset_free(fixture->policy.never);
    fixture->policy.never = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_never_inspected),
        TEST(test_name_counts_before_address),
        TEST(test_releases),
        TEST(test_denied_call_host_is_no_sign),
        TEST(test_addresses),
        TEST(test_no_sni),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
