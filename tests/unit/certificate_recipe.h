/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates made in memory for the tests: a recipe says what is unusual about one. */
#ifndef TESTS_CERTIFICATE_RECIPE_H
#define TESTS_CERTIFICATE_RECIPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509v3.h>

#define DAY 86400

enum key { P256, P384, P521, ED25519, RSA2048, RSA2050, RSA1024, SECP256K1, KEY_COUNT };

/* An extension as its bytes. */
struct extra {
    const char *oid;
    bool critical;
    const char *bytes;
    int size;
};
#define EXTRA(oid, critical, bytes)                                                                \
    {                                                                                              \
        oid, critical, bytes, sizeof(bytes) - 1                                                    \
    }

/* A field that is NULL has the usual value of its kind; "" leaves the extension out. */
struct recipe {
    enum key key;
    long begin, end; /* seconds from now; both 0: usual */
    const char *subject;
    const char *constraints, *usage, *purpose, *names, *authority, *identifier;
    const char *limits;  /* nameConstraints */
    const char *unknown; /* an OID, as a critical extension */
    const char *digest;  /* NULL: SHA256 */
    struct extra extra[2];
    void (*tweak)(X509 *certificate); /* before it is signed */
    bool v1, broken;
};

struct made {
    X509 *certificate;
    EVP_PKEY *key;
};

static const struct recipe usual_leaf = {
    .begin = -DAY,
    .end = 30 * DAY,
    .subject = "leaf",
    .constraints = "critical,CA:FALSE",
    .usage = "critical,digitalSignature",
    .purpose = "serverAuth",
    .names = "DNS:www.example.jp,DNS:example.jp,DNS:*.shop.example.jp",
    .authority = "keyid:always",
    .identifier = "hash",
};
static const struct recipe usual_ca = {
    .begin = -DAY,
    .end = 300 * DAY,
    .subject = "between",
    .constraints = "critical,CA:TRUE,pathlen:0",
    .usage = "critical,keyCertSign,cRLSign",
    .purpose = "",
    .names = "",
    .authority = "keyid:always",
    .identifier = "hash",
};
static const struct recipe usual_root = {
    .begin = -DAY,
    .end = 3000 * DAY,
    .subject = "root",
    .constraints = "critical,CA:TRUE",
    .usage = "critical,keyCertSign,cRLSign",
    .purpose = "",
    .names = "",
    .authority = "",
    .identifier = "hash",
};

static inline EVP_PKEY *make_key(enum key kind)
{
    switch (kind) {
    case P256:
        return EVP_EC_gen("P-256");
    case P384:
        return EVP_EC_gen("P-384");
    case P521:
        return EVP_EC_gen("P-521");
    case SECP256K1:
        return EVP_EC_gen("secp256k1");
    case ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case RSA2050:
        return EVP_RSA_gen(2050);
    case RSA1024:
        return EVP_RSA_gen(1024);
    default:
        return EVP_RSA_gen(2048);
    }
}

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *own,
                                 const char *usual)
{
    const char *value = own ? own : usual;
    X509_EXTENSION *extension;
    X509V3_CTX context;

    if (!value || !value[0])
        return;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void add_extra(X509 *certificate, const struct extra *extra)
{
    ASN1_OBJECT *object = OBJ_txt2obj(extra->oid, 0);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    assert_non_null(object);
    assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)extra->bytes, extra->size),
                     1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, extra->critical, value);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static inline void add_unknown(X509 *certificate, const char *oid)
{
    add_extra(certificate, &(struct extra)EXTRA(oid, true, "\5\0"));
}

static inline void add_extensions(X509 *certificate, X509 *issuer, const struct recipe *recipe,
                                  const struct recipe *usual)
{
    add_extension(certificate, issuer, NID_subject_key_identifier, recipe->identifier,
                  usual->identifier);
    add_extension(certificate, issuer, NID_authority_key_identifier, recipe->authority,
                  usual->authority);
    add_extension(certificate, issuer, NID_basic_constraints, recipe->constraints,
                  usual->constraints);
    add_extension(certificate, issuer, NID_key_usage, recipe->usage, usual->usage);
    add_extension(certificate, issuer, NID_ext_key_usage, recipe->purpose, usual->purpose);
    add_extension(certificate, issuer, NID_subject_alt_name, recipe->names, usual->names);
    add_extension(certificate, issuer, NID_name_constraints, recipe->limits, usual->limits);
    if (recipe->unknown)
        add_unknown(certificate, recipe->unknown);
    for (size_t i = 0; i < sizeof(recipe->extra) / sizeof(recipe->extra[0]); i++)
        if (recipe->extra[i].oid)
            add_extra(certificate, &recipe->extra[i]);
}

/* `issuer` NULL: self-signed. Takes the key. */
static inline struct made make(const struct recipe *recipe, const struct recipe *usual,
                               const struct made *issuer, EVP_PKEY *key)
{
    static long serial = 1000;
    struct made made = {X509_new(), key};
    EVP_PKEY *signer = issuer ? issuer->key : key;
    const char *subject = recipe->subject ? recipe->subject : usual->subject;
    bool timed = recipe->begin || recipe->end;

    X509_set_version(made.certificate, recipe->v1 ? X509_VERSION_1 : X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), timed ? recipe->begin : usual->begin);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), timed ? recipe->end : usual->end);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(made.certificate), NID_commonName,
                               MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(made.certificate,
                         X509_get_subject_name(issuer ? issuer->certificate : made.certificate));
    X509_set_pubkey(made.certificate, key);
    if (!recipe->v1)
        add_extensions(made.certificate, issuer ? issuer->certificate : made.certificate, recipe,
                       usual);
    if (recipe->tweak)
        recipe->tweak(made.certificate);
    const EVP_MD *digest = EVP_get_digestbyname(recipe->digest ? recipe->digest : "SHA256");
    if (EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519)
        digest = NULL;
    assert_true(X509_sign(made.certificate, signer, digest) > 0);
    if (recipe->broken) { /* the signature is over another serial number */
        ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 7);
        assert_true(i2d_re_X509_tbs(made.certificate, NULL) > 0);
    }
    return made;
}

static inline void discard(struct made *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
    *made = (struct made){NULL, NULL};
}

/* Of the time before the Baseline Requirements. */
static inline void make_old(X509 *certificate)
{
    ASN1_TIME_set_string(X509_getm_notBefore(certificate), "040629170620Z");
}

/* The same name and key with all identifiers: what leaves refer to, whatever the one that is sent
 * lacks. */
static inline struct made make_twin(const struct made *ca, const char *subject,
                                    const struct recipe *usual)
{
    EVP_PKEY_up_ref(ca->key);
    return make(&(struct recipe){.subject = subject}, usual, NULL, ca->key);
}

#endif
