/* SPDX-License-Identifier: BSD-2-Clause */
/* Checked allocation: a process without memory ends, and what it guarded stays shut. */
#include "filters/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NO_MEMORY 71

/* Neither stdio nor the handlers of exit() run: both may ask for memory. */
static _Noreturn void memory_end(void)
{
    static const char text[] = "sekisho: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)ignored;
    _exit(EXIT_NO_MEMORY);
}

void *memory_allocate(size_t count, size_t size)
{
    void *bytes = calloc(count ? count : 1, size ? size : 1);
    if (!bytes)
        memory_end();
    return bytes;
}

void *memory_resize(void *old, size_t count, size_t size)
{
    void *bytes = reallocarray(old, count ? count : 1, size ? size : 1);
    if (!bytes)
        memory_end();
    return bytes;
}

char *memory_string(const char *text)
{
    return memory_span(span_of(text));
}

char *memory_span(struct span bytes)
{
    if (bytes.size == SIZE_MAX)
        memory_end();
    char *copy = memory_allocate(bytes.size + 1, 1);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}
