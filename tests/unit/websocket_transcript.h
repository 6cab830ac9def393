/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a WebSocket parser told, as text that does not depend on how the bytes were cut: pieces of
 * content that follow each other are one line, with their size and hash. For the unit test and the
 * fuzz target.
 */
#ifndef TESTS_UNIT_WEBSOCKET_TRANSCRIPT_H
#define TESTS_UNIT_WEBSOCKET_TRANSCRIPT_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/websocket.h"

struct transcript {
    char *text;
    size_t size, room;
    uint64_t content; /* bytes not yet written as a line */
    uint64_t hash;
};

#define HASH_START 0xcbf29ce484222325u

static uint64_t hash_bytes(uint64_t hash, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ (uint8_t)bytes.data[i]) * 0x100000001b3u;
    return hash;
}

__attribute__((format(printf, 2, 3))) static void transcript_add(struct transcript *transcript,
                                                                 const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (size < 0 || (size_t)size >= sizeof(line))
        abort();
    if (transcript->size + (size_t)size + 1 > transcript->room) {
        transcript->room = 2 * transcript->room + sizeof(line);
        transcript->text = realloc(transcript->text, transcript->room);
        if (!transcript->text)
            abort();
    }
    memcpy(transcript->text + transcript->size, line, (size_t)size + 1);
    transcript->size += (size_t)size;
}

static void transcript_flush(struct transcript *transcript)
{
    if (transcript->content)
        transcript_add(transcript, "content %" PRIu64 " %" PRIx64 "\n", transcript->content,
                       transcript->hash);
    transcript->content = 0;
    transcript->hash = HASH_START;
}

static void transcript_told(void *context, const struct websocket_event *event)
{
    struct transcript *transcript = context;
    if (event->kind == WEBSOCKET_EVENT_CONTENT) {
        if (event->bytes.size == 0)
            abort();
        transcript->content += event->bytes.size;
        transcript->hash = hash_bytes(transcript->hash, event->bytes);
        return;
    }
    transcript_flush(transcript);
    switch (event->kind) {
    case WEBSOCKET_EVENT_FRAME:
        transcript_add(transcript, "frame %x%s %" PRIu64 "\n", (unsigned)event->opcode,
                       event->final ? " final" : "", event->size);
        break;
    case WEBSOCKET_EVENT_MESSAGE:
        transcript_add(transcript, "message %x%s\n", (unsigned)event->opcode,
                       event->whole ? "" : " cut");
        break;
    case WEBSOCKET_EVENT_CONTROL:
    case WEBSOCKET_EVENT_CLOSE:
        if (event->bytes.size > 125)
            abort();
        transcript_add(transcript, "control %x %u %.*s\n", (unsigned)event->opcode, event->code,
                       (int)event->bytes.size, event->bytes.size ? event->bytes.data : "");
        break;
    case WEBSOCKET_EVENT_UNWATCHED:
        transcript_add(transcript, "unwatched\n");
        break;
    case WEBSOCKET_EVENT_CONTENT:
        break;
    }
}

/* The whole story of `bytes` fed `step` at a time (the first time `first`). */
static enum websocket_error transcript_make(struct transcript *transcript, bool client,
                                            const struct websocket_parameters *parameters,
                                            struct span bytes, size_t first, size_t step)
{
    enum websocket_error error = WEBSOCKET_ERROR_NONE;
    struct websocket *parser = client
                                   ? websocket_new_client(parameters, transcript_told, transcript)
                                   : websocket_new_server(parameters, transcript_told, transcript);
    *transcript = (struct transcript){.hash = HASH_START};
    transcript_add(transcript, "%s", "");
    while (bytes.size && !error) {
        /* A copy of its own, so that a read past the piece is seen. */
        struct span piece = span_first(bytes, first ? first : 1);
        char *copy = malloc(piece.size);
        if (!copy)
            abort();
        memcpy(copy, piece.data, piece.size);
        error = websocket_feed(parser, copy, piece.size);
        free(copy);
        bytes = span_from(bytes, piece.size);
        first = step;
    }
    transcript_flush(transcript);
    transcript_add(transcript, "%s%s%s\n", websocket_error_text(error),
                   websocket_is_between(parser) ? ", between" : "",
                   websocket_is_closed(parser) ? ", closed" : "");
    if (websocket_feed(parser, NULL, 0) != error)
        abort();
    websocket_free(parser);
    return error;
}

#endif
