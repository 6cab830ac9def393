/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_url.h. */
#include "gateway/fetch_url.h"

#include <stdio.h>
#include <string.h>

#include "gateway/exchange.h"
#include "gateway/http1.h"

#define HTTP_PORT  80
#define HTTPS_PORT 443

static bool is_hexadecimal(char byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* RFC 3986 section 3.3: pchar, and what a path and a query have between. */
static bool is_target(struct span target)
{
    static const char others[] = "-._~!$&'()*+,;=:@/?";

    for (size_t i = 0; i < target.size; i++) {
        char byte = target.data[i];
        if (byte == '%') {
            if (target.size - i < 3 || !is_hexadecimal(target.data[i + 1]) ||
                !is_hexadecimal(target.data[i + 2]))
                return false;
        } else if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z')) &&
                   (byte == '\0' || strchr(others, byte) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Letters, digits, '-' and '.' alone; '_' is in names that are in use. */
static bool is_plain_host(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
              (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '.' || byte == '_'))
            return false;
    }
    return host.size > 0;
}

/* "127.1" and "2130706433" are addresses to some, and names to others. */
static bool ends_in_number(struct span host)
{
    size_t dot = host.size;

    while (dot > 0 && host.data[dot - 1] != '.')
        dot--;
    struct span last = span_from(host, dot);
    if (last.size == 0)
        return false;
    if (last.size > 1 && last.data[0] == '0' && (last.data[1] | 0x20) == 'x')
        return true;
    for (size_t i = 0; i < last.size; i++)
        if (last.data[i] < '0' || last.data[i] > '9')
            return false;
    return true;
}

static bool read_host(struct span host, struct fetch_url *url)
{
    struct address literal;

    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        struct span inside = {host.data + 1, host.size - 2};
        if (!address_parse(inside, &literal) || span_index(inside, ':') == inside.size)
            return false;
        url->is_ipv6 = literal.family == 6; /* a mapped one is the IPv4 address that it is */
        address_format(&literal, url->host);
        return true;
    }
    if (!is_plain_host(host) || !host_normalise(host, url->host))
        return false;
    return !ends_in_number(span_of(url->host)) || address_parse(span_of(url->host), &literal);
}

/* The scheme's own is there already. */
static bool read_port(struct span digits, uint16_t *port)
{
    int64_t number;

    if (digits.size == 0) /* "http://example.jp:/": RFC 3986 section 3.2.3 */
        return true;
    if (digits.size > 5 || !span_number(digits, &number) || number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool read_url(struct span text, struct span scheme, uint16_t port, struct fetch_url *url)
{
    memset(url, 0, sizeof(*url));
    url->port = url->scheme_port = port;
    if (text.size >= FETCH_URL_MAX || !span_starts_nocase(text, scheme))
        return false;
    struct span rest = span_from(text, scheme.size);
    size_t slash = span_index(rest, '/');
    struct span authority = span_first(rest, slash);
    url->target = span_from(rest, slash);
    if (url->target.size == 0 || !is_target(url->target))
        return false;
    size_t bracket = span_index(authority, ']');
    size_t from = bracket < authority.size ? bracket + 1 : 0;
    size_t colon = from + span_index(span_from(authority, from), ':');
    if (colon < authority.size && !read_port(span_from(authority, colon + 1), &url->port))
        return false;
    return read_host(span_first(authority, colon), url);
}

bool fetch_url_read(struct span text, struct fetch_url *url)
{
    return read_url(text, SPAN("http://"), HTTP_PORT, url);
}

bool fetch_url_read_https(struct span text, struct fetch_url *url)
{
    return read_url(text, SPAN("https://"), HTTPS_PORT, url);
}

void fetch_url_write_request(const struct fetch_url *url, struct span agent, struct evbuffer *out)
{
    char host[HOST_TEXT + 16];
    int length = snprintf(host, sizeof(host), url->is_ipv6 ? "[%s]" : "%s", url->host);

    if (url->port != url->scheme_port)
        length += snprintf(host + length, sizeof(host) - (size_t)length, ":%u", url->port);
    http1_write_request_line(out, SPAN("GET"), url->target);
    http1_write_field(out, SPAN("Host"), (struct span){host, (size_t)length});
    http1_write_field(out, SPAN("User-Agent"), agent);
    http1_write_field(out, SPAN("Accept"), SPAN("*/*"));
    http1_write_field(out, SPAN("Connection"), SPAN("close"));
    http1_write_end_of_head(out);
}
