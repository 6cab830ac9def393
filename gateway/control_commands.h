/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control program can ask of the registry. */
#ifndef GATEWAY_CONTROL_COMMANDS_H
#define GATEWAY_CONTROL_COMMANDS_H

#include "gateway/registry.h"

/* X(name, function, help) */
#define CONTROL_COMMANDS(X)                                                                        \
    X("status", command_status, "what is on, what happened, which processes run")                  \
    X("flows", command_flows, "the live connections")                                              \
    X("explain", command_explain, "url, from: which rule would decide, and why")                   \
    X("reload", command_reload, "read the configuration again")                                    \
    X("incidents", command_incidents, "limit, since: what was blocked, newest first")              \
    X("observe", command_observe,                                                                  \
      "limit: what would have been blocked, by host; or service, from, since: what was touched")   \
    X("release", command_release, "what, seconds, reason, by: allow an exception")                 \
    X("releases", command_releases, "the releases that hold")                                      \
    X("unrelease", command_unrelease, "id, by: end a release")

#define RELEASE_LONGEST (30 * 86400) /* seconds */

/*
 * The answer to a request of user `uid`, as the caller's reference; NULL when control_reply() will
 * be called for `request` later.
 */
json_t *command_run(struct registry *registry, uint64_t request, uid_t uid, const json_t *object);

/* What the registry itself knows of how things are. */
json_t *control_status(struct registry *registry);

/* An optional whole number within bounds. False with the answer in *reply. */
bool control_take_number(const json_t *object, const char *key, json_int_t smallest,
                         json_int_t largest, json_int_t *value, json_t **reply);
/* The answer with a list that was read from the store; the reference to it is taken. */
json_t *control_answer_list(struct registry *registry, enum store_result result, const char *name,
                            json_t *list);

json_t *command_explain(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object);
json_t *command_observe(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object);
json_t *command_release(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object);
json_t *command_releases(struct registry *registry, uint64_t request, uid_t uid,
                         const json_t *object);
json_t *command_unrelease(struct registry *registry, uint64_t request, uid_t uid,
                          const json_t *object);

#endif
