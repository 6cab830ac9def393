/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules over a chain. Every row makes a root, a CA and a leaf, one of which breaks one rule:
 * the whole verification must find it, and the rules by themselves (without OpenSSL's own
 * verification before them) must too, unless the row says that it is OpenSSL's to find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/certificate_verify.h"
#include "gateway/chain.h"
#include "tests/unit/certificate_recipe.h"

struct row {
    const char *label, *verdict;
    const char *name; /* NULL: www.example.jp */
    struct recipe leaf, ca, root;
    bool by_openssl; /* the rules alone do not see it */
};

/* --- tweaks --- */

static void set_serial(X509 *certificate, const char *bytes, int size)
{
    ASN1_STRING_set(X509_get_serialNumber(certificate), bytes, size);
}

static void serial_zero(X509 *certificate)
{
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0);
}

static void serial_negative(X509 *certificate)
{
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), -7);
}

static void serial_longest(X509 *certificate)
{
    set_serial(certificate, "\x7f\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24", 20);
}

static void serial_too_long(X509 *certificate)
{
    set_serial(certificate, "\x80\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24", 20);
}

static void set_end(X509 *certificate, int type, const char *text)
{
    ASN1_TIME *end = X509_getm_notAfter(certificate);

    ASN1_STRING_set(end, text, -1);
    end->type = type;
}

static void end_general_early(X509 *certificate)
{
    set_end(certificate, V_ASN1_GENERALIZEDTIME, "20490101000000Z");
}

static void end_general(X509 *certificate)
{
    set_end(certificate, V_ASN1_GENERALIZEDTIME, "20500101000000Z");
}

static void end_fraction(X509 *certificate)
{
    set_end(certificate, V_ASN1_GENERALIZEDTIME, "20500101000000.5Z");
}

static void end_no_seconds(X509 *certificate)
{
    set_end(certificate, V_ASN1_UTCTIME, "4901010000Z");
}

static void end_offset(X509 *certificate)
{
    set_end(certificate, V_ASN1_UTCTIME, "490101000000+0900");
}

static void no_subject(X509 *certificate)
{
    X509_NAME *nobody = X509_NAME_new();

    X509_set_subject_name(certificate, nobody);
    X509_NAME_free(nobody);
}

static void no_issuer(X509 *certificate)
{
    X509_NAME *nobody = X509_NAME_new();

    X509_set_issuer_name(certificate, nobody);
    X509_NAME_free(nobody);
}

static void ancient(X509 *certificate)
{
    ASN1_TIME_set_string(X509_getm_notBefore(certificate), "700101000001Z");
}

/* An authority identifier that names another key. */
#define OTHER_KEY EXTRA("authorityKeyIdentifier", false, "\x30\6\x80\4\1\2\3\4")

static const struct row rows[] = {
    {.label = "good", .verdict = "ok"},

    {.label = "version 1 root", .verdict = "not-ca", .root.v1 = true},

    {.label = "serial 0", .verdict = "serial", .leaf.tweak = serial_zero},
    {.label = "serial below 0", .verdict = "serial", .leaf.tweak = serial_negative},
    {.label = "serial of 21 octets", .verdict = "serial", .ca.tweak = serial_too_long},
    {.label = "serial of 20 octets", .verdict = "ok", .leaf.tweak = serial_longest},
    {.label = "root with serial 0", .verdict = "ok", .root.tweak = serial_zero},

    {.label = "2050", .verdict = "ok", .leaf.tweak = end_general},
    {.label = "general time in 2049", .verdict = "validity", .leaf.tweak = end_general_early},
    {.label = "fraction of a second", .verdict = "validity", .leaf.tweak = end_fraction},
    {.label = "no seconds", .verdict = "validity", .ca.tweak = end_no_seconds},
    {.label = "not Zulu", .verdict = "validity", .leaf.tweak = end_offset},

    {.label = "leaf of no issuer", .verdict = "untrusted", .leaf.tweak = no_issuer},
    {.label = "anonymous CA", .verdict = "untrusted", .ca.tweak = no_subject},
    {.label = "anonymous leaf",
     .verdict = "ok",
     .leaf.tweak = no_subject,
     .leaf.names = "critical,DNS:www.example.jp"},
    {.label = "anonymous leaf, names not critical",
     .verdict = "extension",
     .leaf.tweak = no_subject},
    {.label = "critical names of a leaf with a subject",
     .verdict = "extension",
     .leaf.names = "critical,DNS:www.example.jp"},

    {.label = "CA without usage", .verdict = "ca-leaf", .leaf.constraints = "critical,CA:TRUE"},
    {.label = "leaf may sign certificates",
     .verdict = "ca-leaf",
     .leaf.usage = "critical,digitalSignature,keyCertSign"},
    {.label = "leaf without constraints", .verdict = "ok", .leaf.constraints = ""},
    {.label = "no purpose", .verdict = "purpose", .leaf.purpose = ""},
    {.label = "any purpose too",
     .verdict = "purpose",
     .leaf.purpose = "serverAuth,anyExtendedKeyUsage"},
    {.label = "signs programs too", .verdict = "purpose", .leaf.purpose = "serverAuth,codeSigning"},
    {.label = "signs OCSP too", .verdict = "purpose", .leaf.purpose = "serverAuth,OCSPSigning"},
    {.label = "critical purpose", .verdict = "extension", .leaf.purpose = "critical,serverAuth"},
    {.label = "clients too", .verdict = "ok", .leaf.purpose = "serverAuth,clientAuth"},
    {.label = "CA for servers", .verdict = "ok", .ca.purpose = "serverAuth,clientAuth"},
    {.label = "CA for mail", .verdict = "purpose", .ca.purpose = "emailProtection"},
    {.label = "CA for gated cryptography", .verdict = "purpose", .ca.purpose = "nsSGC"},
    {.label = "root with purposes", .verdict = "purpose", .root.purpose = "serverAuth"},
    {.label = "old root with purposes",
     .verdict = "ok",
     .root.purpose = "serverAuth",
     .root.tweak = make_old},

    {.label = "CA says nothing of itself", .verdict = "not-ca", .ca.constraints = ""},
    {.label = "CA without key usage", .verdict = "not-ca", .ca.usage = "", .by_openssl = true},
    {.label = "root without key usage", .verdict = "ok", .root.usage = ""},
    {.label = "root that may not sign", .verdict = "not-ca", .root.usage = "critical,cRLSign"},
    {.label = "root says nothing of itself", .verdict = "not-ca", .root.constraints = ""},
    {.label = "lax root", .verdict = "extension", .root.constraints = "CA:TRUE"},
    {.label = "lax old root",
     .verdict = "ok",
     .root.constraints = "CA:TRUE",
     .root.tweak = make_old},
    {.label = "lax root older than the rules",
     .verdict = "extension",
     .root.constraints = "CA:TRUE",
     .root.tweak = ancient},
    {.label = "root without identifier", .verdict = "key-identifier", .root.identifier = ""},
    {.label = "old root without identifier",
     .verdict = "ok",
     .root.identifier = "",
     .root.tweak = make_old},
    {.label = "root that names itself", .verdict = "ok", .root.authority = "keyid:always"},
    {.label = "root that names another key",
     .verdict = "key-identifier",
     .root.extra[0] = OTHER_KEY},
    {.label = "root that names no key",
     .verdict = "key-identifier",
     .root.extra[0] = EXTRA("authorityKeyIdentifier", false, "\x30\0")},
    {.label = "leaf that names no key",
     .verdict = "key-identifier",
     .leaf.authority = "",
     .leaf.extra[0] = EXTRA("authorityKeyIdentifier", false, "\x30\0")},
    {.label = "leaf that names another key",
     .verdict = "untrusted",
     .leaf.authority = "",
     .leaf.extra[0] = OTHER_KEY},
    {.label = "leaf with half an issuer",
     .verdict = "untrusted",
     .leaf.authority = "",
     .leaf.extra[0] = EXTRA("authorityKeyIdentifier", false, "\x30\3\x82\1\7")},
    {.label = "no authority identifier", .verdict = "key-identifier", .leaf.authority = ""},
    {.label = "CA without identifier", .verdict = "key-identifier", .ca.identifier = ""},
    {.label = "critical identifier",
     .verdict = "critical",
     .leaf.identifier = "",
     .leaf.extra[0] = EXTRA("subjectKeyIdentifier", true, "\4\2\1\2")},

    {.label = "the same extension twice",
     .verdict = "extension",
     .leaf.extra = {EXTRA("1.3.6.1.4.1.99999.2", false, "\5\0"),
                    EXTRA("1.3.6.1.4.1.99999.2", false, "\5\0")}},
    {.label = "an unknown one",
     .verdict = "ok",
     .leaf.extra[0] = EXTRA("1.3.6.1.4.1.99999.2", false, "anything")},
    {.label = "malformed access",
     .verdict = "extension",
     .leaf.extra[0] = EXTRA("authorityInfoAccess", false, "http")},
    {.label = "empty access",
     .verdict = "extension",
     .leaf.extra[0] = EXTRA("authorityInfoAccess", false, "\x30\0")},
    {.label = "malformed distribution points",
     .verdict = "untrusted",
     .ca.extra[0] = EXTRA("crlDistributionPoints", false, "\x30\3\1\2")},
    {.label = "bytes after the end",
     .verdict = "extension",
     .leaf.extra[0] = EXTRA("issuerAltName", false, "\x30\5\x82\3y.z!")},
    {.label = "empty purpose",
     .verdict = "purpose",
     .leaf.purpose = "",
     .leaf.extra[0] = EXTRA("extendedKeyUsage", false, "\x30\0")},
    {.label = "empty names",
     .verdict = "extension",
     .leaf.names = "",
     .leaf.extra[0] = EXTRA("subjectAltName", false, "\x30\0")},
    {.label = "no usage at all",
     .verdict = "extension",
     .leaf.usage = "",
     .leaf.extra[0] = EXTRA("keyUsage", true, "\3\2\7\0")},
    {.label = "leaf with constraints on names",
     .verdict = "extension",
     .leaf.limits = "critical,permitted;DNS:example.jp"},
    {.label = "leaf bounds CAs",
     .verdict = "extension",
     .leaf.constraints = "critical,CA:FALSE,pathlen:0"},
    {.label = "a precertificate",
     .verdict = "critical",
     .leaf.extra[0] = EXTRA("1.3.6.1.4.1.11129.2.4.3", true, "\5\0")},
    /* Where the CA has no policies beside its constraints OpenSSL 3.0 loses 42 bytes. */
    {.label = "policy constraints not critical",
     .verdict = "extension",
     .ca.extra = {EXTRA("certificatePolicies", false, "\x30\6\x30\4\6\2\x2a\3"),
                  EXTRA("policyConstraints", false, "\x30\3\x80\1\5")}},
    {.label = "a policy is demanded",
     .verdict = "policy",
     .ca.extra = {EXTRA("certificatePolicies", false, "\x30\6\x30\4\6\2\x2a\3"),
                  EXTRA("policyConstraints", true, "\x30\3\x80\1\0")},
     .by_openssl = true},
    {.label = "a policy is demanded and there",
     .verdict = "ok",
     .leaf.extra[0] = EXTRA("certificatePolicies", false, "\x30\6\x30\4\6\2\x2a\3"),
     .ca.extra = {EXTRA("certificatePolicies", false, "\x30\6\x30\4\6\2\x2a\3"),
                  EXTRA("policyConstraints", true, "\x30\3\x80\1\0")}},
    {.label = "a policy twice",
     .verdict = "extension",
     .leaf.extra[0] =
         EXTRA("certificatePolicies", false, "\x30\14\x30\4\6\2\x2a\3\x30\4\6\2\x2a\3")},

    {.label = "underscore", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:a_b.jp"},
    {.label = "final dot", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:a.jp."},
    {.label = "first dot", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:.a.jp"},
    {.label = "hyphen at the end", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:a-.jp"},
    {.label = "wildcard within a label",
     .verdict = "san",
     .leaf.names = "DNS:www.example.jp,DNS:f*.jp"},
    {.label = "wildcard alone", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:*"},
    {.label = "two wildcards", .verdict = "san", .leaf.names = "DNS:www.example.jp,DNS:*.*.jp"},
    {.label = "address as a name",
     .verdict = "san",
     .leaf.names = "DNS:www.example.jp,DNS:192.0.2.7"},
    {.label = "label of 63",
     .verdict = "ok",
     .leaf.names = "DNS:www.example.jp,DNS:"
                   "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.jp"},
    {.label = "label of 64",
     .verdict = "san",
     .leaf.names = "DNS:www.example.jp,DNS:"
                   "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234.jp"},
    {.label = "mail without a host", .verdict = "san", .leaf.names = "DNS:www.example.jp,email:a@"},
    {.label = "mail", .verdict = "ok", .leaf.names = "DNS:www.example.jp,email:a@example.jp"},
    {.label = "URI", .verdict = "ok", .leaf.names = "DNS:www.example.jp,URI:https://example.jp/"},
    {.label = "no URI", .verdict = "san", .leaf.names = "DNS:www.example.jp,URI:example"},
    {.label = "address of three bytes",
     .verdict = "san",
     .leaf.names = "",
     .leaf.extra[0] = EXTRA("subjectAltName", false, "\x30\x15\x82\16www.example.jp\x87\3\1\2\3")},
    {.label = "a CA's names too", .verdict = "san", .ca.names = "DNS:a_b.jp"},

    {.label = "permitted", .verdict = "ok", .ca.limits = "critical,permitted;DNS:example.jp"},
    {.label = "constraints not critical", .verdict = "ok", .ca.limits = "permitted;DNS:example.jp"},
    {.label = "not permitted, not critical",
     .verdict = "name-constraints",
     .ca.limits = "permitted;DNS:example.com"},
    {.label = "the root's constraints",
     .verdict = "name-constraints",
     .root.limits = "critical,excluded;DNS:example.jp"},
    {.label = "permitted is not a suffix of letters",
     .verdict = "name-constraints",
     .leaf.names = "DNS:www.example.jp",
     .ca.limits = "critical,permitted;DNS:ample.jp"},
    {.label = "all excluded",
     .verdict = "name-constraints",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\6\xa1\4\x30\2\x82\0")},
    {.label = "wildcard reaches into what is excluded",
     .verdict = "name-constraints",
     .leaf.names = "DNS:*.example.jp",
     .ca.limits = "critical,excluded;DNS:mail.example.jp"},
    {.label = "wildcard beside what is excluded",
     .verdict = "ok",
     .leaf.names = "DNS:*.example.jp",
     .ca.limits = "critical,excluded;DNS:a.mail.example.jp"},
    {.label = "wildcard wider than what is permitted",
     .verdict = "name-constraints",
     .leaf.names = "DNS:*.example.jp",
     .ca.limits = "critical,permitted;DNS:www.example.jp"},
    {.label = "wildcard as wide as what is permitted",
     .verdict = "ok",
     .leaf.names = "DNS:*.example.jp",
     .ca.limits = "critical,permitted;DNS:example.jp"},
    {.label = "constraint with a first dot",
     .verdict = "name-constraints",
     .ca.limits = "critical,permitted;DNS:.example.jp"},
    {.label = "constraint with a wildcard",
     .verdict = "name-constraints",
     .ca.limits = "critical,excluded;DNS:*.example.com"},
    {.label = "mask with a hole",
     .verdict = "name-constraints",
     .ca.limits = "critical,excluded;IP:192.0.2.0/255.0.255.0"},
    {.label = "half an address",
     .verdict = "name-constraints",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\12\xa1\10\x30\6\x87\4\1\2\3\4")},
    {.label = "address excluded",
     .verdict = "name-constraints",
     .name = "192.0.2.7",
     .leaf.names = "IP:192.0.2.7",
     .ca.limits = "critical,excluded;IP:192.0.2.0/255.255.255.0",
     .by_openssl = true},
    {.label = "empty constraints",
     .verdict = "extension",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\0")},
    {.label = "empty lists",
     .verdict = "name-constraints",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\4\xa0\0\xa1\0")},
    {.label = "malformed constraints",
     .verdict = "untrusted",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\7\xa1")},
    {.label = "from the first level on",
     .verdict = "name-constraints",
     .ca.extra[0] = EXTRA("nameConstraints", true, "\x30\12\xa1\10\x30\6\x82\1z\x80\1\1")},

    {.label = "SHA-1", .verdict = "weak-signature", .leaf.digest = "SHA1"},
    {.label = "SHA-1 root", .verdict = "ok", .root.digest = "SHA1"},
    {.label = "modulus of 2050 bits", .verdict = "weak-key", .leaf.key = RSA2050},
    {.label = "modulus of 2050 bits, CA", .verdict = "weak-key", .ca.key = RSA2050},
    {.label = "RSA", .verdict = "ok", .leaf.key = RSA2048, .ca.key = RSA2048},
    {.label = "secp256k1", .verdict = "weak-key", .leaf.key = SECP256K1},
    {.label = "secp256k1 root", .verdict = "weak-key", .root.key = SECP256K1},
};

/* --- a chain --- */

struct trio {
    struct made root, ca, leaf;
};

static EVP_PKEY *keys[3][KEY_COUNT];

static EVP_PKEY *key_of(size_t role, enum key kind)
{
    if (!keys[role][kind])
        keys[role][kind] = make_key(kind);
    assert_non_null(keys[role][kind]);
    EVP_PKEY_up_ref(keys[role][kind]);
    return keys[role][kind];
}

static struct trio make_trio(const struct row *row)
{
    struct trio trio;
    struct made root_twin, ca_twin;

    trio.root = make(&row->root, &usual_root, NULL, key_of(0, row->root.key));
    root_twin = make_twin(&trio.root, "root", &usual_root);
    trio.ca = make(&row->ca, &usual_ca, &root_twin, key_of(1, row->ca.key));
    ca_twin = make_twin(&trio.ca, "between", &usual_ca);
    trio.leaf = make(&row->leaf, &usual_leaf, &ca_twin, key_of(2, row->leaf.key));
    discard(&root_twin);
    discard(&ca_twin);
    return trio;
}

static void discard_trio(struct trio *trio)
{
    discard(&trio->leaf);
    discard(&trio->ca);
    discard(&trio->root);
}

/* Through DER, as it comes from a peer. */
static X509 *received(const X509 *certificate)
{
    unsigned char *der = NULL;
    int size = i2d_X509((X509 *)certificate, &der);
    const unsigned char *at = der;
    X509 *copy = d2i_X509(NULL, &at, size);

    OPENSSL_free(der);
    assert_non_null(copy);
    return copy;
}

static struct certificate_name name_of(const char *host)
{
    struct certificate_name name;

    assert_true(certificate_name_read(span_of(host), &name));
    return name;
}

/* `others` are consumed. */
static enum certificate_verdict verify(X509 *leaf, STACK_OF(X509) * others, X509 *const *roots,
                                       size_t root_count, int64_t moment)
{
    struct certificate_name name = name_of("www.example.jp");
    X509_STORE *store = X509_STORE_new();
    enum certificate_verdict verdict;

    for (size_t i = 0; i < root_count; i++)
        X509_STORE_add_cert(store, roots[i]);
    verdict = certificate_chain_verify(
        &(struct certificate_question){
            .trust = store, .leaf = leaf, .others = others, .name = &name, .time = moment},
        NULL);
    X509_STORE_free(store);
    sk_X509_pop_free(others, X509_free);
    return verdict;
}

static enum certificate_verdict verify_row(const struct row *row, X509 *leaf, X509 *ca, X509 *root,
                                           bool alone)
{
    struct certificate_name name = name_of(row->name ? row->name : "www.example.jp");
    STACK_OF(X509) *stack = sk_X509_new_null();
    enum certificate_verdict verdict;
    int64_t now = (int64_t)time(NULL);

    if (alone)
        sk_X509_push(stack, leaf);
    sk_X509_push(stack, ca);
    if (alone)
        sk_X509_push(stack, root);
    if (alone) {
        verdict = chain_check(stack, &name, now).verdict;
    } else {
        X509_STORE *store = X509_STORE_new();
        X509_STORE_add_cert(store, root);
        verdict = certificate_chain_verify(
            &(struct certificate_question){
                .trust = store, .leaf = leaf, .others = stack, .name = &name, .time = now},
            NULL);
        X509_STORE_free(store);
    }
    sk_X509_free(stack);
    return verdict;
}

/* Whether the verdicts are right; all rows that are not are told. */
static bool run_row(const struct row *row)
{
    struct trio trio = make_trio(row);
    X509 *leaf = received(trio.leaf.certificate), *ca = received(trio.ca.certificate),
         *root = received(trio.root.certificate);
    const char *whole = certificate_verdict_code(verify_row(row, leaf, ca, root, false));
    enum certificate_verdict alone = verify_row(row, leaf, ca, root, true);

    bool right = !strcmp(whole, row->verdict);
    bool seen = row->by_openssl || (alone == VERDICT_OK) == !strcmp(row->verdict, "ok");

    if (!right)
        print_error("%s: %s instead of %s\n", row->label, whole, row->verdict);
    if (!seen)
        print_error("%s: %s by the rules alone\n", row->label, certificate_verdict_code(alone));
    X509_free(leaf);
    X509_free(ca);
    X509_free(root);
    discard_trio(&trio);
    return right && seen;
}

static void test_rows(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        wrong += !run_row(&rows[i]);
    assert_int_equal(wrong, 0);
}

/* --- what no row can say --- */

static void test_last_second(void **state)
{
    struct trio trio = make_trio(&rows[0]);
    int64_t end = chain_time(X509_get0_notAfter(trio.leaf.certificate));
    int64_t begin = chain_time(X509_get0_notBefore(trio.leaf.certificate));
    static const struct {
        bool from_end;
        int offset;
        enum certificate_verdict verdict;
    } moments[] = {{true, 0, VERDICT_OK},
                   {true, 1, VERDICT_EXPIRED},
                   {false, 0, VERDICT_OK},
                   {false, -1, VERDICT_NOT_YET_VALID}};

    (void)state;
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        STACK_OF(X509) *others = sk_X509_new_null();
        sk_X509_push(others, received(trio.ca.certificate));
        assert_int_equal(verify(trio.leaf.certificate, others, &trio.root.certificate, 1,
                                (moments[i].from_end ? end : begin) + moments[i].offset),
                         moments[i].verdict);
    }
    discard_trio(&trio);
}

/* A CA with several certificates: the bad ones are gone around, as far as there is patience. */
static void test_other_ways(void **state)
{
    static const struct recipe bad[] = {{.begin = -9 * DAY, .end = -DAY},
                                        {.digest = "SHA1"},
                                        {.limits = "critical,permitted;DNS:example.com"},
                                        {.purpose = "emailProtection"}};
    struct trio trio = make_trio(&rows[0]);
    int64_t now = (int64_t)time(NULL);
    STACK_OF(X509) * others;

    (void)state;
    for (int with_good = 0; with_good < 2; with_good++) {
        others = sk_X509_new_null();
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            struct made other = make(&bad[i], &usual_ca, &trio.root, key_of(1, P256));
            sk_X509_push(others, received(other.certificate));
            discard(&other);
        }
        if (with_good)
            sk_X509_push(others, received(trio.ca.certificate));
        enum certificate_verdict verdict =
            verify(trio.leaf.certificate, others, &trio.root.certificate, 1, now);
        assert_int_equal(verdict == VERDICT_OK, with_good);
        assert_int_not_equal(verdict, VERDICT_INTERNAL);
    }

    /* Two hundred bad ones before the good one are too many. */
    others = sk_X509_new_null();
    for (int i = 0; i < 200; i++) {
        struct made other = make(&bad[2], &usual_ca, &trio.root, key_of(1, P256));
        sk_X509_push(others, received(other.certificate));
        discard(&other);
    }
    sk_X509_push(others, received(trio.ca.certificate));
    assert_int_equal(verify(trio.leaf.certificate, others, &trio.root.certificate, 1, now),
                     VERDICT_NAME_CONSTRAINTS);
    discard_trio(&trio);
}

/* A CA that another has issued may stand in the bundle by itself. */
static void test_issued_anchor(void **state)
{
    struct trio trio = make_trio(&rows[0]);

    (void)state;
    assert_int_equal(verify(trio.leaf.certificate, sk_X509_new_null(), &trio.ca.certificate, 1,
                            (int64_t)time(NULL)),
                     VERDICT_OK);
    assert_int_equal(chain_check_anchor(trio.ca.certificate), VERDICT_OK);
    discard_trio(&trio);
}

/* More names than a CA's constraints may be asked about. */
static void test_work_is_bounded(void **state)
{
    struct trio trio = make_trio(&rows[0]);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    STACK_OF(X509) *chain = sk_X509_new_null();
    char text[64];

    (void)state;
    constraints->excludedSubtrees = sk_GENERAL_SUBTREE_new_null();
    for (int i = 0; i < 300; i++) {
        GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
        snprintf(text, sizeof(text), "n%d.example.com", i);
        GENERAL_NAME_free(subtree->base);
        subtree->base = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, text, 0);
        sk_GENERAL_SUBTREE_push(constraints->excludedSubtrees, subtree);
        snprintf(text, sizeof(text), "n%d.example.jp", i);
        sk_GENERAL_NAME_push(names, a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, text, 0));
    }
    X509_add1_ext_i2d(trio.leaf.certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE);
    X509_add1_ext_i2d(trio.ca.certificate, NID_name_constraints, constraints, 1, 0);
    sk_X509_push(chain, trio.leaf.certificate);
    sk_X509_push(chain, trio.ca.certificate);
    assert_int_equal(chain_check_constraints(chain).verdict, VERDICT_NAME_CONSTRAINTS);
    sk_X509_free(chain);
    GENERAL_NAMES_free(names);
    NAME_CONSTRAINTS_free(constraints);
    discard_trio(&trio);
}

/* --- keys and signatures --- */

static EVP_PKEY *rsa_key(const BIGNUM *modulus, BN_ULONG exponent_word)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *exponent = BN_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    BN_set_word(exponent, exponent_word);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BN_free(exponent);
    return key;
}

static bool rsa_strong(const BIGNUM *modulus, BN_ULONG exponent)
{
    EVP_PKEY *key = rsa_key(modulus, exponent);
    bool strong = chain_key_strong(key);

    EVP_PKEY_free(key);
    return strong;
}

static void test_rsa_numbers(void **state)
{
    EVP_PKEY *good = key_of(2, RSA2048);
    BIGNUM *modulus = NULL;

    (void)state;
    assert_int_equal(EVP_PKEY_get_bn_param(good, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
    assert_true(rsa_strong(modulus, 65537));
    assert_true(rsa_strong(modulus, 3));
    assert_false(rsa_strong(modulus, 1));
    assert_false(rsa_strong(modulus, 4));
    BN_sub_word(modulus, BN_mod_word(modulus, 751)); /* the largest small prime divides it */
    if (!BN_is_odd(modulus))
        BN_add_word(modulus, 751);
    assert_false(rsa_strong(modulus, 65537));
    BN_clear_bit(modulus, 0);
    assert_false(rsa_strong(modulus, 65537));
    BN_free(modulus);
    EVP_PKEY_free(good);
}

/* The algorithm beside the signature is not under it. */
static void test_algorithms(void **state)
{
    struct trio trio = make_trio(&rows[0]);
    const X509_ALGOR *outer;
    X509 *leaf = trio.leaf.certificate;

    (void)state;
    X509_get0_signature(NULL, &outer, leaf);
    assert_int_equal(chain_check_signature(leaf), VERDICT_OK);
    X509_ALGOR_set0((X509_ALGOR *)outer, OBJ_nid2obj(NID_ecdsa_with_SHA384), V_ASN1_UNDEF, NULL);
    assert_int_equal(chain_check_signature(leaf), VERDICT_ALGORITHM);
    X509_ALGOR *inner = (X509_ALGOR *)X509_get0_tbs_sigalg(leaf);
    X509_ALGOR_set0(inner, OBJ_nid2obj(NID_ecdsa_with_SHA384), V_ASN1_UNDEF, NULL);
    assert_int_equal(chain_check_signature(leaf), VERDICT_OK);
    X509_ALGOR_set0(inner, OBJ_nid2obj(NID_ecdsa_with_SHA384), V_ASN1_NULL, NULL);
    X509_ALGOR_set0((X509_ALGOR *)outer, OBJ_nid2obj(NID_ecdsa_with_SHA384), V_ASN1_NULL, NULL);
    assert_int_equal(chain_check_signature(leaf), VERDICT_ALGORITHM);
    X509_ALGOR_set0(inner, OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_UNDEF, NULL);
    X509_ALGOR_set0((X509_ALGOR *)outer, OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_UNDEF,
                    NULL);
    assert_int_equal(chain_check_signature(leaf), VERDICT_ALGORITHM);
    discard_trio(&trio);
}

/* issuerUniqueID, which no library writes any more: put before the extensions by hand. */
static void test_unique_identifiers(void **state)
{
    static const unsigned char unique[] = {0x81, 2, 0, 0xff};
    struct trio trio = make_trio(&rows[0]);
    unsigned char *der = NULL, *at;
    int size = i2d_X509(trio.leaf.certificate, &der), tbs_size, before = 0;
    struct certificate_name name = name_of("www.example.jp");
    STACK_OF(X509) *chain = sk_X509_new_null();

    (void)state;
    /* SEQUENCE, SEQUENCE (both with two bytes of length), ..., [3] to the end of the inner one. */
    assert_int_equal(der[5], 0x82);
    tbs_size = der[6] << 8 | der[7];
    for (int i = 8; i < 8 + tbs_size && !before; i++)
        if (der[i] == 0xa3 &&
            ((der[i + 1] == 0x82 && i + 4 + (der[i + 2] << 8 | der[i + 3]) == 8 + tbs_size) ||
             (der[i + 1] == 0x81 && i + 3 + der[i + 2] == 8 + tbs_size)))
            before = i;
    assert_true(before > 0);
    unsigned char *made = memory_allocate((size_t)size + sizeof(unique), 1);
    memcpy(made, der, (size_t)before);
    memcpy(made + before, unique, sizeof(unique));
    memcpy(made + before + sizeof(unique), der + before, (size_t)(size - before));
    for (int field = 2; field <= 6; field += 4) {
        unsigned length = (unsigned)(made[field] << 8 | made[field + 1]) + sizeof(unique);
        made[field] = (unsigned char)(length >> 8);
        made[field + 1] = (unsigned char)length;
    }
    at = made;
    X509 *leaf = d2i_X509(NULL, (const unsigned char **)&at, size + (int)sizeof(unique));
    assert_non_null(leaf);
    sk_X509_push(chain, leaf);
    sk_X509_push(chain, trio.ca.certificate);
    sk_X509_push(chain, trio.root.certificate);
    assert_int_equal(chain_check(chain, &name, (int64_t)time(NULL)).verdict, VERDICT_MALFORMED);
    sk_X509_free(chain);
    X509_free(leaf);
    free(made);
    OPENSSL_free(der);
    discard_trio(&trio);
}

static void test_nothing(void **state)
{
    struct certificate_name name = name_of("www.example.jp");
    STACK_OF(X509) *chain = sk_X509_new_null();

    (void)state;
    assert_int_equal(chain_check(chain, &name, 0).verdict, VERDICT_INTERNAL);
    sk_X509_free(chain);
}

static int free_keys(void **state)
{
    (void)state;
    for (size_t role = 0; role < 3; role++)
        for (size_t kind = 0; kind < KEY_COUNT; kind++)
            EVP_PKEY_free(keys[role][kind]);
    return 0;
}

/* No bit of a certificate can be changed: neither of what is signed nor around it. Every one of the
 * first eight bytes is tried, and every third of the others. */
static void test_every_bit(void **state)
{
    struct trio trio = make_trio(&rows[0]);
    int64_t now = (int64_t)time(NULL);
    unsigned char *der = NULL;
    int size = i2d_X509(trio.leaf.certificate, &der), passed = 0;

    (void)state;
    for (int bit = -1; bit < size * 8; bit += bit < 64 ? 1 : 3) {
        STACK_OF(X509) *others = sk_X509_new_null();
        const unsigned char *at = der;
        if (bit >= 0)
            der[bit / 8] ^= (unsigned char)(1U << bit % 8);
        X509 *changed = d2i_X509(NULL, &at, size);
        sk_X509_push(others, received(trio.ca.certificate));
        /* OpenSSL takes no certificate from a peer with bytes left behind it. */
        if (changed && at == der + size) {
            if (verify(changed, others, &trio.root.certificate, 1, now) == VERDICT_OK) {
                if (bit >= 0)
                    fail_msg("bit %d of byte %d of %d", bit % 8, bit / 8, size);
                passed++;
            }
        } else {
            sk_X509_pop_free(others, X509_free);
        }
        X509_free(changed);
        if (bit >= 0)
            der[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_int_equal(passed, 1);
    ERR_clear_error();
    OPENSSL_free(der);
    discard_trio(&trio);
}

/* The bundle of the system may hold such CAs (Debian 12's does); all others in it are let be. */
static void test_distrusted(void **state)
{
    static const char *const names[] = {"TrustCor", "E-Tugra"};
    FILE *bundle = fopen("/etc/ssl/certs/ca-certificates.crt", "r");
    X509 *root;
    int seen = 0;

    (void)state;
    if (!bundle)
        skip();
    while ((root = PEM_read_X509(bundle, NULL, NULL, NULL)) != NULL) {
        char name[512];
        bool is_named = false;
        X509_NAME_oneline(X509_get_subject_name(root), name, sizeof(name));
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            is_named = is_named || strstr(name, names[i]) != NULL;
        if ((chain_check_distrust(root) == VERDICT_UNTRUSTED) != is_named)
            fail_msg("%s", name);
        if (is_named)
            assert_int_equal(chain_check_anchor(root), VERDICT_UNTRUSTED);
        X509_free(root);
        seen++;
    }
    ERR_clear_error();
    fclose(bundle);
    assert_true(seen > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_last_second),
        cmocka_unit_test(test_other_ways),
        cmocka_unit_test(test_issued_anchor),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_rsa_numbers),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_unique_identifiers),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_distrusted),
        cmocka_unit_test(test_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, free_keys);
}
