/* SPDX-License-Identifier: BSD-2-Clause */
/* Learned links and URLs: see learned_url.h. */
#include "filters/learned_url.h"

#include <string.h>

#include "filters/character.h"
#include "filters/glob.h"

#define ENDS_MAX 3 /* of each sort that may_end() knows, the first */

static size_t normalise(const struct url *url, struct span target, char text[URL_NORMAL_MAX])
{
    return url_normalise(url->tls, span_of(url->host), url->port, target, text, URL_NORMAL_MAX);
}

void learned_link_name(struct learned_link *link, const struct url *url, bool cut,
                       learned_sha256 *sha256)
{
    char text[URL_NORMAL_MAX];
    struct span name = {text, normalise(url, url->target, text)};

    link->whole_host = cut || name.size == 0;
    if (name.size == 0)
        name = span_of(url->host);
    sha256(cut ? span_first(name, LEARNED_BEGINNING) : name, link->url_sha256);
    sha256(span_of(url->host), link->host_sha256);
}

bool learned_url_other(const struct url *url, bool has_scheme, struct url *other)
{
    if (url->tls && has_scheme)
        return false;
    *other = *url;
    other->tls = !url->tls;
    if (url->port == (url->tls ? 443 : 80))
        other->port = other->tls ? 443 : 80;
    return true;
}

/* --- where a link may have been taken to end --- */

enum end { END_NONE, END_HARD, END_QUOTE, END_NEXT };

/* The character at the start of a normal form, which is escaped when it is more than ASCII. */
static size_t read_character(struct span normal, uint32_t *character)
{
    char bytes[4];
    size_t at = 0, size = 0, wanted = 1;

    while (size < wanted && at < normal.size) {
        int value = normal.data[at] == '%' ? glob_hexadecimal(span_from(normal, at + 1)) : -1;
        uint8_t byte = (uint8_t)(value >= 0 ? value : normal.data[at]);
        if (size == 0)
            wanted = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        else if ((byte & 0xc0u) != 0x80u)
            break;
        bytes[size++] = (char)byte;
        at += value >= 0 ? 3 : 1;
    }
    character_decode((struct span){bytes, size}, character);
    return at;
}

/* As the reader of a text has it (links_text.c, links_find.c). */
static enum end may_end(uint32_t character, struct span rest, unsigned depth[3])
{
    static const char opening[] = "([{", closing[] = ")]}";

    for (unsigned i = 0; i < 3; i++) {
        depth[i] += character == (uint32_t)opening[i];
        if (character == (uint32_t)closing[i] && depth[i]-- == 0)
            return END_HARD;
    }
    if (character == '\'')
        return END_QUOTE;
    if ((character == ',' || character == ';') &&
        (span_starts_nocase(rest, SPAN("http")) || span_starts_nocase(rest, SPAN("hxxp")) ||
         span_starts_nocase(rest, SPAN("www."))))
        return END_NEXT;
    if (character <= ' ' || (character < 0x80 && strchr("\"<>`|^\x7f", (int)character) != NULL) ||
        character == 0x3002 || character == 0xff61 || character_ends_link(character))
        return END_HARD;
    return END_NONE;
}

/* The first of each sort, up to the first behind which no text goes on with the link. */
static size_t find_ends(struct span target, size_t ends[ENDS_MAX])
{
    bool seen[END_NEXT + 1] = {false};
    unsigned depth[3] = {0, 0, 0};
    size_t count = 0, step;

    for (size_t at = 0; at < target.size && !seen[END_HARD]; at += step) {
        uint32_t character;
        step = read_character(span_from(target, at), &character);
        enum end end = may_end(character, span_from(target, at + step), depth);
        if (end == END_NONE || seen[end])
            continue;
        seen[end] = true;
        ends[count++] = at;
    }
    return count;
}

/* --- looking up --- */

struct look_up {
    const struct learned_links *links;
    const char *scope;
    const struct url *url;
    uint8_t host[32];
    learned_sha256 *sha256;
    int64_t now;
};

static const struct learned_link *find(const struct look_up *look_up, struct span name,
                                       enum learned_reach reach)
{
    uint8_t digest[32];

    look_up->sha256(name, digest);
    return learned_links_find(look_up->links, look_up->scope, digest, look_up->host, reach,
                              look_up->now);
}

static const struct learned_link *find_ended(const struct look_up *look_up, struct span target)
{
    char text[URL_NORMAL_MAX];
    const struct learned_link *link = NULL;
    size_t ends[ENDS_MAX], count = find_ends(target, ends);

    for (size_t i = 0; link == NULL && i < count; i++) {
        size_t size = normalise(look_up->url, span_first(target, ends[i]), text);
        link = find(look_up, (struct span){text, size}, LEARNED_OF_URL);
    }
    return link;
}

/* Where the target begins in a normal form. */
static size_t target_start(struct span normal)
{
    size_t authority = sizeof("https://") - 1;

    return authority + span_index(span_from(normal, authority), '/');
}

const struct learned_link *learned_links_find_url(const struct learned_links *links,
                                                  const char *scope, const struct url *url,
                                                  enum learned_reach reach, learned_sha256 *sha256,
                                                  int64_t now)
{
    if (learned_links_is_empty(links))
        return NULL;
    struct look_up look_up = {
        .links = links, .scope = scope, .url = url, .sha256 = sha256, .now = now};
    char text[URL_NORMAL_MAX];
    struct span name = {text, normalise(url, url->target, text)};
    const struct learned_link *link;

    sha256(span_of(url->host), look_up.host);
    /* Longer than any that is known whole. */
    link = find(&look_up, name, name.size == 0 ? LEARNED_OF_HOST : reach);
    if (link == NULL && name.size > LEARNED_BEGINNING)
        link = find(&look_up, span_first(name, LEARNED_BEGINNING), LEARNED_OF_URL);
    return link != NULL ? link : find_ended(&look_up, span_from(name, target_start(name)));
}
