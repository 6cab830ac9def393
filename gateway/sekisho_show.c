/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that show what the daemon knows: status, flows, incidents, explain, reload. */
#include "gateway/sekisho.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/sekisho_output.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct span text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return (struct span){json_string_value(value), json_string_length(value)};
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_text(const char *before, struct span text, const char *after)
{
    char *clean = output_clean(text);

    printf("%s%s%s", before, clean, after);
    free(clean);
}

static void add_time(struct table *table, int64_t seconds)
{
    char text[OUTPUT_TEXT];

    output_format_time(seconds, text);
    table_add_text(table, text);
}

/* The table, or a line that says there is nothing. Frees it. */
static void print_table(struct table *table, const char *otherwise)
{
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else
        puts(otherwise);
    table_free(table);
}

enum sekisho_exit sekisho_ask_and_show(const struct sekisho *sekisho, json_t *request,
                                       void (*show)(const json_t *reply))
{
    json_t *reply;
    enum sekisho_exit result = sekisho_ask(sekisho, request, &reply);

    if (reply != NULL && sekisho->values[OPTION_JSON] != NULL)
        sekisho_print_json(reply);
    else if (result == SEKISHO_OK)
        show(reply);
    json_decref(reply);
    return result;
}

bool sekisho_put_limit(const struct sekisho *sekisho, json_t *request)
{
    const char *given = sekisho->values[OPTION_LIMIT];
    int64_t limit;

    if (given == NULL)
        return true;
    if (!span_number(span_of(given), &limit)) {
        fprintf(stderr, "sekisho: --limit must be a whole number\n");
        return false;
    }
    json_object_set_new(request, "limit", json_integer(limit));
    return true;
}

bool sekisho_put_since(const struct sekisho *sekisho, json_t *request)
{
    const char *since = sekisho->values[OPTION_SINCE];
    int64_t seconds;

    if (since == NULL)
        return true;
    if (!output_parse_duration(since, &seconds)) {
        fprintf(stderr, "sekisho: --since must be a duration such as 30m, 2h or 1d\n");
        return false;
    }
    json_object_set_new(request, "since", json_integer((int64_t)time(NULL) - seconds));
    return true;
}

/* --- status --- */

static void show_consultations(const json_t *list)
{
    static const char *const headers[] = {"CONSULTATION", "SERVICE", "SINCE", "UNTIL"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        table_add(table, text_of(row, "scope"));
        table_add(table, text_of(row, "service"));
        add_time(table, number_of(row, "since"));
        add_time(table, number_of(row, "until"));
    }
    print_table(table, "No consultation is on.");
    putchar('\n');
}

/* The peers of a call: "198.51.100.7 (AS30103, US)", and a sign for what is outside. */
static void add_peer(struct table *table, const json_t *call, const json_t *peer)
{
    char text[OUTPUT_TEXT], network[64] = "";
    int64_t asn = number_of(peer, "asn");
    struct span country = text_of(peer, "country");

    table_add(table, text_of(call, "client"));
    table_add(table, text_of(call, "room"));
    table_add(table, text_of(call, "service"));
    add_time(table, number_of(call, "since"));
    table_add(table, text_of(peer, "address"));
    if (asn != 0)
        snprintf(network, sizeof(network), "AS%" PRId64 " ", asn);
    snprintf(network + strlen(network), sizeof(network) - strlen(network), "%.*s%s",
             (int)country.size, country.size > 0 ? country.data : "",
             json_is_true(json_object_get(peer, "outside")) ? " OUTSIDE" : "");
    table_add_text(table, network);
    output_format_size((uint64_t)number_of(peer, "bytes"), text);
    table_add_text(table, text);
}

static void show_calls(const json_t *list)
{
    static const char *const headers[] = {"CALL OF", "ROOM",    "SERVICE", "SINCE",
                                          "PEER",    "NETWORK", "BYTES"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i, j;
    json_t *call, *peer;

    json_array_foreach(list, i, call)
    {
        json_array_foreach(json_object_get(call, "peers"), j, peer) add_peer(table, call, peer);
    }
    if (list != NULL) {
        print_table(table, "The kernel sees no call.");
        putchar('\n');
    } else {
        table_free(table);
    }
}

/* Those of the kernel's rules that have counted something. */
static void show_kernel(const json_t *counters)
{
    static const char *const headers[] = {"KERNEL", "PACKETS", "BYTES"};
    struct table *table = table_new(headers, COUNT(headers));
    char text[OUTPUT_TEXT];
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)counters, name, value)
    {
        if (number_of(value, "packets") == 0)
            continue;
        table_add_text(table, name);
        table_add_number(table, number_of(value, "packets"));
        output_format_size((uint64_t)number_of(value, "bytes"), text);
        table_add_text(table, text);
    }
    if (table_rows(table) > 0) {
        table_print(table, stdout);
        putchar('\n');
    }
    table_free(table);
}

static void show_counts(const json_t *counts, const char *header)
{
    const char *headers[] = {header, "COUNT"};
    struct table *table = table_new(headers, COUNT(headers));
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)counts, name, value)
    {
        table_add_text(table, name);
        table_add_number(table, json_integer_value(value));
    }
    if (table_rows(table) > 0) {
        table_print(table, stdout);
        putchar('\n');
    }
    table_free(table);
}

static void show_processes(const json_t *list)
{
    static const char *const headers[] = {"PROCESS", "SLOT",       "PID",
                                          "STATE",   "GENERATION", "RESTARTS"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        table_add(table, text_of(row, "role"));
        table_add_number(table, number_of(row, "slot"));
        table_add_number(table, number_of(row, "pid"));
        table_add(table, text_of(row, "state"));
        table_add_number(table, number_of(row, "generation"));
        table_add_number(table, number_of(row, "restarts"));
    }
    print_table(table, "The parent has said nothing of its processes yet.");
}

/* What somebody should do something about. */
static void show_troubles(const json_t *reply)
{
    const json_t *store = json_object_get(reply, "store");

    if (!json_is_true(json_object_get(store, "ok"))) {
        print_text("THE STORE FAILS: ", text_of(store, "failure"), "\n");
        printf("  %" PRId64 " incidents wait in memory, %" PRId64
               " were lost; no release can be granted.\n\n",
               number_of(store, "waiting"), number_of(store, "lost"));
    }
    if (number_of(reply, "syslog_dropped") > 0)
        printf("%" PRId64 " LOG LINES WERE DROPPED: the collector was away for too long.\n\n",
               number_of(reply, "syslog_dropped"));
}

static void show_status(const json_t *reply)
{
    char up[OUTPUT_TEXT];
    bool observe = strcmp(json_string_value(json_object_get(reply, "mode")) == NULL
                              ? ""
                              : json_string_value(json_object_get(reply, "mode")),
                          "observe") == 0;

    output_format_duration(number_of(reply, "uptime"), up);
    print_text("Sekisho ", text_of(reply, "version"), "");
    print_text(", mode ", text_of(reply, "mode"), "");
    printf(", the registry is up for %s\n\n", up);
    if (observe)
        puts("*** OBSERVE MODE: EVERYTHING IS JUDGED AND LOGGED, NOTHING IS BLOCKED ***\n");
    show_troubles(reply);
    show_consultations(json_object_get(reply, "consultations"));
    show_calls(json_object_get(reply, "calls"));
    show_counts(json_object_get(reply, "events"), "EVENT");
    show_counts(json_object_get(reply, "reasons"), "REASON");
    show_kernel(json_object_get(reply, "counters"));
    printf("Releases that hold: %" PRId64 "\n\n", number_of(reply, "releases"));
    show_processes(json_object_get(reply, "processes"));
}

enum sekisho_exit sekisho_status(const struct sekisho *sekisho)
{
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "status"), show_status);
}

/* --- flows --- */

static void show_flows(const json_t *reply)
{
    static const char *const headers[] = {"CLIENT",  "HOST", "DESTINATION", "STATE",
                                          "SERVICE", "AGE",  "UP",          "DOWN"};
    struct table *table = table_new(headers, COUNT(headers));
    char text[OUTPUT_TEXT];
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(reply, "flows"), i, row)
    {
        table_add(table, text_of(row, "client"));
        table_add(table, text_of(row, "host"));
        table_add(table, text_of(row, "destination"));
        table_add(table, text_of(row, "state"));
        table_add(table, text_of(row, "service"));
        output_format_duration(number_of(row, "age_ms") / 1000, text);
        table_add_text(table, text);
        output_format_size((uint64_t)number_of(row, "up"), text);
        table_add_text(table, text);
        output_format_size((uint64_t)number_of(row, "down"), text);
        table_add_text(table, text);
    }
    print_table(table, "There are no connections.");
    if (json_is_true(json_object_get(reply, "truncated")))
        puts("There are more.");
    if (number_of(reply, "silent_workers") > 0)
        printf("%" PRId64 " workers did not answer in time.\n", number_of(reply, "silent_workers"));
}

enum sekisho_exit sekisho_flows(const struct sekisho *sekisho)
{
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "flows"), show_flows);
}

/* --- incidents --- */

static void show_incidents(const json_t *reply)
{
    static const char *const headers[] = {"INCIDENT", "TIME", "EVENT", "REASON",
                                          "CLIENT",   "HOST", "PATH",  "RULE"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(reply, "incidents"), i, row)
    {
        table_add_number(table, number_of(row, "incident"));
        add_time(table, number_of(row, "time"));
        table_add(table, text_of(row, "event"));
        table_add(table, text_of(row, "reason"));
        table_add(table, text_of(row, "client"));
        table_add(table, text_of(row, "host"));
        table_add(table, text_of(row, "path"));
        table_add(table, text_of(row, "rule"));
    }
    print_table(table, "There are no incidents.");
}

enum sekisho_exit sekisho_incidents(const struct sekisho *sekisho)
{
    json_t *request = json_pack("{s:s}", "command", "incidents");

    if (!sekisho_put_limit(sekisho, request) || !sekisho_put_since(sekisho, request)) {
        json_decref(request);
        return SEKISHO_USAGE;
    }
    return sekisho_ask_and_show(sekisho, request, show_incidents);
}

/* --- explain, reload --- */

static void show_judgement(const json_t *reply, const char *key, const char *label)
{
    const json_t *both = json_object_get(reply, key);
    const json_t *flow = json_object_get(both, "flow"), *request = json_object_get(both, "request");

    printf("%s\n", label);
    if (flow != NULL) {
        print_text("  TLS       ", text_of(flow, "verdict"), "");
        print_text(" (", text_of(flow, "reason"), "");
        print_text(", rule ", text_of(flow, "rule"), ")\n");
        if (span_equal(text_of(flow, "verdict"), SPAN("splice")))
            puts("            passed on untouched: no request in it is looked at");
    }
    print_text("  request   ", text_of(request, "verdict"), "");
    print_text(" (", text_of(request, "reason"), "");
    print_text(", rule ", text_of(request, "rule"), ")\n");
    print_text("            ", text_of(request, "help"), "\n");
}

static void show_explain(const json_t *reply)
{
    const json_t *destination = json_object_get(reply, "destination");
    bool on = json_is_true(json_object_get(reply, "consultation"));

    print_text("host        ", text_of(destination, "host"), "\n");
    print_text("class       ", text_of(destination, "class"), "\n");
    if (text_of(destination, "service").size > 0)
        print_text("service     ", text_of(destination, "service"), "\n");
    if (text_of(destination, "rule").size > 0) {
        print_text("entry       ", text_of(destination, "entry"), "");
        print_text(" at ", text_of(destination, "rule"), "\n");
    }
    if (text_of(destination, "treatment").size > 0)
        print_text("treatment   ", text_of(destination, "treatment"), "\n");
    if (text_of(reply, "room").size > 0)
        print_text("room        ", text_of(reply, "room"), "\n");
    if (text_of(reply, "scope").size == 0)
        puts("scope       whether a consultation is on depends on the client (--from)\n");
    else
        print_text("scope       ", text_of(reply, "scope"),
                   on ? ": a consultation is on\n\n" : ": no consultation is on\n\n");
    show_judgement(reply, "during_consultation",
                   on ? "during a consultation (now)" : "during a consultation");
    show_judgement(reply, "outside_consultation",
                   on ? "outside a consultation" : "outside a consultation (now)");
    if (span_equal(text_of(reply, "mode"), SPAN("observe")))
        puts("\nOBSERVE MODE: what says block is logged and passed.");
}

enum sekisho_exit sekisho_explain(const struct sekisho *sekisho)
{
    json_t *request = json_pack("{s:s, s:s, s:s*}", "command", "explain", "url",
                                sekisho->arguments[0], "from", sekisho->values[OPTION_FROM]);

    if (request == NULL) {
        fprintf(stderr, "sekisho: the URL is not UTF-8\n");
        return SEKISHO_USAGE;
    }
    return sekisho_ask_and_show(sekisho, request, show_explain);
}

static void show_reload(const json_t *reply)
{
    print_text("", text_of(reply, "text"), "\n");
}

enum sekisho_exit sekisho_reload(const struct sekisho *sekisho)
{
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "reload"), show_reload);
}
