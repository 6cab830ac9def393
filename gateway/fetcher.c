/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fetcher: gets for the workers what certificates point to, over plain HTTP, and keeps it for
 * all of them. It understands nothing of what it gets: each worker verifies for itself, in memory
 * that the fetcher can no longer change. A URL comes from a worker as a typed message and is read
 * again here.
 *
 * Bounds: so many fetches at once, so many files known, so many questions of one worker, so many
 * bytes in all. What was just fetched is not fetched again, and what failed is left alone for a
 * time that doubles.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/fetch_job.h"
#include "gateway/log.h"
#include "gateway/process.h"

#define FILES_MAX     256     /* known, with or without their bytes */
#define BYTES_KEPT    4       /* all of them together: so many of the largest */
#define BYTES_FETCHED 2       /* and all that are under way */
#define ISSUER_MAX    65536   /* bytes of an issuer's certificate */
#define PAUSE_LONGEST 60000   /* ms that what was fetched is new enough for anybody */
#define RETRY_LONGEST 3600000 /* ms until what failed is tried again */

/* Any server can name an issuer to be fetched, only a trusted CA a list: each kind has its share.
 */
static const struct {
    size_t jobs;  /* fetches at once */
    size_t files; /* known, of FILES_MAX */
} shares[FETCH_KIND_COUNT] = {[FETCH_LIST] = {12, FILES_MAX}, [FETCH_ISSUER] = {4, 64}};

struct peer;

/* A worker that waits for a file. */
struct asker {
    LIST_ENTRY(asker) next, of_peer;
    struct peer *peer;
    struct file *file;
    uint64_t id;
};

enum file_state { FILE_IDLE, FILE_WAITING, FILE_UNDER_WAY };

struct file {
    TAILQ_ENTRY(file) by_use; /* the one used longest ago first */
    TAILQ_ENTRY(file) queue;  /* FILE_WAITING */
    struct fetcher *fetcher;
    enum file_state state;
    LIST_HEAD(, asker) askers;
    struct fetch_job *job;
    uint32_t kind;
    int memory; /* -1: nothing was fetched yet */
    size_t size;
    int64_t at;       /* monotonic ms of the memory */
    int64_t retry_at; /* monotonic ms; 0: the last fetch was good */
    unsigned failures;
    enum fetch_fault fault;
    struct fetch_url url;
    char text[FETCH_URL_MAX];
};

struct peer {
    LIST_ENTRY(peer) next;
    struct fetcher *fetcher;
    struct link *link;
    LIST_HEAD(, asker) askers;
    size_t count;
};

struct fetcher {
    struct fetch_tools tools;
    LIST_HEAD(, peer) peers;
    TAILQ_HEAD(file_list, file) files;
    TAILQ_HEAD(, file) waiting;
    size_t file_count, jobs[FETCH_KIND_COUNT], files_of[FETCH_KIND_COUNT];
    struct link *other; /* the fetcher of another generation, during a reload */
    int64_t pause;
};

/* --- answers --- */

static void say_fault(struct peer *peer, uint64_t id, enum fetch_fault fault)
{
    struct message_fetch_failed message = {id, (uint32_t)fault, 0};

    if (link_send(peer->link, MESSAGE_FETCH_FAILED, &message, sizeof(message), -1) != 0)
        log_warnx("a worker does not take its answer");
}

/* What there is: an old file is better than none, the worker knows how long it holds. */
static void answer(struct peer *peer, uint64_t id, const struct file *file)
{
    struct message_fetched message = {id, file->at, file->size};

    if (file->memory < 0)
        say_fault(peer, id, file->fault);
    else if (link_send(peer->link, MESSAGE_FETCHED, &message, sizeof(message), file->memory) != 0)
        log_warnx("a worker does not take its answer");
}

static void asker_free(struct asker *asker)
{
    LIST_REMOVE(asker, next);
    LIST_REMOVE(asker, of_peer);
    asker->peer->count--;
    free(asker);
}

static void answer_all(struct file *file)
{
    struct asker *asker;

    while ((asker = LIST_FIRST(&file->askers)) != NULL) {
        answer(asker->peer, asker->id, file);
        asker_free(asker);
    }
}

/* --- files --- */

static void drop_memory(struct file *file)
{
    if (file->memory >= 0)
        close(file->memory);
    file->memory = -1;
    file->size = 0;
}

static void stop_fetching(struct file *file)
{
    fetch_job_cancel(file->job);
    file->job = NULL;
    if (file->state == FILE_WAITING)
        TAILQ_REMOVE(&file->fetcher->waiting, file, queue);
    else if (file->state == FILE_UNDER_WAY)
        file->fetcher->jobs[file->kind]--;
    file->state = FILE_IDLE;
}

static void file_free(struct file *file)
{
    struct fetcher *fetcher = file->fetcher;

    stop_fetching(file);
    while (!LIST_EMPTY(&file->askers))
        asker_free(LIST_FIRST(&file->askers));
    drop_memory(file);
    TAILQ_REMOVE(&fetcher->files, file, by_use);
    fetcher->file_count--;
    fetcher->files_of[file->kind]--;
    free(file);
}

/* Room for one more of a kind: the idle one used longest ago goes, of the kind where that has its
 * share. False when all are under way. */
static bool make_room(struct fetcher *fetcher, uint32_t kind)
{
    bool is_full = fetcher->files_of[kind] >= shares[kind].files;
    struct file *file;

    if (!is_full && fetcher->file_count < FILES_MAX)
        return true;
    TAILQ_FOREACH (file, &fetcher->files, by_use)
        if (file->state == FILE_IDLE && (!is_full || file->kind == kind)) {
            file_free(file);
            return true;
        }
    return false;
}

/* Each kind for itself: who asks for an issuer where a list lies, which is larger than an issuer
 * may be, must not have the list fail. */
static struct file *find_file(struct fetcher *fetcher, const char *text, uint32_t kind)
{
    struct file *file;

    TAILQ_FOREACH (file, &fetcher->files, by_use)
        if (file->kind == kind && strcmp(file->text, text) == 0)
            return file;
    return NULL;
}

/* NULL when there is no room. The text is a good URL. */
static struct file *get_file(struct fetcher *fetcher, const char *text, uint32_t kind)
{
    struct file *file = find_file(fetcher, text, kind);

    if (file != NULL) {
        TAILQ_REMOVE(&fetcher->files, file, by_use);
        TAILQ_INSERT_TAIL(&fetcher->files, file, by_use);
        return file;
    }
    if (!make_room(fetcher, kind))
        return NULL;
    file = memory_allocate(1, sizeof(*file));
    file->fetcher = fetcher;
    file->memory = -1;
    file->kind = kind;
    LIST_INIT(&file->askers);
    memcpy(file->text, text, strlen(text) + 1);
    fetch_url_read(span_of(file->text), &file->url);
    TAILQ_INSERT_TAIL(&fetcher->files, file, by_use);
    fetcher->file_count++;
    fetcher->files_of[kind]++;
    return file;
}

/* All files together have a bound: the ones used longest ago lose their bytes. */
static void bound_bytes(struct fetcher *fetcher, const struct file *kept)
{
    size_t most = fetcher->tools.configuration->fetch_size * BYTES_KEPT, all = 0;
    struct file *file, *after;

    TAILQ_FOREACH (file, &fetcher->files, by_use)
        all += file->size;
    for (file = TAILQ_FIRST(&fetcher->files); file != NULL && all > most; file = after) {
        after = TAILQ_NEXT(file, by_use);
        if (file == kept || file->memory < 0)
            continue;
        all -= file->size;
        drop_memory(file);
    }
}

/* --- fetching --- */

static void start_next(struct fetcher *fetcher);

/* The pause, doubled each time. */
static int64_t retry_time(const struct file *file)
{
    int64_t wait = file->fetcher->pause;

    for (unsigned i = 1; i < file->failures && wait < RETRY_LONGEST; i++)
        wait *= 2;
    return clock_monotonic() + (wait < RETRY_LONGEST ? wait : RETRY_LONGEST);
}

static void on_fetched(void *context, enum fetch_fault fault, int memory, size_t size)
{
    struct file *file = context;
    struct fetcher *fetcher = file->fetcher;

    file->job = NULL;
    file->state = FILE_IDLE;
    fetcher->jobs[file->kind]--;
    if (fault == FETCH_FAULT_NONE) {
        drop_memory(file);
        file->memory = memory;
        file->size = size;
        file->at = clock_monotonic();
        file->failures = 0;
        file->retry_at = 0;
    } else {
        file->fault = fault;
        file->failures++;
        file->retry_at = retry_time(file);
        log_info("not fetched: %s: %s", file->text, fetch_fault_text(fault));
    }
    answer_all(file);
    bound_bytes(fetcher, file);
    start_next(fetcher);
}

static struct file *first_waiting(const struct fetcher *fetcher)
{
    struct file *file;

    TAILQ_FOREACH (file, &fetcher->waiting, queue)
        if (fetcher->jobs[file->kind] < shares[file->kind].jobs)
            return file;
    return NULL;
}

static void start_next(struct fetcher *fetcher)
{
    const size_t largest = fetcher->tools.configuration->fetch_size;
    struct file *file;

    while ((file = first_waiting(fetcher)) != NULL) {
        TAILQ_REMOVE(&fetcher->waiting, file, queue);
        file->state = FILE_UNDER_WAY;
        fetcher->jobs[file->kind]++;
        file->job =
            fetch_job_new(&fetcher->tools, &file->url,
                          file->kind == FETCH_ISSUER && ISSUER_MAX < largest ? ISSUER_MAX : largest,
                          on_fetched, file);
    }
}

static bool is_new_enough(const struct file *file, int64_t since)
{
    int64_t pause = clock_monotonic() - file->fetcher->pause;

    return file->memory >= 0 && file->at >= (since < pause ? since : pause);
}

static void wait_for(struct peer *peer, struct file *file, uint64_t id)
{
    struct fetcher *fetcher = peer->fetcher;
    struct asker *asker = memory_allocate(1, sizeof(*asker));

    asker->peer = peer;
    asker->file = file;
    asker->id = id;
    LIST_INSERT_HEAD(&file->askers, asker, next);
    LIST_INSERT_HEAD(&peer->askers, asker, of_peer);
    peer->count++;
    if (file->state != FILE_IDLE)
        return;
    file->state = FILE_WAITING;
    TAILQ_INSERT_TAIL(&fetcher->waiting, file, queue);
    start_next(fetcher);
}

/* --- what the workers say --- */

static bool port_allowed(const struct configuration *configuration, uint16_t port)
{
    for (size_t i = 0; i < configuration->fetch_port_count; i++)
        if (configuration->fetch_ports[i] == port)
            return true;
    return false;
}

static bool is_acceptable(const struct fetcher *fetcher, const struct message_fetch *message)
{
    struct fetch_url url;

    return memchr(message->url, '\0', sizeof(message->url)) != NULL &&
           message->kind < FETCH_KIND_COUNT && fetch_url_read(span_of(message->url), &url) &&
           port_allowed(fetcher->tools.configuration, url.port);
}

static void fetch(struct peer *peer, const struct message_fetch *message)
{
    struct file *file;

    if (!is_acceptable(peer->fetcher, message)) {
        say_fault(peer, message->id, FETCH_FAULT_URL);
        return;
    }
    if (peer->count >= FETCHES_MAX ||
        (file = get_file(peer->fetcher, message->url, message->kind)) == NULL) {
        say_fault(peer, message->id, FETCH_FAULT_BUSY);
        return;
    }
    if (file->state == FILE_IDLE &&
        (is_new_enough(file, message->since) || clock_monotonic() < file->retry_at)) {
        answer(peer, message->id, file);
        return;
    }
    wait_for(peer, file, message->id);
}

/* What nobody waits for any more is not fetched. */
static void drop_unwanted(struct fetcher *fetcher)
{
    struct file *file;

    TAILQ_FOREACH (file, &fetcher->files, by_use)
        if (file->state != FILE_IDLE && LIST_EMPTY(&file->askers))
            stop_fetching(file);
    start_next(fetcher);
}

static void forget(struct peer *peer)
{
    struct fetcher *fetcher = peer->fetcher;

    while (!LIST_EMPTY(&peer->askers))
        asker_free(LIST_FIRST(&peer->askers));
    LIST_REMOVE(peer, next);
    free(peer);
    drop_unwanted(fetcher);
}

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct peer *peer = context;
    struct message_fetch message;

    if (fd >= 0)
        close(fd);
    if (type == MESSAGE_FETCH && size == sizeof(message)) {
        memcpy(&message, payload, sizeof(message));
        fetch(peer, &message);
        return;
    }
    if (type != MESSAGE_NONE) {
        log_warnx("a worker sent %s: its link is closed", message_name(type));
        link_free(link);
    }
    forget(peer);
}

/* --- a reload: from one fetcher to the next --- */

static void hand_on(struct fetcher *fetcher, struct link *link)
{
    struct message_fetch_kept message = {0};
    struct file *file;

    TAILQ_FOREACH (file, &fetcher->files, by_use) {
        if (file->memory < 0)
            continue;
        message.at = file->at;
        message.size = file->size;
        message.kind = file->kind;
        memcpy(message.url, file->text, sizeof(file->text));
        if (link_send(link, MESSAGE_FETCH_KEPT, &message, sizeof(message), file->memory) != 0)
            return;
    }
}

static bool is_sealed(int fd, uint64_t size)
{
    struct stat facts;

    return fstat(fd, &facts) == 0 && size > 0 && facts.st_size == (off_t)size &&
           (fcntl(fd, F_GET_SEALS) & FETCH_SEALS) == FETCH_SEALS;
}

/* What the one before has, within the bounds of this one. True: the descriptor is taken. */
static bool take_kept(struct fetcher *fetcher, const struct message_fetch_kept *kept, int fd)
{
    struct message_fetch as_asked = {.kind = kept->kind};
    struct file *file;

    memcpy(as_asked.url, kept->url, sizeof(kept->url));
    if (!is_acceptable(fetcher, &as_asked) || !is_sealed(fd, kept->size) ||
        kept->size > fetcher->tools.configuration->fetch_size || kept->at > clock_monotonic() ||
        (file = get_file(fetcher, kept->url, kept->kind)) == NULL || file->memory >= 0)
        return false;
    file->memory = fd;
    file->size = (size_t)kept->size;
    file->at = kept->at;
    bound_bytes(fetcher, file);
    return true;
}

static void on_other_fetcher(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd)
{
    struct fetcher *fetcher = context;
    struct message_fetch_kept kept;
    bool taken = false;

    if (type == MESSAGE_FETCH_KEPT && size == sizeof(kept)) {
        memcpy(&kept, payload, sizeof(kept));
        taken = take_kept(fetcher, &kept, fd);
    } else {
        if (type != MESSAGE_NONE)
            link_free(link);
        if (fetcher->other == link)
            fetcher->other = NULL;
    }
    if (fd >= 0 && !taken)
        close(fd);
}

static void meet_other(struct fetcher *fetcher, struct event_base *base, int fd)
{
    link_free(fetcher->other);
    fetcher->other = link_new(base, fd, ROLE_FETCHER, ROLE_FETCHER, on_other_fetcher, fetcher);
    hand_on(fetcher, fetcher->other);
}

/* --- the role --- */

static int fetcher_start(struct child *child)
{
    struct fetcher *fetcher = memory_allocate(1, sizeof(*fetcher));
    const struct configuration *configuration = child->configuration;

    child->state = fetcher;
    LIST_INIT(&fetcher->peers);
    TAILQ_INIT(&fetcher->files);
    TAILQ_INIT(&fetcher->waiting);
    fetcher->pause = configuration->revocation_age / 2 < PAUSE_LONGEST
                         ? configuration->revocation_age / 2
                         : PAUSE_LONGEST;
    fetcher->tools = (struct fetch_tools){.base = child->base,
                                          .configuration = configuration,
                                          .most = configuration->fetch_size * BYTES_FETCHED};
    fetcher->tools.neighbours = neighbours_new();
    if (fetcher->tools.neighbours == NULL) {
        log_warn("the fetcher cannot read this machine's addresses");
        return -1;
    }
    fetcher->tools.resolver = resolver_new(child->base, configuration);
    child_ready(child);
    return 0;
}

static void fetcher_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct fetcher *fetcher = child->state;
    struct peer *peer;

    (void)slot;
    if (role == ROLE_FETCHER) {
        meet_other(fetcher, child->base, fd);
        return;
    }
    if (role != ROLE_WORKER) {
        log_warnx("no use for a link to %s", role_name(role));
        close(fd);
        return;
    }
    peer = memory_allocate(1, sizeof(*peer));
    peer->fetcher = fetcher;
    LIST_INIT(&peer->askers);
    peer->link = link_new(child->base, fd, ROLE_FETCHER, role, receive, peer);
    LIST_INSERT_HEAD(&fetcher->peers, peer, next);
}

/* Whoever waits asks the successor. */
static void fetcher_drain(struct child *child)
{
    event_base_loopbreak(child->base);
}

static void fetcher_stop(struct child *child)
{
    struct fetcher *fetcher = child->state;
    struct peer *peer;

    if (fetcher == NULL)
        return;
    link_free(fetcher->other);
    while (!TAILQ_EMPTY(&fetcher->files))
        file_free(TAILQ_FIRST(&fetcher->files));
    while ((peer = LIST_FIRST(&fetcher->peers)) != NULL) {
        link_free(peer->link);
        forget(peer);
    }
    resolver_free(fetcher->tools.resolver);
    neighbours_free(fetcher->tools.neighbours);
    free(fetcher);
    child->state = NULL;
}

const struct role_operations fetcher_operations = {
    .user = "_sekisho-fetcher",
    .sandbox = SANDBOX_FETCHER,
    .start = fetcher_start,
    .peer = fetcher_peer,
    .drain = fetcher_drain,
    .stop = fetcher_stop,
};
