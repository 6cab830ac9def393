/* SPDX-License-Identifier: BSD-2-Clause */
/* Timestamps of transparency logs: made by logs of the test, in each place that they come from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/certificate_recipe.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "filters/memory.h"
#include "gateway/transparency.h"

static struct made root, leaf;
static EVP_PKEY *log_key, *other_key;
static int64_t now;

struct bytes {
    unsigned char bytes[4096];
    size_t size;
};

static void put(struct bytes *out, uint64_t value, unsigned size)
{
    while (size-- > 0)
        out->bytes[out->size++] = (unsigned char)(value >> 8 * size);
}

static void put_bytes(struct bytes *out, const void *bytes, size_t size)
{
    assert_true(out->size + size <= sizeof(out->bytes));
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

/* RFC 6962 section 3.2: about a whole certificate. */
static void put_timestamp(struct bytes *list, EVP_PKEY *key, int64_t time, bool is_broken,
                          unsigned version)
{
    struct bytes said = {.size = 0}, one = {.size = 0};
    unsigned char *der = NULL, id[SHA256_DIGEST_LENGTH], signature[256];
    size_t signature_size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    int size = i2d_X509(leaf.certificate, &der);
    put(&said, version, 1);
    put(&said, 0, 1); /* certificate_timestamp */
    put(&said, (uint64_t)time * 1000, 8);
    put(&said, 0, 2); /* x509_entry */
    put(&said, (uint64_t)size, 3);
    put_bytes(&said, der, (size_t)size);
    put(&said, 0, 2); /* extensions */
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &signature_size, said.bytes, said.size), 1);
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    if (is_broken)
        signature[signature_size - 1] ^= 1;
    der = NULL;
    size = i2d_PUBKEY(key, &der);
    SHA256(der, (size_t)size, id);
    OPENSSL_free(der);
    put(&one, version, 1);
    put_bytes(&one, id, sizeof(id));
    put(&one, (uint64_t)time * 1000, 8);
    put(&one, 0, 2);
    put(&one, 4, 1); /* sha256 */
    put(&one, 3, 1); /* ecdsa */
    put(&one, signature_size, 2);
    put_bytes(&one, signature, signature_size);
    put(list, one.size, 2);
    put_bytes(list, one.bytes, one.size);
}

static struct span finish(struct bytes *list)
{
    memmove(list->bytes + 2, list->bytes, list->size);
    list->bytes[0] = (unsigned char)(list->size >> 8);
    list->bytes[1] = (unsigned char)list->size;
    return (struct span){(const char *)list->bytes, list->size + 2};
}

static struct transparency *read_logs(EVP_PKEY *key)
{
    char path[] = "/tmp/sekisho-test-logs.XXXXXX", error[256] = "", text[512];
    FILE *file = fdopen(mkstemp(path), "w");
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);

    EVP_EncodeBlock((unsigned char *)text, der, size);
    OPENSSL_free(der);
    fprintf(file, "enabled_logs = one\n[one]\ndescription = a log\nkey = %s\n", text);
    fclose(file);
    struct transparency *logs = transparency_read(path, error, sizeof(error));
    unlink(path);
    assert_non_null(logs);
    return logs;
}

static STACK_OF(X509) * chain_of_two(void)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    sk_X509_push(chain, leaf.certificate);
    sk_X509_push(chain, root.certificate);
    return chain;
}

static void test_extension(void **state)
{
    struct transparency *logs = read_logs(log_key);
    STACK_OF(X509) *chain = chain_of_two();
    struct transparency_count count;
    struct bytes list = {.size = 0};

    (void)state;
    put_timestamp(&list, log_key, now - 60, false, 0);
    put_timestamp(&list, log_key, now + 60, false, 0); /* a clock that is ahead */
    put_timestamp(&list, log_key, now - 60, true, 0);
    put_timestamp(&list, log_key, now + 86400, false, 0);
    put_timestamp(&list, other_key, now - 60, false, 0);
    struct span said = finish(&list);
    transparency_check(logs, chain, said, (struct span){NULL, 0}, now, &count);
    assert_true(count.is_checked);
    assert_int_equal(count.all, 5);
    assert_int_equal(count.valid, 2);
    assert_int_equal(count.invalid, 2);
    assert_int_equal(count.unknown, 1);
    transparency_check(NULL, chain, said, (struct span){NULL, 0}, now, &count);
    assert_false(count.is_checked);
    assert_int_equal(count.all, 5);
    assert_int_equal(count.valid + count.invalid + count.unknown, 0);
    /* Of another certificate of the same issuer's they say nothing. */
    struct made other = make(&(struct recipe){0}, &usual_leaf, &root, make_key(P256));
    sk_X509_set(chain, 0, other.certificate);
    transparency_check(logs, chain, said, (struct span){NULL, 0}, now, &count);
    assert_int_equal(count.valid, 0);
    assert_int_equal(count.invalid, 4);
    discard(&other);
    sk_X509_free(chain);
    transparency_free(logs);
}

static void test_malformed(void **state)
{
    struct transparency *logs = read_logs(log_key);
    STACK_OF(X509) *chain = chain_of_two();
    struct transparency_count count;
    struct bytes list = {.size = 0};

    (void)state;
    put_timestamp(&list, log_key, now - 60, false, 0);
    struct span said = finish(&list);
    for (size_t size = 0; size < said.size; size++) {
        transparency_check(logs, chain, span_first(said, size), span_first(said, size), now,
                           &count);
        assert_int_equal(count.valid, 0);
    }
    /* Many are not all looked at. */
    list.size = 0;
    for (unsigned i = 0; i < 25; i++)
        put_timestamp(&list, other_key, now - 60, false, 0);
    transparency_check(logs, chain, finish(&list), (struct span){NULL, 0}, now, &count);
    assert_int_equal(count.all, TRANSPARENCY_MAX);
    /* Who is trusted for itself. */
    sk_X509_pop(chain);
    transparency_check(logs, chain, said, (struct span){NULL, 0}, now, &count);
    assert_int_equal(count.all, 0);
    sk_X509_free(chain);
    transparency_free(logs);
    transparency_free(NULL);
}

static void test_files(void **state)
{
    char path[] = "/tmp/sekisho-test-logs.XXXXXX", error[256] = "";
    FILE *file = fdopen(mkstemp(path), "w");

    (void)state;
    fprintf(file, "enabled_logs = one\n[one]\ndescription = a log\nkey = nonsense\n");
    fclose(file);
    struct transparency *logs = transparency_read(path, error, sizeof(error));
    assert_null(logs);
    assert_non_null(strstr(error, path));
    unlink(path);
    assert_null(transparency_read(path, error, sizeof(error)));
}

static int set_up(void **state)
{
    (void)state;
    now = (int64_t)time(NULL);
    log_key = make_key(P256);
    other_key = make_key(P256);
    root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    leaf = make(&(struct recipe){0}, &usual_leaf, &root, make_key(P256));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(log_key);
    EVP_PKEY_free(other_key);
    discard(&root);
    discard(&leaf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_extension),
                                       cmocka_unit_test(test_malformed),
                                       cmocka_unit_test(test_files)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
