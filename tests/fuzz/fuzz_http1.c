/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of the HTTP/1.1 core. The first byte chooses the side, what a response answers and
 * how the rest is cut. Whole, cut in two and byte by byte must give the same events; a head that is
 * accepted must be read as the same again when it is written and passed on.
 */
#include "tests/unit/http1_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Small enough that the fuzzer meets them. */
static const struct http1_limits LIMITS = {.line = 200, .head = 600, .fields = 12};
/* What is written may be longer than what was read: "A:b" becomes "A: b". */
static const struct http1_limits WIDE = {.line = 2000, .head = 6000, .fields = 20};

static void same_for_any_splitting(struct transcript whole, const uint8_t *bytes, size_t size)
{
    struct transcript halves = whole, single = whole;
    halves.first = 1 + size / 2;
    single.first = single.step = 1;
    transcript_make(&whole, bytes, size);
    transcript_make(&halves, bytes, size);
    transcript_make(&single, bytes, size);
    CHECK(transcript_same(whole.text, halves.text));
    CHECK(transcript_same(whole.text, single.text));
    evbuffer_free(whole.text);
    evbuffer_free(halves.text);
    evbuffer_free(single.text);
}

static void write_head(struct evbuffer *out, const struct http1_head *head)
{
    if (head->status)
        http1_write_status_line(out, head->status, head->phrase);
    else
        http1_write_request_line(out, head->method, head->target);
    for (size_t i = 0; i < head->field_count; i++)
        if (!http1_is_hop(head, head->fields[i].name))
            http1_write_field(out, head->fields[i].name, head->fields[i].value);
    http1_write_framing(out, head->framing, head->length);
    http1_write_end_of_head(out);
}

/* The fields that are passed on, in their order. */
static void check_fields(const struct http1_head *a, const struct http1_head *b)
{
    size_t j = 0;
    for (size_t i = 0; i < a->field_count; i++) {
        if (http1_is_hop(a, a->fields[i].name))
            continue;
        while (j < b->field_count && http1_is_hop(b, b->fields[j].name))
            j++;
        CHECK(j < b->field_count);
        CHECK(span_equal(a->fields[i].name, b->fields[j].name));
        CHECK(span_equal(a->fields[i].value, b->fields[j].value));
        j++;
    }
    while (j < b->field_count && http1_is_hop(b, b->fields[j].name))
        j++;
    CHECK(j == b->field_count);
}

static void check_head(const struct http1_head *a, const struct http1_head *b)
{
    CHECK(a->status == b->status);
    CHECK(span_equal(a->phrase, b->phrase));
    CHECK(span_equal(a->method, b->method));
    CHECK(span_equal(a->target, b->target));
    CHECK(span_equal(a->path, b->path));
    CHECK(strcmp(a->host, b->host) == 0);
    CHECK(a->port == b->port);
    CHECK(a->framing == b->framing);
    CHECK(a->framing != HTTP1_LENGTH || a->length == b->length);
    check_fields(a, b);
}

static void rewrite(const struct transcript *t, const struct http1_head *head)
{
    struct evbuffer *out = evbuffer_new();
    struct http1 *parser =
        t->responses ? http1_new_response_parser(&WIDE) : http1_new_request_parser(&WIDE);
    struct span data;
    size_t used;
    CHECK(out);
    http1_expect(parser, t->head, t->connect);
    write_head(out, head);
    size_t size = evbuffer_get_length(out);
    CHECK(http1_feed(parser, evbuffer_pullup(out, -1), size, &used, &data) == HTTP1_HEAD);
    CHECK(used == size);
    check_head(head, http1_head(parser));
    http1_free(parser);
    evbuffer_free(out);
}

static void written_heads_are_the_same(const struct transcript *t, const uint8_t *bytes,
                                       size_t size)
{
    struct http1 *parser =
        t->responses ? http1_new_response_parser(&LIMITS) : http1_new_request_parser(&LIMITS);
    enum http1_event event;
    struct span data;
    size_t used;
    do {
        http1_expect(parser, t->head, t->connect);
        event = http1_feed(parser, bytes, size, &used, &data);
        bytes += used;
        size -= used;
        /* written as HTTP/1.1, a request without Host would be refused, and rightly */
        if (event == HTTP1_HEAD &&
            (t->responses ||
             field_find(http1_head(parser)->fields, http1_head(parser)->field_count, SPAN("Host"))))
            rewrite(t, http1_head(parser));
    } while (event != HTTP1_MORE && event != HTTP1_ERROR);
    http1_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct transcript t = {.limits = LIMITS};
    if (size == 0 || size > 4096)
        return 0;
    t.responses = bytes[0] & 1;
    t.head = bytes[0] & 2;
    t.connect = bytes[0] & 4;
    t.upgrade = bytes[0] & 8;
    t.close = bytes[0] & 16;
    same_for_any_splitting(t, bytes + 1, size - 1);
    written_heads_are_the_same(&t, bytes + 1, size - 1);
    return 0;
}
