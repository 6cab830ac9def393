/* SPDX-License-Identifier: BSD-2-Clause */
/* Names to addresses: see resolver.h. */
#include "gateway/resolver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/dns.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/dns.h"
#include "gateway/log.h"

#define NAMES_MAX    4096
#define BUCKETS      1024
#define TTL_SHORTEST 5      /* s: a name is not asked for again sooner */
#define TTL_LONGEST  300    /* s */
#define TTL_FAILURE  2      /* s */
#define RECENT       600000 /* ms that an answer counts as recent */

struct resolution {
    TAILQ_ENTRY(resolution) next;
    struct name *name;
    resolver_callback *callback;
    void *context;
};

struct known_address {
    struct address address;
    int64_t seen; /* monotonic ms */
};

struct name {
    TAILQ_ENTRY(name) bucket_next;
    TAILQ_ENTRY(name) age_next; /* oldest use first */
    struct resolver *resolver;
    TAILQ_HEAD(, resolution) waiting;
    int64_t fresh_until; /* monotonic ms; 0: never asked */
    int64_t answered;
    unsigned pending; /* questions under way: A, AAAA */
    bool beyond;      /* dnsmasq sinks it: the servers behind that are asked */
    bool telling;     /* its callbacks run: it must stay */
    int shortest_ttl;
    size_t count;
    struct known_address addresses[RESOLVER_ADDRESSES];
    char text[HOST_TEXT];
};

struct resolver {
    const struct configuration *configuration;
    struct evdns_base *dns, *beyond; /* the clients' resolver, and whom it asks; or NULL */
    size_t count;
    TAILQ_HEAD(, name) buckets[BUCKETS];
    TAILQ_HEAD(, name) by_age;
};

static size_t bucket_of(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash % BUCKETS;
}

static struct name *find_name(struct resolver *resolver, const char *text)
{
    struct name *name;

    TAILQ_FOREACH (name, &resolver->buckets[bucket_of(text)], bucket_next)
        if (strcmp(name->text, text) == 0)
            return name;
    return NULL;
}

static void forget_name(struct resolver *resolver, struct name *name)
{
    TAILQ_REMOVE(&resolver->buckets[bucket_of(name->text)], name, bucket_next);
    TAILQ_REMOVE(&resolver->by_age, name, age_next);
    resolver->count--;
    free(name);
}

/* Room for one more: the name that was used least recently and is not being asked for. */
static void make_room(struct resolver *resolver)
{
    struct name *name;

    if (resolver->count < NAMES_MAX)
        return;
    TAILQ_FOREACH (name, &resolver->by_age, age_next)
        if (name->pending == 0 && !name->telling) {
            forget_name(resolver, name);
            return;
        }
}

static struct name *add_name(struct resolver *resolver, const char *text)
{
    make_room(resolver);
    if (resolver->count >= NAMES_MAX)
        return NULL;
    struct name *name = memory_allocate(1, sizeof(*name));
    name->resolver = resolver;
    TAILQ_INIT(&name->waiting);
    memcpy(name->text, text, strlen(text) + 1);
    TAILQ_INSERT_TAIL(&resolver->buckets[bucket_of(text)], name, bucket_next);
    TAILQ_INSERT_TAIL(&resolver->by_age, name, age_next);
    resolver->count++;
    return name;
}

/* --- answers --- */

static void remember(struct name *name, const struct address *address, int64_t now)
{
    struct known_address *oldest = NULL;

    for (size_t i = 0; i < name->count; i++) {
        struct known_address *known = &name->addresses[i];
        if (address_equal(&known->address, address)) {
            known->seen = now;
            return;
        }
        if (oldest == NULL || known->seen < oldest->seen)
            oldest = known;
    }
    if (name->count < RESOLVER_ADDRESSES)
        oldest = &name->addresses[name->count++];
    *oldest = (struct known_address){*address, now};
}

static void compose(const struct name *name, int64_t now, struct resolver_answer *answer)
{
    *answer = (struct resolver_answer){0};
    for (size_t i = 0; i < name->count; i++)
        if (name->addresses[i].seen >= name->answered)
            answer->addresses[answer->count++] = name->addresses[i].address;
    answer->recent = answer->count;
    for (size_t i = 0; i < name->count && answer->count > 0; i++)
        if (name->addresses[i].seen < name->answered && now - name->addresses[i].seen < RECENT)
            answer->addresses[answer->recent++] = name->addresses[i].address;
}

static void tell_waiting(struct name *name)
{
    struct resolution *resolution;
    struct resolver_answer answer;

    compose(name, clock_monotonic(), &answer);
    name->telling = true;
    while ((resolution = TAILQ_FIRST(&name->waiting)) != NULL) {
        TAILQ_REMOVE(&name->waiting, resolution, next);
        resolver_callback *callback = resolution->callback;
        void *context = resolution->context;
        free(resolution);
        callback(context, &answer);
    }
    name->telling = false;
}

static void send_questions(struct name *name);

/*
 * Only what a release lets pass is asked for although it leads to the sink, and there is nothing
 * there. True when the servers behind dnsmasq are asked now.
 */
static bool ask_beyond(struct name *name)
{
    bool sunk = false;

    for (size_t i = name->count; i-- > 0;)
        if (dns_is_sink(name->resolver->configuration, &name->addresses[i].address)) {
            sunk = true;
            name->addresses[i] = name->addresses[--name->count];
        }
    if (!sunk || name->beyond || name->resolver->beyond == NULL)
        return false;
    name->beyond = true;
    send_questions(name);
    return true;
}

static void take_answer(struct name *name, int result, char type, int count, int ttl,
                        const void *addresses)
{
    int64_t now = clock_monotonic();
    size_t size = type == DNS_IPv4_A ? 4 : 16;

    name->pending--;
    if (result == DNS_ERR_NONE && count > 0 && (type == DNS_IPv4_A || type == DNS_IPv6_AAAA)) {
        for (int i = 0; i < count && i < RESOLVER_ADDRESSES; i++) {
            struct address address = {.family = size == 4 ? 4 : 6};
            memcpy(address.bytes, (const uint8_t *)addresses + (size_t)i * size, size);
            remember(name, &address, now);
        }
        if (ttl < name->shortest_ttl)
            name->shortest_ttl = ttl < TTL_SHORTEST ? TTL_SHORTEST : ttl;
    }
    if (name->pending > 0 || ask_beyond(name))
        return;
    bool found = false;
    for (size_t i = 0; i < name->count; i++)
        found = found || name->addresses[i].seen >= name->answered;
    if (!found)
        name->shortest_ttl = TTL_FAILURE;
    name->fresh_until = now + name->shortest_ttl * 1000;
    tell_waiting(name);
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *argument)
{
    if (result != DNS_ERR_SHUTDOWN)
        take_answer(argument, result, type, count, ttl, addresses);
}

/* Whom the name is asked of, or NULL: without a server evdns would wait for ever. */
static struct evdns_base *find_base(const struct name *name)
{
    struct evdns_base *base = name->beyond ? name->resolver->beyond : name->resolver->dns;

    return evdns_base_count_nameservers(base) > 0 ? base : NULL;
}

static void ask_both(struct name *name, struct evdns_base *base)
{
    static struct evdns_request *(*const ask[])(struct evdns_base *, const char *, int,
                                                evdns_callback_type, void *) = {
        evdns_base_resolve_ipv4, evdns_base_resolve_ipv6};

    for (size_t i = 0; i < sizeof(ask) / sizeof(ask[0]); i++) {
        name->pending++;
        if (ask[i](base, name->text, DNS_QUERY_NO_SEARCH, on_answer, name) == NULL)
            name->pending--;
    }
}

static void send_questions(struct name *name)
{
    name->answered = clock_monotonic();
    name->shortest_ttl = TTL_LONGEST;
    name->pending = 1; /* for this function, so that an answer at once does not end it */
    struct evdns_base *base = find_base(name);
    if (base != NULL)
        ask_both(name, base);
    take_answer(name, DNS_ERR_UNKNOWN, 0, 0, 0, NULL);
}

/* --- questions --- */

struct resolution *resolver_ask(struct resolver *resolver, const char *text,
                                resolver_callback *callback, void *context)
{
    struct name *name = find_name(resolver, text);
    struct resolver_answer answer = {0};

    if (name == NULL && (name = add_name(resolver, text)) == NULL) {
        callback(context, &answer);
        return NULL;
    }
    TAILQ_REMOVE(&resolver->by_age, name, age_next);
    TAILQ_INSERT_TAIL(&resolver->by_age, name, age_next);
    int64_t now = clock_monotonic();
    if (name->pending == 0 && now < name->fresh_until) {
        compose(name, now, &answer);
        callback(context, &answer);
        return NULL;
    }
    if (name->pending == 0) {
        name->beyond = false;
        send_questions(name);
        if (name->pending == 0) { /* it could not even be asked */
            compose(name, now, &answer);
            callback(context, &answer);
            return NULL;
        }
    }
    struct resolution *resolution = memory_allocate(1, sizeof(*resolution));
    *resolution = (struct resolution){.name = name, .callback = callback, .context = context};
    TAILQ_INSERT_TAIL(&name->waiting, resolution, next);
    return resolution;
}

void resolver_cancel(struct resolution *resolution)
{
    if (resolution == NULL)
        return;
    TAILQ_REMOVE(&resolution->name->waiting, resolution, next);
    free(resolution);
}

static void quiet(int is_warning, const char *message)
{
    (void)is_warning;
    (void)message; /* what could not be resolved is logged where it matters: with the connection */
}

static struct evdns_base *make_base(struct event_base *base, const struct sockaddr_storage *servers,
                                    size_t count)
{
    struct evdns_base *dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);

    if (dns == NULL)
        fatal("no memory for the resolver");
    evdns_base_set_option(dns, "timeout:", "2");
    evdns_base_set_option(dns, "attempts:", "3");
    evdns_base_set_option(dns, "max-timeouts:", "3");
    evdns_base_set_option(dns, "initial-probe-timeout:", "1");
    evdns_base_set_option(dns, "max-inflight:", "256");
    for (size_t i = 0; i < count; i++) {
        ev_socklen_t size = servers[i].ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : sizeof(struct sockaddr_in);
        if (evdns_base_nameserver_sockaddr_add(dns, (const struct sockaddr *)&servers[i], size,
                                               0) != 0)
            log_warnx("a resolver of the configuration could not be used");
    }
    return dns;
}

struct resolver *resolver_new(struct event_base *base, const struct configuration *configuration)
{
    struct resolver *resolver = memory_allocate(1, sizeof(*resolver));

    for (size_t i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&resolver->buckets[i]);
    TAILQ_INIT(&resolver->by_age);
    evdns_set_log_fn(quiet);
    resolver->configuration = configuration;
    resolver->dns = make_base(base, configuration->resolvers, configuration->resolver_count);
    if (configuration->dns_upstream_count > 0)
        resolver->beyond =
            make_base(base, configuration->dns_upstream, configuration->dns_upstream_count);
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    struct name *name;

    if (resolver == NULL)
        return;
    evdns_base_free(resolver->dns, 0);
    if (resolver->beyond != NULL)
        evdns_base_free(resolver->beyond, 0);
    while ((name = TAILQ_FIRST(&resolver->by_age)) != NULL) {
        struct resolution *resolution;
        while ((resolution = TAILQ_FIRST(&name->waiting)) != NULL)
            resolver_cancel(resolution);
        forget_name(resolver, name);
    }
    free(resolver);
}
