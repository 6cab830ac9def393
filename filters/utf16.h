/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-16 to UTF-8, for text that arrives in pieces. Which of the two it is the first bytes say (a
 * byte order mark), or what was declared; a browser asks in the same order (WHATWG Encoding,
 * section 6). What is no character becomes U+FFFD.
 */
#ifndef FILTERS_UTF16_H
#define FILTERS_UTF16_H

#include "filters/span.h"

enum utf16_form { UTF16_NONE, UTF16_LITTLE, UTF16_BIG };

/* What a media type's charset parameter declares. */
enum utf16_form utf16_declared(struct span media_type);

/* Zeroed at the start of a text, but for `form`: what was declared. */
struct utf16 {
    enum utf16_form form;
    bool begun;    /* it is known which it is */
    bool has_held; /* one byte waits for the next */
    uint8_t held;
    uint16_t high; /* the first half of a pair, or 0 */
};

/* In pieces of any size, valid during the call. */
typedef void utf16_text(void *context, struct span text);

/* Text that is no UTF-16 is given on as it is. */
void utf16_feed(struct utf16 *utf16, struct span bytes, utf16_text *give, void *context);

/* The text is over: what was held back is given on. */
void utf16_end(struct utf16 *utf16, utf16_text *give, void *context);

#endif
