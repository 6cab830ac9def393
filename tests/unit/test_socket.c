/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the kernel's addresses and ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "gateway/socket.h"

static struct address address_of(const char *text)
{
    struct address address;

    assert_true(address_parse(span_of(text), &address));
    return address;
}

static void test_kernel_form(void **state)
{
    (void)state;
    struct sockaddr_storage out, expected;
    struct address address = address_of("192.0.2.77");

    memset(&out, 0xa5, sizeof(out));
    assert_int_equal(socket_address(&address, 8443, &out), sizeof(struct sockaddr_in));
    memset(&expected, 0, sizeof(expected)); /* nothing is left of what was there */
    struct sockaddr_in *four = (struct sockaddr_in *)&expected;
    four->sin_family = AF_INET;
    four->sin_port = htons(8443);
    assert_int_equal(inet_pton(AF_INET, "192.0.2.77", &four->sin_addr), 1);
    assert_memory_equal(&out, &expected, sizeof(out));

    address = address_of("2001:db8::77");
    memset(&out, 0xa5, sizeof(out));
    assert_int_equal(socket_address(&address, 53, &out), sizeof(struct sockaddr_in6));
    memset(&expected, 0, sizeof(expected));
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&expected;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(53);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::77", &six->sin6_addr), 1);
    assert_memory_equal(&out, &expected, sizeof(out));
}

static void test_there_and_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"0.0.0.0",    "127.0.0.1", "192.0.2.1", "255.255.255.255",
                                        "::",         "::1",       "fe80::1",   "2001:db8::ffff",
                                        "64:ff9b::1", "ff02::fb"};
    static const uint16_t ports[] = {0, 1, 443, 0x0102, 65535};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t j = 0; j < sizeof(ports) / sizeof(ports[0]); j++) {
            struct address address = address_of(texts[i]), back;
            struct sockaddr_storage storage;
            uint16_t port;

            memset(&back, 0xa5, sizeof(back));
            socket_address(&address, ports[j], &storage);
            socket_address_read(&storage, &back, &port);
            assert_true(address_equal(&address, &back));
            assert_memory_equal(&address, &back, sizeof(back)); /* the unused bytes too */
            assert_int_equal(port, ports[j]);
            socket_address_read(&storage, &back, NULL);
            assert_true(address_equal(&address, &back));
        }
}

/* A dual-stack socket shows an IPv4 peer as a mapped address: for the policy it is an IPv4 one. */
static void test_mapped(void **state)
{
    (void)state;
    struct sockaddr_storage storage = {0};
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    struct address address, expected = address_of("192.168.10.21");
    uint16_t port = 0;

    six->sin6_family = AF_INET6;
    six->sin6_port = htons(4000);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.168.10.21", &six->sin6_addr), 1);
    socket_address_read(&storage, &address, &port);
    assert_memory_equal(&address, &expected, sizeof(address));
    assert_int_equal(port, 4000);
    /* an address that only looks like one stays what it is */
    assert_int_equal(inet_pton(AF_INET6, "::fffe:192.168.10.21", &six->sin6_addr), 1);
    socket_address_read(&storage, &address, &port);
    assert_int_equal(address.family, 6);
    assert_memory_equal(address.bytes, &six->sin6_addr, 16);
}

static void test_foreign_family(void **state)
{
    (void)state;
    struct sockaddr_storage storage;
    struct address address, none = {0};
    uint16_t port = 7;

    memset(&storage, 0xff, sizeof(storage));
    storage.ss_family = AF_UNIX;
    memset(&address, 0xa5, sizeof(address));
    socket_address_read(&storage, &address, &port);
    assert_memory_equal(&address, &none, sizeof(none));
    assert_int_equal(port, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_form),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_foreign_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
