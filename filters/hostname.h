/* SPDX-License-Identifier: BSD-2-Clause */
/* What kinds of host patterns there are: shared by the set and by the single pattern. */
#ifndef FILTERS_HOSTNAME_H
#define FILTERS_HOSTNAME_H

#include "filters/hostset.h"

enum host_pattern_kind {
    PATTERN_EXACT, /* example.jp */
    PATTERN_GLOB,  /* us*file.example.jp: below the parent, the left-most label matches */
    PATTERN_BELOW, /* *.example.jp */
    PATTERN_WITHIN /* .example.jp */
};

/*
 * The kind of a normalised pattern; `key_offset` is where the fixed name begins: the whole name for
 * EXACT, otherwise the domain below which the pattern matches.
 */
enum host_pattern_kind host_pattern_kind(struct span pattern, size_t *key_offset);

#endif
