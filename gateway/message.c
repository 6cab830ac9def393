/* SPDX-License-Identifier: BSD-2-Clause */
/* Links between the processes: see message.h. */
#include "gateway/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "filters/memory.h"
#include "gateway/log.h"

#define MESSAGE_VERSION 1

struct message_header {
    uint16_t type;
    uint16_t version;
    uint32_t size;
};

struct queued {
    STAILQ_ENTRY(queued) next;
    struct message_header header;
    int fd;
    uint8_t payload[];
};

struct link {
    int fd;
    enum role own, peer;
    struct event *readable;
    struct event *writable;
    link_handler *handler;
    void *context;
    STAILQ_HEAD(, queued) queue;
    size_t queued;      /* bytes */
    size_t descriptors; /* queued ones */
    bool in_handler;    /* link_free() waits until the handler is back */
    bool dead;
};

static const struct {
    const char *name;
    unsigned from, to; /* enum roles */
    size_t smallest, largest;
    bool carries_descriptor;
    bool is_secret; /* no copy of it stays here */
} types[MESSAGE_COUNT] = {[MESSAGE_NONE] = {"NONE", 0, 0, 1, 0, false, false},
#define X(symbol, from, to, smallest, largest, help)                                               \
    [MESSAGE_##symbol] = {#symbol,                                                                 \
                          from,                                                                    \
                          to,                                                                      \
                          smallest,                                                                \
                          largest,                                                                 \
                          MESSAGE_CARRIES_DESCRIPTOR(MESSAGE_##symbol),                            \
                          MESSAGE_##symbol == MESSAGE_LEAF_KEY},
                          MESSAGES(X)
#undef X
};

static const struct {
    enum message_type type;
    size_t at, size;
} texts[] = {
#define X(symbol, type, member)                                                                    \
    {MESSAGE_##symbol, offsetof(struct type, member), sizeof(((struct type *)0)->member)},
    MESSAGE_TEXTS(X)
#undef X
};

static const struct {
    enum message_type type;
    size_t at;
    uint32_t count;
} ranges[] = {
#define X(symbol, type, member, count) {MESSAGE_##symbol, offsetof(struct type, member), count},
    MESSAGE_RANGES(X)
#undef X
};

#define X(symbol, type, member, count)                                                             \
    _Static_assert(sizeof(((struct type *)0)->member) == sizeof(uint32_t), #type "." #member);
MESSAGE_RANGES(X)
#undef X

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_PARENT] = "parent",     [ROLE_SIGNER] = "signer",     [ROLE_WORKER] = "worker",
    [ROLE_REGISTRY] = "registry", [ROLE_EXAMINER] = "examiner", [ROLE_PORTAL] = "portal",
    [ROLE_FETCHER] = "fetcher",
};

const char *message_name(enum message_type type)
{
    return type < MESSAGE_COUNT ? types[type].name : "?";
}

const char *role_name(enum role role)
{
    return (size_t)role < ROLE_COUNT ? role_names[role] : "?";
}

int link_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}

static void forget(const struct message_header *header, void *payload)
{
    if (types[header->type].is_secret)
        explicit_bzero(payload, header->size);
}

static void drop_first(struct link *link)
{
    struct queued *message = STAILQ_FIRST(&link->queue);

    STAILQ_REMOVE_HEAD(&link->queue, next);
    link->queued -= message->header.size + sizeof(*message);
    if (message->fd >= 0) {
        close(message->fd);
        link->descriptors--;
    }
    forget(&message->header, message->payload);
    free(message);
}

static void release(struct link *link)
{
    while (!STAILQ_EMPTY(&link->queue))
        drop_first(link);
    event_free(link->readable);
    event_free(link->writable);
    close(link->fd);
    free(link);
}

void link_free(struct link *link)
{
    if (link == NULL)
        return;
    link->dead = true;
    if (!link->in_handler)
        release(link);
}

/* Calls the handler; false when the link died in it and is gone. */
static bool deliver(struct link *link, const struct message_header *header, void *payload, int fd)
{
    link->in_handler = true;
    link->handler(link->context, link, (enum message_type)header->type, payload, header->size, fd);
    link->in_handler = false;
    forget(header, payload);
    if (!link->dead)
        return true;
    release(link);
    return false;
}

static void closed(struct link *link)
{
    event_del(link->readable);
    event_del(link->writable);
    link->in_handler = true;
    link->handler(link->context, link, MESSAGE_NONE, NULL, 0, -1);
    release(link);
}

/* Whether this is said by one to the other. */
static bool is_said(enum message_type type, enum role from, enum role to)
{
    return (types[type].from & (1u << from)) != 0 && (types[type].to & (1u << to)) != 0;
}

static bool is_well_formed(const struct link *link, const struct message_header *header,
                           size_t received, int fd)
{
    return received >= sizeof(*header) && header->version == MESSAGE_VERSION &&
           header->type > MESSAGE_NONE && header->type < MESSAGE_COUNT &&
           is_said((enum message_type)header->type, link->peer, link->own) &&
           header->size == received - sizeof(*header) &&
           header->size >= types[header->type].smallest &&
           header->size <= types[header->type].largest &&
           (fd >= 0) == types[header->type].carries_descriptor;
}

/* Of a payload that is as long as its type says. */
static bool is_sound(enum message_type type, const uint8_t *payload)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].type == type && memchr(payload + texts[i].at, '\0', texts[i].size) == NULL)
            return false;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint32_t number;
        if (ranges[i].type != type)
            continue;
        memcpy(&number, payload + ranges[i].at, sizeof(number));
        if (number >= ranges[i].count)
            return false;
    }
    return true;
}

/*
 * Takes the descriptor that came with a packet: -1 when there was none. False when there was more
 * than one: that is not ours, and all are closed.
 */
static bool take_descriptor(struct msghdr *packet, int *fd)
{
    size_t taken = 0;

    *fd = -1;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(packet); control != NULL;
         control = CMSG_NXTHDR(packet, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
            if (taken++ == 0)
                *fd = one;
            else
                close(one);
        }
    }
    if (taken < 2)
        return true;
    close(*fd);
    *fd = -1;
    return false;
}

static void on_readable(evutil_socket_t socket, short what, void *argument)
{
    struct link *link = argument;
    static uint8_t payload[MESSAGE_MAX] __attribute__((aligned(8)));

    (void)what;
    for (int turn = 0; turn < 64; turn++) {
        struct message_header header = {0};
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct iovec pieces[2] = {{&header, sizeof(header)}, {payload, sizeof(payload)}};
        struct msghdr packet = {.msg_iov = pieces,
                                .msg_iovlen = 2,
                                .msg_control = &control,
                                .msg_controllen = sizeof(control)};
        ssize_t received = recvmsg((int)socket, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (received < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        /* The peer died without reading all of ours. That is said once, before what it sent. */
        if (received < 0 && errno == ECONNRESET)
            continue;
        if (received < 0) {
            closed(link);
            return;
        }
        int fd;
        bool is_ours = take_descriptor(&packet, &fd); /* an empty packet may carry some as well */
        if (received == 0 && is_ours && fd < 0) {
            closed(link);
            return;
        }
        if (!is_ours || (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
            !is_well_formed(link, &header, (size_t)received, fd) ||
            !is_sound((enum message_type)header.type, payload)) {
            log_warnx("the %s sent what it may not say (%s, %zd bytes): its link is closed",
                      role_name(link->peer), message_name((enum message_type)header.type),
                      received);
            if (fd >= 0)
                close(fd);
            closed(link);
            return;
        }
        if (!deliver(link, &header, payload, fd))
            return;
    }
}

/* 1 when it was sent, 0 when the socket is full, -1 when the peer is gone. */
static int send_now(int fd, const struct message_header *header, const void *payload, int passed)
{
    struct iovec pieces[2] = {{(void *)header, sizeof(*header)}, {(void *)payload, header->size}};
    struct msghdr packet = {.msg_iov = pieces, .msg_iovlen = 2};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};

    if (passed >= 0) {
        packet.msg_control = &control;
        packet.msg_controllen = sizeof(control);
        struct cmsghdr *first = CMSG_FIRSTHDR(&packet);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(first), &passed, sizeof(int));
    }
    if (sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return 1;
    return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? 0 : -1;
}

static void on_writable(evutil_socket_t socket, short what, void *argument)
{
    struct link *link = argument;
    struct queued *message;

    (void)what;
    while ((message = STAILQ_FIRST(&link->queue)) != NULL) {
        int sent = send_now((int)socket, &message->header, message->payload, message->fd);
        if (sent == 0)
            return;
        drop_first(link);
        if (sent < 0) {
            event_del(link->writable); /* the reading side learns that the peer is gone */
            return;
        }
    }
    event_del(link->writable);
}

struct link *link_new(struct event_base *base, int fd, enum role own, enum role peer,
                      link_handler *handler, void *context)
{
    struct link *link = memory_allocate(1, sizeof(*link));

    link->fd = fd;
    link->own = own;
    link->peer = peer;
    link->handler = handler;
    link->context = context;
    STAILQ_INIT(&link->queue);
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    if (link->readable == NULL || link->writable == NULL || event_add(link->readable, NULL) != 0)
        fatal("no memory for a link");
    return link;
}

void link_set_context(struct link *link, void *context)
{
    link->context = context;
}

void link_shut(struct link *link)
{
    if (shutdown(link->fd, SHUT_RD) != 0)
        log_warn("a link cannot be shut");
}

int link_send(struct link *link, enum message_type type, const void *payload, size_t size, int fd)
{
    struct message_header header = {(uint16_t)type, MESSAGE_VERSION, (uint32_t)size};

    if (type <= MESSAGE_NONE || type >= MESSAGE_COUNT || !is_said(type, link->own, link->peer) ||
        size < types[type].smallest || size > types[type].largest ||
        (fd >= 0) != types[type].carries_descriptor) {
        log_warnx("a message %s of %zu bytes to the %s was not sent", message_name(type), size,
                  role_name(link->peer));
        return -1;
    }
    if (link->dead)
        return -1;
    if (STAILQ_EMPTY(&link->queue)) {
        int sent = send_now(link->fd, &header, payload, fd);
        if (sent != 0)
            return sent > 0 ? 0 : -1;
    }
    struct queued *message;
    if (link->queued + size + sizeof(*message) > LINK_QUEUE_LIMIT ||
        (fd >= 0 && link->descriptors == LINK_DESCRIPTORS))
        return -1;
    int passed = -1;
    if (fd >= 0 && (passed = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return -1;
    message = memory_allocate(1, sizeof(*message) + size);
    message->header = header;
    message->fd = passed;
    if (size > 0)
        memcpy(message->payload, payload, size);
    STAILQ_INSERT_TAIL(&link->queue, message, next);
    link->queued += size + sizeof(*message);
    link->descriptors += passed >= 0;
    event_add(link->writable, NULL);
    return 0;
}
