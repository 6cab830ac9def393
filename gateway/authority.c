/* SPDX-License-Identifier: BSD-2-Clause */
/* Making, preparing and changing the CA: see authority.h. */
#include "gateway/authority_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/issuer.h"

/* A CA on its way to its files. */
struct made {
    EVP_PKEY *root_key, *key;
    X509 *root, *issuing;
};

static int fail(char *error, size_t size, const char *path)
{
    snprintf(error, size, "%s: %s", path, strerror(errno));
    return -1;
}

char *authority_path(const char *path, enum authority_file which)
{
    static const char *const endings[] = {
        [AUTHORITY_NOW] = "", [AUTHORITY_NEXT] = ".next", [AUTHORITY_OLD] = ".old"};
    size_t room = strlen(path) + sizeof(".next");
    char *result = memory_allocate(1, room);

    snprintf(result, room, "%s%s", path, endings[which]);
    return result;
}

/* --- reading --- */

STACK_OF(X509) * authority_read(const char *path, char *error, size_t size)
{
    return issuer_read_chain(path, error, size);
}

X509 *authority_root(const STACK_OF(X509) * chain)
{
    X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);

    return last && (X509_get_extension_flags(last) & EXFLAG_SS) ? last : NULL;
}

X509 *authority_enrolled(const STACK_OF(X509) * chain)
{
    X509 *root = authority_root(chain);

    return root ? root : sk_X509_value(chain, sk_X509_num(chain) - 1);
}

/* --- making --- */

static void made_free(struct made *made)
{
    EVP_PKEY_free(made->root_key); /* OpenSSL clears private numbers when it frees them */
    EVP_PKEY_free(made->key);
    X509_free(made->root);
    X509_free(made->issuing);
}

/* The root, unless it is there, and the issuing CA. */
static int make(struct made *made, const struct authority_order *order, char *error, size_t size)
{
    if (order->excluded_count > AUTHORITY_NAMES_LIMIT) {
        snprintf(error, size, "more than %d names to be excluded", AUTHORITY_NAMES_LIMIT);
        return -1;
    }
    if (!made->root) {
        made->root_key = EVP_EC_gen("P-384");
        made->root = made->root_key ? authority_make_root(made->root_key, order->clinic) : NULL;
    }
    made->key = EVP_EC_gen("P-256");
    if (made->root && made->key)
        made->issuing = authority_make_issuing(made->key, made->root, made->root_key, order);
    if (made->issuing)
        return 0;
    snprintf(error, size, "the CA cannot be made; is the clinic's name UTF-8?");
    return -1;
}

static struct span bio_span(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);

    return (struct span){data, length > 0 ? (size_t)length : 0};
}

/* Key first: certificates that are there have their key. */
static int write_next(const struct made *made, const struct authority_order *order, char *error,
                      size_t size)
{
    BIO *key = BIO_new(BIO_s_secmem()), *certificates = BIO_new(BIO_s_mem());
    char *key_path = authority_path(order->key_path, AUTHORITY_NEXT);
    char *certificate_path = authority_path(order->certificate_path, AUTHORITY_NEXT);
    int result = -1;

    if (!key || !certificates ||
        !PEM_write_bio_PKCS8PrivateKey(key, made->key, NULL, NULL, 0, NULL, NULL) ||
        !PEM_write_bio_X509(certificates, made->issuing) ||
        !PEM_write_bio_X509(certificates, made->root)) {
        snprintf(error, size, "the CA cannot be written");
        goto out;
    }
    unlink(certificate_path); /* of one that was prepared before, with another key */
    if (authority_file_put(key_path, bio_span(key), 0600) < 0) {
        fail(error, size, order->key_path);
    } else if (authority_file_put(certificate_path, bio_span(certificates), 0644) < 0) {
        fail(error, size, order->certificate_path);
        unlink(key_path);
    } else {
        result = 0;
    }
out:
    BIO_free(key);
    BIO_free(certificates);
    free(key_path);
    free(certificate_path);
    return result;
}

/* The root's key goes to the operator's file before anything relies on it. */
static int make_and_write(struct made *made, const struct authority_order *order, bool exports,
                          char *error, size_t size)
{
    int result = -1;

    ERR_clear_error();
    if (make(made, order, error, size) == 0 &&
        (!exports || authority_root_key_write(order->root_key_path, made->root_key,
                                              order->passphrase, error, size) == 0)) {
        result = write_next(made, order, error, size);
        if (result < 0 && exports)
            unlink(order->root_key_path);
    }
    ERR_clear_error();
    made_free(made);
    return result;
}

int authority_prepare(const struct authority_order *order, char *error, size_t size)
{
    struct made made = {NULL};

    authority_recover(order->certificate_path, order->key_path);
    return make_and_write(&made, order, order->root_key_path != NULL, error, size);
}

int authority_prepare_issuing(const struct authority_order *order, char *error, size_t size)
{
    struct made made = {NULL};
    STACK_OF(X509) * chain;
    X509 *root;

    authority_recover(order->certificate_path, order->key_path);
    chain = authority_read(order->certificate_path, error, size);
    if (!chain)
        return -1;
    root = authority_root(chain);
    if (!root || sk_X509_num(chain) < 2)
        snprintf(error, size, "%s: this CA has no root of its own (sekisho ca rotate makes one)",
                 order->certificate_path);
    else
        made.root_key =
            authority_root_key_read(order->root_key_path, order->passphrase, error, size);
    if (made.root_key && X509_check_private_key(root, made.root_key) != 1) {
        snprintf(error, size, "%s: it is not the key of this root", order->root_key_path);
        EVP_PKEY_free(made.root_key);
        made.root_key = NULL;
    }
    if (made.root_key && X509_up_ref(root))
        made.root = root;
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    if (made.root)
        return make_and_write(&made, order, false, error, size);
    made_free(&made);
    return -1;
}

/* --- putting in force --- */

/* The certificates of the CA in force stay to be had: devices may have to be rid of them. */
static int keep_old(const char *certificate_path, char *error, size_t size)
{
    char *path = authority_path(certificate_path, AUTHORITY_OLD);
    STACK_OF(X509) *chain = authority_read(certificate_path, error, size);
    BIO *text = BIO_new(BIO_s_mem());
    int result = -1;

    if (chain && text) {
        result = 0;
        for (int i = 0; result == 0 && i < sk_X509_num(chain); i++)
            if (!PEM_write_bio_X509(text, sk_X509_value(chain, i)))
                result = -1;
        if (result == 0 && authority_file_put(path, bio_span(text), 0644) < 0)
            result = fail(error, size, path);
    }
    BIO_free(text);
    sk_X509_pop_free(chain, X509_free);
    free(path);
    return result;
}

/* From here on the new CA is in force: the key decides, and issuer_read() knows where its
 * certificates are until they have their place. */
static int change(const char *certificate_path, const char *key_path, bool replaces, char *error,
                  size_t size)
{
    char *key = authority_path(key_path, AUTHORITY_NEXT);
    char *certificates = authority_path(certificate_path, AUTHORITY_NEXT);
    int result = 0;

    if (authority_file_move(key, key_path, replaces) < 0)
        result = fail(error, size, key_path);
    else if (authority_file_move(certificates, certificate_path, replaces) < 0)
        result = fail(error, size, certificate_path);
    free(key);
    free(certificates);
    return result;
}

static bool belongs(const char *certificate_path, const char *key_path)
{
    char error[512];
    struct issuer *issuer = issuer_read_exactly(certificate_path, key_path, error, sizeof(error));

    issuer_free(issuer);
    return issuer != NULL;
}

void authority_recover(const char *certificate_path, const char *key_path)
{
    char *next = authority_path(certificate_path, AUTHORITY_NEXT);

    if (access(next, F_OK) == 0 && access(key_path, F_OK) == 0 &&
        !belongs(certificate_path, key_path) && belongs(next, key_path))
        authority_file_move(next, certificate_path, true);
    free(next);
}

int authority_activate(const char *certificate_path, const char *key_path, char *error, size_t size)
{
    char *next = authority_path(certificate_path, AUTHORITY_NEXT);
    char *next_key = authority_path(key_path, AUTHORITY_NEXT);
    struct issuer *issuer;
    int result = -1;

    authority_recover(certificate_path, key_path);
    if (access(next, F_OK) != 0 && errno == ENOENT) {
        snprintf(error, size, "no CA is prepared (sekisho ca rotate prepares one)");
    } else if ((issuer = issuer_read_exactly(next, next_key, error, size)) != NULL) {
        issuer_free(issuer);
        if (keep_old(certificate_path, error, size) == 0)
            result = change(certificate_path, key_path, true, error, size);
    }
    free(next);
    free(next_key);
    return result;
}

int authority_create(const struct authority_order *order, char *error, size_t size)
{
    const char *const paths[] = {order->key_path, order->certificate_path};
    struct made made = {NULL};
    struct stat status;

    authority_recover(order->certificate_path, order->key_path);
    for (size_t i = 0; i < 2; i++)
        if (lstat(paths[i], &status) == 0) {
            errno = EEXIST;
            return fail(error, size, paths[i]);
        }
    if (make_and_write(&made, order, order->root_key_path != NULL, error, size) < 0)
        return -1;
    if (change(order->certificate_path, order->key_path, false, error, size) == 0)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        char *next = authority_path(paths[i], AUTHORITY_NEXT);
        unlink(next);
        free(next);
    }
    if (order->root_key_path)
        unlink(order->root_key_path);
    return -1;
}
