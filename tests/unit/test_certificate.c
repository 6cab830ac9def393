/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verification of origins, driven through real handshakes with the very context that the proxy
 * uses: good and bad certificates are made in memory, and every verdict is compared with the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "gateway/certificate.h"
#include "gateway/certificate_verify.h"
#include "gateway/chain.h"
#include "tests/unit/certificate_recipe.h"
#include "tests/unit/tls_pair.h"

static EVP_PKEY *keys[KEY_COUNT];
static struct made root, between, stranger, odd_root, odd_twin;
static char trust_path[] = "/tmp/sekisho-test-trust.XXXXXX";

/* CAs have keys of their own; leaves share one of each kind. */
static EVP_PKEY *leaf_key(enum key kind)
{
    if (!keys[kind])
        keys[kind] = make_key(kind);
    assert_non_null(keys[kind]);
    EVP_PKEY_up_ref(keys[kind]);
    return keys[kind];
}

/* --- one connection --- */

struct server {
    SSL_CTX *context;
    SSL *ssl;
};

static struct server serve(const struct made *leaf, const struct made *above)
{
    struct server server = {SSL_CTX_new(TLS_server_method()), NULL};

    SSL_CTX_set_security_level(server.context, 0);
    assert_int_equal(SSL_CTX_use_certificate(server.context, leaf->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server.context, leaf->key), 1);
    if (above)
        assert_int_equal(SSL_CTX_add1_chain_cert(server.context, above->certificate), 1);
    server.ssl = SSL_new(server.context);
    return server;
}

static void unserve(struct server *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->context);
}

static SSL_CTX *origin_context(void)
{
    char error[256] = "";
    SSL_CTX *context = certificate_origin_context(trust_path, error, sizeof(error));

    if (!context)
        fail_msg("%s", error);
    return context;
}

/* The verdict of a handshake for `name`. Success and "ok" must go together. */
static void expect_verdict(SSL_CTX *context, const char *label, const char *name,
                           const struct made *leaf, const struct made *above, const char *verdict)
{
    struct server server = serve(leaf, above);
    SSL *ssl = SSL_new(context);

    assert_int_equal(certificate_expect(ssl, name, OFFER_WHOLE(TLS1_3_VERSION)), 0);
    assert_string_equal(certificate_verdict(ssl), "none");
    tls_pair_connect(ssl, server.ssl);
    bool done = tls_pair_shake(ssl, server.ssl);
    if (strcmp(certificate_verdict(ssl), verdict) != 0)
        fail_msg("%s: %s instead of %s", label, certificate_verdict(ssl), verdict);
    if (done != !strcmp(verdict, "ok"))
        fail_msg("%s: %s, but the handshake %s", label, verdict, done ? "went on" : "failed");
    assert_int_equal(certificate_covers(ssl, span_of(name)), done);
    SSL_free(ssl);
    unserve(&server);
}

/* --- the table --- */

#define MANY_NAMES "DNS:a.example,DNS:b.example,DNS:www.example.jp"

struct bad_case {
    const char *label;
    const char *name; /* NULL: www.example.jp */
    const char *verdict;
    struct recipe leaf;
    struct recipe ca; /* of the intermediate, when `own_ca` */
    bool own_ca, alone, by_stranger, self_signed, by_odd_root;
};

static const struct bad_case cases[] = {
    {.label = "good", .verdict = "ok"},
    {.label = "P-384", .verdict = "ok", .leaf.key = P384},
    {.label = "P-521", .verdict = "ok", .leaf.key = P521},
    {.label = "Ed25519", .verdict = "ok", .leaf.key = ED25519},
    {.label = "RSA 2048", .verdict = "ok", .leaf.key = RSA2048},
    {.label = "many names", .verdict = "ok", .leaf.names = MANY_NAMES},
    {.label = "no key usage", .verdict = "ok", .leaf.usage = ""},
    {.label = "two purposes", .verdict = "ok", .leaf.purpose = "clientAuth,serverAuth"},
    {.label = "wildcard", .name = "a.shop.example.jp", .verdict = "ok"},
    {.label = "IPv4", .name = "192.0.2.7", .verdict = "ok", .leaf.names = "IP:192.0.2.7"},
    {.label = "IPv6", .name = "2001:db8::7", .verdict = "ok", .leaf.names = "IP:2001:db8::7"},
    {.label = "an anchor as the public ones are", .verdict = "ok", .by_odd_root = true},
    {.label = "RSA 2048 CA", .verdict = "ok", .own_ca = true, .ca.key = RSA2048},

    {.label = "expired", .verdict = "expired", .leaf.begin = -9 * DAY, .leaf.end = -60},
    {.label = "not yet valid", .verdict = "not-yet-valid", .leaf.begin = 3600, .leaf.end = DAY},
    {.label = "expired CA",
     .verdict = "expired",
     .own_ca = true,
     .ca.begin = -9 * DAY,
     .ca.end = -60},
    {.label = "wrong name", .name = "www.example.com", .verdict = "name"},
    {.label = "below the name", .name = "a.www.example.jp", .verdict = "name"},
    {.label = "above the wildcard", .name = "shop.example.jp", .verdict = "name"},
    {.label = "two labels for one", .name = "a.b.shop.example.jp", .verdict = "name"},
    {.label = "partial wildcard", .verdict = "name", .leaf.names = "DNS:w*.example.jp"},
    {.label = "wildcard within", .verdict = "name", .leaf.names = "DNS:www.*.jp"},
    {.label = "wildcard on a public suffix",
     .name = "clinic.co.jp",
     .verdict = "name",
     .leaf.names = "DNS:*.co.jp"},
    {.label = "wildcard on a top level",
     .name = "clinic.jp",
     .verdict = "name",
     .leaf.names = "DNS:*.jp"},
    {.label = "wildcard alone", .name = "localhost", .verdict = "name", .leaf.names = "DNS:*"},
    {.label = "an address as a DNS name",
     .name = "192.0.2.7",
     .verdict = "name",
     .leaf.names = "DNS:192.0.2.7"},
    {.label = "another address",
     .name = "192.0.2.8",
     .verdict = "name",
     .leaf.names = "IP:192.0.2.7"},
    {.label = "a name by e-mail", .verdict = "name", .leaf.names = "email:www.example.jp"},
    {.label = "CN only", .verdict = "no-san", .leaf.subject = "www.example.jp", .leaf.names = ""},
    {.label = "CN beside another name",
     .verdict = "name",
     .leaf.subject = "www.example.jp",
     .leaf.names = "DNS:other.example"},
    {.label = "version 1", .verdict = "no-san", .leaf.v1 = true, .leaf.subject = "www.example.jp"},
    {.label = "self-signed", .verdict = "self-signed", .self_signed = true},
    {.label = "unknown issuer", .verdict = "untrusted", .by_stranger = true},
    {.label = "intermediate missing", .verdict = "untrusted", .alone = true},
    {.label = "wrong signature", .verdict = "signature", .leaf.broken = true},
    {.label = "CA leaf",
     .verdict = "ca-leaf",
     .leaf.constraints = "critical,CA:TRUE",
     .leaf.usage = "critical,digitalSignature,keyCertSign"},
    {.label = "no purpose", .verdict = "purpose", .leaf.purpose = ""},
    {.label = "client only", .verdict = "purpose", .leaf.purpose = "clientAuth"},
    {.label = "any purpose", .verdict = "purpose", .leaf.purpose = "anyExtendedKeyUsage"},
    {.label = "cannot sign",
     .verdict = "purpose",
     .leaf.key = RSA2048,
     .leaf.usage = "critical,keyEncipherment"},
    {.label = "CA for clients only",
     .verdict = "purpose",
     .own_ca = true,
     .ca.purpose = "clientAuth"},
    {.label = "RSA 1024", .verdict = "weak-key", .leaf.key = RSA1024},
    {.label = "RSA 1024 CA", .verdict = "weak-key", .own_ca = true, .ca.key = RSA1024},
    {.label = "SHA-1", .verdict = "weak-signature", .leaf.digest = "SHA1"},
    {.label = "MD5",
     .verdict = "weak-signature",
     .own_ca = true,
     .ca.key = RSA2048,
     .leaf.digest = "MD5"},
    {.label = "SHA-224", .verdict = "weak-signature", .leaf.digest = "SHA224"},
    {.label = "SHA-512", .verdict = "ok", .leaf.digest = "SHA512"},
    {.label = "SHA-1 CA", .verdict = "weak-signature", .own_ca = true, .ca.digest = "SHA1"},
    {.label = "unknown critical", .verdict = "critical", .leaf.unknown = "1.3.6.1.4.1.99999.1"},
    {.label = "unknown critical CA",
     .verdict = "critical",
     .own_ca = true,
     .ca.unknown = "1.3.6.1.4.1.99999.1"},
    {.label = "not a CA",
     .verdict = "not-ca",
     .own_ca = true,
     .ca.constraints = "critical,CA:FALSE",
     .ca.usage = "critical,digitalSignature"},
    {.label = "a CA without keyCertSign",
     .verdict = "not-ca",
     .own_ca = true,
     .ca.constraints = "critical,CA:TRUE",
     .ca.usage = "critical,cRLSign"},
    {.label = "version 1 CA", .verdict = "not-ca", .own_ca = true, .ca.v1 = true},
    {.label = "not permitted",
     .verdict = "name-constraints",
     .own_ca = true,
     .ca.limits = "critical,permitted;DNS:example.com"},
    {.label = "excluded",
     .verdict = "name-constraints",
     .own_ca = true,
     .ca.limits = "critical,excluded;DNS:example.jp"},
    {.label = "one of the names excluded",
     .verdict = "name-constraints",
     .own_ca = true,
     .leaf.names = MANY_NAMES,
     .ca.limits = "critical,excluded;DNS:b.example"},
    {.label = "permitted",
     .verdict = "ok",
     .own_ca = true,
     .ca.limits = "critical,permitted;DNS:example.jp"},
    {.label = "address not permitted",
     .name = "192.0.2.7",
     .verdict = "name-constraints",
     .own_ca = true,
     .leaf.names = "IP:192.0.2.7",
     .ca.limits = "critical,permitted;IP:198.51.100.0/255.255.255.0"},
    {.label = "no authority identifier", .verdict = "key-identifier", .leaf.authority = ""},
    {.label = "CA without identifier",
     .verdict = "key-identifier",
     .own_ca = true,
     .ca.identifier = ""},
    {.label = "CA with lax constraints",
     .verdict = "extension",
     .own_ca = true,
     .ca.constraints = "CA:TRUE,pathlen:0"},
};

static void run_case(SSL_CTX *context, const struct bad_case *row)
{
    struct made ca = {NULL, NULL}, twin = {NULL, NULL};
    const struct made *issuer = &between, *above = &between;

    if (row->own_ca) {
        ca = make(&row->ca, &usual_ca, &root, make_key(row->ca.key));
        twin = make_twin(&ca, "between", &usual_ca);
        issuer = &twin;
        above = &ca;
    } else if (row->by_stranger) {
        issuer = above = &stranger;
    } else if (row->by_odd_root) {
        issuer = &odd_twin;
        above = NULL;
    } else if (row->self_signed) {
        issuer = above = NULL;
    } else if (row->alone) {
        above = NULL;
    }

    struct made leaf = make(&row->leaf, &usual_leaf, issuer, leaf_key(row->leaf.key));
    expect_verdict(context, row->label, row->name ? row->name : "www.example.jp", &leaf, above,
                   row->verdict);
    discard(&leaf);
    discard(&ca);
    discard(&twin);
}

/* Each bad certificate is followed by a good one on the same context, and comes after a good one.
 */
static void test_verdicts(void **state)
{
    SSL_CTX *context = origin_context();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_case(context, &cases[i]);
        run_case(context, &cases[0]);
    }
    SSL_CTX_free(context);
}

/* root, an intermediate of pathlen 0, another one below it, leaf. */
static void test_path_length(void **state)
{
    SSL_CTX *context = origin_context();
    struct made below =
        make(&(struct recipe){.subject = "below"}, &usual_ca, &between, make_key(P256));
    struct made leaf = make(&(struct recipe){.key = P256}, &usual_leaf, &below, leaf_key(P256));
    struct server server = serve(&leaf, &below);
    SSL *ssl = SSL_new(context);

    (void)state;
    assert_int_equal(SSL_add1_chain_cert(server.ssl, between.certificate), 1);
    assert_int_equal(certificate_expect(ssl, "www.example.jp", OFFER_WHOLE(TLS1_3_VERSION)), 0);
    tls_pair_connect(ssl, server.ssl);
    assert_false(tls_pair_shake(ssl, server.ssl));
    assert_string_equal(certificate_verdict(ssl), "path-length");
    SSL_free(ssl);
    unserve(&server);
    discard(&leaf);
    discard(&below);
    SSL_CTX_free(context);
}

/* What no server of ours can send goes to the core directly. */
static void test_core(void **state)
{
    SSL_CTX *context = origin_context();
    struct made leaf =
        make(&(struct recipe){.key = SECP256K1}, &usual_leaf, &between, leaf_key(SECP256K1));
    struct made good = make(&(struct recipe){.key = P256}, &usual_leaf, &between, leaf_key(P256));
    STACK_OF(X509) *others = sk_X509_new_null(), *chain = NULL;
    struct certificate_name name;
    int64_t now = (int64_t)time(NULL);

    (void)state;
    sk_X509_push(others, between.certificate);
    assert_true(certificate_name_read(SPAN("www.example.jp"), &name));
    struct certificate_question question = {.trust = SSL_CTX_get_cert_store(context),
                                            .leaf = leaf.certificate,
                                            .others = others,
                                            .name = &name,
                                            .time = now};
    assert_int_equal(certificate_chain_verify(&question, &chain), VERDICT_WEAK_KEY);
    assert_null(chain);
    question.leaf = good.certificate;
    assert_int_equal(certificate_chain_verify(&question, &chain), VERDICT_OK);
    assert_int_equal(sk_X509_num(chain), 3);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), good.certificate), 0);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 2), root.certificate), 0);
    sk_X509_pop_free(chain, X509_free);

    /* The time is the question's, not the clock's. */
    question.time = now - 2 * DAY;
    assert_int_equal(certificate_chain_verify(&question, NULL), VERDICT_NOT_YET_VALID);
    question.time = now + 31 * DAY;
    assert_int_equal(certificate_chain_verify(&question, NULL), VERDICT_EXPIRED);

    /* Without a name nothing is verified. */
    question.time = now;
    memset(&name, 0, sizeof(name));
    assert_int_equal(certificate_chain_verify(&question, NULL), VERDICT_INTERNAL);
    sk_X509_free(others);
    discard(&leaf);
    discard(&good);
    SSL_CTX_free(context);
}

static void test_expect_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "a,b",
                                      "*.example.jp",
                                      "a b",
                                      "1.2.3",
                                      "0x7f.1",
                                      "a..b",
                                      "www.example.jp,DNS:other.example"};
    SSL_CTX *context = origin_context();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SSL *ssl = SSL_new(context);
        if (certificate_expect(ssl, bad[i], OFFER_WHOLE(TLS1_3_VERSION)) != -1)
            fail_msg("\"%s\" was taken for a name", bad[i]);
        assert_string_equal(certificate_verdict(ssl), "none");
        SSL_free(ssl);
    }
    SSL *ssl = SSL_new(context);
    assert_int_equal(certificate_expect(ssl, "www.example.jp", &(struct offer){0}), -1);
    assert_int_equal(certificate_expect(ssl, "www.example.jp", OFFER_WHOLE(TLS1_2_VERSION)), 0);
    assert_int_equal(certificate_expect(ssl, "other.example", OFFER_WHOLE(TLS1_2_VERSION)), -1);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

/* A connection that nobody said a name for is not verified by accident. */
static void test_no_expectation(void **state)
{
    SSL_CTX *context = origin_context();
    struct made leaf = make(&(struct recipe){.key = P256}, &usual_leaf, &between, leaf_key(P256));
    struct server server = serve(&leaf, &between);
    SSL *ssl = SSL_new(context);

    (void)state;
    tls_pair_connect(ssl, server.ssl);
    assert_false(tls_pair_shake(ssl, server.ssl));
    assert_string_equal(certificate_verdict(ssl), "none");
    assert_false(certificate_covers(ssl, SPAN("www.example.jp")));
    SSL_free(ssl);
    unserve(&server);
    discard(&leaf);
    SSL_CTX_free(context);
}

static SSL *shake(SSL_CTX *context, struct server *server, const char *name, int version,
                  bool *done)
{
    SSL *ssl = SSL_new(context);

    assert_int_equal(certificate_expect(ssl, name, OFFER_WHOLE(version)), 0);
    tls_pair_connect(ssl, server->ssl);
    *done = tls_pair_shake(ssl, server->ssl);
    return ssl;
}

static void test_versions_and_names(void **state)
{
    SSL_CTX *context = origin_context();
    struct made leaf = make(&(struct recipe){.names = "DNS:www.example.jp,IP:192.0.2.7"},
                            &usual_leaf, &between, leaf_key(P256));
    bool done;

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct server server = serve(&leaf, &between);
        SSL *ssl = shake(context, &server, "WWW.example.jp.", version, &done);
        assert_true(done);
        assert_int_equal(SSL_version(ssl), version);
        assert_int_equal(SSL_CIPHER_is_aead(SSL_get_current_cipher(ssl)), 1);
        assert_string_equal(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name),
                            "www.example.jp");
        assert_int_equal(certificate_not_after(ssl),
                         chain_time(X509_get0_notAfter(leaf.certificate)));
        assert_true(certificate_covers(ssl, SPAN("www.example.jp")));
        assert_false(certificate_asked(ssl));
        assert_true(certificate_covers(ssl, SPAN("Www.Example.JP.")));
        assert_true(certificate_covers(ssl, SPAN("192.0.2.7")));
        assert_false(certificate_covers(ssl, SPAN("192.0.2.8")));
        assert_false(certificate_covers(ssl, SPAN("example.jp")));
        assert_false(certificate_covers(ssl, SPAN("")));
        assert_false(certificate_covers(ssl, SPAN("www.example.jp\0.evil.example")));
        SSL_free(ssl);
        unserve(&server);
    }
    struct server server = serve(&leaf, &between);
    SSL *ssl = shake(context, &server, "192.0.2.7", TLS1_3_VERSION, &done);
    assert_true(done);
    assert_null(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name));
    SSL_free(ssl);
    unserve(&server);
    discard(&leaf);
    SSL_CTX_free(context);
}

/* A server that can only do what is weak gets no handshake; one that asks for a certificate gets
 * none. */
static void test_parameters(void **state)
{
    static const char *const weak[] = {"ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA256",
                                       "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"};
    SSL_CTX *context = origin_context();
    struct made leaf =
        make(&(struct recipe){.key = RSA2048}, &usual_leaf, &between, leaf_key(RSA2048));
    bool done;

    (void)state;
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
        struct server server = serve(&leaf, &between);
        SSL_set_max_proto_version(server.ssl, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(server.ssl, weak[i]), 1);
        SSL_set_dh_auto(server.ssl, 1);
        SSL *ssl = shake(context, &server, "www.example.jp", TLS1_3_VERSION, &done);
        assert_false(done);
        SSL_free(ssl);
        unserve(&server);
    }
    struct server server = serve(&leaf, &between);
    SSL_set_verify(server.ssl, SSL_VERIFY_PEER, NULL);
    SSL *ssl = shake(context, &server, "www.example.jp", TLS1_3_VERSION, &done);
    assert_true(done);
    assert_null(SSL_get0_peer_certificate(server.ssl));
    assert_true(certificate_asked(ssl));
    SSL_free(ssl);
    unserve(&server);

    server = serve(&leaf, &between);
    SSL_set_max_proto_version(server.ssl, TLS1_1_VERSION);
    ssl = shake(context, &server, "www.example.jp", TLS1_3_VERSION, &done);
    assert_false(done);
    assert_int_equal(certificate_not_after(ssl), 0);
    SSL_free(ssl);
    unserve(&server);
    discard(&leaf);
    SSL_CTX_free(context);
}

/* One timestamp in a list, and a list that is none. */
static void test_timestamps(void **state)
{
    static const struct {
        struct extra list;
        unsigned count;
    } rows[] = {
        {{NULL, false, NULL, 0}, 0},
        {EXTRA("1.3.6.1.4.1.11129.2.4.2", false,
               "\4\x3b\0\x39\0\x37\0the name of a log, in 32 bytes..\1\2\3\4\5\6\7\10\0\0\4\3"
               "\0\10signed!!"),
         1},
        {EXTRA("1.3.6.1.4.1.11129.2.4.2", false, "\4\4\0\x39\0\x37"), 0},
    };
    SSL_CTX *context = origin_context();
    bool done;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made leaf =
            make(&(struct recipe){.extra[0] = rows[i].list}, &usual_leaf, &between, leaf_key(P256));
        struct server server = serve(&leaf, &between);
        SSL *ssl = shake(context, &server, "www.example.jp", TLS1_3_VERSION, &done);
        assert_true(done);
        assert_int_equal(certificate_timestamps(ssl)->all, rows[i].count);
        SSL_free(ssl);
        unserve(&server);
        discard(&leaf);
    }
    SSL_CTX_free(context);
}

static void count_lines(void *argument, const char *line)
{
    assert_non_null(strstr(line, "will not be trusted"));
    assert_non_null(strstr(line, "lax"));
    ++*(int *)argument;
}

/* The bundle of these tests has a good root and an old lax one; a young lax one is told of. */
static void test_bundle_review(void **state)
{
    SSL_CTX *context = origin_context();
    struct made lax = make(&(struct recipe){.subject = "lax", .constraints = "CA:TRUE"},
                           &usual_root, NULL, leaf_key(P256));
    int lines = 0;

    (void)state;
    certificate_origin_review(context, count_lines, &lines);
    assert_int_equal(lines, 0);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), lax.certificate), 1);
    certificate_origin_review(context, count_lines, &lines);
    assert_int_equal(lines, 1);
    discard(&lax);
    SSL_CTX_free(context);
}

static void test_bundle_errors(void **state)
{
    char path[] = "/tmp/sekisho-test-bundle.XXXXXX", error[256] = "";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_null(certificate_origin_context(path, error, sizeof(error)));
    assert_non_null(strstr(error, path));
    assert_int_equal(write(fd, "garbage\n", 8), 8);
    assert_null(certificate_origin_context(path, error, sizeof(error)));
    close(fd);
    unlink(path);
    error[0] = '\0';
    assert_null(certificate_origin_context(path, error, sizeof(error)));
    assert_non_null(strstr(error, path));
}

static SSL *client_of(SSL_CTX *plain, SSL_CTX *context, const struct made *leaf, SSL **server,
                      const char *suites, int version)
{
    SSL *client = SSL_new(plain);

    *server = SSL_new(context);
    assert_int_equal(SSL_use_certificate(*server, leaf->certificate), 1);
    assert_int_equal(SSL_use_PrivateKey(*server, leaf->key), 1);
    SSL_set_security_level(client, 0);
    SSL_set_min_proto_version(client, 0);
    SSL_set_max_proto_version(client, version);
    if (suites)
        assert_int_equal(SSL_set_ciphersuites(client, suites), 1);
    tls_pair_connect(client, *server);
    return client;
}

static void test_client_context(void **state)
{
    static const struct {
        int version;
        const char *suites, *chosen;
    } rows[] = {
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
         "TLS_CHACHA20_POLY1305_SHA256"},
        {TLS1_2_VERSION, NULL, "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {TLS1_1_VERSION, NULL, NULL},
    };
    SSL_CTX *context = certificate_client_context(), *plain = SSL_CTX_new(TLS_client_method());
    struct made leaf = make(&(struct recipe){.key = P256}, &usual_leaf, &between, leaf_key(P256));

    (void)state;
    assert_non_null(context);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        SSL *server;
        SSL *client = client_of(plain, context, &leaf, &server, rows[i].suites, rows[i].version);
        assert_int_equal(tls_pair_shake(client, server), rows[i].chosen != NULL);
        if (rows[i].chosen) {
            char byte;
            assert_string_equal(SSL_get_cipher_name(server), rows[i].chosen);
            assert_int_equal(SSL_write(server, "x", 1), 1);
            assert_int_equal(SSL_read(client, &byte, 1), 1);
            /* A ticket would have come before that byte. */
            assert_false(SSL_SESSION_has_ticket(SSL_get0_session(client)));
        }
        SSL_free(client);
        SSL_free(server);
    }
    discard(&leaf);
    SSL_CTX_free(plain);
    SSL_CTX_free(context);
}

static int set_up(void **state)
{
    static const struct recipe odd = {.subject = "odd root",
                                      .constraints = "CA:TRUE",
                                      .usage = "",
                                      .identifier = "",
                                      .digest = "SHA1",
                                      .tweak = make_old};
    int fd = mkstemp(trust_path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    (void)state;
    root = make(&(struct recipe){.key = P256}, &usual_root, NULL, make_key(P256));
    between = make(&(struct recipe){.key = P256}, &usual_ca, &root, make_key(P256));
    stranger = make(&(struct recipe){.subject = "stranger"}, &usual_root, NULL, make_key(P256));
    odd_root = make(&odd, &usual_root, NULL, make_key(RSA2048));
    odd_twin = make_twin(&odd_root, odd.subject, &usual_root);
    if (!file || !PEM_write_X509(file, root.certificate) ||
        !PEM_write_X509(file, odd_root.certificate))
        return -1;
    return fclose(file);
}

static int tear_down(void **state)
{
    (void)state;
    discard(&root);
    discard(&between);
    discard(&stranger);
    discard(&odd_root);
    discard(&odd_twin);
    for (int i = 0; i < KEY_COUNT; i++)
        EVP_PKEY_free(keys[i]);
    return unlink(trust_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),       cmocka_unit_test(test_core),
        cmocka_unit_test(test_path_length),    cmocka_unit_test(test_expect_refuses),
        cmocka_unit_test(test_no_expectation), cmocka_unit_test(test_versions_and_names),
        cmocka_unit_test(test_parameters),     cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_bundle_review),  cmocka_unit_test(test_bundle_errors),
        cmocka_unit_test(test_client_context),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
