/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of bytes in memory, and digests as text. */
#include "gateway/digest.h"

#include <stdlib.h>

#include <openssl/evp.h>

void digest_sha256(struct span bytes, uint8_t digest[DIGEST_SIZE])
{
    /* Kept: to look the algorithm up takes longer than to digest a URL. */
    static EVP_MD *algorithm;
    static EVP_MD_CTX *context;
    unsigned size = 0;

    if (context == NULL) {
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
        context = EVP_MD_CTX_new();
    }
    /* A digest that was not computed must never be compared or logged as if it had been. */
    if (algorithm == NULL || context == NULL || EVP_DigestInit_ex(context, algorithm, NULL) != 1 ||
        EVP_DigestUpdate(context, bytes.data, bytes.size) != 1 ||
        EVP_DigestFinal_ex(context, digest, &size) != 1 || size != DIGEST_SIZE)
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
