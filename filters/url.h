/* SPDX-License-Identifier: BSD-2-Clause */
/* Absolute http and https URLs, as far as the policy needs them (RFC 3986, WHATWG URL for the
 * rest). */
#ifndef FILTERS_URL_H
#define FILTERS_URL_H

#include "filters/hostset.h"

struct url {
    bool tls;             /* https */
    char host[HOST_TEXT]; /* as host_normalise() gives it */
    uint16_t port;        /* the scheme's own when none was written */
    struct span target;   /* path and query, borrowed from the text; "/" when empty; no fragment;
                             begins with '?' when no path was written */
};

/* False for another scheme, user information with a bad host, or anything that is not a URL. */
bool url_parse(struct span text, struct url *url);

#define URL_NORMAL_MAX                                                                             \
    16384 /* room for the normal form of every URL that the limits let through                     \
           */

/*
 * The normalised URL "scheme://host[:port]target" (port only when it is not the scheme's own),
 * whose SHA-256 is what the log, the releases and the learned links know of it. What browsers,
 * chats and people write differently for the same is one: a missing path is "/", a backslash in the
 * path '/', dot segments are gone; letters, digits and "-._~" are not escaped, and everything is
 * that some browser escapes; characters that nobody sees are left out. Returns the bytes written, 0
 * when `size` is too small. Not terminated.
 */
size_t url_normalise(bool tls, struct span host, uint16_t port, struct span target, char *text,
                     size_t size);

/*
 * What a reference means on the page `base` (RFC 3986, section 5.2), dot segments as they are. The
 * target of `url` borrows from `text` or from the reference. False when it leads to no http or
 * https URL.
 */
bool url_resolve(const struct url *base, struct span reference, char text[URL_NORMAL_MAX],
                 struct url *url);

/* Percent-decodes into `text` (at least encoded.size bytes) and returns the bytes written. */
size_t url_decode(struct span encoded, char *text);

/*
 * The target of a redirector (safelinks, google /url, l.facebook.com ...), for a request to
 * `host` and `target`. REDIRECTOR_NONE: it is none; REDIRECTOR_OPAQUE: it is one, but where it
 * leads cannot be read; REDIRECTOR_TARGET: `destination` is set, its target borrowing from
 * `buffer`. Nested redirectors are followed, at most five deep, then opaque.
 */
enum redirector { REDIRECTOR_NONE, REDIRECTOR_OPAQUE, REDIRECTOR_TARGET };
#define REDIRECTOR_BUFFER 8192
enum redirector redirector_unwrap(struct span host, struct span target, struct url *destination,
                                  char buffer[REDIRECTOR_BUFFER]);

#endif
