/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of an update and its signature: see bundle.h. */
#include "gateway/bundle.h"

#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define MAGIC        "sekisho-bundle 1\n"
#define MAGIC_SIZE   (sizeof(MAGIC) - 1)
#define MANIFEST_MAX 1024 /* bytes */
#define NUMBER_MAX   20   /* digits */

enum bundle_fault bundle_read_head(const uint8_t head[BUNDLE_HEAD], size_t *signature)
{
    const uint8_t *size = head + MAGIC_SIZE;

    if (memcmp(head, MAGIC, MAGIC_SIZE) != 0)
        return BUNDLE_FORM;
    *signature = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    return *signature == 0 || *signature > BUNDLE_SIGNATURE_MAX ? BUNDLE_FORM : BUNDLE_OK;
}

/* --- the manifest --- */

/* The value of the next line, which must have this name. */
static bool take_line(struct span *text, const char *name, struct span *value)
{
    size_t size = strlen(name);
    const char *end = text->size == 0 ? NULL : memchr(text->data, '\n', text->size);

    if (end == NULL || (size_t)(end - text->data) < size + 2 ||
        memcmp(text->data, name, size) != 0 || text->data[size] != ' ')
        return false;
    *value = (struct span){text->data + size + 1, (size_t)(end - text->data) - size - 1};
    text->size -= (size_t)(end - text->data) + 1;
    text->data = end + 1;
    return true;
}

static bool take_word(struct span *text, const char *name, char word[BUNDLE_TEXT])
{
    struct span value;

    if (!take_line(text, name, &value) || value.size >= BUNDLE_TEXT)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!plain && (i == 0 || (c != '.' && c != '~' && c != '-' && c != '_')))
            return false;
    }
    memcpy(word, value.data, value.size);
    word[value.size] = '\0';
    return true;
}

/*
 * Numbers without leading zeros between dots, such as 1.10.0: of these our order, glibc's and that
 * of the loader (systemd-boot) are the same.
 */
static bool is_version(const char *word)
{
    for (const char *at = word;; at++) {
        size_t digits = strspn(at, "0123456789");

        if (digits == 0 || (digits > 1 && *at == '0'))
            return false;
        at += digits;
        if (*at == '\0')
            return true;
        if (*at != '.')
            return false;
    }
}

static bool take_number(struct span *text, const char *name, uint64_t greatest, uint64_t *number)
{
    struct span value;

    if (!take_line(text, name, &value) || value.size > NUMBER_MAX ||
        (value.size > 1 && value.data[0] == '0'))
        return false;
    *number = 0;
    for (size_t i = 0; i < value.size; i++) {
        unsigned digit = (unsigned)(value.data[i] - '0');

        if (digit > 9 || *number > (greatest - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static bool take_digest(struct span *text, uint8_t digest[DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    struct span value;

    if (!take_line(text, "sha256", &value) || value.size != 2 * (size_t)DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        const char *digit = memchr(digits, value.data[i], 16);

        if (digit == NULL)
            return false;
        digest[i / 2] = (uint8_t)((i % 2 ? digest[i / 2] << 4 : 0) | (digit - digits));
    }
    return true;
}

bool bundle_read_manifest(struct span text, struct bundle_manifest *manifest)
{
    uint64_t sequence, floor;

    memset(manifest, 0, sizeof(*manifest));
    if (!take_word(&text, "device", manifest->device) ||
        !take_word(&text, "version", manifest->version) || !is_version(manifest->version) ||
        !take_number(&text, "sequence", UINT32_MAX, &sequence) ||
        !take_number(&text, "floor", UINT32_MAX, &floor) ||
        !take_number(&text, "size", BUNDLE_PAYLOAD_MAX, &manifest->size) ||
        !take_digest(&text, manifest->digest) || text.size != 0)
        return false;
    manifest->sequence = (uint32_t)sequence;
    manifest->floor = (uint32_t)floor;
    /* A version that would refuse itself would be a mistake of who built it. */
    return manifest->floor <= manifest->sequence && manifest->size > 0;
}

enum bundle_fault bundle_fits(const struct bundle_manifest *manifest, const char *device,
                              uint32_t sequence, uint32_t floor)
{
    if (strcmp(manifest->device, device) != 0)
        return BUNDLE_DEVICE;
    if (manifest->sequence < floor)
        return BUNDLE_FLOOR;
    return manifest->sequence <= sequence ? BUNDLE_OLD : BUNDLE_OK;
}

/* --- the signature --- */

/* All signers must be for code signing; CMS_verify() has checked their chains. */
static bool signers_may(CMS_ContentInfo *cms)
{
    STACK_OF(X509) *signers = CMS_get0_signers(cms);
    bool may = signers != NULL && sk_X509_num(signers) > 0;

    for (int i = 0; may && i < sk_X509_num(signers); i++) {
        X509 *signer = sk_X509_value(signers, i);

        may = (X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) != 0 &&
              (X509_get_extended_key_usage(signer) & XKU_CODE_SIGN) != 0;
    }
    sk_X509_free(signers);
    return may;
}

static bool set_policy(X509_STORE *trust)
{
    return X509_STORE_set_flags(trust, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_X509_STRICT) == 1 &&
           X509_STORE_set_purpose(trust, X509_PURPOSE_ANY) == 1;
}

enum bundle_fault bundle_verify(struct span signature, X509_STORE *trust,
                                struct bundle_manifest *manifest)
{
    const unsigned char *at = (const unsigned char *)signature.data;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)signature.size);
    BIO *content = BIO_new(BIO_s_mem());
    enum bundle_fault fault = BUNDLE_SIGNATURE;
    const char *text = NULL;
    long size;

    if (cms != NULL && content != NULL && set_policy(trust) &&
        (const char *)at == signature.data + signature.size &&
        CMS_verify(cms, NULL, trust, NULL, content, CMS_BINARY) == 1 && signers_may(cms)) {
        size = BIO_get_mem_data(content, &text);
        fault = size > 0 && size <= MANIFEST_MAX &&
                        bundle_read_manifest((struct span){text, (size_t)size}, manifest)
                    ? BUNDLE_OK
                    : BUNDLE_MANIFEST;
    }
    BIO_free(content);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return fault;
}

const char *bundle_fault_text(enum bundle_fault fault)
{
    static const char *const texts[] = {"nothing",
#define X(symbol, text) text,
                                        BUNDLE_FAULTS(X)
#undef X
    };

    return texts[fault];
}
