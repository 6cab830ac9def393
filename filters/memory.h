/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checked allocation. When there is no memory the process says so on standard error and ends with
 * status 71: the parent replaces it, and until then nothing gets out (fail closed). Every size that
 * the network can choose is bounded before it comes here.
 */
#ifndef FILTERS_MEMORY_H
#define FILTERS_MEMORY_H

#include <stddef.h>

#include "filters/span.h"

/* `count` objects of `size` bytes, zeroed. The caller frees with free(). */
void *memory_allocate(size_t count, size_t size);

/* Like realloc() for `count` objects of `size` bytes; new bytes are not zeroed. */
void *memory_resize(void *old, size_t count, size_t size);

/* A NUL-terminated copy; the caller frees. */
char *memory_string(const char *text);
char *memory_span(struct span bytes);

#endif
