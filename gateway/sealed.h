/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that only its passphrase opens: what the appliance writes when a backup has the CA's key
 * in it.
 *
 *     "sekisho-sealed 1\n"    17 bytes
 *     salt                    16 bytes
 *     nonce                   12 bytes
 *     ciphertext              as many as there were
 *     tag                     16 bytes
 *
 * AES-256-GCM (NIST SP 800-38D), over which the passphrase's key from scrypt (RFC 7914) decides;
 * the head is authenticated too. The functions take bytes and do no I/O.
 */
#ifndef GATEWAY_SEALED_H
#define GATEWAY_SEALED_H

#include "filters/span.h"

#define SEALED_MAGIC       "sekisho-sealed 1\n"
#define SEALED_HEAD        (sizeof(SEALED_MAGIC) - 1 + 16 + 12)
#define SEALED_TAG         16
#define SEALED_LIMIT       (16u << 20) /* bytes of such a file */
#define SEALED_PHRASE_MOST 1024

/* Whether the bytes begin as such a file does. */
bool sealed_is(struct span bytes);

/* Seals `plain`: *size bytes that the caller frees, or NULL. */
char *sealed_make(struct span plain, struct span passphrase, size_t *size);

/*
 * Opens: *size bytes that the caller clears and frees. NULL for another passphrase, and when a bit
 * was changed or a byte is missing: which of them cannot be told.
 */
char *sealed_open(struct span sealed, struct span passphrase, size_t *size);

#endif
