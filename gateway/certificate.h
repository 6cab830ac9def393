/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates: verifying the origin's, and making ours. No I/O but the reading of the CA files and
 * the trust bundle at start. Verification is the very function that the proxy and the tests call.
 */
#ifndef GATEWAY_CERTIFICATE_H
#define GATEWAY_CERTIFICATE_H

#include <openssl/ssl.h>

#include "filters/span.h"
#include "gateway/fetching.h"
#include "gateway/offer.h"
#include "gateway/transparency.h"

/* --- origins --- */

/* The client context for origins: TLS 1.2 and 1.3, ECDHE and AEAD, the trust bundle, strict
 * verification, of what is stapled too. NULL with a message. */
SSL_CTX *certificate_origin_context(const char *trust_path, char *error, size_t size);

/*
 * Gives the context lists of revoked certificates (a PEM file; none when `path` is NULL or empty).
 * With `is_hard` each certificate below the root must be on no current list of its issuer, the leaf
 * where no stapled answer vouches for it; otherwise what no list speaks for passes. Once, before
 * any connection. 0, or -1 with a message.
 */
int certificate_origin_set_lists(SSL_CTX *context, const char *path, bool is_hard, char *error,
                                 size_t size);

/* More certificates of CAs (a PEM file), for chains that lack one: they are trusted by nothing but
 * what stands above them. Once, before any connection. 0, or -1 with a message. */
int certificate_origin_set_intermediates(SSL_CTX *context, const char *path, char *error,
                                         size_t size);

/* Asks origins for timestamps of transparency logs and checks them against a list of logs (see
 * transparency.h). Once, before any connection. 0, or -1 with a message. */
int certificate_origin_set_logs(SSL_CTX *context, const char *path, char *error, size_t size);

/* All of this as the configuration says, but for the fetching. NULL with a message. */
SSL_CTX *certificate_origin_open(const struct configuration *configuration, char *error,
                                 size_t size);

/* Where lists of revoked certificates, or issuers' certificates, are fetched from (borrowed): a
 * handshake then pauses for them (SSL_ERROR_WANT_RETRY_VERIFY, see certificate_wanted()). NULL:
 * nowhere any more. */
void certificate_origin_set_fetching(SSL_CTX *context, struct fetching *fetching, bool lists,
                                     bool issuers);
/* The context's lists, after certificate_origin_set_lists(): where fetched ones are attached. */
struct revocation *certificate_origin_lists(SSL_CTX *context);

/* Tells of each root in the context's bundle that will not be trusted for its form, and of each
 * list that says nothing, one line each, for `sekisho check`. */
void certificate_origin_review(SSL_CTX *context, void (*tell)(void *argument, const char *line),
                               void *argument);

/*
 * Prepares `ssl` (made from that context) for the origin `name`, a host name or an address literal:
 * SNI (not for an address), the name to verify, and what of TLS it is offered, which is what the
 * client offered (settled: offer.h). Once for each SSL. 0, or -1 when the name is not a host,
 * nothing is offered, or there is no memory. Without it every handshake fails.
 */
int certificate_expect(SSL *ssl, const char *name, const struct offer *offer);

/* Why the last handshake on `ssl` failed or "ok": a short code such as "expired", "untrusted",
 * "name", for the log's `verify`. Static. The codes stand in gateway/certificate_verdict.h; "none"
 * before a certificate was seen. */
const char *certificate_verdict(const SSL *ssl);

/* The timestamps of transparency logs for the verified certificate, or NULL. */
const struct transparency_count *certificate_timestamps(const SSL *ssl);

/* What a handshake that pauses waits for, to be given to fetching_wait(); borrowed. After that the
 * handshake is taken up again, and may pause again for what was found to be wanted then. */
const struct fetch_wanted *certificate_wanted(const SSL *ssl);
/* It waits for nothing any more: what is not there counts as not available. */
void certificate_stop_waiting(SSL *ssl);

/*
 * By what it is known that no certificate of the verified chain is revoked: "list" (all stand on
 * no current list), "staple" (the leaf by a stapled answer), "unavailable" (it says where a list
 * is, and none could be had), "none" (it does not say). NULL when nothing was verified. Static.
 */
const char *certificate_revocation(const SSL *ssl);

/* Whether the server asked for a certificate of the client's. It was sent none. */
bool certificate_asked(const SSL *ssl);

/* Whether the verified certificate of `ssl` covers another host name (or address literal) too. */
bool certificate_covers(const SSL *ssl, struct span host);

/* notAfter of the peer's certificate, Unix seconds; 0 when there is none. */
int64_t certificate_not_after(const SSL *ssl);

/* --- our CA and its leaves --- */

struct issuer; /* the CA's certificate and key, held by the signer only */

/* Reads PEM files (gateway/authority.h makes them); the key must not be readable by others. NULL
 * with a message. */
struct issuer *issuer_read(const char *certificate_path, const char *key_path, char *error,
                           size_t size);
void issuer_free(struct issuer *issuer); /* wipes the key */

/* The key that all leaves of this signer carry (P-256), made once. DER (PKCS#8) in *der, freed by
 * the caller (OPENSSL_free). Length or -1. */
int issuer_leaf_key(const struct issuer *issuer, unsigned char **der);
/* The issuing CA's certificate and those above it in its file, as DER one after the other. Length
 * or -1; *der freed by OPENSSL_free. */
int issuer_chain(const struct issuer *issuer, unsigned char **der);

/*
 * A leaf for `name` (host name or address literal), built from the fixed template of the leaf
 * profile: P-256, SHA-256, random 128-bit serial, notBefore = now - backdate, notAfter = the
 * earliest of now + lifetime, `not_after` and the CA's own; SAN = the name only, serverAuth,
 * digitalSignature, CA:FALSE, AKI. Never for a name that the CA excludes. Times in Unix seconds,
 * durations in seconds; a lifetime over a day is taken as a day, INT64_MAX as `not_after` bounds
 * nothing. Length, or -1: bad or excluded name, or it would be over already.
 */
int issuer_make_leaf(const struct issuer *issuer, const char *name, int64_t now, int64_t backdate,
                     int64_t lifetime, int64_t not_after, unsigned char **der);

/* --- clients --- */

/* The one server context of a generation: TLS 1.2 and 1.3, ECDHE and AEAD, no tickets, no session
 * cache, no early data. NULL when the library refuses. */
SSL_CTX *certificate_client_context(void);

/* A client is served with what its origin chose: the version, the suite (in TLS 1.2 the one for
 * ECDSA) and the group. `origin`: after its handshake. False when the library refuses. */
bool certificate_serve_as(SSL *client, const SSL *origin);

#endif
