/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/1.1 parser: lines are put together here and given to http1_head.c, bodies are handed
 * over as they come and never copied. Each state has one step; http1_feed() takes steps until one
 * of them has an event.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/http1_private.h"

#define BLOCK_FIRST 2032 /* room for a usual head, with the two headers before it 2 kB */

struct input {
    const uint8_t *bytes;
    size_t size; /* left */
    struct span piece;
};

/* --- memory --- */

static void message_release(struct http1_message *message)
{
    while (message->blocks) {
        struct http1_block *next = message->blocks->next;
        free(message->blocks);
        message->blocks = next;
    }
    free(message->fields.items);
    free(message->trailer.items);
    memset(message, 0, sizeof(*message));
}

/* A new block with room for the line so far and `size` more; doubling keeps the copying linear. */
static void block_add(struct http1_message *message, size_t size)
{
    struct http1_block *old = message->blocks;
    size_t kept = message->fill - message->line;
    size_t wanted = kept + size;
    size_t room = old ? 2 * old->size : BLOCK_FIRST;
    if (room < wanted)
        room = wanted;
    struct http1_block *block = memory_resize(NULL, 1, sizeof(*block) + room);
    block->size = room;
    block->next = old;
    if (old != NULL) /* else nothing is kept */
        memcpy(block->bytes, old->bytes + message->line, kept);
    message->blocks = block;
    message->line = 0;
    message->fill = kept;
}

void http1_append(struct http1_message *message, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    if (!message->blocks || message->blocks->size - message->fill < size)
        block_add(message, size);
    memcpy(message->blocks->bytes + message->fill, bytes, size);
    message->fill += size;
}

struct span http1_commit(struct http1_message *message)
{
    struct span line = {NULL, message->fill - message->line};
    if (line.size > 0)
        line.data = message->blocks->bytes + message->line;
    message->line = message->fill;
    return line;
}

/* The line that was committed last is not needed any more. */
static void line_discard(struct http1_message *message, struct span line)
{
    message->line -= line.size;
    message->fill = message->line;
}

/* --- lines --- */

static bool fail(struct http1 *parser, enum http1_error error)
{
    parser->state = STATE_FAILED;
    parser->error = error;
    return false;
}

static void input_use(struct input *input, size_t size)
{
    if (size > 0)
        input->bytes += size;
    input->size -= size;
}

/* How many of the first `size` bytes may stand in a line, but for the rules of its kind. */
static size_t plain_size(const uint8_t *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && (bytes[i] > '\r' || (bytes[i] != '\r' && bytes[i] != '\n' && bytes[i] != 0)))
        i++;
    return i;
}

/* What a line that is too long is called depends on whose it is. */
static enum http1_error too_long(const struct http1 *parser)
{
    if (parser->state == STATE_START)
        return HTTP1_ERROR_LINE_TOO_LONG;
    return parser->state == STATE_CHUNK_LINE ? HTTP1_ERROR_CHUNK : HTTP1_ERROR_HEAD_TOO_LARGE;
}

/* Takes bytes up to the CR of a line. Every limit is known at the byte that breaks it. */
static bool line_scan(struct http1 *parser, struct input *input)
{
    struct http1_message *message = &parser->message;
    size_t length = message->fill - message->line;
    size_t used = message->section + length;
    size_t line_room = parser->limits.line - length;
    size_t section_room = parser->limits.head > used ? parser->limits.head - used : 0;
    if (parser->state == STATE_CHUNK_LINE)
        section_room = SIZE_MAX;
    size_t room = line_room < section_room ? line_room : section_room;
    size_t run = plain_size(input->bytes, input->size < room ? input->size : room);
    if (length == 0 && run > 0 &&
        (parser->state == STATE_FIELDS || parser->state == STATE_TRAILER) &&
        message->section_fields++ == parser->limits.fields)
        return fail(parser, HTTP1_ERROR_TOO_MANY_FIELDS);
    http1_append(message, input->bytes, run);
    input_use(input, run);
    if (input->size == 0)
        return true;
    switch (input->bytes[0]) {
    case '\0':
        return fail(parser, HTTP1_ERROR_NUL);
    case '\n':
        return fail(parser, HTTP1_ERROR_BARE_LF);
    case '\r':
        if (section_room - run < 2)
            return fail(parser, HTTP1_ERROR_HEAD_TOO_LARGE);
        message->cr = true;
        input_use(input, 1);
        return true;
    default:
        return fail(parser,
                    line_room <= section_room ? too_long(parser) : HTTP1_ERROR_HEAD_TOO_LARGE);
    }
}

/* True when a line is whole; otherwise more is needed, or the parser has failed. */
static bool line_take(struct http1 *parser, struct input *input, struct span *line)
{
    struct http1_message *message = &parser->message;
    if (!message->cr && (!line_scan(parser, input) || !message->cr))
        return false;
    if (input->size == 0)
        return false;
    if (input->bytes[0] != '\n')
        return fail(parser, HTTP1_ERROR_BARE_CR);
    input_use(input, 1);
    message->cr = false;
    *line = http1_commit(message);
    message->section += line->size + 2;
    return true;
}

static enum http1_error first_line_done(struct http1 *parser, struct span line)
{
    struct http1_message *message = &parser->message;
    if (line.size == 0 && !parser->responses && !message->skipped) {
        message->skipped = true; /* RFC 9112 section 2.2 */
        message->section = 0;
        return HTTP1_ERROR_NONE;
    }
    parser->state = STATE_FIELDS;
    return parser->responses ? http1_take_status_line(message, line)
                             : http1_take_request_line(message, line);
}

static enum http1_error chunk_line_done(struct http1 *parser, struct span line)
{
    struct http1_message *message = &parser->message;
    if (!http1_parse_chunk(line, &message->left))
        return HTTP1_ERROR_CHUNK;
    line_discard(message, line);
    parser->state = message->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER;
    message->section = message->section_fields = 0;
    return HTTP1_ERROR_NONE;
}

/* --- steps: true when there is an event, false when the next state is to go on --- */

static bool step_line(struct http1 *parser, struct input *input, enum http1_event *event)
{
    enum http1_error error = HTTP1_ERROR_NONE;
    struct span line;
    *event = HTTP1_MORE;
    if (!line_take(parser, input, &line))
        return parser->state != STATE_FAILED;
    if (parser->state == STATE_START) {
        error = first_line_done(parser, line);
    } else if (parser->state == STATE_CHUNK_LINE) {
        error = chunk_line_done(parser, line);
    } else if (parser->state == STATE_FIELDS && line.size > 0) {
        error = http1_take_field(parser, line);
    } else if (parser->state == STATE_FIELDS) {
        *event = HTTP1_HEAD;
        error = http1_finish_head(parser);
    } else if (line.size > 0) {
        error = http1_take_trailer_field(parser, line);
    } else {
        *event = parser->message.trailer.count > 0 ? HTTP1_TRAILER : HTTP1_MORE;
        parser->state = STATE_LAST;
    }
    if (error != HTTP1_ERROR_NONE)
        return fail(parser, error);
    return *event != HTTP1_MORE;
}

/* Hands over what there is of `left` bytes. */
static bool piece_take(struct input *input, uint64_t *left, enum http1_event kind,
                       enum http1_event *event)
{
    size_t size = input->size < *left ? input->size : (size_t)*left;
    *event = size > 0 ? kind : HTTP1_MORE;
    if (size > 0)
        input->piece = (struct span){(const char *)input->bytes, size};
    input_use(input, size);
    *left -= size;
    return true;
}

static bool step_body(struct http1 *parser, struct input *input, enum http1_event *event)
{
    if (parser->message.left > 0)
        return piece_take(input, &parser->message.left, HTTP1_BODY, event);
    parser->state = parser->state == STATE_CHUNK_DATA ? STATE_CHUNK_END : STATE_LAST;
    return false;
}

static bool step_chunk_end(struct http1 *parser, struct input *input, enum http1_event *event)
{
    struct http1_message *message = &parser->message;
    *event = HTTP1_MORE;
    if (input->size == 0)
        return true;
    if (input->bytes[0] != (message->cr ? '\n' : '\r'))
        return fail(parser, HTTP1_ERROR_CHUNK);
    input_use(input, 1);
    if (message->cr)
        parser->state = STATE_CHUNK_LINE;
    message->cr = !message->cr;
    return false;
}

static bool step_last(struct http1 *parser, struct input *input, enum http1_event *event)
{
    (void)input;
    parser->state = STATE_OVER;
    *event = HTTP1_END;
    return true;
}

static bool step_over(struct http1 *parser, struct input *input, enum http1_event *event)
{
    (void)input;
    (void)event;
    message_release(&parser->message);
    parser->state = STATE_START;
    return false;
}

static bool step_upgraded(struct http1 *parser, struct input *input, enum http1_event *event)
{
    uint64_t left = UINT64_MAX;
    if (input->size > 0 && parser->message.blocks)
        message_release(&parser->message);
    return piece_take(input, &left, HTTP1_UPGRADED, event);
}

static bool step_failed(struct http1 *parser, struct input *input, enum http1_event *event)
{
    (void)parser;
    (void)input;
    *event = HTTP1_ERROR;
    return true;
}

/* --- the interface --- */

static struct http1 *parser_new(const struct http1_limits *limits, bool responses)
{
    struct http1 *parser = memory_allocate(1, sizeof(*parser));
    parser->limits = *limits;
    parser->responses = responses;
    parser->state = STATE_START;
    return parser;
}

struct http1 *http1_new_request_parser(const struct http1_limits *limits)
{
    return parser_new(limits, false);
}

struct http1 *http1_new_response_parser(const struct http1_limits *limits)
{
    return parser_new(limits, true);
}

void http1_free(struct http1 *parser)
{
    if (!parser)
        return;
    message_release(&parser->message);
    free(parser);
}

void http1_expect(struct http1 *parser, bool head, bool connect)
{
    parser->expect_head = head;
    parser->expect_connect = connect;
}

enum http1_event http1_feed(struct http1 *parser, const void *bytes, size_t size, size_t *used,
                            struct span *data)
{
    static bool (*const STEP[])(struct http1 *, struct input *, enum http1_event *) = {
#define X(symbol, step) [STATE_##symbol] = step,
        HTTP1_STATES(X)
#undef X
    };
    struct input input = {bytes, size, {NULL, 0}};
    enum http1_event event = HTTP1_MORE;
    while (!STEP[parser->state](parser, &input, &event))
        continue;
    *used = size - input.size;
    *data = input.piece;
    return event;
}

enum http1_event http1_close(struct http1 *parser)
{
    const struct http1_message *message = &parser->message;
    switch (parser->state) {
    case STATE_START:
    case STATE_OVER:
        if (http1_idle(parser))
            return HTTP1_MORE;
        break;
    case STATE_BODY:
        if (message->left > 0 && message->head.framing != HTTP1_UNTIL_CLOSE)
            break;
        parser->state = STATE_OVER;
        return HTTP1_END;
    case STATE_LAST:
        parser->state = STATE_OVER;
        return HTTP1_END;
    case STATE_UPGRADED:
        return HTTP1_END;
    case STATE_FAILED:
        return HTTP1_ERROR;
    default:
        break;
    }
    fail(parser, HTTP1_ERROR_TRUNCATED);
    return HTTP1_ERROR;
}

void http1_upgrade(struct http1 *parser)
{
    if (parser->state != STATE_FAILED)
        parser->state = STATE_UPGRADED;
}

const struct http1_head *http1_head(const struct http1 *parser)
{
    return &parser->message.head;
}

const struct field *http1_trailer(const struct http1 *parser, size_t *count)
{
    *count = parser->message.trailer.count;
    return parser->message.trailer.items;
}

enum http1_error http1_error(const struct http1 *parser)
{
    return parser->error;
}

bool http1_idle(const struct http1 *parser)
{
    const struct http1_message *message = &parser->message;
    return parser->state == STATE_OVER ||
           (parser->state == STATE_START && message->fill == message->line && !message->cr);
}

const char *http1_error_text(enum http1_error error)
{
    static const char *const TEXT[] = {
#define X(symbol, text, status) text,
        HTTP1_ERRORS(X)
#undef X
    };
    return TEXT[error];
}

unsigned http1_error_status(enum http1_error error)
{
    static const unsigned short STATUS[] = {
#define X(symbol, text, status) status,
        HTTP1_ERRORS(X)
#undef X
    };
    return STATUS[error];
}
