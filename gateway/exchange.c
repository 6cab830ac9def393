/* SPDX-License-Identifier: BSD-2-Clause */
/* The plain data of an exchange: fields, addresses and networks. No I/O. */
#include "gateway/exchange.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const struct field *field_find(const struct field *fields, size_t count, struct span name)
{
    while (count-- > 0)
        if (span_equal_nocase(fields[count].name, name))
            return &fields[count];
    return NULL;
}

static size_t address_size(const struct address *address)
{
    return address->family == 4 ? 4 : address->family == 6 ? 16 : 0;
}

/* ::ffff:0:0/96 (RFC 4291, section 2.5.5.2) */
static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

void address_format(const struct address *address, char *text)
{
    text[0] = '\0';
    if (address->family == 4 || address->family == 6)
        inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, ADDRESS_TEXT);
}

bool address_parse(struct span text, struct address *address)
{
    char copy[ADDRESS_TEXT];
    uint8_t bytes[16] = {0};

    memset(address, 0, sizeof(*address));
    if (text.size == 0 || text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        address->family = 4;
        memcpy(address->bytes, bytes, 4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    if (is_mapped(bytes)) {
        address->family = 4;
        memcpy(address->bytes, bytes + 12, 4);
    } else {
        address->family = 6;
        memcpy(address->bytes, bytes, 16);
    }
    return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, address_size(a)) == 0;
}

/* What a packet must never be sent to for somebody else. */
static const struct network locals[] = {
    {{4, {0}}, 8},                                                /* this host (RFC 1122) */
    {{4, {127}}, 8},                                              /* loopback */
    {{4, {169, 254}}, 16},                                        /* link-local (RFC 3927) */
    {{4, {224}}, 4},                                              /* multicast */
    {{4, {255, 255, 255, 255}}, 32},                              /* broadcast */
    {{6, {0}}, 128},                                              /* unspecified */
    {{6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128}, /* loopback */
    {{6, {0xfe, 0x80}}, 10},                                      /* link-local (RFC 4291) */
    {{6, {0xff}}, 8},                                             /* multicast */
};

bool address_is_local(const struct address *address)
{
    struct address plain = *address;
    if (address->family == 6 && is_mapped(address->bytes)) {
        plain = (struct address){.family = 4};
        memcpy(plain.bytes, address->bytes + 12, 4);
    }
    for (size_t i = 0; i < sizeof(locals) / sizeof(*locals); i++)
        if (network_contains(&locals[i], &plain))
            return true;
    return false;
}

/* True when the first `bits` bits of both are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return left == 0 || ((a[whole] ^ b[whole]) >> (8 - left)) == 0;
}

static bool host_bits_are_zero(const struct network *network)
{
    size_t bits = address_size(&network->address) * 8;
    for (size_t i = network->prefix; i < bits; i++)
        if (network->address.bytes[i / 8] & (0x80u >> (i % 8)))
            return false;
    return true;
}

bool network_parse(struct span text, struct network *network)
{
    size_t slash = span_index(text, '/');
    struct span literal = span_first(text, slash);
    int64_t prefix;

    memset(network, 0, sizeof(*network));
    if (!address_parse(literal, &network->address))
        return false;
    int64_t widest = (int64_t)address_size(&network->address) * 8;
    if (slash == text.size) {
        network->prefix = (uint8_t)widest;
        return true;
    }
    /* a mapped address was turned into IPv4, so its prefix would count other bits */
    if (network->address.family == 4 && span_index(literal, ':') < literal.size)
        return false;
    struct span digits = span_from(text, slash + 1);
    if (digits.size > 3 || !span_number(digits, &prefix) || prefix > widest)
        return false;
    network->prefix = (uint8_t)prefix;
    return host_bits_are_zero(network);
}

bool network_contains(const struct network *network, const struct address *address)
{
    return network->address.family == address->family && address_size(address) != 0 &&
           same_bits(network->address.bytes, address->bytes, network->prefix);
}

static int compare_addresses(const struct address *a, const struct address *b)
{
    return a->family != b->family ? a->family - b->family
                                  : memcmp(a->bytes, b->bytes, address_size(a));
}

static int compare_networks(const void *a, const void *b)
{
    const struct network *left = a, *right = b;
    int order = compare_addresses(&left->address, &right->address);

    return order ? order : left->prefix - right->prefix;
}

size_t network_list_arrange(struct network *networks, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(networks, count, sizeof(*networks), compare_networks);
    /* two networks are apart, or one is within the other and comes after it */
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !network_contains(&networks[kept - 1], &networks[i].address))
            networks[kept++] = networks[i];
    return kept;
}

const struct network *network_list_find(const struct network *networks, size_t count,
                                        const struct address *address)
{
    size_t first = 0, last = count; /* of those that begin after the address, the first */

    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (compare_addresses(&networks[middle].address, address) <= 0)
            first = middle + 1;
        else
            last = middle;
    }
    return first > 0 && network_contains(&networks[first - 1], address) ? &networks[first - 1]
                                                                        : NULL;
}
