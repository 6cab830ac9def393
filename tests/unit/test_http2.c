/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of the HTTP/2 adapter against frames written by hand: what it makes of good messages,
 * what it refuses and with which code, and that the cutting of the bytes does not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/http2_fixture.h"

/* --- good messages --- */

static const struct {
    const char *lines, *expected;
} GOOD_REQUESTS[] = {
    {GET, "HEAD GET https host=example.jp:0 path=/\n"},
    {":path=/a?b=c\n:authority=EXAMPLE.jp.:8443\n:method=POST\n:scheme=https\ncontent-length=3\n",
     "HEAD POST https host=example.jp:8443 path=/a?b=c length=3\n content-length: 3\n"},
    {":method=GET\n:scheme=https\n:path=/\nhost=example.jp:444\n",
     "HEAD GET https host=example.jp:444 path=/\n"},
    {GET "host=example.jp\n", "HEAD GET https host=example.jp:0 path=/\n"},
    {GET "host=Example.JP:443\n", "HEAD GET https host=example.jp:0 path=/\n"},
    {":method=GET\n:scheme=http\n:authority=[2001:DB8::1]:80\n:path=/\n",
     "HEAD GET http host=2001:db8::1:80 path=/\n"},
    {":method=OPTIONS\n:scheme=https\n:authority=example.jp\n:path=*\n",
     "HEAD OPTIONS https host=example.jp:0 path=*\n"},
    {":method=CONNECT\n:authority=example.jp:443\n",
     "HEAD CONNECT https host=example.jp:443 path=\n"},
    {":method=CONNECT\n:protocol=websocket\n:scheme=https\n:authority=example.jp\n:path=/chat\n",
     "HEAD CONNECT https host=example.jp:0 path=/chat protocol=websocket\n"},
    {GET "cookie=a=1\naccept=*/*\ncookie=b=2\ncookie=c=3; d=4\n",
     "HEAD GET https host=example.jp:0 path=/\n cookie: a=1; b=2; c=3; d=4\n accept: */*\n"},
    {GET "te=trailers\nx=a\tb \xc3\xa9\nempty=\n",
     "HEAD GET https host=example.jp:0 path=/\n te: trailers\n x: a\tb \xc3\xa9\n empty: \n"},
};

static void test_good_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(GOOD_REQUESTS) / sizeof(GOOD_REQUESTS[0]); i++) {
        struct recorder recorder = {0};
        struct http2 *server = raw_request(&recorder, small_options(), 0, GOOD_REQUESTS[i].lines);
        assert_string_equal(recorded(&recorder, 1), GOOD_REQUESTS[i].expected);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* Two interleaved requests with bodies, a trailer, padding, a CONTINUATION, what is ignored. */
static struct evbuffer *conversation(void)
{
    struct evbuffer *bytes = bytes_new(true), *block = evbuffer_new();
    headers_add(bytes, END_HEADERS, 1,
                ":method=POST\n:scheme=https\n:authority=example.jp\n:path=/1\n");
    hpack_add_lines(block, GET "user-agent=test\n");
    size_t size = evbuffer_get_length(block);
    const char *whole = (char *)evbuffer_pullup(block, -1);
    frame_add(bytes, HEADERS, 0, 3, whole, 7);
    frame_add(bytes, CONTINUATION, 0, 3, whole + 7, 1);
    frame_add(bytes, CONTINUATION, END_HEADERS, 3, whole + 8, size - 8);
    evbuffer_free(block);
    frame_add(bytes, DATA, 0, 1, "first ", 6);
    frame_add(bytes, DATA, 0, 3, "other", 5);
    frame_add(bytes, 0xbe, 0, 0, "unknown", 7);
    frame_add(bytes, PRIORITY, 0, 1, "\0\0\0\0\x10", 5);
    frame_add(bytes, DATA, PADDED, 1, "\x04piece\0\0\0\0", 10);
    frame_add(bytes, PING, 0, 0, "12345678", 8);
    headers_add(bytes, END_HEADERS | END_STREAM, 1, "checksum=7\n");
    frame_add(bytes, DATA, END_STREAM, 3, "", 0);
    headers_add(bytes, END_HEADERS | END_STREAM, 5, GET);
    return bytes;
}

static void test_every_split(void **state)
{
    (void)state;
    struct evbuffer *bytes = conversation();
    size_t size = evbuffer_get_length(bytes);
    for (size_t cut = 0; cut <= size; cut++) {
        struct recorder recorder = {0};
        struct http2 *server = recorded_new(true, small_options(), &recorder);
        feed(server, bytes, cut == 0 ? 1 : cut, cut == 0 ? 1 : 0);
        assert_string_equal(recorded(&recorder, 0), "");
        assert_string_equal(recorded(&recorder, 1),
                            "HEAD POST https host=example.jp:0 path=/1\nBODY first piece\n"
                            "TRAILER\n checksum: 7\nEND\n");
        assert_string_equal(recorded(&recorder, 3),
                            "HEAD GET https host=example.jp:0 path=/\n user-agent: test\n"
                            "BODY other\nEND\n");
        assert_string_equal(recorded(&recorder, 5),
                            "HEAD GET https host=example.jp:0 path=/ end\nEND\n");
        assert_int_equal(recorder.errors, 0);
        struct frame frame;
        assert_true(pulled(server, PING, &frame));
        assert_int_equal(frame.flags, ACK);
        assert_memory_equal(frame.payload, "12345678", 8);
        http2_free(server);
        recorder_clear(&recorder);
    }
    evbuffer_free(bytes);
}

/* --- refused requests --- */

#define AUTHORITY_OF(text) ":method=GET\n:scheme=https\n:path=/\n:authority=" text "\n"
#define PATH_OF(text)      ":method=GET\n:scheme=https\n:authority=example.jp\n:path=" text "\n"

static const struct {
    const char *lines;
    int error; /* -1: any that is of the message */
} BAD_REQUESTS[] = {
    {":scheme=https\n:authority=example.jp\n:path=/\n", HTTP2_ERROR_MESSAGE},
    {":method=GET\n:authority=example.jp\n:path=/\n", HTTP2_ERROR_MESSAGE},
    {":method=GET\n:scheme=https\n:authority=example.jp\n", HTTP2_ERROR_MESSAGE},
    {":method=GET\n:scheme=https\n:path=/\n", -1},
    {GET ":method=GET\n", -1},
    {GET ":path=/other\n", -1},
    {GET ":scheme=https\n", -1},
    {GET ":authority=example.jp\n", -1},
    {":method=GET\nx=y\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {GET ":status=200\n", -1},
    {GET ":unknown=1\n", -1},
    {GET ":protocol=websocket\n", -1},
    {":method=CONNECT\n:protocol=websocket\n:authority=example.jp\n", -1},
    {":method=CONNECT\n:protocol=web socket\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {":method=CONNECT\n:protocol=\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {":method=CONNECT\n:authority=example.jp\n", HTTP2_ERROR_AUTHORITY},
    {":method=CONNECT\n:authority=example.jp:443\n:path=/\n", -1},
    {":method=CONNECT\n:authority=example.jp:443\n:scheme=https\n", -1},
    {":method=G T\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {":method=\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {":method=GET\r\n:scheme=https\n:authority=example.jp\n:path=/\n", -1},
    {":method=GET\n:scheme=ftp\n:authority=example.jp\n:path=/\n", HTTP2_ERROR_SCHEME},
    {":method=GET\n:scheme=\n:authority=example.jp\n:path=/\n", -1},
    {PATH_OF(""), -1},
    {PATH_OF("*"), -1},
    {PATH_OF("a"), -1},
    {PATH_OF("https://example.jp/"), -1},
    {PATH_OF("/a b"), -1},
    {PATH_OF("/a#b"), HTTP2_ERROR_PATH},
    {PATH_OF("/a\tb"), -1},
    {PATH_OF("/a~b"), -1},
    {PATH_OF("/\x7f"), -1},
    {PATH_OF("/\xe3\x81\x82"), HTTP2_ERROR_PATH},
    {AUTHORITY_OF(""), -1},
    {AUTHORITY_OF("user@example.jp"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("user:password@example.jp"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("example.jp:"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("example.jp:0"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("example.jp:65536"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("example.jp:+80"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("exam ple.jp"), -1},
    {AUTHORITY_OF("example.jp/x"), -1},
    {AUTHORITY_OF("[::1"), HTTP2_ERROR_AUTHORITY},
    {AUTHORITY_OF("a..jp"), HTTP2_ERROR_AUTHORITY},
    {GET "host=other.jp\n", HTTP2_ERROR_HOST},
    {GET "host=example.jp:80\n", HTTP2_ERROR_HOST},
    {GET "host=\n", -1},
    {GET "host=example.jp\nhost=example.jp\n", -1},
    {":method=GET\n:scheme=https\n:path=/\nhost=a@b\n", HTTP2_ERROR_HOST},
    {GET "Upper=case\n", -1},
    {GET "a b=c\n", -1},
    {GET "=c\n", -1},
    {GET "a:b=c\n", -1},
    {GET "x= a\n", HTTP2_ERROR_FIELD},
    {GET "x=a \n", HTTP2_ERROR_FIELD},
    {GET "x=a\t\n", HTTP2_ERROR_FIELD},
    {GET "x=a\rb\n", HTTP2_ERROR_FIELD},
    {GET "x=a~b\n", HTTP2_ERROR_FIELD},
    {GET "x=a\x01\n", HTTP2_ERROR_FIELD},
    {GET "x=a\x7f\n", HTTP2_ERROR_FIELD},
    {GET "connection=close\n", -1},
    {GET "keep-alive=1\n", -1},
    {GET "proxy-connection=close\n", -1},
    {GET "transfer-encoding=chunked\n", -1},
    {GET "upgrade=websocket\n", -1},
    {GET "te=gzip\n", -1},
    {GET "te=trailers, gzip\n", -1},
    {GET "content-length=1\ncontent-length=1\n", -1},
    {GET "content-length=-1\n", -1},
    {GET "content-length=1x\n", -1},
    {GET "content-length=\n", -1},
    {GET "content-length=99999999999999999999\n", -1},
};

static void test_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD_REQUESTS) / sizeof(BAD_REQUESTS[0]); i++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *server = raw_request(&recorder, small_options(), 0, BAD_REQUESTS[i].lines);
        bool reset = pulled(server, RST_STREAM, &frame);
        if (!reset || recorder.heads || recorder.refused != 1 || recorder.errors)
            fail_msg("not refused: %s: %s", BAD_REQUESTS[i].lines, recorded(&recorder, 1));
        assert_int_equal(frame_number(&frame, 0), HTTP2_PROTOCOL_ERROR);
        if (BAD_REQUESTS[i].error >= 0 && (int)recorder.error != BAD_REQUESTS[i].error)
            fail_msg("%s: %s", BAD_REQUESTS[i].lines, http2_error_text(recorder.error));
        assert_true(http2_is_idle(server));
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* A message whose content is not what its head says; the faults come after the head. */
static void test_bad_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *body, *trailer;
    } CASES[] = {
        {"content-length=3\n", "ab", NULL},
        {"content-length=3\n", "abcd", NULL},
        {"content-length=1\n", "", NULL},
        {"content-length=3\n", "ab", "x=y\n"},
        {"", "ab", ":path=/\n"},
        {"", "ab", "connection=close\n"},
        {"", "ab", "Upper=case\n"},
        {"", "ab", "x=a\rb\n"},
        {"", "ab", "a=1\nb=1\nc=1\nd=1\ne=1\nf=1\n" /* too many */ "g=1\nh=1\ni=1\nj=1\nk=1\n"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct recorder recorder = {0};
        struct frame frame;
        char lines[200];
        snprintf(lines, sizeof(lines), "%s%s", GET, CASES[i].fields);
        struct http2 *server = raw_request(&recorder, small_options(), 0, lines);
        struct evbuffer *bytes = evbuffer_new();
        frame_add(bytes, DATA, CASES[i].trailer ? 0 : END_STREAM, 1, CASES[i].body,
                  strlen(CASES[i].body));
        if (CASES[i].trailer)
            headers_add(bytes, END_HEADERS | END_STREAM, 1, CASES[i].trailer);
        feed(server, bytes, 0, 0);
        bool reset = pulled(server, RST_STREAM, &frame);
        if (!reset || recorder.heads != 1 || recorder.ends || recorder.resets != 1)
            fail_msg("not reset: case %zu: %s", i, recorded(&recorder, 1));
        assert_int_equal(recorder.code, HTTP2_PROTOCOL_ERROR);
        evbuffer_free(bytes);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* A head with END_STREAM promises no content. */
/* Fields that would change what the head said are left out of a trailer, as over HTTP/1.1. */
static void test_trailer_fields(void **state)
{
    (void)state;
    static const struct {
        const char *trailer, *told;
    } CASES[] = {
        {"a=1\ncontent-type=text/html\nb=2\n", "TRAILER\n a: 1\n b: 2\nEND\n"},
        {"content-length=2\nset-cookie=a=b\nlocation=/\nx=\n", "TRAILER\n x: \nEND\n"},
        {"content-disposition=attachment\ncookie=a=1\ncookie=b=2\nhost=a.example\n", "END\n"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct recorder recorder = {0};
        struct http2 *server = raw_request(&recorder, small_options(), 0, GET);
        struct evbuffer *bytes = evbuffer_new();
        frame_add(bytes, DATA, 0, 1, "ab", 2);
        headers_add(bytes, END_HEADERS | END_STREAM, 1, CASES[i].trailer);
        feed(server, bytes, 0, 0);
        char told[200];
        snprintf(told, sizeof(told), "HEAD GET https host=example.jp:0 path=/\nBODY ab\n%s",
                 CASES[i].told);
        assert_string_equal(recorded(&recorder, 1), told);
        evbuffer_free(bytes);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

static void test_length_without_body(void **state)
{
    (void)state;
    struct recorder recorder = {0};
    struct frame frame;
    struct http2 *server =
        raw_request(&recorder, small_options(), END_STREAM, GET "content-length=5\n");
    assert_true(pulled(server, RST_STREAM, &frame));
    assert_int_equal(recorder.ends, 0);
    http2_free(server);
    recorder_clear(&recorder);
}

/* --- limits --- */

static void test_head_limits(void **state)
{
    (void)state;
    char large[900] = GET "x=", line[400] = GET "x=", fields[400] = GET;
    memset(large + strlen(GET "x="), 'a', 250);
    for (size_t i = 0; i < 2; i++)
        memcpy(large + strlen(large), "\ny=bbbb", 8), memset(large + strlen(large), 'b', 250);
    memset(line + strlen(GET "x="), 'a', 300);
    for (char c = 'a'; c <= 'k'; c++)
        snprintf(fields + strlen(fields), 10, "%c=%c\n", c, c);
    const struct {
        const char *lines;
        enum http2_error error;
    } cases[] = {{large, HTTP2_ERROR_HEAD_TOO_LARGE},
                 {line, HTTP2_ERROR_FIELD_TOO_LONG},
                 {fields, HTTP2_ERROR_TOO_MANY_FIELDS}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *server = raw_request(&recorder, small_options(), 0, cases[i].lines);
        assert_true(pulled(server, HEADERS, &frame)); /* :status 431 */
        assert_int_equal(frame.id, 1);
        assert_int_equal(frame.flags & END_STREAM, END_STREAM);
        assert_non_null(memmem(frame.payload, frame.size, "431", 3));
        assert_int_equal(recorder.refused, 1);
        assert_int_equal(recorder.error, cases[i].error);
        assert_int_equal(recorder.heads, 0);
        assert_true(http2_is_idle(server));
        http2_free(server);
        recorder_clear(&recorder);
    }
}

static void cookie_line_add(char *lines, size_t capacity, int number)
{
    size_t size = strlen(lines);
    assert_in_range(snprintf(lines + size, capacity - size, "cookie=a%d\n", number), 1,
                    capacity - size - 1);
}

/* Crumbs are one field, but each has its price: neither limit is passed by them. */
static void test_cookie_limits(void **state)
{
    (void)state;
    char lines[2000] = GET;
    for (int i = 0; i < 40; i++)
        cookie_line_add(lines, sizeof(lines), i);
    struct recorder recorder = {0};
    struct frame frame;
    struct http2 *server = raw_request(&recorder, small_options(), 0, lines);
    assert_true(pulled(server, HEADERS, &frame));
    assert_int_equal(recorder.error, HTTP2_ERROR_HEAD_TOO_LARGE);
    http2_free(server);
    recorder_clear(&recorder);
    struct http2_options options = small_options();
    options.limits.head = 100000;
    for (int i = 40; i < 90; i++)
        cookie_line_add(lines, sizeof(lines), i);
    server = raw_request(&recorder, options, 0, lines);
    assert_true(pulled(server, HEADERS, &frame));
    assert_int_equal(recorder.error, HTTP2_ERROR_FIELD_TOO_LONG);
    http2_free(server);
    recorder_clear(&recorder);
}

static void test_stream_limit(void **state)
{
    (void)state;
    struct http2_options options = small_options();
    struct recorder recorder = {0};
    struct frame frame;
    options.streams = 3;
    struct http2 *server = recorded_new(true, options, &recorder);
    struct evbuffer *bytes = bytes_new(true), *out = evbuffer_new();
    for (uint32_t id = 1; id < 11; id += 2)
        headers_add(bytes, END_HEADERS | END_STREAM, id, GET);
    feed(server, bytes, 0, 0);
    assert_int_equal(recorder.heads, 3);
    http2_pull(server, out, 1 << 20);
    unsigned refused = 0;
    while (frame_take(out, &frame))
        if (frame.type == RST_STREAM) {
            assert_int_equal(frame_number(&frame, 0), HTTP2_REFUSED_STREAM);
            assert_true(frame.id == 7 || frame.id == 9);
            refused++;
        }
    assert_int_equal(refused, 2);
    evbuffer_free(bytes);
    evbuffer_free(out);
    http2_free(server);
    recorder_clear(&recorder);
}

/* --- faults of the connection --- */

struct fault {
    int type, flags;
    uint32_t id;
    const char *payload;
    size_t size;
    uint32_t code;
};

static void check_faults(bool server, const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fault *fault = &faults[i];
        struct recorder recorder = {0};
        struct frame frame = {0};
        struct http2 *end = recorded_new(server, small_options(), &recorder);
        struct evbuffer *bytes = bytes_new(server);
        if (server)
            headers_add(bytes, END_HEADERS, 1, GET);
        frame_add(bytes, fault->type, fault->flags, fault->id, fault->payload, fault->size);
        frame_add(bytes, DATA, 0, 1, "after", 5);
        feed(end, bytes, 0, 0);
        if (!pulled(end, GOAWAY, &frame) || frame_number(&frame, 4) != fault->code)
            fail_msg("fault %zu: %s", i, recorded(&recorder, 0));
        assert_int_equal(recorder.errors, 1);
        assert_int_equal(recorder.code, fault->code);
        assert_int_equal(recorder.body, 0);
        assert_true(http2_is_over(end));
        http2_feed(end, "more", 4, 0); /* is not looked at */
        assert_int_equal(recorder.errors, 1);
        evbuffer_free(bytes);
        http2_free(end);
        recorder_clear(&recorder);
    }
}

static void test_connection_faults(void **state)
{
    (void)state;
    static const struct fault SERVER[] = {
        {DATA, 0, 0, "x", 1, HTTP2_PROTOCOL_ERROR},
        {DATA, 0, 3, "x", 1, HTTP2_PROTOCOL_ERROR},
        {DATA, PADDED, 1, "\x05xx", 3, HTTP2_PROTOCOL_ERROR},
        {HEADERS, END_HEADERS, 2, "\x82", 1, HTTP2_PROTOCOL_ERROR},
        {HEADERS, END_HEADERS, 3, "\xff\xff\xff\xff\xff\xff\xff", 7, HTTP2_COMPRESSION_ERROR},
        {HEADERS, END_HEADERS, 3, "\x40", 1, HTTP2_COMPRESSION_ERROR},
        {HEADERS, 0, 3, "\x82", 1, HTTP2_PROTOCOL_ERROR}, /* DATA where CONTINUATION must come */
        {CONTINUATION, END_HEADERS, 1, "\x82", 1, HTTP2_PROTOCOL_ERROR},
        {PRIORITY, 0, 0, "\0\0\0\0\0", 5, HTTP2_PROTOCOL_ERROR},
        {RST_STREAM, 0, 0, "\0\0\0\x08", 4, HTTP2_PROTOCOL_ERROR},
        {RST_STREAM, 0, 3, "\0\0\0\x08", 4, HTTP2_PROTOCOL_ERROR},
        {RST_STREAM, 0, 1, "\0\0\x08", 3, HTTP2_FRAME_SIZE_ERROR},
        {SETTINGS, 0, 1, "", 0, HTTP2_PROTOCOL_ERROR},
        {SETTINGS, 0, 0, "\0\x03\0", 3, HTTP2_FRAME_SIZE_ERROR},
        {SETTINGS, ACK, 0, "\0\x03\0\0\0\x01", 6, HTTP2_FRAME_SIZE_ERROR},
        {SETTINGS, 0, 0, "\0\x02\0\0\0\x02", 6, HTTP2_PROTOCOL_ERROR},
        {SETTINGS, 0, 0, "\0\x04\xff\xff\xff\xff", 6, HTTP2_FLOW_CONTROL_ERROR},
        {SETTINGS, 0, 0, "\0\x05\0\0\0\x01", 6, HTTP2_PROTOCOL_ERROR},
        {PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\x02", 4, HTTP2_PROTOCOL_ERROR},
        {PING, 0, 0, "1234567", 7, HTTP2_FRAME_SIZE_ERROR},
        {PING, 0, 1, "12345678", 8, HTTP2_PROTOCOL_ERROR},
        {GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8, HTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, HTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, HTTP2_FLOW_CONTROL_ERROR},
        {WINDOW_UPDATE, 0, 3, "\0\0\0\x01", 4, HTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 1, "\0\0\x01", 3, HTTP2_FRAME_SIZE_ERROR},
    };
    static const struct fault CLIENT[] = {
        {PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\x02\x88", 5, HTTP2_PROTOCOL_ERROR},
        {HEADERS, END_HEADERS, 2, "\x88", 1, HTTP2_PROTOCOL_ERROR},
        {HEADERS, END_HEADERS, 1, "\x88", 1, HTTP2_PROTOCOL_ERROR},
        {SETTINGS, 0, 0, "\0\x02\0\0\0\x01", 6, HTTP2_PROTOCOL_ERROR},
    };
    check_faults(true, SERVER, sizeof(SERVER) / sizeof(SERVER[0]));
    check_faults(false, CLIENT, sizeof(CLIENT) / sizeof(CLIENT[0]));
}

/* Faults that end one stream only. */
static void test_stream_faults(void **state)
{
    (void)state;
    static const struct fault FAULTS[] = {
        {WINDOW_UPDATE, 0, 1, "\0\0\0\0", 4, HTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff", 4, HTTP2_FLOW_CONTROL_ERROR},
    };
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *server = raw_request(&recorder, small_options(), 0, GET);
        struct evbuffer *bytes = evbuffer_new();
        frame_add(bytes, FAULTS[i].type, 0, 1, FAULTS[i].payload, FAULTS[i].size);
        headers_add(bytes, END_HEADERS | END_STREAM, 3, GET);
        feed(server, bytes, 0, 0);
        bool found = pulled(server, RST_STREAM, &frame);
        if (!found) /* nghttp2 takes some of them as faults of the connection, as it may */
            assert_int_equal(recorder.errors, 1);
        else
            assert_int_equal(frame_number(&frame, 0), FAULTS[i].code);
        assert_int_equal(recorder.code, FAULTS[i].code);
        evbuffer_free(bytes);
        http2_free(server);
        recorder_clear(&recorder);
    }
}

static void test_not_http2(void **state)
{
    (void)state;
    static const char *const BYTES[] = {"GET / HTTP/1.1\r\nHost: example.jp\r\n\r\n",
                                        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r "};
    for (size_t i = 0; i < 3; i++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *server = recorded_new(true, small_options(), &recorder);
        http2_feed(server, BYTES[i], strlen(BYTES[i]), 0);
        assert_int_equal(recorder.error, HTTP2_ERROR_PREFACE);
        assert_true(pulled(server, GOAWAY, &frame));
        assert_true(http2_is_over(server));
        http2_free(server);
        recorder_clear(&recorder);
    }
}

/* --- responses --- */

static struct http2 *raw_response(struct recorder *recorder, int flags, const char *lines,
                                  const char *method)
{
    struct http2 *client = recorded_new(false, small_options(), recorder);
    struct evbuffer *bytes = bytes_new(false), *out = evbuffer_new();
    struct http2_head head = {.method = span_of(method),
                              .scheme_tls = true,
                              .host = "example.jp",
                              .path = SPAN("/"),
                              .end = true};
    assert_non_null(http2_send_request(client, &head, NULL));
    http2_pull(client, out, 65536);
    headers_add(bytes, END_HEADERS | flags, 1, lines);
    feed(client, bytes, 0, 0);
    evbuffer_free(bytes);
    evbuffer_free(out);
    return client;
}

static void test_bad_responses(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "x=y\n",
        ":status=\n",
        ":status=20\n",
        ":status=2000\n",
        ":status=abc\n",
        ":status=099\n",
        ":status=101\n",
        ":status=-20\n",
        ":status=200\n:status=200\n",
        ":status=200\n:path=/\n",
        "x=y\n:status=200\n",
        ":status=200\nconnection=close\n",
        ":status=200\ntransfer-encoding=chunked\n",
        ":status=200\nupgrade=h2c\n",
        ":status=200\nUpper=case\n",
        ":status=200\nx= y\n",
        ":status=200\nx=a\rb\n",
        ":status=200\nset-cookie=a~b\n",
        ":status=200\ncontent-length=1\ncontent-length=1\n",
        ":status=200\ncontent-length=x\n",
        ":status=200\na=1\nb=1\nc=1\nd=1\ne=1\nf=1\ng=1\nh=1\ni=1\nj=1\nk=1\n",
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct recorder recorder = {0};
        struct frame frame;
        struct http2 *client = raw_response(&recorder, 0, CASES[i], "GET");
        bool reset = pulled(client, RST_STREAM, &frame);
        if (!reset || recorder.heads || recorder.resets != 1 || recorder.errors)
            fail_msg("not reset: %s: %s", CASES[i], recorded(&recorder, 1));
        assert_int_equal(recorder.code, HTTP2_PROTOCOL_ERROR);
        http2_free(client);
        recorder_clear(&recorder);
    }
}

/* What answers HEAD, and 304, may say a length and has no body. */
static void test_responses_without_body(void **state)
{
    (void)state;
    static const struct {
        const char *method, *lines, *expected;
    } CASES[] = {
        {"HEAD", ":status=200\ncontent-length=5\n",
         "HEAD 200 length=5 end\n content-length: 5\nEND\nCLOSED\n"},
        {"GET", ":status=304\ncontent-length=5\n",
         "HEAD 304 length=5 end\n content-length: 5\nEND\nCLOSED\n"},
        {"GET", ":status=204\n", "HEAD 204 end\nEND\nCLOSED\n"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct recorder recorder = {0};
        struct http2 *client = raw_response(&recorder, END_STREAM, CASES[i].lines, CASES[i].method);
        assert_string_equal(recorded(&recorder, 1), CASES[i].expected);
        http2_free(client);
        recorder_clear(&recorder);
    }
}

/* Settings that say what we are: no push, the windows, the limits. */
static void test_settings(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++) {
        struct recorder recorder = {0};
        struct http2_options options = HTTP2_DEFAULTS;
        struct frame frame;
        uint32_t value[16] = {0};
        struct http2 *end = recorded_new(server, options, &recorder);
        struct evbuffer *out = evbuffer_new();
        http2_pull(end, out, 65536);
        if (!server)
            evbuffer_drain(out, strlen(PREFACE));
        assert_true(frame_take(out, &frame));
        assert_int_equal(frame.type, SETTINGS);
        for (size_t at = 0; at < frame.size; at += 6)
            value[frame.payload[at + 1] & 15] = frame_number(&frame, at + 2) + 1;
        assert_int_equal(value[2], server ? 0 : 1);   /* ENABLE_PUSH = 0 */
        assert_int_equal(value[3], server ? 101 : 1); /* MAX_CONCURRENT_STREAMS */
        assert_int_equal(value[4], (1 << 20) + 1);    /* INITIAL_WINDOW_SIZE */
        assert_int_equal(value[6], 65536 + 1);        /* MAX_HEADER_LIST_SIZE */
        assert_int_equal(value[8], 0);                /* ENABLE_CONNECT_PROTOCOL */
        assert_true(frame_take(out, &frame));
        assert_int_equal(frame.type, WINDOW_UPDATE);
        assert_int_equal(frame_number(&frame, 0), (16 << 20) - 65535);
        evbuffer_free(out);
        http2_free(end);
        recorder_clear(&recorder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_requests),  cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_bad_requests),   cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_trailer_fields), cmocka_unit_test(test_length_without_body),
        cmocka_unit_test(test_head_limits),    cmocka_unit_test(test_cookie_limits),
        cmocka_unit_test(test_stream_limit),   cmocka_unit_test(test_connection_faults),
        cmocka_unit_test(test_stream_faults),  cmocka_unit_test(test_not_http2),
        cmocka_unit_test(test_bad_responses),  cmocka_unit_test(test_responses_without_body),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
