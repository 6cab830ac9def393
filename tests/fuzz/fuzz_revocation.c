/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of revoked certificates. The input is certificates in DER, leaf first, and then lists. What
 * is asked a second time, when the lists have been verified, is answered as before.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "gateway/revocation.h"

#define MOMENT INT64_C(1800000000) /* 2027 */
#define LENGTH 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *argument, const char *line)
{
    (void)argument, (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct revocation *lists = revocation_new();
    const unsigned char *at = data, *end = data + size;
    X509_CRL *list;

    while (at < end && sk_X509_num(chain) < LENGTH) {
        X509 *certificate = d2i_X509(NULL, &at, end - at);
        if (!certificate)
            break;
        sk_X509_push(chain, certificate);
    }
    while (at < end && (list = d2i_X509_CRL(NULL, &at, end - at)) != NULL)
        if (!revocation_add(lists, list))
            abort();
    ERR_clear_error();
    revocation_review(lists, MOMENT, ignore, NULL);
    struct revocation_answer first = revocation_check(lists, chain, MOMENT);
    struct revocation_answer second = revocation_check(lists, chain, MOMENT);
    if (first.verdict != second.verdict || first.leaf_unknown != second.leaf_unknown)
        abort();
    revocation_free(lists);
    sk_X509_pop_free(chain, X509_free);
    return 0;
}
