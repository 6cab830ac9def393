/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verification of an origin's certificate: OpenSSL builds a chain and applies most of RFC 5280,
 * strictly; the rules of chain.h come after it. When a certificate between is at fault another way
 * to a root is tried without it: servers send cross-signed ones that have ended, and CAs have more
 * than one root.
 */
#include "gateway/certificate_verify.h"

#include <string.h>

#include <openssl/x509_vfy.h>

#include "gateway/chain.h"

/* Longest chain below the anchor; real ones have two or three. Bounds the work a server can ask
 * for, as the number of ways that are tried does. */
#define CHAIN_DEPTH   8
#define WAY_LIMIT     6
#define SECURITY_BITS 2 /* OpenSSL's level 2: 112 bits */

static const struct {
    const char *code;
    int error;
    const char *meaning;
} verdicts[] = {
#define X(symbol, text, x509_error, explanation)                                                   \
    [VERDICT_##symbol] = {text, x509_error, explanation},
    CERTIFICATE_VERDICTS(X)
#undef X
};

const char *certificate_verdict_code(enum certificate_verdict verdict)
{
    return verdicts[verdict].code;
}

const char *certificate_verdict_meaning(enum certificate_verdict verdict)
{
    return verdicts[verdict].meaning;
}

int certificate_verdict_error(enum certificate_verdict verdict)
{
    return verdicts[verdict].error;
}

/* What OpenSSL's errors mean here. One that is not listed is MALFORMED. */
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
    {X509_V_ERR_INVALID_EXTENSION, VERDICT_EXTENSION},
    {X509_V_ERR_CA_BCONS_NOT_CRITICAL, VERDICT_EXTENSION},
    {X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL, VERDICT_EXTENSION},
    {X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL, VERDICT_EXTENSION},
    {X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL, VERDICT_EXTENSION},
    {X509_V_ERR_EMPTY_SUBJECT_ALT_NAME, VERDICT_EXTENSION},
    {X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA, VERDICT_EXTENSION},
    {X509_V_ERR_INVALID_POLICY_EXTENSION, VERDICT_EXTENSION},
    {X509_V_ERR_NO_EXPLICIT_POLICY, VERDICT_POLICY},
    {X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, VERDICT_IDENTIFIER},
    {X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, VERDICT_IDENTIFIER},
    {X509_V_ERR_AKID_SKID_MISMATCH, VERDICT_IDENTIFIER},
    {X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH, VERDICT_IDENTIFIER},
    {X509_V_ERR_ISSUER_NAME_EMPTY, VERDICT_EMPTY_NAME},
    {X509_V_ERR_SUBJECT_NAME_EMPTY, VERDICT_EMPTY_NAME},
    {X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3, VERDICT_VERSION},
    {X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, VERDICT_VALIDITY},
    {X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, VERDICT_VALIDITY},
    {X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, VERDICT_ALGORITHM},
    {X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY, VERDICT_ALGORITHM},
    {X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM, VERDICT_WEAK_SIGNATURE},
    {X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, VERDICT_NOT_CA},
    {X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN, VERDICT_NOT_CA},
    {X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA, VERDICT_CA_LEAF},
    {X509_V_ERR_OUT_OF_MEM, VERDICT_INTERNAL},
    {X509_V_ERR_UNSPECIFIED, VERDICT_INTERNAL},
};

/*
 * Formal faults that old roots of the public bundles have. An anchor is trusted for its name and
 * its key alone (RFC 5280 section 6.1.1): it may lack a key usage or name no key, and an old one
 * may be lax (chain_anchor_is_old()).
 */
static const struct {
    int error;
    bool only_old;
} excused_at_anchor[] = {
    {X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, false},
    {X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, false},
    {X509_V_ERR_CA_BCONS_NOT_CRITICAL, true},
    {X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, true},
};

static bool excused(X509_STORE_CTX *context, int error)
{
    int depth = X509_STORE_CTX_get_error_depth(context);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);

    if (depth == 0 || depth != sk_X509_num(chain) - 1 ||
        depth < X509_STORE_CTX_get_num_untrusted(context))
        return false;
    for (size_t i = 0; i < sizeof(excused_at_anchor) / sizeof(excused_at_anchor[0]); i++)
        if (error == excused_at_anchor[i].error)
            return !excused_at_anchor[i].only_old ||
                   chain_anchor_is_old(sk_X509_value(chain, depth));
    return false;
}

/* OpenSSL counts the last second of a validity as over. */
static bool ends_now(X509_STORE_CTX *context)
{
    const struct certificate_question *question = X509_STORE_CTX_get_app_data(context);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(context);

    return certificate && chain_time(X509_get0_notAfter(certificate)) == question->time;
}

static int on_error(int ok, X509_STORE_CTX *context)
{
    int error = X509_STORE_CTX_get_error(context);

    if (ok)
        return 1;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED ? !ends_now(context) : !excused(context, error))
        return 0;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

static enum certificate_verdict translate_error(int error, X509 *leaf)
{
    enum certificate_verdict verdict = VERDICT_MALFORMED;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].error == error)
            verdict = errors[i].verdict;
    /* OpenSSL looks for the name first; say what is really wrong with a certificate that has none.
     */
    if (verdict == VERDICT_NAME && X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0)
        verdict = VERDICT_NO_SAN;
    if (verdict == VERDICT_UNTRUSTED && (X509_get_extension_flags(leaf) & EXFLAG_INVALID))
        verdict = VERDICT_EXTENSION;
    return verdict;
}

static bool set_parameters(X509_STORE_CTX *context, const struct certificate_question *question)
{
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    const struct certificate_name *name = question->name;

    /* The purpose and the trust setting "TLS server". */
    if (!X509_STORE_CTX_set_default(context, "ssl_server"))
        return false;
    /* What stands in the bundle is trusted, a CA that another has issued too. */
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST |
                                                X509_V_FLAG_POLICY_CHECK |
                                                X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_depth(parameters, CHAIN_DEPTH);
    X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_BITS);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)question->time);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* Any policy will do, unless a CA demands one. */
    if (X509_VERIFY_PARAM_add0_policy(parameters, OBJ_nid2obj(NID_any_policy)) != 1)
        return false;
    X509_STORE_CTX_set_verify_cb(context, on_error);
    if (X509_STORE_CTX_set_app_data(context, (void *)(uintptr_t)question) != 1)
        return false;
    if (name->address_size)
        return X509_VERIFY_PARAM_set1_ip(parameters, name->address, name->address_size) == 1;
    return X509_VERIFY_PARAM_set1_host(parameters, name->text, 0) == 1;
}

/* --- one way to a root --- */

/* What the lists of revoked certificates say of a chain that is good otherwise. */
static struct chain_finding ask_lists(const struct certificate_question *question,
                                      STACK_OF(X509) * chain)
{
    struct revocation_answer answer;

    if (!question->lists)
        return (struct chain_finding){VERDICT_OK, 0};
    answer = revocation_check(question->lists, chain, question->time);
    if (answer.verdict != VERDICT_OK)
        return (struct chain_finding){answer.verdict, answer.depth};
    bool leaf_unknown = (answer.unknown & REVOCATION_LEAF) != 0;
    if (question->unknown)
        *question->unknown = answer.unknown;
    if (question->leaf_unknown)
        *question->leaf_unknown = leaf_unknown;
    if (question->is_hard && (answer.unknown & ~REVOCATION_LEAF) != 0)
        return (struct chain_finding){VERDICT_UNKNOWN, 1};
    if (question->is_hard && leaf_unknown && !question->leaf_unknown)
        return (struct chain_finding){VERDICT_UNKNOWN, 0};
    return (struct chain_finding){VERDICT_OK, 0};
}

/* What was found, and for a fault the chain as far as it was built. *chain is the caller's. */
static struct chain_finding try_way(const struct certificate_question *question,
                                    STACK_OF(X509) * others, STACK_OF(X509) * *chain)
{
    struct chain_finding finding = {VERDICT_INTERNAL, 0};
    X509_STORE_CTX *context = X509_STORE_CTX_new();

    if (!context || !X509_STORE_CTX_init(context, question->trust, question->leaf, others) ||
        !set_parameters(context, question))
        goto out;
    if (X509_verify_cert(context) == 1) {
        finding = chain_check(X509_STORE_CTX_get0_chain(context), question->name, question->time);
    } else {
        finding.verdict = translate_error(X509_STORE_CTX_get_error(context), question->leaf);
        finding.depth = X509_STORE_CTX_get_error_depth(context);
    }
    *chain = X509_STORE_CTX_get1_chain(context);
    if (!*chain)
        finding.verdict = VERDICT_INTERNAL;
    if (finding.verdict == VERDICT_OK)
        finding = ask_lists(question, *chain);
out:
    X509_STORE_CTX_free(context);
    return finding;
}

/* Whether it is the CAs that do not fit the leaf: others of the same name may. */
static bool lies_above(enum certificate_verdict verdict)
{
    return verdict == VERDICT_NAME_CONSTRAINTS || verdict == VERDICT_POLICY ||
           verdict == VERDICT_SIGNATURE || verdict == VERDICT_IDENTIFIER;
}

/* Takes the certificate at fault out of the others, or, where that came from the store, the one
 * below it. False when there is none: then there is no other way. */
static bool block_way(STACK_OF(X509) * others, STACK_OF(X509) * chain,
                      const struct chain_finding *fault)
{
    int length = sk_X509_num(chain);
    int depth = fault->depth == 0 && lies_above(fault->verdict) ? 1 : fault->depth;

    for (int at = depth < length ? depth : length - 1; at > 0 && at >= depth - 1; at--)
        for (int i = 0; i < sk_X509_num(others); i++)
            if (X509_cmp(sk_X509_value(others, i), sk_X509_value(chain, at)) == 0) {
                sk_X509_delete(others, i);
                return true;
            }
    return false;
}

enum certificate_verdict certificate_chain_verify(const struct certificate_question *question,
                                                  STACK_OF(X509) * *chain)
{
    struct chain_finding first = {VERDICT_INTERNAL, 0}, finding = first;
    STACK_OF(X509) *others = question->others ? sk_X509_dup(question->others) : sk_X509_new_null();
    STACK_OF(X509) *built = NULL;
    bool again = others && question->name->text[0];

    if (chain)
        *chain = NULL;
    for (int way = 0; again; way++) {
        sk_X509_pop_free(built, X509_free);
        built = NULL;
        finding = try_way(question, others, &built);
        if (way == 0)
            first = finding;
        again = finding.verdict != VERDICT_OK && finding.verdict != VERDICT_INTERNAL &&
                way + 1 < WAY_LIMIT && block_way(others, built, &finding);
    }
    if (finding.verdict == VERDICT_OK && chain) {
        *chain = built;
        built = NULL;
    }
    sk_X509_pop_free(built, X509_free);
    sk_X509_free(others);
    return finding.verdict == VERDICT_OK ? VERDICT_OK : first.verdict;
}
