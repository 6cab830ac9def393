/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which consultations are on: by scope (the clinic, a room or a client, as a text of the caller's),
 * from the first sign of a call until `linger` after the last. The registry keeps the set that
 * counts; each worker keeps a replica of it. No clock: the caller says what time it is, in
 * milliseconds of a clock that never goes back and that all processes share.
 */
#ifndef FILTERS_CONSULTATION_H
#define FILTERS_CONSULTATION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A set holds so many scopes. When all are on and one more gives a sign, every scope counts as on
 * until that sign has lingered out: there may be too much caution then, but not too little.
 */
#define CONSULTATION_SCOPES 4096

/* The scope under which that state is told and set. No caller's scope has this text. */
#define CONSULTATION_EVERY "*"

struct consultations;

struct consultations *consultations_new(void);
void consultations_free(struct consultations *set);

/*
 * A sign of a call of `service` (its name) at `now_ms`: the scope is on until `linger_ms` later, or
 * longer when it was. True when it goes from off to on. The service of the first sign stays until
 * it goes off. Call consultation_expire() first, so that the end of the last one has been told.
 */
bool consultation_sign(struct consultations *set, const char *scope, const char *service,
                       int64_t now_ms, int64_t linger_ms);

/* What the registry says: the scope is on until `until_ms`; 0 when it is off. */
void consultation_set(struct consultations *set, const char *scope, const char *service,
                      int64_t until_ms);

/*
 * True when a consultation is on for the scope. `service` (may be NULL) becomes the service's name,
 * borrowed until the set is changed, or NULL.
 */
bool consultation_find(struct consultations *set, const char *scope, int64_t now_ms,
                       const char **service);

/* Forgets what is over by `now_ms` and tells it, if `told` is not NULL; it must not change the set.
 */
typedef void consultation_over(void *context, const char *scope, const char *service);
void consultation_expire(struct consultations *set, int64_t now_ms, consultation_over *told,
                         void *context);

/* Tells each that is on at `now_ms`, to fill a new replica. It must not change the set. */
typedef void consultation_visit(void *context, const char *scope, const char *service,
                                int64_t until_ms);
void consultation_each(const struct consultations *set, int64_t now_ms, consultation_visit *visit,
                       void *context);

#endif
