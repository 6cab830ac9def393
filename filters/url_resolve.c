/* SPDX-License-Identifier: BSD-2-Clause */
/* References to URLs: RFC 3986, section 5.2, for http and https. Dots are left to url_normalise().
 */
#include <string.h>

#include "filters/url.h"

struct text {
    char *data;
    size_t size;
    bool full;
};

static void put(struct text *text, struct span bytes)
{
    if (bytes.size > URL_NORMAL_MAX - text->size) {
        text->full = true;
        return;
    }
    if (bytes.size > 0)
        memcpy(text->data + text->size, bytes.data, bytes.size);
    text->size += bytes.size;
}

static bool has_scheme(struct span reference)
{
    size_t colon = span_index(reference, ':');

    return colon < reference.size && colon < span_index(reference, '/') &&
           colon < span_index(reference, '?') && colon < span_index(reference, '#');
}

static bool is_slash(char byte)
{
    return byte == '/' || byte == '\\'; /* WHATWG URL: the same in http and https */
}

static size_t leading_slashes(struct span text)
{
    size_t count = 0;

    while (count < text.size && count < 2 && is_slash(text.data[count]))
        count++;
    return count;
}

bool url_resolve(const struct url *base, struct span reference, char text[URL_NORMAL_MAX],
                 struct url *url)
{
    struct text out = {.data = text};
    struct span scheme = base->tls ? SPAN("https:") : SPAN("http:");
    struct span path = span_first(base->target, span_index(base->target, '?'));
    struct span rest = span_first(reference, span_index(reference, '#'));
    struct span query = span_from(rest, span_index(rest, '?'));
    struct span own = span_first(rest, rest.size - query.size);

    if (leading_slashes(reference) == 0 && has_scheme(reference))
        return url_parse(reference, url);
    if (leading_slashes(own) == 2) {
        while (leading_slashes(rest) > 0) /* however many, a host follows */
            rest = span_from(rest, 1);
        put(&out, scheme);
        put(&out, SPAN("//"));
        put(&out, rest);
        return !out.full && url_parse((struct span){text, out.size}, url);
    }
    *url = *base;
    if (own.size == 0) {
        put(&out, path);
    } else if (!is_slash(own.data[0])) {
        size_t folder = path.size;
        while (folder > 0 && path.data[folder - 1] != '/')
            folder--;
        put(&out, folder > 0 ? span_first(path, folder) : SPAN("/"));
    }
    put(&out, own);
    put(&out, query);
    url->target = out.size > 0 ? (struct span){text, out.size} : SPAN("/");
    return !out.full;
}
