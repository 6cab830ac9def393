/* SPDX-License-Identifier: BSD-2-Clause */
/* The CA of two tiers: its root's key outside, its rotation, and every place at which that may be
 * interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "gateway/authority.h"
#include "gateway/certificate.h"

#define PHRASE "correct horse battery"

static char folder[] = "/tmp/sekisho-test-authority.XXXXXX";
static char error[512];
static char certificates[64], key[64], root_key[64];

static char *in_folder(const char *name)
{
    static char paths[8][320];
    static unsigned turn;
    char *path = paths[turn++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void empty_folder(void)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    while ((entry = readdir(directory)))
        unlink(in_folder(entry->d_name));
    closedir(directory);
}

static unsigned count_files(void)
{
    DIR *directory = opendir(folder);
    unsigned count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static bool is_there(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

static struct authority_order order_with(const char *root_key_path, const char *phrase)
{
    return (struct authority_order){.certificate_path = certificates,
                                    .key_path = key,
                                    .clinic = "関所診療所",
                                    .root_key_path = root_key_path,
                                    .passphrase = span_of(phrase)};
}

static void create(const char *root_key_path)
{
    struct authority_order order = order_with(root_key_path, PHRASE);

    empty_folder();
    if (authority_create(&order, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static void prepare(void)
{
    struct authority_order order = order_with(NULL, "");

    if (authority_prepare(&order, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

/* The root that the file's CA hangs from. */
static X509 *root_of(const char *path)
{
    STACK_OF(X509) *chain = authority_read(path, error, sizeof(error));

    if (!chain)
        fail_msg("%s", error);
    assert_int_equal(sk_X509_num(chain), 2);
    X509 *root = authority_root(chain);
    assert_non_null(root);
    X509_up_ref(root);
    sk_X509_pop_free(chain, X509_free);
    return root;
}

static void check_same(const char *one, const char *other, bool same)
{
    X509 *a = root_of(one), *b = root_of(other);

    assert_int_equal(X509_cmp(a, b) == 0, same);
    X509_free(a);
    X509_free(b);
}

/* The CA in force works, and is the one of this root. */
static void check_signs_under(X509 *root)
{
    struct issuer *issuer = issuer_read(certificates, key, error, sizeof(error));
    unsigned char *der;

    if (!issuer)
        fail_msg("%s", error);
    int length = issuer_chain(issuer, &der);
    const unsigned char *at = der;
    X509 *issuing = d2i_X509(NULL, &at, length);
    assert_non_null(issuing);
    assert_int_equal(X509_verify(issuing, X509_get0_pubkey(root)), 1);
    X509_free(issuing);
    OPENSSL_free(der);
    issuer_free(issuer);
}

/* --- the root's key --- */

static int refuse(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static void test_root_key_is_destroyed(void **state)
{
    (void)state;
    create(NULL);
    assert_int_equal(count_files(), 2);
}

static void test_root_key_is_exported_encrypted(void **state)
{
    struct stat facts;
    char text[4096] = "";

    (void)state;
    create(root_key);
    assert_int_equal(count_files(), 3);
    assert_int_equal(stat(root_key, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    FILE *file = fopen(root_key, "r");
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_non_null(strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    rewind(file);
    assert_null(PEM_read_PrivateKey(file, NULL, refuse, NULL));
    rewind(file);
    EVP_PKEY *got = PEM_read_PrivateKey(file, NULL, NULL, (void *)(uintptr_t)PHRASE);
    assert_non_null(got);
    X509 *root = root_of(certificates);
    assert_int_equal(X509_check_private_key(root, got), 1);
    EVP_PKEY_free(got);
    X509_free(root);

    /* scrypt (1.3.6.1.4.1.11591.4.11) and AES-256-CBC stand in it. */
    rewind(file);
    X509_SIG *sealed = PEM_read_PKCS8(file, NULL, NULL, NULL);
    const X509_ALGOR *algorithm;
    const void *parameters;
    int kind;
    X509_SIG_get0(sealed, &algorithm, NULL);
    X509_ALGOR_get0(NULL, &kind, &parameters, algorithm);
    PBE2PARAM *pbe2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
    assert_non_null(pbe2);
    assert_int_equal(OBJ_obj2nid(pbe2->keyfunc->algorithm), NID_id_scrypt);
    assert_int_equal(OBJ_obj2nid(pbe2->encryption->algorithm), NID_aes_256_cbc);
    PBE2PARAM_free(pbe2);
    X509_SIG_free(sealed);
    fclose(file);
}

static void test_weak_phrases_and_old_files(void **state)
{
    struct authority_order order = order_with(root_key, "short");

    (void)state;
    empty_folder();
    assert_int_equal(authority_create(&order, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "passphrase"));
    assert_int_equal(count_files(), 0);
    FILE *file = fopen(root_key, "w");
    fclose(file);
    order = order_with(root_key, PHRASE);
    assert_int_equal(authority_create(&order, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "root-key"));
    assert_int_equal(count_files(), 1);
    order = order_with(in_folder("no/where"), PHRASE);
    assert_int_equal(authority_create(&order, error, sizeof(error)), -1);
    assert_int_equal(count_files(), 1);
}

/* --- rotation --- */

static void test_rotation(void **state)
{
    (void)state;
    create(NULL);
    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no CA is prepared"));
    X509 *first = root_of(certificates);
    prepare();
    assert_int_equal(count_files(), 4);
    X509 *second = root_of(in_folder("ca.pem.next"));
    assert_int_not_equal(X509_cmp(first, second), 0);
    check_signs_under(first);

    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), 0);
    check_signs_under(second);
    assert_int_equal(count_files(), 3);
    X509 *old = root_of(in_folder("ca.pem.old"));
    assert_int_equal(X509_cmp(old, first), 0);
    X509_free(old);
    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), -1);
    X509_free(first);
    X509_free(second);
}

static void test_prepared_anew(void **state)
{
    (void)state;
    create(NULL);
    prepare();
    X509 *before = root_of(in_folder("ca.pem.next"));
    prepare();
    X509 *after = root_of(in_folder("ca.pem.next"));
    assert_int_not_equal(X509_cmp(before, after), 0);
    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), 0);
    check_signs_under(after);
    X509_free(before);
    X509_free(after);
}

/* The key has its place, the certificates not yet: the new CA signs, and the next command tidies.
 */
static void test_interrupted_between_the_renames(void **state)
{
    (void)state;
    create(NULL);
    prepare();
    X509 *second = root_of(in_folder("ca.pem.next"));
    assert_int_equal(rename(in_folder("ca-key.pem.next"), key), 0);
    check_signs_under(second);
    check_same(certificates, in_folder("ca.pem.next"), false);
    authority_recover(certificates, key);
    assert_false(is_there("ca.pem.next"));
    check_signs_under(second);
    X509_free(second);
}

/* The first CA of all: only its key has its place. */
static void test_interrupted_at_the_first(void **state)
{
    struct authority_order order = order_with(NULL, "");

    (void)state;
    create(NULL);
    X509 *first = root_of(certificates);
    assert_int_equal(rename(certificates, in_folder("ca.pem.next")), 0);
    check_signs_under(first);
    assert_int_equal(authority_create(&order, error, sizeof(error)), -1); /* it is there */
    assert_false(is_there("ca.pem.next"));
    check_signs_under(first);
    X509_free(first);
}

/* Half of a next CA: the present one signs, and the half is no reason not to prepare another. */
static void test_interrupted_while_preparing(void **state)
{
    static const char *const halves[] = {"ca-key.pem.next", "ca.pem.next"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        create(NULL);
        X509 *first = root_of(certificates);
        prepare();
        assert_int_equal(unlink(in_folder(halves[i])), 0);
        check_signs_under(first);
        authority_recover(certificates, key);
        check_signs_under(first);
        assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), -1);
        check_signs_under(first);
        prepare();
        assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), 0);
        X509_free(first);
    }
}

/* A next pair that does not belong together is never put in force. */
static void test_mixed_pair(void **state)
{
    (void)state;
    create(NULL);
    X509 *first = root_of(certificates);
    prepare();
    assert_int_equal(rename(in_folder("ca.pem.next"), in_folder("kept")), 0);
    prepare();
    assert_int_equal(rename(in_folder("kept"), in_folder("ca.pem.next")), 0);
    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "does not belong to the key"));
    check_signs_under(first);
    X509_free(first);
}

static void test_issuing_alone(void **state)
{
    struct authority_order order = order_with(root_key, "another passphrase");

    (void)state;
    create(root_key);
    X509 *root = root_of(certificates);
    assert_int_equal(authority_prepare_issuing(&order, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "passphrase"));
    order = order_with(root_key, PHRASE);
    if (authority_prepare_issuing(&order, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    check_same(certificates, in_folder("ca.pem.next"), true);
    struct issuer *before = issuer_read(certificates, key, error, sizeof(error));
    unsigned char *was, *is;
    int was_length = issuer_chain(before, &was);
    issuer_free(before);
    assert_int_equal(authority_activate(certificates, key, error, sizeof(error)), 0);
    check_signs_under(root);
    struct issuer *after = issuer_read(certificates, key, error, sizeof(error));
    int is_length = issuer_chain(after, &is);
    issuer_free(after);
    assert_true(was_length != is_length || memcmp(was, is, (size_t)is_length) != 0);
    OPENSSL_free(was);
    OPENSSL_free(is);
    X509_free(root);

    /* The key of another root does not sign under this one. */
    assert_int_equal(rename(root_key, in_folder("kept")), 0);
    order = order_with(root_key, PHRASE);
    assert_int_equal(authority_prepare(&order, error, sizeof(error)), 0);
    assert_int_equal(authority_prepare_issuing(&order, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "not the key of this root"));
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(certificates, sizeof(certificates), "%s/ca.pem", folder);
    snprintf(key, sizeof(key), "%s/ca-key.pem", folder);
    snprintf(root_key, sizeof(root_key), "%s/root-key.pem", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    empty_folder();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_key_is_destroyed),
        cmocka_unit_test(test_root_key_is_exported_encrypted),
        cmocka_unit_test(test_weak_phrases_and_old_files),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_prepared_anew),
        cmocka_unit_test(test_interrupted_between_the_renames),
        cmocka_unit_test(test_interrupted_at_the_first),
        cmocka_unit_test(test_interrupted_while_preparing),
        cmocka_unit_test(test_mixed_pair),
        cmocka_unit_test(test_issuing_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
