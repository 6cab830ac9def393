/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of HTTP/1.1 (RFC 9110, RFC 9112): pure functions over whole lines and values, as
 * strict as the RFCs allow a reader to be.
 */
#include "gateway/http1_private.h"

#include "filters/ascii.h"

#define CHUNK_DIGITS 16

/* --- characters (RFC 9110 section 5.6.2, RFC 9112) --- */

static const bool TOKEN[256] = {
    ['!'] = true,         ['#' ... '\''] = true, ['*' ... '+'] = true, ['-' ... '.'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true,  ['^' ... 'z'] = true, /* ^ _ ` and the letters */
    ['|'] = true,         ['~'] = true,
};

size_t http1_token_size(struct span text)
{
    size_t i = 0;
    while (i < text.size && TOKEN[(uint8_t)text.data[i]])
        i++;
    return i;
}

static bool is_text_byte(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

bool http1_is_text(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_text_byte((uint8_t)text.data[i]))
            return false;
    return true;
}

/* --- parts of a head --- */

enum http1_error http1_parse_version(struct span text, unsigned *minor)
{
    if (text.size != 8 || !span_starts(text, SPAN("HTTP/")) || text.data[6] != '.' ||
        text.data[5] < '0' || text.data[5] > '9' || text.data[7] < '0' || text.data[7] > '9')
        return HTTP1_ERROR_VERSION;
    if (text.data[5] != '1')
        return HTTP1_ERROR_UNSUPPORTED_VERSION;
    if (text.data[7] > '1')
        return HTTP1_ERROR_VERSION;
    *minor = text.data[7] == '1';
    return HTTP1_ERROR_NONE;
}

/* 1 to 65535, without leading zeros. */
static bool port_parse(struct span text, uint16_t *port)
{
    uint32_t value = 0;
    if (text.size == 0 || text.size > 5 || text.data[0] == '0')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

bool http1_parse_authority(struct span text, char host[HOST_TEXT], uint16_t *port)
{
    struct span name, rest;
    if (span_starts(text, SPAN("["))) {
        size_t end = span_index(text, ']');
        name = span_from(span_first(text, end), 1);
        rest = span_from(text, end + 1);
        if (end == text.size || span_index(name, ':') == name.size)
            return false;
    } else {
        size_t colon = span_index(text, ':');
        name = span_first(text, colon);
        rest = span_from(text, colon);
    }
    *port = 0;
    if (rest.size > 0 && (rest.data[0] != ':' || !port_parse(span_from(rest, 1), port)))
        return false;
    return host_normalise(name, host);
}

enum http1_error http1_parse_field(struct span line, struct field *field)
{
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return HTTP1_ERROR_FOLDING;
    field->name = span_first(line, http1_token_size(line));
    struct span rest = span_from(line, field->name.size);
    if (span_starts(span_trim(rest), SPAN(":")) && rest.data[0] != ':')
        return HTTP1_ERROR_SPACE_BEFORE_COLON;
    if (field->name.size == 0 || !span_starts(rest, SPAN(":")))
        return HTTP1_ERROR_FIELD_NAME;
    field->value = span_trim(span_from(rest, 1));
    return http1_is_text(field->value) ? HTTP1_ERROR_NONE : HTTP1_ERROR_FIELD_VALUE;
}

/* --- chunks (RFC 9112 section 7.1) --- */

/* The length of the quoted-string that `text` begins with, 0 when there is none. */
static size_t quoted_size(struct span text)
{
    if (!span_starts(text, SPAN("\"")))
        return 0;
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] == '"')
            return i + 1;
        if (text.data[i] == '\\')
            i++;
        if (i < text.size && !is_text_byte((uint8_t)text.data[i]))
            return 0;
    }
    return 0;
}

/* *( ";" name [ "=" value ] ). The white space that the grammar calls bad is refused. */
static bool chunk_extensions_check(struct span text)
{
    while (text.size > 0) {
        size_t name = http1_token_size(span_from(text, 1));
        if (text.data[0] != ';' || name == 0)
            return false;
        text = span_from(text, 1 + name);
        if (!span_starts(text, SPAN("=")))
            continue;
        text = span_from(text, 1);
        size_t value = quoted_size(text);
        if (value == 0)
            value = http1_token_size(text);
        if (value == 0)
            return false;
        text = span_from(text, value);
    }
    return true;
}

bool http1_parse_chunk(struct span line, uint64_t *size)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < line.size && ascii_digit(line.data[i], 16) >= 0; i++) {
        if (i == CHUNK_DIGITS)
            return false;
        value = value << 4 | (uint64_t)ascii_digit(line.data[i], 16);
    }
    *size = value;
    return i > 0 && value <= INT64_MAX && chunk_extensions_check(span_from(line, i));
}
