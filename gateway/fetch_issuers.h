/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies where a certificate says that its issuer's is to be had (RFC 5280 section 4.2.2.1): one
 * certificate, or several in a PKCS #7 that has nothing else. A core: bytes go in, certificates
 * come out, which nobody has verified.
 */
#ifndef GATEWAY_FETCH_ISSUERS_H
#define GATEWAY_FETCH_ISSUERS_H

#include <openssl/x509.h>

#include "filters/span.h"

#define FETCH_ISSUERS_MAX 8 /* of one answer; more are not looked at */

/* DER. Empty when it is neither of the two, or malformed; NULL without memory. The caller frees the
 * certificates too. */
STACK_OF(X509) * fetch_issuers_read(struct span bytes);

/* Adds a certificate with a reference of its own. */
void fetch_issuers_push(STACK_OF(X509) * found, X509 *certificate);

#endif
