/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of the link scanner. The first byte says how often the rest is repeated, so that
 * words grow past what is looked at together. Whole, cut in two and byte by byte must find the
 * same; every URL that is found can be read again; what is found stays in proportion to the text.
 */
#include "tests/unit/links_transcript.h"

#define NEEDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define REPEATS 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_link(void *context, const struct found_link *link)
{
    static char text[3 * LINK_SIZE + 512];
    struct url again;
    size_t *count = context;
    size_t size = url_normalise(link->url.tls, span_of(link->url.host), link->url.port,
                                link->url.target, text, sizeof(text));
    NEEDS(size > 0);
    NEEDS(url_parse((struct span){text, size}, &again));
    NEEDS(strcmp(again.host, link->url.host) == 0 && again.port == link->url.port);
    NEEDS(link->has_scheme || link->url.tls);
    NEEDS(span_index(span_of(again.host), '.') < strlen(again.host) ||
          host_is_literal(span_of(again.host)) || link->way == LINK_REDIRECTED);
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t count = 0;
    if (size < 2)
        return 0;
    size_t part = size - 1, times = 1 + bytes[0] % REPEATS;
    char *text = malloc(part * times);
    NEEDS(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * part, bytes + 1, part);
    struct span span = {text, part * times};

    struct transcript whole = transcript_make(span, span.size, span.size);
    struct transcript halves = transcript_make(span, 1 + span.size / 2, span.size);
    struct transcript single = transcript_make(span, 1, 1);
    NEEDS(strcmp(whole.text, halves.text) == 0);
    NEEDS(strcmp(whole.text, single.text) == 0);
    free(whole.text);
    free(halves.text);
    free(single.text);

    struct link_scanner *scanner = link_scanner_new(check_link, &count);
    link_scanner_feed(scanner, text, span.size);
    link_scanner_end(scanner);
    link_scanner_free(scanner);
    NEEDS(count <= 4 + 4 * span.size);
    free(text);
    return 0;
}
