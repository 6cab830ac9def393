/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_job.h. */
#include "gateway/fetch_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/attempt.h"
#include "gateway/channel.h"
#include "gateway/deadline.h"
#include "gateway/log.h"
#include "gateway/socket.h"

#define PATIENCE   3000 /* ms for one address when there are others to try */
#define HEAD_LIMIT 16384
#define TURN       65536 /* bytes taken in one turn of the loop */

struct fetch_job {
    struct fetch_tools *tools;
    struct fetch_url url;
    fetch_job_callback *callback;
    void *context;
    struct resolution *resolution;
    struct address candidates[RESOLVER_ADDRESSES];
    size_t count, tried;
    struct deadline total;
    struct attempt attempt;
    struct channel *channel;
    struct fetch_answer *answer;
    int memory; /* memfd */
    size_t size, limit;
    enum fetch_fault fault; /* of what was tried until now */
};

void fetch_job_cancel(struct fetch_job *job)
{
    if (job == NULL)
        return;
    attempt_cancel(&job->attempt);
    deadline_clear(&job->total);
    resolver_cancel(job->resolution);
    if (job->channel != NULL)
        channel_free(job->channel);
    fetch_answer_free(job->answer);
    job->tools->under_way -= job->size;
    if (job->memory >= 0)
        close(job->memory);
    free(job);
}

/* The last act. */
static void finish(struct fetch_job *job, enum fetch_fault fault)
{
    fetch_job_callback *callback = job->callback;
    void *context = job->context;
    size_t size = job->size;
    int memory = -1;

    if (fault == FETCH_FAULT_NONE && fcntl(job->memory, F_ADD_SEALS, FETCH_SEALS) != 0) {
        log_warn("a file cannot be sealed");
        fault = FETCH_FAULT_BUSY;
    }
    if (fault == FETCH_FAULT_NONE) {
        memory = job->memory;
        job->memory = -1;
    }
    fetch_job_cancel(job);
    callback(context, fault, memory, memory >= 0 ? size : 0);
}

static void on_finish(void *context)
{
    struct fetch_job *job = context;

    finish(job, job->fault);
}

/* From the loop: never before fetch_job_new() returns. */
static void finish_soon(struct fetch_job *job, enum fetch_fault fault)
{
    job->fault = fault;
    job->total.expired = on_finish;
    deadline_set(&job->total, 0);
}

/* --- the answer --- */

static bool store(struct fetch_job *job, struct span bytes)
{
    if (bytes.size > job->tools->most - job->tools->under_way)
        return false;
    while (bytes.size > 0) {
        ssize_t written = write(job->memory, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        job->size += (size_t)written;
        job->tools->under_way += (size_t)written;
        bytes = span_from(bytes, (size_t)written);
    }
    return true;
}

/* FETCH_MORE while nothing is decided. */
static enum fetch_event take(struct fetch_job *job, struct span bytes)
{
    enum fetch_event event;
    struct span data;

    while ((event = fetch_answer_feed(job->answer, &bytes, &data)) == FETCH_BYTES)
        if (!store(job, data)) {
            job->fault = FETCH_FAULT_BUSY;
            return FETCH_FAILED;
        }
    if (event == FETCH_FAILED)
        job->fault = fetch_answer_fault(job->answer);
    return event;
}

static void read_answer(struct fetch_job *job)
{
    static char bytes[16384];
    enum fetch_event event = FETCH_MORE;
    size_t got, all = 0;

    while (event == FETCH_MORE && all < TURN) {
        switch (channel_read(job->channel, bytes, sizeof(bytes), &got)) {
        case CHANNEL_DATA:
            all += got;
            event = take(job, (struct span){bytes, got});
            break;
        case CHANNEL_END:
            event = fetch_answer_close(job->answer);
            job->fault = fetch_answer_fault(job->answer);
            break;
        case CHANNEL_AGAIN:
            return;
        case CHANNEL_ERROR:
            event = FETCH_FAILED;
            job->fault = FETCH_FAULT_BROKEN_OFF;
            break;
        }
    }
    if (event == FETCH_WHOLE)
        finish(job, FETCH_FAULT_NONE);
    else if (event == FETCH_FAILED)
        finish(job, job->fault);
}

static void on_channel(void *context, struct channel *channel, enum channel_event event)
{
    struct fetch_job *job = context;

    (void)channel;
    if (event == CHANNEL_READABLE)
        read_answer(job);
    else if (event == CHANNEL_FAILED)
        finish(job, FETCH_FAULT_BROKEN_OFF);
}

static void send_request(struct fetch_job *job)
{
    fetch_url_write_request(&job->url, SPAN("sekishod"), channel_output(job->channel));
    channel_want_read(job->channel, true);
    channel_flush(job->channel);
}

/* --- the connection --- */

static bool begin_attempt(struct fetch_job *job, const struct address *address)
{
    struct sockaddr_storage target;
    socklen_t size = socket_address(address, job->url.port, &target);
    int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    return fd >= 0 && attempt_begin(&job->attempt, fd, (struct sockaddr *)&target, size,
                                    job->tried < job->count ? PATIENCE : 0);
}

static void try_next(struct fetch_job *job)
{
    while (job->tried < job->count) {
        const struct address *address = &job->candidates[job->tried++];
        if (!fetch_address_allowed(job->tools->configuration, job->tools->neighbours, address,
                                   clock_monotonic())) {
            job->fault = FETCH_FAULT_FORBIDDEN;
            continue;
        }
        job->fault = FETCH_FAULT_UNREACHABLE;
        if (begin_attempt(job, address))
            return;
    }
    finish_soon(job, job->fault);
}

static void on_attempt(void *context, enum attempt_end end, int fd)
{
    struct fetch_job *job = context;

    if (end != ATTEMPT_CONNECTED) {
        try_next(job);
        return;
    }
    job->channel = channel_new(job->tools->base, fd, on_channel, job);
    job->answer = fetch_answer_new(job->limit, HEAD_LIMIT);
    send_request(job);
}

static void on_total_over(void *context)
{
    finish(context, FETCH_FAULT_TIMEOUT);
}

static void on_resolved(void *context, const struct resolver_answer *answer)
{
    struct fetch_job *job = context;

    job->resolution = NULL;
    for (size_t i = 0; i < answer->count && job->count < RESOLVER_ADDRESSES; i++)
        job->candidates[job->count++] = answer->addresses[i];
    job->fault = FETCH_FAULT_UNRESOLVED;
    try_next(job);
}

struct fetch_job *fetch_job_new(struct fetch_tools *tools, const struct fetch_url *url,
                                size_t limit, fetch_job_callback *callback, void *context)
{
    struct fetch_job *job = memory_allocate(1, sizeof(*job));
    struct address literal;

    job->tools = tools;
    job->url = *url;
    job->limit = limit;
    job->callback = callback;
    job->context = context;
    deadline_init(&job->total, tools->base, on_total_over, job);
    attempt_init(&job->attempt, tools->base, on_attempt, job);
    deadline_set(&job->total, tools->configuration->timeout_fetch);
    job->memory = memfd_create("sekisho-fetch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (job->memory < 0) {
        log_warn("no memory for a file");
        finish_soon(job, FETCH_FAULT_BUSY);
    } else if (address_parse(span_of(job->url.host), &literal)) {
        job->candidates[job->count++] = literal;
        try_next(job);
    } else {
        job->resolution = resolver_ask(tools->resolver, job->url.host, on_resolved, job);
    }
    return job;
}
