/* SPDX-License-Identifier: BSD-2-Clause */
/* `sekisho observe`: what the configuration does not name yet, in the form in which it would. */
#include "gateway/sekisho.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/configuration_parse.h"
#include "gateway/observed.h"
#include "gateway/sekisho_reply.h"

/* Only what can stand in the configuration: a host or a pattern, quoted. */
static bool is_pasteable(struct span host)
{
    for (size_t i = 0; i < host.size; i++)
        if (!isalnum((unsigned char)host.data[i]) && strchr("-._:*", host.data[i]) == NULL)
            return false;
    return host.size > 0;
}

/* --- what would have been blocked --- */

static void show_would_block(const json_t *reply)
{
    size_t i, printed = 0;
    json_t *row;

    puts("# What would have been blocked, by host. Paste what the clinic needs, after a look at\n"
         "# each, between the braces of clinic { allow = { ... } }:");
    json_array_foreach(json_object_get(reply, "hosts"), i, row)
    {
        struct span host = reply_text(row, "host");

        if (!is_pasteable(host))
            continue;
        printf("    \"%.*s\",  # %" PRId64 " times", (int)host.size, host.data,
               reply_number(row, "count"));
        reply_print_text(", ", reply_text(row, "reason"), "");
        printf(", last incident %" PRId64 "\n", reply_number(row, "incident"));
        printed++;
    }
    if (printed == 0)
        puts("# nothing");
}

/* --- the profile of a service --- */

static void print_counts(const json_t *row)
{
    const char *comma = "";

    for (int way = 0; way < OBSERVED_WAY_COUNT; way++) {
        const char *name = observed_way_name((enum observed_way)way);
        if (reply_number(row, name) > 0) {
            printf("%s%s %" PRId64, comma, name, reply_number(row, name));
            comma = ", ";
        }
    }
    if (reply_number(row, "stopped") > 0)
        reply_print_text(" (", reply_text(row, "reason"), ")");
}

/* Where a host belongs that no list names. */
enum place {
    PLACE_INSPECT,
    PLACE_SPLICE, /* its client does not take our certificate */
    PLACE_PART,   /* only loaded by pages */
    PLACE_NONE    /* listed elsewhere */
};

static enum place place_of(const json_t *row)
{
    if (!span_equal(reply_text(row, "class"), SPAN("unknown")) ||
        !is_pasteable(reply_text(row, "host")))
        return PLACE_NONE;
    if (reply_number(row, "rejected") > 0 && reply_number(row, "inspected") == 0)
        return PLACE_SPLICE;
    return json_is_true(json_object_get(row, "opened")) ? PLACE_INSPECT : PLACE_PART;
}

static size_t count_at(const json_t *touched, enum place place)
{
    size_t i, count = 0;
    json_t *row;

    json_array_foreach(touched, i, row) count += place_of(row) == place;
    return count;
}

/* An option with what the profile has and, behind it, what is new. */
static void print_option(const json_t *reply, const char *name, enum place place)
{
    const json_t *known = json_object_get(reply, name);
    const json_t *touched = json_object_get(reply, "touched");
    size_t left = json_array_size(known) + count_at(touched, place), i;
    json_t *row;

    if (left == 0)
        return;
    printf("    %s = {\n", name);
    json_array_foreach(known, i, row)
    {
        struct span host = {json_string_value(row), json_string_length(row)};
        left--;
        if (is_pasteable(host))
            printf("        \"%.*s\"%s\n", (int)host.size, host.data, left > 0 ? "," : "");
    }
    json_array_foreach(touched, i, row)
    {
        struct span host = reply_text(row, "host");
        if (place_of(row) != place)
            continue;
        left--;
        printf("        \"%.*s\"%s  # new: ", (int)host.size, host.data, left > 0 ? "," : "");
        print_counts(row);
        putchar('\n');
    }
    puts("    }");
}

static void print_rest(const json_t *touched, enum place place, const char *title)
{
    size_t i;
    json_t *row;

    if (count_at(touched, place) == 0)
        return;
    puts(title);
    json_array_foreach(touched, i, row)
    {
        if (place_of(row) != place)
            continue;
        reply_print_text("    # ", reply_text(row, "host"), ": ");
        if (place == PLACE_NONE) {
            reply_print_text("", reply_text(row, "class"), "");
            if (reply_text(row, "service").size > 0)
                reply_print_text(" ", reply_text(row, "service"), "");
            printf(", ");
        }
        print_counts(row);
        putchar('\n');
    }
}

static void show_service(const json_t *reply)
{
    const json_t *touched = json_object_get(reply, "touched");
    bool known = json_is_true(json_object_get(reply, "known"));

    reply_print_text("# What consultations with ", reply_text(reply, "service"),
                     " touched, beside what its profile names. Look at each new host\n"
                     "# before it stays: what the patient sent is among them, too.\n");
    if (!json_is_true(json_object_get(reply, "log_allowed")))
        puts("# log.allowed is false: only what was stopped is known.");
    reply_print_text("service \"", reply_text(reply, "service"), "\" {\n");
    if (!known)
        puts("    # There is no such profile yet: services/template.conf says what else belongs "
             "into it.");
    print_option(reply, "splice", PLACE_SPLICE);
    print_option(reply, "inspect", PLACE_INSPECT);
    print_rest(
        touched, PLACE_PART,
        "    # only as parts of pages, with which they pass; to be named if the call fails:");
    print_rest(touched, PLACE_NONE, "    # touched too, and listed elsewhere:");
    if (count_at(touched, PLACE_SPLICE) + count_at(touched, PLACE_INSPECT) == 0)
        puts("    # nothing new");
    puts("}");
}

enum sekisho_exit sekisho_observe(const struct sekisho *sekisho)
{
    const char *service = sekisho->values[OPTION_SERVICE];
    json_t *request = json_pack("{s:s, s:s*, s:s*}", "command", "observe", "service", service,
                                "from", sekisho->values[OPTION_FROM]);

    if (request == NULL || (service != NULL && !is_plain_name(service))) {
        fprintf(stderr,
                "sekisho: a service has letters, digits, - and _, a client is an address\n");
        json_decref(request);
        return SEKISHO_USAGE;
    }
    if (service == NULL &&
        (sekisho->values[OPTION_FROM] != NULL || sekisho->values[OPTION_SINCE] != NULL)) {
        fprintf(stderr, "sekisho: --from and --since belong to --service\n");
        json_decref(request);
        return SEKISHO_USAGE;
    }
    if (!sekisho_put_limit(sekisho, request) || !sekisho_put_since(sekisho, request)) {
        json_decref(request);
        return SEKISHO_USAGE;
    }
    return sekisho_ask_and_show(sekisho, request,
                                service == NULL ? show_would_block : show_service);
}
