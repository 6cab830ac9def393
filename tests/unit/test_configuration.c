/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: what is said and what is not, every kind of mistake with its file and line, files
 * cut at every byte, and that the defaults, the manual, the sample and the profiles fit the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "gateway/configuration.h"
#include "gateway/options.h"

static char folder[64];
static char reports[65536]; /* of the last reading, one a line */

static const char *path_of(const char *name)
{
    static char path[2][512];
    static unsigned turn;
    char *text = path[turn++ % 2];
    snprintf(text, sizeof(path[0]), "%s/%s", folder, name);
    return text;
}

static void write_bytes(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void collect(void *context, const char *line)
{
    size_t used = strlen(reports);
    (void)context;
    assert_null(strchr(line, '\n'));
    snprintf(reports + used, sizeof(reports) - used, "%s\n", line);
}

#define BASE                                                                                       \
    "process { pages = \"pages\" }\n"                                                              \
    "tls { ca-certificate = \"ca.pem\" ca-key = \"ca-key.pem\" trust = \"ca.pem\" }\n"

static int prepare(void **state)
{
    static const char *const lists[] = {"shorteners",    "link-in-bio",   "free-hosting",
                                        "doh",           "private-relay", "mdca",
                                        "updates",       "certificates",  "captive-portals"};
    char name[64], line[64];

    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sekisho-configuration-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    mkdir(path_of("lists"), 0755);
    mkdir(path_of("pages"), 0755);
    mkdir(path_of("services"), 0755);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        snprintf(name, sizeof(name), "lists/%s.txt", lists[i]);
        snprintf(line, sizeof(line), "# of the test\n.%s.example\n", lists[i]);
        write_text(name, line);
    }
    write_text("pages/block.html", "<p>");
    write_text("pages/messages.ja", "a = あ\n");
    write_text("pages/messages.en", "a = a\n");
    write_text("ca.pem", "-----BEGIN CERTIFICATE-----\n");
    write_text("ca-key.pem", "-----BEGIN PRIVATE KEY-----\n");
    write_text("base.conf", BASE);
    write_text("listen.conf", "listen \"explicit\" { }\n" BASE);
    return chmod(path_of("ca-key.pem"), 0600);
}

static int clean(void **state)
{
    char command[128];
    (void)state;
    /* only what this program made: the folder's name is ours */
    snprintf(command, sizeof(command), "%s", folder);
    char *const argv[] = {"rm", "-rf", command, NULL};
    execvp("rm", argv);
    return -1;
}

/* Reads t.conf, whose text is `text` followed by the include of `base`. */
static struct configuration *attempt_with(const char *text, const char *base)
{
    char *whole = NULL;

    assert_true(asprintf(&whole, "%s\ninclude(\"%s\")\n", text, base) > 0);
    write_text("t.conf", whole);
    free(whole);
    reports[0] = '\0';
    return configuration_read(path_of("t.conf"), collect, NULL);
}

static struct configuration *attempt(const char *text)
{
    return attempt_with(text, "listen.conf");
}

/* True when a line of the reports is "t.conf:LINE: " and then `wanted`. */
static bool is_reported(const char *wanted)
{
    char line[1024];

    snprintf(line, sizeof(line), "%s:%s", path_of("t.conf"), wanted);
    return strstr(reports, line) != NULL;
}

static void check_report(const char *text, const char *wanted)
{
    if (!is_reported(wanted))
        fail_msg("for: %s\nwanted: %s\nreported:\n%s", text, wanted, reports);
}

/* --- what is said --- */

static void test_defaults(void **state)
{
    struct configuration *c = attempt("network { resolvers = {\"192.0.2.53\"} }");
    struct sockaddr_in *resolver;

    (void)state;
    assert_string_equal(reports, "");
    assert_non_null(c);
    assert_string_equal(c->path, path_of("t.conf"));
    assert_int_equal(c->lan_count, 0);
    assert_true(c->manage_rules);
    assert_false(c->remove_on_stop);
    assert_int_equal(c->mark, 0x5e4);
    assert_int_equal(c->route_table, 5444);
    assert_int_equal(c->resolver_count, 1);
    resolver = (struct sockaddr_in *)&c->resolvers[0];
    assert_int_equal(resolver->sin_family, AF_INET);
    assert_int_equal(ntohs(resolver->sin_port), 53);
    assert_int_equal(c->listener_count, 2);
    assert_false(c->listeners[0].transparent);
    assert_int_equal(ntohs(((struct sockaddr_in *)&c->listeners[0].address)->sin_port), 8080);
    assert_int_equal(c->listeners[0].address_size, sizeof(struct sockaddr_in));
    assert_int_equal(c->listeners[1].address_size, sizeof(struct sockaddr_in6));
    assert_int_equal(c->connect_port_count, 2);
    assert_int_equal(c->connect_ports[0], 443);
    assert_int_equal(c->connect_ports[1], 80);
    assert_int_equal(c->room_count, 0);
    assert_string_equal(c->clinic_name, "");
    assert_int_equal(c->policy.mode, MODE_ENFORCE);
    assert_int_equal(c->policy.scope, SCOPE_CLINIC);
    assert_int_equal(c->policy.outside, OUTSIDE_INSPECT);
    assert_int_equal(c->policy.no_sni, NO_SNI_REFUSE);
    assert_int_equal(c->policy.linger, 600000);
    assert_int_equal(hostset_count(c->policy.clinic), 0);
    assert_int_equal(hostset_count(c->policy.clinic_deny), 0);
    assert_int_equal(hostset_count(c->policy.denied), 6);
    assert_int_equal(hostset_count(c->policy.system), 3);
    assert_int_equal(hostset_find(c->policy.system, SPAN("a.updates.example"))->tag, TREAT_SPLICE);
    assert_int_equal(c->failure, FAILURE_ALERT);
    assert_int_equal(c->leaf_lifetime, 86400000);
    assert_int_equal(c->leaf_backdate, 3600000);
    assert_int_equal(c->http.line, 16384);
    assert_int_equal(c->http.head, 65536);
    assert_int_equal(c->http.fields, 128);
    assert_int_equal(c->timeout_hello, 10000);
    assert_int_equal(c->timeout_splice, 3600000);
    assert_int_equal(c->log_transport, LOG_UNIX);
    assert_string_equal(c->log_path, "/dev/log");
    assert_true(c->log_allowed);
    assert_true(c->workers >= 1 && c->workers <= 64);
    assert_true(c->separate_users);
    assert_string_equal(c->state_directory, SEKISHO_STATE_DIR);
    assert_string_equal(c->control_socket, SEKISHO_RUN_DIR "/control");
    assert_string_equal(c->page_template, "<p>");
    assert_string_equal(c->page_messages[0], "a = あ\n");
    configuration_free(c);
}

static const char everything[] =
    "/* a comment\n over lines */ network { lan = {\"br-lan\", eth1} manage-rules = no\n"
    "  mark = 7 route-table = 0x10 remove-on-stop = on // to the end\n"
    "  resolvers = {'127.0.0.1:5353', \"[::1]:54\", \"2001:db8::1\"} }\n"
    "listen \"transparent\" { address = {\"192.0.2.1\"} port = 9443 }\n"
    "listen \"explicit\" { address = \"::1\" connect-ports = {8443} }\n"
    "room \"診察室1\" { clients = {192.168.10.21, \"52:54:00:AB:cd:ef\"} }\n"
    "room \"待合\" { clients = {\"192.168.20.0/24\", \"2001:db8:1::/64\"} }\n"
    "clinic { name = \"さくら ${HOME} \\\"x\\\" \\\\\" contact = 'a\\b'\n"
    "  allow = {\"*.Example.JP\",\n"
    "           \"日本.jp\"} splice = {\"karte.example.jp\"} deny = {\"*.zip\"}\n"
    "  files = {\"pdf from labo.example.jp\", \"* from vendor.example.jp\"}\n"
    "  meetings = {\"us02web.zoom.us/j/123*\", \"meet.example.jp\"} }\n"
    "policy { mode = observe scope = room outside = deny no-sni = inspect linger = 90s\n"
    "  failure = page denied = {} system = {\"lists/updates.txt\"} }\n"
    "limits { line = 4kB head = 1MB fields = 20 buffer = 8192 connections = 100\n"
    "  connections-per-client = 10 }\n"
    "timeouts { hello = 500ms idle = 2h drain = 1d }\n"
    "log { to = \"tcp://[2001:db8::5]:1601\" allowed = false }\n"
    "service \"zoom\" { title = \"Zoom\" splice = {\".zoom.us\"} inspect = {\"app.zoom.us\"}\n"
    "  call = {\"c.zoom.us\"} chat = {\"t.zoom.us\"} attachments = {\"*file.zoom.us\", \"a.jp/b*\"}\n"
    "  join = {\".zoom.us/j/*\"} networks = {\"192.0.2.0/24\"} media-udp = {3478, \"8801-8810\"}\n"
    "  media-tcp = {443} quic = true policy-url = \"https://example.jp/p\"\n"
    "  header \"X-ZoomApps-Policy\" { value = \"label\" hosts = {\"app.zoom.us\"} } }\n";

static void check_service(const struct service *service)
{
    assert_string_equal(service->name, "zoom");
    assert_string_equal(service->title, "Zoom");
    assert_int_equal(service->rule.line, 19);
    assert_int_equal(hostset_find(service->hosts, SPAN("x.zoom.us"))->tag, TREAT_SPLICE);
    assert_int_equal(hostset_find(service->hosts, SPAN("app.zoom.us"))->tag, TREAT_INSPECT);
    assert_non_null(hostset_find(service->call, SPAN("c.zoom.us")));
    assert_non_null(hostset_find(service->chat, SPAN("t.zoom.us")));
    assert_int_equal(service->attachment_count, 2);
    assert_true(url_pattern_matches(&service->attachments[0], SPAN("us04file.zoom.us"), SPAN("/x")));
    assert_int_equal(service->attachments[1].rule.line, 20);
    assert_int_equal(service->join_count, 1);
    assert_int_equal(service->network_count, 1);
    assert_int_equal(service->media_udp_count, 2);
    assert_int_equal(service->media_udp[0].last, 3478);
    assert_int_equal(service->media_udp[1].first, 8801);
    assert_int_equal(service->media_udp[1].last, 8810);
    assert_int_equal(service->media_tcp[0].first, 443);
    assert_true(service->quic);
    assert_string_equal(service->policy_url, "https://example.jp/p");
    assert_string_equal(service->reviewed, "");
    assert_int_equal(service->header_count, 1);
    assert_string_equal(service->headers[0].name, "X-ZoomApps-Policy");
    assert_string_equal(service->headers[0].value, "label");
    assert_non_null(hostset_find(service->headers[0].hosts, SPAN("app.zoom.us")));
}

static void test_everything(void **state)
{
    const struct hostset_entry *entry;
    struct configuration *c;

    (void)state;
    setenv("HOME", "/secret", 1);
    c = attempt_with(everything, "base.conf");
    if (!c)
        fail_msg("%s", reports);
    assert_int_equal(c->lan_count, 2);
    assert_string_equal(c->lan[1], "eth1");
    assert_false(c->manage_rules);
    assert_true(c->remove_on_stop);
    assert_int_equal(c->route_table, 16);
    assert_int_equal(c->resolver_count, 3);
    assert_int_equal(ntohs(((struct sockaddr_in *)&c->resolvers[0])->sin_port), 5353);
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&c->resolvers[1])->sin6_port), 54);
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&c->resolvers[2])->sin6_port), 53);
    assert_int_equal(c->listener_count, 2);
    assert_true(c->listeners[0].transparent);
    assert_int_equal(c->listeners[0].rule.line, 5);
    assert_int_equal(c->connect_port_count, 1);
    assert_int_equal(c->connect_ports[0], 8443);
    assert_int_equal(c->room_count, 2);
    assert_string_equal(c->rooms[0].name, "診察室1");
    assert_int_equal(c->rooms[1].rule.line, 8);
    assert_string_equal(c->clinic_name, "さくら ${HOME} \"x\" \\");
    assert_string_equal(c->clinic_contact, "a\\b");
    entry = hostset_find(c->policy.clinic, SPAN("www.example.jp"));
    assert_int_equal(entry->tag, TREAT_INSPECT);
    assert_int_equal(entry->rule.line, 10);
    assert_string_equal(entry->rule.file, path_of("t.conf"));
    entry = hostset_find(c->policy.clinic, SPAN("xn--wgv71a.jp"));
    assert_int_equal(entry->rule.line, 11);
    entry = hostset_find(c->policy.clinic, SPAN("karte.example.jp"));
    assert_int_equal(entry->tag, TREAT_SPLICE);
    assert_non_null(hostset_find(c->policy.clinic_deny, SPAN("a.zip")));
    assert_int_equal(c->policy.file_count, 2);
    assert_string_equal(c->policy.files[0].type, "pdf");
    assert_non_null(hostset_find(c->policy.files[0].hosts, SPAN("labo.example.jp")));
    assert_string_equal(c->policy.files[1].type, "*");
    assert_int_equal(c->policy.meeting_count, 2);
    assert_int_equal(c->policy.mode, MODE_OBSERVE);
    assert_int_equal(c->policy.scope, SCOPE_ROOM);
    assert_int_equal(c->policy.outside, OUTSIDE_DENY);
    assert_int_equal(c->policy.no_sni, NO_SNI_INSPECT);
    assert_int_equal(c->policy.linger, 90000);
    assert_int_equal(c->failure, FAILURE_PAGE);
    assert_int_equal(hostset_count(c->policy.denied), 0);
    assert_int_equal(hostset_count(c->policy.system), 1);
    assert_int_equal(c->http.line, 4096);
    assert_int_equal(c->http.head, 1048576);
    assert_int_equal(c->buffer, 8192);
    assert_int_equal(c->connections, 100);
    assert_int_equal(c->connections_per_client, 10);
    assert_int_equal(c->timeout_hello, 500);
    assert_int_equal(c->timeout_idle, 7200000);
    assert_int_equal(c->timeout_drain, 86400000);
    assert_int_equal(c->log_transport, LOG_TCP);
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&c->log_address)->sin6_port), 1601);
    assert_int_equal(c->log_address_size, sizeof(struct sockaddr_in6));
    assert_false(c->log_allowed);
    assert_string_equal(c->ca_certificate, path_of("ca.pem"));
    assert_int_equal(c->policy.service_count, 1);
    check_service(&c->policy.services[0]);
    configuration_free(c);
}

static void test_rooms(void **state)
{
    static const struct {
        const char *address, *mac;
        int room;
    } cases[] = {
        {"192.168.10.21", NULL, 0},
        {"192.168.10.22", NULL, -1},
        {"192.168.10.22", "\x52\x54\x00\xab\xcd\xef", 0},
        {"192.168.20.255", "\x52\x54\x00\xab\xcd\xee", 1},
        {"192.168.21.0", NULL, -1},
        {"2001:db8:1::ffff", NULL, 1},
        {"2001:db8:2::", NULL, -1},
    };
    struct configuration *c = attempt_with(everything, "base.conf");

    (void)state;
    assert_non_null(c);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address address;
        assert_true(address_parse(span_of(cases[i].address), &address));
        assert_int_equal(configuration_room(c, &address, (const uint8_t *)cases[i].mac),
                         cases[i].room);
    }
    assert_int_equal(configuration_room(c, NULL, NULL), -1);
    configuration_free(c);
}

/* --- mistakes --- */

static const char *const mistakes[][2] = {
    /* words */
    {"network { lann = {\"a\"} }", "1: error: unknown option \"lann\" in network, did you mean \"lan\"?"},
    {"polcy { }", "1: error: unknown section \"polcy\", did you mean \"policy\"?"},
    {"policy { quux = 3 }", "1: error: unknown option \"quux\" in policy\n"},
    {"mode = enforce", "1: error: unknown option \"mode\""},
    {"network = 3", "1: error: network is a section: expected '{'"},
    {"policy { mode { } }", "1: error: mode is an option: expected '='"},
    {"inclde(\"x\")", "1: error: expected '=', '{' or a title, found '('"},
    {"service \"a\" {\n x \"y\" { z = {1} } }", "2: error: unknown section \"x\" in service"},
    /* twice */
    {"policy { mode = enforce\n mode = observe }", "2: error: mode is given twice: first in line 1"},
    {"policy { }\n\npolicy { }", "3: error: policy is given twice: first at "},
    {"room \"a\" { clients = {10.0.0.1} }\nroom \"a\" { clients = {10.0.0.2} }",
     "2: error: room \"a\" is given twice: first at "},
    {"service \"a\" {}\nservice \"a\" {}", "2: error: service \"a\" is given twice"},
    /* form */
    {"policy {\n mode = enforce\n", "1: error: the section that begins here is never closed"},
    {"policy { mode = enforce } }", "1: error: expected a section or an include, found '}'"},
    {"policy { mode }", "1: error: expected '=', '{' or a title, found '}'"},
    {"policy { mode = }", "1: error: expected a value or a list in { }, found '}'"},
    {"clinic { allow = {\"a.jp\" \"b.jp\"} }", "1: error: expected ',' or '}', found \"b.jp\""},
    {"clinic { allow = {\"a.jp\",\n\"b.jp\"", "3: error: expected ',' or '}', found \"include\""},
    {"clinic { name = \"a\n\" }", "1: error: the string that begins here is not closed"},
    {"clinic { name = \"\\n\" }", "1: error: after \\ in a string comes \" or \\"},
    {"clinic { allow = {*.example.jp} }", "1: error: unexpected *.example.jp: a value with other"},
    {"clinic { allow = {診療所.jp} }", "1: error: unexpected 診療所.jp: "},
    {"tls { trust = ${HOME} }", "1: error: unexpected ${HOME}: "},
    {"tls { trust = a//b }", "1: error: unexpected a//b"},
    {"/* never\nclosed", "1: error: the comment that begins here is never closed"},
    {"policy { mode += enforce }", "1: error: unexpected +: "},
    {"\"policy\" { }", "1: error: expected an option or a section, found '{'"},
    {"policy \"x\" { }", "1: error: policy has no title"},
    {"room { clients = {10.0.0.1} }", "1: error: room needs a title: the room's name"},
    {"room \"a\" \"b\" { }", "1: error: expected '{' after the title, found \"b\""},
    {"policy { mode = {enforce} }", "1: error: mode takes one value, not a list: enforce|observe"},
    {"clinic { allow = {\"\"} }", "1: error: an empty value in a list"},
    {"clinic { name = \"\xe3\x81\" }", "1: error: not UTF-8 (saved as Shift_JIS or EUC-JP?)"},
    {"\nroom \"\x90\x66\x8e\x40\" { }", "2: error: not UTF-8"},
    {"\n\n\x01", "3: error: a control character (01)"},
    /* includes */
    {"\ninclude(\"none.conf\")", "2: error: include: no file \"none.conf\" in the folder of this file"},
    {"policy { include(\"base.conf\") }", "1: error: include stands outside of all sections"},
    {"include(\"t.conf\")", "1: error: \"/tmp/"},
    {"include(\"listen.conf\")", "2: error: \"/tmp/"},
    {"include(\"lists\")", "1: error: /tmp/"},
    {"include(base.conf, x)", "1: error: expected ')', found ','"},
    /* values */
    {"network { manage-rules = maybe }", "1: error: network.manage-rules: expected true or false, found \"maybe\""},
    {"network { mark = 0 }", "1: error: network.mark: expected a whole number from 1 to 4294967295, found \"0\""},
    {"network { mark = 4294967296 }", "1: error: network.mark: expected"},
    {"network { mark = 99999999999999999999999 }", "1: error: network.mark: expected"},
    {"network { mark = 0x }", "1: error: network.mark: expected"},
    {"network { mark = -1 }", "1: error: network.mark: expected"},
    {"network { route-table = 254 }", "1: error: network.route-table: 254 is one of the system's own"},
    {"network { lan = {\"interface-too-long\"} }", "1: error: network.lan: expected names of network interfaces, found"},
    {"network { lan = {\"a/b\"} }", "1: error: network.lan: expected"},
    {"network { lan = {\"a\",\n\"a\"} }", "1: error: network.lan: \"a\" is listed twice"},
    {"network {\nresolvers = {\"1.1.1\"} }", "2: error: network.resolvers: expected"},
    {"network { resolvers = {\"1.1.1.1:0\"} }", "1: error: network.resolvers: expected"},
    {"network { resolvers = {\"[1.1.1.1]:53\"} }", "1: error: network.resolvers: expected"},
    {"network { resolvers = {\"[::1\"} }", "1: error: network.resolvers: expected"},
    {"network { resolvers = {\"fe80::1%nosuch0\"} }", "1: error: network.resolvers: expected"},
    {"policy { mode = enforse }", "1: error: policy.mode: expected one of enforce|observe, found \"enforse\""},
    {"policy { linger = 10 }", "1: error: policy.linger: expected a duration such as"},
    {"policy { linger = 25h }", "1: error: policy.linger: expected a duration such as 500ms, 30s, 10min, 4h or 1d from 0ms to 1d, found"},
    {"policy { linger = 9223372036854775807d }", "1: error: policy.linger: expected"},
    {"policy { denied = {\"lists/none.txt\"} }", "1: error: no list \"lists/none.txt\" in the folder"},
    {"tls { leaf-lifetime = 48h }", "1: error: tls.leaf-lifetime: expected"},
    {"limits { head = 5GB }", "1: error: limits.head: expected a size"},
    {"limits { head = 8MB }", "1: error: limits.head: expected a size such as 512B, 64kB or 1MB (of 1024) from 1kB to 4MB, found"},
    {"limits { line = 128kB }", "1: error: limits.line: more than limits.head (65536 bytes)"},
    {"limits { connections = 100 }", ": error: limits.connections-per-client: more than limits.connections (100)"},
    {"log { to = \"tls://192.0.2.1:6514\" }", "1: error: log.to: expected unix:PATH, udp://ADDRESS:PORT or tcp://ADDRESS:PORT"},
    {"log { to = \"udp://collector:514\" }", "1: error: log.to: expected"},
    {"log { to = \"unix:relative\" }", "1: error: log.to: expected"},
    {"room \"a\" { }", "1: error: room \"a\": expected clients"},
    {"room \"\" { clients = {10.0.0.1} }", "1: error: room \"\": expected a name"},
    {"room \"a\" { clients = {\"10.0.0.1/24\"} }", "1: error: room.clients: expected addresses, networks or MAC addresses, found \"10.0.0.1/24\": no host bits may be set"},
    {"room \"a\" { clients = {\"53:54:00:12:34:56\"} }", "1: error: room.clients: expected"},
    {"room \"a\" { clients = {10.0.0.1} }\nroom \"b\" { clients = {\"10.0.0.0/24\"} }",
     "2: error: room \"b\": client 1 is also client 1 of room \"a\""},
    {"room \"a\" { clients = {\"52:54:00:12:34:5a\"} }\nroom \"b\" { clients = {10.0.0.1, \"52-54-00-12-34-5A\"} }",
     "2: error: room \"b\": client 2 is also client 1 of room \"a\""},
    {"clinic { allow = {\"bad host\"} }", "1: error: \"bad host\" is not a host pattern: "},
    {"clinic { allow = {\"a.jp\",\n\"*.co.jp\"} }", "2: error: \"*.co.jp\" covers all that anybody registers under co.jp"},
    {"clinic { splice = {\".jp\"} }", "1: error: \".jp\" covers all"},
    {"clinic { allow = {\"*clinic.co.jp\"} }", "1: error: \"*clinic.co.jp\" covers all"},
    {"clinic { allow = {\"a.jp\"} splice = {\"A.jp\"} }", "1: error: \"A.jp\" is treated otherwise in line 1"},
    {"clinic { files = {\"pdf of a.jp\"} }", "1: error: clinic.files: expected \"TYPE from HOST\""},
    {"clinic { files = {\"p/f from a.jp\"} }", "1: error: clinic.files: expected"},
    {"clinic { files = {\"exe from *.co.jp\"} }", "1: error: \"*.co.jp\" covers all"},
    {"clinic { meetings = {\"https://a.jp/x\"} }", "1: error: clinic.meetings: expected"},
    {"service \"a b\" { }", "1: error: service \"a b\": expected a name"},
    {"service \"a\" { networks = {\"10.0.0.1/8\"} }", "1: error: service.networks: expected"},
    {"service \"a\" { media-udp = {\"5-3\"} }", "1: error: service.media-udp: expected"},
    {"service \"a\" { media-udp = {65536} }", "1: error: service.media-udp: expected"},
    {"service \"a\" { reviewed = \"2025-02-29\" }", "1: error: service.reviewed: expected a date"},
    {"service \"a\" { policy-url = \"ftp://a.jp\" }", "1: error: service.policy-url: expected an http or https URL"},
    {"service \"a\" { join = {\"\\\\\"} }", "1: error: service.join: expected"},
    {"service \"a\" { header \"X Y\" { value = v hosts = {\"a.jp\"} } }", "1: error: header \"X Y\": not a field name"},
    {"service \"a\" {\n header \"X\" { hosts = {\"a.jp\"} } }", "2: error: header \"X\": expected a value"},
    {"service \"a\" { header \"X\" { value = v } }", "1: error: header \"X\": expected hosts"},
    {"service \"a\" { header \"X\" { value = v }\n header \"X\" { value = w } }", "2: error: header \"X\" is given twice"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct configuration *c = attempt(mistakes[i][0]);
        check_report(mistakes[i][0], mistakes[i][1]);
        if (c)
            fail_msg("taken: %s", mistakes[i][0]);
    }
}

static void test_listeners(void **state)
{
    static const char *const cases[][2] = {
        {"network { }", ":1: error: no listener: expected"},
        {"listen \"transparent\" { }", ":1: error: network.lan: expected the interfaces of the LAN"},
        {"listen \"tranparent\" { }", ":1: error: listen \"tranparent\": expected listen"},
        {"listen \"explicit\" { port = 0 }", ":1: error: listen.port: expected a whole number from 1"},
        {"listen \"explicit\" { address = {} }", ":1: error: listen \"explicit\": expected addresses"},
        {"listen \"explicit\" { address = {\"localhost\"} }", ":1: error: listen.address: expected"},
        {"listen \"explicit\" { port = 80 }\nnetwork { lan = {a} }\n"
         "listen \"transparent\" { port = 80 }",
         ":3: error: port 80: another listener has that address already"},
        {"network { lan = {a} }\nlisten \"transparent\" { connect-ports = {1} }",
         ":2: error: connect-ports belongs to listen \"explicit\""},
        {"listen \"explicit\" { address = {\"0.0.0.0\"} } x",
         ":1: error: expected '=', '{' or a title"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(attempt_with(cases[i][0], "base.conf"));
        check_report(cases[i][0], cases[i][1] + 1);
    }
    struct configuration *c = attempt_with("listen \"transparent\" { }\n"
                                           "network { manage-rules = false }",
                                           "base.conf");
    assert_non_null(c);
    assert_int_equal(ntohs(((struct sockaddr_in *)&c->listeners[0].address)->sin_port), 8443);
    configuration_free(c);
}

/* One run tells all: unknown words, wrong values and what is missing, in the file and in the included one. */
static void test_all_at_once(void **state)
{
    static const char *const wanted[] = {
        "1: error: unknown option \"lann\"", "2: error: policy.mode: expected",
        "3: error: room \"a\": expected clients", "4: error: unknown section \"foo\""};

    (void)state;
    write_text("more.conf", "log {\n allowed = 7\n}\n");
    assert_null(attempt("network { lann = {\"a\"} }\npolicy { mode = x }\nroom \"a\" { }\n"
                        "foo { bar = { 1, 2 } baz \"x\" { } }\ninclude(\"more.conf\")"));
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        check_report("all at once", wanted[i]);
    assert_non_null(strstr(reports, "/more.conf:2: error: log.allowed: expected true or false"));
}

static void test_included_files(void **state)
{
    char name[32], text[64];

    (void)state;
    /* the two things that libconfuse takes, in an included file */
    write_text("more.conf", "log {\n allowed = true\n");
    assert_null(attempt("include(\"more.conf\")"));
    assert_non_null(strstr(reports, "/more.conf:1: error: the section that begins here is never closed"));
    write_text("more.conf", "log {\n allowed = true\n allowed = false }\n");
    assert_null(attempt("include(\"more.conf\")"));
    assert_non_null(strstr(reports, "/more.conf:3: error: allowed is given twice: first in line 2"));
    /* the second one stands in another file */
    write_text("more.conf", "\nlog { }\n");
    assert_null(attempt("log { }\ninclude(\"more.conf\")"));
    assert_non_null(strstr(reports, "/more.conf:2: error: log is given twice: first at "));
    /* from the folder of the file that includes */
    write_text("services/one.conf", "include(\"two.conf\")");
    write_text("services/two.conf", "service \"two\" { splice = {\"a.jp\"} }");
    struct configuration *c = attempt("include(\"services/one.conf\")");
    assert_non_null(c);
    assert_int_equal(c->policy.service_count, 1);
    assert_string_equal(c->policy.services[0].rule.file, path_of("services/two.conf"));
    configuration_free(c);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "deep%d.conf", i);
        snprintf(text, sizeof(text), "include(\"deep%d.conf\")\n", i + 1);
        write_text(name, text);
    }
    assert_null(attempt("include(\"deep0.conf\")"));
    assert_non_null(strstr(reports, "/deep7.conf:1: error: includes nested more than 8 deep"));
}

static void test_strange_files(void **state)
{
    size_t size = 1048577;
    char *large = malloc(size);

    (void)state;
    reports[0] = '\0';
    assert_null(configuration_read(path_of("absent.conf"), collect, NULL));
    assert_non_null(strstr(reports, "/absent.conf:1: error: "));
    reports[0] = '\0';
    assert_null(configuration_read(folder, collect, NULL));
    assert_non_null(strstr(reports, "not a regular file"));
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_null(configuration_read(path_of("fifo"), collect, NULL)); /* and does not wait */
    assert_non_null(large);
    memset(large, '#', size);
    write_bytes("large.conf", large, size);
    free(large);
    reports[0] = '\0';
    assert_null(configuration_read(path_of("large.conf"), collect, NULL));
    assert_non_null(strstr(reports, "too large"));
    write_bytes("nul.conf", "log {\0}", 7);
    reports[0] = '\0';
    assert_null(configuration_read(path_of("nul.conf"), collect, NULL));
    assert_non_null(strstr(reports, "nul.conf:1: error: a control character (00)"));
    write_text("empty.conf", "");
    assert_null(configuration_read(path_of("empty.conf"), NULL, NULL)); /* no listener */
    /* as an editor of Windows writes it */
    struct configuration *c = attempt("\xef\xbb\xbflog {\r\n allowed = false\r\n}\r");
    assert_non_null(c);
    assert_false(c->log_allowed);
    configuration_free(c);
}

/* --- lists --- */

static void test_lists(void **state)
{
    (void)state;
    write_text("lists/mine.txt", "# head\n\n .Bit.ly  # comment\r\nt.co\n.bit.ly\n*.x.example");
    struct configuration *c = attempt("policy { denied = {\"lists/mine.txt\"} }");
    assert_non_null(c);
    assert_int_equal(hostset_count(c->policy.denied), 3);
    const struct hostset_entry *entry = hostset_find(c->policy.denied, SPAN("bit.ly"));
    assert_non_null(entry);
    assert_int_equal(entry->rule.line, 3);
    assert_string_equal(entry->rule.file, path_of("lists/mine.txt"));
    assert_int_equal(hostset_find(c->policy.denied, SPAN("a.x.example"))->rule.line, 6);
    configuration_free(c);

    write_text("lists/mine.txt", "a.jp\nb c\nd.jp\n");
    assert_null(attempt("policy { denied = {\"lists/mine.txt\"} }"));
    assert_non_null(strstr(reports, "/mine.txt:2: error: \"b c\" is not a host pattern"));
    write_text("lists/mine.txt", "a.jp\n\xff\n");
    assert_null(attempt("policy { denied = {\"lists/mine.txt\"} }"));
    check_report("not UTF-8", "1: error: list ");

    assert_int_equal(rename(path_of("lists/doh.txt"), path_of("lists/hidden")), 0);
    assert_null(attempt("log { }")); /* a default list is missing */
    check_report("default list", "1: error: no list \"lists/doh.txt\"");
    assert_int_equal(rename(path_of("lists/hidden"), path_of("lists/doh.txt")), 0);
}

/* --- warnings --- */

static void test_warnings(void **state)
{
    static const char *const cases[][2] = {
        {"policy {\n mode = observe }", "2: warning: policy.mode = observe"},
        {"service \"a\" { }", "1: warning: service \"a\": reviewed is missing"},
        {"service \"a\" { reviewed = \"2020-02-29\" }", "1: warning: service \"a\": reviewed on 2020-02-29, more than"},
        {"service \"a\" { reviewed = \"2999-01-01\" }", "1: warning: service \"a\": reviewed on 2999-01-01, a day to come"},
        {"service \"a\" { media-udp = {1} }", "1: warning: service \"a\": media ports have no effect"},
        {"\nclinic { }\nservice \"a\" { join = {\"a.jp/j/*\"} }", "2: warning: clinic.meetings is empty"},
        {"clinic { allow = {\"x.doh.example\"} }", "1: warning: \"x.doh.example\" is on a denied list (/tmp"},
        {"clinic { allow = {\"*.doh.example\"} }", "1: warning: \"*.doh.example\" is on a denied list (/tmp"},
        {"clinic { allow = {\"a.jp\"}\ndeny = {\".a.jp\"} }", "1: warning: \"a.jp\" has no effect: clinic.deny \".a.jp\" in line 2"},
        {"clinic { allow = {\"*.github.io\"} }", "1: warning: \"*.github.io\" covers what anybody puts on the shared platform github.io"},
        {"clinic { allow = {\"a.jp\",\n\"A.jp.\"} }", "2: warning: \"A.jp.\" is listed already in line 1"},
        {"service \"a\" { splice = {\".a.jp\"}\n header \"X\" { value = v hosts = {\"b.a.jp\"} } }",
         "2: warning: header \"X\" is never set on \"b.a.jp\""},
    };
    char text[128], today[16];
    time_t now = time(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct configuration *c = attempt(cases[i][0]);
        check_report(cases[i][0], cases[i][1]);
        assert_non_null(c);
        configuration_free(c);
    }
    strftime(today, sizeof(today), "%Y-%m-%d", gmtime(&now));
    snprintf(text, sizeof(text), "service \"a\" { reviewed = \"%s\" splice = {\"*.a.jp\"} }", today);
    struct configuration *c = attempt(text);
    assert_non_null(c);
    assert_null(strstr(reports, "service"));
    configuration_free(c);
}

/* --- the CA --- */

static void test_ca(void **state)
{
    (void)state;
    assert_int_equal(rename(path_of("ca-key.pem"), path_of("hidden")), 0);
    assert_null(attempt("log { }"));
    assert_non_null(strstr(reports, "/listen.conf:3: error: tls.ca-key: "));
    assert_non_null(strstr(reports, "`sekisho ca init` makes it"));
    reports[0] = '\0';
    struct configuration *c = configuration_read_without_ca(path_of("t.conf"), collect, NULL);
    assert_non_null(c);
    assert_string_equal(c->ca_key, path_of("ca-key.pem"));
    configuration_free(c);
    assert_int_equal(rename(path_of("hidden"), path_of("ca-key.pem")), 0);

    assert_int_equal(chmod(path_of("ca-key.pem"), 0640), 0);
    assert_null(attempt("log { }"));
    assert_non_null(strstr(reports, "others than its owner can read or change it (mode 640"));
    assert_int_equal(chmod(path_of("ca-key.pem"), 0600), 0);

    write_text("ca.pem", "not a certificate");
    assert_null(attempt("log { }"));
    assert_non_null(strstr(reports, "error: tls.trust: "));
    assert_non_null(strstr(reports, "error: tls.ca-certificate: "));
    write_text("ca.pem", "-----BEGIN CERTIFICATE-----\n");

    /* for want of other words both lie in the state folder */
    write_text("state.conf", "listen \"explicit\" { }\ntls { trust = \"ca.pem\" }\n"
                             "process { pages = \"pages\" state-directory = \".\" }\n");
    c = attempt_with("", "state.conf");
    assert_non_null(c);
    assert_string_equal(strrchr(c->ca_certificate, '/'), "/ca.pem");
    configuration_free(c);
}

/* --- hostile and broken texts --- */

/* How many braces are open at the end; the text has none in strings. */
static int open_braces(const char *text, size_t size)
{
    int depth = 0;
    for (size_t i = 0; i < size; i++)
        depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    return depth;
}

static const char short_one[] =
    "network { lan = {\"br0\", eth1} mark = 0x7 }\nlisten \"explicit\" { address = {'::1'} }\n"
    "room \"診\" { clients = {10.0.0.1} }\nservice \"z\" { join = {\".z.us/j/*\"}\n"
    "header \"X\" { value = \"a\\\"b\" hosts = {\"z.us\"} } }\ninclude(\"base.conf\")\n";

static void test_cut_everywhere(void **state)
{
    size_t size = sizeof(short_one) - 1;

    (void)state;
    for (size_t i = 0; i <= size; i++) {
        write_bytes("t.conf", short_one, i);
        reports[0] = '\0';
        struct configuration *c = configuration_read(path_of("t.conf"), collect, NULL);
        if (i + 1 >= size)
            assert_non_null(c);
        if (c && open_braces(short_one, i) != 0)
            fail_msg("taken although %zu bytes leave a brace open", i);
        if (!c)
            assert_non_null(strstr(reports, ": error: "));
        configuration_free(c);
    }
}

static void test_changed_everywhere(void **state)
{
    static const char signs[] = "{}()=,\"'\\#/*$+\n \x80 0a";
    char text[sizeof(short_one)];
    size_t size = sizeof(short_one) - 1;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        memcpy(text, short_one, sizeof(text));
        text[i] = signs[i % (sizeof(signs) - 1)];
        write_bytes("t.conf", text, size);
        reports[0] = '\0';
        struct configuration *c = configuration_read(path_of("t.conf"), collect, NULL);
        if (!c)
            assert_non_null(strstr(reports, ": error: "));
        configuration_free(c);
    }
}

static void test_many_errors_are_bounded(void **state)
{
    char *text = malloc(400 * 16 + 1);
    size_t lines = 0;

    (void)state;
    assert_non_null(text);
    text[0] = '\0';
    for (size_t i = 0, used = 0; i < 400; i++)
        used += (size_t)snprintf(text + used, 16, "x%zu { }\n", i);
    assert_null(attempt(text));
    free(text);
    for (const char *p = reports; (p = strchr(p, '\n')); p++)
        lines++;
    assert_in_range(lines, 200, 202);
    assert_non_null(strstr(reports, "and more errors"));
    /* sections within unknown sections, without end */
    text = malloc(20001);
    assert_non_null(text);
    for (size_t i = 0; i < 20000; i += 4)
        snprintf(text + i, 5, "a { ");
    assert_null(attempt(text));
    assert_non_null(strstr(reports, "sections nested too deeply"));
    free(text);
}

/* --- the tables and what is made of them --- */

static void test_nearest(void **state)
{
    (void)state;
    assert_int_equal(option_distance("", ""), 0);
    assert_int_equal(option_distance("abc", ""), 3);
    assert_int_equal(option_distance("linger", "lingre"), 1);
    assert_int_equal(option_distance("kitten", "sitting"), 3);
    assert_string_equal(option_nearest(SECTION_POLICY, "lingre"), "linger");
    assert_string_equal(option_nearest(SECTION_NETWORK, "manage_rules"), "manage-rules");
    assert_string_equal(option_nearest(SECTION_SERVICE, "headers"), "header");
    assert_null(option_nearest(SECTION_POLICY, "zzzz"));
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        assert_ptr_equal(option_find(option_rows[i].section, option_rows[i].name), &option_rows[i]);
        assert_int_equal(section_find(option_rows[i].section, option_rows[i].name), SECTION_ROOT);
    }
}

static char *text_of(void (*write)(struct evbuffer *))
{
    struct evbuffer *out = evbuffer_new();
    assert_non_null(out);
    write(out);
    size_t size = evbuffer_get_length(out);
    char *text = malloc(size + 1);
    assert_non_null(text);
    evbuffer_remove(out, text, size);
    text[size] = '\0';
    evbuffer_free(out);
    return text;
}

/* Takes the line that begins so out of the text: the test's own paths come in its stead. */
static void drop_line(char *text, const char *begin)
{
    char *at = strstr(text, begin);
    assert_non_null(at);
    memset(at, ' ', strcspn(at, "\n"));
}

static void test_written_defaults(void **state)
{
    char *text = text_of(configuration_write_defaults), *whole = NULL;

    (void)state;
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof(name), " %s = ", option_rows[i].name);
        assert_non_null(strstr(text, name));
    }
    drop_line(text, "    pages = ");
    drop_line(text, "    trust = ");
    char *process = strstr(text, "\nprocess {");
    assert_non_null(process);
    assert_true(asprintf(&whole, "%.*s\nprocess {\n pages = \"pages\"\n%s", (int)(process - text), text,
                         process + strlen("\nprocess {")) > 0);
    write_text("t.conf", whole);
    reports[0] = '\0';
    struct configuration *c = configuration_read_without_ca(path_of("t.conf"), collect, NULL);
    if (!c && !strstr(reports, "tls.trust"))
        fail_msg("%s", reports);
    if (c) {
        assert_int_equal(c->timeout_body, 60000);
        assert_int_equal(c->listener_count, 2);
        assert_int_equal(hostset_count(c->policy.denied), 6);
    }
    configuration_free(c);
    free(whole);
    free(text);
}

static char *source_file(const char *name)
{
    const char *root = getenv("srcdir");
    char path[1024];

    snprintf(path, sizeof(path), "%s/%s", root ? root : ".", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: run from the top of the sources, or with srcdir", path);
    char *text = calloc(1, 262144);
    assert_non_null(text);
    size_t size = fread(text, 1, 262143, file);
    fclose(file);
    assert_true(size > 0 && size < 262143);
    return text;
}

/* The folders of this build as they stand in the page of the sources. */
static char *with_usual_folders(char *text)
{
    static const char *const folders[][2] = {{SEKISHO_DATA_DIR, "/usr/share/sekisho"},
                                             {SEKISHO_SYSCONF_DIR, "/etc/sekisho"},
                                             {SEKISHO_STATE_DIR, "/var/lib/sekisho"},
                                             {SEKISHO_RUN_DIR, "/run/sekisho"}};
    for (size_t i = 0; i < 4; i++) {
        for (char *at = text; (at = strstr(at, folders[i][0])); at += strlen(folders[i][1])) {
            char *changed = NULL;
            size_t before = (size_t)(at - text);
            assert_true(asprintf(&changed, "%.*s%s%s", (int)before, text, folders[i][1],
                                 at + strlen(folders[i][0])) > 0);
            free(text);
            text = changed;
            at = text + before;
        }
    }
    return text;
}

static void test_manual(void **state)
{
    char *page = source_file("gateway/sekisho.conf.5");
    char *section = with_usual_folders(text_of(configuration_write_manual));

    (void)state;
    if (!strstr(page, section))
        fail_msg("the OPTIONS of gateway/sekisho.conf.5 are not those of gateway/options.h");
    free(section);
    free(page);
}

static void test_sample_and_profiles(void **state)
{
    static const char *const names[] = {"zoom", "teams",   "meet",  "webex", "whereby",
                                        "jitsi", "line", "clinics", "curon", "yadoc"};
    const char *root = getenv("srcdir") ? getenv("srcdir") : ".";
    char *top = realpath(root, NULL), *text = NULL;

    (void)state;
    assert_non_null(top);
    assert_true(asprintf(&text,
                         "include(\"%s/conf/sekisho.conf\")\ninclude(\"%s/conf/services/zoom.conf\")\n"
                         "policy-of-the-test { }\n",
                         top, top) > 0);
    free(text);
    struct evbuffer *all = evbuffer_new();
    assert_non_null(all);
    evbuffer_add_printf(all, "include(\"%s/conf/sekisho.conf\")\n", top);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        evbuffer_add_printf(all, "include(\"%s/conf/services/%s.conf\")\n", top, names[i]);
    evbuffer_add(all, "", 1);
    assert_int_equal(rename(path_of("lists"), path_of("lists-of-the-test")), 0);
    assert_true(asprintf(&text, "%s/conf/lists", top) > 0);
    assert_int_equal(symlink(text, path_of("lists")), 0);
    free(text);
    struct configuration *c = attempt_with((char *)evbuffer_pullup(all, -1), "base.conf");
    if (!c)
        fail_msg("%s", reports);
    assert_int_equal(c->policy.service_count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < c->policy.service_count; i++) {
        const struct service *service = &c->policy.services[i];
        assert_string_equal(service->name, names[i]);
        assert_true(hostset_count(service->call) > 0);
        /* what an enabled service needs is on no list of denied hosts */
        for (size_t j = 0; j < hostset_count(service->hosts); j++) {
            const char *host = hostset_at(service->hosts, j)->pattern;
            assert_null(strchr(host, '*') ? NULL : hostset_find(c->policy.denied, span_of(host)));
        }
    }
    const struct service *zoom = &c->policy.services[0];
    assert_true(url_pattern_matches(&zoom->attachments[0], SPAN("us04file.zoom.us"), SPAN("/a")));
    assert_true(url_pattern_matches(&zoom->join[0], SPAN("us02web.zoom.us"), SPAN("/j/1?pwd=x")));
    assert_int_equal(zoom->network_count, 49);
    assert_non_null(hostset_find(c->policy.denied, SPAN("bit.ly")));
    assert_non_null(hostset_find(c->policy.denied, SPAN("mask.icloud.com")));
    assert_null(hostset_find(c->policy.denied, SPAN("youtu.be")));
    assert_null(hostset_find(c->policy.system, SPAN("www.google.com")));
    assert_null(hostset_find(c->policy.system, SPAN("www.microsoft.com")));
    assert_int_equal(hostset_find(c->policy.system, SPAN("ocsp.digicert.com"))->tag, TREAT_SPLICE);
    configuration_free(c);
    assert_int_equal(unlink(path_of("lists")), 0);
    assert_int_equal(rename(path_of("lists-of-the-test"), path_of("lists")), 0);
    evbuffer_free(all);
    free(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_rooms),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_included_files),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_ca),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_changed_everywhere),
        cmocka_unit_test(test_many_errors_are_bounded),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_written_defaults),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_sample_and_profiles),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
