/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the CA's key lives: in memory that is locked, left out of dumps and fenced by pages that
 * cannot be touched, and nowhere else. What OpenSSL leaves behind while it reads the key's file
 * (buffers, decoded forms) is wiped as it is freed.
 */
#ifndef GATEWAY_CUSTODY_H
#define GATEWAY_CUSTODY_H

#include <stdbool.h>

/* Once, when the program starts, before anything else uses OpenSSL: for what custody_begin() wants
 * of its allocator. Costs nothing until then. */
void custody_prepare(void);

/* In the process that holds the key, before it is read. False, after logging, when there is no such
 * memory; when it cannot be locked that is logged alone. */
bool custody_begin(void);

/* After the keys were freed: nothing of them is left. */
void custody_end(void);

#endif
