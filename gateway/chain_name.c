/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names in a chain: how they are written, which the leaf speaks for, and whether the CAs above
 * may let it. OpenSSL has looked at the constraints before; it does not see that "*.example.jp"
 * reaches into an excluded "mail.example.jp", and takes malformed ones.
 */
#include "gateway/chain.h"

#include <ctype.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define DNS_SIZE   253   /* bytes, as text: RFC 1035 section 2.3.4 */
#define LABEL_SIZE 63    /* bytes */
#define WORK_LIMIT 65536 /* names times constraints, for one CA: OpenSSL's own is larger */

static struct span string_span(const ASN1_STRING *string)
{
    return (struct span){(const char *)ASN1_STRING_get0_data(string),
                         (size_t)ASN1_STRING_length(string)};
}

/* --- how names are written --- */

static bool label_well_formed(struct span label)
{
    if (label.size == 0 || label.size > LABEL_SIZE || label.data[0] == '-' ||
        label.data[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!isascii((unsigned char)label.data[i]) ||
            (!isalnum((unsigned char)label.data[i]) && label.data[i] != '-'))
            return false;
    return true;
}

static bool all_digits(struct span label)
{
    for (size_t i = 0; i < label.size; i++)
        if (!isdigit((unsigned char)label.data[i]))
            return false;
    return true;
}

/* The preferred syntax of RFC 1034 section 3.5 with RFC 1123 section 2.1: no underscores, no empty
 * labels, no final dot, and no address in disguise. */
static bool dns_well_formed(struct span name)
{
    struct span label;

    if (name.size == 0 || name.size > DNS_SIZE)
        return false;
    for (;;) {
        size_t dot = span_index(name, '.');
        bool is_last = dot >= name.size;
        label = (struct span){name.data, is_last ? name.size : dot};
        if (!label_well_formed(label))
            return false;
        if (is_last)
            return !all_digits(label);
        name = span_from(name, dot + 1);
    }
}

static bool is_wildcard(struct span name)
{
    return span_starts(name, SPAN("*."));
}

static bool printable(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    return text.size > 0;
}

static bool mail_well_formed(struct span text)
{
    size_t at = span_index(text, '@');

    return printable(text) && at > 0 && at + 1 < text.size &&
           span_index(span_from(text, at + 1), '@') >= text.size - at - 1;
}

static bool name_well_formed(const GENERAL_NAME *name)
{
    struct span text;

    switch (name->type) {
    case GEN_DNS:
        text = string_span(name->d.dNSName);
        return dns_well_formed(is_wildcard(text) ? span_from(text, 2) : text);
    case GEN_IPADD:
        text = string_span(name->d.iPAddress);
        return text.size == 4 || text.size == 16;
    case GEN_EMAIL:
        return mail_well_formed(string_span(name->d.rfc822Name));
    case GEN_URI:
        text = string_span(name->d.uniformResourceIdentifier);
        return printable(text) && span_index(text, ':') < text.size;
    default:
        return true;
    }
}

enum certificate_verdict chain_check_names(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool right = true;

    for (int i = 0; right && i < sk_GENERAL_NAME_num(names); i++)
        right = name_well_formed(sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return right ? VERDICT_OK : VERDICT_SAN;
}

enum certificate_verdict chain_check_host(X509 *leaf, const struct certificate_name *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool covered = names && certificate_name_covered(name, names);

    GENERAL_NAMES_free(names);
    return covered ? VERDICT_OK : VERDICT_NAME;
}

/* --- constraints (RFC 5280 section 4.2.1.10) --- */

static bool mask_well_formed(struct span mask)
{
    bool ended = false;

    for (size_t i = 0; i < mask.size; i++)
        for (int bit = 7; bit >= 0; bit--) {
            bool set = (unsigned char)mask.data[i] >> bit & 1;
            if (set && ended)
                return false;
            ended = !set;
        }
    return true;
}

/* The empty DNS constraint is every name; one that begins with a dot is none. */
static bool base_well_formed(const GENERAL_NAME *base)
{
    struct span text;

    switch (base->type) {
    case GEN_DNS:
        text = string_span(base->d.dNSName);
        return text.size == 0 || dns_well_formed(text);
    case GEN_IPADD:
        text = string_span(base->d.iPAddress);
        return (text.size == 8 || text.size == 32) &&
               mask_well_formed(span_from(text, text.size / 2));
    case GEN_EMAIL:
        return printable(string_span(base->d.rfc822Name));
    case GEN_URI:
        return printable(string_span(base->d.uniformResourceIdentifier));
    default:
        return true;
    }
}

static bool subtrees_well_formed(const STACK_OF(GENERAL_SUBTREE) * subtrees)
{
    if (!subtrees)
        return true;
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(subtrees); i++) {
        const GENERAL_SUBTREE *subtree = sk_GENERAL_SUBTREE_value(subtrees, i);
        bool from_zero = !subtree->minimum || ASN1_INTEGER_get(subtree->minimum) == 0;
        if (!from_zero || subtree->maximum || !base_well_formed(subtree->base))
            return false;
    }
    return sk_GENERAL_SUBTREE_num(subtrees) > 0;
}

static bool constraints_well_formed(const NAME_CONSTRAINTS *constraints)
{
    return (constraints->permittedSubtrees || constraints->excludedSubtrees) &&
           subtrees_well_formed(constraints->permittedSubtrees) &&
           subtrees_well_formed(constraints->excludedSubtrees);
}

/* The name itself, or one below it. */
static bool dns_within(struct span name, struct span base)
{
    if (base.size == 0 || span_equal_nocase(name, base))
        return true;
    return name.size > base.size && name.data[name.size - base.size - 1] == '.' &&
           span_equal_nocase(span_from(name, name.size - base.size), base);
}

/* Whether some host that the name speaks for is within the base. */
static bool dns_touches(struct span name, struct span base)
{
    if (!is_wildcard(name))
        return dns_within(name, base);

    struct span above = span_from(name, 2);
    size_t dot = span_index(base, '.');
    return dns_within(above, base) ||
           (dot < base.size && span_equal_nocase(span_from(base, dot + 1), above));
}

/* Whether all hosts that it speaks for are. */
static bool dns_inside(struct span name, struct span base)
{
    return dns_within(is_wildcard(name) ? span_from(name, 2) : name, base);
}

static bool dns_allowed(struct span name, const NAME_CONSTRAINTS *constraints)
{
    bool limited = false, permitted = false;

    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(constraints->excludedSubtrees, i)->base;
        if (base->type == GEN_DNS && dns_touches(name, string_span(base->d.dNSName)))
            return false;
    }
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
        const GENERAL_NAME *base =
            sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;
        if (base->type != GEN_DNS)
            continue;
        limited = true;
        permitted = permitted || dns_inside(name, string_span(base->d.dNSName));
    }
    return permitted || !limited;
}

static bool names_allowed(const GENERAL_NAMES *names, const NAME_CONSTRAINTS *constraints)
{
    int64_t subtrees =
        (int64_t)(constraints->excludedSubtrees
                      ? sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees)
                      : 0) +
        (constraints->permittedSubtrees ? sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees)
                                        : 0);

    if (names && subtrees * sk_GENERAL_NAME_num(names) > WORK_LIMIT)
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS && !dns_allowed(string_span(name->d.dNSName), constraints))
            return false;
    }
    return true;
}

/* The constraints of the CA at `depth` on everything below it. Self-issued CAs (of a change of
 * keys) are not bound. */
static struct chain_finding check_below(STACK_OF(X509) * chain, int depth,
                                        const NAME_CONSTRAINTS *constraints)
{
    for (int i = depth - 1; i >= 0; i--) {
        X509 *certificate = sk_X509_value(chain, i);
        if (i > 0 && (X509_get_extension_flags(certificate) & EXFLAG_SI))
            continue;
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        bool allowed = names_allowed(names, constraints);
        GENERAL_NAMES_free(names);
        if (!allowed)
            return (struct chain_finding){VERDICT_NAME_CONSTRAINTS, i};
    }
    return (struct chain_finding){VERDICT_OK, 0};
}

struct chain_finding chain_check_constraints(STACK_OF(X509) * chain)
{
    struct chain_finding finding = {VERDICT_OK, 0};

    for (int i = 1; finding.verdict == VERDICT_OK && i < sk_X509_num(chain); i++) {
        int found = 0;
        NAME_CONSTRAINTS *constraints =
            X509_get_ext_d2i(sk_X509_value(chain, i), NID_name_constraints, &found, NULL);
        if (constraints && constraints_well_formed(constraints))
            finding = check_below(chain, i, constraints);
        else if (constraints || found != -1)
            finding = (struct chain_finding){VERDICT_NAME_CONSTRAINTS, i};
        NAME_CONSTRAINTS_free(constraints);
    }
    ERR_clear_error();
    return finding;
}
