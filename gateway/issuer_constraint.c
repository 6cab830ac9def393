/* SPDX-License-Identifier: BSD-2-Clause */
/* Which names a CA may speak for (RFC 5280 section 4.2.1.10): asked before anything is signed. */
#include "gateway/issuer.h"

#include <strings.h>

/* A dNSName takes the name and all below it; with a leading dot, as some write it, no less. */
static bool is_below(struct span name, struct span base)
{
    if (base.size > 0 && base.data[0] == '.')
        base = span_from(base, 1);
    return base.size == 0 ||
           (name.size >= base.size &&
            strncasecmp(name.data + name.size - base.size, base.data, base.size) == 0 &&
            (name.size == base.size || name.data[name.size - base.size - 1] == '.'));
}

/* An iPAddress is an address and a mask of the same size. */
static bool is_masked(const struct certificate_name *name, const ASN1_STRING *base)
{
    const unsigned char *bytes = ASN1_STRING_get0_data(base);
    size_t size = name->address_size;

    if ((size_t)ASN1_STRING_length(base) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((name->address[i] ^ bytes[i]) & bytes[size + i])
            return false;
    return true;
}

/* Whether one of the subtrees takes the name; *speaks when one is of the name's kind at all. */
static bool is_within(const STACK_OF(GENERAL_SUBTREE) * subtrees,
                      const struct certificate_name *name, bool *speaks)
{
    *speaks = false;
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(subtrees); i++) {
        int kind;
        const ASN1_STRING *base =
            GENERAL_NAME_get0_value(sk_GENERAL_SUBTREE_value(subtrees, i)->base, &kind);
        if (kind != (name->address_size ? GEN_IPADD : GEN_DNS))
            continue;
        *speaks = true;
        if (name->address_size ? is_masked(name, base)
                               : is_below(span_of(name->text),
                                          (struct span){(const char *)ASN1_STRING_get0_data(base),
                                                        (size_t)ASN1_STRING_length(base)}))
            return true;
    }
    return false;
}

bool issuer_may_speak(const NAME_CONSTRAINTS *constraints, const struct certificate_name *name)
{
    bool speaks;

    if (is_within(constraints->excludedSubtrees, name, &speaks))
        return false;
    return is_within(constraints->permittedSubtrees, name, &speaks) || !speaks;
}
