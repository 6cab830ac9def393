/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to addresses, by evdns through the configured resolvers, with a bounded cache that also
 * remembers what the answers of the last minutes were: a client that got its answer a little
 * earlier is right too.
 */
#ifndef GATEWAY_RESOLVER_H
#define GATEWAY_RESOLVER_H

#include <event2/event.h>

#include "gateway/configuration.h"

#define RESOLVER_ADDRESSES 16 /* of one name that are kept */

struct resolver;
struct resolution; /* a question under way */

/* What a name has: the addresses of the last answer first, then those of recent answers. */
struct resolver_answer {
    size_t count;  /* of the last answer */
    size_t recent; /* all: count <= recent */
    struct address addresses[RESOLVER_ADDRESSES];
};

/* `answer` is borrowed for the call; count 0: the name has no address or nobody answered. */
typedef void resolver_callback(void *context, const struct resolver_answer *answer);

/*
 * The configuration is borrowed. An address of its dns_sink is no answer: then those of
 * dns_upstream are asked.
 */
struct resolver *resolver_new(struct event_base *base, const struct configuration *configuration);
void resolver_free(struct resolver *resolver);

/*
 * Asks for the addresses of `name` (normalised; not an address literal). The callback may come
 * before the call returns: then NULL is returned. Otherwise the question can be cancelled until it
 * comes.
 */
struct resolution *resolver_ask(struct resolver *resolver, const char *name,
                                resolver_callback *callback, void *context);
void resolver_cancel(struct resolution *resolution);

#endif
