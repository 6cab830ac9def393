/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plain data of one exchange, as the filters see it: a request, the response to it, and what
 * was known at that moment. Nothing here owns memory: every span borrows from the protocol core
 * that made it and lives until that core is fed again.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/span.h"

/* An IPv4 or IPv6 address. IPv4 is kept as itself, never as a mapped IPv6 address. */
struct address {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t bytes[16];
};

/* One header or trailer field. The name keeps the case in which it was sent. */
struct field {
    struct span name;
    struct span value; /* without leading and trailing white space */
};

struct request {
    struct span method; /* a token (RFC 9110, section 9), case-sensitive */
    bool tls;           /* it came through an inspected TLS connection */
    struct span host;   /* lower case, no port, no trailing dot, no brackets; never empty */
    uint16_t port;      /* of the destination */
    struct span target; /* origin-form: path and query, begins with '/'; or "*" for OPTIONS */
    const struct field *fields;
    size_t field_count;
    struct span sni;      /* the name in the ClientHello, lower case; empty on plain http */
    bool host_is_covered; /* the verified origin certificate is good for `host`; true without TLS */
    /* of the origin's address, ISO 3166-1; "" when nobody knows it, NULL before there is an address
     */
    const char *country;
};

struct response {
    unsigned status; /* 100 to 999 */
    const struct field *fields;
    size_t field_count;
    const uint8_t *prefix; /* the first bytes of the body, content codings removed */
    size_t prefix_size;
    bool prefix_is_whole; /* the body ends with the prefix */
    bool opaque;          /* a content coding that cannot be decoded: the prefix says nothing */
    const uint8_t *coded; /* the first bytes as they came, when a content coding was removed */
    size_t coded_size;
};

/* The last field of that name (ASCII case ignored), or NULL. */
const struct field *field_find(const struct field *fields, size_t count, struct span name);

/* Text forms. `text` is at least ADDRESS_TEXT bytes and is always terminated. */
#define ADDRESS_TEXT 46
void address_format(const struct address *address, char *text);
/* True for a literal IPv4 or IPv6 address without brackets, zone or port. */
bool address_parse(struct span text, struct address *address);
bool address_equal(const struct address *a, const struct address *b);
/* True for what only this machine or link can mean: loopback, unspecified, link-local, multicast.
 */
bool address_is_local(const struct address *address);

/* A network in CIDR notation. */
struct network {
    struct address address; /* host bits are zero */
    uint8_t prefix;         /* bits */
};
/* "192.0.2.0/24", "2001:db8::/32" or a single address; false when host bits are set or it is bad.
 */
bool network_parse(struct span text, struct network *network);
bool network_contains(const struct network *network, const struct address *address);

/*
 * Makes a list of networks fit for network_list_find(): in order, each within none of the others.
 * Its new count.
 */
size_t network_list_arrange(struct network *networks, size_t count);
/* The network of such a list that holds the address, or NULL. In logarithmic time. */
const struct network *network_list_find(const struct network *networks, size_t count,
                                        const struct address *address);

#endif
