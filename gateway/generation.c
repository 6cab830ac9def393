/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generations of the parent: a configuration that is read and checked, the sockets and the
 * rules that belong to it, and the reload that puts a new one in the place of the old.
 *
 * A reload makes a new generation: configuration, sockets and rules first, then a new signer, a new
 * fetcher and new workers beside the old ones. When any of that fails, or is not ready in time, the
 * new generation is taken back and the old one stays as it was. Once all of it works the old
 * processes drain, the old configuration is given up, and the registry is replaced by one with the
 * new configuration. The examiner has nothing of a configuration and stays.
 */
#include "gateway/parent_private.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/child.h"
#include "gateway/confinement.h"
#include "gateway/dns.h"
#include "gateway/listener.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/ruleset.h"

#define DRAINING_LEAST  32 /* draining processes kept; over it the oldest is ended */
#define DRAINING_PARTS  4  /* but at least so many generations of them */
#define RELOAD_PATIENCE 30 /* s that a new generation may take; `sekisho reload` waits longer */

/* --- its places, its sockets and its rules --- */

static void set_places(void)
{
    static const enum role alone[ROLES_ALONE] = {ROLE_REGISTRY, ROLE_SIGNER, ROLE_EXAMINER,
                                                 ROLE_PORTAL, ROLE_FETCHER};
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

void generation_start(void)
{
    set_places();
    for (size_t i = 0; i < parent.place_count; i++)
        supervision_fill(&parent.places[i]);
}

/* The listeners, then the portal's. */
static size_t socket_count(const struct configuration *configuration)
{
    return configuration->listener_count + configuration->portal_listener_count;
}

static const struct listener_options *socket_options(const struct configuration *configuration,
                                                     size_t i)
{
    return i < configuration->listener_count
               ? &configuration->listeners[i]
               : &configuration->portal_listeners[i - configuration->listener_count];
}

static bool is_kept(int fd, const struct generation *generation)
{
    for (size_t i = 0;
         generation->configuration != NULL && i < socket_count(generation->configuration); i++)
        if (generation->listeners[i] == fd)
            return true;
    return false;
}

/* Gives a generation up, with its sockets but those that `kept` has too. */
void generation_free(struct generation *generation, const struct generation *kept)
{
    for (size_t i = 0;
         generation->configuration != NULL && i < socket_count(generation->configuration); i++)
        if (!is_kept(generation->listeners[i], kept))
            close(generation->listeners[i]);
    free(generation->listeners);
    configuration_free(generation->configuration);
    *generation = (struct generation){.number = 0};
}

static int find_listener(const struct listener_options *wanted)
{
    const struct configuration *now = parent.now.configuration;

    if (now == NULL)
        return -1;
    for (size_t i = 0; i < socket_count(now); i++)
        if (listener_is_same(socket_options(now, i), wanted))
            return parent.now.listeners[i];
    return -1;
}

/* The sockets of the new configuration: the old ones where they fit. NULL with a message. */
static int *open_listeners(const struct configuration *next, char *error, size_t size)
{
    size_t count = socket_count(next);
    int *sockets = memory_allocate(count + 1, sizeof(*sockets));

    for (size_t i = 0; i < count; i++) {
        int shared = find_listener(socket_options(next, i));
        sockets[i] = shared >= 0 ? shared : listener_open(socket_options(next, i), error, size);
        if (sockets[i] >= 0)
            continue;
        while (i-- > 0)
            if (find_listener(socket_options(next, i)) < 0)
                close(sockets[i]);
        free(sockets);
        return NULL;
    }
    return sockets;
}

/* The rules as they were before those of `failed` were put in place, or half of them. */
static void restore_rules(const struct configuration *failed)
{
    const struct configuration *good = parent.now.configuration;
    char error[512];
    int result = 0;

    if (good != NULL && boundary_is_ours(good))
        result = ruleset_install(good, error, sizeof(error));
    else if (good != NULL && boundary_is_ours(failed))
        result = ruleset_remove(failed, error, sizeof(error));
    if (result != 0)
        log_warnx("the rules of the old configuration cannot be put back: %s", error);
    else if (good != NULL)
        boundary_renew();
}

/* --- the configuration --- */

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

/* Every user that a role wants, before anything is started. */
static bool users_exist(const struct configuration *configuration, char *error, size_t size)
{
    if (geteuid() != 0 || !configuration->separate_users)
        return true;
    for (enum role role = ROLE_SIGNER; role < ROLE_COUNT; role++) {
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
bool generation_take_configuration(struct complaints *complaints)
{
    char error[512] = "";
    struct generation next = {.number = parent.last_generation + 1};

    next.configuration = configuration_read(parent.options->path, complain, complaints);
    if (next.configuration == NULL)
        return false;
    if (!users_exist(next.configuration, error, sizeof(error)) ||
        !confinement_allows(next.configuration, error, sizeof(error)) ||
        (next.listeners = open_listeners(next.configuration, error, sizeof(error))) == NULL) {
        complain(complaints, error);
        configuration_free(next.configuration);
        return false;
    }
    if (boundary_is_ours(next.configuration) &&
        ruleset_install(next.configuration, error, sizeof(error)) != 0) {
        complain(complaints, error);
        restore_rules(next.configuration);
        generation_free(&next, &parent.now);
        return false;
    }
    parent.before = parent.now;
    parent.now = next;
    parent.last_generation = next.number;
    boundary_renew();
    return true;
}

/* --- in force --- */

static bool is_complete(void)
{
    for (size_t i = 0; i < parent.place_count; i++) {
        struct place *place = &parent.places[i];
        if (!supervision_wants(place))
            continue;
        struct process *process = supervision_find_at(place);
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

/* The old processes finish what they have; their workers get the new signer and fetcher for it. */
static void retire_before(void)
{
    struct process *process, *signer = supervision_find(ROLE_SIGNER, 0),
                             *fetcher = supervision_find(ROLE_FETCHER, 0);

    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->generation != parent.now.number && process->role != ROLE_REGISTRY &&
            process->role != ROLE_EXAMINER && process->state != PROCESS_DRAINING)
            supervision_drain_process(process);
    TAILQ_FOREACH (process, &parent.processes, next)
        if (process->generation != parent.now.number && process->role == ROLE_WORKER) {
            supervision_introduce(signer, process);
            supervision_introduce(fetcher, process);
        }
    generation_free(&parent.before, &parent.now);
}

/*
 * Tells what became of a reload. Whoever asked for another one meanwhile gets the answer to that:
 * the file may have changed since.
 */
static void settle_reload(bool success, const char *text)
{
    supervision_report(EVENT_RELOAD, text);
    notify_send(success ? "READY=1\nSTATUS=reloaded"
                        : "READY=1\nSTATUS=a new configuration was refused");
    if (parent.reload_again) {
        parent.reload_again = false;
        generation_reload();
    } else {
        supervision_answer_reload(success, text);
    }
}

/* What dnsmasq is to know of the configuration, once that is in force. Restarting it is its service
 * manager's part, who watches the file. */
static void update_dns(void)
{
    const struct configuration *configuration = parent.now.configuration;
    char error[512];
    bool changed;

    if (configuration->dns_file[0] == '\0')
        return;
    if (!dns_update(configuration, configuration->dns_file, &changed, error, sizeof(error))) {
        log_warnx("%s", error);
        supervision_report(EVENT_ERROR, error);
    } else if (changed) {
        log_info("%s has changed: dnsmasq must be restarted", configuration->dns_file);
    }
}

/* All of the new generation work: the old one may go. */
static void finish_reload(void)
{
    struct process *registry;

    parent.reloading = false;
    parent.reloads++;
    evtimer_del(parent.reload_timer);
    update_dns();
    retire_before();
    bound_draining();
    log_info("reloaded: generation %u", parent.now.number);
    settle_reload(true, "the new configuration is in force");
    /* Its place is filled when it is gone. During another reload it is still asked for the answer.
     */
    registry = supervision_find_registry();
    if (!parent.reloading && registry != NULL && registry->generation != parent.now.number)
        supervision_drain_process(registry);
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

void generation_note_ready(void)
{
    supervision_report_processes();
    if (!is_complete())
        return;
    if (!parent.announced) {
        parent.announced = true;
        update_dns();
        supervision_report(EVENT_START, parent.now.configuration->policy.mode == MODE_OBSERVE
                                            ? "observe mode: NOTHING IS BLOCKED"
                                            : "enforce mode");
        notify_send("READY=1\nSTATUS=running");
        log_info("ready");
        tell_starter();
    }
    if (parent.reloading)
        finish_reload();
}

/* --- reloading --- */

/* Says why the old configuration stays. */
static void refuse_reload(const char *why)
{
    char text[2200];

    snprintf(text, sizeof(text), "refused, the old configuration stays: %s", why);
    log_warnx("reload %s", text);
    settle_reload(false, text);
}

void generation_reload(void)
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
    if (!generation_take_configuration(&complaints)) {
        refuse_reload(complaints.text);
        return;
    }
    parent.reloading = true;
    evtimer_add(parent.reload_timer, &patience);
    generation_start();
}

/* The new generation does not come about: it is taken back. */
void generation_abandon(const char *why)
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
        supervision_drain_process(process);
        if (process->role != ROLE_REGISTRY)
            kill(process->pid, SIGKILL); /* nobody relies on it yet */
    }
    restore_rules(failed.configuration);
    generation_free(&failed, &parent.now);
    generation_start(); /* what of the old one died meanwhile */
    refuse_reload(why);
}

void generation_expire_reload(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    if (parent.reloading && !parent.stopping)
        generation_abandon("the new processes were not ready in time: see the log");
}
