/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests of the HTTP/2 adapter and its fuzz target: frames written by hand, a recorder that
 * turns the events of a connection into one text per stream (the same however the bytes are cut),
 * and two ends joined in memory.
 */
#ifndef TESTS_UNIT_HTTP2_FIXTURE_H
#define TESTS_UNIT_HTTP2_FIXTURE_H

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/http2_private.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define S(span) (int)(span).size, (span).data ? (span).data : ""

/* --- frames by hand --- */

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { CONTINUATION = 9 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static inline void frame_add(struct evbuffer *out, int type, int flags, uint32_t id,
                             const void *payload, size_t size)
{
    const uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,
                             (uint8_t)type,         (uint8_t)flags,       (uint8_t)(id >> 24),
                             (uint8_t)(id >> 16),   (uint8_t)(id >> 8),   (uint8_t)id};
    evbuffer_add(out, head, sizeof(head));
    evbuffer_add(out, payload, size);
}

static inline void frame_add_number(struct evbuffer *out, int type, uint32_t id, uint32_t number)
{
    const uint8_t payload[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                (uint8_t)(number >> 8), (uint8_t)number};
    frame_add(out, type, 0, id, payload, sizeof(payload));
}

static inline void hpack_add_string(struct evbuffer *out, const char *text, size_t size)
{
    uint8_t byte = 127;
    if (size < 127) {
        byte = (uint8_t)size;
        evbuffer_add(out, &byte, 1);
    } else {
        evbuffer_add(out, &byte, 1);
        size_t rest = size - 127;
        for (; rest >= 128; rest /= 128) {
            byte = (uint8_t)(128 | rest % 128);
            evbuffer_add(out, &byte, 1);
        }
        byte = (uint8_t)rest;
        evbuffer_add(out, &byte, 1);
    }
    evbuffer_add(out, text, size);
}

/* A literal without indexing; with `never`, never indexed. */
static inline void hpack_add(struct evbuffer *out, const char *name, size_t name_size,
                             const char *value, size_t value_size, bool never)
{
    evbuffer_add(out, never ? "\x10" : "\0", 1);
    hpack_add_string(out, name, name_size);
    hpack_add_string(out, value, value_size);
}

/* "name=value" lines; the name may begin with ':', '~' stands for a NUL in the value. */
static inline void hpack_add_lines(struct evbuffer *out, const char *lines)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n"), name = strcspn(lines, "=");
        char *value = malloc(size);
        size_t value_size = size - name - 1;
        CHECK(name < size);
        memcpy(value, lines + name + 1, value_size);
        for (size_t i = 0; i < value_size; i++)
            if (value[i] == '~')
                value[i] = '\0';
        hpack_add(out, lines, name, value, value_size, false);
        free(value);
        lines += size + (lines[size] == '\n');
    }
}

static inline void headers_add(struct evbuffer *out, int flags, uint32_t id, const char *lines)
{
    struct evbuffer *block = evbuffer_new();
    hpack_add_lines(block, lines);
    size_t size = evbuffer_get_length(block);
    frame_add(out, HEADERS, flags, id, evbuffer_pullup(block, -1), size);
    evbuffer_free(block);
}

/* What a client begins with: preface and empty settings; a server begins with the settings alone.
 */
static inline struct evbuffer *bytes_new(bool from_client)
{
    struct evbuffer *bytes = evbuffer_new();
    if (from_client)
        evbuffer_add(bytes, PREFACE, strlen(PREFACE));
    frame_add(bytes, SETTINGS, 0, 0, NULL, 0);
    return bytes;
}

/* The next frame of what an adapter wrote; false when there is none. */
struct frame {
    size_t size;
    uint8_t type, flags;
    uint32_t id;
    uint8_t payload[70000];
};
static inline bool frame_take(struct evbuffer *in, struct frame *frame)
{
    uint8_t head[9];
    if (evbuffer_remove(in, head, 9) != 9)
        return false;
    frame->size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    frame->type = head[3];
    frame->flags = head[4];
    frame->id =
        (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    CHECK(frame->size <= sizeof(frame->payload));
    CHECK(evbuffer_remove(in, frame->payload, frame->size) == (int)frame->size);
    return true;
}
static inline uint32_t frame_number(const struct frame *frame, size_t at)
{
    const uint8_t *p = frame->payload + at;
    CHECK(frame->size >= at + 4);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- the recorder --- */

#define RECORDED_STREAMS 512

struct recorder {
    struct evbuffer *text[RECORDED_STREAMS]; /* by id; 0 is the connection */
    bool in_body[RECORDED_STREAMS];
    bool keeps; /* does not consume what comes */
    struct http2_stream *streams[RECORDED_STREAMS];
    unsigned heads, ends, resets, closed, refused, settings, goaways, errors;
    size_t body, sent;
    uint32_t code;
    enum http2_error error;
};

static inline void record_fields(struct evbuffer *text, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        evbuffer_add_printf(text, " %.*s: %.*s\n", S(fields[i].name), S(fields[i].value));
}

static inline void record_head(struct evbuffer *text, const char *kind,
                               const struct http2_head *head)
{
    if (head->status)
        evbuffer_add_printf(text, "%s %u", kind, head->status);
    else
        evbuffer_add_printf(text, "%s %.*s %s host=%s:%u path=%.*s", kind, S(head->method),
                            head->scheme_tls ? "https" : "http", head->host, head->port,
                            S(head->path));
    if (head->protocol.size > 0)
        evbuffer_add_printf(text, " protocol=%.*s", S(head->protocol));
    if (head->has_length)
        evbuffer_add_printf(text, " length=%llu", (unsigned long long)head->length);
    evbuffer_add_printf(text, "%s%s\n", head->sensitive ? " sensitive" : "",
                        head->end ? " end" : "");
    record_fields(text, head->fields, head->field_count);
}

static inline void record(void *context, const struct http2_event *event)
{
    struct recorder *recorder = context;
    size_t id = event->stream                  ? (size_t)http2_stream_id(event->stream)
                : event->kind == HTTP2_REFUSED ? (size_t)event->last
                                               : 0;
    if (id >= RECORDED_STREAMS) /* the last is for all the others: not one text */
        id = RECORDED_STREAMS - 1;
    if (!recorder->text[id])
        recorder->text[id] = evbuffer_new();
    struct evbuffer *text = recorder->text[id];
    if (event->kind != HTTP2_BODY && event->kind != HTTP2_SENT && recorder->in_body[id]) {
        evbuffer_add_printf(text, "\n");
        recorder->in_body[id] = false;
    }
    recorder->streams[id] = event->stream;
    switch (event->kind) {
    case HTTP2_HEAD:
        CHECK(http2_stream_head(event->stream) == event->head);
        recorder->heads++;
        record_head(text, "HEAD", event->head);
        break;
    case HTTP2_INTERIM:
        record_head(text, "INTERIM", event->head);
        break;
    case HTTP2_BODY:
        CHECK(event->data.size > 0);
        if (!recorder->in_body[id])
            evbuffer_add_printf(text, "BODY ");
        recorder->in_body[id] = true;
        recorder->body += event->data.size;
        evbuffer_add(text, event->data.data, event->data.size);
        if (!recorder->keeps)
            http2_consume_body(event->stream, event->data.size);
        break;
    case HTTP2_TRAILER:
        evbuffer_add_printf(text, "TRAILER\n");
        record_fields(text, event->fields, event->field_count);
        break;
    case HTTP2_END:
        recorder->ends++;
        evbuffer_add_printf(text, "END\n");
        break;
    case HTTP2_SENT:
        CHECK(event->size > 0);
        recorder->sent += event->size;
        break;
    case HTTP2_CLOSED:
        recorder->closed++;
        recorder->streams[id] = NULL;
        evbuffer_add_printf(text, "CLOSED\n");
        http2_release_stream(event->stream, 0);
        break;
    case HTTP2_RESET:
        recorder->resets++;
        recorder->code = event->code;
        recorder->streams[id] = NULL;
        evbuffer_add_printf(text, "RESET %u %s\n", event->code, http2_error_text(event->error));
        http2_release_stream(event->stream, 0);
        break;
    case HTTP2_REFUSED:
        recorder->refused++;
        recorder->error = event->error;
        recorder->code = event->code;
        evbuffer_add_printf(text, "REFUSED %u %s\n", event->code, http2_error_text(event->error));
        break;
    case HTTP2_SETTINGS:
        recorder->settings++;
        break;
    case HTTP2_GOAWAY:
        recorder->goaways++;
        evbuffer_add_printf(text, "GOAWAY %d %u\n", event->last, event->code);
        break;
    case HTTP2_ERROR:
        CHECK(recorder->errors++ == 0);
        recorder->error = event->error;
        recorder->code = event->code;
        evbuffer_add_printf(text, "ERROR %u %s\n", event->code, http2_error_text(event->error));
        break;
    }
}

/* What is recorded of a stream, as a text that lives until more is. */
static inline const char *recorded(struct recorder *recorder, size_t id)
{
    if (!recorder->text[id])
        return "";
    evbuffer_add(recorder->text[id], "", 1);
    size_t size = evbuffer_get_length(recorder->text[id]);
    char *text = (char *)evbuffer_pullup(recorder->text[id], (ssize_t)size);
    return text;
}

static inline void recorder_clear(struct recorder *recorder)
{
    for (size_t i = 0; i < RECORDED_STREAMS; i++)
        if (recorder->text[i])
            evbuffer_free(recorder->text[i]);
    memset(recorder, 0, sizeof(*recorder));
}

static inline struct http2 *recorded_new(bool server, struct http2_options options,
                                         struct recorder *recorder)
{
    options.handler = record;
    options.context = recorder;
    return server ? http2_new_server(&options) : http2_new_client(&options);
}

/* --- one end against bytes by hand --- */

#define GET ":method=GET\n:scheme=https\n:authority=example.jp\n:path=/\n"

static inline struct http2_options small_options(void)
{
    struct http2_options options = HTTP2_DEFAULTS;
    options.limits = (struct http1_limits){.line = 300, .head = 1000, .fields = 10};
    options.connect_protocol = true;
    return options;
}

/* Feeds in pieces: the first of `first` bytes, the others of `step`; 0 is all there is. */
static inline void feed(struct http2 *connection, struct evbuffer *bytes, size_t first, size_t step)
{
    const uint8_t *at = evbuffer_pullup(bytes, -1);
    size_t size = evbuffer_get_length(bytes), piece = first;
    while (size > 0) {
        if (piece == 0 || piece > size)
            piece = size;
        http2_feed(connection, at, piece, 0);
        at += piece;
        size -= piece;
        piece = step;
    }
}

/* Pulls all; with `frame`, the first frame of that type is kept. Whether there was one. */
static inline bool pulled(struct http2 *connection, int type, struct frame *frame)
{
    struct evbuffer *out = evbuffer_new();
    bool found = false;
    http2_pull(connection, out, 1 << 20);
    if (evbuffer_get_length(out) > 24 && memcmp(evbuffer_pullup(out, 24), PREFACE, 24) == 0)
        evbuffer_drain(out, 24);
    while (!found && frame_take(out, frame))
        found = frame->type == type;
    evbuffer_free(out);
    return found;
}

static inline struct http2 *raw_request(struct recorder *recorder, struct http2_options options,
                                        int flags, const char *lines)
{
    struct http2 *server = recorded_new(true, options, recorder);
    struct evbuffer *bytes = bytes_new(true);
    headers_add(bytes, END_HEADERS | flags, 1, lines);
    feed(server, bytes, 0, 0);
    evbuffer_free(bytes);
    return server;
}

/* --- two ends in memory --- */

static inline struct http2_head request_head(const char *method, bool end)
{
    return (struct http2_head){.method = span_of(method),
                               .scheme_tls = true,
                               .host = "example.jp",
                               .path = SPAN("/"),
                               .end = end};
}

/* Moves what one end gives to the other, `limit` bytes at a time; whether there was any. */
static inline bool carry(struct http2 *from, struct http2 *to, size_t limit)
{
    struct evbuffer *bytes = evbuffer_new();
    http2_pull(from, bytes, limit);
    memset(http2_frame_buffer, 0xa5, HTTP2_FRAME_BUFFER); /* as another connection would */
    size_t size = evbuffer_get_length(bytes);
    http2_feed(to, evbuffer_pullup(bytes, -1), size, 0);
    evbuffer_free(bytes);
    return size > 0;
}

static inline void pump(struct http2 *a, struct http2 *b)
{
    for (bool moved = true; moved;) {
        moved = carry(a, b, 65536);
        moved |= carry(b, a, 65536);
    }
}

#endif
