/* SPDX-License-Identifier: BSD-2-Clause */
/* The way to the collector, with collectors of the test's own that come, go, and do not read. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "gateway/syslog.h"

struct fixture {
    struct event_base *base;
    struct configuration configuration;
    char directory[32], path[64];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/sekisho-syslog-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/log", fixture->directory);
    fixture->base = event_base_new();
    fixture->configuration.log_path = fixture->path;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    unlink(fixture->path);
    rmdir(fixture->directory);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

/* Lets the loop run for so many milliseconds. */
static void run(struct fixture *fixture, int milliseconds)
{
    struct timeval wait = {milliseconds / 1000, milliseconds % 1000 * 1000};

    event_base_loopexit(fixture->base, &wait);
    event_base_dispatch(fixture->base);
}

static int listen_local(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Binds to a loopback port (0: any) and has the configuration log to it. */
static int listen_internet(struct fixture *fixture, int type, uint16_t port)
{
    struct sockaddr_in *address = (void *)&fixture->configuration.log_address;
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->sin_port = htons(port);
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    fixture->configuration.log_address_size = size;
    fixture->configuration.log_transport = type == SOCK_STREAM ? LOG_TCP : LOG_UDP;
    return fd;
}

static uint16_t port_of(const struct fixture *fixture)
{
    return ntohs(
        ((const struct sockaddr_in *)(const void *)&fixture->configuration.log_address)->sin_port);
}

static int write_number(struct syslog *syslog, unsigned number)
{
    struct record record;

    record_init(&record, EVENT_BLOCK);
    record_set_number(&record, RECORD_SEQ, number);
    return syslog_write(syslog, &record);
}

static unsigned seq_of(const char *line)
{
    const char *found = strstr(line, "seq=\"");

    assert_non_null(found);
    return (unsigned)strtoul(found + 5, NULL, 10);
}

/* The next datagram as text, or NULL. */
static const char *datagram(int fd)
{
    static char text[RECORD_LINE];
    ssize_t size = recv(fd, text, sizeof(text) - 1, 0);

    if (size < 0)
        return NULL;
    text[size] = '\0';
    return text;
}

static void test_local(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_local(fixture);
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    const char *line;

    assert_int_equal(write_number(syslog, 7), 0);
    line = datagram(fd); /* at once: an idle connection needs no turn of the loop */
    assert_non_null(line);
    assert_memory_equal(line, "<28>1 ", 6);
    assert_int_equal(seq_of(line), 7);
    assert_null(strchr(line, '\n'));
    syslog_free(syslog);
    close(fd);
}

/* The socket is not there at first, goes away, and comes back: nothing is lost, order is kept. */
static void test_local_comes_and_goes(void **state)
{
    struct fixture *fixture = *state;
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    unsigned wanted = 0;
    const char *line;
    int fd;

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(write_number(syslog, i), 0);
    assert_int_equal(syslog_waiting(syslog), 3);
    fd = listen_local(fixture);
    run(fixture, 400);
    while ((line = datagram(fd)) != NULL)
        assert_int_equal(seq_of(line), wanted++);
    assert_int_equal(wanted, 3);
    close(fd);
    unlink(fixture->path);
    for (unsigned i = 3; i < 6; i++)
        assert_int_equal(write_number(syslog, i), 0);
    fd = listen_local(fixture);
    run(fixture, 500);
    while ((line = datagram(fd)) != NULL)
        assert_int_equal(seq_of(line), wanted++);
    assert_int_equal(wanted, 6);
    assert_int_equal(syslog_dropped(syslog), 0);
    syslog_free(syslog);
    close(fd);
}

/* A collector that does not read: the writer is never blocked, and all arrives once it reads. */
static void test_local_full(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_local(fixture);
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    unsigned wanted = 0;
    const char *line;

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(write_number(syslog, i), 0);
    assert_true(syslog_waiting(syslog) > 0);
    for (int round = 0; round < 1000 && wanted < 1000; round++) {
        while ((line = datagram(fd)) != NULL)
            assert_int_equal(seq_of(line), wanted++);
        run(fixture, 1);
    }
    assert_int_equal(wanted, 1000);
    assert_int_equal(syslog_waiting(syslog), 0);
    syslog_free(syslog);
    close(fd);
}

static void test_queue_bound(void **state)
{
    struct fixture *fixture = *state;
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    unsigned total = 0, first = 0, last = 0, received = 0;
    char told[64];
    const char *line;
    int fd;

    while (syslog_dropped(syslog) < 100)
        write_number(syslog, total++);
    assert_true(total > 1000 && syslog_waiting(syslog) == total - 100);
    fd = listen_local(fixture);
    for (int round = 0; round < 2000 && received < total - 100; round++) {
        while ((line = datagram(fd)) != NULL) {
            if (received == 0 && first == 0) {
                /* What was lost is told before what is left. */
                snprintf(told, sizeof(told), "detail=\"100 log lines dropped\"");
                assert_non_null(strstr(line, told));
                first = 1;
                continue;
            }
            last = seq_of(line);
            assert_int_equal(last, 100 + received);
            received++;
        }
        run(fixture, 5);
    }
    assert_int_equal(last, total - 1);
    assert_int_equal(syslog_dropped(syslog), 100);
    syslog_free(syslog);
    close(fd);
}

static void test_udp(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_internet(fixture, SOCK_DGRAM, 0);
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    const char *line;

    assert_int_equal(write_number(syslog, 9), 0);
    run(fixture, 20);
    line = datagram(fd);
    assert_non_null(line);
    assert_memory_equal(line, "<28>1 ", 6); /* no octet count in a datagram */
    assert_int_equal(seq_of(line), 9);
    /* A port that is closed for a while (ICMP errors come back) does not end it. */
    close(fd);
    for (unsigned i = 0; i < 5; i++) {
        write_number(syslog, 100 + i);
        run(fixture, 20);
    }
    fd = listen_internet(fixture, SOCK_DGRAM, port_of(fixture));
    write_number(syslog, 200);
    run(fixture, 1000);
    write_number(syslog, 201);
    run(fixture, 1000);
    line = NULL;
    for (const char *next; (next = datagram(fd)) != NULL;)
        line = next;
    assert_non_null(line);
    assert_int_equal(seq_of(line), 201);
    syslog_free(syslog);
    close(fd);
}

/* Takes whole frames off the front of `text`; how many lines there were. */
static unsigned frames_take(char *text, size_t *size, unsigned *wanted)
{
    unsigned frames = 0;
    char *end;
    size_t count;

    while (*size > 0 && (end = memchr(text, ' ', *size)) != NULL) {
        char line[RECORD_LINE];

        count = strtoul(text, NULL, 10);
        assert_true(count > 20 && count < sizeof(line));
        if (*size < (size_t)(end - text) + 1 + count)
            break;
        memcpy(line, end + 1, count);
        line[count] = '\0';
        assert_memory_equal(line, "<28>1 ", 6);
        assert_int_equal(seq_of(line), *wanted);
        (*wanted)++;
        frames++;
        *size -= (size_t)(end - text) + 1 + count;
        memmove(text, end + 1 + count, *size);
    }
    return frames;
}

static void test_tcp(void **state)
{
    static char text[400000];
    struct fixture *fixture = *state;
    int listener = listen_internet(fixture, SOCK_STREAM, 0), fd = -1, small = 2048;
    struct syslog *syslog;
    size_t size = 0;
    unsigned wanted = 0;

    /* A small window, so that lines are cut anywhere. */
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    syslog = syslog_new(fixture->base, &fixture->configuration);
    for (unsigned i = 0; i < 2000; i++)
        assert_int_equal(write_number(syslog, i), 0);
    for (int round = 0; round < 20000 && wanted < 2000; round++) {
        ssize_t got;

        run(fixture, 0);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        if (fd < 0)
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0 || (got = recv(fd, text + size, 700, 0)) <= 0)
            continue;
        size += (size_t)got;
        frames_take(text, &size, &wanted);
    }
    assert_int_equal(wanted, 2000);
    assert_int_equal(size, 0);
    syslog_free(syslog);
    close(fd);
    close(listener);
}

/* After a lost connection the stream begins with a whole line: no half frame is continued. */
static void test_tcp_reconnects(void **state)
{
    static char text[400000];
    struct fixture *fixture = *state;
    int listener = listen_internet(fixture, SOCK_STREAM, 0), fd;
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);
    unsigned wanted = 0;
    size_t size = 0;
    ssize_t got;

    run(fixture, 20);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    write_number(syslog, 0);
    run(fixture, 20);
    got = recv(fd, text, sizeof(text), 0);
    assert_true(got > 0);
    size = (size_t)got;
    assert_int_equal(frames_take(text, &size, &wanted), 1);
    close(fd);
    run(fixture, 20);
    for (unsigned i = 1; i < 5; i++)
        write_number(syslog, i);
    assert_int_equal(syslog_waiting(syslog), 4);
    run(fixture, 400);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    run(fixture, 50);
    got = recv(fd, text, sizeof(text), 0);
    assert_true(got > 0);
    size = (size_t)got;
    assert_int_equal(frames_take(text, &size, &wanted), 4);
    assert_int_equal(size, 0);
    syslog_free(syslog);
    close(fd);
    close(listener);
}

/* What can be sent is sent when the daemon stops, and what cannot is no leak. */
static void test_end(void **state)
{
    struct fixture *fixture = *state;
    struct syslog *syslog = syslog_new(fixture->base, &fixture->configuration);

    for (unsigned i = 0; i < 10; i++)
        write_number(syslog, i);
    syslog_free(syslog);
    syslog_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_local),
        TEST(test_local_comes_and_goes),
        TEST(test_local_full),
        TEST(test_queue_bound),
        TEST(test_udp),
        TEST(test_tcp),
        TEST(test_tcp_reconnects),
        TEST(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
