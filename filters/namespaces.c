/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of namespaces: see namespaces.h. */
#include "filters/namespaces.h"

#include <string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* What follows a value without a blank is no attribute. */
static void begin_name(struct namespace_filter *filter, bool is_attribute)
{
    filter->is_attribute = is_attribute;
    filter->name_size = 0;
    filter->blank = filter->equals = false;
}

static struct span name_of(const struct namespace_filter *filter)
{
    return (struct span){filter->name, filter->name_size};
}

static bool is_left_out_by_name(const struct namespace_filter *filter)
{
    struct span name = name_of(filter);

    if (!filter->is_attribute || !filter->equals)
        return false;
    return span_equal(name, SPAN("xmlns")) || span_equal(name, SPAN("xmlns:")) ||
           (filter->is_caps && span_equal(name, SPAN("node")));
}

/* Of a longer name than any that matters the last byte says that it is none of these. */
static void take_name(struct namespace_filter *filter, char byte)
{
    if (filter->blank || filter->equals) {
        if (!filter->is_attribute)
            filter->is_caps = filter->is_caps || span_equal(name_of(filter), SPAN("c"));
        begin_name(filter, filter->blank && !filter->equals);
    }
    if (filter->name_size < sizeof(filter->name))
        filter->name[filter->name_size++] = byte;
    else if (filter->name[sizeof(filter->name) - 1] != ':')
        filter->name[0] = '\0';
}

static void take_tag(struct namespace_filter *filter, char byte)
{
    if (byte == '>') {
        filter->state = NAMESPACE_TEXT;
    } else if (byte == '"' || byte == '\'') {
        filter->state = NAMESPACE_VALUE;
        filter->before = byte;
        filter->left_out = is_left_out_by_name(filter);
    } else if (byte == '=') {
        filter->equals = true;
    } else if (is_blank(byte)) {
        filter->blank = true;
    } else {
        take_name(filter, byte);
    }
}

static void take(struct namespace_filter *filter, char byte)
{
    switch (filter->state) {
    case NAMESPACE_TEXT:
        if (byte == '<')
            filter->state = NAMESPACE_OPEN;
        break;
    case NAMESPACE_OPEN:
        filter->state = NAMESPACE_TAG;
        filter->is_caps = false;
        begin_name(filter, false);
        if (byte == '!') {
            filter->state = NAMESPACE_OFF;
        } else if (byte == '?') {
            filter->state = NAMESPACE_INSTRUCTION;
            filter->before = '\0';
        } else {
            take_tag(filter, byte);
        }
        break;
    case NAMESPACE_TAG:
        take_tag(filter, byte);
        break;
    case NAMESPACE_VALUE:
        if (byte == filter->before) {
            filter->state = NAMESPACE_TAG;
            begin_name(filter, false);
            filter->name[filter->name_size++] = '"'; /* no tag has this name */
        }
        break;
    case NAMESPACE_INSTRUCTION:
        if (byte == '>' && filter->before == '?')
            filter->state = NAMESPACE_TEXT;
        filter->before = byte;
        break;
    case NAMESPACE_OFF:
        break;
    }
}

static bool is_left_out(const struct namespace_filter *filter)
{
    return filter->state == NAMESPACE_VALUE && filter->left_out;
}

/* The quotes are given on, so that what stands before and behind stays parted. */
void namespace_filter_feed(struct namespace_filter *filter, struct span text, namespace_text *give,
                           void *context)
{
    size_t start = 0;
    bool left_out = is_left_out(filter);

    for (size_t at = 0; at < text.size && filter->state != NAMESPACE_OFF; at++) {
        take(filter, text.data[at]);
        if (is_left_out(filter) == left_out)
            continue;
        left_out = !left_out;
        if (left_out)
            give(context, (struct span){text.data + start, at + 1 - start});
        else
            start = at;
    }
    if (!left_out && start < text.size)
        give(context, span_from(text, start));
}

/* --- the table --- */

/* X(host, what its path begins with) */
#define KNOWN(X)                                                                                   \
    X("adaptivecards.io", "/schemas/")                                                             \
    X("etherx.jabber.org", "/streams")                                                             \
    X("jabber.org", "/features/")                                                                  \
    X("jabber.org", "/protocol/")                                                                  \
    X("json-schema.org", "/draft")                                                                 \
    X("ns.adobe.com", "/")                                                                         \
    X("schema.org", "/")                                                                           \
    X("schemas.microsoft.com", "/")                                                                \
    X("schemas.openxmlformats.org", "/")                                                           \
    X("schemas.xmlsoap.org", "/")                                                                  \
    X("www.w3.org", "/1998/")                                                                      \
    X("www.w3.org", "/1999/")                                                                      \
    X("www.w3.org", "/2000/")                                                                      \
    X("www.w3.org", "/2001/")                                                                      \
    X("www.w3.org", "/XML/")

bool namespace_is_known(const struct url *url)
{
    static const struct {
        struct span host, path;
    } rows[] = {
#define X(host, path) {{host, sizeof(host) - 1}, {path, sizeof(path) - 1}},
        KNOWN(X)
#undef X
    };

    if (url->port != (url->tls ? 443 : 80) || span_index(url->target, '?') < url->target.size)
        return false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (span_equal(span_of(url->host), rows[i].host) && span_starts(url->target, rows[i].path))
            return true;
    return false;
}
