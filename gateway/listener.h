/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listening sockets. The parent opens them once and every worker of every generation shares
 * them, so that neither a crash nor a reload loses a connection that waits to be accepted.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "gateway/configuration.h"

/* A bound, listening, non-blocking socket; -1 with a message in `error`. */
int listener_open(const struct listener_options *options, char *error, size_t size);

/* True when a socket opened for one serves the other as well. */
bool listener_is_same(const struct listener_options *a, const struct listener_options *b);

#endif
