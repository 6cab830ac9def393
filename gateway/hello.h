/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ClientHello core: takes the first bytes of a TLS connection, however they are cut into
 * segments and records, and says what the client asks for (RFC 8446 section 4.1.2 and 5.1, RFC 6066
 * section 3, RFC 7301). No I/O. The bytes themselves stay with the caller, who replays them.
 */
#ifndef GATEWAY_HELLO_H
#define GATEWAY_HELLO_H

#include "filters/hostset.h"
#include "filters/span.h"
#include "gateway/offer.h"

/* The longest run of bytes that is read for a ClientHello, record headers included. */
#define HELLO_LIMIT 65536

enum hello_status {
    HELLO_MORE,      /* not whole yet: feed more */
    HELLO_DONE,      /* `facts` is set */
    HELLO_NOT_TLS,   /* the first bytes are not those of a TLS handshake record */
    HELLO_MALFORMED, /* TLS, but not a well-formed ClientHello */
    HELLO_TOO_LONG   /* over HELLO_LIMIT */
};

struct hello_facts {
    char sni[HOST_TEXT]; /* normalised; "" when absent or unusable */
    bool sni_present;    /* the extension is there */
    bool sni_bad;        /* there, but not an LDH name in A-label form of at most 253 bytes */
    uint16_t
        version; /* the highest offered: 0x0301 ... 0x0304, GREASE ignored; 0 for none of them */
    bool alpn_present;
    bool alpn_http1; /* http/1.1 is offered */
    bool alpn_h2;
    bool alpn_h2_first; /* before http/1.1, where both are offered */
    bool alpn_other;    /* something else is offered */
    struct offer offer; /* as it was said: not settled yet */
    bool ech;           /* encrypted_client_hello is present (GREASE or real) */
    bool resumption;    /* a ticket, a session id with TLS 1.2, or a pre-shared key */
};

struct hello;

struct hello *hello_new(void);
void hello_free(struct hello *hello);

/*
 * Takes the next bytes of the stream (those not fed before). Bytes after the ClientHello are
 * ignored. Once anything but HELLO_MORE was returned the same is returned for ever.
 */
enum hello_status hello_feed(struct hello *hello, const uint8_t *data, size_t size);

/* What was found; NULL before HELLO_DONE. Borrowed. */
const struct hello_facts *hello_result(const struct hello *hello);

#endif
