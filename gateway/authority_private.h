/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the CA's making, authority*.c, have among themselves. */
#ifndef GATEWAY_AUTHORITY_PRIVATE_H
#define GATEWAY_AUTHORITY_PRIVATE_H

#include <sys/stat.h>

#include "gateway/authority.h"

/* --- authority_certificate.c --- */

/* A root for `key`, ten years from yesterday, named after the clinic, the key and the day. NULL
 * without memory, or when the clinic's name is not UTF-8. */
X509 *authority_make_root(EVP_PKEY *key, const char *clinic);

/* An issuing CA for `key` under the root, for as long as that lives, with the exclusions of the
 * order. */
X509 *authority_make_issuing(EVP_PKEY *key, X509 *root, EVP_PKEY *root_key,
                             const struct authority_order *order);

/* --- authority_file.c --- */

/* Writes bytes to `path` in one step, replacing what is there, or (authority_file_add) refusing to.
 * They are on the disk then. 0, or -1 with errno. */
int authority_file_put(const char *path, struct span bytes, mode_t mode);
int authority_file_add(const char *path, struct span bytes, mode_t mode);

/* Renames and makes it last; never onto an existing file when `replaces` is false. 0, or -1 with
 * errno. */
int authority_file_move(const char *from, const char *to, bool replaces);

/* --- authority_root_key.c --- */

/* Writes the root's key to a new file: PKCS#8 (RFC 5958), scrypt (RFC 7914) and AES-256. */
int authority_root_key_write(const char *path, EVP_PKEY *key, struct span passphrase, char *error,
                             size_t size);
EVP_PKEY *authority_root_key_read(const char *path, struct span passphrase, char *error,
                                  size_t size);

#endif
