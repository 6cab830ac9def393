/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/1.1 writer: the pieces of a message, each put into the buffer as one contiguous run, and
 * which fields a message leaves behind when it is passed on.
 */
#include <event2/buffer.h>
#include <string.h>
#include <unistd.h>

#include "gateway/http1.h"

#define CRLF SPAN("\r\n")

static void append(struct evbuffer *out, const struct span *parts, size_t count)
{
    struct evbuffer_iovec room;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (evbuffer_reserve_space(out, (ev_ssize_t)size, &room, 1) != 1) {
        static const char text[] = "sekisho: out of memory\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)ignored;
        _exit(71); /* as filters/memory.h */
    }
    char *to = room.iov_base;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(to, parts[i].data, parts[i].size);
        to += parts[i].size;
    }
    room.iov_len = size;
    evbuffer_commit_space(out, &room, 1);
}

#define APPEND(out, ...)                                                                           \
    append(out, (const struct span[]){__VA_ARGS__},                                                \
           sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))

/* --- what is passed on --- */

#define HOP(name)                                                                                  \
    {                                                                                              \
        name, sizeof(name) - 1                                                                     \
    }
static const struct span hops[] = {
    HOP("Connection"),
    HOP("Content-Length"),
    HOP("HTTP2-Settings"),
    HOP("Keep-Alive"),
    HOP("Proxy-Authenticate"),
    HOP("Proxy-Authentication-Info"),
    HOP("Proxy-Authorization"),
    HOP("Proxy-Connection"),
    HOP("TE"),
    HOP("Trailer"),
    HOP("Transfer-Encoding"),
    HOP("Upgrade"),
};
#undef HOP

bool http1_is_hop(const struct http1_head *head, struct span name)
{
    for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++)
        if (span_equal_nocase(name, hops[i]))
            return true;
    /* A request without Host would be another request: Connection has no say in it. */
    if (span_equal_nocase(name, SPAN("Host")))
        return false;
    for (size_t i = 0; i < head->connection_count; i++)
        if (span_equal_nocase(name, head->connection[i]))
            return true;
    return false;
}

/* --- heads --- */

void http1_write_request_line(struct evbuffer *out, struct span method, struct span target)
{
    APPEND(out, method, SPAN(" "), target, SPAN(" HTTP/1.1\r\n"));
}

void http1_write_status_line(struct evbuffer *out, unsigned status, struct span phrase)
{
    const char digits[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                            (char)('0' + status % 10)};
    APPEND(out, SPAN("HTTP/1.1 "), {digits, sizeof(digits)}, SPAN(" "), phrase, CRLF);
}

void http1_write_field(struct evbuffer *out, struct span name, struct span value)
{
    APPEND(out, name, SPAN(": "), value, CRLF);
}

/* The digits of `value`, written towards the front of `text` from its end. */
static struct span number_format(uint64_t value, unsigned base, char text[20])
{
    size_t at = 20;
    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    return (struct span){text + at, 20 - at};
}

void http1_write_framing(struct evbuffer *out, enum http1_framing framing, uint64_t length)
{
    char text[20];
    if (framing == HTTP1_LENGTH)
        http1_write_field(out, SPAN("Content-Length"), number_format(length, 10, text));
    else if (framing == HTTP1_CHUNKED)
        http1_write_field(out, SPAN("Transfer-Encoding"), SPAN("chunked"));
}

void http1_write_end_of_head(struct evbuffer *out)
{
    APPEND(out, CRLF);
}

/* --- chunks --- */

void http1_write_chunk(struct evbuffer *out, struct span data)
{
    char text[20];
    if (data.size > 0)
        APPEND(out, number_format(data.size, 16, text), CRLF, data, CRLF);
}

void http1_write_last_chunk(struct evbuffer *out, const struct field *trailer, size_t count)
{
    APPEND(out, SPAN("0\r\n"));
    for (size_t i = 0; i < count; i++)
        http1_write_field(out, trailer[i].name, trailer[i].value);
    APPEND(out, CRLF);
}
