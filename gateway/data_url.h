/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds pictures that stand in text as data: URLs (RFC 2397, base64 only), and decodes them as they
 * come. Text may be JSON: a backslash before a slash is passed over, and "\u002b" in the picture is
 * read. Memory is fixed.
 */
#ifndef GATEWAY_DATA_URL_H
#define GATEWAY_DATA_URL_H

#include "filters/span.h"

#define DATA_URL_HEADER 80 /* bytes between "data:image/" and the comma, at the most */
#define DATA_URL_PIECE  768

struct data_url_handler {
    void (*begin)(void *context);
    void (*bytes)(void *context, const void *bytes, size_t size);
    void (*end)(void *context);
};

/* Zeroed at first. */
struct data_url_scanner {
    enum { DATA_URL_SEARCH, DATA_URL_HEAD, DATA_URL_BODY } state;
    size_t matched;
    char head[DATA_URL_HEADER];
    size_t head_size;
    unsigned escape; /* of "\\u002b" in the body: which of its characters is next, 0 outside */
    char escaped;    /* its last two digits as a byte */
    uint32_t bits;
    unsigned bit_count;
    uint8_t piece[DATA_URL_PIECE];
    size_t piece_size;
};

void data_url_feed(struct data_url_scanner *scanner, const void *text, size_t size,
                   const struct data_url_handler *handler, void *context);

/* The text is over. */
void data_url_end(struct data_url_scanner *scanner, const struct data_url_handler *handler,
                  void *context);

#endif
