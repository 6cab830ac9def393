/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a text, for the link scanner: what stands between blanks, quotes and the punctuation
 * of Japanese. Most hold no mark that a link needs and are forgotten at once. A word too long is
 * looked at in overlapping parts, so that no link is lost where they meet.
 */
#include "filters/links.h"

#include <stdlib.h>
#include <string.h>

#include "filters/links_private.h"
#include "filters/memory.h"

#define OVERLAP  320 /* more than a host name with its scheme */
#define SHORTEST 4   /* a.jp */

/* --- words --- */

static bool is_letter(char byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static bool is_dot_word(struct span word)
{
    static const struct span words[] = {
        {"dot", 3},    {"[dot]", 5},       {"(dot)", 5},     {"{dot}", 5},
        {"[.]", 3},    {"(.)", 3},         {"{.}", 3},       {"．", 3},
        {"ドット", 9}, {"（ドット）", 15}, {"(ドット)", 11}, {"[ドット]", 11},
    };
    /* Nearly every word of a text is asked this. */
    if (word.size == 1)
        return word.data[0] == '.';
    if (word.size < 3 || word.size > 15 ||
        ((word.data[0] | 0x20) != 'd' && is_letter(word.data[0])))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (span_equal_nocase(word, words[i]))
            return true;
    return false;
}

/* The word before and this one as one word, when a "dot" stood between them. */
static void join(struct link_scanner *scanner)
{
    size_t head = scanner->previous_size + 1;
    scanner->dotted = false;
    if (scanner->continued || scanner->size + head > LINK_SIZE)
        return;
    memmove(scanner->word + head, scanner->word, scanner->size);
    memcpy(scanner->word, scanner->previous, scanner->previous_size);
    scanner->word[head - 1] = '.';
    scanner->size += head;
    scanner->marks |= BYTE_MARK;
    scanner->joined = true;
}

static void forget_word(struct link_scanner *scanner)
{
    scanner->size = 0;
    scanner->marks = 0;
    scanner->continued = false;
    scanner->told_count = 0;
    scanner->joined = false;
}

void link_word_end(struct link_scanner *scanner, bool blank)
{
    struct span word = {scanner->word, scanner->size};
    bool keeps = blank && !scanner->continued;
    if (word.size == 0) {
        if (!blank)
            scanner->previous_size = 0;
        scanner->dotted = scanner->dotted && blank;
        return;
    }
    if (keeps && !scanner->dotted && scanner->previous_size && is_dot_word(word)) {
        scanner->dotted = true;
        forget_word(scanner);
        return;
    }
    if (scanner->dotted)
        join(scanner);
    if (scanner->marks & BYTE_MARK && scanner->size >= SHORTEST)
        link_find(scanner, false);
    if (!scanner->continued)
        link_base64_find(scanner, (struct span){scanner->word, scanner->size});
    scanner->previous_size = 0;
    if (keeps && scanner->size <= PREVIOUS_SIZE) {
        memcpy(scanner->previous, scanner->word, scanner->size);
        scanner->previous_size = scanner->size;
    }
    forget_word(scanner);
}

/* The word is full: what may still become a link stays. */
static void overflow(struct link_scanner *scanner)
{
    size_t keep = scanner->size - OVERLAP;
    if (scanner->marks & BYTE_MARK) {
        size_t open = link_find(scanner, true);
        keep = open < keep ? open : keep;
    }
    while (keep < scanner->size && ((uint8_t)scanner->word[keep] & 0xc0u) == 0x80u)
        keep++;
    memmove(scanner->word, scanner->word + keep, scanner->size - keep);
    scanner->size -= keep;
    scanner->continued = true;
    scanner->dotted = false;
}

void link_word_add(struct link_scanner *scanner, struct span bytes, unsigned marks)
{
    while (bytes.size) {
        if (scanner->size == LINK_SIZE)
            overflow(scanner);
        struct span piece = span_first(bytes, LINK_SIZE - scanner->size);
        memcpy(scanner->word + scanner->size, piece.data, piece.size);
        scanner->size += piece.size;
        scanner->marks |= marks;
        bytes = span_from(bytes, piece.size);
    }
}

void link_word_character(struct link_scanner *scanner, uint32_t character)
{
    char text[4];
    if (character < 0x80) {
        unsigned class = link_byte_class[character];
        if (class & BYTE_END) {
            link_word_end(scanner, character == ' ');
            return;
        }
        text[0] = (char)character;
        link_word_add(scanner, (struct span){text, 1}, class);
        return;
    }
    bool letter = character >= 0x3041 && character < 0xfe00 && character != 0x3164;
    if (!letter && character_is_unseen(character))
        return;
    if (!letter && character_ends_link(character)) {
        link_word_end(scanner, character == 0x3000);
        return;
    }
    bool stop = character == 0x3002 || character == 0xff61;
    bool wide =
        (character >= 0xff01 && character <= 0xff5e) || character == 0xfe52 || character == 0xfe55;
    size_t size = character_encode(character, text);
    if (scanner->size > LINK_SIZE - size)
        overflow(scanner);
    link_word_add(scanner, (struct span){text, size},
                  wide   ? BYTE_MARK | BYTE_BRACKET | WORD_WIDE | WORD_OTHER
                  : stop ? BYTE_MARK | WORD_OTHER
                         : WORD_OTHER);
}

bool link_word_is_scheme(const struct link_scanner *scanner)
{
    struct span word = {scanner->word, scanner->size};
    if (word.size < 5 || word.data[word.size - 1] != ':')
        return false;
    struct span end = span_from(word, word.size < 6 ? 0 : word.size - 6);
    return span_find_nocase(end, SPAN("https:")) < end.size ||
           span_find_nocase(end, SPAN("http:")) < end.size ||
           span_find_nocase(end, SPAN("hxxp")) < end.size;
}

/* --- the scanner --- */

struct link_scanner *link_scanner_new(link_found *found, void *context)
{
    struct link_scanner *scanner = memory_allocate(1, sizeof(*scanner));
    scanner->found = found;
    scanner->context = context;
    return scanner;
}

void link_scanner_free(struct link_scanner *scanner)
{
    if (scanner != NULL)
        free(scanner->inner);
    free(scanner);
}

void link_scanner_feed(struct link_scanner *scanner, const void *bytes, size_t size)
{
    if (size)
        link_text_feed(scanner, (struct span){bytes, size});
}

void link_scanner_end(struct link_scanner *scanner)
{
    link_text_end(scanner);
    link_word_end(scanner, false);
    scanner->previous_size = 0;
    scanner->dotted = false;
}
