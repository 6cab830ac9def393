/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CAs that the root programs of the browsers have taken out for what they did, and that bundles in
 * use still hold: Debian 12's has all of these. By the key, so that no other certificate for it is
 * a way around. Those that were taken out earlier (DigiNotar, WoSign, StartCom, CNNIC) are in no
 * current bundle.
 *
 * TrustCor: Mozilla, 30 November 2022. E-Tugra: Mozilla, June 2023.
 */
#include "gateway/chain.h"

#include <string.h>

#include <openssl/evp.h>

#define DIGEST_SIZE 32 /* SHA-256 of the key's bits, as X509_pubkey_digest() takes them */

static const struct {
    const char *name;
    const char digest[DIGEST_SIZE + 1];
} distrusted[] = {
    {"E-Tugra Certification Authority",
     "\x38\x16\xba\xf3\x61\xe3\xae\x38\x88\x38\x7c\x05\x66\xf5\x96\x8c"
     "\x12\xbc\x69\x4e\xb2\xb6\x8e\x65\x30\x17\x51\x3d\x5f\x55\x7b\x21"},
    {"E-Tugra Global Root CA ECC v3",
     "\x31\x06\x28\xad\xd4\x3b\x78\x46\x97\x1f\xaf\xa4\x1d\x4a\xe0\x9b"
     "\xf3\x12\xe2\x0c\x1f\x58\xb9\xcb\x05\xe7\xc6\xd5\x7a\x33\x39\x35"},
    {"E-Tugra Global Root CA RSA v3",
     "\x74\x88\x3f\x0a\x76\xe3\x5b\x85\x7f\x8d\xd5\xc1\x18\xb9\x86\x25"
     "\xfd\x9a\x3d\x7c\x37\x8b\x27\x27\xcf\x0b\xc7\xc1\x33\xdd\x65\x00"},
    {"TrustCor ECA-1", "\x5f\xda\xfa\xdf\xe1\x22\x1f\x47\x9b\xb0\xba\x17\x53\x00\x0c\x29"
                       "\x69\x8c\xab\x84\x76\xec\xa8\xda\xb4\x50\x31\xed\x8e\x8b\x1d\x7d"},
    {"TrustCor RootCert CA-1", "\xbc\x72\x59\x90\x38\x1a\x74\x1b\x5f\xa6\xe5\x31\xda\xd8\x43\xb1"
                               "\xe9\x71\x00\x62\xf6\x0f\x75\x84\xd8\x6a\xe2\x08\x03\x4c\x66\x64"},
    {"TrustCor RootCert CA-2", "\x51\x94\xed\x99\x6f\xcf\xbc\xc1\x6c\x57\x16\x4f\xba\x50\xcf\xed"
                               "\x55\xcc\xcb\x0b\x47\xf3\x30\x3c\xed\x48\x2e\xba\x1c\x98\x26\x92"},
};

enum certificate_verdict chain_check_distrust(X509 *authority)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (X509_pubkey_digest(authority, EVP_sha256(), digest, &size) != 1 || size != DIGEST_SIZE)
        return VERDICT_UNTRUSTED;
    for (size_t i = 0; i < sizeof(distrusted) / sizeof(distrusted[0]); i++)
        if (memcmp(digest, distrusted[i].digest, DIGEST_SIZE) == 0)
            return VERDICT_UNTRUSTED;
    return VERDICT_OK;
}
