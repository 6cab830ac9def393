/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A span is a borrowed run of bytes: where it starts and how many there are. It is the one string
 * type of the cores: nothing that came from the network is ever taken to end with a NUL.
 */
#ifndef FILTERS_SPAN_H
#define FILTERS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *data; /* may be NULL when size is 0 */
    size_t size;      /* bytes */
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

/* The bytes of a NUL-terminated text, without the NUL. NULL gives an empty span. */
struct span span_of(const char *text);

bool span_equal(struct span a, struct span b);

/* ASCII letters compare without case, as in header names and host names. */
bool span_equal_nocase(struct span a, struct span b);
bool span_starts(struct span whole, struct span start);
bool span_starts_nocase(struct span whole, struct span start);
bool span_ends(struct span whole, struct span end);

/* Where `wanted` first occurs without regard to ASCII case; whole.size when it does not. */
size_t span_find_nocase(struct span whole, struct span wanted);

/* Where `byte` first occurs; whole.size when it does not. */
size_t span_index(struct span whole, char byte);

/* What is left from `offset` on; empty when `offset` is past the end. */
struct span span_from(struct span whole, size_t offset);

/* At most the first `size` bytes. */
struct span span_first(struct span whole, size_t size);

/* Without the spaces and tabs at both ends (OWS of RFC 9110, section 5.6.3). */
struct span span_trim(struct span whole);

/*
 * The next element of a list separated by `separator`, trimmed; advances *rest past it.
 * False when nothing is left.
 */
bool span_next(struct span *rest, char separator, struct span *element);

/* A decimal number of 1 to 19 digits and nothing else, at most INT64_MAX. */
bool span_number(struct span digits, int64_t *value);

#endif
