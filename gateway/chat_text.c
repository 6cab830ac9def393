/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a chat: see chat_text.h. */
#include "gateway/chat_text.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "filters/namespaces.h"
#include "filters/utf16.h"

#define CALLBACK_SEARCH 512 /* bytes within which the name stands */

/* Of a script: whether it is JSON with the page's own function around it. */
struct callback {
    char names[CHAT_TEXT_CALLBACK]; /* what may stand there: the values of the query, each ended */
    size_t size;
    char name[CHAT_TEXT_CALLBACK]; /* that is being read */
    size_t name_size;
    size_t read; /* bytes before the bracket */
    enum { CALLBACK_NONE, CALLBACK_OPEN, CALLBACK_MATCHED, CALLBACK_OTHER } state;
};

struct chat_text {
    struct link_scanner *scanner;
    struct data_url_scanner pictures;
    const struct data_url_handler *handler;
    void *context;
    enum utf16_form declared;
    struct utf16 utf16;
    bool is_xml;
    struct namespace_filter namespaces;
    struct callback callback;
};

/* --- what is text --- */

static struct span essence_of(struct span media_type)
{
    return span_trim(span_first(media_type, span_index(media_type, ';')));
}

static bool ends_with(struct span type, struct span end)
{
    return type.size > end.size && span_equal_nocase(span_from(type, type.size - end.size), end);
}

static bool is_xml(struct span type)
{
    return span_equal_nocase(type, SPAN("text/xml")) ||
           span_equal_nocase(type, SPAN("application/xml")) || ends_with(type, SPAN("+xml"));
}

static bool is_script(struct span type)
{
    static const char *const scripts[] = {"text/javascript", "application/javascript",
                                          "application/x-javascript", "text/ecmascript"};

    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        if (span_equal_nocase(type, span_of(scripts[i])))
            return true;
    return false;
}

/*
 * Everything but the page's own parts, whose links are the service's, and what holds no text that
 * can be read: messages come as JSON, forms, thrift, protobuf and what is not declared at all.
 */
static bool is_text(struct span type)
{
    static const char *const others[] = {"application/font",
                                         "application/gzip",
                                         "application/pdf",
                                         "application/vnd.ms-",
                                         "application/vnd.oasis",
                                         "application/vnd.openxmlformats",
                                         "application/wasm",
                                         "application/x-7z",
                                         "application/x-font",
                                         "application/x-gzip",
                                         "application/x-rar",
                                         "application/x-zip",
                                         "application/zip",
                                         "audio/",
                                         "font/",
                                         "image/",
                                         "model/",
                                         "text/css",
                                         "text/html",
                                         "video/"};

    if (ends_with(type, SPAN("+json")) || is_xml(type))
        return true;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (span_starts_nocase(type, span_of(others[i])))
            return false;
    return true;
}

/* --- JSONP --- */

static bool is_name_byte(char byte)
{
    return byte == '_' || byte == '$' || byte == '.' || (byte >= '0' && byte <= '9') ||
           ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static bool is_name(struct span value)
{
    for (size_t i = 0; i < value.size; i++)
        if (!is_name_byte(value.data[i]))
            return false;
    return value.size > 0;
}

/* Which names the page may have chosen. False when there is none: then it is but a script. */
static bool callback_begin(struct callback *callback, struct span target)
{
    struct span query = span_from(target, span_index(target, '?')), parameter;

    query = span_from(query, 1);
    while (span_next(&query, '&', &parameter)) {
        struct span value = span_from(parameter, span_index(parameter, '='));
        value = span_from(value, 1);
        if (!is_name(value) || callback->size + value.size + 1 > sizeof(callback->names))
            continue;
        memcpy(callback->names + callback->size, value.data, value.size);
        callback->size += value.size;
        callback->names[callback->size++] = '(';
    }
    callback->state = CALLBACK_OPEN;
    return callback->size > 0;
}

static bool is_chosen(const struct callback *callback, struct span name)
{
    struct span names = {callback->names, callback->size}, chosen;

    while (span_next(&names, '(', &chosen))
        if (span_equal(chosen, name))
            return true;
    return false;
}

/*
 * The first bracket follows the name; before it may stand a comment or a condition, as the usual
 * frameworks write it. What follows is returned.
 */
static struct span callback_take(struct callback *callback, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        char byte = bytes.data[i];
        if (byte == '(') {
            struct span name = {callback->name, callback->name_size};
            callback->state = is_chosen(callback, name) ? CALLBACK_MATCHED : CALLBACK_OTHER;
            return span_from(bytes, i + 1);
        }
        if (callback->read++ == CALLBACK_SEARCH) {
            callback->state = CALLBACK_OTHER;
            break;
        }
        if (!is_name_byte(byte))
            callback->name_size = 0;
        else if (callback->name_size < sizeof(callback->name))
            callback->name[callback->name_size++] = byte;
    }
    return (struct span){NULL, 0};
}

/* --- the way of the bytes --- */

static void scan(void *context, struct span bytes)
{
    struct chat_text *text = context;

    link_scanner_feed(text->scanner, bytes.data, bytes.size);
}

static void take_plain(void *context, struct span bytes)
{
    struct chat_text *text = context;

    if (text->callback.state == CALLBACK_OPEN)
        bytes = callback_take(&text->callback, bytes);
    if (bytes.size == 0 || text->callback.state == CALLBACK_OTHER)
        return;
    if (text->is_xml)
        namespace_filter_feed(&text->namespaces, bytes, scan, text);
    else
        scan(text, bytes);
    if (text->handler != NULL)
        data_url_feed(&text->pictures, bytes.data, bytes.size, text->handler, text->context);
}

static struct chat_text *make(link_found *found, const struct data_url_handler *pictures,
                              void *context)
{
    struct chat_text *text = memory_allocate(1, sizeof(*text));

    text->scanner = link_scanner_new(found, context);
    text->handler = pictures;
    text->context = context;
    return text;
}

struct chat_text *chat_text_new(struct span media_type, struct span target, link_found *found,
                                const struct data_url_handler *pictures, void *context)
{
    struct span type = essence_of(media_type);
    struct callback callback = {.size = 0};
    struct chat_text *text;

    if (is_script(type) ? !callback_begin(&callback, target) : !is_text(type))
        return NULL;
    text = make(found, pictures, context);
    text->callback = callback;
    text->is_xml = is_xml(type);
    text->declared = text->utf16.form = utf16_declared(media_type);
    return text;
}

struct chat_text *chat_text_new_messages(struct span protocol, link_found *found,
                                         const struct data_url_handler *pictures, void *context)
{
    struct chat_text *text = make(found, pictures, context);

    text->is_xml = span_equal_nocase(span_trim(protocol), SPAN("xmpp")); /* RFC 7395 */
    return text;
}

void chat_text_free(struct chat_text *text)
{
    if (text == NULL)
        return;
    link_scanner_free(text->scanner);
    free(text);
}

void chat_text_feed(struct chat_text *text, struct span bytes)
{
    utf16_feed(&text->utf16, bytes, take_plain, text);
}

void chat_text_end(struct chat_text *text)
{
    utf16_end(&text->utf16, take_plain, text);
    link_scanner_end(text->scanner);
    if (text->handler != NULL)
        data_url_end(&text->pictures, text->handler, text->context);
    text->utf16 = (struct utf16){.form = text->declared};
    text->namespaces = (struct namespace_filter){.state = NAMESPACE_TEXT};
    text->callback.name_size = text->callback.read = 0;
    if (text->callback.state != CALLBACK_NONE)
        text->callback.state = CALLBACK_OPEN;
}
