/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent process: its loop, its signals, and how the daemon starts and stops. It opens the
 * listening sockets, programs the kernel and starts the others; it parses nothing that comes from
 * the network. What it does for its children is in supervision.c, what belongs to a configuration
 * in generation.c.
 */
#include "gateway/parent_private.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "gateway/confinement.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/ruleset.h"

#define STOP_PATIENCE 3 /* s that draining may take when the daemon stops */

struct parent parent;

/* --- signals --- */

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
                supervision_bury(process, status);
                break;
            }
    }
    if (parent.stopping && !workers_left())
        event_base_loopbreak(parent.base);
}

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
    supervision_report(EVENT_STOP, NULL);
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
    generation_reload();
}

/* --- stopping --- */

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
        supervision_drain_process(process);
    for (int turn = 0; turn < 100 && !reap_all(); turn++)
        nanosleep(&pause, NULL);
    while ((process = TAILQ_FIRST(&parent.processes)) != NULL) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        forget(process);
    }
}

/* --- running --- */

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
    parent.reload_timer = evtimer_new(parent.base, generation_expire_reload, NULL);
    parent.registry_timer = evtimer_new(parent.base, supervision_end_registry, NULL);
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
    boundary_stop();
    generation_free(&parent.before, &parent.now);
    generation_free(&parent.now, &parent.before);
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
    if (!generation_take_configuration(&complaints))
        return 1;
    parent.base = event_base_new();
    if (parent.base == NULL)
        fatal("no event loop");
    add_events();
    if (confinement_enter(parent.now.configuration) != 0)
        fatal("the parent cannot be shut in");
    boundary_start();
    generation_start();
    event_base_dispatch(parent.base);
    end_all();
    if (parent.now.configuration->remove_on_stop && parent.status == 0 &&
        ruleset_remove(parent.now.configuration, error, sizeof(error)) != 0)
        log_warnx("%s", error);
    release_everything();
    return parent.status;
}
