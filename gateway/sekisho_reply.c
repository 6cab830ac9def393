/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's reply, read and shown: see sekisho_reply.h. */
#include "gateway/sekisho_reply.h"

#include <stdio.h>
#include <stdlib.h>

struct span reply_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return (struct span){json_string_value(value), json_string_length(value)};
}

int64_t reply_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

void reply_print_text(const char *before, struct span text, const char *after)
{
    char *clean = output_clean(text);

    printf("%s%s%s", before, clean, after);
    free(clean);
}

void reply_add(struct table *table, const json_t *row, const char *key, enum reply_form form)
{
    int64_t number = reply_number(row, key);
    char text[OUTPUT_TEXT] = "-";

    switch (form) {
    case REPLY_TEXT:
        table_add(table, reply_text(row, key));
        return;
    case REPLY_NUMBER:
        if (json_object_get(row, key) != NULL)
            snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, (json_int_t)number);
        break;
    case REPLY_TIME:
        output_format_time(number, text);
        break;
    case REPLY_AGE:
        output_format_duration(number / 1000, text);
        break;
    case REPLY_SIZE:
        output_format_size((uint64_t)number, text);
        break;
    }
    table_add_text(table, text);
}

static void add_row(struct table *table, const json_t *row, const struct reply_column *columns,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        reply_add(table, row, columns[i].key, columns[i].form);
}

void reply_print_rows(const json_t *rows, const struct reply_column *columns, size_t count,
                      const char *otherwise)
{
    const char *headers[REPLY_COLUMNS];
    struct table *table;
    size_t i;
    json_t *row;

    for (i = 0; i < count; i++)
        headers[i] = columns[i].header;
    table = table_new(headers, count);
    if (json_is_object(rows))
        add_row(table, rows, columns, count);
    json_array_foreach(rows, i, row) add_row(table, row, columns, count);
    reply_print_table(table, otherwise);
}

void reply_print_table(struct table *table, const char *otherwise)
{
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else
        puts(otherwise);
    table_free(table);
}
