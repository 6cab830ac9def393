/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's care for its children: starts a process for each place, joins it with those it works
 * with, replaces what dies, and tells the registry what `sekisho status` and the log want to know.
 */
#include "gateway/parent_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/child.h"
#include "gateway/deadline.h"
#include "gateway/log.h"

#define BACKOFF_LONGEST   5000  /* ms before a process that keeps dying is tried again */
#define BACKOFF_FORGET    30000 /* ms of life after which earlier deaths are forgotten */
#define REGISTRY_PATIENCE 5     /* s that a registry may take to go */

static const char *const process_state_names[] = {"starting", "ready", "draining"};

/* --- finding one --- */

struct process *supervision_find(enum role role, unsigned slot)
{
    struct process *process;

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == role && process->slot == slot &&
            process->generation == parent.now.number && process->state != PROCESS_DRAINING)
            return process;
    return NULL;
}

/* The one of whichever generation that serves now. */
static struct process *find_serving(enum role role)
{
    struct process *process;

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == role && process->state != PROCESS_DRAINING)
            return process;
    return NULL;
}

/* During a reload still the one of the generation before. */
struct process *supervision_find_registry(void)
{
    return find_serving(ROLE_REGISTRY);
}

/* Whoever fills the place: one of the generation, or one that serves all of them. */
struct process *supervision_find_at(const struct place *place)
{
    return place->role == ROLE_REGISTRY || place->role == ROLE_EXAMINER
               ? find_serving(place->role)
               : supervision_find(place->role, place->slot);
}

static struct place *find_place(const struct process *process)
{
    for (size_t i = 0; i < parent.place_count; i++)
        if (parent.places[i].role == process->role && parent.places[i].slot == process->slot)
            return &parent.places[i];
    return NULL;
}

/* --- what the registry is told --- */

bool supervision_tell_registry(enum message_type type, const void *payload, size_t size)
{
    struct process *registry = supervision_find_registry();

    return registry != NULL && registry->link != NULL &&
           link_send(registry->link, type, payload, size, -1) == 0;
}

bool supervision_send_record(const struct record *record)
{
    uint8_t packed[MESSAGE_MAX];
    size_t size = record_pack(record, packed, sizeof(packed));

    return size > 0 && supervision_tell_registry(MESSAGE_RECORD, packed, size);
}

void supervision_report(enum record_event event, const char *detail)
{
    struct record record;

    record_init(&record, event);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    supervision_send_record(&record);
}

static unsigned restarts_of(const struct process *process)
{
    for (size_t i = 0; i < parent.place_count; i++)
        if (parent.places[i].role == process->role && parent.places[i].slot == process->slot)
            return parent.places[i].restarts;
    return 0;
}

void supervision_report_processes(void)
{
    char text[MESSAGE_MAX];
    size_t used;
    struct process *process;

    used = (size_t)snprintf(text, sizeof(text),
                            "{\"generation\":%u,\"reloads\":%u,\"processes\":[{\"role\":\"parent\","
                            "\"slot\":0,\"pid\":%d,\"state\":\"ready\",\"generation\":%u,"
                            "\"restarts\":0}",
                            parent.now.number, parent.reloads, (int)getpid(), parent.now.number);
    TAILQ_FOREACH (process, &parent.processes, next) {
        int more = snprintf(text + used, sizeof(text) - used - 3,
                            ",{\"role\":\"%s\",\"slot\":%u,\"pid\":%d,\"state\":\"%s\","
                            "\"generation\":%u,\"restarts\":%u}",
                            role_name(process->role), process->slot, (int)process->pid,
                            process_state_names[process->state], process->generation,
                            restarts_of(process));
        if (more < 0 || (size_t)more >= sizeof(text) - used - 3)
            break;
        used += (size_t)more;
    }
    memcpy(text + used, "]}", 3);
    supervision_tell_registry(MESSAGE_STATUS, text, used + 2);
}

void supervision_answer_reload(bool success, const char *text)
{
    char payload[4096];
    size_t length = strlen(text);

    if (length > sizeof(payload) - 1)
        length = sizeof(payload) - 1;
    payload[0] = success;
    memcpy(payload + 1, text, length);
    supervision_tell_registry(MESSAGE_RELOAD_RESULT, payload, length + 1);
}

/* --- starting processes and joining them --- */

static void on_child_message(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd)
{
    struct process *process = context;

    (void)link;
    (void)size;
    if (fd >= 0)
        close(fd);
    switch (type) {
    case MESSAGE_NONE: /* SIGCHLD tells the rest; one that closed its link without dying is ended */
        process->link = NULL;
        if (process->state != PROCESS_DRAINING)
            kill(process->pid, SIGKILL);
        break;
    case MESSAGE_READY:
        if (process->state == PROCESS_STARTING) {
            process->state = PROCESS_READY;
            generation_note_ready();
        }
        break;
    case MESSAGE_RELOAD:
        /* One that is going away could not pass on the answer: its client asks its successor. */
        if (process->role == ROLE_REGISTRY && process->state != PROCESS_DRAINING)
            generation_reload();
        break;
    case MESSAGE_KERNEL_ASK:
        if (process->role == ROLE_REGISTRY && process->state != PROCESS_DRAINING)
            boundary_answer(((const struct message_flows *)payload)->id);
        break;
    case MESSAGE_BOUNDARY:
        if (process->role == ROLE_REGISTRY && process->state != PROCESS_DRAINING)
            boundary_set(((const struct message_boundary *)payload)->consultation != 0);
        break;
    default:
        log_warnx("%s %u sent %s: ended", role_name(process->role), process->slot,
                  message_name(type));
        kill(process->pid, SIGKILL);
    }
}

/* Who works with whom, either way. */
static bool are_peers(enum role a, enum role b)
{
    static const unsigned peers[ROLE_COUNT] = {
        [ROLE_WORKER] = ROLES_SIGNER | ROLES_REGISTRY | ROLES_EXAMINER | ROLES_FETCHER,
        [ROLE_PORTAL] = ROLES_SIGNER,
        [ROLE_FETCHER] = ROLES_FETCHER, /* what it has it hands on to its successor */
    };

    return (peers[a] & (1u << b)) != 0 || (peers[b] & (1u << a)) != 0;
}

void supervision_introduce(struct process *a, struct process *b)
{
    struct message_peer to_a = {b->role, b->slot}, to_b = {a->role, a->slot};
    int fds[2];

    if (a->link == NULL || b->link == NULL)
        return;
    if (link_pair(fds) != 0) {
        log_warn("socketpair");
        return;
    }
    link_send(a->link, MESSAGE_PEER, &to_a, sizeof(to_a), fds[0]);
    link_send(b->link, MESSAGE_PEER, &to_b, sizeof(to_b), fds[1]);
    close(fds[0]);
    close(fds[1]);
}

bool supervision_is_of_generation(enum role role)
{
    return role == ROLE_SIGNER || role == ROLE_FETCHER;
}

/*
 * A signer, who may have another CA, serves the workers of its own generation, and those that drain
 * once its generation is in force; a fetcher likewise.
 */
static bool serves(const struct process *signer, const struct process *worker)
{
    return worker->role == signer->role || signer->generation == worker->generation ||
           (worker->state == PROCESS_DRAINING && !parent.reloading);
}

/*
 * Joins a new process with those it works with. A draining worker too gets a new signer, a new
 * fetcher and a new registry; one of these that drains gets nobody.
 */
static void introduce_all(struct process *process)
{
    struct process *other;

    TAILQ_FOREACH (other, &parent.processes, next) {
        if (other == process || !are_peers(process->role, other->role) ||
            (other->state == PROCESS_DRAINING && other->role != ROLE_WORKER) ||
            (supervision_is_of_generation(process->role) && !serves(process, other)) ||
            (supervision_is_of_generation(other->role) && !serves(other, process)))
            continue;
        supervision_introduce(process, other);
    }
}

static void run_child(enum role role, unsigned slot, int link)
{
    static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR1};
    sigset_t none;

    /* The parent's loop and its signal handlers are not the child's. */
    event_reinit(parent.base);
    event_base_free(parent.base);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], SIG_DFL);
    signal(SIGHUP, SIG_IGN); /* a terminal's hangup and Ctrl-C are for the parent */
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    child_main(role, slot, parent.now.configuration, parent.now.listeners, link);
}

static struct process *spawn(enum role role, unsigned slot)
{
    int fds[2];
    sigset_t all, before;

    if (link_pair(fds) != 0) {
        log_warn("socketpair");
        return NULL;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        run_child(role, slot, fds[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    if (pid < 0) {
        log_warn("fork");
        close(fds[0]);
        return NULL;
    }
    struct process *process = memory_allocate(1, sizeof(*process));
    process->role = role;
    process->slot = slot;
    process->generation = parent.now.number;
    process->pid = pid;
    process->since = clock_monotonic();
    process->link = link_new(parent.base, fds[0], ROLE_PARENT, role, on_child_message, process);
    TAILQ_INSERT_TAIL(&parent.processes, process, next);
    introduce_all(process);
    return process;
}

static void on_retry(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    supervision_fill(argument);
}

static void fill_later(struct place *place, int64_t delay)
{
    struct timeval wait = {delay / 1000, (delay % 1000) * 1000};

    if (place->retry == NULL)
        place->retry = evtimer_new(parent.base, on_retry, place);
    if (place->retry != NULL)
        evtimer_add(place->retry, &wait);
}

bool supervision_wants(const struct place *place)
{
    return place->role != ROLE_PORTAL || parent.now.configuration->portal_listener_count > 0;
}

/* A registry that still drains keeps its place: there is one state file. */
static bool is_filled(const struct place *place)
{
    struct process *process;

    if (!supervision_wants(place))
        return true;
    if (place->role != ROLE_REGISTRY)
        return supervision_find_at(place) != NULL;
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_REGISTRY)
            return true;
    return false;
}

void supervision_fill(struct place *place)
{
    if (parent.stopping || is_filled(place))
        return;
    if (spawn(place->role, place->slot) == NULL)
        fill_later(place, BACKOFF_LONGEST / 10);
}

/* --- ending and replacing them --- */

void supervision_drain_process(struct process *process)
{
    static const struct timeval patience = {REGISTRY_PATIENCE, 0};

    process->state = PROCESS_DRAINING;
    if (process->link != NULL)
        link_send(process->link, MESSAGE_DRAIN, NULL, 0, -1);
    if (process->role == ROLE_REGISTRY)
        evtimer_add(parent.registry_timer, &patience);
}

/* Its successor waits for its place: one that hangs, on a disk that does not answer, must go. */
void supervision_end_registry(evutil_socket_t fd, short what, void *argument)
{
    struct process *process;

    (void)fd;
    (void)what;
    (void)argument;
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_REGISTRY && process->state == PROCESS_DRAINING) {
            log_warnx("the registry %d does not go: ended", (int)process->pid);
            kill(process->pid, SIGKILL);
        }
}

static void describe_death(const struct process *process, int status)
{
    bool killed = WIFSIGNALED(status);
    char text[160];

    snprintf(text, sizeof(text), "%s %u (pid %d) ended with %s %d%s", role_name(process->role),
             process->slot, (int)process->pid, killed ? "signal" : "status",
             killed ? WTERMSIG(status) : WEXITSTATUS(status),
             killed && WTERMSIG(status) == SIGSYS
                 ? " (SIGSYS): it made a system call that its role may not make"
                 : "");
    log_warnx("%s", text);
    supervision_report(EVENT_PROCESS, text);
}

/* At once for a process that had lived, then later and later. */
static void replace(struct place *place, int64_t lived)
{
    if (lived > BACKOFF_FORGET)
        place->deaths = 0;
    place->restarts++;
    if (place->deaths++ == 0) {
        supervision_fill(place);
        return;
    }
    int64_t delay = 50;
    for (unsigned i = 1; i < place->deaths && delay < BACKOFF_LONGEST; i++)
        delay *= 2;
    fill_later(place, delay < BACKOFF_LONGEST ? delay : BACKOFF_LONGEST);
}

void supervision_bury(struct process *process, int status)
{
    bool drained = process->state == PROCESS_DRAINING;
    bool refused = process->state == PROCESS_STARTING && WIFEXITED(status);
    int64_t lived = clock_monotonic() - process->since;
    struct place *place = find_place(process);

    TAILQ_REMOVE(&parent.processes, process, next);
    link_free(process->link);
    if (!drained)
        describe_death(process, status);
    if (refused && parent.reloading && !parent.stopping &&
        process->generation == parent.now.number) {
        char why[80];
        snprintf(why, sizeof(why), "the %s could not start: see the log", role_name(process->role));
        generation_abandon(why);
    } else if (refused && !parent.announced && !parent.stopping) {
        log_warnx("the %s could not start: stopping", role_name(process->role));
        parent.status = 1;
        event_base_loopbreak(parent.base);
    } else if (!parent.stopping && place != NULL) {
        if (drained)
            supervision_fill(place);
        else
            replace(place, lived);
    }
    free(process);
    supervision_report_processes();
}
