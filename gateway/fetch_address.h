/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which addresses are fetched from: those of the internet. A certificate is written by others, and
 * what it names must not lead the gateway to itself, into the LAN, or into any private network.
 */
#ifndef GATEWAY_FETCH_ADDRESS_H
#define GATEWAY_FETCH_ADDRESS_H

#include "gateway/configuration.h"
#include "gateway/neighbour.h"

/*
 * Whether an address can be one of the internet at all: by the registries of special-purpose
 * addresses (RFC 6890) it is not private, shared, link-local, loopback, multicast, reserved, a
 * benchmark's or an anycast relay's. Of an IPv6 address that holds an IPv4 address (mapped, NAT64,
 * 6to4) that one counts as well. Networks for documentation are nobody's and pass.
 */
bool fetch_address_is_public(const struct address *address);

/*
 * Whether it may be fetched from: public, not this machine's own, not on a link of the LAN or of a
 * segment, not in a network of a bypass. `now` is monotonic milliseconds.
 */
bool fetch_address_allowed(const struct configuration *configuration, struct neighbours *neighbours,
                           const struct address *address, int64_t now);

#endif
