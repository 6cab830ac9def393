/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lists of revoked certificates (crl.h) say of a chain: those of a file, which are read once,
 * and those that were fetched, which come and go. No I/O but that reading; no clock.
 *
 * A list of a file is verified when a chain first needs it, by the issuer in that chain, and not
 * again: its size is no cost for the connections. A fetched one counts for the issuer that it was
 * verified with before. Used from one thread.
 */
#ifndef GATEWAY_REVOCATION_H
#define GATEWAY_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "gateway/certificate_verdict.h"
#include "gateway/crl.h"

struct revocation;

/* Reads a PEM file of lists, at most 1024 of them and 64 MB. NULL with a message. */
struct revocation *revocation_read(const char *path, char *error, size_t size);
struct revocation *revocation_new(void); /* without lists */
void revocation_free(struct revocation *revocation);

/* Adds a list of a file, as DER, which is copied. False when it is none, or there are too many. */
bool revocation_add(struct revocation *revocation, struct span der);

/* Tells of each list of the file that no certificate is found on the strength of: what is wrong
 * with its form, or that it is over at `time` (Unix seconds). */
void revocation_review(const struct revocation *revocation, int64_t time,
                       void (*tell)(void *argument, const char *line), void *argument);

/*
 * A fetched list, read and verified, borrowed with its URL until it is detached. What it revokes is
 * revoked, whichever place a certificate names; that it is good it says only of those that name the
 * place where it was fetched.
 */
struct revocation_list *revocation_attach(struct revocation *revocation, struct crl *crl,
                                          const char *url);
void revocation_detach(struct revocation *revocation, struct revocation_list *list);
/* A stale one still revokes, but no longer says that anything is good. */
void revocation_set_stale(struct revocation_list *list, bool is_stale);
/* Whether it has revoked anything since it was attached. */
bool revocation_has_revoked(const struct revocation_list *list);

struct revocation_answer {
    enum certificate_verdict verdict; /* VERDICT_REVOKED or VERDICT_OK */
    int depth;                        /* of the one that is revoked */
    uint32_t unknown;                 /* bits by depth: no current list speaks for that one */
};
#define REVOCATION_LEAF 1u /* the leaf's bit */

/* What the lists say of a verified chain, leaf first. */
struct revocation_answer revocation_check(struct revocation *revocation, STACK_OF(X509) * chain,
                                          int64_t time);

#endif
