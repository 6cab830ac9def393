/* SPDX-License-Identifier: BSD-2-Clause */
/* Own addresses and neighbours, asked of the kernel that the test runs on; loopback is all it
 * needs. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/neighbour.h"

static struct address address(const char *text)
{
    struct address result = {0};

    result.family = strchr(text, ':') != NULL ? 6 : 4;
    assert_int_equal(inet_pton(result.family == 6 ? AF_INET6 : AF_INET, text, result.bytes), 1);
    return result;
}

static void test_self(void **state)
{
    static const struct {
        const char *text;
        bool own;
    } rows[] = {
        {"127.0.0.1", true},  {"127.200.3.4", true},  {"0.0.0.0", true},          {"::", true},
        {"192.0.2.1", false}, {"2001:db8::1", false}, {"255.255.255.255", false},
    };
    struct neighbours *neighbours = neighbours_new();
    struct address none = {0};

    (void)state;
    assert_non_null(neighbours);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address asked = address(rows[i].text);

        if (neighbours_is_own(neighbours, &asked, 1000) != rows[i].own)
            fail_msg("%s", rows[i].text);
    }
    assert_false(neighbours_is_own(neighbours, &none, 1000));
    neighbours_free(neighbours);
    neighbours_free(NULL);
}

/* Every address that getifaddrs() knows is one of our own, and none of them a neighbour of ours. */
static void test_own_addresses(void **state)
{
    struct neighbours *neighbours = neighbours_new();
    struct ifaddrs *list = NULL;
    unsigned seen = 0;
    uint8_t mac[6];

    (void)state;
    assert_int_equal(getifaddrs(&list), 0);
    for (const struct ifaddrs *row = list; row != NULL; row = row->ifa_next) {
        struct address own = {0};

        if (row->ifa_addr == NULL)
            continue;
        if (row->ifa_addr->sa_family == AF_INET) {
            own.family = 4;
            memcpy(own.bytes, &((struct sockaddr_in *)(void *)row->ifa_addr)->sin_addr, 4);
        } else if (row->ifa_addr->sa_family == AF_INET6) {
            own.family = 6;
            memcpy(own.bytes, &((struct sockaddr_in6 *)(void *)row->ifa_addr)->sin6_addr, 16);
        } else {
            continue;
        }
        assert_true(neighbours_is_own(neighbours, &own, 5000));
        assert_false(neighbours_find(neighbours, &own, 5000, mac));
        seen++;
    }
    assert_true(seen > 0);
    freeifaddrs(list);
    neighbours_free(neighbours);
}

static void test_unknown_neighbour(void **state)
{
    struct neighbours *neighbours = neighbours_new();
    struct address asked = address("192.0.2.77"), none = {0};
    uint8_t mac[6] = {1, 2, 3, 4, 5, 6};

    (void)state;
    /* Also with a clock that jumps either way. */
    for (int64_t now = -100000; now <= 100000; now += 50)
        assert_false(neighbours_find(neighbours, &asked, now, mac));
    assert_false(neighbours_find(neighbours, &asked, INT64_MAX, mac));
    assert_false(neighbours_find(neighbours, &asked, 0, mac));
    assert_false(neighbours_find(neighbours, &none, 0, mac));
    assert_memory_equal(mac, ((uint8_t[]){1, 2, 3, 4, 5, 6}), 6);
    neighbours_free(neighbours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_own_addresses),
        cmocka_unit_test(test_unknown_neighbour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
