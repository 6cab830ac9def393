/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of rules over a chain, and those rules that are about one field. See chain.h. */
#include "gateway/chain.h"

#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#define SERIAL_OCTETS 20         /* RFC 5280 section 4.1.2.2 */
#define RFC_2459      915148800  /* 1 January 1999 */
#define BASELINE      1341100800 /* 1 July 2012 */

int64_t chain_time(const ASN1_TIME *time)
{
    struct tm parts;

    if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
        return -1;
    return (int64_t)timegm(&parts);
}

bool chain_anchor_is_old(const X509 *anchor)
{
    int64_t begin = chain_time(X509_get0_notBefore(anchor));

    return begin >= RFC_2459 && begin < BASELINE;
}

static enum certificate_verdict check_version(X509 *certificate)
{
    return X509_get_version(certificate) == X509_VERSION_3 ? VERDICT_OK : VERDICT_VERSION;
}

static enum certificate_verdict check_serial(X509 *certificate)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);

    if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER || size < 1 || bytes[0] == 0)
        return VERDICT_SERIAL;
    /* A first octet of 0x80 and more needs one of zero before it. */
    return size + (bytes[0] >> 7) <= SERIAL_OCTETS ? VERDICT_OK : VERDICT_SERIAL;
}

/* RFC 5280 section 4.1.2.5: UTCTime until 2049 and GeneralizedTime after it, both with seconds,
 * in Zulu time and without fractions. */
static bool time_well_written(const ASN1_TIME *time)
{
    const unsigned char *text = ASN1_STRING_get0_data(time);
    int size = ASN1_STRING_length(time), type = ASN1_STRING_type(time);
    bool general = type == V_ASN1_GENERALIZEDTIME;

    if ((type != V_ASN1_UTCTIME && !general) || size != (general ? 15 : 13) ||
        text[size - 1] != 'Z')
        return false;
    for (int i = 0; i < size - 1; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return !general || memcmp(text, "2050", 4) >= 0;
}

static enum certificate_verdict check_validity(X509 *certificate)
{
    const ASN1_TIME *begin = X509_get0_notBefore(certificate);
    const ASN1_TIME *end = X509_get0_notAfter(certificate);

    if (!time_well_written(begin) || !time_well_written(end) || chain_time(end) < chain_time(begin))
        return VERDICT_VALIDITY;
    return VERDICT_OK;
}

/* RFC 5280 section 4.1.2.8: the unique identifiers are of another age. */
static enum certificate_verdict check_unique_identifiers(X509 *certificate)
{
    const ASN1_BIT_STRING *issuer = NULL, *subject = NULL;

    X509_get0_uids(certificate, &issuer, &subject);
    return issuer || subject ? VERDICT_MALFORMED : VERDICT_OK;
}

static enum certificate_verdict check_end_entity(X509 *leaf)
{
    uint32_t usage = X509_get_key_usage(leaf);

    if (X509_check_ca(leaf) || (X509_get_extension_flags(leaf) & EXFLAG_CA))
        return VERDICT_CA_LEAF;
    /* The usage is all bits set when the extension is absent. */
    return usage != UINT32_MAX && (usage & KU_KEY_CERT_SIGN) ? VERDICT_CA_LEAF : VERDICT_OK;
}

static bool has_purpose(const EXTENDED_KEY_USAGE *purposes, int nid)
{
    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++)
        if (OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, i)) == nid)
            return true;
    return false;
}

/* Explicitly for servers, and for nothing that would make it dangerous elsewhere (Baseline
 * Requirements 7.1.2.7.10). */
static enum certificate_verdict check_purpose(X509 *leaf)
{
    static const int forbidden[] = {NID_anyExtendedKeyUsage, NID_code_sign, NID_email_protect,
                                    NID_time_stamp, NID_OCSP_sign};
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    bool right = purposes && has_purpose(purposes, NID_server_auth);

    for (size_t i = 0; right && i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        right = !has_purpose(purposes, forbidden[i]);
    EXTENDED_KEY_USAGE_free(purposes);
    /* Every suite that is offered has the server sign; RSA key transport is not among them. */
    return right && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) ? VERDICT_OK
                                                                      : VERDICT_PURPOSE;
}

/* A CA whose purposes are limited must be one for servers: OpenSSL also takes the "server gated
 * cryptography" of the nineties for it. */
static enum certificate_verdict check_authority_purpose(X509 *authority)
{
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(authority, NID_ext_key_usage, NULL, NULL);
    bool right = !purposes || has_purpose(purposes, NID_server_auth) ||
                 has_purpose(purposes, NID_anyExtendedKeyUsage);

    EXTENDED_KEY_USAGE_free(purposes);
    return right ? VERDICT_OK : VERDICT_PURPOSE;
}

static enum certificate_verdict check_authority(X509 *authority)
{
    uint32_t flags = X509_get_extension_flags(authority);

    if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_CA))
        return VERDICT_NOT_CA;
    /* Absent, only an anchor may have it: OpenSSL asks the others for it. */
    if (!(X509_get_key_usage(authority) & KU_KEY_CERT_SIGN))
        return VERDICT_NOT_CA;
    return X509_NAME_entry_count(X509_get_subject_name(authority)) > 0 ? VERDICT_OK
                                                                       : VERDICT_EMPTY_NAME;
}

static enum certificate_verdict check_issuer_name(X509 *certificate)
{
    return X509_NAME_entry_count(X509_get_issuer_name(certificate)) > 0 ? VERDICT_OK
                                                                        : VERDICT_EMPTY_NAME;
}

/* Baseline Requirements 7.1.2.1: what a root says of itself. RFC 5280 reads no more of an anchor
 * than its name and key, so the old ones are let be. */
static enum certificate_verdict check_anchor_form(X509 *anchor)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(anchor);
    const ASN1_OCTET_STRING *authority = X509_get0_authority_key_id(anchor);

    if (chain_anchor_is_old(anchor))
        return VERDICT_OK;
    if (X509_get_ext_by_NID(anchor, NID_ext_key_usage, -1) >= 0)
        return VERDICT_PURPOSE;
    if (!own)
        return VERDICT_IDENTIFIER;
    /* One that another CA has issued is trusted for itself, and names that CA's key. */
    if (!(X509_get_extension_flags(anchor) & EXFLAG_SI))
        return authority ? VERDICT_OK : VERDICT_IDENTIFIER;
    if (X509_get_ext_by_NID(anchor, NID_authority_key_identifier, -1) < 0)
        return VERDICT_OK;
    if (!authority || ASN1_OCTET_STRING_cmp(own, authority) != 0 ||
        X509_get0_authority_issuer(anchor) || X509_get0_authority_serial(anchor))
        return VERDICT_IDENTIFIER;
    return VERDICT_OK;
}

static const struct {
    unsigned positions;
    enum certificate_verdict (*check)(X509 *certificate);
} rules[] = {
    {CHAIN_LEAF | CHAIN_BETWEEN | CHAIN_ANCHOR, check_version},
    {CHAIN_LEAF | CHAIN_BETWEEN, check_serial},
    {CHAIN_LEAF | CHAIN_BETWEEN, check_validity},
    {CHAIN_LEAF | CHAIN_BETWEEN, check_unique_identifiers},
    {CHAIN_LEAF | CHAIN_BETWEEN, check_issuer_name},
    {CHAIN_LEAF, check_end_entity},
    {CHAIN_LEAF, check_purpose},
    {CHAIN_BETWEEN | CHAIN_ANCHOR, chain_check_distrust},
    {CHAIN_BETWEEN | CHAIN_ANCHOR, check_authority},
    {CHAIN_BETWEEN, check_authority_purpose},
    {CHAIN_ANCHOR, check_anchor_form},
    {CHAIN_LEAF | CHAIN_BETWEEN | CHAIN_ANCHOR, chain_check_key},
    {CHAIN_LEAF | CHAIN_BETWEEN, chain_check_signature}, /* an anchor's says nothing */
    {CHAIN_LEAF | CHAIN_BETWEEN, chain_check_names},
};

static enum certificate_verdict check_one(X509 *certificate, enum chain_position position)
{
    enum certificate_verdict verdict = chain_check_extensions(certificate, position);

    for (size_t i = 0; verdict == VERDICT_OK && i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].positions & position)
            verdict = rules[i].check(certificate);
    return verdict;
}

enum certificate_verdict chain_check_anchor(X509 *anchor)
{
    return check_one(anchor, CHAIN_ANCHOR);
}

static enum certificate_verdict check_time(const X509 *certificate, int64_t time)
{
    int64_t begin = chain_time(X509_get0_notBefore(certificate));
    int64_t end = chain_time(X509_get0_notAfter(certificate));

    return time < begin ? VERDICT_NOT_YET_VALID : time > end ? VERDICT_EXPIRED : VERDICT_OK;
}

/* RFC 5280 sections 4.2.1.1 and 4.2.1.2: a certificate names its issuer's key, and an issuer its
 * own. An anchor may have no name for its key. */
static enum certificate_verdict check_identifiers(X509 *certificate, X509 *issuer, bool is_anchor)
{
    const ASN1_OCTET_STRING *named = X509_get0_authority_key_id(certificate);
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(issuer);

    if (!named || (!own && !is_anchor) || (own && ASN1_OCTET_STRING_cmp(named, own) != 0))
        return VERDICT_IDENTIFIER;
    return !X509_get0_authority_issuer(certificate) == !X509_get0_authority_serial(certificate)
               ? VERDICT_OK
               : VERDICT_IDENTIFIER;
}

struct chain_finding chain_check(STACK_OF(X509) * chain, const struct certificate_name *name,
                                 int64_t time)
{
    struct chain_finding finding = {VERDICT_OK, 0};
    int length = sk_X509_num(chain);

    if (length < 1)
        return (struct chain_finding){VERDICT_INTERNAL, 0};
    for (int i = 0; finding.verdict == VERDICT_OK && i < length; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        bool is_last = i == length - 1;
        finding.depth = i;
        finding.verdict = check_one(certificate, i == 0    ? CHAIN_LEAF
                                                 : is_last ? CHAIN_ANCHOR
                                                           : CHAIN_BETWEEN);
        if (finding.verdict == VERDICT_OK)
            finding.verdict = check_time(certificate, time);
        if (finding.verdict == VERDICT_OK && !is_last)
            finding.verdict =
                check_identifiers(certificate, sk_X509_value(chain, i + 1), i + 1 == length - 1);
    }
    if (finding.verdict == VERDICT_OK)
        finding = chain_check_constraints(chain);
    if (finding.verdict == VERDICT_OK)
        finding = (struct chain_finding){chain_check_host(sk_X509_value(chain, 0), name), 0};
    return finding;
}
