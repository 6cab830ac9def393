/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets: what they are, and what is said when one cannot be had. */
#include "tests/unit/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "gateway/listener.h"
#include "gateway/socket.h"

static struct listener_options options_of(const char *text, uint16_t port, bool transparent)
{
    struct listener_options options = {.transparent = transparent, .rule = {"clinic.conf", 17}};
    struct address address;

    assert_true(address_parse(span_of(text), &address));
    options.address_size = socket_address(&address, port, &options.address);
    return options;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof(bound);
    struct address address;
    uint16_t port;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
    socket_address_read(&bound, &address, &port);
    return port;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static int connect_to(const struct listener_options *options, uint16_t port)
{
    struct sockaddr_storage bound = options->address, target;
    struct address address;

    socket_address_read(&bound, &address, NULL);
    socklen_t size = socket_address(&address, port, &target);
    int fd = socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&target, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void check_open(const char *text)
{
    struct listener_options options = options_of(text, 0, false);
    char error[256] = "untouched";
    int fd = listener_open(&options, error, sizeof(error));

    assert_true(fd >= 0);
    assert_string_equal(error, "untouched");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN));
    assert_true(option_of(fd, SOL_SOCKET, SO_REUSEADDR));
    assert_int_equal(accept(fd, NULL, NULL), -1); /* does not wait */
    assert_int_equal(errno, EAGAIN);
    int client = connect_to(&options, port_of(fd));
    assert_true(client >= 0);
    int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    assert_true(option_of(accepted, IPPROTO_TCP, TCP_NODELAY)); /* inherited */
    close(accepted);
    close(client);
    close(fd);
}

static void test_open(void **state)
{
    (void)state;
    check_open("127.0.0.1");
    check_open("::1");
}

/* The IPv6 socket leaves the IPv4 addresses of its port to others. */
static void test_families_apart(void **state)
{
    (void)state;
    struct listener_options six = options_of("::", 0, false);
    char error[256];
    int first = listener_open(&six, error, sizeof(error));

    assert_true(first >= 0);
    assert_true(option_of(first, IPPROTO_IPV6, IPV6_V6ONLY));
    struct listener_options four = options_of("0.0.0.0", port_of(first), false);
    int second = listener_open(&four, error, sizeof(error));
    assert_true(second >= 0);
    close(first);
    close(second);
}

static void test_errors(void **state)
{
    (void)state;
    struct listener_options options = options_of("127.0.0.1", 0, false);
    char error[256], expected[256], small[24];
    int first = listener_open(&options, error, sizeof(error));

    assert_true(first >= 0);
    unsigned before = descriptors_open();
    options = options_of("127.0.0.1", port_of(first), false);
    assert_int_equal(listener_open(&options, error, sizeof(error)), -1);
    snprintf(
        expected, sizeof(expected),
        "clinic.conf:17: listen \"explicit\" on 127.0.0.1 port %u: bind: Address already in use",
        port_of(first));
    assert_string_equal(error, expected);
    assert_int_equal(listener_open(&options, small, sizeof(small)), -1);
    assert_string_equal(small, "clinic.conf:17: listen ");
    options.address.ss_family = AF_UNSPEC;
    assert_int_equal(listener_open(&options, error, sizeof(error)), -1);
    assert_non_null(strstr(error, ": socket: "));
    assert_int_equal(descriptors_open(), before);
    close(first);
}

/* An address of nobody here, as before the network is up: it is held until an interface has it. */
static void test_address_to_come(void **state)
{
    static const char *const addresses[] = {"192.0.2.1", "2001:db8::1"};

    (void)state;
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct listener_options options = options_of(addresses[i], 0, false);
        char error[256] = "untouched";
        int fd = listener_open(&options, error, sizeof(error));

        assert_true(fd >= 0);
        assert_string_equal(error, "untouched");
        assert_true(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN));
        close(fd);
    }
}

/* Either the process may, and then the socket is transparent, or it is told what it lacks. */
static void test_transparent(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        int level, name;
    } cases[] = {{"127.0.0.1", IPPROTO_IP, IP_TRANSPARENT},
                 {"::1", IPPROTO_IPV6, IPV6_TRANSPARENT}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct listener_options options = options_of(cases[i].address, 0, true);
        char error[256];
        int fd = listener_open(&options, error, sizeof(error));
        if (fd >= 0) {
            assert_true(option_of(fd, cases[i].level, cases[i].name));
            close(fd);
        } else {
            assert_non_null(strstr(error, "clinic.conf:17: listen \"transparent\" on "));
            assert_non_null(strstr(error,
                                   ": IP_TRANSPARENT (it needs CAP_NET_ADMIN): Operation not "
                                   "permitted"));
        }
    }
}

static void test_same(void **state)
{
    (void)state;
    struct listener_options one = options_of("127.0.0.1", 8443, true), other = one;

    other.rule = (struct rule){"other.conf", 3}; /* where it is written makes no difference */
    assert_true(listener_is_same(&one, &other));
    other = options_of("127.0.0.1", 8444, true);
    assert_false(listener_is_same(&one, &other));
    other = options_of("127.0.0.2", 8443, true);
    assert_false(listener_is_same(&one, &other));
    other = options_of("127.0.0.1", 8443, false);
    assert_false(listener_is_same(&one, &other));
    other = options_of("::1", 8443, true);
    assert_false(listener_is_same(&one, &other));
    one = options_of("::1", 8443, true);
    assert_true(listener_is_same(&one, &other));
    other = options_of("::2", 8443, true);
    assert_false(listener_is_same(&one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),        cmocka_unit_test(test_families_apart),
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_address_to_come),
        cmocka_unit_test(test_transparent), cmocka_unit_test(test_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
