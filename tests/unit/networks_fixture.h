/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests that need a database of networks: tests/mmdb.pl writes it. */
#ifndef TESTS_UNIT_NETWORKS_FIXTURE_H
#define TESTS_UNIT_NETWORKS_FIXTURE_H

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* `lines` is "NETWORK ASN COUNTRY" a line. The caller includes cmocka.h. */
static void database_write(const char *path, const char *version, const char *schema,
                           const char *lines)
{
    const char *source = getenv("SEKISHO_SOURCE");
    char script[512], text[64] = "/tmp/sekisho-lines-XXXXXX";
    int fd = mkstemp(text), status = -1;
    posix_spawn_file_actions_t actions;
    pid_t pid;

    snprintf(script, sizeof(script), "%s/tests/mmdb.pl", source ? source : ".");
    char *words[] = {"perl", script, (char *)path, (char *)version, (char *)schema, NULL};
    assert_true(fd >= 0 && write(fd, lines, strlen(lines)) == (ssize_t)strlen(lines));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, 0), 0);
    assert_int_equal(posix_spawnp(&pid, "perl", &actions, NULL, words, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fd);
    unlink(text);
}

#endif
