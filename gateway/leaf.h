/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's leaves: a bounded cache in memory of what the signer made, keyed by the name and the
 * origin's certificate, and the requests under way. Requests for the same leaf share one question
 * to the signer. A leaf is renewed in its last quarter of life, while it is still served, and is
 * waited for anew in its last sixteenth (clinic clocks drift), unless the origin's own end is what
 * bounds it. Leaves made by an earlier signer process stay good, with the key they were made for,
 * as long as the new one has the same CA.
 *
 * Used from one thread. Uses the link, the event base (timers) and the wall clock.
 */
#ifndef GATEWAY_LEAF_H
#define GATEWAY_LEAF_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "gateway/digest.h"
#include "gateway/message.h"

#define LEAF_CACHE_CAPACITY 4096 /* leaves; the least recently used goes first */
#define LEAF_TIMEOUT        5000 /* milliseconds that a request waits for the signer at the most */

struct leaf;
struct leaf_cache;
struct leaf_request;

/* `capacity` leaves at the most, 0: LEAF_CACHE_CAPACITY. Borrows the base. */
struct leaf_cache *leaf_cache_new(struct event_base *base, size_t capacity);

/* Requests that still wait are dropped without their callbacks. Not from inside a callback. */
void leaf_cache_free(struct leaf_cache *cache);

/*
 * The link to the signer, borrowed; NULL when it is gone (call it before the link is freed, or from
 * its handler with MESSAGE_NONE). Everything that waits is asked for again on a new link, and its
 * time goes on running.
 */
void leaf_cache_set_signer(struct leaf_cache *cache, struct link *link);

/*
 * A message of the signer: LEAF_KEY or LEAF_CERTIFICATE, as link_handler gives it. Calls the
 * callbacks of whom it serves. 0, or -1 when it is of another type or malformed: then drop the
 * link.
 */
int leaf_cache_receive(struct leaf_cache *cache, enum message_type type, const void *payload,
                       size_t size);

/* Leaves held, for the status. */
size_t leaf_cache_count(const struct leaf_cache *cache);

/*
 * Called once: with the leaf, borrowed for the length of the call (leaf_hold() keeps it), or with
 * NULL when the signer refused or did not answer within LEAF_TIMEOUT. It may call leaf_get() and
 * leaf_cancel().
 */
typedef void leaf_callback(void *context, struct leaf *leaf);

/*
 * A leaf for `name` (a host name or an address literal). `origin_digest` is the SHA-256 of the
 * origin's certificate (DER) and `not_after` its end in Unix seconds, as certificate_not_after()
 * tells; NULL and 0 for a page of our own. The callback may be called before this returns: then
 * *request is NULL, and it is set before that call, so that the callback may free what `request`
 * points into. Otherwise *request is for leaf_cancel().
 */
void leaf_get(struct leaf_cache *cache, const char *name, const uint8_t *origin_digest,
              int64_t not_after, leaf_callback *callback, void *context,
              struct leaf_request **request);

/* The callback will not be called. Only while it has not been; NULL does nothing. */
void leaf_cancel(struct leaf_request *request);

struct leaf *leaf_hold(struct leaf *leaf);
void leaf_release(struct leaf *leaf); /* NULL does nothing */

/* Puts certificate, key and chain on a server's SSL, which takes its own references. 0 or -1. */
int leaf_install(const struct leaf *leaf, SSL *ssl);

#endif
