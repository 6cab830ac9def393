/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnostics of the processes themselves, to standard error (the journal, under systemd). What
 * happens to traffic is not logged here but as a record (gateway/record.h).
 */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

/* The name that each line begins with, such as "worker 1". Static or living for ever. */
void log_init(const char *name);
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* With ": " and the text of errno. */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Like log_warnx, then ends the process with status 1. Only before the loop runs. */
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
