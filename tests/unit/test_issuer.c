/* SPDX-License-Identifier: BSD-2-Clause */
/* The issuing CA: what is made on first boot, what is refused when read, and the leaf profile field
 * by field. */
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
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "gateway/authority.h"
#include "gateway/certificate.h"
#include "gateway/certificate_verify.h"
#include "gateway/chain.h"
#include "gateway/digest.h"
#include "tests/unit/certificate_recipe.h"

#define HOUR 3600

static char folder[] = "/tmp/sekisho-test-issuer.XXXXXX";
static char error[512];

/* The path of a file in the folder; the last four stay good. */
static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static X509 *load_certificate(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(certificate);
    return certificate;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void write_pair(const struct made *made, EVP_PKEY *key, const char *passphrase)
{
    FILE *file = fopen(at("own.crt"), "w");
    assert_int_equal(PEM_write_X509(file, made->certificate), 1);
    fclose(file);
    unlink(at("own.key"));
    file = fopen(at("own.key"), "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                               passphrase, passphrase ? 4 : 0, NULL, NULL),
                     1);
    fclose(file);
    assert_int_equal(chmod(at("own.key"), 0600), 0);
}

static size_t count_files(void)
{
    DIR *directory = opendir(folder);
    size_t count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static void forget_files(void)
{
    static const char *const names[] = {"ca.crt",  "ca.key",  "own.crt",
                                        "own.key", "two.crt", "two.key"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(at(names[i]));
    assert_int_equal(count_files(), 0);
}

/* Those that the tests of refusals ask for. */
static const char *const excluded[] = {"bank.example", "go.jp"};

static struct authority_order order_for(const char *certificate, const char *key,
                                        const char *clinic)
{
    return (struct authority_order){.certificate_path = certificate,
                                    .key_path = key,
                                    .clinic = clinic,
                                    .excluded = excluded,
                                    .excluded_count = 2};
}

static int create(const char *certificate, const char *key, const char *clinic)
{
    struct authority_order order = order_for(certificate, key, clinic);

    return authority_create(&order, error, sizeof(error));
}

static struct issuer *create_and_read(void)
{
    forget_files();
    if (create(at("ca.crt"), at("ca.key"), NULL) < 0)
        fail_msg("%s", error);
    struct issuer *issuer = issuer_read(at("ca.crt"), at("ca.key"), error, sizeof(error));
    if (!issuer)
        fail_msg("%s", error);
    return issuer;
}

static const ASN1_OBJECT *extension_object(const X509 *certificate, int index)
{
    return X509_EXTENSION_get_object(X509_get_ext(certificate, index));
}

static void name_entry(const X509 *certificate, int nid, char *text, int size)
{
    text[0] = '\0';
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), nid, text, size);
}

static void join_name(void *context, struct span name)
{
    strncat(context, name.data, name.size);
    strcat(context, " ");
}

/* One certificate of the CA, field by field. */
static void check_tier(X509 *ca, X509 *above, long path_length, const char *title)
{
    char text[256], hex[9], expected[64];

    assert_int_equal(X509_get_version(ca), X509_VERSION_3);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_get_pathlen(ca), path_length);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    for (int i = 0; i < X509_get_ext_count(ca); i++) {
        X509_EXTENSION *extension = X509_get_ext(ca, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (nid == NID_basic_constraints || nid == NID_key_usage)
            assert_int_equal(X509_EXTENSION_get_critical(extension), 1);
    }
    assert_int_equal(X509_verify(ca, X509_get0_pubkey(above)), 1);
    assert_int_equal((X509_get_extension_flags(ca) & EXFLAG_SS) != 0, ca == above);
    assert_int_equal(X509_get_extension_flags(ca) & (EXFLAG_INVALID | EXFLAG_CRITICAL), 0);
    assert_int_equal(ASN1_INTEGER_get(X509_get0_serialNumber(ca)), -1); /* far too long for that */
    digest_hex(ASN1_STRING_get0_data(X509_get0_subject_key_id(ca)), 4, hex);
    snprintf(expected, sizeof(expected), "Sekisho %s %s 20", title, hex);
    name_entry(ca, NID_commonName, text, sizeof(text));
    assert_memory_equal(text, expected, strlen(expected));
    assert_int_equal(strlen(text), strlen(expected) + strlen("26-11-29"));
    assert_int_equal(
        ASN1_STRING_cmp(X509_get0_authority_key_id(ca), X509_get0_subject_key_id(above)), 0);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(ca), X509_get_subject_name(above)), 0);
}

static void test_create(void **state)
{
    static const char clinic[] = "関所クリニック";

    (void)state;
    forget_files();
    assert_int_equal(create(at("ca.crt"), at("ca.key"), clinic), 0);
    assert_int_equal(count_files(), 2);
    assert_int_equal(mode_of(at("ca.crt")), 0644);
    assert_int_equal(mode_of(at("ca.key")), 0600);

    STACK_OF(X509) *chain = authority_read(at("ca.crt"), error, sizeof(error));
    assert_int_equal(sk_X509_num(chain), 2);
    X509 *ca = sk_X509_value(chain, 0), *root = sk_X509_value(chain, 1);
    assert_ptr_equal(authority_root(chain), root);
    check_tier(root, root, 1, "Root CA");
    check_tier(ca, root, 0, "Issuing CA");
    int64_t begin = chain_time(X509_get0_notBefore(root)), now = (int64_t)time(NULL);
    assert_true(begin <= now - DAY && begin > now - DAY - 60);
    assert_int_equal(chain_time(X509_get0_notAfter(root)) - begin, INT64_C(3650) * DAY);
    assert_int_equal(chain_time(X509_get0_notAfter(ca)), chain_time(X509_get0_notAfter(root)));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(ca), X509_get0_pubkey(root)), 0);
    assert_int_equal(X509_get_extended_key_usage(ca), XKU_SSL_SERVER);
    assert_int_equal(X509_get_extended_key_usage(root), UINT32_MAX);

    /* What it cannot speak for, and no more. */
    char names[256] = "";
    authority_each_excluded(ca, join_name, names);
    assert_string_equal(names, "bank.example go.jp ");
    int place = X509_get_ext_by_NID(ca, NID_name_constraints, -1);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(ca, place)), 1);
    assert_int_equal(X509_get_ext_by_NID(root, NID_name_constraints, -1), -1);

    /* The name is UTF-8 as it was given. */
    int index = X509_NAME_get_index_by_NID(X509_get_subject_name(ca), NID_organizationName, -1);
    const ASN1_STRING *organisation =
        X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(ca), index));
    assert_int_equal(ASN1_STRING_length(organisation), sizeof(clinic) - 1);
    assert_memory_equal(ASN1_STRING_get0_data(organisation), clinic, sizeof(clinic) - 1);
    sk_X509_pop_free(chain, X509_free);
}

static void test_create_is_unique(void **state)
{
    (void)state;
    issuer_free(create_and_read());
    assert_int_equal(create(at("two.crt"), at("two.key"), ""), 0);
    X509 *one = load_certificate(at("ca.crt")), *two = load_certificate(at("two.crt"));
    assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(one), X509_get0_pubkey(two)), 1);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(one), X509_get0_serialNumber(two)),
                         0);
    assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(one), X509_get_subject_name(two)), 0);
    X509_free(one);
    X509_free(two);
}

static void test_create_never_overwrites(void **state)
{
    struct stat status;

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *standing = i ? "ca.crt" : "ca.key";
        forget_files();
        write_text(at(standing), "precious", 0600);
        assert_int_equal(create(at("ca.crt"), at("ca.key"), NULL), -1);
        assert_non_null(strstr(error, standing));
        assert_int_equal(stat(at(standing), &status), 0);
        assert_int_equal(status.st_size, 8);
        assert_int_equal(count_files(), 1);
    }
    forget_files();
    assert_int_equal(create(at("no/ca.crt"), at("no/ca.key"), NULL), -1);
    assert_non_null(strstr(error, "no/ca.key"));
    assert_int_equal(create(at("no/ca.crt"), at("ca.key"), NULL), -1);
    assert_int_equal(count_files(), 0);
}

static void test_create_bounds_the_clinic(void **state)
{
    char name[70 * 3 + 1] = "", text[256];

    (void)state;
    for (int i = 0; i < 70; i++)
        memcpy(name + i * 3, "院", 3);
    forget_files();
    assert_int_equal(create(at("ca.crt"), at("ca.key"), name), 0);
    X509 *ca = load_certificate(at("ca.crt"));
    int index = X509_NAME_get_index_by_NID(X509_get_subject_name(ca), NID_organizationName, -1);
    assert_int_equal(ASN1_STRING_length(X509_NAME_ENTRY_get_data(
                         X509_NAME_get_entry(X509_get_subject_name(ca), index))),
                     64 * 3);
    X509_free(ca);

    forget_files();
    assert_int_equal(create(at("ca.crt"), at("ca.key"), "bad \xff\xfe"), -1);
    assert_non_null(strstr(error, "UTF-8"));
    assert_int_equal(count_files(), 0);

    /* What looks like syntax is only text. */
    assert_int_equal(create(at("ca.crt"), at("ca.key"), "A, CN=B/O=C+D"), 0);
    ca = load_certificate(at("ca.crt"));
    name_entry(ca, NID_organizationName, text, sizeof(text));
    assert_string_equal(text, "A, CN=B/O=C+D");
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(ca)), 2);
    X509_free(ca);
}

/* --- reading --- */

static void expect_unreadable(const char *certificate, const char *key, const char *message)
{
    error[0] = '\0';
    struct issuer *issuer = issuer_read(certificate, key, error, sizeof(error));
    if (issuer)
        fail_msg("accepted instead of: %s", message);
    if (!strstr(error, message))
        fail_msg("\"%s\" instead of \"%s\"", error, message);
}

static void test_read_files(void **state)
{
    (void)state;
    issuer_free(create_and_read());
    static const mode_t open_modes[] = {0640, 0604, 0620, 0601, 0644};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        chmod(at("ca.key"), open_modes[i]);
        expect_unreadable(at("ca.crt"), at("ca.key"), "chmod 600");
    }
    chmod(at("ca.key"), 0400);
    struct issuer *issuer = issuer_read(at("ca.crt"), at("ca.key"), error, sizeof(error));
    assert_non_null(issuer);
    issuer_free(issuer);

    expect_unreadable(at("none.crt"), at("ca.key"), "none.crt: No such file");
    expect_unreadable(at("ca.crt"), at("none.key"), "none.key: No such file");
    expect_unreadable(folder, at("ca.key"), "not a regular file");
    expect_unreadable(at("ca.crt"), at("ca.crt"), "chmod 600");
    expect_unreadable(at("ca.key"), at("ca.key"), "ca.key: not 1 to 8 certificates");
    write_text(at("two.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
               0644);
    expect_unreadable(at("two.crt"), at("ca.key"), "two.crt: not 1 to 8 certificates");
    write_text(at("two.key"), "", 0600);
    expect_unreadable(at("ca.crt"), at("two.key"), "two.key: not an unencrypted private key");
    assert_int_equal(truncate(at("two.crt"), 70000), 0);
    expect_unreadable(at("two.crt"), at("ca.key"), "larger than");
}

static void expect_fault(const struct recipe *recipe, const char *message)
{
    struct made made = make(recipe, &usual_ca, NULL, make_key(recipe->key));

    write_pair(&made, made.key, NULL);
    if (message) {
        expect_unreadable(at("own.crt"), at("own.key"), message);
    } else {
        struct issuer *issuer = issuer_read(at("own.crt"), at("own.key"), error, sizeof(error));
        if (!issuer)
            fail_msg("%s", error);
        issuer_free(issuer);
    }
    discard(&made);
}

static void test_read_checks_the_pair(void **state)
{
    (void)state;
    forget_files();
    expect_fault(&(struct recipe){.key = P384}, NULL);
    expect_fault(&(struct recipe){.key = RSA2048}, NULL);
    expect_fault(&(struct recipe){.usage = ""}, NULL);
    expect_fault(&(struct recipe){.key = RSA1024}, "RSA of 2048");
    expect_fault(&(struct recipe){.key = SECP256K1}, "neither P-256");
    expect_fault(&(struct recipe){.key = ED25519}, "neither P-256");
    expect_fault(&(struct recipe){.begin = -9 * DAY, .end = -1}, "has expired");
    expect_fault(&(struct recipe){.constraints = "critical,CA:FALSE"}, "not a CA");
    expect_fault(&(struct recipe){.constraints = "", .usage = "digitalSignature"}, "not a CA");
    expect_fault(&(struct recipe){.usage = "critical,digitalSignature"}, "not a CA");
    expect_fault(&(struct recipe){.identifier = "", .authority = ""}, "no subject key identifier");

    struct made made = make(&(struct recipe){.key = P256}, &usual_ca, NULL, make_key(P256));
    EVP_PKEY *other = make_key(P256);
    write_pair(&made, other, NULL);
    expect_unreadable(at("own.crt"), at("own.key"), "does not belong to the key");
    write_pair(&made, made.key, "abcd");
    expect_unreadable(at("own.crt"), at("own.key"), "not an unencrypted private key");
    EVP_PKEY_free(other);
    discard(&made);
}

/* --- leaves --- */

static X509 *leaf_of(const struct issuer *issuer, const char *name, int64_t now, int64_t backdate,
                     int64_t lifetime, int64_t not_after)
{
    unsigned char *der = NULL;
    int length = issuer_make_leaf(issuer, name, now, backdate, lifetime, not_after, &der);
    const unsigned char *end = der;
    X509 *leaf = length > 0 ? d2i_X509(NULL, &end, length) : NULL;

    if (length > 0)
        assert_ptr_equal(end, der + length);
    else
        assert_null(der);
    OPENSSL_free(der);
    return leaf;
}

static void test_leaf_profile(void **state)
{
    static const int extensions[] = {NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
                                     NID_authority_key_identifier, NID_subject_alt_name};
    struct issuer *issuer = create_and_read();
    X509 *ca = load_certificate(at("ca.crt"));
    int64_t now = (int64_t)time(NULL);
    int critical;

    (void)state;
    X509 *leaf = leaf_of(issuer, "WWW.Example.JP", now, HOUR, DAY, INT64_MAX);
    assert_non_null(leaf);
    assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(leaf)), 0);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(ca)), 0);
    assert_int_equal(chain_time(X509_get0_notBefore(leaf)), now - HOUR);
    assert_int_equal(chain_time(X509_get0_notAfter(leaf)), now + DAY);
    assert_int_equal(X509_get_signature_nid(leaf), NID_ecdsa_with_SHA256);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(leaf)), 256);
    assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)), EVP_PKEY_EC);
    assert_int_equal(X509_get_ext_count(leaf), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(OBJ_obj2nid(extension_object(leaf, i)), extensions[i]);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(
        ASN1_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(ca)), 0);

    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
    assert_int_equal(critical, 1);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_DNS);
    assert_int_equal(ASN1_STRING_length(sk_GENERAL_NAME_value(names, 0)->d.dNSName), 14);
    assert_memory_equal(ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 0)->d.dNSName),
                        "www.example.jp", 14);
    GENERAL_NAMES_free(names);
    assert_true(ASN1_STRING_length(X509_get0_serialNumber(leaf)) <= 16);
    assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(leaf)), V_ASN1_INTEGER);
    X509_free(leaf);
    X509_free(ca);
    issuer_free(issuer);
}

/* A client that verifies as strictly as we do takes the leaf, for its name alone. */
static void test_leaf_verifies(void **state)
{
    static const struct {
        const char *name, *other;
    } rows[] = {{"www.example.jp", "example.jp"},
                {"192.0.2.7", "192.0.2.8"},
                {"2001:db8::7", "2001:db8::8"},
                {"xn--eckwd4c7c.example", "eckwd4c7c.example"},
                {"localhost", "localhost.jp"}};
    struct issuer *issuer = create_and_read();
    X509_STORE *trust = X509_STORE_new();
    STACK_OF(X509) *chain = authority_read(at("ca.crt"), error, sizeof(error));
    int64_t now = (int64_t)time(NULL);
    struct certificate_name name;

    (void)state;
    X509_STORE_add_cert(trust, authority_root(chain));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *leaf = leaf_of(issuer, rows[i].name, now, HOUR, DAY, INT64_MAX);
        struct certificate_question question = {
            .trust = trust, .leaf = leaf, .others = chain, .name = &name, .time = now};
        assert_non_null(leaf);
        assert_int_equal(X509_get_ext_count(leaf), 5); /* nothing is left of the leaf before */
        assert_true(certificate_name_read(span_of(rows[i].name), &name));
        assert_int_equal(certificate_chain_verify(&question, NULL), VERDICT_OK);
        assert_true(certificate_name_read(span_of(rows[i].other), &name));
        assert_int_equal(certificate_chain_verify(&question, NULL), VERDICT_NAME);
        X509_free(leaf);
    }
    sk_X509_pop_free(chain, X509_free);
    X509_STORE_free(trust);
    issuer_free(issuer);
}

static void test_leaf_times(void **state)
{
    struct issuer *issuer = create_and_read();
    X509 *ca = load_certificate(at("ca.crt"));
    int64_t now = (int64_t)time(NULL), end = chain_time(X509_get0_notAfter(ca));
    const struct {
        int64_t now, backdate, lifetime, not_after, end; /* end 0: refused */
    } rows[] = {
        {now, HOUR, DAY, now + HOUR, now + HOUR},
        {now, HOUR, HOUR, now + DAY, now + HOUR},
        {now, HOUR, 30 * DAY, INT64_MAX, now + DAY}, /* a day at most, whatever is configured */
        {now, HOUR, INT64_MAX, INT64_MAX, now + DAY},
        {end - HOUR, HOUR, DAY, INT64_MAX, end}, /* never longer than the CA */
        {end + 1, HOUR, DAY, INT64_MAX, 0},
        {now, 0, DAY, now + 1, now + 1},
        {now, HOUR, DAY, now, 0},
        {now, HOUR, DAY, now - DAY, 0},
        {now, HOUR, DAY, 0, 0},
        {now, HOUR, DAY, INT64_MIN, 0},
        {now, HOUR, 0, INT64_MAX, 0},
        {now, HOUR, -1, INT64_MAX, 0},
        {now, -1, DAY, INT64_MAX, 0},
        {now, now + 1, DAY, INT64_MAX, 0},
        {-1, 0, DAY, INT64_MAX, 0},
        {INT64_MAX, HOUR, DAY, INT64_MAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *leaf = leaf_of(issuer, "www.example.jp", rows[i].now, rows[i].backdate,
                             rows[i].lifetime, rows[i].not_after);
        if (!leaf != !rows[i].end)
            fail_msg("row %zu", i);
        if (leaf) {
            assert_int_equal(chain_time(X509_get0_notAfter(leaf)), rows[i].end);
            assert_int_equal(chain_time(X509_get0_notBefore(leaf)), rows[i].now - rows[i].backdate);
        }
        X509_free(leaf);
    }
    X509_free(ca);
    issuer_free(issuer);
}

static void test_leaf_hostile_names(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "*",
        "*.example.jp",
        "a,b",
        "a.example,DNS:b.example",
        "a.example b.example",
        "a.example\nb.example",
        "DNS:a.example",
        "a..b",
        ".a.example",
        "-a.example",
        "1.2.3",
        "256.1.1.1",
        "1.2.3.4.5",
        "0x7f.1",
        "[::1",
        "::1%lo",
        "::g",
        "a.example:443",
        "user@a.example",
        "https://a.example",
        "a.example/",
        "例え.example",
        "\xff.example",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"};
    struct issuer *issuer = create_and_read();
    int64_t now = (int64_t)time(NULL);
    char longest[300];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (leaf_of(issuer, names[i], now, HOUR, DAY, INT64_MAX))
            fail_msg("a leaf for \"%s\"", names[i]);

    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 50 == 49 ? '.' : 'a';
    longest[254] = '\0';
    assert_null(leaf_of(issuer, longest, now, HOUR, DAY, INT64_MAX));
    longest[253] = '\0';
    X509 *leaf = leaf_of(issuer, longest, now, HOUR, DAY, INT64_MAX);
    assert_non_null(leaf);
    X509_free(leaf);
    issuer_free(issuer);
}

/* What the CA excludes it does not sign, however it is written; what is beside it, it does. */
static void test_leaf_exclusions(void **state)
{
    static const struct {
        const char *name;
        bool is_signed;
    } rows[] = {{"bank.example", false},
                {"www.bank.example", false},
                {"a.b.c.bank.example", false},
                {"WWW.Bank.Example", false},
                {"www.bank.example.", false},
                {"bank.example.", false},
                {"go.jp", false},
                {"www.mhlw.go.jp", false},
                {"mybank.example", true},
                {"bank.example.jp", true},
                {"xgo.jp", true},
                {"example", true},
                {"192.0.2.7", true}};
    struct issuer *issuer = create_and_read();
    int64_t now = (int64_t)time(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *leaf = leaf_of(issuer, rows[i].name, now, HOUR, DAY, INT64_MAX);
        if ((leaf != NULL) != rows[i].is_signed)
            fail_msg("%s", rows[i].name);
        X509_free(leaf);
    }
    issuer_free(issuer);
}

static void test_leaf_serials(void **state)
{
    struct issuer *issuer = create_and_read();
    int64_t now = (int64_t)time(NULL);
    X509 *leaves[32];
    int longest = 0;

    (void)state;
    for (int i = 0; i < 32; i++) {
        leaves[i] = leaf_of(issuer, "www.example.jp", now, HOUR, DAY, INT64_MAX);
        assert_non_null(leaves[i]);
        int length = ASN1_STRING_length(X509_get0_serialNumber(leaves[i]));
        longest = length > longest ? length : longest;
        for (int j = 0; j < i; j++)
            assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(leaves[i]),
                                                  X509_get0_serialNumber(leaves[j])),
                                 0);
    }
    assert_int_equal(longest, 16);
    for (int i = 0; i < 32; i++)
        X509_free(leaves[i]);
    issuer_free(issuer);
}

/* Key and chain as they go to the workers. */
static void test_leaf_key_and_chain(void **state)
{
    struct issuer *issuer = create_and_read();
    X509 *leaf = leaf_of(issuer, "www.example.jp", (int64_t)time(NULL), HOUR, DAY, INT64_MAX);
    X509 *ca = load_certificate(at("ca.crt"));
    unsigned char *key_der = NULL, *chain_der = NULL;
    int key_length = issuer_leaf_key(issuer, &key_der);
    int chain_length = issuer_chain(issuer, &chain_der);
    const unsigned char *end = key_der;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &end, key_length);

    (void)state;
    assert_ptr_equal(end, key_der + key_length);
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    assert_int_not_equal(X509_check_private_key(ca, key), 1); /* never the CA's own key */
    end = chain_der;
    X509 *first = d2i_X509(NULL, &end, chain_length);
    X509 *second = d2i_X509(NULL, &end, chain_der + chain_length - end);
    assert_ptr_equal(end, chain_der + chain_length);
    assert_int_equal(X509_cmp(first, ca), 0);
    assert_int_equal(X509_check_issued(second, first), X509_V_OK);
    X509_free(second);
    X509_free(first);
    EVP_PKEY_free(key);
    OPENSSL_free(key_der);
    OPENSSL_free(chain_der);
    X509_free(ca);
    X509_free(leaf);
    issuer_free(issuer);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    forget_files();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_is_unique),
        cmocka_unit_test(test_create_never_overwrites),
        cmocka_unit_test(test_create_bounds_the_clinic),
        cmocka_unit_test(test_read_files),
        cmocka_unit_test(test_read_checks_the_pair),
        cmocka_unit_test(test_leaf_profile),
        cmocka_unit_test(test_leaf_verifies),
        cmocka_unit_test(test_leaf_times),
        cmocka_unit_test(test_leaf_hostile_names),
        cmocka_unit_test(test_leaf_exclusions),
        cmocka_unit_test(test_leaf_serials),
        cmocka_unit_test(test_leaf_key_and_chain),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
