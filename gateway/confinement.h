/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the parent shuts itself in, once it has read the first configuration and before it starts
 * anybody: see sandbox.h for what it may still do. It cannot be widened again, so a configuration
 * that is reloaded must do with the folders and the users of the first.
 */
#ifndef GATEWAY_CONFINEMENT_H
#define GATEWAY_CONFINEMENT_H

#include "gateway/configuration.h"
#include "gateway/message.h"

/* For the rest of the process's life. 0, or -1 after logging. */
int confinement_enter(const struct configuration *configuration);

/*
 * Whether the daemon can run with this configuration without being started anew: always before
 * confinement_enter(), and where nothing is shut in. False with a text that says why not.
 */
bool confinement_allows(const struct configuration *configuration, char *error, size_t size);

/* In a child: at most what its role needs of descriptors, memory and processes. 0 or -1. */
int confinement_limit(enum role role);

#endif
