/* SPDX-License-Identifier: BSD-2-Clause */
/* Which hosts a subjectAltName speaks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/certificate_name.h"

/* The bytes go into the certificate as they are, whatever they are. */
static bool covers(int type, struct span bytes, const char *host)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *entry = GENERAL_NAME_new();
    ASN1_STRING *value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    struct certificate_name name;

    assert_true(certificate_name_read(span_of(host), &name));
    assert_int_equal(ASN1_STRING_set(value, bytes.data, (int)bytes.size), 1);
    GENERAL_NAME_set0_value(entry, type, value);
    assert_true(sk_GENERAL_NAME_push(names, entry) > 0);
    bool covered = certificate_name_covered(&name, names);
    GENERAL_NAMES_free(names);
    return covered;
}

static void test_covered(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool covered;
    } rows[] = {
        {"example.jp", "example.jp", true},
        {"EXAMPLE.jp", "example.jp", true},
        {"example.jp", "EXAMPLE.JP.", true},
        {"example.jp.", "example.jp", false},
        {"example.jp", "www.example.jp", false},
        {"*.example.jp", "www.example.jp", true},
        {"*.EXAMPLE.jp", "www.example.jp", true},
        {"*.example.jp", "example.jp", false},
        {"*.example.jp", "a.b.example.jp", false},
        {"*.*.example.jp", "a.b.example.jp", false},
        {"w*.example.jp", "www.example.jp", false},
        {"*w.example.jp", "www.example.jp", false},
        {"www.*.jp", "www.example.jp", false},
        {"*", "www.example.jp", false},
        {"*.", "localhost", false},
        {"", "localhost", false},
        {"*.jp", "example.jp", false},       /* a top level */
        {"*.co.jp", "example.co.jp", false}, /* a public suffix */
        {"*.CO.JP", "example.co.jp", false},
        {"*.chiyoda.tokyo.jp", "example.chiyoda.tokyo.jp", false},
        {"*.example.co.jp", "www.example.co.jp", true},
        {"*.github.io", "example.github.io", true}, /* hosting: the list's private part */
        {"*.ck", "example.ck", false},
        {"*.unknown-top", "example.unknown-top", false},
        {"*.clinic.internal", "ehr.clinic.internal", true},
        {"192.0.2.7", "192.0.2.7", false}, /* an address is no DNS name */
        {"*.0.2.7", "192.0.2.7", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (covers(GEN_DNS, span_of(rows[i].pattern), rows[i].host) != rows[i].covered)
            fail_msg("%s for %s", rows[i].pattern, rows[i].host);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    assert_false(covers(GEN_DNS, SPAN("example.jp\0.evil.example"), "example.jp"));
    assert_false(covers(GEN_DNS, SPAN("example.jp\0"), "example.jp"));
    assert_false(covers(GEN_DNS, SPAN("*.example.jp\0"), "www.example.jp"));
    assert_false(covers(GEN_EMAIL, SPAN("example.jp"), "example.jp"));
    assert_false(covers(GEN_URI, SPAN("example.jp"), "example.jp"));
}

static void test_addresses(void **state)
{
    static const char six[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7";

    (void)state;
    assert_true(covers(GEN_IPADD, SPAN("\xc0\0\2\7"), "192.0.2.7"));
    assert_false(covers(GEN_IPADD, SPAN("\xc0\0\2\7"), "192.0.2.8"));
    assert_false(covers(GEN_IPADD, SPAN("\xc0\0\2"), "192.0.2.0"));
    assert_false(covers(GEN_IPADD, SPAN(""), "example.jp"));
    assert_true(covers(GEN_IPADD, (struct span){six, 16}, "2001:db8::7"));
    assert_true(covers(GEN_IPADD, (struct span){six, 16}, "[2001:DB8:0::7]"));
    assert_false(covers(GEN_IPADD, (struct span){six, 4}, "2001:db8::7"));
    /* An address with a mask, as in name constraints, is no address. */
    assert_false(covers(GEN_IPADD, SPAN("\xc0\0\2\7\xff\xff\xff\xff"), "192.0.2.7"));
}

static void test_read(void **state)
{
    static const struct {
        const char *text;
        int address_size; /* -1: refused */
    } rows[] = {
        {"example.jp", 0},
        {"192.0.2.7", 4},
        {"2001:db8::1", 16},
        {"[2001:db8::1]", 16},
        {"localhost", 0},
        {"my_host.jp", 0},
        {"", -1},
        {"1.2.3", -1},
        {"1.2.3.4.5", -1},
        {"0x7f.1", -1},
        {"a.0x1f", -1},
        {"a,b", -1},
        {"*.example", -1},
        {"a b", -1},
        {"::1%lo", -1},
        {"[192.0.2.7]", -1},
    };
    struct certificate_name name;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool read = certificate_name_read(span_of(rows[i].text), &name);
        if (read != (rows[i].address_size >= 0) ||
            (read && name.address_size != (size_t)rows[i].address_size))
            fail_msg("%s", rows[i].text);
    }
    assert_false(certificate_name_read(SPAN("example.jp\0x"), &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covered), cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
