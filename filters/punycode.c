/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 3492, sections 6.1 and 6.3: see punycode.h. */
#include "filters/punycode.h"

#include <string.h>

#include "filters/character.h"

#define BASE    36
#define T_MIN   1
#define T_MAX   26
#define SKEW    38
#define DAMP    700
#define BIAS    72
#define FIRST   0x80
#define LETTERS PUNYCODE_LABEL /* of a label: each makes a byte at least */

struct code {
    char *text;
    size_t size;
    bool full;
};

static void put(struct code *code, char byte)
{
    code->full = code->full || code->size == PUNYCODE_LABEL;
    if (!code->full)
        code->text[code->size++] = byte;
}

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / DAMP : delta / 2;
    for (delta += delta / count; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static void put_delta(struct code *code, uint32_t delta, uint32_t bias)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
        if (delta < t)
            break;
        put(code, digits[t + (delta - t) % (BASE - t)]);
        delta = (delta - t) / (BASE - t);
    }
    put(code, digits[delta]);
}

/* The least character from `least` on. */
static uint32_t next_of(const uint32_t *letters, size_t count, uint32_t least)
{
    uint32_t next = UINT32_MAX;

    for (size_t i = 0; i < count; i++)
        if (letters[i] >= least && letters[i] < next)
            next = letters[i];
    return next;
}

/* No overflow: 63 letters times 0x110000 are far below 2^32. */
static void put_letters(struct code *code, const uint32_t *letters, size_t count, uint32_t plain)
{
    uint32_t least = FIRST, delta = 0, bias = BIAS, done = plain;

    while (done < count && !code->full) {
        uint32_t next = next_of(letters, count, least);
        delta += (next - least) * (done + 1);
        least = next;
        for (size_t i = 0; i < count; i++) {
            delta += letters[i] < least;
            if (letters[i] != least)
                continue;
            put_delta(code, delta, bias);
            bias = adapt(delta, done + 1, done == plain);
            delta = 0;
            done++;
        }
        delta++;
        least++;
    }
}

size_t punycode_encode(struct span label, char text[PUNYCODE_LABEL])
{
    struct code code = {.text = text};
    uint32_t letters[LETTERS], plain = 0;
    size_t count = 0;

    while (label.size > 0 && count < LETTERS) {
        label = span_from(label, character_decode(label, &letters[count]));
        if (letters[count] >= 'A' && letters[count] <= 'Z')
            letters[count] |= 0x20;
        count++;
    }
    if (label.size > 0)
        return 0;
    memcpy(text, "xn--", 4);
    code.size = 4;
    for (size_t i = 0; i < count; i++)
        if (letters[i] < FIRST) {
            put(&code, (char)letters[i]);
            plain++;
        }
    if (plain > 0)
        put(&code, '-');
    put_letters(&code, letters, count, plain);
    return code.full ? 0 : code.size;
}
