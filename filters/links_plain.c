/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A word written plainly, for the link scanner: full-width forms become ASCII, masks like "[.]"
 * what they stand for. Never longer than the word.
 */
#include "filters/links_private.h"

#include <string.h>

/* --- width --- */

static uint32_t narrow(uint32_t character)
{
    if (character >= 0xff01 && character <= 0xff5e)
        return character - 0xfee0;
    return character == 0xfe52 ? '.' : character == 0xfe55 ? ':' : character;
}

/* Brackets end a link in any width. */
static uint32_t narrow_brackets(uint32_t character)
{
    uint32_t byte = narrow(character);
    return byte < 0x80 && byte != 0 && strchr("()[]{}", (int)byte) ? byte : character;
}

static bool is_alphanumeric(uint32_t character)
{
    return (character >= '0' && character <= '9') ||
           ((character | 0x20u) >= 'a' && (character | 0x20u) <= 'z');
}

static size_t write_plainly(struct span word, uint32_t (*map)(uint32_t), char *text,
                            uint16_t *origin)
{
    size_t used = 0, step;
    for (size_t at = 0; at < word.size; at += step) {
        uint32_t character, next = 0;
        char bytes[4];
        step = character_decode(span_from(word, at), &character);
        if (character == 0x3002 || character == 0xff61) {
            if (at + step < word.size)
                character_decode(span_from(word, at + step), &next);
            character = is_alphanumeric(map(next)) ? (uint32_t)LINK_STOP : ' ';
        }
        size_t size = character_encode(map(character), bytes);
        for (size_t i = 0; i < size; i++) {
            origin[used] = (uint16_t)at;
            text[used++] = bytes[i];
        }
    }
    return used;
}

/* --- masks --- */

/* X(what stands between brackets, what it means) */
#define MASKS(X)                                                                                   \
    X(".", ".")                                                                                    \
    X("dot", ".")                                                                                  \
    X("ドット", ".")                                                                               \
    X("点", ".")                                                                                   \
    X(":", ":")                                                                                    \
    X("://", "://")                                                                                \
    X("/", "/")

/* Bytes of the mask at the start of the text, 0 when there is none. */
static size_t read_mask(struct span text, struct span *meaning)
{
    char close = text.data[0] == '[' ? ']' : text.data[0] == '(' ? ')' : '}';
#define X(inside, means)                                                                           \
    if (text.size >= sizeof(inside) + 1 && text.data[sizeof(inside)] == close &&                   \
        span_starts_nocase(span_from(text, 1), SPAN(inside))) {                                    \
        *meaning = SPAN(means);                                                                    \
        return sizeof(inside) + 1;                                                                 \
    }
    MASKS(X)
#undef X
    return 0;
}

/* In place: what a mask means is never longer than the mask. */
static size_t remove_masks(char *text, uint16_t *origin, size_t size)
{
    size_t used = 0, step;
    for (size_t at = 0; at < size; at += step) {
        struct span meaning = {text + at, 1};
        char bytes[4];
        step = 0;
        if (text[at] == '[' || text[at] == '(' || text[at] == '{')
            step = read_mask((struct span){text + at, size - at}, &meaning);
        step = step ? step : 1;
        memcpy(bytes, meaning.data, meaning.size);
        for (size_t i = 0; i < meaning.size; i++) {
            origin[used] = origin[at];
            text[used++] = bytes[i];
        }
    }
    return used;
}

/* --- a word --- */

size_t link_plain_write(struct span word, unsigned marks, char text[LINK_SIZE],
                        uint16_t origin[LINK_SIZE])
{
    size_t size = write_plainly(word, narrow, text, origin);
    return marks & BYTE_BRACKET ? remove_masks(text, origin, size) : size;
}

size_t link_plain_write_wide(struct span word, char text[LINK_SIZE], uint16_t origin[LINK_SIZE])
{
    return write_plainly(word, narrow_brackets, text, origin);
}
