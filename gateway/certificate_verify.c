/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verification of an origin's certificate. OpenSSL builds the chain and applies RFC 5280; the
 * rules below it are what browsers and the Baseline Requirements add. A new rule is one function
 * and one row.
 */
#include "gateway/certificate_verify.h"

#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>

/* Longest chain below the anchor; real ones have two or three. Bounds the work a server can ask
 * for. */
#define CHAIN_DEPTH   8
#define RSA_BITS      2048
#define SECURITY_BITS 2 /* OpenSSL's level 2: 112 bits */

static const struct {
    const char *code;
    int error;
} verdicts[] = {
#define X(symbol, text, x509_error, meaning) [VERDICT_##symbol] = {text, x509_error},
    CERTIFICATE_VERDICTS(X)
#undef X
};

const char *certificate_verdict_code(enum certificate_verdict verdict)
{
    return verdicts[verdict].code;
}

int certificate_verdict_error(enum certificate_verdict verdict)
{
    return verdicts[verdict].error;
}

/* What OpenSSL's errors mean here. One that is not listed is MALFORMED: most are faults of
 * encoding. */
static const struct {
    int error;
    enum certificate_verdict verdict;
} errors[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, VERDICT_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, VERDICT_NOT_YET_VALID},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, VERDICT_SELF_SIGNED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, VERDICT_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, VERDICT_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, VERDICT_UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, VERDICT_UNTRUSTED},
    {X509_V_ERR_CERT_UNTRUSTED, VERDICT_UNTRUSTED},
    {X509_V_ERR_CERT_REJECTED, VERDICT_UNTRUSTED},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, VERDICT_PATH_LENGTH},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, VERDICT_PATH_LENGTH},
    {X509_V_ERR_HOSTNAME_MISMATCH, VERDICT_NAME},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, VERDICT_NAME},
    {X509_V_ERR_CERT_REVOKED, VERDICT_REVOKED},
    {X509_V_ERR_INVALID_PURPOSE, VERDICT_PURPOSE},
    {X509_V_ERR_INVALID_CA, VERDICT_NOT_CA},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, VERDICT_NOT_CA},
    {X509_V_ERR_PERMITTED_VIOLATION, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_EXCLUDED_VIOLATION, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_SUBTREE_MINMAX, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, VERDICT_NAME_CONSTRAINTS},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, VERDICT_CRITICAL},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, VERDICT_SIGNATURE},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, VERDICT_SIGNATURE},
    {X509_V_ERR_EE_KEY_TOO_SMALL, VERDICT_WEAK_KEY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, VERDICT_WEAK_KEY},
    {X509_V_ERR_EC_KEY_EXPLICIT_PARAMS, VERDICT_WEAK_KEY},
    {X509_V_ERR_CA_MD_TOO_WEAK, VERDICT_WEAK_SIGNATURE},
    {X509_V_ERR_OUT_OF_MEM, VERDICT_INTERNAL},
    {X509_V_ERR_UNSPECIFIED, VERDICT_INTERNAL},
};

/*
 * Formal faults that the roots of the public bundles have (no key usage, basicConstraints not
 * critical, no key identifier). An anchor is trusted for its name and its key alone: RFC 5280
 * section 6.1.1.
 */
static const int excused_at_anchor[] = {
    X509_V_ERR_CA_BCONS_NOT_CRITICAL,
    X509_V_ERR_CA_CERT_MISSING_KEY_USAGE,
    X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER,
    X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER,
};

static int excuse_anchor(int ok, X509_STORE_CTX *context)
{
    int depth = X509_STORE_CTX_get_error_depth(context);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
    int error = X509_STORE_CTX_get_error(context);

    if (ok || depth == 0 || depth != sk_X509_num(chain) - 1 ||
        depth < X509_STORE_CTX_get_num_untrusted(context))
        return ok;
    for (size_t i = 0; i < sizeof(excused_at_anchor) / sizeof(excused_at_anchor[0]); i++)
        if (error == excused_at_anchor[i]) {
            X509_STORE_CTX_set_error(context, X509_V_OK);
            return 1;
        }
    return 0;
}

int64_t certificate_time(const ASN1_TIME *time)
{
    struct tm parts;

    if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
        return -1;
    return (int64_t)timegm(&parts);
}

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

bool certificate_key_strong(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(key) >= RSA_BITS;
    case EVP_PKEY_EC:
        return named_curve_accepted(key);
    case EVP_PKEY_ED25519:
        return true;
    default:
        return false;
    }
}

/* --- the rules over the built chain --- */

static enum certificate_verdict check_version(X509 *certificate)
{
    return X509_get_version(certificate) == X509_VERSION_3 ? VERDICT_OK : VERDICT_MALFORMED;
}

static enum certificate_verdict check_names(X509 *leaf)
{
    return X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) >= 0 ? VERDICT_OK : VERDICT_NO_SAN;
}

static enum certificate_verdict check_end_entity(X509 *leaf)
{
    return X509_check_ca(leaf) ? VERDICT_CA_LEAF : VERDICT_OK;
}

/* The usages are all bits set when the extension is absent: absent key usage allows all, absent EKU
 * is not enough. */
static enum certificate_verdict check_purpose(X509 *leaf)
{
    uint32_t extended = X509_get_extended_key_usage(leaf);

    if (extended == UINT32_MAX || !(extended & XKU_SSL_SERVER))
        return VERDICT_PURPOSE;
    /* Every suite that is offered has the server sign; RSA key transport is not among them. */
    return X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE ? VERDICT_OK : VERDICT_PURPOSE;
}

static enum certificate_verdict check_key(X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);

    return key && certificate_key_strong(key) ? VERDICT_OK : VERDICT_WEAK_KEY;
}

static enum certificate_verdict check_signature(X509 *certificate)
{
    int digest, algorithm;

    if (!X509_get_signature_info(certificate, &digest, &algorithm, NULL, NULL))
        return VERDICT_WEAK_SIGNATURE;
    if (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512 ||
        algorithm == NID_ED25519)
        return VERDICT_OK;
    return VERDICT_WEAK_SIGNATURE;
}

enum position { LEAF = 1, BETWEEN = 2, ANCHOR = 4 };

static const struct {
    unsigned positions;
    enum certificate_verdict (*check)(X509 *certificate);
} rules[] = {
    {LEAF, check_version},
    {LEAF, check_names},
    {LEAF, check_end_entity},
    {LEAF, check_purpose},
    {LEAF | BETWEEN | ANCHOR, check_key},
    {LEAF | BETWEEN, check_signature}, /* an anchor is not trusted for its signature */
};

static enum certificate_verdict check_chain(STACK_OF(X509) * chain)
{
    int length = sk_X509_num(chain);

    for (int i = 0; i < length; i++) {
        unsigned position = i == 0 ? LEAF : i == length - 1 ? ANCHOR : BETWEEN;
        for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
            if (!(rules[r].positions & position))
                continue;
            enum certificate_verdict verdict = rules[r].check(sk_X509_value(chain, i));
            if (verdict != VERDICT_OK)
                return verdict;
        }
    }
    return VERDICT_OK;
}

/* Ours agrees with OpenSSL's, and knows public suffixes. */
static enum certificate_verdict check_host(X509 *leaf, const struct certificate_name *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool covered = names && certificate_name_covered(name, names);

    GENERAL_NAMES_free(names);
    return covered ? VERDICT_OK : VERDICT_NAME;
}

/* --- OpenSSL's part --- */

static enum certificate_verdict translate_error(int error, X509 *leaf)
{
    enum certificate_verdict verdict = VERDICT_MALFORMED;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].error == error)
            verdict = errors[i].verdict;
    /* OpenSSL looks for the name first; say what is really wrong with a certificate that has none.
     */
    if (verdict == VERDICT_NAME && check_names(leaf) != VERDICT_OK)
        verdict = VERDICT_NO_SAN;
    return verdict;
}

static bool set_parameters(X509_STORE_CTX *context, const struct certificate_question *question)
{
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    const struct certificate_name *name = question->name;

    /* The purpose and the trust setting "TLS server". */
    if (!X509_STORE_CTX_set_default(context, "ssl_server"))
        return false;
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set_depth(parameters, CHAIN_DEPTH);
    X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_BITS);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)question->time);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    X509_STORE_CTX_set_verify_cb(context, excuse_anchor);
    if (name->address_size)
        return X509_VERIFY_PARAM_set1_ip(parameters, name->address, name->address_size) == 1;
    return X509_VERIFY_PARAM_set1_host(parameters, name->text, 0) == 1;
}

enum certificate_verdict certificate_chain_verify(const struct certificate_question *question,
                                                  STACK_OF(X509) * *chain)
{
    enum certificate_verdict verdict = VERDICT_INTERNAL;
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    if (chain)
        *chain = NULL;
    if (!context || !question->name->text[0] ||
        !X509_STORE_CTX_init(context, question->trust, question->leaf, question->others) ||
        !set_parameters(context, question))
        goto out;
    if (X509_verify_cert(context) != 1) {
        verdict = translate_error(X509_STORE_CTX_get_error(context), question->leaf);
        goto out;
    }
    verdict = check_chain(X509_STORE_CTX_get0_chain(context));
    if (verdict == VERDICT_OK)
        verdict = check_host(question->leaf, question->name);
    if (verdict == VERDICT_OK && chain)
        *chain = X509_STORE_CTX_get1_chain(context);
out:
    X509_STORE_CTX_free(context);
    return verdict;
}
