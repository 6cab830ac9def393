/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns in which '*' stands for any bytes, at least none. Everything else stands for itself.
 * Without recursion; the time is bounded by the product of both sizes, and patterns are short and
 * the configuration's.
 */
#ifndef FILTERS_GLOB_H
#define FILTERS_GLOB_H

#include "filters/span.h"

bool glob_matches(struct span pattern, struct span text);

/* The same, with each %XX of the text taken as the byte that it stands for (RFC 3986, section 2.1).
 */
bool glob_matches_decoded(struct span pattern, struct span text);

/* The value of two hexadecimal digits at the start of `digits`, or -1. */
int glob_hexadecimal(struct span digits);

#endif
