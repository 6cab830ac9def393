/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames of RFC 6455: headers are collected byte by byte and checked as soon as the bytes that
 * say something are there, payloads are unmasked into a scratch buffer and looked at piece by
 * piece.
 */
#include "gateway/websocket_private.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define FINAL        0x80u
#define COMPRESSED   0x40u /* RSV1, RFC 7692 section 6 */
#define RESERVED     0x30u
#define OPCODE       0x0fu
#define MASKED       0x80u
#define SHORT_LENGTH 0x7fu
#define LENGTH_16    126u
#define LENGTH_64    127u
#define CODE_NONE    1005u

static const struct {
    uint16_t status;
    const char *text;
} errors[] = {
#define X(symbol, status, text) {status, text},
    WEBSOCKET_ERRORS(X)
#undef X
};

const char *websocket_error_text(enum websocket_error error)
{
    return errors[error].text;
}

uint16_t websocket_error_status(enum websocket_error error)
{
    return errors[error].status;
}

static struct websocket *parser_new(bool masked, bool deflate,
                                    const struct websocket_deflate *parameters,
                                    websocket_told *told, void *context)
{
    struct websocket *parser = memory_allocate(1, sizeof(*parser));
    parser->masked = masked;
    parser->deflate = deflate;
    parser->parameters = *parameters;
    parser->told = told;
    parser->context = context;
    parser->watched = true;
    return parser;
}

struct websocket *websocket_new_client(const struct websocket_parameters *parameters,
                                       websocket_told *told, void *context)
{
    return parser_new(true, parameters->deflate, &parameters->client, told, context);
}

struct websocket *websocket_new_server(const struct websocket_parameters *parameters,
                                       websocket_told *told, void *context)
{
    return parser_new(false, parameters->deflate, &parameters->server, told, context);
}

void websocket_free(struct websocket *parser)
{
    if (!parser)
        return;
    websocket_inflater_free(parser->inflater);
    free(parser);
}

/* The decompressor is freed where nobody is inside it: the callback may call this. */
void websocket_unwatch(struct websocket *parser)
{
    parser->watched = false;
    parser->whole = false;
}

bool websocket_is_between(const struct websocket *parser)
{
    return parser->head_size == 0 && !parser->in_payload &&
           parser->message == WEBSOCKET_CONTINUATION;
}

bool websocket_is_closed(const struct websocket *parser)
{
    return parser->closed;
}

static void tell(struct websocket *parser, struct websocket_event event)
{
    parser->told(parser->context, &event);
}

static bool is_control(enum websocket_opcode opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

/* --- headers --- */

/* The opcode, and the order of frames (section 5.4). */
static enum websocket_error check_order(const struct websocket *parser, uint8_t first)
{
    switch (first & OPCODE) {
    case WEBSOCKET_CONTINUATION:
        return parser->message == WEBSOCKET_CONTINUATION ? WEBSOCKET_ERROR_CONTINUATION
                                                         : WEBSOCKET_ERROR_NONE;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        return parser->message != WEBSOCKET_CONTINUATION ? WEBSOCKET_ERROR_INTERLEAVED
                                                         : WEBSOCKET_ERROR_NONE;
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
        return first & FINAL ? WEBSOCKET_ERROR_NONE : WEBSOCKET_ERROR_CONTROL_FRAGMENTED;
    default:
        return WEBSOCKET_ERROR_OPCODE;
    }
}

/* Only the first frame of a message may say that it is compressed (RFC 7692 section 6.1). */
static bool may_be_compressed(const struct websocket *parser, uint8_t first)
{
    enum websocket_opcode opcode = first & OPCODE;
    return parser->deflate && (opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY);
}

static enum websocket_error check_first(const struct websocket *parser, uint8_t first)
{
    if (parser->closed)
        return WEBSOCKET_ERROR_AFTER_CLOSE;
    if (first & RESERVED || (first & COMPRESSED && !may_be_compressed(parser, first)))
        return WEBSOCKET_ERROR_RESERVED_BITS;
    return check_order(parser, first);
}

static enum websocket_error check_second(const struct websocket *parser, uint8_t second)
{
    if (!(second & MASKED) == parser->masked)
        return WEBSOCKET_ERROR_MASKING;
    if (is_control(parser->head[0] & OPCODE) && (second & SHORT_LENGTH) > WEBSOCKET_CONTROL)
        return WEBSOCKET_ERROR_CONTROL_TOO_LONG;
    return WEBSOCKET_ERROR_NONE;
}

/* Bytes of the length after the second byte of the header. */
static size_t length_bytes(uint8_t second)
{
    unsigned length = second & SHORT_LENGTH;
    return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

/* Section 5.2: the shortest form, and less than 2^63. */
static enum websocket_error read_length(struct websocket *parser)
{
    size_t bytes = length_bytes(parser->head[1]);
    uint64_t length = 0;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | parser->head[2 + i];
    if (bytes == 0)
        length = parser->head[1] & SHORT_LENGTH;
    parser->left = length;
    if ((bytes == 2 && length < LENGTH_16) ||
        (bytes == 8 && (length <= UINT16_MAX || length >> 63)))
        return WEBSOCKET_ERROR_LENGTH;
    return WEBSOCKET_ERROR_NONE;
}

static void begin_message(struct websocket *parser)
{
    parser->message = parser->opcode;
    parser->compressed = parser->head[0] & COMPRESSED;
    parser->whole = parser->watched;
    parser->given = 0;
    parser->utf8 = (struct websocket_utf8){0, 0, 0};
}

static void begin_frame(struct websocket *parser)
{
    parser->opcode = parser->head[0] & OPCODE;
    parser->final = parser->head[0] & FINAL;
    parser->mask_at = 0;
    parser->control_size = 0;
    parser->in_payload = true;
    if (parser->masked)
        memcpy(parser->mask, parser->head + parser->head_size - sizeof(parser->mask),
               sizeof(parser->mask));
    parser->head_size = 0;
    if (parser->opcode == WEBSOCKET_TEXT || parser->opcode == WEBSOCKET_BINARY)
        begin_message(parser);
    tell(parser, (struct websocket_event){.kind = WEBSOCKET_EVENT_FRAME,
                                          .opcode = parser->opcode,
                                          .final = parser->final,
                                          .size = parser->left});
}

static enum websocket_error take_head_byte(struct websocket *parser, uint8_t byte)
{
    enum websocket_error error = WEBSOCKET_ERROR_NONE;
    size_t length_end;

    parser->head[parser->head_size++] = byte;
    if (parser->head_size == 1)
        return check_first(parser, byte);
    if (parser->head_size == 2)
        error = check_second(parser, byte);
    length_end = 2 + length_bytes(parser->head[1]);
    if (!error && parser->head_size == length_end)
        error = read_length(parser);
    if (!error && parser->head_size == length_end + (parser->masked ? sizeof(parser->mask) : 0))
        begin_frame(parser);
    return error;
}

/* --- content --- */

/* Content that is ready to be seen: text is checked, all of it is given up to the limit. */
static enum websocket_error give(struct websocket *parser, struct span bytes)
{
    size_t good = bytes.size;
    if (parser->message == WEBSOCKET_TEXT)
        good = websocket_utf8_check(&parser->utf8, bytes);
    struct span piece = span_first(bytes, good);
    if (parser->compressed && piece.size > WEBSOCKET_CONTENT_LIMIT - parser->given) {
        piece.size = WEBSOCKET_CONTENT_LIMIT - (size_t)parser->given;
        parser->whole = false;
    }
    if (parser->watched && piece.size) {
        parser->given += piece.size;
        tell(parser, (struct websocket_event){.kind = WEBSOCKET_EVENT_CONTENT,
                                              .opcode = parser->message,
                                              .bytes = piece});
    }
    return good < bytes.size ? WEBSOCKET_ERROR_TEXT : WEBSOCKET_ERROR_NONE;
}

static enum websocket_error give_inflated(struct websocket *parser, struct span input)
{
    enum websocket_inflation inflation = INFLATION_MORE;
    enum websocket_error error = WEBSOCKET_ERROR_NONE;

    if (parser->watched && !parser->inflater)
        parser->inflater = websocket_inflater_new(&parser->parameters);
    while (parser->watched && !error && inflation == INFLATION_MORE) {
        struct span output = {NULL, 0};
        inflation = websocket_inflater_run(parser->inflater, &input, &output);
        error = give(parser, output);
    }
    if (!error && inflation == INFLATION_BAD)
        error = WEBSOCKET_ERROR_COMPRESSION;
    if (!error && inflation == INFLATION_BOMB) {
        websocket_unwatch(parser);
        tell(parser, (struct websocket_event){.kind = WEBSOCKET_EVENT_UNWATCHED});
    }
    if (!parser->watched) {
        websocket_inflater_free(parser->inflater);
        parser->inflater = NULL;
    }
    return error;
}

static enum websocket_error take_content(struct websocket *parser, struct span bytes)
{
    return parser->compressed ? give_inflated(parser, bytes) : give(parser, bytes);
}

static enum websocket_error end_message(struct websocket *parser)
{
    enum websocket_error error = WEBSOCKET_ERROR_NONE;
    if (parser->compressed)
        error = give_inflated(parser, WEBSOCKET_DEFLATE_TAIL);
    if (!error && parser->message == WEBSOCKET_TEXT && parser->utf8.needed &&
        (!parser->compressed || parser->watched))
        error = WEBSOCKET_ERROR_TEXT;
    if (error)
        return error;
    if (parser->compressed && parser->inflater)
        websocket_inflater_end(parser->inflater);
    enum websocket_opcode message = parser->message;
    parser->message = WEBSOCKET_CONTINUATION;
    tell(parser, (struct websocket_event){
                     .kind = WEBSOCKET_EVENT_MESSAGE, .opcode = message, .whole = parser->whole});
    return WEBSOCKET_ERROR_NONE;
}

/* --- control frames --- */

/* Section 7.4, and IANA's registry: 1012 to 1014 came later. */
static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum websocket_error end_close(struct websocket *parser)
{
    struct span reason = {parser->control, parser->control_size};
    struct websocket_utf8 utf8 = {0, 0, 0};
    unsigned code = CODE_NONE;

    if (reason.size) {
        code = (unsigned)(uint8_t)parser->control[0] << 8 | (uint8_t)parser->control[1];
        if (reason.size == 1 || !is_close_code(code))
            return WEBSOCKET_ERROR_CLOSE_CODE;
        reason = span_from(reason, 2);
        if (websocket_utf8_check(&utf8, reason) < reason.size || utf8.needed)
            return WEBSOCKET_ERROR_TEXT;
    }
    parser->closed = true;
    tell(parser, (struct websocket_event){.kind = WEBSOCKET_EVENT_CLOSE,
                                          .opcode = WEBSOCKET_CLOSE,
                                          .code = (uint16_t)code,
                                          .bytes = reason});
    return WEBSOCKET_ERROR_NONE;
}

static enum websocket_error end_control(struct websocket *parser)
{
    if (parser->opcode == WEBSOCKET_CLOSE)
        return end_close(parser);
    tell(parser, (struct websocket_event){.kind = WEBSOCKET_EVENT_CONTROL,
                                          .opcode = parser->opcode,
                                          .bytes = {parser->control, parser->control_size}});
    return WEBSOCKET_ERROR_NONE;
}

/* --- payloads --- */

/* The piece as its sender meant it: in the scratch buffer when it was masked. */
static struct span unmask(struct websocket *parser, struct span piece)
{
    if (!parser->masked)
        return piece;
    for (size_t i = 0; i < piece.size; i++)
        parser->scratch[i] =
            (char)((uint8_t)piece.data[i] ^ parser->mask[(parser->mask_at + i) & 3u]);
    parser->mask_at = (unsigned)((parser->mask_at + piece.size) & 3u);
    return (struct span){parser->scratch, piece.size};
}

static enum websocket_error end_frame(struct websocket *parser)
{
    parser->in_payload = false;
    if (is_control(parser->opcode))
        return end_control(parser);
    return parser->final ? end_message(parser) : WEBSOCKET_ERROR_NONE;
}

static enum websocket_error take_payload(struct websocket *parser, struct span *bytes)
{
    enum websocket_error error = WEBSOCKET_ERROR_NONE;
    struct span piece = span_first(*bytes, WEBSOCKET_SCRATCH);
    if (piece.size > parser->left)
        piece.size = (size_t)parser->left;
    *bytes = span_from(*bytes, piece.size);
    parser->left -= piece.size;
    piece = unmask(parser, piece);
    if (is_control(parser->opcode)) {
        if (piece.size)
            memcpy(parser->control + parser->control_size, piece.data, piece.size);
        parser->control_size += piece.size;
    } else if (piece.size) {
        error = take_content(parser, piece);
    }
    return !error && parser->left == 0 ? end_frame(parser) : error;
}

enum websocket_error websocket_feed(struct websocket *parser, const void *bytes, size_t size)
{
    struct span rest = {bytes, size};
    while (!parser->error && rest.size) {
        if (parser->in_payload) {
            parser->error = take_payload(parser, &rest);
            continue;
        }
        parser->error = take_head_byte(parser, (uint8_t)rest.data[0]);
        rest = span_from(rest, 1);
        /* A frame without payload is over with its header. */
        if (!parser->error && parser->in_payload && parser->left == 0)
            parser->error = end_frame(parser);
    }
    return parser->error;
}
