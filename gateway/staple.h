/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server staples to its certificate: an answer of its CA by OCSP that it is not revoked
 * (RFC 6066 section 8, RFC 6960). A core: bytes, a verified chain and a time go in, a verdict comes
 * out. No I/O and no clock.
 */
#ifndef GATEWAY_STAPLE_H
#define GATEWAY_STAPLE_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "gateway/certificate_verdict.h"

/*
 * `chain`: as it was verified, leaf first. `bytes`: the OCSPResponse in DER, NULL when the server
 * sent none. `time`: Unix seconds.
 *
 * VERDICT_REVOKED: the answer says so. VERDICT_STAPLE: it is malformed, not signed by the leaf's
 * issuer or who may answer for it, is about another certificate, or the responder does not know it.
 * VERDICT_MUST_STAPLE: the leaf demands a current answer (RFC 7633) and there is none. One that is
 * over, and one that never came, say nothing about other leaves: VERDICT_OK.
 */
enum certificate_verdict staple_check(STACK_OF(X509) * chain, const unsigned char *bytes, long size,
                                      int64_t time);

/* Whether it is a current answer that the leaf is good. */
bool staple_vouches(STACK_OF(X509) * chain, const unsigned char *bytes, long size, int64_t time);

#endif
