/* SPDX-License-Identifier: BSD-2-Clause */
/* What a link scanner found, as text: one URL each, in the order found. For test and fuzz target.
 */
#ifndef TESTS_UNIT_LINKS_TRANSCRIPT_H
#define TESTS_UNIT_LINKS_TRANSCRIPT_H

#include <stdlib.h>
#include <string.h>

#include "filters/links.h"

struct transcript {
    char *text;
    size_t size, room;
    size_t count;
};

static void transcript_add(struct transcript *transcript, const char *bytes, size_t size)
{
    if (transcript->size + size + 1 > transcript->room) {
        transcript->room = 2 * (transcript->size + size) + 1024;
        transcript->text = realloc(transcript->text, transcript->room);
        if (!transcript->text)
            abort();
    }
    memcpy(transcript->text + transcript->size, bytes, size);
    transcript->size += size;
    transcript->text[transcript->size] = '\0';
}

/* "https://example.jp/", or "example.jp/" without scheme; "+" inside another, ">" behind a
 * redirector, "!" cut. Parted by blanks. */
static void transcript_found(void *context, const struct found_link *link)
{
    static char text[3 * LINK_SIZE + 512];
    struct transcript *transcript = context;
    const struct url *url = &link->url;
    size_t size =
        url_normalise(url->tls, span_of(url->host), url->port, url->target, text, sizeof(text));
    size_t skip = link->has_scheme ? 0 : sizeof("https://") - 1;
    if (size <= skip || (!link->has_scheme && !url->tls))
        abort();
    if (transcript->size)
        transcript_add(transcript, " ", 1);
    if (link->way == LINK_NESTED)
        transcript_add(transcript, "+", 1);
    if (link->way == LINK_REDIRECTED)
        transcript_add(transcript, ">", 1);
    if (link->cut)
        transcript_add(transcript, "!", 1);
    transcript_add(transcript, text + skip, size - skip);
    transcript->count++;
}

/* Fed `first` bytes, then `step` at a time. The caller frees the text. */
static inline struct transcript transcript_make(struct span text, size_t first, size_t step)
{
    struct transcript transcript = {0};
    struct link_scanner *scanner = link_scanner_new(transcript_found, &transcript);
    transcript_add(&transcript, "", 0);
    while (text.size) {
        struct span piece = span_first(text, first ? first : 1);
        /* A copy of its own, so that a read past the piece is seen. */
        char *copy = malloc(piece.size);
        if (!copy)
            abort();
        memcpy(copy, piece.data, piece.size);
        link_scanner_feed(scanner, copy, piece.size);
        free(copy);
        text = span_from(text, piece.size);
        first = step;
    }
    link_scanner_end(scanner);
    link_scanner_free(scanner);
    return transcript;
}

#endif
