/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening the listening sockets: see listener.h. */
#include "gateway/listener.h"

#include <errno.h>
#include <linux/in6.h> /* IPV6_FREEBIND */
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/socket.h"

#define BACKLOG 4096

static int set_option(int fd, int level, int name)
{
    return setsockopt(fd, level, name, &(int){1}, sizeof(int));
}

/* TPROXY hands over packets for foreign addresses only to a transparent socket. */
static int set_transparent(int fd, int family)
{
    return family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)
                              : set_option(fd, IPPROTO_IP, IP_TRANSPARENT);
}

static int set_freebind(int fd, int family)
{
    return family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND)
                              : set_option(fd, IPPROTO_IP, IP_FREEBIND);
}

static void describe(const struct listener_options *options, const char *step, int number,
                     char *error, size_t size)
{
    char text[ADDRESS_TEXT];
    struct address address;
    uint16_t port;

    socket_address_read(&options->address, &address, &port);
    address_format(&address, text);
    snprintf(error, size, "%s:%u: %s on %s port %u: %s: %s", options->rule.file, options->rule.line,
             options->portal        ? "portal"
             : options->transparent ? "listen \"transparent\""
                                    : "listen \"explicit\"",
             text, port, step, strerror(number));
}

/*
 * At boot the gateway starts before its network: the rules must be there first. An address that no
 * interface has yet is taken all the same, and is served from the moment that one has it.
 */
static int bind_to(int fd, const struct listener_options *options)
{
    const struct sockaddr *address = (const struct sockaddr *)&options->address;
    char text[512];

    if (bind(fd, address, options->address_size) == 0)
        return 0;
    if (errno != EADDRNOTAVAIL)
        return -1;
    describe(options, "bind", errno, text, sizeof(text));
    if (set_freebind(fd, options->address.ss_family) != 0 ||
        bind(fd, address, options->address_size) != 0)
        return -1;
    log_warnx("%s: it is served when an interface has it", text);
    return 0;
}

int listener_open(const struct listener_options *options, char *error, size_t size)
{
    int family = options->address.ss_family;
    const char *step = "socket";
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        goto fail;
    step = "socket options";
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0)
        goto fail;
    if (family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0)
        goto fail;
    step = "IP_TRANSPARENT (it needs CAP_NET_ADMIN)";
    if (options->transparent && set_transparent(fd, family) != 0)
        goto fail;
    step = "bind";
    if (bind_to(fd, options) != 0)
        goto fail;
    step = "listen";
    if (listen(fd, BACKLOG) != 0)
        goto fail;
    return fd;
fail:
    describe(options, step, errno, error, size);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool listener_is_same(const struct listener_options *a, const struct listener_options *b)
{
    return a->transparent == b->transparent && a->address_size == b->address_size &&
           memcmp(&a->address, &b->address, a->address_size) == 0;
}
