/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each extension by itself: whether it may stand in a certificate of this kind, whether it is as
 * critical as it must be, stands there once, and is what its definition says to the last byte.
 * OpenSSL refuses critical ones that it does not know, and overlooks most of the rest.
 */
#include "gateway/chain.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Real certificates have about ten. Bounds the search for doubles. */
#define EXTENSION_LIMIT 64
#define POLICY_LIMIT    64

#define CA  (CHAIN_BETWEEN | CHAIN_ANCHOR)
#define ALL (CHAIN_LEAF | CHAIN_BETWEEN | CHAIN_ANCHOR)

enum criticality { EITHER, NEVER, ALWAYS, ALWAYS_IN_CA };

/*
 * RFC 5280 section 4.2, RFC 6962 section 3.3, RFC 7633; Baseline Requirements 7.1.2. Name
 * constraints should be critical by RFC 5280; the Baseline Requirements (7.1.2.5.2) let them not
 * be, and they are honoured either way.
 */
static const struct extension_rule {
    int nid;
    unsigned positions;
    enum criticality critical;
    bool may_be_empty; /* an empty SEQUENCE says something */
} rules[] = {
    {NID_basic_constraints, ALL, ALWAYS_IN_CA, true},
    {NID_key_usage, ALL, EITHER, false},
    {NID_ext_key_usage, ALL, NEVER, false},
    {NID_subject_alt_name, ALL, EITHER, false},
    {NID_issuer_alt_name, ALL, NEVER, false},
    {NID_subject_directory_attributes, ALL, NEVER, false},
    {NID_name_constraints, CA, EITHER, false},
    {NID_certificate_policies, ALL, EITHER, false},
    {NID_policy_mappings, CA, EITHER, false},
    {NID_policy_constraints, CA, ALWAYS, false},
    {NID_inhibit_any_policy, CA, ALWAYS, false},
    {NID_subject_key_identifier, ALL, NEVER, false},
    {NID_authority_key_identifier, ALL, NEVER, true},
    {NID_crl_distribution_points, ALL, EITHER, false},
    {NID_freshest_crl, ALL, NEVER, false},
    {NID_info_access, ALL, NEVER, false},
    {NID_sinfo_access, ALL, NEVER, false},
    {NID_tlsfeature, ALL, EITHER, false},
    {NID_ct_precert_scts, CHAIN_LEAF, NEVER, false},
    {NID_ct_precert_poison, 0, EITHER, false}, /* no certificate yet */
    {NID_proxyCertInfo, 0, EITHER, false},     /* RFC 3820: signed by who is not a CA */
};

static const struct extension_rule *extension_rule_of(int nid)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].nid == nid)
            return &rules[i];
    return NULL;
}

static bool criticality_fits(const struct extension_rule *rule, bool critical,
                             enum chain_position position)
{
    switch (rule->critical) {
    case NEVER:
        return !critical;
    case ALWAYS:
        return critical;
    case ALWAYS_IN_CA:
        return critical || position == CHAIN_LEAF;
    case EITHER:
        break;
    }
    return true;
}

/* By the definition that OpenSSL has of it; nothing may follow. */
static bool value_well_formed(X509_EXTENSION *extension)
{
    const X509V3_EXT_METHOD *method = X509V3_EXT_get(extension);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    const unsigned char *start = ASN1_STRING_get0_data(value), *at = start;
    int size = ASN1_STRING_length(value);

    if (!method || !method->it)
        return true;
    ASN1_VALUE *read = ASN1_item_d2i(NULL, &at, size, ASN1_ITEM_ptr(method->it));
    if (!read)
        return false;
    ASN1_item_free(read, ASN1_ITEM_ptr(method->it));
    return at == start + size;
}

static bool value_empty(X509_EXTENSION *extension)
{
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    const unsigned char *bytes = ASN1_STRING_get0_data(value);

    return ASN1_STRING_length(value) < 2 || bytes[1] == 0;
}

static bool extension_right(X509_EXTENSION *extension, enum chain_position position)
{
    bool critical = X509_EXTENSION_get_critical(extension) != 0;
    const struct extension_rule *rule =
        extension_rule_of(OBJ_obj2nid(X509_EXTENSION_get_object(extension)));

    if (!value_well_formed(extension))
        return false;
    if (!rule)
        return !critical;
    return (rule->positions & position) && criticality_fits(rule, critical, position) &&
           (rule->may_be_empty || !value_empty(extension));
}

static bool has_doubles(const X509 *certificate)
{
    for (int i = 0; i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        if (X509_get_ext_by_OBJ(certificate, X509_EXTENSION_get_object(extension), i) >= 0)
            return true;
    }
    return false;
}

/* RFC 5280 section 4.2.1.6, Baseline Requirements 7.1.2.7.12: critical exactly when the subject is
 * empty. */
static bool alternative_names_fit(const X509 *certificate)
{
    int at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    bool anonymous = X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;

    if (at < 0)
        return !anonymous;
    return (X509_EXTENSION_get_critical(X509_get_ext(certificate, at)) != 0) == anonymous;
}

/* RFC 5280 section 4.2.1.4: a policy is said once. */
static bool policies_fit(const X509 *certificate)
{
    CERTIFICATEPOLICIES *policies =
        X509_get_ext_d2i(certificate, NID_certificate_policies, NULL, NULL);
    int count = sk_POLICYINFO_num(policies);
    bool right = count <= POLICY_LIMIT;

    for (int i = 1; right && i < count; i++)
        for (int j = 0; right && j < i; j++)
            right = OBJ_cmp(sk_POLICYINFO_value(policies, i)->policyid,
                            sk_POLICYINFO_value(policies, j)->policyid) != 0;
    CERTIFICATEPOLICIES_free(policies);
    return right;
}

/* RFC 5280 sections 4.2.1.3 and 4.2.1.9: a usage that is given is not none at all, and a bound on
 * CAs is a CA's. */
static bool usages_fit(X509 *certificate)
{
    bool bounded = X509_get_pathlen(certificate) != -1;

    return X509_get_key_usage(certificate) != 0 &&
           (!bounded || (X509_get_extension_flags(certificate) & EXFLAG_CA));
}

enum certificate_verdict chain_check_extensions(const X509 *certificate,
                                                enum chain_position position)
{
    X509 *read = (X509 *)certificate; /* OpenSSL's getters fill in what they have parsed */
    int count = X509_get_ext_count(certificate);

    if (count > EXTENSION_LIMIT || has_doubles(certificate))
        return VERDICT_EXTENSION;
    if (position == CHAIN_ANCHOR && chain_anchor_is_old(certificate))
        return VERDICT_OK;
    for (int i = 0; i < count; i++)
        if (!extension_right(X509_get_ext(certificate, i), position)) {
            ERR_clear_error();
            return VERDICT_EXTENSION;
        }
    if ((position == CHAIN_LEAF && !alternative_names_fit(certificate)) ||
        !policies_fit(certificate) || !usages_fit(read))
        return VERDICT_EXTENSION;
    return VERDICT_OK;
}
