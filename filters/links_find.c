/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The links of one word, as links_plain.c wrote it. A colon may end a scheme, a percent sign an
 * escaped one, a dot the first label of a bare name; what follows is read as far as it goes.
 */
#include "filters/links_private.h"

#include <string.h>

#include "filters/ascii.h"

#define MANY  16  /* links of a word that are read at full length */
#define SHORT 256 /* bytes that are read of each of the others: the whole stays linear */
#define NAME  512 /* bytes of a written bare name at most */
#define LEVEL 4   /* how often a URL may be percent-escaped */

struct find {
    struct link_scanner *scanner;
    const char *text;
    const uint16_t *origin; /* of each byte, in the scanner's word; NULL: it is that word */
    size_t size;
    size_t floor;   /* before it, bytes belong to a link that was read */
    unsigned count; /* links begun */
    enum link_way way;
    bool open; /* the word goes on behind the end */
    bool cut;  /* the text was taken from a longer one */
    bool over; /* the rest is left for later, from `keep` on */
    size_t keep;
};

/* A link as far as it is read. */
struct place {
    enum link_way way;
    bool tls, has_scheme, cut;
    struct span host, port;
    size_t target, end;
};

static bool is_label_byte(char byte)
{
    return ascii_is_digit(byte) || (ascii_lower(byte) >= 'a' && ascii_lower(byte) <= 'z') ||
           byte == '-' || byte == '_';
}

static bool is_wide(char byte)
{
    return (uint8_t)byte >= 0x80;
}

static bool is_dot(char byte)
{
    return byte == '.' || byte == LINK_STOP;
}

static bool is_slash(char byte)
{
    return byte == '/' || byte == '\\';
}

static bool begins_target(char byte)
{
    return is_slash(byte) || byte == '?' || byte == '#';
}

static struct span part(const struct find *find, size_t start, size_t end)
{
    return (struct span){find->text + start, end - start};
}

/* --- telling --- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

static bool was_told(struct link_scanner *scanner, const struct found_link *link)
{
    const struct url *url = &link->url;
    uint8_t rest[] = {url->tls, link->has_scheme, link->cut, (uint8_t)url->port,
                      (uint8_t)(url->port >> 8)};
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, rest, sizeof(rest));
    hash = hash_bytes(hash, url->host, strlen(url->host) + 1);
    hash = hash_bytes(hash, url->target.data, url->target.size);
    unsigned kept = scanner->told_count < TOLD ? scanner->told_count : TOLD;
    for (unsigned i = 0; i < kept; i++)
        if (scanner->told[i] == hash)
            return true;
    scanner->told[scanner->told_count++ % TOLD] = hash;
    return false;
}

static void tell_link(struct find *find, struct found_link link)
{
    char buffer[REDIRECTOR_BUFFER];
    struct found_link next = {.way = LINK_REDIRECTED, .has_scheme = true, .cut = link.cut};
    if (was_told(find->scanner, &link))
        return;
    find->scanner->found(find->scanner->context, &link);
    if (redirector_unwrap(span_of(link.url.host), link.url.target, &next.url, buffer) ==
            REDIRECTOR_TARGET &&
        !was_told(find->scanner, &next))
        find->scanner->found(find->scanner->context, &next);
}

/* One reading of a link: its target ends at `end`. */
static void tell_reading(struct find *find, const struct place *place, const char *host, size_t end)
{
    struct found_link link = {
        .way = place->way, .has_scheme = place->has_scheme, .cut = place->cut};
    char text[LINK_SIZE + HOST_TEXT + 32];
    struct span pieces[] = {place->tls ? SPAN("https://") : SPAN("http://"),
                            strchr(host, ':') ? SPAN("[") : SPAN(""),
                            span_of(host),
                            strchr(host, ':') ? SPAN("]") : SPAN(""),
                            place->port.size ? SPAN(":") : SPAN(""),
                            place->port,
                            part(find, place->target, end)};
    size_t used = 0;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        if (pieces[i].size)
            memcpy(text + used, pieces[i].data, pieces[i].size);
        used += pieces[i].size;
    }
    if (url_parse((struct span){text, used}, &link.url))
        tell_link(find, link);
}

/* Without the marks that end a sentence or an emphasis rather than a link. */
static size_t trim(const struct find *find, size_t start, size_t end)
{
    while (end > start && memchr(".,;:!?'*~", find->text[end - 1], 9))
        end--;
    return end;
}

/*
 * The readings of a link: what follows in Japanese may belong to it or to the sentence, and so may
 * a mark at its end.
 */
static void tell_place(struct find *find, const struct place *place, const char *host)
{
    size_t wide = place->target;
    while (wide < place->end && !is_wide(find->text[wide]))
        wide++;
    tell_reading(find, place, host, trim(find, place->target, wide));
    tell_reading(find, place, host, wide);
    if (wide < place->end)
        tell_reading(find, place, host, trim(find, wide, place->end));
}

/* --- how far a link goes --- */

static bool begins_link(struct span text)
{
    return span_starts_nocase(text, SPAN("http")) || span_starts_nocase(text, SPAN("hxxp")) ||
           span_starts_nocase(text, SPAN("www."));
}

/* For a closing bracket: whether it was opened since `from`; for an opening one notes it. */
static bool keeps_balance(char byte, unsigned depth[3])
{
    static const char opening[] = "([{", closing[] = ")]}";
    for (unsigned i = 0; i < 3; i++) {
        if (byte == opening[i])
            depth[i]++;
        if (byte == closing[i] && depth[i]-- == 0)
            return false;
    }
    return true;
}

/* The end of the link of which the authority begins at `from`; `before` stands before the link. */
static size_t read_extent(struct find *find, size_t from, char before)
{
    unsigned depth[3] = {0, 0, 0};
    size_t limit = find->size;
    bool in_target = false;
    if (find->count++ > MANY && limit > from + SHORT)
        limit = from + SHORT;
    for (size_t at = from; at < limit; at++) {
        char byte = find->text[at];
        if (byte == ' ' || byte == '|' || byte == '^' || (byte == '\'' && before == '\'') ||
            (byte == LINK_STOP && in_target) || !keeps_balance(byte, depth))
            return at;
        if ((byte == ',' || byte == ';') && begins_link(part(find, at + 1, find->size)))
            return at;
        in_target = in_target || begins_target(byte);
    }
    return limit;
}

static size_t origin_of(const struct find *find, size_t at)
{
    return find->origin ? find->origin[at] : at;
}

/*
 * True when the link that begins at `start` may go on behind the text that is there, and can wait
 * for it: then it is left. One that began long ago is told as cut.
 */
static bool leaves(struct find *find, size_t start, size_t end)
{
    if (!find->open || end < find->size || origin_of(find, start) < LINK_SIZE / 2)
        return false;
    size_t context = start ? start - 1 : 0;
    find->keep = origin_of(find, context);
    find->over = true;
    return true;
}

static bool is_cut(const struct find *find, size_t start, size_t end)
{
    return (end == find->size && (find->open || find->cut)) ||
           (find->count > MANY && end >= start + SHORT);
}

static size_t read_port(const struct find *find, size_t at, size_t end, struct span *port)
{
    size_t digits = at + 1;
    *port = (struct span){NULL, 0};
    if (at >= end || find->text[at] != ':')
        return at;
    while (digits < end && ascii_is_digit(find->text[digits]))
        digits++;
    *port = part(find, at + 1, digits);
    return digits;
}

/* --- a link with its scheme --- */

static bool is_scheme_letter(char byte)
{
    return byte != '\0' && strchr("tx*#_+", ascii_lower(byte)) != NULL;
}

/* http, hxxp, h**p, ttp and intent, before the colon. */
static bool read_scheme(const struct find *find, size_t colon, size_t *start, bool *tls)
{
    const char *text = find->text;
    size_t at = colon;
    *tls = true;
    if (colon >= 6 && span_equal_nocase(part(find, colon - 6, colon), SPAN("intent"))) {
        *start = colon - 6;
        return true;
    }
    *tls = at > 0 && ascii_lower(text[at - 1]) == 's';
    at -= *tls;
    if (at < 3 || ascii_lower(text[at - 1]) != 'p' || !is_scheme_letter(text[at - 2]) ||
        !is_scheme_letter(text[at - 3]))
        return false;
    at -= 3;
    *start = at > 0 && ascii_lower(text[at - 1]) == 'h' ? at - 1 : at;
    return true;
}

/* Which bytes are host, port and target. User information ends at the last '@'. */
static void read_authority(const struct find *find, size_t from, struct place *place)
{
    size_t end = from, start = from, at;
    while (end < place->end && !begins_target(find->text[end])) {
        if (find->text[end] == '@')
            start = end + 1;
        end++;
    }
    at = start;
    if (at < end && find->text[at] == '[')
        while (at < end && find->text[at++] != ']')
            ;
    else
        while (at < end && (is_label_byte(find->text[at]) || is_dot(find->text[at]) ||
                            is_wide(find->text[at]) || find->text[at] == '%'))
            at++;
    place->host = part(find, start, at);
    at = read_port(find, at, end, &place->port);
    place->target = at;
    /* What cannot be in an authority ends the link. */
    if (at < end)
        place->end = at;
}

/* Bytes of the host before what is Japanese or a full stop of it. */
static size_t ascii_size(struct span host)
{
    size_t size = 0;
    while (size < host.size && !is_wide(host.data[size]) && host.data[size] != LINK_STOP)
        size++;
    return size;
}

static bool has_dot_after(struct span host, size_t from)
{
    for (size_t i = from; i < host.size; i++)
        if (is_dot(host.data[i]))
            return true;
    return false;
}

/* "https://example.jpです": the name alone, unless more labels follow. True when something was
 * told. */
static bool tell_host_readings(struct find *find, const struct place *place,
                               bool (*is_host)(struct span))
{
    char host[HOST_TEXT];
    size_t ascii = ascii_size(place->host);
    bool told = false;
    if (ascii < place->host.size && span_index(span_first(place->host, ascii), '.') < ascii &&
        link_host_read(span_first(place->host, ascii), host) && is_host(span_of(host))) {
        struct place first = *place;
        first.port = (struct span){NULL, 0};
        first.target = first.end = 0;
        tell_reading(find, &first, host, 0);
        told = true;
        if (!has_dot_after(place->host, ascii))
            return true;
    }
    if (!link_host_read(place->host, host) || !is_host(span_of(host)))
        return told;
    tell_place(find, place, host);
    return true;
}

static bool any_host(struct span host)
{
    return host.size > 0;
}

static void find_scheme(struct find *find, size_t colon)
{
    struct place place = {.has_scheme = true};
    size_t start, from = colon + 1;
    if (!read_scheme(find, colon, &start, &place.tls))
        return;
    while (from < find->size && is_slash(find->text[from]))
        from++;
    place.end = read_extent(find, from, start ? find->text[start - 1] : '\0');
    if (leaves(find, start, place.end))
        return;
    size_t end = place.end;
    place.way = start < find->floor ? LINK_NESTED : find->way;
    place.cut = is_cut(find, from, end);
    if (span_equal_nocase(part(find, start, colon), SPAN("intent")) &&
        span_find_nocase(part(find, from, end), SPAN(";scheme=http;")) < end - from)
        place.tls = false;
    read_authority(find, from, &place);
    /* Without slashes it is a link to a browser, but seldom meant as one. */
    if (tell_host_readings(find, &place, from == colon + 1 ? link_host_is_likely : any_host) &&
        place.end > find->floor)
        find->floor = place.end;
}

/* --- a link that is percent-escaped as a whole --- */

/* "%3a", "%253A": how many times it is escaped; 0 when it is no colon. */
static unsigned read_escaped_colon(struct span text)
{
    unsigned levels = 1;
    text = span_from(text, 1);
    while (levels < LEVEL && span_starts(text, SPAN("25"))) {
        levels++;
        text = span_from(text, 2);
    }
    return span_starts_nocase(text, SPAN("3a")) ? levels : 0;
}

static bool is_escaped_byte(char byte)
{
    return byte != '\0' && (is_label_byte(byte) || strchr("%.~+*!/:=@?$", byte));
}

static void find_escaped(struct find *find, size_t at)
{
    char text[LINK_SIZE];
    size_t start = at, end = at;
    bool tls;
    unsigned levels = read_escaped_colon(part(find, at, find->size));
    if (levels ? !read_scheme(find, at, &start, &tls)
               : !span_starts(part(find, at, find->size), SPAN("%68")) &&
                     !span_starts(part(find, at, find->size), SPAN("%48")))
        return;
    size_t limit = find->count++ > MANY && find->size > at + SHORT ? at + SHORT : find->size;
    while (end < limit && is_escaped_byte(find->text[end]))
        end++;
    if (leaves(find, start, end))
        return;
    struct find inner = {.scanner = find->scanner,
                         .text = text,
                         .size = end - start,
                         .count = find->count,
                         .way = LINK_NESTED,
                         .cut = is_cut(find, start, end)};
    memcpy(text, find->text + start, inner.size);
    for (unsigned i = 0; i < (levels ? levels : 1); i++)
        inner.size = url_decode((struct span){text, inner.size}, text);
    for (size_t i = 0; i < inner.size; i++)
        if ((uint8_t)text[i] <= ' ')
            inner.size = i;
    size_t colon = span_index((struct span){text, inner.size}, ':');
    if (colon <= sizeof("https") - 1 && colon < inner.size)
        find_scheme(&inner, colon);
    if (inner.floor && find->floor < end)
        find->floor = end;
}

/* --- a bare name --- */

/* The start of the name of which the first dot is at `dot`; `dot` when there is no label. */
static size_t read_left(const struct find *find, size_t dot)
{
    size_t start = dot, wide;
    uint32_t character;
    while (start > find->floor && is_label_byte(find->text[start - 1]))
        start--;
    wide = start;
    while (wide > find->floor && dot - wide < NAME &&
           (is_wide(find->text[wide - 1]) || is_label_byte(find->text[wide - 1])))
        wide--;
    if (wide == start)
        return start;
    /* A name of letters that are no ASCII, or one where letters of Latin, Greek or Cyrillic stand
     * among ASCII to deceive. Kana before a name are the sentence. */
    size_t last = start - 1;
    while (last > wide && ((uint8_t)find->text[last] & 0xc0u) == 0x80u)
        last--;
    character_decode(part(find, last, start), &character);
    if (start < dot && character >= 0x530)
        return start;
    while (wide < start && ((uint8_t)find->text[wide] & 0xc0u) == 0x80u)
        wide++;
    return wide;
}

enum boundary { BOUNDARY_NONE, BOUNDARY_NAME, BOUNDARY_SLASHES };

/* Whether a name may begin there: not in a path, not behind the '@' of a mail address. */
static enum boundary read_boundary(const struct find *find, size_t *start)
{
    size_t at = *start;
    if (at == 0)
        return find->scanner->continued ? BOUNDARY_NONE : BOUNDARY_NAME;
    char before = find->text[at - 1];
    if (before == '@')
        return at == 1 && !find->scanner->continued ? BOUNDARY_NAME : BOUNDARY_NONE;
    if (is_slash(before))
        return at > 1 && is_slash(find->text[at - 2]) ? BOUNDARY_SLASHES : BOUNDARY_NONE;
    if (before == '%')
        *start += 2;
    return BOUNDARY_NAME;
}

static size_t read_name(const struct find *find, size_t dot)
{
    size_t end = dot, limit = find->size - dot > NAME ? dot + NAME : find->size;
    while (end < limit &&
           (is_label_byte(find->text[end]) || is_dot(find->text[end]) || is_wide(find->text[end])))
        end++;
    while (end > dot && !is_label_byte(find->text[end - 1]) && !is_wide(find->text[end - 1]))
        end--;
    return end;
}

/* 3.14 and 1.2.3 are no hosts in a sentence, but 192.0.2.7 is. */
static bool is_plain_number(struct span name)
{
    unsigned dots = 0;
    for (size_t i = 0; i < name.size; i++) {
        if (!ascii_is_digit(name.data[i]) && name.data[i] != '.')
            return false;
        dots += name.data[i] == '.';
    }
    return dots != 3;
}

/* Returns where to go on. */
static size_t find_bare(struct find *find, size_t dot)
{
    struct place place = {.way = find->way, .tls = true};
    size_t start = read_left(find, dot);
    enum boundary boundary = read_boundary(find, &start);
    size_t name_end = read_name(find, dot), stop;
    if (start >= dot || name_end <= dot + 1 ||
        (find->text[dot] == LINK_STOP && !is_label_byte(find->text[dot - 1])))
        return dot;
    find->floor = name_end;
    while (start < dot && (find->text[start] == '_' || find->text[start] == '-'))
        start++;
    place.host = part(find, start, name_end);
    if (boundary == BOUNDARY_NONE || start == dot || is_plain_number(place.host))
        return name_end - 1;
    stop = read_port(find, name_end, find->size, &place.port);
    place.target = place.end = stop;
    if (stop < find->size && begins_target(find->text[stop]))
        place.end = read_extent(find, stop, start ? find->text[start - 1] : '\0');
    if (leaves(find, start, place.end))
        return find->size;
    place.cut = is_cut(find, stop, place.end);
    bool said = place.end > name_end || boundary == BOUNDARY_SLASHES ||
                span_starts_nocase(place.host, SPAN("www."));
    bool (*is_host)(struct span) = said                    ? link_host_is_likely
                                   : find->scanner->joined ? link_host_is_unmistakable
                                                           : link_host_is_common;
    size_t ideographic = dot;
    while (ideographic < name_end && find->text[ideographic] != LINK_STOP)
        ideographic++;
    bool told = tell_host_readings(find, &place, is_host);
    /* "see a.jp。b.jp follows": the second name is read by itself, too. */
    if (ideographic > dot && ideographic < name_end) {
        find->floor = ideographic + 1;
        return ideographic;
    }
    if (told)
        find->floor = place.end;
    return name_end - 1;
}

/* --- a word --- */

static void find_links(struct find *find, bool bare)
{
    for (size_t at = 0; at < find->size && !find->over; at++) {
        char byte = find->text[at];
        if (byte == ':')
            find_scheme(find, at);
        else if (byte == '%' && bare)
            find_escaped(find, at);
        else if (is_dot(byte) && bare && at >= find->floor)
            at = find_bare(find, at);
    }
}

size_t link_find(struct link_scanner *scanner, bool open)
{
    char text[LINK_SIZE];
    uint16_t origin[LINK_SIZE];
    struct span word = {scanner->word, scanner->size};
    struct find find = {.scanner = scanner,
                        .text = word.data,
                        .size = word.size,
                        .way = LINK_WRITTEN,
                        .open = open,
                        .keep = word.size};

    if (scanner->marks & (BYTE_BRACKET | WORD_OTHER)) {
        find.text = text;
        find.origin = origin;
        find.size = link_plain_write(word, scanner->marks, text, origin);
    }
    find_links(&find, true);
    size_t keep = find.keep;
    /* A path in full-width letters is another path to a browser than the same in ASCII. */
    if (scanner->marks & WORD_WIDE && find.count) {
        find.size = link_plain_write_wide(word, text, origin);
        find.count = 0;
        find.floor = 0;
        find.over = false;
        find_links(&find, false);
    }
    return keep;
}
