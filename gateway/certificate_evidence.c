/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What OpenSSL calls while it verifies an origin. The verification itself is that of
 * certificate_verify.h; here stands what it is done with: lists of revoked ones and issuers that
 * must be fetched first (the handshake pauses and is taken up again, then all of it is verified
 * anew), what is stapled, and timestamps of transparency logs.
 */
#include <string.h>
#include <time.h>

#include <openssl/ct.h>
#include <openssl/err.h>

#include "filters/memory.h"
#include "gateway/certificate.h"
#include "gateway/certificate_private.h"
#include "gateway/certificate_verify.h"
#include "gateway/staple.h"

#define ISSUERS_FETCHED 4  /* one above the other */
#define OTHERS_MAX      16 /* certificates between that are looked through for the last one */

/* One verification under way. */
struct inquiry {
    const SSL *ssl;
    const struct evidence *evidence;
    struct expectation *expectation;
    X509 *leaf;
    STACK_OF(X509) * others; /* what the server sent, and what was found beside it; owned */
    STACK_OF(X509) * chain;
    int64_t now;
};

static void drop_chain(struct inquiry *inquiry)
{
    sk_X509_pop_free(inquiry->chain, X509_free);
    inquiry->chain = NULL;
}

/* With `is_hard` who is on no current list is refused, but for the leaf, which a stapled answer may
 * speak for later. */
static enum certificate_verdict verify(struct inquiry *inquiry, bool is_hard)
{
    struct expectation *expectation = inquiry->expectation;
    const struct evidence *evidence = inquiry->evidence;
    bool leaf_unknown = false;

    drop_chain(inquiry);
    expectation->unknown = 0;
    enum certificate_verdict verdict = certificate_chain_verify(
        &(struct certificate_question){
            .trust = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(inquiry->ssl)),
            .leaf = inquiry->leaf,
            .others = inquiry->others,
            .name = &expectation->name,
            .time = inquiry->now,
            .lists = evidence ? evidence->revocation : NULL,
            .is_hard = is_hard,
            .leaf_unknown = &leaf_unknown,
            .unknown = &expectation->unknown,
        },
        &inquiry->chain);
    expectation->leaf_unknown = leaf_unknown && is_hard;
    return verdict;
}

/* --- certificates between that the server did not send --- */

/* The one at the top of what there is: its issuer is the one that is missing. */
static X509 *find_last(const struct inquiry *inquiry)
{
    X509 *last = inquiry->leaf;
    bool climbed = true;

    for (int steps = 0; climbed && steps < OTHERS_MAX; steps++) {
        climbed = false;
        for (int i = 0; !climbed && i < sk_X509_num(inquiry->others); i++) {
            X509 *other = sk_X509_value(inquiry->others, i);
            if (X509_cmp(other, last) != 0 && X509_check_issued(other, last) == X509_V_OK) {
                last = other;
                climbed = true;
            }
        }
    }
    return last;
}

/* With those of the configuration, then with those that certificates point to. */
static enum certificate_verdict verify_with_more(struct inquiry *inquiry)
{
    const struct evidence *evidence = inquiry->evidence;
    enum certificate_verdict verdict = VERDICT_UNTRUSTED;

    if (sk_X509_num(evidence->intermediates) > 0 &&
        X509_add_certs(inquiry->others, evidence->intermediates, X509_ADD_FLAG_UP_REF) == 1)
        verdict = verify(inquiry, false);
    for (int i = 0; verdict == VERDICT_UNTRUSTED && evidence->with_issuers && i < ISSUERS_FETCHED;
         i++) {
        int before = sk_X509_num(inquiry->others);
        fetching_issuer(evidence->fetching, find_last(inquiry), inquiry->others,
                        &inquiry->expectation->wanted);
        if (sk_X509_num(inquiry->others) == before)
            break;
        verdict = verify(inquiry, false);
    }
    return verdict;
}

/* --- the certificate --- */

static enum certificate_verdict inquire(struct inquiry *inquiry)
{
    struct expectation *expectation = inquiry->expectation;
    const struct evidence *evidence = inquiry->evidence;
    enum certificate_verdict verdict = verify(inquiry, false);

    expectation->wanted.count = 0;
    expectation->has_points = false;
    if (!evidence)
        return verdict;
    if (verdict == VERDICT_UNTRUSTED)
        verdict = verify_with_more(inquiry);
    if (verdict == VERDICT_OK && evidence->with_lists)
        expectation->has_points = fetching_lists(evidence->fetching, inquiry->chain,
                                                 expectation->unknown, &expectation->wanted);
    if (expectation->is_over)
        expectation->wanted.count = 0;
    /* Nothing more will come: now it counts who is on no list. Another way may know all. */
    if (verdict == VERDICT_OK && expectation->wanted.count == 0 && evidence->is_hard &&
        expectation->unknown != 0)
        verdict = verify(inquiry, true);
    return verdict;
}

/* OpenSSL asks this instead of verifying by itself. Without an expectation nothing is accepted. */
static int verify_origin(X509_STORE_CTX *context, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct expectation *expectation = ssl ? certificate_expectation(ssl) : NULL;
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);

    if (!expectation) {
        X509_STORE_CTX_set_error(context, certificate_verdict_error(VERDICT_INTERNAL));
        return 0;
    }
    struct inquiry inquiry = {
        .ssl = ssl,
        .evidence = certificate_evidence(SSL_get_SSL_CTX(ssl)),
        .expectation = expectation,
        .leaf = X509_STORE_CTX_get0_cert(context),
        .others = sent ? X509_chain_up_ref(sent) : sk_X509_new_null(),
        .now = (int64_t)time(NULL),
    };
    expectation->verdict = inquiry.others ? inquire(&inquiry) : VERDICT_INTERNAL;
    sk_X509_pop_free(inquiry.others, X509_free);
    if (expectation->wanted.count > 0) {
        drop_chain(&inquiry);
        expectation->verdict = VERDICT_NONE; /* whoever looks now must not find it good */
        return SSL_set_retry_verify(ssl) == 1 ? 1 : 0;
    }
    if (inquiry.chain)
        X509_STORE_CTX_set0_verified_chain(context, inquiry.chain);
    X509_STORE_CTX_set_error(context, certificate_verdict_error(expectation->verdict));
    return expectation->verdict == VERDICT_OK;
}

/* --- what came with it --- */

/* OpenSSL asks this after the certificate was verified, whether the server stapled or not. */
static int verify_staple(SSL *ssl, void *argument)
{
    struct expectation *expectation = certificate_expectation(ssl);
    const struct evidence *evidence = certificate_evidence(SSL_get_SSL_CTX(ssl));
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    const unsigned char *bytes = NULL;
    long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
    int64_t now = (int64_t)time(NULL);

    (void)argument;
    if (!expectation || expectation->verdict != VERDICT_OK)
        return 0;
    expectation->verdict = staple_check(chain, bytes, size, now);
    if (expectation->verdict == VERDICT_OK && (expectation->unknown & REVOCATION_LEAF) != 0)
        expectation->is_stapled = staple_vouches(chain, bytes, size, now);
    if (expectation->verdict == VERDICT_OK && expectation->leaf_unknown && !expectation->is_stapled)
        expectation->verdict = VERDICT_UNKNOWN;
    if (expectation->verdict == VERDICT_OK)
        transparency_check(evidence ? evidence->logs : NULL, chain, expectation->said_timestamps,
                           (struct span){(const char *)bytes, bytes && size > 0 ? (size_t)size : 0},
                           now, &expectation->timestamps);
    return expectation->verdict == VERDICT_OK;
}

/* A server that asks for a client's certificate gets none: we have none, and the client's own
 * cannot be passed on. It may go on without. */
static int on_certificate_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    struct expectation *expectation = certificate_expectation(ssl);

    (void)certificate, (void)key;
    if (expectation)
        expectation->asked = true;
    return 0;
}

bool certificate_evidence_prepare(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_origin, NULL);
    SSL_CTX_set_client_cert_cb(context, on_certificate_request);
    return SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp) == 1 &&
           SSL_CTX_set_tlsext_status_cb(context, verify_staple) == 1;
}

/* --- what a connection waits for, and what came of it --- */

const struct fetch_wanted *certificate_wanted(const SSL *ssl)
{
    static const struct fetch_wanted nothing;
    const struct expectation *expectation = certificate_expectation(ssl);

    return expectation ? &expectation->wanted : &nothing;
}

void certificate_stop_waiting(SSL *ssl)
{
    struct expectation *expectation = certificate_expectation(ssl);

    if (expectation)
        expectation->is_over = true;
}

const char *certificate_revocation(const SSL *ssl)
{
    const struct expectation *expectation = certificate_expectation(ssl);

    if (!expectation || expectation->verdict != VERDICT_OK)
        return NULL;
    if (expectation->unknown == 0)
        return "list";
    if (expectation->unknown == REVOCATION_LEAF && expectation->is_stapled)
        return "staple";
    return expectation->has_points ? "unavailable" : "none";
}

const struct transparency_count *certificate_timestamps(const SSL *ssl)
{
    const struct expectation *expectation = certificate_expectation(ssl);

    return expectation && expectation->verdict == VERDICT_OK ? &expectation->timestamps : NULL;
}
