/* SPDX-License-Identifier: BSD-2-Clause */
/* What a child process does before its role takes over, and the loop around the role. */
#ifndef GATEWAY_CHILD_H
#define GATEWAY_CHILD_H

#include "gateway/process.h"

/* The row of a role. */
const struct role_operations *role_find(enum role role);

/*
 * Runs in the new process and never returns. `parent` is the child's end of the link, `listeners`
 * one socket per listener of the configuration, then the portal's (kept by workers and by the
 * portal, each its own; closed by the others).
 */
void child_main(enum role role, unsigned slot, const struct configuration *configuration,
                const int *listeners, int parent) __attribute__((noreturn));

#endif
