/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_address.h. */
#include "gateway/fetch_address.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NETWORK4(a, b, c, d, bits)                                                                 \
    {                                                                                              \
        {4, {a, b, c, d}}, bits                                                                    \
    }

static const struct network closed4[] = {
    NETWORK4(0, 0, 0, 0, 8),      /* "this network" */
    NETWORK4(10, 0, 0, 0, 8),     /* private (RFC 1918) */
    NETWORK4(100, 64, 0, 0, 10),  /* shared, behind a provider's NAT (RFC 6598) */
    NETWORK4(127, 0, 0, 0, 8),    /* loopback */
    NETWORK4(169, 254, 0, 0, 16), /* link-local; the metadata of clouds */
    NETWORK4(172, 16, 0, 0, 12),  /* private */
    NETWORK4(192, 0, 0, 0, 24),   /* protocols */
    NETWORK4(192, 88, 99, 0, 24), /* relays of 6to4 */
    NETWORK4(192, 168, 0, 0, 16), /* private */
    NETWORK4(198, 18, 0, 0, 15),  /* benchmarks */
    NETWORK4(224, 0, 0, 0, 4),    /* multicast */
    NETWORK4(240, 0, 0, 0, 4),    /* reserved, broadcast */
};

/* Of IPv6 only 2000::/3 is given out at all. */
static const struct network global6 = {{6, {0x20}}, 3};
static const struct network closed6[] = {
    {{6, {0x20, 0x01}}, 23}, /* protocols: Teredo, relays, benchmarks, ORCHID (RFC 2928) */
};
/* Where an IPv4 address stands in an IPv6 address: from which byte on. */
static const struct {
    struct network network;
    size_t offset;
} holders[] = {
    {{{6, {0x00, 0x64, 0xff, 0x9b}}, 96}, 12}, /* NAT64 (RFC 6052) */
    {{{6, {0x20, 0x02}}, 16}, 2},              /* 6to4 (RFC 3056) */
};

static bool is_in(const struct network *networks, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (network_contains(&networks[i], address))
            return true;
    return false;
}

static bool is_public4(const uint8_t *bytes)
{
    struct address address = {.family = 4};

    memcpy(address.bytes, bytes, 4);
    return !is_in(closed4, sizeof(closed4) / sizeof(closed4[0]), &address);
}

bool fetch_address_is_public(const struct address *address)
{
    if (address->family == 4)
        return is_public4(address->bytes);
    for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++)
        if (network_contains(&holders[i].network, address))
            return is_public4(address->bytes + holders[i].offset);
    return network_contains(&global6, address) &&
           !is_in(closed6, sizeof(closed6) / sizeof(closed6[0]), address);
}

/* As if_nametoindex(), which may ask by a socket of a family that we may not have. 0: none. */
static unsigned link_index(const char *name)
{
    struct ifreq request = {.ifr_ifindex = 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int index = 0;

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd >= 0 && ioctl(fd, SIOCGIFINDEX, &request) == 0)
        index = request.ifr_ifindex;
    if (fd >= 0)
        close(fd);
    return index > 0 ? (unsigned)index : 0;
}

static bool is_on_link(char *const *names, size_t count, struct neighbours *neighbours,
                       const struct address *address, int64_t now)
{
    for (size_t i = 0; i < count; i++) {
        unsigned index = link_index(names[i]);
        if (index != 0 && neighbours_is_on_link(neighbours, address, index, now))
            return true;
    }
    return false;
}

bool fetch_address_allowed(const struct configuration *configuration, struct neighbours *neighbours,
                           const struct address *address, int64_t now)
{
    if (!fetch_address_is_public(address) || neighbours_is_own(neighbours, address, now) ||
        is_on_link(configuration->lan, configuration->lan_count, neighbours, address, now))
        return false;
    for (size_t i = 0; i < configuration->segment_count; i++)
        if (is_on_link(configuration->segments[i].interfaces,
                       configuration->segments[i].interface_count, neighbours, address, now))
            return false;
    for (size_t i = 0; i < configuration->bypasses_count; i++)
        if (is_in(configuration->bypasses[i].networks, configuration->bypasses[i].network_count,
                  address))
            return false;
    return true;
}
