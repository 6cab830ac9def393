/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file name under which a browser would save a response: Content-Disposition (RFC 6266, with
 * the encodings of RFC 8187 and RFC 2047 that browsers undo) or the last segment of the path.
 * Tricks that hide the true extension from the reader's eye are undone: what Windows drops at the
 * end of a name, characters that turn or take no room, separators, and names too long to be kept
 * whole.
 */
#include <string.h>

#include "filters/sniff.h"

#include "filters/ascii.h"

/* Dots and spaces in a row of which no more are kept: only the last of them can matter. */
#define RUN_LIMIT 8

/* A name under construction. When there is no room the front goes: the extension is at the end. */
struct name {
    char *text;
    size_t room; /* without the NUL */
    size_t size;
    size_t run;      /* dots and spaces at the end */
    uint8_t wide[3]; /* the beginning of a UTF-8 sequence that may be dropped */
    size_t wide_size;
};

static void name_append(struct name *name, char c)
{
    if (name->room == 0)
        return;
    if (name->size == name->room) {
        size_t kept = name->room / 2;
        memmove(name->text, name->text + name->size - kept, kept);
        name->size = kept;
    }
    name->text[name->size++] = c;
}

/* One byte of the name as it is to be kept. */
static void name_keep(struct name *name, uint8_t byte)
{
    if (byte == '/' || byte == '\\') {
        name->size = name->run = 0;
    } else if (byte == '.' || byte == ' ') {
        if (name->run == RUN_LIMIT && name->size > 0)
            name->size--;
        else
            name->run++;
        name_append(name, (char)byte);
    } else if (byte >= 0x20 && byte != 0x7f) {
        name->run = 0;
        name_append(name, memchr(":*?\"<>|", byte, 7) != NULL ? '_' : (char)byte);
    }
}

/* U+00AD, U+061C, U+180E, U+200B to 200F, U+2028 to 202E, U+2060 to 206F, U+FEFF; C1 controls */
static bool is_invisible(const uint8_t *wide, size_t size)
{
    if (size == 2)
        return (wide[0] == 0xc2 && (wide[1] < 0xa0 || wide[1] == 0xad)) ||
               (wide[0] == 0xd8 && wide[1] == 0x9c);
    return (wide[0] == 0xe2 && wide[1] == 0x80 &&
            ((wide[2] >= 0x8b && wide[2] <= 0x8f) || (wide[2] >= 0xa8 && wide[2] <= 0xae))) ||
           (wide[0] == 0xe2 && wide[1] == 0x81 && wide[2] >= 0xa0 && wide[2] <= 0xaf) ||
           (wide[0] == 0xe1 && wide[1] == 0xa0 && wide[2] == 0x8e) ||
           (wide[0] == 0xef && wide[1] == 0xbb && wide[2] == 0xbf);
}

/* White space of Unicode: U+00A0, U+1680, U+2000 to 200A, U+202F, U+205F, U+3000. Firefox cuts it
 * off. */
static bool is_wide_space(const uint8_t *wide, size_t size)
{
    if (size == 2)
        return wide[0] == 0xc2 && wide[1] == 0xa0;
    return (wide[0] == 0xe2 && wide[1] == 0x80 &&
            ((wide[2] >= 0x80 && wide[2] <= 0x8a) || wide[2] == 0xaf)) ||
           (wide[0] == 0xe2 && wide[1] == 0x81 && wide[2] == 0x9f) ||
           (wide[0] == 0xe1 && wide[1] == 0x9a && wide[2] == 0x80) ||
           (wide[0] == 0xe3 && wide[1] == 0x80 && wide[2] == 0x80);
}

static void name_flush(struct name *name)
{
    for (size_t i = 0; i < name->wide_size; i++)
        name_keep(name, name->wide[i]);
    name->wide_size = 0;
}

/* One byte of the name as it was sent. */
static void name_put(struct name *name, uint8_t byte)
{
    if ((byte & 0xc0) != 0x80) {
        name_flush(name);
        if ((byte & 0xe0) != 0xc0 && (byte & 0xf0) != 0xe0) {
            name_keep(name, byte);
            return;
        }
    } else if (name->wide_size == 0) {
        name_keep(name, byte);
        return;
    }
    name->wide[name->wide_size++] = byte;
    if (name->wide_size < ((name->wide[0] & 0xe0) == 0xc0 ? 2U : 3U))
        return;
    if (is_wide_space(name->wide, name->wide_size)) {
        name->wide[0] = ' ';
        name->wide_size = 1;
    } else if (is_invisible(name->wide, name->wide_size)) {
        name->wide_size = 0;
    }
    name_flush(name);
}

/* Ends the name; false when nothing is left of it. */
static bool name_end(struct name *name)
{
    size_t lead = 0;

    name_flush(name);
    while (name->size > 0 &&
           (name->text[name->size - 1] == '.' || name->text[name->size - 1] == ' '))
        name->size--;
    while (lead < name->size && name->text[lead] == ' ')
        lead++;
    memmove(name->text, name->text + lead, name->size - lead);
    name->size -= lead;
    name->text[name->size] = '\0';
    return name->size > 0;
}

/* The byte that an escape ("%41" or "=41") at `at` stands for, -1 when it is none. */
static int escaped_byte(struct span text, size_t at)
{
    if (at + 2 >= text.size)
        return -1;
    int high = ascii_digit(text.data[at + 1], 16), low = ascii_digit(text.data[at + 2], 16);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void put_percent_decoded(struct name *name, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        int byte = text.data[i] == '%' ? escaped_byte(text, i) : -1;
        name_put(name, byte < 0 ? (uint8_t)text.data[i] : (uint8_t)byte);
        i += byte < 0 ? 0 : 2;
    }
}

/* RFC 2047 section 4.1 */
static void put_base64(struct name *name, struct span text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;

    for (size_t i = 0; i < text.size; i++) {
        const char *digit = memchr(digits, text.data[i], 64);
        if (digit == NULL)
            continue;
        bits = (bits << 6 | (unsigned)(digit - digits)) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            name_put(name, (uint8_t)(bits >> count));
        }
    }
}

/* RFC 2047 section 4.2 */
static void put_quoted(struct name *name, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        int byte = text.data[i] == '=' ? escaped_byte(text, i) : -1;
        char plain = text.data[i] == '_' ? ' ' : text.data[i];
        name_put(name, byte < 0 ? (uint8_t)plain : (uint8_t)byte);
        i += byte < 0 ? 0 : 2;
    }
}

/*
 * An encoded word "=?charset?B?text?=" at the front of `text`: puts it and returns its size, 0 when
 * there is none. The charset is left alone: the extension is ASCII in all that are in use.
 */
static size_t put_encoded_word(struct name *name, struct span text)
{
    size_t charset, start, size;
    char kind;

    if (!span_starts(text, SPAN("=?")))
        return 0;
    charset = span_index(span_from(text, 2), '?');
    start = 2 + charset + 3;
    if (charset == 0 || charset > 40 || start > text.size || text.data[start - 1] != '?')
        return 0;
    kind = (char)(text.data[start - 2] | 0x20);
    size = span_index(span_from(text, start), '?');
    if (start + size + 1 >= text.size || text.data[start + size + 1] != '=')
        return 0;
    text.size = start + size;
    if (kind == 'b')
        put_base64(name, span_from(text, start));
    else if (kind == 'q')
        put_quoted(name, span_from(text, start));
    else
        return 0;
    return start + size + 2;
}

/* filename=: encoded words and percent escapes, for Chromium undoes both. Single quotes around it
 * are no quotes in HTTP, but to some clients they are. */
static void put_plain(struct name *name, struct span text)
{
    if (text.size > 2 && text.data[0] == '\'' && text.data[text.size - 1] == '\'')
        text = span_first(span_from(text, 1), text.size - 2);
    while (text.size > 0) {
        size_t word = put_encoded_word(name, text), next;
        if (word > 0) {
            text = span_from(text, word);
            continue;
        }
        next = 1 + span_index(span_from(text, 1), '=');
        put_percent_decoded(name, span_first(text, next));
        text = span_from(text, next);
    }
}

/* filename*=: charset'language'percent-encoded (RFC 8187 section 3.2). False when it is not that.
 */
static bool put_extended(struct name *name, struct span text)
{
    size_t charset = span_index(text, '\''), language;
    bool latin = span_equal_nocase(span_first(text, charset), SPAN("iso-8859-1"));

    text = span_from(text, charset + 1);
    language = span_index(text, '\'');
    if (charset == 0 || language == text.size)
        return false;
    text = span_from(text, language + 1);
    if (!latin) {
        put_percent_decoded(name, text);
        return true;
    }
    for (size_t i = 0; i < text.size; i++) {
        int escaped = text.data[i] == '%' ? escaped_byte(text, i) : -1;
        uint8_t byte = escaped < 0 ? (uint8_t)text.data[i] : (uint8_t)escaped;
        i += escaped < 0 ? 0 : 2;
        if (byte >= 0x80)
            name_put(name, (uint8_t)(0xc0 | byte >> 6));
        name_put(name, byte < 0x80 ? byte : (uint8_t)(0x80 | (byte & 0x3f)));
    }
    return true;
}

/* A parameter that names the file; `value.data` is NULL while there is none. */
struct candidate {
    struct span value;
    bool quoted;   /* a quoted-string, without its quotes but with its escapes */
    bool extended; /* filename*= */
};

#define PIECES 16

/* The first of each kind, and the first whose extension is dangerous. */
struct disposition {
    struct candidate plain, extended, worst;
    struct candidate pieces[PIECES]; /* filename*0=, filename*1= ... (RFC 2231 section 3) */
};

/* The next "; name=value"; advances past it. False when nothing is left. */
static bool next_parameter(struct span *rest, struct span *name, struct span *value, bool *quoted)
{
    size_t end = 0;

    *rest = span_trim(*rest);
    while (rest->size > 0 && rest->data[0] == ';')
        *rest = span_trim(span_from(*rest, 1));
    if (rest->size == 0)
        return false;
    while (end < rest->size && rest->data[end] != '=' && rest->data[end] != ';')
        end++;
    *name = span_trim(span_first(*rest, end));
    *value = (struct span){NULL, 0};
    *quoted = false;
    *rest = span_from(*rest, end);
    if (rest->size == 0 || rest->data[0] == ';')
        return true;
    *rest = span_trim(span_from(*rest, 1));
    if (rest->size > 0 && rest->data[0] == '"') {
        *quoted = true;
        *rest = span_from(*rest, 1);
        for (end = 0; end < rest->size && rest->data[end] != '"'; end++)
            end += rest->data[end] == '\\' && end + 1 < rest->size;
        *value = span_first(*rest, end);
        *rest = span_from(*rest, end + 1);
        *rest = span_from(*rest, span_index(*rest, ';'));
    } else {
        end = span_index(*rest, ';');
        *value = span_trim(span_first(*rest, end));
        *rest = span_from(*rest, end);
    }
    return true;
}

/* filename="...": the escapes go first, then it is decoded like any other. */
static void put_unquoted(struct name *name, struct span text)
{
    char plain[1024];
    size_t size = 0;

    text = span_from(text, text.size > sizeof(plain) ? text.size - sizeof(plain) : 0);
    for (size_t i = 0; i < text.size; i++) {
        i += text.data[i] == '\\' && i + 1 < text.size;
        plain[size++] = text.data[i];
    }
    put_plain(name, (struct span){plain, size});
}

static void put_piece(struct name *name, const struct candidate *piece, bool is_first)
{
    if (piece->extended && !(is_first && put_extended(name, piece->value)))
        put_percent_decoded(name, piece->value);
    else if (!piece->extended && piece->quoted)
        put_unquoted(name, piece->value);
    else if (!piece->extended)
        put_plain(name, piece->value);
}

/* No part of HTTP, but Firefox puts the pieces together. False when they give no name. */
static bool name_from_pieces(const struct candidate *pieces, struct name *name)
{
    *name = (struct name){.text = name->text, .room = name->room};
    for (size_t i = 0; i < PIECES && pieces[i].value.data != NULL; i++)
        put_piece(name, &pieces[i], i == 0);
    return name_end(name);
}

/* The number in "filename*N" or "filename*N*", PIECES for any other parameter. */
static size_t piece_number(struct span parameter)
{
    struct span digits = span_from(parameter, sizeof("filename*") - 1);
    int64_t number;

    if (parameter.data[sizeof("filename") - 1] != '*')
        return PIECES;
    if (span_ends(digits, SPAN("*")))
        digits = span_first(digits, digits.size - 1);
    return span_number(digits, &number) && number < PIECES ? (size_t)number : PIECES;
}

/* Makes the name that a parameter gives; false when it gives none. */
static bool name_from_candidate(const struct candidate *candidate, struct name *name)
{
    *name = (struct name){.text = name->text, .room = name->room};
    if (candidate->extended && !put_extended(name, candidate->value))
        return false;
    if (!candidate->extended && candidate->quoted)
        put_unquoted(name, candidate->value);
    else if (!candidate->extended)
        put_plain(name, candidate->value);
    return name_end(name);
}

static bool is_dangerous(const struct name *name)
{
    struct file_facts facts;
    size_t start = name->size;

    while (start > 0 && name->text[start - 1] != '.')
        start--;
    return start > 0 &&
           sniff_extension((struct span){name->text + start, name->size - start}, &facts) &&
           facts.danger == FILE_DANGEROUS;
}

/*
 * Where several parameters name the file, filename* should win (RFC 6266 section 4.3), then the
 * first; but browsers differ in which they understand, so one with a dangerous extension wins over
 * all.
 */
static void read_parameters(struct span rest, struct disposition *disposition, struct name *name)
{
    struct span parameter;
    struct candidate candidate = {.quoted = false};

    while (next_parameter(&rest, &parameter, &candidate.value, &candidate.quoted)) {
        if (!span_starts_nocase(parameter, SPAN("filename")) || candidate.value.size == 0)
            continue;
        candidate.extended = parameter.data[parameter.size - 1] == '*';
        struct candidate *first = candidate.extended ? &disposition->extended : &disposition->plain;
        if (first->value.data == NULL && name_from_candidate(&candidate, name))
            *first = candidate;
        size_t piece = piece_number(parameter);
        if (piece < PIECES && disposition->pieces[piece].value.data == NULL)
            disposition->pieces[piece] = candidate;
        if (disposition->worst.value.data == NULL && name_from_candidate(&candidate, name) &&
            is_dangerous(name))
            disposition->worst = candidate;
    }
}

/*
 * Anything but inline is an attachment (RFC 6266 section 4.2); a field without a type, which begins
 * with a parameter, is taken as inline by all browsers. Where the type ends is not the same for
 * all: for Firefox at a space too.
 */
static void read_disposition(struct span value, struct disposition *disposition, struct name *name,
                             bool *attachment)
{
    struct span type = span_trim(value);
    size_t end = 0;

    while (end < type.size && memchr(" \t;,=", type.data[end], 5) == NULL)
        end++;
    type = span_first(type, end);
    if (span_starts_nocase(type, SPAN("filename")) || span_starts_nocase(type, SPAN("name")))
        end = 0;
    else if (type.size > 0 && !span_equal_nocase(type, SPAN("inline")))
        *attachment = true;
    read_parameters(span_from(span_trim(value), end), disposition, name);
}

/* The last segment of the path, without the query. */
static void name_from_target(struct span target, struct name *name)
{
    size_t start;

    target = span_first(target, span_index(target, '?'));
    target = span_first(target, span_index(target, '#'));
    for (start = target.size; start > 0 && target.data[start - 1] != '/'; start--)
        ;
    *name = (struct name){.text = name->text, .room = name->room};
    put_percent_decoded(name, span_from(target, start));
    name_end(name);
}

void sniff_file_name(const struct response *response, struct span target, char *text, size_t size,
                     bool *attachment)
{
    struct disposition found = {.plain = {.quoted = false}};
    const struct candidate *order[] = {&found.worst, &found.extended, &found.plain};
    char none[1];
    struct name name = {.text = size > 0 ? text : none, .room = size > 0 ? size - 1 : 0};

    *attachment = false;
    for (size_t i = 0; i < response->field_count; i++)
        if (span_equal_nocase(response->fields[i].name, SPAN("content-disposition")))
            read_disposition(response->fields[i].value, &found, &name, attachment);
    if (found.worst.value.data == NULL && name_from_pieces(found.pieces, &name) &&
        is_dangerous(&name))
        return;
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
        if (order[i]->value.data != NULL && name_from_candidate(order[i], &name))
            return;
    name_from_target(target, &name);
}
