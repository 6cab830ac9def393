/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands around releases. */
#include "gateway/sekisho.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/sekisho_output.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add_release(struct table *table, const json_t *row)
{
    static const char *const keys[] = {"scope", "host", "reason", "by"};
    char text[OUTPUT_TEXT];

    table_add_number(table, json_integer_value(json_object_get(row, "id")));
    output_format_time(json_integer_value(json_object_get(row, "until")), text);
    table_add_text(table, text);
    if (json_object_get(row, "incident") != NULL)
        table_add_number(table, json_integer_value(json_object_get(row, "incident")));
    else
        table_add_text(table, "-");
    for (size_t i = 0; i < COUNT(keys); i++) {
        const json_t *value = json_object_get(row, keys[i]);

        table_add(table, (struct span){json_string_value(value), json_string_length(value)});
    }
}

/* `rows` is one release or an array of them. */
static void print_releases(const json_t *rows)
{
    static const char *const headers[] = {"ID",   "UNTIL",  "INCIDENT", "SCOPE",
                                          "HOST", "REASON", "BY"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i;
    json_t *row;

    if (json_is_object(rows))
        add_release(table, rows);
    json_array_foreach(rows, i, row) add_release(table, row);
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else
        puts("No release holds.");
    table_free(table);
}

static enum sekisho_exit ask(const struct sekisho *sekisho, json_t *request, const char *key)
{
    json_t *reply;
    enum sekisho_exit result = sekisho_ask(sekisho, request, &reply);

    if (reply != NULL && sekisho->values[OPTION_JSON] != NULL)
        sekisho_print_json(reply);
    else if (result == SEKISHO_OK && key != NULL)
        print_releases(json_object_get(reply, key));
    else if (result == SEKISHO_OK)
        printf("Release %" JSON_INTEGER_FORMAT " is over.\n",
               json_integer_value(json_object_get(reply, "id")));
    json_decref(reply);
    return result;
}

enum sekisho_exit sekisho_releases(const struct sekisho *sekisho)
{
    return ask(sekisho, json_pack("{s:s}", "command", "releases"), "releases");
}

static enum sekisho_exit end_release(const struct sekisho *sekisho)
{
    json_t *request;
    int64_t id;

    if (!span_number(span_of(sekisho->values[OPTION_END]), &id) || sekisho->count != 0) {
        fprintf(stderr, "usage: sekisho release --end ID\n");
        return SEKISHO_USAGE;
    }
    request = json_pack("{s:s, s:I, s:s*}", "command", "unrelease", "id", (json_int_t)id, "by",
                        sekisho->values[OPTION_BY]);
    if (request == NULL) {
        fprintf(stderr, "sekisho: --by is not UTF-8\n");
        return SEKISHO_USAGE;
    }
    return ask(sekisho, request, NULL);
}

enum sekisho_exit sekisho_release(const struct sekisho *sekisho)
{
    json_t *request;
    int64_t seconds;

    if (sekisho->values[OPTION_END] != NULL)
        return end_release(sekisho);
    if (sekisho->count != 1 || sekisho->values[OPTION_FOR] == NULL ||
        sekisho->values[OPTION_REASON] == NULL || sekisho->values[OPTION_BY] == NULL) {
        fprintf(stderr, "usage: sekisho release INCIDENT|URL|HOST --for 30m --reason TEXT --by "
                        "NAME\n       sekisho release --end ID [--by NAME]\n");
        return SEKISHO_USAGE;
    }
    if (!output_parse_duration(sekisho->values[OPTION_FOR], &seconds)) {
        fprintf(stderr, "sekisho: --for must be a duration such as 30m, 4h or 2d\n");
        return SEKISHO_USAGE;
    }
    request = json_pack("{s:s, s:s, s:I, s:s, s:s}", "command", "release", "what",
                        sekisho->arguments[0], "seconds", (json_int_t)seconds, "reason",
                        sekisho->values[OPTION_REASON], "by", sekisho->values[OPTION_BY]);
    if (request == NULL) {
        fprintf(stderr, "sekisho: what is released, --reason and --by must be UTF-8\n");
        return SEKISHO_USAGE;
    }
    return ask(sekisho, request, "release");
}
