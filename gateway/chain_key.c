/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a chain and the algorithms of its signatures (Baseline Requirements 6.1 and 7.1.3).
 */
#include "gateway/chain.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#define RSA_BITS       2048
#define RSA_BITS_LIMIT 16384 /* OpenSSL's own; a larger one is only work */
#define EXPONENT_BITS  256   /* NIST SP 800-89 section 5.3.3 */
#define SMALL_FACTOR   752   /* Baseline Requirements 6.1.6: no factor below it */

static bool named_curve_accepted(const EVP_PKEY *key)
{
    static const char *const curves[] = {"prime256v1", "P-256",     "secp384r1",
                                         "P-384",      "secp521r1", "P-521"};
    char group[32];
    size_t length = 0;
    int is_explicit = 0;

    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &is_explicit) == 1 &&
        is_explicit)
        return false;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &length) != 1)
        return false;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (!strcmp(group, curves[i]))
            return true;
    return false;
}

static bool modulus_sound(const BIGNUM *modulus)
{
    int bits = BN_num_bits(modulus);

    if (bits < RSA_BITS || bits > RSA_BITS_LIMIT || bits % 8 != 0 || !BN_is_odd(modulus))
        return false;
    for (BN_ULONG factor = 3; factor < SMALL_FACTOR; factor += 2)
        if (BN_mod_word(modulus, factor) == 0)
            return false;
    return true;
}

static bool rsa_accepted(const EVP_PKEY *key)
{
    BIGNUM *modulus = NULL, *exponent = NULL;
    bool accepted = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
                    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                    modulus_sound(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent) &&
                    BN_num_bits(exponent) <= EXPONENT_BITS;

    BN_free(modulus);
    BN_free(exponent);
    return accepted;
}

bool chain_key_strong(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return rsa_accepted(key);
    case EVP_PKEY_EC:
        return named_curve_accepted(key);
    case EVP_PKEY_ED25519:
        return true;
    default:
        return false;
    }
}

enum certificate_verdict chain_check_key(X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);

    return key && chain_key_strong(key) ? VERDICT_OK : VERDICT_WEAK_KEY;
}

/* What may stand beside an algorithm: for RSA a NULL and for the others nothing (RFC 4055, 5758,
 * 8410). PSS is read by OpenSSL: both digests the same and as much salt as TLS takes. */
static const struct {
    int nid;
    int parameters;
} algorithms[] = {
    {NID_sha256WithRSAEncryption, V_ASN1_NULL},
    {NID_sha384WithRSAEncryption, V_ASN1_NULL},
    {NID_sha512WithRSAEncryption, V_ASN1_NULL},
    {NID_ecdsa_with_SHA256, V_ASN1_UNDEF},
    {NID_ecdsa_with_SHA384, V_ASN1_UNDEF},
    {NID_ecdsa_with_SHA512, V_ASN1_UNDEF},
    {NID_ED25519, V_ASN1_UNDEF},
};

bool chain_signature_strong(int nid)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (algorithms[i].nid == nid)
            return true;
    return false;
}

bool chain_algorithm_strong(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    int parameters;

    X509_ALGOR_get0(&object, &parameters, NULL, algorithm);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (algorithms[i].nid == OBJ_obj2nid(object))
            return algorithms[i].parameters == parameters;
    return false;
}

static enum certificate_verdict check_pss(X509 *certificate)
{
    int digest = NID_undef;
    uint32_t flags = 0;

    if (!X509_get_signature_info(certificate, &digest, NULL, NULL, &flags) ||
        (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512))
        return VERDICT_WEAK_SIGNATURE;
    return flags & X509_SIG_INFO_TLS ? VERDICT_OK : VERDICT_ALGORITHM;
}

enum certificate_verdict chain_check_signature(X509 *certificate)
{
    const X509_ALGOR *outer = NULL, *inner = X509_get0_tbs_sigalg(certificate);
    const ASN1_OBJECT *object;
    int parameters;

    X509_get0_signature(NULL, &outer, certificate);
    if (!outer || !inner || X509_ALGOR_cmp(outer, inner) != 0)
        return VERDICT_ALGORITHM;
    X509_ALGOR_get0(&object, &parameters, NULL, outer);
    if (OBJ_obj2nid(object) == NID_rsassaPss)
        return check_pss(certificate);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (algorithms[i].nid == OBJ_obj2nid(object))
            return algorithms[i].parameters == parameters ? VERDICT_OK : VERDICT_ALGORITHM;
    return VERDICT_WEAK_SIGNATURE;
}
