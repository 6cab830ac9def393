/* SPDX-License-Identifier: BSD-2-Clause */
/* The control program: its command line. Each command takes only the options that mean something to
 * it. */
#include "gateway/sekisho.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "gateway/options.h"

#ifndef SEKISHO_CONFIGURATION
#define SEKISHO_CONFIGURATION SEKISHO_SYSCONF_DIR "/sekisho.conf"
#endif
#ifndef SEKISHO_VERSION
#define SEKISHO_VERSION "unreleased"
#endif

#define BIT(option)    (1u << OPTION_##option)
#define ASKS           (BIT(CONFIGURATION) | BIT(SOCKET) | BIT(JSON))
#define ANY_NUMBER     99
#define LONG_OPTION(n) (0x100 + (n))

static enum sekisho_exit version(const struct sekisho *sekisho);
static enum sekisho_exit help(const struct sekisho *sekisho);

/* X(name, arguments as the usage shows them, fewest, most, options, function, help) */
#define COMMANDS(X)                                                                                \
    X("check", "[FILE]", 0, 1, BIT(CONFIGURATION) | BIT(JSON), sekisho_check,                      \
      "read and check the configuration")                                                          \
    X("config", "--defaults | --manual", 0, 0, BIT(CONFIGURATION) | BIT(DEFAULTS) | BIT(MANUAL),   \
      sekisho_config, "write every option with its default")                                       \
    X("dns-config", "[--output FILE]", 0, 0, BIT(CONFIGURATION) | BIT(JSON) | BIT(OUTPUT),         \
      sekisho_dns_config, "write what dnsmasq is to know of the configuration")                    \
    X("status", "", 0, 0, ASKS, sekisho_status, "what is on, what happened, which processes run")  \
    X("flows", "", 0, 0, ASKS, sekisho_flows, "the live connections")                              \
    X("explain", "URL [--from CLIENT]", 1, 1, ASKS | BIT(FROM), sekisho_explain,                   \
      "which rule would decide, and why")                                                          \
    X("reload", "", 0, 0, ASKS, sekisho_reload, "read the configuration again")                    \
    X("incidents", "[--limit N] [--since 2h]", 0, 0, ASKS | BIT(LIMIT) | BIT(SINCE),               \
      sekisho_incidents, "what was blocked, newest first")                                         \
    X("observe", "[--limit N] | --service NAME [--from CLIENT] [--since 30m]", 0, 0,               \
      ASKS | BIT(LIMIT) | BIT(SERVICE) | BIT(FROM) | BIT(SINCE), sekisho_observe,                  \
      "what observe mode would have blocked, ready for clinic.allow; or what was touched "         \
      "during a service's consultations, ready for its profile")                                   \
    X("release", "INCIDENT|URL|HOST --for 30m --reason TEXT --by NAME | --end ID", 0, 1,           \
      ASKS | BIT(FOR) | BIT(REASON) | BIT(BY) | BIT(END), sekisho_release,                         \
      "allow an exception for a time, or end it")                                                  \
    X("releases", "", 0, 0, ASKS, sekisho_releases, "the releases that hold")                      \
    X("ca", SEKISHO_CA_USAGE, 1, 1,                                                                \
      BIT(CONFIGURATION) | BIT(JSON) | BIT(CLINIC) | BIT(ROOT_KEY) | BIT(PASSPHRASE) | BIT(NEXT) | \
          BIT(OLD) | BIT(DER) | BIT(ACTIVATE) | BIT(ISSUING) | BIT(OUTPUT),                        \
      sekisho_ca, "make the clinic's CA, show it, write its certificate, change it for another")   \
    X("seal", "FILE SEALED [--passphrase-file FILE]", 2, 2, BIT(PASSPHRASE), sekisho_seal,         \
      "write a copy of a file that only its passphrase opens")                                     \
    X("unseal", "SEALED FILE [--passphrase-file FILE]", 2, 2, BIT(PASSPHRASE), sekisho_unseal,     \
      "open it again")                                                                             \
    X("update", "[FILE|URL]", 0, 1, BIT(JSON), sekisho_update,                                     \
      "of the appliance: verify and install a new version, from a file or from the web server "    \
      "that the URL or network.conf names")                                                        \
    X("version", "", 0, 0, BIT(JSON), version, "the version of this program")                      \
    X("help", "", 0, ANY_NUMBER, ~0u, help, "this text")

static const struct command {
    const char *name, *usage;
    int fewest, most;
    unsigned options;
    enum sekisho_exit (*run)(const struct sekisho *sekisho);
    const char *help;
} commands[] = {
#define X(name, usage, fewest, most, options, function, help)                                      \
    {name, usage, fewest, most, options, function, help},
    COMMANDS(X)
#undef X
};

static const struct {
    const char *name, *help;
    char letter;
    bool value;
} switches[] = {
#define X(symbol, letter, name, value, help) {name, help, letter, value},
    SEKISHO_OPTIONS(X)
#undef X
};

/* --- texts --- */

static enum sekisho_exit version(const struct sekisho *sekisho)
{
    if (sekisho->values[OPTION_JSON] != NULL)
        printf("{\"version\": \"%s\"}\n", SEKISHO_VERSION);
    else
        puts("sekisho " SEKISHO_VERSION);
    return SEKISHO_OK;
}

static void usage(FILE *out)
{
    fputs("usage: sekisho [-c FILE] [-s SOCKET] [--json] COMMAND ...\n\ncommands:\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        fprintf(out, "  -%c, --%s%-*s %s\n", switches[i].letter, switches[i].name,
                (int)(17 - strlen(switches[i].name)), switches[i].value ? " X" : "",
                switches[i].help);
    fprintf(out, "\nexit status:\n");
#define X(symbol, status, text) fprintf(out, "  %d  %s\n", status, text);
    SEKISHO_EXITS(X)
#undef X
    fprintf(out, "\nThe configuration is %s unless -c says otherwise.\n", SEKISHO_CONFIGURATION);
}

static enum sekisho_exit help(const struct sekisho *sekisho)
{
    (void)sekisho;
    usage(stdout);
    return SEKISHO_OK;
}

/* --- the command line --- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Fills the values. 0, or 'h' or 'V' when that was asked, or '?' after a mistake. */
static int take_options(struct sekisho *sekisho, int argc, char **argv)
{
    struct option long_options[OPTION_COUNT + 3];
    char letters[3 * OPTION_COUNT + 3] = "hV";
    size_t used = 2;
    int found;

    memset(long_options, 0, sizeof(long_options));
    for (int i = 0; i < OPTION_COUNT; i++) {
        long_options[i] =
            (struct option){switches[i].name, switches[i].value, NULL, LONG_OPTION(i)};
        letters[used++] = switches[i].letter;
        if (switches[i].value)
            letters[used++] = ':';
    }
    long_options[OPTION_COUNT] = (struct option){"help", no_argument, NULL, 'h'};
    long_options[OPTION_COUNT + 1] = (struct option){"version", no_argument, NULL, 'V'};
    while ((found = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        int option = found - LONG_OPTION(0);

        for (int i = 0; i < OPTION_COUNT && option < 0; i++)
            if (found == switches[i].letter)
                option = i;
        if (option < 0)
            return found;
        if (sekisho->values[option] != NULL) {
            fprintf(stderr, "sekisho: --%s is given twice\n", switches[option].name);
            return '?';
        }
        sekisho->values[option] = optarg == NULL ? "" : optarg;
    }
    return 0;
}

static bool fits(const struct command *command, const struct sekisho *sekisho)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (sekisho->values[i] != NULL && (command->options & (1u << i)) == 0) {
            fprintf(stderr, "sekisho: %s takes no --%s\n", command->name, switches[i].name);
            return false;
        }
    if (sekisho->count < command->fewest || sekisho->count > command->most) {
        fprintf(stderr, "usage: sekisho %s %s\n", command->name, command->usage);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sekisho sekisho = {.count = 0};
    const struct command *command;

    setlocale(LC_TIME, "");
    switch (take_options(&sekisho, argc, argv)) {
    case 0:
        break;
    case 'h':
        return (int)help(&sekisho);
    case 'V':
        return (int)version(&sekisho);
    default:
        fputs("See sekisho help.\n", stderr);
        return SEKISHO_USAGE;
    }
    if (optind == argc) {
        usage(stderr);
        return SEKISHO_USAGE;
    }
    command = find_command(argv[optind]);
    if (command == NULL) {
        fprintf(stderr, "sekisho: there is no command %s. See sekisho help.\n", argv[optind]);
        return SEKISHO_USAGE;
    }
    sekisho.arguments = argv + optind + 1;
    sekisho.count = argc - optind - 1;
    sekisho.configuration = sekisho.values[OPTION_CONFIGURATION] != NULL
                                ? sekisho.values[OPTION_CONFIGURATION]
                                : SEKISHO_CONFIGURATION;
    if (!fits(command, &sekisho))
        return SEKISHO_USAGE;
    enum sekisho_exit result = command->run(&sekisho);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("sekisho: standard output");
        return SEKISHO_ERROR;
    }
    return (int)result;
}
