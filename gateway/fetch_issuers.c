/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_issuers.h. */
#include "gateway/fetch_issuers.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>

void fetch_issuers_push(STACK_OF(X509) * found, X509 *certificate)
{
    if (X509_up_ref(certificate) == 1 && sk_X509_push(found, certificate) <= 0)
        X509_free(certificate);
}

static void read_bag(struct span bytes, STACK_OF(X509) * found)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    PKCS7 *bag = d2i_PKCS7(NULL, &at, (long)bytes.size);
    /* It may say what it is and have nothing in it. */
    const STACK_OF(X509) *all =
        bag != NULL && PKCS7_type_is_signed(bag) && bag->d.sign != NULL ? bag->d.sign->cert : NULL;

    for (int i = 0; i < sk_X509_num(all) && i < FETCH_ISSUERS_MAX; i++)
        fetch_issuers_push(found, sk_X509_value(all, i));
    PKCS7_free(bag);
}

STACK_OF(X509) * fetch_issuers_read(struct span bytes)
{
    STACK_OF(X509) *found = sk_X509_new_null();
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.size;
    X509 *one = d2i_X509(NULL, &at, (long)bytes.size);

    if (found != NULL && one == NULL)
        read_bag(bytes, found);
    else if (found != NULL && at == end)
        fetch_issuers_push(found, one);
    X509_free(one);
    ERR_clear_error();
    return found;
}
