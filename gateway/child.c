/* SPDX-License-Identifier: BSD-2-Clause */
/* The common part of every child process: see child.h. */
#include "gateway/child.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/channel.h"
#include "gateway/confinement.h"
#include "gateway/log.h"

static const struct role_operations *const roles[] = {
    [ROLE_SIGNER] = &signer_operations,     [ROLE_WORKER] = &worker_operations,
    [ROLE_REGISTRY] = &registry_operations, [ROLE_EXAMINER] = &examiner_operations,
    [ROLE_PORTAL] = &portal_operations,     [ROLE_FETCHER] = &fetcher_operations,
};

const struct role_operations *role_find(enum role role)
{
    return (size_t)role < sizeof(roles) / sizeof(roles[0]) ? roles[role] : NULL;
}

static int compare_descriptors(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Closes every descriptor from 3 on but those of `keep`. */
static void close_others(int *keep, size_t count)
{
    unsigned first = 3;

    qsort(keep, count, sizeof(*keep), compare_descriptors);
    for (size_t i = 0; i < count; i++) {
        unsigned kept = (unsigned)keep[i];
        if (kept > first)
            close_range(first, kept - 1, 0);
        if (kept >= first)
            first = kept + 1;
    }
    close_range(first, ~0U, 0);
}

static void keep_own_descriptors(enum role role, const struct configuration *configuration,
                                 const int *listeners, int parent)
{
    size_t count = role == ROLE_WORKER   ? configuration->listener_count
                   : role == ROLE_PORTAL ? configuration->portal_listener_count
                                         : 0;
    int *keep = memory_allocate(count + 1, sizeof(*keep));

    if (role == ROLE_PORTAL)
        listeners += configuration->listener_count; /* its own come after those */

    keep[0] = parent;
    for (size_t i = 0; i < count; i++)
        keep[i + 1] = listeners[i];
    close_others(keep, count + 1);
    free(keep);
}

/* To the role's own user, for ever. */
static int drop_privileges(const struct child *child, const char *user)
{
    if (confinement_limit(child->role) != 0)
        return -1;
    if (geteuid() == 0 && child->configuration->separate_users && user != NULL) {
        struct passwd *entry = getpwnam(user);
        if (entry == NULL) {
            log_warnx(
                "there is no user %s: see sysusers.d(5), or set process.separate-users = false",
                user);
            return -1;
        }
        if (setgroups(0, NULL) != 0 ||
            setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
            setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0) {
            log_warn("cannot become user %s", user);
            return -1;
        }
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_warn("prctl");
        return -1;
    }
    return 0;
}

static int shut_in(const struct child *child, const struct role_operations *operations)
{
    const char *folder = operations->folder != NULL ? operations->folder(child) : NULL;

    tzset(); /* reads a file */
    return sandbox_enter(operations->sandbox, &folder, folder != NULL ? 1 : 0);
}

static void drain(struct child *child)
{
    const struct role_operations *role = role_find(child->role);

    if (role->drain != NULL)
        role->drain(child);
    else
        event_base_loopbreak(child->base);
}

static void on_parent_message(void *context, struct link *link, enum message_type type,
                              const void *payload, size_t size, int fd)
{
    struct child *child = context;
    const struct role_operations *role = role_find(child->role);

    (void)link;
    switch (type) {
    case MESSAGE_NONE: /* the parent died: nobody must be served by a daemon without a head */
        child->parent = NULL;
        drain(child);
        break;
    case MESSAGE_DRAIN:
        drain(child);
        break;
    case MESSAGE_PEER: {
        const struct message_peer *peer = payload;
        if (role->peer != NULL)
            role->peer(child, (enum role)peer->role, peer->slot, fd);
        else
            close(fd);
        break;
    }
    default:
        if (role->message != NULL)
            role->message(child, type, payload, size);
    }
}

static void on_terminate(evutil_socket_t number, short what, void *argument)
{
    struct child *child = argument;

    (void)number;
    (void)what;
    child->stopping = true;
    drain(child);
}

void child_ready(struct child *child)
{
    if (child->parent != NULL)
        link_send(child->parent, MESSAGE_READY, NULL, 0, -1);
}

void child_main(enum role role, unsigned slot, const struct configuration *configuration,
                const int *listeners, int parent)
{
    const struct role_operations *operations = role_find(role);
    static char name[32];
    struct child child = {
        .role = role, .slot = slot, .configuration = configuration, .listeners = listeners};

    keep_own_descriptors(role, configuration, listeners, parent);
    if (role == ROLE_WORKER)
        snprintf(name, sizeof(name), "%s %u", role_name(role), slot);
    else
        snprintf(name, sizeof(name), "%s", role_name(role));
    log_init(name);
    child.base = channel_loop_new();
    if (child.base == NULL)
        fatal("no event loop");
    if (operations->prepare != NULL && operations->prepare(&child) != 0)
        exit(1);
    if (drop_privileges(&child, operations->user) != 0 || shut_in(&child, operations) != 0)
        exit(1);
    child.parent = link_new(child.base, parent, role, ROLE_PARENT, on_parent_message, &child);
    struct event *terminate = evsignal_new(child.base, SIGTERM, on_terminate, &child);
    if (terminate == NULL || event_add(terminate, NULL) != 0)
        fatal("no memory for signals");
    if (operations->start != NULL && operations->start(&child) != 0)
        exit(1);
    event_base_dispatch(child.base);
    if (operations->stop != NULL)
        operations->stop(&child);
    event_free(terminate);
    link_free(child.parent);
    event_base_free(child.base);
    exit(0);
}
