/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker knows of the registry's state: consultations, releases, incident numbers; and the
 * way of its records to the registry. While the registry is away the last known state stands, signs
 * of a call count at once, and records wait in a bounded queue.
 */
#ifndef GATEWAY_REPLICA_H
#define GATEWAY_REPLICA_H

#include "filters/policy.h"
#include "gateway/message.h"
#include "gateway/record.h"

struct replica;

struct replica *replica_new(int64_t linger);
void replica_free(struct replica *replica);

/* The link to the registry, or NULL when it is gone. Borrowed. What waits is sent: records, and
 * signs that no registry has heard of. */
void replica_set_registry(struct replica *replica, struct link *registry);
/* Whether there are records or signs that no registry has taken yet. */
bool replica_has_waiting(const struct replica *replica);

/* A message of the registry. True when it was the end of the snapshot: the state is whole. */
bool replica_receive(struct replica *replica, enum message_type type, const void *payload);

bool replica_is_whole(const struct replica *replica);

/* What holds now for a client in `scope`. Borrowed until the next call of this module. */
void replica_standing(struct replica *replica, const char *scope, struct standing *standing);

/*
 * A sign of a call: it counts here at once and goes to the registry, at most once a second while
 * the consultation is known to be on.
 */
void replica_sign(struct replica *replica, const char *scope, const char *service,
                  const char *client);

/*
 * A link came in through a chat: it counts here at once and goes to the registry if it is new. Of a
 * flood of them, and while there is no registry, some wait.
 */
void replica_learn(struct replica *replica, const struct learned_link *link);
/* Sends what may be sent of them by now. False when it is to be called again soon. */
bool replica_tell(struct replica *replica);

/* A fresh incident number; 0 when none is left. */
uint64_t replica_incident(struct replica *replica);

/*
 * To the registry: what was stopped at once; what passed too, unless replica_batch() was called.
 */
void replica_record(struct replica *replica, const struct record *record);
/* From now on records of what passed wait until the end of the loop's turn, and go together. */
void replica_batch(struct replica *replica, struct event_base *base);
/* Sends what waits for that end. */
void replica_flush(struct replica *replica);

#endif
