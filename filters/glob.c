/* SPDX-License-Identifier: BSD-2-Clause */
/* Matching of patterns with '*': on a mismatch the last star takes one unit more, never an earlier.
 */
#include "filters/glob.h"

#include "filters/ascii.h"

/* Reads one unit of the text: its byte, and how many bytes of the text it takes. */
typedef char unit_reader(struct span text, size_t *size);

static char read_byte(struct span text, size_t *size)
{
    *size = 1;
    return text.data[0];
}

int glob_hexadecimal(struct span digits)
{
    if (digits.size < 2)
        return -1;
    int high = ascii_digit(digits.data[0], 16), low = ascii_digit(digits.data[1], 16);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static char read_decoded(struct span text, size_t *size)
{
    int value = text.data[0] == '%' ? glob_hexadecimal(span_from(text, 1)) : -1;
    *size = value < 0 ? 1 : 3;
    return value < 0 ? text.data[0] : (char)value;
}

static bool match(struct span pattern, struct span text, unit_reader *read)
{
    bool starred = false;
    struct span after_star = pattern, retry = text;
    size_t size;

    while (text.size) {
        if (pattern.size && pattern.data[0] == '*') {
            pattern = span_from(pattern, 1);
            starred = true;
            after_star = pattern;
            retry = text;
        } else if (pattern.size && read(text, &size) == pattern.data[0]) {
            pattern = span_from(pattern, 1);
            text = span_from(text, size);
        } else if (starred) {
            read(retry, &size);
            retry = span_from(retry, size);
            text = retry;
            pattern = after_star;
        } else {
            return false;
        }
    }
    while (pattern.size && pattern.data[0] == '*')
        pattern = span_from(pattern, 1);
    return pattern.size == 0;
}

bool glob_matches(struct span pattern, struct span text)
{
    return match(pattern, text, read_byte);
}

bool glob_matches_decoded(struct span pattern, struct span text)
{
    return match(pattern, text, read_decoded);
}
