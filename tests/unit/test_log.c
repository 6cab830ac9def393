/* SPDX-License-Identifier: BSD-2-Clause */
/* Diagnostics: one write a line, nothing of a peer's text that a terminal would obey. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/log.h"

/* Standard error is one end of a packet socket meanwhile: each write is one packet. */
static int packets[2], kept;

static int setup(void **state)
{
    (void)state;
    kept = dup(STDERR_FILENO);
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0 &&
                   dup2(packets[1], STDERR_FILENO) >= 0
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(packets[0]);
    close(packets[1]);
    return 0;
}

static void assert_line(const char *expected)
{
    char text[20000];
    ssize_t size = recv(packets[0], text, sizeof(text) - 1, MSG_DONTWAIT);

    assert_true(size > 0);
    text[size] = '\0';
    assert_string_equal(text, expected);
    assert_true(recv(packets[0], text, sizeof(text), MSG_DONTWAIT) < 0);
}

static void test_lines(void **state)
{
    (void)state;
    log_init("worker 1");
    log_info("ready %d", 7);
    assert_line("worker 1: ready 7\n");
    log_warnx("%s", "odd");
    assert_line("worker 1: warning: odd\n");
    errno = ENOENT;
    log_warn("cannot open %s", "x");
    assert_int_equal(errno, ENOENT);
    assert_line("worker 1: warning: cannot open x: No such file or directory\n");
}

static void test_escaping(void **state)
{
    (void)state;
    log_init("t");
    log_info("%s", "a\nb\r\x1b[31m\x7f");
    assert_line("t: a\\x0ab\\x0d\\x1b[31m\\x7f\n");
    log_info("%s", "診察室 \xff\u202e \xc2\x9b");
    assert_line("t: 診察室 \\xff\\xe2\\x80\\xae \\xc2\\x9b\n");
}

static void test_long(void **state)
{
    char text[6000], line[20000];
    ssize_t size;

    (void)state;
    log_init("t");
    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    errno = EPERM;
    log_warn("%s", text);
    size = recv(packets[0], line, sizeof(line), MSG_DONTWAIT);
    assert_true(size > 4000 && size < 12000);
    assert_int_equal(line[size - 1], '\n');
    assert_ptr_equal(memchr(line, '\n', (size_t)size), line + size - 1);
}

static void test_fatal(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    log_init("t");
    pid = fork();
    if (pid == 0) {
        alarm(10);
        fatal("no %s", "way");
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_line("t: fatal: no way\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_lines), TEST(test_escaping), TEST(test_long),
                                       TEST(test_fatal)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
