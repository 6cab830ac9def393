/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client offers of TLS: what is kept of it, in which order, what is refused; and that
 * origins are offered exactly this by real handshakes, and clients served with what those chose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/certificate_tls.h"
#include "gateway/hello.h"
#include "gateway/offer.h"
#include "tests/unit/tls_pair.h"

#define END 0xffff /* of a list; 0 is TLS_NULL_WITH_NULL_NULL */

struct case_of_settling {
    const char *label;
    uint16_t versions[4], suites[12], groups[8], signatures[8];
    bool no_groups, no_signatures; /* the extension is absent */
    const char *refused;           /* a word of it; NULL: it is served */
    const char *suites13, *suites12, *named, *signed_by;
};

#define GOOD_GROUPS                                                                                \
    {                                                                                              \
        0x001d, 0x0017, END                                                                        \
    }
#define GOOD_SIGNATURES                                                                            \
    {                                                                                              \
        0x0403, 0x0804, END                                                                        \
    }

static const struct case_of_settling cases[] = {
    {"a browser: its order, GREASE and the unknown passed over",
     {0x4a4a, 0x0304, 0x0303, END},
     {0x4a4a, 0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc013, 0x009c, 0x002f, END},
     {0x4a4a, 0x11ec, 0x001d, 0x0017, 0x0018, 0x0100, END},
     {0x0403, 0x0804, 0x0401, 0x0201, END},
     false,
     false,
     NULL,
     "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384",
     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
     "ECDHE-RSA-CHACHA20-POLY1305",
     "X25519:P-256:P-384",
     "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:rsa_pkcs1_sha256"},
    {"twice the same",
     {0x0304, 0x0304, END},
     {0x1302, 0x1302, END},
     {0x0018, 0x0018, END},
     {0x0403, 0x0403, END},
     false,
     false,
     NULL,
     "TLS_AES_256_GCM_SHA384",
     "",
     "P-384",
     "ecdsa_secp256r1_sha256"},
    {"RSA alone of one suite",
     {0x0303, END},
     {0xc030, 0xc02f, 0xc02b, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     NULL,
     "",
     "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256",
     "X25519:P-256",
     "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"},
    {"1.3 without a suite of it",
     {0x0304, 0x0303, END},
     {0xc02b, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     NULL,
     "",
     "ECDHE-ECDSA-AES128-GCM-SHA256",
     "X25519:P-256",
     "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"},
    {"1.2 without P-256",
     {0x0304, 0x0303, END},
     {0x1301, 0xc02b, END},
     {0x001d, END},
     GOOD_SIGNATURES,
     false,
     false,
     NULL,
     "TLS_AES_128_GCM_SHA256",
     NULL,
     "X25519",
     "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"},
    {"1.2 without a list of groups",
     {0x0303, END},
     {0xc02b, END},
     {END},
     GOOD_SIGNATURES,
     true,
     false,
     NULL,
     "",
     "ECDHE-ECDSA-AES128-GCM-SHA256",
     "P-256",
     "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"},
    {"1.3 without a list of groups",
     {0x0304, END},
     {0x1301, END},
     {END},
     GOOD_SIGNATURES,
     true,
     false,
     "group",
     NULL,
     NULL,
     NULL,
     NULL},
    {"TLS 1.1",
     {0x0302, 0x0301, END},
     {0xc02b, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     "TLS 1.2",
     NULL,
     NULL,
     NULL,
     NULL},
    {"no suite",
     {0x0303, END},
     {0xc013, 0x002f, 0x0000, 0x00ff, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     "suite",
     NULL,
     NULL,
     NULL,
     NULL},
    {"CCM-8 alone",
     {0x0304, END},
     {0x1305, 0x1304, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     "suite",
     NULL,
     NULL,
     NULL,
     NULL},
    {"RSA alone",
     {0x0303, END},
     {0xc02f, 0xc030, 0xcca8, END},
     GOOD_GROUPS,
     GOOD_SIGNATURES,
     false,
     false,
     "suite",
     NULL,
     NULL,
     NULL,
     NULL},
    {"no group that is spoken",
     {0x0304, END},
     {0x1301, END},
     {0x001e, 0x11ec, END},
     GOOD_SIGNATURES,
     false,
     false,
     "group",
     NULL,
     NULL,
     NULL,
     NULL},
    {"does not verify our leaves",
     {0x0304, END},
     {0x1301, END},
     GOOD_GROUPS,
     {0x0804, END},
     false,
     false,
     "verify",
     NULL,
     NULL,
     NULL,
     NULL},
    {"SHA-1 by default (RFC 5246 section 7.4.1.4.1)",
     {0x0303, END},
     {0xc02b, END},
     GOOD_GROUPS,
     {END},
     false,
     true,
     "verify",
     NULL,
     NULL,
     NULL,
     NULL},
};

static void add_all(struct offer *offer, enum offer_table table, const uint16_t *codes, bool absent)
{
    if (!absent)
        offer_say(offer, table);
    for (size_t i = 0; codes[i] != END; i++)
        offer_add(offer, table, codes[i]);
}

static void expect_names(const struct case_of_settling *asked, const struct offer *offer,
                         enum offer_table table, uint16_t version, const char *names)
{
    char text[OFFER_TEXT];

    if (names == NULL)
        return;
    offer_names(offer, table, version, text);
    if (strcmp(text, names) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", asked->label, text, names);
}

static void test_settling(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct case_of_settling *asked = &cases[i];
        struct offer offer = {0};
        for (size_t j = 0; asked->versions[j] != END; j++)
            offer_add_version(&offer, asked->versions[j]);
        add_all(&offer, OFFER_SUITES, asked->suites, false);
        add_all(&offer, OFFER_GROUPS, asked->groups, asked->no_groups);
        add_all(&offer, OFFER_SIGNATURES, asked->signatures, asked->no_signatures);
        const char *missing = offer_settle(&offer);
        if ((missing != NULL) != (asked->refused != NULL) ||
            (missing != NULL && strstr(missing, asked->refused) == NULL))
            fail_msg("%s: %s", asked->label, missing ? missing : "served");
        if (missing != NULL)
            continue;
        expect_names(asked, &offer, OFFER_SUITES, TLS1_3_VERSION, asked->suites13);
        expect_names(asked, &offer, OFFER_SUITES, TLS1_2_VERSION, asked->suites12);
        expect_names(asked, &offer, OFFER_GROUPS, 0, asked->named);
        expect_names(asked, &offer, OFFER_SIGNATURES, 0, asked->signed_by);
        if (asked->suites12 == NULL)
            assert_false(offer.tls12);
    }
}

static void test_every_code_is_kept_or_passed_over(void **state)
{
    struct offer offer = {0};

    (void)state;
    for (int table = 0; table < OFFER_TABLES; table++)
        for (uint32_t code = 0; code <= UINT16_MAX; code++)
            for (int twice = 0; twice < 2; twice++)
                offer_add(&offer, (enum offer_table)table, (uint16_t)code);
    assert_int_equal(offer.lists[OFFER_SUITES].count, 9);
    assert_int_equal(offer.lists[OFFER_GROUPS].count, 4);
    assert_int_equal(offer.lists[OFFER_SIGNATURES].count, 10);
    assert_true(offer.is_fallback);
}

static void test_served_suites(void **state)
{
    (void)state;
    assert_string_equal(offer_served_suite(0x1302), "TLS_AES_256_GCM_SHA384");
    assert_string_equal(offer_served_suite(0xc02f), "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_string_equal(offer_served_suite(0xcca8), "ECDHE-ECDSA-CHACHA20-POLY1305");
    assert_null(offer_served_suite(0xc013));
}

/* --- through the library --- */

static SSL_CTX *client_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    assert_true(certificate_tls_prepare(context));
    return context;
}

/* What a client of this context, told to offer that, writes; read back by the core. */
static void read_back(SSL_CTX *context, const struct offer *offer, struct offer *seen)
{
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    char *bytes;

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    assert_true(certificate_tls_offer(ssl, offer));
    assert_int_not_equal(SSL_do_handshake(ssl), 1);
    long size = BIO_get_mem_data(out, &bytes);
    struct hello *hello = hello_new();
    assert_int_equal(hello_feed(hello, (const uint8_t *)bytes, (size_t)size), HELLO_DONE);
    *seen = hello_result(hello)->offer;
    hello_free(hello);
    SSL_free(ssl);
    ERR_clear_error();
}

static void expect_same(const struct offer *wanted, const struct offer *seen)
{
    assert_int_equal(wanted->tls12, seen->tls12);
    assert_int_equal(wanted->tls13, seen->tls13);
    assert_int_equal(wanted->is_fallback, seen->is_fallback);
    for (int table = 0; table < OFFER_TABLES; table++) {
        assert_int_equal(wanted->lists[table].count, seen->lists[table].count);
        assert_memory_equal(wanted->lists[table].rows, seen->lists[table].rows,
                            wanted->lists[table].count);
    }
}

/* Every subset of suites and groups, forwards and backwards: the origin sees what was said, in that
 * order. */
static void test_origins_are_offered_exactly_this(void **state)
{
    SSL_CTX *context = client_context();
    const struct offer whole = offer_whole(TLS1_3_VERSION);
    struct offer seen, offer;

    (void)state;
    for (unsigned set = 1; set < 1U << 9; set++) {
        offer = (struct offer){.tls12 = true, .tls13 = true, .is_fallback = set % 2 == 0};
        offer.lists[OFFER_SIGNATURES] = whole.lists[OFFER_SIGNATURES];
        for (uint8_t i = 0; i < 9; i++) {
            uint8_t row = set % 3 == 0 ? (uint8_t)(8 - i) : i;
            if (set >> row & 1)
                offer.lists[OFFER_SUITES].rows[offer.lists[OFFER_SUITES].count++] = row;
            if (row < 4 && (set >> row & 1 || row == 1))
                offer.lists[OFFER_GROUPS].rows[offer.lists[OFFER_GROUPS].count++] = row;
        }
        offer.tls13 = (set & 7) != 0;
        if (offer_settle(&offer) != NULL)
            continue;
        read_back(context, &offer, &seen);
        /* The library writes the suites of TLS 1.3 first, whatever stands before them. */
        char wanted[OFFER_TEXT], got[OFFER_TEXT];
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            offer_names(&offer, OFFER_SUITES, (uint16_t)version, wanted);
            offer_names(&seen, OFFER_SUITES, (uint16_t)version, got);
            if (version == TLS1_2_VERSION ? offer.tls12 : offer.tls13)
                assert_string_equal(wanted, got);
            else
                assert_string_equal(got, "");
        }
        seen.lists[OFFER_SUITES] = offer.lists[OFFER_SUITES];
        expect_same(&offer, &seen);
    }
    SSL_CTX_free(context);
}

static void test_the_whole_offer(void **state)
{
    SSL_CTX *context = client_context();
    struct offer whole = offer_whole(TLS1_3_VERSION), seen;

    (void)state;
    assert_null(offer_settle(&whole));
    read_back(context, &whole, &seen);
    expect_same(&whole, &seen);
    SSL_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settling),
        cmocka_unit_test(test_every_code_is_kept_or_passed_over),
        cmocka_unit_test(test_served_suites),
        cmocka_unit_test(test_origins_are_offered_exactly_this),
        cmocka_unit_test(test_the_whole_offer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
