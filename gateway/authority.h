/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clinic's CA as its operator knows it: made once for each device, shown, and rotated. Two
 * tiers: a root, which the devices of the clinic trust, signs one issuing CA, which the signer
 * holds. The root's key is destroyed as soon as it has signed, or written to a file that the
 * operator names, encrypted. The issuing CA can speak for no name that is never inspected: so that
 * even a stolen key cannot.
 *
 * Files: the certificates (PEM: the issuing CA, then the root) and the issuing CA's key. Beside
 * each, NAME.next is a CA that is prepared but not in force, and NAME.old (of the certificates
 * alone) the one before. What is in force is decided by the key's file, which is changed by one
 * rename: whoever finds a key that its certificates do not belong to was interrupted, and the
 * certificates of NAME.next are the right ones.
 */
#ifndef GATEWAY_AUTHORITY_H
#define GATEWAY_AUTHORITY_H

#include <openssl/x509.h>

#include "filters/span.h"

#define AUTHORITY_CHAIN_LIMIT  8   /* certificates in the CA's file */
#define AUTHORITY_NAMES_LIMIT  512 /* excluded names */
#define AUTHORITY_PHRASE_LEAST 12  /* bytes of a passphrase */
#define AUTHORITY_PHRASE_MOST  1024

struct authority_order {
    const char *certificate_path, *key_path;
    const char *clinic;          /* for the certificates; NULL or "" for none */
    const char *const *excluded; /* DNS names, each of which stands for all names below it too */
    size_t excluded_count;
    const char *root_key_path; /* NULL: the root's key is destroyed */
    struct span passphrase;    /* of that file */
};

/*
 * Makes the first CA and puts it in force. Refuses to replace one. 0, or -1 with a message: then
 * nothing of it is left.
 */
int authority_create(const struct authority_order *order, char *error, size_t size);

/*
 * Prepares the next CA, with a root of its own that devices can be given while the present one
 * signs. Takes the place of one that was prepared before. 0, or -1 with a message.
 */
int authority_prepare(const struct authority_order *order, char *error, size_t size);

/*
 * Prepares another issuing CA under the root of the CA in force, by the root's key in
 * `root_key_path`. 0, or -1 with a message.
 */
int authority_prepare_issuing(const struct authority_order *order, char *error, size_t size);

/*
 * Puts the prepared CA in force, and destroys the key of the one before. Whenever this is
 * interrupted, one of the two is whole and in force. 0, or -1 with a message.
 */
int authority_activate(const char *certificate_path, const char *key_path, char *error,
                       size_t size);

/* Finishes what an interrupted authority_activate() has left. */
void authority_recover(const char *certificate_path, const char *key_path);

enum authority_file { AUTHORITY_NOW, AUTHORITY_NEXT, AUTHORITY_OLD };

/* The name of that file; freed by the caller. */
char *authority_path(const char *path, enum authority_file which);

/* The certificates of a PEM file, at least one. NULL with a message. */
STACK_OF(X509) * authority_read(const char *path, char *error, size_t size);

/* The one that devices are to trust: the last, if it is self-signed; else NULL. Borrowed. */
X509 *authority_root(const STACK_OF(X509) * chain);

/* The same; of an operator's own CA without its root, the highest there is. Of a chain that
 * authority_read() gave never NULL. Borrowed. */
X509 *authority_enrolled(const STACK_OF(X509) * chain);

/* Calls `take` with each DNS name that the certificate excludes (RFC 5280 section 4.2.1.10). */
void authority_each_excluded(X509 *certificate, void (*take)(void *context, struct span name),
                             void *context);

#endif
