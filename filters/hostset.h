/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of host patterns, asked for every connection and every request.
 *
 *   example.jp      that name and no other
 *   *.example.jp    every name below it, not the name itself
 *   .example.jp     the name and every name below it
 *   *file.zoom.us   a '*' as part of the left-most label stands for any bytes of that label (at
 * least none) 192.0.2.7       an address literal, matched only exactly
 *
 * The most specific entry wins: exact, then glob, then the longest suffix.
 */
#ifndef FILTERS_HOSTSET_H
#define FILTERS_HOSTSET_H

#include "filters/span.h"

/* Where a rule stands in the configuration. `file` lives as long as the configuration; NULL: built
 * in. */
struct rule {
    const char *file;
    unsigned line;
};

struct hostset;

struct hostset_entry {
    const char *pattern; /* normalised */
    int tag;             /* the caller's */
    struct rule rule;
};

struct hostset *hostset_new(void);
void hostset_free(struct hostset *set);

/*
 * Adds a pattern. Upper case is folded, a trailing dot dropped, and a name that is not ASCII is
 * turned into A-labels (IDNA 2008, libidn2). NULL when added, otherwise a message in static
 * storage. The first of two equal patterns stays.
 */
const char *hostset_add(struct hostset *set, struct span pattern, int tag, struct rule rule);

/* The deciding entry for a host name (any case, trailing dot allowed), or NULL. Borrowed. */
const struct hostset_entry *hostset_find(const struct hostset *set, struct span host);
/* The same for a name as host_normalise() gives it, which many sets are asked for. */
const struct hostset_entry *hostset_find_normal(const struct hostset *set, struct span name);

size_t hostset_count(const struct hostset *set);
const struct hostset_entry *hostset_at(const struct hostset *set, size_t index);

/*
 * A host as the filters compare it: lower case, no trailing dot, no brackets; LDH labels of 1 to 63
 * bytes, 253 in all, or an address literal. False when it is not a host (RFC 1123 section 2.1; an
 * underscore is accepted, as browsers do). `text` takes HOST_TEXT bytes.
 */
#define HOST_TEXT 254
bool host_normalise(struct span host, char *text);

/* True when a host as host_normalise() gives it is an address literal. */
bool host_is_literal(struct span host);

/*
 * A single pattern, for those that keep no set: `text` (HOST_PATTERN_TEXT bytes) becomes the
 * pattern in the form in which a set keeps it. NULL when it is one, otherwise a message in static
 * storage.
 */
#define HOST_PATTERN_TEXT 384
const char *host_pattern_normalise(struct span pattern, char *text);

/* `pattern` as host_pattern_normalise() gives it, `host` as host_normalise() gives it. */
bool host_pattern_matches(struct span pattern, struct span host);

#endif
