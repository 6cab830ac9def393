/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/1.1 parser: what it makes of good messages, what it refuses and where, and that neither
 * depends on how the bytes are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "filters/memory.h"
#include "gateway/http1_private.h"
#include "tests/unit/http1_cases.h"
#include "tests/unit/http1_transcript.h"

static const struct http1_limits LIMITS = {.line = 8192, .head = 65536, .fields = 100};

static struct transcript setup(enum side side, size_t first, size_t step)
{
    return (struct transcript){.responses = side != REQUEST,
                               .head = side == TO_HEAD,
                               .connect = side == TO_CONNECT,
                               .upgrade = true,
                               .close = true,
                               .limits = LIMITS,
                               .first = first,
                               .step = step};
}

/* The transcript for every cut in two, and for one byte at a time, is `expected`. */
static void every_split(enum side side, const char *bytes, size_t size, const char *expected)
{
    for (size_t cut = 0; cut <= size + 1; cut++) {
        struct transcript t = setup(side, cut, cut > size ? 1 : 0);
        if (cut > size)
            t.first = 1;
        transcript_make(&t, bytes, size);
        evbuffer_add(t.text, "", 1);
        assert_string_equal((char *)evbuffer_pullup(t.text, -1), expected);
        evbuffer_free(t.text);
    }
}

static void test_good_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
        every_split(GOOD[i].side, GOOD[i].bytes, strlen(GOOD[i].bytes), GOOD[i].expected);
}

/* The bytes of a case without its marks; *end is what the parser may take. */
static size_t unmark(const char *text, char *bytes, size_t *end)
{
    size_t size = 0;
    for (; *text; text++) {
        if (*text == '~')
            *end = size;
        else
            bytes[size++] = (char)(*text == '^' ? '\0' : *text);
    }
    return size;
}

static void test_bad_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BADS) / sizeof(BADS[0]); i++) {
        char bytes[512];
        size_t end = 0;
        size_t size = unmark(BADS[i].bytes, bytes, &end);
        for (size_t cut = 1; cut <= size; cut++) {
            struct transcript t = setup(BADS[i].side, cut, cut == size ? 1 : 0);
            transcript_make(&t, bytes, size);
            evbuffer_free(t.text);
            if (t.error != BADS[i].error || t.used != end)
                fail_msg("%s: %s after %zu of %zu", BADS[i].bytes, http1_error_text(t.error),
                         t.used, end);
        }
        struct transcript t = setup(BADS[i].side, 1, 1);
        transcript_make(&t, bytes, size);
        evbuffer_free(t.text);
        assert_int_equal(t.error, BADS[i].error);
        assert_int_equal(t.used, end);
    }
}

/* --- close --- */

static enum http1_event close_after(enum side side, const char *bytes, size_t size)
{
    struct transcript t = setup(side, size, 0);
    transcript_make(&t, bytes, size);
    evbuffer_free(t.text);
    if (t.last == HTTP1_ERROR)
        assert_int_equal(t.error, HTTP1_ERROR_TRUNCATED);
    return t.last;
}

/* Between messages (after nothing, after the whole) HTTP1_MORE; anywhere inside an error. */
static void test_close_at_every_byte(void **state)
{
    static const char *const WHOLE[] = {
        GH E,
        GH "Content-Length: 3\r\n" E "abc",
        GH TE E "3;x=y\r\nabc\r\n0\r\n" E,
        GH TE E "0\r\nX: y\r\n" E,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(WHOLE) / sizeof(WHOLE[0]); i++) {
        size_t size = strlen(WHOLE[i]);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(close_after(REQUEST, WHOLE[i], cut), cut ? HTTP1_ERROR : HTTP1_MORE);
        assert_int_equal(close_after(REQUEST, WHOLE[i], size), HTTP1_MORE);
    }
    assert_int_equal(close_after(REQUEST, "\r", 1), HTTP1_ERROR);
    assert_int_equal(close_after(REQUEST, "\r\n", 2), HTTP1_MORE);
}

static void test_close_ends_a_body_without_length(void **state)
{
    static const char RESPONSE_BYTES[] = OK E "abc";
    size_t head = sizeof(OK E) - 1;
    (void)state;
    for (size_t cut = 1; cut < head; cut++)
        assert_int_equal(close_after(RESPONSE, RESPONSE_BYTES, cut), HTTP1_ERROR);
    for (size_t cut = head; cut < sizeof(RESPONSE_BYTES); cut++)
        assert_int_equal(close_after(RESPONSE, RESPONSE_BYTES, cut), HTTP1_END);
}

/* The peer closes when the message is whole, and its HTTP1_END was not asked for yet. */
static void test_close_before_the_end_was_told(void **state)
{
    static const char BYTES[] = GH "Content-Length: 1\r\n" E "x";
    struct http1 *parser = http1_new_request_parser(&LIMITS);
    struct span data;
    size_t used;
    (void)state;
    assert_int_equal(http1_feed(parser, BYTES, sizeof(BYTES) - 1, &used, &data), HTTP1_HEAD);
    assert_int_equal(http1_feed(parser, BYTES + used, sizeof(BYTES) - 1 - used, &used, &data),
                     HTTP1_BODY);
    assert_int_equal(http1_close(parser), HTTP1_END);
    assert_int_equal(http1_close(parser), HTTP1_MORE);
    http1_free(parser);

    parser = http1_new_request_parser(&LIMITS);
    assert_int_equal(http1_feed(parser, GH E, sizeof(GH E) - 1, &used, &data), HTTP1_HEAD);
    assert_false(http1_idle(parser));
    assert_int_equal(http1_close(parser), HTTP1_END);
    http1_free(parser);
}

static void test_an_error_stays(void **state)
{
    struct http1 *parser = http1_new_request_parser(&LIMITS);
    struct span data;
    size_t used;
    (void)state;
    assert_int_equal(http1_feed(parser, "\n", 1, &used, &data), HTTP1_ERROR);
    assert_int_equal(http1_feed(parser, GH E, sizeof(GH E) - 1, &used, &data), HTTP1_ERROR);
    assert_int_equal(used, 0);
    http1_upgrade(parser);
    assert_int_equal(http1_feed(parser, "x", 1, &used, &data), HTTP1_ERROR);
    assert_int_equal(http1_close(parser), HTTP1_ERROR);
    assert_int_equal(http1_error(parser), HTTP1_ERROR_BARE_LF);
    assert_false(http1_idle(parser));
    http1_free(parser);
}

/* --- upgrades after the end of a request, as for a WebSocket --- */

static void test_upgrade_after_end(void **state)
{
    static const char BYTES[] = GH "Connection: upgrade\r\nUpgrade: x\r\n" E;
    struct http1 *parser = http1_new_request_parser(&LIMITS);
    struct span data;
    size_t used;
    (void)state;
    assert_int_equal(http1_feed(parser, BYTES, sizeof(BYTES) - 1, &used, &data), HTTP1_HEAD);
    assert_int_equal(http1_feed(parser, "", 0, &used, &data), HTTP1_END);
    http1_upgrade(parser);
    assert_int_equal(http1_feed(parser, "", 0, &used, &data), HTTP1_MORE);
    assert_string_equal(http1_head(parser)->host, "a");
    assert_false(http1_idle(parser));
    assert_int_equal(http1_feed(parser, "\n\0z", 3, &used, &data), HTTP1_UPGRADED);
    assert_int_equal(used, 3);
    assert_true(span_equal(data, ((struct span){"\n\0z", 3})));
    assert_null(parser->message.blocks);
    http1_free(parser);
}

/* --- limits: exactly at them, and the byte that breaks them --- */

static const struct http1_limits SMALL = {.line = 20, .head = 60, .fields = 3};

/* Byte by byte: nothing is refused before the last byte, and the last one is when `error` says so.
 */
static void expect_limit(bool responses, const char *bytes, enum http1_error error)
{
    size_t size = strlen(bytes);
    for (size_t step = 0; step < 2; step++) {
        struct transcript t = {.responses = responses, .limits = SMALL, .step = step};
        t.first = step;
        transcript_make(&t, bytes, size - 1);
        evbuffer_free(t.text);
        assert_int_equal(t.error, HTTP1_ERROR_NONE);
        transcript_make(&t, bytes, size);
        evbuffer_free(t.text);
        if (t.error != error)
            fail_msg("%s: %s", bytes, http1_error_text(t.error));
    }
}

static void test_limits(void **state)
{
    (void)state;
    expect_limit(false, "GET /3456789 HTTP/1.1", HTTP1_ERROR_LINE_TOO_LONG);
    expect_limit(false, "GET /345678 HTTP/1.1\r\n", HTTP1_ERROR_NONE);
    expect_limit(false, "\r\nGET /345678 HTTP/1.1\r\n", HTTP1_ERROR_NONE);
    expect_limit(true, "HTTP/1.1 200 45678901", HTTP1_ERROR_LINE_TOO_LONG);
    expect_limit(false, GH "A: 456789012345678901", HTTP1_ERROR_HEAD_TOO_LARGE);
    expect_limit(false, GH "A: 45678901234567890\r\n", HTTP1_ERROR_NONE);
    /* 16 + 9 + 22 + 11 + 2 is 60 */
    expect_limit(false, GH "A: 45678901234567890\r\nB: 456789\r\n\r\n", HTTP1_ERROR_NONE);
    expect_limit(false, GH "A: 45678901234567890\r\nB: 4567890\r\n\r", HTTP1_ERROR_HEAD_TOO_LARGE);
    expect_limit(false, GH "A: 45678901234567890\r\nB: 45678901\r\n", HTTP1_ERROR_NONE);
    expect_limit(false, GH "A: 45678901234567890\r\nB: 456789012\r", HTTP1_ERROR_HEAD_TOO_LARGE);
    expect_limit(false, GH "A: 45678901234567890\r\nB: 45678901234", HTTP1_ERROR_HEAD_TOO_LARGE);
    expect_limit(false, GH "A:\r\nB:\r\n\r\n", HTTP1_ERROR_NONE);
    expect_limit(false, GH "A:\r\nB:\r\nC", HTTP1_ERROR_TOO_MANY_FIELDS);
}

/* Trailer sections and chunk lines have the same limits; a trailer field that is dropped counts. */
static void test_limits_after_the_head(void **state)
{
    static const struct {
        const char *bytes;
        enum http1_error error;
    } CASES[] = {
        {"0\r\nHost:\r\nB:\r\nC:\r\n\r\n", HTTP1_ERROR_NONE},
        {"0\r\nHost:\r\nB:\r\nC:\r\nD", HTTP1_ERROR_TOO_MANY_FIELDS},
        {"0\r\nA: 456789012345678901234567890", HTTP1_ERROR_NONE},
        {"0\r\nA: 4567890123456789012345678901", HTTP1_ERROR_HEAD_TOO_LARGE},
        {"1;a=567890123456789012345678901234\r\n", HTTP1_ERROR_CHUNK},
        {"1;a=56789012345678901234567890\r\nx\r\n1;a=56789012345678901234567890\r\nx\r\n0\r\n",
         HTTP1_ERROR_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (size_t step = 0; step < 2; step++) {
            char bytes[256];
            struct transcript t = {.responses = true,
                                   .limits = {.line = 30, .head = 60, .fields = 3},
                                   .first = step,
                                   .step = step};
            int size = snprintf(bytes, sizeof(bytes), "%s%s", OK TE E, CASES[i].bytes);
            transcript_make(&t, bytes, (size_t)size);
            evbuffer_free(t.text);
            assert_int_equal(t.error, CASES[i].error);
        }
    }
}

/* --- memory --- */

static size_t block_bytes(const struct http1 *parser)
{
    size_t size = 0;
    for (const struct http1_block *block = parser->message.blocks; block; block = block->next)
        size += block->size;
    return size;
}

/* A head of the largest size, one byte at a time: few blocks, and none left when idle. */
static void test_memory_is_bounded(void **state)
{
    struct http1_limits limits = {.line = 40000, .head = 65536, .fields = 100};
    struct http1 *parser = http1_new_request_parser(&limits);
    char *bytes = memory_allocate(65536, 1);
    int size = snprintf(bytes, 65536, "%sA: %039000d\r\nB: %020000d\r\n\r\n", GH, 1, 2);
    enum http1_event event = HTTP1_MORE;
    struct span data;
    size_t used;
    (void)state;
    for (int i = 0; i < size; i++) {
        assert_int_equal(event, HTTP1_MORE);
        event = http1_feed(parser, bytes + i, 1, &used, &data);
        assert_true(block_bytes(parser) <= 4 * limits.head);
    }
    assert_int_equal(event, HTTP1_HEAD);
    assert_int_equal(http1_head(parser)->fields[1].value.size, 39000);
    assert_int_equal(http1_feed(parser, NULL, 0, &used, &data), HTTP1_END);
    assert_int_equal(http1_head(parser)->fields[2].value.size, 20000);
    assert_int_equal(http1_feed(parser, NULL, 0, &used, &data), HTTP1_MORE);
    assert_null(parser->message.blocks);
    assert_null(parser->message.fields.items);
    assert_true(http1_idle(parser));
    free(bytes);
    http1_free(parser);
}

/* Many chunks with long extensions leave nothing behind. */
static void test_chunk_lines_are_not_kept(void **state)
{
    static const char CHUNK_BYTES[] = "1;name=\"a value that is long for its chunk\"\r\nx\r\n";
    struct http1 *parser = http1_new_response_parser(&LIMITS);
    struct span data;
    size_t used, offset, body = 0;
    (void)state;
    assert_int_equal(http1_feed(parser, OK TE E, sizeof(OK TE E) - 1, &used, &data), HTTP1_HEAD);
    for (size_t i = 0; i < 1000; i++) {
        for (offset = 0; offset < sizeof(CHUNK_BYTES) - 1; offset += used) {
            http1_feed(parser, CHUNK_BYTES + offset, sizeof(CHUNK_BYTES) - 1 - offset, &used,
                       &data);
            body += data.size;
        }
    }
    assert_int_equal(body, 1000);
    assert_true(block_bytes(parser) < 4096);
    http1_free(parser);
}

static void test_errors_have_texts(void **state)
{
    (void)state;
    for (enum http1_error error = HTTP1_ERROR_LINE_TOO_LONG; error <= HTTP1_ERROR_TRUNCATED;
         error++) {
        assert_true(strlen(http1_error_text(error)) > 0);
        assert_in_range(http1_error_status(error), 400, 599);
    }
    assert_int_equal(http1_error_status(HTTP1_ERROR_LINE_TOO_LONG), 414);
    assert_int_equal(http1_error_status(HTTP1_ERROR_CODING), 501);
    assert_int_equal(http1_error_status(HTTP1_ERROR_UNSUPPORTED_VERSION), 505);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_messages),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_close_at_every_byte),
        cmocka_unit_test(test_close_ends_a_body_without_length),
        cmocka_unit_test(test_close_before_the_end_was_told),
        cmocka_unit_test(test_an_error_stays),
        cmocka_unit_test(test_upgrade_after_end),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_after_the_head),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_chunk_lines_are_not_kept),
        cmocka_unit_test(test_errors_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
