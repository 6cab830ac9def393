/* SPDX-License-Identifier: BSD-2-Clause */
/* The request table: kinds, sources, and each row at its edges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "filters/learned_url.h"
#include "filters/links.h"
#include "tests/unit/policy_fixture.h"

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Header fields of the ways in which a browser asks. */
#define TYPED   "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none"
#define CLICKED "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site"
#define PICTURE "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Sec-Fetch-Site: cross-site"
#define SOCKET  "Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: websocket", "Upgrade: websocket"
#define SAVED   "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"
#define FRAMED  "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"

static struct finding judge(const struct fixture *fixture, const char *method, const char *url_text,
                            const char *const *lines)
{
    struct field fields[FIELDS];
    struct url url;
    struct request request = fixture_request(url_text, lines, fields, &url);
    struct finding finding;
    request.method = span_of(method);
    memset(&finding, 0x5a, sizeof(finding));
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.verdict,
                     finding.reason == REASON_ALLOWED || finding.reason == REASON_RELEASED
                         ? VERDICT_PASS
                         : VERDICT_BLOCK);
    assert_string_equal(finding.file.type, "");
    return finding;
}

static enum reason reason_of(const struct fixture *fixture, const char *url,
                             const char *const *lines)
{
    return judge(fixture, "GET", url, lines).reason;
}

#define assert_reason(fixture, url, lines, reason_)                                                \
    assert_string_equal(reason_code(reason_of(fixture, url, lines)), reason_code(reason_))

static void test_kinds(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *method;
        const char *lines[5];
        enum request_kind kind;
        bool top_level;
    } cases[] = {
        {"GET", {TYPED}, KIND_NAVIGATION, true},
        {"POST", {CLICKED}, KIND_NAVIGATION, true},
        {"GET", {"sec-fetch-mode: NAVIGATE", "SEC-FETCH-DEST: Document"}, KIND_NAVIGATION, true},
        {"GET", {FRAMED}, KIND_FRAME, true},
        {"GET", {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: frame"}, KIND_FRAME, true},
        {"GET", {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: object"}, KIND_FRAME, true},
        {"GET", {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: embed"}, KIND_FRAME, true},
        {"GET", {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: fencedframe"}, KIND_FRAME, true},
        {"GET", {PICTURE}, KIND_SUBRESOURCE, false},
        {"GET", {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, KIND_SUBRESOURCE, false},
        {"GET", {"Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: worker"}, KIND_SUBRESOURCE, false},
        {"GET",
         {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: from-the-future"},
         KIND_SUBRESOURCE,
         false},
        {"OPTIONS", {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, KIND_SUBRESOURCE, false},
        {"POST", {SAVED}, KIND_SUBRESOURCE, false},
        {"GET", {SAVED}, KIND_DOWNLOAD, true},
        {"GET", {"Sec-Fetch-Mode: no-cors"}, KIND_DOWNLOAD, true},
        {"GET", {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty"}, KIND_DOWNLOAD, true},
        {"POST", {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty"}, KIND_NAVIGATION, true},
        {"GET", {SOCKET}, KIND_WEBSOCKET, false},
        {"GET", {"Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: empty"}, KIND_WEBSOCKET, false},
        {"GET", {SAVED, "Sec-Purpose: prefetch;prerender"}, KIND_NAVIGATION, true},
        {"GET", {SAVED, "Purpose: prefetch"}, KIND_NAVIGATION, true},
        {"GET", {SAVED, "X-Moz: prefetch"}, KIND_NAVIGATION, true},
        {"GET", {SAVED, "Purpose: preview"}, KIND_NAVIGATION, true},
        {"GET", {PICTURE, "Purpose: prefetch"}, KIND_SUBRESOURCE, false},
        /* contradictions fall to the stricter */
        {"GET", {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: image"}, KIND_NAVIGATION, true},
        {"GET", {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: document"}, KIND_NAVIGATION, true},
        {"GET", {"Sec-Fetch-Mode: navigate", "Upgrade: websocket"}, KIND_NAVIGATION, true},
        {"GET", {"Sec-Fetch-Mode: odd", "Sec-Fetch-Dest: image"}, KIND_NAVIGATION, true},
        {"POST", {"Sec-Fetch-Dest: empty"}, KIND_NAVIGATION, true},
        {"PUT", {"Sec-Fetch-Mode: odd"}, KIND_OTHER, false},
        /* no Fetch Metadata */
        {"GET", {"Upgrade: WebSocket"}, KIND_WEBSOCKET, false},
        {"GET", {"Upgrade-Insecure-Requests: 1"}, KIND_NAVIGATION, true},
        {"GET", {"Accept: text/html,*/*;q=0.8"}, KIND_NAVIGATION, true},
        {"HEAD", {"Accept: application/xml, TEXT/HTML"}, KIND_NAVIGATION, true},
        {"PUT", {"Accept: text/html"}, KIND_OTHER, true},
        {"GET", {"Accept: image/webp,*/*"}, KIND_SUBRESOURCE, false},
        {"GET", {"Accept: text/css,*/*;q=0.1"}, KIND_SUBRESOURCE, false},
        {"GET", {"Accept: */*", "Referer: http://a.example/"}, KIND_SUBRESOURCE, false},
        {"GET", {"Accept: */*", "Origin: http://a.example"}, KIND_SUBRESOURCE, false},
        {"GET", {"Accept: */*"}, KIND_OTHER, false},
        {"POST", {"X-Requested-With: XMLHttpRequest"}, KIND_SUBRESOURCE, false},
        {"GET", {"Accept: text/html", "X-Requested-With: jp.example.app"}, KIND_NAVIGATION, true},
        {"GET", {NULL}, KIND_OTHER, false},
        {"DELETE", {"Accept: application/json"}, KIND_OTHER, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct finding finding =
            judge(fixture, cases[i].method, "https://evil.example/", cases[i].lines);
        assert_string_equal(request_kind_name(finding.kind), request_kind_name(cases[i].kind));
        assert_int_equal(finding.top_level, cases[i].top_level);
    }
}

static void test_sources(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *url;
        const char *lines[4];
        enum request_source source;
        const char *name;
    } cases[] = {
        {"https://evil.example/", {NULL}, FROM_NONE, ""},
        {"https://evil.example/", {"Origin: null"}, FROM_NONE, ""},
        {"https://evil.example/", {"Referer: about:blank"}, FROM_NONE, ""},
        {"https://evil.example/", {"Referer: https://A.example/x"}, FROM_PAGE, "a.example"},
        {"https://evil.example/", {"Origin: http://a.example:81"}, FROM_PAGE, "a.example"},
        {"https://evil.example/",
         {"Referer: https://meet.terakoya.example/"},
         FROM_SERVICE,
         "terakoya"},
        {"https://evil.example/", {"Referer: https://chat.example/"}, FROM_SERVICE, "terakoya"},
        {"https://evil.example/",
         {"Referer: https://a.example/", "Origin: https://meet.terakoya.example"},
         FROM_SERVICE,
         "terakoya"},
        {"https://evil.example/",
         {"Referer: https://meet.terakoya.example/", "Origin: https://a.example"},
         FROM_SERVICE,
         "terakoya"},
        {"https://evil.example/",
         {"Referer: https://a.example/", "Origin: https://b.example"},
         FROM_PAGE,
         "a.example"},
        {"https://evil.example/", {"Sec-Fetch-Site: same-origin"}, FROM_PAGE, "evil.example"},
        {"https://evil.example/", {"Sec-Fetch-Site: none"}, FROM_NONE, ""},
        {"https://meet.terakoya.example/",
         {"Sec-Fetch-Site: same-origin"},
         FROM_SERVICE,
         "terakoya"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct finding finding = judge(fixture, "GET", cases[i].url, cases[i].lines);
        assert_int_equal(finding.source, cases[i].source);
        assert_string_equal(finding.source_name, cases[i].name);
    }
}

struct learning {
    const struct fixture *fixture;
    struct learned_links *links;
    enum learned_kind kind;
};

static void learn_url(const struct learning *learning, const struct url *url, bool cut)
{
    struct learned_link link = {
        .kind = learning->kind, .since = 1, .until = learning->fixture->standing.now + 100};

    learned_link_name(&link, url, cut, fixture_digest);
    snprintf(link.scope, sizeof(link.scope), "clinic");
    snprintf(link.service, sizeof(link.service), "%s", learning->fixture->service.name);
    learned_links_add(learning->links, &link, learning->fixture->standing.now);
}

static void learn_found(void *context, const struct found_link *found)
{
    struct url other;

    learn_url(context, &found->url, found->cut);
    if (learned_url_other(&found->url, found->has_scheme, &other))
        learn_url(context, &other, found->cut);
}

/* The text of a chat. */
static void learn(const struct fixture *fixture, struct learned_links *links, const char *text,
                  enum learned_kind kind)
{
    struct learning learning = {fixture, links, kind};
    struct link_scanner *scanner = link_scanner_new(learn_found, &learning);

    link_scanner_feed(scanner, text, strlen(text));
    link_scanner_end(scanner);
    link_scanner_free(scanner);
}

/* Row 4: whatever the destination's standing is, and whatever asks for it. */
static void test_patient_link(void **state)
{
    struct fixture *fixture = *state;
    struct learned_links *links = learned_links_new();

    fixture->standing.learned = links;
    fixture->standing.scope = "clinic";
    learn(fixture, links, "https://www.clinic.example/a?b=c", LEARNED_TEXT);
    learn(fixture, links, "http://code.example/", LEARNED_CODE);
    learn(fixture, links, "https://typed.example/", LEARNED_TYPED);

    struct finding finding =
        judge(fixture, "GET", "https://www.clinic.example/a?b=c", LINES(TYPED));
    assert_int_equal(finding.reason, REASON_PATIENT_LINK);
    assert_int_equal(finding.source, FROM_LEARNED);
    assert_string_equal(finding.source_name, fixture->service.name);
    assert_int_equal(finding.learned.kind, LEARNED_TEXT);
    assert_int_equal(finding.learned.since, 1);
    assert_reason(fixture, "https://www.clinic.example/a?b=c", LINES(PICTURE), REASON_PATIENT_LINK);
    assert_reason(fixture, "https://www.clinic.example/a?b=d", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "http://code.example/", LINES(TYPED), REASON_PATIENT_LINK);
    assert_reason(fixture, "https://typed.example/", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://www.google.com/url?q=http%3A%2F%2Fcode.example%2F",
                  LINES(TYPED), REASON_PATIENT_LINK);

    fixture->policy.learned_by_host = true;
    assert_reason(fixture, "https://www.clinic.example/a?b=d", LINES(TYPED), REASON_PATIENT_LINK);
    assert_reason(fixture, "https://typed.example/", LINES(TYPED), REASON_ALLOWED);
    fixture->policy.learned_by_host = false;

    fixture->standing.scope = "room:2";
    assert_reason(fixture, "http://code.example/", LINES(TYPED), REASON_ALLOWED);
    fixture->standing.scope = "clinic";
    fixture->standing.now += 100;
    assert_reason(fixture, "http://code.example/", LINES(TYPED), REASON_ALLOWED);
    learned_links_free(links);
}

/* What a chat, a browser and a person make of a link on its way is the link that was learned. */
static void test_patient_link_on_its_way(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *said, *asked;
    } cases[] = {
        /* browsers try https first, some sites insist on it */
        {"http://www.clinic.example/a", "https://www.clinic.example/a"},
        {"http://www.clinic.example:80/a", "https://www.clinic.example/a"},
        {"http://www.clinic.example:8080/a", "https://www.clinic.example:8080/a"},
        {"www.clinic.example/a", "http://www.clinic.example/a"},
        /* how browsers write paths */
        {"https://www.clinic.example/x/../a", "https://www.clinic.example/a"},
        {"https://www.clinic.example/x/%2e%2e/a", "https://www.clinic.example/a"},
        {"https://www.clinic.example/a/.", "https://www.clinic.example/a/"},
        {"https://www.clinic.example/%61", "https://www.clinic.example/a"},
        {"https://www.clinic.example/a{b}", "https://www.clinic.example/a%7Bb%7D"},
        {"https://www.clinic.example/a?b='c", "https://www.clinic.example/a?b=%27c"},
        {"https://www.clinic.example:0000000443/a", "https://www.clinic.example/a"},
        {"https://www.clinic.example/a\u200bb", "https://www.clinic.example/a%E2%80%8Bb"},
        {"https://www.clinic.example/a\u00adb", "https://www.clinic.example/ab"},
        /* where the chat made the link longer than its reader did */
        {"<https://www.clinic.example/a)b|x>", "https://www.clinic.example/a)b"},
        {"{\"u\":\"https://www.clinic.example/a|b\"}", "https://www.clinic.example/a|b"},
        {"{\"u\":\"https://www.clinic.example/a b\"}", "https://www.clinic.example/a%20b"},
        {"{\"u\":\"https://www.clinic.example/a\\\"b\"}", "https://www.clinic.example/a%22b"},
        {"https://www.clinic.example/a<b", "https://www.clinic.example/a%3Cb"},
        {"https://www.clinic.example/a`b", "https://www.clinic.example/a%60b"},
        {"https://www.clinic.example/a^b", "https://www.clinic.example/a%5Eb"},
        {"'https://www.clinic.example/a'b", "https://www.clinic.example/a'b"},
        {"https://www.clinic.example/a,https://b", "https://www.clinic.example/a,https://b"},
        {"https://www.clinic.example/a\u3002b", "https://www.clinic.example/a%E3%80%82b"},
        {"https://www.clinic.example/a\u2013b", "https://www.clinic.example/a%E2%80%93b"},
        {"https://www.clinic.example/?q=a]b", "https://www.clinic.example/?q=a]b"},
        {"https://www.clinic.example/a.)b", "https://www.clinic.example/a.)b"},
    };

    fixture->standing.scope = "clinic";
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct learned_links *links = learned_links_new();
        fixture->standing.learned = links;
        learn(fixture, links, cases[i].said, LEARNED_TEXT);
        if (judge(fixture, "GET", cases[i].asked, LINES(TYPED)).reason != REASON_PATIENT_LINK)
            fail_msg("\"%s\" opens %s", cases[i].said, cases[i].asked);
        assert_reason(fixture, "https://www.clinic.example/other", LINES(TYPED), REASON_ALLOWED);
        learned_links_free(links);
    }
}

/* A link that is too long to be kept blocks what begins as it does; all of a host only where the
 * clinic does not list it. */
static void test_patient_link_too_long(void **state)
{
    struct fixture *fixture = *state;
    struct learned_links *links = learned_links_new();
    char text[8000], asked[3000];

    fixture->standing.learned = links;
    fixture->standing.scope = "clinic";
    for (size_t i = 0; i < 2; i++) {
        const char *host = i == 0 ? "www.clinic.example" : "unknown.example";
        size_t size = (size_t)snprintf(text, sizeof(text), "https://%s/a?", host);
        memset(text + size, 'x', sizeof(text) - size - 1);
        text[sizeof(text) - 1] = '\0';
        learn(fixture, links, text, LEARNED_TEXT);
        snprintf(asked, sizeof(asked), "%s", text);
        assert_reason(fixture, asked, LINES(TYPED), REASON_PATIENT_LINK);
    }
    assert_reason(fixture, "https://www.clinic.example/", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://www.clinic.example/a?xxx", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://unknown.example/", LINES(TYPED), REASON_PATIENT_LINK);
    learned_links_free(links);
}

/* A service's own hosts are no patient's link, and a release of it is stronger. */
static void test_patient_link_excuses(void **state)
{
    struct fixture *fixture = *state;
    struct learned_links *links = learned_links_new();
    char own[HOST_TEXT + 20];

    fixture->standing.learned = links;
    fixture->standing.scope = "clinic";
    const char *host = hostset_at(fixture->service.call, 0)->pattern;
    snprintf(own, sizeof(own), "https://%s/room", host);
    learn(fixture, links, own, LEARNED_TEXT);
    assert_reason(fixture, own, LINES(TYPED), REASON_ALLOWED);
    learn(fixture, links, "https://shared.example/x", LEARNED_TEXT);
    assert_reason(fixture, "https://shared.example/x", LINES(TYPED), REASON_PATIENT_LINK);
    fixture_release(fixture, RELEASE_HOST, "shared.example", 60);
    assert_reason(fixture, "https://shared.example/x", LINES(TYPED), REASON_RELEASED);
    learned_links_free(links);
}

static void test_misdirected(void **state)
{
    struct fixture *fixture = *state;
    struct field fields[FIELDS];
    struct url url;
    struct finding finding;
    struct request request =
        fixture_request("https://www.clinic.example/", LINES(TYPED), fields, &url);
    /* row 1 comes before a release */
    fixture_release(fixture, RELEASE_HOST, "www.clinic.example", 60);
    request.host_is_covered = false;
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_MISDIRECTED);
    assert_int_equal(finding.verdict, VERDICT_BLOCK);
    request.host_is_covered = true;
    request.sni = SPAN("ehr.clinic.example");
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_MISDIRECTED);
    request.sni = SPAN("");
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_RELEASED);
    request.sni = SPAN("ehr.clinic.example");
    request.tls = false;
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_RELEASED);
}

static void test_released(void **state)
{
    struct fixture *fixture = *state;
    fixture->standing.consultation = true;
    fixture_release(fixture, RELEASE_URL, "https://go.short.example/abc", 60);
    fixture_release(fixture, RELEASE_HOST, "us04file.terakoya.example", 60);
    struct finding finding = judge(fixture, "GET", "https://go.short.example/abc", LINES(CLICKED));
    assert_int_equal(finding.reason, REASON_RELEASED);
    assert_int_equal(finding.class, CLASS_RELEASED);
    assert_null(finding.rule.file);
    assert_reason(fixture, "https://go.short.example/abd", LINES(CLICKED),
                  REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://us04file.terakoya.example/x", LINES(TYPED), REASON_RELEASED);
    assert_reason(fixture, "https://us05file.terakoya.example/x", LINES(TYPED),
                  REASON_CHAT_ATTACHMENT);
    /* the release of the target opens the way through the redirector */
    assert_reason(fixture, "https://www.google.com/url?q=https://go.short.example/abc",
                  LINES(CLICKED), REASON_RELEASED);
    fixture->standing.now += 60;
    assert_reason(fixture, "https://go.short.example/abc", LINES(CLICKED),
                  REASON_DENIED_DESTINATION);
}

static void test_denied(void **state)
{
    struct fixture *fixture = *state;
    struct finding finding = judge(fixture, "GET", "https://go.short.example/", LINES(PICTURE));
    assert_int_equal(finding.reason, REASON_DENIED_DESTINATION);
    assert_int_equal(finding.rule.line, 40);
    assert_reason(fixture, "http://old.clinic.example/", LINES(TYPED), REASON_DENIED_DESTINATION);
    /* a denied redirector stays denied wherever it leads; a listed one does not help its target */
    finding = judge(fixture, "GET", "https://lin.ee/x", LINES(TYPED));
    assert_int_equal(finding.reason, REASON_DENIED_DESTINATION);
    assert_int_equal(finding.class, CLASS_DENIED);
    fixture_add(fixture->policy.denied, "href.li", 0, 60);
    assert_reason(fixture, "https://href.li/?https://www.clinic.example/", LINES(TYPED),
                  REASON_DENIED_DESTINATION);
    finding = judge(fixture, "GET", "https://www.google.com/url?q=https://go.short.example/",
                    LINES(TYPED));
    assert_int_equal(finding.reason, REASON_DENIED_DESTINATION);
    assert_string_equal(finding.judged_host, "go.short.example");
}

static void test_dns_over_https(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {
        "https://dns.example/dns-query", "https://dns.example/dns-query?dns=AAAB",
        "https://dns.example/dns-query/x", "https://meet.terakoya.example/dns-query",
        "https://dns.example/dns%2Dquer%79?dns=AAAB"};
    for (size_t i = 0; i < COUNT(urls); i++)
        assert_reason(fixture, urls[i], LINES("Accept: */*"), REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/x", LINES("Content-Type: application/dns-message"),
                  REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/x",
                  LINES("Accept: text/plain, Application/DNS-Message"), REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/resolve?name=a.example",
                  LINES("Accept: application/dns-json"), REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/x",
                  LINES("Accept: application/dns-message", "Accept: */*"),
                  REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/x",
                  LINES("Content-Type: application/oblivious-dns-message; a=b"),
                  REASON_DENIED_DESTINATION);
    assert_reason(fixture, "https://dns.example/dns-querying", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://www.clinic.example/dns-query", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://a.update.example/dns-query", LINES(TYPED), REASON_ALLOWED);
}

static void test_attachments(void **state)
{
    struct fixture *fixture = *state;
    struct finding finding =
        judge(fixture, "GET", "https://meet.terakoya.example/fil%65s/1?x", LINES(PICTURE));
    assert_int_equal(finding.reason, REASON_CHAT_ATTACHMENT);
    assert_int_equal(finding.rule.line, 18);
    assert_int_equal(finding.class, CLASS_SERVICE);
    assert_reason(fixture, "https://us1file.terakoya.example/", LINES(SAVED),
                  REASON_CHAT_ATTACHMENT);
    assert_reason(fixture, "https://meet.terakoya.example/file", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://l.facebook.com/l.php?u=https%3A%2F%2Fxfile.terakoya.example",
                  LINES(TYPED), REASON_CHAT_ATTACHMENT);
}

static void test_foreign_meetings(void **state)
{
    struct fixture *fixture = *state;
    static const char foreign[] = "https://meet.terakoya.example/j/666?pwd=x";
    struct finding finding = judge(fixture, "GET", foreign, LINES(TYPED));
    assert_int_equal(finding.reason, REASON_FOREIGN_MEETING);
    assert_int_equal(finding.rule.line, 19);
    assert_reason(fixture, foreign, LINES(FRAMED), REASON_FOREIGN_MEETING);
    assert_reason(fixture, foreign, LINES("Accept: */*"), REASON_FOREIGN_MEETING);
    assert_reason(fixture, foreign, LINES(PICTURE), REASON_ALLOWED);
    assert_reason(fixture, foreign, LINES(SOCKET), REASON_ALLOWED);
    assert_reason(fixture, "https://meet.terakoya.example/j/777", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://meet.terakoya.example/j/7770?x", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture,
                  "https://www.google.com/url?q=https://meet.terakoya.example/j/666%3Fpwd%3Dx",
                  LINES(TYPED), REASON_FOREIGN_MEETING);
    fixture->policy.meeting_count = 0;
    assert_reason(fixture, foreign, LINES(TYPED), REASON_ALLOWED);
}

#define FROM_MEET "Referer: https://meet.terakoya.example/"

static void test_links_from_consultation(void **state)
{
    struct fixture *fixture = *state;
    static const char url[] = "https://evil.example/";
    assert_reason(fixture, url, LINES(CLICKED, FROM_MEET), REASON_LINK_FROM_CONSULTATION);
    assert_reason(fixture, url, LINES(FRAMED, FROM_MEET), REASON_LINK_FROM_CONSULTATION);
    assert_reason(fixture, url, LINES(SAVED, FROM_MEET), REASON_LINK_FROM_CONSULTATION);
    assert_reason(fixture, url, LINES(PICTURE, FROM_MEET), REASON_ALLOWED);
    assert_reason(fixture, "https://www.clinic.example/", LINES(CLICKED, FROM_MEET),
                  REASON_ALLOWED);
    /* a redirector that is the service's own lends nothing to its target */
    fixture_add(fixture->service.hosts, ".safelinks.protection.outlook.com", TREAT_INSPECT, 70);
    struct finding finding =
        judge(fixture, "GET",
              "https://jpn01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.example%2F",
              LINES(CLICKED, FROM_MEET));
    assert_int_equal(finding.reason, REASON_LINK_FROM_CONSULTATION);
    assert_int_equal(finding.class, CLASS_UNKNOWN);
    assert_null(finding.service);
    assert_string_equal(finding.judged_host, "evil.example");
    assert_reason(
        fixture,
        "https://jpn01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.clinic.example%2F",
        LINES(CLICKED, FROM_MEET), REASON_ALLOWED);
    /* nor can one that is opaque */
    fixture_add(fixture->policy.clinic, "liff.line.me", TREAT_INSPECT, 71);
    assert_reason(fixture, "https://liff.line.me/1", LINES(CLICKED, FROM_MEET),
                  REASON_LINK_FROM_CONSULTATION);
}

static void test_consultation_on(void **state)
{
    struct fixture *fixture = *state;
    static const char url[] = "https://evil.example/";
    fixture->standing.consultation = true;
    assert_reason(fixture, url, LINES(TYPED), REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, url, LINES(FRAMED), REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, url, LINES(SAVED), REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, url, NULL, REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, "http://evil.example/", LINES("Accept: text/html"),
                  REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, url, LINES(TYPED, "Referer: https://www.clinic.example/"),
                  REASON_UNVERIFIED_DESTINATION);
    assert_reason(fixture, "https://www.clinic.example/", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://meet.terakoya.example/", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, "https://x.update.example/", NULL, REASON_ALLOWED);
    struct finding finding = judge(fixture, "GET", "https://www.clinic.example/", LINES(TYPED));
    assert_int_equal(finding.rule.line, 30);
    assert_string_equal(finding.rule.file, "test.conf");
}

static void check_parts(const struct fixture *fixture, enum reason reason)
{
    static const char url[] = "https://cdn.example/a.js";
    static const char *const allowed[] = {FROM_MEET, "Referer: https://www.clinic.example/x",
                                          "Origin: https://x.update.example"};
    static const char *const not_allowed[] = {
        "Referer: https://evil.example/", "Origin: https://evil.example", "Origin: null",
        "Referer: https://go.short.example/", "Referer: https://lin.ee/"};
    assert_reason(fixture, url, LINES(PICTURE), reason);
    assert_reason(fixture, url, LINES(SOCKET), reason);
    for (size_t i = 0; i < COUNT(allowed); i++) {
        assert_reason(fixture, url, LINES(PICTURE, allowed[i]), REASON_ALLOWED);
        assert_reason(fixture, url, LINES(SOCKET, allowed[i]), REASON_ALLOWED);
    }
    for (size_t i = 0; i < COUNT(not_allowed); i++) {
        assert_reason(fixture, url, LINES(PICTURE, not_allowed[i]), reason);
        assert_reason(fixture, url, LINES(SOCKET, not_allowed[i]), reason);
    }
    assert_reason(fixture, url, LINES(PICTURE, FROM_MEET, "Origin: https://evil.example"), reason);
    assert_reason(
        fixture, url,
        LINES("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin"),
        reason);
}

static void test_parts_of_pages(void **state)
{
    struct fixture *fixture = *state;
    fixture->standing.consultation = true;
    check_parts(fixture, REASON_UNVERIFIED_DESTINATION);
    /* a released page brings its parts, from its own host and from others */
    fixture_release(fixture, RELEASE_URL, "https://evil.example/page", 60);
    assert_reason(fixture, "https://evil.example/a.css",
                  LINES(PICTURE, "Referer: https://evil.example/page"), REASON_ALLOWED);
    assert_reason(fixture, "https://cdn.example/a.css",
                  LINES(PICTURE, "Referer: https://evil.example/"), REASON_ALLOWED);
    assert_reason(fixture, "https://evil.example/other",
                  LINES(TYPED, "Referer: https://evil.example/page"),
                  REASON_UNVERIFIED_DESTINATION);
}

static void test_outside(void **state)
{
    struct fixture *fixture = *state;
    static const char url[] = "https://evil.example/";
    assert_reason(fixture, url, LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, url, LINES(PICTURE), REASON_ALLOWED);
    fixture->policy.outside = OUTSIDE_DENY;
    assert_reason(fixture, url, LINES(TYPED), REASON_UNKNOWN_DESTINATION);
    assert_reason(fixture, url, LINES(SAVED), REASON_UNKNOWN_DESTINATION);
    assert_reason(fixture, url, NULL, REASON_UNKNOWN_DESTINATION);
    check_parts(fixture, REASON_UNKNOWN_DESTINATION);
    assert_reason(fixture, "https://www.clinic.example/", LINES(TYPED), REASON_ALLOWED);
    assert_reason(fixture, url, LINES(CLICKED, FROM_MEET), REASON_LINK_FROM_CONSULTATION);
}

static enum reason reason_in(const struct fixture *fixture, const char *url_text,
                             const char *country, const char *const *lines, struct finding *finding)
{
    struct field fields[FIELDS];
    struct url url;
    struct request request = fixture_request(url_text, lines, fields, &url);
    request.country = country;
    filters_judge_request(&fixture->policy, &fixture->standing, &request, finding);
    return finding->reason;
}

static void test_countries(void **state)
{
    struct fixture *fixture = *state;
    static const char url[] = "https://evil.example/";
    struct country deny[] = {{"RU", {"test.conf", 50}}, {"KP", {"test.conf", 51}}};
    struct country allow[] = {{"JP", {"test.conf", 52}}};
    struct finding finding;

    fixture->policy.country_deny = deny;
    fixture->policy.country_deny_count = 2;
    assert_int_equal(reason_in(fixture, url, "JP", LINES(TYPED), &finding), REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, url, "", LINES(TYPED), &finding), REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, url, NULL, LINES(TYPED), &finding), REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, url, "KP", LINES(TYPED), &finding), REASON_DENIED_COUNTRY);
    assert_int_equal(finding.verdict, VERDICT_BLOCK);
    assert_int_equal(finding.rule.line, 51);
    /* a part of an allowed page too: it would be fetched from there all the same */
    assert_int_equal(reason_in(fixture, url, "RU", LINES(PICTURE, FROM_MEET), &finding),
                     REASON_DENIED_COUNTRY);
    /* only what nobody lists is asked for its country */
    assert_int_equal(
        reason_in(fixture, "https://www.clinic.example/", "RU", LINES(TYPED), &finding),
        REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, "https://go.short.example/", "RU", LINES(TYPED), &finding),
                     REASON_DENIED_DESTINATION);
    fixture->policy.country_allow = allow;
    fixture->policy.country_allow_count = 1;
    assert_int_equal(reason_in(fixture, url, "JP", LINES(TYPED), &finding), REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, url, NULL, LINES(TYPED), &finding), REASON_ALLOWED);
    assert_int_equal(reason_in(fixture, url, "US", LINES(TYPED), &finding), REASON_DENIED_COUNTRY);
    assert_int_equal(finding.rule.line, 52);
    assert_int_equal(reason_in(fixture, url, "", LINES(TYPED), &finding), REASON_DENIED_COUNTRY);
    assert_int_equal(reason_in(fixture, url, "RU", LINES(TYPED), &finding), REASON_DENIED_COUNTRY);
    assert_int_equal(finding.rule.line, 50);
    fixture->standing.consultation = true;
    assert_int_equal(reason_in(fixture, url, "US", LINES(TYPED), &finding),
                     REASON_UNVERIFIED_DESTINATION);
    fixture_release(fixture, RELEASE_HOST, "evil.example", 60);
    assert_int_equal(reason_in(fixture, url, "RU", LINES(TYPED), &finding), REASON_RELEASED);
}

static void test_oddities(void **state)
{
    struct fixture *fixture = *state;
    struct field fields[FIELDS];
    struct url url;
    struct finding finding;
    struct request request = fixture_request("http://192.0.2.80/", NULL, fields, &url);
    fixture->standing.consultation = true;
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_ALLOWED);
    request.method = SPAN("OPTIONS");
    request.target = SPAN("*");
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.reason, REASON_ALLOWED);
    /* a request of no policy at all */
    struct policy empty = {.outside = OUTSIDE_DENY};
    struct standing nothing = {0};
    filters_judge_request(&empty, &nothing, &request, &finding);
    assert_int_equal(finding.reason, REASON_UNKNOWN_DESTINATION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kinds),
        TEST(test_sources),
        TEST(test_patient_link),
        TEST(test_patient_link_on_its_way),
        TEST(test_patient_link_too_long),
        TEST(test_patient_link_excuses),
        TEST(test_kinds),
        TEST(test_sources),
        TEST(test_misdirected),
        TEST(test_released),
        TEST(test_denied),
        TEST(test_dns_over_https),
        TEST(test_attachments),
        TEST(test_foreign_meetings),
        TEST(test_links_from_consultation),
        TEST(test_consultation_on),
        TEST(test_parts_of_pages),
        TEST(test_outside),
        TEST(test_countries),
        TEST(test_oddities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
