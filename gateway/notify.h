/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the service manager how the daemon is: the protocol of sd_notify(3), which is one datagram.
 */
#ifndef GATEWAY_NOTIFY_H
#define GATEWAY_NOTIFY_H

/* Sends `state` ("READY=1" ...) to the socket in NOTIFY_SOCKET; nothing when there is none. */
void notify_send(const char *state);

#endif
