/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plays scenarios: what a clinic does in an hour, judged by the real filters on a virtual clock. A
 * scenario is a text file, a statement a line; '#' begins a comment. First the policy:
 *
 *   policy outside=inspect|deny linger=10min scope=clinic|room|client mode=enforce|observe
 *          no-sni=refuse|inspect own-meetings-for=30d                 (one line, any of them)
 *   service NAME hosts=H,H splice=H call=H chat=H attachments=P join=P create=P networks=N
 *   clinic allow=H splice=H deny=H meetings=P files=TYPE@HOST
 *   list denied=H system=H
 *   room NAME ADDRESS,ADDRESS
 *
 * (H: host patterns of filters/hostset.h, P: url patterns, N: networks; lists have commas) and then
 * what happens, in the order of time, with what must come of it behind the arrow:
 *
 *   at 0s flow CLIENT NAME|ADDRESS [not-http] -> splice|inspect|answer|refuse [REASON]
 *   at 5s request CLIENT URL WAY [from=URL] [sni=NAME] [uncovered] -> pass|block|would-block
 * [REASON] at 5s response CLIENT URL WAY [from=URL] [type=TYPE] [name=FILE] holds=CONTENT -> as a
 * request at 6s release host NAME|url URL for 30min at 20min consultation CLIENT -> on
 * [SERVICE]|off
 *   at 7s made CLIENT URL LINK -> own|nothing
 *
 * WAY is how the client asks and CONTENT what the body is: the tables below have their names. A
 * flow to a call host of a service is a sign of a call. LINK is a join link in the answer to a
 * request to URL. A response is judged as if its request had
 * passed.
 *
 * Exit status: 0 when all came as written, 1 when not, 2 for a scenario that cannot be read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/meeting.h"
#include "filters/url.h"
#include "tests/replay/scenario.h"

#define FIELDS 8

/* X(name, header fields) */
#define WAYS(X)                                                                                    \
    X("typed", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Sec-Fetch-Site: none")           \
    X("clicked", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Sec-Fetch-Site: cross-site")   \
    X("frame", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe|Sec-Fetch-Site: cross-site")       \
    X("picture", "Sec-Fetch-Mode: no-cors|Sec-Fetch-Dest: image|Sec-Fetch-Site: cross-site")       \
    X("fetch", "Sec-Fetch-Mode: cors|Sec-Fetch-Dest: empty|Sec-Fetch-Site: cross-site")            \
    X("socket", "Sec-Fetch-Mode: websocket|Sec-Fetch-Dest: empty|Upgrade: websocket")              \
    X("saved", "Sec-Fetch-Mode: no-cors|Sec-Fetch-Dest: empty|Sec-Fetch-Site: cross-site")         \
    X("old-browser", "Accept: text/html,*/*;q=0.8|Upgrade-Insecure-Requests: 1")                   \
    X("old-picture", "Accept: image/*")                                                            \
    X("program", "Accept: */*")

/* X(name, bytes) */
#define CONTENTS(X)                                                                                \
    X("nothing", "")                                                                               \
    X("html", "<!DOCTYPE html><html><body>hello</body></html>")                                    \
    X("text", "plain words and nothing else\n")                                                    \
    X("png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR")                                                      \
    X("pdf", "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")                                                      \
    X("gzip", "\x1f\x8b\x08\0\0\0\0\0\0\x03KLJ\x06\0")                                             \
    X("program", "MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8\0\0\0")                             \
    X("script", "#!/bin/sh\necho hello\n")

struct named {
    const char *name;
    struct span bytes;
};
static const struct named ways[] = {
#define X(name, fields) {name, {fields, sizeof(fields) - 1}},
    WAYS(X)
#undef X
        {NULL, {NULL, 0}}};
static const struct named contents[] = {
#define X(name, bytes) {name, {bytes, sizeof(bytes) - 1}},
    CONTENTS(X)
#undef X
        {NULL, {NULL, 0}}};

/* Not cryptographic: it only has to tell the few URLs of a scenario apart. */
static void digest(struct span bytes, uint8_t out[32])
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes.size + 32; i++) {
        hash = (hash ^ (i < bytes.size ? (unsigned char)bytes.data[i] : 0u)) * 1099511628211u;
        if (i >= bytes.size)
            out[i - bytes.size] = (uint8_t)(hash >> 32);
    }
}

static struct span find_named(const struct scenario *scenario, const struct named *rows,
                              struct span name)
{
    for (; rows->name; rows++)
        if (span_equal(span_of(rows->name), name))
            return rows->bytes;
    scenario_fail(scenario, "not known", name);
    return name;
}

static bool has_word(const struct statement *statement, const char *word)
{
    for (size_t i = 0; i < statement->count; i++)
        if (span_equal(statement->words[i], span_of(word)))
            return true;
    return false;
}

/* How far a consultation of this client reaches, as a text. */
static void find_scope(const struct scenario *scenario, struct span client, char *text, size_t size)
{
    if (scenario->policy.scope == SCOPE_CLINIC) {
        snprintf(text, size, "clinic");
        return;
    }
    snprintf(text, size, "client:%.*s", (int)client.size, client.data);
    if (scenario->policy.scope == SCOPE_CLIENT)
        return;
    for (size_t i = 0; i < scenario->room_count; i++) {
        struct span rest = span_of(scenario->rooms[i].clients), one;
        while (span_next(&rest, ',', &one))
            if (span_equal(one, client))
                snprintf(text, size, "room:%s", scenario->rooms[i].name);
    }
}

static void stand(struct scenario *scenario, const char *scope)
{
    struct standing *standing = &scenario->standing;
    standing->now = scenario->now / 1000;
    standing->scope = scope;
    standing->consultation =
        consultation_find(scenario->consultations, scope, scenario->now, &standing->service);
}

/* What came against what the scenario wants: the verdict, and the reason where it names one. */
static void compare(struct scenario *scenario, struct statement *statement, const char *verdict,
                    const char *detail)
{
    bool same = statement->wanted_count > 0 && span_equal(statement->wanted[0], span_of(verdict)) &&
                (statement->wanted_count == 1 || span_equal(statement->wanted[1], span_of(detail)));
    scenario->steps++;
    if (same)
        return;
    scenario->failures++;
    printf("%s:%u: wanted", scenario->path, scenario->line);
    for (size_t i = 0; i < statement->wanted_count; i++)
        printf(" %.*s", (int)statement->wanted[i].size, statement->wanted[i].data);
    printf(", came %s %s\n", verdict, detail);
}

static void play_flow(struct scenario *scenario, struct statement *statement)
{
    static const char *const verdicts[] = {"splice", "inspect", "answer", "refuse"};
    struct span name = scenario_word(scenario, statement, 4);
    struct flow_facts facts = {.alpn_is_http = !has_word(statement, "not-http")};
    struct flow_finding finding;
    char scope[128], host[HOST_TEXT];
    if (!address_parse(name, &facts.destination)) {
        if (!host_normalise(name, host))
            scenario_fail(scenario, "not a host", name);
        facts.sni = span_of(host);
    }
    find_scope(scenario, scenario_word(scenario, statement, 3), scope, sizeof(scope));
    stand(scenario, scope);
    filters_judge_flow(&scenario->policy, &scenario->standing, &facts, &finding);
    if (finding.call)
        consultation_sign(scenario->consultations, scope, finding.call->name, scenario->now,
                          scenario->policy.linger);
    compare(scenario, statement, verdicts[finding.verdict], reason_code(finding.reason));
}

static void add_field(const struct scenario *scenario, struct field *fields, size_t *count,
                      struct field field)
{
    if (*count == FIELDS)
        scenario_fail(scenario, "too many fields", field.name);
    fields[(*count)++] = field;
}

/* The request of a statement; the URL and the fields live with the caller. */
static struct request read_request(const struct scenario *scenario, struct statement *statement,
                                   struct url *url, struct field fields[FIELDS])
{
    struct span way = find_named(scenario, ways, scenario_word(scenario, statement, 5)), line,
                value;
    size_t count = 0;
    if (!url_parse(scenario_word(scenario, statement, 4), url))
        scenario_fail(scenario, "not a URL", statement->words[4]);
    while (span_next(&way, '|', &line)) {
        size_t colon = span_index(line, ':');
        add_field(scenario, fields, &count,
                  (struct field){span_first(line, colon), span_trim(span_from(line, colon + 1))});
    }
    if (scenario_find_option(statement, "from", &value))
        add_field(scenario, fields, &count, (struct field){SPAN("Referer"), value});
    struct request request = {.method = SPAN("GET"),
                              .tls = url->tls,
                              .host = span_of(url->host),
                              .port = url->port,
                              .target = url->target,
                              .fields = fields,
                              .field_count = count,
                              .host_is_covered = !has_word(statement, "uncovered")};
    if (url->tls && !scenario_find_option(statement, "sni", &request.sni))
        request.sni = request.host;
    return request;
}

static void compare_finding(struct scenario *scenario, struct statement *statement,
                            const struct finding *finding)
{
    const char *block = scenario->policy.mode == MODE_OBSERVE ? "would-block" : "block";
    compare(scenario, statement, finding->verdict == VERDICT_PASS ? "pass" : block,
            reason_code(finding->reason));
}

static void play_request(struct scenario *scenario, struct statement *statement)
{
    struct url url;
    struct field fields[FIELDS];
    struct finding finding;
    char scope[128];
    struct request request = read_request(scenario, statement, &url, fields);
    find_scope(scenario, statement->words[3], scope, sizeof(scope));
    stand(scenario, scope);
    filters_judge_request(&scenario->policy, &scenario->standing, &request, &finding);
    compare_finding(scenario, statement, &finding);
}

static void play_response(struct scenario *scenario, struct statement *statement)
{
    struct url url;
    struct field request_fields[FIELDS], fields[FIELDS];
    struct finding finding;
    struct span value;
    char scope[128], disposition[256];
    struct request request = read_request(scenario, statement, &url, request_fields);
    struct response response = {.status = 200, .fields = fields, .prefix_is_whole = true};
    if (scenario_find_option(statement, "type", &value))
        add_field(scenario, fields, &response.field_count,
                  (struct field){SPAN("Content-Type"), value});
    if (scenario_find_option(statement, "name", &value)) {
        snprintf(disposition, sizeof(disposition), "attachment; filename=\"%.*s\"", (int)value.size,
                 value.data);
        add_field(scenario, fields, &response.field_count,
                  (struct field){SPAN("Content-Disposition"), span_of(disposition)});
    }
    if (!scenario_find_option(statement, "holds", &value))
        scenario_fail(scenario, "a response needs holds=", SPAN(""));
    struct span body = find_named(scenario, contents, value);
    response.prefix = (const uint8_t *)body.data;
    response.prefix_size = body.size;
    find_scope(scenario, statement->words[3], scope, sizeof(scope));
    stand(scenario, scope);
    filters_judge_request(&scenario->policy, &scenario->standing, &request, &finding);
    filters_judge_response(&scenario->policy, &scenario->standing, &request, &response, &finding);
    compare_finding(scenario, statement, &finding);
}

static void play_release(struct scenario *scenario, struct statement *statement)
{
    struct span what = scenario_word(scenario, statement, 4);
    bool is_url = span_equal(scenario_word(scenario, statement, 3), SPAN("url"));
    char normal[2048];
    struct url url;
    if (scenario->standing.release_count == RELEASES)
        scenario_fail(scenario, "too many releases", SPAN(""));
    struct release *release = &scenario->releases[scenario->standing.release_count++];
    release->scope = is_url ? RELEASE_URL : RELEASE_HOST;
    release->until =
        (scenario->now + scenario_read_time(scenario, scenario_word(scenario, statement, 6))) /
        1000;
    if (!is_url) {
        if (!host_normalise(what, release->host))
            scenario_fail(scenario, "not a host", what);
        return;
    }
    if (!url_parse(what, &url))
        scenario_fail(scenario, "not a URL", what);
    memcpy(release->host, url.host, sizeof(release->host));
    size_t size =
        url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, sizeof(normal));
    digest((struct span){normal, size}, release->url_sha256);
}

static void play_consultation(struct scenario *scenario, struct statement *statement)
{
    char scope[128];
    find_scope(scenario, scenario_word(scenario, statement, 3), scope, sizeof(scope));
    stand(scenario, scope);
    compare(scenario, statement, scenario->standing.consultation ? "on" : "off",
            scenario->standing.service ? scenario->standing.service : "");
}

/* A request to a URL was answered with a link: is it a meeting that the clinic has made? */
static void play_made(struct scenario *scenario, struct statement *statement)
{
    struct url request, link;
    struct learned_link links[MEETING_LINKS];
    scenario_word(scenario, statement, 3);
    if (!url_parse(scenario_word(scenario, statement, 4), &request) ||
        !url_parse(scenario_word(scenario, statement, 5), &link))
        scenario_fail(scenario, "not a URL", statement->words[4]);
    const struct service *service =
        meeting_maker(&scenario->policy, span_of(request.host), request.target);
    bool own = service && !meeting_is_named(service, &link, request.target) &&
               meeting_learn(service, &link, digest, links);
    for (size_t i = 0; own && i < MEETING_LINKS; i++) {
        links[i].since = scenario->now;
        links[i].until = (scenario->now + scenario->policy.own_meetings_for) / 1000;
        learned_links_add(scenario->learned, &links[i], scenario->now / 1000);
    }
    compare(scenario, statement, own ? "own" : "nothing", "");
}

typedef void play(struct scenario *scenario, struct statement *statement);

static const struct {
    const char *word;
    play *play;
} events[] = {
    {"flow", play_flow},       {"request", play_request},           {"response", play_response},
    {"release", play_release}, {"consultation", play_consultation}, {"made", play_made}};

static void play_event(struct scenario *scenario, struct statement *statement)
{
    struct span word = scenario_word(scenario, statement, 2);
    int64_t now = scenario_read_time(scenario, statement->words[1]);
    if (now < scenario->now)
        scenario_fail(scenario, "the clock does not go back", statement->words[1]);
    scenario->now = now;
    consultation_expire(scenario->consultations, now, NULL, NULL);
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        if (span_equal(word, span_of(events[i].word))) {
            events[i].play(scenario, statement);
            return;
        }
    }
    scenario_fail(scenario, "not an event", word);
}

static void play_statement(struct scenario *scenario, struct statement *statement)
{
    if (span_equal(statement->words[0], SPAN("at")))
        play_event(scenario, statement);
    else if (!scenario_read_policy(scenario, statement))
        scenario_fail(scenario, "not a statement", statement->words[0]);
}

static void play_line(struct scenario *scenario, struct span line)
{
    struct statement statement = {0};
    struct span word;
    bool behind_arrow = false;
    while (span_next(&line, ' ', &word)) {
        if (word.size == 0)
            continue;
        if (word.data[0] == '#')
            break;
        if (span_equal(word, SPAN("->"))) {
            behind_arrow = true;
        } else if (behind_arrow) {
            if (statement.wanted_count == 2)
                scenario_fail(scenario, "too much behind the arrow", word);
            statement.wanted[statement.wanted_count++] = word;
        } else {
            if (statement.count == WORDS)
                scenario_fail(scenario, "too many words", word);
            statement.words[statement.count++] = word;
        }
    }
    if (statement.count)
        play_statement(scenario, &statement);
}

/* True when all came as written. */
static bool play_file(const char *path)
{
    struct scenario *scenario = scenario_new(path);
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    if (!file)
        scenario_fail(scenario, "cannot be opened", span_of(strerror(errno)));
    scenario->standing.sha256 = digest;
    scenario->standing.learned = scenario->learned;
    while ((size = getline(&line, &room, file)) > 0) {
        scenario->line++;
        if (line[size - 1] == '\n')
            size--;
        play_line(scenario, (struct span){line, (size_t)size});
    }
    free(line);
    fclose(file);
    bool good = scenario->failures == 0 && scenario->steps > 0;
    printf("%s %s: %u steps, %u not as written\n", good ? "ok" : "not ok", path, scenario->steps,
           scenario->failures);
    scenario_free(scenario);
    return good;
}

int main(int count, char **arguments)
{
    bool good = true;
    if (count < 2) {
        fprintf(stderr, "usage: replay SCENARIO...\n");
        return 2;
    }
    for (int i = 1; i < count; i++)
        good = play_file(arguments[i]) && good;
    return good ? 0 : 1;
}
