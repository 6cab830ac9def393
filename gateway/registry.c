/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry process: the one that knows. It makes the state folder and the control socket while
 * it may, then serves the workers, the parent and the control program. What it knows is in
 * registry_state.c and its sisters.
 */
#include "gateway/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "filters/memory.h"
#include "gateway/control_commands.h"
#include "gateway/log.h"
#include "gateway/networks.h"

#define REGISTRY_USER   "_sekisho-registry"
#define DRAIN_TURN      20 /* ms between two looks whether everything was said */
#define DRAIN_TURNS     25
#define DRAIN_TURNS_MIN 2    /* what the workers and the parent sent last is read meanwhile */
#define LOCK_TURN       10   /* ms between two looks whether an earlier registry is gone */
#define LOCK_PATIENCE   2000 /* ms; nobody is served before */

/* Everything of the process: the state, and what prepare() opened for start(). */
struct registry_process {
    struct registry *registry;
    int control_fd;
    char *folder; /* the registry's own */
    struct networks *asn_database, *country_database;
    char *store_path;
    struct event *draining;
    unsigned turns;
    bool shut; /* the workers cannot send any more */
};

/* --- while still privileged --- */

/*
 * A file that an earlier run left under another user. Only a plain file with one name: the folder
 * is the registry's own, and what it could put there must not be given to it.
 */
static void give_file(int folder, const char *name, const struct passwd *user)
{
    struct stat status;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
        fchown(fd, user->pw_uid, user->pw_gid) != 0)
        log_warn("%s: cannot be given to %s", name, user->pw_name);
    close(fd);
}

static void give_folder(const char *path)
{
    static const char *const names[] = {"registry.db", "registry.db-wal", "registry.db-shm"};
    const struct passwd *user = getpwnam(REGISTRY_USER);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (folder < 0) {
        log_warn("%s", path);
        return;
    }
    if (user == NULL)
        log_warnx("there is no user %s", REGISTRY_USER);
    else if (fchown(folder, user->pw_uid, user->pw_gid) != 0)
        log_warn("%s: cannot be given to %s", path, REGISTRY_USER);
    for (size_t i = 0; user != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        give_file(folder, names[i], user);
    close(folder);
}

/*
 * <state>/registry, the registry's own, within the state folder, root's. When it cannot be made (a
 * full or read-only disk) the store says so, and the daemon runs without.
 */
static char *make_state_folder(const struct configuration *configuration)
{
    static const char name[] = "/registry/registry.db";
    const char *state = configuration->state_directory;
    size_t size = strlen(state) + sizeof(name);
    char *path = memory_allocate(size, 1);

    if (mkdir(state, 0755) != 0 && errno != EEXIST)
        log_warn("%s", state);
    snprintf(path, size, "%s/registry", state);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        log_warn("%s", path);
    else if (geteuid() == 0 && configuration->separate_users)
        give_folder(path);
    snprintf(path, size, "%s%s", state, name);
    return path;
}

/*
 * One registry at a time: that of a daemon whose parent was killed may still be writing its last
 * words, and both would give out the same numbers. The lock is on the folder and ends with the
 * process.
 */
static void lock_folder(const char *folder)
{
    static const struct timespec turn = {0, LOCK_TURN * 1000 * 1000};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int waited = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_TURN) {
        if (errno != EWOULDBLOCK || waited >= LOCK_PATIENCE) {
            log_warn("%s: another registry may still use it", folder);
            break;
        }
        nanosleep(&turn, NULL);
    }
}

static const char *folder(const struct child *child)
{
    const struct registry_process *process = child->state;

    return process->folder;
}

/* The configuration's check has seen the whole of it; what goes wrong now is missing in `status`.
 */
static struct networks *open_database(const char *path)
{
    char error[512];
    struct networks *networks;

    if (path[0] == '\0')
        return NULL;
    networks = networks_open(path, error, sizeof(error));
    if (networks == NULL)
        log_warnx("%s", error);
    return networks;
}

static int prepare(struct child *child)
{
    const struct configuration *configuration = child->configuration;
    struct registry_process *process = memory_allocate(1, sizeof(*process));
    char error[512];

    process->store_path = make_state_folder(configuration);
    process->folder = memory_string(process->store_path);
    *strrchr(process->folder, '/') = '\0';
    lock_folder(process->folder);
    process->control_fd = control_open_socket(configuration->control_socket,
                                              configuration->control_group, error, sizeof(error));
    if (process->control_fd < 0)
        log_warnx("%s: no control socket, `sekisho` cannot reach this daemon", error);
    process->asn_database = open_database(configuration->asn_database);
    process->country_database = open_database(configuration->country_database);
    child->state = process;
    return 0;
}

/* --- at work --- */

static void on_request(void *context, uint64_t request, uid_t uid, const json_t *object)
{
    struct registry *registry = context;
    json_t *reply = command_run(registry, request, uid, object);

    if (reply != NULL)
        control_reply(registry->control, request, reply);
}

static int start(struct child *child)
{
    struct registry_process *process = child->state;
    struct registry *registry;

    umask(0077);
    registry = registry_new(child->base, child->configuration, process->store_path);
    process->registry = registry;
    registry->child = child;
    registry->asn_database = process->asn_database;
    registry->country_database = process->country_database;
    registry->syslog = syslog_new(child->base, child->configuration);
    if (registry->syslog == NULL) {
        log_warnx("no syslog: stopping");
        return -1;
    }
    registry_look(registry);
    registry->neighbours = neighbours_new();
    registry->control = control_new(child->base, on_request, registry);
    if (process->control_fd >= 0 && control_listen(registry->control, process->control_fd) != 0) {
        log_warnx("no memory for the control socket");
        return -1;
    }
    child_ready(child);
    return 0;
}

static void on_peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct registry_process *process = child->state;

    if (role == ROLE_WORKER && process->registry != NULL)
        registry_add_worker(process->registry, slot, fd);
    else
        close(fd);
}

static void take_status(struct registry *registry, const void *payload, size_t size)
{
    json_t *processes = json_loadb(payload, size, 0, NULL);

    if (processes == NULL)
        return;
    json_decref(registry->processes);
    registry->processes = processes;
}

static void on_message(struct child *child, enum message_type type, const void *payload,
                       size_t size)
{
    struct registry *registry = ((struct registry_process *)child->state)->registry;
    struct record record;

    switch (type) {
    case MESSAGE_RECORD:
        if (record_unpack(payload, size, &record)) {
            registry_complete_record(registry, &record);
            registry_write(registry, &record);
        }
        break;
    case MESSAGE_STATUS:
        take_status(registry, payload, size);
        break;
    case MESSAGE_MEDIA:
        registry_take_media(registry, payload);
        break;
    case MESSAGE_KERNEL:
        registry_take_kernel(registry, payload, size);
        break;
    case MESSAGE_RELOAD_RESULT:
        registry_take_reload_result(registry, payload, size);
        break;
    default:
        log_warnx("the parent sent %s", message_name(type));
    }
}

/* --- the end --- */

static bool is_idle(const struct registry *registry)
{
    return control_is_idle(registry->control) && syslog_waiting(registry->syslog) == 0;
}

static void on_drain_turn(evutil_socket_t fd, short what, void *context)
{
    static const struct timeval turn = {0, DRAIN_TURN * 1000}, soon = {0, 1000};
    struct child *child = context;
    struct registry_process *process = child->state;

    (void)fd;
    (void)what;
    process->turns++;
    if (!process->shut && (process->turns >= DRAIN_TURNS ||
                           (process->turns >= DRAIN_TURNS_MIN && is_idle(process->registry)))) {
        process->shut = true;
        process->turns = 0;
        registry_shut_workers(process->registry);
    } else if (process->shut &&
               (TAILQ_EMPTY(&process->registry->workers) || process->turns >= DRAIN_TURNS)) {
        event_base_loopbreak(child->base);
        return;
    }
    evtimer_add(process->draining, process->shut ? &soon : &turn);
}

/* It cannot tell of its own end: whatever ended it, a signal of the sandbox too. */
static void tell_of_parent(struct registry *registry)
{
    static const char text[] = "the parent is gone: nothing is replaced until it is started again";
    struct record record;

    log_warnx("%s", text);
    record_init(&record, EVENT_PROCESS);
    record_set_text(&record, RECORD_DETAIL, text);
    registry_write(registry, &record);
}

static void drain(struct child *child)
{
    static const struct timeval turn = {0, DRAIN_TURN * 1000};
    struct registry_process *process = child->state;

    if (process->draining != NULL)
        return;
    if (child->parent == NULL && !child->stopping)
        tell_of_parent(process->registry);
    registry_free_questions(process->registry);
    control_stop(process->registry->control);
    process->draining = evtimer_new(child->base, on_drain_turn, child);
    if (process->draining == NULL || evtimer_add(process->draining, &turn) != 0)
        event_base_loopbreak(child->base);
}

static void stop(struct child *child)
{
    struct registry_process *process = child->state;

    registry_flush(process->registry);
    registry_free(process->registry);
    networks_close(process->asn_database);
    networks_close(process->country_database);
    if (process->draining != NULL)
        event_free(process->draining);
    free(process->store_path);
    free(process->folder);
    free(process);
    child->state = NULL;
}

const struct role_operations registry_operations = {
    .user = REGISTRY_USER,
    .sandbox = SANDBOX_REGISTRY,
    .prepare = prepare,
    .folder = folder,
    .start = start,
    .peer = on_peer,
    .message = on_message,
    .drain = drain,
    .stop = stop,
};
