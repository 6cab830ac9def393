/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of the configuration: a folder with all that a configuration names, and the
 * reports. */
#ifndef TESTS_UNIT_CONFIGURATION_FIXTURE_H
#define TESTS_UNIT_CONFIGURATION_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/configuration.h"
#include "gateway/options.h"

static char folder[64];
static char reports[65536]; /* of the last reading, one a line */

static const char *path_of(const char *name)
{
    static char path[2][512];
    static unsigned turn;
    char *text = path[turn++ % 2];
    snprintf(text, sizeof(path[0]), "%s/%s", folder, name);
    return text;
}

static void write_bytes(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void collect(void *context, const char *line)
{
    size_t used = strlen(reports);
    (void)context;
    assert_null(strchr(line, '\n'));
    snprintf(reports + used, sizeof(reports) - used, "%s\n", line);
}

#define BASE                                                                                       \
    "process { pages = \"pages\" }\n"                                                              \
    "tls { ca-certificate = \"ca.pem\" ca-key = \"ca-key.pem\" trust = \"ca.pem\" }\n"

static int prepare(void **state)
{
    static const char *const lists[] = {
        "shorteners",      "link-in-bio",    "free-hosting", "doh",
        "private-relay",   "mdca",           "updates",      "certificates",
        "captive-portals", "never-inspected"};
    char name[64], line[64];

    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sekisho-configuration-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    mkdir(path_of("lists"), 0755);
    mkdir(path_of("pages"), 0755);
    mkdir(path_of("services"), 0755);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        snprintf(name, sizeof(name), "lists/%s.txt", lists[i]);
        snprintf(line, sizeof(line), "# of the test\n.%s.example\n", lists[i]);
        write_text(name, line);
    }
    write_text("pages/block.html", "<p>");
    write_text("pages/messages.ja", "a = あ\n");
    write_text("pages/messages.en", "a = a\n");
    write_text("ca.pem", "-----BEGIN CERTIFICATE-----\n");
    write_text("ca-key.pem", "-----BEGIN PRIVATE KEY-----\n");
    write_text("base.conf", BASE);
    write_text("listen.conf", "listen \"explicit\" { }\n" BASE);
    return chmod(path_of("ca-key.pem"), 0600);
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *place)
{
    (void)facts, (void)type, (void)place;
    return remove(path);
}

static int clean(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Reads t.conf, whose text is `text` followed by the include of `base`. */
static struct configuration *attempt_with(const char *text, const char *base)
{
    char *whole = NULL;

    assert_true(asprintf(&whole, "%s\ninclude(\"%s\")\n", text, base) > 0);
    write_text("t.conf", whole);
    free(whole);
    reports[0] = '\0';
    return configuration_read(path_of("t.conf"), collect, NULL);
}

#endif
