/* SPDX-License-Identifier: BSD-2-Clause */
/* What a host is as a name to verify or to sign, and whether a subjectAltName covers it. */
#include "gateway/certificate_name.h"

#include <arpa/inet.h>
#include <string.h>

#include <libpsl.h>

bool certificate_name_read(struct span host, struct certificate_name *name)
{
    memset(name, 0, sizeof(*name));
    if (!host_normalise(host, name->text))
        return false;
    if (inet_pton(AF_INET, name->text, name->address) == 1)
        name->address_size = 4;
    else if (inet_pton(AF_INET6, name->text, name->address) == 1)
        name->address_size = 16;
    return true;
}

/* "*.co.jp" or "*.com" would speak for everybody below it; the private part of the list is hosting,
 * where it is usual. */
static bool is_public_suffix(struct span suffix)
{
    const psl_ctx_t *list = psl_builtin();
    char text[HOST_TEXT];

    if (!list || !host_normalise(suffix, text))
        return true;
    return psl_is_public_suffix2(list, text, PSL_TYPE_ICANN) != 0;
}

static bool dns_covers(struct span pattern, struct span host)
{
    if (span_equal_nocase(pattern, host))
        return true;
    if (!span_starts(pattern, SPAN("*.")))
        return false;

    size_t dot = span_index(host, '.');
    struct span suffix = span_from(pattern, 2);
    return dot > 0 && span_equal_nocase(suffix, span_from(host, dot + 1)) && suffix.size > 0 &&
           !is_public_suffix(suffix);
}

static struct span asn1_span(const ASN1_STRING *string)
{
    return (struct span){(const char *)ASN1_STRING_get0_data(string),
                         (size_t)ASN1_STRING_length(string)};
}

bool certificate_name_covered(const struct certificate_name *name, const GENERAL_NAMES *names)
{
    struct span host = span_of(name->text);
    struct span address = {(const char *)name->address, name->address_size};

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
        if (entry->type == GEN_DNS && !address.size &&
            dns_covers(asn1_span(entry->d.dNSName), host))
            return true;
        if (entry->type == GEN_IPADD && address.size &&
            span_equal(asn1_span(entry->d.iPAddress), address))
            return true;
    }
    return false;
}
