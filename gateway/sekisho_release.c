/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands around releases. */
#include "gateway/sekisho.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/sekisho_reply.h"

/* `rows` is one release or an array of them. */
static void print_releases(const json_t *rows)
{
    static const struct reply_column columns[] = {
        {"ID", "id", REPLY_NUMBER},
        {"UNTIL", "until", REPLY_TIME},
        {"INCIDENT", "incident", REPLY_NUMBER},
        {"SCOPE", "scope", REPLY_TEXT},
        {"HOST", "host", REPLY_TEXT},
        {"REASON", "reason", REPLY_TEXT},
        {"BY", "by", REPLY_TEXT},
    };

    reply_print_rows(rows, columns, COUNT(columns), "No release holds.");
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
        printf("Release %" PRId64 " is over.\n", reply_number(reply, "id"));
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
