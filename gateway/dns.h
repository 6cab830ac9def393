/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resolver beside the gateway, as the configuration wants it: a file that dnsmasq (2.90 or
 * later) includes by conf-file=. In it no HTTPS record reaches a client (it could carry a key that
 * hides names, and the offer of HTTP/3); names by which devices find another resolver do not exist;
 * hosts that every request would be stopped at lead to the sink.
 *
 * The sink is a pair of addresses that are nobody's. A connection to them comes to the gateway as
 * any other does, which shows its page; elsewhere nothing answers. NXDOMAIN would cut as well, but
 * then nobody would see what was stopped, and no release could lift it.
 */
#ifndef GATEWAY_DNS_H
#define GATEWAY_DNS_H

#include "gateway/configuration.h"

struct evbuffer;

/* Writes the file. Names stand in it as the configuration keeps them, checked, one a line. */
void dns_write(const struct configuration *configuration, struct evbuffer *out);

/*
 * Puts the file at `path`, in one step, when it is not what is there already; dnsmasq reads such
 * lines at its start alone, so that it must be restarted then. `changed` says whether. False with a
 * message in `error`.
 */
bool dns_update(const struct configuration *configuration, const char *path, bool *changed,
                char *error, size_t size);

/*
 * The name by which dnsmasq knows a pattern of media-hosts, borrowed from it, or NULL when it has
 * none: its sets take a name and all below it, nothing narrower.
 */
const char *dns_media_name(const char *pattern);

/* True for an address of the sink. */
bool dns_is_sink(const struct configuration *configuration, const struct address *address);

#endif
