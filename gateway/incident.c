/* SPDX-License-Identifier: BSD-2-Clause */
/* Incident numbers as people read them out, and as they type them in again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/page.h"
#include "gateway/utf8.h"

void incident_format(uint64_t incident, char *text)
{
    char digits[24];
    size_t count = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, incident), used = 0;

    text[used++] = '#';
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[used++] = '-';
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

/* What may stand between the digits: also as a Japanese keyboard gives it. */
static bool incident_skips(uint32_t character)
{
    static const uint32_t signs[] = {'#',    '-',    ' ',    '\t',   0x2010, 0x2011, 0x2012,
                                     0x2013, 0x2212, 0x3000, 0x30fc, 0xff03, 0xff0d};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (character == signs[i])
            return true;
    return false;
}

bool incident_parse(struct span text, uint64_t *incident)
{
    uint64_t value = 0;
    bool digits = false;

    while (text.size > 0) {
        uint32_t character;

        text = span_from(text, utf8_decode(text, &character));
        if (incident_skips(character))
            continue;
        if (character >= 0xff10 && character <= 0xff19) /* full-width digits */
            character = character - 0xff10 + '0';
        if (character < '0' || character > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, character - '0', &value))
            return false;
        digits = true;
    }
    if (digits)
        *incident = value;
    return digits;
}
