/* SPDX-License-Identifier: BSD-2-Clause */
/* What dnsmasq is told: which names sink and which do not, and how the file comes to its place. */
#include "tests/unit/configuration_fixture.h"

#include <event2/buffer.h>

#include "gateway/dns.h"

static struct configuration *read_text(const char *text)
{
    struct configuration *c = attempt_with(text, "listen.conf");

    if (!c)
        fail_msg("%s", reports);
    return c;
}

/* The lines without comments. The caller frees. */
static char *written(const struct configuration *configuration)
{
    struct evbuffer *out = evbuffer_new();
    char *text, *line;
    size_t used = 0;

    dns_write(configuration, out);
    text = calloc(evbuffer_get_length(out) + 1, 1);
    while ((line = evbuffer_readln(out, NULL, EVBUFFER_EOL_LF)) != NULL) {
        if (line[0] != '\0' && line[0] != '#')
            used += (size_t)sprintf(text + used, "%s\n", line);
        free(line);
    }
    evbuffer_free(out);
    return text;
}

static bool has_line(const char *text, const char *line)
{
    size_t size = strlen(line);

    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[size] == '\n')
            return true;
    return false;
}

#define NO_LISTS "denied = {} system = {}"

static void test_fixed(void **state)
{
    struct configuration *c = read_text("policy { " NO_LISTS " }\n");
    char *text = written(c);

    (void)state;
    assert_string_equal(text, "filter-rr=HTTPS,SVCB\n"
                              "stop-dns-rebind\n"
                              "local=/use-application-dns.net/\n"
                              "local=/mask.icloud.com/\n"
                              "local=/mask-h2.icloud.com/\n"
                              "local=/doh.dns.apple.com/\n"
                              "local=/_dns.resolver.arpa/\n");
    free(text);
    configuration_free(c);
}

static void check_lines(const char *configuration, const char *const *there,
                        const char *const *absent)
{
    struct configuration *c = read_text(configuration);
    char *text = written(c);

    for (; *there; there++)
        if (!has_line(text, *there))
            fail_msg("no \"%s\" in %s", *there, text);
    for (; *absent; absent++)
        if (strstr(text, *absent))
            fail_msg("\"%s\" in %s", *absent, text);
    free(text);
    configuration_free(c);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_sinks(void **state)
{
    (void)state;
    write_text("lists/many.txt", ".Short.example\n*.below.example\nexact.example\n203.0.113.9\n"
                                 "2001:db8::9\nmask.icloud.com\n日本語.example\nexact.example\n");
    check_lines("policy { denied = {\"lists/many.txt\"} system = {} }\n",
                LINES("address=/short.example/192.0.2.53", "address=/short.example/100::53",
                      "address=/*.below.example/192.0.2.53", "address=/*.below.example/100::53",
                      "host-record=exact.example,192.0.2.53,100::53",
                      "host-record=xn--wgv71a119e.example,192.0.2.53,100::53",
                      "local=/mask.icloud.com/"),
                LINES("203.0.113.9", "db8", "record=mask", "server=", "no-resolv"));
    check_lines("policy { " NO_LISTS " }\nclinic { deny = {\".bad.example\"} }\n"
                "network { dns-sink = {\"198.51.100.1\", \"2001:db8::1\"} }\n",
                LINES("address=/bad.example/198.51.100.1", "address=/bad.example/2001:db8::1"),
                LINES("192.0.2.53"));
}

/* What the clinic or a service lists below a denied name is not denied. */
static void test_exemptions(void **state)
{
    (void)state;
    write_text("lists/many.txt", ".short.example\n.whole.example\nown.example\n");
    check_lines("policy { denied = {\"lists/many.txt\"} system = {} }\n"
                "clinic { allow = {\"ok.short.example\", \"*.deep.short.example\",\n"
                "                  \".whole.example\", \"own.example\", \"far.example\"}\n"
                "         deny = {\"bad.ok.short.example\"} }\n"
                "service \"zoom\" { reviewed = \"2026-01-01\" call = {\"c.short.example\"} }\n",
                LINES("address=/short.example/192.0.2.53", "server=/ok.short.example/#",
                      "server=/*.deep.short.example/#", "server=/c.short.example/#",
                      "host-record=bad.ok.short.example,192.0.2.53,100::53"),
                LINES("whole.example", "own.example", "far.example"));
}

static void test_attachments(void **state)
{
    (void)state;
    check_lines("policy { " NO_LISTS " }\n"
                "service \"zoom\" { reviewed = \"2026-01-01\" splice = {\".zoom.example\"}\n"
                "  attachments = {\"*file.zoom.example\", \"us*x.zoom.example\",\n"
                "                 \"files.zoom.example\", \"www.zoom.example/dl/*\"} }\n",
                LINES("address=/*file.zoom.example/192.0.2.53",
                      "host-record=files.zoom.example,192.0.2.53,100::53"),
                LINES("www.zoom", "us*x", "server=/"));
}

static void test_upstream(void **state)
{
    (void)state;
    check_lines("policy { " NO_LISTS " }\n"
                "network { dns-upstream = {\"203.0.113.53\", \"[2001:db8::53]:5353\"} }\n",
                LINES("no-resolv", "server=203.0.113.53#53", "server=2001:db8::53#5353"),
                LINES("server=/"));
}

static void test_zones(void **state)
{
    (void)state;
    check_lines("policy { " NO_LISTS " }\nnetwork { bypass = {\"closed\"} }\n"
                "bypass \"closed\" { networks = {\"198.51.100.0/24\"}\n"
                "  zones = {\"Onshi.example\", \"100.51.198.in-addr.arpa\"}\n"
                "  resolvers = {\"198.51.100.53\", \"[2001:db8::53]:5353\"} }\n"
                "bypass \"idle\" { networks = {\"192.0.2.0/24\"} zones = {\"idle.example\"}\n"
                "  resolvers = {\"192.0.2.53\"} }\n",
                LINES("server=/onshi.example/198.51.100.53#53",
                      "server=/onshi.example/2001:db8::53#5353", "rebind-domain-ok=/onshi.example/",
                      "server=/100.51.198.in-addr.arpa/198.51.100.53#53"),
                LINES("idle", "max-ttl"));
}

static void test_media_hosts(void **state)
{
    (void)state;
    check_lines("policy { " NO_LISTS " }\n"
                "service \"my-call_1\" { reviewed = \"2026-01-01\" media-udp = {\"3478\"}\n"
                "  media-hosts = {\"turn.call.example\", \"*.media.example\", \".in.example\",\n"
                "                 \"us*.turn.example\", \"192.0.2.1\"} }\n",
                LINES("max-ttl=60", "max-cache-ttl=60",
                      "nftset=/turn.call.example/4#inet#sekisho#names4_my-call_1,"
                      "6#inet#sekisho#names6_my-call_1",
                      "nftset=/media.example/4#inet#sekisho#names4_my-call_1,"
                      "6#inet#sekisho#names6_my-call_1",
                      "nftset=/in.example/4#inet#sekisho#names4_my-call_1,"
                      "6#inet#sekisho#names6_my-call_1"),
                LINES("us*", "192.0.2.1/", "us.turn"));
    assert_non_null(strstr(reports, "t.conf:4: warning: \"us*.turn.example\" has no effect"));
    assert_non_null(strstr(reports, "t.conf:4: warning: \"192.0.2.1\" has no effect"));
}

/* --- the file --- */

static void test_file(void **state)
{
    struct configuration *c = read_text("policy { " NO_LISTS " }\n");
    struct configuration *other =
        read_text("policy { " NO_LISTS " }\nclinic { deny = \"x.jp\" }\n");
    char error[512] = "", path[512];
    struct stat facts;
    bool changed = false;

    (void)state;
    snprintf(path, sizeof(path), "%s", path_of("dnsmasq.conf"));
    assert_true(dns_update(c, path, &changed, error, sizeof(error)));
    assert_true(changed);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0644);
    ino_t first = facts.st_ino;
    assert_true(dns_update(c, path, &changed, error, sizeof(error)));
    assert_false(changed);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_ino, first); /* it was not touched */
    assert_true(dns_update(other, path, &changed, error, sizeof(error)));
    assert_true(changed);
    assert_true(dns_update(c, path, &changed, error, sizeof(error)));
    assert_true(changed);
    /* a link is replaced, what it leads to is not written */
    write_text("target", "mine\n");
    unlink(path);
    assert_int_equal(symlink(path_of("target"), path), 0);
    assert_true(dns_update(c, path, &changed, error, sizeof(error)) && changed);
    assert_int_equal(lstat(path, &facts), 0);
    assert_true(S_ISREG(facts.st_mode));
    assert_int_equal(stat(path_of("target"), &facts), 0);
    assert_int_equal(facts.st_size, 5);
    assert_false(dns_update(c, path_of("absent/x.conf"), &changed, error, sizeof(error)));
    assert_non_null(strstr(error, "absent/x.conf: No such file"));
    assert_false(changed);
    configuration_free(c);
    configuration_free(other);
}

static void check_report(const char *text, bool fine, const char *expected)
{
    struct configuration *c = attempt_with(text, "listen.conf");

    if ((c != NULL) != fine || !strstr(reports, expected))
        fail_msg("expected %s, found %s", expected, reports);
    configuration_free(c);
}

static void test_reports(void **state)
{
    (void)state;
    check_report("network { dns-sink = {\"192.0.2.1\"} }\n", false,
                 "t.conf:1: error: network.dns-sink: expected one address of IPv4 and one of IPv6");
    check_report("network { dns-sink = {} }\n", false, "network.dns-sink: expected one");
    check_report("network { dns-sink = {\"192.0.2.1\", \"192.0.2.2\"} }\n", false, "one of IPv6");
    check_report("network { dns-sink = {\"127.0.0.1\", \"100::1\"} }\n", false, "not local ones");
    check_report("network { dns-file = \"d.conf\" resolvers = {\"127.0.0.1\", \"203.0.113.5\"}\n"
                 "dns-upstream = {\"203.0.113.5\"} }\n",
                 true, "t.conf:1: warning: network.resolvers: not the clients' own resolver");
    check_report("network { dns-file = \"d.conf\" resolvers = {\"127.0.0.1\"} }\n", true,
                 "t.conf:1: warning: network.dns-upstream is missing");
    check_report("network { dns-file = \"d.conf\" resolvers = {\"127.0.0.1:5353\", \"[::1]:53\"}\n"
                 "dns-upstream = {\"203.0.113.5\"} }\n",
                 true, "");
    assert_null(strstr(reports, "network."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed),       cmocka_unit_test(test_sinks),
        cmocka_unit_test(test_exemptions),  cmocka_unit_test(test_attachments),
        cmocka_unit_test(test_upstream),    cmocka_unit_test(test_zones),
        cmocka_unit_test(test_media_hosts), cmocka_unit_test(test_file),
        cmocka_unit_test(test_reports),
    };

    return cmocka_run_group_tests(tests, prepare, clean);
}
