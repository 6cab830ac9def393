/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's reply, read and shown. What is missing in it, or of another type, is empty or 0: the
 * daemon may be of another version.
 */
#ifndef GATEWAY_SEKISHO_REPLY_H
#define GATEWAY_SEKISHO_REPLY_H

#include <jansson.h>

#include "gateway/sekisho_output.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Borrowed from the object. */
struct span reply_text(const json_t *object, const char *key);
int64_t reply_number(const json_t *object, const char *key);

/* The text, cleaned, between two of ours. */
void reply_print_text(const char *before, struct span text, const char *after);

/* How a value is shown in a table. */
enum reply_form {
    REPLY_TEXT,
    REPLY_NUMBER, /* "-" where there is none */
    REPLY_TIME,   /* of Unix seconds */
    REPLY_AGE,    /* of milliseconds */
    REPLY_SIZE    /* of bytes */
};

struct reply_column {
    const char *header, *key;
    enum reply_form form;
};

#define REPLY_COLUMNS 8 /* at most */

/* A cell of the key's value in the object `row`. */
void reply_add(struct table *table, const json_t *row, const char *key, enum reply_form form);

/* Prints one row for each object of an array, or for a single object; `otherwise` when there is
 * none. */
void reply_print_rows(const json_t *rows, const struct reply_column *columns, size_t count,
                      const char *otherwise);

/* Prints the table, or the line that says there is nothing, and frees it. */
void reply_print_table(struct table *table, const char *otherwise);

#endif
