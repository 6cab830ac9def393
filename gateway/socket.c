/* SPDX-License-Identifier: BSD-2-Clause */
/* Socket addresses: see socket.h. */
#include "gateway/socket.h"

#include <string.h>

socklen_t socket_address(const struct address *address, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (address->family == 6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, address->bytes, 16);
        return sizeof(*six);
    }
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    memcpy(&four->sin_addr, address->bytes, 4);
    return sizeof(*four);
}

void socket_address_read(const struct sockaddr_storage *in, struct address *address, uint16_t *port)
{
    uint16_t network_port = 0;

    *address = (struct address){0};
    if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)in;
        network_port = six->sin6_port;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
            address->family = 4;
            memcpy(address->bytes, &six->sin6_addr.s6_addr[12], 4);
        } else {
            address->family = 6;
            memcpy(address->bytes, &six->sin6_addr, 16);
        }
    } else if (in->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)in;
        network_port = four->sin_port;
        address->family = 4;
        memcpy(address->bytes, &four->sin_addr, 4);
    }
    if (port != NULL)
        *port = ntohs(network_port);
}
