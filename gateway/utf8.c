/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding and encoding of UTF-8, one character at a time. */
#include "gateway/utf8.h"

/* By the lead byte: how many bytes follow, and the smallest character that may be written so. */
static size_t utf8_following(uint8_t lead, uint32_t *bits, uint32_t *smallest)
{
    if (lead >= 0xc2 && lead <= 0xdf) {
        *bits = lead & 0x1fu;
        *smallest = 0x80;
        return 1;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        *bits = lead & 0x0fu;
        *smallest = 0x800;
        return 2;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *bits = lead & 0x07u;
        *smallest = 0x10000;
        return 3;
    }
    return 0;
}

size_t utf8_decode(struct span text, uint32_t *character)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    uint32_t value = 0, smallest = 0;
    size_t following, i;

    if (bytes[0] < 0x80) {
        *character = bytes[0];
        return 1;
    }
    *character = UTF8_REPLACEMENT;
    following = utf8_following(bytes[0], &value, &smallest);
    if (following == 0 || text.size <= following)
        return 1;
    for (i = 1; i <= following; i++) {
        if ((bytes[i] & 0xc0u) != 0x80u)
            return 1;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *character = value;
    return following + 1;
}

size_t utf8_encode(uint32_t character, char *out)
{
    size_t following, i;

    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    following = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    for (i = following; i > 0; i--) {
        out[i] = (char)(0x80u | (character & 0x3fu));
        character >>= 6;
    }
    out[0] = (char)((0xff00u >> (following + 1) & 0xffu) | character);
    return following + 1;
}

struct span utf8_first(struct span text, size_t size)
{
    uint32_t character;
    size_t back;

    if (text.size <= size)
        return text;
    /* A character that the cut goes through begins at most three bytes before it. */
    for (back = 1; back < UTF8_BYTES && back <= size; back++)
        if (utf8_decode(span_from(text, size - back), &character) > back)
            return span_first(text, size - back);
    return span_first(text, size);
}

bool utf8_is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

bool utf8_is_deceptive(uint32_t character)
{
    return character == 0x061c || (character >= 0x200b && character <= 0x200f) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
           (character >= 0xfff9 && character <= 0xfffb) ||
           (character >= 0xe0000 && character <= 0xe007f);
}
