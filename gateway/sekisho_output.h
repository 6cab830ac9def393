/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the control program shows to people: tables that stay aligned with Japanese in them, times
 * and durations. Text that came from the network cannot steer the terminal.
 */
#ifndef GATEWAY_SEKISHO_OUTPUT_H
#define GATEWAY_SEKISHO_OUTPUT_H

#include <stdio.h>

#include "filters/span.h"

/*
 * A copy without controls, escapes and characters that reorder or hide text: each is spelled out as
 * <U+202E>; bytes that are not UTF-8 become U+FFFD. The caller frees.
 */
char *output_clean(struct span text);
/* The columns that it takes on a terminal: East Asian wide characters two, combining ones none. */
size_t output_width(const char *text);

/* A duration such as "30s", "10min", "30m", "4h", "1d", "2w", in seconds; at most a year. */
bool output_parse_duration(const char *text, int64_t *seconds);
/* "45s", "12min", "3h 05min", "2d 04h". */
#define OUTPUT_TEXT 64
void output_format_duration(int64_t seconds, char text[OUTPUT_TEXT]);
/* Local time, "2026-11-22 12:37:47". */
void output_format_time(int64_t seconds, char text[OUTPUT_TEXT]);
/* "950", "1.2k", "34M": bytes. */
void output_format_size(uint64_t bytes, char text[OUTPUT_TEXT]);

/* A table that is printed when it is whole. `headers` are borrowed. */
struct table;
struct table *table_new(const char *const *headers, size_t columns);
/* The next cell, row by row; it is cleaned and copied. */
void table_add(struct table *table, struct span cell);
void table_add_text(struct table *table, const char *cell);
void table_add_number(struct table *table, int64_t number);
size_t table_rows(const struct table *table);
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

#endif
