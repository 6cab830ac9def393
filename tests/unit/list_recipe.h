/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of revoked certificates made in memory for the tests: a recipe says what is unusual. */
#ifndef TESTS_LIST_RECIPE_H
#define TESTS_LIST_RECIPE_H

#include "tests/unit/certificate_recipe.h"

/* What is unusual about a list; NULL and 0 are usual. */
struct recipe_list {
    const struct made *issuer;  /* signs */
    const struct made *name_of; /* says to be this one's; NULL: the issuer */
    const struct made *revoked; /* NULL: nobody */
    int64_t begin, end;         /* seconds from now; both 0: a day ago, a day from now */
    enum { USUAL_NUMBER, NO_NUMBER, CRITICAL_NUMBER } number;
    const char *digest; /* NULL: SHA256 */
    struct extra extra[2];
    struct extra entry; /* of the one that is revoked */
    bool no_end, no_key, version_1;
};

static inline X509_EXTENSION *raw_extension(const struct extra *extra)
{
    ASN1_OBJECT *object = OBJ_txt2obj(extra->oid, 0);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    assert_non_null(object);
    ASN1_OCTET_STRING_set(value, (const unsigned char *)extra->bytes, extra->size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, extra->critical, value);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
    return extension;
}

static inline void add_entry(X509_CRL *crl, const struct recipe_list *recipe, int64_t now)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *date = ASN1_TIME_adj(NULL, (time_t)(now - DAY), 0, 0);

    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(recipe->revoked->certificate));
    X509_REVOKED_set_revocationDate(entry, date);
    if (recipe->entry.oid) {
        X509_EXTENSION *extension = raw_extension(&recipe->entry);
        X509_REVOKED_add_ext(entry, extension, -1);
        X509_EXTENSION_free(extension);
    }
    X509_CRL_add0_revoked(crl, entry);
    ASN1_TIME_free(date);
}

static inline void add_raw(X509_CRL *crl, const struct extra *extra)
{
    X509_EXTENSION *extension;

    if (!extra->oid)
        return;
    extension = raw_extension(extra);
    assert_int_equal(X509_CRL_add_ext(crl, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void add_list_extensions(X509_CRL *crl, const struct recipe_list *recipe,
                                       X509 *issuer)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    if (!recipe->no_key) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
        assert_int_equal(X509_CRL_add_ext(crl, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    if (recipe->number != NO_NUMBER)
        add_raw(crl,
                &(struct extra)EXTRA("crlNumber", recipe->number == CRITICAL_NUMBER, "\2\1\7"));
    for (size_t i = 0; i < sizeof(recipe->extra) / sizeof(recipe->extra[0]); i++)
        add_raw(crl, &recipe->extra[i]);
}

/* Through DER, as it comes from a file. */
static inline X509_CRL *make_list(const struct recipe_list *recipe, int64_t now)
{
    const struct made *issuer = recipe->issuer;
    const struct made *name = recipe->name_of ? recipe->name_of : issuer;
    bool timed = recipe->begin || recipe->end;
    ASN1_TIME *begin = ASN1_TIME_adj(NULL, (time_t)(now + (timed ? recipe->begin : -DAY)), 0, 0);
    ASN1_TIME *end = ASN1_TIME_adj(NULL, (time_t)(now + (timed ? recipe->end : DAY)), 0, 0);
    X509_CRL *crl = X509_CRL_new();
    unsigned char *der = NULL;

    X509_CRL_set_version(crl, recipe->version_1 ? X509_CRL_VERSION_1 : X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(name->certificate));
    X509_CRL_set1_lastUpdate(crl, begin);
    if (!recipe->no_end)
        X509_CRL_set1_nextUpdate(crl, end);
    if (recipe->revoked)
        add_entry(crl, recipe, now);
    add_list_extensions(crl, recipe, issuer->certificate);
    X509_CRL_sort(crl);
    const EVP_MD *digest = EVP_get_digestbyname(recipe->digest ? recipe->digest : "SHA256");
    if (EVP_PKEY_get_base_id(issuer->key) == EVP_PKEY_ED25519)
        digest = NULL;
    assert_true(X509_CRL_sign(crl, issuer->key, digest) > 0);
    int size = i2d_X509_CRL(crl, &der);
    const unsigned char *at = der;
    X509_CRL *read = d2i_X509_CRL(NULL, &at, size);
    assert_non_null(read);
    OPENSSL_free(der);
    X509_CRL_free(crl);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    return read;
}

/* Its DER; the caller frees with OPENSSL_free(). */
static inline size_t make_list_der(const struct recipe_list *recipe, int64_t now,
                                   unsigned char **der)
{
    X509_CRL *list = make_list(recipe, now);

    *der = NULL;
    int size = i2d_X509_CRL(list, der);
    assert_true(size > 0);
    X509_CRL_free(list);
    return (size_t)size;
}

#endif
