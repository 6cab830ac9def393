/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an HTTP/1.1 parser says of some bytes, as one text: the same however the bytes are cut. For
 * the unit test and the fuzz target. What must hold of every parse is checked on the way.
 */
#ifndef TESTS_UNIT_HTTP1_TRANSCRIPT_H
#define TESTS_UNIT_HTTP1_TRANSCRIPT_H

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/http1.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define S(span) (int)(span).size, (span).data ? (span).data : ""

struct transcript {
    bool responses;
    bool head, connect; /* what http1_expect() is told, once */
    bool upgrade;       /* http1_upgrade() where the head says so */
    bool close;         /* http1_close() at the end */
    struct http1_limits limits;
    size_t first, step; /* sizes of the first and of every later piece; 0 is all there is */
    /* the outcome */
    struct evbuffer *text;
    size_t used; /* bytes, all together */
    enum http1_event last;
    enum http1_error error;
};

static inline void transcript_fields(struct evbuffer *text, const struct field *fields,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        evbuffer_add_printf(text, " %.*s: %.*s\n", S(fields[i].name), S(fields[i].value));
}

static inline void transcript_head(struct evbuffer *text, const struct http1_head *head)
{
    static const char *const FRAMING[] = {"none", "length", "chunked", "close"};
    if (head->status)
        evbuffer_add_printf(text, "%u '%.*s'", head->status, S(head->phrase));
    else
        evbuffer_add_printf(text, "%.*s %.*s host=%s:%u path=%.*s%s", S(head->method),
                            S(head->target), head->host, head->port, S(head->path),
                            !head->absolute    ? ""
                            : head->scheme_tls ? " https"
                                               : " http");
    evbuffer_add_printf(text, " 1.%u %s", head->minor, FRAMING[head->framing]);
    if (head->has_length)
        evbuffer_add_printf(text, "=%llu", (unsigned long long)head->length);
    evbuffer_add_printf(text, "%s%s%s", head->keep_alive ? " keep" : "",
                        head->upgrade ? " upgrade" : "", head->expect_continue ? " expect" : "");
    for (size_t i = 0; i < head->connection_count; i++)
        evbuffer_add_printf(text, " [%.*s]", S(head->connection[i]));
    evbuffer_add(text, "\n", 1);
    transcript_fields(text, head->fields, head->field_count);
}

static inline struct evbuffer *transcript_head_of(const struct http1 *parser)
{
    struct evbuffer *text = evbuffer_new();
    CHECK(text);
    transcript_head(text, http1_head(parser));
    return text;
}

static inline bool transcript_same(struct evbuffer *a, struct evbuffer *b)
{
    size_t size = evbuffer_get_length(a);
    return size == evbuffer_get_length(b) &&
           (size == 0 || memcmp(evbuffer_pullup(a, -1), evbuffer_pullup(b, -1), size) == 0);
}

static inline bool transcript_upgrades(const struct transcript *t, const struct http1_head *head)
{
    if (!t->upgrade || head->framing != HTTP1_NO_BODY)
        return false;
    if (t->responses)
        return head->status == 101 || (t->connect && head->status / 100 == 2);
    return span_equal(head->method, SPAN("CONNECT")) || head->upgrade;
}

struct transcript_run {
    struct http1 *parser;
    struct evbuffer *head; /* as it was at HTTP1_HEAD; it must stay so */
    enum http1_event open; /* BODY or UPGRADED: pieces of one run are written as one */
};

static inline void transcript_event(struct transcript *t, struct transcript_run *run,
                                    enum http1_event event, struct span data)
{
    const struct field *fields;
    size_t count;
    if (event == HTTP1_MORE)
        return;
    if (event != run->open && run->open != HTTP1_MORE) {
        evbuffer_add(t->text, "\n", 1);
        run->open = HTTP1_MORE;
    }
    if (run->head && (event == HTTP1_UPGRADED || event == HTTP1_ERROR)) {
        evbuffer_free(run->head);
        run->head = NULL;
    } else if (run->head) {
        struct evbuffer *now = transcript_head_of(run->parser);
        CHECK(transcript_same(now, run->head));
        evbuffer_free(now);
    }
    switch (event) {
    case HTTP1_HEAD:
        CHECK(!run->head);
        run->head = transcript_head_of(run->parser);
        transcript_head(t->text, http1_head(run->parser));
        if (transcript_upgrades(t, http1_head(run->parser)))
            http1_upgrade(run->parser);
        break;
    case HTTP1_BODY:
    case HTTP1_UPGRADED:
        CHECK(data.size > 0);
        if (event != run->open)
            evbuffer_add_printf(t->text, event == HTTP1_BODY ? "body " : "upgraded ");
        run->open = event;
        evbuffer_add(t->text, data.data, data.size);
        break;
    case HTTP1_TRAILER:
        fields = http1_trailer(run->parser, &count);
        CHECK(count > 0);
        evbuffer_add_printf(t->text, "trailer\n");
        transcript_fields(t->text, fields, count);
        break;
    case HTTP1_END:
        evbuffer_add_printf(t->text, "end\n");
        if (run->head)
            evbuffer_free(run->head);
        run->head = NULL;
        break;
    default:
        t->error = http1_error(run->parser);
        CHECK(t->error != HTTP1_ERROR_NONE);
        evbuffer_add_printf(t->text, "error %s after %zu\n", http1_error_text(t->error), t->used);
    }
}

/* One piece, in memory of its own, so that a sanitizer sees what reads past it. */
static inline void transcript_piece(struct transcript *t, struct transcript_run *run,
                                    const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    size_t offset = 0, used;
    struct span data;
    CHECK(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    do {
        t->last = http1_feed(run->parser, copy + offset, size - offset, &used, &data);
        CHECK(used <= size - offset);
        CHECK(data.size <= used);
        if (data.size > 0)
            CHECK((const uint8_t *)data.data + data.size == copy + offset + used);
        offset += used;
        t->used += used;
        CHECK(t->last != HTTP1_MORE || offset == size);
        transcript_event(t, run, t->last, data);
        CHECK(t->last != HTTP1_END || http1_idle(run->parser));
    } while (t->last != HTTP1_MORE && t->last != HTTP1_ERROR);
    memset(copy, 0xaa, size);
    free(copy);
}

/* The caller frees t->text. */
static inline void transcript_make(struct transcript *t, const void *bytes, size_t size)
{
    struct transcript_run run = {NULL, NULL, HTTP1_MORE};
    size_t offset = 0, piece = t->first ? t->first : size;
    run.parser =
        t->responses ? http1_new_response_parser(&t->limits) : http1_new_request_parser(&t->limits);
    http1_expect(run.parser, t->head, t->connect);
    t->text = evbuffer_new();
    CHECK(t->text);
    t->used = 0;
    t->error = HTTP1_ERROR_NONE;
    do {
        if (piece > size - offset)
            piece = size - offset;
        transcript_piece(t, &run, (const uint8_t *)bytes + offset, piece);
        offset += piece;
        piece = t->step ? t->step : size;
    } while (offset < size && t->last != HTTP1_ERROR);
    if (t->close && t->last != HTTP1_ERROR) {
        t->last = http1_close(run.parser);
        transcript_event(t, &run, t->last, (struct span){NULL, 0});
    }
    if (run.open != HTTP1_MORE)
        evbuffer_add(t->text, "\n", 1);
    if (run.head)
        evbuffer_free(run.head);
    http1_free(run.parser);
}

#endif
