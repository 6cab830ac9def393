/* SPDX-License-Identifier: BSD-2-Clause */
/* The context that origins are reached with, and what each connection knows of its origin. */
#include "gateway/certificate.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <libpsl.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/certificate_private.h"
#include "gateway/certificate_tls.h"
#include "gateway/chain.h"

#define INTERMEDIATES_MAX 1024

static int expectation_index = -1;
static int evidence_index = -1;

static void expectation_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
                             long number, void *argument)
{
    struct expectation *expectation = pointer;

    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    if (!expectation)
        return;
    free((char *)expectation->said_timestamps.data);
    free(expectation);
}

static void evidence_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                          void *argument)
{
    struct evidence *evidence = pointer;

    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    if (!evidence)
        return;
    revocation_free(evidence->revocation);
    sk_X509_pop_free(evidence->intermediates, X509_free);
    transparency_free(evidence->logs);
    free(evidence);
}

static void expectation_register(void)
{
    evidence_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, evidence_free);
    expectation_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, expectation_free);
}

struct expectation *certificate_expectation(const SSL *ssl)
{
    return expectation_index < 0 ? NULL : SSL_get_ex_data(ssl, expectation_index);
}

struct evidence *certificate_evidence(const SSL_CTX *context)
{
    return evidence_index < 0 ? NULL : SSL_CTX_get_ex_data(context, evidence_index);
}

static void describe_error(const char *what, char *error, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(error, size, "%s: %s", what, reason ? reason : "not usable");
    ERR_clear_error();
}

/* Nothing but the list of roots, at first. */
static bool add_evidence(SSL_CTX *context)
{
    struct evidence *evidence = memory_allocate(1, sizeof(*evidence));

    if (SSL_CTX_set_ex_data(context, evidence_index, evidence) == 1)
        return true;
    free(evidence);
    return false;
}

SSL_CTX *certificate_origin_context(const char *trust_path, char *error, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SSL_CTX *context = NULL;

    ERR_clear_error();
    pthread_once(&once, expectation_register);
    if (expectation_index < 0 || evidence_index < 0 || !psl_builtin()) {
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
    if (!certificate_evidence_prepare(context) || !add_evidence(context)) {
        describe_error("TLS", error, size);
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
    struct evidence *evidence = certificate_evidence(context);

    evidence->is_hard = is_hard;
    evidence->revocation = path && path[0] ? revocation_read(path, error, size) : revocation_new();
    return evidence->revocation ? 0 : -1;
}

static bool is_certificate(const X509_INFO *entry)
{
    return entry->x509 && !entry->x_pkey && !entry->crl;
}

int certificate_origin_set_intermediates(SSL_CTX *context, const char *path, char *error,
                                         size_t size)
{
    struct evidence *evidence = certificate_evidence(context);
    BIO *bio = BIO_new_file(path, "re");
    STACK_OF(X509_INFO) *entries = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    int count = sk_X509_INFO_num(entries);
    bool right = count > 0 && count <= INTERMEDIATES_MAX;

    evidence->intermediates = sk_X509_new_null();
    for (int i = 0; right && i < count; i++) {
        X509_INFO *entry = sk_X509_INFO_value(entries, i);
        right = is_certificate(entry) && sk_X509_push(evidence->intermediates, entry->x509) > 0;
        if (right)
            entry->x509 = NULL;
    }
    if (!right)
        snprintf(error, size, "%s: expected certificates of CAs, PEM, at most %d of them", path,
                 INTERMEDIATES_MAX);
    sk_X509_INFO_pop_free(entries, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return right ? 0 : -1;
}

void certificate_origin_set_fetching(SSL_CTX *context, struct fetching *fetching, bool lists,
                                     bool issuers)
{
    struct evidence *evidence = certificate_evidence(context);

    evidence->fetching = fetching;
    evidence->with_lists = fetching && lists;
    evidence->with_issuers = fetching && issuers;
}

struct revocation *certificate_origin_lists(SSL_CTX *context)
{
    return certificate_evidence(context)->revocation;
}

/* --- timestamps in the TLS extension (RFC 6962 section 3.3.1) --- */

static int ask_timestamps(SSL *ssl, unsigned type, unsigned place, const unsigned char **out,
                          size_t *size, X509 *certificate, size_t index, int *alert, void *argument)
{
    (void)ssl, (void)type, (void)place, (void)certificate, (void)index, (void)alert;
    (void)argument;
    *out = NULL;
    *size = 0;
    return 1;
}

static int take_timestamps(SSL *ssl, unsigned type, unsigned place, const unsigned char *bytes,
                           size_t size, X509 *certificate, size_t index, int *alert, void *argument)
{
    struct expectation *expectation = certificate_expectation(ssl);
    struct span said = {(const char *)bytes, size};

    (void)type, (void)place, (void)certificate, (void)alert, (void)argument;
    if (expectation && index == 0 && !expectation->said_timestamps.data)
        expectation->said_timestamps = (struct span){memory_span(said), size};
    return 1;
}

int certificate_origin_set_logs(SSL_CTX *context, const char *path, char *error, size_t size)
{
    struct evidence *evidence = certificate_evidence(context);

    evidence->logs = transparency_read(path, error, size);
    if (!evidence->logs)
        return -1;
    if (SSL_CTX_add_custom_ext(context, TLSEXT_TYPE_signed_certificate_timestamp,
                               SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO |
                                   SSL_EXT_TLS1_3_CERTIFICATE,
                               ask_timestamps, NULL, NULL, take_timestamps, NULL) == 1)
        return 0;
    describe_error("timestamps", error, size);
    return -1;
}

SSL_CTX *certificate_origin_open(const struct configuration *configuration, char *error,
                                 size_t size)
{
    bool is_hard = configuration->revocation == REVOCATION_HARD;
    SSL_CTX *context = certificate_origin_context(configuration->trust, error, size);

    if (context &&
        (certificate_origin_set_lists(context, configuration->revocation_lists, is_hard, error,
                                      size) != 0 ||
         (configuration->intermediates[0] &&
          certificate_origin_set_intermediates(context, configuration->intermediates, error,
                                               size) != 0) ||
         (configuration->ct_logs[0] &&
          certificate_origin_set_logs(context, configuration->ct_logs, error, size) != 0))) {
        SSL_CTX_free(context);
        context = NULL;
    }
    return context;
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
    const struct evidence *evidence = certificate_evidence(context);
    if (evidence->revocation)
        revocation_review(evidence->revocation, (int64_t)time(NULL), tell, argument);
    ERR_clear_error();
}

int certificate_expect(SSL *ssl, const char *name, const struct offer *offer)
{
    struct expectation *expectation;
    struct certificate_name read;

    if (expectation_index < 0 || (!offer->tls12 && !offer->tls13) || certificate_expectation(ssl) ||
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
    const struct expectation *expectation = certificate_expectation(ssl);

    return certificate_verdict_code(expectation ? expectation->verdict : VERDICT_NONE);
}

bool certificate_asked(const SSL *ssl)
{
    const struct expectation *expectation = certificate_expectation(ssl);

    return expectation && expectation->asked;
}

bool certificate_covers(const SSL *ssl, struct span host)
{
    const struct expectation *expectation = certificate_expectation(ssl);
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
