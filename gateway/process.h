/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes of sekishod and the table of their roles. The parent forks a child per row (a
 * worker per core), hands each its links to the others, replaces what dies, and drives reload and
 * stop.
 */
#ifndef GATEWAY_PROCESS_H
#define GATEWAY_PROCESS_H

#include <event2/event.h>

#include "gateway/configuration.h"
#include "gateway/message.h"
#include "gateway/sandbox.h"

#define WORKER_USER "_sekisho-worker" /* the kernel's rules know the proxy by it */

/* What every child process knows of itself. */
struct child {
    enum role role;
    unsigned slot;                             /* which worker; 0 otherwise */
    const struct configuration *configuration; /* of its generation, inherited at fork */
    const int *listeners;                      /* one socket per configured listener address */
    struct event_base *base;
    struct link *parent;
    bool stopping; /* by SIGTERM: the daemon ends, not only a generation */
    void *state;   /* the role's own */
};

/* One row of the role table. Every function may be NULL. */
struct role_operations {
    const char *user; /* that it runs as when started by root */
    enum sandbox sandbox;
    /* Before privileges are dropped: open what needs them. 0, or -1 after logging. */
    int (*prepare)(struct child *child);
    /* The one folder whose files it may still open and change once it is shut in. */
    const char *(*folder)(const struct child *child);
    /* After. 0, or -1 after logging. child_ready() is called by the role, here or later. */
    int (*start)(struct child *child);
    /* A socket to a peer came; it belongs to the callee. */
    void (*peer)(struct child *child, enum role role, unsigned slot, int fd);
    /* Any other message of the parent. */
    void (*message)(struct child *child, enum message_type type, const void *payload, size_t size);
    /* Finish what is under way and end with event_base_loopbreak(). Also when the parent is gone.
     */
    void (*drain)(struct child *child);
    /* After the loop: flush and close. */
    void (*stop)(struct child *child);
};
extern const struct role_operations signer_operations, worker_operations, registry_operations,
    examiner_operations, portal_operations, fetcher_operations;

/* Tells the parent that this child works. */
void child_ready(struct child *child);

/* Runs the daemon until it is stopped. The exit status. */
struct daemon_options {
    const char *path; /* of the configuration */
    bool foreground;
    int told; /* gets a byte when everything works; -1: nobody waits */
};
int parent_run(const struct daemon_options *options);

#endif
