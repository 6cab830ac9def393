/* SPDX-License-Identifier: BSD-2-Clause */
/* Declarative redirects: see refresh.h. */
#include "gateway/refresh.h"

/* Of one tag: a page of nothing but open quotes is not read to its end from each of them. */
#define TAG_MAX 2048

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r';
}

static struct span skip(struct span text, bool (*skipped)(char byte))
{
    while (text.size > 0 && skipped(text.data[0]))
        text = span_from(text, 1);
    return text;
}

static bool is_time(char byte)
{
    return (byte >= '0' && byte <= '9') || byte == '.' || is_blank(byte);
}

static bool is_separator(char byte)
{
    return byte == ';' || byte == ',' || is_blank(byte);
}

/* Up to the same quote when the text begins with one. */
static struct span unquote(struct span text)
{
    if (text.size == 0 || (text.data[0] != '"' && text.data[0] != '\''))
        return text;
    struct span rest = span_from(text, 1);
    return span_first(rest, span_index(rest, text.data[0]));
}

struct span refresh_parse(struct span value)
{
    struct span rest = skip(skip(value, is_time), is_separator);

    if (span_starts_nocase(rest, SPAN("url"))) {
        struct span after = skip(span_from(rest, 3), is_blank);
        if (after.size > 0 && after.data[0] == '=')
            rest = skip(span_from(after, 1), is_blank);
    }
    return span_trim(unquote(rest));
}

/* "content" is no part of "data-content". */
static bool ends_attribute(char byte)
{
    return is_blank(byte) || byte == '/' || byte == '"' || byte == '\'';
}

/* The value of an attribute within a tag; empty without it. */
static struct span attribute(struct span tag, struct span name)
{
    for (size_t at = span_find_nocase(tag, name); at < tag.size; at = span_find_nocase(tag, name)) {
        bool is_name = at > 0 && ends_attribute(tag.data[at - 1]);
        tag = skip(span_from(tag, at + name.size), is_blank);
        if (!is_name || tag.size == 0 || tag.data[0] != '=')
            continue;
        struct span value = skip(span_from(tag, 1), is_blank), bare = unquote(value);
        if (bare.data != value.data)
            return bare;
        size_t end = 0;
        while (end < value.size && !is_blank(value.data[end]))
            end++;
        return span_first(value, end);
    }
    return (struct span){0};
}

/* The end of a tag that begins the text: a '>' within quotes does not end it. */
static size_t tag_end(struct span text)
{
    char quote = 0;

    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (quote != 0)
            quote = byte == quote ? 0 : quote;
        else if (byte == '"' || byte == '\'')
            quote = byte;
        else if (byte == '>')
            return i;
    }
    return text.size;
}

struct span refresh_find_meta(struct span html)
{
    struct span mark = SPAN("<meta");

    for (size_t at = span_find_nocase(html, mark); at < html.size;
         at = span_find_nocase(html, mark)) {
        html = span_from(html, at + mark.size);
        struct span tag = span_first(html, tag_end(span_first(html, TAG_MAX)));
        if (span_equal_nocase(span_trim(attribute(tag, SPAN("http-equiv"))), SPAN("refresh")))
            return attribute(tag, SPAN("content"));
    }
    return (struct span){0};
}
