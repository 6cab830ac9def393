/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sec-WebSocket-Extensions of a response (RFC 6455 section 9.1, RFC 7692 section 7.1): only what a
 * client may accept, because a parser that reads frames otherwise than the client sees nothing.
 */
#include "gateway/websocket.h"

#include <string.h>

#define WINDOW_LEAST 8
#define WINDOW_MOST  15

struct reading {
    struct websocket_parameters *parameters;
    unsigned seen; /* bits by row: none may come twice */
};

static bool set_no_takeover(struct websocket_deflate *deflate, struct span value)
{
    deflate->no_context_takeover = true;
    return value.data == NULL;
}

/* A decimal without leading zeros (section 7.1.2); quoted is as good as not. */
static bool set_window(struct websocket_deflate *deflate, struct span value)
{
    int64_t bits;
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
        value = (struct span){value.data + 1, value.size - 2};
    if (value.size == 0 || value.data[0] == '0' || !span_number(value, &bits) ||
        bits < WINDOW_LEAST || bits > WINDOW_MOST)
        return false;
    deflate->window_bits = (uint8_t)bits;
    return true;
}

/* X(name, side, what it sets) */
#define PARAMETERS(X)                                                                              \
    X("client_no_context_takeover", client, set_no_takeover)                                       \
    X("server_no_context_takeover", server, set_no_takeover)                                       \
    X("client_max_window_bits", client, set_window)                                                \
    X("server_max_window_bits", server, set_window)

static bool read_parameter(struct reading *reading, struct span text)
{
    size_t equals = span_index(text, '=');
    struct span name = span_trim(span_first(text, equals)), value = {NULL, 0};
    unsigned row = 1;
    if (equals < text.size)
        value = span_trim(span_from(text, equals + 1));
#define X(wanted, side, set)                                                                       \
    if (span_equal_nocase(name, SPAN(wanted))) {                                                   \
        bool twice = reading->seen & row;                                                          \
        reading->seen |= row;                                                                      \
        return !twice && set(&reading->parameters->side, value);                                   \
    }                                                                                              \
    row <<= 1;
    PARAMETERS(X)
#undef X
    return false;
}

static bool read_extension(struct span text, struct websocket_parameters *parameters)
{
    struct reading reading = {.parameters = parameters};
    struct span part;
    if (!span_next(&text, ';', &part) || !span_equal_nocase(part, SPAN("permessage-deflate")) ||
        parameters->deflate)
        return false;
    parameters->deflate = true;
    while (span_next(&text, ';', &part))
        if (!read_parameter(&reading, part))
            return false;
    return true;
}

bool websocket_negotiate(struct span value, struct websocket_parameters *parameters)
{
    static const struct websocket_parameters none = {.client = {.window_bits = WINDOW_MOST},
                                                     .server = {.window_bits = WINDOW_MOST}};
    struct span extension;
    bool good = true;
    *parameters = none;
    while (good && span_next(&value, ',', &extension))
        good = extension.size == 0 || read_extension(extension, parameters);
    if (!good)
        *parameters = none;
    return good;
}
