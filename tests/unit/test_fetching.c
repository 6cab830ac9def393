/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's side of the fetcher, before a fetcher of the test: what chains ask for, what becomes
 * of what comes, who waits how long, and what grows old.
 */
#include "tests/unit/list_recipe.h"
#include "tests/unit/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <openssl/pkcs7.h>

#include "gateway/fetch_job.h"
#include "gateway/fetching.h"

#define QUESTIONS 512
#define POINT     "\x30\x1f\x30\x1d\xa0\x1b\xa0\x19\x86\x17http://crl.example.jp/" /* a figure */

static struct made root, leaf, other, between, under;
static int64_t now;

struct fixture {
    struct event_base *base;
    struct configuration configuration;
    struct revocation *lists;
    struct fetching *fetching;
    struct link *link;    /* the worker's end */
    struct link *fetcher; /* the other one */
    struct message_fetch questions[QUESTIONS];
    size_t count;
    bool asked, woken;
    unsigned wakes;
    struct fetch_wanted wanted;
    STACK_OF(X509) * chain;
};

static void at_worker(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct fixture *fixture = context;

    (void)link;
    if (type != MESSAGE_NONE)
        fetching_receive(fixture->fetching, type, payload, size, fd);
}

static void at_fetcher(void *context, struct link *link, enum message_type type,
                       const void *payload, size_t size, int fd)
{
    struct fixture *fixture = context;

    (void)link, (void)size;
    if (type == MESSAGE_NONE)
        return;
    assert_int_equal(type, MESSAGE_FETCH);
    assert_int_equal(fd, -1);
    assert_true(fixture->count < QUESTIONS);
    memcpy(&fixture->questions[fixture->count++], payload, sizeof(struct message_fetch));
    fixture->asked = true;
}

static void connect_fetcher(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->link = link_new(fixture->base, fds[0], ROLE_WORKER, ROLE_FETCHER, at_worker, fixture);
    fixture->fetcher =
        link_new(fixture->base, fds[1], ROLE_FETCHER, ROLE_WORKER, at_fetcher, fixture);
    fetching_set_link(fixture->fetching, fixture->link);
}

static void disconnect_fetcher(struct fixture *fixture)
{
    fetching_set_link(fixture->fetching, NULL);
    link_free(fixture->link);
    link_free(fixture->fetcher);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    fixture->base = event_base_new();
    fixture->configuration =
        (struct configuration){.fetch_size = 262144, .revocation_age = 86400000};
    fixture->lists = revocation_new();
    fixture->fetching = fetching_new(fixture->base, &fixture->configuration, fixture->lists);
    fixture->chain = sk_X509_new_null();
    sk_X509_push(fixture->chain, leaf.certificate);
    sk_X509_push(fixture->chain, root.certificate);
    connect_fetcher(fixture);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    disconnect_fetcher(fixture);
    fetching_free(fixture->fetching);
    revocation_free(fixture->lists);
    sk_X509_free(fixture->chain);
    assert_int_equal(event_base_get_num_events(fixture->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

static void restart(struct fixture *fixture, int64_t age)
{
    disconnect_fetcher(fixture);
    fetching_free(fixture->fetching);
    fixture->configuration.revocation_age = age;
    fixture->fetching = fetching_new(fixture->base, &fixture->configuration, fixture->lists);
    connect_fetcher(fixture);
}

/* --- the fetcher's part --- */

static const struct message_fetch *next_question(struct fixture *fixture)
{
    fixture->asked = false;
    assert_true(loop_until(fixture->base, &fixture->asked, LONG_ENOUGH));
    return &fixture->questions[fixture->count - 1];
}

static void give_of(struct fixture *fixture, uint64_t id, const void *bytes, size_t size, int seals,
                    size_t said, int64_t at)
{
    struct message_fetched message = {id, at, said};
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(write(memory, bytes, size), size);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, seals), 0);
    assert_int_equal(
        link_send(fixture->fetcher, MESSAGE_FETCHED, &message, sizeof(message), memory), 0);
    close(memory);
}

static void give(struct fixture *fixture, uint64_t id, const void *bytes, size_t size, int seals,
                 size_t said)
{
    give_of(fixture, id, bytes, size, seals, said, clock_monotonic());
}

static void give_list(struct fixture *fixture, uint64_t id, const struct recipe_list *recipe)
{
    unsigned char *der;
    size_t size = make_list_der(recipe, now, &der);

    give(fixture, id, der, size, FETCH_SEALS, size);
    OPENSSL_free(der);
}

static void refuse(struct fixture *fixture, uint64_t id)
{
    struct message_fetch_failed message = {id, FETCH_FAULT_TIMEOUT, 0};

    assert_int_equal(
        link_send(fixture->fetcher, MESSAGE_FETCH_FAILED, &message, sizeof(message), -1), 0);
}

/* --- a connection's part --- */

static void on_woken(void *context)
{
    struct fixture *fixture = context;

    fixture->woken = true;
    fixture->wakes++;
}

/* What the lists say, and what is wanted: how many files. */
static size_t inquire(struct fixture *fixture)
{
    struct revocation_answer answer = revocation_check(fixture->lists, fixture->chain, now);

    fixture->wanted.count = 0;
    if (answer.verdict == VERDICT_OK)
        fetching_lists(fixture->fetching, fixture->chain, answer.unknown, &fixture->wanted);
    return fixture->wanted.count;
}

static bool is_revoked(struct fixture *fixture)
{
    return revocation_check(fixture->lists, fixture->chain, now).verdict == VERDICT_REVOKED;
}

static bool is_known(struct fixture *fixture)
{
    return (revocation_check(fixture->lists, fixture->chain, now).unknown & REVOCATION_LEAF) == 0;
}

static void wait_until_woken(struct fixture *fixture)
{
    fixture->woken = false;
    fetching_wait(fixture->fetching, &fixture->wanted, LONG_ENOUGH, on_woken, fixture);
    assert_true(loop_until(fixture->base, &fixture->woken, LONG_ENOUGH * 2));
}

static void test_good_and_revoked(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(inquire(fixture), 1);
    assert_int_equal(inquire(fixture), 1); /* it is asked for once */
    const struct message_fetch *question = next_question(fixture);
    assert_string_equal(question->url, "http://crl.example.jp/1");
    assert_int_equal(question->kind, FETCH_LIST);
    loop_for(fixture->base, 20);
    assert_int_equal(fixture->count, 1);
    give_list(fixture, question->id, &(struct recipe_list){.issuer = &root, .revoked = &other});
    wait_until_woken(fixture);
    assert_true(is_known(fixture));
    assert_false(is_revoked(fixture));
    assert_int_equal(inquire(fixture), 0);
    assert_int_equal(fetching_held(fixture->fetching), 1);
}

static void test_revoked(void **state)
{
    struct fixture *fixture = *state;

    inquire(fixture);
    give_list(fixture, next_question(fixture)->id,
              &(struct recipe_list){.issuer = &root, .revoked = &leaf});
    wait_until_woken(fixture);
    assert_true(is_revoked(fixture));
}

/* What is nonsense in any way counts as not there, and is not asked for again at once. */
static void test_nonsense(void **state)
{
    struct fixture *fixture = *state;
    static const struct recipe_list lists[] = {
        {.issuer = &between, .name_of = &root, .revoked = &leaf},
        {.issuer = &root, .revoked = &leaf, .no_end = true},
        {.issuer = &root, .revoked = &leaf, .begin = -9 * DAY, .end = -60},
        {.issuer = &root, .revoked = &leaf, .digest = "SHA1"},
        {.issuer = &root, .revoked = &leaf, .extra[0] = EXTRA("deltaCRL", true, "\2\1\1")},
        {.issuer = &root,
         .revoked = &leaf,
         .entry = EXTRA("certificateIssuer", true, "\x30\3\x82\1z")},
    };
    unsigned char *der;
    size_t size =
        make_list_der(&(struct recipe_list){.issuer = &root, .revoked = &leaf}, now, &der);

    for (unsigned i = 0; i < COUNT(lists) + 6; i++) {
        restart(fixture, 86400000);
        assert_int_equal(inquire(fixture), 1);
        uint64_t id = next_question(fixture)->id;
        if (i < COUNT(lists))
            give_list(fixture, id, &lists[i]);
        else if (i == COUNT(lists))
            give(fixture, id, "nonsense", 8, FETCH_SEALS, 8);
        else if (i == COUNT(lists) + 1)
            give(fixture, id, der, size, F_SEAL_WRITE, size); /* it could still be cut */
        else if (i == COUNT(lists) + 2)
            give(fixture, id, der, size, FETCH_SEALS, size + 1);
        else if (i == COUNT(lists) + 3)
            give(fixture, id, der, size, FETCH_SEALS, 0);
        else if (i == COUNT(lists) + 4)
            give(fixture, id, der, size, FETCH_SEALS, 1u << 30);
        else
            refuse(fixture, id);
        wait_until_woken(fixture);
        assert_false(is_known(fixture));
        assert_false(is_revoked(fixture));
        assert_int_equal(inquire(fixture), 0); /* nothing to wait for */
        assert_int_equal(fetching_held(fixture->fetching), 0);
    }
    OPENSSL_free(der);
}

/* The second point is asked when the first has failed. */
static void test_second_point(void **state)
{
    struct fixture *fixture = *state;

    sk_X509_set(fixture->chain, 0, other.certificate);
    assert_int_equal(inquire(fixture), 1);
    refuse(fixture, next_question(fixture)->id);
    wait_until_woken(fixture);
    assert_int_equal(inquire(fixture), 1);
    const struct message_fetch *question = next_question(fixture);
    assert_string_equal(question->url, "http://crl.example.jp/2");
    give_list(fixture, question->id, &(struct recipe_list){.issuer = &root, .revoked = &other});
    wait_until_woken(fixture);
    assert_true(is_revoked(fixture));
}

static void test_waiting(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_wait *waits[3];

    inquire(fixture);
    uint64_t id = next_question(fixture)->id;
    /* Time is over. */
    fetching_wait(fixture->fetching, &fixture->wanted, 10, on_woken, fixture);
    assert_true(loop_until(fixture->base, &fixture->woken, LONG_ENOUGH));
    /* One is cancelled, the others are told. */
    fixture->wakes = 0;
    fixture->woken = false;
    for (size_t i = 0; i < COUNT(waits); i++)
        waits[i] =
            fetching_wait(fixture->fetching, &fixture->wanted, LONG_ENOUGH, on_woken, fixture);
    fetch_wait_cancel(waits[1]);
    fetch_wait_cancel(NULL);
    refuse(fixture, id);
    assert_true(loop_until(fixture->base, &fixture->woken, LONG_ENOUGH));
    loop_settle(fixture->base);
    assert_int_equal(fixture->wakes, 2);
    /* Who still waits at the end is dropped. */
    fixture->wanted = (struct fetch_wanted){1, {77}};
    fetching_wait(fixture->fetching, &fixture->wanted, LONG_ENOUGH, on_woken, fixture);
}

/* The fetcher dies: what was asked for is asked of the next one. */
static void test_lost_fetcher(void **state)
{
    struct fixture *fixture = *state;

    inquire(fixture);
    next_question(fixture);
    disconnect_fetcher(fixture);
    assert_int_equal(inquire(fixture), 1); /* still worth waiting for */
    connect_fetcher(fixture);
    give_list(fixture, next_question(fixture)->id,
              &(struct recipe_list){.issuer = &root, .revoked = &leaf});
    wait_until_woken(fixture);
    assert_true(is_revoked(fixture));
}

/* A list in use is fetched again; what it revoked stays so when nothing new is to be had. */
static void test_refresh(void **state)
{
    struct fixture *fixture = *state;

    restart(fixture, 400);
    inquire(fixture);
    const struct message_fetch *question = next_question(fixture);
    give_list(fixture, question->id, &(struct recipe_list){.issuer = &root});
    wait_until_woken(fixture);
    assert_true(is_known(fixture));
    assert_int_equal(inquire(fixture), 0);
    int64_t before = question->since;
    question = next_question(fixture); /* by itself */
    assert_true(question->since > before);
    assert_true(is_known(fixture)); /* meanwhile the old one holds */
    give_list(fixture, question->id, &(struct recipe_list){.issuer = &root, .revoked = &leaf});
    loop_for(fixture->base, 50);
    assert_true(is_revoked(fixture));
    refuse(fixture, next_question(fixture)->id);
    loop_for(fixture->base, 50);
    assert_true(is_revoked(fixture));
}

/* One that nobody used says nothing good once it is old, before it was fetched again. */
static void test_unused(void **state)
{
    struct fixture *fixture = *state;

    restart(fixture, 200);
    inquire(fixture);
    give_list(fixture, next_question(fixture)->id, &(struct recipe_list){.issuer = &root});
    wait_until_woken(fixture);
    size_t asked = fixture->count;
    loop_for(fixture->base, 500);
    assert_int_equal(fixture->count, asked);
    assert_false(is_known(fixture));
    assert_int_equal(inquire(fixture), 1);
    refuse(fixture, next_question(fixture)->id);
    wait_until_woken(fixture);
    assert_true(is_known(fixture)); /* its own time is not over */
}

/* Of two CAs that point to the same place each has its own. */
static void test_two_issuers(void **state)
{
    struct fixture *fixture = *state;

    inquire(fixture);
    uint64_t first = next_question(fixture)->id;
    sk_X509_set(fixture->chain, 0, under.certificate);
    sk_X509_set(fixture->chain, 1, between.certificate);
    assert_int_equal(inquire(fixture), 1);
    uint64_t second = next_question(fixture)->id;
    assert_int_not_equal(first, second);
    give_list(fixture, second, &(struct recipe_list){.issuer = &root}); /* not this one's */
    wait_until_woken(fixture);
    assert_false(is_known(fixture));
    sk_X509_set(fixture->chain, 0, leaf.certificate);
    sk_X509_set(fixture->chain, 1, root.certificate);
    assert_int_equal(inquire(fixture), 1);
    give_list(fixture, first, &(struct recipe_list){.issuer = &root});
    wait_until_woken(fixture);
    assert_true(is_known(fixture));
}

/* What was kept long since is no good, as where a page to log in came instead: another is asked for
 * at once, and when there is none the place is left alone for a while. */
static void test_kept_for_long(void **state)
{
    struct fixture *fixture = *state;
    int64_t long_since = clock_monotonic() - 10000;

    restart(fixture, 2000);
    inquire(fixture);
    const struct message_fetch *question = next_question(fixture);
    assert_true(question->since >= long_since + 10000 - 2000);
    give_of(fixture, question->id, "nonsense", 8, FETCH_SEALS, 8, long_since);
    question = next_question(fixture);
    assert_true(question->since > long_since);
    give_of(fixture, question->id, "nonsense", 8, FETCH_SEALS, 8, long_since);
    wait_until_woken(fixture);
    assert_int_equal(inquire(fixture), 0);
    loop_for(fixture->base, 1050);
    assert_int_equal(inquire(fixture), 1);
    give_list(fixture, next_question(fixture)->id,
              &(struct recipe_list){.issuer = &root, .revoked = &leaf});
    wait_until_woken(fixture);
    assert_true(is_revoked(fixture));
}

/* A list that somebody else asked for long ago is as old as it is. */
static void test_kept_list(void **state)
{
    struct fixture *fixture = *state;
    unsigned char *der;
    size_t size = make_list_der(&(struct recipe_list){.issuer = &root}, now, &der);

    restart(fixture, 4000);
    inquire(fixture);
    give_of(fixture, next_question(fixture)->id, der, size, FETCH_SEALS, size,
            clock_monotonic() - 3900);
    wait_until_woken(fixture);
    assert_true(is_known(fixture));
    inquire(fixture);
    size_t asked = fixture->count;
    fixture->asked = false;
    loop_until(fixture->base, &fixture->asked, 3800); /* after half of that age, as is the least */
    loop_settle(fixture->base);
    assert_true(fixture->count > asked);
    OPENSSL_free(der);
}

/* The fetcher cannot say that what it has is of the future, and nothing newer to be had. */
static void test_future(void **state)
{
    struct fixture *fixture = *state;
    unsigned char *der;
    size_t size = make_list_der(&(struct recipe_list){.issuer = &root}, now, &der);

    inquire(fixture);
    give_of(fixture, next_question(fixture)->id, der, size, FETCH_SEALS, size, INT64_MAX);
    wait_until_woken(fixture);
    assert_false(is_known(fixture));
    assert_int_equal(fetching_held(fixture->fetching), 0);
    OPENSSL_free(der);
}

/* PKCS #7: with certificates, with nothing in it at all, of another type. */
static void test_bags(void **state)
{
    static const char empty[] = "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
                      data[] = "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    struct fixture *fixture = *state;
    PKCS7 *bag = PKCS7_new();
    unsigned char *der = NULL;

    assert_int_equal(PKCS7_set_type(bag, NID_pkcs7_signed), 1);
    assert_int_equal(PKCS7_content_new(bag, NID_pkcs7_data), 1);
    assert_int_equal(PKCS7_add_certificate(bag, between.certificate), 1);
    assert_int_equal(PKCS7_add_certificate(bag, root.certificate), 1);
    int size = i2d_PKCS7(bag, &der);
    assert_true(size > 0);
    const struct {
        const void *bytes;
        size_t size;
        int found;
    } rows[] = {{empty, sizeof(empty) - 1, 0}, {data, sizeof(data) - 1, 0}, {der, (size_t)size, 2}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        STACK_OF(X509) *found = sk_X509_new_null();
        restart(fixture, 86400000);
        fixture->wanted.count = 0;
        fetching_issuer(fixture->fetching, under.certificate, found, &fixture->wanted);
        give(fixture, next_question(fixture)->id, rows[i].bytes, rows[i].size, FETCH_SEALS,
             rows[i].size);
        wait_until_woken(fixture);
        fixture->wanted.count = 0;
        fetching_issuer(fixture->fetching, under.certificate, found, &fixture->wanted);
        assert_int_equal(fixture->wanted.count, 0);
        assert_int_equal(sk_X509_num(found), rows[i].found);
        sk_X509_pop_free(found, X509_free);
    }
    OPENSSL_free(der);
    PKCS7_free(bag);
}

static void test_issuers(void **state)
{
    struct fixture *fixture = *state;
    STACK_OF(X509) *found = sk_X509_new_null();
    unsigned char *der = NULL;
    int size = i2d_X509(between.certificate, &der);

    fetching_issuer(fixture->fetching, under.certificate, found, &fixture->wanted);
    assert_int_equal(fixture->wanted.count, 1);
    const struct message_fetch *question = next_question(fixture);
    assert_int_equal(question->kind, FETCH_ISSUER);
    assert_string_equal(question->url, "http://ca.example.jp/");
    give(fixture, question->id, der, (size_t)size, FETCH_SEALS, (size_t)size);
    wait_until_woken(fixture);
    fixture->wanted.count = 0;
    fetching_issuer(fixture->fetching, under.certificate, found, &fixture->wanted);
    assert_int_equal(fixture->wanted.count, 0);
    assert_int_equal(sk_X509_num(found), 1);
    assert_int_equal(X509_cmp(sk_X509_value(found, 0), between.certificate), 0);
    OPENSSL_free(der);
    sk_X509_pop_free(found, X509_free);
}

static void test_strange_messages(void **state)
{
    struct fixture *fixture = *state;
    struct message_fetch_failed failed = {99, 0, 0};

    give(fixture, 99, "x", 1, FETCH_SEALS, 1); /* nobody asked */
    loop_settle(fixture->base);
    assert_int_equal(
        fetching_receive(fixture->fetching, MESSAGE_FETCH_FAILED, &failed, sizeof(failed), -1), 0);
    assert_int_equal(fetching_receive(fixture->fetching, MESSAGE_READY, NULL, 0, -1), -1);
    assert_int_equal(fetching_receive(fixture->fetching, MESSAGE_FETCH_FAILED, &failed, 3, -1), -1);
}

#define FULL(last) POINT last

static int make_all(void **state)
{
    (void)state;
    now = (int64_t)time(NULL);
    root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    between = make(&(struct recipe){0}, &usual_ca, &root, make_key(P256));
    leaf = make(&(struct recipe){.extra[0] = EXTRA("crlDistributionPoints", false, FULL("1"))},
                &usual_leaf, &root, make_key(P256));
    other = make(&(struct recipe){.extra[0] = EXTRA("crlDistributionPoints", false,
                                                    "\x30\x3e\x30\x1d\xa0\x1b\xa0\x19\x86\x17"
                                                    "http://crl.example.jp/1"
                                                    "\x30\x1d\xa0\x1b\xa0\x19\x86\x17"
                                                    "http://crl.example.jp/2")},
                 &usual_leaf, &root, make_key(P256));
    under = make(&(struct recipe){.extra = {EXTRA("crlDistributionPoints", false, FULL("1")),
                                            EXTRA("authorityInfoAccess", false,
                                                  "\x30\x23\x30\x21\x06\x08\x2b\x06\x01\x05\x05\x07"
                                                  "\x30\x02\x86\x15"
                                                  "http://ca.example.jp/")}},
                 &usual_leaf, &between, make_key(P256));
    return 0;
}

static int discard_all(void **state)
{
    struct made *const all[] = {&root, &between, &leaf, &other, &under};

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        discard(all[i]);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_and_revoked), TEST(test_revoked),          TEST(test_nonsense),
        TEST(test_second_point),     TEST(test_waiting),          TEST(test_lost_fetcher),
        TEST(test_refresh),          TEST(test_unused),           TEST(test_two_issuers),
        TEST(test_issuers),          TEST(test_strange_messages), TEST(test_kept_for_long),
        TEST(test_kept_list),        TEST(test_future),           TEST(test_bags),
    };

    return cmocka_run_group_tests(tests, make_all, discard_all);
}
