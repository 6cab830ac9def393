/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's leaves against a signer made of the real issuer and a link that only notes what was
 * sent. The clock is the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "gateway/authority.h"
#include "gateway/certificate.h"
#include "gateway/leaf.h"
#include "tests/unit/tls_pair.h"

#define HOUR 3600
#define DAY  86400
#define FAR  INT64_C(4102444800) /* the year 2100: an origin's end that bounds nothing */

/* --- the clock: it stands in for the C library's, in libevent too --- */

static int64_t clock_offset; /* seconds */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);

    now->tv_sec += clock_offset;
    return (int)result;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* --- the link: questions are kept until the test answers them --- */

struct link {
    struct message_leaf questions[256];
    size_t count;
    bool full;
};

int link_send(struct link *link, enum message_type type, const void *payload, size_t size, int fd)
{
    assert_int_equal(type, MESSAGE_LEAF);
    assert_int_equal(size, sizeof(struct message_leaf));
    assert_int_equal(fd, -1);
    if (link->full)
        return -1;
    assert_true(link->count < 256);
    memcpy(&link->questions[link->count++], payload, size);
    return 0;
}

/* --- the fixture --- */

struct fixture {
    struct event_base *base;
    struct leaf_cache *cache;
    struct link link;
};

struct waiting {
    struct leaf_request *request;
    struct leaf *leaf; /* held */
    unsigned calls;
    bool refused;
};

static char folder[] = "/tmp/sekisho-test-leaf.XXXXXX";
static struct issuer *issuer, *same_ca, *other_ca;

static void on_leaf(void *context, struct leaf *leaf)
{
    struct waiting *waiting = context;

    waiting->calls++;
    waiting->refused = leaf == NULL;
    leaf_release(waiting->leaf);
    waiting->leaf = leaf ? leaf_hold(leaf) : NULL;
}

static struct waiting wait_for(struct fixture *fixture, struct waiting *waiting, const char *name,
                               int origin, int64_t not_after)
{
    uint8_t digest[DIGEST_SIZE] = {(uint8_t)origin};

    *waiting = (struct waiting){0};
    leaf_get(fixture->cache, name, origin ? digest : NULL, not_after, on_leaf, waiting,
             &waiting->request);
    return *waiting;
}

static void finish(struct waiting *waiting)
{
    leaf_release(waiting->leaf);
    waiting->leaf = NULL;
}

static int give_key(struct fixture *fixture, const struct issuer *from)
{
    uint8_t payload[MESSAGE_MAX] = {0};
    unsigned char *key, *chain;
    int key_length = issuer_leaf_key(from, &key), chain_length = issuer_chain(from, &chain);

    payload[2] = (uint8_t)(key_length >> 8);
    payload[3] = (uint8_t)key_length;
    memcpy(payload + 4, key, (size_t)key_length);
    memcpy(payload + 4 + key_length, chain, (size_t)chain_length);
    OPENSSL_free(key);
    OPENSSL_free(chain);
    return leaf_cache_receive(fixture->cache, MESSAGE_LEAF_KEY, payload,
                              (size_t)(4 + key_length + chain_length));
}

static int give_leaf(struct fixture *fixture, const struct issuer *from,
                     const struct message_leaf *question)
{
    uint8_t payload[MESSAGE_MAX];
    unsigned char *der = NULL;
    int length = issuer_make_leaf(from, question->name, (int64_t)time(NULL), HOUR, DAY,
                                  question->not_after ? question->not_after : INT64_MAX, &der);
    size_t size = length > 0 ? (size_t)length : 0;

    memcpy(payload, &question->id, 8);
    if (size)
        memcpy(payload + 8, der, size);
    OPENSSL_free(der);
    return leaf_cache_receive(fixture->cache, MESSAGE_LEAF_CERTIFICATE, payload, 8 + size);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->base = event_base_new();
    fixture->cache = leaf_cache_new(fixture->base, 4);
    *state = fixture;
    leaf_cache_set_signer(fixture->cache, &fixture->link);
    return give_key(fixture, issuer);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    leaf_cache_free(fixture->cache);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

/* --- the tests --- */

static void test_made_once_then_cached(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one, two;

    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    assert_non_null(one.request);
    assert_int_equal(one.calls, 0);
    assert_int_equal(fixture->link.count, 1);
    assert_string_equal(fixture->link.questions[0].name, "www.example.jp");
    assert_int_equal(fixture->link.questions[0].not_after, FAR);
    assert_int_equal(give_leaf(fixture, issuer, &fixture->link.questions[0]), 0);
    assert_int_equal(one.calls, 1);
    assert_non_null(one.leaf);

    wait_for(fixture, &two, "www.example.jp", 1, FAR);
    assert_null(two.request);
    assert_int_equal(two.calls, 1);
    assert_ptr_equal(two.leaf, one.leaf);
    assert_int_equal(fixture->link.count, 1);
    assert_int_equal(leaf_cache_count(fixture->cache), 1);
    finish(&one);
    finish(&two);
}

/* Another name, another certificate of the origin, and a page without any: each is another leaf. */
static void test_keyed_by_name_and_origin(void **state)
{
    struct fixture *fixture = *state;
    struct waiting w[4];

    wait_for(fixture, &w[0], "www.example.jp", 1, FAR);
    wait_for(fixture, &w[1], "www.example.jp", 2, FAR);
    wait_for(fixture, &w[2], "www.example.jp", 0, 0);
    wait_for(fixture, &w[3], "example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 4);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(fixture->link.questions[i].id, fixture->link.questions[j].id);
        give_leaf(fixture, issuer, &fixture->link.questions[i]);
        assert_int_equal(w[i].calls, 1);
        assert_non_null(w[i].leaf);
        finish(&w[i]);
    }
    assert_int_equal(fixture->link.questions[2].not_after, 0);
}

static void test_requests_are_joined(void **state)
{
    struct fixture *fixture = *state;
    struct waiting w[5];

    for (int i = 0; i < 5; i++)
        wait_for(fixture, &w[i], "www.example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 1);
    leaf_cancel(w[0].request);
    leaf_cancel(w[3].request);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(w[i].calls, i != 0 && i != 3);
        finish(&w[i]);
    }
}

static void test_cancelled_alone(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one, two;

    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    leaf_cancel(one.request);
    leaf_cancel(NULL);
    /* The late answer serves nobody, and does no harm. */
    assert_int_equal(give_leaf(fixture, issuer, &fixture->link.questions[0]), 0);
    assert_int_equal(one.calls, 0);
    assert_int_equal(leaf_cache_count(fixture->cache), 0);
    wait_for(fixture, &two, "www.example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 2);
    assert_int_equal(two.calls, 0);
    /* Freed with the cache. */
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one;
    uint64_t id;

    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    id = fixture->link.questions[0].id;
    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_CERTIFICATE, &id, 8), 0);
    assert_int_equal(one.calls, 1);
    assert_true(one.refused);
    assert_int_equal(leaf_cache_count(fixture->cache), 0);
    /* It is asked for again: a refusal is not kept. */
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 2);
}

static void test_bad_questions(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one;
    char longest[257];

    memset(longest, 'a', 256);
    longest[256] = '\0';
    wait_for(fixture, &one, longest, 1, FAR);
    assert_true(one.refused && !one.request);
    wait_for(fixture, &one, "www.example.jp", 1, 0); /* an origin whose end is not known */
    assert_true(one.refused && !one.request);
    wait_for(fixture, &one, "www.example.jp", 1, -1);
    assert_true(one.refused && !one.request);
    assert_int_equal(fixture->link.count, 0);
}

static void test_malformed_answers(void **state)
{
    struct fixture *fixture = *state;
    uint8_t payload[64] = {0};
    struct waiting one;

    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_RECORD, payload, 8), -1);
    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_CERTIFICATE, payload, 7), -1);
    for (size_t size = 0; size < sizeof(payload); size++) /* no key in any of them */
        assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_KEY, payload, size), -1);
    payload[0] = payload[1] = payload[2] = payload[3] = 0xff;
    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_KEY, payload, 64), -1);

    /* Garbage for a certificate: refused at once, and the link is at fault. */
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    memcpy(payload, &fixture->link.questions[0].id, 8);
    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_CERTIFICATE, payload, 64), -1);
    assert_true(one.refused);

    /* A certificate for another key than the signer's cannot be served. */
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    assert_int_equal(give_leaf(fixture, other_ca, &fixture->link.questions[1]), -1);
    assert_true(one.refused);
}

static void test_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one, two;

    leaf_cache_set_signer(fixture->cache, NULL);
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    clock_offset += 3;
    wait_for(fixture, &two, "www.example.jp", 1, FAR);
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(one.calls, 0);
    clock_offset += 3;
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(one.calls, 1);
    assert_true(one.refused);
    assert_int_equal(two.calls, 0);
    clock_offset += 3;
    event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_true(two.refused);
    /* Nothing is left to be asked. */
    leaf_cache_set_signer(fixture->cache, &fixture->link);
    assert_int_equal(fixture->link.count, 0);
}

static void test_signer_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct waiting cached, w[3], again;
    struct link second = {.count = 0};

    wait_for(fixture, &cached, "old.example.jp", 1, FAR);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    wait_for(fixture, &w[0], "a.example.jp", 1, FAR);
    wait_for(fixture, &w[1], "b.example.jp", 1, FAR);
    leaf_cache_set_signer(fixture->cache, NULL);
    wait_for(fixture, &w[2], "c.example.jp", 1, FAR);
    leaf_cache_set_signer(fixture->cache, &second);
    assert_int_equal(give_key(fixture, same_ca), 0);
    assert_int_equal(second.count, 3);
    assert_string_equal(second.questions[0].name, "a.example.jp");
    assert_string_equal(second.questions[1].name, "b.example.jp");
    assert_string_equal(second.questions[2].name, "c.example.jp");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(give_leaf(fixture, same_ca, &second.questions[i]), 0);
        assert_int_equal(w[i].calls, 1);
        assert_non_null(w[i].leaf);
    }
    /* The old leaf stays, with its own key. */
    wait_for(fixture, &again, "old.example.jp", 1, FAR);
    assert_ptr_equal(again.leaf, cached.leaf);
    SSL_CTX *context = certificate_client_context();
    SSL *ssl = SSL_new(context);
    assert_int_equal(leaf_install(again.leaf, ssl), 0);
    assert_int_equal(leaf_install(w[0].leaf, ssl), 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    for (size_t i = 0; i < 3; i++)
        finish(&w[i]);
    finish(&cached);
    finish(&again);
}

static void test_other_ca_empties_the_cache(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one;

    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    finish(&one);
    assert_int_equal(leaf_cache_count(fixture->cache), 1);
    assert_int_equal(give_key(fixture, same_ca), 0);
    assert_int_equal(leaf_cache_count(fixture->cache), 1);
    assert_int_equal(give_key(fixture, other_ca), 0);
    assert_int_equal(leaf_cache_count(fixture->cache), 0);
}

static void test_full_link(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one, two, three;

    wait_for(fixture, &one, "a.example.jp", 1, FAR);
    fixture->link.full = true;
    wait_for(fixture, &two, "b.example.jp", 1, FAR);
    wait_for(fixture, &three, "c.example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 1);
    fixture->link.full = false;
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    assert_int_equal(fixture->link.count, 3); /* an answer makes room for what waits */
    give_leaf(fixture, issuer, &fixture->link.questions[1]);
    give_leaf(fixture, issuer, &fixture->link.questions[2]);
    assert_true(one.leaf && two.leaf && three.leaf);
    finish(&one);
    finish(&two);
    finish(&three);
}

static void make_leaf(struct fixture *fixture, const char *name)
{
    struct waiting one;
    size_t before = fixture->link.count;

    wait_for(fixture, &one, name, 1, FAR);
    if (fixture->link.count > before)
        give_leaf(fixture, issuer, &fixture->link.questions[before]);
    assert_non_null(one.leaf);
    finish(&one);
}

/* Capacity is 4: the least recently used goes. */
static void test_bounded(void **state)
{
    struct fixture *fixture = *state;
    char name[32];

    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "n%d.example.jp", i);
        make_leaf(fixture, name);
    }
    make_leaf(fixture, "n0.example.jp"); /* used again */
    assert_int_equal(fixture->link.count, 4);
    make_leaf(fixture, "n4.example.jp"); /* pushes n1 out */
    assert_int_equal(leaf_cache_count(fixture->cache), 4);
    make_leaf(fixture, "n0.example.jp");
    make_leaf(fixture, "n2.example.jp");
    assert_int_equal(fixture->link.count, 5);
    make_leaf(fixture, "n1.example.jp");
    assert_int_equal(fixture->link.count, 6);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "m%d.example.jp", i);
        make_leaf(fixture, name);
    }
    assert_int_equal(leaf_cache_count(fixture->cache), 4);
}

static void test_renewed_before_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one, two;

    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    clock_offset += 17 * HOUR;
    wait_for(fixture, &two, "www.example.jp", 1, FAR);
    assert_int_equal(fixture->link.count, 1);
    assert_ptr_equal(two.leaf, one.leaf);
    finish(&two);

    /* The last quarter: still served, and asked for once. */
    clock_offset += 2 * HOUR;
    for (int i = 0; i < 3; i++) {
        wait_for(fixture, &two, "www.example.jp", 1, FAR);
        assert_ptr_equal(two.leaf, one.leaf);
        finish(&two);
    }
    assert_int_equal(fixture->link.count, 2);
    assert_string_equal(fixture->link.questions[1].name, "www.example.jp");
    give_leaf(fixture, issuer, &fixture->link.questions[1]);
    wait_for(fixture, &two, "www.example.jp", 1, FAR);
    assert_non_null(two.leaf);
    assert_ptr_not_equal(two.leaf, one.leaf);
    assert_int_equal(leaf_cache_count(fixture->cache), 1);
    finish(&two);
    finish(&one);
}

static void expect_cached(struct fixture *fixture, const char *name)
{
    struct waiting one;

    wait_for(fixture, &one, name, 1, FAR);
    assert_int_equal(one.calls, 1);
    assert_non_null(one.leaf);
    finish(&one);
}

static void test_refused_renewal(void **state)
{
    struct fixture *fixture = *state;
    struct waiting one;
    uint64_t id;

    make_leaf(fixture, "www.example.jp");
    clock_offset += 19 * HOUR;
    expect_cached(fixture, "www.example.jp");
    assert_int_equal(fixture->link.count, 2);
    id = fixture->link.questions[1].id;
    assert_int_equal(leaf_cache_receive(fixture->cache, MESSAGE_LEAF_CERTIFICATE, &id, 8), 0);
    expect_cached(fixture, "www.example.jp"); /* still good; not asked for again at once */
    assert_int_equal(fixture->link.count, 2);
    clock_offset += 61;
    expect_cached(fixture, "www.example.jp");
    assert_int_equal(fixture->link.count, 3);

    /* The last sixteenth: waited for. The renewal that is under way serves. */
    clock_offset += 4 * HOUR;
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    assert_int_equal(one.calls, 0);
    assert_int_equal(fixture->link.count, 3);
    give_leaf(fixture, issuer, &fixture->link.questions[2]);
    assert_non_null(one.leaf);
    finish(&one);
}

/* The origin's own end bounds the leaf: it is used to its end, without vain renewals, and not
 * after. */
static void test_bound_by_the_origin(void **state)
{
    struct fixture *fixture = *state;
    int64_t end = (int64_t)time(NULL) + HOUR;
    struct waiting one;

    wait_for(fixture, &one, "www.example.jp", 1, end);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    finish(&one);
    clock_offset += HOUR - 5;
    wait_for(fixture, &one, "www.example.jp", 1, end);
    assert_non_null(one.leaf);
    finish(&one);
    assert_int_equal(fixture->link.count, 1);
    clock_offset += 6;
    wait_for(fixture, &one, "www.example.jp", 1, end);
    assert_int_equal(one.calls, 0);
    give_leaf(fixture, issuer, &fixture->link.questions[1]); /* the issuer refuses */
    assert_true(one.refused);
}

/* A callback that cancels its neighbour, asks for others and so pushes its own leaf out. */
struct unruly {
    struct fixture *fixture;
    struct leaf_request *neighbours[2];
    unsigned *calls;
    struct waiting more[6];
};

static void on_unruly(void *context, struct leaf *leaf)
{
    struct unruly *unruly = context;
    char name[32];

    assert_non_null(leaf);
    ++*unruly->calls;
    for (int i = 0; i < 2; i++) {
        leaf_cancel(unruly->neighbours[i]);
        unruly->neighbours[i] = NULL;
    }
    for (int i = 0; i < 6; i++) {
        size_t next = unruly->fixture->link.count;
        snprintf(name, sizeof(name), "u%d.example.jp", i);
        wait_for(unruly->fixture, &unruly->more[i], name, 1, FAR);
        give_leaf(unruly->fixture, issuer, &unruly->fixture->link.questions[next]);
        assert_non_null(unruly->more[i].leaf);
        finish(&unruly->more[i]);
    }
    /* It is out of the cache, but lives until this returns. */
    SSL_CTX *server = certificate_client_context();
    SSL *ssl = SSL_new(server);
    assert_int_equal(leaf_install(leaf, ssl), 0);
    SSL_free(ssl);
    SSL_CTX_free(server);
}

static void test_unruly_callbacks(void **state)
{
    struct fixture *fixture = *state;
    struct waiting before, after;
    unsigned calls = 0;
    struct unruly *unruly = calloc(1, sizeof(*unruly));
    struct leaf_request *request;
    uint8_t digest[DIGEST_SIZE] = {1};

    unruly->fixture = fixture;
    unruly->calls = &calls;
    wait_for(fixture, &before, "www.example.jp", 1, FAR);
    leaf_get(fixture->cache, "www.example.jp", digest, FAR, on_unruly, unruly, &request);
    wait_for(fixture, &after, "www.example.jp", 1, FAR);
    /* Only those that have not been called yet may be cancelled; which is first is the cache's
     * choice. */
    unruly->neighbours[0] = before.request;
    assert_non_null(request);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    assert_int_equal(calls, 1);
    assert_int_equal(before.calls + after.calls, 1);
    assert_int_equal(leaf_cache_count(fixture->cache), 4);
    finish(&before);
    finish(&after);
    free(unruly);
}

/* A client that trusts the CA, and verifies as strictly as we do, is served with the leaf. */
static void test_install(void **state)
{
    struct fixture *fixture = *state;
    char path[128], error[256];
    struct waiting one;

    snprintf(path, sizeof(path), "%s/0.crt", folder);
    STACK_OF(X509) *authority = authority_read(path, error, sizeof(error));
    snprintf(path, sizeof(path), "%s/root.crt", folder);
    FILE *file = fopen(path, "w");
    assert_int_equal(PEM_write_X509(file, authority_root(authority)), 1);
    fclose(file);
    sk_X509_pop_free(authority, X509_free);
    SSL_CTX *outer = certificate_client_context();
    SSL_CTX *inner = certificate_origin_context(path, error, sizeof(error));
    if (!inner)
        fail_msg("%s", error);
    SSL *server = SSL_new(outer), *client = SSL_new(inner);
    wait_for(fixture, &one, "www.example.jp", 1, FAR);
    give_leaf(fixture, issuer, &fixture->link.questions[0]);
    assert_int_equal(leaf_install(one.leaf, server), 0);
    finish(&one);
    assert_int_equal(certificate_expect(client, "www.example.jp", OFFER_WHOLE(TLS1_3_VERSION)), 0);
    tls_pair_connect(client, server);
    bool done = tls_pair_shake(client, server);
    assert_string_equal(certificate_verdict(client), "ok");
    assert_true(done);
    /* The issuing CA comes with it, the root stays at home. */
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(client)), 2);
    assert_int_equal(unlink(path), 0);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(inner);
    SSL_CTX_free(outer);
}

static struct issuer *make_issuer(int number, bool create)
{
    char certificate[128], key[128], error[256];

    snprintf(certificate, sizeof(certificate), "%s/%d.crt", folder, number);
    snprintf(key, sizeof(key), "%s/%d.key", folder, number);
    struct authority_order order = {.certificate_path = certificate, .key_path = key};
    if (create && authority_create(&order, error, sizeof(error)) < 0)
        fail_msg("%s", error);
    return issuer_read(certificate, key, error, sizeof(error));
}

static int set_up_group(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    issuer = make_issuer(0, true);
    same_ca = make_issuer(0, false);
    other_ca = make_issuer(1, true);
    return issuer && same_ca && other_ca ? 0 : -1;
}

static int tear_down_group(void **state)
{
    static const char *const names[] = {"0.crt", "0.key", "1.crt", "1.key"};
    char path[128];

    (void)state;
    issuer_free(issuer);
    issuer_free(same_ca);
    issuer_free(other_ca);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

#define LEAF_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEAF_TEST(test_made_once_then_cached),
        LEAF_TEST(test_keyed_by_name_and_origin),
        LEAF_TEST(test_requests_are_joined),
        LEAF_TEST(test_cancelled_alone),
        LEAF_TEST(test_refused),
        LEAF_TEST(test_bad_questions),
        LEAF_TEST(test_malformed_answers),
        LEAF_TEST(test_timeout),
        LEAF_TEST(test_signer_replaced),
        LEAF_TEST(test_other_ca_empties_the_cache),
        LEAF_TEST(test_full_link),
        LEAF_TEST(test_bounded),
        LEAF_TEST(test_renewed_before_the_end),
        LEAF_TEST(test_refused_renewal),
        LEAF_TEST(test_bound_by_the_origin),
        LEAF_TEST(test_unruly_callbacks),
        LEAF_TEST(test_install),
    };

    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
