/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URLs and redirectors from arbitrary bytes: a line with a URL, a line with a host, then a target.
 * What is read must be stable: reading the normal form again gives the same, and a redirector that
 * was followed leads to none.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "filters/glob.h"
#include "filters/url.h"

#define NEEDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_host(const char *host)
{
    char again[HOST_TEXT];
    NEEDS(strlen(host) < HOST_TEXT);
    NEEDS(host_normalise(span_of(host), again));
    NEEDS(strcmp(host, again) == 0);
}

static void check_url(struct span text)
{
    struct url url, again;
    if (!url_parse(text, &url))
        return;
    check_host(url.host);
    NEEDS(url.port != 0);
    NEEDS(span_index(url.target, '#') == url.target.size);
    size_t room = text.size * 3 + HOST_TEXT + 32;
    char *normal = malloc(room), *normal_again = malloc(room);
    NEEDS(normal && normal_again);
    size_t size = url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, room);
    NEEDS(size > 0 && size <= room);
    NEEDS(url_parse((struct span){normal, size}, &again));
    NEEDS(again.tls == url.tls && again.port == url.port && strcmp(again.host, url.host) == 0);
    NEEDS(url_normalise(again.tls, span_of(again.host), again.port, again.target, normal_again,
                        size) == size);
    NEEDS(memcmp(normal, normal_again, size) == 0);
    NEEDS(url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, size - 1) == 0);
    free(normal);
    free(normal_again);
}

static void check_redirector(struct span host, struct span target)
{
    static char buffer[REDIRECTOR_BUFFER];
    char normal[HOST_TEXT];
    struct url url, next;
    if (!host_normalise(host, normal))
        return;
    if (redirector_unwrap(span_of(normal), target, &url, buffer) != REDIRECTOR_TARGET)
        return;
    check_host(url.host);
    bool within = url.target.data >= buffer && url.target.data < buffer + sizeof(buffer) &&
                  url.target.size <= (size_t)(buffer + sizeof(buffer) - url.target.data);
    NEEDS(within || span_equal(url.target, SPAN("/")) || url.target.size == 0);
    static char other[REDIRECTOR_BUFFER];
    NEEDS(redirector_unwrap(span_of(url.host), url.target, &next, other) == REDIRECTOR_NONE);
}

static void check_decoding(struct span text)
{
    char *decoded = malloc(text.size + 1), *in_place = malloc(text.size + 1);
    NEEDS(decoded && in_place);
    size_t size = url_decode(text, decoded);
    NEEDS(size <= text.size);
    if (text.size)
        memcpy(in_place, text.data, text.size);
    NEEDS(url_decode((struct span){in_place, text.size}, in_place) == size);
    NEEDS(memcmp(decoded, in_place, size) == 0);
    if (span_index((struct span){decoded, size}, '*') == size)
        NEEDS(glob_matches_decoded((struct span){decoded, size}, text));
    free(decoded);
    free(in_place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    size_t first = span_index(text, '\n');
    struct span rest = span_from(text, first + 1);
    size_t second = span_index(rest, '\n');
    check_url(span_first(text, first));
    check_redirector(span_first(rest, second), span_from(rest, second + 1));
    check_decoding(text);
    return 0;
}
