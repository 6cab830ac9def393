/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitrary packets, with arbitrary descriptors, into one end of a link: what is delivered is
 * well-formed by the tables and the sender's to say, after the first packet that is not the link
 * closes and nothing more comes, and no descriptor stays open. The input is a byte for the roles of
 * the two ends, then a list of packets: a byte that says how many descriptors come with it (0 to 7;
 * the bit above: the header is made right for its size), two bytes of length, then the packet.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "gateway/message.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define FIRST_OPEN 100 /* descriptors up to here are looked at for a leak */
#define VERSION    1

struct header {
    uint16_t type;
    uint16_t version;
    uint32_t size;
};

static const struct {
    unsigned from, to;
    size_t smallest, largest;
} limits[MESSAGE_COUNT] = {[MESSAGE_NONE] = {0, 0, 1, 0},
#define X(symbol, from, to, smallest, largest, help)                                               \
    [MESSAGE_##symbol] = {from, to, smallest, largest},
                           MESSAGES(X)
#undef X
};

struct expected {
    const uint8_t *packet;
    size_t size;
    size_t fds;
};

struct run {
    enum role own, peer;
    struct expected packets[64];
    size_t count, delivered;
    bool closed;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The payload, of the right length, as whoever handles it will read it. */
static bool is_sound(unsigned type, const uint8_t *payload)
{
    bool sound = true;

#define X(symbol, type_name, member)                                                               \
    if (type == MESSAGE_##symbol) {                                                                \
        struct type_name *value = malloc(sizeof(*value));                                          \
        CHECK(value != NULL);                                                                      \
        memcpy(value, payload, sizeof(*value));                                                    \
        sound = sound && strnlen(value->member, sizeof(value->member)) < sizeof(value->member);    \
        free(value);                                                                               \
    }
    MESSAGE_TEXTS(X)
#undef X
#define X(symbol, type_name, member, count)                                                        \
    if (type == MESSAGE_##symbol) {                                                                \
        uint32_t number;                                                                           \
        memcpy(&number, payload + offsetof(struct type_name, member), sizeof(number));             \
        sound = sound && number < (count);                                                         \
    }
    MESSAGE_RANGES(X)
#undef X
    return sound;
}

static bool is_well_formed(const struct run *run, const struct expected *packet)
{
    struct header header;

    if (packet->size < sizeof(header))
        return false;
    memcpy(&header, packet->packet, sizeof(header));
    return header.version == VERSION && header.type > MESSAGE_NONE && header.type < MESSAGE_COUNT &&
           header.size == packet->size - sizeof(header) &&
           header.size >= limits[header.type].smallest &&
           header.size <= limits[header.type].largest &&
           (limits[header.type].from & 1u << run->peer) != 0 &&
           (limits[header.type].to & 1u << run->own) != 0 &&
           packet->fds == (MESSAGE_CARRIES_DESCRIPTOR(header.type) ? 1 : 0) &&
           is_sound(header.type, packet->packet + sizeof(header));
}

static void on_message(void *context, struct link *link, enum message_type type,
                       const void *payload, size_t size, int fd)
{
    struct run *run = context;
    struct header header;

    (void)link;
    CHECK(!run->closed);
    if (type == MESSAGE_NONE) {
        CHECK(payload == NULL && size == 0 && fd == -1);
        run->closed = true;
        return;
    }
    CHECK(run->delivered < run->count);
    const struct expected *packet = &run->packets[run->delivered++];
    CHECK(is_well_formed(run, packet));
    memcpy(&header, packet->packet, sizeof(header));
    CHECK(type == header.type && size == header.size);
    CHECK(memcmp(payload, packet->packet + sizeof(header), size) == 0);
    CHECK((fd >= 0) == (packet->fds == 1));
    if (fd >= 0)
        CHECK(close(fd) == 0);
}

static void send_packet(int socket, const struct expected *packet)
{
    struct iovec piece = {(void *)packet->packet, packet->size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } control = {.space = {0}};

    if (packet->fds > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(packet->fds * sizeof(int));
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(packet->fds * sizeof(int));
        for (size_t i = 0; i < packet->fds; i++)
            memcpy(CMSG_DATA(first) + i * sizeof(int), &socket, sizeof(int));
    }
    CHECK(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)packet->size);
}

static unsigned count_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < FIRST_OPEN; fd++) {
        int copy = dup(fd);
        count += copy >= 0;
        if (copy >= 0)
            close(copy);
    }
    return count;
}

/* Cuts the input into packets. */
static void read_packets(struct run *run, uint8_t *data, size_t size)
{
    while (size >= 3 && run->count < 64) {
        struct expected *packet = &run->packets[run->count++];
        uint8_t how = data[0];
        size_t length = (size_t)data[1] << 8 | data[2];
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        *packet = (struct expected){data, length, how & 7};
        if ((how & 8) != 0 && length >= sizeof(struct header)) {
            struct header header = {.version = VERSION,
                                    .size = (uint32_t)(length - sizeof(struct header))};
            memcpy(&header.type, data, sizeof(header.type));
            header.type = (uint16_t)(header.type % (MESSAGE_COUNT + 1));
            memcpy(data, &header, sizeof(header));
        }
        data += length;
        size -= length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_base *base;
    static uint8_t copy[65536];
    struct run run = {.count = 0};
    size_t good = 0;
    int fds[2];

    if (base == NULL)
        CHECK((base = event_base_new()) != NULL);
    if (size == 0 || size > sizeof(copy))
        return 0;
    run.own = (enum role)((data[0] & 15) % ROLE_COUNT);
    run.peer = (enum role)((data[0] >> 4) % ROLE_COUNT);
    memcpy(copy, ++data, --size);
    read_packets(&run, copy, size);
    unsigned before = count_open();
    CHECK(link_pair(fds) == 0);
    struct link *link = link_new(base, fds[0], run.own, run.peer, on_message, &run);
    while (good < run.count && is_well_formed(&run, &run.packets[good]))
        good++;
    for (size_t i = 0; i < run.count && i <= good; i++) { /* the first bad one, and none after it */
        send_packet(fds[1], &run.packets[i]);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    CHECK(run.delivered == good);
    CHECK(run.closed == (good < run.count));
    if (run.closed)
        CHECK(recv(fds[1], copy, 1, 0) == 0);
    else
        link_free(link);
    close(fds[1]);
    CHECK(count_open() == before);
    return 0;
}
