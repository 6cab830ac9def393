/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text in base64 (RFC 4648, both alphabets), for the link scanner. Most words of such letters are
 * identifiers and keys: only what decodes to readable text is looked at.
 */
#include "filters/links_private.h"

#include <string.h>

#include "filters/base64.h"

#define SHORTEST 14 /* "a.jp/abcde" */

/* The letters of base64 at the end of the word, without their padding. */
static struct span letters_of(struct span word)
{
    size_t start, padding = 0;

    while (padding < 2 && word.size > 0 && word.data[word.size - 1] == '=') {
        word.size--;
        padding++;
    }
    start = word.size;
    while (start > 0 && base64_digit(word.data[start - 1]) >= 0)
        start--;
    return span_from(word, start);
}

static size_t decode(struct span letters, char *text)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t size = 0;

    for (size_t i = 0; i < letters.size; i++) {
        bits = bits << 6 | (uint32_t)base64_digit(letters.data[i]);
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        text[size++] = (char)(bits >> count);
    }
    return size;
}

/* How many bytes of UTF-8 follow this first one; -1 when it is none, or a control. */
static int following(uint8_t lead)
{
    if (lead < 0x80)
        return (lead >= ' ' && lead != 0x7f) || lead == '\t' || lead == '\r' || lead == '\n' ? 0
                                                                                             : -1;
    if (lead < 0xc2 || lead > 0xf4)
        return -1;
    return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

static bool is_readable(struct span text)
{
    int needed = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (needed > 0 ? (byte & 0xc0u) != 0x80u : (needed = following(byte)) < 0)
            return false;
        if (byte >= 0x80 && byte < 0xc0)
            needed--;
    }
    return needed == 0;
}

static void on_inner(void *context, const struct found_link *link)
{
    struct link_scanner *scanner = context;
    struct found_link nested = *link;

    nested.way = link->way == LINK_REDIRECTED ? LINK_REDIRECTED : LINK_NESTED;
    scanner->found(scanner->context, &nested);
}

void link_base64_find(struct link_scanner *scanner, struct span word)
{
    char text[LINK_SIZE];

    if (scanner->is_inner || word.size < SHORTEST)
        return;
    struct span letters = letters_of(word);
    if (letters.size < SHORTEST || letters.size % 4 == 1)
        return;
    struct span plain = {text, decode(letters, text)};
    if (!is_readable(plain))
        return;
    if (scanner->inner == NULL) {
        scanner->inner = link_scanner_new(on_inner, scanner);
        scanner->inner->is_inner = true;
    }
    link_scanner_feed(scanner->inner, plain.data, plain.size);
    link_scanner_end(scanner->inner);
}
