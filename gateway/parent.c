/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent process: reads the configuration, opens the listening sockets, programs the kernel,
 * starts the others and replaces what dies. It parses nothing that comes from the network.
 *
 * A reload makes a new generation: configuration, sockets and rules first, and when any of them
 * fails the old generation stays as it is. Then a new signer and new workers are started; once all
 * of them are ready the old ones drain and the registry is replaced by one with the new
 * configuration.
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

#define WORKERS_MAX     64
#define DRAINING_MAX    (16 * 2) /* draining processes kept; over it the oldest is ended */
#define BACKOFF_LONGEST 5000     /* ms before a process that keeps dying is tried again */
#define BACKOFF_FORGET  30000    /* ms of life after which earlier deaths are forgotten */
#define STOP_PATIENCE   3        /* s that draining may take when the daemon stops */

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

/* A place that must always be filled: signer, registry, worker 0 ... */
struct place {
    enum role role;
    unsigned slot;
    unsigned deaths; /* in a row */
    unsigned restarts;
    struct event *retry;
};

static struct {
    struct event_base *base;
    const struct daemon_options *options;
    struct configuration *configuration;
    int *listeners;
    unsigned generation;
    unsigned reloads;
    TAILQ_HEAD(, process) processes;
    struct place places[2 + WORKERS_MAX];
    size_t place_count;
    bool announced; /* READY=1 was said once */
    bool reloading; /* new workers are starting */
    bool stopping;
    int status;
    struct event *signals[5];
    struct event *impatience;
} parent;

static int64_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- what the registry is told --- */

static struct process *find(enum role role, unsigned slot, bool draining_too)
{
    struct process *process;

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == role && process->slot == slot &&
            process->generation == parent.generation &&
            (draining_too || process->state != PROCESS_DRAINING))
            return process;
    return NULL;
}

/* The registry that serves now: during a reload still the one of the generation before. */
static struct process *find_registry(void)
{
    struct process *process;

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->role == ROLE_REGISTRY && process->state != PROCESS_DRAINING)
            return process;
    return NULL;
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
                            parent.generation, parent.reloads, (int)getpid(), parent.generation);
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
    return (a == ROLE_WORKER && (b == ROLE_SIGNER || b == ROLE_REGISTRY)) ||
           (b == ROLE_WORKER && (a == ROLE_SIGNER || a == ROLE_REGISTRY));
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
 * Joins a new process with those it works with. A draining worker too gets a new signer and a new
 * registry; a draining signer or registry gets nobody.
 */
static void introduce_all(struct process *process)
{
    struct process *other;

    TAILQ_FOREACH (other, &parent.processes, next)
        if (other != process && are_peers(process->role, other->role) &&
            (other->state != PROCESS_DRAINING || other->role == ROLE_WORKER) &&
            !(process->role == ROLE_WORKER && other->role == ROLE_SIGNER &&
              other->generation != process->generation))
            introduce(process, other);
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
    child_main(role, slot, parent.configuration, parent.listeners, link);
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
    process->generation = parent.generation;
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

static void fill(struct place *place)
{
    if (parent.stopping)
        return;
    if (place->role == ROLE_REGISTRY ? find_registry() != NULL
                                     : find(place->role, place->slot, false) != NULL)
        return;
    if (spawn(place->role, place->slot) == NULL)
        fill_later(place, BACKOFF_LONGEST / 10);
}

/* --- generations --- */

static void drain_process(struct process *process)
{
    process->state = PROCESS_DRAINING;
    if (process->link != NULL)
        link_send(process->link, MESSAGE_DRAIN, NULL, 0, -1);
}

static bool is_complete(void)
{
    for (size_t i = 0; i < parent.place_count; i++) {
        struct place *place = &parent.places[i];
        struct process *process =
            place->role == ROLE_REGISTRY ? find_registry() : find(place->role, place->slot, false);
        if (process == NULL || process->state != PROCESS_READY)
            return false;
    }
    return true;
}

/* Too many generations under way: the oldest that drains is ended. */
static void bound_draining(void)
{
    struct process *process, *oldest;
    unsigned count;

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
        if (count > DRAINING_MAX && oldest != NULL) {
            log_warnx("process %d still drains after many reloads: ended", (int)oldest->pid);
            kill(oldest->pid, SIGKILL);
            link_free(oldest->link);
            oldest->link = NULL;
        }
    } while (count > DRAINING_MAX);
}

/* All of the new generation work: the old one may go. */
static void finish_reload(void)
{
    struct process *process, *registry = find_registry();

    parent.reloading = false;
    parent.reloads++;
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->generation != parent.generation && process->role != ROLE_REGISTRY &&
            process->state != PROCESS_DRAINING)
            drain_process(process);
    report(EVENT_RELOAD, "the new configuration is in force");
    answer_reload(true, "the new configuration is in force");
    if (registry != NULL && registry->generation != parent.generation)
        drain_process(registry); /* its place is filled when it is gone: there is one state file */
    bound_draining();
    notify_send("READY=1\nSTATUS=reloaded");
}

static void on_complete(void)
{
    report_processes();
    if (!is_complete())
        return;
    if (!parent.announced) {
        parent.announced = true;
        report(EVENT_START, parent.configuration->policy.mode == MODE_OBSERVE
                                ? "observe mode: NOTHING IS BLOCKED"
                                : "enforce mode");
        notify_send("READY=1\nSTATUS=running");
        log_info("ready");
    }
    if (parent.reloading)
        finish_reload();
}

static void set_places(void)
{
    unsigned workers = parent.configuration->workers;

    if (workers > WORKERS_MAX)
        workers = WORKERS_MAX;
    size_t wanted = 2 + workers;
    for (size_t i = wanted; i < parent.place_count; i++)
        if (parent.places[i].retry != NULL)
            event_free(parent.places[i].retry);
    for (size_t i = parent.place_count; i < wanted; i++)
        parent.places[i] = (struct place){.role = i == 0   ? ROLE_REGISTRY
                                                  : i == 1 ? ROLE_SIGNER
                                                           : ROLE_WORKER,
                                          .slot = i < 2 ? 0 : (unsigned)(i - 2)};
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
    if (parent.configuration == NULL)
        return -1;
    for (size_t i = 0; i < parent.configuration->listener_count; i++)
        if (listener_is_same(&parent.configuration->listeners[i], wanted))
            return parent.listeners[i];
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

static bool is_kept(int fd, const int *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sockets[i] == fd)
            return true;
    return false;
}

static void close_listeners_except(const int *sockets, size_t count)
{
    if (parent.configuration == NULL)
        return;
    for (size_t i = 0; i < parent.configuration->listener_count; i++)
        if (!is_kept(parent.listeners[i], sockets, count))
            close(parent.listeners[i]);
}

static bool has_transparent(const struct configuration *configuration)
{
    for (size_t i = 0; i < configuration->listener_count; i++)
        if (configuration->listeners[i].transparent)
            return true;
    return false;
}

/* Every user that a role wants, before anything is started. */
static bool users_exist(const struct configuration *configuration, char *error, size_t size)
{
    if (geteuid() != 0 || !configuration->separate_users)
        return true;
    for (enum role role = ROLE_SIGNER; role <= ROLE_REGISTRY; role++) {
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
 * Reads, checks and takes over the configuration. False, with the old one untouched, when anything
 * is wrong: everything that can fail is done before anything is given up.
 */
static bool take_configuration(struct complaints *complaints)
{
    char error[512] = "";
    struct configuration *next = configuration_read(parent.options->path, complain, complaints);

    if (next == NULL)
        return false;
    int *sockets = NULL;
    if (!users_exist(next, error, sizeof(error)) ||
        (sockets = open_listeners(next, error, sizeof(error))) == NULL)
        goto fail;
    if (next->manage_rules && has_transparent(next) &&
        ruleset_install(next, error, sizeof(error)) != 0) {
        for (size_t i = 0; i < next->listener_count; i++)
            if (find_listener(&next->listeners[i]) < 0)
                close(sockets[i]);
        goto fail;
    }
    close_listeners_except(sockets, next->listener_count);
    free(parent.listeners);
    configuration_free(parent.configuration);
    parent.listeners = sockets;
    parent.configuration = next;
    parent.generation++;
    return true;
fail:
    complain(complaints, error);
    free(sockets);
    configuration_free(next);
    return false;
}

static void reload(void)
{
    struct complaints complaints = {.used = 0};

    if (parent.stopping)
        return;
    if (parent.reloading) {
        answer_reload(false, "a reload is under way");
        return;
    }
    notify_send("RELOADING=1");
    if (!take_configuration(&complaints)) {
        char text[2200];
        snprintf(text, sizeof(text), "refused, the old configuration stays: %s", complaints.text);
        report(EVENT_RELOAD, text);
        answer_reload(false, text);
        notify_send("READY=1\nSTATUS=a new configuration was refused");
        return;
    }
    parent.reloading = true;
    start_generation();
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
    if (refused && !parent.announced && !parent.stopping) {
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

/* The workers first, the registry last: it writes what the others still had to say. */
static void end_all(void)
{
    struct process *process, *after;
    struct timespec pause = {0, 20 * 1000 * 1000};

    for (process = TAILQ_FIRST(&parent.processes); process != NULL; process = after) {
        after = TAILQ_NEXT(process, next);
        if (process->role != ROLE_REGISTRY) {
            kill(process->pid, SIGKILL);
            waitpid(process->pid, NULL, 0);
        } else {
            drain_process(process);
        }
    }
    for (int turn = 0; turn < 100; turn++) {
        bool left = false;
        TAILQ_FOREACH (process, &parent.processes, next)
            if (process->role == ROLE_REGISTRY && waitpid(process->pid, NULL, WNOHANG) == 0)
                left = true;
        if (!left)
            break;
        nanosleep(&pause, NULL);
    }
    while ((process = TAILQ_FIRST(&parent.processes)) != NULL) {
        TAILQ_REMOVE(&parent.processes, process, next);
        if (process->role == ROLE_REGISTRY)
            kill(process->pid, SIGKILL);
        link_free(process->link);
        free(process);
    }
}

static void add_signals(void)
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
    close_listeners_except(NULL, 0);
    free(parent.listeners);
    configuration_free(parent.configuration);
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
    if (!take_configuration(&complaints))
        return 1;
    parent.base = event_base_new();
    if (parent.base == NULL)
        fatal("no event loop");
    add_signals();
    start_generation();
    event_base_dispatch(parent.base);
    end_all();
    if (parent.configuration->remove_on_stop && parent.status == 0 &&
        ruleset_remove(parent.configuration, error, sizeof(error)) != 0)
        log_warnx("%s", error);
    release_everything();
    return parent.status;
}
