/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The meaning of an HTTP/1.1 head: the first line, the fields that the core itself obeys, which of
 * the trailer fields are kept, and what follows the head. What is contradictory is refused here.
 */
#include <string.h>

#include "filters/memory.h"
#include "gateway/http1_private.h"

#define FIELDS_FIRST 16

/* --- first lines --- */

/* Visible ASCII but '#': browsers send more than RFC 3986 allows, but no fragment or space. */
static bool is_target(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '#')
            return false;
    return text.size > 0;
}

/* "/" and what follows the authority, which is empty or a query. */
static struct span path_make(struct http1_message *message, struct span rest)
{
    if (rest.size == 0)
        return span_equal(message->head.method, SPAN("OPTIONS")) ? SPAN("*") : SPAN("/");
    http1_append(message, "/", 1);
    http1_append(message, rest.data, rest.size);
    return http1_commit(message);
}

static bool absolute_parse(struct http1_message *message)
{
    struct http1_head *head = &message->head;
    size_t scheme = span_index(head->target, ':') + 3;
    struct span prefix = span_first(head->target, scheme);
    head->absolute = true;
    head->scheme_tls = span_equal_nocase(prefix, SPAN("https://"));
    if (!head->scheme_tls && !span_equal_nocase(prefix, SPAN("http://")))
        return false;
    struct span rest = span_from(head->target, scheme);
    size_t end = span_index(rest, '/');
    size_t query = span_index(rest, '?');
    if (query < end)
        end = query;
    if (!http1_parse_authority(span_first(rest, end), head->host, &head->port))
        return false;
    rest = span_from(rest, end);
    head->path = span_starts(rest, SPAN("/")) ? rest : path_make(message, rest);
    return true;
}

/* RFC 9112 section 3.2: which form a target has depends on the method. */
static bool target_parse(struct http1_message *message)
{
    struct http1_head *head = &message->head;
    if (!is_target(head->target))
        return false;
    if (span_equal(head->method, SPAN("CONNECT")))
        return http1_parse_authority(head->target, head->host, &head->port) && head->port != 0;
    if (head->target.data[0] != '/' && !span_equal(head->target, SPAN("*")))
        return absolute_parse(message);
    head->path = head->target;
    return head->target.data[0] == '/' || span_equal(head->method, SPAN("OPTIONS"));
}

enum http1_error http1_take_request_line(struct http1_message *message, struct span line)
{
    struct http1_head *head = &message->head;
    head->method = span_first(line, span_index(line, ' '));
    if (head->method.size == 0 || http1_token_size(head->method) != head->method.size)
        return HTTP1_ERROR_METHOD;
    line = span_from(line, head->method.size + 1);
    head->target = span_first(line, span_index(line, ' '));
    enum http1_error error =
        http1_parse_version(span_from(line, head->target.size + 1), &head->minor);
    if (error != HTTP1_ERROR_NONE)
        return error;
    return target_parse(message) ? HTTP1_ERROR_NONE : HTTP1_ERROR_TARGET;
}

/* Many servers leave out the phrase, and some the space before it too. */
enum http1_error http1_take_status_line(struct http1_message *message, struct span line)
{
    struct http1_head *head = &message->head;
    enum http1_error error = http1_parse_version(span_first(line, 8), &head->minor);
    if (error != HTTP1_ERROR_NONE)
        return error;
    line = span_from(line, 8);
    if (line.size < 4 || line.data[0] != ' ' || (line.size > 4 && line.data[4] != ' '))
        return HTTP1_ERROR_STATUS;
    for (size_t i = 1; i < 4; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return HTTP1_ERROR_STATUS;
        head->status = head->status * 10 + (unsigned)(line.data[i] - '0');
    }
    head->phrase = span_from(line, 5);
    return head->status >= 100 && http1_is_text(head->phrase) ? HTTP1_ERROR_NONE
                                                              : HTTP1_ERROR_STATUS;
}

/* --- the fields that the core itself obeys --- */

static enum http1_error take_length(struct http1 *parser, struct span value)
{
    struct http1_message *message = &parser->message;
    int64_t length;
    if (message->head.has_length || span_index(value, ',') < value.size)
        return HTTP1_ERROR_LENGTHS_DIFFER;
    if (!span_number(value, &length))
        return HTTP1_ERROR_LENGTH;
    message->head.has_length = true;
    message->head.length = (uint64_t)length;
    return message->coded ? HTTP1_ERROR_LENGTH_AND_CODING : HTTP1_ERROR_NONE;
}

static enum http1_error take_coding(struct http1 *parser, struct span value)
{
    struct http1_message *message = &parser->message;
    if (message->coded || message->head.minor == 0 || !span_equal_nocase(value, SPAN("chunked")))
        return HTTP1_ERROR_CODING;
    message->coded = true;
    return message->head.has_length ? HTTP1_ERROR_LENGTH_AND_CODING : HTTP1_ERROR_NONE;
}

/* A Host that says another host than the target is how one proxy fools the next. */
static enum http1_error take_host(struct http1 *parser, struct span value)
{
    struct http1_message *message = &parser->message;
    struct http1_head *head = &message->head;
    char host[HOST_TEXT];
    uint16_t port, target_port = head->port;
    if (parser->responses)
        return HTTP1_ERROR_NONE;
    if (message->host_seen || !http1_parse_authority(value, host, &port))
        return HTTP1_ERROR_HOST;
    message->host_seen = true;
    if (head->host[0] == '\0') {
        memcpy(head->host, host, sizeof(host));
        head->port = port;
        return HTTP1_ERROR_NONE;
    }
    if (head->absolute) {
        uint16_t usual = head->scheme_tls ? 443 : 80;
        target_port = target_port ? target_port : usual;
        port = port ? port : usual;
    } else if (port == 0) { /* CONNECT: some clients leave the port out here */
        port = target_port;
    }
    return strcmp(host, head->host) == 0 && port == target_port ? HTTP1_ERROR_NONE
                                                                : HTTP1_ERROR_HOST;
}

static enum http1_error take_connection(struct http1 *parser, struct span value)
{
    struct http1_message *message = &parser->message;
    struct http1_head *head = &message->head;
    struct span option;
    while (span_next(&value, ',', &option)) {
        if (span_equal_nocase(option, SPAN("close")))
            message->close = true;
        else if (span_equal_nocase(option, SPAN("keep-alive")))
            message->keep_alive = true;
        else if (span_equal_nocase(option, SPAN("upgrade")))
            message->upgrade = true;
        else if (option.size > 0 && head->connection_count == HTTP1_OPTIONS)
            return HTTP1_ERROR_FIELD_VALUE;
        else if (option.size > 0)
            head->connection[head->connection_count++] = option;
    }
    return HTTP1_ERROR_NONE;
}

static enum http1_error take_upgrade(struct http1 *parser, struct span value)
{
    parser->message.upgrade_field |= value.size > 0;
    return HTTP1_ERROR_NONE;
}

/* In a 1.0 request it means nothing (RFC 9110 section 10.1.1). */
static enum http1_error take_expect(struct http1 *parser, struct span value)
{
    struct http1_head *head = &parser->message.head;
    struct span expectation;
    while (span_next(&value, ',', &expectation))
        if (head->minor == 1 && span_equal_nocase(expectation, SPAN("100-continue")))
            head->expect_continue = true;
    return HTTP1_ERROR_NONE;
}

static const struct {
    struct span name;
    enum http1_error (*take)(struct http1 *parser, struct span value);
} OBEYED[] = {
    {{"Content-Length", 14}, take_length},
    {{"Transfer-Encoding", 17}, take_coding},
    {{"Host", 4}, take_host},
    {{"Connection", 10}, take_connection},
    {{"Upgrade", 7}, take_upgrade},
    {{"Expect", 6}, take_expect},
};

/* --- field lines --- */

static void list_add(struct http1_list *list, struct field field)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : FIELDS_FIRST;
        list->items = memory_resize(list->items, list->capacity, sizeof(*list->items));
    }
    list->items[list->count++] = field;
}

/* "Content_Length": the gateways of applications (CGI and its kin) take '_' for '-'. */
static bool is_framing_in_disguise(struct span name)
{
    static const struct span names[] = {{"Content-Length", 14}, {"Transfer-Encoding", 17}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t dash = span_index(names[i], '-');
        if (name.size == names[i].size && name.data[dash] == '_' &&
            span_equal_nocase(span_first(name, dash), span_first(names[i], dash)) &&
            span_equal_nocase(span_from(name, dash + 1), span_from(names[i], dash + 1)))
            return true;
    }
    return false;
}

enum http1_error http1_take_field(struct http1 *parser, struct span line)
{
    struct field field;
    enum http1_error error = http1_parse_field(line, &field);
    if (error != HTTP1_ERROR_NONE)
        return error;
    if (is_framing_in_disguise(field.name))
        return HTTP1_ERROR_FIELD_NAME;
    list_add(&parser->message.fields, field);
    for (size_t i = 0; i < sizeof(OBEYED) / sizeof(OBEYED[0]); i++)
        if (span_equal_nocase(field.name, OBEYED[i].name))
            return OBEYED[i].take(parser, field.value);
    return HTTP1_ERROR_NONE;
}

/* Fields that would change what the head has said, were a recipient to merge the two. */
static const char *const NOT_IN_TRAILER[] = {
    "Age",
    "Alt-Svc",
    "Authentication-Info",
    "Authorization",
    "Cache-Control",
    "Clear-Site-Data",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Security-Policy",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Expires",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Link",
    "Location",
    "Max-Forwards",
    "Origin",
    "Pragma",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Range",
    "Referer",
    "Refresh",
    "Retry-After",
    "Set-Cookie",
    "Strict-Transport-Security",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Via",
    "Warning",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
};

bool http1_may_be_trailer(struct span name)
{
    for (size_t i = 0; i < sizeof(NOT_IN_TRAILER) / sizeof(NOT_IN_TRAILER[0]); i++)
        if (span_equal_nocase(name, span_of(NOT_IN_TRAILER[i])))
            return false;
    return true;
}

enum http1_error http1_take_trailer_field(struct http1 *parser, struct span line)
{
    struct field field;
    enum http1_error error = http1_parse_field(line, &field);
    if (error == HTTP1_ERROR_NONE && http1_may_be_trailer(field.name))
        list_add(&parser->message.trailer, field);
    return error;
}

/* --- the end of a head: what follows it (RFC 9112 section 6.3) --- */

static bool response_has_body(const struct http1 *parser)
{
    unsigned status = parser->message.head.status;
    return status >= 200 && status != 204 && status != 304 && !parser->expect_head &&
           !(parser->expect_connect && status < 300);
}

static enum http1_error framing_decide(struct http1 *parser)
{
    struct http1_message *message = &parser->message;
    struct http1_head *head = &message->head;
    bool body = true;
    if (parser->responses) {
        if (message->coded && (head->status < 200 || head->status == 204))
            return HTTP1_ERROR_CODING;
        body = response_has_body(parser);
    } else if (span_equal(head->method, SPAN("CONNECT"))) {
        /* What one reader would take for a body, another would for the tunnel. */
        if (message->coded)
            return HTTP1_ERROR_CODING;
        if (head->length > 0)
            return HTTP1_ERROR_LENGTH;
        body = false;
    }
    if (body && message->coded)
        head->framing = HTTP1_CHUNKED;
    else if (body && head->has_length)
        head->framing = HTTP1_LENGTH;
    else if (body && parser->responses)
        head->framing = HTTP1_UNTIL_CLOSE;
    return HTTP1_ERROR_NONE;
}

enum http1_error http1_finish_head(struct http1 *parser)
{
    /* by framing: the state that follows */
    static const enum http1_state NEXT[] = {[HTTP1_NO_BODY] = STATE_LAST,
                                            [HTTP1_LENGTH] = STATE_BODY,
                                            [HTTP1_CHUNKED] = STATE_CHUNK_LINE,
                                            [HTTP1_UNTIL_CLOSE] = STATE_BODY};
    struct http1_message *message = &parser->message;
    struct http1_head *head = &message->head;
    if (!parser->responses && head->minor == 1 && !message->host_seen)
        return HTTP1_ERROR_HOST;
    enum http1_error error = framing_decide(parser);
    if (error != HTTP1_ERROR_NONE)
        return error;
    head->fields = message->fields.items;
    head->field_count = message->fields.count;
    head->keep_alive = !message->close && (head->minor == 1 || message->keep_alive) &&
                       head->framing != HTTP1_UNTIL_CLOSE;
    head->upgrade = head->minor == 1 && message->upgrade && message->upgrade_field;
    message->left = head->framing == HTTP1_UNTIL_CLOSE ? UINT64_MAX : head->length;
    if (head->status >= 200)
        parser->expect_head = parser->expect_connect = false;
    parser->state = NEXT[head->framing];
    return HTTP1_ERROR_NONE;
}
