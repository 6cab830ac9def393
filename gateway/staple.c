/* SPDX-License-Identifier: BSD-2-Clause */
/* See staple.h. OpenSSL reads the answer and finds who signed it; the rest is judged here. */
#include "gateway/staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "gateway/chain.h"

#define CLOCK_SLACK 300 /* seconds that a responder's clock may be ahead of ours */

/* TLS extensions that a certificate may demand (RFC 7633): status_request and its version 2. */
enum { FEATURE_STATUS = 5, FEATURE_STATUS_V2 = 17 };

enum standing { GOOD, REVOKED, STALE, UNUSABLE };

static bool demands_staple(X509 *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool demands = false;

    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
        long feature = ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i));
        demands = demands || feature == FEATURE_STATUS || feature == FEATURE_STATUS_V2;
    }
    TLS_FEATURE_free(features);
    return demands;
}

/* The issuer alone vouches: for the answer itself, or for the responder that it has appointed. */
static X509_STORE *store_of(X509 *issuer, int64_t time)
{
    X509_STORE *store = X509_STORE_new();

    if (!store || X509_STORE_add_cert(store, issuer) != 1) {
        X509_STORE_free(store);
        return NULL;
    }
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)time);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return store;
}

static bool signature_strong(const OCSP_BASICRESP *answer)
{
    const ASN1_OBJECT *object;

    X509_ALGOR_get0(&object, NULL, NULL, OCSP_resp_get0_tbs_sigalg(answer));
    return chain_signature_strong(OBJ_obj2nid(object));
}

/* RFC 6960 section 4.2.2.2: the issuer's own key, or one that it certified for this. */
static bool signed_by_issuer(OCSP_BASICRESP *answer, X509 *issuer, int64_t time)
{
    X509_STORE *store = store_of(issuer, time);
    STACK_OF(X509) *known = sk_X509_new_null();
    X509 *signer = NULL;
    bool right = store && known && sk_X509_push(known, issuer) > 0 && signature_strong(answer) &&
                 OCSP_basic_verify(answer, known, store, OCSP_PARTIAL_CHAIN) == 1 &&
                 OCSP_resp_get0_signer(answer, &signer, known) == 1 &&
                 chain_check_key(signer) == VERDICT_OK;

    if (right && X509_cmp(signer, issuer) != 0)
        right = chain_check_signature(signer) == VERDICT_OK;
    sk_X509_free(known);
    X509_STORE_free(store);
    return right;
}

static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *answer, X509 *leaf, X509 *issuer)
{
    const EVP_MD *digests[] = {EVP_sha1(), EVP_sha256()}; /* they name the issuer, no more */

    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        OCSP_CERTID *id = OCSP_cert_to_id(digests[i], leaf, issuer);
        int at = id ? OCSP_resp_find(answer, id, -1) : -1;
        OCSP_CERTID_free(id);
        if (at >= 0)
            return OCSP_resp_get0(answer, at);
    }
    return NULL;
}

static enum standing read_answer(OCSP_SINGLERESP *single, int64_t time)
{
    ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
    int status = single ? OCSP_single_get0_status(single, NULL, NULL, &begin, &end) : -1;
    int64_t from = chain_time(begin), until = chain_time(end);

    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return REVOKED; /* for good, whenever that was said */
    if (status != V_OCSP_CERTSTATUS_GOOD || from < 0)
        return UNUSABLE;
    /* Without an end it is only a word of the moment, and stapled ones are not. */
    return from <= time + CLOCK_SLACK && until >= time ? GOOD : STALE;
}

static enum standing read_staple(STACK_OF(X509) * chain, const unsigned char *bytes, long size,
                                 int64_t time)
{
    X509 *leaf = sk_X509_value(chain, 0), *issuer = sk_X509_value(chain, 1);
    const unsigned char *at = bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, size);
    OCSP_BASICRESP *answer = NULL;
    enum standing standing = UNUSABLE;

    if (response && at == bytes + size &&
        OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        answer = OCSP_response_get1_basic(response);
    if (answer && signed_by_issuer(answer, issuer, time))
        standing = read_answer(find_answer(answer, leaf, issuer), time);
    OCSP_BASICRESP_free(answer);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return standing;
}

enum certificate_verdict staple_check(STACK_OF(X509) * chain, const unsigned char *bytes, long size,
                                      int64_t time)
{
    enum standing standing = STALE;

    if (sk_X509_num(chain) < 1)
        return VERDICT_INTERNAL;
    /* A leaf that is trusted for itself has nobody who could revoke it. */
    if (sk_X509_num(chain) > 1 && bytes && size > 0)
        standing = read_staple(chain, bytes, size, time);
    switch (standing) {
    case REVOKED:
        return VERDICT_REVOKED;
    case UNUSABLE:
        return VERDICT_STAPLE;
    case STALE:
        return demands_staple(sk_X509_value(chain, 0)) ? VERDICT_MUST_STAPLE : VERDICT_OK;
    case GOOD:
        break;
    }
    return VERDICT_OK;
}

bool staple_vouches(STACK_OF(X509) * chain, const unsigned char *bytes, long size, int64_t time)
{
    return sk_X509_num(chain) > 1 && bytes && size > 0 &&
           read_staple(chain, bytes, size, time) == GOOD;
}
