/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses are of the internet, and which of those are not fetched from all the same. */
#include <ifaddrs.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/fetch_address.h"
#include "gateway/socket.h"

static struct address address(const char *text)
{
    struct address result;

    assert_true(address_parse(span_of(text), &result));
    return result;
}

static void test_public(void **state)
{
    static const struct {
        const char *text;
        bool is_public;
    } rows[] = {
        {"0.0.0.0", false},
        {"0.1.2.3", false},
        {"9.255.255.255", true},
        {"10.0.0.0", false},
        {"10.255.255.255", false},
        {"11.0.0.0", true},
        {"100.63.255.255", true},
        {"100.64.0.1", false},
        {"100.127.255.255", false},
        {"100.128.0.0", true},
        {"127.0.0.1", false},
        {"127.255.255.254", false},
        {"169.254.169.254", false},
        {"172.15.255.255", true},
        {"172.16.0.1", false},
        {"172.31.255.255", false},
        {"172.32.0.0", true},
        {"192.0.0.8", false},
        {"192.0.2.1", true},
        {"192.88.99.1", false},
        {"192.167.255.255", true},
        {"192.168.10.1", false},
        {"192.169.0.0", true},
        {"198.17.255.255", true},
        {"198.18.0.1", false},
        {"198.19.255.255", false},
        {"203.0.113.9", true},
        {"223.255.255.255", true},
        {"224.0.0.1", false},
        {"240.0.0.1", false},
        {"255.255.255.255", false},
        {"::", false},
        {"::1", false},
        {"::192.0.2.1", false},
        {"::ffff:10.0.0.1", false},
        {"::ffff:192.0.2.1", true},
        {"64:ff9b::10.0.0.1", false},
        {"64:ff9b::192.0.2.1", true},
        {"64:ff9b:1::192.0.2.1", false},
        {"100::1", false},
        {"2001::1", false},
        {"2001:2::1", false},
        {"2001:1::1", false},
        {"2001:3::1", false},
        {"2001:10::1", false},
        {"2001:20::1", false},
        {"2001:1ff:ffff::1", false},
        {"2001:200::1", true},
        {"2001:db8::1", true},
        {"2002:a00:1::1", false},
        {"2002:c000:201::1", true},
        {"2606:4700::1", true},
        {"3fff:ffff::1", true},
        {"4000::1", false},
        {"fc00::1", false},
        {"fd00:10::1", false},
        {"fe80::1", false},
        {"fec0::1", false},
        {"ff02::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address asked = address(rows[i].text);
        if (fetch_address_is_public(&asked) != rows[i].is_public)
            fail_msg("%s", rows[i].text);
    }
    /* The mapped form as bytes, which address_parse() undoes. */
    struct address mapped = {6, {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1}};
    assert_false(fetch_address_is_public(&mapped));
}

static void test_closed_networks(void **state)
{
    struct network networks[] = {{{4, {203, 0, 113}}, 25}};
    struct bypass bypasses[] = {{.networks = networks, .network_count = 1}};
    struct configuration configuration = {.bypasses = bypasses, .bypasses_count = 1};
    struct neighbours *neighbours = neighbours_new();

    (void)state;
    assert_non_null(neighbours);
    struct address inside = address("203.0.113.9"), outside = address("203.0.113.129");
    assert_false(fetch_address_allowed(&configuration, neighbours, &inside, 1000));
    assert_true(fetch_address_allowed(&configuration, neighbours, &outside, 1000));
    neighbours_free(neighbours);
}

/* The rule of links, asked of the link that every machine has. */
static void test_links(void **state)
{
    struct neighbours *neighbours = neighbours_new();
    struct address near = address("127.0.0.77"), far = address("192.0.2.1");
    unsigned loopback = if_nametoindex("lo");

    (void)state;
    assert_non_null(neighbours);
    assert_true(loopback > 0);
    assert_true(neighbours_is_on_link(neighbours, &near, loopback, 1000));
    assert_false(neighbours_is_on_link(neighbours, &far, loopback, 1000));
    assert_false(neighbours_is_on_link(neighbours, &near, loopback + 10000, 1000));
    neighbours_free(neighbours);
}

static void test_own(void **state)
{
    struct configuration configuration = {.lan_count = 0};
    struct neighbours *neighbours = neighbours_new();
    struct ifaddrs *list = NULL;

    (void)state;
    assert_int_equal(getifaddrs(&list), 0);
    for (struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
        struct sockaddr_storage own = {0};
        struct address asked;
        if (entry->ifa_addr == NULL ||
            (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6))
            continue;
        memcpy(&own, entry->ifa_addr,
               entry->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                     : sizeof(struct sockaddr_in6));
        socket_address_read(&own, &asked, NULL);
        assert_false(fetch_address_allowed(&configuration, neighbours, &asked, 1000));
    }
    freeifaddrs(list);
    neighbours_free(neighbours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_closed_networks),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
