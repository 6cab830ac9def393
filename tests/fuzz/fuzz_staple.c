/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stapled answers. The input is certificates in DER, leaf first, and then the answer. Whatever it
 * is, it cannot turn a leaf that demands an answer into one that does not.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "gateway/staple.h"

#define MOMENT INT64_C(1800000000) /* 2027 */
#define LENGTH 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    const unsigned char *at = data, *end = data + size;

    while (at < end && sk_X509_num(chain) < LENGTH) {
        X509 *certificate = d2i_X509(NULL, &at, end - at);
        if (!certificate)
            break;
        sk_X509_push(chain, certificate);
    }
    ERR_clear_error();
    enum certificate_verdict without = staple_check(chain, NULL, -1, MOMENT);
    enum certificate_verdict with = staple_check(chain, at, end - at, MOMENT);
    if (sk_X509_num(chain) == 0 && with != VERDICT_INTERNAL)
        abort();
    if (without == VERDICT_OK && with == VERDICT_MUST_STAPLE)
        abort();
    sk_X509_pop_free(chain, X509_free);
    return 0;
}
