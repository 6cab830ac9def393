/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of revoked certificates (CRLs, RFC 5280 section 5), read from a file once, and what they
 * say of a chain. Complete and direct lists only: changes to other lists (delta) and lists that
 * speak for other CAs (indirect) count as none. After reading no I/O; no clock.
 *
 * A list is verified when a chain first needs it, by the issuer in that chain, and not again: its
 * size is no cost for the connections. Used from one thread.
 */
#ifndef GATEWAY_REVOCATION_H
#define GATEWAY_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "gateway/certificate_verdict.h"

struct revocation;

/* Reads a PEM file of lists, at most 1024 of them and 64 MB. NULL with a message. */
struct revocation *revocation_read(const char *path, char *error, size_t size);
struct revocation *revocation_new(void); /* without lists */
void revocation_free(struct revocation *revocation);

/* Adds a list and takes it. False when there are too many: then it is not taken. */
bool revocation_add(struct revocation *revocation, X509_CRL *list);

/* Tells of each list that no certificate is found on the strength of: what is wrong with its form,
 * or that it is over at `time` (Unix seconds). */
void revocation_review(const struct revocation *revocation, int64_t time,
                       void (*tell)(void *argument, const char *line), void *argument);

struct revocation_answer {
    enum certificate_verdict verdict; /* VERDICT_REVOKED or VERDICT_OK */
    int depth;                        /* of the one that is revoked */
    bool leaf_unknown;                /* no current list speaks for the leaf */
    bool issuer_unknown;              /* or for a CA between it and the anchor */
};

/* What the lists say of a verified chain, leaf first. */
struct revocation_answer revocation_check(struct revocation *revocation, STACK_OF(X509) * chain,
                                          int64_t time);

#endif
