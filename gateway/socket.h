/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the kernel's socket addresses and ours. */
#ifndef GATEWAY_SOCKET_H
#define GATEWAY_SOCKET_H

#include <sys/socket.h>

#include "gateway/exchange.h"

/* The kernel's form; returns its size. */
socklen_t socket_address(const struct address *address, uint16_t port,
                         struct sockaddr_storage *out);
/* Ours; a mapped IPv6 address becomes the IPv4 address that it is. The port may be NULL. */
void socket_address_read(const struct sockaddr_storage *in, struct address *address,
                         uint16_t *port);

#endif
