/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the parent process, shared by its files: parent.c (the loop, signals, stopping),
 * supervision.c (the processes and what the registry is told of them), generation.c
 * (configurations, their sockets and rules, and reloading) and boundary.c (what the kernel is told
 * and asked while it works). There is one parent, with one thread: what it knows is in one
 * variable.
 */
#ifndef GATEWAY_PARENT_PRIVATE_H
#define GATEWAY_PARENT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "gateway/process.h"
#include "gateway/record.h"

#define WORKERS_MAX 64
#define ROLES_ALONE 5 /* places before those of the workers */

enum process_state { PROCESS_STARTING, PROCESS_READY, PROCESS_DRAINING };

/* A child, from its fork until its death was seen. */
struct process {
    TAILQ_ENTRY(process) next;
    enum role role;
    unsigned slot;
    unsigned generation;
    pid_t pid;
    enum process_state state;
    int64_t since;     /* monotonic ms */
    struct link *link; /* NULL once the child closed it or the parent gave the child up */
};

/* A place that must always be filled: signer, registry, examiner, fetcher, worker 0 ... */
struct place {
    enum role role;
    unsigned slot;
    unsigned deaths; /* in a row */
    unsigned restarts;
    struct event *retry; /* runs while a next try is waited for; NULL before the first */
};

/* A configuration and what was opened for it: one socket for each listener, then the portal's. */
struct generation {
    struct configuration *configuration; /* NULL: none */
    int *listeners;
    unsigned number;
};

struct parent {
    struct event_base *base;
    const struct daemon_options *options;
    struct generation now;
    struct generation before; /* while a reload is under way: what it goes back to if it fails */
    unsigned last_generation; /* the highest number; one that was taken back is not used again */
    unsigned reloads;         /* that succeeded */
    int told; /* where the one who started us waits for a byte when we work, or -1 */
    TAILQ_HEAD(, process) processes; /* the oldest first */
    struct place places[ROLES_ALONE + WORKERS_MAX];
    size_t place_count;
    bool announced;    /* READY=1 was said once */
    bool reloading;    /* new workers are starting */
    bool reload_again; /* another was asked for meanwhile */
    bool stopping;
    int status;              /* that the daemon exits with */
    bool consultation_known; /* the registry has said whether any is on */
    bool consultation;
    struct calls *calls; /* who is in one, by the kernel's evidence */
    bool calls_failed;   /* the last look did */
    struct event *look;  /* the next one */
    struct event *signals[5];
    struct event *impatience;     /* a stop takes too long */
    struct event *reload_timer;   /* a reload does */
    struct event *registry_timer; /* a registry that drains does */
};
extern struct parent parent;

/* --- supervision.c --- */

/* The one of the generation in force, or coming into force, that does not drain. Or NULL. */
struct process *supervision_find(enum role role, unsigned slot);

/* The registry that serves now: during a reload still the one of the generation before. Or NULL. */
struct process *supervision_find_registry(void);

/* Whether a role has the configuration of its generation, serves its workers and drains with it:
 * the signer and the fetcher. */
bool supervision_is_of_generation(enum role role);

/* Whoever fills the place: one of the generation, or one that serves all of them. Or NULL. */
struct process *supervision_find_at(const struct place *place);

/* Sends a record to the registry, if there is one. `detail` may be NULL. */
void supervision_report(enum record_event event, const char *detail);

/* The same with a record of one's own. False when nobody hears it now. */
bool supervision_send_record(const struct record *record);

/* Sends it any message. False when nobody hears it now. */
bool supervision_tell_registry(enum message_type type, const void *payload, size_t size);

/* Sends it the list of processes that `sekisho status` shows. */
void supervision_report_processes(void);

/* Sends it the answer for those who asked for a reload. A long text is cut. */
void supervision_answer_reload(bool success, const char *text);

/* Gives two processes a socket to each other. Does nothing when one of them has no link. */
void supervision_introduce(struct process *a, struct process *b);

/* Whether the configuration has use for the place: it may have no portal. */
bool supervision_wants(const struct place *place);

/* Starts a process for a place that has none; when that fails it is tried again later. */
void supervision_fill(struct place *place);

/* Asks a process to finish what it has. A registry that does not go in time is killed. */
void supervision_drain_process(struct process *process);

/* The registry's time to go is over: the callback of `registry_timer`. */
void supervision_end_registry(evutil_socket_t fd, short what, void *argument);

/*
 * A process has died with `status`, as waitpid() says: it is freed, and its place is filled. During
 * a reload, or when the daemon starts, one that could not start ends that instead.
 */
void supervision_bury(struct process *process, int status);

/* --- boundary.c --- */

/* Whether the rules of this configuration are the daemon's to put in place. */
bool boundary_is_ours(const struct configuration *configuration);

/* The registry says whether any consultation is on: the rules are told. */
void boundary_set(bool consultation);

/* Tells the rules again, after others were put in place. */
void boundary_renew(void);

/* Begins to look for calls, once there is a loop; ends it. */
void boundary_start(void);
void boundary_stop(void);

/* Answers the registry's question: counters and calls. */
void boundary_answer(uint64_t question);

/* --- generation.c --- */

/* What configuration_read() says, for standard error and for the one who asked. */
struct complaints {
    char text[2048];
    size_t used;
};

/*
 * Reads and checks the configuration and makes it that of a new generation. False, with the old one
 * in force, when anything is wrong; why was logged, and is in `complaints`.
 */
bool generation_take_configuration(struct complaints *complaints);

/* Makes the places that the generation wants and fills those that are empty. */
void generation_start(void);

/* A process became ready: when all are, the generation is in force. */
void generation_note_ready(void);

/* Starts a reload, or has the one under way followed by another. Its end is told by itself. */
void generation_reload(void);

/* Takes back the generation of the reload under way; `why` is for the one who asked for it. */
void generation_abandon(const char *why);

/* The reload's time is over: the callback of `reload_timer`. */
void generation_expire_reload(evutil_socket_t fd, short what, void *argument);

/* Gives a generation up, with its sockets but those that `kept` has too. */
void generation_free(struct generation *generation, const struct generation *kept);

#endif
