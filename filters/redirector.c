/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirectors: hosts that lead on to an address which the request itself names. A request to one is
 * judged by where it leads. A new redirector is one row.
 */
#include "filters/url.h"

#include <string.h>

#include "filters/base64.h"
#include "filters/glob.h"
#include "filters/hostname.h"

#define DEPTH 5

enum reading {
    READ_PARAMETER, /* the query parameter(s) named, percent-encoded once */
    READ_CODED,     /* the same, behind "a1" as base64 with the alphabet of URLs */
    READ_QUERY,     /* the whole query */
    READ_HTTP,      /* the rest of the path is host and path, for http */
    READ_HTTPS,     /* the same for https */
    READ_SEGMENT,   /* the path segment after the pattern's '*', percent-encoded */
    READ_SUFFIX,    /* the host itself, without the pattern's domain */
    READ_NOTHING    /* a table at the redirector knows; nobody else */
};

/*
 * X(host pattern, path pattern, reading, parameter names). A host pattern that ends in ".*" stands
 * for the country domains of one company (".co.jp", ".de", ".com"), and for nothing that others can
 * register.
 */
#define REDIRECTORS(X)                                                                             \
    X("*.safelinks.protection.outlook.com", "*", READ_PARAMETER, "url")                            \
    X("statics.teams.cdn.office.net", "/evergreen-assets/safelinks/*", READ_PARAMETER, "url")      \
    X("urlp.asm.skype.com", "/v1/url/*", READ_PARAMETER, "url")                                    \
    X("*.asyncgw.teams.microsoft.com", "/urlp/*", READ_PARAMETER, "url")                           \
    X("*.mcas.ms", "*", READ_SUFFIX, "")                                                           \
    X("*.admin-mcas.ms", "*", READ_SUFFIX, "")                                                     \
    X("*.rs-mcas.ms", "*", READ_SUFFIX, "")                                                        \
    X(".google.*", "/url", READ_PARAMETER, "q|url")                                                \
    X(".google.*", "/amp/s/*", READ_HTTPS, "")                                                     \
    X(".google.*", "/amp/*", READ_HTTP, "")                                                        \
    X(".google.*", "*/aclk", READ_PARAMETER, "adurl")                                              \
    X("translate.google.*", "/translate", READ_PARAMETER, "u")                                     \
    X("www.googleadservices.com", "*/aclk", READ_PARAMETER, "adurl")                               \
    X("*.doubleclick.net", "*clk*", READ_PARAMETER, "adurl")                                       \
    X(".youtube.com", "/redirect", READ_PARAMETER, "q")                                            \
    X(".facebook.com", "/l.php", READ_PARAMETER, "u")                                              \
    X("l.facebook.com", "*", READ_PARAMETER, "u")                                                  \
    X("lm.facebook.com", "*", READ_PARAMETER, "u")                                                 \
    X("l.messenger.com", "*", READ_PARAMETER, "u")                                                 \
    X("l.instagram.com", "*", READ_PARAMETER, "u")                                                 \
    X("l.threads.net", "*", READ_PARAMETER, "u")                                                   \
    X("out.reddit.com", "*", READ_PARAMETER, "url")                                                \
    X("t.umblr.com", "/redirect", READ_PARAMETER, "z")                                             \
    X(".vk.com", "/away.php", READ_PARAMETER, "to")                                                \
    X("away.vk.com", "*", READ_PARAMETER, "to")                                                    \
    X("steamcommunity.com", "/linkfilter*", READ_PARAMETER, "url|u")                               \
    X(".duckduckgo.com", "/l/", READ_PARAMETER, "uddg")                                            \
    X("href.li", "*", READ_QUERY, "")                                                              \
    X("slack-redir.net", "/link", READ_PARAMETER, "url")                                           \
    X(".linkedin.com", "/redir/*", READ_PARAMETER, "url")                                          \
    X(".linkedin.com", "/safety/go", READ_PARAMETER, "url")                                        \
    X("*.awstrack.me", "/L0/*", READ_SEGMENT, "")                                                  \
    X("go.skimresources.com", "*", READ_PARAMETER, "url")                                          \
    X("redirect.viglink.com", "*", READ_PARAMETER, "u")                                            \
    X(".awin1.com", "/cread.php", READ_PARAMETER, "ued")                                           \
    X(".bing.com", "/ck/*", READ_CODED, "u")                                                       \
    X("r.search.yahoo.com", "*", READ_NOTHING, "")                                                 \
    X("rdsig.yahoo.co.jp", "*", READ_NOTHING, "")                                                  \
    X("liff.line.me", "*", READ_NOTHING, "")                                                       \
    X("miniapp.line.me", "*", READ_NOTHING, "")                                                    \
    X("line.me", "/R/*", READ_NOTHING, "")                                                         \
    X("lin.ee", "*", READ_NOTHING, "")                                                             \
    X("lnkd.in", "*", READ_NOTHING, "")                                                            \
    X("t.co", "*", READ_NOTHING, "")

struct row {
    struct span host, path;
    enum reading reading;
    struct span names;
};

static const struct row rows[] = {
#define X(host, path, reading, names)                                                              \
    {{host, sizeof(host) - 1}, {path, sizeof(path) - 1}, reading, {names, sizeof(names) - 1}},
    REDIRECTORS(X)
#undef X
};

/* "com", "jp", "co.jp", "com.au": the domains under which one company is at home by country. */
static bool is_country_domain(struct span domain)
{
    size_t dot = span_index(domain, '.');
    struct span first = span_first(domain, dot), second = span_from(domain, dot + 1);
    if (dot == domain.size)
        return span_equal(domain, SPAN("com")) || domain.size == 2;
    return second.size == 2 && second.data[0] != '.' && second.data[1] != '.' &&
           (span_equal(first, SPAN("co")) || span_equal(first, SPAN("com")));
}

static bool host_fits(struct span pattern, struct span host)
{
    char last = pattern.data[pattern.size - 1];
    if (last != '*' && (host.size == 0 || host.data[host.size - 1] != last))
        return false;
    if (!span_ends(pattern, SPAN(".*")))
        return host_pattern_matches(pattern, host);
    /* ".google.*" also fits the bare name; the pattern keeps its dots around the company's label */
    struct span company = span_first(pattern, pattern.size - 1);
    if (company.data[0] == '.' && span_starts(host, span_from(company, 1)))
        return is_country_domain(span_from(host, company.size - 1));
    size_t at = span_find_nocase(host, company);
    return (company.data[0] == '.' || at == 0) &&
           is_country_domain(span_from(host, at + company.size));
}

static struct span path_of(struct span target)
{
    return span_first(target, span_index(target, '?'));
}

static const struct row *find_row(struct span host, struct span target)
{
    struct span path = path_of(target);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (host_fits(rows[i].host, host) && glob_matches_decoded(rows[i].path, path))
            return &rows[i];
    return NULL;
}

static bool is_named(struct span name, struct span names)
{
    struct span wanted;
    while (span_next(&names, '|', &wanted))
        if (glob_matches_decoded(wanted, name))
            return true;
    return false;
}

/* The value of the named parameters. False when there is none, or when two disagree. */
static bool find_parameter(struct span target, struct span names, struct span *value)
{
    struct span query = span_from(target, span_index(target, '?') + 1), pair;
    bool found = false;
    while (query.size) {
        size_t end = span_index(query, '&');
        pair = span_first(query, end);
        query = span_from(query, end + 1);
        size_t equals = span_index(pair, '=');
        if (!is_named(span_first(pair, equals), names))
            continue;
        struct span one = span_from(pair, equals + 1);
        if (found && !span_equal(one, *value))
            return false;
        *value = one;
        found = true;
    }
    return found;
}

/* Puts scheme and rest into the buffer; the rest may lie in the buffer. False when it does not fit.
 */
static bool put_url(struct span scheme, struct span rest, char *buffer, struct span *text)
{
    if (rest.size > REDIRECTOR_BUFFER - scheme.size)
        return false;
    if (rest.size)
        memmove(buffer + scheme.size, rest.data, rest.size);
    if (scheme.size)
        memcpy(buffer, scheme.data, scheme.size);
    *text = (struct span){buffer, scheme.size + rest.size};
    return true;
}

static bool put_decoded(struct span encoded, char *buffer, struct span *text)
{
    if (!put_url(SPAN(""), encoded, buffer, text))
        return false;
    text->size = url_decode(*text, buffer);
    return true;
}

/* RFC 4648, section 5, without padding. False when something else stands in it. */
static bool put_base64(struct span coded, char *buffer, struct span *text)
{
    uint32_t bits = 0;
    size_t used = 0;
    if (coded.size > REDIRECTOR_BUFFER)
        return false;
    for (size_t i = 0; i < coded.size; i++) {
        int digit = base64_digit(coded.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4)
            buffer[used++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    *text = (struct span){buffer, used};
    return true;
}

/* Bing. Its own pages are told as a path. */
static bool unwrap_coded(struct span host, struct span coded, struct url *destination, char *buffer)
{
    char name[HOST_TEXT];
    struct span text;
    if (!span_starts(coded, SPAN("a1")) || !put_base64(span_from(coded, 2), buffer, &text))
        return false;
    if (url_parse(text, destination))
        return true;
    if (!span_starts(text, SPAN("/")) || span_starts(text, SPAN("//")) ||
        !host_normalise(host, name) || span_index(text, '\\') < text.size)
        return false;
    *destination = (struct url){.tls = true, .port = 443, .target = text};
    memcpy(destination->host, name, sizeof(name));
    return true;
}

/* What the path says after the part of the pattern before its '*'. */
static bool path_rest(const struct row *row, struct span target, struct span *rest)
{
    struct span fixed = span_first(row->path, span_index(row->path, '*'));
    *rest = span_from(target, fixed.size);
    return span_starts(target, fixed);
}

static bool unwrap_suffix(const struct row *row, struct span host, struct span target,
                          struct url *destination, char *buffer)
{
    struct span suffix = span_from(row->host, 1), text;
    char name[HOST_TEXT];
    if (!host_normalise(span_first(host, host.size - suffix.size), name) ||
        !put_url(SPAN(""), target, buffer, &text))
        return false;
    *destination = (struct url){.tls = true, .port = 443, .target = text};
    memcpy(destination->host, name, sizeof(name));
    return span_index(span_of(name), '.') < strlen(name);
}

/* One step. `host` and `target` may lie in `destination` and `buffer`. */
static bool unwrap(const struct row *row, struct span host, struct span target,
                   struct url *destination, char *buffer)
{
    struct span rest, text;
    switch (row->reading) {
    case READ_PARAMETER:
        return find_parameter(target, row->names, &rest) && put_decoded(rest, buffer, &text) &&
               url_parse(text, destination);
    case READ_CODED:
        return find_parameter(target, row->names, &rest) &&
               unwrap_coded(host, rest, destination, buffer);
    case READ_QUERY:
        rest = span_from(target, span_index(target, '?') + 1);
        return put_decoded(rest, buffer, &text) && url_parse(text, destination);
    case READ_HTTP:
    case READ_HTTPS:
        return path_rest(row, target, &rest) &&
               put_url(row->reading == READ_HTTP ? SPAN("http://") : SPAN("https://"), rest, buffer,
                       &text) &&
               url_parse(text, destination);
    case READ_SEGMENT:
        if (!path_rest(row, path_of(target), &rest))
            return false;
        rest = span_first(rest, span_index(rest, '/'));
        return put_decoded(rest, buffer, &text) && url_parse(text, destination);
    case READ_SUFFIX:
        return unwrap_suffix(row, host, target, destination, buffer);
    case READ_NOTHING:
        break;
    }
    return false;
}

enum redirector redirector_unwrap(struct span host, struct span target, struct url *destination,
                                  char buffer[REDIRECTOR_BUFFER])
{
    const struct row *row = find_row(host, target);
    if (!row)
        return REDIRECTOR_NONE;
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        struct url next;
        if (!unwrap(row, host, target, &next, buffer))
            return REDIRECTOR_OPAQUE;
        *destination = next;
        host = span_of(destination->host);
        target = destination->target;
        row = find_row(host, target);
        if (!row)
            return REDIRECTOR_TARGET;
    }
    return REDIRECTOR_OPAQUE;
}
