/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the CA of a device: once, on its first boot, unique, never overwritten. */
#include "gateway/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/digest.h"
#include "gateway/issuer.h"

#define DAY                86400 /* seconds */
#define YEARS              10
#define ORGANISATION_LIMIT 64 /* characters: ub-organization-name of RFC 5280 */
#define IDENTIFIER_SIZE    20 /* bytes */

/* RFC 7093 section 2, method 1: the left 160 bits of the SHA-256 of the public key. */
static bool make_identifier(X509 *certificate, uint8_t identifier[IDENTIFIER_SIZE])
{
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(certificate);
    uint8_t digest[DIGEST_SIZE];

    if (!key)
        return false;
    digest_sha256(
        (struct span){(const char *)ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key)},
        digest);
    memcpy(identifier, digest, IDENTIFIER_SIZE);
    return true;
}

/* Bytes of the first ORGANISATION_LIMIT characters. */
static int organisation_size(const char *clinic)
{
    int characters = 0;
    size_t i = 0;

    for (; clinic[i] && i < ORGANISATION_LIMIT * 4 + 1; i++)
        if (((unsigned char)clinic[i] & 0xc0) != 0x80 && ++characters > ORGANISATION_LIMIT)
            break;
    return (int)i;
}

static bool set_name(X509 *certificate, const char *clinic,
                     const uint8_t identifier[IDENTIFIER_SIZE])
{
    X509_NAME *name = X509_get_subject_name(certificate);
    char hex[9], common[32];

    digest_hex(identifier, 4, hex);
    snprintf(common, sizeof(common), "Sekisho CA %s", hex);
    if (clinic && clinic[0] &&
        !X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                    (const unsigned char *)clinic, organisation_size(clinic), -1,
                                    0))
        return false;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)common, -1, -1, 0) &&
           X509_set_issuer_name(certificate, name);
}

static bool add_extensions(X509 *certificate, const uint8_t identifier[IDENTIFIER_SIZE])
{
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extensions[4] = {NULL};
    bool done = octets && ASN1_OCTET_STRING_set(octets, identifier, IDENTIFIER_SIZE);

    if (done) {
        extensions[0] = issuer_make_constraints(true, 0);
        extensions[1] = issuer_make_usage(KU_KEY_CERT_SIGN | KU_CRL_SIGN);
        extensions[2] = issuer_make_extension(NID_subject_key_identifier, false, octets);
        extensions[3] = issuer_make_authority(octets);
    }
    for (int i = 0; i < 4; i++) {
        done = done && extensions[i] && X509_add_ext(certificate, extensions[i], -1);
        X509_EXTENSION_free(extensions[i]);
    }
    ASN1_OCTET_STRING_free(octets);
    return done;
}

static X509 *make_certificate(EVP_PKEY *key, const char *clinic)
{
    X509 *certificate = X509_new();
    int64_t begin = (int64_t)time(NULL) - DAY;
    uint8_t identifier[IDENTIFIER_SIZE];

    if (certificate && X509_set_version(certificate, X509_VERSION_3) &&
        issuer_set_serial(certificate) &&
        issuer_set_validity(certificate, begin, begin + INT64_C(365) * YEARS * DAY) &&
        X509_set_pubkey(certificate, key) && make_identifier(certificate, identifier) &&
        set_name(certificate, clinic, identifier) && add_extensions(certificate, identifier) &&
        X509_sign(certificate, key, EVP_sha256()))
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* --- files --- */

static void describe(char *error, size_t size, const char *path)
{
    snprintf(error, size, "%s: %s", path, strerror(errno));
}

/* A new file beside `path`, whole and on the disk. Its name, to be freed; NULL with errno. */
static char *write_temporary(const char *path, struct span bytes, mode_t mode)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *name = memory_allocate(1, size);
    int fd;

    snprintf(name, size, "%s.XXXXXX", path);
    fd = mkostemp(name, O_CLOEXEC); /* made 0600: never open to others, not for a moment */
    if (fd < 0) {
        free(name);
        return NULL;
    }
    ssize_t written = write(fd, bytes.data, bytes.size);
    bool done =
        written >= 0 && (size_t)written == bytes.size && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int saved = written >= 0 && (size_t)written < bytes.size ? ENOSPC : errno;

    if (close(fd) == 0 && done)
        return name;
    unlink(name);
    free(name);
    errno = saved;
    return NULL;
}

/* Never onto an existing file, however the race goes; 0 or -1 with errno. */
static int rename_new(const char *from, const char *to)
{
    struct stat status;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system that does not know the flag: look first. */
    if (lstat(to, &status) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static void sync_directory(const char *path)
{
    char *copy = memory_string(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

static int write_file(const char *path, struct span bytes, mode_t mode, char *error, size_t size)
{
    char *name = write_temporary(path, bytes, mode);

    if (!name || rename_new(name, path) < 0) {
        describe(error, size, path);
        if (name)
            unlink(name);
        free(name);
        return -1;
    }
    free(name);
    sync_directory(path);
    return 0;
}

static struct span bio_span(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);

    return (struct span){data, length > 0 ? (size_t)length : 0};
}

int issuer_create(const char *certificate_path, const char *key_path, const char *clinic,
                  char *error, size_t size)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make_certificate(key, clinic) : NULL;
    BIO *key_text = BIO_new(BIO_s_secmem()), *certificate_text = BIO_new(BIO_s_mem());
    struct stat status;
    int result = -1;

    if (!certificate || !key_text || !certificate_text ||
        !PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) ||
        !PEM_write_bio_X509(certificate_text, certificate)) {
        snprintf(error, size, "the CA cannot be made; is the clinic's name UTF-8?");
        goto out;
    }
    if (lstat(certificate_path, &status) == 0) {
        errno = EEXIST;
        describe(error, size, certificate_path);
        goto out;
    }
    if (write_file(key_path, bio_span(key_text), 0600, error, size) < 0)
        goto out;
    result = write_file(certificate_path, bio_span(certificate_text), 0644, error, size);
    if (result < 0)
        unlink(key_path); /* ours, made a moment ago: a key without a certificate is of no use */
out:
    ERR_clear_error();
    BIO_free(key_text);
    BIO_free(certificate_text);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return result;
}
