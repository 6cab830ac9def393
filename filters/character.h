/* SPDX-License-Identifier: BSD-2-Clause */
/* Characters of Unicode: UTF-8, and those that matter because nobody sees them or because a link
 * ends before them. */
#ifndef FILTERS_CHARACTER_H
#define FILTERS_CHARACTER_H

#include "filters/span.h"

size_t character_encode(uint32_t character, char text[4]);
/* Decodes one that is known to be well-formed. Returns its bytes. */
size_t character_decode(struct span text, uint32_t *character);

/* Not seen: soft hyphen, joiners, zero-width, bidirectional controls, variation selectors, tags. */
bool character_is_unseen(uint32_t character);

/*
 * Blanks, dashes, quotes and brackets that no host holds and behind which a link does not go on.
 * Not the full stops of Japanese, which are dots to a browser, nor the full-width forms of ASCII.
 */
bool character_ends_link(uint32_t character);

#endif
