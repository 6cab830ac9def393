/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker process: accepts connections and shares out what they use. It accepts only once it
 * knows the registry's whole state and has the signer's key: before that it could not judge.
 */
#include "gateway/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/certificate.h"
#include "gateway/examination.h"
#include "gateway/fetching.h"
#include "gateway/flow.h"
#include "gateway/leaf.h"
#include "gateway/log.h"
#include "gateway/neighbour.h"
#include "gateway/networks.h"
#include "gateway/relay.h"
#include "gateway/replica.h"
#include "gateway/resolver.h"
#include "gateway/socket.h"
#include "gateway/watch.h"

#define ACCEPT_TURNS   64  /* connections taken in one turn of the loop */
#define ACCEPT_PAUSE   100 /* ms at the descriptor limit */
#define TELL_AGAIN     20  /* ms until learned links that wait are told */
#define RESERVED_FILES 24  /* descriptors that are no connection's */
#define FILES_PER_FLOW 4   /* two sockets, and a pipe while bytes are under way */

struct acceptor {
    struct worker *worker;
    struct event *event;
    bool is_explicit;
};

/* --- clients --- */

static unsigned client_bucket(const struct address *address)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof(address->bytes); i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    return hash % CLIENT_BUCKETS;
}

/* The scope of the client's consultations as text, by policy.scope. */
static void name_scope(struct worker *worker, struct client *client, const uint8_t *mac)
{
    const struct configuration *configuration = worker->configuration;

    switch (configuration->policy.scope) {
    case SCOPE_CLINIC:
        snprintf(client->scope, sizeof(client->scope), "clinic");
        break;
    case SCOPE_ROOM:
        if (client->room >= 0) {
            snprintf(client->scope, sizeof(client->scope), "room:%.180s",
                     configuration->rooms[client->room].name);
            break;
        }
        /* who is in no room is a room of its own */
        __attribute__((fallthrough));
    case SCOPE_CLIENT:
        if (mac != NULL)
            snprintf(client->scope, sizeof(client->scope), "client:%02x:%02x:%02x:%02x:%02x:%02x",
                     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        else
            snprintf(client->scope, sizeof(client->scope), "client:%s", client->text);
        break;
    }
}

static struct client *client_new(struct worker *worker, const struct address *address)
{
    struct client *client = memory_allocate(1, sizeof(*client));
    uint8_t mac[6];
    bool known = neighbours_find(worker->neighbours, address, clock_monotonic(), mac);

    client->address = *address;
    address_format(address, client->text);
    client->room = configuration_room(worker->configuration, address, known ? mac : NULL);
    name_scope(worker, client, known ? mac : NULL);
    LIST_INSERT_HEAD(&worker->clients[client_bucket(address)], client, next);
    return client;
}

struct client *client_enter(struct worker *worker, const struct address *address)
{
    struct client *client;

    LIST_FOREACH (client, &worker->clients[client_bucket(address)], next)
        if (address_equal(&client->address, address))
            break;
    if (client == NULL)
        client = client_new(worker, address);
    if (client->flows >= worker->configuration->connections_per_client) {
        if (!client->told)
            log_warnx("client %s has its share of %u connections: more are refused", client->text,
                      client->flows);
        client->told = true;
        return NULL;
    }
    client->flows++;
    return client;
}

void client_leave(struct worker *worker, struct client *client)
{
    (void)worker;
    if (--client->flows > 0)
        return;
    LIST_REMOVE(client, next);
    free(client);
}

/* --- accepting --- */

static void want_accept(struct worker *worker, bool wanted)
{
    if (worker->accepting == wanted)
        return;
    worker->accepting = wanted;
    for (size_t i = 0; i < worker->configuration->listener_count; i++) {
        if (wanted)
            event_add(worker->acceptors[i].event, NULL);
        else
            event_del(worker->acceptors[i].event);
    }
}

static void pause_accepting(struct worker *worker)
{
    want_accept(worker, false);
    deadline_set(&worker->accept_again, ACCEPT_PAUSE);
}

static bool may_accept(const struct worker *worker)
{
    return worker->whole && !worker->draining && worker->flow_count < worker->flow_limit;
}

static void on_accept_again(void *context)
{
    struct worker *worker = context;

    if (may_accept(worker))
        want_accept(worker, true);
    else if (!worker->draining)
        deadline_set(&worker->accept_again, ACCEPT_PAUSE);
}

static void on_connection(evutil_socket_t listener, short what, void *argument)
{
    struct acceptor *acceptor = argument;
    struct worker *worker = acceptor->worker;

    (void)what;
    for (int turn = 0; turn < ACCEPT_TURNS; turn++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        if (!may_accept(worker)) {
            pause_accepting(worker);
            return;
        }
        int fd =
            accept4((int)listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            flow_accept(worker, fd, acceptor->is_explicit, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(worker);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* What is still to be told waits for a registry that is on its way, within the time to drain. */
static void end_loop_when_empty(struct worker *worker)
{
    if (worker->draining)
        replica_flush(worker->replica);
    bool told = !replica_has_waiting(worker->replica) || worker->child->parent == NULL ||
                worker->child->stopping;

    if (worker->draining && TAILQ_EMPTY(&worker->flows) && told)
        event_base_loopbreak(worker->base);
}

void worker_flow_ended(struct worker *worker)
{
    if (!worker->accepting && may_accept(worker))
        want_accept(worker, true);
    end_loop_when_empty(worker);
}

/* Each connection takes two descriptors, spliced ones four: the limit is theirs, less a reserve. */
static unsigned count_flows(const struct configuration *configuration)
{
    struct rlimit limit;
    rlim_t most = configuration->connections;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        rlim_t files = limit.rlim_cur > RESERVED_FILES ? limit.rlim_cur - RESERVED_FILES : 0;
        if (files / FILES_PER_FLOW < most)
            most = files / FILES_PER_FLOW;
    }
    return most > 0 ? (unsigned)most : 1;
}

/* --- the links --- */

void worker_tell(struct worker *worker)
{
    if (!replica_tell(worker->replica) && worker->tell.at == 0)
        deadline_set(&worker->tell, TELL_AGAIN);
}

static void on_tell(void *context)
{
    struct worker *worker = context;

    worker_tell(worker);
    end_loop_when_empty(worker);
}

static void become_whole(struct worker *worker)
{
    if (worker->whole || !worker->has_key || !replica_is_whole(worker->replica))
        return;
    worker->whole = true;
    if (!worker->draining)
        want_accept(worker, true);
    child_ready(worker->child);
}

static void tell_flows(struct worker *worker, const struct message_flows *question)
{
    struct flow *flow;
    int64_t now = clock_monotonic();

    TAILQ_FOREACH (flow, &worker->flows, next) {
        struct message_flow answer = {.id = question->id, .age = now - flow->started};
        answer.up = flow->near == NULL ? flow->bytes_up : channel_bytes_read(flow->near);
        answer.down = flow->near == NULL ? flow->bytes_down : channel_bytes_written(flow->near);
        snprintf(answer.client, sizeof(answer.client), "%s", flow->client->text);
        if (flow->destination.family != 0)
            address_format(&flow->destination, answer.destination);
        snprintf(answer.host, sizeof(answer.host), "%s", flow->host);
        snprintf(answer.state, sizeof(answer.state), "%s", flow->state);
        if (flow->finding.service != NULL)
            snprintf(answer.service, sizeof(answer.service), "%s", flow->finding.service->name);
        if (link_send(worker->registry, MESSAGE_FLOW, &answer, sizeof(answer), -1) != 0)
            break;
    }
    link_send(worker->registry, MESSAGE_FLOWS_END, question, sizeof(*question), -1);
}

static void on_registry(void *context, struct link *link, enum message_type type,
                        const void *payload, size_t size, int fd)
{
    struct worker *worker = context;

    (void)size;
    (void)fd; /* no message of the registry carries one */
    if (type == MESSAGE_NONE) {
        if (worker->registry == link) {
            worker->registry = NULL;
            replica_set_registry(worker->replica, NULL);
        }
    } else if (type == MESSAGE_FLOWS) {
        tell_flows(worker, payload);
    } else if (replica_receive(worker->replica, type, payload)) {
        become_whole(worker);
    }
}

static void on_signer(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct worker *worker = context;

    (void)fd;
    if (type == MESSAGE_NONE) {
        if (worker->signer == link) {
            worker->signer = NULL;
            leaf_cache_set_signer(worker->leaves, NULL);
        }
        return;
    }
    if (leaf_cache_receive(worker->leaves, type, payload, size) != 0) {
        log_warnx("the signer sent %s", message_name(type));
    } else if (type == MESSAGE_LEAF_KEY) {
        worker->has_key = true;
        become_whole(worker);
    }
}

static void on_examiner(void *context, struct link *link, enum message_type type,
                        const void *payload, size_t size, int fd)
{
    struct worker *worker = context;

    (void)fd;
    if (type == MESSAGE_NONE) {
        if (worker->examiner == link) {
            worker->examiner = NULL;
            examinations_set_link(worker->examinations, NULL);
        }
    } else if (examinations_receive(worker->examinations, type, payload, size) != 0) {
        log_warnx("the examiner sent %s", message_name(type));
    }
}

static void on_fetcher(void *context, struct link *link, enum message_type type,
                       const void *payload, size_t size, int fd)
{
    struct worker *worker = context;

    if (type == MESSAGE_NONE) {
        if (worker->fetcher == link) {
            worker->fetcher = NULL;
            fetching_set_link(worker->fetching, NULL);
        }
    } else if (fetching_receive(worker->fetching, type, payload, size, fd) != 0) {
        log_warnx("the fetcher sent %s", message_name(type));
    }
}

static void worker_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct worker *worker = child->state;

    (void)slot;
    if (role == ROLE_REGISTRY) {
        replica_set_registry(worker->replica, NULL);
        link_free(worker->registry);
        worker->registry = link_new(worker->base, fd, ROLE_WORKER, role, on_registry, worker);
        replica_set_registry(worker->replica, worker->registry);
        worker_tell(worker);
        end_loop_when_empty(worker);
    } else if (role == ROLE_SIGNER) {
        leaf_cache_set_signer(worker->leaves, NULL);
        link_free(worker->signer);
        worker->signer = link_new(worker->base, fd, ROLE_WORKER, role, on_signer, worker);
        leaf_cache_set_signer(worker->leaves, worker->signer);
    } else if (role == ROLE_EXAMINER) {
        examinations_set_link(worker->examinations, NULL);
        link_free(worker->examiner);
        worker->examiner = link_new(worker->base, fd, ROLE_WORKER, role, on_examiner, worker);
        examinations_set_link(worker->examinations, worker->examiner);
    } else if (role == ROLE_FETCHER) {
        fetching_set_link(worker->fetching, NULL);
        link_free(worker->fetcher);
        worker->fetcher = link_new(worker->base, fd, ROLE_WORKER, role, on_fetcher, worker);
        fetching_set_link(worker->fetching, worker->fetcher);
    } else {
        close(fd);
    }
}

/* --- beginning and end --- */

static void on_drained(void *context)
{
    struct worker *worker = context;

    log_warnx("%u connections did not end in time", worker->flow_count);
    event_base_loopbreak(worker->base);
}

/* For good: a daemon that takes our place must find the ports free. */
static void stop_listening(struct worker *worker)
{
    if (worker->draining)
        return;
    want_accept(worker, false);
    deadline_clear(&worker->accept_again);
    for (size_t i = 0; i < worker->configuration->listener_count; i++)
        close(worker->child->listeners[i]);
}

static void worker_drain(struct child *child)
{
    struct worker *worker = child->state;
    struct flow *flow, *after;

    if (worker->draining && !child->stopping)
        return;
    stop_listening(worker);
    worker->draining = true;
    deadline_set(&worker->drain, worker->configuration->timeout_drain);
    for (flow = TAILQ_FIRST(&worker->flows); flow != NULL; flow = after) {
        after = TAILQ_NEXT(flow, next);
        flow_drain(flow, child->stopping);
    }
    end_loop_when_empty(worker);
}

/* A database that is to be had. False after logging. */
static bool open_database(const char *path, struct networks **networks)
{
    char error[512];

    if (path[0] == '\0')
        return true;
    *networks = networks_open(path, error, sizeof(error));
    if (*networks == NULL)
        log_warnx("%s", error);
    return *networks != NULL;
}

/* Whom origins are trusted by, and what is known of their certificates beside. */
static bool open_origin_context(struct worker *worker)
{
    const struct configuration *configuration = worker->configuration;
    char error[512];

    worker->origin_context = certificate_origin_open(configuration, error, sizeof(error));
    if (worker->origin_context == NULL)
        log_warnx("%s", error);
    return worker->origin_context != NULL;
}

/* The trust bundle, the page and the databases are read before the worker loses its access to
 * files. */
static int worker_prepare(struct child *child)
{
    const struct configuration *configuration = child->configuration;
    struct worker *worker = memory_allocate(1, sizeof(*worker));
    const char *fault;

    child->state = worker;
    worker->child = child;
    worker->configuration = configuration;
    worker->base = child->base;
    TAILQ_INIT(&worker->flows);
    if (!open_database(configuration->asn_database, &worker->asn_database) ||
        !open_database(configuration->country_database, &worker->country_database))
        return -1;
    if (!open_origin_context(worker))
        return -1;
    worker->client_context = certificate_client_context();
    if (worker->client_context == NULL) {
        log_warnx("the TLS context for clients could not be made");
        return -1;
    }
    flow_prepare_client_context(worker->client_context);
    worker->page = page_new(configuration->page_template, configuration->page_messages[0],
                            configuration->page_messages[1], &fault);
    if (worker->page == NULL) {
        log_warnx("%s: %s", configuration->pages_directory, fault);
        return -1;
    }
    return 0;
}

static int worker_start(struct child *child)
{
    struct worker *worker = child->state;
    const struct configuration *configuration = child->configuration;

    worker->neighbours = neighbours_new();
    if (worker->neighbours == NULL) {
        log_warn("the neighbour table cannot be read");
        return -1;
    }
    worker->resolver = resolver_new(worker->base, configuration);
    worker->leaves = leaf_cache_new(worker->base, 0);
    worker->examinations = examinations_new(worker->base);
    worker->fetching =
        fetching_new(worker->base, configuration, certificate_origin_lists(worker->origin_context));
    certificate_origin_set_fetching(worker->origin_context, worker->fetching,
                                    configuration->revocation_fetch, configuration->aia);
    worker->replica = replica_new(configuration->policy.linger);
    replica_batch(worker->replica, worker->base);
    worker->flow_limit = count_flows(configuration);
    deadline_init(&worker->accept_again, worker->base, on_accept_again, worker);
    deadline_init(&worker->drain, worker->base, on_drained, worker);
    deadline_init(&worker->tell, worker->base, on_tell, worker);
    worker->acceptors =
        memory_allocate(configuration->listener_count + 1, sizeof(*worker->acceptors));
    for (size_t i = 0; i < configuration->listener_count; i++) {
        struct acceptor *acceptor = &worker->acceptors[i];
        acceptor->worker = worker;
        acceptor->is_explicit = !configuration->listeners[i].transparent;
        acceptor->event = event_new(worker->base, child->listeners[i], EV_READ | EV_PERSIST,
                                    on_connection, acceptor);
        if (acceptor->event == NULL)
            return -1;
    }
    return 0;
}

static void worker_stop(struct child *child)
{
    struct worker *worker = child->state;
    struct flow *flow, *after;

    for (flow = TAILQ_FIRST(&worker->flows); flow != NULL; flow = after) {
        after = TAILQ_NEXT(flow, next);
        flow_end(flow);
    }
    relay_free_pipes(worker);
    for (size_t i = 0; i < worker->configuration->listener_count; i++)
        event_free(worker->acceptors[i].event);
    free(worker->acceptors);
    deadline_clear(&worker->accept_again);
    deadline_clear(&worker->drain);
    deadline_clear(&worker->tell);
    replica_flush(worker->replica);
    replica_set_registry(worker->replica, NULL);
    leaf_cache_set_signer(worker->leaves, NULL);
    link_free(worker->registry);
    link_free(worker->signer);
    examinations_set_link(worker->examinations, NULL);
    link_free(worker->examiner);
    fetching_set_link(worker->fetching, NULL);
    link_free(worker->fetcher);
    certificate_origin_set_fetching(worker->origin_context, NULL, false, false);
    fetching_free(worker->fetching);
    watch_free_all(worker);
    examinations_free(worker->examinations);
    leaf_cache_free(worker->leaves);
    replica_free(worker->replica);
    resolver_free(worker->resolver);
    neighbours_free(worker->neighbours);
    page_free(worker->page);
    networks_close(worker->asn_database);
    networks_close(worker->country_database);
    SSL_CTX_free(worker->origin_context);
    SSL_CTX_free(worker->client_context);
    free(worker);
}

const struct role_operations worker_operations = {
    .user = WORKER_USER,
    .sandbox = SANDBOX_WORKER,
    .prepare = worker_prepare,
    .start = worker_start,
    .peer = worker_peer,
    .drain = worker_drain,
    .stop = worker_stop,
};
