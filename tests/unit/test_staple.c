/* SPDX-License-Identifier: BSD-2-Clause */
/* Stapled answers about revocation: made in memory, judged by the core, and once by a handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "gateway/certificate.h"
#include "gateway/staple.h"
#include "tests/unit/certificate_recipe.h"
#include "tests/unit/tls_pair.h"

static struct made root, between, leaf, demanding, other;
static int64_t now;

/* What is unusual about an answer; 0 and NULL are usual. */
struct answer {
    int status;
    int64_t begin, end;            /* seconds from now; both 0: an hour ago, a day from now */
    bool no_end;                   /* no nextUpdate */
    const struct made *about;      /* NULL: the leaf */
    const struct made *issuer;     /* of what it is about; NULL: between */
    const struct made *signer;     /* NULL: between */
    bool with_signer;              /* its certificate goes with it */
    const char *digest;            /* of the signature; NULL: SHA256 */
    int response_status;           /* of the whole */
    bool broken, trailing, sha256; /* a byte of the signature; one at the end; in the name */
};

static ASN1_TIME *moment(int64_t offset)
{
    ASN1_TIME *made = ASN1_TIME_adj(NULL, (time_t)(now + offset), 0, 0);

    assert_non_null(ASN1_TIME_to_generalizedtime(made, (ASN1_GENERALIZEDTIME **)&made));
    return made;
}

static void add_status(OCSP_BASICRESP *basic, const struct answer *answer)
{
    const struct made *about = answer->about ? answer->about : &leaf;
    const struct made *issuer = answer->issuer ? answer->issuer : &between;
    bool timed = answer->begin || answer->end;
    ASN1_TIME *begin = moment(timed ? answer->begin : -3600);
    ASN1_TIME *end = moment(timed ? answer->end : DAY), *revoked = moment(-DAY);
    OCSP_CERTID *id = OCSP_cert_to_id(answer->sha256 ? EVP_sha256() : EVP_sha1(),
                                      about->certificate, issuer->certificate);

    OCSP_basic_add1_status(basic, id, answer->status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                           answer->status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, begin,
                           answer->no_end ? NULL : end);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    ASN1_TIME_free(revoked);
}

static int make_answer(const struct answer *answer, unsigned char **der)
{
    const struct made *signer = answer->signer ? answer->signer : &between;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_RESPONSE *response;

    add_status(basic, answer);
    assert_int_equal(
        OCSP_basic_sign(basic, signer->certificate, signer->key,
                        EVP_get_digestbyname(answer->digest ? answer->digest : "SHA256"), NULL,
                        answer->with_signer ? 0 : OCSP_NOCERTS),
        1);
    if (answer->broken)
        ((unsigned char *)ASN1_STRING_get0_data(OCSP_resp_get0_signature(basic)))[12] ^= 1;
    response = OCSP_response_create(answer->response_status, basic);
    *der = NULL;
    int size = i2d_OCSP_RESPONSE(response, der);
    assert_true(size > 0);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    if (answer->trailing) {
        unsigned char *longer = OPENSSL_malloc((size_t)size + 1);
        memcpy(longer, *der, (size_t)size);
        longer[size++] = 0;
        OPENSSL_free(*der);
        *der = longer;
    }
    return size;
}

static STACK_OF(X509) * chain_of(const struct made *first)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    sk_X509_push(chain, first->certificate);
    sk_X509_push(chain, between.certificate);
    sk_X509_push(chain, root.certificate);
    return chain;
}

static const char *verdict_of(const struct made *first, const struct answer *answer)
{
    STACK_OF(X509) *chain = chain_of(first);
    unsigned char *der;
    int size = make_answer(answer, &der);
    enum certificate_verdict verdict = staple_check(chain, der, size, now);

    OPENSSL_free(der);
    sk_X509_free(chain);
    return certificate_verdict_code(verdict);
}

/* --- responders that a CA has appointed, or has not --- */

static struct made appointed, expired, unappointed, weak, of_root;

static void test_answers(void **state)
{
    const struct {
        const char *label, *verdict;
        struct answer answer;
    } rows[] = {
        {"good", "ok", {0}},
        {"good, named by SHA-256", "ok", {.sha256 = true}},
        {"revoked", "revoked", {.status = V_OCSP_CERTSTATUS_REVOKED}},
        {"revoked, and old",
         "revoked",
         {.status = V_OCSP_CERTSTATUS_REVOKED, .begin = -9 * DAY, .end = -DAY}},
        {"not known", "staple", {.status = V_OCSP_CERTSTATUS_UNKNOWN}},
        {"over", "ok", {.begin = -9 * DAY, .end = -60}},
        {"until now", "ok", {.begin = -DAY, .end = 0}},
        {"of the future", "ok", {.begin = 3600, .end = DAY}},
        {"without an end", "ok", {.no_end = true}},
        {"about another", "staple", {.about = &other}},
        {"about one of another CA", "staple", {.issuer = &root}},
        {"by the root", "staple", {.signer = &root, .with_signer = true}},
        {"by the leaf", "staple", {.signer = &leaf, .with_signer = true}},
        {"by who is appointed", "ok", {.signer = &appointed, .with_signer = true}},
        {"by who is appointed and unknown", "staple", {.signer = &appointed}},
        {"by who was appointed", "staple", {.signer = &expired, .with_signer = true}},
        {"by who is not", "staple", {.signer = &unappointed, .with_signer = true}},
        {"by who the root appointed", "staple", {.signer = &of_root, .with_signer = true}},
        {"by a weak key", "staple", {.signer = &weak, .with_signer = true}},
        {"revoked by who is not appointed",
         "staple",
         {.status = V_OCSP_CERTSTATUS_REVOKED, .signer = &unappointed, .with_signer = true}},
        {"SHA-1", "staple", {.digest = "SHA1"}},
        {"wrong signature", "staple", {.broken = true}},
        {"bytes after it", "staple", {.trailing = true}},
        {"try later", "staple", {.response_status = OCSP_RESPONSE_STATUS_TRYLATER}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *verdict = verdict_of(&leaf, &rows[i].answer);
        if (strcmp(verdict, rows[i].verdict) != 0)
            fail_msg("%s: %s instead of %s", rows[i].label, verdict, rows[i].verdict);
    }
}

static void test_must_staple(void **state)
{
    STACK_OF(X509) *chain = chain_of(&demanding);

    (void)state;
    assert_string_equal(verdict_of(&demanding, &(struct answer){.about = &demanding}), "ok");
    assert_string_equal(
        verdict_of(&demanding,
                   &(struct answer){.about = &demanding, .begin = -9 * DAY, .end = -60}),
        "must-staple");
    assert_string_equal(
        verdict_of(&demanding, &(struct answer){.about = &demanding, .no_end = true}),
        "must-staple");
    assert_string_equal(verdict_of(&demanding, &(struct answer){0}), "staple");
    assert_int_equal(staple_check(chain, NULL, -1, now), VERDICT_MUST_STAPLE);
    assert_int_equal(staple_check(chain, (const unsigned char *)"", 0, now), VERDICT_MUST_STAPLE);
    sk_X509_free(chain);
}

static void test_hostile_bytes(void **state)
{
    STACK_OF(X509) *chain = chain_of(&leaf), *nobody = sk_X509_new_null();
    unsigned char *der;
    int size = make_answer(&(struct answer){0}, &der);

    (void)state;
    assert_int_equal(staple_check(nobody, NULL, -1, now), VERDICT_INTERNAL);
    assert_int_equal(staple_check(chain, NULL, -1, now), VERDICT_OK);
    for (int cut = 1; cut < size; cut++)
        assert_int_equal(staple_check(chain, der, cut, now), VERDICT_STAPLE);
    /* No single changed byte makes of it a word that is taken for revoked. */
    for (int i = 0; i < size; i++) {
        der[i] ^= 0x55;
        assert_int_not_equal(staple_check(chain, der, size, now), VERDICT_REVOKED);
        der[i] ^= 0x55;
    }
    /* A leaf that is trusted for itself. */
    sk_X509_push(nobody, leaf.certificate);
    assert_int_equal(staple_check(nobody, der, size, now), VERDICT_OK);
    OPENSSL_free(der);
    sk_X509_free(chain);
    sk_X509_free(nobody);
}

/* --- by a handshake --- */

static int give_staple(SSL *ssl, void *argument)
{
    unsigned char *der;
    int size = make_answer(argument, &der);

    SSL_set_tlsext_status_ocsp_resp(ssl, der, size); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

static void shake(SSL_CTX *origins, int version, const struct answer *answer, const char *verdict)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_int_equal(SSL_CTX_use_certificate(context, demanding.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, demanding.key), 1);
    assert_int_equal(SSL_CTX_add1_chain_cert(context, between.certificate), 1);
    if (answer) {
        SSL_CTX_set_tlsext_status_cb(context, give_staple);
        SSL_CTX_set_tlsext_status_arg(context, (void *)(uintptr_t)answer);
    }
    SSL *client = SSL_new(origins), *server = SSL_new(context);
    assert_int_equal(certificate_expect(client, "www.example.jp", OFFER_WHOLE(version)), 0);
    tls_pair_connect(client, server);
    assert_int_equal(tls_pair_shake(client, server), !strcmp(verdict, "ok"));
    assert_string_equal(certificate_verdict(client), verdict);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(context);
}

static void test_handshakes(void **state)
{
    const struct answer good = {.about = &demanding},
                        revoked = {.about = &demanding, .status = V_OCSP_CERTSTATUS_REVOKED};
    char path[] = "/tmp/sekisho-test-trust.XXXXXX", error[256] = "";
    FILE *file = fdopen(mkstemp(path), "w");
    SSL_CTX *origins;

    (void)state;
    assert_int_equal(PEM_write_X509(file, root.certificate), 1);
    fclose(file);
    origins = certificate_origin_context(path, error, sizeof(error));
    unlink(path);
    assert_non_null(origins);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        shake(origins, version, &good, "ok");
        shake(origins, version, &revoked, "revoked");
        shake(origins, version, NULL, "must-staple");
        shake(origins, version, &good, "ok");
    }
    SSL_CTX_free(origins);
}

static int set_up(void **state)
{
    static const struct recipe responder = {
        .subject = "responder", .purpose = "critical,OCSPSigning", .names = ""};

    (void)state;
    now = (int64_t)time(NULL);
    root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    between = make(&(struct recipe){0}, &usual_ca, &root, make_key(P256));
    leaf = make(&(struct recipe){0}, &usual_leaf, &between, make_key(P256));
    other = make(&(struct recipe){0}, &usual_leaf, &between, make_key(P256));
    demanding = make(&(struct recipe){.extra[0] = EXTRA("tlsfeature", false, "\x30\3\2\1\5")},
                     &usual_leaf, &between, make_key(P256));
    appointed = make(&responder, &usual_leaf, &between, make_key(P256));
    of_root = make(&responder, &usual_leaf, &root, make_key(P256));
    weak = make(&responder, &usual_leaf, &between, make_key(RSA1024));
    unappointed = make(&(struct recipe){.subject = "other"}, &usual_leaf, &between, make_key(P256));
    expired = make(&(struct recipe){.subject = "past",
                                    .purpose = "OCSPSigning",
                                    .names = "",
                                    .begin = -9 * DAY,
                                    .end = -DAY},
                   &usual_leaf, &between, make_key(P256));
    return 0;
}

static int tear_down(void **state)
{
    struct made *const all[] = {&root,      &between, &leaf,    &demanding,   &other,
                                &appointed, &expired, &of_root, &unappointed, &weak};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        discard(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_must_staple),
        cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_handshakes)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
