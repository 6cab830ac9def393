/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The normal form of a URL: what programs make of one on its way from a text to a request must not
 * make another one of it.
 */
#include <string.h>

#include "filters/character.h"
#include "filters/glob.h"
#include "filters/url.h"

/* Where text is put; `full` once something did not fit. */
struct writer {
    char *text;
    size_t size, used;
    bool full;
    bool broken; /* what was put last is a byte that is no character's */
};

static void put(struct writer *writer, struct span bytes)
{
    writer->broken = false;
    if (writer->full || bytes.size > writer->size - writer->used) {
        writer->full = true;
        return;
    }
    if (bytes.size)
        memcpy(writer->text + writer->used, bytes.data, bytes.size);
    writer->used += bytes.size;
}

static void put_number(struct writer *writer, uint16_t number)
{
    char digits[5];
    size_t start = sizeof(digits);
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(writer, (struct span){digits + start, sizeof(digits) - start});
}

static void put_byte(struct writer *writer, uint8_t byte)
{
    char plain = (char)byte;
    put(writer, (struct span){&plain, 1});
}

static void put_escaped(struct writer *writer, uint8_t byte)
{
    static const char hexadecimal[] = "0123456789ABCDEF";
    char escaped[3] = {'%', hexadecimal[byte >> 4], hexadecimal[byte & 15]};
    put(writer, (struct span){escaped, sizeof(escaped)});
}

/* --- bytes and characters --- */

/* The byte that the text begins with, escaped or not. Returns how much of the text it takes. */
static size_t read_byte(struct span text, uint8_t *byte, bool *escaped)
{
    int value = text.data[0] == '%' ? glob_hexadecimal(span_from(text, 1)) : -1;
    *escaped = value >= 0;
    *byte = (uint8_t)(value >= 0 ? value : text.data[0]);
    return value >= 0 ? 3 : 1;
}

static bool is_unreserved(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') ||
           (byte != 0 && strchr("-._~", byte) != NULL);
}

/* Those that every browser leaves as they were written. */
static bool is_left(uint8_t byte)
{
    return byte != 0 && strchr("!$&()*+,;=:@/?", byte) != NULL;
}

static void put_ascii(struct writer *writer, uint8_t byte, bool escaped, bool query)
{
    if (is_unreserved(byte) || (!escaped && is_left(byte)))
        put_byte(writer, byte);
    else if (!escaped && byte == '\\' && !query)
        put_byte(writer, '/');
    else
        put_escaped(writer, byte);
}

static size_t character_size(uint8_t lead)
{
    return lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/*
 * More than ASCII. A character that is not seen is left out, but not behind a byte that is none, or
 * what is left could be read as another one. Returns how much of the text it takes.
 */
static size_t put_wide(struct writer *writer, struct span text)
{
    uint8_t bytes[4];
    uint32_t character;
    bool escaped;
    size_t at = read_byte(text, &bytes[0], &escaped), first = at, size = 1;
    size_t wanted = character_size(bytes[0]);

    while (size < wanted && at < text.size) {
        size_t step = read_byte(span_from(text, at), &bytes[size], &escaped);
        if ((bytes[size] & 0xc0u) != 0x80u)
            break;
        at += step;
        size++;
    }
    if (wanted == 1 || size < wanted) {
        put_escaped(writer, bytes[0]);
        writer->broken = true;
        return first;
    }
    character_decode((struct span){(const char *)bytes, size}, &character);
    if (character_is_unseen(character) && !writer->broken)
        return at;
    for (size_t i = 0; i < size; i++)
        put_escaped(writer, bytes[i]);
    return at;
}

static void put_text(struct writer *writer, struct span text, bool query)
{
    size_t step;
    for (size_t at = 0; at < text.size; at += step) {
        uint8_t byte;
        bool escaped;
        step = read_byte(span_from(text, at), &byte, &escaped);
        if (byte >= 0x80)
            step = put_wide(writer, span_from(text, at));
        else
            put_ascii(writer, byte, escaped, query);
    }
}

/* --- the whole --- */

/* RFC 3986, section 5.2.4, in place: the path of what was put begins at `root`. */
static void drop_dots(struct writer *writer, size_t root)
{
    char *text = writer->text;
    size_t end = writer->used, at = root, used = root;

    while (at < end && text[at] == '/') {
        struct span rest = {text + at + 1, end - at - 1};
        struct span segment = span_first(rest, span_index(rest, '/'));
        bool dots = span_equal(segment, SPAN(".")) || span_equal(segment, SPAN(".."));
        at += 1 + segment.size;
        if (!dots) {
            text[used++] = '/';
            memmove(text + used, segment.data, segment.size);
            used += segment.size;
            continue;
        }
        if (segment.size == 2)
            while (used > root && text[--used] != '/')
                ;
        if (at == end)
            text[used++] = '/';
    }
    writer->used = at < end ? end : used; /* "*" of OPTIONS is no path */
}

size_t url_normalise(bool tls, struct span host, uint16_t port, struct span target, char *text,
                     size_t size)
{
    struct writer writer = {.text = text, .size = size};
    bool brackets = span_index(host, ':') < host.size;
    struct span path = span_first(target, span_index(target, '?'));
    put(&writer, tls ? SPAN("https://") : SPAN("http://"));
    put(&writer, brackets ? SPAN("[") : SPAN(""));
    put(&writer, host);
    put(&writer, brackets ? SPAN("]") : SPAN(""));
    if (port != (tls ? 443 : 80)) {
        put(&writer, SPAN(":"));
        put_number(&writer, port);
    }
    size_t root = writer.used;
    put_text(&writer, path.size > 0 ? path : SPAN("/"), false);
    if (!writer.full)
        drop_dots(&writer, root);
    put_text(&writer, span_from(target, path.size), true);
    return writer.full ? 0 : writer.used;
}
