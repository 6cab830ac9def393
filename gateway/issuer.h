/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the issuing CA, shared by the file that makes one (issuer_create.c) and the file
 * that uses one (issuer.c). Everybody else uses gateway/certificate.h.
 */
#ifndef GATEWAY_ISSUER_H
#define GATEWAY_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

/* A random serial number of 128 bits, never negative (RFC 5280 section 4.1.2.2). */
bool issuer_set_serial(X509 *certificate);

/* Both times in Unix seconds. */
bool issuer_set_validity(X509 *certificate, int64_t not_before, int64_t not_after);

/* An extension from its structure (the type that belongs to `nid`), NULL without memory. The caller
 * frees. */
X509_EXTENSION *issuer_make_extension(int nid, bool critical, void *value);

/* basicConstraints; path_length -1: none. keyUsage of the KU_ bits. authorityKeyIdentifier of the
 * issuer's SKI. */
X509_EXTENSION *issuer_make_constraints(bool ca, long path_length);
X509_EXTENSION *issuer_make_usage(uint32_t bits);
X509_EXTENSION *issuer_make_authority(const ASN1_OCTET_STRING *identifier);

#endif
