/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: one JSON object a line in, one JSON object a line out. Who may connect is
 * said by the mode and the group of the socket file. Everything is bounded: the clients, the line,
 * the time that a client may be idle.
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "filters/span.h"

#define CONTROL_LINE    65536 /* bytes of a request, without the newline */
#define CONTROL_CLIENTS 32
#define CONTROL_IDLE    10 /* seconds */

struct event_base;
struct control;

/*
 * Makes the listening socket at `path`, replacing a socket (and nothing else) that stands there:
 * 0660 for the group, or 0600 when `group` is "". Non-blocking. -1 with a message.
 */
int control_open_socket(const char *path, const char *group, char *error, size_t size);

/* Called for each request; it is answered once with control_reply(), now or later. `object` is
 * borrowed. */
typedef void control_handler(void *context, uint64_t request, uid_t uid, const json_t *object);

struct control *control_new(struct event_base *base, control_handler *handler, void *context);
void control_free(struct control *control);
/* Takes a listening socket. 0, or -1. */
int control_listen(struct control *control, int fd);
/* Takes a connected socket. Over CONTROL_CLIENTS it is told so and closed. */
void control_add_client(struct control *control, int fd);
/* Takes the reference to `reply`. Nothing happens when the client has gone meanwhile. */
void control_reply(struct control *control, uint64_t request, json_t *reply);
/* Accept and read nothing more. */
void control_stop(struct control *control);
/* True when every answer is on its way. */
bool control_is_idle(const struct control *control);

/* The object in a line, or NULL with a message. The caller's reference. */
json_t *control_parse(struct span line, char *error, size_t size);
/* {"ok": false, "error": ...} */
json_t *control_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A JSON string of bytes from anywhere: what is not UTF-8 becomes U+FFFD, NUL as well. */
json_t *control_text(struct span bytes);

#endif
