/* SPDX-License-Identifier: BSD-2-Clause */
/* The issuing CA: reading it, and the leaves it signs. Runs in the signer alone. */
#include "gateway/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/authority.h"
#include "gateway/chain.h"
#include "gateway/issuer.h"

#define PEM_LIMIT      65536
#define LIFETIME_LIMIT 86400                 /* seconds: a leaf lives a day at most */
#define TIME_LIMIT     INT64_C(253402300799) /* 9999-12-31T23:59:59Z, the last that X.509 can say */

struct issuer {
    EVP_PKEY *key;
    EVP_PKEY *leaf_key;
    STACK_OF(X509) * chain; /* the issuing CA, then those above it */
    int64_t not_after;
    NAME_CONSTRAINTS *constraints[AUTHORITY_CHAIN_LIMIT]; /* of each in the chain, or NULL */
    X509 *form; /* the leaf being made: what all have in common is filled in once, as the key is
                   slow to */
};

static X509 *issuer_certificate(const struct issuer *issuer)
{
    return sk_X509_value(issuer->chain, 0);
}

void issuer_free(struct issuer *issuer)
{
    if (!issuer)
        return;
    EVP_PKEY_free(issuer->key); /* OpenSSL clears private numbers when it frees them */
    EVP_PKEY_free(issuer->leaf_key);
    sk_X509_pop_free(issuer->chain, X509_free);
    for (size_t i = 0; i < AUTHORITY_CHAIN_LIMIT; i++)
        NAME_CONSTRAINTS_free(issuer->constraints[i]);
    X509_free(issuer->form);
    OPENSSL_cleanse(issuer, sizeof(*issuer));
    free(issuer);
}

/* --- reading --- */

/* The passphrase callback: an encrypted key is an error, never a question on the terminal. */
static int refuse_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

/* A file's bytes as a BIO over `buffer`; -1 with a message. Secret files must be closed to others.
 */
static ssize_t read_file(const char *path, bool secret, char *buffer, char *error, size_t size)
{
    struct stat status;
    ssize_t length = -1, got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &status) < 0) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        snprintf(error, size, "%s: not a regular file", path);
    } else if (secret && (status.st_mode & 077)) {
        snprintf(error, size,
                 "%s: mode %04o: the CA's key must be closed to group and others (chmod 600)", path,
                 (unsigned)(status.st_mode & 07777));
    } else if (status.st_size > PEM_LIMIT) {
        snprintf(error, size, "%s: larger than %d bytes", path, PEM_LIMIT);
    } else {
        for (length = 0; length < PEM_LIMIT; length += got) {
            got = read(fd, buffer + length, (size_t)(PEM_LIMIT - length));
            if (got < 0) {
                snprintf(error, size, "%s: %s", path, strerror(errno));
                length = -1;
            }
            if (got <= 0)
                break;
        }
    }
    if (fd >= 0)
        close(fd);
    return length;
}

static EVP_PKEY *read_key(const char *path, char *error, size_t size)
{
    char *buffer = memory_allocate(1, PEM_LIMIT);
    ssize_t length = read_file(path, true, buffer, error, size);
    EVP_PKEY *key = NULL;

    if (length >= 0) {
        BIO *bio = BIO_new_mem_buf(buffer, (int)length);
        key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL) : NULL;
        if (!key)
            snprintf(error, size, "%s: not an unencrypted private key in PEM", path);
        BIO_free(bio);
    }
    OPENSSL_cleanse(buffer, PEM_LIMIT);
    free(buffer);
    return key;
}

STACK_OF(X509) * issuer_read_chain(const char *path, char *error, size_t size)
{
    char *buffer = memory_allocate(1, PEM_LIMIT);
    ssize_t length = read_file(path, false, buffer, error, size);
    STACK_OF(X509) *chain = NULL;
    BIO *bio = length >= 0 ? BIO_new_mem_buf(buffer, (int)length) : NULL;
    X509 *certificate;

    if (!bio)
        goto out;
    chain = sk_X509_new_null();
    while (chain && (certificate = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL)))
        if (sk_X509_num(chain) == AUTHORITY_CHAIN_LIMIT || !sk_X509_push(chain, certificate)) {
            X509_free(certificate);
            break;
        }
    if (!chain || sk_X509_num(chain) == 0 ||
        ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        snprintf(error, size, "%s: not 1 to %d certificates in PEM", path, AUTHORITY_CHAIN_LIMIT);
        sk_X509_pop_free(chain, X509_free);
        chain = NULL;
    }
out:
    ERR_clear_error();
    BIO_free(bio);
    free(buffer);
    return chain;
}

/* What is wrong with this pair as an issuing CA, or NULL. */
static const char *find_fault(const struct issuer *issuer)
{
    X509 *certificate = issuer_certificate(issuer);
    int kind = EVP_PKEY_get_base_id(issuer->key);

    if (X509_check_private_key(certificate, issuer->key) != 1)
        return "does not belong to the key";
    if (X509_check_ca(certificate) != 1 || !(X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN))
        return "is not a CA's certificate";
    if (!X509_get0_subject_key_id(certificate))
        return "has no subject key identifier";
    if ((kind != EVP_PKEY_EC && kind != EVP_PKEY_RSA) || !chain_key_strong(issuer->key))
        return "has a key that is neither P-256, P-384, P-521 nor RSA of 2048 bits or more";
    if (issuer->not_after <= (int64_t)time(NULL))
        return "has expired";
    return NULL;
}

/* False when what a CA may not speak for cannot be read. */
static bool read_constraints(struct issuer *issuer)
{
    for (int i = 0; i < sk_X509_num(issuer->chain); i++) {
        int found;
        issuer->constraints[i] =
            X509_get_ext_d2i(sk_X509_value(issuer->chain, i), NID_name_constraints, &found, NULL);
        if (!issuer->constraints[i] && found != -1)
            return false;
    }
    return true;
}

/* Everything of the profile but serial number, times and name. */
static bool make_form(struct issuer *issuer)
{
    X509 *ca = issuer_certificate(issuer);
    X509_EXTENSION *fixed[] = {
        issuer_make_constraints(false, -1),
        issuer_make_usage(KU_DIGITAL_SIGNATURE),
        issuer_make_purpose(),
        issuer_make_authority(X509_get0_subject_key_id(ca)),
    };
    bool done;

    issuer->leaf_key = EVP_EC_gen("P-256");
    issuer->form = X509_new();
    done = issuer->leaf_key && issuer->form && X509_set_version(issuer->form, X509_VERSION_3) &&
           X509_set_issuer_name(issuer->form, X509_get_subject_name(ca)) &&
           X509_set_pubkey(issuer->form, issuer->leaf_key);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        done = done && fixed[i] && X509_add_ext(issuer->form, fixed[i], -1);
        X509_EXTENSION_free(fixed[i]);
    }
    return done;
}

struct issuer *issuer_read_exactly(const char *certificate_path, const char *key_path, char *error,
                                   size_t size)
{
    struct issuer *issuer = memory_allocate(1, sizeof(*issuer));
    const char *fault;

    ERR_clear_error();
    issuer->chain = issuer_read_chain(certificate_path, error, size);
    if (!issuer->chain)
        goto failed;
    issuer->key = read_key(key_path, error, size);
    if (!issuer->key)
        goto failed;
    issuer->not_after = chain_time(X509_get0_notAfter(issuer_certificate(issuer)));
    fault = find_fault(issuer);
    if (fault) {
        snprintf(error, size, "%s: %s", certificate_path, fault);
        goto failed;
    }
    if (!read_constraints(issuer)) {
        snprintf(error, size, "%s: its name constraints cannot be read", certificate_path);
        goto failed;
    }
    if (!make_form(issuer)) {
        snprintf(error, size, "the leaves' key cannot be made");
        goto failed;
    }
    ERR_clear_error();
    return issuer;
failed:
    ERR_clear_error();
    issuer_free(issuer);
    return NULL;
}

/*
 * Whoever changes the CA renames the key, then the certificates: who reads in between, or after a
 * crash in between, finds those of the key under their old name or, a moment later, in place.
 */
struct issuer *issuer_read(const char *certificate_path, const char *key_path, char *error,
                           size_t size)
{
    struct issuer *issuer = issuer_read_exactly(certificate_path, key_path, error, size);
    char *next = authority_path(certificate_path, AUTHORITY_NEXT);
    char ignored[512];

    if (!issuer && access(key_path, F_OK) == 0)
        issuer = issuer_read_exactly(next, key_path, ignored, sizeof(ignored));
    if (!issuer)
        issuer = issuer_read_exactly(certificate_path, key_path, error, size);
    free(next);
    return issuer;
}

/* --- what the worker gets --- */

int issuer_leaf_key(const struct issuer *issuer, unsigned char **der)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(issuer->leaf_key);
    int length = -1;

    *der = NULL;
    if (info)
        length = i2d_PKCS8_PRIV_KEY_INFO(info, der);
    PKCS8_PRIV_KEY_INFO_free(info);
    return length > 0 ? length : -1;
}

int issuer_chain(const struct issuer *issuer, unsigned char **der)
{
    int length = 0;

    *der = NULL;
    for (int i = 0; i < sk_X509_num(issuer->chain); i++) {
        int one = i2d_X509(sk_X509_value(issuer->chain, i), NULL);
        if (one <= 0)
            return -1;
        length += one;
    }
    *der = OPENSSL_malloc((size_t)length);
    if (!*der)
        return -1;

    unsigned char *end = *der;
    for (int i = 0; i < sk_X509_num(issuer->chain); i++)
        i2d_X509(sk_X509_value(issuer->chain, i), &end);
    return length;
}

/* The one name, critical because the subject is empty (RFC 5280 section 4.2.1.6). */
static X509_EXTENSION *make_names(const struct certificate_name *name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *entry = GENERAL_NAME_new();
    ASN1_STRING *value = name->address_size ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    const void *bytes = name->address_size ? (const void *)name->address : name->text;
    size_t length = name->address_size ? name->address_size : strlen(name->text);
    X509_EXTENSION *extension = NULL;

    if (!names || !entry || !value || !ASN1_STRING_set(value, bytes, (int)length))
        goto out;
    GENERAL_NAME_set0_value(entry, name->address_size ? GEN_IPADD : GEN_DNS, value);
    value = NULL;
    if (!sk_GENERAL_NAME_push(names, entry))
        goto out;
    entry = NULL;
    extension = issuer_make_extension(NID_subject_alt_name, true, names);
out:
    ASN1_STRING_free(value);
    GENERAL_NAME_free(entry);
    GENERAL_NAMES_free(names);
    return extension;
}

/* The last leaf's name goes, this one's comes. */
static bool set_names(X509 *form, const struct certificate_name *name)
{
    X509_EXTENSION *names = make_names(name);
    int last = X509_get_ext_by_NID(form, NID_subject_alt_name, -1);
    bool done;

    if (last >= 0)
        X509_EXTENSION_free(X509_delete_ext(form, last));
    done = names && X509_add_ext(form, names, -1);
    X509_EXTENSION_free(names);
    return done;
}

static bool may_speak(const struct issuer *issuer, const struct certificate_name *name)
{
    for (int i = 0; i < sk_X509_num(issuer->chain); i++)
        if (issuer->constraints[i] && !issuer_may_speak(issuer->constraints[i], name))
            return false;
    return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int issuer_make_leaf(const struct issuer *issuer, const char *name, int64_t now, int64_t backdate,
                     int64_t lifetime, int64_t not_after, unsigned char **der)
{
    struct certificate_name read;
    X509 *form = issuer->form;
    int length = -1;

    *der = NULL;
    if (now < 0 || now > TIME_LIMIT - LIFETIME_LIMIT || backdate < 0 || backdate > now ||
        !certificate_name_read(span_of(name), &read) || !may_speak(issuer, &read))
        return -1;
    not_after =
        earlier(earlier(not_after, issuer->not_after), now + earlier(lifetime, LIFETIME_LIMIT));
    if (not_after <= now)
        return -1;
    if (issuer_set_serial(form) && issuer_set_validity(form, now - backdate, not_after) &&
        set_names(form, &read) && X509_sign(form, issuer->key, EVP_sha256()))
        length = i2d_X509(form, der);
    ERR_clear_error();
    return length > 0 ? length : -1;
}
