/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Absolute http and https URLs, read as a browser reads them where that decides which host is meant
 * (WHATWG URL): any number of slashes or backslashes after the scheme, the last '@' ends the user
 * information. What a browser would first have to repair (blanks, control characters) is no URL
 * here.
 */
#include "filters/url.h"

#include <string.h>

#include "filters/glob.h"

static bool is_slash(char byte)
{
    return byte == '/' || byte == '\\';
}

static bool has_blank_or_control(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= 0x20 || byte == 0x7f)
            return true;
    }
    return false;
}

static size_t authority_size(struct span text)
{
    size_t size = 0;
    while (size < text.size && !is_slash(text.data[size]) && text.data[size] != '?' &&
           text.data[size] != '#')
        size++;
    return size;
}

/* RFC 3986, section 3.2.3: the port may be empty. */
static bool parse_port(struct span digits, uint16_t *port)
{
    int64_t value;
    while (digits.size > 1 && digits.data[0] == '0')
        digits = span_from(digits, 1);
    if (digits.size == 0)
        return true;
    if (digits.size > 5 || !span_number(digits, &value) || value < 1 || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_authority(struct span authority, struct url *url)
{
    for (size_t i = authority.size; i > 0; i--) {
        if (authority.data[i - 1] == '@') {
            authority = span_from(authority, i);
            break;
        }
    }
    size_t end = span_index(authority, ':');
    if (authority.size && authority.data[0] == '[') {
        end = span_index(authority, ']');
        if (end == authority.size)
            return false;
        end++;
    }
    if (end < authority.size && authority.data[end] != ':')
        return false;
    return parse_port(span_from(authority, end + 1), &url->port) &&
           host_normalise(span_first(authority, end), url->host);
}

bool url_parse(struct span text, struct url *url)
{
    memset(url, 0, sizeof(*url));
    text = span_trim(text);
    if (has_blank_or_control(text))
        return false;
    if (span_starts_nocase(text, SPAN("https:"))) {
        url->tls = true;
        url->port = 443;
        text = span_from(text, 6);
    } else if (span_starts_nocase(text, SPAN("http:"))) {
        url->port = 80;
        text = span_from(text, 5);
    } else {
        return false;
    }
    while (text.size && is_slash(text.data[0]))
        text = span_from(text, 1);
    size_t end = authority_size(text);
    if (!parse_authority(span_first(text, end), url))
        return false;
    struct span target = span_from(text, end);
    url->target = span_first(target, span_index(target, '#'));
    if (url->target.size == 0)
        url->target = SPAN("/");
    return true;
}

/* Never writes ahead of what it has read, so that it may work in place. */
size_t url_decode(struct span encoded, char *text)
{
    size_t used = 0;
    for (size_t i = 0; i < encoded.size; i++) {
        int value = encoded.data[i] == '%' ? glob_hexadecimal(span_from(encoded, i + 1)) : -1;
        text[used++] = value < 0 ? encoded.data[i] : (char)value;
        if (value >= 0)
            i += 2;
    }
    return used;
}
