/* SPDX-License-Identifier: BSD-2-Clause */
/* Text of the page: the buffer, escaping, and the message files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/page_template.h"
#include "gateway/utf8.h"

#define MESSAGES 256 /* keys of one file */

void text_add(struct text *text, struct span bytes)
{
    if (bytes.size == 0)
        return;
    if (text->size - text->used < bytes.size) {
        text->size = (text->size + bytes.size) * 2;
        text->data = memory_resize(text->data, text->size, 1);
    }
    memcpy(text->data + text->used, bytes.data, bytes.size);
    text->used += bytes.size;
}

/* One character in the form in which it is safe; into `out` when it has none of its own. */
static struct span character_escape(uint32_t character, char out[UTF8_BYTES])
{
    switch (character) {
    case '&':
        return SPAN("&amp;");
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    case '"':
        return SPAN("&quot;");
    case '\'':
        return SPAN("&#39;");
    case '\t':
    case '\n':
    case '\r':
        return SPAN(" ");
    default:
        break;
    }
    if (utf8_is_control(character) || utf8_is_deceptive(character))
        character = UTF8_REPLACEMENT;
    return (struct span){out, utf8_encode(character, out)};
}

void text_add_escaped(struct text *text, struct span value, size_t limit)
{
    static const struct span ellipsis = {"\u2026", sizeof("\u2026") - 1};
    size_t start = text->used, cut = start; /* where an ellipsis would still have room */

    while (value.size > 0) {
        char out[UTF8_BYTES];
        uint32_t character;
        size_t size = utf8_decode(value, &character);
        struct span escaped = character_escape(character, out);

        if (text->used - start + escaped.size > limit) {
            text->used = cut;
            if (limit >= ellipsis.size)
                text_add(text, ellipsis);
            return;
        }
        text_add(text, escaped);
        if (text->used - start + ellipsis.size <= limit)
            cut = text->used;
        value = span_from(value, size);
    }
}

/* --- messages --- */

struct message {
    char *key, *text;
};

struct messages {
    size_t count;
    struct message entries[MESSAGES];
};

static const char *messages_add(struct messages *messages, struct span line)
{
    size_t equals = span_index(line, '=');
    struct span key = span_trim(span_first(line, equals));
    struct message *message;

    if (equals == line.size || key.size == 0)
        return "not \"key = text\"";
    if (messages_find(messages, key) != NULL)
        return "this key was given before";
    if (messages->count == MESSAGES)
        return "too many keys";
    message = &messages->entries[messages->count++];
    message->key = memory_span(key);
    message->text = memory_span(span_trim(span_from(line, equals + 1)));
    return NULL;
}

struct messages *messages_parse(const char *name, const char *text, char *error, size_t size)
{
    struct messages *messages = memory_allocate(1, sizeof(*messages));
    struct span rest = span_of(text);

    for (unsigned number = 1; rest.size > 0; number++) {
        size_t end = span_index(rest, '\n');
        struct span line = span_first(rest, end);
        const char *wrong;

        rest = span_from(rest, end + 1);
        if (span_ends(line, SPAN("\r")))
            line.size--;
        line = span_trim(line);
        if (line.size == 0 || line.data[0] == '#')
            continue;
        wrong = messages_add(messages, line);
        if (wrong != NULL) {
            snprintf(error, size, "%s line %u: %s", name, number, wrong);
            messages_free(messages);
            return NULL;
        }
    }
    return messages;
}

void messages_free(struct messages *messages)
{
    if (messages == NULL)
        return;
    for (size_t i = 0; i < messages->count; i++) {
        free(messages->entries[i].key);
        free(messages->entries[i].text);
    }
    free(messages);
}

const char *messages_find(const struct messages *messages, struct span key)
{
    for (size_t i = 0; i < messages->count; i++)
        if (span_equal(span_of(messages->entries[i].key), key))
            return messages->entries[i].text;
    return NULL;
}
