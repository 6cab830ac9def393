/* SPDX-License-Identifier: BSD-2-Clause */
/* Updates: their form, who may sign them, what they fit, and what is on the disk afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "gateway/bundle.h"
#include "gateway/update.h"

#define HEX  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOOD "device sekisho-x86_64\nversion 1.2.0\nsequence 12\nfloor 10\nsize 5\nsha256 " HEX "\n"

/* --- the manifest --- */

static void test_manifest(void **state)
{
    struct bundle_manifest manifest;

    (void)state;
    assert_true(bundle_read_manifest(SPAN(GOOD), &manifest));
    assert_string_equal(manifest.device, "sekisho-x86_64");
    assert_string_equal(manifest.version, "1.2.0");
    assert_int_equal(manifest.sequence, 12);
    assert_int_equal(manifest.floor, 10);
    assert_int_equal(manifest.size, 5);
    assert_int_equal(manifest.digest[1], 0x23);
}

static void test_bad_manifests(void **state)
{
    static const char *const bad[] = {
        "",
        "device a\n",
        "version 1\ndevice a\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX,
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\nmore 1\n",
        "device a\nversion ../../x\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1/2\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion .1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1~rc1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1.02\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1.\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1.0-1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1+3\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion \nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence -1\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 01\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 4294967296\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 18446744073709551617\nfloor 1\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 1\nfloor 2\nsize 1\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 0\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 999999999\nsha256 " HEX "\n",
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 1\nsha256 ABCDEF6789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef\n",
        "device a\nversion 1\nsequence 1\nfloor 1\nsize 1\nsha256 0123\n",
    };
    struct bundle_manifest manifest;
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct span span = {bad[i], strlen(bad[i])};

        if (bundle_read_manifest(span, &manifest))
            fail_msg("taken: %s", bad[i]);
    }
    for (size_t cut = 0; cut < strlen(GOOD); cut++)
        assert_false(bundle_read_manifest((struct span){GOOD, cut}, &manifest));
    snprintf(text, sizeof(text),
             "device %060d\nversion 1\nsequence 1\nfloor 1\nsize 1\nsha256 " HEX "\n", 1);
    assert_false(bundle_read_manifest((struct span){text, strlen(text)}, &manifest));
}

static void test_fits(void **state)
{
    struct bundle_manifest manifest;

    (void)state;
    assert_true(bundle_read_manifest(SPAN(GOOD), &manifest));
    assert_int_equal(bundle_fits(&manifest, "sekisho-x86_64", 11, 10), BUNDLE_OK);
    assert_int_equal(bundle_fits(&manifest, "sekisho-x86_64", 12, 10), BUNDLE_OLD);
    assert_int_equal(bundle_fits(&manifest, "sekisho-x86_64", 20, 10), BUNDLE_OLD);
    assert_int_equal(bundle_fits(&manifest, "sekisho-x86_64", 11, 13), BUNDLE_FLOOR);
    assert_int_equal(bundle_fits(&manifest, "sekisho-aarch64", 11, 10), BUNDLE_DEVICE);
    assert_int_equal(bundle_fits(&manifest, "sekisho-x86", 11, 10), BUNDLE_DEVICE);
}

/* --- signed files --- */

struct place {
    char folder[64];
    char release[96], waits[96], trust[96], esp[96], file[96];
    EVP_PKEY *ca_key, *key;
    X509 *ca, *signer;
};

static void add_extension(X509 *certificate, X509 *issuer, int number, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, number, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                              const char *usage, long age)
{
    X509 *certificate = X509_new();

    assert_non_null(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -age - 1000);
    X509_gmtime_adj(X509_getm_notAfter(certificate), -age + 1000);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer == NULL ? certificate : issuer));
    X509_set_pubkey(certificate, key);
    issuer = issuer == NULL ? certificate : issuer;
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
    add_extension(certificate, issuer, NID_basic_constraints,
                  usage == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(certificate, issuer, NID_key_usage,
                  usage == NULL ? "critical,keyCertSign" : "critical,digitalSignature");
    if (usage != NULL && *usage != '\0')
        add_extension(certificate, issuer, NID_ext_key_usage, usage);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void write_trust(const struct place *place, X509 *ca)
{
    FILE *file = fopen(place->trust, "we");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, ca), 1);
    assert_int_equal(fclose(file), 0);
}

static void path_of(const struct place *place, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/EFI/Linux/%s", place->esp, name);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    char path[160];

    strcpy(place->folder, "/tmp/test_bundle.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->release, sizeof(place->release), "%s/release", place->folder);
    snprintf(place->waits, sizeof(place->waits), "%s/waits", place->folder);
    snprintf(place->trust, sizeof(place->trust), "%s/trust.pem", place->folder);
    snprintf(place->file, sizeof(place->file), "%s/update", place->folder);
    snprintf(place->esp, sizeof(place->esp), "%s/esp", place->folder);
    mkdir(place->esp, 0700);
    snprintf(path, sizeof(path), "%s/EFI", place->esp);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/EFI/Linux", place->esp);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/sekisho", place->esp);
    mkdir(path, 0700);
    write_text(place->release,
               "version=1.1.0\nsequence=11\nfloor=9\ndevice=sekisho-x86_64\nbuilt=1\n");
    path_of(place, "sekisho_1.1.0.efi", path, sizeof(path));
    write_text(path, "what runs");
    place->ca_key = EVP_EC_gen("P-256");
    place->key = EVP_EC_gen("P-256");
    place->ca = make_certificate("updates CA", place->ca_key, NULL, place->ca_key, NULL, 0);
    place->signer = make_certificate("updates", place->key, place->ca, place->ca_key,
                                     "critical,codeSigning", 0);
    write_trust(place, place->ca);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];

    X509_free(place->ca);
    X509_free(place->signer);
    EVP_PKEY_free(place->ca_key);
    EVP_PKEY_free(place->key);
    snprintf(command, sizeof(command), "rm -rf %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

/* Writes an update: its manifest signed by the signer, and then what `payload` says. */
static void make(const struct place *place, const char *device, const char *version,
                 unsigned sequence, const char *promised, const char *payload)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1], text[512];
    unsigned char *der = NULL;

    digest_sha256((struct span){promised, strlen(promised)}, digest);
    digest_hex(digest, DIGEST_SIZE, hex);
    snprintf(text, sizeof(text),
             "device %s\nversion %s\nsequence %u\nfloor 5\nsize %zu\nsha256 %s\n", device, version,
             sequence, strlen(promised), hex);
    BIO *content = BIO_new_mem_buf(text, -1);
    CMS_ContentInfo *cms = CMS_sign(place->signer, place->key, NULL, content, CMS_BINARY);
    assert_non_null(cms);
    int size = i2d_CMS_ContentInfo(cms, &der);
    assert_true(size > 0);
    FILE *file = fopen(place->file, "we");
    assert_non_null(file);
    fputs("sekisho-bundle 1\n", file);
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc(size >> shift & 255, file);
    fwrite(der, 1, (size_t)size, file);
    fputs(payload, file);
    assert_int_equal(fclose(file), 0);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(content);
}

static void ignore(void *context, const char *text)
{
    (void)text;
    ++*(unsigned *)context;
}

static int install(const struct place *place, char *error, size_t size)
{
    const struct update_place where = {place->release, place->waits, place->trust, place->esp};
    struct bundle_manifest manifest;
    unsigned told = 0;
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    int result = update_install(&where, fd, ignore, &told, &manifest, error, size);

    close(fd);
    assert_true(result != 0 || told > 0);
    return result;
}

/* Of the file's first bytes, as many as the signature needs. */
static enum update_standing look(const struct place *place, char *text, size_t room)
{
    const struct update_place where = {place->release, place->waits, place->trust, place->esp};
    struct bundle_manifest manifest;
    uint64_t size = 0;
    int fd = open(place->file, O_RDWR | O_CLOEXEC);
    off_t whole = lseek(fd, 0, SEEK_END);

    assert_int_equal(ftruncate(fd, whole - 5), 0);
    *text = '\0';
    enum update_standing standing = update_look(&where, fd, &manifest, &size, text, room);
    if (standing == UPDATE_NEWER)
        assert_int_equal(size, whole);
    else
        assert_true(text[0] != '\0');
    close(fd);
    return standing;
}

static bool there(const struct place *place, const char *name)
{
    char path[160];

    path_of(place, name, path, sizeof(path));
    return access(path, F_OK) == 0;
}

static unsigned count(const struct place *place)
{
    char path[160];
    unsigned number = 0;
    struct dirent *entry;

    path_of(place, "", path, sizeof(path));
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        number += entry->d_name[0] != '.';
    closedir(folder);
    return number;
}

static void refused(const struct place *place, enum bundle_fault fault)
{
    char error[512] = "";

    assert_int_equal(install(place, error, sizeof(error)), -1);
    assert_string_equal(error, bundle_fault_text(fault));
    assert_int_equal(count(place), 1);
    assert_true(there(place, "sekisho_1.1.0.efi"));
}

/* 1.2.0 is there, whole and on trial. It is removed. */
static void expect_hello(const struct place *place)
{
    char path[160], text[16] = "";
    FILE *file;

    path_of(place, "sekisho_1.2.0+3.efi", path, sizeof(path));
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "hello");
    assert_int_equal(unlink(path), 0);
}

static void test_installs(void **state)
{
    struct place *place = *state;
    char error[512] = "", path[160];

    path_of(place, "sekisho_1.0.0.efi", path, sizeof(path));
    write_text(path, "the one before");
    path_of(place, "sekisho_1.1.5+0-3.efi", path, sizeof(path));
    write_text(path, "one that failed");
    path_of(place, "sekisho_1.1.7.part", path, sizeof(path));
    write_text(path, "cut off");
    path_of(place, "sekisho_0.9.0.old", path, sizeof(path));
    write_text(path, "what the last update did not come to remove");
    path_of(place, "other.efi", path, sizeof(path));
    write_text(path, "somebody else's");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    if (install(place, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    assert_int_equal(count(place), 3);
    assert_true(there(place, "sekisho_1.1.0.efi"));
    assert_true(there(place, "other.efi"));
    expect_hello(place);
}

/* The version that runs may fail yet, and the one before it is what the machine goes back to. */
static void test_installs_beside_a_trial(void **state)
{
    struct place *place = *state;
    char error[512] = "", proved[160], tried[160], path[160];

    path_of(place, "sekisho_1.1.0.efi", proved, sizeof(proved));
    path_of(place, "sekisho_1.1.0+2-1.efi", tried, sizeof(tried));
    assert_int_equal(rename(proved, tried), 0);
    path_of(place, "sekisho_1.0.0.efi", path, sizeof(path));
    write_text(path, "the one before");
    path_of(place, "sekisho_1.0.5+0-3.efi", path, sizeof(path));
    write_text(path, "one that failed");
    path_of(place, "sekisho_1.2.0.part", path, sizeof(path));
    write_text(path, "cut off");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(install(place, error, sizeof(error)), 0);
    assert_int_equal(count(place), 3);
    assert_true(there(place, "sekisho_1.0.0.efi"));
    assert_true(there(place, "sekisho_1.1.0+2-1.efi"));
    expect_hello(place);
    assert_int_equal(rename(tried, proved), 0);
    assert_int_equal(install(place, error, sizeof(error)), 0);
    assert_int_equal(count(place), 2);
    expect_hello(place);
}

static void test_refuses(void **state)
{
    struct place *place = *state;
    char path[160];

    make(place, "sekisho-aarch64", "1.2.0", 12, "hello", "hello");
    refused(place, BUNDLE_DEVICE);
    make(place, "sekisho-x86_64", "1.0.9", 10, "hello", "hello");
    refused(place, BUNDLE_OLD);
    make(place, "sekisho-x86_64", "1.1.0", 11, "hello", "hello");
    refused(place, BUNDLE_OLD);
    make(place, "sekisho-x86_64", "0.8.0", 8, "hello", "hello");
    refused(place, BUNDLE_FLOOR);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hellO");
    refused(place, BUNDLE_DIGEST);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hell");
    refused(place, BUNDLE_SIZE);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello!");
    refused(place, BUNDLE_SIZE);
    make(place, "sekisho-x86_64", "1.2.0/../x", 12, "hello", "hello");
    refused(place, BUNDLE_MANIFEST);
    /* What proved itself has raised the floor. */
    snprintf(path, sizeof(path), "%s/sekisho/floor", place->esp);
    write_text(path, "13\n");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    refused(place, BUNDLE_FLOOR);
}

static void test_looks(void **state)
{
    struct place *place = *state;
    char text[512], path[160], later[160];

    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
    make(place, "sekisho-aarch64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_REFUSED);
    assert_string_equal(text, bundle_fault_text(BUNDLE_DEVICE));
    static const char *const before[] = {"1.1.0", "1.0.9", "1.1", "0.9.12"};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        make(place, "sekisho-x86_64", before[i], 12, "hello", "hello");
        assert_int_equal(look(place, text, sizeof(text)), UPDATE_REFUSED);
        assert_non_null(strstr(text, " does not sort behind 1.1.0, "));
        assert_int_equal(install(place, text, sizeof(text)), -1);
        assert_non_null(strstr(text, " does not sort behind 1.1.0, "));
    }
    static const char *const behind[] = {"1.1.1", "1.10.0", "1.1.0.1", "2"};
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
        make(place, "sekisho-x86_64", behind[i], 12, "hello", "hello");
        assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
    }
    make(place, "sekisho-x86_64", "1.1.0", 11, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_OLD);
    assert_string_equal(text, "version 1.1.0 is offered, and 1.1.0 runs");
    make(place, "sekisho-x86_64", "0.8.0", 8, "hello", "hello"); /* below the floor as well */
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_OLD);
    /* What has proved itself on this disk had a higher floor: that is more than being old. */
    snprintf(path, sizeof(path), "%s/sekisho/floor", place->esp);
    write_text(path, "13\n");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_REFUSED);
    assert_string_equal(text, bundle_fault_text(BUNDLE_FLOOR));
    unlink(path);
    /* What the loader will take, in each of its forms, and what it passes over. */
    path_of(place, "sekisho_1.2.0+2-1.efi", path, sizeof(path));
    write_text(path, "");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
    write_text(path, "being tried");
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_WAITS);
    path_of(place, "sekisho_1.2.0+0-3.efi", later, sizeof(later));
    assert_int_equal(rename(path, later), 0);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_FAILED);
    assert_string_equal(text, "version 1.2.0 was tried and has failed");
    make(place, "sekisho-x86_64", "1.2.1", 13, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
    make(place, "sekisho-x86_64", "1.2", 13, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
}

/* After a file was installed a server's older one does not take its place. */
static void test_waits(void **state)
{
    struct place *place = *state;
    char text[512], error[512];

    make(place, "sekisho-x86_64", "1.3.0", 13, "hello", "hello");
    assert_int_equal(install(place, error, sizeof(error)), 0);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_WAITS);
    assert_string_equal(text, "version 1.2.0 is offered, and 1.3.0 waits for the next start");
    make(place, "sekisho-x86_64", "1.3.0", 13, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_WAITS);
    make(place, "sekisho-x86_64", "1.4.0", 14, "hello", "hello");
    assert_int_equal(look(place, text, sizeof(text)), UPDATE_NEWER);
    /* A hand that gives a file decides. */
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    assert_int_equal(install(place, error, sizeof(error)), 0);
    assert_false(there(place, "sekisho_1.3.0+3.efi"));
}

/*
 * At every length short of the whole it is refused. With a byte changed it is refused too, unless
 * the byte is one of the envelope that the signature says nothing of: then what is installed is all
 * the same what was signed.
 */
static void test_damage(void **state)
{
    struct place *place = *state;
    static char whole[8192], damaged[8192];
    char error[512];
    size_t size;
    FILE *file;

    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    file = fopen(place->file, "re");
    size = fread(whole, 1, sizeof(whole), file);
    fclose(file);
    assert_true(size > 100 && size < sizeof(whole));
    for (size_t at = 0; at < size; at += at < 40 || at > size - 40 ? 1 : 29) {
        for (int kind = 0; kind < 2; kind++) {
            memcpy(damaged, whole, size);
            damaged[at] = (char)(damaged[at] ^ 0x10);
            file = fopen(place->file, "we");
            fwrite(damaged, 1, kind == 0 ? at : size, file);
            fclose(file);
            if (install(place, error, sizeof(error)) == 0) {
                assert_int_equal(kind, 1);
                expect_hello(place);
            }
        }
    }
    assert_int_equal(count(place), 1);
}

static void test_strangers(void **state)
{
    struct place *place = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate("updates CA", key, NULL, key, NULL, 0);
    X509 *mine = place->signer;

    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    write_trust(place, ca);
    refused(place, BUNDLE_SIGNATURE);
    write_trust(place, place->ca);
    /* One of the right CA that is for something else, or says nothing. */
    place->signer = make_certificate("web", place->key, place->ca, place->ca_key, "serverAuth", 0);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    refused(place, BUNDLE_SIGNATURE);
    X509_free(place->signer);
    place->signer = make_certificate("any", place->key, place->ca, place->ca_key, "", 0);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    refused(place, BUNDLE_SIGNATURE);
    X509_free(place->signer);
    place->signer = mine;
    /* The CA's key itself does not sign updates. */
    X509 *signer = place->signer;
    EVP_PKEY *own = place->key;
    place->signer = place->ca;
    place->key = place->ca_key;
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    place->signer = signer;
    place->key = own;
    refused(place, BUNDLE_SIGNATURE);
    X509_free(ca);
    EVP_PKEY_free(key);
}

/* A device whose clock is wrong takes them all the same. */
static void test_wrong_clock(void **state)
{
    struct place *place = *state;
    char error[512] = "";

    X509_free(place->signer);
    place->signer = make_certificate("updates", place->key, place->ca, place->ca_key,
                                     "critical,codeSigning", 100000);
    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    if (install(place, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static void test_elsewhere(void **state)
{
    struct place *place = *state;
    char error[512] = "", path[160];

    make(place, "sekisho-x86_64", "1.2.0", 12, "hello", "hello");
    path_of(place, "sekisho_1.1.0.efi", path, sizeof(path));
    unlink(path);
    path_of(place, "sekisho_1.0.0.efi", path, sizeof(path));
    write_text(path, "the one before");
    assert_int_equal(install(place, error, sizeof(error)), -1);
    assert_true(there(place, "sekisho_1.0.0.efi"));
    unlink(place->trust);
    assert_int_equal(install(place, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no CA"));
    write_trust(place, place->ca);
    unlink(place->release);
    assert_int_equal(install(place, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no appliance"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_bad_manifests),
        cmocka_unit_test(test_fits),
        cmocka_unit_test_setup_teardown(test_installs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_installs_beside_a_trial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elsewhere, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
