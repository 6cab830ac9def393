/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One list at a time: in pieces and at once, of many, damaged anywhere, signed by keys of every
 * kind. Which forms say something is the table of test_revocation.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/list_recipe.h"

#include "gateway/crl.h"

static struct made root, leaf, other;
static int64_t now;

/* --- */

static enum crl_signature verify_in_pieces(struct crl *crl, X509 *issuer, size_t piece)
{
    enum crl_signature state;
    size_t turns = 0;

    while ((state = crl_verify(crl, issuer, piece)) == CRL_UNDER_WAY) {
        assert_int_equal(crl_signature(crl, issuer), CRL_UNDER_WAY);
        assert_true(++turns < 1000000);
    }
    assert_int_equal(crl_signature(crl, issuer), state);
    return state;
}

static void test_pieces(void **state)
{
    unsigned char *der;
    size_t size =
        make_list_der(&(struct recipe_list){.issuer = &root, .revoked = &leaf}, now, &der);

    (void)state;
    for (size_t piece = 1; piece < 2 * size; piece = piece * 3 + 1) {
        struct crl *crl = crl_new((struct span){(const char *)der, size});
        assert_non_null(crl);
        assert_null(crl_fault(crl));
        assert_int_equal(crl_signature(crl, root.certificate), CRL_UNVERIFIED);
        assert_int_equal(verify_in_pieces(crl, root.certificate, piece), CRL_GOOD);
        assert_false(crl_lists(crl, leaf.certificate)); /* not yet read */
        while (!crl_read(crl, piece))
            ;
        assert_null(crl_fault(crl));
        assert_int_equal(crl_count(crl), 1);
        assert_true(crl_lists(crl, leaf.certificate));
        assert_false(crl_lists(crl, other.certificate));
        assert_int_equal(crl_begin(crl), now - DAY);
        assert_int_equal(crl_end(crl), now + DAY);
        crl_free(crl);
    }
    OPENSSL_free(der);
    crl_free(NULL);
}

/* Whatever byte is another one: it is no list, says nothing, or was not signed by the issuer. */
static void test_damaged(void **state)
{
    unsigned char *der;
    size_t size =
        make_list_der(&(struct recipe_list){.issuer = &root, .revoked = &leaf}, now, &der);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        der[i] ^= 0x11;
        struct crl *crl = crl_new((struct span){(const char *)der, size});
        if (crl != NULL)
            assert_int_not_equal(crl_verify(crl, root.certificate, SIZE_MAX), CRL_GOOD);
        crl_free(crl);
        der[i] ^= 0x11;
    }
    for (size_t i = 0; i < size; i++)
        assert_null(crl_new((struct span){(const char *)der, i}));
    OPENSSL_free(der);
}

static void test_keys(void **state)
{
    static const enum key kinds[] = {P256, P384, P521, ED25519, RSA2048};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct made ca = make(&(struct recipe){0}, &usual_root, NULL, make_key(kinds[i]));
        unsigned char *der;
        size_t size = make_list_der(&(struct recipe_list){.issuer = &ca}, now, &der);
        struct crl *crl = crl_new((struct span){(const char *)der, size});
        assert_non_null(crl);
        /* The same name, and the same key identifier or not, but another key. */
        assert_int_equal(crl_verify(crl, root.certificate, SIZE_MAX), CRL_BAD);
        assert_int_equal(crl_signature(crl, ca.certificate), CRL_UNVERIFIED);
        assert_int_equal(verify_in_pieces(crl, ca.certificate, 64), CRL_GOOD);
        /* Once it is known to be one's it is no other's, and is not looked through again. */
        assert_int_equal(crl_signature(crl, root.certificate), CRL_UNVERIFIED);
        assert_int_equal(crl_verify(crl, root.certificate, 1), CRL_BAD);
        assert_int_equal(crl_signature(crl, ca.certificate), CRL_GOOD);
        assert_int_equal(crl_verify(crl, ca.certificate, 1), CRL_GOOD);
        crl_free(crl);
        OPENSSL_free(der);
        discard(&ca);
    }
}

#define MANY 100000u

static void add_many(X509_CRL *crl)
{
    ASN1_TIME *date = ASN1_TIME_adj(NULL, (time_t)(now - DAY), 0, 0);
    ASN1_INTEGER *serial = ASN1_INTEGER_new();

    for (unsigned i = 0; i < MANY; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_INTEGER_set(serial, 100000000L + (long)i * 7919);
        X509_REVOKED_set_serialNumber(entry, serial);
        X509_REVOKED_set_revocationDate(entry, date);
        X509_CRL_add0_revoked(crl, entry);
    }
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(date);
}

static void test_many(void **state)
{
    X509_CRL *list = make_list(&(struct recipe_list){.issuer = &root, .revoked = &leaf}, now);
    unsigned char *der = NULL;
    X509 *probe = X509_new();
    unsigned turns = 0;

    (void)state;
    add_many(list);
    assert_true(X509_CRL_sign(list, root.key, EVP_sha256()) > 0);
    int size = i2d_X509_CRL(list, &der);
    struct crl *crl = crl_new((struct span){(const char *)der, (size_t)size});
    assert_non_null(crl);
    assert_int_equal(verify_in_pieces(crl, root.certificate, 262144), CRL_GOOD);
    while (!crl_read(crl, 65536))
        turns++;
    assert_true(turns >= (unsigned)size / 65536 - 1);
    assert_int_equal(crl_count(crl), MANY + 1);
    assert_true(crl_lists(crl, leaf.certificate));
    assert_false(crl_lists(crl, other.certificate));
    for (unsigned i = 0; i < MANY; i += 101) {
        ASN1_INTEGER_set(X509_get_serialNumber(probe), 100000000L + (long)i * 7919);
        assert_true(crl_lists(crl, probe));
        ASN1_INTEGER_set(X509_get_serialNumber(probe), 100000001L + (long)i * 7919);
        assert_false(crl_lists(crl, probe));
    }
    crl_free(crl);
    X509_free(probe);
    OPENSSL_free(der);
    X509_CRL_free(list);
}

/* Entries that are shorter than any can be would be more than there is room for. */
static void test_short_entries(void **state)
{
    X509_CRL *list = make_list(&(struct recipe_list){.issuer = &root}, now);
    ASN1_TIME *nothing = ASN1_UTCTIME_new();
    ASN1_INTEGER *one = ASN1_INTEGER_new();
    unsigned char *der = NULL;

    (void)state;
    ASN1_INTEGER_set(one, 1);
    for (int i = 0; i < 256; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, one);
        X509_REVOKED_set_revocationDate(entry, nothing);
        X509_CRL_add0_revoked(list, entry);
    }
    assert_true(X509_CRL_sign(list, root.key, EVP_sha256()) > 0);
    int size = i2d_X509_CRL(list, &der);
    struct crl *crl = crl_new((struct span){(const char *)der, (size_t)size});
    assert_non_null(crl);
    assert_int_equal(verify_in_pieces(crl, root.certificate, 262144), CRL_GOOD);
    while (!crl_read(crl, 64))
        ;
    assert_non_null(crl_fault(crl));
    assert_false(crl_lists(crl, leaf.certificate));
    crl_free(crl);
    OPENSSL_free(der);
    ASN1_TIME_free(nothing);
    ASN1_INTEGER_free(one);
    X509_CRL_free(list);
}

static int set_up(void **state)
{
    (void)state;
    now = (int64_t)time(NULL);
    root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    leaf = make(&(struct recipe){0}, &usual_leaf, &root, make_key(P256));
    other = make(&(struct recipe){0}, &usual_leaf, &root, make_key(P256));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    discard(&root);
    discard(&leaf);
    discard(&other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_many),
        cmocka_unit_test(test_short_entries),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
