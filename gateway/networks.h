/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose network an address is in: its autonomous system and its country, from databases in
 * MaxMind's format (GeoLite2, DB-IP, and those made from the registries' files). The file is
 * mapped, so it must be replaced by a rename, never written over. It is not trusted: what is wrong
 * in it is an error, or an address that nothing is known of.
 */
#ifndef GATEWAY_NETWORKS_H
#define GATEWAY_NETWORKS_H

#include "gateway/exchange.h"

#define COUNTRY_TEXT 3

struct network_facts {
    uint32_t asn;               /* 0: not known */
    char country[COUNTRY_TEXT]; /* ISO 3166-1, two capital letters; "": not known */
};

/* An open database. */
struct networks;

/* NULL with the file's name and the reason in `error`. */
struct networks *networks_open(const char *path, char *error, size_t size);
/* NULL does nothing. */
void networks_close(struct networks *networks);

/*
 * Adds to `facts` what the database knows of an address, and leaves the rest as it is. NULL as
 * database knows nothing. Some microseconds, no allocation.
 */
void networks_look_up(const struct networks *networks, const struct address *address,
                      struct network_facts *facts);

/*
 * Gives every network of the database that something is known of, once and in order. IPv4 networks
 * come as such, also where the tree is of IPv6 and has them at ::/96; its aliases of them (mapped
 * addresses, 6to4, Teredo) are left out. One pass over the file, in time proportional to it,
 * whatever is in it. False with the file's name and the reason in `error`.
 */
typedef void networks_visitor(void *context, const struct network *network,
                              const struct network_facts *facts);
bool networks_walk(const struct networks *networks, networks_visitor *visit, void *context,
                   char *error, size_t size);

#endif
