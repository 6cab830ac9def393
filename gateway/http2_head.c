/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Field sections of HTTP/2 (RFC 9113 section 8): collected field by field within the limits, then
 * turned into a head in one block of memory; and back into the list that nghttp2 sends. The order
 * and number of the pseudo-header fields, the characters of names and values and what belongs to a
 * connection are checked by nghttp2; here is what it leaves to the reader of a request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/http1_private.h"
#include "gateway/http2_private.h"

#define BYTES_FIRST    2048
#define PIECES_FIRST   32
#define FIELD_OVERHEAD 32 /* RFC 9113 section 6.5.2 */
#define CRUMB_SHORT    20 /* of Cookie: nghttp2 keeps a shorter one out of the table by itself */

static const struct span PSEUDO[] = {
#define X(symbol, name) [PSEUDO_##symbol] = {name, sizeof(name) - 1},
    HTTP2_PSEUDO(X)
#undef X
};

/* --- receiving --- */

void http2_section_clear(struct http2_section *section)
{
    free(section->bytes);
    free(section->pieces);
    free(section->cookie);
    memset(section, 0, sizeof(*section));
}

void http2_section_begin(struct http2_section *section)
{
    http2_section_clear(section);
    section->cookie_at = SIZE_MAX;
}

static void append(char **bytes, size_t *size, size_t *capacity, struct span more)
{
    if (more.size == 0)
        return;
    if (*capacity - *size < more.size) {
        size_t wanted = *size + more.size;
        *capacity = *capacity ? 2 * *capacity : BYTES_FIRST;
        if (*capacity < wanted)
            *capacity = wanted;
        *bytes = memory_resize(*bytes, *capacity, 1);
    }
    memcpy(*bytes + *size, more.data, more.size);
    *size += more.size;
}

static struct http2_piece piece_keep(struct http2_section *section, struct span name,
                                     struct span value)
{
    struct http2_piece piece = {.name = section->size, .value = section->size + name.size};
    append(&section->bytes, &section->size, &section->capacity, name);
    append(&section->bytes, &section->size, &section->capacity, value);
    piece.end = section->size;
    return piece;
}

static void piece_add(struct http2_section *section, struct http2_piece piece)
{
    if (section->count == section->piece_capacity) {
        section->piece_capacity =
            section->piece_capacity ? 2 * section->piece_capacity : PIECES_FIRST;
        section->pieces =
            memory_resize(section->pieces, section->piece_capacity, sizeof(*section->pieces));
    }
    section->pieces[section->count++] = piece;
}

/* The crumbs of Cookie are one field, where the first of them stood (RFC 9113 section 8.2.3). */
static void cookie_add(struct http2_section *section, struct span crumb)
{
    if (section->cookie_at == SIZE_MAX) {
        section->cookie_at = section->count;
        piece_add(section, piece_keep(section, SPAN("cookie"), SPAN("")));
    } else {
        append(&section->cookie, &section->cookie_size, &section->cookie_capacity, SPAN("; "));
    }
    append(&section->cookie, &section->cookie_size, &section->cookie_capacity, crumb);
}

static enum http2_error add(struct http2_section *section, const struct http1_limits *limits,
                            struct span name, struct span value)
{
    bool is_cookie = span_equal(name, SPAN("cookie"));
    if (section->listed > limits->head)
        return HTTP2_ERROR_HEAD_TOO_LARGE;
    if (name.size + value.size + (is_cookie ? section->cookie_size : 0) > limits->line)
        return HTTP2_ERROR_FIELD_TOO_LONG;
    for (size_t i = 0; i < PSEUDO_COUNT; i++) {
        if (!span_equal(name, PSEUDO[i]))
            continue;
        if (section->pseudo[i].end > 0)
            return HTTP2_ERROR_MESSAGE;
        section->pseudo[i] = piece_keep(section, name, value);
        return HTTP2_ERROR_NONE;
    }
    if (span_equal(name, SPAN("host"))) {
        if (section->host.end > 0)
            return HTTP2_ERROR_HOST;
        section->host = piece_keep(section, name, value);
        return HTTP2_ERROR_NONE;
    }
    if (is_cookie && section->cookie_at != SIZE_MAX) {
        cookie_add(section, value);
        return HTTP2_ERROR_NONE;
    }
    if (section->count == limits->fields)
        return HTTP2_ERROR_TOO_MANY_FIELDS;
    if (is_cookie)
        cookie_add(section, value);
    else
        piece_add(section, piece_keep(section, name, value));
    return HTTP2_ERROR_NONE;
}

void http2_section_add(struct http2_section *section, const struct http1_limits *limits,
                       struct span name, struct span value, bool sensitive)
{
    section->listed += name.size + value.size + FIELD_OVERHEAD;
    if (section->error != HTTP2_ERROR_NONE)
        return;
    section->error = add(section, limits, name, value);
    /* What nghttp2 keeps out of the table by itself, also when it is sent on, needs no mark. */
    if (sensitive && !span_equal(name, SPAN("authorization")) &&
        !(span_equal(name, SPAN("cookie")) && value.size < CRUMB_SHORT))
        section->sensitive = true;
}

static struct span name_of(const char *bytes, struct http2_piece piece)
{
    return (struct span){bytes + piece.name, piece.value - piece.name};
}

static struct span value_of(const char *bytes, struct http2_piece piece)
{
    return (struct span){bytes + piece.value, piece.end - piece.value};
}

static struct span pseudo_of(const struct http2_section *section, const char *bytes,
                             enum http2_pseudo pseudo)
{
    if (section->pseudo[pseudo].end == 0)
        return SPAN("");
    return value_of(bytes, section->pseudo[pseudo]);
}

static const char *block_bytes(const struct http2_section *section, const char *block)
{
    return block + section->count * sizeof(struct field);
}

size_t http2_section_size(const struct http2_section *section)
{
    return section->count * sizeof(struct field) + section->size + section->cookie_size + 1;
}

static char *section_finish(const struct http2_section *section, struct http2_head *head)
{
    size_t fields = section->count * sizeof(struct field);
    char *block = memory_allocate(http2_section_size(section), 1);
    struct field *field = (struct field *)(void *)block;
    char *bytes = block + fields, *cookie = bytes + section->size;
    if (section->size > 0)
        memcpy(bytes, section->bytes, section->size);
    if (section->cookie_size > 0)
        memcpy(cookie, section->cookie, section->cookie_size);
    for (size_t i = 0; i < section->count; i++) {
        field[i].name = name_of(bytes, section->pieces[i]);
        field[i].value = value_of(bytes, section->pieces[i]);
        if (i == section->cookie_at)
            field[i].value = (struct span){cookie, section->cookie_size};
    }
    head->fields = field;
    head->field_count = section->count;
    head->sensitive = section->sensitive;
    const struct field *length =
        field_find(head->fields, head->field_count, SPAN("content-length"));
    int64_t value;
    if (length && span_number(length->value, &value)) {
        head->has_length = true;
        head->length = (uint64_t)value;
    }
    return block;
}

char *http2_section_trailer(const struct http2_section *section, struct http2_head *head)
{
    char *block = section_finish(section, head);
    struct field *fields = (struct field *)(void *)block;
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++)
        if (http1_may_be_trailer(fields[i].name))
            fields[kept++] = fields[i];
    head->field_count = kept;
    return block;
}

/* --- requests --- */

/* Visible ASCII but '#', as the reader of HTTP/1.1 has it. */
static bool is_path(struct span path, struct span method)
{
    for (size_t i = 0; i < path.size; i++)
        if (path.data[i] <= ' ' || path.data[i] >= 0x7f || path.data[i] == '#')
            return false;
    return span_starts(path, SPAN("/")) ||
           (span_equal(path, SPAN("*")) && span_equal(method, SPAN("OPTIONS")));
}

static uint16_t port_or_usual(uint16_t port, bool tls)
{
    return port ? port : tls ? 443 : 80;
}

static enum http2_error read_authority(const struct http2_section *section, const char *bytes,
                                       struct http2_head *head)
{
    bool has_authority = section->pseudo[PSEUDO_AUTHORITY].end > 0;
    char host[HOST_TEXT];
    uint16_t port;
    if (has_authority && !http1_parse_authority(pseudo_of(section, bytes, PSEUDO_AUTHORITY),
                                                head->host, &head->port))
        return HTTP2_ERROR_AUTHORITY;
    if (section->host.end == 0)
        return has_authority ? HTTP2_ERROR_NONE : HTTP2_ERROR_AUTHORITY;
    if (!http1_parse_authority(value_of(bytes, section->host), host, &port))
        return HTTP2_ERROR_HOST;
    if (!has_authority) {
        memcpy(head->host, host, sizeof(host));
        head->port = port;
        return HTTP2_ERROR_NONE;
    }
    return strcmp(host, head->host) == 0 && port_or_usual(port, head->scheme_tls) ==
                                                port_or_usual(head->port, head->scheme_tls)
               ? HTTP2_ERROR_NONE
               : HTTP2_ERROR_HOST;
}

static enum http2_error read_request(const struct http2_section *section, const char *bytes,
                                     struct http2_head *head)
{
    struct span scheme = pseudo_of(section, bytes, PSEUDO_SCHEME);
    head->method = pseudo_of(section, bytes, PSEUDO_METHOD);
    head->path = pseudo_of(section, bytes, PSEUDO_PATH);
    head->protocol = pseudo_of(section, bytes, PSEUDO_PROTOCOL);
    bool connect = span_equal(head->method, SPAN("CONNECT"));
    bool plain_connect = connect && section->pseudo[PSEUDO_PROTOCOL].end == 0;
    if (head->method.size == 0 || http1_token_size(head->method) != head->method.size)
        return HTTP2_ERROR_METHOD;
    if (plain_connect) { /* RFC 9113 section 8.5 */
        if (section->pseudo[PSEUDO_SCHEME].end > 0 || section->pseudo[PSEUDO_PATH].end > 0)
            return HTTP2_ERROR_MESSAGE;
        head->scheme_tls = true;
        enum http2_error error = read_authority(section, bytes, head);
        return error == HTTP2_ERROR_NONE && head->port == 0 ? HTTP2_ERROR_AUTHORITY : error;
    }
    if (section->pseudo[PSEUDO_PROTOCOL].end > 0 &&
        (!connect || http1_token_size(head->protocol) != head->protocol.size ||
         head->protocol.size == 0))
        return HTTP2_ERROR_METHOD;
    head->scheme_tls = span_equal_nocase(scheme, SPAN("https"));
    if (!head->scheme_tls && !span_equal_nocase(scheme, SPAN("http")))
        return HTTP2_ERROR_SCHEME;
    if (!is_path(head->path, head->method))
        return HTTP2_ERROR_PATH;
    return read_authority(section, bytes, head);
}

static enum http2_error read_response(const struct http2_section *section, const char *bytes,
                                      struct http2_head *head)
{
    struct span digits = pseudo_of(section, bytes, PSEUDO_STATUS);
    int64_t status;
    if (digits.size != 3 || !span_number(digits, &status) || status < 100 || status == 101)
        return HTTP2_ERROR_STATUS;
    head->status = (unsigned)status;
    return HTTP2_ERROR_NONE;
}

static char *
read_with(enum http2_error (*read)(const struct http2_section *, const char *, struct http2_head *),
          const struct http2_section *section, struct http2_head *head, enum http2_error *error)
{
    *error = section->error;
    memset(head, 0, sizeof(*head));
    if (*error != HTTP2_ERROR_NONE)
        return NULL;
    char *block = section_finish(section, head);
    *error = read(section, block_bytes(section, block), head);
    if (*error == HTTP2_ERROR_NONE)
        return block;
    free(block);
    return NULL;
}

char *http2_section_request(const struct http2_section *section, struct http2_head *head,
                            enum http2_error *error)
{
    return read_with(read_request, section, head, error);
}

char *http2_section_response(const struct http2_section *section, struct http2_head *head,
                             enum http2_error *error)
{
    return read_with(read_response, section, head, error);
}

/* --- sending --- */

/* What is of one connection (RFC 9113 section 8.2.2, RFC 9110 section 7.6.1), and Host, which
 * :authority stands for. */
static const char *const OF_CONNECTION[] = {
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te", /* but see is_sent() */
    "transfer-encoding",
    "upgrade",
};

static bool is_sent(const struct field *field)
{
    if (span_equal_nocase(field->name, SPAN("te")) &&
        span_equal_nocase(field->value, SPAN("trailers")))
        return true;
    for (size_t i = 0; i < sizeof(OF_CONNECTION) / sizeof(OF_CONNECTION[0]); i++)
        if (span_equal_nocase(field->name, span_of(OF_CONNECTION[i])))
            return false;
    return true;
}

static void list_add(struct http2_list *list, struct span name, struct span value, uint8_t flags)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : PIECES_FIRST;
        list->items = memory_resize(list->items, list->capacity, sizeof(*list->items));
    }
    /* nghttp2 copies what it is given, but takes it as not constant. */
    list->items[list->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data, name.size,
                     value.size, flags};
}

static void list_add_pseudo(struct http2_list *list, enum http2_pseudo pseudo, struct span value)
{
    list_add(list, PSEUDO[pseudo], value, NGHTTP2_NV_FLAG_NONE);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "; " between two crumbs, neither of which would be left with white space at its ends. */
static bool is_crumb_end(struct span value, size_t start, size_t i)
{
    return i > start && i + 2 < value.size && value.data[i] == ';' && value.data[i + 1] == ' ' &&
           !is_blank(value.data[i - 1]) && !is_blank(value.data[i + 2]);
}

/* As crumbs, which the tables of both sides hold one by one. */
static void list_add_cookie(struct http2_list *list, struct span value, uint8_t flags)
{
    size_t start = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (!is_crumb_end(value, start, i))
            continue;
        list_add(list, SPAN("cookie"), span_first(span_from(value, start), i - start), flags);
        start = i + 2;
    }
    list_add(list, SPAN("cookie"), span_from(value, start), flags);
}

void http2_list_fields(struct http2_list *list, const struct field *fields, size_t count,
                       bool sensitive)
{
    uint8_t flags = sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    for (size_t i = 0; i < count; i++) {
        if (!is_sent(&fields[i]))
            continue;
        if (span_equal_nocase(fields[i].name, SPAN("cookie")))
            list_add_cookie(list, fields[i].value, flags);
        else
            list_add(list, fields[i].name, fields[i].value, flags);
    }
}

static struct span authority_write(struct http2_list *list, const struct http2_head *head)
{
    bool literal = strchr(head->host, ':') != NULL;
    int size =
        snprintf(list->authority, sizeof(list->authority), literal ? "[%s]" : "%s", head->host);
    if (head->port)
        size += snprintf(list->authority + size, sizeof(list->authority) - (size_t)size, ":%u",
                         head->port);
    return (struct span){list->authority, (size_t)size};
}

void http2_list_request(struct http2_list *list, const struct http2_head *head)
{
    bool connect = span_equal(head->method, SPAN("CONNECT"));
    list_add_pseudo(list, PSEUDO_METHOD, head->method);
    if (!connect || head->protocol.size > 0) {
        list_add_pseudo(list, PSEUDO_SCHEME, head->scheme_tls ? SPAN("https") : SPAN("http"));
        list_add_pseudo(list, PSEUDO_PATH, head->path);
    }
    list_add_pseudo(list, PSEUDO_AUTHORITY, authority_write(list, head));
    if (head->protocol.size > 0)
        list_add_pseudo(list, PSEUDO_PROTOCOL, head->protocol);
    http2_list_fields(list, head->fields, head->field_count, head->sensitive);
}

void http2_list_response(struct http2_list *list, const struct http2_head *head)
{
    snprintf(list->status, sizeof(list->status), "%03u", head->status % 1000);
    list_add_pseudo(list, PSEUDO_STATUS, (struct span){list->status, 3});
    http2_list_fields(list, head->fields, head->field_count, head->sensitive);
}
