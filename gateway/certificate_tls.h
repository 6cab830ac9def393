/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both sides of an inspected connection have in common: the parameters of TLS. ECDHE and AEAD
 * only (IPA's high-security list), no SHA-1, no renegotiation, no resumption.
 */
#ifndef GATEWAY_CERTIFICATE_TLS_H
#define GATEWAY_CERTIFICATE_TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "gateway/offer.h"

/* False when the library refuses; its error queue tells why. */
bool certificate_tls_prepare(SSL_CTX *context);

/* An origin is offered this (settled) and nothing else, in this order. */
bool certificate_tls_offer(SSL *ssl, const struct offer *offer);

#endif
