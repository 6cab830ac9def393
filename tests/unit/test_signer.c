/* SPDX-License-Identifier: BSD-2-Clause */
/* The signer's role, asked over real links by a worker that behaves and by one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "gateway/authority.h"
#include "filters/hostname.h"
#include "gateway/certificate.h"
#include "gateway/chain.h"
#include "gateway/process.h"
#include "tests/unit/packet.h"

#define HOUR 3600
#define DAY  86400

#if defined(__SANITIZE_ADDRESS__)
#define HOSTILE_REQUESTS 10000u
#else
#define HOSTILE_REQUESTS 100000u
#endif

static char folder[] = "/tmp/sekisho-test-signer.XXXXXX";
static char certificate_path[64], key_path[64];
static struct configuration configuration;
static unsigned ready;

void child_ready(struct child *child)
{
    (void)child;
    ready++;
}

/* The worker's end: what came last. */
struct worker {
    struct link *link;
    int fd; /* the link's, for what a link would not send */
    enum message_type type;
    uint8_t payload[MESSAGE_MAX];
    size_t size;
    unsigned messages;
    bool closed;
};

struct fixture {
    struct child child;
    struct worker workers[2];
};

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct worker *worker = context;

    (void)link;
    assert_int_equal(fd, -1);
    worker->type = type;
    worker->size = size;
    worker->messages++;
    if (size)
        memcpy(worker->payload, payload, size);
    if (type == MESSAGE_NONE) {
        worker->closed = true;
        worker->link = NULL;
    }
}

static void run(struct fixture *fixture)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(fixture->child.base, EVLOOP_NONBLOCK);
}

static void connect_worker(struct fixture *fixture, unsigned slot)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->workers[slot].fd = fds[0];
    fixture->workers[slot].link = link_new(fixture->child.base, fds[0], ROLE_WORKER, ROLE_SIGNER,
                                           receive, &fixture->workers[slot]);
    signer_operations.peer(&fixture->child, ROLE_WORKER, slot, fds[1]);
    run(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    fixture->child = (struct child){
        .role = ROLE_SIGNER, .configuration = &configuration, .base = event_base_new()};
    if (signer_operations.prepare(&fixture->child) < 0)
        return -1;
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    signer_operations.stop(&fixture->child);
    run(fixture);
    for (int i = 0; i < 2; i++)
        if (!fixture->workers[i].closed)
            return -1; /* stop() closes what is open */
    event_base_free(fixture->child.base);
    free(fixture);
    return 0;
}

static void ask(struct fixture *fixture, unsigned slot, uint64_t id, const char *name,
                int64_t not_after)
{
    struct message_leaf question = {.id = id, .not_after = not_after};

    strncpy(question.name, name, sizeof(question.name) - 1);
    assert_int_equal(
        link_send(fixture->workers[slot].link, MESSAGE_LEAF, &question, sizeof(question), -1), 0);
    run(fixture);
}

static X509 *answered(const struct worker *worker, uint64_t id)
{
    const unsigned char *at = worker->payload + 8;
    uint64_t got;

    assert_int_equal(worker->type, MESSAGE_LEAF_CERTIFICATE);
    memcpy(&got, worker->payload, 8);
    assert_int_equal(got, id);
    return worker->size > 8 ? d2i_X509(NULL, &at, (long)worker->size - 8) : NULL;
}

static EVP_PKEY *greeted(const struct worker *worker)
{
    const unsigned char *at = worker->payload + 4, *key_end;
    size_t length = (size_t)worker->payload[2] << 8 | worker->payload[3];

    assert_int_equal(worker->type, MESSAGE_LEAF_KEY);
    assert_int_equal(worker->payload[0] | worker->payload[1], 0);
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)length);
    assert_non_null(key);
    key_end = worker->payload + 4 + length;
    assert_ptr_equal(at, key_end);
    for (int i = 0; i < 2; i++) { /* the issuing CA, the root */
        X509 *ca = d2i_X509(NULL, &at, (long)(worker->payload + worker->size - at));
        assert_non_null(ca);
        assert_int_equal(X509_check_ca(ca), 1);
        assert_int_not_equal(X509_check_private_key(ca, key), 1);
        X509_free(ca);
    }
    assert_ptr_equal(at, worker->payload + worker->size);
    return key;
}

static void test_leaf(void **state)
{
    struct fixture *fixture = *state;
    struct worker *worker = &fixture->workers[0];
    EVP_PKEY *key = greeted(worker), *same = greeted(&fixture->workers[1]);
    int64_t now = (int64_t)time(NULL);

    assert_int_equal(EVP_PKEY_eq(key, same), 1); /* one key a signer */
    ask(fixture, 0, 77, "www.example.jp", now + 6 * HOUR);
    X509 *leaf = answered(worker, 77);
    assert_non_null(leaf);
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    assert_int_equal(X509_check_host(leaf, "www.example.jp", 0, 0, NULL), 1);
    assert_int_equal(chain_time(X509_get0_notAfter(leaf)), now + 6 * HOUR);
    int64_t begin = chain_time(X509_get0_notBefore(leaf));
    assert_true(begin >= now - 2 * HOUR && begin <= now - 2 * HOUR + 5); /* as configured */
    X509_free(leaf);

    /* A page of our own: no origin bounds it, the configured life does. */
    ask(fixture, 1, UINT64_MAX, "192.0.2.7", 0);
    leaf = answered(&fixture->workers[1], UINT64_MAX);
    assert_non_null(leaf);
    int64_t end = chain_time(X509_get0_notAfter(leaf));
    assert_true(end >= now + 12 * HOUR && end <= now + 12 * HOUR + 5);
    X509_free(leaf);
    assert_int_equal(worker->messages, 2);
    EVP_PKEY_free(key);
    EVP_PKEY_free(same);
}

static void test_refusals(void **state)
{
    struct fixture *fixture = *state;
    struct worker *worker = &fixture->workers[0];
    int64_t now = (int64_t)time(NULL);
    static const char *const names[] = {"",      "a,b",   "*.example.jp",
                                        "1.2.3", "DNS:a", "www.bank.example"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ask(fixture, 0, i, names[i], now + DAY);
        assert_null(answered(worker, i));
        assert_int_equal(worker->size, 8);
    }
    ask(fixture, 0, 6, "www.example.jp", now - 1);
    assert_null(answered(worker, 6));
    ask(fixture, 0, 7, "www.example.jp", -1);
    assert_null(answered(worker, 7));
    assert_false(worker->closed);
}

/* As a worker's link would not send it. */
static void send_packet(struct fixture *fixture, unsigned slot, enum message_type type,
                        const void *payload, size_t size)
{
    packet_send(fixture->workers[slot].fd, type, payload, size);
    run(fixture);
}

/* A name that does not end inside its array. */
static void test_endless_name(void **state)
{
    struct fixture *fixture = *state;
    struct message_leaf question = {.id = 5, .not_after = (int64_t)time(NULL) + DAY};
    unsigned before = fixture->workers[0].messages;

    memset(question.name, 'a', sizeof(question.name));
    send_packet(fixture, 0, MESSAGE_LEAF, &question, sizeof(question));
    assert_true(fixture->workers[0].closed);
    assert_int_equal(fixture->workers[0].messages, before + 1); /* the end, and no answer */
}

/* --- 100000 requests of a worker that was taken over --- */

static uint32_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13; /* xorshift64: the same requests every time */
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

/* A question that may be right, nearly right, or noise. */
static void make_question(uint64_t *seed, uint64_t id, struct message_leaf *question)
{
    static const char *const names[] = {"www.example.jp", "192.0.2.7", "2001:db8::1",
                                        "*.example.jp",   "a,DNS:b",   "xn--wgv71a119e.jp"};
    static const int64_t ends[] = {0, 1, -1, INT64_MAX, INT64_MIN, 253402300800};
    uint32_t how = next_random(seed);
    size_t length;

    memset(question, 0, sizeof(*question));
    question->id = id;
    question->not_after =
        how & 1 ? (int64_t)time(NULL) + (int64_t)(next_random(seed) % (400 * DAY)) - DAY
                : ends[next_random(seed) % 6];
    strcpy(question->name, names[next_random(seed) % 6]);
    length = strlen(question->name);
    if ((how & 14) == 0) /* noise to the end, not always ended */
        for (size_t i = 0; i < sizeof(question->name); i++)
            question->name[i] = (char)next_random(seed);
    for (uint32_t i = 0; (how & 2) && i < next_random(seed) % 4; i++)
        question->name[next_random(seed) % (length + 2)] = (char)next_random(seed);
    if ((how & 48) == 48) { /* long, of labels of any length */
        memset(question->name, 'a', sizeof(question->name) - 1);
        for (size_t i = 0; i < sizeof(question->name) - 1; i += 1 + next_random(seed) % 80)
            question->name[i] = '.';
    }
}

/* What was signed is the one name that was asked for, for a day at most, and can sign nothing. */
static void check_leaf(const struct message_leaf *question, X509 *leaf)
{
    int64_t now = (int64_t)time(NULL), end = chain_time(X509_get0_notAfter(leaf));
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

    assert_true(end > now && end <= now + DAY + 5);
    assert_true(question->not_after == 0 || end <= question->not_after);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(leaf)), 0);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    char host[HOST_TEXT];
    uint8_t address[16];
    assert_true(host_normalise(span_of(question->name), host));
    if (name->type == GEN_DNS) { /* to the letter, and of letters that a name may have */
        const ASN1_STRING *text = name->d.dNSName;
        assert_int_equal(ASN1_STRING_length(text), strlen(host));
        assert_memory_equal(ASN1_STRING_get0_data(text), host, strlen(host));
        assert_int_equal(strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_."), strlen(host));
    } else {
        assert_int_equal(inet_pton(strchr(host, ':') ? AF_INET6 : AF_INET, host, address), 1);
        assert_memory_equal(ASN1_STRING_get0_data(name->d.iPAddress), address,
                            (size_t)ASN1_STRING_length(name->d.iPAddress));
    }
    assert_null(strchr(question->name, '*'));
    GENERAL_NAMES_free(names);
}

static void test_hostile_requests(void **state)
{
    struct fixture *fixture = *state;
    struct worker *worker = &fixture->workers[0];
    EVP_PKEY *key = greeted(worker);
    uint64_t seed = UINT64_C(0x5e4154a0);
    unsigned signed_ones = 0, refused = 0, cut_off = 0;

    for (uint64_t i = 1; i <= HOSTILE_REQUESTS; i++) {
        struct message_leaf question;
        size_t size = sizeof(question);
        enum message_type type = MESSAGE_LEAF;

        make_question(&seed, i, &question);
        if (next_random(&seed) % 16 == 0) { /* of the wrong length, or of another type */
            type = (enum message_type)(next_random(&seed) % (MESSAGE_COUNT + 3));
            size = next_random(&seed) % (sizeof(question) + 1);
        }
        worker->messages = 0;
        packet_send(worker->fd, type, &question, size);
        event_base_loop(fixture->child.base, EVLOOP_NONBLOCK);
        for (int turn = 0; turn < 5 && worker->messages == 0; turn++)
            event_base_loop(fixture->child.base, EVLOOP_NONBLOCK);
        if (worker->closed) {
            cut_off++;
            memset(worker, 0, sizeof(*worker));
            connect_worker(fixture, 0);
            continue;
        }
        X509 *leaf = answered(worker, i);
        if (leaf == NULL) {
            refused++;
            assert_int_equal(worker->size, 8);
            continue;
        }
        signed_ones++;
        check_leaf(&question, leaf);
        assert_int_equal(X509_check_private_key(leaf, key), 1);
        X509_free(leaf);
    }
    print_message("%u requests: %u signed, %u refused, %u cut off\n", HOSTILE_REQUESTS, signed_ones,
                  refused, cut_off);
    assert_true(signed_ones > HOSTILE_REQUESTS / 20 && refused > HOSTILE_REQUESTS / 4);
    assert_true(cut_off > HOSTILE_REQUESTS / 50);
    /* And it serves on. */
    ask(fixture, 1, 9, "www.example.jp", (int64_t)time(NULL) + DAY);
    X509 *leaf = answered(&fixture->workers[1], 9);
    assert_non_null(leaf);
    X509_free(leaf);
    EVP_PKEY_free(key);
}

/* One that says anything else is cut off; its neighbour is served on. */
static void test_wrong_message(void **state)
{
    struct fixture *fixture = *state;

    send_packet(fixture, 0, MESSAGE_RECORD, "x", 1);
    assert_true(fixture->workers[0].closed);
    ask(fixture, 1, 3, "www.example.jp", (int64_t)time(NULL) + DAY);
    X509 *leaf = answered(&fixture->workers[1], 3);
    assert_non_null(leaf);
    X509_free(leaf);

    /* Nobody but a worker has business here. */
    int fds[2];
    char byte;
    assert_int_equal(link_pair(fds), 0);
    signer_operations.peer(&fixture->child, ROLE_REGISTRY, 0, fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

static void test_start_protects_the_key(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit core;

    ready = 0;
    assert_int_equal(signer_operations.start(&fixture->child), 0);
    assert_int_equal(ready, 1);
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_max, 0);
}

/* The key is in the locked memory while there is a signer, and no longer. */
static void test_custody(void **state)
{
    struct child child = {.role = ROLE_SIGNER, .configuration = &configuration};

    (void)state;
    assert_false(CRYPTO_secure_malloc_initialized());
    assert_int_equal(signer_operations.prepare(&child), 0);
    assert_true(CRYPTO_secure_malloc_initialized());
    assert_true(CRYPTO_secure_used() >= 32); /* the number of a key of P-256 */
    signer_operations.stop(&child);
    assert_false(CRYPTO_secure_malloc_initialized());
}

static void drain(evutil_socket_t fd, short what, void *argument)
{
    (void)fd, (void)what;
    signer_operations.drain(argument);
}

static void test_drain_ends_the_loop(void **state)
{
    struct fixture *fixture = *state;
    static const struct timeval now = {0, 0};

    alarm(20); /* the open links alone would keep it running for ever */
    assert_int_equal(
        event_base_once(fixture->child.base, -1, EV_TIMEOUT, drain, &fixture->child, &now), 0);
    event_base_dispatch(fixture->child.base);
    assert_true(event_base_got_break(fixture->child.base));
    alarm(0);
}

static void test_unusable_key(void **state)
{
    struct child child = {.role = ROLE_SIGNER, .configuration = &configuration};

    (void)state;
    assert_int_equal(chmod(key_path, 0644), 0);
    assert_int_equal(signer_operations.prepare(&child), -1);
    assert_null(child.state);
    signer_operations.stop(&child); /* harmless */
    assert_int_equal(chmod(key_path, 0600), 0);
}

static int set_up_group(void **state)
{
    char error[256];

    (void)state;
    static const char *const excluded[] = {"bank.example"};
    struct authority_order order = {.certificate_path = certificate_path,
                                    .key_path = key_path,
                                    .excluded = excluded,
                                    .excluded_count = 1};

    if (!mkdtemp(folder))
        return -1;
    snprintf(certificate_path, sizeof(certificate_path), "%s/ca.crt", folder);
    snprintf(key_path, sizeof(key_path), "%s/ca.key", folder);
    configuration.ca_certificate = certificate_path;
    configuration.ca_key = key_path;
    configuration.leaf_lifetime = INT64_C(12) * HOUR * 1000;
    configuration.leaf_backdate = INT64_C(2) * HOUR * 1000;
    return authority_create(&order, error, sizeof(error));
}

static int tear_down_group(void **state)
{
    (void)state;
    unlink(certificate_path);
    unlink(key_path);
    return rmdir(folder);
}

#define SIGNER_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SIGNER_TEST(test_leaf),
        SIGNER_TEST(test_refusals),
        SIGNER_TEST(test_endless_name),
        SIGNER_TEST(test_hostile_requests),
        SIGNER_TEST(test_wrong_message),
        SIGNER_TEST(test_start_protects_the_key),
        SIGNER_TEST(test_drain_ends_the_loop),
        cmocka_unit_test(test_custody),
        cmocka_unit_test(test_unusable_key),
    };

    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
