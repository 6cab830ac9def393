/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of bytes in memory, and digests as text. */
#ifndef GATEWAY_DIGEST_H
#define GATEWAY_DIGEST_H

#include "filters/span.h"

#define DIGEST_SIZE 32 /* bytes of a SHA-256 */

/* FIPS 180-4. Ends the process when the library cannot compute it (it has no memory left). */
void digest_sha256(struct span bytes, uint8_t digest[DIGEST_SIZE]);

/* Lower-case hexadecimal and a NUL: `text` takes 2 * size + 1 bytes. */
void digest_hex(const uint8_t *digest, size_t size, char *text);

#endif
