/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two things: any template and messages are parsed or refused and, once parsed, rendered within the
 * limit; and whatever a value holds, nothing of it comes out that HTML could take for markup.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/page.h"
#include "gateway/page_template.h"
#include "gateway/utf8.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static bool knows(void *context, struct span name)
{
    (void)context;
    return name.size > 0 && name.size < 9;
}

/* Names that begin with a vowel have the value. */
static struct span value(void *context, struct span name, size_t *limit)
{
    *limit = 300;
    return memchr("aeiou", name.data[0], 5) != NULL ? *(struct span *)context : (struct span){0};
}

static void check_safe(struct span text)
{
    while (text.size > 0) {
        uint32_t character;
        size_t size = utf8_decode(text, &character);

        CHECK(character != '<' && character != '>' && character != '"' && character != '\'');
        CHECK(!utf8_is_control(character) && !utf8_is_deceptive(character));
        CHECK(character != UTF8_REPLACEMENT || size == 3);
        if (character == '&')
            CHECK(span_starts(text, SPAN("&amp;")) || span_starts(text, SPAN("&lt;")) ||
                  span_starts(text, SPAN("&gt;")) || span_starts(text, SPAN("&quot;")) ||
                  span_starts(text, SPAN("&#39;")));
        text = span_from(text, size);
    }
}

static void fuzz_escaping(struct span input)
{
    struct text out = {0};

    text_add_escaped(&out, input, SIZE_MAX);
    check_safe((struct span){out.data, out.used});
    out.used = 0;
    for (size_t limit = 0; limit < 40; limit++) {
        out.used = 0;
        text_add_escaped(&out, input, limit);
        CHECK(out.used <= limit);
        check_safe((struct span){out.data, out.used});
    }
    free(out.data);
}

static void fuzz_template(const char *text, struct span input)
{
    struct page_template *parsed;
    char error[100];

    error[0] = '\0';
    parsed = template_parse(text, knows, NULL, error, sizeof(error));
    if (parsed == NULL) {
        CHECK(error[0] != '\0');
        return;
    }
    struct text out = {0};

    template_render(parsed, value, &input, &out);
    CHECK(out.used <= strlen(text) * 301);
    free(out.data);
    template_free(parsed);
}

static void fuzz_messages(const char *text)
{
    struct messages *messages;
    char error[100];

    error[0] = '\0';
    messages = messages_parse("m", text, error, sizeof(error));
    CHECK((messages == NULL) == (error[0] != '\0'));
    messages_free(messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data, size};
    char number[INCIDENT_TEXT], *text;
    uint64_t incident, again;

    if (size > 4096)
        return 0;
    text = memory_span(input);
    fuzz_escaping(input);
    fuzz_template(text, input);
    fuzz_messages(text);
    (void)page_language(input);
    if (incident_parse(input, &incident)) {
        incident_format(incident, number);
        CHECK(incident_parse(span_of(number), &again) && again == incident);
    }
    free(text);
    return 0;
}
