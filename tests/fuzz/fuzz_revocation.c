/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of revoked certificates. The input is certificates in DER, leaf first, and then lists. What
 * is asked a second time, when the lists have been verified, is answered as before.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "gateway/der.h"
#include "gateway/fetch_points.h"
#include "gateway/revocation.h"

#define MOMENT INT64_C(1800000000) /* 2027 */
#define LENGTH 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where a certificate points to is where something can be fetched from. */
static void read_points(X509 *certificate)
{
    static struct fetch_points points;
    struct fetch_url url;

    for (int kind = 0; kind < 2; kind++) {
        if (kind == 0)
            fetch_points_of_lists(certificate, &points);
        else
            fetch_points_of_issuer(certificate, &points);
        for (size_t i = 0; i < points.count; i++)
            if (!fetch_url_read(span_of(points.urls[i]), &url))
                abort();
    }
}

/* Read and verified in pieces it is what it is at once. */
static void read_list(struct revocation *lists, STACK_OF(X509) * chain, struct span der)
{
    struct crl *whole = crl_new(der), *pieces = crl_new(der);

    if ((whole == NULL) != (pieces == NULL) || revocation_add(lists, der) != (whole != NULL))
        abort();
    if (whole != NULL) {
        crl_read(whole, SIZE_MAX);
        while (!crl_read(pieces, 1))
            ;
        if (crl_fault(whole) != crl_fault(pieces) || crl_count(whole) != crl_count(pieces))
            abort();
    }
    for (int i = 0; whole != NULL && i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        enum crl_signature signature;
        while ((signature = crl_verify(pieces, certificate, 7)) == CRL_UNDER_WAY)
            ;
        if (signature != crl_verify(whole, certificate, SIZE_MAX) ||
            crl_lists(whole, certificate) != crl_lists(pieces, certificate) ||
            crl_covers(whole, certificate) != crl_covers(pieces, certificate))
            abort();
    }
    crl_free(whole);
    crl_free(pieces);
}

static void ignore(void *argument, const char *line)
{
    (void)argument, (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct revocation *lists = revocation_new();
    const unsigned char *at = data, *end = data + size;
    struct der list;

    while (at < end && sk_X509_num(chain) < LENGTH) {
        X509 *certificate = d2i_X509(NULL, &at, end - at);
        if (!certificate)
            break;
        sk_X509_push(chain, certificate);
        read_points(certificate);
    }
    ERR_clear_error();
    struct span rest = {(const char *)at, (size_t)(end - at)};
    while (der_next(&rest, &list))
        read_list(lists, chain, list.whole);
    revocation_review(lists, MOMENT, ignore, NULL);
    struct revocation_answer first = revocation_check(lists, chain, MOMENT);
    struct revocation_answer second = revocation_check(lists, chain, MOMENT);
    if (first.verdict != second.verdict || first.unknown != second.unknown)
        abort();
    revocation_free(lists);
    sk_X509_pop_free(chain, X509_free);
    return 0;
}
