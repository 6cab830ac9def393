/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's side of the fetcher: which lists of revoked certificates and which issuers' a chain
 * points to, what of them was fetched, and who waits for it. What comes is memory that nobody can
 * change any more; each worker verifies it for itself, in pieces between which the loop turns, and
 * by the issuer in the chain that asked for it. A list is kept for the key of that issuer and its
 * URL. Lists that are in use are fetched again before they end; one that nobody used for that long
 * must be fetched again before it says that anything is good. Whatever it revoked stays revoked.
 *
 * Used from one thread. Uses the link, the event base (timers), the monotonic and the wall clock.
 */
#ifndef GATEWAY_FETCHING_H
#define GATEWAY_FETCHING_H

#include <event2/event.h>
#include <openssl/x509.h>

#include "gateway/configuration.h"
#include "gateway/message.h"
#include "gateway/revocation.h"

#define FETCHING_FILES  256    /* known */
#define FETCHING_WANTED 16     /* that one chain waits for */
#define FETCHING_SLICE  262144 /* bytes that are checked in one turn of the loop */

struct fetching;
struct fetch_wait;

/* What has to be waited for: numbers of files. */
struct fetch_wanted {
    size_t count;
    uint64_t files[FETCHING_WANTED];
};

/* Borrows all three. `revocation` is where verified lists are attached. */
struct fetching *fetching_new(struct event_base *base, const struct configuration *configuration,
                              struct revocation *revocation);

/* Those who wait are dropped without their callbacks. Before `revocation` is freed. */
void fetching_free(struct fetching *fetching);

/* The link to the fetcher, borrowed; NULL when it is gone. What was asked for is asked for again on
 * a new one, and its time goes on running. */
void fetching_set_link(struct fetching *fetching, struct link *link);

/* A message of the fetcher as link_handler gives it; takes `fd`. 0, or -1 when it is of another
 * type or malformed. */
int fetching_receive(struct fetching *fetching, enum message_type type, const void *payload,
                     size_t size, int fd);

/* Lists and issuers held, for the tests. */
size_t fetching_held(const struct fetching *fetching);

/*
 * For a verified chain, leaf first: what of it is `unknown` (bits by depth, as in revocation.h) is
 * asked for where the certificates say; what must be waited for is put into *wanted. Whether
 * anything could be asked for at all, now or earlier.
 */
bool fetching_lists(struct fetching *fetching, STACK_OF(X509) * chain, uint32_t unknown,
                    struct fetch_wanted *wanted);

/* The certificates of the issuer that this one points to: pushed on `found` (a reference of each,
 * the caller's) when they are held, otherwise asked for and put into *wanted. */
void fetching_issuer(struct fetching *fetching, X509 *certificate, STACK_OF(X509) * found,
                     struct fetch_wanted *wanted);

/*
 * Called once, from the loop: all that was wanted is there or failed, or `milliseconds` are over.
 * It may call every function here but fetching_free().
 */
typedef void fetch_wait_callback(void *context);
struct fetch_wait *fetching_wait(struct fetching *fetching, const struct fetch_wanted *wanted,
                                 int64_t milliseconds, fetch_wait_callback *callback,
                                 void *context);
void fetch_wait_cancel(struct fetch_wait *wait); /* NULL does nothing */

#endif
