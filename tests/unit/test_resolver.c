/* SPDX-License-Identifier: BSD-2-Clause */
/* Names to addresses, from a name server that does what the name says, in a time that can be moved.
 */
#include "tests/unit/name_server.h"

#include <stdio.h>
#include <time.h>

#include "gateway/resolver.h"

#define NAMES_MAX 4096  /* that the cache holds */
#define GIVES_UP  15000 /* ms: no question takes longer */

/* The module's clock, ours to move. */
static int64_t skew;

int64_t clock_monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + skew;
}

struct fixture {
    struct event_base *base;
    struct name_server server;
    struct configuration configuration;
    struct resolver *resolver;
};

struct question {
    struct resolver *resolver;
    struct resolution *resolution;
    unsigned called;
    bool done;
    struct resolver_answer answer;
    struct question *asks;    /* the callback asks this one for `name` */
    struct question *cancels; /* the callback cancels this one */
    unsigned asks_many;       /* the callback asks for so many silent names */
    const char *name;
};

static void ask(struct resolver *resolver, struct question *question, const char *name);

static void on_answered(void *context, const struct resolver_answer *answer)
{
    struct question *question = context;
    static struct question nobody;
    char name[64];

    question->called++;
    question->answer = *answer;
    question->resolution = NULL;
    question->done = true;
    assert_true(answer->count <= answer->recent && answer->recent <= RESOLVER_ADDRESSES);
    if (question->asks != NULL)
        ask(question->resolver, question->asks, question->name);
    if (question->cancels != NULL) {
        resolver_cancel(question->cancels->resolution);
        question->cancels->resolution = NULL;
    }
    for (unsigned i = 0; i < question->asks_many; i++) {
        snprintf(name, sizeof(name), "silent.%u.example", i);
        ask(question->resolver, &nobody, name);
    }
}

static void ask(struct resolver *resolver, struct question *question, const char *name)
{
    unsigned called = question->called;

    question->resolver = resolver;
    question->done = false;
    struct resolution *resolution = resolver_ask(resolver, name, on_answered, question);
    /* either it was answered at once, or it can be cancelled */
    assert_int_equal(question->called - called, resolution == NULL);
    question->resolution = resolution;
}

/* Asks and waits. True when the cache knew it. */
static bool ask_now(struct fixture *fixture, struct question *question, const char *name)
{
    *question = (struct question){0};
    ask(fixture->resolver, question, name);
    bool at_once = question->done;
    assert_true(loop_until(fixture->base, &question->done, GIVES_UP));
    assert_int_equal(question->called, 1);
    return at_once;
}

static bool is_at(const struct resolver_answer *answer, size_t at, const char *text)
{
    struct address address;

    assert_true(address_parse(span_of(text), &address));
    return address_equal(&answer->addresses[at], &address);
}

static bool has(const struct resolver_answer *answer, const char *text)
{
    for (size_t i = 0; i < answer->recent; i++)
        if (is_at(answer, i, text))
            return true;
    return false;
}

static struct resolver *resolver_of(struct event_base *base, struct name_server *server)
{
    static struct configuration configuration;

    configuration = (struct configuration){.resolvers = &server->address, .resolver_count = 1};
    return resolver_new(base, &configuration);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    skew = 0;
    fixture->base = event_base_new();
    name_server_open(&fixture->server, fixture->base, AF_INET);
    fixture->resolver = resolver_of(fixture->base, &fixture->server);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    resolver_free(fixture->resolver);
    loop_settle(fixture->base);
    name_server_close(&fixture->server);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

/* --- answers --- */

static void test_both_families(void **state)
{
    struct fixture *fixture = *state;
    struct question question;

    assert_false(ask_now(fixture, &question, "both.example"));
    assert_int_equal(question.answer.count, 2);
    assert_int_equal(question.answer.recent, 2);
    assert_true(has(&question.answer, "192.0.2.1"));
    assert_true(has(&question.answer, "2001:db8::1"));
    assert_int_equal(fixture->server.asked, 2);
}

static void test_one_family(void **state)
{
    struct fixture *fixture = *state;
    struct question question;

    ask_now(fixture, &question, "four.example");
    assert_int_equal(question.answer.count, 1);
    assert_true(is_at(&question.answer, 0, "192.0.2.1"));
    ask_now(fixture, &question, "six.example");
    assert_int_equal(question.answer.count, 1);
    assert_true(is_at(&question.answer, 0, "2001:db8::1"));
}

static void test_server_on_ipv6(void **state)
{
    struct fixture *fixture = *state;
    struct name_server server;
    struct question question;

    name_server_open(&server, fixture->base, AF_INET6);
    resolver_free(fixture->resolver);
    fixture->resolver = resolver_of(fixture->base, &server);
    ask_now(fixture, &question, "both.example");
    assert_int_equal(question.answer.count, 2);
    assert_int_equal(fixture->server.asked, 0);
    resolver_free(fixture->resolver);
    fixture->resolver = NULL;
    name_server_close(&server);
}

/* A released host that the clients' resolver sinks is asked for behind it, and anew each time. */
static void test_sink(void **state)
{
    struct fixture *fixture = *state;
    struct address sink[2];
    struct name_server upstream;
    struct question question;

    assert_true(address_parse(SPAN("192.0.2.1"), &sink[0]));
    assert_true(address_parse(SPAN("2001:db8::1"), &sink[1]));
    name_server_open(&upstream, fixture->base, AF_INET);
    upstream.host = 7;
    struct configuration *configuration = &fixture->configuration;
    *configuration = (struct configuration){.resolvers = &fixture->server.address,
                                            .resolver_count = 1,
                                            .dns_sink = sink,
                                            .dns_sink_count = 2};
    resolver_free(fixture->resolver);
    fixture->resolver = resolver_new(fixture->base, configuration);
    ask_now(fixture, &question, "both.example");
    assert_int_equal(question.answer.recent, 0); /* the sink is no origin */
    assert_int_equal(upstream.asked, 0);
    resolver_free(fixture->resolver);

    configuration->dns_upstream = &upstream.address;
    configuration->dns_upstream_count = 1;
    fixture->resolver = resolver_new(fixture->base, configuration);
    for (unsigned turn = 1; turn <= 2; turn++, skew += 600000) {
        ask_now(fixture, &question, "both.example");
        assert_int_equal(question.answer.count, 2);
        assert_true(is_at(&question.answer, 0, "192.0.2.7") ||
                    is_at(&question.answer, 1, "192.0.2.7"));
        assert_int_equal(upstream.asked, 2 * turn);
    }
    fixture->server.host = 3; /* it is no longer sunk */
    ask_now(fixture, &question, "four.example");
    assert_true(is_at(&question.answer, 0, "192.0.2.3"));
    assert_int_equal(upstream.asked, 4);
    /* the servers behind sink it themselves: that is the end of it */
    fixture->server.host = upstream.host = 1;
    ask_now(fixture, &question, "six.example");
    assert_int_equal(question.answer.count, 0);
    resolver_free(fixture->resolver);
    fixture->resolver = NULL;
    name_server_close(&upstream);
}

static void test_alias_and_many(void **state)
{
    struct fixture *fixture = *state;
    struct question question;
    char longest[HOST_TEXT];

    ask_now(fixture, &question, "alias.example");
    assert_int_equal(question.answer.count, 2);
    /* more addresses than are kept */
    fixture->server.records = 25;
    ask_now(fixture, &question, "four.many.example");
    assert_int_equal(question.answer.count, RESOLVER_ADDRESSES);
    for (size_t i = 0; i < question.answer.count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(
                address_equal(&question.answer.addresses[i], &question.answer.addresses[j]));
    /* the longest name that there is */
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 4; i < 253; i += 50)
        longest[i] = '.';
    memcpy(longest, "four", 4);
    longest[253] = '\0';
    fixture->server.records = 1;
    ask_now(fixture, &question, longest);
    assert_int_equal(question.answer.count, 1);
}

/* --- time --- */

static void test_cache(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        uint32_t ttl, ttl_aaaa;
        int64_t keeps; /* ms */
    } cases[] = {
        {"a.example", 60, 60, 60000},        {"b.example", 60, 20, 20000},
        {"c.example", 20, 60, 20000},        {"d.example", 0, 60, 5000},
        {"e.example", 1, 1, 5000},           {"f.example", 86400, 86400, 300000},
        {"g.example", UINT32_MAX, 1, 5000},  {"h.example", 0x7fffffff, 0x7fffffff, 300000},
        {"i.example", 0x80000000, 30, 5000},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct question question;
        fixture->server.ttl = cases[i].ttl;
        fixture->server.ttl_aaaa = cases[i].ttl_aaaa;
        fixture->server.asked = 0;
        assert_false(ask_now(fixture, &question, cases[i].name));
        assert_int_equal(fixture->server.asked, 2);
        assert_true(ask_now(fixture, &question, cases[i].name));
        assert_int_equal(question.answer.count, 2);
        skew += cases[i].keeps - 1000;
        assert_true(ask_now(fixture, &question, cases[i].name));
        assert_int_equal(question.answer.count, 2);
        assert_int_equal(fixture->server.asked, 2);
        skew += 1001;
        assert_false(ask_now(fixture, &question, cases[i].name));
        assert_int_equal(fixture->server.asked, 4);
    }
}

/* A name server that gives another address each time: the older ones count for ten minutes. */
static void test_recent_answers(void **state)
{
    struct fixture *fixture = *state;
    struct question question;

    ask_now(fixture, &question, "four.example");
    skew += 61000;
    fixture->server.host = 2;
    ask_now(fixture, &question, "four.example");
    assert_int_equal(question.answer.count, 1);
    assert_int_equal(question.answer.recent, 2);
    assert_true(is_at(&question.answer, 0, "192.0.2.2")); /* the last answer comes first */
    assert_true(is_at(&question.answer, 1, "192.0.2.1"));
    /* also when the cache answers */
    assert_true(ask_now(fixture, &question, "four.example"));
    assert_int_equal(question.answer.recent, 2);
    assert_true(is_at(&question.answer, 0, "192.0.2.2"));
    /* it comes back */
    skew += 61000;
    fixture->server.host = 1;
    ask_now(fixture, &question, "four.example");
    assert_int_equal(question.answer.count, 1);
    assert_int_equal(question.answer.recent, 2);
    assert_true(is_at(&question.answer, 0, "192.0.2.1"));
    /* .2 was last seen 61 s ago: it fades when that becomes ten minutes, .1 does not */
    skew += 480000;
    ask_now(fixture, &question, "four.example");
    assert_int_equal(question.answer.recent, 2);
    skew += 61000;
    ask_now(fixture, &question, "four.example");
    assert_int_equal(question.answer.count, 1);
    assert_int_equal(question.answer.recent, 1);
    assert_true(is_at(&question.answer, 0, "192.0.2.1"));
}

/* So many different answers that the oldest must go: never one of the last. */
static void test_recent_answers_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct question question;
    char text[ADDRESS_TEXT];

    fixture->server.records = 3;
    fixture->server.ttl = 5;
    for (unsigned round = 0; round < 12; round++) {
        fixture->server.host = (uint8_t)(1 + round * 3);
        skew += 5001;
        assert_false(ask_now(fixture, &question, "four.example"));
        assert_int_equal(question.answer.count, 3);
        size_t all = (round + 1) * 3;
        assert_int_equal(question.answer.recent,
                         all < RESOLVER_ADDRESSES ? all : RESOLVER_ADDRESSES);
        for (size_t i = 0; i < 3; i++) {
            snprintf(text, sizeof(text), "192.0.2.%zu", fixture->server.host + i);
            assert_true(has(&question.answer, text));
            if (round > 0) {
                snprintf(text, sizeof(text), "192.0.2.%zu", fixture->server.host + i - 3);
                assert_true(has(&question.answer, text));
            }
        }
    }
}

static void test_no_such_name(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"nothing.example", "empty.example"};
    struct question question;

    for (size_t i = 0; i < COUNT(names); i++) {
        fixture->server.asked = 0;
        assert_false(ask_now(fixture, &question, names[i]));
        assert_int_equal(question.answer.count, 0);
        assert_int_equal(question.answer.recent, 0);
        skew += 1000;
        assert_true(ask_now(fixture, &question, names[i])); /* that is remembered too */
        assert_int_equal(fixture->server.asked, 2);
        skew += 1001;
        assert_false(ask_now(fixture, &question, names[i])); /* but not for long */
        assert_int_equal(fixture->server.asked, 4);
    }
}

/* A name that is gone is gone: what it had does not come back as an answer. */
static void test_name_goes_away(void **state)
{
    struct fixture *fixture = *state;
    struct question question;

    ask_now(fixture, &question, "both.example");
    assert_int_equal(question.answer.count, 2);
    fixture->server.records = 0;
    skew += 61000;
    assert_false(ask_now(fixture, &question, "both.example"));
    assert_int_equal(question.answer.count, 0);
    assert_int_equal(question.answer.recent, 0);
    fixture->server.records = 1;
    fixture->server.host = 9;
    skew += 2001;
    assert_false(ask_now(fixture, &question, "both.example"));
    assert_int_equal(question.answer.count, 2);
    assert_int_equal(question.answer.recent, 4);
}

/* --- when there is no good answer --- */

/* Servers that are silent, broken or lying: each question ends, without an address, in time. */
static void test_bad_servers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {
        "silent.example",         "broken.example",       "refused.example",
        "truncated.example",      "bad-wrong-id.example", "bad-other-name.example",
        "bad-short.example",      "bad-cut.example",      "bad-no-answer-bit.example",
        "bad-many.example",       "bad-loop.example",     "bad-bad-length.example",
        "bad-far-length.example", "bad-noise.example",    "bad-other-type.example",
    };
    struct name_server servers[COUNT(names)];
    struct resolver *resolvers[COUNT(names)];
    struct question questions[COUNT(names)] = {0};
    char name[64];

    for (size_t i = 0; i < COUNT(names); i++) { /* all at once: they take their time */
        name_server_open(&servers[i], fixture->base, AF_INET);
        resolvers[i] = resolver_of(fixture->base, &servers[i]);
        ask(resolvers[i], &questions[i], names[i]);
    }
    int64_t end = clock_monotonic() + GIVES_UP;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!loop_until(fixture->base, &questions[i].done, end - clock_monotonic()))
            fail_msg("%s never ended", names[i]);
        /* "many" lies about the count only; its one record is as good as any */
        for (size_t j = 0; j < questions[i].answer.count; j++)
            assert_string_equal(names[i], "bad-many.example");
        assert_int_equal(questions[i].called, 1);
        assert_true(servers[i].asked >= 2 && servers[i].asked <= 2 * 3 + 4); /* and no storm */
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        /* a server that comes to its senses is asked again */
        questions[i] = (struct question){0};
        snprintf(name, sizeof(name), "four.%zu.example", i);
        ask(resolvers[i], &questions[i], name);
        if (!loop_until(fixture->base, &questions[i].done, GIVES_UP))
            fail_msg("no answer after %s", names[i]);
        assert_int_equal(questions[i].answer.count, 1);
        resolver_free(resolvers[i]);
        name_server_close(&servers[i]);
    }
}

/*
 * Answers that come before the true one and do not fit the question. A wrong number is as if it
 * never came; one with the right number may spoil the question, but never becomes its answer.
 */
static void test_spoofed_answers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ways[] = {"wrong-id", "other-name", "short", "no-answer-bit"};
    struct question question;
    char name[64];

    for (size_t i = 0; i < COUNT(ways); i++) {
        snprintf(name, sizeof(name), "spoofed-%s.example", ways[i]);
        assert_false(ask_now(fixture, &question, name));
        bool answered = question.answer.count == 2 && has(&question.answer, "192.0.2.1") &&
                        has(&question.answer, "2001:db8::1");
        assert_true(answered || (i > 0 && question.answer.count == 0));
        assert_false(has(&question.answer, "6.6.6.6"));
    }
}

static void test_no_servers(void **state)
{
    struct fixture *fixture = *state;
    static const struct configuration empty;
    struct question question;

    resolver_free(fixture->resolver);
    fixture->resolver = resolver_new(fixture->base, &empty);
    for (int i = 0; i < 2; i++) {
        assert_true(ask_now(fixture, &question, "both.example"));
        assert_int_equal(question.answer.count, 0);
        skew += 3000;
    }
}

/* --- many questions --- */

static void test_many_waiters(void **state)
{
    struct fixture *fixture = *state;
    static struct question questions[1000];

    memset(questions, 0, sizeof(questions));
    for (size_t i = 0; i < COUNT(questions); i++)
        ask(fixture->resolver, &questions[i], "both.example");
    for (size_t i = 0; i < COUNT(questions); i += 3) {
        resolver_cancel(questions[i].resolution);
        questions[i].resolution = NULL;
    }
    questions[4].cancels = &questions[7]; /* one that would be told next */
    questions[8].cancels = &questions[998];
    questions[10].cancels = &questions[5]; /* was told already */
    assert_true(loop_until(fixture->base, &questions[997].done, GIVES_UP));
    loop_settle(fixture->base);
    for (size_t i = 0; i < COUNT(questions); i++) {
        assert_int_equal(questions[i].called, i % 3 != 0 && i != 7 && i != 998);
        assert_int_equal(questions[i].answer.count, questions[i].called * 2);
    }
    assert_int_equal(fixture->server.asked, 2); /* A and AAAA, once */
}

static void test_cancel(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {0}, other = {0};

    resolver_cancel(NULL);
    ask(fixture->resolver, &question, "both.example");
    resolver_cancel(question.resolution);
    /* the answer is kept for the next all the same */
    ask(fixture->resolver, &other, "four.example");
    assert_true(loop_until(fixture->base, &other.done, GIVES_UP));
    loop_settle(fixture->base);
    assert_int_equal(question.called, 0);
    assert_true(ask_now(fixture, &question, "both.example"));
    assert_int_equal(question.answer.count, 2);
}

static void test_ask_in_callback(void **state)
{
    struct fixture *fixture = *state;
    struct question first = {0}, same = {0}, other = {0}, last = {0};

    first.asks = &same;
    first.name = "both.example"; /* answered at once */
    same.asks = &other;
    same.name = "four.example"; /* asked for */
    ask(fixture->resolver, &first, "both.example");
    ask(fixture->resolver, &last, "both.example");
    assert_true(loop_until(fixture->base, &other.done, GIVES_UP));
    assert_int_equal(first.called + same.called + other.called + last.called, 4);
    assert_int_equal(same.answer.count, 2);
    assert_int_equal(last.answer.count, 2);
    assert_int_equal(other.answer.count, 1);
}

static void test_free_with_questions(void **state)
{
    struct fixture *fixture = *state;
    struct question questions[3] = {0};

    ask(fixture->resolver, &questions[0], "silent.example");
    ask(fixture->resolver, &questions[1], "both.example");
    ask(fixture->resolver, &questions[2], "both.example");
    resolver_free(fixture->resolver);
    fixture->resolver = NULL;
    loop_for(fixture->base, 50);
    for (size_t i = 0; i < COUNT(questions); i++)
        assert_int_equal(questions[i].called, 0);
    resolver_free(NULL);
}

static void ask_batch(struct fixture *fixture, unsigned first, unsigned count)
{
    static struct question questions[64];
    char name[64];

    assert_true(count <= COUNT(questions));
    memset(questions, 0, sizeof(questions));
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "four.%u.example", first + i);
        ask(fixture->resolver, &questions[i], name);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_true(loop_until(fixture->base, &questions[i].done, GIVES_UP));
        assert_int_equal(questions[i].answer.count, 1);
    }
}

/* However many names: so many are kept, and what was used last is. */
static void test_cache_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct question question;

    fixture->server.ttl = 300;
    for (unsigned i = 0; i < NAMES_MAX; i += 64)
        ask_batch(fixture, i, 64);
    assert_true(ask_now(fixture, &question, "four.0.example")); /* now the one used last */
    fixture->server.asked = 0;
    ask_batch(fixture, NAMES_MAX, 64);
    assert_int_equal(fixture->server.asked, 128);
    assert_true(ask_now(fixture, &question, "four.0.example"));
    assert_true(ask_now(fixture, &question, "four.65.example"));
    assert_false(ask_now(fixture, &question, "four.1.example"));
    assert_false(ask_now(fixture, &question, "four.64.example"));
}

/* All that it can hold is being asked for: one more has no answer, and nobody is forgotten. */
static void test_too_many_questions(void **state)
{
    struct fixture *fixture = *state;
    static struct question questions[NAMES_MAX], more;
    char name[64];

    memset(questions, 0, sizeof(questions));
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "silent.%u.example", i);
        ask(fixture->resolver, &questions[i], name);
        assert_false(questions[i].done);
    }
    assert_true(ask_now(fixture, &more, "both.example"));
    assert_int_equal(more.answer.count, 0);
    for (unsigned i = 0; i < NAMES_MAX; i++)
        resolver_cancel(questions[i].resolution);
}

/* A callback that asks for so much that its own name would have to go. */
static void test_flood_in_callback(void **state)
{
    struct fixture *fixture = *state;
    struct question first = {.asks_many = NAMES_MAX + 10}, second = {.asks_many = 10};

    ask(fixture->resolver, &first, "both.example");
    ask(fixture->resolver, &second, "both.example");
    assert_true(loop_until(fixture->base, &second.done, GIVES_UP));
    assert_int_equal(first.called, 1);
    assert_int_equal(second.called, 1);
    assert_int_equal(second.answer.count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_both_families),
        TEST(test_sink),
        TEST(test_one_family),
        TEST(test_server_on_ipv6),
        TEST(test_alias_and_many),
        TEST(test_cache),
        TEST(test_recent_answers),
        TEST(test_recent_answers_are_bounded),
        TEST(test_no_such_name),
        TEST(test_name_goes_away),
        TEST(test_bad_servers),
        TEST(test_spoofed_answers),
        TEST(test_no_servers),
        TEST(test_many_waiters),
        TEST(test_cancel),
        TEST(test_ask_in_callback),
        TEST(test_free_with_questions),
        TEST(test_cache_is_bounded),
        TEST(test_too_many_questions),
        TEST(test_flood_in_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
