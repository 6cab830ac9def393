/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/process.h"

static void usage(FILE *out)
{
    fputs("usage: sekishod [-f] [-c FILE]\n"
          "       sekishod -V | -h\n"
          "  -c FILE  the configuration (default " SEKISHO_CONFIGURATION ")\n"
          "  -f       stay in the foreground\n"
          "  -V       print the version\n",
          out);
}

int main(int argc, char **argv)
{
    struct daemon_options options = {.path = SEKISHO_CONFIGURATION};
    int option;

    while ((option = getopt(argc, argv, "c:fhV")) != -1) {
        switch (option) {
        case 'c':
            options.path = optarg;
            break;
        case 'f':
            options.foreground = true;
            break;
        case 'V':
            puts("sekishod " SEKISHO_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind != argc) {
        usage(stderr);
        return 2;
    }
    log_init("parent");
    if (!options.foreground && daemon(1, 1) != 0)
        fatal("cannot go into the background");
    return parent_run(&options);
}
