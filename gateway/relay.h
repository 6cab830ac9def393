/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spliced flow: bytes go from one socket to the other inside the kernel (splice(2)), untouched,
 * with half-close passed on. Pipes are taken from a pool only while bytes are under way.
 */
#ifndef GATEWAY_RELAY_H
#define GATEWAY_RELAY_H

#include "gateway/flow.h"

/*
 * Joins the flow's client with the connected socket `origin`. Takes both sockets; `first` are bytes
 * of the client that were already read and go out before all others (copied).
 */
struct relay *relay_new(struct flow *flow, int client, int origin, const uint8_t *first,
                        size_t first_size);
void relay_free(struct relay *relay);

/* Closes the pipes that the pool keeps. */
void relay_free_pipes(struct worker *worker);

#endif
