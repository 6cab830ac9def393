/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small name server for the tests, in the loop of the one who asks. What it answers stands in the
 * first label of the name that it is asked for; some of its answers are those of an enemy.
 */
#ifndef TESTS_NAME_SERVER_H
#define TESTS_NAME_SERVER_H

#include "tests/unit/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DNS_A     1
#define DNS_CNAME 5
#define DNS_AAAA  28

struct name_server {
    int fd;
    struct sockaddr_storage address;
    struct event *event;
    unsigned asked;    /* questions */
    uint32_t ttl;      /* of the addresses, seconds */
    uint32_t ttl_aaaa; /* when it is another */
    uint8_t host;      /* last byte of the first address */
    unsigned records;  /* addresses in an answer, from there on */
};

struct reply {
    uint8_t bytes[1400];
    size_t size;
};

static inline void reply_number(struct reply *reply, uint32_t value, unsigned size)
{
    assert_true(reply->size + size <= sizeof(reply->bytes));
    while (size-- > 0)
        reply->bytes[reply->size++] = (uint8_t)(value >> size * 8);
}

/* One more record about the name that was asked for. */
static inline void reply_record(struct reply *reply, uint32_t type, uint32_t ttl, const void *data,
                                size_t size)
{
    reply_number(reply, 0xc00c, 2); /* the name in the question */
    reply_number(reply, type, 2);
    reply_number(reply, 1, 2);
    reply_number(reply, ttl, 4);
    reply_number(reply, (uint32_t)size, 2);
    assert_true(reply->size + size <= sizeof(reply->bytes));
    memcpy(reply->bytes + reply->size, data, size);
    reply->size += size;
    reply->bytes[7]++; /* how many there are */
}

/* The question comes back byte for byte. `code` is the lower half of the flags. */
static inline void reply_begin(struct reply *reply, const uint8_t *query, size_t size,
                               unsigned code)
{
    memcpy(reply->bytes, query, size);
    reply->size = size;
    reply->bytes[2] = 0x81; /* a response, as was asked for */
    reply->bytes[3] = (uint8_t)(0x80 | code);
    memset(reply->bytes + 6, 0, 6);
}

static inline void reply_addresses(struct reply *reply, const struct name_server *server,
                                   unsigned type)
{
    uint8_t four[4] = {192, 0, 2, 0}, six[16] = {0x20, 0x01, 0x0d, 0xb8};

    for (unsigned i = 0; i < server->records; i++) {
        four[3] = six[15] = (uint8_t)(server->host + i);
        if (type == DNS_A)
            reply_record(reply, type, server->ttl, four, 4);
        else
            reply_record(reply, type, server->ttl_aaaa ? server->ttl_aaaa : server->ttl, six, 16);
    }
}

static const uint8_t enemy_address[16] = {6, 6, 6, 6};

/* Answers that are not one, each with the enemy's address where there is room for it. */
static inline void reply_spoil(struct reply *reply, const char *how, unsigned type)
{
    size_t size = type == DNS_A ? 4 : 16;

    reply_record(reply, type, 60, enemy_address, size);
    if (strcasecmp(how, "wrong-id") == 0)
        reply->bytes[0] ^= 0x55;
    else if (strcasecmp(how, "other-name") == 0)
        reply->bytes[13] = 'x';
    else if (strcasecmp(how, "short") == 0)
        reply->size = 7;
    else if (strcasecmp(how, "cut") == 0)
        reply->size -= 2;
    else if (strcasecmp(how, "no-answer-bit") == 0)
        reply->bytes[2] &= 0x7f;
    else if (strcasecmp(how, "many") == 0)
        memset(reply->bytes + 4, 0xff, 8);
    else if (strcasecmp(how, "loop") == 0)
        memcpy(reply->bytes + 12, "\xc0\x0c", 2);
    else if (strcasecmp(how, "bad-length") == 0)
        reply->bytes[reply->size - size - 1]--;
    else if (strcasecmp(how, "far-length") == 0)
        reply->bytes[reply->size - size - 2] = 0x40;
    else if (strcasecmp(how, "other-type") == 0)
        reply->bytes[reply->size - size - 9] ^= (uint8_t)(DNS_A ^ DNS_AAAA);
    else if (strcasecmp(how, "noise") == 0)
        for (size_t i = 2; i < reply->size; i++)
            reply->bytes[i] = (uint8_t)(i * 167 + 13);
    else
        fail_msg("no such way to spoil an answer: %s", how);
}

/* False when there is to be no answer. */
static inline bool compose_reply(struct name_server *server, const char *label, unsigned type,
                                 const uint8_t *query, size_t size, struct reply *reply)
{
    static const uint8_t alias[] = {5, 'o', 't', 'h', 'e', 'r', 0xc0, 0x0c};

    if (strcasecmp(label, "silent") == 0)
        return false;
    reply_begin(reply, query, size, 0);
    if (strcasecmp(label, "nothing") == 0)
        reply->bytes[3] |= 3;
    else if (strcasecmp(label, "broken") == 0)
        reply->bytes[3] |= 2;
    else if (strcasecmp(label, "refused") == 0)
        reply->bytes[3] |= 5;
    else if (strcasecmp(label, "truncated") == 0)
        reply->bytes[2] |= 2;
    else if ((strcasecmp(label, "four") == 0 && type != DNS_A) ||
             (strcasecmp(label, "six") == 0 && type != DNS_AAAA) || strcasecmp(label, "empty") == 0)
        return true;
    else if (strncasecmp(label, "bad-", 4) == 0)
        reply_spoil(reply, label + 4, type);
    else {
        if (strcasecmp(label, "alias") == 0)
            reply_record(reply, DNS_CNAME, 60, alias, sizeof(alias));
        reply_addresses(reply, server, type);
    }
    return true;
}

static inline void on_query(evutil_socket_t fd, short what, void *context)
{
    struct name_server *server = context;
    uint8_t query[600];
    struct sockaddr_storage from;
    struct reply reply;

    (void)what;
    for (;;) {
        socklen_t from_size = sizeof(from);
        ssize_t size = recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_size);
        if (size < 0)
            return;
        assert_true(size > 17 && (size_t)size <= 12 + 255 + 4);
        char label[64] = "";
        memcpy(label, query + 13, query[12] & 63);
        unsigned type = query[size - 3];
        assert_true(type == DNS_A || type == DNS_AAAA);
        server->asked++;
        /* "spoofed-HOW": the enemy is quicker, then the right answer comes */
        if (strncasecmp(label, "spoofed-", 8) == 0) {
            reply_begin(&reply, query, (size_t)size, 0);
            reply_spoil(&reply, label + 8, type);
            sendto(fd, reply.bytes, reply.size, 0, (struct sockaddr *)&from, from_size);
        }
        if (compose_reply(server, label, type, query, (size_t)size, &reply))
            sendto(fd, reply.bytes, reply.size, 0, (struct sockaddr *)&from, from_size);
    }
}

static inline void name_server_open(struct name_server *server, struct event_base *base, int family)
{
    socklen_t size = sizeof(server->address);

    *server = (struct name_server){.ttl = 60, .host = 1, .records = 1};
    server->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(server->fd >= 0);
    server->address.ss_family = (sa_family_t)family;
    if (family == AF_INET6)
        ((struct sockaddr_in6 *)&server->address)->sin6_addr = in6addr_loopback;
    else
        ((struct sockaddr_in *)&server->address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(
        bind(server->fd, (struct sockaddr *)&server->address,
             family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)),
        0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&server->address, &size), 0);
    server->event = event_new(base, server->fd, EV_READ | EV_PERSIST, on_query, server);
    event_add(server->event, NULL);
}

static inline void name_server_close(struct name_server *server)
{
    if (server->event != NULL) {
        event_free(server->event);
        close(server->fd);
    }
    server->event = NULL;
}

#endif
