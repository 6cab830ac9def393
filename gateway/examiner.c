/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The examiner: takes what the workers hand over, has it opened one thing at a time, each by a
 * process of its own (examiner_work.h), and answers with facts. It parses none of it itself and
 * holds nothing: no files, no network, no configuration. It may therefore outlive a reload.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/examiner_work.h"
#include "gateway/log.h"
#include "gateway/qrcode.h"
#include "gateway/process.h"

#define MILLISECONDS 1000
#define FIRST_BYTES  16384        /* of a job's memory; it grows with what comes */
#define BYTES_MAX    (32ul << 20) /* of all workers' jobs together */

struct peer;

/* One thing to open. */
struct job {
    LIST_ENTRY(job) next;
    TAILQ_ENTRY(job) queue; /* once all of it is there */
    struct peer *peer;
    uint64_t id;
    uint32_t kind;
    bool is_whole, is_broken; /* broken: over a bound, its bytes are gone */
    uint8_t *bytes;
    size_t size, capacity;
};
TAILQ_HEAD(job_queue, job);

struct peer {
    LIST_ENTRY(peer) next;
    struct examiner *examiner;
    struct link *link;
    LIST_HEAD(, job) jobs;
    size_t count, bytes;
};

struct examiner {
    struct event_base *base;
    LIST_HEAD(, peer) peers;
    size_t bytes;
    struct job_queue waiting;
    /* the work under way; job is NULL when there is none */
    struct job *job;
    pid_t pid;
    struct event *readable;
    struct deadline patience;
    size_t answered;
    uint8_t answer[WORK_ANSWER_MAX + 1];
};

static void start_next(struct examiner *examiner);

/* --- jobs --- */

static struct job *job_find(const struct peer *peer, uint64_t id)
{
    struct job *job;

    LIST_FOREACH (job, &peer->jobs, next)
        if (job->id == id)
            return job;
    return NULL;
}

static void job_drop_bytes(struct job *job)
{
    job->peer->bytes -= job->size;
    job->peer->examiner->bytes -= job->size;
    free(job->bytes);
    job->bytes = NULL;
    job->size = 0;
    job->capacity = 0;
}

static void job_break(struct job *job)
{
    job_drop_bytes(job);
    job->is_broken = true;
}

/* Not the one under way. */
static void job_free(struct job *job)
{
    struct examiner *examiner = job->peer->examiner;

    if (job->is_whole)
        TAILQ_REMOVE(&examiner->waiting, job, queue);
    LIST_REMOVE(job, next);
    job->peer->count--;
    job_drop_bytes(job);
    free(job);
}

/* A worker that does not take its answer will have its own time-out. */
static void send_status(struct peer *peer, uint64_t id, enum examination_status status,
                        size_t texts)
{
    struct message_examined message = {id, status, (uint32_t)texts};

    if (link_send(peer->link, MESSAGE_EXAMINED, &message, sizeof(message), -1) != 0)
        log_warnx("a worker does not take its answer");
}

static void job_answer(const struct job *job, struct span answer)
{
    uint8_t payload[sizeof(uint64_t) + EXAMINATION_TEXT_MAX];
    struct span texts[EXAMINATION_TEXTS_MAX];
    size_t count;
    enum examination_status status = work_read_answer(answer, texts, &count);

    memcpy(payload, &job->id, sizeof(job->id));
    for (size_t i = 0; i < count; i++) {
        memcpy(payload + sizeof(job->id), texts[i].data, texts[i].size);
        if (link_send(job->peer->link, MESSAGE_EXAMINED_TEXT, payload,
                      sizeof(job->id) + texts[i].size, -1) != 0)
            status = EXAMINATION_OPAQUE;
    }
    send_status(job->peer, job->id, status, count);
}

/* --- the work under way --- */

/* Ends the process, whatever it does, and gives its job back to be freed. */
static struct job *end_work(struct examiner *examiner)
{
    struct job *job = examiner->job;
    int fd = event_get_fd(examiner->readable);

    deadline_clear(&examiner->patience);
    event_free(examiner->readable);
    close(fd);
    kill(examiner->pid, SIGKILL);
    while (waitpid(examiner->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    examiner->readable = NULL;
    examiner->job = NULL;
    return job;
}

/* What was found until now counts, also when its time is up. */
static void finish_work(struct examiner *examiner)
{
    struct job *job = end_work(examiner);

    job_answer(job, (struct span){(const char *)examiner->answer, examiner->answered});
    job_free(job);
    start_next(examiner);
}

static void on_patience(void *context)
{
    struct examiner *examiner = context;

    log_warnx("something took longer than %d s to open", WORK_TIME);
    finish_work(examiner);
}

static void on_answer(evutil_socket_t fd, short what, void *argument)
{
    struct examiner *examiner = argument;
    size_t room = sizeof(examiner->answer) - examiner->answered;
    ssize_t got = read((int)fd, examiner->answer + examiner->answered, room);

    (void)what;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        examiner->answered += (size_t)got;
    /* One byte more than any answer has: it is nonsense then, and read as that. */
    if (got <= 0 || examiner->answered == sizeof(examiner->answer))
        finish_work(examiner);
}

static bool start_work(struct examiner *examiner, struct job *job)
{
    struct span bytes = {(const char *)job->bytes, job->size};
    int fd;

    examiner->pid = work_start((enum examination_kind)job->kind, bytes, &fd);
    if (examiner->pid < 0) {
        log_warn("nothing can be opened");
        return false;
    }
    examiner->job = job;
    examiner->answered = 0;
    examiner->readable = event_new(examiner->base, fd, EV_READ | EV_PERSIST, on_answer, examiner);
    if (examiner->readable == NULL || event_add(examiner->readable, NULL) != 0) {
        log_warnx("no memory for events");
        exit(1);
    }
    deadline_set(&examiner->patience, WORK_TIME * MILLISECONDS);
    return true;
}

static void start_next(struct examiner *examiner)
{
    struct job *job;

    while (examiner->job == NULL && (job = TAILQ_FIRST(&examiner->waiting)) != NULL)
        if (job->is_broken || !start_work(examiner, job)) {
            send_status(job->peer, job->id, EXAMINATION_OPAQUE, 0);
            job_free(job);
        }
}

/* --- what the workers say --- */

static void begin(struct peer *peer, const struct message_examine *message)
{
    struct job *job;

    if (peer->count == EXAMINATIONS_MAX || job_find(peer, message->id) != NULL) {
        send_status(peer, message->id, EXAMINATION_OPAQUE, 0);
        return;
    }
    job = memory_allocate(1, sizeof(*job));
    job->peer = peer;
    job->id = message->id;
    job->kind = message->kind;
    LIST_INSERT_HEAD(&peer->jobs, job, next);
    peer->count++;
}

static bool fits(const struct job *job, size_t size)
{
    return size <= EXAMINATION_BYTES_MAX - job->size &&
           size <= EXAMINATIONS_BYTES - job->peer->bytes &&
           size <= BYTES_MAX - job->peer->examiner->bytes;
}

/* Bytes for what is not there are those of one that was cancelled: nobody wants them. */
static void take_data(struct peer *peer, const uint8_t *payload, size_t size)
{
    struct job *job;
    uint64_t id;

    memcpy(&id, payload, sizeof(id));
    payload += sizeof(id);
    size -= sizeof(id);
    job = job_find(peer, id);
    if (job == NULL || job->is_whole || job->is_broken)
        return;
    if (!fits(job, size)) {
        job_break(job);
        return;
    }
    while (job->capacity - job->size < size) {
        job->capacity = job->capacity > 0 ? job->capacity * 2 : FIRST_BYTES;
        job->bytes = memory_resize(job->bytes, job->capacity, 1);
    }
    memcpy(job->bytes + job->size, payload, size);
    job->size += size;
    peer->bytes += size;
    peer->examiner->bytes += size;
}

static void end(struct peer *peer, const struct message_examine_end *message)
{
    struct job *job = job_find(peer, message->id);

    if (job == NULL || job->is_whole)
        return;
    if (job->size != message->size) /* a part of it was lost on the way */
        job_break(job);
    else if (job->size > 0) { /* no room to spare: the process that opens it has a share of this */
        job->bytes = memory_resize(job->bytes, job->size, 1);
        job->capacity = job->size;
    }
    job->is_whole = true;
    TAILQ_INSERT_TAIL(&peer->examiner->waiting, job, queue);
    start_next(peer->examiner);
}

static void cancel(struct peer *peer, uint64_t id)
{
    struct job *job = job_find(peer, id);
    struct examiner *examiner = peer->examiner;

    if (job == NULL)
        return;
    if (job == examiner->job)
        end_work(examiner);
    job_free(job);
    start_next(examiner);
}

static void forget(struct peer *peer)
{
    struct examiner *examiner = peer->examiner;
    struct job *job;

    while ((job = LIST_FIRST(&peer->jobs)) != NULL) {
        if (job == examiner->job)
            end_work(examiner);
        job_free(job);
    }
    LIST_REMOVE(peer, next);
    free(peer);
}

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct peer *peer = context;
    struct examiner *examiner = peer->examiner;

    if (fd >= 0)
        close(fd);
    switch (type) {
    case MESSAGE_EXAMINE_BEGIN:
        begin(peer, payload);
        break;
    case MESSAGE_EXAMINE_DATA:
        take_data(peer, payload, size);
        break;
    case MESSAGE_EXAMINE_END:
        end(peer, payload);
        break;
    case MESSAGE_EXAMINE_CANCEL:
        cancel(peer, ((const struct message_examine_end *)payload)->id);
        break;
    default:
        if (type != MESSAGE_NONE) {
            log_warnx("a worker sent %s: its link is closed", message_name(type));
            link_free(link);
        }
        forget(peer);
        start_next(examiner);
    }
}

/* --- the role --- */

static int examiner_prepare(struct child *child)
{
    char error[256];

    (void)child;
    if (qrcode_prepare(error, sizeof(error)))
        return 0;
    log_warnx("%s", error);
    return -1;
}

static int examiner_start(struct child *child)
{
    struct examiner *examiner = memory_allocate(1, sizeof(*examiner));

    examiner->base = child->base;
    LIST_INIT(&examiner->peers);
    TAILQ_INIT(&examiner->waiting);
    deadline_init(&examiner->patience, child->base, on_patience, examiner);
    child->state = examiner;
    child_ready(child);
    return 0;
}

static void examiner_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct examiner *examiner = child->state;
    struct peer *peer;

    (void)slot;
    if (role != ROLE_WORKER) {
        log_warnx("no use for a link to %s", role_name(role));
        close(fd);
        return;
    }
    peer = memory_allocate(1, sizeof(*peer));
    peer->examiner = examiner;
    LIST_INIT(&peer->jobs);
    peer->link = link_new(child->base, fd, ROLE_EXAMINER, role, receive, peer);
    LIST_INSERT_HEAD(&examiner->peers, peer, next);
}

/* What is not answered is opaque to the workers as soon as the links are closed. */
static void examiner_drain(struct child *child)
{
    event_base_loopbreak(child->base);
}

static void examiner_stop(struct child *child)
{
    struct examiner *examiner = child->state;
    struct peer *peer;

    if (examiner == NULL)
        return;
    while ((peer = LIST_FIRST(&examiner->peers)) != NULL) {
        link_free(peer->link);
        forget(peer);
    }
    deadline_clear(&examiner->patience);
    free(examiner);
    child->state = NULL;
}

const struct role_operations examiner_operations = {
    .user = "_sekisho-examiner",
    .sandbox = SANDBOX_EXAMINER,
    .prepare = examiner_prepare,
    .start = examiner_start,
    .peer = examiner_peer,
    .drain = examiner_drain,
    .stop = examiner_stop,
};
