/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Databases of networks: what is found in good ones, what becomes of bad ones, and what they add to
 * a configuration.
 */
#include "tests/unit/configuration_fixture.h"
#include "tests/unit/networks_fixture.h"

#include "filters/memory.h"
#include "gateway/networks.h"

/* The library loses a few kB in opening some damaged files. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

#define LINES                                                                                      \
    "198.51.100.0/24 30103 US\n"                                                                   \
    "198.51.101.0/25 30103 US\n"                                                                   \
    "203.0.113.7/32 64500 JP\n"                                                                    \
    "192.0.2.0/24 - JP\n"                                                                          \
    "2001:db8::/33 30103 -\n"                                                                      \
    "2a00::/12 64501 DE\n"

struct seen {
    char text[4096];
    size_t count;
};

static void note(void *context, const struct network *network, const struct network_facts *facts)
{
    struct seen *seen = context;
    char address[ADDRESS_TEXT];
    size_t used = strlen(seen->text);

    seen->count++;
    address_format(&network->address, address);
    snprintf(seen->text + used, sizeof(seen->text) - used, "%s/%u %u %s\n", address,
             network->prefix, facts->asn, facts->country);
}

static struct networks *database_open(const char *name)
{
    char error[512] = "";
    struct networks *networks = networks_open(path_of(name), error, sizeof(error));

    assert_string_equal(error, "");
    assert_non_null(networks);
    return networks;
}

static void check_walk(const char *name, const char *expected)
{
    struct seen seen = {.count = 0};
    char error[512] = "";
    struct networks *networks = database_open(name);

    if (!networks_walk(networks, note, &seen, error, sizeof(error)))
        fail_msg("%s", error);
    assert_string_equal(seen.text, expected);
    networks_close(networks);
}

/* The aliases of IPv4 are in the file, and told once. */
static void test_walk(void **state)
{
    (void)state;
    database_write(path_of("six.mmdb"), "6", "geolite2", LINES);
    check_walk("six.mmdb", "192.0.2.0/24 0 JP\n198.51.100.0/24 30103 US\n"
                           "198.51.101.0/25 30103 US\n203.0.113.7/32 64500 JP\n"
                           "2001:db8::/33 30103 \n2a00::/12 64501 DE\n");
    database_write(path_of("four.mmdb"), "4", "flat", "192.0.2.0/24 64500 JP\n0.0.0.0/1 1 US\n");
    check_walk("four.mmdb", "0.0.0.0/1 1 US\n192.0.2.0/24 64500 JP\n");
    database_write(path_of("none.mmdb"), "6", "geolite2", "192.0.2.0/24 - -\n");
    check_walk("none.mmdb", "");
}

/* One file for both, as some are: the second look says the same as the first. */
static void test_both(void **state)
{
    struct network_facts facts = {.asn = 0};
    struct address address;

    (void)state;
    database_write(path_of("both.mmdb"), "6", "geolite2", "192.0.2.0/24 64500 US/GB\n");
    struct networks *both = database_open("both.mmdb");
    assert_true(address_parse(SPAN("192.0.2.1"), &address));
    for (int i = 0; i < 2; i++) {
        networks_look_up(both, &address, &facts);
        assert_string_equal(facts.country, "US");
    }
    assert_int_equal(facts.asn, 64500);
    networks_close(both);
}

static void check_look_up(const struct networks *networks, const char *text, uint32_t asn,
                          const char *country)
{
    struct network_facts facts = {0};
    struct address address;

    assert_true(address_parse(span_of(text), &address));
    networks_look_up(networks, &address, &facts);
    assert_int_equal(facts.asn, asn);
    assert_string_equal(facts.country, country);
}

static void test_look_up(void **state)
{
    struct networks *six = database_open("six.mmdb"), *four = database_open("four.mmdb");
    struct network_facts facts = {7, "FR"};
    struct address nowhere = {.family = 0};

    (void)state;
    check_look_up(six, "198.51.100.255", 30103, "US");
    check_look_up(six, "198.51.101.128", 0, "");
    check_look_up(six, "192.0.2.1", 0, "JP");
    check_look_up(six, "2001:db8:7fff::1", 30103, "");
    check_look_up(six, "2001:db8:8000::1", 0, "");
    check_look_up(six, "2002:c633:6401::1", 30103, "US"); /* 6to4 of 198.51.100.1 */
    check_look_up(four, "192.0.2.1", 64500, "JP");
    check_look_up(four, "2001:db8::1", 0, ""); /* a tree of IPv4 knows none */
    check_look_up(NULL, "192.0.2.1", 0, "");
    networks_look_up(six, &nowhere, &facts);
    assert_int_equal(facts.asn, 7); /* what is not known stays */
    assert_string_equal(facts.country, "FR");
    networks_close(six);
    networks_close(four);
}

/* --- what is no database, or a broken one --- */

static void check_refused(const char *name)
{
    char error[512] = "";

    assert_null(networks_open(path_of(name), error, sizeof(error)));
    assert_non_null(strstr(error, path_of(name)));
}

static void test_no_database(void **state)
{
    (void)state;
    check_refused("absent.mmdb");
    check_refused("lists");
    write_text("text.mmdb", "this is none\n");
    check_refused("text.mmdb");
    write_text("empty.mmdb", "");
    check_refused("empty.mmdb");
    assert_int_equal(mkfifo(path_of("fifo.mmdb"), 0600), 0);
    check_refused("fifo.mmdb"); /* and nobody waits for a writer */
}

static size_t read_bytes(const char *name, uint8_t *bytes, size_t room)
{
    FILE *file = fopen(path_of(name), "r");

    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    assert_true(size > 0 && size < room);
    fclose(file);
    return size;
}

/* Whatever is in it: an answer, in bounded time. Its number of networks, or -1. */
static int survive(const char *name)
{
    struct seen seen = {.count = 0};
    char error[512] = "";
    struct network_facts facts = {0};
    struct address address;
    struct networks *networks = networks_open(path_of(name), error, sizeof(error));

    if (!networks) {
        assert_non_null(strstr(error, path_of(name)));
        return -1;
    }
    assert_true(address_parse(SPAN("203.0.113.7"), &address));
    networks_look_up(networks, &address, &facts);
    bool fine = networks_walk(networks, note, &seen, error, sizeof(error));
    assert_true(fine || strstr(error, path_of(name)) != NULL);
    networks_close(networks);
    return fine ? (int)seen.count : -1;
}

static void test_every_byte(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    static uint8_t bytes[16384];
    size_t size = read_bytes("six.mmdb", bytes, sizeof(bytes));
    unsigned errors = 0;

    (void)state;
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k < sizeof(changes); k++) {
            bytes[i] ^= changes[k];
            write_bytes("broken.mmdb", (const char *)bytes, size);
            errors += survive("broken.mmdb") < 0;
            bytes[i] ^= changes[k];
        }
    assert_true(errors > size / 2);
    for (size_t i = 0; i < size; i++) {
        write_bytes("broken.mmdb", (const char *)bytes, i);
        assert_true(survive("broken.mmdb") < 0);
    }
}

/* A node of 24 bits a record. */
static void set_record(uint8_t *bytes, size_t node, unsigned side, uint32_t value)
{
    uint8_t *record = bytes + 6 * node + 3 * side;

    record[0] = (uint8_t)(value >> 16);
    record[1] = (uint8_t)(value >> 8);
    record[2] = (uint8_t)value;
}

static void check_tree(const uint8_t *bytes, size_t size, const char *expected)
{
    char error[512] = "";
    struct seen seen = {.count = 0};

    write_bytes("tree.mmdb", (const char *)bytes, size);
    struct networks *networks = database_open("tree.mmdb");
    assert_false(networks_walk(networks, note, &seen, error, sizeof(error)));
    assert_non_null(strstr(error, path_of("tree.mmdb")));
    if (!strstr(error, expected))
        fail_msg("expected %s, found %s", expected, error);
    networks_close(networks);
}

/* Without the visits' bound such a tree would be walked for 2^32 steps. */
static void test_loops(void **state)
{
    static uint8_t good[16384], bytes[16384];

    (void)state;
    database_write(path_of("loop.mmdb"), "4", "geolite2", "203.0.113.7/32 64500 JP\n");
    size_t size = read_bytes("loop.mmdb", good, sizeof(good));
    memcpy(bytes, good, size);
    set_record(bytes, 1, 0, 1);
    check_tree(bytes, size, "two ways lead to one node");
    memcpy(bytes, good, size);
    set_record(bytes, 5, 0, 3);
    set_record(bytes, 5, 1, 3);
    check_tree(bytes, size, "two ways lead to one node");
    memcpy(bytes, good, size);
    set_record(bytes, 9, 0, 0xfffff0);
    check_tree(bytes, size, "out of the file");
}

/* --- in a configuration --- */

#define SERVICE(rest) "service \"zoom\" {\n reviewed = \"2026-01-01\"\n " rest "\n}\n"

static struct configuration *attempt(const char *text)
{
    return attempt_with(text, "listen.conf");
}

static void test_systems(void **state)
{
    struct configuration *c = attempt("network { asn-database = \"six.mmdb\" }\n" SERVICE(
        "networks = {\"192.0.2.0/24\"} asn = {30103, \"AS64500\"}"));

    (void)state;
    assert_non_null(c);
    const struct service *service = &c->policy.services[0];
    assert_int_equal(service->network_count, 5);
    struct address address;
    static const char *const inside[] = {"192.0.2.9", "198.51.101.1", "203.0.113.7", "2001:db8::1"};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        assert_true(address_parse(span_of(inside[i]), &address));
        assert_ptr_equal(policy_service_by_address(&c->policy, &address), service);
    }
    assert_true(address_parse(SPAN("203.0.113.8"), &address));
    assert_null(policy_service_by_address(&c->policy, &address));
    assert_int_equal(service->systems[1].number, 64500);
    assert_int_equal(service->systems[1].rule.line, 4);
    configuration_free(c);
}

static void check_report(const char *text, bool fine, const char *expected)
{
    struct configuration *c = attempt(text);

    if ((c != NULL) != fine || !strstr(reports, expected))
        fail_msg("expected %s, found %s", expected, reports);
    configuration_free(c);
}

static void test_reports(void **state)
{
    (void)state;
    check_report(SERVICE("asn = {30103}"), true,
                 "t.conf:3: warning: asn 30103 of service \"zoom\" is not known without "
                 "network.asn-database");
    check_report("network { asn-database = \"six.mmdb\" }\n" SERVICE("asn = {65000}"), true,
                 "t.conf:4: warning: asn 65000 of service \"zoom\" has no network in");
    check_report(SERVICE("asn = {0}"), false, "t.conf:3: error: service.asn: expected");
    check_report(SERVICE("asn = {4294967296}"), false, "service.asn: expected");
    check_report(SERVICE("asn = {\"ASx\"}"), false, "service.asn: expected");
    check_report("policy { country-deny = {\"RU\"} }\n", false,
                 "t.conf:1: error: policy.country-deny: nobody knows what is in RU without");
    check_report(
        "network { country-database = \"six.mmdb\" }\npolicy { country-allow = {\"JA\"} }\n", true,
        "t.conf:2: warning: policy.country-allow: JA has no network in");
    check_report("policy { country-deny = {\"jp\"} }\n", false, "policy.country-deny: expected");
    check_report("policy { country-deny = {\"JPN\"} }\n", false, "policy.country-deny: expected");
    check_report("network {\n asn-database = \"text.mmdb\"\n}\n", false,
                 "t.conf:2: error: network.asn-database: ");
    check_report("network {\n country-database = \"tree.mmdb\"\n}\n", false,
                 "tree.mmdb: a record leads out of the file");
    check_report("network { asn-database = \"six.mmdb\" country-database = \"four.mmdb\" }\n"
                 "policy { country-allow = {\"JP\"} country-deny = {\"US\"} }\n",
                 true, "");
    assert_null(strstr(reports, "country"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both),       cmocka_unit_test(test_walk),
        cmocka_unit_test(test_look_up),    cmocka_unit_test(test_no_database),
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_loops),
        cmocka_unit_test(test_systems),    cmocka_unit_test(test_reports),
    };

    return cmocka_run_group_tests(tests, prepare, clean);
}
