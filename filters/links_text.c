/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From bytes to characters, for the link scanner: UTF-8, then backslash escapes, then character
 * references. Each layer holds a few bytes at most. What an escape stands for goes through its
 * layer again when it begins another escape: \u005cu003a, &amp;#x3a;.
 */
#include "filters/links_private.h"

#include <string.h>

#include "filters/ascii.h"

#define E BYTE_END
#define S BYTE_SPECIAL
#define M BYTE_MARK
#define B (BYTE_MARK | BYTE_BRACKET)

/* clang-format off */
const uint8_t link_byte_class[256] = {
    [0 ... 0x20] = E, [0x7f] = E, ['"'] = E, ['<'] = E, ['>'] = E, ['`'] = E,
    ['\\'] = S, ['&'] = S, [0x80 ... 0xff] = S,
    ['.'] = M, [':'] = M, ['%'] = M, ['('] = B, ['['] = B, ['{'] = B,
};
/* clang-format on */

#undef E
#undef S
#undef M
#undef B

#define NO_CHARACTER 0x20u /* what is no character parts words */

/* X(name, character): those that matter to a link or end one. */
#define REFERENCES(X)                                                                              \
    X("amp", '&')                                                                                  \
    X("AMP", '&')                                                                                  \
    X("quot", '"')                                                                                 \
    X("QUOT", '"')                                                                                 \
    X("apos", '\'')                                                                                \
    X("lt", '<')                                                                                   \
    X("LT", '<')                                                                                   \
    X("gt", '>')                                                                                   \
    X("GT", '>')                                                                                   \
    X("nbsp", 0xa0)                                                                                \
    X("NewLine", '\n')                                                                             \
    X("Tab", '\t')                                                                                 \
    X("colon", ':')                                                                                \
    X("sol", '/')                                                                                  \
    X("bsol", '\\')                                                                                \
    X("period", '.')                                                                               \
    X("commat", '@')                                                                               \
    X("quest", '?')                                                                                \
    X("equals", '=')                                                                               \
    X("num", '#')                                                                                  \
    X("percnt", '%')                                                                               \
    X("plus", '+')                                                                                 \
    X("lowbar", '_')                                                                               \
    X("semi", ';')                                                                                 \
    X("comma", ',')                                                                                \
    X("excl", '!')                                                                                 \
    X("lpar", '(')                                                                                 \
    X("rpar", ')')                                                                                 \
    X("lsqb", '[')                                                                                 \
    X("rsqb", ']')                                                                                 \
    X("lbrack", '[')                                                                               \
    X("rbrack", ']')                                                                               \
    X("lcub", '{')                                                                                 \
    X("rcub", '}')                                                                                 \
    X("hyphen", 0x2010)                                                                            \
    X("shy", 0xad)                                                                                 \
    X("zwnj", 0x200c)                                                                              \
    X("zwj", 0x200d)                                                                               \
    X("lrm", 0x200e)                                                                               \
    X("rlm", 0x200f)

static void layer_reference(struct link_scanner *scanner, uint32_t character);
static void layer_escape(struct link_scanner *scanner, uint32_t character);

static int digit_value(uint32_t character, int base)
{
    return character < 0x80 ? ascii_digit((char)character, base) : -1;
}

/* --- character references --- */

/* "&#58", "&#x3A": 0 when it is none. */
static uint32_t reference_number(struct span text)
{
    int base = 10;
    size_t at = 2;
    uint32_t value = 0;
    if (text.size < 3 || text.data[1] != '#')
        return 0;
    if ((text.data[2] | 0x20) == 'x') {
        base = 16;
        at = 3;
    }
    for (; at < text.size; at++) {
        int digit = ascii_digit(text.data[at], base);
        if (digit < 0 || value > 0x110000)
            return 0;
        value = value * (uint32_t)base + (uint32_t)digit;
    }
    return value > 0x10ffff ? 0 : value;
}

static uint32_t reference_name(struct span text)
{
    static const struct {
        struct span name;
        uint32_t character;
    } rows[] = {
#define X(name, character) {{name, sizeof(name) - 1}, character},
        REFERENCES(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (span_equal(span_from(text, 1), rows[i].name))
            return rows[i].character;
    return 0;
}

/* What was held is no reference: it is what it looks like. */
static void reference_release(struct link_scanner *scanner)
{
    size_t size = scanner->text.named;
    scanner->text.named = 0;
    for (size_t i = 0; i < size; i++)
        link_word_character(scanner, (uint8_t)scanner->text.reference[i]);
}

/* A number needs no semicolon, for a browser. */
static void reference_end(struct link_scanner *scanner, bool semicolon)
{
    struct span text = {scanner->text.reference, scanner->text.named};
    uint32_t character = reference_number(text);
    if (!character && semicolon)
        character = reference_name(text);
    if (!character) {
        reference_release(scanner);
        if (semicolon)
            link_word_character(scanner, ';');
        return;
    }
    scanner->text.named = 0;
    layer_reference(scanner, character);
}

static bool reference_goes_on(const struct link_text *text, uint32_t character)
{
    if (text->named == sizeof(text->reference))
        return false;
    if (character == '#')
        return text->named == 1;
    if (text->named >= 2 && text->reference[1] == '#')
        return digit_value(character,
                           text->named > 2 && (text->reference[2] | 0x20) == 'x' ? 16 : 10) >= 0 ||
               (text->named == 2 && (character | 0x20u) == 'x');
    return character < 0x80 && ((character >= '0' && character <= '9') ||
                                ((character | 0x20u) >= 'a' && (character | 0x20u) <= 'z'));
}

static void layer_reference(struct link_scanner *scanner, uint32_t character)
{
    struct link_text *text = &scanner->text;
    if (text->named && reference_goes_on(text, character)) {
        text->reference[text->named++] = (char)character;
        return;
    }
    if (text->named) {
        reference_end(scanner, character == ';');
        if (character == ';')
            return;
        /* What was held may itself have stood for a '&', which is held now. */
        if (text->named) {
            layer_reference(scanner, character);
            return;
        }
    }
    if (character == '&') {
        text->named = 1;
        text->reference[0] = '&';
    } else {
        link_word_character(scanner, character);
    }
}

/* --- backslash escapes --- */

static void escape_release(struct link_scanner *scanner)
{
    struct link_text *text = &scanner->text;
    size_t size = text->held;
    text->held = text->digits = text->backslash = 0;
    for (size_t i = 0; i < size; i++)
        layer_reference(scanner, (uint8_t)text->escape[i]);
}

/* A code unit of UTF-16: \ud83d\ude00 is one character. */
static void escape_value(struct link_scanner *scanner, uint32_t value)
{
    struct link_text *text = &scanner->text;
    uint32_t high = text->surrogate;
    text->surrogate = 0;
    if (value >= 0xd800 && value < 0xdc00) {
        text->surrogate = value;
        return;
    }
    if (value >= 0xdc00 && value < 0xe000)
        value = high ? 0x10000 + ((high - 0xd800) << 10) + (value - 0xdc00) : NO_CHARACTER;
    if (value == '\\')
        layer_escape(scanner, value);
    else
        layer_reference(scanner, value);
}

static void escape_digit(struct link_scanner *scanner, uint32_t character)
{
    struct link_text *text = &scanner->text;
    int value = digit_value(character, 16);
    if (value < 0) {
        escape_release(scanner);
        layer_escape(scanner, character);
        return;
    }
    text->escape[text->held++] = (char)character;
    text->value = text->value << 4 | (uint32_t)value;
    if (--text->digits)
        return;
    text->held = text->backslash = 0;
    escape_value(scanner, text->value);
}

/*
 * After one or more backslashes: JSON in JSON doubles them. Behind "https:" they are slashes, as
 * for a browser, and not the line break that \n or \t would be.
 */
static void escape_letter(struct link_scanner *scanner, uint32_t character)
{
    struct link_text *text = &scanner->text;
    if (character == '\\')
        return;
    if (character == 'u' || character == 'x') {
        text->escape[0] = '\\';
        text->escape[1] = (char)character;
        text->held = 2;
        text->digits = character == 'u' ? 4 : 2;
        text->value = 0;
        return;
    }
    text->backslash = 0;
    if (character == 'n' || character == 'r' || character == 't') {
        if (!link_word_is_scheme(scanner)) {
            layer_reference(scanner, '\n');
            return;
        }
    }
    if (character != '/' && character != '"' && character != '\'')
        layer_reference(scanner, '\\');
    layer_reference(scanner, character);
}

static void layer_escape(struct link_scanner *scanner, uint32_t character)
{
    struct link_text *text = &scanner->text;
    if (text->surrogate && character != '\\' && !text->backslash) {
        text->surrogate = 0;
        layer_reference(scanner, NO_CHARACTER);
    }
    if (text->digits)
        escape_digit(scanner, character);
    else if (text->backslash)
        escape_letter(scanner, character);
    else if (character == '\\')
        text->backslash = 1;
    else
        layer_reference(scanner, character);
}

/* --- UTF-8 --- */

static void begin_character(struct link_scanner *scanner, uint8_t byte)
{
    struct link_text *text = &scanner->text;
    if (byte < 0x80) {
        layer_escape(scanner, byte);
        return;
    }
    if (byte < 0xc2 || byte > 0xf4) {
        layer_escape(scanner, NO_CHARACTER);
        return;
    }
    text->needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    text->lower = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    text->upper = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    text->partial = byte & (0x3fu >> text->needed);
}

static void take_byte(struct link_scanner *scanner, uint8_t byte)
{
    struct link_text *text = &scanner->text;
    if (text->needed == 0) {
        begin_character(scanner, byte);
        return;
    }
    if (byte < text->lower || byte > text->upper) {
        text->needed = 0;
        layer_escape(scanner, NO_CHARACTER);
        begin_character(scanner, byte);
        return;
    }
    text->partial = text->partial << 6 | (byte & 0x3fu);
    text->lower = 0x80;
    text->upper = 0xbf;
    if (--text->needed == 0)
        layer_escape(scanner, text->partial);
}

static bool is_between(const struct link_text *text)
{
    return !(text->needed | text->backslash | text->named) && !text->surrogate;
}

/* Most text is ASCII without escapes: its words are cut out without going through the layers. */
void link_text_feed(struct link_scanner *scanner, struct span bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data, *end = at + bytes.size;
    while (at < end) {
        const uint8_t *start = at;
        unsigned class = 0;
        if (!is_between(&scanner->text)) {
            take_byte(scanner, *at++);
            continue;
        }
        while (at < end && !(link_byte_class[*at] & (BYTE_END | BYTE_SPECIAL)))
            class |= link_byte_class[*at++];
        if (at > start)
            link_word_add(scanner, (struct span){(const char *)start, (size_t)(at - start)}, class);
        if (at == end)
            return;
        if (link_byte_class[*at] & BYTE_END)
            link_word_end(scanner, *at == ' ');
        else
            take_byte(scanner, *at);
        at++;
    }
}

void link_text_end(struct link_scanner *scanner)
{
    struct link_text *text = &scanner->text;
    if (text->digits)
        escape_release(scanner);
    if (text->named)
        reference_end(scanner, false);
    if (text->named)
        reference_release(scanner);
    memset(text, 0, sizeof(*text));
}
