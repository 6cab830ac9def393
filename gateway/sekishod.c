/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/custody.h"
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

/*
 * Goes into the background, in the same folder (the configuration's path may be relative) and with
 * the same standard error. Who started us waits until everything works, or learns that it does not.
 */
static int go_into_background(void)
{
    int ends[2];
    char word;

    if (pipe2(ends, O_CLOEXEC) != 0)
        fatal("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        fatal("cannot go into the background: %s", strerror(errno));
    if (pid > 0) {
        close(ends[1]);
        _exit(read(ends[0], &word, 1) == 1 ? 0 : 1);
    }
    close(ends[0]);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        fatal("/dev/null: %s", strerror(errno));
    close(null);
    return ends[1];
}

int main(int argc, char **argv)
{
    struct daemon_options options = {.path = SEKISHO_CONFIGURATION, .told = -1};
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
    custody_prepare();
    if (!options.foreground)
        options.told = go_into_background();
    return parent_run(&options);
}
