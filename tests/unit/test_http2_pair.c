/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends of the HTTP/2 adapter against each other in memory: messages of every shape, windows,
 * resets, GOAWAY.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/http2_fixture.h"

struct pair {
    struct http2 *client, *server;
    struct recorder from_server, from_client; /* what the client and what the server was told */
};

static void pair_open(struct pair *pair, const struct http2_options *options)
{
    memset(pair, 0, sizeof(*pair));
    pair->client = recorded_new(false, *options, &pair->from_server);
    pair->server = recorded_new(true, *options, &pair->from_client);
    pump(pair->client, pair->server);
}

static void pair_close(struct pair *pair)
{
    http2_free(pair->client);
    http2_free(pair->server);
    recorder_clear(&pair->from_server);
    recorder_clear(&pair->from_client);
}

static struct http2_stream *request(struct pair *pair, const char *method, bool end)
{
    struct http2_head head = request_head(method, end);
    struct http2_stream *stream = http2_send_request(pair->client, &head, NULL);
    assert_non_null(stream);
    pump(pair->client, pair->server);
    return stream;
}

static void respond(struct http2_stream *stream, unsigned status, bool end)
{
    struct http2_head head = {.status = status, .end = end};
    http2_send_response(stream, &head);
}

/* --- messages --- */

static void test_heads_are_kept(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    static const struct field FIELDS[] = {
        {{"User-Agent", 10}, {"test", 4}},
        {{"host", 4}, {"other.jp", 8}},
        {{"Connection", 10}, {"close, x", 8}},
        {{"Keep-Alive", 10}, {"1", 1}},
        {{"Transfer-Encoding", 17}, {"chunked", 7}},
        {{"Upgrade", 7}, {"h2c", 3}},
        {{"Proxy-Authorization", 19}, {"Basic eDp5", 10}},
        {{"TE", 2}, {"gzip", 4}},
        {{"te", 2}, {"trailers", 8}},
        {{"Cookie", 6}, {"a=1; b=2;  c ; d;e; ", 20}},
        {{"content-length", 14}, {"0", 1}},
    };
    struct http2_head head = request_head("POST", true);
    head.fields = FIELDS;
    head.field_count = sizeof(FIELDS) / sizeof(FIELDS[0]);
    memcpy(head.host, "2001:db8::1", 12);
    head.port = 8443;
    head.sensitive = true;
    assert_non_null(http2_send_request(pair.client, &head, NULL));
    pump(pair.client, pair.server);
    /* the space at the end is not one that HTTP/2 carries: whoever parsed it has trimmed it */
    assert_string_equal(recorded(&pair.from_client, 1), "REFUSED 1 invalid field\n");
    struct field trimmed[sizeof(FIELDS) / sizeof(FIELDS[0])];
    memcpy(trimmed, FIELDS, sizeof(FIELDS));
    trimmed[9].value.size -= 1;
    head.fields = trimmed;
    assert_non_null(http2_send_request(pair.client, &head, NULL));
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_client, 3),
                        "HEAD POST https host=2001:db8::1:8443 path=/ length=0 sensitive end\n"
                        " user-agent: test\n te: trailers\n cookie: a=1; b=2;  c ; d;e;\n"
                        " content-length: 0\nEND\n");
    pair_close(&pair);
}

static void test_response_shapes(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    struct http2_stream *client = request(&pair, "GET", true);
    struct http2_stream *server = pair.from_client.streams[1];
    struct http2_head interim = {.status = 103};
    http2_send_body(server, SPAN("before the head: not sent"));
    http2_send_interim(server, &interim);
    interim.status = 100;
    http2_send_interim(server, &interim);
    respond(server, 200, false);
    http2_send_interim(server, &interim); /* too late */
    respond(server, 500, true);
    http2_send_body(server, SPAN("one "));
    pump(pair.client, pair.server);
    struct evbuffer *more = evbuffer_new();
    evbuffer_add(more, "two", 3);
    http2_send_buffer(server, more);
    evbuffer_free(more);
    struct field trailer[] = {{SPAN("Checksum"), SPAN("7")}, {SPAN("Connection"), SPAN("close")}};
    http2_send_trailer(server, trailer, 2);
    http2_send_end(server);
    http2_send_body(server, SPAN("after the end: not sent"));
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_server, 1),
                        "INTERIM 103\nINTERIM 100\nHEAD 200\nBODY one two\n"
                        "TRAILER\n checksum: 7\nEND\nCLOSED\n");
    assert_int_equal(pair.from_client.closed, 1);
    assert_int_equal(pair.from_client.sent, 7);
    assert_true(http2_is_idle(pair.client));
    assert_true(http2_is_idle(pair.server));
    (void)client;
    /* nothing but trailers after the head; and nothing at all */
    request(&pair, "GET", true);
    respond(pair.from_client.streams[3], 200, false);
    http2_send_trailer(pair.from_client.streams[3], trailer, 1);
    request(&pair, "HEAD", true);
    respond(pair.from_client.streams[5], 200, true);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_server, 3),
                        "HEAD 200\nTRAILER\n checksum: 7\nEND\nCLOSED\n");
    assert_string_equal(recorded(&pair.from_server, 5), "HEAD 200 end\nEND\nCLOSED\n");
    pair_close(&pair);
}

static void test_extended_connect(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    assert_false(http2_peer_allows_connect_protocol(pair.client));
    http2_allow_connect_protocol(pair.server);
    pump(pair.client, pair.server);
    assert_true(http2_peer_allows_connect_protocol(pair.client));
    assert_int_equal(pair.from_server.settings, 2);
    struct http2_head head = request_head("CONNECT", false);
    head.protocol = SPAN("websocket");
    struct http2_stream *client = http2_send_request(pair.client, &head, NULL);
    pump(pair.client, pair.server);
    struct http2_stream *server = pair.from_client.streams[1];
    respond(server, 200, false);
    http2_send_body(server, SPAN("hello"));
    http2_send_body(client, SPAN("world"));
    pump(pair.client, pair.server);
    http2_send_end(client);
    http2_send_end(server);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_client, 1),
                        "HEAD CONNECT https host=example.jp:0 path=/ protocol=websocket\n"
                        "BODY world\nEND\nCLOSED\n");
    assert_string_equal(recorded(&pair.from_server, 1), "HEAD 200\nBODY hello\nEND\nCLOSED\n");
    pair_close(&pair);
}

/* --- windows --- */

static void test_windows(void **state)
{
    (void)state;
    struct http2_options options = HTTP2_DEFAULTS;
    options.stream_window = 100000;
    options.connection_window = 180000;
    static char block[300000];
    struct pair pair;
    pair_open(&pair, &options);
    pair.from_client.keeps = true;
    struct http2_stream *streams[3];
    for (size_t i = 0; i < 3; i++) {
        streams[i] = request(&pair, "POST", false);
        assert_int_equal(http2_stream_room(streams[i]), 65536);
        http2_send_body(streams[i], (struct span){block, sizeof(block)});
        http2_send_end(streams[i]);
        assert_int_equal(http2_stream_room(streams[i]), 0);
        pump(pair.client, pair.server);
    }
    /* the full window of one stream, then the rest of the connection's */
    assert_int_equal(pair.from_client.body, 180000);
    assert_int_equal(pair.from_server.sent, 180000);
    assert_int_equal(http2_stream_queued(streams[0]), 200000);
    assert_int_equal(http2_stream_queued(streams[1]), 220000);
    assert_int_equal(http2_stream_queued(streams[2]), 300000);
    /* more than there is to give back gives no more */
    http2_consume_body(pair.from_client.streams[1], SIZE_MAX);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.body, 280000);
    http2_consume_body(pair.from_client.streams[1], 0);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.body, 280000);
    /* a stream that is released gives back to the connection what it kept */
    http2_release_stream(pair.from_client.streams[3], HTTP2_CANCEL);
    size_t of_second = evbuffer_get_length(pair.from_client.text[3]);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_server.resets, 1);
    assert_int_equal(pair.from_server.code, HTTP2_CANCEL);
    assert_int_equal(evbuffer_get_length(pair.from_client.text[3]), of_second);
    pair.from_client.keeps = false;
    http2_consume_body(pair.from_client.streams[1], SIZE_MAX);
    http2_consume_body(pair.from_client.streams[5], SIZE_MAX);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.ends, 2);
    for (size_t id = 1; id <= 5; id += 4)
        assert_in_range(evbuffer_get_length(pair.from_client.text[id]), 300000, 300100);
    pair_close(&pair);
}

/* http2_pull() keeps to its limit, and to the order of the bytes. */
static void test_pull_limit(void **state)
{
    (void)state;
    static char block[200000];
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    request(&pair, "GET", true);
    struct http2_stream *server = pair.from_client.streams[1];
    respond(server, 200, false);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)('a' + i % 23);
    http2_send_body(server, (struct span){block, sizeof(block)});
    http2_send_end(server);
    struct evbuffer *out = evbuffer_new();
    while (http2_wants_pull(pair.server)) {
        size_t before = evbuffer_get_length(out);
        http2_pull(pair.server, out, 1000);
        assert_in_range(evbuffer_get_length(out) - before, 1, 1000 + 16384 + 9);
        memset(http2_frame_buffer, 0xa5, HTTP2_FRAME_BUFFER);
    }
    size_t size = evbuffer_get_length(out);
    http2_feed(pair.client, evbuffer_pullup(out, -1), size, 0);
    const char *text = recorded(&pair.from_server, 1);
    assert_memory_equal(text, "HEAD 200\nBODY ", 14);
    assert_memory_equal(text + 14, block, sizeof(block));
    evbuffer_free(out);
    pair_close(&pair);
}

/* A body is dropped by an early answer, and the client is told to stop. */
static void test_stop(void **state)
{
    (void)state;
    static char block[3 << 20];
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    pair.from_client.keeps = true;
    struct http2_stream *client = request(&pair, "POST", false);
    http2_send_body(client, (struct span){block, sizeof(block)});
    carry(pair.client, pair.server, 50000);
    struct http2_stream *server = pair.from_client.streams[1];
    respond(server, 403, false);
    http2_send_body(server, SPAN("blocked"));
    http2_send_end(server);
    http2_stop_stream(server);
    size_t body = pair.from_client.body;
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.body, body);
    assert_int_equal(pair.from_client.closed, 1);
    assert_string_equal(recorded(&pair.from_server, 1),
                        "HEAD 403\nBODY blocked\nEND\nRESET 0 no error\n");
    /* the window is whole again: another stream can fill its own */
    struct http2_options options = HTTP2_DEFAULTS;
    client = request(&pair, "POST", false);
    http2_send_body(client, (struct span){block, sizeof(block)});
    body = pair.from_client.body;
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.body - body, options.stream_window);
    pair_close(&pair);
}

/* --- resets, GOAWAY --- */

static void test_resets(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    struct http2_stream *client = request(&pair, "POST", false);
    http2_send_body(client, SPAN("some"));
    pump(pair.client, pair.server);
    http2_send_body(client, SPAN("lost"));
    http2_release_stream(client, HTTP2_CANCEL);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_client, 1),
                        "HEAD POST https host=example.jp:0 path=/\nBODY some\nRESET 8 no error\n");
    request(&pair, "POST", false);
    http2_release_stream(pair.from_client.streams[3], HTTP2_HTTP_1_1_REQUIRED);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_server, 3), "RESET 13 no error\n");
    /* before it left at all */
    struct http2_head head = request_head("GET", true);
    client = http2_send_request(pair.client, &head, NULL);
    http2_release_stream(client, HTTP2_CANCEL);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_client.heads, 2);
    assert_true(http2_is_idle(pair.client));
    assert_true(http2_is_idle(pair.server));
    pair_close(&pair);
}

static void test_goaway(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    request(&pair, "GET", true);
    http2_announce_drain(pair.server);
    struct http2_head head = request_head("GET", true);
    assert_non_null(http2_send_request(pair.client, &head, NULL)); /* crosses the GOAWAY */
    carry(pair.client, pair.server, 65536);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_server.goaways, 1);
    assert_null(http2_send_request(pair.client, &head, NULL));
    http2_drain(pair.server);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_server, 0), "GOAWAY 2147483647 0\nGOAWAY 3 0\n");
    for (size_t id = 1; id <= 3; id += 2)
        respond(pair.from_client.streams[id], 200, true);
    pump(pair.client, pair.server);
    assert_int_equal(pair.from_server.closed, 2);
    assert_true(http2_is_over(pair.client));
    pair_close(&pair);
}

/* What is above the last stream of a GOAWAY may be tried again, and is said to be so. */
static void test_goaway_refuses(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    request(&pair, "GET", true);
    http2_drain(pair.server);
    struct http2_head head = request_head("GET", true);
    assert_non_null(http2_send_request(pair.client, &head, NULL));
    struct evbuffer *lost = evbuffer_new();
    http2_pull(pair.client, lost, 65536);                          /* never arrives */
    assert_non_null(http2_send_request(pair.client, &head, NULL)); /* still here */
    pump(pair.server, pair.client);
    assert_string_equal(recorded(&pair.from_server, 3), "RESET 7 no error\n");
    assert_string_equal(recorded(&pair.from_server, 5), "RESET 7 could not be sent\n");
    assert_int_equal(pair.from_server.resets, 2);
    evbuffer_free(lost);
    pair_close(&pair);
}

static void test_terminate(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    request(&pair, "GET", true);
    http2_terminate(pair.server, HTTP2_INADEQUATE_SECURITY);
    pump(pair.client, pair.server);
    assert_string_equal(recorded(&pair.from_server, 0), "GOAWAY 1 12\n");
    assert_int_equal(pair.from_client.errors, 0);
    assert_true(http2_is_over(pair.server));
    pair_close(&pair);
}

/* What an idle connection holds, both ends of the gateway together. (Under a sanitizer the
 * allocator counts nothing.) */
static void test_idle_memory(void **state)
{
    (void)state;
    struct pair pairs[8];
    for (size_t i = 0; i < 8; i++) {
        pair_open(&pairs[i], &HTTP2_DEFAULTS);
        pair_close(&pairs[i]);
    }
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < 8; i++) {
        pair_open(&pairs[i], &HTTP2_DEFAULTS);
        recorder_clear(&pairs[i].from_client);
        recorder_clear(&pairs[i].from_server);
    }
    size_t each = (mallinfo2().uordblks - before) / 8;
    printf("an idle pair holds %zu bytes\n", each);
    assert_in_range(each, 0, 26000);
    for (size_t i = 0; i < 8; i++)
        pair_close(&pairs[i]);
}

/* A head of the full size passes: what is taken from one side can be given to the other. */
static void test_largest_head(void **state)
{
    (void)state;
    static char value[16000];
    struct field fields[4];
    struct pair pair;
    pair_open(&pair, &HTTP2_DEFAULTS);
    memset(value, '\xff', sizeof(value)); /* the worst for Huffman */
    for (size_t i = 0; i < 4; i++)
        fields[i] = (struct field){SPAN("x"), {value, sizeof(value)}};
    struct http2_head head = request_head("GET", true);
    head.fields = fields;
    head.field_count = 4;
    for (unsigned limit = 65536; limit > 0; limit /= 256) {
        assert_non_null(http2_send_request(pair.client, &head, NULL));
        while (carry(pair.client, pair.server, limit))
            continue;
    }
    assert_int_equal(pair.from_client.heads, 3);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_are_kept),   cmocka_unit_test(test_response_shapes),
        cmocka_unit_test(test_extended_connect), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_pull_limit),       cmocka_unit_test(test_stop),
        cmocka_unit_test(test_resets),           cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_goaway_refuses),   cmocka_unit_test(test_terminate),
        cmocka_unit_test(test_largest_head),     cmocka_unit_test(test_idle_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
