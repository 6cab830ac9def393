/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 (RFC 3629), for the three places where text from the network is shown: page, record, log.
 */
#ifndef GATEWAY_UTF8_H
#define GATEWAY_UTF8_H

#include "filters/span.h"

#define UTF8_REPLACEMENT 0xfffdu
#define UTF8_BYTES       4 /* of one character, at most */

/*
 * The first character of `text`, which is not empty; how many bytes it takes is returned. A byte
 * that begins no well-formed character (overlong, surrogate, cut, past U+10FFFF) is one byte and
 * UTF8_REPLACEMENT.
 */
size_t utf8_decode(struct span text, uint32_t *character);

/* Writes the character, at most UTF8_BYTES; how many bytes it took is returned. */
size_t utf8_encode(uint32_t character, char *out);

/* The longest start of `text` that is at most `size` bytes and cuts no well-formed character. */
struct span utf8_first(struct span text, size_t size);

/* A C0 or C1 control or DEL. */
bool utf8_is_control(uint32_t character);

/*
 * A character that changes the order or the look of what stands around it (bidirectional controls,
 * line separators, zero-width marks): with them "exe.pdf" can be made to look like "fdp.exe".
 */
bool utf8_is_deceptive(uint32_t character);

#endif
