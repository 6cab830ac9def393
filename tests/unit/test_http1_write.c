/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/1.1 writer: its pieces byte for byte, which fields stay behind, and that what is written
 * is read as what was meant.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/http1_transcript.h"

static const struct http1_limits LIMITS = {.line = 8192, .head = 65536, .fields = 100};

static void expect_written(struct evbuffer *out, const char *expected)
{
    evbuffer_add(out, "", 1);
    assert_string_equal((char *)evbuffer_pullup(out, -1), expected);
    evbuffer_drain(out, evbuffer_get_length(out));
}

static void test_pieces(void **state)
{
    static const struct field TRAILER[] = {{{"A", 1}, {"b c", 3}}, {{"D", 1}, {NULL, 0}}};
    struct evbuffer *out = evbuffer_new();
    (void)state;
    http1_write_request_line(out, SPAN("GET"), SPAN("/a?b"));
    expect_written(out, "GET /a?b HTTP/1.1\r\n");
    http1_write_status_line(out, 403, SPAN("No \xe9"));
    expect_written(out, "HTTP/1.1 403 No \xe9\r\n");
    http1_write_status_line(out, 999, (struct span){NULL, 0});
    expect_written(out, "HTTP/1.1 999 \r\n");
    http1_write_field(out, SPAN("Via"), SPAN("1.1 x"));
    expect_written(out, "Via: 1.1 x\r\n");
    http1_write_framing(out, HTTP1_NO_BODY, 7);
    http1_write_framing(out, HTTP1_UNTIL_CLOSE, 7);
    expect_written(out, "");
    http1_write_framing(out, HTTP1_LENGTH, 0);
    http1_write_framing(out, HTTP1_LENGTH, UINT64_MAX);
    expect_written(out, "Content-Length: 0\r\nContent-Length: 18446744073709551615\r\n");
    http1_write_framing(out, HTTP1_CHUNKED, 7);
    http1_write_end_of_head(out);
    expect_written(out, "Transfer-Encoding: chunked\r\n\r\n");
    http1_write_chunk(out, SPAN("0123456789abcdef+"));
    http1_write_chunk(out, SPAN("")); /* an empty chunk would end the body */
    expect_written(out, "11\r\n0123456789abcdef+\r\n");
    http1_write_last_chunk(out, NULL, 0);
    expect_written(out, "0\r\n\r\n");
    http1_write_last_chunk(out, TRAILER, 2);
    expect_written(out, "0\r\nA: b c\r\nD: \r\n\r\n");
    evbuffer_free(out);
}

static void test_fields_of_one_connection(void **state)
{
    static const char BYTES[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One, close, host\r\n"
                                "Connection: upgrade,x-two\r\n\r\n";
    static const struct {
        const char *name;
        bool hop;
    } CASES[] = {
        {"connection", true},
        {"CONTENT-LENGTH", true},
        {"HTTP2-Settings", true},
        {"Keep-Alive", true},
        {"Proxy-Connection", true},
        {"Proxy-Authenticate", true},
        {"Proxy-Authorization", true},
        {"te", true},
        {"Trailer", true},
        {"Transfer-Encoding", true},
        {"upgrade", true},
        {"x-one", true},
        {"X-TWO", true},
        {"Host", false},
        {"X-Three", false},
        {"X-On", false},
        {"Close", false},
        {"Tea", false},
        {"Cookie", false},
        {"", false},
    };
    struct http1 *parser = http1_new_request_parser(&LIMITS);
    struct span data;
    size_t used;
    (void)state;
    assert_int_equal(http1_feed(parser, BYTES, sizeof(BYTES) - 1, &used, &data), HTTP1_HEAD);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        if (http1_is_hop(http1_head(parser), span_of(CASES[i].name)) != CASES[i].hop)
            fail_msg("%s", CASES[i].name);
    http1_free(parser);
}

/* Reads `bytes` and writes every message again, as the gateway passes it on. */
static struct evbuffer *pass_on(bool responses, const char *bytes)
{
    struct http1 *parser =
        responses ? http1_new_response_parser(&LIMITS) : http1_new_request_parser(&LIMITS);
    struct evbuffer *out = evbuffer_new();
    const struct http1_head *head = http1_head(parser);
    const struct field *trailer;
    enum http1_event event;
    struct span data;
    size_t used, count, size = strlen(bytes);
    while ((event = http1_feed(parser, bytes, size, &used, &data)) != HTTP1_MORE) {
        assert_int_not_equal(event, HTTP1_ERROR);
        bytes += used;
        size -= used;
        trailer = http1_trailer(parser, &count);
        if (event == HTTP1_HEAD && responses)
            http1_write_status_line(out, head->status, head->phrase);
        else if (event == HTTP1_HEAD)
            http1_write_request_line(out, head->method, head->path);
        for (size_t i = 0; event == HTTP1_HEAD && i < head->field_count; i++)
            if (!http1_is_hop(head, head->fields[i].name))
                http1_write_field(out, head->fields[i].name, head->fields[i].value);
        if (event == HTTP1_HEAD) {
            http1_write_framing(out, head->framing, head->length);
            http1_write_end_of_head(out);
        }
        if (event == HTTP1_BODY && head->framing == HTTP1_CHUNKED)
            http1_write_chunk(out, data);
        else if (event == HTTP1_BODY)
            evbuffer_add(out, data.data, data.size);
        else if (event == HTTP1_END && head->framing == HTTP1_CHUNKED)
            http1_write_last_chunk(out, trailer, count);
    }
    http1_free(parser);
    return out;
}

static void test_round_trip(void **state)
{
    static const struct {
        bool responses;
        const char *from, *to;
    } CASES[] = {
        {false,
         "\r\nGET http://a/b?c HTTP/1.1\r\nhost:a\r\nProxy-Authorization: x\r\nX:  y \r\n\r\n",
         "GET /b?c HTTP/1.1\r\nhost: a\r\nX: y\r\n\r\n"},
        {false,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\nConnection: x\r\nX: y\r\n\r\nabc"
         "PUT / HTTP/1.1\r\ntransfer-encoding: CHUNKED\r\nHost: a\r\n\r\n"
         "0003;x=\"y\"\r\nabc\r\nA\r\n0123456789\r\n000\r\nHost: b\r\nX: y\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
         "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n"},
        {true,
         "HTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n"
         "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nhi",
         "HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
         "Content-Length: 2\r\n\r\nhi"},
        {true, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nto the end",
         "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nto the end"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct evbuffer *once = pass_on(CASES[i].responses, CASES[i].from);
        expect_written(once, CASES[i].to);
        evbuffer_free(once);
        once = pass_on(CASES[i].responses, CASES[i].to); /* nothing more to change */
        expect_written(once, CASES[i].to);
        evbuffer_free(once);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_fields_of_one_connection),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
