/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the page is made of: the template language, the message files and escaping.
 *
 *   {{name}}                 the value, escaped for HTML text and quoted attributes
 *   {{#name}} ... {{/name}}  only when the value is not empty; may stand inside another
 */
#ifndef GATEWAY_PAGE_TEMPLATE_H
#define GATEWAY_PAGE_TEMPLATE_H

#include "filters/span.h"

/* --- a buffer of text that grows --- */

struct text {
    char *data;
    size_t used, size;
};
void text_add(struct text *text, struct span bytes);

/*
 * Adds the value with everything escaped that HTML could take for markup, and with bad UTF-8,
 * controls and what reorders a line replaced. What would come to more than `limit` bytes is cut and
 * ends in an ellipsis.
 */
void text_add_escaped(struct text *text, struct span value, size_t limit);

/* --- messages: "key = text" lines, '#' begins a comment line --- */

struct messages;
/* NULL with a message that begins with `name` and the line. */
struct messages *messages_parse(const char *name, const char *text, char *error, size_t size);
void messages_free(struct messages *messages);
/* NULL when there is no such key; the text may be empty. */
const char *messages_find(const struct messages *messages, struct span key);

/* --- templates --- */

struct page_template;
/* Called for every name: is there such a value? */
typedef bool template_knows(void *context, struct span name);
/* The value of a name and how many bytes it may take when escaped. */
typedef struct span template_value(void *context, struct span name, size_t *limit);

/* Copies the text. NULL with a message that names the line. */
struct page_template *template_parse(const char *text, template_knows *knows, void *context,
                                     char *error, size_t size);
void template_free(struct page_template *page_template);
void template_render(const struct page_template *page_template, template_value *value,
                     void *context, struct text *out);
/* The style as a source of a Content-Security-Policy: its hash, or 'none'. False when SHA-256 does
 * not work. */
#define TEMPLATE_STYLE_SOURCE 80
bool template_style_source(const struct page_template *page_template,
                           char source[TEMPLATE_STYLE_SOURCE]);

#endif
