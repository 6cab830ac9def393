/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels without TLS: order of what is read, back-pressure, the ways to end. */
#include "tests/unit/channel_fixture.h"

#define SMALL    4096    /* bytes of a socket's buffer that is soon full */
#define MUCH     5000000 /* bytes that no socket's buffer holds */
#define SWALLOWS 262144  /* bytes that channel_finish() throws away at the most */

struct fixture {
    struct event_base *base;
    struct owner owner;
    int peer; /* a bare socket */
    unsigned descriptors;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int fds[2];

    fixture->descriptors = descriptors_open();
    fixture->base = channel_loop_new();
    assert_non_null(fixture->base);
    stream_pair(fds, SMALL);
    owner_open(&fixture->owner, fixture->base, fds[0]);
    fixture->peer = fds[1];
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    owner_close(&fixture->owner);
    if (fixture->peer >= 0)
        close(fixture->peer);
    assert_int_equal(event_base_get_num_events(fixture->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(fixture->base);
    assert_int_equal(descriptors_open(), fixture->descriptors);
    free(fixture);
    return 0;
}

static void say(struct fixture *fixture, const char *text)
{
    assert_int_equal(send(fixture->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void close_peer(struct fixture *fixture)
{
    close(fixture->peer);
    fixture->peer = -1;
}

/* --- reading --- */

static void test_read(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;

    say(fixture, "one");
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, 0); /* not wanted yet */
    owner_want_read(owner, true);
    loop_settle(fixture->base);
    check_input(owner, "one", 3);
    unsigned told = owner->readable;
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, told); /* nothing new */
    owner_want_read(owner, false);
    say(fixture, "two");
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, told);
    owner_want_read(owner, true);
    loop_settle(fixture->base);
    check_input(owner, "onetwo", 6);
    assert_false(owner->ended);
    shutdown(fixture->peer, SHUT_WR);
    loop_settle(fixture->base);
    assert_true(owner->ended);
    assert_int_equal(channel_bytes_read(owner->channel), 6);
    assert_int_equal(owner->failed, 0);
}

static void test_order(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    static const char all[] = "first, second, third, fourth, fifth";

    /* every size of a read crosses the borders in another way */
    for (size_t piece = 1; piece < sizeof(all); piece++) {
        evbuffer_drain(owner->input, evbuffer_get_length(owner->input));
        owner->piece = piece;
        say(fixture, " fifth");
        channel_replay(owner->channel, " fourth,", 8);
        channel_replay(owner->channel, " third,", 7);
        channel_unread(owner->channel, " second,", 8);
        channel_unread(owner->channel, "first,", 6);
        channel_unread(owner->channel, "", 0);
        channel_replay(owner->channel, NULL, 0);
        owner_want_read(owner, true);
        loop_settle(fixture->base);
        check_input(owner, all, sizeof(all) - 1);
    }
}

static void test_unread_again_and_again(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    uint8_t bytes[16];
    size_t got;

    say(fixture, "abcdef");
    assert_int_equal(channel_read(owner->channel, bytes, 6, &got), CHANNEL_DATA);
    channel_unread(owner->channel, bytes, 6);
    for (int i = 0; i < 6; i++) { /* one is used, the rest given back */
        assert_int_equal(channel_read(owner->channel, bytes, sizeof(bytes), &got), CHANNEL_DATA);
        assert_int_equal(got, 6 - i);
        assert_int_equal(bytes[0], 'a' + i);
        channel_unread(owner->channel, bytes + 1, got - 1);
    }
    assert_int_equal(channel_read(owner->channel, bytes, sizeof(bytes), &got), CHANNEL_AGAIN);
    assert_int_equal(channel_bytes_read(owner->channel), 6); /* however often */
    /* part of what was given back is read, then something given back before the rest */
    channel_unread(owner->channel, "2345", 4);
    assert_int_equal(channel_read(owner->channel, bytes, 2, &got), CHANNEL_DATA);
    channel_unread(owner->channel, "xyz", 3);
    assert_int_equal(channel_read(owner->channel, bytes, sizeof(bytes), &got), CHANNEL_DATA);
    assert_int_equal(got, 5);
    assert_memory_equal(bytes, "xyz45", 5);
}

/* The socket will not say again what was given back to the channel: it must come all the same. */
static void test_buffered_input_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;

    channel_unread(owner->channel, "ab", 2);
    owner_want_read(owner, true);
    owner_want_read(owner, false);
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, 0);
    owner->one_read = true;
    owner->piece = 1;
    for (unsigned i = 1; i <= 2; i++) {
        owner_want_read(owner, true);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        assert_int_equal(owner->readable, i);
        assert_int_equal(evbuffer_get_length(owner->input), i);
    }
    owner_want_read(owner, true);
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, 2);
}

/* --- writing --- */

static void test_write_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    struct evbuffer *seen = evbuffer_new();
    bool ended = false;

    channel_flush(owner->channel); /* nothing yet */
    owner_write(owner, "hello", 5);
    assert_int_equal(channel_pending(owner->channel), 0);
    assert_int_equal(channel_bytes_written(owner->channel), 5);
    assert_int_equal(drain(fixture->peer, seen, &ended), 5);
    loop_settle(fixture->base);
    assert_int_equal(owner->drained, 0); /* it had not to wait */
    evbuffer_free(seen);
}

static void test_back_pressure(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    struct evbuffer *seen = evbuffer_new();
    uint8_t *bytes = noise(MUCH, 1);
    bool ended = false;

    owner_write(owner, bytes, MUCH);
    size_t pending = channel_pending(owner->channel);
    assert_true(pending > 0 && pending < MUCH);
    loop_settle(fixture->base);
    assert_int_equal(channel_pending(owner->channel), pending); /* nobody reads */
    assert_int_equal(owner->drained, 0);
    int64_t end = clock_monotonic() + LONG_ENOUGH;
    while (owner->drained == 0 && clock_monotonic() < end) {
        assert_true(drain(fixture->peer, seen, &ended) >= 0);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    }
    drain(fixture->peer, seen, &ended);
    assert_int_equal(channel_pending(owner->channel), 0);
    assert_int_equal(channel_bytes_written(owner->channel), MUCH);
    assert_int_equal(evbuffer_get_length(seen), MUCH);
    assert_memory_equal(evbuffer_pullup(seen, -1), bytes, MUCH);
    loop_settle(fixture->base);
    assert_int_equal(owner->drained, 1);
    assert_false(ended);
    free(bytes);
    evbuffer_free(seen);
}

static void test_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner, other;
    uint8_t *up = noise(MUCH, 2), *down = noise(MUCH, 3);

    owner_open(&other, fixture->base, fixture->peer);
    fixture->peer = -1;
    owner->wanted = other.wanted = MUCH;
    owner_write(owner, up, MUCH);
    owner_write(&other, down, MUCH);
    owner_want_read(owner, true);
    owner_want_read(&other, true);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    assert_true(loop_until(fixture->base, &other.done, LONG_ENOUGH));
    check_input(owner, down, MUCH);
    check_input(&other, up, MUCH);
    owner_close(&other);
    free(up);
    free(down);
}

/* --- failure --- */

/* Told from the loop, once, and not forgotten because the owner goes on as if nothing were. */
static void test_failure_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;

    for (unsigned way = 0; way < 4; way++) {
        int fds[2];
        owner_close(owner);
        stream_pair(fds, SMALL);
        owner_open(owner, fixture->base, fds[0]);
        close(fds[1]);
        if (way == 3)
            channel_unread(owner->channel, "left", 4);
        owner_write(owner, "x", 1);
        assert_int_equal(owner->failed, 0);
        if (way > 0)
            owner_want_read(owner, way & 1);
        if (way > 1)
            owner_write(owner, "y", 1);
        assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
        assert_int_equal(owner->failed, 1);
        assert_string_equal(channel_error(owner->channel), strerror(EPIPE));
        owner_want_read(owner, true);
        loop_settle(fixture->base);
        assert_int_equal(owner->failed, 1);
    }
}

/* It may have answered before it stopped listening. */
static void test_reading_after_failure(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;

    say(fixture, "413 Content Too Large");
    close_peer(fixture);
    owner_write(owner, "x", 1);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    assert_int_equal(owner->failed, 1);
    owner_read(owner);
    check_input(owner, "413 Content Too Large", 21);
    assert_true(owner->ended);
}

/* In the middle of what waits. */
static void test_failure_with_output(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    uint8_t *bytes = noise(MUCH, 4);

    owner_write(owner, bytes, MUCH);
    close_peer(fixture);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    assert_int_equal(owner->failed, 1);
    assert_int_equal(owner->drained, 0);
    channel_finish(owner->channel); /* no more to write: closes at once */
    owner->channel = NULL;
    free(bytes);
}

static void test_free_in_handler(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    uint8_t *bytes = noise(100000, 5);
    struct evbuffer *seen = evbuffer_new();
    bool ended = false;

    owner->frees = true;
    owner->free_on = CHANNEL_READABLE;
    say(fixture, "x");
    owner_want_read(owner, true);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));

    static const enum channel_event events[] = {CHANNEL_DRAINED, CHANNEL_FAILED};
    for (size_t i = 0; i < COUNT(events); i++) {
        int fds[2];
        owner_close(owner);
        stream_pair(fds, SMALL);
        owner_open(owner, fixture->base, fds[0]);
        owner->frees = true;
        owner->free_on = events[i];
        if (events[i] == CHANNEL_FAILED)
            close(fds[1]);
        owner_write(owner, bytes, 100000);
        for (int turn = 0; turn < 1000 && !owner->done; turn++) {
            if (events[i] == CHANNEL_DRAINED)
                drain(fds[1], seen, &ended);
            event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        }
        assert_true(owner->done);
        if (events[i] != CHANNEL_FAILED)
            close(fds[1]);
    }
    free(bytes);
    evbuffer_free(seen);
}

/* --- the end --- */

/* Everything arrives, then the end; what the peer still says is thrown away until it closes. */
static void test_finish(void **state)
{
    struct fixture *fixture = *state;
    unsigned before = descriptors_open();
    uint8_t *bytes = noise(MUCH, 6);
    struct evbuffer *seen = evbuffer_new();
    bool ended = false;

    owner_write(&fixture->owner, bytes, MUCH);
    owner_want_read(&fixture->owner, true);
    owner_finish(&fixture->owner);
    int64_t end = clock_monotonic() + LONG_ENOUGH;
    while (!ended && clock_monotonic() < end) {
        send(fixture->peer, "chatter", 7, MSG_NOSIGNAL);
        assert_true(drain(fixture->peer, seen, &ended) >= 0);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    }
    assert_true(ended);
    assert_int_equal(evbuffer_get_length(seen), MUCH);
    assert_memory_equal(evbuffer_pullup(seen, -1), bytes, MUCH);
    say(fixture, "still there");
    loop_settle(fixture->base);
    say(fixture, "and again");
    close_peer(fixture);
    loop_settle(fixture->base);
    assert_int_equal(descriptors_open(), before - 2);
    free(bytes);
    evbuffer_free(seen);
}

/* A peer that says it will send no more still reads: all that is left must come. */
static void test_finish_after_half_close(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = noise(MUCH, 7);
    struct evbuffer *seen = evbuffer_new();
    bool ended = false;

    say(fixture, "GET / HTTP/1.0\r\n\r\n");
    shutdown(fixture->peer, SHUT_WR);
    owner_write(&fixture->owner, bytes, MUCH);
    assert_true(channel_pending(fixture->owner.channel) > 0);
    owner_finish(&fixture->owner);
    int64_t end = clock_monotonic() + LONG_ENOUGH;
    while (!ended && clock_monotonic() < end) {
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        assert_true(drain(fixture->peer, seen, &ended) >= 0);
    }
    assert_int_equal(evbuffer_get_length(seen), MUCH);
    assert_memory_equal(evbuffer_pullup(seen, -1), bytes, MUCH);
    free(bytes);
    evbuffer_free(seen);
}

/* A peer that never closes has two seconds; one that never stops talking less. */
static void test_finish_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct evbuffer *seen = evbuffer_new();
    uint8_t waste[2048] = {0};
    bool ended = false, closed = false;
    size_t sent = 0;
    int fds[2];

    int64_t from = clock_monotonic();
    owner_finish(&fixture->owner);
    loop_settle(fixture->base);
    assert_int_equal(drain(fixture->peer, seen, &ended), 0);
    assert_true(ended);
    while (!closed && clock_monotonic() < from + LONG_ENOUGH) {
        loop_for(fixture->base, 20);
        closed = send(fixture->peer, "x", 1, MSG_NOSIGNAL) < 0;
    }
    assert_true(closed);
    assert_true(clock_monotonic() >= from + 2000 && clock_monotonic() < from + 8000);

    stream_pair(fds, SMALL);
    owner_close(&fixture->owner);
    owner_open(&fixture->owner, fixture->base, fds[0]);
    owner_finish(&fixture->owner);
    from = clock_monotonic();
    for (closed = false; !closed && clock_monotonic() < from + LONG_ENOUGH;) {
        ssize_t went = send(fds[1], waste, sizeof(waste), MSG_NOSIGNAL);
        closed = went < 0 && errno != EAGAIN;
        sent += went > 0 ? (size_t)went : 0;
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    }
    assert_true(closed);
    assert_true(sent >= SWALLOWS && sent < SWALLOWS + 65536);
    close(fds[1]);
    evbuffer_free(seen);
}

/* The owner who wants to know is told once, from the loop, when the peer has closed or failed. */
static void test_finish_and_tell(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    uint8_t *bytes = noise(MUCH, 9);
    struct evbuffer *seen = evbuffer_new();
    bool ended = false;

    owner_want_read(owner, true);
    owner_write(owner, bytes, MUCH);
    owner_finish_and_tell(owner);
    int64_t end = clock_monotonic() + LONG_ENOUGH;
    while (!ended && clock_monotonic() < end) {
        send(fixture->peer, "chatter", 7, MSG_NOSIGNAL);
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        assert_true(drain(fixture->peer, seen, &ended) >= 0);
    }
    assert_int_equal(evbuffer_get_length(seen), MUCH);
    assert_memory_equal(evbuffer_pullup(seen, -1), bytes, MUCH);
    loop_settle(fixture->base);
    assert_int_equal(owner->finished, 0); /* the peer has not closed */
    close_peer(fixture);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    loop_settle(fixture->base);
    assert_int_equal(owner->finished, 1);

    /* a peer that is gone, with and without a failure that was not told yet; freed too early */
    for (int way = 0; way < 4; way++) {
        int fds[2];
        owner_close(owner);
        stream_pair(fds, SMALL);
        owner_open(owner, fixture->base, fds[0]);
        if (way != 3)
            close(fds[1]);
        if (way == 1)
            owner_write(owner, "x", 1);
        if (way == 2)
            evbuffer_add(channel_output(owner->channel), "x", 1);
        owner_finish_and_tell(owner);
        if (way == 3) {
            channel_free(owner->channel);
            owner->channel = NULL;
            loop_settle(fixture->base);
            assert_false(owner->done);
            close(fds[1]);
        } else {
            assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
        }
    }
    /* and one that never closes */
    int fds[2];
    owner_close(owner);
    stream_pair(fds, SMALL);
    owner_open(owner, fixture->base, fds[0]);
    owner_finish_and_tell(owner);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    close(fds[1]);
    free(bytes);
    evbuffer_free(seen);
}

static void test_null(void **state)
{
    (void)state;
    channel_free(NULL);
    channel_reset(NULL);
    channel_finish(NULL);
}

static void test_detach(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    char text[16] = "";

    owner_want_read(owner, true);
    say(fixture, "kept");
    int fd = channel_fd(owner->channel);
    assert_int_equal(channel_detach(owner->channel), fd);
    owner->channel = NULL;
    loop_settle(fixture->base);
    assert_int_equal(owner->readable, 0);
    assert_int_equal(recv(fd, text, sizeof(text), 0), 4);
    assert_string_equal(text, "kept");
    assert_int_equal(send(fd, "x", 1, 0), 1);
    close(fd);
}

/* A socket that waits for bytes, but not for ever. */
static void make_patient(int fd)
{
    static const struct timeval patience = {5, 0};

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

/* The peer must be able to tell an answer that broke off from one that ended. */
static void test_reset(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    uint8_t *bytes = noise(MUCH, 8);
    char byte;

    for (int resets = 0; resets < 2; resets++) {
        int fds[2];
        owner_close(owner);
        tcp_pair(fds);
        make_patient(fds[1]);
        owner_open(owner, fixture->base, fds[0]);
        if (resets)
            owner_write(owner, bytes, MUCH); /* with and without something under way */
        channel_reset(owner->channel);
        owner->channel = NULL;
        ssize_t got;
        while ((got = recv(fds[1], &byte, 1, 0)) > 0)
            continue;
        assert_int_equal(got, -1);
        assert_int_equal(errno, ECONNRESET);
        close(fds[1]);
    }
    int fds[2];
    tcp_pair(fds);
    make_patient(fds[1]);
    owner_close(owner);
    owner_open(owner, fixture->base, fds[0]);
    channel_free(owner->channel);
    owner->channel = NULL;
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
    free(bytes);
}

static void test_peer_resets(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    int fds[2];

    owner_close(owner);
    tcp_pair(fds);
    owner_open(owner, fixture->base, fds[0]);
    owner_want_read(owner, true);
    close_by_reset(fds[1]);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    assert_true(owner->broken); /* and not an end */
    assert_false(owner->ended);
}

/* One that has always more to read, and takes its time, does not hide the others from the loop. */
struct greedy {
    int other;        /* the peer of another channel: it speaks at the first turn */
    const bool *done; /* it was heard */
    unsigned turns;
};

static void on_greedy(void *context, struct channel *channel, enum channel_event event)
{
    static const struct timespec while_it_works = {0, 200000};
    struct greedy *greedy = context;
    uint8_t byte;
    size_t got;

    assert_int_equal(event, CHANNEL_READABLE);
    if (greedy->turns++ == 0)
        assert_int_equal(send(greedy->other, "now", 3, MSG_NOSIGNAL), 3);
    nanosleep(&while_it_works, NULL);
    bool more = channel_read(channel, &byte, 1, &got) == CHANNEL_DATA;
    channel_want_read(channel, more && !*greedy->done);
}

static void test_turns(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = &fixture->owner;
    static const char much[10000];
    struct greedy greedy = {.other = fixture->peer, .done = &owner->done};
    int fds[2];

    stream_pair(fds, SMALL);
    owner_want_read(owner, true);
    owner->wanted = 3;
    struct channel *channel = channel_new(fixture->base, fds[0], on_greedy, &greedy);
    channel_replay(channel, much, sizeof(much));
    channel_want_read(channel, true);
    assert_true(loop_until(fixture->base, &owner->done, LONG_ENOUGH));
    assert_in_range(greedy.turns, 1, 200);
    channel_free(channel);
    close(fds[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_read),
        TEST(test_order),
        TEST(test_unread_again_and_again),
        TEST(test_buffered_input_is_told),
        TEST(test_write_at_once),
        TEST(test_back_pressure),
        TEST(test_both_ways),
        TEST(test_failure_is_told),
        TEST(test_reading_after_failure),
        TEST(test_failure_with_output),
        TEST(test_free_in_handler),
        TEST(test_finish),
        TEST(test_finish_after_half_close),
        TEST(test_finish_is_bounded),
        TEST(test_finish_and_tell),
        TEST(test_null),
        TEST(test_detach),
        TEST(test_reset),
        TEST(test_peer_resets),
        TEST(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
