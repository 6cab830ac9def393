/* SPDX-License-Identifier: BSD-2-Clause */
/* Links between processes: what is delivered, what closes them, what becomes of descriptors. */
#include "tests/unit/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/message.h"

#define VERSION 1

/* As it stands on the wire. */
struct header {
    uint16_t type;
    uint16_t version;
    uint32_t size;
};

struct received {
    enum message_type type;
    size_t size;
    uint32_t number; /* the first bytes */
};

struct end {
    struct link *link;
    struct received messages[4096];
    size_t count;
    bool closed;     /* MESSAGE_NONE came: the link is gone */
    bool done;       /* closed, or `wanted` messages came */
    size_t wanted;   /* messages */
    size_t free_at;  /* the handler frees the link with that message; 0: never */
    int fd;          /* the last that came */
    bool sent_after; /* what link_send() said after link_free() */
};

struct fixture {
    struct event_base *base;
    struct end end;
    int peer; /* the other end as a bare socket, or -1 */
    enum role own_role, peer_role;
    unsigned descriptors;
};

static const struct {
    size_t smallest, largest;
    const char *name;
    unsigned from, to;
} limits[MESSAGE_COUNT] = {[MESSAGE_NONE] = {1, 0, "NONE", 0, 0},
#define X(symbol, from, to, smallest, largest, help)                                               \
    [MESSAGE_##symbol] = {smallest, largest, #symbol, from, to},
                           MESSAGES(X)
#undef X
};

static uint8_t payload[MESSAGE_MAX + 64];

static void on_message(void *context, struct link *link, enum message_type type, const void *bytes,
                       size_t size, int fd)
{
    struct end *end = context;

    assert_false(end->closed);
    assert_ptr_equal(link, end->link);
    if (type == MESSAGE_NONE) {
        assert_null(bytes);
        assert_int_equal(size, 0);
        assert_int_equal(fd, -1);
        end->link = NULL;
        end->closed = end->done = true;
        return;
    }
    assert_true(end->count < COUNT(end->messages));
    struct received *received = &end->messages[end->count++];
    *received = (struct received){.type = type, .size = size};
    memcpy(&received->number, bytes,
           size < sizeof(received->number) ? size : sizeof(received->number));
    if (fd >= 0 && end->fd >= 0)
        close(end->fd);
    if (fd >= 0)
        end->fd = fd;
    end->done = end->done || (end->wanted > 0 && end->count >= end->wanted);
    if (end->count == end->free_at) {
        link_free(link);
        end->sent_after = link_send(link, MESSAGE_READY, NULL, 0, -1) == 0;
        end->link = NULL;
        end->done = true;
    }
}

static void end_reset(struct end *end)
{
    *end = (struct end){.fd = -1};
}

static void connect_ends(struct fixture *fixture)
{
    int fds[2];

    end_reset(&fixture->end);
    assert_int_equal(link_pair(fds), 0);
    fixture->end.link = link_new(fixture->base, fds[0], fixture->own_role, fixture->peer_role,
                                 on_message, &fixture->end);
    fixture->peer = fds[1];
}

/* The first of several roles. */
static enum role first_of(unsigned roles)
{
    return (enum role)(ffs((int)roles) - 1);
}

/* The first of them that is not this one, or this one where there is no other. */
static enum role another_of(unsigned roles, enum role one)
{
    return first_of((roles & ~(1u << one)) != 0 ? roles & ~(1u << one) : roles);
}

static void disconnect_ends(struct fixture *fixture)
{
    link_free(fixture->end.link);
    fixture->end.link = NULL;
    if (fixture->peer >= 0)
        close(fixture->peer);
    fixture->peer = -1;
    if (fixture->end.fd >= 0)
        close(fixture->end.fd);
    fixture->end.fd = -1;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->base = event_base_new();
    fixture->descriptors = descriptors_open();
    fixture->peer = fixture->end.fd = -1;
    fixture->own_role = ROLE_PARENT;
    fixture->peer_role = ROLE_REGISTRY;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    disconnect_ends(fixture);
    assert_int_equal(descriptors_open(), fixture->descriptors);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

/* A packet as a hostile or broken peer might send it; without a header an empty one. */
static void send_any(int fd, const struct header *header, size_t size, const int *passed,
                     size_t count)
{
    size_t header_size = header != NULL ? sizeof(*header) : 0;
    struct iovec pieces[2] = {{(void *)header, header_size}, {payload, size}};
    struct msghdr packet = {.msg_iov = pieces, .msg_iovlen = 2};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control = {.space = {0}};

    if (count > 0) {
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *first = CMSG_FIRSTHDR(&packet);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(first), passed, count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &packet, MSG_NOSIGNAL), header_size + size);
}

static void send_packet(int fd, struct header header, size_t size, const int *passed, size_t count)
{
    send_any(fd, &header, size, passed, count);
}

static struct header header_of(unsigned type, size_t size)
{
    return (struct header){(uint16_t)type, VERSION, (uint32_t)size};
}

/* Sends one packet to a fresh link; whether it was delivered: else the link must be closed. */
static bool is_taken(struct fixture *fixture, struct header header, size_t size, const int *passed,
                     size_t count)
{
    uint8_t byte;

    if (header.type > MESSAGE_NONE && header.type < MESSAGE_COUNT) {
        fixture->own_role = first_of(limits[header.type].to);
        fixture->peer_role = another_of(limits[header.type].from, fixture->own_role);
    }
    connect_ends(fixture);
    send_packet(fixture->peer, header, size, passed, count);
    loop_settle(fixture->base);
    bool taken = fixture->end.count == 1;
    if (taken) {
        assert_int_equal(fixture->end.messages[0].type, header.type);
        assert_int_equal(fixture->end.messages[0].size, size);
        assert_int_equal(fixture->end.fd >= 0, count == 1);
        assert_false(fixture->end.closed);
    } else {
        assert_int_equal(fixture->end.count, 0);
        assert_true(fixture->end.closed);
        assert_int_equal(recv(fixture->peer, &byte, 1, 0), 0);
    }
    disconnect_ends(fixture);
    return taken;
}

/* --- the table --- */

static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGE_COUNT; i++)
        assert_string_equal(message_name(i), limits[i].name);
    assert_string_equal(message_name(MESSAGE_COUNT), "?");
    assert_string_equal(role_name(ROLE_PARENT), "parent");
    assert_string_equal(role_name(ROLE_SIGNER), "signer");
    assert_string_equal(role_name(ROLE_WORKER), "worker");
    assert_string_equal(role_name(ROLE_REGISTRY), "registry");
    assert_string_equal(role_name(ROLE_EXAMINER), "examiner");
    assert_string_equal(role_name(ROLE_FETCHER), "fetcher");
    assert_string_equal(role_name(ROLE_COUNT), "?");
    assert_string_equal(role_name(1000), "?");
}

static void test_lengths_received(void **state)
{
    struct fixture *fixture = *state;
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    for (unsigned i = MESSAGE_NONE + 1; i < MESSAGE_COUNT; i++) {
        size_t fds = MESSAGE_CARRIES_DESCRIPTOR(i) ? 1 : 0;
        size_t smallest = limits[i].smallest, largest = limits[i].largest;

        assert_true(largest <= MESSAGE_MAX && smallest <= largest);
        assert_true(is_taken(fixture, header_of(i, smallest), smallest, pipe_ends, fds));
        assert_true(is_taken(fixture, header_of(i, largest), largest, pipe_ends, fds));
        assert_false(is_taken(fixture, header_of(i, largest + 1), largest + 1, pipe_ends, fds));
        if (smallest > 0)
            assert_false(
                is_taken(fixture, header_of(i, smallest - 1), smallest - 1, pipe_ends, fds));
        /* the header's size is not the packet's */
        assert_false(is_taken(fixture, header_of(i, largest + 1), largest, pipe_ends, fds));
        assert_false(is_taken(fixture, header_of(i, smallest), smallest + 1, pipe_ends, fds));
        assert_false(is_taken(fixture, header_of(i, UINT32_MAX), largest, pipe_ends, fds));
        /* a descriptor too few or too many */
        assert_false(is_taken(fixture, header_of(i, smallest), smallest, pipe_ends, 1 - fds));
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_lengths_sent(void **state)
{
    struct fixture *fixture = *state;
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    for (unsigned i = MESSAGE_NONE + 1; i < MESSAGE_COUNT; i++) {
        int fd = MESSAGE_CARRIES_DESCRIPTOR(i) ? pipe_ends[0] : -1;
        int wrong_fd = MESSAGE_CARRIES_DESCRIPTOR(i) ? -1 : pipe_ends[0];
        size_t smallest = limits[i].smallest, largest = limits[i].largest;
        struct header header;
        uint8_t byte;

        fixture->own_role = first_of(limits[i].from);
        fixture->peer_role = another_of(limits[i].to, fixture->own_role);
        connect_ends(fixture);
        struct link *link = fixture->end.link;
        assert_int_equal(link_send(link, i, payload, largest + 1, fd), -1);
        if (smallest > 0)
            assert_int_equal(link_send(link, i, payload, smallest - 1, fd), -1);
        assert_int_equal(link_send(link, i, payload, smallest, wrong_fd), -1);
        assert_int_equal(recv(fixture->peer, &byte, 1, 0), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(link_send(link, i, payload, largest, fd), 0);
        assert_int_equal(recv(fixture->peer, &header, sizeof(header), MSG_TRUNC),
                         sizeof(header) + largest);
        assert_int_equal(header.type, i);
        assert_int_equal(header.version, VERSION);
        assert_int_equal(header.size, largest);
        assert_int_equal(link_send(link, MESSAGE_NONE, NULL, 0, -1), -1);
        assert_int_equal(link_send(link, MESSAGE_COUNT, NULL, 0, -1), -1);
        disconnect_ends(fixture);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_nonsense(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned types[] = {MESSAGE_NONE, MESSAGE_COUNT, 0x7fff, 0xffff};
    static const uint16_t versions[] = {0, 2, 0x0100, 0xffff};

    for (size_t i = 0; i < COUNT(types); i++)
        assert_false(is_taken(fixture, header_of(types[i], 0), 0, NULL, 0));
    for (size_t i = 0; i < COUNT(versions); i++)
        assert_false(is_taken(fixture, (struct header){MESSAGE_READY, versions[i], 0}, 0, NULL, 0));
    /* a packet longer than the longest message: what does not fit must not pass for the rest */
    assert_false(
        is_taken(fixture, header_of(MESSAGE_RECORD, MESSAGE_MAX), sizeof(payload), NULL, 0));
}

static void test_short_packets(void **state)
{
    struct fixture *fixture = *state;
    struct header header = header_of(MESSAGE_READY, 0);

    for (size_t size = 0; size < sizeof(header); size++) {
        connect_ends(fixture);
        assert_int_equal(send(fixture->peer, &header, size, MSG_NOSIGNAL), size);
        loop_settle(fixture->base);
        assert_true(fixture->end.closed);
        assert_int_equal(fixture->end.count, 0);
        disconnect_ends(fixture);
    }
}

/* What came before nonsense counts, what comes after it does not. */
static void test_nothing_after_nonsense(void **state)
{
    struct fixture *fixture = *state;

    connect_ends(fixture);
    send_packet(fixture->peer, header_of(MESSAGE_READY, 0), 0, NULL, 0);
    send_packet(fixture->peer, header_of(MESSAGE_COUNT, 0), 0, NULL, 0);
    send_packet(fixture->peer, header_of(MESSAGE_READY, 0), 0, NULL, 0);
    loop_settle(fixture->base);
    assert_int_equal(fixture->end.count, 1);
    assert_true(fixture->end.closed);
}

/* Every type between every two roles, both ways: the table alone decides. */
static void test_who_may_say_it(void **state)
{
    struct fixture *fixture = *state;
    int pipe_ends[2];
    unsigned taken = 0;

    assert_int_equal(pipe(pipe_ends), 0);
    for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_COUNT; type++)
        for (unsigned from = 0; from < ROLE_COUNT; from++)
            for (unsigned to = 0; to < ROLE_COUNT; to++) {
                size_t fds = MESSAGE_CARRIES_DESCRIPTOR(type) ? 1 : 0, size = limits[type].largest;
                bool may = (limits[type].from & 1u << from) && (limits[type].to & 1u << to);

                fixture->own_role = to;
                fixture->peer_role = from;
                connect_ends(fixture);
                send_packet(fixture->peer, header_of(type, size), size, pipe_ends, fds);
                loop_settle(fixture->base);
                assert_int_equal(fixture->end.count, may ? 1 : 0);
                assert_int_equal(fixture->end.closed, !may);
                disconnect_ends(fixture);
                taken += may;

                fixture->own_role = from;
                fixture->peer_role = to;
                connect_ends(fixture);
                assert_int_equal(
                    link_send(fixture->end.link, type, payload, size, fds > 0 ? pipe_ends[0] : -1),
                    may ? 0 : -1);
                disconnect_ends(fixture);
            }
    assert_true(taken >= MESSAGE_COUNT - 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* What a worker that was taken over would like to say. */
static void test_worker_may_not_say(void **state)
{
    static const struct {
        enum role to;
        enum message_type type;
    } rows[] = {
        {ROLE_REGISTRY, MESSAGE_RELEASE},     {ROLE_REGISTRY, MESSAGE_UNRELEASE},
        {ROLE_REGISTRY, MESSAGE_STATUS},      {ROLE_REGISTRY, MESSAGE_CONSULTATION},
        {ROLE_REGISTRY, MESSAGE_NUMBERS},     {ROLE_REGISTRY, MESSAGE_MEDIA},
        {ROLE_REGISTRY, MESSAGE_KERNEL},      {ROLE_REGISTRY, MESSAGE_RELOAD_RESULT},
        {ROLE_REGISTRY, MESSAGE_LEAF},        {ROLE_REGISTRY, MESSAGE_DRAIN},
        {ROLE_PARENT, MESSAGE_RELOAD},        {ROLE_PARENT, MESSAGE_BOUNDARY},
        {ROLE_PARENT, MESSAGE_KERNEL_ASK},    {ROLE_PARENT, MESSAGE_RECORD},
        {ROLE_SIGNER, MESSAGE_RECORD},        {ROLE_SIGNER, MESSAGE_LEAF_KEY},
        {ROLE_SIGNER, MESSAGE_EXAMINE_BEGIN}, {ROLE_EXAMINER, MESSAGE_LEAF},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_false((limits[rows[i].type].from & ROLES_WORKER) &&
                     (limits[rows[i].type].to & 1u << rows[i].to));
}

static void take_payload(struct fixture *fixture, enum message_type type, bool expected)
{
    assert_int_equal(
        is_taken(fixture, header_of(type, limits[type].largest), limits[type].largest, NULL, 0),
        expected);
}

/* Texts that do not end, numbers that are none of their kind. */
static void test_values(void **state)
{
    struct fixture *fixture = *state;
    size_t tried = 0;

#define X(symbol, type, member)                                                                    \
    if (!MESSAGE_CARRIES_DESCRIPTOR(MESSAGE_##symbol)) {                                           \
        memset(payload, 0, sizeof(payload));                                                       \
        memset(payload + offsetof(struct type, member), 'x', sizeof(((struct type *)0)->member));  \
        take_payload(fixture, MESSAGE_##symbol, false);                                            \
        payload[offsetof(struct type, member) + sizeof(((struct type *)0)->member) - 1] = 0;       \
        take_payload(fixture, MESSAGE_##symbol, true);                                             \
        tried++;                                                                                   \
    }
    MESSAGE_TEXTS(X)
#undef X
#define X(symbol, type, member, count)                                                             \
    if (!MESSAGE_CARRIES_DESCRIPTOR(MESSAGE_##symbol)) {                                           \
        uint32_t number = count;                                                                   \
        memset(payload, 0, sizeof(payload));                                                       \
        memcpy(payload + offsetof(struct type, member), &number, sizeof(number));                  \
        take_payload(fixture, MESSAGE_##symbol, false);                                            \
        number--;                                                                                  \
        memcpy(payload + offsetof(struct type, member), &number, sizeof(number));                  \
        take_payload(fixture, MESSAGE_##symbol, true);                                             \
        tried++;                                                                                   \
    }
    MESSAGE_RANGES(X)
#undef X
    memset(payload, 0, sizeof(payload));
    assert_true(tried >= 19);
}

/* --- descriptors --- */

static void test_descriptor_passes(void **state)
{
    struct fixture *fixture = *state;
    struct message_peer peer = {ROLE_WORKER, 3};
    int pipe_ends[2], fds[2];
    struct end other;
    char byte = 0;

    connect_ends(fixture);
    assert_int_equal(link_pair(fds), 0);
    end_reset(&other);
    other.link = link_new(fixture->base, fds[1], ROLE_REGISTRY, ROLE_PARENT, on_message, &other);
    struct link *sender =
        link_new(fixture->base, fds[0], ROLE_PARENT, ROLE_REGISTRY, on_message, &fixture->end);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(link_send(sender, MESSAGE_PEER, &peer, sizeof(peer), pipe_ends[1]), 0);
    loop_settle(fixture->base);
    assert_int_equal(other.count, 1);
    assert_true(other.fd >= 0 && other.fd != pipe_ends[1]);
    assert_true(fcntl(other.fd, F_GETFD) & FD_CLOEXEC);
    /* it is the same pipe, and the sender's own is still open */
    assert_int_equal(write(other.fd, "a", 1), 1);
    assert_int_equal(write(pipe_ends[1], "b", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'a');
    close(other.fd);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    link_free(sender);
    loop_settle(fixture->base);
    assert_true(other.closed);
}

/* However many come with a packet, and with whatever message: none stays open. */
static void test_descriptors_do_not_leak(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned types[] = {MESSAGE_PEER, MESSAGE_READY, MESSAGE_COUNT};
    size_t sizes[] = {sizeof(struct message_peer), 0, 0};
    int pipe_ends[2], passed[16];

    assert_int_equal(pipe(pipe_ends), 0);
    for (size_t i = 0; i < COUNT(passed); i++)
        passed[i] = pipe_ends[0];
    unsigned before = descriptors_open();
    for (size_t i = 0; i < COUNT(types); i++)
        for (size_t count = types[i] == MESSAGE_PEER ? 2 : 1; count <= COUNT(passed); count++) {
            assert_false(is_taken(fixture, header_of(types[i], sizes[i]), sizes[i], passed, count));
            assert_int_equal(descriptors_open(), before);
        }
    for (size_t count = 0; count <= COUNT(passed); count++) { /* with an empty packet */
        connect_ends(fixture);
        send_any(fixture->peer, NULL, 0, passed, count);
        loop_settle(fixture->base);
        assert_true(fixture->end.closed);
        disconnect_ends(fixture);
        assert_int_equal(descriptors_open(), before);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_queued_descriptors_are_closed(void **state)
{
    struct fixture *fixture = *state;
    struct message_peer peer = {ROLE_WORKER, 0};
    int pipe_ends[2];

    connect_ends(fixture);
    while (send(fixture->peer, payload, 8, MSG_DONTWAIT) > 0)
        continue;
    assert_int_equal(pipe(pipe_ends), 0);
    unsigned before = descriptors_open();
    bool was_open[64];
    for (int fd = 0; fd < 64; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    /* nobody reads at the other end: they pile up */
    int sent = 0;
    while (sent < 1000 && descriptors_open() < before + 5) {
        assert_int_equal(
            link_send(fixture->end.link, MESSAGE_PEER, &peer, sizeof(peer), pipe_ends[0]), 0);
        sent++;
    }
    assert_true(descriptors_open() == before + 5);
    for (int fd = 0; fd < 64; fd++) /* and no child gets one of them */
        assert_true(was_open[fd] || fcntl(fd, F_GETFD) < 0 || fcntl(fd, F_GETFD) == FD_CLOEXEC);
    link_free(fixture->end.link);
    fixture->end.link = NULL;
    assert_int_equal(descriptors_open(), before - 1); /* the link's own socket too */
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* Who asks for descriptors and takes none does not use those up that the others need. */
static void test_queued_descriptors_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct message_peer peer = {ROLE_WORKER, 0};
    unsigned sent = 0;

    connect_ends(fixture);
    while (send(fixture->peer, payload, 8, MSG_DONTWAIT) > 0)
        continue;
    unsigned before = descriptors_open();
    while (sent < 2 * LINK_DESCRIPTORS + 1000 &&
           link_send(fixture->end.link, MESSAGE_PEER, &peer, sizeof(peer), STDIN_FILENO) == 0)
        sent++;
    assert_true(sent >= LINK_DESCRIPTORS);
    assert_int_equal(descriptors_open(), before + LINK_DESCRIPTORS);
    link_free(fixture->end.link);
    fixture->end.link = NULL;
    assert_int_equal(descriptors_open(), before - 1);
}

/* --- the queue --- */

static size_t fill(struct link *link, uint32_t *number)
{
    size_t bytes = 0;

    for (;;) {
        /* small and large ones by turns */
        size_t size = *number % 3 == 0 ? 8 : MESSAGE_MAX - *number % 7;
        memcpy(payload, number, sizeof(*number));
        if (link_send(link, MESSAGE_RECORD, payload, size, -1) != 0)
            return bytes;
        bytes += size;
        (*number)++;
        assert_true(*number < 4000);
    }
}

static void test_queue_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    int fds[2], room = 0;
    socklen_t room_size = sizeof(room);
    uint32_t number = 0;

    end_reset(&fixture->end);
    assert_int_equal(link_pair(fds), 0);
    assert_int_equal(getsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, &room_size), 0);
    fixture->end.link =
        link_new(fixture->base, fds[0], ROLE_REGISTRY, ROLE_PARENT, on_message, &fixture->end);
    struct end other;
    end_reset(&other);
    struct link *sender =
        link_new(fixture->base, fds[1], ROLE_PARENT, ROLE_REGISTRY, on_message, &other);
    other.link = sender;

    size_t bytes = fill(sender, &number);
    assert_true(bytes > LINK_QUEUE_LIMIT / 4 * 3);
    assert_true(bytes <= LINK_QUEUE_LIMIT + (size_t)room);
    /* full is not dead: when the peer reads there is room again, and nothing is out of order */
    for (int round = 0; round < 3; round++) {
        fixture->end.wanted = fixture->end.count + 50;
        fixture->end.done = false;
        assert_true(loop_until(fixture->base, &fixture->end.done, LONG_ENOUGH));
        assert_true(fill(sender, &number) > 0);
    }
    fixture->end.wanted = number;
    fixture->end.done = false;
    assert_true(loop_until(fixture->base, &fixture->end.done, LONG_ENOUGH));
    assert_int_equal(fixture->end.count, number);
    for (uint32_t i = 0; i < number; i++) {
        assert_int_equal(fixture->end.messages[i].number, i);
        assert_int_equal(fixture->end.messages[i].size, i % 3 == 0 ? 8 : MESSAGE_MAX - i % 7);
    }
    assert_false(other.closed);
    link_free(sender);
}

/* A queued descriptor is a duplicate: the sender may close its own at once. */
static void test_descriptor_waits_in_queue(void **state)
{
    struct fixture *fixture = *state;
    struct message_peer peer = {ROLE_SIGNER, 0};
    uint32_t number = 0;
    int fds[2], pipe_ends[2];
    char byte = 0;

    end_reset(&fixture->end);
    assert_int_equal(link_pair(fds), 0);
    fixture->end.link =
        link_new(fixture->base, fds[0], ROLE_REGISTRY, ROLE_PARENT, on_message, &fixture->end);
    struct end other;
    end_reset(&other);
    struct link *sender = other.link =
        link_new(fixture->base, fds[1], ROLE_PARENT, ROLE_REGISTRY, on_message, &other);
    for (; number < 100; number++)
        assert_int_equal(link_send(sender, MESSAGE_RECORD, payload, MESSAGE_MAX, -1), 0);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(link_send(sender, MESSAGE_PEER, &peer, sizeof(peer), pipe_ends[1]), 0);
    close(pipe_ends[1]);
    fixture->end.wanted = number + 1;
    assert_true(loop_until(fixture->base, &fixture->end.done, LONG_ENOUGH));
    assert_int_equal(fixture->end.messages[number].type, MESSAGE_PEER);
    assert_true(fcntl(fixture->end.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fixture->end.fd, "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    close(pipe_ends[0]);
    link_free(sender);
}

/* More than the messages of one turn. */
static void test_many_small(void **state)
{
    struct fixture *fixture = *state;

    connect_ends(fixture);
    unsigned sent = 0;
    while (sent < 200) {
        send_packet(fixture->peer, header_of(MESSAGE_READY, 0), 0, NULL, 0);
        if (++sent % 100 == 0) {
            fixture->end.wanted = sent;
            fixture->end.done = false;
            assert_true(loop_until(fixture->base, &fixture->end.done, LONG_ENOUGH));
        }
    }
    assert_int_equal(fixture->end.count, 200);
}

/* --- the end --- */

static void test_free_in_handler(void **state)
{
    struct fixture *fixture = *state;
    uint8_t byte;

    connect_ends(fixture);
    fixture->end.free_at = 2;
    for (int i = 0; i < 5; i++)
        send_packet(fixture->peer, header_of(MESSAGE_READY, 0), 0, NULL, 0);
    loop_settle(fixture->base);
    assert_int_equal(fixture->end.count, 2);
    assert_false(fixture->end.closed); /* who frees is not told */
    assert_false(fixture->end.sent_after);
    for (;;) { /* closed at the other end, whatever lay unread */
        ssize_t got = recv(fixture->peer, &byte, 1, 0);
        if (got == 0)
            break;
        assert_true(got < 0 && errno == ECONNRESET);
    }
}

static void free_when_told(void *context, struct link *link, enum message_type type,
                           const void *bytes, size_t size, int fd)
{
    (void)bytes;
    (void)size;
    (void)fd;
    assert_int_equal(type, MESSAGE_NONE);
    assert_int_equal(link_send(link, MESSAGE_READY, NULL, 0, -1), -1); /* nobody is there */
    link_free(link);                                                   /* needless, and allowed */
    ++*(int *)context;
}

static void test_free_when_closed(void **state)
{
    struct fixture *fixture = *state;
    int fds[2], told = 0, wrong = 0;

    assert_int_equal(link_pair(fds), 0);
    struct link *link =
        link_new(fixture->base, fds[0], ROLE_REGISTRY, ROLE_PARENT, free_when_told, &wrong);
    link_set_context(link, &told);
    close(fds[1]);
    loop_settle(fixture->base);
    assert_int_equal(told, 1);
    assert_int_equal(wrong, 0);
    link_free(NULL);
}

/* A peer that dies with messages of ours unread: what it had sent is delivered all the same. */
static void test_last_words(void **state)
{
    struct fixture *fixture = *state;

    fixture->own_role = ROLE_REGISTRY;
    fixture->peer_role = ROLE_PARENT;
    for (unsigned unread = 0; unread < 3; unread++) {
        connect_ends(fixture);
        for (unsigned i = 0; i < unread; i++)
            assert_int_equal(link_send(fixture->end.link, MESSAGE_READY, NULL, 0, -1), 0);
        for (int i = 0; i < 100; i++)
            send_packet(fixture->peer, header_of(MESSAGE_RECORD, 4), 4, NULL, 0);
        close(fixture->peer);
        fixture->peer = -1;
        assert_true(loop_until(fixture->base, &fixture->end.closed, LONG_ENOUGH));
        assert_int_equal(fixture->end.count, 100);
        disconnect_ends(fixture);
    }
}

/* Waiting messages for a peer that goes away: no signal, no spinning, the end is told once. */
static void test_peer_goes_with_queue(void **state)
{
    struct fixture *fixture = *state;
    uint32_t number = 0;

    connect_ends(fixture);
    fill(fixture->end.link, &number);
    close(fixture->peer);
    fixture->peer = -1;
    assert_int_equal(link_send(fixture->end.link, MESSAGE_RECORD, payload, MESSAGE_MAX, -1), -1);
    assert_true(loop_until(fixture->base, &fixture->end.closed, LONG_ENOUGH));
    assert_int_equal(fixture->end.count, 0);
}

/* Nothing more is taken; what was sent before is delivered, then the end. */
static void test_shut(void **state)
{
    struct fixture *fixture = *state;

    connect_ends(fixture);
    for (int i = 0; i < 100; i++)
        send_packet(fixture->peer, header_of(MESSAGE_READY, 0), 0, NULL, 0);
    link_shut(fixture->end.link);
    assert_int_equal(send(fixture->peer, payload, 8, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    assert_true(loop_until(fixture->base, &fixture->end.closed, LONG_ENOUGH));
    assert_int_equal(fixture->end.count, 100);
}

static void test_pair(void **state)
{
    (void)state;
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        close(fds[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_lengths_received),
        TEST(test_lengths_sent),
        TEST(test_nonsense),
        TEST(test_who_may_say_it),
        TEST(test_worker_may_not_say),
        TEST(test_values),
        TEST(test_short_packets),
        TEST(test_nothing_after_nonsense),
        TEST(test_descriptor_passes),
        TEST(test_descriptors_do_not_leak),
        TEST(test_queued_descriptors_are_closed),
        TEST(test_queued_descriptors_are_bounded),
        TEST(test_queue_is_bounded),
        TEST(test_descriptor_waits_in_queue),
        TEST(test_many_small),
        TEST(test_free_in_handler),
        TEST(test_free_when_closed),
        TEST(test_last_words),
        TEST(test_peer_goes_with_queue),
        TEST(test_shut),
        TEST(test_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
