/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the issuing CA, shared by the files that make one (authority*.c) and the file
 * that uses one (issuer.c). Everybody else uses gateway/certificate.h and gateway/authority.h.
 */
#ifndef GATEWAY_ISSUER_H
#define GATEWAY_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509v3.h>

#include "gateway/certificate.h"
#include "gateway/certificate_name.h"

/* The certificates of a PEM file, 1 to AUTHORITY_CHAIN_LIMIT; NULL with a message. */
STACK_OF(X509) * issuer_read_chain(const char *path, char *error, size_t size);

/* issuer_read() without a look for a CA whose change was interrupted. */
struct issuer *issuer_read_exactly(const char *certificate_path, const char *key_path, char *error,
                                   size_t size);

/* A random serial number of 128 bits, never negative (RFC 5280 section 4.1.2.2). */
bool issuer_set_serial(X509 *certificate);

/* Both times in Unix seconds. */
bool issuer_set_validity(X509 *certificate, int64_t not_before, int64_t not_after);

/* An extension from its structure (the type that belongs to `nid`), NULL without memory. The caller
 * frees. */
X509_EXTENSION *issuer_make_extension(int nid, bool critical, void *value);

/* basicConstraints; path_length -1: none. keyUsage of the KU_ bits; authorityKeyIdentifier of the
 * issuer's SKI. */
X509_EXTENSION *issuer_make_constraints(bool ca, long path_length);
X509_EXTENSION *issuer_make_usage(uint32_t bits);
X509_EXTENSION *issuer_make_purpose(void); /* serverAuth */
X509_EXTENSION *issuer_make_authority(const ASN1_OCTET_STRING *identifier);

/* Whether a CA with these constraints may speak for the name. */
bool issuer_may_speak(const NAME_CONSTRAINTS *constraints, const struct certificate_name *name);

#endif
