/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager hears: one datagram on a socket in the file system or beside it. */
#include "tests/unit/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "gateway/notify.h"

/* A manager's socket at `path`; '@' stands for the abstract namespace. */
static int manager_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && length < sizeof(address.sun_path));
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return fd;
}

static void check_message(int manager, const char *expected)
{
    char text[256] = "";

    ssize_t size = recv(manager, text, sizeof(text) - 1, 0);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(text, expected);
}

static void check_silence(int manager)
{
    char text[8];

    assert_int_equal(recv(manager, text, sizeof(text), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_path(void **state)
{
    (void)state;
    char folder[] = "/tmp/test-notify-XXXXXX", path[64];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/notify", folder);
    int manager = manager_open(path);
    setenv("NOTIFY_SOCKET", path, 1);
    unsigned before = descriptors_open();
    notify_send("READY=1");
    notify_send("STATUS=2 workers\nWATCHDOG=1");
    check_message(manager, "READY=1");
    check_message(manager, "STATUS=2 workers\nWATCHDOG=1");
    check_silence(manager);
    assert_int_equal(descriptors_open(), before);
    close(manager);
    unlink(path);
    /* a manager that is gone is no reason to stop */
    before = descriptors_open();
    notify_send("STOPPING=1");
    assert_int_equal(descriptors_open(), before);
    rmdir(folder);
}

static void test_abstract(void **state)
{
    (void)state;
    char path[64];

    snprintf(path, sizeof(path), "@test-notify-%d", (int)getpid());
    int manager = manager_open(path);
    setenv("NOTIFY_SOCKET", path, 1);
    notify_send("RELOADING=1");
    check_message(manager, "RELOADING=1");
    close(manager);
}

/* A manager that does not read keeps nobody waiting. */
static void test_full_queue(void **state)
{
    (void)state;
    char path[64];

    snprintf(path, sizeof(path), "@test-notify-full-%d", (int)getpid());
    int manager = manager_open(path);
    setenv("NOTIFY_SOCKET", path, 1);
    int64_t from = clock_monotonic();
    unsigned before = descriptors_open();
    for (int i = 0; i < 600; i++)
        notify_send("WATCHDOG=1");
    assert_true(clock_monotonic() < from + 5000);
    assert_int_equal(descriptors_open(), before);
    check_message(manager, "WATCHDOG=1");
    close(manager);
}

/* The longest path that a socket can have has no room for a NUL; one more byte is too long. */
static void test_lengths(void **state)
{
    (void)state;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];

    memset(path, 'x', sizeof(path));
    path[0] = '@';
    path[sizeof(path) - 3] = '\0'; /* one less than sun_path holds */
    snprintf(path + 1, 20, "test-notify-%07d", (int)getpid());
    path[strlen(path)] = 'x';
    int manager = manager_open(path);
    setenv("NOTIFY_SOCKET", path, 1);
    notify_send("READY=1");
    check_message(manager, "READY=1");
    for (size_t longer = sizeof(path) - 2; longer < sizeof(path); longer++) {
        path[longer - 1] = 'x';
        path[longer] = '\0';
        setenv("NOTIFY_SOCKET", path, 1);
        notify_send("READY=1");
        check_silence(manager); /* and never sent to where a shorter name would lead */
    }
    close(manager);
}

static void test_nobody_to_tell(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "relative/path", "vsock:2:1234"};

    unsigned before = descriptors_open();
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    for (size_t i = 0; i < COUNT(paths); i++) {
        setenv("NOTIFY_SOCKET", paths[i], 1);
        notify_send("READY=1");
    }
    assert_int_equal(descriptors_open(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),           cmocka_unit_test(test_abstract),
        cmocka_unit_test(test_full_queue),     cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_nobody_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
