/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the HTTP/2 adapter bears of a peer that makes it work for nothing, and when it stops:
 * resets, empty frames, heads without end, questions whose answers are not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/http2_fixture.h"

/*
 * Feeds what `add` makes, again and again, a second between every `per_second`, until the adapter
 * gives up or `rounds` are over. How many it bore.
 */
static unsigned flood(struct http2 *server, struct recorder *recorder, unsigned rounds,
                      unsigned per_second, bool pull, void (*add)(struct evbuffer *, uint32_t))
{
    struct evbuffer *bytes = bytes_new(true), *out = evbuffer_new();
    headers_add(bytes, END_HEADERS, 1, GET);
    unsigned i;
    for (i = 0; i < rounds && recorder->errors == 0; i++) {
        add(bytes, 3 + 2 * i);
        size_t size = evbuffer_get_length(bytes);
        http2_feed(server, evbuffer_pullup(bytes, -1), size, (int64_t)(i / per_second) * 1000);
        evbuffer_drain(bytes, size);
        if (pull) {
            http2_pull(server, out, 65536);
            evbuffer_drain(out, evbuffer_get_length(out));
        }
    }
    evbuffer_free(bytes);
    evbuffer_free(out);
    return i;
}

static void flood_connection(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add(bytes, PING, 0, 0, "12345678", 8);
}
static void flood_settings(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add(bytes, SETTINGS, 0, 0, "\0\x04\0\0\x40\0", 6);
}
static void flood_data(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add(bytes, DATA, 0, 1, "", 0);
}
static void flood_windows(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add_number(bytes, WINDOW_UPDATE, 1, 1);
}
static void flood_priority(struct evbuffer *bytes, uint32_t id)
{
    frame_add(bytes, PRIORITY, 0, id % 65536, "\0\0\0\0\x10", 5);
}
static void flood_unknown(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add(bytes, 0x77, 0, 0, "", 0);
}

static void flood_padding(struct evbuffer *bytes, uint32_t id)
{
    (void)id;
    frame_add(bytes, DATA, PADDED, 1, "\x03\0\0\0", 4);
}

static void test_frame_floods(void **state)
{
    (void)state;
    static void (*const FLOODS[])(struct evbuffer *, uint32_t) = {
        flood_connection, flood_settings, flood_data,   flood_windows,
        flood_priority,   flood_unknown,  flood_padding};
    for (size_t i = 0; i < sizeof(FLOODS) / sizeof(FLOODS[0]); i++) {
        struct http2_options options = small_options();
        options.nothing = (struct http2_allowance){.burst = 200, .rate = 10};
        struct recorder recorder = {.keeps = true};
        struct http2 *server = recorded_new(true, options, &recorder);
        unsigned borne = flood(server, &recorder, 1000, 1000, true, FLOODS[i]);
        if (borne < 190 || borne > 210)
            fail_msg("flood %zu: %u", i, borne);
        assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(recorder.error, HTTP2_ERROR_FRAME_FLOOD);
        http2_free(server);
        recorder_clear(&recorder);
        /* the same, no faster than the rate: borne */
        server = recorded_new(true, options, &recorder);
        assert_int_equal(flood(server, &recorder, 1000, 8, true, FLOODS[i]), 1000);
        assert_int_equal(recorder.errors, 0);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* Who asks and does not read the answers. */
static void test_answer_floods(void **state)
{
    (void)state;
    static void (*const FLOODS[])(struct evbuffer *, uint32_t) = {flood_connection, flood_settings};
    for (size_t i = 0; i < 2; i++) {
        struct recorder recorder = {0};
        struct http2 *server = recorded_new(true, small_options(), &recorder);
        unsigned borne = flood(server, &recorder, 1000, 1000, false, FLOODS[i]);
        assert_in_range(borne, 90, 110);
        assert_int_equal(recorder.error, HTTP2_ERROR_ANSWER_FLOOD);
        assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* RFC 9113 section 10.5, CVE-2023-44487. */
static void flood_reset(struct evbuffer *bytes, uint32_t id)
{
    headers_add(bytes, END_HEADERS | END_STREAM, id, GET);
    frame_add_number(bytes, RST_STREAM, id, HTTP2_CANCEL);
}
/* The same without a RST_STREAM of the client's own. */
static void flood_malformed(struct evbuffer *bytes, uint32_t id)
{
    headers_add(bytes, END_HEADERS | END_STREAM, id, ":method=GET\n");
}
static void flood_zero_window(struct evbuffer *bytes, uint32_t id)
{
    headers_add(bytes, END_HEADERS | END_STREAM, id, GET);
    frame_add_number(bytes, WINDOW_UPDATE, id, INT32_MAX);
}
static void flood_large(struct evbuffer *bytes, uint32_t id)
{
    char lines[500] = GET "x=";
    memset(lines + strlen(lines), 'a', 350);
    headers_add(bytes, END_HEADERS, id, lines);
}

static void test_reset_floods(void **state)
{
    (void)state;
    static void (*const FLOODS[])(struct evbuffer *, uint32_t) = {flood_reset, flood_malformed,
                                                                  flood_zero_window, flood_large};
    for (size_t i = 0; i < sizeof(FLOODS) / sizeof(FLOODS[0]); i++) {
        struct http2_options options = small_options();
        options.resets = (struct http2_allowance){.burst = 50, .rate = 5};
        struct recorder recorder = {0};
        struct http2 *server = recorded_new(true, options, &recorder);
        unsigned borne = flood(server, &recorder, 200, 1000, true, FLOODS[i]);
        assert_in_range(borne, 49, 53);
        assert_int_equal(recorder.error, HTTP2_ERROR_RESET_FLOOD);
        assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
        http2_free(server);
        recorder_clear(&recorder);
        server = recorded_new(true, options, &recorder);
        assert_int_equal(flood(server, &recorder, 200, 4, true, FLOODS[i]), 200);
        assert_int_equal(recorder.errors, 0);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* Heads on a stream that we have reset are decoded all the same: they are not free either. */
static void flood_stray(struct evbuffer *bytes, uint32_t id)
{
    headers_add(bytes, END_HEADERS, 3, id == 3 ? ":method=GET\n" : GET);
}
/* The same on streams of which nobody remembers that they were never opened. */
static void flood_below(struct evbuffer *bytes, uint32_t id)
{
    if (id > 3)
        headers_add(bytes, END_HEADERS | END_STREAM, id, GET);
    else
        for (uint32_t opened = 40001; opened < 40001 + 2 * 70; opened += 2)
            headers_add(bytes, END_HEADERS | END_STREAM, opened, GET);
}

static void test_stray_heads(void **state)
{
    (void)state;
    static void (*const FLOODS[])(struct evbuffer *, uint32_t) = {flood_stray, flood_below};
    for (size_t i = 0; i < sizeof(FLOODS) / sizeof(FLOODS[0]); i++) {
        struct http2_options options = small_options();
        options.resets = (struct http2_allowance){.burst = 50, .rate = 5};
        struct recorder recorder = {0};
        struct http2 *server = recorded_new(true, options, &recorder);
        assert_in_range(flood(server, &recorder, 200, 1000, true, FLOODS[i]), 49, 53);
        assert_int_equal(recorder.error, HTTP2_ERROR_FRAME_FLOOD);
        assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
        http2_free(server);
        recorder_clear(&recorder);
        server = recorded_new(true, options, &recorder);
        assert_int_equal(flood(server, &recorder, 200, 4, true, FLOODS[i]), 200);
        assert_int_equal(recorder.errors, 0);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* Streams above the limit, from one that does not read that they are refused. */
static void flood_streams(struct evbuffer *bytes, uint32_t id)
{
    headers_add(bytes, END_HEADERS | END_STREAM, id, GET);
}

static void test_unread_refusals(void **state)
{
    (void)state;
    struct recorder recorder = {0};
    struct http2_options options = small_options();
    options.streams = 1;
    struct http2 *server = recorded_new(true, options, &recorder);
    unsigned borne = flood(server, &recorder, 10000, 100000, false, flood_streams);
    assert_in_range(borne, 1000, 4100);
    assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
    http2_free(server);
    recorder_clear(&recorder);
}

/* CVE-2024-27316 and its kin: a head that does not end. */
static void test_continuation_flood(void **state)
{
    (void)state;
    static char block[16000];
    for (size_t size = 0; size < 2; size++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *server = recorded_new(true, small_options(), &recorder);
        struct evbuffer *bytes = bytes_new(true);
        memset(block, 0x82, sizeof(block)); /* :method GET, 16000 times in each */
        frame_add(bytes, HEADERS, 0, 1, "\x82", 1);
        for (int i = 0; i < 100; i++)
            frame_add(bytes, CONTINUATION, 0, 1, block, size * sizeof(block));
        feed(server, bytes, 0, 0);
        assert_int_equal(recorder.errors, 1);
        assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
        assert_true(pulled(server, GOAWAY, &frame));
        evbuffer_free(bytes);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* An entry of the table named again and again: a small head that unfolds into a large one. */
static void test_compression_bomb(void **state)
{
    (void)state;
    static char block[16000];
    struct recorder recorder = {0};
    struct frame frame;
    char value[250];
    struct http2 *server = recorded_new(true, HTTP2_DEFAULTS, &recorder);
    struct evbuffer *bytes = bytes_new(true), *head = evbuffer_new();
    memset(value, 'v', sizeof(value));
    hpack_add_lines(head, GET);
    evbuffer_add(head, "\x40", 1); /* literal with indexing: entry 62 */
    hpack_add_string(head, "x", 1);
    hpack_add_string(head, value, sizeof(value));
    memset(block, 0x80 | 62, sizeof(block));
    evbuffer_add(head, block, 800); /* three times what a head may be, and not all of it told */
    size_t size = evbuffer_get_length(head);
    frame_add(bytes, HEADERS, END_HEADERS | END_STREAM, 1, evbuffer_pullup(head, -1), size);
    headers_add(bytes, END_HEADERS | END_STREAM, 3, GET);
    feed(server, bytes, 0, 0);
    assert_true(pulled(server, HEADERS, &frame)); /* 431 */
    assert_int_equal(frame.id, 1);
    assert_int_equal(recorder.refused, 1);
    assert_int_equal(recorder.heads, 1); /* the table is as it must be: the next one is read */
    assert_string_equal(recorded(&recorder, 3),
                        "HEAD GET https host=example.jp:0 path=/ end\nEND\n");
    evbuffer_free(bytes);
    evbuffer_free(head);
    http2_free(server);
    recorder_clear(&recorder);
}

/* One that unfolds further still is not decoded to its end: that is work for nothing. */
static void test_compression_flood(void **state)
{
    (void)state;
    static char block[16000], value[4000];
    struct recorder recorder = {0};
    struct http2 *server = recorded_new(true, HTTP2_DEFAULTS, &recorder);
    struct evbuffer *bytes = bytes_new(true), *head = evbuffer_new();
    memset(value, 'v', sizeof(value));
    hpack_add_lines(head, GET);
    evbuffer_add(head, "\x40", 1);
    hpack_add_string(head, "x", 1);
    hpack_add_string(head, value, sizeof(value));
    memset(block, 0x80 | 62, sizeof(block));
    evbuffer_add(head, block, 100);
    frame_add(bytes, HEADERS, END_STREAM, 1, evbuffer_pullup(head, -1), evbuffer_get_length(head));
    frame_add(bytes, CONTINUATION, END_HEADERS, 1, block, sizeof(block));
    feed(server, bytes, 0, 0);
    assert_int_equal(recorder.error, HTTP2_ERROR_HEAD_FLOOD);
    assert_int_equal(recorder.code, HTTP2_ENHANCE_YOUR_CALM);
    evbuffer_free(bytes);
    evbuffer_free(head);
    http2_free(server);
    recorder_clear(&recorder);
}

/* Small frames, large heads: the streams that are open have so much room for them together. */
static void test_many_heads(void **state)
{
    (void)state;
    static char refs[15], value[4000];
    struct recorder recorder = {0};
    struct frame frame;
    struct http2 *server = recorded_new(true, HTTP2_DEFAULTS, &recorder);
    struct evbuffer *bytes = bytes_new(true), *head = evbuffer_new();
    memset(value, 'v', sizeof(value));
    memset(refs, 0x80 | 62, sizeof(refs));
    for (uint32_t i = 0; i < 40; i++) {
        hpack_add_lines(head, GET);
        if (i == 0) {
            evbuffer_add(head, "\x40", 1);
            hpack_add_string(head, "x", 1);
            hpack_add_string(head, value, sizeof(value));
        }
        evbuffer_add(head, refs, sizeof(refs));
        size_t size = evbuffer_get_length(head);
        frame_add(bytes, HEADERS, END_HEADERS | END_STREAM, 1 + 2 * i, evbuffer_pullup(head, -1),
                  size);
        evbuffer_drain(head, size);
    }
    feed(server, bytes, 0, 0);
    assert_in_range(recorder.heads, 16, 18);
    assert_in_range(server->heads, 15u << 16, 16u << 16);
    assert_true(pulled(server, RST_STREAM, &frame));
    assert_int_equal(frame_number(&frame, 0), HTTP2_REFUSED_STREAM);
    assert_int_equal(recorder.errors, 0);
    /* Those that are over make room. */
    for (uint32_t i = 0; i < 40; i++)
        if (recorder.streams[1 + 2 * i])
            http2_release_stream(recorder.streams[1 + 2 * i], HTTP2_CANCEL);
    assert_int_equal(server->heads, 0);
    evbuffer_free(bytes);
    evbuffer_free(head);
    http2_free(server);
    recorder_clear(&recorder);
}

/* What an origin says before its answer does not pile up for a client that does not read. */
static void test_unread_interims(void **state)
{
    (void)state;
    struct recorder recorder = {0};
    struct http2 *server = recorded_new(true, HTTP2_DEFAULTS, &recorder);
    struct evbuffer *bytes = bytes_new(true), *out = evbuffer_new();
    static const struct field LINK = {{"link", 4}, {"</a.css>; rel=preload", 21}};
    struct http2_head head = {.status = 103, .fields = &LINK, .field_count = 1};
    static struct frame frame;
    unsigned heads = 0;
    headers_add(bytes, END_HEADERS | END_STREAM, 1, GET);
    headers_add(bytes, END_HEADERS | END_STREAM, 3, GET);
    feed(server, bytes, 0, 0);
    for (int i = 0; i < 1000; i++)
        http2_send_interim(recorder.streams[1 + i % 2 * 2], &head);
    head.status = 200;
    head.end = true;
    for (int i = 0; i < 2; i++)
        http2_send_response(recorder.streams[1 + i * 2], &head);
    http2_pull(server, out, 1 << 20);
    while (frame_take(out, &frame))
        heads += frame.type == HEADERS;
    assert_int_equal(heads, 16 + 2);
    assert_int_equal(server->interims, 0);
    evbuffer_free(bytes);
    evbuffer_free(out);
    http2_free(server);
    recorder_clear(&recorder);
}

/* An origin that never comes to its answer. */
static void test_interim_flood(void **state)
{
    (void)state;
    struct recorder recorder = {0};
    struct http2_options options = small_options();
    options.nothing = (struct http2_allowance){.burst = 100, .rate = 10};
    struct http2 *client = recorded_new(false, options, &recorder);
    struct evbuffer *bytes = bytes_new(false), *out = evbuffer_new();
    struct http2_head head = {
        .method = SPAN("GET"), .scheme_tls = true, .host = "a.jp", .path = SPAN("/"), .end = true};
    assert_non_null(http2_send_request(client, &head, NULL));
    http2_pull(client, out, 65536);
    for (int i = 0; i < 200; i++)
        headers_add(bytes, END_HEADERS, 1, ":status=103\n");
    feed(client, bytes, 0, 0);
    assert_int_equal(recorder.errors, 1);
    assert_int_equal(recorder.error, HTTP2_ERROR_FRAME_FLOOD);
    evbuffer_free(bytes);
    evbuffer_free(out);
    http2_free(client);
    recorder_clear(&recorder);
}

/* An origin that answers what was taken back meanwhile: much is borne, but not without end. */
static void test_answers_to_what_was_taken_back(void **state)
{
    (void)state;
    static const struct {
        unsigned heads, errors;
    } ROWS[] = {{90, 0}, {110, 1}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct recorder recorder = {0};
        struct http2_options options = small_options();
        options.resets = (struct http2_allowance){.burst = 10, .rate = 1};
        options.nothing = (struct http2_allowance){.burst = 100, .rate = 10};
        struct http2 *client = recorded_new(false, options, &recorder);
        struct evbuffer *bytes = bytes_new(false), *out = evbuffer_new();
        struct http2_head head = request_head("GET", true);
        struct http2_stream *stream = http2_send_request(client, &head, NULL);
        http2_pull(client, out, 65536);
        http2_release_stream(stream, HTTP2_CANCEL);
        http2_pull(client, out, 65536);
        for (unsigned head_count = 0; head_count < ROWS[i].heads; head_count++)
            headers_add(bytes, END_HEADERS, 1, ":status=200\n");
        feed(client, bytes, 0, 0);
        assert_int_equal(recorder.errors, ROWS[i].errors);
        assert_int_equal(recorder.heads, 0);
        evbuffer_free(bytes);
        evbuffer_free(out);
        http2_free(client);
        recorder_clear(&recorder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_floods),
        cmocka_unit_test(test_answer_floods),
        cmocka_unit_test(test_reset_floods),
        cmocka_unit_test(test_unread_refusals),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_compression_bomb),
        cmocka_unit_test(test_compression_flood),
        cmocka_unit_test(test_many_heads),
        cmocka_unit_test(test_unread_interims),
        cmocka_unit_test(test_interim_flood),
        cmocka_unit_test(test_stray_heads),
        cmocka_unit_test(test_answers_to_what_was_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
