/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the control program: its options, its commands, and how it speaks to the daemon. */
#ifndef GATEWAY_SEKISHO_H
#define GATEWAY_SEKISHO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* X(symbol, status, help): the exit statuses. */
#define SEKISHO_EXITS(X)                                                                           \
    X(OK, 0, "done")                                                                               \
    X(ERROR, 1, "the answer is an error, or a check failed")                                       \
    X(USAGE, 2, "wrong command line")                                                              \
    X(UNREACHABLE, 3, "the daemon cannot be reached")                                              \
    X(NOTHING_NEWER, 4, "update: there is nothing newer to install")
enum sekisho_exit {
#define X(symbol, status, help) SEKISHO_##symbol = status,
    SEKISHO_EXITS(X)
#undef X
};

/* X(symbol, short option, long option, takes a value, help): each is one bit of a command's mask.
 */
#define SEKISHO_OPTIONS(X)                                                                         \
    X(CONFIGURATION, 'c', "configuration", true, "the configuration file")                         \
    X(SOCKET, 's', "socket", true, "the control socket of the daemon")                             \
    X(JSON, 'j', "json", false, "answer in JSON")                                                  \
    X(LIMIT, 'n', "limit", true, "at most so many rows")                                           \
    X(SINCE, 'S', "since", true, "only of the last so long, such as 2h or 1d")                     \
    X(FROM, 'f', "from", true, "the client that asks: address or MAC address")                     \
    X(SERVICE, 'N', "service", true, "the service, as its profile calls it")                       \
    X(FOR, 't', "for", true, "how long, such as 30m or 4h")                                        \
    X(REASON, 'r', "reason", true, "why, in a sentence")                                           \
    X(BY, 'b', "by", true, "who decided it")                                                       \
    X(END, 'e', "end", true, "the id of the release to end")                                       \
    X(CLINIC, 'C', "clinic", true, "the clinic's name, for the certificate")                       \
    X(ROOT_KEY, 'R', "root-key", true, "the file of the root's key, encrypted")                    \
    X(PASSPHRASE, 'P', "passphrase-file", true, "the file whose first line is the passphrase")     \
    X(NEXT, 'x', "next", false, "the CA that is prepared")                                         \
    X(OLD, 'O', "old", false, "the CA before the present one")                                     \
    X(DER, 'D', "der", false, "DER in place of PEM")                                               \
    X(ACTIVATE, 'a', "activate", false, "put the prepared CA in force")                            \
    X(ISSUING, 'i', "issuing", false, "a new issuing CA under the same root")                      \
    X(OUTPUT, 'o', "output", true, "the file to be written")                                       \
    X(DEFAULTS, 'd', "defaults", false, "every option with its default")                           \
    X(MANUAL, 'm', "manual", false, "the options' section of sekisho.conf(5)")
enum sekisho_option {
#define X(symbol, letter, name, value, help) OPTION_##symbol,
    SEKISHO_OPTIONS(X)
#undef X
        OPTION_COUNT
};

#define SEKISHO_CA_USAGE                                                                           \
    "init [--clinic NAME] [--root-key FILE [--passphrase-file FILE]]\n"                            \
    "     show [--next | --old]\n"                                                                 \
    "     export [--next | --old] [--der] [--output FILE]\n"                                       \
    "     rotate [--clinic NAME] [--issuing] [--root-key FILE [--passphrase-file FILE]]\n"         \
    "     rotate --activate"

struct sekisho {
    const char *values[OPTION_COUNT]; /* NULL: not given; "" for one that takes no value */
    const char *configuration;
    char **arguments; /* after the command's name */
    int count;
};

/* --- sekisho_client.c --- */

/*
 * Sends a request (the reference is taken) to the daemon and gives its answer, the caller's
 * reference. With SEKISHO_UNREACHABLE or SEKISHO_ERROR the reason has been told on standard error
 * and stands in the answer. With SEKISHO_USAGE there is none.
 */
enum sekisho_exit sekisho_ask(const struct sekisho *sekisho, json_t *request, json_t **reply);
enum sekisho_exit sekisho_ask_socket(const char *path, json_t *request, json_t **reply);
/* Writes JSON with a newline; pure ASCII for a terminal, which must not be steered by what is in
 * it. */
void sekisho_print_json(const json_t *json);

/* --- sekisho_paths.c --- */

/* The path of the control socket, by the configuration where it says one. The caller frees. */
char *sekisho_find_socket(const char *configuration);

/* --- sekisho_local.c --- */

/* What the configuration module complains of: a configuration_report. */
struct complaints {
    json_t *lines;
    bool quiet; /* only into `lines`, not to standard error */
    unsigned count;
};
void sekisho_complain(void *complaints, const char *line);

/* --- the commands --- */

enum sekisho_exit sekisho_check(const struct sekisho *sekisho);
enum sekisho_exit sekisho_config(const struct sekisho *sekisho);
enum sekisho_exit sekisho_dns_config(const struct sekisho *sekisho);
enum sekisho_exit sekisho_ca(const struct sekisho *sekisho);
enum sekisho_exit sekisho_seal(const struct sekisho *sekisho);
enum sekisho_exit sekisho_unseal(const struct sekisho *sekisho);
enum sekisho_exit sekisho_update(const struct sekisho *sekisho);
enum sekisho_exit sekisho_status(const struct sekisho *sekisho);
enum sekisho_exit sekisho_flows(const struct sekisho *sekisho);
enum sekisho_exit sekisho_explain(const struct sekisho *sekisho);
enum sekisho_exit sekisho_reload(const struct sekisho *sekisho);
enum sekisho_exit sekisho_incidents(const struct sekisho *sekisho);
/* --limit and --since into the request. False after it was said what is wrong. */
bool sekisho_put_limit(const struct sekisho *sekisho, json_t *request);
bool sekisho_put_since(const struct sekisho *sekisho, json_t *request);
/* Asks and prints: as JSON, or through `show`. */
enum sekisho_exit sekisho_ask_and_show(const struct sekisho *sekisho, json_t *request,
                                       void (*show)(const json_t *reply));
enum sekisho_exit sekisho_observe(const struct sekisho *sekisho);
enum sekisho_exit sekisho_release(const struct sekisho *sekisho);
enum sekisho_exit sekisho_releases(const struct sekisho *sekisho);

#endif
