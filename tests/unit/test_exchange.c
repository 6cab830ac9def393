/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields, addresses and networks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "gateway/exchange.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct address parse(const char *text)
{
    struct address address;
    assert_true(address_parse(span_of(text), &address));
    return address;
}

static void test_field_find(void **state)
{
    (void)state;
    const struct field fields[] = {
        {SPAN("Host"), SPAN("a")}, {SPAN("hOsT"), SPAN("b")}, {SPAN("Hos"), SPAN("c")}};
    assert_ptr_equal(field_find(fields, 3, SPAN("HOST")), &fields[1]);
    assert_ptr_equal(field_find(fields, 1, SPAN("host")), &fields[0]);
    assert_null(field_find(fields, 3, SPAN("Hosts")));
    assert_null(field_find(NULL, 0, SPAN("host")));
}

static void test_address_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
        int family;
    } good[] = {
        {"192.0.2.7", "192.0.2.7", 4},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", 6},
        {"::", "::", 6},
        {"::ffff:192.0.2.7", "192.0.2.7", 4},
        {"::ffff:c000:207", "192.0.2.7", 4},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.254", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
         6},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct address address = parse(good[i].text);
        char text[ADDRESS_TEXT];
        assert_int_equal(address.family, good[i].family);
        address_format(&address, text);
        assert_string_equal(text, good[i].canonical);
    }
    static const char *const bad[] = {
        "",           "1.2.3",    "1.2.3.256",    "01.2.3.4", "1.2.3.4.", "0x7f.1",
        "2130706433", "[::1]",    "fe80::1%eth0", "::1:",     ":1",       "1::2::3",
        "1.2.3.4:80", " 1.2.3.4", "12345::",      "例"};
    struct address address;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(address_parse(span_of(bad[i]), &address));
        assert_int_equal(address.family, 0);
    }
    assert_false(address_parse(SPAN("1.2.3.4\0"), &address));
    char text[ADDRESS_TEXT] = "x";
    address_format(&address, text);
    assert_string_equal(text, "");
}

static void test_address_equal(void **state)
{
    (void)state;
    struct address four = parse("192.0.2.7"), same = parse("::ffff:192.0.2.7");
    struct address six = parse("2001:db8::7");
    same.bytes[5] = 9; /* not part of an IPv4 address */
    assert_true(address_equal(&four, &same));
    assert_false(address_equal(&four, &six));
    same.bytes[3] = 8;
    assert_false(address_equal(&four, &same));
    assert_true(address_equal(&(struct address){0}, &(struct address){0}));
}

static void test_address_is_local(void **state)
{
    (void)state;
    static const char *const local[] = {"0.0.0.0",
                                        "0.1.2.3",
                                        "127.0.0.1",
                                        "127.255.255.255",
                                        "169.254.1.1",
                                        "224.0.0.1",
                                        "239.255.255.250",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "fe80::1",
                                        "febf::1",
                                        "ff02::1",
                                        "::ffff:127.0.0.1"};
    static const char *const other[] = {
        "1.0.0.0",         "126.255.255.255", "128.0.0.1",   "169.253.1.1",
        "223.255.255.255", "10.0.0.1",        "192.168.1.1", "::2",
        "fec0::1",         "fd00::1",         "2001:db8::1"};
    for (size_t i = 0; i < COUNT(local); i++) {
        struct address address = parse(local[i]);
        assert_true(address_is_local(&address));
    }
    for (size_t i = 0; i < COUNT(other); i++) {
        struct address address = parse(other[i]);
        assert_false(address_is_local(&address));
    }
    /* a mapped address that did not come through address_parse() */
    struct address mapped = {6, {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    assert_true(address_is_local(&mapped));
    assert_false(address_is_local(&(struct address){0}));
}

static void test_network_parse(void **state)
{
    (void)state;
    static const char *const good[] = {
        "192.0.2.0/24",  "0.0.0.0/0", "192.0.2.7",   "192.0.2.7/32",    "192.0.2.128/25",
        "2001:db8::/32", "::/0",      "2001:db8::1", "2001:db8::1/128", "8000::/1"};
    static const char *const bad[] = {"192.0.2.1/24",
                                      "192.0.2.0/33",
                                      "192.0.2.0/",
                                      "192.0.2.0/-1",
                                      "192.0.2.0/2 4",
                                      "192.0.2.0/24/8",
                                      "2001:db8::1/127",
                                      "2001:db8::/129",
                                      "::ffff:192.0.2.0/120",
                                      "/24",
                                      "",
                                      "192.0.2.0/0024",
                                      "192.0.2/24",
                                      "128.0.0.0/0"};
    struct network network;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(network_parse(span_of(good[i]), &network));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(network_parse(span_of(bad[i]), &network));
}

static void test_network_contains(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool contains;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "203.0.113.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network network;
        struct address address = parse(cases[i].address);
        assert_true(network_parse(span_of(cases[i].network), &network));
        assert_int_equal(network_contains(&network, &address), cases[i].contains);
    }
    struct network everything;
    assert_true(network_parse(SPAN("0.0.0.0/0"), &everything));
    assert_false(network_contains(&everything, &(struct address){0}));
    assert_false(network_contains(&(struct network){0}, &(struct address){0}));
}

static void test_lists(void **state)
{
    static const char *const given[] = {"2001:db8::/32", "198.51.100.0/24", "198.51.100.128/25",
                                        "10.0.0.0/8",    "2001:db8:1::/48", "198.51.100.0/24",
                                        "10.0.0.1",      "198.51.101.0/24", "::/0"};
    static const char *const inside[] = {"10.255.255.255", "198.51.100.200", "198.51.101.0",
                                         "2001:db8:1::1", "::1"};
    static const char *const outside[] = {"9.255.255.255", "11.0.0.0",        "198.51.99.255",
                                          "198.51.102.0",  "255.255.255.255", "0.0.0.0"};
    struct network list[sizeof(given) / sizeof(given[0])];
    struct address address;
    size_t count = sizeof(given) / sizeof(given[0]);

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_true(network_parse(span_of(given[i]), &list[i]));
    count = network_list_arrange(list, count);
    assert_int_equal(count, 4); /* 10/8, 198.51.100/24, 198.51.101/24, ::/0 */
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        assert_true(address_parse(span_of(inside[i]), &address));
        const struct network *found = network_list_find(list, count, &address);
        assert_non_null(found);
        assert_true(network_contains(found, &address));
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_true(address_parse(span_of(outside[i]), &address));
        assert_null(network_list_find(list, count, &address));
    }
    address = (struct address){.family = 0};
    assert_null(network_list_find(list, count, &address));
    assert_null(network_list_find(NULL, 0, &address));
    assert_int_equal(network_list_arrange(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_find),    cmocka_unit_test(test_address_texts),
        cmocka_unit_test(test_address_equal), cmocka_unit_test(test_address_is_local),
        cmocka_unit_test(test_network_parse), cmocka_unit_test(test_network_contains),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
