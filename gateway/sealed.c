/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealing and opening: see sealed.h. */
#include "gateway/sealed.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "filters/memory.h"

/* RFC 7914 section 2. 32 MB of memory for each guess, five times over. */
#define SCRYPT_N      32768
#define SCRYPT_R      8
#define SCRYPT_P      5
#define SCRYPT_MEMORY (64u << 20)

#define MAGIC_SIZE (sizeof(SEALED_MAGIC) - 1)
#define SALT_SIZE  16
#define NONCE_SIZE 12
#define KEY_SIZE   32

bool sealed_is(struct span bytes)
{
    return span_starts(bytes, SPAN(SEALED_MAGIC));
}

/* The cipher with the key that passphrase and head give, and the head taken in. NULL on failure. */
static EVP_CIPHER_CTX *prepare(const unsigned char *head, struct span passphrase, int encrypts)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    unsigned char key[KEY_SIZE];
    int taken;
    bool done =
        passphrase.size <= SEALED_PHRASE_MOST && cipher &&
        EVP_PBE_scrypt(passphrase.data, passphrase.size, head + MAGIC_SIZE, SALT_SIZE, SCRYPT_N,
                       SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY, key, sizeof(key)) == 1 &&
        EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, head + MAGIC_SIZE + SALT_SIZE,
                          encrypts) == 1 &&
        EVP_CipherUpdate(cipher, NULL, &taken, head, (int)SEALED_HEAD) == 1;

    OPENSSL_cleanse(key, sizeof(key));
    if (done)
        return cipher;
    EVP_CIPHER_CTX_free(cipher);
    return NULL;
}

char *sealed_make(struct span plain, struct span passphrase, size_t *size)
{
    if (plain.size > SEALED_LIMIT - SEALED_HEAD - SEALED_TAG)
        return NULL;

    unsigned char *sealed = memory_allocate(SEALED_HEAD + plain.size + SEALED_TAG, 1);
    unsigned char *text = sealed + SEALED_HEAD;
    EVP_CIPHER_CTX *cipher = NULL;
    int length = 0, more = 0;

    memcpy(sealed, SEALED_MAGIC, MAGIC_SIZE);
    if (RAND_bytes(sealed + MAGIC_SIZE, SALT_SIZE + NONCE_SIZE) == 1)
        cipher = prepare(sealed, passphrase, 1);
    bool done =
        cipher &&
        EVP_CipherUpdate(cipher, text, &length, (const unsigned char *)plain.data,
                         (int)plain.size) == 1 &&
        EVP_CipherFinal_ex(cipher, text + length, &more) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG, text + plain.size) == 1;
    EVP_CIPHER_CTX_free(cipher);
    ERR_clear_error();
    if (done) {
        *size = SEALED_HEAD + plain.size + SEALED_TAG;
        return (char *)sealed;
    }
    free(sealed);
    return NULL;
}

char *sealed_open(struct span sealed, struct span passphrase, size_t *size)
{
    if (!sealed_is(sealed) || sealed.size < SEALED_HEAD + SEALED_TAG || sealed.size > SEALED_LIMIT)
        return NULL;

    const unsigned char *bytes = (const unsigned char *)sealed.data;
    size_t length = sealed.size - SEALED_HEAD - SEALED_TAG;
    unsigned char *plain = memory_allocate(length + 1, 1);
    unsigned char tag[SEALED_TAG];
    int taken = 0, more = 0;
    EVP_CIPHER_CTX *cipher = prepare(bytes, passphrase, 0);

    memcpy(tag, bytes + SEALED_HEAD + length, sizeof(tag));
    bool done = cipher &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, SEALED_TAG, tag) == 1 &&
                EVP_CipherUpdate(cipher, plain, &taken, bytes + SEALED_HEAD, (int)length) == 1 &&
                EVP_CipherFinal_ex(cipher, plain + taken, &more) == 1;
    EVP_CIPHER_CTX_free(cipher);
    ERR_clear_error();
    if (done) {
        *size = length;
        return (char *)plain;
    }
    OPENSSL_cleanse(plain, length); /* nothing that was not authenticated is shown */
    free(plain);
    return NULL;
}
