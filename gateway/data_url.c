/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures in data: URLs: see data_url.h. */
#include "gateway/data_url.h"

#include <string.h>

#include "filters/ascii.h"
#include "filters/base64.h"

static const char start[] = "data:image/";

static void flush(struct data_url_scanner *scanner, const struct data_url_handler *handler,
                  void *context)
{
    if (scanner->piece_size > 0)
        handler->bytes(context, scanner->piece, scanner->piece_size);
    scanner->piece_size = 0;
}

void data_url_end(struct data_url_scanner *scanner, const struct data_url_handler *handler,
                  void *context)
{
    if (scanner->state == DATA_URL_BODY) {
        flush(scanner, handler, context);
        handler->end(context);
    }
    scanner->state = DATA_URL_SEARCH;
    scanner->matched = 0;
}

/* The mark begins with its only 'd': after a mismatch there is nothing to go back to but that. */
static void search(struct data_url_scanner *scanner, char byte)
{
    char lower = ascii_lower(byte);

    if (lower == '\\')
        return;
    if (lower == start[scanner->matched])
        scanner->matched++;
    else
        scanner->matched = lower == start[0];
    if (scanner->matched < sizeof(start) - 1)
        return;
    scanner->state = DATA_URL_HEAD;
    scanner->matched = 0;
    scanner->head_size = 0;
}

static void take_head(struct data_url_scanner *scanner, char byte,
                      const struct data_url_handler *handler, void *context)
{
    struct span head = {scanner->head, scanner->head_size};

    if (byte == '\\')
        return;
    if (byte == ',' && head.size >= 7 &&
        span_equal_nocase(span_from(head, head.size - 7), SPAN(";base64"))) {
        scanner->state = DATA_URL_BODY;
        scanner->bits = scanner->bit_count = scanner->escape = 0;
        scanner->piece_size = 0;
        handler->begin(context);
    } else if (byte == ',' || byte <= ' ' || byte == '"' || head.size == sizeof(scanner->head)) {
        scanner->state = DATA_URL_SEARCH;
    } else {
        scanner->head[scanner->head_size++] = byte;
    }
}

/* '0' to 'f', or -1. */
/*
 * JSON that is made to stand in HTML writes '+', '/' and '=' as "\u00" and two digits. True while
 * the byte belongs to such an escape; at its last digit *byte is what it stands for.
 */
static bool take_escape(struct data_url_scanner *scanner, char *byte)
{
    unsigned at = scanner->escape;
    int digit = ascii_digit(*byte, 16);

    if (at == 0 || (at == 1 && *byte == '\\')) { /* JSON in JSON has more than one */
        scanner->escape = *byte == '\\';
        return *byte == '\\';
    }
    scanner->escape = 0;
    if (at == 1 && (*byte == 'n' || *byte == 'r')) /* an escaped end of line */
        return true;
    if (at == 1 ? *byte != 'u' : at <= 3 ? *byte != '0' : digit < 0)
        return false;
    if (at < 5) {
        scanner->escaped = (char)(digit * 16);
        scanner->escape = at + 1;
        return true;
    }
    *byte = (char)(scanner->escaped + digit);
    return false;
}

static void take_body(struct data_url_scanner *scanner, char byte,
                      const struct data_url_handler *handler, void *context)
{
    int digit;

    if (take_escape(scanner, &byte) || byte == '\r' || byte == '\n')
        return;
    digit = base64_digit(byte);
    if (digit < 0) { /* padding ends it too */
        data_url_end(scanner, handler, context);
        return;
    }
    scanner->bits = scanner->bits << 6 | (uint32_t)digit;
    scanner->bit_count += 6;
    if (scanner->bit_count < 8)
        return;
    scanner->bit_count -= 8;
    scanner->piece[scanner->piece_size++] = (uint8_t)(scanner->bits >> scanner->bit_count);
    if (scanner->piece_size == sizeof(scanner->piece))
        flush(scanner, handler, context);
}

void data_url_feed(struct data_url_scanner *scanner, const void *text, size_t size,
                   const struct data_url_handler *handler, void *context)
{
    const char *bytes = text;

    for (size_t i = 0; i < size; i++) {
        switch (scanner->state) {
        case DATA_URL_SEARCH: {
            /* Most text holds no mark: to the next 'd' at once. */
            if (scanner->matched == 0) {
                while (i < size && bytes[i] != 'd' && bytes[i] != 'D')
                    i++;
                if (i == size)
                    return;
            }
            search(scanner, bytes[i]);
            break;
        }
        case DATA_URL_HEAD:
            take_head(scanner, bytes[i], handler, context);
            break;
        case DATA_URL_BODY:
            take_body(scanner, bytes[i], handler, context);
            break;
        }
    }
}
