/* SPDX-License-Identifier: BSD-2-Clause */
/* Labels of host names in letters that are not ASCII, as A-labels (RFC 3492). */
#ifndef FILTERS_PUNYCODE_H
#define FILTERS_PUNYCODE_H

#include "filters/span.h"

#define PUNYCODE_LABEL 63 /* bytes of an A-label at most */

/*
 * Writes "xn--" and the code of a label of well-formed UTF-8 with something in it that is not
 * ASCII. Returns the bytes, 0 when it is too long for a label. Nothing is mapped but the case of
 * ASCII.
 */
size_t punycode_encode(struct span label, char text[PUNYCODE_LABEL]);

#endif
