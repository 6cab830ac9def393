/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels with TLS on them: handshakes of every sort, back-pressure, the ways to end. */
#include "tests/unit/certificate_recipe.h"
#include "tests/unit/channel_fixture.h"

#include <openssl/err.h>

#define SMALL 4096 /* bytes of a socket's buffer that is soon full */
#define MUCH  5000000

struct fixture {
    struct event_base *base;
    struct owner server, client;
    int server_fd, client_fd; /* until a channel has taken them: else -1 */
};

static SSL_CTX *server_context, *client_context;
static struct made root, leaf;
static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static int setup_group(void **state)
{
    (void)state;
    root = make(&usual_root, &usual_root, NULL, make_key(P256));
    leaf = make(&usual_leaf, &usual_leaf, &root, make_key(P256));
    /* Plain contexts: what a channel needs of OpenSSL it must set by itself. */
    server_context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server_context, leaf.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_context, leaf.key), 1);
    client_context = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context), root.certificate);
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
    return 0;
}

static int teardown_group(void **state)
{
    (void)state;
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    discard(&leaf);
    discard(&root);
    return 0;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int fds[2];

    fixture->base = event_base_new();
    stream_pair(fds, SMALL);
    fixture->server_fd = fds[0];
    fixture->client_fd = fds[1];
    *state = fixture;
    return 0;
}

static void close_bare(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Nothing open, a new pair of sockets. */
static void start_over(struct fixture *fixture)
{
    int fds[2];

    owner_close(&fixture->server);
    owner_close(&fixture->client);
    close_bare(&fixture->server_fd);
    close_bare(&fixture->client_fd);
    stream_pair(fds, SMALL);
    fixture->server_fd = fds[0];
    fixture->client_fd = fds[1];
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    owner_close(&fixture->server);
    owner_close(&fixture->client);
    close_bare(&fixture->server_fd);
    close_bare(&fixture->client_fd);
    assert_int_equal(event_base_get_num_events(fixture->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(fixture->base);
    ERR_clear_error();
    free(fixture);
    return 0;
}

static void open_owner(struct fixture *fixture, struct owner *owner, int *fd)
{
    owner_open(owner, fixture->base, *fd);
    *fd = -1;
}

static void start_tls(struct owner *owner, SSL *ssl, bool as_server)
{
    assert_non_null(ssl);
    owner->done = false;
    owner->in_call = true;
    channel_start_tls(owner->channel, ssl, as_server);
    owner->in_call = false;
    assert_ptr_equal(channel_ssl(owner->channel), ssl);
}

static void start_server(struct fixture *fixture)
{
    if (fixture->server.channel == NULL)
        open_owner(fixture, &fixture->server, &fixture->server_fd);
    start_tls(&fixture->server, SSL_new(server_context), true);
}

static void start_client(struct fixture *fixture, int version)
{
    SSL *ssl = SSL_new(client_context);

    if (version != 0)
        SSL_set_max_proto_version(ssl, version);
    SSL_set1_host(ssl, "www.example.jp");
    if (fixture->client.channel == NULL)
        open_owner(fixture, &fixture->client, &fixture->client_fd);
    start_tls(&fixture->client, ssl, false);
}

static void finish_handshakes(struct fixture *fixture)
{
    assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
    assert_true(loop_until(fixture->base, &fixture->server.done, LONG_ENOUGH));
    assert_int_equal(fixture->client.handshaken, 1);
    assert_int_equal(fixture->server.handshaken, 1);
    fixture->client.done = fixture->server.done = false;
}

static void shake_hands(struct fixture *fixture, int version)
{
    start_server(fixture);
    start_client(fixture, version);
    finish_handshakes(fixture);
    assert_int_equal(SSL_version(channel_ssl(fixture->client.channel)), version);
}

static void wait_for(struct fixture *fixture, struct owner *owner, size_t size)
{
    owner->wanted = size;
    owner->done = evbuffer_get_length(owner->input) >= size;
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
}

/* --- handshakes --- */

static void test_hello_world(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        start_over(fixture);
        shake_hands(fixture, versions[i]);
        owner_want_read(&fixture->server, true);
        owner_want_read(&fixture->client, true);
        owner_write(&fixture->client, "ping", 4);
        wait_for(fixture, &fixture->server, 4);
        check_input(&fixture->server, "ping", 4);
        owner_write(&fixture->server, "pong", 4);
        wait_for(fixture, &fixture->client, 4);
        check_input(&fixture->client, "pong", 4);
        /* the plaintext is counted */
        assert_int_equal(channel_bytes_read(fixture->client.channel), 4);
        assert_int_equal(channel_bytes_written(fixture->client.channel), 4);
        assert_int_equal(fixture->client.failed + fixture->server.failed, 0);
    }
}

/* What was wanted and written before the handshake is done right after it. */
static void test_early_birds(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        start_over(fixture);
        start_server(fixture);
        start_client(fixture, versions[i]);
        owner_want_read(&fixture->server, true);
        owner_want_read(&fixture->client, true);
        owner_write(&fixture->server, "welcome", 7);
        owner_write(&fixture->client, "request", 7);
        assert_int_equal(channel_pending(fixture->client.channel), 7);
        finish_handshakes(fixture);
        wait_for(fixture, &fixture->server, 7);
        wait_for(fixture, &fixture->client, 7);
        check_input(&fixture->server, "request", 7);
        check_input(&fixture->client, "welcome", 7);
    }
}

/* Reads so many bytes of the ClientHello as a flow does and gives them back for the handshake. */
static void read_hello(struct fixture *fixture, size_t wanted, uint8_t *hello, size_t *size)
{
    struct channel *channel = fixture->server.channel;
    int64_t end = clock_monotonic() + LONG_ENOUGH;

    *size = 0;
    while (*size < wanted && clock_monotonic() < end) {
        size_t got;
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        enum channel_result result = channel_read(channel, hello + *size, wanted - *size, &got);
        assert_true(result == CHANNEL_DATA || result == CHANNEL_AGAIN);
        *size += got;
        if (result == CHANNEL_AGAIN && *size > 0)
            break;
    }
    assert_true(*size > 0);
}

static void test_replayed_hello(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {1, 4, 5, 6, 43, 100, 4096};
    uint8_t hello[4096];
    size_t size;

    for (size_t i = 0; i < COUNT(versions); i++)
        for (size_t j = 0; j < COUNT(sizes); j++) {
            start_over(fixture);
            open_owner(fixture, &fixture->server, &fixture->server_fd);
            start_client(fixture, versions[i]);
            read_hello(fixture, sizes[j], hello, &size);
            assert_int_equal(hello[0], 22); /* handshake, RFC 8446, section 5.1 */
            channel_replay(fixture->server.channel, hello, size);
            start_server(fixture);
            finish_handshakes(fixture);
            owner_want_read(&fixture->server, true);
            owner_write(&fixture->client, "after", 5);
            wait_for(fixture, &fixture->server, 5);
            check_input(&fixture->server, "after", 5);
        }
}

/* The last bytes of a handshake and the first of the data, all read from the socket before. */
static void test_replay_beyond_the_handshake(void **state)
{
    struct fixture *fixture = *state;
    SSL *ssl = SSL_new(client_context);
    BIO *to_client = BIO_new(BIO_s_mem()), *from_client = BIO_new(BIO_s_mem());
    uint8_t bytes[8192];
    bool ended = false;

    SSL_set_bio(ssl, to_client, from_client);
    SSL_set_connect_state(ssl);
    SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    start_server(fixture);
    owner_want_read(&fixture->server, true);
    int size = BIO_read(from_client, bytes, sizeof(bytes));
    assert_int_equal(send(fixture->client_fd, bytes, (size_t)size, 0), size);
    loop_settle(fixture->base);
    struct evbuffer *seen = evbuffer_new();
    assert_true(drain(fixture->client_fd, seen, &ended) > 0);
    BIO_write(to_client, evbuffer_pullup(seen, -1), (int)evbuffer_get_length(seen));
    evbuffer_free(seen);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    assert_int_equal(SSL_write(ssl, "GET /", 5), 5);
    size = BIO_read(from_client, bytes, sizeof(bytes));
    channel_replay(fixture->server.channel, bytes, (size_t)size);
    /* a byte that wakes the channel; it belongs to a record that never becomes whole */
    assert_int_equal(send(fixture->client_fd, "\x17", 1, 0), 1);
    wait_for(fixture, &fixture->server, 5);
    assert_int_equal(fixture->server.handshaken, 1);
    check_input(&fixture->server, "GET /", 5);
    SSL_free(ssl);
}

/* A chain that the socket cannot take at once. */
static void test_long_chain(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        SSL *ssl = SSL_new(server_context);
        for (int link = 0; link < 60; link++)
            assert_int_equal(SSL_add1_chain_cert(ssl, root.certificate), 1);
        start_over(fixture);
        start_client(fixture, versions[i]);
        open_owner(fixture, &fixture->server, &fixture->server_fd);
        owner_want_read(&fixture->server, true);
        start_tls(&fixture->server, ssl, true);
        finish_handshakes(fixture);
        owner_write(&fixture->client, "ping", 4);
        wait_for(fixture, &fixture->server, 4);
    }
}

static void test_untrusted_certificate(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        start_over(fixture);
        start_server(fixture);
        start_client(fixture, versions[i]);
        SSL_set1_host(channel_ssl(fixture->client.channel), "www.example.com");
        assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
        assert_int_equal(fixture->client.failed, 1);
        assert_int_equal(fixture->client.handshaken, 0);
        assert_string_equal(channel_error(fixture->client.channel), "certificate verify failed");
        /* the other side is told by an alert: in TLS 1.3 when it had thought that all was well */
        fixture->server.done = false;
        owner_want_read(&fixture->server, true);
        assert_true(loop_until(fixture->base, &fixture->server.done, LONG_ENOUGH));
        if (versions[i] == TLS1_2_VERSION) {
            assert_int_equal(fixture->server.failed, 1);
            assert_non_null(strstr(channel_error(fixture->server.channel), "alert"));
        } else {
            assert_true(fixture->server.failed || fixture->server.broken);
        }
        loop_settle(fixture->base);
        assert_int_equal(fixture->client.failed, 1);
    }
}

/* A peer that leaves at any point of the handshake, or speaks no TLS. */
static void test_broken_handshakes(void **state)
{
    struct fixture *fixture = *state;
    static const char http[] = "GET / HTTP/1.1\r\nHost: www.example.jp\r\n\r\n";
    uint8_t hello[4096];
    size_t size;

    open_owner(fixture, &fixture->server, &fixture->server_fd);
    start_client(fixture, 0);
    read_hello(fixture, sizeof(hello), hello, &size);
    for (size_t cut = 0; cut <= size + 1; cut += cut == 0 || cut == size ? 1 : size / 4) {
        start_over(fixture);
        start_server(fixture);
        if (cut > size) {
            assert_int_equal(send(fixture->client_fd, http, sizeof(http) - 1, 0), sizeof(http) - 1);
        } else {
            assert_int_equal(send(fixture->client_fd, hello, cut, 0), cut);
            loop_settle(fixture->base);
            assert_false(fixture->server.done);
            close_bare(&fixture->client_fd);
        }
        assert_true(loop_until(fixture->base, &fixture->server.done, LONG_ENOUGH));
        assert_int_equal(fixture->server.failed, 1);
        assert_int_equal(fixture->server.handshaken, 0);
        if (cut < size)
            assert_string_equal(channel_error(fixture->server.channel), "the peer closed");
        if (cut > size)
            assert_string_equal(channel_error(fixture->server.channel), "http request");
        owner_want_read(&fixture->server, true);
        loop_settle(fixture->base);
        assert_int_equal(fixture->server.failed, 1);
    }
}

static void test_abandoned_handshakes(void **state)
{
    struct fixture *fixture = *state;

    /* freed, finished and reset by the owner, and freed in the handler; finished and told of it */
    for (int way = 0; way < 6; way++) {
        start_over(fixture);
        start_server(fixture);
        if (way != 1)
            start_client(fixture, 0);
        if (way == 0)
            owner_close(&fixture->server);
        event_base_loop(fixture->base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* a step, no more */
        if (way == 1)
            owner_finish(&fixture->server);
        if (way == 2) {
            channel_reset(fixture->server.channel);
            fixture->server.channel = NULL;
        }
        if (way == 5) {
            owner_finish_and_tell(&fixture->server);
            loop_settle(fixture->base);
            assert_int_equal(fixture->server.finished, 1);
            owner_close(&fixture->server);
        }
        if (way == 3 || way == 4) {
            fixture->client.frees = true;
            fixture->client.free_on = way == 3 ? CHANNEL_HANDSHAKEN : CHANNEL_FAILED;
            if (way == 4)
                SSL_set1_host(channel_ssl(fixture->client.channel), "www.example.com");
        }
        if (way != 1)
            assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
        loop_settle(fixture->base);
        assert_int_equal(fixture->client.failed, way == 0 || way == 2 || way == 5);
    }
}

/* --- data --- */

static void test_back_pressure_both_ways(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *up = noise(MUCH, 11), *down = noise(MUCH, 12);

    for (size_t i = 0; i < COUNT(versions); i++) {
        size_t written = 0;
        start_over(fixture);
        shake_hands(fixture, versions[i]);
        /* in pieces that grow, so that what waits moves in memory between two attempts */
        for (size_t piece = 1; written < MUCH; piece = piece * 2 + 1) {
            size_t size = piece < MUCH - written ? piece : MUCH - written;
            owner_write(&fixture->client, up + written, size);
            owner_write(&fixture->server, down + written, size);
            written += size;
            event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        }
        assert_true(channel_pending(fixture->client.channel) > 0);
        owner_want_read(&fixture->server, true);
        owner_want_read(&fixture->client, true);
        wait_for(fixture, &fixture->server, MUCH);
        wait_for(fixture, &fixture->client, MUCH);
        check_input(&fixture->server, up, MUCH);
        check_input(&fixture->client, down, MUCH);
        loop_settle(fixture->base);
        assert_int_equal(channel_pending(fixture->client.channel), 0);
        assert_true(fixture->client.drained > 0);
        assert_int_equal(channel_bytes_written(fixture->client.channel), MUCH);
        assert_int_equal(channel_bytes_read(fixture->client.channel), MUCH);
        assert_int_equal(fixture->client.failed + fixture->server.failed, 0);
    }
    free(up);
    free(down);
}

/* A pause in the middle of a record: the socket is empty, the rest comes when it is wanted. */
static void test_pause_in_a_record(void **state)
{
    struct fixture *fixture = *state;
    struct owner *server = &fixture->server;

    shake_hands(fixture, TLS1_3_VERSION);
    server->piece = 3;
    server->one_read = true;
    owner_want_read(server, true);
    owner_write(&fixture->client, "0123456789", 10);
    wait_for(fixture, server, 1);
    for (size_t size = 3; size < 10; size += 3) {
        owner_want_read(server, false);
        loop_settle(fixture->base);
        assert_int_equal(evbuffer_get_length(server->input), size);
        owner_want_read(server, true);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    }
    check_input(server, "0123456789", 10);
    /* given back under TLS */
    channel_unread(server->channel, "89", 2);
    owner_want_read(server, true);
    wait_for(fixture, server, 12);
    check_input(server, "012345678989", 12);
}

/* --- the end --- */

static void test_orderly_end(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        start_over(fixture);
        shake_hands(fixture, versions[i]);
        owner_want_read(&fixture->client, true);
        owner_write(&fixture->server, "whole", 5);
        owner_finish(&fixture->server);
        assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
        check_input(&fixture->client, "whole", 5);
        assert_true(fixture->client.ended);
        assert_false(fixture->client.broken);
        owner_close(&fixture->client);
        loop_settle(fixture->base);
    }
}

/* Without a close_notify nobody knows whether that was all: RFC 8446, section 6.1. */
static void test_truncation(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++)
        for (int way = 0; way < 3; way++) {
            start_over(fixture);
            shake_hands(fixture, versions[i]);
            owner_want_read(&fixture->client, true);
            owner_write(&fixture->server, "part", 4);
            wait_for(fixture, &fixture->client, 4);
            fixture->client.done = false;
            fixture->client.wanted = 0;
            if (way == 1) /* in the middle of a record */
                assert_int_equal(
                    send(channel_fd(fixture->server.channel), "\x17\x03\x03\x00\x50half", 9, 0), 9);
            if (way == 2) { /* the half-close is no better than the whole */
                shutdown(channel_fd(fixture->server.channel), SHUT_WR);
            } else {
                channel_free(fixture->server.channel);
                fixture->server.channel = NULL;
            }
            assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
            assert_true(fixture->client.broken);
            assert_false(fixture->client.ended);
            check_input(&fixture->client, "part", 4);
        }
}

static void test_altered_record(void **state)
{
    struct fixture *fixture = *state;

    shake_hands(fixture, TLS1_3_VERSION);
    owner_want_read(&fixture->client, true);
    assert_int_equal(send(channel_fd(fixture->server.channel),
                          "\x17\x03\x03\x00\x18the rest is no such data", 29, 0),
                     29);
    assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
    assert_true(fixture->client.broken);
    check_input(&fixture->client, "", 0);
}

/* However full the socket is when all has been written: the close_notify comes too. */
static void test_goodbye_into_a_full_socket(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(40000, 13);

    for (size_t size = 500; size <= 40000; size += 487) {
        size_t rest = 0;
        start_over(fixture);
        shake_hands(fixture, TLS1_2_VERSION);
        struct channel *server = fixture->server.channel;
        /* as much as the socket takes, in pieces so small that it ends up quite full */
        while (rest < size && channel_pending(server) == 0) {
            size_t piece = size - rest < 97 ? size - rest : 97;
            owner_write(&fixture->server, bytes + rest, piece);
            rest += piece;
        }
        owner_finish(&fixture->server);
        loop_settle(fixture->base);
        owner_want_read(&fixture->client, true);
        assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
        check_input(&fixture->client, bytes, rest);
        assert_true(fixture->client.ended);
        owner_close(&fixture->client);
        loop_settle(fixture->base);
    }
    free(bytes);
}

static void test_failure_is_told(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(versions); i++) {
        start_over(fixture);
        shake_hands(fixture, versions[i]);
        owner_write(&fixture->server, "last words", 10);
        channel_free(fixture->server.channel);
        fixture->server.channel = NULL;
        owner_write(&fixture->client, "x", 1);
        assert_int_equal(fixture->client.failed, 0);
        owner_want_read(&fixture->client, false);
        assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
        assert_int_equal(fixture->client.failed, 1);
        assert_string_equal(channel_error(fixture->client.channel), strerror(EPIPE));
        /* what came before is still there to be read */
        owner_read(&fixture->client);
        check_input(&fixture->client, "last words", 10);
        assert_true(fixture->client.broken);
    }
}

/* Whoever verifies is not ready: the handshake waits, however long, and asks again when it goes on.
 */
static unsigned verifications, unready;

static int verify_later(X509_STORE_CTX *context, void *argument)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());

    (void)argument;
    verifications++;
    if (unready == 0)
        return X509_verify_cert(context);
    unready--;
    return (int)SSL_set_retry_verify(ssl);
}

static void test_pause(void **state)
{
    struct fixture *fixture = *state;
    SSL_CTX *patient = SSL_CTX_new(TLS_client_method());

    X509_STORE_add_cert(SSL_CTX_get_cert_store(patient), root.certificate);
    SSL_CTX_set_verify(patient, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(patient, verify_later, NULL);
    for (size_t i = 0; i < COUNT(versions); i++)
        for (unsigned pauses = 1; pauses < 4; pauses++) {
            SSL *ssl = SSL_new(patient);
            SSL_set_max_proto_version(ssl, versions[i]);
            start_over(fixture);
            open_owner(fixture, &fixture->server, &fixture->server_fd);
            open_owner(fixture, &fixture->client, &fixture->client_fd);
            verifications = 0;
            unready = pauses;
            start_tls(&fixture->server, SSL_new(server_context), true);
            start_tls(&fixture->client, ssl, false);
            for (unsigned turn = 1; turn <= pauses; turn++) {
                assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
                assert_int_equal(fixture->client.paused, turn);
                loop_for(fixture->base, 20);
                assert_int_equal(verifications, turn); /* and no more by itself */
                fixture->client.done = false;
                channel_resume(fixture->client.channel);
            }
            assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
            assert_int_equal(fixture->client.handshaken, 1);
            assert_int_equal(verifications, pauses + 1);
        }
    /* One that is given up in the pause. */
    start_over(fixture);
    open_owner(fixture, &fixture->server, &fixture->server_fd);
    open_owner(fixture, &fixture->client, &fixture->client_fd);
    unready = 1;
    start_tls(&fixture->server, SSL_new(server_context), true);
    start_tls(&fixture->client, SSL_new(patient), false);
    assert_true(loop_until(fixture->base, &fixture->client.done, LONG_ENOUGH));
    assert_int_equal(fixture->client.paused, 1);
    channel_free(fixture->client.channel);
    fixture->client.channel = NULL;
    assert_true(loop_until(fixture->base, &fixture->server.done, LONG_ENOUGH));
    assert_int_equal(fixture->server.failed, 1);
    SSL_CTX_free(patient);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hello_world),
        TEST(test_early_birds),
        TEST(test_replayed_hello),
        TEST(test_replay_beyond_the_handshake),
        TEST(test_long_chain),
        TEST(test_untrusted_certificate),
        TEST(test_broken_handshakes),
        TEST(test_abandoned_handshakes),
        TEST(test_back_pressure_both_ways),
        TEST(test_pause),
        TEST(test_pause_in_a_record),
        TEST(test_orderly_end),
        TEST(test_truncation),
        TEST(test_altered_record),
        TEST(test_goodbye_into_a_full_socket),
        TEST(test_failure_is_told),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
