/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client offers of TLS, as far as the gateway speaks it: versions, cipher suites, groups and
 * signature algorithms, in the client's order. An origin is offered exactly this, so that it
 * chooses as it would have chosen for the client; the client is then served with what it chose. A
 * core: code points go in, no I/O.
 *
 * The tables of what is spoken stand in offer.c: TLS 1.2 and 1.3, ECDHE and AEAD only (the
 * high-security list of IPA's and CRYPTREC's TLS guideline).
 */
#ifndef GATEWAY_OFFER_H
#define GATEWAY_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#define OFFER_LIMIT 16 /* rows of a table at the most */

enum offer_table { OFFER_SUITES, OFFER_GROUPS, OFFER_SIGNATURES, OFFER_TABLES };

/* Rows of one table, in the client's order. */
struct offer_list {
    uint8_t count;
    uint8_t rows[OFFER_LIMIT];
    bool is_said; /* the client sent such a list, whatever was in it */
};

struct offer {
    bool tls12, tls13;
    bool is_fallback; /* TLS_FALLBACK_SCSV: a higher version was tried before (RFC 7507) */
    struct offer_list lists[OFFER_TABLES];
};

/* The client offers this. What is not spoken is passed over, and what is said twice. */
void offer_add_version(struct offer *offer, uint16_t version);
void offer_add(struct offer *offer, enum offer_table table, uint16_t code);
/* The client sent the list, be it empty. */
void offer_say(struct offer *offer, enum offer_table table);

/*
 * Once everything was added: takes away what the client could not be served with, whose leaf is of
 * P-256 and SHA-256 always. A version without a suite, a group or a signature goes; a TLS 1.2 suite
 * for RSA stays where the client offers the same one for ECDSA. NULL, or what is missing when
 * nothing is left.
 */
const char *offer_settle(struct offer *offer);

/* All that is spoken, in our own order, up to the version (0x0303 or 0x0304). */
struct offer offer_whole(uint16_t version);

/* The OpenSSL names of one list, joined by ":"; of the suites those of `version`. "" when there are
 * none. */
#define OFFER_TEXT 512
void offer_names(const struct offer *offer, enum offer_table table, uint16_t version,
                 char text[OFFER_TEXT]);

/* What a client is served with when its origin chose this suite: the same one, in TLS 1.2 for
 * ECDSA. NULL when it is not spoken. */
const char *offer_served_suite(uint16_t code);

#endif
