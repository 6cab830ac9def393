/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host names and single host patterns in the one form in which everything compares them (RFC 1123,
 * section 2.1; RFC 5890 for names that are not ASCII).
 */
#include "filters/hostname.h"

#include <idn2.h>
#include <string.h>

#include "filters/ascii.h"
#include "filters/glob.h"
#include "gateway/exchange.h"

#define LABEL_SIZE 63
#define NAME_SIZE  253

static bool is_label_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || ascii_is_digit(byte) || byte == '-' || byte == '_';
}

static bool label_is_valid(struct span label)
{
    if (label.size < 1 || label.size > LABEL_SIZE)
        return false;
    if (label.data[0] == '-' || label.data[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_label_byte(label.data[i]))
            return false;
    return true;
}

/* WHATWG URL, "ends in a number": a browser takes such a name for an IPv4 address, in any notation.
 */
static bool ends_in_number(struct span name)
{
    size_t start = name.size;
    while (start > 0 && name.data[start - 1] != '.')
        start--;
    struct span last = span_from(name, start);
    if (last.size == 0 || !ascii_is_digit(last.data[0]))
        return false;
    if (span_starts(last, SPAN("0x"))) {
        for (size_t i = 2; i < last.size; i++)
            if (!ascii_is_digit(last.data[i]) && (last.data[i] < 'a' || last.data[i] > 'f'))
                return false;
        return true;
    }
    for (size_t i = 0; i < last.size; i++)
        if (!ascii_is_digit(last.data[i]))
            return false;
    return true;
}

static bool normalise_literal(struct span literal, char *text)
{
    struct address address;
    if (!address_parse(literal, &address))
        return false;
    address_format(&address, text);
    return true;
}

bool host_normalise(struct span host, char *text)
{
    text[0] = '\0';
    if (host.size && host.data[0] == '[') {
        if (host.size < 2 || host.data[host.size - 1] != ']')
            return false;
        host = (struct span){host.data + 1, host.size - 2};
        return span_index(host, ':') < host.size && normalise_literal(host, text);
    }
    if (span_index(host, ':') < host.size)
        return normalise_literal(host, text);
    if (host.size && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size < 1 || host.size > NAME_SIZE)
        return false;
    for (size_t i = 0; i < host.size; i++)
        text[i] = ascii_lower(host.data[i]);
    text[host.size] = '\0';

    struct span name = {text, host.size};
    bool valid = true;
    for (struct span rest = name; valid;) {
        size_t end = span_index(rest, '.');
        valid = label_is_valid(span_first(rest, end));
        if (end == rest.size)
            break;
        rest = (struct span){rest.data + end + 1, rest.size - end - 1};
    }
    if (valid && ends_in_number(name)) {
        char copy[ADDRESS_TEXT];
        valid = normalise_literal(name, copy);
        if (valid)
            memcpy(text, copy, strlen(copy) + 1);
    }
    if (!valid)
        text[0] = '\0';
    return valid;
}

bool host_is_literal(struct span host)
{
    return span_index(host, ':') < host.size || ends_in_number(host);
}

/* host_normalise() for what a person wrote: U-labels become A-labels. `text` takes HOST_TEXT bytes.
 */
static bool normalise_written(struct span name, char *text)
{
    char copy[1024], *ascii = NULL;
    if (ascii_alone(name))
        return host_normalise(name, text);
    if (name.size >= sizeof(copy) || memchr(name.data, '\0', name.size))
        return false;
    memcpy(copy, name.data, name.size);
    copy[name.size] = '\0';
    if (idn2_to_ascii_8z(copy, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
        return false;
    bool valid = host_normalise(span_of(ascii), text);
    idn2_free(ascii);
    return valid;
}

/* The left-most label of a glob, lower case, into `text`; returns its size, 0 when it is not one.
 */
static size_t normalise_glob_label(struct span label, char *text)
{
    if (label.size < 1 || label.size > LABEL_SIZE)
        return 0;
    for (size_t i = 0; i < label.size; i++) {
        text[i] = ascii_lower(label.data[i]);
        if (!is_label_byte(text[i]) && text[i] != '*')
            return 0;
    }
    return label.size;
}

const char *host_pattern_normalise(struct span pattern, char *text)
{
    size_t head = 0;

    text[0] = '\0';
    pattern = span_trim(pattern);
    if (pattern.size == 0)
        return "an empty host pattern";
    size_t dot = span_index(pattern, '.'), star = span_index(pattern, '*');
    if (dot == 0) {
        text[head++] = '.';
        pattern = span_from(pattern, 1);
    } else if (star < dot) {
        head = normalise_glob_label(span_first(pattern, dot), text);
        if (head == 0)
            return "not a host pattern";
        text[head++] = '.';
        pattern = span_from(pattern, dot + 1);
    }
    if (span_index(pattern, '*') < pattern.size)
        return "a '*' may stand only in the left-most label";
    if (head && pattern.size == 0)
        return "a domain must follow the '*' or the dot";
    if (!normalise_written(pattern, text + head)) {
        text[0] = '\0';
        return "not a host name or an address";
    }
    if (head && host_is_literal(span_of(text + head)))
        return "an address has no names below it";
    return NULL;
}

enum host_pattern_kind host_pattern_kind(struct span pattern, size_t *key_offset)
{
    size_t dot = span_index(pattern, '.');
    *key_offset = dot + 1;
    if (dot == 0)
        return PATTERN_WITHIN;
    if (span_index(pattern, '*') == pattern.size) {
        *key_offset = 0;
        return PATTERN_EXACT;
    }
    return dot == 1 ? PATTERN_BELOW : PATTERN_GLOB;
}

bool host_pattern_matches(struct span pattern, struct span host)
{
    size_t offset;

    /* What follows the first dot is written out in patterns of every kind: most hosts end
     * otherwise. */
    if (!span_ends(host, span_from(pattern, span_index(pattern, '.') + 1)))
        return false;
    enum host_pattern_kind kind = host_pattern_kind(pattern, &offset);
    if (kind == PATTERN_EXACT)
        return span_equal(pattern, host);
    if (host_is_literal(host))
        return false;
    struct span domain = span_from(pattern, offset);
    if (kind == PATTERN_WITHIN && span_equal(domain, host))
        return true;
    if (kind == PATTERN_GLOB) {
        size_t dot = span_index(host, '.');
        return dot < host.size && span_equal(span_from(host, dot + 1), domain) &&
               glob_matches(span_first(pattern, offset - 1), span_first(host, dot));
    }
    return host.size > domain.size + 1 && span_ends(host, domain) &&
           host.data[host.size - domain.size - 1] == '.';
}
