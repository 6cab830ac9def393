/* SPDX-License-Identifier: BSD-2-Clause */
/* The certificates of the two tiers: see authority_private.h. */
#include "gateway/authority_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/chain.h"
#include "gateway/digest.h"
#include "gateway/issuer.h"

#define DAY                86400 /* seconds */
#define YEARS              10
#define ORGANISATION_LIMIT 64 /* characters: ub-organization-name of RFC 5280 */
#define IDENTIFIER_SIZE    20 /* bytes */
#define EXTENSIONS_MAX     8

/* What a certificate of a CA is made of. */
struct tier {
    const char *title; /* of the common name */
    const char *clinic;
    long path_length;
    X509 *issuer;                        /* NULL: itself */
    const struct authority_order *order; /* with its exclusions; NULL for none */
    int64_t begin, end;
};

/* RFC 7093 section 2, method 1: the left 160 bits of the SHA-256 of the public key. */
static ASN1_OCTET_STRING *make_identifier(X509 *certificate)
{
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(certificate);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    uint8_t digest[DIGEST_SIZE];

    if (!key || !octets) {
        ASN1_OCTET_STRING_free(octets);
        return NULL;
    }
    digest_sha256(
        (struct span){(const char *)ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key)},
        digest);
    if (ASN1_OCTET_STRING_set(octets, digest, IDENTIFIER_SIZE))
        return octets;
    ASN1_OCTET_STRING_free(octets);
    return NULL;
}

/* Bytes of the first ORGANISATION_LIMIT characters. */
static int organisation_size(const char *clinic)
{
    int characters = 0;
    size_t i = 0;

    for (; i < ORGANISATION_LIMIT * 4 + 1 && clinic[i]; i++)
        if (((unsigned char)clinic[i] & 0xc0) != 0x80 && ++characters > ORGANISATION_LIMIT)
            break;
    return (int)i;
}

/* "Sekisho Root CA 1a2b3c4d 2026-11-29": who sees two in a list knows which is which. */
static bool set_name(X509 *certificate, const struct tier *tier,
                     const ASN1_OCTET_STRING *identifier)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    char hex[9], day[16], common[64];
    time_t now = time(NULL);
    struct tm calendar;

    digest_hex(ASN1_STRING_get0_data(identifier), 4, hex);
    gmtime_r(&now, &calendar);
    strftime(day, sizeof(day), "%Y-%m-%d", &calendar);
    snprintf(common, sizeof(common), "Sekisho %s %s %s", tier->title, hex, day);
    if (tier->clinic && tier->clinic[0] &&
        !X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                    (const unsigned char *)tier->clinic,
                                    organisation_size(tier->clinic), -1, 0))
        return false;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)common, -1, -1, 0) &&
           X509_set_issuer_name(certificate,
                                tier->issuer ? X509_get_subject_name(tier->issuer) : name);
}

/* Excluded dNSNames: each covers the name itself and all below (RFC 5280 section 4.2.1.10). */
static X509_EXTENSION *make_exclusions(const struct authority_order *order)
{
    NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    X509_EXTENSION *extension = NULL;
    size_t i = 0;

    if (constraints)
        constraints->excludedSubtrees = sk_GENERAL_SUBTREE_new_null();
    for (; constraints && constraints->excludedSubtrees && i < order->excluded_count; i++) {
        GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
        ASN1_IA5STRING *name = ASN1_IA5STRING_new();

        if (!subtree || !name || !ASN1_STRING_set(name, order->excluded[i], -1) ||
            !sk_GENERAL_SUBTREE_push(constraints->excludedSubtrees, subtree)) {
            GENERAL_SUBTREE_free(subtree);
            ASN1_IA5STRING_free(name);
            break;
        }
        GENERAL_NAME_set0_value(subtree->base, GEN_DNS, name);
    }
    if (i == order->excluded_count)
        extension = issuer_make_extension(NID_name_constraints, true, constraints);
    NAME_CONSTRAINTS_free(constraints);
    return extension;
}

/* An issuing CA that was stolen signs servers and nothing else: no programs, no mail. */
static size_t list_extensions(const struct tier *tier, const ASN1_OCTET_STRING *identifier,
                              X509_EXTENSION *extensions[EXTENSIONS_MAX])
{
    size_t count = 0;
    const ASN1_OCTET_STRING *above =
        tier->issuer ? X509_get0_subject_key_id(tier->issuer) : identifier;

    extensions[count++] = issuer_make_constraints(true, tier->path_length);
    extensions[count++] = issuer_make_usage(KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    extensions[count++] =
        issuer_make_extension(NID_subject_key_identifier, false, (void *)(uintptr_t)identifier);
    extensions[count++] = above ? issuer_make_authority(above) : NULL;
    if (tier->order) {
        extensions[count++] = issuer_make_purpose();
        if (tier->order->excluded_count > 0)
            extensions[count++] = make_exclusions(tier->order);
    }
    return count;
}

static bool add_extensions(X509 *certificate, const struct tier *tier,
                           const ASN1_OCTET_STRING *identifier)
{
    X509_EXTENSION *extensions[EXTENSIONS_MAX];
    size_t count = list_extensions(tier, identifier, extensions);
    bool done = true;

    for (size_t i = 0; i < count; i++) {
        done = done && extensions[i] && X509_add_ext(certificate, extensions[i], -1);
        X509_EXTENSION_free(extensions[i]);
    }
    return done;
}

static X509 *make_certificate(EVP_PKEY *key, EVP_PKEY *signing_key, const EVP_MD *digest,
                              const struct tier *tier)
{
    X509 *certificate = X509_new();
    ASN1_OCTET_STRING *identifier = NULL;
    bool done =
        certificate && X509_set_version(certificate, X509_VERSION_3) &&
        issuer_set_serial(certificate) &&
        issuer_set_validity(certificate, tier->begin, tier->end) &&
        X509_set_pubkey(certificate, key) && (identifier = make_identifier(certificate)) != NULL &&
        set_name(certificate, tier, identifier) && add_extensions(certificate, tier, identifier) &&
        X509_sign(certificate, signing_key, digest);

    ASN1_OCTET_STRING_free(identifier);
    if (done)
        return certificate;
    X509_free(certificate);
    return NULL;
}

X509 *authority_make_root(EVP_PKEY *key, const char *clinic)
{
    int64_t begin = (int64_t)time(NULL) - DAY;
    struct tier tier = {.title = "Root CA",
                        .clinic = clinic,
                        .path_length = 1,
                        .begin = begin,
                        .end = begin + INT64_C(365) * YEARS * DAY};

    return make_certificate(key, key, EVP_sha384(), &tier);
}

X509 *authority_make_issuing(EVP_PKEY *key, X509 *root, EVP_PKEY *root_key,
                             const struct authority_order *order)
{
    struct tier tier = {.title = "Issuing CA",
                        .clinic = order->clinic,
                        .path_length = 0,
                        .issuer = root,
                        .order = order,
                        .begin = (int64_t)time(NULL) - DAY,
                        .end = chain_time(X509_get0_notAfter(root))};

    if (tier.begin < chain_time(X509_get0_notBefore(root)))
        tier.begin = chain_time(X509_get0_notBefore(root));
    return make_certificate(key, root_key, EVP_sha384(), &tier);
}

void authority_each_excluded(X509 *certificate, void (*take)(void *context, struct span name),
                             void *context)
{
    NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(certificate, NID_name_constraints, NULL, NULL);

    for (int i = 0; constraints && i < sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees); i++) {
        int kind;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(
            sk_GENERAL_SUBTREE_value(constraints->excludedSubtrees, i)->base, &kind);
        if (kind == GEN_DNS)
            take(context, (struct span){(const char *)ASN1_STRING_get0_data(name),
                                        (size_t)ASN1_STRING_length(name)});
    }
    NAME_CONSTRAINTS_free(constraints);
}
