/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel rules without the kernel: networks to intervals, and which rules a configuration
 * gives. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libnftnl/rule.h>

#include "gateway/ruleset.h"
#include "gateway/ruleset_parts.h"

static struct network network(const char *address, uint8_t prefix)
{
    struct network result = {.prefix = prefix};

    result.address.family = strchr(address, ':') != NULL ? 6 : 4;
    assert_int_equal(
        inet_pton(result.address.family == 6 ? AF_INET6 : AF_INET, address, result.address.bytes),
        1);
    return result;
}

/* "first-last first-last ..." */
static const char *merged(const struct network *networks, size_t count, uint8_t family)
{
    static char text[4096];
    struct interval *intervals;
    size_t found = intervals_merge(networks, count, family, &intervals), used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < found; i++) {
        char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
        int domain = family == 6 ? AF_INET6 : AF_INET;

        inet_ntop(domain, intervals[i].first, first, sizeof(first));
        inet_ntop(domain, intervals[i].last, last, sizeof(last));
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s-%s", i > 0 ? " " : "",
                                 first, last);
    }
    free(intervals);
    return text;
}

static void test_intervals(void **state)
{
    struct network mixed[] = {network("10.0.0.0", 8), network("2001:db8::", 32),
                              network("192.0.2.0", 24)};
    struct network inside[] = {network("10.1.0.0", 16), network("10.0.0.0", 8),
                               network("10.255.255.255", 32), network("10.0.0.0", 8)};
    struct network adjacent[] = {network("192.0.2.128", 25), network("192.0.2.0", 25),
                                 network("192.0.3.0", 24), network("192.0.5.0", 24)};
    struct network all4[] = {network("128.0.0.0", 1), network("0.0.0.0", 0),
                             network("255.255.255.255", 32)};
    struct network end6[] = {network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 127),
                             network("ff00::", 8), network("::", 128), network("::1", 128)};

    (void)state;
    assert_string_equal(merged(NULL, 0, 4), "");
    assert_string_equal(merged(mixed, 3, 4), "10.0.0.0-10.255.255.255 192.0.2.0-192.0.2.255");
    assert_string_equal(merged(mixed, 3, 6), "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_string_equal(merged(inside, 4, 4), "10.0.0.0-10.255.255.255");
    assert_string_equal(merged(adjacent, 4, 4), "192.0.2.0-192.0.3.255 192.0.5.0-192.0.5.255");
    assert_string_equal(merged(all4, 3, 4), "0.0.0.0-255.255.255.255");
    assert_string_equal(merged(end6, 4, 6),
                        "::-::1 ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_host_bits_are_dropped(void **state)
{
    struct network odd[] = {network("10.1.2.3", 9), network("2001:db8::1", 33)};

    (void)state;
    assert_string_equal(merged(odd, 2, 4), "10.0.0.0-10.127.255.255");
    assert_string_equal(merged(odd, 2, 6), "2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
}

/* Against the plain definition: an address is in the merged intervals exactly when it is in a
 * network. */
static void test_intervals_against_definition(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct network networks[12];
        struct interval *intervals;
        size_t found;

        for (size_t i = 0; i < 12; i++) {
            uint8_t prefix = (uint8_t)(24 + (seed = seed * 1103515245 + 12345) % 9);
            uint8_t low = (uint8_t)(seed >> 20);

            networks[i] = network("203.0.113.0", prefix);
            networks[i].address.bytes[3] = (uint8_t)(low & 0xffu << (32 - prefix));
        }
        found = intervals_merge(networks, 12, 4, &intervals);
        for (unsigned host = 0; host < 256; host++) {
            uint8_t address[4] = {203, 0, 113, (uint8_t)host};
            bool wanted = false;
            size_t in = 0;

            for (size_t i = 0; i < 12; i++)
                wanted |=
                    (host & 0xffu << (32 - networks[i].prefix)) == networks[i].address.bytes[3];
            for (size_t i = 0; i < found; i++)
                in += memcmp(address, intervals[i].first, 4) >= 0 &&
                      memcmp(address, intervals[i].last, 4) <= 0;
            assert_int_equal(in, wanted); /* and never in two */
        }
        free(intervals);
    }
}

static void test_interval_end(void **state)
{
    struct interval interval = {.last = {192, 0, 2, 255}};
    uint8_t end[16];

    (void)state;
    assert_true(interval_end(&interval, 4, end));
    assert_memory_equal(end, ((uint8_t[]){192, 0, 3, 0}), 4);
    memset(interval.last, 0xff, 4);
    assert_false(interval_end(&interval, 4, end));
    assert_true(interval_end(&interval, 16, end)); /* the same bytes begin a longer address */
    memset(interval.last, 0xff, 16);
    assert_false(interval_end(&interval, 16, end));
}

/* --- rules --- */

static struct listener_options listener(bool transparent, const char *address, uint16_t port)
{
    struct listener_options result = {.transparent = transparent};
    struct sockaddr_in *in4 = (void *)&result.address;
    struct sockaddr_in6 *in6 = (void *)&result.address;

    if (strchr(address, ':') == NULL) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(port);
        inet_pton(AF_INET, address, &in4->sin_addr);
    } else {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        inet_pton(AF_INET6, address, &in6->sin6_addr);
    }
    return result;
}

struct written {
    char text[131072];
    size_t used, count;
};

static bool write_rule(void *context, struct nftnl_rule *rule)
{
    struct written *written = context;

    written->used += (size_t)nftnl_rule_snprintf(written->text + written->used,
                                                 sizeof(written->text) - written->used, rule,
                                                 NFTNL_OUTPUT_DEFAULT, 0);
    written->count++;
    nftnl_rule_free(rule);
    return true;
}

/* All rules as libnftnl writes them, in order; how many there are is returned. */
static size_t rules_write(const struct configuration *configuration, struct written *written)
{
    written->used = written->count = 0;
    written->text[0] = '\0';
    assert_true(ruleset_rules_make(configuration, write_rule, written));
    return written->count;
}

static struct written written, other;

static void test_rules(void **state)
{
    struct listener_options listeners[] = {
        listener(false, "127.0.0.1", 8080), listener(true, "::1", 8443),
        listener(true, "127.0.0.1", 8443), listener(true, "127.0.0.1", 9999)};
    struct configuration configuration = {
        .listeners = listeners, .listener_count = 4, .mark = 0x53};
    const char *text = written.text, *interception, *drop;

    (void)state;
    rules_write(&configuration, &written);
    assert_non_null(strstr(text, "tproxy ip addr reg 1 port reg 2"));
    assert_non_null(strstr(text, "tproxy ip6 addr reg 1 port reg 2"));
    assert_non_null(strstr(text, "[ immediate reg 1 0x0100007f ]"));
    assert_non_null(strstr(text, "[ immediate reg 2 0x0000fb20 ]")); /* 8443 in network order */
    assert_null(strstr(text, "0x00000f27"));                         /* the first listener counts */
    assert_non_null(strstr(text, "[ immediate reg 1 0x00000053 ]"));
    /* The drop comes behind the interceptions. */
    for (interception = text; strstr(interception + 1, "tproxy") != NULL;)
        interception = strstr(interception + 1, "tproxy");
    drop = strstr(interception, "[ immediate reg 0 drop ]");
    assert_non_null(drop);
    assert_true(drop < strstr(text, "inet sekisho forward"));
}

/* A family without a transparent listener keeps its drop and loses only its interception. */
static void test_rules_without_listener(void **state)
{
    struct listener_options listeners[] = {listener(true, "127.0.0.1", 8443),
                                           listener(false, "::1", 8080)};
    struct configuration configuration = {.listeners = listeners, .listener_count = 2, .mark = 1};
    size_t one;

    (void)state;
    one = rules_write(&configuration, &written);
    assert_null(strstr(written.text, "tproxy ip6"));
    assert_non_null(strstr(written.text, "tproxy ip "));
    configuration.listeners = listeners + 1;
    configuration.listener_count = 1;
    assert_int_equal(rules_write(&configuration, &other), one - 1);
    assert_null(strstr(other.text, "tproxy"));
    assert_non_null(strstr(other.text, "inet sekisho intercept"));
    assert_non_null(strstr(other.text, "[ immediate reg 0 drop ]"));
}

/* How many rules of the chain from_lan refuse something. */
static size_t refusals(const struct configuration *configuration)
{
    size_t count = 0;

    rules_write(configuration, &written);
    for (const char *at = written.text; (at = strstr(at, "[ reject ")) != NULL; at++)
        count++;
    return count;
}

static void test_egress(void **state)
{
    struct configuration configuration = {.mark = 1, .egress = EGRESS_OPEN};
    size_t open = refusals(&configuration), drops = 0;

    (void)state;
    configuration.egress = EGRESS_STRICT;
    assert_int_equal(refusals(&configuration), open + 2); /* by RST and by ICMP */
    for (const char *at = written.text; (at = strstr(at, "reg 0 drop")) != NULL; at++)
        drops++;
    configuration.egress = EGRESS_CONSULTATION;
    assert_int_equal(refusals(&configuration), open + 2);
    assert_true(drops >= 3); /* no listener, around it, nobody has asked for it */
}

/* --- sets --- */

static const struct ruleset_set *find(const struct ruleset_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->set_count; i++)
        if (strcmp(plan->sets[i].name, name) == 0)
            return &plan->sets[i];
    return NULL;
}

static bool counts(const struct ruleset_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->counter_count; i++)
        if (strcmp(plan->counters[i], name) == 0)
            return true;
    return false;
}

static void test_sets_of_services(void **state)
{
    struct network networks[] = {network("192.0.2.0", 24), network("2001:db8::", 32)};
    struct port_range ports[] = {{8801, 8810}, {3478, 3478}, {8805, 8811}};
    struct service services[] = {
        {.name = (char *)"zoom",
         .networks = networks,
         .network_count = 2,
         .media_udp = ports,
         .media_udp_count = 3,
         .media_hosts = hostset_new(),
         .quic = true},
        {.name = (char *)"named",
         .media_udp = ports,
         .media_udp_count = 1,
         .media_hosts = hostset_new(),
         .peer_to_peer = true},
        {.name = (char *)"web",
         .networks = networks,
         .network_count = 1,
         .media_hosts = hostset_new()},
    };
    struct configuration configuration = {.mark = 1,
                                          .intercepted_per_client = 7,
                                          .policy = {.services = services, .service_count = 3}};
    const struct ruleset_set *set;
    struct ruleset_plan plan;

    (void)state;
    hostset_add(services[1].media_hosts, span_of("media.example"), 0, (struct rule){NULL, 0});
    ruleset_plan_make(&configuration, &plan);
    assert_int_equal(find(&plan, "media4_zoom")->count, 1);
    assert_int_equal(find(&plan, "media6_zoom")->count, 1);
    set = find(&plan, "udp_zoom");
    assert_int_equal(set->count, 2);
    assert_memory_equal(set->elements[1].first, ((uint8_t[]){0x22, 0x61}), 2);
    assert_memory_equal(set->elements[1].last, ((uint8_t[]){0x22, 0x6b}), 2);
    assert_null(find(&plan, "tcp_zoom"));
    assert_null(find(&plan, "names4_zoom"));
    assert_true(find(&plan, "names4_named")->kept);
    assert_true(find(&plan, "names6_named")->kept);
    assert_null(find(&plan, "media4_web")); /* it has no media */
    assert_int_equal(find(&plan, "quic4")->count, 1);
    assert_true(find(&plan, "clients4_7")->kept);
    set = find(&plan, "media");
    assert_int_equal(set->count, 3); /* one of zoom, two of the one whose peers may meet */
    assert_string_equal(set->objects[2], "media_named");
    assert_true(counts(&plan, "media_zoom"));
    assert_false(counts(&plan, "media_web"));
    rules_write(&configuration, &written);
    assert_non_null(strstr(written.text, "set udp_zoom"));
    assert_non_null(strstr(written.text, "set names6_named"));
    assert_null(strstr(written.text, "set media4_web"));
    ruleset_plan_clear(&plan);
    for (size_t i = 0; i < 3; i++)
        hostset_free(services[i].media_hosts);
}

/* All rules name only sets and counters that there are: otherwise the kernel refuses all of them.
 */
static void test_rules_and_sets_agree(void **state)
{
    struct network networks[] = {network("192.0.2.0", 24), network("2001:db8::", 32)};
    struct network from[] = {{.prefix = 0}, network("192.0.2.0", 24)};
    struct port_range ports[] = {{5000, 5001}};
    char *interfaces[] = {(char *)"eth5"};
    struct segment segments[] = {{.interfaces = interfaces, .interface_count = 1}};
    struct permit permits[] = {
        {.name = (char *)"some",
         .from = from,
         .from_count = 2,
         .to = networks,
         .to_count = 2,
         .tcp = ports,
         .tcp_count = 1},
        {.name = (char *)"any", .from = from, .from_count = 1, .to = networks, .to_count = 1}};
    struct service services[] = {{.name = (char *)"one",
                                  .networks = networks,
                                  .network_count = 2,
                                  .media_udp = ports,
                                  .media_udp_count = 1,
                                  .media_tcp = ports,
                                  .media_tcp_count = 1,
                                  .quic = true,
                                  .peer_to_peer = true,
                                  .media_hosts = hostset_new()}};
    struct configuration configuration = {.mark = 1,
                                          .media_check = true,
                                          .dns_redirect = true,
                                          .intercepted_per_client = 9,
                                          .segments = segments,
                                          .segment_count = 1,
                                          .permits = permits,
                                          .permit_count = 2,
                                          .policy = {.services = services, .service_count = 1}};
    struct ruleset_plan plan;
    size_t seen = 0;

    (void)state;
    hostset_add(services[0].media_hosts, span_of("a.example"), 0, (struct rule){NULL, 0});
    ruleset_plan_make(&configuration, &plan);
    rules_write(&configuration, &written);
    for (const char *at = written.text; (at = strstr(at, " set ")) != NULL; seen++) {
        char name[RULESET_NAME];

        at += 5;
        if (sscanf(at, "%63s", name) == 1 && strcmp(name, "mark") != 0) /* meta and ct set theirs */
            assert_non_null(find(&plan, name));
    }
    assert_true(seen > 50);
    for (const char *at = written.text; (at = strstr(at, "objref type 1 name ")) != NULL;) {
        char name[RULESET_NAME];

        at += strlen("objref type 1 name ");
        assert_int_equal(sscanf(at, "%63s", name), 1);
        assert_true(counts(&plan, name));
    }
    assert_non_null(strstr(written.text, "permit_some"));
    assert_non_null(strstr(written.text, "permit_any"));
    ruleset_plan_clear(&plan);
    hostset_free(services[0].media_hosts);
}

static void test_marks(void **state)
{
    (void)state;
    assert_int_not_equal(ruleset_mark("zoom", false), ruleset_mark("zoom", true));
    assert_int_not_equal(ruleset_mark("zoom", false), ruleset_mark("teams", false));
    assert_int_equal(ruleset_mark("zoom", false) | 1u, ruleset_mark("zoom", true));
    assert_int_not_equal(ruleset_mark("", false), 0);
}

/* What is refused before the kernel is asked. */
static void test_install_refuses(void **state)
{
    static const struct {
        uint32_t mark, table;
    } rows[] = {{0, 83}, {1, 0}, {1, 253}, {1, 254}, {1, 255}};
    char *lan[] = {(char *)"an-interface-too-long"};
    struct configuration configuration = {.lan = lan, .lan_count = 1, .mark = 1, .route_table = 83};
    char error[200] = "";

    (void)state;
    assert_int_equal(ruleset_install(&configuration, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "an-interface-too-long"));
    configuration.lan_count = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        configuration.mark = rows[i].mark;
        configuration.route_table = rows[i].table;
        error[0] = '\0';
        assert_int_equal(ruleset_install(&configuration, error, sizeof(error)), -1);
        assert_non_null(strstr(error, "cannot be used"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_host_bits_are_dropped),
        cmocka_unit_test(test_intervals_against_definition),
        cmocka_unit_test(test_interval_end),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rules_without_listener),
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_sets_of_services),
        cmocka_unit_test(test_rules_and_sets_agree),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_install_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
