/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: lines, clients, the socket's file, and what each command takes and answers.
 */
#include "filters/meeting.h"
#include "tests/unit/registry_fixture.h"

/* --- lines --- */

static void bad_requests_get_one_answer(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"", "not JSON"},
        {"garbage", "not JSON"},
        {"[1, 2]", "not a JSON object"},
        {"\"text\"", "not JSON"},
        {"{}", "no \"command\""},
        {"{\"command\": 5}", "no \"command\""},
        {"{\"command\": \"x\"}", "no such command"},
        {"{\"command\": \"status\", \"command\": \"flows\"}", "duplicate"},
        {"{\"command\": \"status\"} x", "not JSON"},
        {"{\"command\": \"\xff\"}", "not JSON"},
        {"{\"command\": \"incidents\", \"limit\": 0}", "from 1 to 1000"},
        {"{\"command\": \"incidents\", \"limit\": \"9\"}", "whole number"},
        {"{\"command\": \"incidents\", \"since\": -1}", "from 0"},
        {"{\"command\": \"reload\"}", "no parent"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ask_badly(*state, rows[i].line, rows[i].error);
}

static void pipelined_and_split_requests(void **state)
{
    static const char two[] = "{\"command\":\"status\"}\n{\"command\":\"releases\"}\r\n";
    struct fixture *fixture = *state;
    json_t *reply;

    say(fixture, two, sizeof(two) - 1);
    reply = hear(fixture);
    assert_string_equal(text_of(reply, "mode"), "enforce");
    json_decref(reply);
    reply = hear(fixture);
    assert_non_null(json_object_get(reply, "releases"));
    json_decref(reply);
    for (size_t i = 0; i < sizeof(two) - 1; i++)
        say(fixture, two + i, 1);
    for (int i = 0; i < 2; i++) {
        reply = hear(fixture);
        assert_true(json_is_true(json_object_get(reply, "ok")));
        json_decref(reply);
    }
    assert_null(hear(fixture));
}

static bool is_closed(struct fixture *fixture)
{
    char byte;

    turn(fixture);
    return recv(fixture->client, &byte, 1, 0) == 0;
}

static void long_line_is_refused(void **state)
{
    static char line[CONTROL_LINE + 1];
    struct fixture *fixture = *state;
    json_t *reply;

    /* The longest that is taken: it is only bad JSON. */
    memset(line, 'x', sizeof(line));
    say(fixture, line, CONTROL_LINE);
    ask_badly(fixture, "", "not JSON");
    /* One more, and no end in sight. */
    say(fixture, line, sizeof(line));
    reply = hear(fixture);
    assert_non_null(strstr(text_of(reply, "error"), "longer than"));
    json_decref(reply);
    assert_true(is_closed(fixture));
}

static void half_closed_client_is_answered(void **state)
{
    static const char three[] = "{\"command\":\"status\"}\n{\"command\":\"status\"}\nrest";
    struct fixture *fixture = *state;

    assert_int_equal(send(fixture->client, three, sizeof(three) - 1, 0), sizeof(three) - 1);
    shutdown(fixture->client, SHUT_WR);
    for (int i = 0; i < 2; i++) {
        json_t *reply = hear(fixture);

        assert_non_null(reply);
        json_decref(reply);
    }
    assert_true(is_closed(fixture));
    assert_true(control_is_idle(fixture->registry->control));
}

static void clients_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    int pairs[CONTROL_CLIENTS + 3][2];
    size_t count = CONTROL_CLIENTS + 3;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        control_add_client(fixture->registry->control, pairs[i][1]);
    }
    char text[100] = "";
    assert_true(recv(pairs[count - 1][0], text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(text, "too many clients"));
    for (size_t i = 0; i < count; i++)
        close(pairs[i][0]);
    turn(fixture);
    json_decref(ask_well(fixture, "{\"command\":\"status\"}")); /* the first is still served */
}

/* A client that asks and asks and never reads must not make the registry's memory grow. */
static void deaf_client_is_not_read(void **state)
{
    static const char request[] = "{\"command\":\"status\"}\n";
    struct fixture *fixture = *state;
    int64_t began = registry_now();
    size_t sent = 0;

    for (int i = 0; i < 200000; i++) {
        ssize_t got = send(fixture->client, request, sizeof(request) - 1, MSG_NOSIGNAL);

        if (got < 0) {
            turn(fixture);
            got = send(fixture->client, request, sizeof(request) - 1, MSG_NOSIGNAL);
            if (got < 0)
                break;
        }
        sent += (size_t)got;
    }
    assert_true(sent < 4u << 20); /* it was the socket that was full, not we who read on */
    /* With a high watermark libevent calls back for ever while the buffer is full, until the
     * timeout. */
    assert_true(registry_now() - began < CONTROL_IDLE * 1000 / 2);
}

static void text_from_anywhere(void **state)
{
    static const char bytes[] = "a\0b\xff\xe8\xa8\xba\xe8";
    json_t *text = control_text((struct span){bytes, sizeof(bytes) - 1});

    (void)state;
    assert_string_equal(json_string_value(text), "a\xef\xbf\xbd"
                                                 "b\xef\xbf\xbd\xe8\xa8\xba\xef\xbf\xbd");
    json_decref(text);
    text = control_text((struct span){NULL, 0});
    assert_string_equal(json_string_value(text), "");
    json_decref(text);
}

/* --- the socket's file --- */

static void socket_file(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char path[100], error[256], longer[200];
    int first, second, client;

    snprintf(path, sizeof(path), "%s/run/control", fixture->folder);
    first = control_open_socket(path, "", error, sizeof(error));
    assert_true(first >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    /* A second one takes the place of the first, stale or not. */
    second = control_open_socket(path, "root", error, sizeof(error));
    if (geteuid() == 0) {
        assert_true(second >= 0);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0660);
        client = socket(AF_UNIX, SOCK_STREAM, 0);
        memcpy(address.sun_path, path, strlen(path) + 1);
        assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
        int accepted = accept(second, NULL, NULL);
        assert_true(accepted >= 0);
        close(accepted);
        close(client);
        close(second);
    }
    close(first);
    assert_int_equal(control_open_socket(path, "no-such-group-here", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no group"));
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(control_open_socket(path, "", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "not a socket"));
    unlink(path);
    memset(longer, 'a', sizeof(longer) - 1);
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(control_open_socket(longer, "", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "too long"));
    snprintf(path, sizeof(path), "%s/run", fixture->folder);
    assert_int_equal(rmdir(path), 0); /* nothing else is left behind */
}

/* --- incidents and releases --- */

static void incident_is_released_by_its_url(void **state)
{
    static const char url[] = "https://unknown.example/present?x=1";
    struct fixture *fixture = *state;
    uint8_t digest[DIGEST_SIZE];
    struct worker worker;
    json_t *reply, *row;
    size_t at;

    join(fixture, &worker, 0);
    report(fixture, &worker, EVENT_BLOCK, 17, url);
    report(fixture, &worker, EVENT_WOULD_BLOCK, 18, NULL);
    report(fixture, &worker, EVENT_ALLOW, 19, NULL); /* no incident, whatever it says */
    reply = ask_well(fixture, "{\"command\":\"incidents\",\"limit\":10}");
    assert_int_equal(count_of(reply, "incidents"), 2);
    row = json_array_get(json_object_get(reply, "incidents"), 1);
    assert_int_equal(number_of(row, "incident"), 17);
    assert_string_equal(text_of(row, "event"), "block");
    assert_string_equal(text_of(row, "host"), "unknown.example");
    json_decref(reply);
    reply = ask_well(fixture, "{\"command\":\"observe\"}");
    assert_int_equal(count_of(reply, "hosts"), 1);
    json_decref(reply);
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":17,\"seconds\":60,"
                              "\"reason\":\"検査\",\"by\":\"山田\"}");
    row = json_object_get(reply, "release");
    assert_string_equal(text_of(row, "scope"), "url");
    assert_int_equal(number_of(row, "incident"), 17);
    assert_int_equal(number_of(row, "uid"), (int64_t)geteuid());
    json_decref(reply);
    at = heard(&worker, MESSAGE_RELEASE);
    digest_sha256(span_of(url), digest);
    assert_memory_equal(worker.heard[at].as.release.url_sha256, digest, DIGEST_SIZE);
    assert_int_equal(worker.heard[at].as.release.scope, RELEASE_URL);
    /* As text, and one without a URL: then the host. */
    /* as the page shows it */
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":\"#0-018\",\"seconds\":60,"
                              "\"reason\":\"r\",\"by\":\"b\"}");
    assert_string_equal(text_of(json_object_get(reply, "release"), "scope"), "host");
    json_decref(reply);
    ask_badly(fixture,
              "{\"command\":\"release\",\"what\":19,\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}",
              "no incident 19");
    link_free(worker.link);
}

/* The digest must be the very one that a worker makes of the request. */
static void url_is_normalised(void **state)
{
    struct fixture *fixture = *state;
    uint8_t digest[DIGEST_SIZE];
    char text[2 * DIGEST_SIZE + 1], normal[256];
    json_t *reply;

    reply = ask_well(fixture,
                     "{\"command\":\"release\",\"what\":\"HTTPS://Unknown.Example:443/a?b=c#d\","
                     "\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}");
    size_t size =
        url_normalise(true, SPAN("unknown.example"), 443, SPAN("/a?b=c"), normal, sizeof(normal));
    digest_sha256((struct span){normal, size}, digest);
    digest_hex(digest, sizeof(digest), text);
    assert_string_equal(text_of(json_object_get(reply, "release"), "url-sha256"), text);
    json_decref(reply);
}

static void release_needs_everything(void **state)
{
#define RELEASE(rest) "{\"command\":\"release\"," rest "}"
    static const struct {
        const char *request, *error;
    } rows[] = {
        {RELEASE("\"what\":\"a.example\",\"reason\":\"r\",\"by\":\"b\""), "1 second to 30 days"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":0,\"reason\":\"r\",\"by\":\"b\""), "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":2592001,\"reason\":\"r\",\"by\":\"b\""),
         "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":1.5,\"reason\":\"r\",\"by\":\"b\""),
         "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"by\":\"b\""), "needs \"reason\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"  \",\"by\":\"b\""),
         "needs \"reason\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"r\""), "needs \"by\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"r\",\"by\":7"),
         "needs \"by\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"a\\u001b[2J\",\"by\":\"b\""),
         "control character"},
        {RELEASE("\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "needs \"what\""},
        {RELEASE("\"what\":\"a b\",\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "neither"},
        {RELEASE("\"what\":\"ftp://a.example/\",\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""),
         "not a URL"},
        {RELEASE("\"what\":-3,\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "needs \"what\""},
        {"{\"command\":\"unrelease\",\"id\":1}", "no release 1"},
        {"{\"command\":\"unrelease\",\"id\":\"1\"}", "must be the number"},
    };
    struct fixture *fixture = *state;
    char request[2048], reason[520];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ask_badly(fixture, rows[i].request, rows[i].error);
    memset(reason, 'r', sizeof(reason));
    snprintf(request, sizeof(request),
             RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"%.501s\",\"by\":\"b\""),
             reason);
    ask_badly(fixture, request, "longer than 500");
    assert_int_equal(fixture->registry->release_count, 0);
    snprintf(request, sizeof(request),
             RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"%.500s\",\"by\":\"b\""),
             reason);
    json_decref(ask_well(fixture, request));
}

/* --- explain --- */

static const char *judged(const json_t *reply, const char *when, const char *what, const char *key)
{
    return text_of(json_object_get(json_object_get(reply, when), what), key);
}

static void explain_names_the_rule(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply, *destination;

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"https://bit.ly/x\","
                              "\"from\":\"192.168.10.21\"}");
    destination = json_object_get(reply, "destination");
    assert_string_equal(text_of(destination, "class"), "denied");
    assert_string_equal(text_of(destination, "rule"), "/etc/test.conf:6");
    assert_string_equal(judged(reply, "now", "request", "verdict"), "block");
    assert_string_equal(judged(reply, "now", "request", "reason"), "denied-destination");
    json_decref(reply);

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"unknown.example\"}");
    assert_string_equal(judged(reply, "outside_consultation", "request", "verdict"), "pass");
    assert_string_equal(judged(reply, "during_consultation", "request", "verdict"), "block");
    assert_string_equal(judged(reply, "during_consultation", "request", "reason"),
                        "unverified-destination");
    json_decref(reply);

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"https://media.example/\"}");
    assert_string_equal(judged(reply, "now", "flow", "verdict"), "splice");
    assert_string_equal(text_of(json_object_get(reply, "destination"), "treatment"), "splice");
    json_decref(reply);
}

/* The patient's link to a listed host, and whose a meeting is, as a worker would judge them. */
static void explain_knows_what_was_learned(void **state)
{
    static const char patient[] = "https://ehr.example/x";
    static struct url_pattern join;
    struct fixture *fixture = *state;
    struct learned_link link = {.kind = LEARNED_TEXT, .scope = "clinic", .service = "zoom"};
    struct learned_link own[MEETING_LINKS];
    int64_t now = registry_now();
    const char *error;
    json_t *reply;
    struct url url;

    link.since = now;
    link.until = now / 1000 + 1000;
    digest_sha256(span_of(patient), link.url_sha256);
    assert_true(learned_links_add(fixture->registry->learned, &link, now / 1000));
    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"https://ehr.example/x\"}");
    assert_string_equal(
        text_of(json_object_get(json_object_get(reply, "now"), "request"), "reason"),
        "patient-link");
    json_decref(reply);

    assert_true(url_pattern_parse(SPAN("meet.example/j/*"), (struct rule){0}, &join, &error));
    fixture->service.join = &join;
    fixture->service.join_count = 1;
    add_host(fixture->service.hosts, "meet.example", TREAT_INSPECT, 9);
    assert_true(url_parse(SPAN("https://meet.example/j/1"), &url));
    assert_true(meeting_learn(&fixture->service, &url, digest_sha256, own));
    for (size_t i = 0; i < MEETING_LINKS; i++) {
        own[i].since = now;
        own[i].until = now / 1000 + 1000;
        assert_true(learned_links_add(fixture->registry->learned, &own[i], now / 1000));
    }
    for (int i = 1; i <= 2; i++) {
        reply = ask_well(fixture,
                         i == 1 ? "{\"command\":\"explain\",\"url\":\"https://meet.example/j/1\"}"
                                : "{\"command\":\"explain\",\"url\":\"https://meet.example/j/2\"}");
        assert_string_equal(
            text_of(json_object_get(json_object_get(reply, "now"), "request"), "reason"),
            i == 1 ? "allowed" : "foreign-meeting");
        json_decref(reply);
    }
    fixture->service.join_count = 0;
    url_pattern_clear(&join);
}

static void explain_knows_what_is_on(void **state)
{
    static const char request[] = "{\"command\":\"explain\",\"url\":\"http://unknown.example/\","
                                  "\"from\":\"192.168.10.21\"}";
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;

    reply = ask_well(fixture, request);
    assert_true(json_is_false(json_object_get(reply, "consultation")));
    assert_string_equal(judged(reply, "now", "request", "verdict"), "pass");
    json_decref(reply);
    join(fixture, &worker, 0);
    sign(fixture, &worker, "clinic");
    reply = ask_well(fixture, request);
    assert_true(json_is_true(json_object_get(reply, "consultation")));
    assert_string_equal(judged(reply, "now", "request", "reason"), "unverified-destination");
    json_decref(reply);
    json_decref(ask_well(fixture, "{\"command\":\"release\",\"what\":\"unknown.example\","
                                  "\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}"));
    reply = ask_well(fixture, request);
    assert_string_equal(judged(reply, "now", "request", "reason"), "released");
    json_decref(reply);
    fixture->configuration.policy.scope = SCOPE_CLIENT; /* and nobody is named */
    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"http://unknown.example/\"}");
    assert_string_equal(text_of(reply, "scope"), "");
    assert_true(json_is_false(json_object_get(reply, "consultation")));
    json_decref(reply);
    ask_badly(fixture, "{\"command\":\"explain\",\"url\":\"http://a/\",\"from\":\"nobody\"}",
              "\"from\"");
    ask_badly(fixture, "{\"command\":\"explain\",\"url\":\"gopher://a/\"}", "\"url\"");
    ask_badly(fixture, "{\"command\":\"explain\"}", "\"url\"");
    link_free(worker.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_requests_get_one_answer),
        TEST(pipelined_and_split_requests),
        TEST(long_line_is_refused),
        TEST(half_closed_client_is_answered),
        TEST(clients_are_bounded),
        TEST(deaf_client_is_not_read),
        TEST(text_from_anywhere),
        TEST(socket_file),
        TEST(incident_is_released_by_its_url),
        TEST(url_is_normalised),
        TEST(release_needs_everything),
        TEST(explain_names_the_rule),
        TEST(explain_knows_what_was_learned),
        TEST(explain_knows_what_is_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
