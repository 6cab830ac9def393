/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules over a chain, and the whole verification with the last certificate as the one that is
 * trusted. The input is certificates in DER, one after the other, leaf first. What the whole
 * accepts the rules accept too.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "gateway/certificate_verify.h"
#include "gateway/chain.h"

#define MOMENT INT64_C(1800000000) /* 2027: the seeds are valid */
#define LENGTH 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static STACK_OF(X509) * read_chain(const uint8_t *data, size_t size)
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
    return chain;
}

static enum certificate_verdict verify(STACK_OF(X509) * chain, const struct certificate_name *name)
{
    X509_STORE *store = X509_STORE_new();
    enum certificate_verdict verdict;

    X509_STORE_add_cert(store, sk_X509_value(chain, sk_X509_num(chain) - 1));
    verdict =
        certificate_chain_verify(&(struct certificate_question){.trust = store,
                                                                .leaf = sk_X509_value(chain, 0),
                                                                .others = chain,
                                                                .name = name,
                                                                .time = MOMENT},
                                 NULL);
    X509_STORE_free(store);
    ERR_clear_error();
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *chain = read_chain(data, size);
    struct certificate_name name;

    if (!certificate_name_read(SPAN("www.example.jp"), &name))
        abort();
    if (sk_X509_num(chain) > 0) {
        enum certificate_verdict rules = chain_check(chain, &name, MOMENT).verdict;
        chain_check_anchor(sk_X509_value(chain, 0));
        chain_check_constraints(chain);
        /* A longer input may hold a shorter way. */
        if (verify(chain, &name) == VERDICT_OK && sk_X509_num(chain) == 1 && rules != VERDICT_OK)
            abort();
    }
    sk_X509_pop_free(chain, X509_free);
    return 0;
}
