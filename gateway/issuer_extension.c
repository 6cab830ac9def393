/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts that the certificates of our CA are made of. Every extension is built from its
 * structure; nothing goes through OpenSSL's configuration strings, in which a comma would begin a
 * new value.
 */
#include "gateway/issuer.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>

bool issuer_set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool done = number && BN_rand(number, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));

    BN_free(number);
    return done;
}

bool issuer_set_validity(X509 *certificate, int64_t not_before, int64_t not_after)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after);
}

X509_EXTENSION *issuer_make_extension(int nid, bool critical, void *value)
{
    return X509V3_EXT_i2d(nid, critical, value);
}

X509_EXTENSION *issuer_make_constraints(bool ca, long path_length)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    X509_EXTENSION *extension = NULL;

    if (!constraints)
        return NULL;
    constraints->ca = ca ? 0xff : 0;
    if (path_length >= 0) {
        constraints->pathlen = ASN1_INTEGER_new();
        if (!constraints->pathlen || !ASN1_INTEGER_set(constraints->pathlen, path_length))
            goto out;
    }
    extension = issuer_make_extension(NID_basic_constraints, true, constraints);
out:
    BASIC_CONSTRAINTS_free(constraints);
    return extension;
}

X509_EXTENSION *issuer_make_usage(uint32_t bits)
{
    static const struct {
        uint32_t usage;
        int bit; /* RFC 5280 section 4.2.1.3 */
    } usages[] = {{KU_DIGITAL_SIGNATURE, 0}, {KU_KEY_CERT_SIGN, 5}, {KU_CRL_SIGN, 6}};
    ASN1_BIT_STRING *string = ASN1_BIT_STRING_new();
    X509_EXTENSION *extension = NULL;

    if (!string)
        return NULL;
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
        if ((bits & usages[i].usage) && !ASN1_BIT_STRING_set_bit(string, usages[i].bit, 1))
            goto out;
    extension = issuer_make_extension(NID_key_usage, true, string);
out:
    ASN1_BIT_STRING_free(string);
    return extension;
}

X509_EXTENSION *issuer_make_purpose(void)
{
    EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
    X509_EXTENSION *extension = NULL;

    /* The objects of OBJ_nid2obj are static: freeing them does nothing. */
    if (usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)))
        extension = issuer_make_extension(NID_ext_key_usage, false, usage);
    sk_ASN1_OBJECT_free(usage);
    return extension;
}

X509_EXTENSION *issuer_make_authority(const ASN1_OCTET_STRING *identifier)
{
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    X509_EXTENSION *extension = NULL;

    if (authority && (authority->keyid = ASN1_OCTET_STRING_dup(identifier)) != NULL)
        extension = issuer_make_extension(NID_authority_key_identifier, false, authority);
    AUTHORITY_KEYID_free(authority);
    return extension;
}
