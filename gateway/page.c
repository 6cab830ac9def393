/* SPDX-License-Identifier: BSD-2-Clause */
/* The page: what its template may ask for, and where each value comes from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filters/memory.h"
#include "gateway/page.h"
#include "gateway/page_template.h"

#define PAGE_MAX      12288 /* bytes of the whole page */
#define MESSAGE_LIMIT 1200  /* escaped bytes of one message */
#define VALUE_MAX     64    /* bytes of the values that are made here */
#define JAPAN         32400 /* seconds: the clinics' time (no daylight saving since 1951) */

/* X(symbol, name, limit): facts a template may name, and how many escaped bytes each may take. */
#define FACTS(X)                                                                                   \
    X(LANG, "lang", 8)                                                                             \
    X(KIND, "kind", 16)                                                                            \
    X(CODE, "code", 64)                                                                            \
    X(INCIDENT, "incident", INCIDENT_TEXT)                                                         \
    X(HOST, "host", 300)                                                                           \
    X(PATH, "path", 400)                                                                           \
    X(SERVICE, "service", 200)                                                                     \
    X(FILE_NAME, "file-name", 400)                                                                 \
    X(FILE_TYPE, "file-type", 100)                                                                 \
    X(CLINIC, "clinic", 400)                                                                       \
    X(CONTACT, "contact", 600)                                                                     \
    X(TIME, "time", 64)                                                                            \
    X(LEARNED, "learned", 64)

/* X(symbol, name, what it is looked for by): messages that depend on the reason. */
#define CHOSEN(X)                                                                                  \
    X(HEADING, "heading", BY_REASON_OR_KIND)                                                       \
    X(REASON, "reason", BY_REASON)                                                                 \
    X(INSTEAD, "instead", BY_REASON_OR_KIND)                                                       \
    X(OR, "or", BY_REASON_OR_KIND)                                                                 \
    X(RELEASE, "release", BY_REASON_OR_KIND)                                                       \
    X(GUIDELINE, "guideline", BY_ITEM)                                                             \
    X(SOURCE, "source", BY_ITEM)

enum chosen_by { BY_REASON, BY_REASON_OR_KIND, BY_ITEM };

enum fact {
#define X(symbol, name, limit) FACT_##symbol,
    FACTS(X)
#undef X
        FACT_COUNT
};
static const struct {
    const char *name;
    size_t limit;
} facts_table[] = {
#define X(symbol, name, limit) {name, limit},
    FACTS(X)
#undef X
};
static const struct {
    const char *name;
    enum chosen_by by;
} chosen_table[] = {
#define X(symbol, name, by) {name, by},
    CHOSEN(X)
#undef X
};
#define CHOSEN_COUNT (sizeof(chosen_table) / sizeof(chosen_table[0]))

static const char *const languages[] = {[LANGUAGE_JA] = "ja", [LANGUAGE_EN] = "en"};
static const char *const message_files[] = {
    [LANGUAGE_JA] = "messages.ja", [LANGUAGE_EN] = "messages.en"};
#define LANGUAGES 2

struct page {
    struct page_template *page_template;
    struct messages *messages[LANGUAGES];
    char policy[200];
};

static char page_error[256];

/* --- values --- */

/* One page's values while it is rendered. */
struct rendering {
    const struct page *page;
    const struct page_facts *facts;
    struct span values[FACT_COUNT];
    char incident[INCIDENT_TEXT];
    char time[VALUE_MAX];
    char learned[VALUE_MAX];
};

/* "blocked": the policy stopped it, by an item of the guideline; "failed": it could not be done. */
static const char *reason_kind(enum reason reason)
{
    return reason_status(reason) == 403 && strcmp(reason_item(reason), "-") != 0 ? "blocked"
                                                                                 : "failed";
}

/* The message "prefix.name", a space in the name written as '-'. NULL when there is none. */
static const char *message_of(const struct messages *messages, struct span prefix, const char *name)
{
    char key[100];
    int length = snprintf(key, sizeof(key), "%.*s.%s", (int)prefix.size, prefix.data, name);

    for (char *at = key; *at != '\0'; at++)
        if (*at == ' ')
            *at = '-';
    return messages_find(messages, (struct span){key, length > 0 ? (size_t)length : 0});
}

static const char *message_choose(const struct messages *messages, struct span prefix,
                                  enum chosen_by by, enum reason reason)
{
    const char *found = NULL;

    if (by == BY_ITEM)
        return strcmp(reason_kind(reason), "blocked") == 0
                   ? message_of(messages, prefix, reason_item(reason))
                   : NULL;
    found = message_of(messages, prefix, reason_code(reason));
    if (found == NULL && by == BY_REASON_OR_KIND)
        found = message_of(messages, prefix, reason_kind(reason));
    return found;
}

/* The clinic's own time; empty when there is none to tell. */
static void format_time(int64_t time, char text[VALUE_MAX])
{
    time_t local = (time_t)time + JAPAN;
    struct tm parts;

    if (time == 0 || gmtime_r(&local, &parts) == NULL ||
        strftime(text, VALUE_MAX, "%Y-%m-%d %H:%M:%S JST", &parts) == 0)
        text[0] = '\0';
}

static void rendering_init(struct rendering *rendering, const struct page *page,
                           const struct page_facts *facts)
{
    rendering->page = page;
    rendering->facts = facts;
    rendering->incident[0] = '\0';
    if (facts->incident != 0)
        incident_format(facts->incident, rendering->incident);
    format_time(facts->time, rendering->time);
    format_time(facts->learned, rendering->learned);
    rendering->values[FACT_LANG] = span_of(languages[facts->language]);
    rendering->values[FACT_KIND] = span_of(reason_kind(facts->reason));
    rendering->values[FACT_CODE] = span_of(reason_code(facts->reason));
    rendering->values[FACT_INCIDENT] = span_of(rendering->incident);
    rendering->values[FACT_HOST] = facts->host;
    rendering->values[FACT_PATH] = facts->path;
    rendering->values[FACT_SERVICE] = facts->service;
    rendering->values[FACT_FILE_NAME] = facts->file_name;
    rendering->values[FACT_FILE_TYPE] = facts->file_type;
    rendering->values[FACT_CLINIC] = span_of(facts->clinic);
    rendering->values[FACT_CONTACT] = span_of(facts->contact);
    rendering->values[FACT_TIME] = span_of(rendering->time);
    rendering->values[FACT_LEARNED] = span_of(rendering->learned);
}

static struct span rendering_value(void *context, struct span name, size_t *limit)
{
    const struct rendering *rendering = context;
    const struct messages *messages = rendering->page->messages[rendering->facts->language];

    for (size_t i = 0; i < FACT_COUNT; i++)
        if (span_equal(name, span_of(facts_table[i].name))) {
            *limit = facts_table[i].limit;
            return rendering->values[i];
        }
    *limit = MESSAGE_LIMIT;
    for (size_t i = 0; i < CHOSEN_COUNT; i++)
        if (span_equal(name, span_of(chosen_table[i].name)))
            return span_of(
                message_choose(messages, name, chosen_table[i].by, rendering->facts->reason));
    return span_of(messages_find(messages, name));
}

size_t page_render(const struct page *page, const struct page_facts *facts, char **html)
{
    struct text out = {0};
    struct rendering rendering;

    rendering_init(&rendering, page, facts);
    out.size = PAGE_MAX + 1;
    out.data = memory_allocate(out.size, 1);
    template_render(page->page_template, rendering_value, &rendering, &out);
    text_add(&out, (struct span){"", 1}); /* a NUL, for those who take it as a string */
    *html = out.data;
    return out.used - 1;
}

/* --- checks at the start, so that no page fails later --- */

static bool page_knows(void *context, struct span name)
{
    const struct page *page = context;

    for (size_t i = 0; i < FACT_COUNT; i++)
        if (span_equal(name, span_of(facts_table[i].name)))
            return true;
    for (size_t i = 0; i < CHOSEN_COUNT; i++)
        if (span_equal(name, span_of(chosen_table[i].name)))
            return true;
    for (size_t i = 0; i < LANGUAGES; i++)
        if (messages_find(page->messages[i], name) == NULL)
            return false;
    return true;
}

/* Every reason that can come to a page has a sentence, a heading and a way out. */
static bool page_check_messages(const struct page *page)
{
    static const struct {
        const char *prefix;
        enum chosen_by by;
    } needed[] = {
        {"reason", BY_REASON}, {"heading", BY_REASON_OR_KIND}, {"instead", BY_REASON_OR_KIND}};

    for (size_t language = 0; language < LANGUAGES; language++)
        for (unsigned reason = 0; reason < REASON_COUNT; reason++)
            for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
                const char *found = message_choose(page->messages[language],
                                                   span_of(needed[i].prefix), needed[i].by, reason);

                if (reason_status(reason) == 0 || (found != NULL && found[0] != '\0'))
                    continue;
                snprintf(page_error, sizeof(page_error), "%s: no text for %s.%s",
                         message_files[language], needed[i].prefix, reason_code(reason));
                return false;
            }
    return true;
}

/* With the longest of everything the page is still small enough. */
static bool page_check_size(const struct page *page)
{
    char longest[2048];
    struct span value = {longest, sizeof(longest) - 1};
    struct page_facts facts = {.incident = UINT64_MAX,
                               .host = value,
                               .path = value,
                               .service = value,
                               .file_name = value,
                               .file_type = value,
                               .clinic = longest,
                               .contact = longest};

    memset(longest, '"', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    for (facts.language = 0; facts.language < LANGUAGES; facts.language++)
        for (facts.reason = 0; facts.reason < REASON_COUNT; facts.reason++) {
            char *html;
            size_t size = page_render(page, &facts, &html);

            free(html);
            if (size <= PAGE_MAX)
                continue;
            snprintf(page_error, sizeof(page_error),
                     "the page can become %zu bytes long (%s, %s); at most %d are allowed", size,
                     languages[facts.language], reason_code(facts.reason), PAGE_MAX);
            return false;
        }
    return true;
}

/* No script, no request to anywhere, no form; the one style by its hash (CSP level 3). */
static bool page_set_policy(struct page *page)
{
    char source[TEMPLATE_STYLE_SOURCE];

    if (!template_style_source(page->page_template, source)) {
        snprintf(page_error, sizeof(page_error), "SHA-256 does not work");
        return false;
    }
    snprintf(page->policy, sizeof(page->policy),
             "default-src 'none'; style-src %s; frame-ancestors *; base-uri 'none'; "
             "form-action 'none'",
             source);
    return true;
}

struct page *page_new(const char *template_text, const char *messages_ja, const char *messages_en,
                      const char **error)
{
    const char *const texts[] = {[LANGUAGE_JA] = messages_ja, [LANGUAGE_EN] = messages_en};
    struct page *page = memory_allocate(1, sizeof(*page));

    for (size_t i = 0; i < LANGUAGES; i++) {
        page->messages[i] =
            messages_parse(message_files[i], texts[i], page_error, sizeof(page_error));
        if (page->messages[i] == NULL)
            goto failed;
    }
    page->page_template =
        template_parse(template_text, page_knows, page, page_error, sizeof(page_error));
    if (page->page_template == NULL || !page_check_messages(page) || !page_check_size(page) ||
        !page_set_policy(page))
        goto failed;
    return page;
failed:
    *error = page_error;
    page_free(page);
    return NULL;
}

void page_free(struct page *page)
{
    if (page == NULL)
        return;
    template_free(page->page_template);
    for (size_t i = 0; i < LANGUAGES; i++)
        messages_free(page->messages[i]);
    free(page);
}

const char *page_content_security_policy(const struct page *page)
{
    return page->policy;
}
