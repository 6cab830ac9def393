/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fetcher's role over real links, with a web server and a name server on the loopback, which
 * this test's own rule of addresses lets through: what is kept, shared, bounded and left alone.
 */
#include "tests/unit/loop.h"
#include "tests/unit/name_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <event2/listener.h>

#include "gateway/fetch_job.h"
#include "gateway/process.h"

#define SIZE_MAX_ALLOWED 65536u
#define ANSWERS          512

static unsigned ready;
static bool allowed;

void child_ready(struct child *child)
{
    (void)child;
    ready++;
}

/* In place of the real one, which has a test of its own. */
bool fetch_address_allowed(const struct configuration *configuration, struct neighbours *neighbours,
                           const struct address *address, int64_t now)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};

    (void)configuration, (void)neighbours, (void)now;
    return allowed && address->family == 4 && memcmp(address->bytes, loopback, 4) == 0;
}

struct answer {
    enum message_type type;
    uint64_t id;
    uint32_t fault;
    size_t size;
    int64_t at;
    int fd;
};

struct worker {
    struct link *link;
    bool closed;
    struct answer answers[ANSWERS];
    size_t count, wanted;
    bool done;
};

struct fixture {
    struct child child;
    struct configuration configuration;
    uint16_t ports[2];
    struct worker workers[2];
    struct name_server names;
    struct evconnlistener *server;
    uint16_t port;
    unsigned requests, open;
    unsigned descriptors;
    int connections[64];
};

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct worker *worker = context;
    struct answer *answer = &worker->answers[worker->count];

    (void)link, (void)size;
    if (type == MESSAGE_NONE) {
        worker->closed = worker->done = true;
        worker->link = NULL;
        return;
    }
    assert_true(worker->count < ANSWERS);
    *answer = (struct answer){.type = type, .fd = fd};
    if (type == MESSAGE_FETCHED) {
        const struct message_fetched *fetched = payload;
        answer->id = fetched->id;
        answer->size = fetched->size;
        answer->at = fetched->at;
    } else if (type == MESSAGE_FETCH_KEPT) {
        close(fd); /* where the test is another fetcher */
        return;
    } else {
        const struct message_fetch_failed *failed = payload;
        assert_int_equal(type, MESSAGE_FETCH_FAILED);
        answer->id = failed->id;
        answer->fault = failed->fault;
    }
    worker->count++;
    worker->done = worker->count >= worker->wanted;
}

/* Answers by the path: /N is a file of N bytes, /hang nothing, /drip a byte now and then. */
static void on_request(evutil_socket_t fd, short what, void *context)
{
    struct fixture *fixture = context;
    char text[2048], head[128], *body;
    ssize_t got = recv(fd, text, sizeof(text) - 1, 0);

    (void)what;
    if (got <= 0)
        return;
    text[got] = '\0';
    fixture->requests++;
    assert_non_null(strstr(text, "\r\nHost: "));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_memory_equal(text + got - 4, "\r\n\r\n", 4);
    if (strncmp(text, "GET /hang", 9) == 0)
        return;
    if (strncmp(text, "GET /gone", 9) == 0) {
        assert_true(send(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 45, 0) == 45);
        return;
    }
    size_t size = strtoul(text + strlen("GET /"), NULL, 10);
    int length =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    body = calloc(1, size + 1);
    memset(body, 'x', size);
    assert_true(send(fd, head, (size_t)length, MSG_NOSIGNAL) == length);
    for (size_t sent = 0; sent < size;) {
        ssize_t more = send(fd, body + sent, size - sent, MSG_NOSIGNAL);
        if (more < 0 && errno != EAGAIN)
            break; /* the fetcher has read enough */
        if (more < 0)
            usleep(1000);
        else
            sent += (size_t)more;
    }
    free(body);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int size, void *context)
{
    struct fixture *fixture = context;

    (void)listener, (void)address, (void)size;
    assert_true(fixture->open < COUNT(fixture->connections));
    fixture->connections[fixture->open++] = (int)fd;
    event_base_once(fixture->child.base, fd, EV_READ, on_request, fixture, NULL);
}

static void connect_worker(struct fixture *fixture, unsigned slot)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->workers[slot] = (struct worker){.closed = false};
    fixture->workers[slot].link = link_new(fixture->child.base, fds[0], ROLE_WORKER, ROLE_FETCHER,
                                           receive, &fixture->workers[slot]);
    fetcher_operations.peer(&fixture->child, ROLE_WORKER, slot, fds[1]);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    *state = fixture;
    ready = 0;
    allowed = true;
    fixture->descriptors = descriptors_open();
    fixture->child = (struct child){.role = ROLE_FETCHER, .base = event_base_new()};
    name_server_open(&fixture->names, fixture->child.base, AF_INET);
    fixture->server = evconnlistener_new_bind(fixture->child.base, on_accept, fixture,
                                              LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64,
                                              (struct sockaddr *)&address, sizeof(address));
    assert_non_null(fixture->server);
    assert_int_equal(
        getsockname(evconnlistener_get_fd(fixture->server), (struct sockaddr *)&address, &size), 0);
    fixture->port = fixture->ports[1] = ntohs(address.sin_port);
    fixture->ports[0] = 80;
    fixture->configuration = (struct configuration){
        .resolvers = &fixture->names.address,
        .resolver_count = 1,
        .fetch_ports = fixture->ports,
        .fetch_port_count = 2,
        .fetch_size = SIZE_MAX_ALLOWED,
        .revocation_age = 86400000,
        .timeout_fetch = 500,
    };
    fixture->child.configuration = &fixture->configuration;
    assert_int_equal(fetcher_operations.start(&fixture->child), 0);
    assert_int_equal(ready, 1);
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    return 0;
}

/* Nothing is left: no link, no descriptor. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    fetcher_operations.stop(&fixture->child);
    assert_null(fixture->child.state);
    loop_settle(fixture->child.base);
    for (int i = 0; i < 2; i++) {
        assert_true(fixture->workers[i].closed);
        for (size_t j = 0; j < fixture->workers[i].count; j++)
            if (fixture->workers[i].answers[j].fd >= 0)
                close(fixture->workers[i].answers[j].fd);
    }
    for (unsigned i = 0; i < fixture->open; i++)
        close(fixture->connections[i]);
    evconnlistener_free(fixture->server);
    name_server_close(&fixture->names);
    event_base_free(fixture->child.base);
    assert_int_equal(descriptors_open(), fixture->descriptors);
    free(fixture);
    return 0;
}

static void ask_url(struct fixture *fixture, unsigned slot, uint64_t id, const char *url,
                    int64_t since)
{
    struct message_fetch message = {.id = id, .since = since, .kind = FETCH_LIST};

    snprintf(message.url, sizeof(message.url), "%s", url);
    assert_int_equal(
        link_send(fixture->workers[slot].link, MESSAGE_FETCH, &message, sizeof(message), -1), 0);
}

static void ask(struct fixture *fixture, unsigned slot, uint64_t id, const char *path,
                int64_t since)
{
    char url[128];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/%s", fixture->port, path);
    ask_url(fixture, slot, id, url, since);
}

/* The next answer to this worker. */
static struct answer *next(struct fixture *fixture, unsigned slot)
{
    struct worker *worker = &fixture->workers[slot];

    worker->wanted = worker->wanted + 1;
    worker->done = worker->count >= worker->wanted;
    assert_true(loop_until(fixture->child.base, &worker->done, LONG_ENOUGH));
    assert_false(worker->closed);
    return &worker->answers[worker->wanted - 1];
}

static void expect_fault(struct fixture *fixture, unsigned slot, enum fetch_fault fault)
{
    struct answer *answer = next(fixture, slot);

    assert_int_equal(answer->type, MESSAGE_FETCH_FAILED);
    assert_string_equal(fetch_fault_text(answer->fault), fetch_fault_text(fault));
}

static void test_file(void **state)
{
    struct fixture *fixture = *state;
    struct stat facts;

    ask(fixture, 0, 7, "40000", 0);
    struct answer *answer = next(fixture, 0);
    assert_int_equal(answer->type, MESSAGE_FETCHED);
    assert_int_equal(answer->id, 7);
    assert_int_equal(answer->size, 40000);
    assert_int_equal(fstat(answer->fd, &facts), 0);
    assert_int_equal(facts.st_size, 40000);
    /* Nobody can change it. */
    assert_int_equal(fcntl(answer->fd, F_GET_SEALS) & FETCH_SEALS, FETCH_SEALS);
    assert_int_equal(ftruncate(answer->fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 40000, PROT_WRITE, MAP_SHARED, answer->fd, 0), MAP_FAILED);
    char *bytes = mmap(NULL, 40000, PROT_READ, MAP_SHARED, answer->fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    assert_int_equal(bytes[39999], 'x');
    munmap(bytes, 40000);
}

/* One fetch serves all who ask, at the time and later. */
static void test_shared(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, 0, 1, "100", 0);
    ask(fixture, 1, 1, "100", 0);
    assert_int_equal(next(fixture, 0)->type, MESSAGE_FETCHED);
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
    assert_int_equal(fixture->requests, 1);
    /* What was just fetched is new enough for whoever wants a newer one. */
    ask(fixture, 0, 2, "100", INT64_MAX);
    assert_int_equal(next(fixture, 0)->type, MESSAGE_FETCHED);
    assert_int_equal(fixture->requests, 1);
}

static void test_refresh(void **state)
{
    struct fixture *fixture = *state;

    fetcher_operations.stop(&fixture->child);
    fixture->configuration.revocation_age = 100;
    assert_int_equal(fetcher_operations.start(&fixture->child), 0);
    loop_settle(fixture->child.base);
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    ask(fixture, 0, 1, "100", 0);
    int64_t at = next(fixture, 0)->at;
    loop_for(fixture->child.base, 120);
    ask(fixture, 0, 2, "100", at); /* that one is good enough */
    assert_int_equal(next(fixture, 0)->at, at);
    ask(fixture, 0, 3, "100", at + 1);
    assert_true(next(fixture, 0)->at > at);
    assert_int_equal(fixture->requests, 2);
}

static void test_faults(void **state)
{
    struct fixture *fixture = *state;
    char url[128];

    ask(fixture, 0, 1, "gone", 0);
    expect_fault(fixture, 0, FETCH_FAULT_STATUS);
    ask(fixture, 0, 2, "gone", INT64_MAX); /* left alone */
    expect_fault(fixture, 0, FETCH_FAULT_STATUS);
    assert_int_equal(fixture->requests, 1);
    ask(fixture, 0, 3, "65537", 0);
    expect_fault(fixture, 0, FETCH_FAULT_TOO_LARGE);
    ask(fixture, 0, 4, "hang", 0);
    expect_fault(fixture, 0, FETCH_FAULT_TIMEOUT);
    ask_url(fixture, 0, 5, "http://127.0.0.1:81/x", 0);
    expect_fault(fixture, 0, FETCH_FAULT_URL);
    ask_url(fixture, 0, 6, "https://127.0.0.1/x", 0);
    expect_fault(fixture, 0, FETCH_FAULT_URL);
    ask_url(fixture, 0, 7, "http://127.0.0.1/", 0); /* nobody listens there */
    expect_fault(fixture, 0, FETCH_FAULT_UNREACHABLE);
    ask_url(fixture, 0, 8, "http://nothing.example.jp/", 0);
    expect_fault(fixture, 0, FETCH_FAULT_UNRESOLVED);
    unsigned before = fixture->open;
    allowed = false;
    ask(fixture, 0, 9, "5", 0);
    expect_fault(fixture, 0, FETCH_FAULT_FORBIDDEN);
    snprintf(url, sizeof(url), "http://four.example.jp:%u/x", fixture->port);
    ask_url(fixture, 0, 10, url, 0);
    expect_fault(fixture, 0, FETCH_FAULT_FORBIDDEN);
    assert_int_equal(fixture->open, before);
}

/* Who names a list as the place of an issuer, which may not be so large, does no harm to it. */
static void test_kinds(void **state)
{
    struct fixture *fixture = *state;
    struct message_fetch message = {.id = 1, .kind = FETCH_ISSUER};

    fetcher_operations.stop(&fixture->child);
    fixture->configuration.fetch_size = 2 * SIZE_MAX_ALLOWED;
    assert_int_equal(fetcher_operations.start(&fixture->child), 0);
    loop_settle(fixture->child.base);
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    snprintf(message.url, sizeof(message.url), "http://127.0.0.1:%u/70000", fixture->port);
    link_send(fixture->workers[0].link, MESSAGE_FETCH, &message, sizeof(message), -1);
    expect_fault(fixture, 0, FETCH_FAULT_TOO_LARGE);
    ask(fixture, 1, 1, "70000", 0);
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
}

/* However many issuers are asked for, from wherever nobody answers: lists are fetched. */
static void test_shares(void **state)
{
    struct fixture *fixture = *state;
    struct message_fetch message = {.kind = FETCH_ISSUER};

    ask(fixture, 1, 1, "10", 0);
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
    fixture->configuration.timeout_fetch = 2 * LONG_ENOUGH;
    for (; message.id < 300; message.id++) {
        snprintf(message.url, sizeof(message.url), "http://127.0.0.1:%u/hang?%u", fixture->port,
                 (unsigned)message.id);
        link_send(fixture->workers[0].link, MESSAGE_FETCH, &message, sizeof(message), -1);
        if (message.id % 32 == 0)
            loop_settle(fixture->child.base);
    }
    for (unsigned i = 0; i < 300 - FETCHES_MAX; i++)
        expect_fault(fixture, 0, FETCH_FAULT_BUSY);
    ask(fixture, 1, 2, "20", 0);
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
    unsigned before = fixture->requests;
    ask(fixture, 1, 3, "10", 0); /* none of them has taken its place */
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
    assert_int_equal(fixture->requests, before);
}

/* It ends the link of whoever said it, and nobody else's. */
static void say_malformed(struct fixture *fixture, const struct message_fetch *message)
{
    struct worker *worker = &fixture->workers[0];

    link_send(worker->link, MESSAGE_FETCH, message, sizeof(*message), -1);
    assert_true(loop_until(fixture->child.base, &worker->closed, LONG_ENOUGH));
    connect_worker(fixture, 0);
}

static void test_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct message_fetch message = {.id = 1, .kind = FETCH_KIND_COUNT};

    snprintf(message.url, sizeof(message.url), "http://127.0.0.1:%u/1", fixture->port);
    say_malformed(fixture, &message);
    message.kind = FETCH_LIST;
    memset(message.url, 'a', sizeof(message.url));
    say_malformed(fixture, &message);
    message.url[sizeof(message.url) - 1] = '\0';
    link_send(fixture->workers[0].link, MESSAGE_FETCH, &message, sizeof(message), -1);
    expect_fault(fixture, 0, FETCH_FAULT_URL);
    assert_int_equal(fixture->requests, 0);
    ask(fixture, 1, 1, "10", 0);
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
}

/* A worker that asks without end has its share; the others are served. */
static void test_flood(void **state)
{
    struct fixture *fixture = *state;
    char path[32];

    fixture->configuration.timeout_fetch = 2 * LONG_ENOUGH;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "hang?%u", i);
        ask(fixture, 0, i, path, 0);
        if (i % 32 == 0)
            loop_settle(fixture->child.base);
    }
    for (unsigned i = 0; i < 300 - FETCHES_MAX; i++)
        expect_fault(fixture, 0, FETCH_FAULT_BUSY);
    loop_for(fixture->child.base, 50);
    assert_true(fixture->open <= 16);
    /* It has all places, but others still wait in the queue, each with a share of its own. */
    ask(fixture, 1, 1, "10", 0);
    link_free(fixture->workers[0].link);
    fixture->workers[0].closed = true;
    assert_int_equal(next(fixture, 1)->type, MESSAGE_FETCHED);
}

/* All files together are bounded: the oldest go. */
static void test_bytes(void **state)
{
    struct fixture *fixture = *state;
    char path[32];

    for (unsigned i = 0; i < 10; i++) {
        snprintf(path, sizeof(path), "60000?%u", i);
        ask(fixture, 0, i, path, 0);
        assert_int_equal(next(fixture, 0)->type, MESSAGE_FETCHED);
    }
    ask(fixture, 0, 20, "60000?9", 0);
    assert_int_equal(next(fixture, 0)->type, MESSAGE_FETCHED);
    assert_int_equal(fixture->requests, 10);
    ask(fixture, 0, 21, "60000?0", 0);
    assert_int_equal(next(fixture, 0)->type, MESSAGE_FETCHED);
    assert_int_equal(fixture->requests, 11);
}

/* A worker that goes away while its file is on the way. */
static void test_gone_worker(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, 0, 1, "hang", 0);
    loop_for(fixture->child.base, 50);
    link_free(fixture->workers[0].link);
    fixture->workers[0].closed = true;
    ask(fixture, 1, 1, "hang", 0);
    expect_fault(fixture, 1, FETCH_FAULT_TIMEOUT);
}

/* The next fetcher has what this one has, and asks for it no more; nonsense it does not take. */
static void test_successor(void **state)
{
    struct fixture *fixture = *state;
    struct child next_child = fixture->child;
    struct message_fetch_kept kept = {.at = INT64_MAX, .size = 5, .kind = FETCH_LIST};
    int fds[2], memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ask(fixture, 0, 1, "100", 0);
    int64_t at = next(fixture, 0)->at;
    close(fixture->workers[0].answers[0].fd);
    next_child.state = NULL;
    assert_int_equal(fetcher_operations.start(&next_child), 0);
    assert_int_equal(link_pair(fds), 0);
    fetcher_operations.peer(&fixture->child, ROLE_FETCHER, 0, fds[0]);
    fetcher_operations.peer(&next_child, ROLE_FETCHER, 0, fds[1]);
    loop_settle(fixture->child.base);
    fetcher_operations.stop(&fixture->child);
    fixture->child.state = next_child.state;
    loop_settle(fixture->child.base);
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    ask(fixture, 0, 2, "100", 0);
    struct answer *answer = next(fixture, 0);
    assert_int_equal(answer->type, MESSAGE_FETCHED);
    assert_int_equal(answer->at, at);
    assert_int_equal(fixture->requests, 1);
    /* Of the future, and not sealed. */
    assert_int_equal(link_pair(fds), 0);
    struct worker *other = &fixture->workers[1];
    link_free(other->link);
    other->link = link_new(fixture->child.base, fds[0], ROLE_FETCHER, ROLE_FETCHER, receive, other);
    fetcher_operations.peer(&fixture->child, ROLE_FETCHER, 0, fds[1]);
    assert_int_equal(write(memory, "hello", 5), 5);
    snprintf(kept.url, sizeof(kept.url), "http://127.0.0.1:%u/gone", fixture->port);
    link_send(other->link, MESSAGE_FETCH_KEPT, &kept, sizeof(kept), memory);
    kept.at = 1;
    link_send(other->link, MESSAGE_FETCH_KEPT, &kept, sizeof(kept), memory);
    close(memory);
    loop_settle(fixture->child.base);
    ask(fixture, 0, 3, "gone", 0);
    expect_fault(fixture, 0, FETCH_FAULT_STATUS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_file),      TEST(test_shared), TEST(test_refresh), TEST(test_faults),
        TEST(test_malformed), TEST(test_flood),  TEST(test_bytes),   TEST(test_gone_worker),
        TEST(test_successor), TEST(test_kinds),  TEST(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
