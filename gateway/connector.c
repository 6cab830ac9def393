/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to origins: see connector.h. */
#include "gateway/connector.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "filters/memory.h"
#include "gateway/attempt.h"
#include "gateway/deadline.h"
#include "gateway/dns.h"
#include "gateway/neighbour.h"
#include "gateway/networks.h"
#include "gateway/resolver.h"
#include "gateway/socket.h"
#include "gateway/worker.h"

#define PATIENCE 3000 /* ms for one address when there are others to try */

struct connector {
    struct worker *worker;
    connector_callback *callback;
    void *context;
    struct resolution *resolution;
    struct deadline total;
    struct attempt attempt;
    uint16_t port;
    struct address wanted;
    enum destination_class class;
    struct address candidates[RESOLVER_ADDRESSES];
    size_t count, tried;
    struct connector_result result;
};

void connector_cancel(struct connector *connector)
{
    if (connector == NULL)
        return;
    attempt_cancel(&connector->attempt);
    deadline_clear(&connector->total);
    resolver_cancel(connector->resolution);
    free(connector);
}

/* The last act: the result goes to the owner, and its socket with it. */
static void finish(struct connector *connector)
{
    struct connector_result result = connector->result;
    connector_callback *callback = connector->callback;
    void *context = connector->context;
    connector_cancel(connector);
    callback(context, &result);
}

static void on_finish(void *context)
{
    finish(context);
}

/* The owner is never called back before connector_new() returns. */
static void finish_soon(struct connector *connector)
{
    connector->total.expired = on_finish;
    deadline_set(&connector->total, 0);
}

/* False when this address is no good. */
static bool begin_attempt(struct connector *connector, const struct address *address)
{
    struct sockaddr_storage target;
    socklen_t size = socket_address(address, connector->port, &target);
    int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            connector->result.reason = REASON_OVERLOAD;
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return attempt_begin(&connector->attempt, fd, (struct sockaddr *)&target, size,
                         connector->tried < connector->count ? PATIENCE : 0);
}

static bool is_forbidden(struct connector *connector, const struct address *address)
{
    return address_is_local(address) ||
           neighbours_is_own(connector->worker->neighbours, address, clock_monotonic());
}

/* In observe mode nothing is stopped; the request says what would have been. */
static bool is_in_denied_country(const struct connector *connector, const struct address *address)
{
    const struct policy *policy = &connector->worker->configuration->policy;
    struct network_facts facts = {0};

    if (policy->mode == MODE_OBSERVE)
        return false;
    networks_look_up(connector->worker->country_database, address, &facts);
    return policy_denies_country(policy, connector->class, facts.country, NULL);
}

static void try_next(struct connector *connector)
{
    while (connector->tried < connector->count) {
        const struct address *address = &connector->candidates[connector->tried++];
        connector->result.address = *address;
        if (is_forbidden(connector, address)) {
            connector->result.reason = REASON_LOOP;
            continue;
        }
        if (is_in_denied_country(connector, address)) {
            connector->result.reason = REASON_DENIED_COUNTRY;
            continue;
        }
        if (connector->result.reason != REASON_OVERLOAD)
            connector->result.reason = REASON_ORIGIN_UNREACHABLE;
        if (begin_attempt(connector, address))
            return;
    }
    finish_soon(connector);
}

static void on_attempt(void *context, enum attempt_end end, int fd)
{
    struct connector *connector = context;

    if (end == ATTEMPT_CONNECTED) {
        connector->result.fd = fd;
        finish(connector);
        return;
    }
    if (end == ATTEMPT_OVER)
        connector->result.reason = REASON_ORIGIN_TIMEOUT;
    try_next(connector);
}

static void on_total_over(void *context)
{
    struct connector *connector = context;

    connector->result.reason =
        connector->resolution != NULL ? REASON_ORIGIN_UNRESOLVED : REASON_ORIGIN_TIMEOUT;
    finish(connector);
}

/* The answer's addresses, the client's own first where it is one of them. */
static void on_resolved(void *context, const struct resolver_answer *answer)
{
    struct connector *connector = context;
    const struct address *wanted = &connector->wanted;

    connector->resolution = NULL;
    if (answer->count == 0) {
        connector->result.reason = REASON_ORIGIN_UNRESOLVED;
        finish_soon(connector);
        return;
    }
    bool known = false;
    for (size_t i = 0; i < answer->recent && wanted->family != 0; i++)
        known = known || address_equal(&answer->addresses[i], wanted);
    if (known)
        connector->candidates[connector->count++] = *wanted;
    else
        connector->result.mismatch =
            wanted->family != 0 && !dns_is_sink(connector->worker->configuration, wanted);
    for (size_t i = 0; i < answer->count && connector->count < RESOLVER_ADDRESSES; i++)
        if (!known || !address_equal(&answer->addresses[i], wanted))
            connector->candidates[connector->count++] = answer->addresses[i];
    try_next(connector);
}

struct connector *connector_new(struct worker *worker, const char *host, uint16_t port,
                                const struct address *wanted, enum destination_class class,
                                connector_callback *callback, void *context)
{
    struct connector *connector = memory_allocate(1, sizeof(*connector));
    struct address literal;

    connector->worker = worker;
    connector->callback = callback;
    connector->context = context;
    connector->port = port;
    connector->class = class;
    connector->result.fd = -1;
    if (wanted != NULL)
        connector->wanted = *wanted;
    deadline_init(&connector->total, worker->base, on_total_over, connector);
    attempt_init(&connector->attempt, worker->base, on_attempt, connector);
    deadline_set(&connector->total, worker->configuration->timeout_connect);
    if (address_parse(span_of(host), &literal)) {
        connector->candidates[connector->count++] = literal;
        try_next(connector);
    } else {
        connector->resolution = resolver_ask(worker->resolver, host, on_resolved, connector);
    }
    return connector;
}
