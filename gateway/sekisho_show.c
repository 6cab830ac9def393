/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that show what the daemon knows: status, flows, incidents, explain, reload. */
#include "gateway/sekisho.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/sekisho_reply.h"

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
    static const struct reply_column columns[] = {
        {"CONSULTATION", "scope", REPLY_TEXT},
        {"SERVICE", "service", REPLY_TEXT},
        {"SINCE", "since", REPLY_TIME},
        {"UNTIL", "until", REPLY_TIME},
    };

    reply_print_rows(list, columns, COUNT(columns), "No consultation is on.");
    putchar('\n');
}

/* The peers of a call: "198.51.100.7 (AS30103, US)", and a sign for what is outside. */
static void add_peer(struct table *table, const json_t *call, const json_t *peer)
{
    char network[64] = "";
    int64_t asn = reply_number(peer, "asn");
    struct span country = reply_text(peer, "country");

    reply_add(table, call, "client", REPLY_TEXT);
    reply_add(table, call, "room", REPLY_TEXT);
    reply_add(table, call, "service", REPLY_TEXT);
    reply_add(table, call, "since", REPLY_TIME);
    reply_add(table, peer, "address", REPLY_TEXT);
    if (asn != 0)
        snprintf(network, sizeof(network), "AS%" PRId64 " ", asn);
    snprintf(network + strlen(network), sizeof(network) - strlen(network), "%.*s%s",
             (int)country.size, country.size > 0 ? country.data : "",
             json_is_true(json_object_get(peer, "outside")) ? " OUTSIDE" : "");
    table_add_text(table, network);
    reply_add(table, peer, "bytes", REPLY_SIZE);
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
        reply_print_table(table, "The kernel sees no call.");
        putchar('\n');
    } else {
        table_free(table);
    }
}

/* The table and an empty line, where it has rows. Frees it. */
static void print_some(struct table *table)
{
    if (table_rows(table) > 0) {
        table_print(table, stdout);
        putchar('\n');
    }
    table_free(table);
}

/* Those of the kernel's rules that have counted something. */
static void show_kernel(const json_t *counters)
{
    static const char *const headers[] = {"KERNEL", "PACKETS", "BYTES"};
    struct table *table = table_new(headers, COUNT(headers));
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)counters, name, value)
    {
        if (reply_number(value, "packets") == 0)
            continue;
        table_add_text(table, name);
        reply_add(table, value, "packets", REPLY_NUMBER);
        reply_add(table, value, "bytes", REPLY_SIZE);
    }
    print_some(table);
}

/* Devices that do not take our certificate, and what could be done. */
static void show_distrust(const json_t *list)
{
    static const char *const headers[] = {"DISTRUST OF", "HOST", "TIMES", "LAST", "WHAT HELPS"};
    struct table *table = table_new(headers, COUNT(headers));
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        reply_add(table, row, "client", REPLY_TEXT);
        reply_add(table, row, "host", REPLY_TEXT);
        reply_add(table, row, "count", REPLY_NUMBER);
        reply_add(table, row, "last", REPLY_TIME);
        reply_add(table, row, "hint", REPLY_TEXT);
    }
    print_some(table);
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
    print_some(table);
}

static void show_processes(const json_t *list)
{
    static const struct reply_column columns[] = {
        {"PROCESS", "role", REPLY_TEXT},
        {"SLOT", "slot", REPLY_NUMBER},
        {"PID", "pid", REPLY_NUMBER},
        {"STATE", "state", REPLY_TEXT},
        {"GENERATION", "generation", REPLY_NUMBER},
        {"RESTARTS", "restarts", REPLY_NUMBER},
    };

    reply_print_rows(list, columns, COUNT(columns),
                     "The parent has said nothing of its processes yet.");
}

/* What somebody should do something about. */
static void show_troubles(const json_t *reply)
{
    const json_t *store = json_object_get(reply, "store");

    if (!json_is_true(json_object_get(store, "ok"))) {
        reply_print_text("THE STORE FAILS: ", reply_text(store, "failure"), "\n");
        printf("  %" PRId64 " incidents wait in memory, %" PRId64
               " were lost; no release can be granted.\n\n",
               reply_number(store, "waiting"), reply_number(store, "lost"));
    }
    if (reply_number(reply, "syslog_dropped") > 0)
        printf("%" PRId64 " LOG LINES WERE DROPPED: the collector was away for too long.\n\n",
               reply_number(reply, "syslog_dropped"));
}

static void show_status(const json_t *reply)
{
    char up[OUTPUT_TEXT];
    bool observe = strcmp(json_string_value(json_object_get(reply, "mode")) == NULL
                              ? ""
                              : json_string_value(json_object_get(reply, "mode")),
                          "observe") == 0;

    output_format_duration(reply_number(reply, "uptime"), up);
    reply_print_text("Sekisho ", reply_text(reply, "version"), "");
    reply_print_text(", mode ", reply_text(reply, "mode"), "");
    printf(", the registry is up for %s\n\n", up);
    if (observe)
        puts("*** OBSERVE MODE: EVERYTHING IS JUDGED AND LOGGED, NOTHING IS BLOCKED ***\n");
    show_troubles(reply);
    show_consultations(json_object_get(reply, "consultations"));
    show_calls(json_object_get(reply, "calls"));
    show_distrust(json_object_get(reply, "distrust"));
    show_counts(json_object_get(reply, "events"), "EVENT");
    show_counts(json_object_get(reply, "reasons"), "REASON");
    show_kernel(json_object_get(reply, "counters"));
    printf("Releases that hold: %" PRId64 "\n\n", reply_number(reply, "releases"));
    show_processes(json_object_get(reply, "processes"));
}

enum sekisho_exit sekisho_status(const struct sekisho *sekisho)
{
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "status"), show_status);
}

/* --- flows --- */

static void show_flows(const json_t *reply)
{
    static const struct reply_column columns[] = {
        {"CLIENT", "client", REPLY_TEXT},
        {"HOST", "host", REPLY_TEXT},
        {"DESTINATION", "destination", REPLY_TEXT},
        {"STATE", "state", REPLY_TEXT},
        {"SERVICE", "service", REPLY_TEXT},
        {"AGE", "age_ms", REPLY_AGE},
        {"UP", "up", REPLY_SIZE},
        {"DOWN", "down", REPLY_SIZE},
    };

    reply_print_rows(json_object_get(reply, "flows"), columns, COUNT(columns),
                     "There are no connections.");
    if (json_is_true(json_object_get(reply, "truncated")))
        puts("There are more.");
    if (reply_number(reply, "silent_workers") > 0)
        printf("%" PRId64 " workers did not answer in time.\n",
               reply_number(reply, "silent_workers"));
}

enum sekisho_exit sekisho_flows(const struct sekisho *sekisho)
{
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "flows"), show_flows);
}

/* --- incidents --- */

static void show_incidents(const json_t *reply)
{
    static const struct reply_column columns[] = {
        {"INCIDENT", "incident", REPLY_NUMBER}, {"TIME", "time", REPLY_TIME},
        {"EVENT", "event", REPLY_TEXT},         {"REASON", "reason", REPLY_TEXT},
        {"CLIENT", "client", REPLY_TEXT},       {"HOST", "host", REPLY_TEXT},
        {"PATH", "path", REPLY_TEXT},           {"RULE", "rule", REPLY_TEXT},
    };

    reply_print_rows(json_object_get(reply, "incidents"), columns, COUNT(columns),
                     "There are no incidents.");
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
        reply_print_text("  TLS       ", reply_text(flow, "verdict"), "");
        reply_print_text(" (", reply_text(flow, "reason"), "");
        reply_print_text(", rule ", reply_text(flow, "rule"), ")\n");
        if (span_equal(reply_text(flow, "verdict"), SPAN("splice")))
            puts("            passed on untouched: no request in it is looked at");
    }
    reply_print_text("  request   ", reply_text(request, "verdict"), "");
    reply_print_text(" (", reply_text(request, "reason"), "");
    reply_print_text(", rule ", reply_text(request, "rule"), ")\n");
    reply_print_text("            ", reply_text(request, "help"), "\n");
}

static void show_explain(const json_t *reply)
{
    const json_t *destination = json_object_get(reply, "destination");
    bool on = json_is_true(json_object_get(reply, "consultation"));

    reply_print_text("host        ", reply_text(destination, "host"), "\n");
    reply_print_text("class       ", reply_text(destination, "class"), "\n");
    if (reply_text(destination, "service").size > 0)
        reply_print_text("service     ", reply_text(destination, "service"), "\n");
    if (reply_text(destination, "rule").size > 0) {
        reply_print_text("entry       ", reply_text(destination, "entry"), "");
        reply_print_text(" at ", reply_text(destination, "rule"), "\n");
    }
    if (reply_text(destination, "treatment").size > 0)
        reply_print_text("treatment   ", reply_text(destination, "treatment"), "\n");
    if (reply_text(reply, "room").size > 0)
        reply_print_text("room        ", reply_text(reply, "room"), "\n");
    if (reply_text(reply, "scope").size == 0)
        puts("scope       whether a consultation is on depends on the client (--from)\n");
    else
        reply_print_text("scope       ", reply_text(reply, "scope"),
                         on ? ": a consultation is on\n\n" : ": no consultation is on\n\n");
    show_judgement(reply, "during_consultation",
                   on ? "during a consultation (now)" : "during a consultation");
    show_judgement(reply, "outside_consultation",
                   on ? "outside a consultation" : "outside a consultation (now)");
    if (span_equal(reply_text(reply, "mode"), SPAN("observe")))
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
    reply_print_text("", reply_text(reply, "text"), "\n");
}

/* What counts from now on is there after a power cut too; other file systems may hang. */
static void settle(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return;
    syncfs(fd);
    close(fd);
}

enum sekisho_exit sekisho_reload(const struct sekisho *sekisho)
{
    settle(sekisho->configuration);
    return sekisho_ask_and_show(sekisho, json_pack("{s:s}", "command", "reload"), show_reload);
}
