/* SPDX-License-Identifier: BSD-2-Clause */
/* The context that origins are reached with, and what each connection knows of its origin. */
#include "gateway/certificate.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <libpsl.h>
#include <openssl/ct.h>
#include <openssl/err.h>

#include "filters/memory.h"
#include "gateway/certificate_tls.h"
#include "gateway/certificate_verify.h"
#include "gateway/chain.h"
#include "gateway/staple.h"

/* Hangs on the SSL, freed with it. */
struct expectation {
    struct certificate_name name;
    enum certificate_verdict verdict;
    unsigned timestamps;
    bool asked;        /* for a certificate of ours */
    bool leaf_unknown; /* to the lists of revoked certificates, where all must be known */
};

/* Hangs on the context. */
struct lists {
    struct revocation *revocation;
    bool is_hard;
};

static int expectation_index = -1;
static int lists_index = -1;

static void expectation_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
                             long number, void *argument)
{
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    free(pointer);
}

static void lists_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                       void *argument)
{
    struct lists *lists = pointer;

    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    if (!lists)
        return;
    revocation_free(lists->revocation);
    free(lists);
}

static void expectation_register(void)
{
    lists_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, lists_free);
    expectation_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, expectation_free);
}

static struct expectation *expectation_of(const SSL *ssl)
{
    return expectation_index < 0 ? NULL : SSL_get_ex_data(ssl, expectation_index);
}

static unsigned count_timestamps(const X509 *leaf)
{
    STACK_OF(SCT) *timestamps = X509_get_ext_d2i(leaf, NID_ct_precert_scts, NULL, NULL);
    int count = sk_SCT_num(timestamps);

    SCT_LIST_free(timestamps);
    return count > 0 ? (unsigned)count : 0;
}

/* OpenSSL asks this instead of verifying by itself. Without an expectation nothing is accepted. */
static int verify_origin(X509_STORE_CTX *context, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct expectation *expectation = ssl ? expectation_of(ssl) : NULL;
    const struct lists *lists = ssl ? SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), lists_index) : NULL;
    STACK_OF(X509) *chain = NULL;
    bool leaf_unknown = false;

    if (!expectation) {
        X509_STORE_CTX_set_error(context, certificate_verdict_error(VERDICT_INTERNAL));
        return 0;
    }
    expectation->verdict = certificate_chain_verify(
        &(struct certificate_question){
            .trust = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
            .leaf = X509_STORE_CTX_get0_cert(context),
            .others = X509_STORE_CTX_get0_untrusted(context),
            .name = &expectation->name,
            .time = (int64_t)time(NULL),
            .lists = lists ? lists->revocation : NULL,
            .is_hard = lists && lists->is_hard,
            .leaf_unknown = &leaf_unknown,
        },
        &chain);
    expectation->leaf_unknown = leaf_unknown && lists && lists->is_hard;
    expectation->timestamps = count_timestamps(X509_STORE_CTX_get0_cert(context));
    if (chain)
        X509_STORE_CTX_set0_verified_chain(context, chain);
    X509_STORE_CTX_set_error(context, certificate_verdict_error(expectation->verdict));
    return expectation->verdict == VERDICT_OK;
}

/* OpenSSL asks this after the certificate was verified, whether the server stapled or not. */
static int verify_staple(SSL *ssl, void *argument)
{
    struct expectation *expectation = expectation_of(ssl);
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    const unsigned char *bytes = NULL;
    long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
    int64_t now = (int64_t)time(NULL);

    (void)argument;
    if (!expectation || expectation->verdict != VERDICT_OK)
        return 0;
    expectation->verdict = staple_check(chain, bytes, size, now);
    if (expectation->verdict == VERDICT_OK && expectation->leaf_unknown &&
        !staple_vouches(chain, bytes, size, now))
        expectation->verdict = VERDICT_UNKNOWN;
    return expectation->verdict == VERDICT_OK;
}

/* A server that asks for a client's certificate gets none: we have none, and the client's own
 * cannot be passed on. It may go on without. */
static int on_certificate_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    struct expectation *expectation = expectation_of(ssl);

    (void)certificate, (void)key;
    if (expectation)
        expectation->asked = true;
    return 0;
}

static void describe_error(const char *what, char *error, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(error, size, "%s: %s", what, reason ? reason : "not usable");
    ERR_clear_error();
}

SSL_CTX *certificate_origin_context(const char *trust_path, char *error, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SSL_CTX *context = NULL;

    ERR_clear_error();
    pthread_once(&once, expectation_register);
    if (expectation_index < 0 || lists_index < 0 || !psl_builtin()) {
        snprintf(error, size, "the list of public suffixes is missing from libpsl");
        return NULL;
    }
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !certificate_tls_prepare(context)) {
        describe_error("TLS", error, size);
        goto failed;
    }
    if (SSL_CTX_load_verify_file(context, trust_path) != 1) {
        describe_error(trust_path, error, size);
        goto failed;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_origin, NULL);
    SSL_CTX_set_client_cert_cb(context, on_certificate_request);
    if (SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp) != 1 ||
        SSL_CTX_set_tlsext_status_cb(context, verify_staple) != 1) {
        describe_error("OCSP", error, size);
        goto failed;
    }
    ERR_clear_error();
    return context;
failed:
    SSL_CTX_free(context);
    return NULL;
}

int certificate_origin_set_lists(SSL_CTX *context, const char *path, bool is_hard, char *error,
                                 size_t size)
{
    struct revocation *revocation =
        path && path[0] ? revocation_read(path, error, size) : revocation_new();
    struct lists *lists;

    if (!revocation)
        return -1;
    lists = memory_allocate(1, sizeof(*lists));
    lists->revocation = revocation;
    lists->is_hard = is_hard;
    if (SSL_CTX_set_ex_data(context, lists_index, lists) == 1)
        return 0;
    lists_free(NULL, lists, NULL, 0, 0, NULL);
    describe_error("TLS", error, size);
    return -1;
}

void certificate_origin_review(SSL_CTX *context, void (*tell)(void *argument, const char *line),
                               void *argument)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    char name[256], line[512];

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *anchor = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        enum certificate_verdict verdict = anchor ? chain_check_anchor(anchor) : VERDICT_OK;
        if (verdict == VERDICT_OK)
            continue;
        X509_NAME_oneline(X509_get_subject_name(anchor), name, sizeof(name));
        snprintf(line, sizeof(line), "tls.trust: the root %s will not be trusted: %s: %s", name,
                 certificate_verdict_code(verdict), certificate_verdict_meaning(verdict));
        tell(argument, line);
    }
    const struct lists *lists = SSL_CTX_get_ex_data(context, lists_index);
    if (lists)
        revocation_review(lists->revocation, (int64_t)time(NULL), tell, argument);
    ERR_clear_error();
}

int certificate_expect(SSL *ssl, const char *name, const struct offer *offer)
{
    struct expectation *expectation;
    struct certificate_name read;

    if (expectation_index < 0 || (!offer->tls12 && !offer->tls13) || expectation_of(ssl) ||
        !certificate_name_read(span_of(name), &read))
        return -1;
    expectation = memory_allocate(1, sizeof(*expectation));
    expectation->name = read;
    expectation->verdict = VERDICT_NONE;
    if (SSL_set_ex_data(ssl, expectation_index, expectation) != 1) {
        free(expectation);
        return -1;
    }
    /* The origin is never offered what the client did not offer. */
    if (!certificate_tls_offer(ssl, offer))
        return -1;
    /* RFC 6066 section 3: literal addresses are not permitted in server_name. */
    if (!read.address_size && SSL_set_tlsext_host_name(ssl, read.text) != 1)
        return -1;
    return 0;
}

const char *certificate_verdict(const SSL *ssl)
{
    const struct expectation *expectation = expectation_of(ssl);

    return certificate_verdict_code(expectation ? expectation->verdict : VERDICT_NONE);
}

unsigned certificate_timestamps(const SSL *ssl)
{
    const struct expectation *expectation = expectation_of(ssl);

    return expectation && expectation->verdict == VERDICT_OK ? expectation->timestamps : 0;
}

bool certificate_asked(const SSL *ssl)
{
    const struct expectation *expectation = expectation_of(ssl);

    return expectation && expectation->asked;
}

bool certificate_covers(const SSL *ssl, struct span host)
{
    const struct expectation *expectation = expectation_of(ssl);
    struct certificate_name name;
    const X509 *leaf = SSL_get0_peer_certificate(ssl);

    if (!expectation || expectation->verdict != VERDICT_OK || !leaf ||
        !certificate_name_read(host, &name))
        return false;

    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool covered = names && certificate_name_covered(&name, names);
    GENERAL_NAMES_free(names);
    return covered;
}

int64_t certificate_not_after(const SSL *ssl)
{
    const X509 *leaf = SSL_get0_peer_certificate(ssl);
    int64_t time = leaf ? chain_time(X509_get0_notAfter(leaf)) : 0;

    return time > 0 ? time : 0;
}
