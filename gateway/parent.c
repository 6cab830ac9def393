/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent process: reads the configuration, opens the listening sockets, programs the kernel,
 * starts the others and replaces what dies. It parses nothing that comes from the network.
 *
 * A reload makes a new generation: configuration, sockets and rules first, then a new signer and
 * new workers beside the old ones. When any of that fails, or is not ready in time, the new
 * generation is taken back and the old one stays as it was. Once all of it works the old processes
 * drain, the old configuration is given up, and the registry is replaced by one with the new
 * configuration. The examiner has nothing of a configuration and stays.
 */
#include "gateway/process.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/child.h"
#include "gateway/listener.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/record.h"
#include "gateway/ruleset.h"

#define WORKERS_MAX       64
#define ROLES_ALONE       3     /* places before those of the workers */
#define DRAINING_LEAST    32    /* draining processes kept; over it the oldest is ended */
#define DRAINING_PARTS    4     /* but at least so many generations of them */
#define BACKOFF_LONGEST   5000  /* ms before a process that keeps dying is tried again */
#define BACKOFF_FORGET    30000 /* ms of life after which earlier deaths are forgotten */
#define RELOAD_PATIENCE   30 /* s that a new generation may take; `sekisho reload` waits longer */
#define REGISTRY_PATIENCE 5  /* s that a registry may take to go */
#define STOP_PATIENCE     3  /* s that draining may take when the daemon stops */

enum process_state { PROCESS_STARTING, PROCESS_READY, PROCESS_DRAINING };
static const char *const process_state_names[] = {"starting", "ready", "draining"};

struct process {
    TAILQ_ENTRY(process) next;
    enum role role;
    unsigned slot;
    unsigned generation;
    pid_t pid;
    enum process_state state;
    int64_t since; /* monotonic ms */
    struct link *link;
};

/* A place that must always be filled: signer, registry, examiner, worker 0 ... */
struct place {
    enum role role;
    unsigned slot;
    unsigned deaths; /* in a row */
    unsigned restarts;
    struct event *retry;
};

/* A configuration and what was opened for it, one socket for each listener. */
struct generation {
    struct configuration *configuration;
    int *listeners;
    unsigned number;
};

static struct {
    struct event_base *base;
    const struct daemon_options *options;
    struct generation now;
    struct generation before; /* while a reload is under way: what it goes back to if it fails */
    unsigned last_generation; /* the highest number; one that was taken back is not used again */
    unsigned reloads;
    int told; /* where the one who started us waits for a byte when we work, or -1 */
    TAILQ_HEAD(, process) processes;
    struct place places[ROLES_ALONE + WORKERS_MAX];
    size_t place_count;
    bool announced;    /* READY=1 was said once */
    bool reloading;    /* new workers are starting */
    bool reload_again; /* another was asked for meanwhile */
    bool stopping;
    int status;
    struct event *signals[5];
    struct event *impatience;
    struct event *reload_timer;
    struct event *registry_timer;
} parent;

static int64_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- what the registry is told --- */

static struct process *find(enum role role, unsigned slot)
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
static struct process *find_registry(void)
{
    return find_serving(ROLE_REGISTRY);
}

/* Whoever fills the place: one of the generation, or one that serves all of them. */
static struct process *find_at(const struct place *place)
{
    return place->role == ROLE_REGISTRY || place->role == ROLE_EXAMINER
               ? find_serving(place->role)
               : find(place->role, place->slot);
}

static void tell_registry(enum message_type type, const void *payload, size_t size)
{
    struct process *registry = find_registry();

    if (registry != NULL && registry->link != NULL)
        link_send(registry->link, type, payload, size, -1);
}

static void report(enum record_event event, const char *detail)
{
    struct record record;
    uint8_t packed[MESSAGE_MAX];

    record_init(&record, event);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    size_t size = record_pack(&record, packed, sizeof(packed));
    if (size > 0)
        tell_registry(MESSAGE_RECORD, packed, size);
}

static unsigned restarts_of(const struct process *process)
{
    for (size_t i = 0; i < parent.place_count; i++)
        if (parent.places[i].role == process->role && parent.places[i].slot == process->slot)
            return parent.places[i].restarts;
    return 0;
}

static void report_processes(void)
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
    tell_registry(MESSAGE_STATUS, text, used + 2);
}

static void answer_reload(bool success, const char *text)
{
    char payload[4096];
    size_t length = strlen(text);

    if (length > sizeof(payload) - 1)
        length = sizeof(payload) - 1;
    payload[0] = success;
    memcpy(payload + 1, text, length);
    tell_registry(MESSAGE_RELOAD_RESULT, payload, length + 1);
}

/* --- starting processes and joining them --- */

static void on_child_message(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd);

static bool are_peers(enum role a, enum role b)
{
    return (a == ROLE_WORKER) != (b == ROLE_WORKER);
}

static void introduce(struct process *a, struct process *b)
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

/*
 * A signer, who may have another CA, serves the workers of its own generation, and those that drain
 * once its generation is in force.
 */
static bool serves(const struct process *signer, const struct process *worker)
{
    return signer->generation == worker->generation ||
           (worker->state == PROCESS_DRAINING && !parent.reloading);
}

/*
 * Joins a new process with those it works with. A draining worker too gets a new signer and a new
 * registry; a draining signer or registry gets nobody.
 */
static void introduce_all(struct process *process)
{
    struct process *other;

    TAILQ_FOREACH (other, &parent.processes, next) {
        if (!are_peers(process->role, other->role) ||
            (other->state == PROCESS_DRAINING && other->role != ROLE_WORKER) ||
            (process->role == ROLE_SIGNER && !serves(process, other)) ||
            (other->role == ROLE_SIGNER && !serves(other, process)))
            continue;
        introduce(process, other);
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
    process->since = monotonic();
    process->link = link_new(parent.base, fds[0], on_child_message, process);
    TAILQ_INSERT_TAIL(&parent.processes, process, next);
    introduce_all(process);
    return process;
}

static void fill(struct place *place);

static void on_retry(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    fill(argument);
}

static void fill_later(struct place *place, int64_t delay)
{
    struct timeval wait = {delay / 1000, (delay % 1000) * 1000};

    if (place->retry == NULL)
        place->retry = evtimer_new(parent.base, on_retry, place);
    if (place->retry != NULL)
        evtimer_add(place->retry, &wait);
}

/* A registry that still drains keeps its place: there is one state file. */
static bool is_filled(const struct place *place)
{
    struct process *process;

    if (place->role != ROLE_REGISTRY)
        return find_at(place) != NULL;
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_REGISTRY)
            return true;
    return false;
}

static void fill(struct place *place)
{
    if (parent.stopping || is_filled(place))
        return;
    if (spawn(place->role, place->slot) == NULL)
        fill_later(place, BACKOFF_LONGEST / 10);
}

/* --- generations --- */

static void drain_process(struct process *process)
{
    static const struct timeval patience = {REGISTRY_PATIENCE, 0};

    process->state = PROCESS_DRAINING;
    if (process->link != NULL)
        link_send(process->link, MESSAGE_DRAIN, NULL, 0, -1);
    if (process->role == ROLE_REGISTRY)
        evtimer_add(parent.registry_timer, &patience);
}

/* Its successor waits for its place: one that hangs, on a disk that does not answer, must go. */
static void on_registry_hangs(evutil_socket_t fd, short what, void *argument)
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

static bool is_complete(void)
{
    for (size_t i = 0; i < parent.place_count; i++) {
        struct place *place = &parent.places[i];
        struct process *process = find_at(place);
        if (process == NULL || process->state != PROCESS_READY)
            return false;
    }
    return true;
}

/* Too many generations under way: the oldest that drains is ended. */
static void bound_draining(void)
{
    size_t most = DRAINING_PARTS * parent.place_count;
    struct process *process, *oldest;
    size_t count;

    if (most < DRAINING_LEAST)
        most = DRAINING_LEAST;
    do {
        count = 0;
        oldest = NULL;
        TAILQ_FOREACH (process, &parent.processes, next)
            if (process->state == PROCESS_DRAINING) {
                if (oldest == NULL && process->link != NULL)
                    oldest = process;
                if (process->link != NULL)
                    count++;
            }
        if (count > most && oldest != NULL) {
            log_warnx("process %d still drains after many reloads: ended", (int)oldest->pid);
            kill(oldest->pid, SIGKILL);
            link_free(oldest->link);
            oldest->link = NULL;
        }
    } while (count > most);
}

static bool is_kept(int fd, const struct generation *generation)
{
    for (size_t i = 0;
         generation->configuration != NULL && i < generation->configuration->listener_count; i++)
        if (generation->listeners[i] == fd)
            return true;
    return false;
}

/* Gives a generation up, with its sockets but those that `kept` has too. */
static void free_generation(struct generation *generation, const struct generation *kept)
{
    for (size_t i = 0;
         generation->configuration != NULL && i < generation->configuration->listener_count; i++)
        if (!is_kept(generation->listeners[i], kept))
            close(generation->listeners[i]);
    free(generation->listeners);
    configuration_free(generation->configuration);
    *generation = (struct generation){.number = 0};
}

/* The old processes finish what they have; their workers get the new signer for it. */
static void retire_before(void)
{
    struct process *process, *signer = find(ROLE_SIGNER, 0);

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->generation != parent.now.number && process->role != ROLE_REGISTRY &&
            process->role != ROLE_EXAMINER && process->state != PROCESS_DRAINING)
            drain_process(process);
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->generation != parent.now.number && process->role == ROLE_WORKER)
            introduce(signer, process);
    free_generation(&parent.before, &parent.now);
}

static void reload(void);

/*
 * Tells what became of a reload. Whoever asked for another one meanwhile gets the answer to that:
 * the file may have changed since.
 */
static void settle_reload(bool success, const char *text)
{
    report(EVENT_RELOAD, text);
    notify_send(success ? "READY=1\nSTATUS=reloaded"
                        : "READY=1\nSTATUS=a new configuration was refused");
    if (parent.reload_again) {
        parent.reload_again = false;
        reload();
    } else {
        answer_reload(success, text);
    }
}

/* All of the new generation work: the old one may go. */
static void finish_reload(void)
{
    struct process *registry;

    parent.reloading = false;
    parent.reloads++;
    evtimer_del(parent.reload_timer);
    retire_before();
    bound_draining();
    log_info("reloaded: generation %u", parent.now.number);
    settle_reload(true, "the new configuration is in force");
    /* Its place is filled when it is gone. During another reload it is still asked for the answer.
     */
    registry = find_registry();
    if (!parent.reloading && registry != NULL && registry->generation != parent.now.number)
        drain_process(registry);
}

/* The command that put us into the background ends with success. */
static void tell_starter(void)
{
    if (parent.told < 0)
        return;
    if (write(parent.told, "", 1) != 1)
        log_warn("who started the daemon is gone");
    close(parent.told);
    parent.told = -1;
}

static void on_complete(void)
{
    report_processes();
    if (!is_complete())
        return;
    if (!parent.announced) {
        parent.announced = true;
        report(EVENT_START, parent.now.configuration->policy.mode == MODE_OBSERVE
                                ? "observe mode: NOTHING IS BLOCKED"
                                : "enforce mode");
        notify_send("READY=1\nSTATUS=running");
        log_info("ready");
        tell_starter();
    }
    if (parent.reloading)
        finish_reload();
}

static void set_places(void)
{
    static const enum role alone[ROLES_ALONE] = {ROLE_REGISTRY, ROLE_SIGNER, ROLE_EXAMINER};
    unsigned workers = parent.now.configuration->workers;

    if (workers > WORKERS_MAX)
        workers = WORKERS_MAX;
    size_t wanted = ROLES_ALONE + workers;
    for (size_t i = wanted; i < parent.place_count; i++)
        if (parent.places[i].retry != NULL)
            event_free(parent.places[i].retry);
    /* Places that are no more are forgotten; new ones have no history. */
    for (size_t i = parent.place_count; i < wanted; i++)
        parent.places[i] =
            (struct place){.role = i < ROLES_ALONE ? alone[i] : ROLE_WORKER,
                           .slot = i < ROLES_ALONE ? 0 : (unsigned)(i - ROLES_ALONE)};
    parent.place_count = wanted;
}

static void start_generation(void)
{
    set_places();
    for (size_t i = 0; i < parent.place_count; i++)
        fill(&parent.places[i]);
}

/* What configuration_read() says, for standard error and for the one who asked. */
struct complaints {
    char text[2048];
    size_t used;
};

static void complain(void *context, const char *line)
{
    struct complaints *complaints = context;
    int more =
        snprintf(complaints->text + complaints->used, sizeof(complaints->text) - complaints->used,
                 "%s%s", complaints->used > 0 ? "; " : "", line);

    log_warnx("%s", line);
    if (more > 0 && (size_t)more < sizeof(complaints->text) - complaints->used)
        complaints->used += (size_t)more;
    else
        complaints->text[complaints->used] = '\0';
}

static int find_listener(const struct listener_options *wanted)
{
    if (parent.now.configuration == NULL)
        return -1;
    for (size_t i = 0; i < parent.now.configuration->listener_count; i++)
        if (listener_is_same(&parent.now.configuration->listeners[i], wanted))
            return parent.now.listeners[i];
    return -1;
}

/* The sockets of the new configuration: the old ones where they fit. NULL with a message. */
static int *open_listeners(const struct configuration *next, char *error, size_t size)
{
    int *sockets = memory_allocate(next->listener_count + 1, sizeof(*sockets));

    for (size_t i = 0; i < next->listener_count; i++) {
        int shared = find_listener(&next->listeners[i]);
        sockets[i] = shared >= 0 ? shared : listener_open(&next->listeners[i], error, size);
        if (sockets[i] >= 0)
            continue;
        while (i-- > 0)
            if (find_listener(&next->listeners[i]) < 0)
                close(sockets[i]);
        free(sockets);
        return NULL;
    }
    return sockets;
}

static bool manages_rules(const struct configuration *configuration)
{
    for (size_t i = 0; i < configuration->listener_count; i++)
        if (configuration->listeners[i].transparent)
            return configuration->manage_rules;
    return false;
}

/* The rules as they were before those of `failed` were put in place, or half of them. */
static void restore_rules(const struct configuration *failed)
{
    const struct configuration *good = parent.now.configuration;
    char error[512];
    int result = 0;

    if (good != NULL && manages_rules(good))
        result = ruleset_install(good, error, sizeof(error));
    else if (good != NULL && manages_rules(failed))
        result = ruleset_remove(failed, error, sizeof(error));
    if (result != 0)
        log_warnx("the rules of the old configuration cannot be put back: %s", error);
}

/* Every user that a role wants, before anything is started. */
static bool users_exist(const struct configuration *configuration, char *error, size_t size)
{
    if (geteuid() != 0 || !configuration->separate_users)
        return true;
    for (enum role role = ROLE_SIGNER; role <= ROLE_EXAMINER; role++) {
        const struct role_operations *operations = role_find(role);
        if (operations->user != NULL && getpwnam(operations->user) == NULL) {
            snprintf(
                error, size,
                "there is no user %s: make it with systemd-sysusers or useradd --system, or set "
                "process.separate-users = false",
                operations->user);
            return false;
        }
    }
    return true;
}

/*
 * Reads and checks the configuration and makes it that of a new generation. False, with the old one
 * in force, when anything is wrong.
 */
static bool take_configuration(struct complaints *complaints)
{
    char error[512] = "";
    struct generation next = {.number = parent.last_generation + 1};

    next.configuration = configuration_read(parent.options->path, complain, complaints);
    if (next.configuration == NULL)
        return false;
    if (!users_exist(next.configuration, error, sizeof(error)) ||
        (next.listeners = open_listeners(next.configuration, error, sizeof(error))) == NULL) {
        complain(complaints, error);
        configuration_free(next.configuration);
        return false;
    }
    if (manages_rules(next.configuration) &&
        ruleset_install(next.configuration, error, sizeof(error)) != 0) {
        complain(complaints, error);
        restore_rules(next.configuration);
        free_generation(&next, &parent.now);
        return false;
    }
    parent.before = parent.now;
    parent.now = next;
    parent.last_generation = next.number;
    return true;
}

/* Says why the old configuration stays. */
static void refuse_reload(const char *why)
{
    char text[2200];

    snprintf(text, sizeof(text), "refused, the old configuration stays: %s", why);
    log_warnx("reload %s", text);
    settle_reload(false, text);
}

static void reload(void)
{
    static const struct timeval patience = {RELOAD_PATIENCE, 0};
    struct complaints complaints = {.used = 0};

    if (parent.stopping)
        return;
    if (parent.reloading) {
        parent.reload_again = true;
        return;
    }
    notify_send("RELOADING=1");
    if (!take_configuration(&complaints)) {
        refuse_reload(complaints.text);
        return;
    }
    parent.reloading = true;
    evtimer_add(parent.reload_timer, &patience);
    start_generation();
}

/* The new generation does not come about: it is taken back. */
static void abandon_reload(const char *why)
{
    struct generation failed = parent.now;
    struct process *process;

    parent.reloading = false;
    evtimer_del(parent.reload_timer);
    parent.now = parent.before;
    parent.before = (struct generation){.number = 0};
    TAILQ_FOREACH (process, &parent.processes, next) {
        if (process->generation != failed.number || process->state == PROCESS_DRAINING ||
            process->role == ROLE_EXAMINER)
            continue;
        drain_process(process);
        if (process->role != ROLE_REGISTRY)
            kill(process->pid, SIGKILL); /* nobody relies on it yet */
    }
    restore_rules(failed.configuration);
    free_generation(&failed, &parent.now);
    start_generation(); /* what of the old one died meanwhile */
    refuse_reload(why);
}

static void on_reload_late(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    if (parent.reloading && !parent.stopping)
        abandon_reload("the new processes were not ready in time: see the log");
}

/* --- what happens to the children --- */

static void on_child_message(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd)
{
    struct process *process = context;

    (void)link;
    (void)payload;
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
            on_complete();
        }
        break;
    case MESSAGE_RELOAD:
        /* One that is going away could not pass on the answer: its client asks its successor. */
        if (process->role == ROLE_REGISTRY && process->state != PROCESS_DRAINING)
            reload();
        break;
    default:
        log_warnx("%s %u sent %s: ended", role_name(process->role), process->slot,
                  message_name(type));
        kill(process->pid, SIGKILL);
    }
}

static struct place *find_place(const struct process *process)
{
    for (size_t i = 0; i < parent.place_count; i++)
        if (parent.places[i].role == process->role && parent.places[i].slot == process->slot)
            return &parent.places[i];
    return NULL;
}

static void describe_death(const struct process *process, int status)
{
    char text[160];

    snprintf(text, sizeof(text), "%s %u (pid %d) ended with %s %d", role_name(process->role),
             process->slot, (int)process->pid, WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    log_warnx("%s", text);
    report(EVENT_PROCESS, text);
}

/* At once for a process that had lived, then later and later. */
static void replace(struct place *place, int64_t lived)
{
    if (lived > BACKOFF_FORGET)
        place->deaths = 0;
    place->restarts++;
    if (place->deaths++ == 0) {
        fill(place);
        return;
    }
    int64_t delay = 50;
    for (unsigned i = 1; i < place->deaths && delay < BACKOFF_LONGEST; i++)
        delay *= 2;
    fill_later(place, delay < BACKOFF_LONGEST ? delay : BACKOFF_LONGEST);
}

static void bury(struct process *process, int status)
{
    bool drained = process->state == PROCESS_DRAINING;
    bool refused = process->state == PROCESS_STARTING && WIFEXITED(status);
    int64_t lived = monotonic() - process->since;
    struct place *place = find_place(process);

    TAILQ_REMOVE(&parent.processes, process, next);
    link_free(process->link);
    if (!drained)
        describe_death(process, status);
    if (refused && parent.reloading && !parent.stopping &&
        process->generation == parent.now.number) {
        char why[80];
        snprintf(why, sizeof(why), "the %s could not start: see the log", role_name(process->role));
        abandon_reload(why);
    } else if (refused && !parent.announced && !parent.stopping) {
        log_warnx("the %s could not start: stopping", role_name(process->role));
        parent.status = 1;
        event_base_loopbreak(parent.base);
    } else if (!parent.stopping && place != NULL) {
        if (drained)
            fill(place);
        else
            replace(place, lived);
    }
    free(process);
    report_processes();
}

static bool workers_left(void)
{
    struct process *process;

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_WORKER)
            return true;
    return false;
}

static void on_child_death(evutil_socket_t number, short what, void *argument)
{
    int status;
    pid_t pid;

    (void)number;
    (void)what;
    (void)argument;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *process;
        TAILQ_FOREACH (process, &parent.processes, next)
            if (process->pid == pid) {
                bury(process, status);
                break;
            }
    }
    if (parent.stopping && !workers_left())
        event_base_loopbreak(parent.base);
}

/* --- stopping --- */

static void on_impatience(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    event_base_loopbreak(parent.base);
}

static void on_stop(evutil_socket_t number, short what, void *argument)
{
    struct timeval patience = {STOP_PATIENCE, 0};
    struct process *process;

    (void)number;
    (void)what;
    (void)argument;
    if (parent.stopping) { /* asked twice: at once */
        event_base_loopbreak(parent.base);
        return;
    }
    parent.stopping = true;
    notify_send("STOPPING=1");
    report(EVENT_STOP, NULL);
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_WORKER) {
            process->state = PROCESS_DRAINING;
            kill(process->pid, SIGTERM);
        }
    parent.impatience = evtimer_new(parent.base, on_impatience, NULL);
    if (parent.impatience == NULL || !workers_left())
        event_base_loopbreak(parent.base);
    else
        evtimer_add(parent.impatience, &patience);
}

static void on_reload_signal(evutil_socket_t number, short what, void *argument)
{
    (void)number;
    (void)what;
    (void)argument;
    reload();
}

static void forget(struct process *process)
{
    TAILQ_REMOVE(&parent.processes, process, next);
    link_free(process->link);
    free(process);
}

/* Takes away those that have ended. True when none is left. */
static bool reap_all(void)
{
    struct process *process, *after;

    for (process = TAILQ_FIRST(&parent.processes); process != NULL; process = after) {
        after = TAILQ_NEXT(process, next);
        if (waitpid(process->pid, NULL, WNOHANG) != 0)
            forget(process);
    }
    return TAILQ_EMPTY(&parent.processes);
}

/* The workers first, the registry last: it writes what the others still had to say. */
static void end_all(void)
{
    struct process *process, *after;
    struct timespec pause = {0, 20 * 1000 * 1000};

    for (process = TAILQ_FIRST(&parent.processes); process != NULL; process = after) {
        after = TAILQ_NEXT(process, next);
        if (process->role == ROLE_REGISTRY)
            continue;
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        forget(process);
    }
    TAILQ_FOREACH (process, &parent.processes, next)
        drain_process(process);
    for (int turn = 0; turn < 100 && !reap_all(); turn++)
        nanosleep(&pause, NULL);
    while ((process = TAILQ_FIRST(&parent.processes)) != NULL) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        forget(process);
    }
}

static void add_events(void)
{
    static const struct {
        int number;
        event_callback_fn handler;
    } rows[] = {{SIGCHLD, on_child_death},
                {SIGTERM, on_stop},
                {SIGINT, on_stop},
                {SIGHUP, on_reload_signal}};

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parent.signals[i] = evsignal_new(parent.base, rows[i].number, rows[i].handler, NULL);
        if (parent.signals[i] == NULL || event_add(parent.signals[i], NULL) != 0)
            fatal("no memory for signals");
    }
    parent.reload_timer = evtimer_new(parent.base, on_reload_late, NULL);
    parent.registry_timer = evtimer_new(parent.base, on_registry_hangs, NULL);
    if (parent.reload_timer == NULL || parent.registry_timer == NULL)
        fatal("no memory for timers");
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void release_everything(void)
{
    for (size_t i = 0; i < parent.place_count; i++)
        if (parent.places[i].retry != NULL)
            event_free(parent.places[i].retry);
    for (size_t i = 0; i < sizeof(parent.signals) / sizeof(parent.signals[0]); i++)
        if (parent.signals[i] != NULL)
            event_free(parent.signals[i]);
    if (parent.impatience != NULL)
        event_free(parent.impatience);
    event_free(parent.reload_timer);
    event_free(parent.registry_timer);
    free_generation(&parent.before, &parent.now);
    free_generation(&parent.now, &parent.before);
    event_base_free(parent.base);
}

int parent_run(const struct daemon_options *options)
{
    struct complaints complaints = {.used = 0};
    char error[512] = "";

    log_init("parent");
    raise_descriptor_limit();
    TAILQ_INIT(&parent.processes);
    parent.options = options;
    parent.told = options->told;
    if (!take_configuration(&complaints))
        return 1;
    parent.base = event_base_new();
    if (parent.base == NULL)
        fatal("no event loop");
    add_events();
    start_generation();
    event_base_dispatch(parent.base);
    end_all();
    if (parent.now.configuration->remove_on_stop && parent.status == 0 &&
        ruleset_remove(parent.now.configuration, error, sizeof(error)) != 0)
        log_warnx("%s", error);
    release_everything();
    return parent.status;
}
