/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One list of revoked certificates (CRL, RFC 5280 section 5), read where it lies in memory: of ten
 * megabytes no objects are made, and both checking its signature and reading its entries can be
 * done in pieces, so that a loop goes on turning meanwhile. A core: bytes, an issuer and a
 * certificate go in, what the list says of it comes out. No I/O, no clock.
 *
 * Only complete and direct lists say anything: one that only tells changes (delta), one that speaks
 * for other CAs (indirect), one of some reasons or attributes alone, one with an unknown critical
 * extension, without number, without its issuer's key, without an end, or not signed with SHA-2
 * has a fault. Memory beside the bytes: less than half of them, for finding entries.
 */
#ifndef GATEWAY_CRL_H
#define GATEWAY_CRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "filters/span.h"

#define CRL_SIZE_MAX (64u << 20) /* bytes; larger ones are malformed */

struct crl;

/* Borrows the bytes (DER), which must neither change nor go away. NULL: they are no list. */
struct crl *crl_new(struct span bytes);
void crl_free(struct crl *crl); /* NULL does nothing */

/* What is wrong with its form, as far as it was read; static text, or NULL. It then says nothing.
 */
const char *crl_fault(const struct crl *crl);

const X509_NAME *crl_issuer(const struct crl *crl);
/* thisUpdate and nextUpdate, Unix seconds. */
int64_t crl_begin(const struct crl *crl);
int64_t crl_end(const struct crl *crl);

/*
 * Reads entries, about `budget` bytes of them. True when all are read, or there is a fault. Before
 * that it revokes nobody. Entries that were not verified first are those of a file that is trusted.
 */
bool crl_read(struct crl *crl, size_t budget);

enum crl_signature { CRL_UNVERIFIED, CRL_UNDER_WAY, CRL_GOOD, CRL_BAD };

/* Whether its signature is known to be this issuer's. */
enum crl_signature crl_signature(const struct crl *crl, X509 *issuer);

/*
 * Verifies about `budget` bytes more, and says where that stands. CRL_BAD also when the issuer may
 * not sign lists, has another name or another key than the list says. One issuer's key at a time is
 * known of: asking for another begins anew, but after CRL_GOOD, which is for good: what a list took
 * to verify is not spent again because another CA of that name is asked about.
 */
enum crl_signature crl_verify(struct crl *crl, X509 *issuer, size_t budget);

/* Whether the list is about a certificate of its issuer's: by what kinds it is limited to, and by
 * the distribution points (sections 5.2.5 and 6.3.3, b). */
bool crl_covers(const struct crl *crl, X509 *certificate);

/* Whether the certificate stands on it. Whatever the reason said is. */
bool crl_lists(const struct crl *crl, const X509 *certificate);

/* How many stand on it. */
size_t crl_count(const struct crl *crl);

#endif
