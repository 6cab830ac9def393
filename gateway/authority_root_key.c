/* SPDX-License-Identifier: BSD-2-Clause */
/* The root's key, outside of the device: see authority_private.h. */
#include "gateway/authority_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>

/* RFC 7914 section 2. 16 MB of memory for each guess, five times over. */
#define SCRYPT_N   16384
#define SCRYPT_R   8
#define SCRYPT_P   5
#define SALT_SIZE  16
#define FILE_LIMIT 16384

/* The key as an encrypted PKCS#8 structure; NULL without memory. */
static X509_SIG *encrypt(EVP_PKEY *key, struct span passphrase)
{
    unsigned char salt[SALT_SIZE];
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    X509_ALGOR *algorithm = NULL;
    X509_SIG *sealed = NULL;

    if (info && RAND_bytes(salt, sizeof(salt)) == 1)
        algorithm = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof(salt), NULL, SCRYPT_N,
                                          SCRYPT_R, SCRYPT_P);
    if (algorithm)
        sealed = PKCS8_set0_pbe(passphrase.data, (int)passphrase.size, info, algorithm);
    if (!sealed)
        X509_ALGOR_free(algorithm);
    PKCS8_PRIV_KEY_INFO_free(info);
    return sealed;
}

int authority_root_key_write(const char *path, EVP_PKEY *key, struct span passphrase, char *error,
                             size_t size)
{
    BIO *text = BIO_new(BIO_s_mem());
    X509_SIG *sealed = NULL;
    char *bytes = NULL;
    long length = 0;
    int result = -1;

    if (passphrase.size < AUTHORITY_PHRASE_LEAST || passphrase.size > AUTHORITY_PHRASE_MOST)
        snprintf(error, size, "the passphrase must have %d to %d bytes", AUTHORITY_PHRASE_LEAST,
                 AUTHORITY_PHRASE_MOST);
    else if (!text || !(sealed = encrypt(key, passphrase)) || !PEM_write_bio_PKCS8(text, sealed) ||
             (length = BIO_get_mem_data(text, &bytes)) <= 0)
        snprintf(error, size, "the root's key cannot be encrypted");
    else if (authority_file_add(path, (struct span){bytes, (size_t)length}, 0600) < 0)
        snprintf(error, size, "%s: %s", path, strerror(errno));
    else
        result = 0;
    ERR_clear_error();
    X509_SIG_free(sealed);
    BIO_free(text);
    return result;
}

static int give_passphrase(char *buffer, int size, int writing, void *context)
{
    const struct span *passphrase = context;

    (void)writing;
    if (size < 0 || passphrase->size > (size_t)size)
        return -1;
    memcpy(buffer, passphrase->data, passphrase->size);
    return (int)passphrase->size;
}

EVP_PKEY *authority_root_key_read(const char *path, struct span passphrase, char *error,
                                  size_t size)
{
    char buffer[FILE_LIMIT];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t length = fd >= 0 ? read(fd, buffer, sizeof(buffer)) : -1;
    EVP_PKEY *key = NULL;

    if (length < 0) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
    } else {
        BIO *text = BIO_new_mem_buf(buffer, (int)length);
        key = text ? PEM_read_bio_PrivateKey(text, NULL, give_passphrase, &passphrase) : NULL;
        if (!key)
            snprintf(error, size, "%s: no key in PEM, or another passphrase", path);
        BIO_free(text);
    }
    if (fd >= 0)
        close(fd);
    ERR_clear_error();
    OPENSSL_cleanse(buffer, sizeof(buffer));
    return key;
}
