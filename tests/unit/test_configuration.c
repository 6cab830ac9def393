/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: what is said and what is not, every kind of mistake with its file and line,
 * and files that are cut or changed at every byte.
 */
#include "tests/unit/configuration_cases.h"
#include "tests/unit/configuration_fixture.h"

#include <time.h>

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
    "  call = {\"c.zoom.us\"} chat = {\"t.zoom.us\"} attachments = {\"*file.zoom.us\", "
    "\"a.jp/b*\"}\n"
    "  join = {\".zoom.us/j/*\"} networks = {\"192.0.2.0/24\"} media-udp = {3478, \"8801-8810\"}\n"
    "  media-tcp = {443} quic = true policy-url = \"https://example.jp/p\"\n"
    "  header \"X-ZoomApps-Policy\" { value = \"label\" hosts = {\"app.zoom.us\"} } }\n";

static const char boundaries[] =
    "network { lan = {eth1} egress = consultation media-check = true dns = {192.0.2.53, "
    "\"fd00::1\"}\n"
    "  dns-redirect = no connections-per-client = 9 bypass = {closed} }\n"
    "listen \"transparent\" { }\n"
    "bypass \"closed\" { title = \"X\" networks = {10.8.0.0/16, \"fd01::/32\"}\n"
    "  zones = {\"Onshi.Example\"} resolvers = {\"10.8.0.1:53\"} }\n"
    "bypass \"idle\" { networks = {10.9.0.0/16} }\n"
    "segment \"medical\" { interfaces = {eth2, eth3} }\n"
    "permit \"dicom\" { from = {lan, 10.1.0.0/16} to = {\"10.2.0.0/16\"} tcp = {104, 11112-11115} "
    "}\n"
    "permit \"all\" { to = {10.3.0.0/16} }\n"
    "service \"p\" { reviewed = \"\" media-hosts = {\"a.example\"} peer-to-peer = on media-udp = "
    "{1} }\n";

static void test_boundaries(void **state)
{
    struct configuration *c = attempt_with(boundaries, "base.conf");

    (void)state;
    assert_int_equal(c->egress, EGRESS_CONSULTATION);
    assert_true(c->media_check);
    assert_false(c->dns_redirect);
    assert_int_equal(c->dns_count, 2);
    assert_int_equal(c->dns[1].family, 6);
    assert_int_equal(c->intercepted_per_client, 9);
    assert_int_equal(c->bypasses_count, 2);
    assert_true(c->bypasses[0].in_force);
    assert_false(c->bypasses[1].in_force);
    assert_string_equal(c->bypasses[0].title, "X");
    assert_string_equal(c->bypasses[1].title, "idle");
    assert_string_equal(c->bypasses[0].zones[0], "onshi.example");
    assert_int_equal(c->bypasses[0].resolver_count, 1);
    assert_int_equal(c->segments[0].interface_count, 2);
    assert_int_equal(c->permit_count, 2);
    assert_int_equal(c->permits[0].from[0].address.family, 0);
    assert_int_equal(c->permits[0].from[1].address.family, 4);
    assert_int_equal(c->permits[0].tcp[1].last, 11115);
    assert_int_equal(c->permits[1].from_count, 1); /* the LAN, by default */
    assert_int_equal(c->permits[1].from[0].address.family, 0);
    assert_int_equal(hostset_count(c->policy.services[0].media_hosts), 1);
    assert_true(c->policy.services[0].peer_to_peer);
    configuration_free(c);
}

static void check_service(const struct service *service)
{
    assert_string_equal(service->name, "zoom");
    assert_string_equal(service->title, "Zoom");
    assert_int_equal(service->rule.line, 20);
    assert_int_equal(hostset_find(service->hosts, SPAN("x.zoom.us"))->tag, TREAT_SPLICE);
    assert_int_equal(hostset_find(service->hosts, SPAN("app.zoom.us"))->tag, TREAT_INSPECT);
    assert_non_null(hostset_find(service->call, SPAN("c.zoom.us")));
    assert_non_null(hostset_find(service->chat, SPAN("t.zoom.us")));
    assert_int_equal(service->attachment_count, 2);
    assert_true(
        url_pattern_matches(&service->attachments[0], SPAN("us04file.zoom.us"), SPAN("/x")));
    assert_int_equal(service->attachments[1].rule.line, 21);
    assert_int_equal(service->join_count, 1);
    assert_int_equal(service->network_count, 1);
    assert_int_equal(service->media_udp_count, 2);
    assert_int_equal(service->media_udp[0].last, 3478);
    assert_int_equal(service->media_udp[1].first, 8801);
    assert_int_equal(service->media_udp[1].last, 8810);
    assert_int_equal(service->media_tcp[0].first, 443);
    assert_true(service->quic);
    assert_false(service->peer_to_peer);
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

    (void)state;
    for (size_t i = 0; i < sizeof(listener_mistakes) / sizeof(listener_mistakes[0]); i++) {
        assert_null(attempt_with(listener_mistakes[i][0], "base.conf"));
        check_report(listener_mistakes[i][0], listener_mistakes[i][1]);
    }
    struct configuration *c = attempt_with("listen \"transparent\" { }\n"
                                           "network { manage-rules = false }",
                                           "base.conf");
    assert_non_null(c);
    assert_int_equal(ntohs(((struct sockaddr_in *)&c->listeners[0].address)->sin_port), 8443);
    configuration_free(c);
}

/* One run tells all: unknown words, wrong values and what is missing, in the file and in the
 * included one. */
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
    write_text("more.conf", "schema = 1\n");
    assert_null(attempt("schema = 1 include(\"more.conf\")"));
    assert_non_null(strstr(reports, "/more.conf:1: error: schema stands in "));
    /* of a newer form nothing else is told */
    assert_null(attempt("schema = 99999999999\nnew-thing { x = y }"));
    check_report("newer", "1: error: schema = 99999999999: made for a newer version");
    assert_null(strstr(reports, "new-thing"));
    /* the two things that libconfuse takes, in an included file */
    write_text("more.conf", "log {\n allowed = true\n");
    assert_null(attempt("include(\"more.conf\")"));
    assert_non_null(
        strstr(reports, "/more.conf:1: error: the section that begins here is never closed"));
    write_text("more.conf", "log {\n allowed = true\n allowed = false }\n");
    assert_null(attempt("include(\"more.conf\")"));
    assert_non_null(
        strstr(reports, "/more.conf:3: error: allowed is given twice: first in line 2"));
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
    char text[128], today[16];
    time_t now = time(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        struct configuration *c = attempt(warnings[i][0]);
        check_report(warnings[i][0], warnings[i][1]);
        assert_non_null(c);
        configuration_free(c);
    }
    strftime(today, sizeof(today), "%Y-%m-%d", gmtime(&now));
    snprintf(text, sizeof(text), "service \"a\" { reviewed = \"%s\" splice = {\"*.a.jp\"} }",
             today);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_boundaries),
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
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
