/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes of ASCII, the same whatever the locale is. */
#ifndef FILTERS_ASCII_H
#define FILTERS_ASCII_H

#include "filters/span.h"

static inline char ascii_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

static inline bool ascii_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline bool ascii_is_alphanumeric(char byte)
{
    return ascii_is_digit(byte) || (ascii_lower(byte) >= 'a' && ascii_lower(byte) <= 'z');
}

/* What the digit stands for in the base, at most 16, of either case; -1 when it is none. */
static inline int ascii_digit(char byte, int base)
{
    char small = ascii_lower(byte);
    int digit = -1;

    if (ascii_is_digit(byte))
        digit = byte - '0';
    else if (small >= 'a' && small <= 'f')
        digit = small - 'a' + 10;
    return digit < base ? digit : -1;
}

/* Whether the text has nothing else. */
static inline bool ascii_alone(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    return true;
}

#endif
