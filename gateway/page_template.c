/* SPDX-License-Identifier: BSD-2-Clause */
/* The template language: parsed once into a flat list of nodes, so that rendering cannot fail. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/page_template.h"

#define NESTING 8 /* sections inside sections */

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_SECTION, NODE_END };

struct node {
    enum node_kind kind;
    struct span text; /* the text itself, or the name */
    size_t end;       /* of a section: the index of its NODE_END */
};

struct page_template {
    char *source;
    struct span style;
    struct node *nodes;
    size_t count, room;
};

struct parser {
    struct page_template *result;
    template_knows *knows;
    void *context;
    struct span rest;
    size_t open[NESTING]; /* indices of sections */
    size_t depth;
    char *error;
    size_t error_size;
};

static bool parser_fail(struct parser *parser, const char *at, const char *what, struct span name)
{
    unsigned line = 1;

    for (const char *byte = parser->result->source; byte < at; byte++)
        line += *byte == '\n';
    snprintf(parser->error, parser->error_size, "line %u: %s%s%.*s", line, what,
             name.size > 0 ? " " : "", (int)(name.size < 60 ? name.size : 60),
             name.size > 0 ? name.data : "");
    return false;
}

static void node_add(struct page_template *page_template, enum node_kind kind, struct span text)
{
    if (kind == NODE_TEXT && text.size == 0)
        return;
    if (page_template->count == page_template->room) {
        page_template->room = page_template->room * 2 + 32;
        page_template->nodes =
            memory_resize(page_template->nodes, page_template->room, sizeof(*page_template->nodes));
    }
    page_template->nodes[page_template->count++] = (struct node){.kind = kind, .text = text};
}

static size_t find(struct span whole, const char *wanted)
{
    return span_find_nocase(whole, span_of(wanted));
}

static bool parser_open(struct parser *parser, struct span name)
{
    if (parser->depth == NESTING)
        return parser_fail(parser, name.data, "sections are nested too deeply at", name);
    parser->open[parser->depth++] = parser->result->count;
    node_add(parser->result, NODE_SECTION, name);
    return true;
}

static bool parser_close(struct parser *parser, struct span name)
{
    struct node *section;

    if (parser->depth == 0)
        return parser_fail(parser, name.data, "no section is open to be closed by", name);
    section = &parser->result->nodes[parser->open[--parser->depth]];
    if (!span_equal(section->text, name))
        return parser_fail(parser, name.data, "another section is open than", name);
    section->end = parser->result->count;
    node_add(parser->result, NODE_END, name);
    return true;
}

/* One "{{...}}", at the start of what is left. */
static bool parser_tag(struct parser *parser)
{
    struct span tag = span_from(parser->rest, 2);
    size_t end = find(tag, "}}");
    char sign;

    if (end == tag.size)
        return parser_fail(parser, parser->rest.data, "\"{{\" without \"}}\"", (struct span){0});
    parser->rest = span_from(tag, end + 2);
    tag = span_trim(span_first(tag, end));
    sign = tag.size > 0 ? tag.data[0] : '\0';
    if (sign == '#' || sign == '/')
        tag = span_trim(span_from(tag, 1));
    if (tag.size == 0 || !parser->knows(parser->context, tag))
        return parser_fail(parser, tag.data, "no such name:", tag);
    if (sign == '#')
        return parser_open(parser, tag);
    if (sign == '/')
        return parser_close(parser, tag);
    node_add(parser->result, NODE_VALUE, tag);
    return true;
}

static bool parser_run(struct parser *parser)
{
    while (parser->rest.size > 0) {
        size_t text = find(parser->rest, "{{");

        node_add(parser->result, NODE_TEXT, span_first(parser->rest, text));
        parser->rest = span_from(parser->rest, text);
        if (parser->rest.size > 0 && !parser_tag(parser))
            return false;
    }
    if (parser->depth > 0) {
        struct span name = parser->result->nodes[parser->open[parser->depth - 1]].text;

        return parser_fail(parser, name.data, "a section is never closed:", name);
    }
    return true;
}

/*
 * The style is allowed by its hash alone (Content-Security-Policy), so there is one and it is the
 * same on every page. A script would never run: whoever writes one is told so.
 */
static bool parser_style(struct parser *parser)
{
    struct span whole = parser->rest, rest;
    size_t start = find(whole, "<style"), script = find(whole, "<script");

    if (script < whole.size)
        return parser_fail(parser, whole.data + script, "a script cannot run on this page",
                           (struct span){0});
    if (start == whole.size)
        return true;
    rest = span_from(whole, start);
    rest = span_from(rest, span_index(rest, '>') + 1);
    parser->result->style = span_first(rest, find(rest, "</style"));
    if (parser->result->style.size == rest.size)
        return parser_fail(parser, whole.data + start, "a style is never closed", (struct span){0});
    if (find(parser->result->style, "{{") < parser->result->style.size)
        return parser_fail(parser, whole.data + start, "no value may stand in the style",
                           (struct span){0});
    rest = span_from(rest, parser->result->style.size);
    start = find(rest, "<style");
    if (start < rest.size)
        return parser_fail(parser, rest.data + start, "there can be one style only",
                           (struct span){0});
    return true;
}

struct page_template *template_parse(const char *text, template_knows *knows, void *context,
                                     char *error, size_t size)
{
    struct page_template *result = memory_allocate(1, sizeof(*result));
    struct parser parser = {
        .result = result, .knows = knows, .context = context, .error = error, .error_size = size};

    result->source = memory_string(text);
    parser.rest = span_of(result->source);
    if (parser_style(&parser) && parser_run(&parser))
        return result;
    template_free(result);
    return NULL;
}

void template_free(struct page_template *page_template)
{
    if (page_template == NULL)
        return;
    free(page_template->source);
    free(page_template->nodes);
    free(page_template);
}

bool template_style_source(const struct page_template *page_template,
                           char source[TEMPLATE_STYLE_SOURCE])
{
    struct span style = page_template->style;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hash[64];
    unsigned size = 0;

    if (style.size == 0) {
        snprintf(source, TEMPLATE_STYLE_SOURCE, "'none'");
        return true;
    }
    if (EVP_Digest(style.data, style.size, digest, &size, EVP_sha256(), NULL) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)hash, digest, (int)size);
    snprintf(source, TEMPLATE_STYLE_SOURCE, "'sha256-%s'", hash);
    return true;
}

void template_render(const struct page_template *page_template, template_value *value,
                     void *context, struct text *out)
{
    for (size_t i = 0; i < page_template->count; i++) {
        const struct node *node = &page_template->nodes[i];
        size_t limit = 0;

        switch (node->kind) {
        case NODE_TEXT:
            text_add(out, node->text);
            break;
        case NODE_VALUE: {
            struct span found = value(context, node->text, &limit);

            text_add_escaped(out, found, limit);
            break;
        }
        case NODE_SECTION:
            if (value(context, node->text, &limit).size == 0)
                i = node->end;
            break;
        case NODE_END:
            break;
        }
    }
}
