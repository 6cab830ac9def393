/* SPDX-License-Identifier: BSD-2-Clause */
/* Spliced flows: the bytes are the same, the ends are passed on, pipes are not lost. */
#include "tests/unit/channel_fixture.h"

#include <sys/resource.h>

#include "gateway/relay.h"

#define SMALL 4096     /* bytes of a socket's buffer that is soon full */
#define MUCH  10000000 /* bytes that no buffer holds */

struct fixture {
    struct event_base *base;
    struct configuration configuration;
    struct worker worker;
    struct flow flow;
    struct owner client, origin; /* the outer ends */
    bool ended;
    unsigned signs;
    unsigned descriptors;
};

static struct fixture *current;
static const struct service zoom = {.name = (char *)"zoom"};

/* --- what a relay asks of its flow --- */

void flow_end(struct flow *flow)
{
    assert_ptr_equal(flow, &current->flow);
    assert_false(current->ended);
    current->ended = true;
    deadline_clear(&flow->deadline);
    relay_free(flow->relay);
    flow->relay = NULL;
}

void flow_sign(struct flow *flow, const struct service *service)
{
    assert_ptr_equal(flow, &current->flow);
    assert_ptr_equal(service, &zoom);
    current->signs++;
}

static void never(void *context)
{
    (void)context;
    fail_msg("the deadline of an earlier phase");
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->descriptors = descriptors_open();
    fixture->base = fixture->worker.base = event_base_new();
    fixture->worker.configuration = &fixture->configuration;
    fixture->configuration.timeout_splice = 60000;
    fixture->flow.worker = &fixture->worker;
    current = *state = fixture;
    return 0;
}

static void start_over(struct fixture *fixture)
{
    if (fixture->flow.relay != NULL)
        flow_end(&fixture->flow);
    owner_close(&fixture->client);
    owner_close(&fixture->origin);
    fixture->ended = false;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    start_over(fixture);
    relay_free_pipes(&fixture->worker);
    assert_int_equal(fixture->worker.idle_pipe_count, 0);
    assert_int_equal(event_base_get_num_events(fixture->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(fixture->base);
    assert_int_equal(descriptors_open(), fixture->descriptors);
    free(fixture);
    return 0;
}

/* client <-> relay <-> origin, over TCP or over sockets with little room. */
static void join(struct fixture *fixture, bool tcp, const void *first, size_t first_size)
{
    int client[2], origin[2];

    start_over(fixture);
    if (tcp) {
        tcp_pair(client);
        tcp_pair(origin);
    } else {
        stream_pair(client, SMALL);
        stream_pair(origin, SMALL);
    }
    owner_open(&fixture->client, fixture->base, client[1]);
    owner_open(&fixture->origin, fixture->base, origin[1]);
    owner_want_read(&fixture->client, true);
    owner_want_read(&fixture->origin, true);
    struct flow *flow = &fixture->flow;
    flow->bytes_up = flow->bytes_down = 0;
    deadline_init(&flow->deadline, fixture->base, never, flow);
    flow->relay = relay_new(flow, client[0], origin[0], first, first_size);
    assert_non_null(flow->relay);
    assert_false(fixture->ended);
}

static void wait_for(struct fixture *fixture, struct owner *owner, size_t size)
{
    owner->wanted = size;
    owner->done = evbuffer_get_length(owner->input) >= size;
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
}

static void wait_for_end(struct fixture *fixture, struct owner *owner)
{
    assert_true(loop_until(fixture->base, &owner->ended, LONG_ENOUGH));
}

/* Until nothing moves any more: the sockets and the pipe are full. */
static void wait_for_standstill(struct fixture *fixture, struct owner *owner)
{
    size_t left = SIZE_MAX;

    while (left != channel_pending(owner->channel) || fixture->flow.bytes_up == 0) {
        left = channel_pending(owner->channel);
        loop_for(fixture->base, 50);
    }
}

static void close_sending(struct owner *owner)
{
    assert_int_equal(channel_pending(owner->channel), 0);
    assert_int_equal(shutdown(channel_fd(owner->channel), SHUT_WR), 0);
}

static void close_owner(struct owner *owner)
{
    channel_free(owner->channel);
    owner->channel = NULL;
}

static void test_identity(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *up = noise(MUCH, 21), *down = noise(MUCH, 22);
    const size_t first = 1777; /* a ClientHello's worth, read before */

    for (int tcp = 0; tcp < 2; tcp++) {
        join(fixture, tcp, up, first);
        owner_write(&fixture->client, up + first, MUCH - first);
        owner_write(&fixture->origin, down, MUCH);
        wait_for(fixture, &fixture->origin, MUCH);
        wait_for(fixture, &fixture->client, MUCH);
        check_input(&fixture->origin, up, MUCH);
        check_input(&fixture->client, down, MUCH);
        assert_int_equal(fixture->flow.bytes_up, MUCH);
        assert_int_equal(fixture->flow.bytes_down, MUCH);
        assert_false(fixture->ended);
    }
    free(up);
    free(down);
}

static void test_first_bytes(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(100000, 23);

    /* nothing of the client's follows: they go out by themselves */
    join(fixture, true, "hello", 5);
    wait_for(fixture, &fixture->origin, 5);
    check_input(&fixture->origin, "hello", 5);
    /* more than the socket takes at once, then what follows, in that order */
    join(fixture, false, bytes, 65000);
    owner_write(&fixture->client, bytes + 65000, 35000);
    wait_for(fixture, &fixture->origin, 100000);
    check_input(&fixture->origin, bytes, 100000);
    assert_int_equal(fixture->flow.bytes_up, 100000);
    /* none: a server that speaks first */
    join(fixture, true, NULL, 0);
    owner_write(&fixture->origin, "220", 3);
    wait_for(fixture, &fixture->client, 3);
    check_input(&fixture->client, "220", 3);
    free(bytes);
}

/* Who has said all still hears; when both have, the flow is over. */
static void test_half_close(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(1000000, 24);

    for (int way = 0; way < 4; way++) {
        struct owner *one = way & 1 ? &fixture->client : &fixture->origin;
        struct owner *other = way & 1 ? &fixture->origin : &fixture->client;
        join(fixture, way & 2, NULL, 0);
        owner_write(one, "that was all", 12);
        close_sending(one);
        wait_for_end(fixture, other);
        check_input(other, "that was all", 12);
        loop_settle(fixture->base);
        assert_false(fixture->ended);
        owner_write(other, bytes, 1000000);
        wait_for(fixture, one, 1000000);
        check_input(one, bytes, 1000000);
        assert_false(one->ended);
        close_sending(other);
        wait_for_end(fixture, one);
        assert_true(loop_until(fixture->base, &fixture->ended, LONG_ENOUGH));
    }
    free(bytes);
}

/* A client that closes its half before the origin was even met. */
static void test_half_close_before(void **state)
{
    struct fixture *fixture = *state;
    int client[2], origin[2];

    tcp_pair(client);
    tcp_pair(origin);
    assert_int_equal(shutdown(client[1], SHUT_WR), 0);
    owner_open(&fixture->client, fixture->base, client[1]);
    owner_open(&fixture->origin, fixture->base, origin[1]);
    owner_want_read(&fixture->origin, true);
    deadline_init(&fixture->flow.deadline, fixture->base, never, &fixture->flow);
    fixture->flow.relay =
        relay_new(&fixture->flow, client[0], origin[0], (const uint8_t *)"hello", 5);
    wait_for_end(fixture, &fixture->origin);
    check_input(&fixture->origin, "hello", 5);
    assert_false(fixture->ended);
}

/* All that was sent before the close arrives, however slowly it is read. */
static void test_close_after_much(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(1000000, 25);

    for (int tcp = 0; tcp < 2; tcp++) {
        join(fixture, tcp, NULL, 0);
        owner_want_read(&fixture->client, false);
        owner_write(&fixture->origin, bytes, 1000000);
        owner_finish(&fixture->origin);
        loop_for(fixture->base, 20);
        assert_false(fixture->ended);
        owner_want_read(&fixture->client, true);
        wait_for_end(fixture, &fixture->client);
        check_input(&fixture->client, bytes, 1000000);
        close_owner(&fixture->client);
        assert_true(loop_until(fixture->base, &fixture->ended, LONG_ENOUGH));
        loop_for(fixture->base, 20); /* the channel that finishes sees it */
    }
    free(bytes);
}

static void test_reset(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(1000000, 26);

    for (int way = 0; way < 4; way++) {
        struct owner *one = way & 1 ? &fixture->client : &fixture->origin;
        struct owner *other = way & 1 ? &fixture->origin : &fixture->client;
        join(fixture, true, "hello", 5);
        wait_for(fixture, &fixture->origin, 5);
        owner_write(&fixture->origin, "world", 5);
        wait_for(fixture, &fixture->client, 5);
        other->done = false;
        if (way & 2) /* with bytes under way */
            owner_write(other, bytes, 1000000);
        close_by_reset(channel_detach(one->channel));
        one->channel = NULL;
        assert_true(loop_until(fixture->base, &fixture->ended, LONG_ENOUGH));
        /* and the other side does not wait for ever */
        assert_true(loop_until(fixture->base, &other->done, LONG_ENOUGH));
        assert_true(other->ended || other->broken || other->failed);
    }
    free(bytes);
}

/* What one side does not read the other cannot send: nothing is piled up in between. */
static void test_back_pressure(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(MUCH, 27);

    join(fixture, false, NULL, 0);
    owner_want_read(&fixture->origin, false);
    owner_write(&fixture->client, bytes, MUCH);
    wait_for_standstill(fixture, &fixture->client);
    size_t left = channel_pending(fixture->client.channel);
    assert_true(left > MUCH - (2u << 20));
    /* the loop does not spin meanwhile */
    int64_t from = clock_monotonic();
    loop_for(fixture->base, 200);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    loop_for(fixture->base, 200);
    getrusage(RUSAGE_SELF, &after);
    int64_t used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                   (after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                   (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                   (after.ru_stime.tv_usec - before.ru_stime.tv_usec);
    assert_true(used < 100000);
    assert_true(clock_monotonic() >= from + 400);
    assert_int_equal(channel_pending(fixture->client.channel), left);
    /* the other way is open */
    owner_write(&fixture->origin, "still", 5);
    wait_for(fixture, &fixture->client, 5);
    owner_want_read(&fixture->origin, true);
    wait_for(fixture, &fixture->origin, MUCH);
    check_input(&fixture->origin, bytes, MUCH);
    free(bytes);
}

static void test_idle(void **state)
{
    struct fixture *fixture = *state;

    fixture->configuration.timeout_splice = 400;
    join(fixture, true, "hello", 5);
    int64_t last = 0;
    for (int i = 0; i < 8; i++) { /* bytes of either side keep it */
        last = clock_monotonic();
        owner_write(i & 1 ? &fixture->client : &fixture->origin, "x", 1);
        loop_for(fixture->base, 100);
        assert_false(fixture->ended);
    }
    assert_true(loop_until(fixture->base, &fixture->ended, LONG_ENOUGH));
    assert_true(clock_monotonic() >= last + 400);
    wait_for_end(fixture, &fixture->client);
    wait_for_end(fixture, &fixture->origin);
}

static void test_signs(void **state)
{
    struct fixture *fixture = *state;

    fixture->flow.finding.call = &zoom;
    join(fixture, true, "hello", 5);
    assert_int_equal(fixture->signs, 1);
    int64_t from = clock_monotonic();
    while (clock_monotonic() < from + 1200) {
        owner_write(&fixture->client, "x", 1);
        loop_for(fixture->base, 5);
    }
    assert_int_equal(fixture->signs, 2); /* one a second */
    loop_for(fixture->base, 1200);
    assert_int_equal(fixture->signs, 2); /* silence is no sign */
}

/* --- pipes --- */

static void test_pipes_are_shared(void **state)
{
    struct fixture *fixture = *state;

    join(fixture, true, "hello", 5);
    wait_for(fixture, &fixture->origin, 5);
    for (size_t i = 1; i <= 20; i++) {
        owner_write(&fixture->client, "x", 1);
        owner_write(&fixture->origin, "y", 1);
        wait_for(fixture, &fixture->origin, 5 + i);
        wait_for(fixture, &fixture->client, i);
        loop_settle(fixture->base);
        /* nothing under way: the relay holds none */
        assert_true(fixture->worker.idle_pipe_count > 0 && fixture->worker.idle_pipe_count <= 2);
    }
    unsigned before = descriptors_open(), kept = fixture->worker.idle_pipe_count;
    relay_free_pipes(&fixture->worker);
    assert_int_equal(descriptors_open(), before - 2 * kept);
    assert_int_equal(fixture->worker.idle_pipe_count, 0);
    relay_free_pipes(&fixture->worker);
}

/* A flow that ends with bytes in its pipe: they must not come out of another flow. */
static void test_pipes_are_clean(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *secret = noise(MUCH, 28);

    for (int round = 0; round < 3; round++) {
        join(fixture, false, NULL, 0);
        owner_want_read(&fixture->origin, false);
        owner_write(&fixture->client, secret, MUCH);
        wait_for_standstill(fixture, &fixture->client);
        flow_end(&fixture->flow);
        assert_int_equal(fixture->worker.idle_pipe_count, 0);
        join(fixture, false, NULL, 0);
        owner_write(&fixture->client, "other", 5);
        wait_for(fixture, &fixture->origin, 5);
        loop_settle(fixture->base);
        check_input(&fixture->origin, "other", 5);
        start_over(fixture);
        relay_free_pipes(&fixture->worker);
    }
    free(secret);
}

/* At the descriptor limit bytes wait for a pipe: none is lost, and the flow goes on by itself. */
static void test_no_pipe(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit limit, none;

    join(fixture, true, "hello", 5);
    wait_for(fixture, &fixture->origin, 5);
    loop_settle(fixture->base);
    relay_free_pipes(&fixture->worker);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    owner_write(&fixture->client, "later", 5);
    owner_write(&fixture->origin, "too", 3);
    loop_for(fixture->base, 100);
    size_t up = evbuffer_get_length(fixture->origin.input);
    size_t down = evbuffer_get_length(fixture->client.input);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(up, 5);
    assert_int_equal(down, 0);
    assert_false(fixture->ended);
    wait_for(fixture, &fixture->origin, 10);
    check_input(&fixture->origin, "hellolater", 10);
    wait_for(fixture, &fixture->client, 3);
    check_input(&fixture->client, "too", 3);
}

static void test_null(void **state)
{
    (void)state;
    relay_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_first_bytes),
        TEST(test_half_close),
        TEST(test_half_close_before),
        TEST(test_close_after_much),
        TEST(test_reset),
        TEST(test_back_pressure),
        TEST(test_idle),
        TEST(test_signs),
        TEST(test_pipes_are_shared),
        TEST(test_pipes_are_clean),
        TEST(test_no_pipe),
        TEST(test_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
