/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that are borrowed: the comparisons and cuts that every core needs. ASCII only, no locale.
 */
#include "filters/span.h"

#include <string.h>

#include "filters/ascii.h"

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool equal_nocase(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool span_equal_nocase(struct span a, struct span b)
{
    return a.size == b.size && equal_nocase(a.data, b.data, a.size);
}

bool span_starts(struct span whole, struct span start)
{
    return whole.size >= start.size && span_equal(span_first(whole, start.size), start);
}

bool span_starts_nocase(struct span whole, struct span start)
{
    return whole.size >= start.size && equal_nocase(whole.data, start.data, start.size);
}

bool span_ends(struct span whole, struct span end)
{
    return whole.size >= end.size && span_equal(span_from(whole, whole.size - end.size), end);
}

size_t span_find_nocase(struct span whole, struct span wanted)
{
    if (wanted.size == 0)
        return 0;
    for (size_t i = 0; i + wanted.size <= whole.size; i++)
        if (equal_nocase(whole.data + i, wanted.data, wanted.size))
            return i;
    return whole.size;
}

size_t span_index(struct span whole, char byte)
{
    const char *found = whole.size ? memchr(whole.data, byte, whole.size) : NULL;
    return found ? (size_t)(found - whole.data) : whole.size;
}

struct span span_from(struct span whole, size_t offset)
{
    if (offset >= whole.size)
        return (struct span){NULL, 0};
    return (struct span){whole.data + offset, whole.size - offset};
}

struct span span_first(struct span whole, size_t size)
{
    return (struct span){whole.data, size < whole.size ? size : whole.size};
}

struct span span_trim(struct span whole)
{
    while (whole.size && is_blank(whole.data[0]))
        whole = span_from(whole, 1);
    while (whole.size && is_blank(whole.data[whole.size - 1]))
        whole.size--;
    return whole;
}

bool span_next(struct span *rest, char separator, struct span *element)
{
    if (rest->size == 0)
        return false;
    size_t end = span_index(*rest, separator);
    *element = span_trim(span_first(*rest, end));
    *rest = span_from(*rest, end + 1);
    return true;
}

bool span_number(struct span digits, int64_t *value)
{
    uint64_t sum = 0;
    if (digits.size < 1 || digits.size > 19)
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        /* 19 nines fit 64 bits without a sign */
        sum = sum * 10 + (uint64_t)(digits.data[i] - '0');
    }
    if (sum > INT64_MAX)
        return false;
    *value = (int64_t)sum;
    return true;
}
