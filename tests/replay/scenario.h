/* SPDX-License-Identifier: BSD-2-Clause */
/* A scenario and its statements: what the player of events and the reader of policies share. */
#ifndef TESTS_REPLAY_SCENARIO_H
#define TESTS_REPLAY_SCENARIO_H

#include "filters/consultation.h"
#include "filters/filters.h"

#define WORDS    24
#define SERVICES 8
#define PATTERNS 16
#define ROOMS    8
#define RELEASES 16
#define FILES    8

struct room {
    char *name;
    char *clients; /* addresses with commas */
};

struct scenario {
    const char *path;
    unsigned line;
    unsigned steps, failures;
    int64_t now; /* milliseconds */

    struct policy policy;
    struct service services[SERVICES];
    struct url_pattern meetings[PATTERNS];
    struct learned_links *learned; /* the clinic's own meetings */
    struct listed_file files[FILES];
    struct room rooms[ROOMS];
    size_t room_count;
    struct release releases[RELEASES];
    struct standing standing;
    struct consultations *consultations;
};

/* A line cut into its words; those behind the arrow apart. */
struct statement {
    struct span words[WORDS];
    size_t count;
    bool taken[WORDS]; /* an option that was asked for */
    struct span wanted[2];
    size_t wanted_count;
};

/* Says what is wrong with the line, and ends with status 2. */
_Noreturn void scenario_fail(const struct scenario *scenario, const char *what, struct span detail);

/* The value of NAME=VALUE among the words; false when there is none. */
bool scenario_find_option(struct statement *statement, const char *name, struct span *value);

struct span scenario_word(const struct scenario *scenario, const struct statement *statement,
                          size_t index);

/* "10min", "5s", "1h" in milliseconds. */
int64_t scenario_read_time(const struct scenario *scenario, struct span text);

/* A statement of the policy: policy, service, clinic, list, room. False when it is none of them. */
bool scenario_read_policy(struct scenario *scenario, struct statement *statement);

struct scenario *scenario_new(const char *path);
void scenario_free(struct scenario *scenario);

#endif
