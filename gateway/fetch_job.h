/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One fetch under way: the name is resolved by the configured resolver, each of its addresses is
 * checked and only a checked one is connected to, one GET is sent, and what comes is written to
 * memory that nobody can change once it is whole (a sealed memfd). All of it within the time and
 * the size that the configuration allows.
 */
#ifndef GATEWAY_FETCH_JOB_H
#define GATEWAY_FETCH_JOB_H

#include <event2/event.h>

#include "gateway/fetch_address.h"
#include "gateway/fetch_answer.h"
#include "gateway/fetch_url.h"
#include "gateway/resolver.h"

struct fetch_job;

/* What jobs share; borrowed. All of them together hold at most `most` bytes. */
struct fetch_tools {
    size_t under_way, most;
    struct event_base *base;
    const struct configuration *configuration;
    struct resolver *resolver;
    struct neighbours *neighbours;
};

/*
 * Called once, from the loop, never before fetch_job_new() has returned; the job is over then.
 * FETCH_FAULT_NONE: `fd` is the memory with the file, `size` bytes, and is the callee's.
 */
typedef void fetch_job_callback(void *context, enum fetch_fault fault, int fd, size_t size);

/* The text of `url` must live as long as the job. `limit`: bytes of the file at the most. */
struct fetch_job *fetch_job_new(struct fetch_tools *tools, const struct fetch_url *url,
                                size_t limit, fetch_job_callback *callback, void *context);

/* The callback will not be called. Before it was; NULL does nothing. */
void fetch_job_cancel(struct fetch_job *job);

#define FETCH_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#endif
