/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of options.h as arrays, and looking names up in them. */
#include "gateway/options.h"

#include <string.h>

const struct option_row option_rows[OPTION_ROW_COUNT] = {
#define X(section, name, type, initial, least, greatest, words, where, help)                       \
    {SECTION_##section, name, OPTION_##type, initial, least, greatest, words, where, help},
    OPTIONS(X)
#undef X
};

const struct section_row section_rows[SECTION_COUNT] = {{SECTION_ROOT, "", SECTION_ROOT, NULL, ""},
#define X(symbol, name, parent, title, help)                                                       \
    {SECTION_##symbol, name, SECTION_##parent, title, help},
                                                        SECTIONS(X)
#undef X
};

const struct option_type_row option_types[] = {
#define X(symbol, list, argument, expected) {list, argument, expected},
    OPTION_TYPES(X)
#undef X
};

const struct option_row *option_find(enum section section, const char *name)
{
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++)
        if (option_rows[i].section == section && strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    return NULL;
}

enum section section_find(enum section parent, const char *name)
{
    for (size_t i = 1; i < SECTION_COUNT; i++)
        if (section_rows[i].parent == parent && strcmp(section_rows[i].name, name) == 0)
            return section_rows[i].section;
    return SECTION_ROOT;
}

#define WORD_MAX 64

static unsigned least_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned option_distance(const char *a, const char *b)
{
    size_t as = strnlen(a, WORD_MAX), bs = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= bs; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= as; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= bs; j++) {
            unsigned cost = last[j - 1] + (a[i - 1] != b[j - 1]);
            cost = least_of(cost, least_of(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost = least_of(cost, before[j - 2] + 1);
            row[j] = cost;
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[bs];
}

static void consider(const char *candidate, const char *name, const char **best, unsigned *distance)
{
    unsigned found = option_distance(candidate, name);
    if (found < *distance) {
        *distance = found;
        *best = candidate;
    }
}

const char *option_nearest(enum section section, const char *name)
{
    const char *best = NULL;
    unsigned limit = (unsigned)strnlen(name, WORD_MAX) / 3;
    unsigned distance = (limit ? limit : 1) + 1;

    for (size_t i = 0; i < OPTION_ROW_COUNT; i++)
        if (option_rows[i].section == section)
            consider(option_rows[i].name, name, &best, &distance);
    for (size_t i = 1; i < SECTION_COUNT; i++)
        if (section_rows[i].parent == section)
            consider(section_rows[i].name, name, &best, &distance);
    if (section == SECTION_ROOT)
        consider("include", name, &best, &distance);
    return best;
}
