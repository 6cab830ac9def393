/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of bytes in memory, and digests as text. */
#include "gateway/digest.h"

#include <stdlib.h>

#include <openssl/evp.h>

void digest_sha256(struct span bytes, uint8_t digest[DIGEST_SIZE])
{
    unsigned size = 0;

    /* A digest that was not computed must never be compared or logged as if it had been. */
    if (EVP_Digest(bytes.size ? bytes.data : "", bytes.size, digest, &size, EVP_sha256(), NULL) !=
            1 ||
        size != DIGEST_SIZE)
        abort();
}

void digest_hex(const uint8_t *digest, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        *text++ = digits[digest[i] >> 4];
        *text++ = digits[digest[i] & 15];
    }
    *text = '\0';
}
