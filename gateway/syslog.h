/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How records reach the collector: one RFC 5424 line each, as a datagram to a local socket or over
 * UDP (RFC 5426), or over TCP with octet counting (RFC 6587 section 3.4.1). Never blocks: while the
 * collector is away lines wait in a bounded queue, the oldest are dropped and counted, and a line
 * of its own tells how many once the collector is back.
 */
#ifndef GATEWAY_SYSLOG_H
#define GATEWAY_SYSLOG_H

#include <stdint.h>

#include "gateway/configuration.h"
#include "gateway/record.h"

#define SYSLOG_QUEUE 1048576 /* bytes of waiting lines */

struct event_base;
struct syslog;

/*
 * Connects by log_transport, log_address and log_path, now and again (0.2 to 10 seconds between)
 * for as long as it takes. May be called after privileges were dropped: a local socket needs no
 * more than that its path can be reached. Never NULL; what is missing is logged once.
 */
struct syslog *syslog_new(struct event_base *base, const struct configuration *configuration);

/* Sends what can be sent at once, and forgets the rest. NULL does nothing. */
void syslog_free(struct syslog *syslog);

/* Formats and sends or queues. 0, or -1 when a line had to be dropped for it. */
int syslog_write(struct syslog *syslog, const struct record *record);

/* Lines dropped since the start. */
uint64_t syslog_dropped(const struct syslog *syslog);
/* Lines that wait. */
size_t syslog_waiting(const struct syslog *syslog);

#endif
