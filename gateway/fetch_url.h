/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses that certificates name for what belongs to them: lists of revoked ones (RFC 5280
 * section 4.2.1.13) and certificates of issuers (section 4.2.2.1); and where an update lies. A
 * core: text goes in, its parts come out. Strict: the one scheme, a host name or an address
 * literal, a port, a path; what a URL may have beside is refused.
 */
#ifndef GATEWAY_FETCH_URL_H
#define GATEWAY_FETCH_URL_H

#include <event2/buffer.h>

#include "filters/hostset.h"

#define FETCH_URL_MAX 1024 /* bytes of a URL, with a NUL behind it */

struct fetch_url {
    char host[HOST_TEXT]; /* normalised, or an address literal without brackets */
    bool is_ipv6;         /* a literal: brackets around it in a Host field */
    uint16_t port;
    uint16_t scheme_port; /* what a Host field leaves out */
    struct span target;   /* path and query, borrowed from the text; begins with '/' */
};

/*
 * http://HOST[:PORT]/PATH[?QUERY] of RFC 3986, at most FETCH_URL_MAX - 1 bytes: no user, no
 * fragment, no other scheme, only characters that a URI may have, whole escapes, no port 0, and a
 * host that is no number but an address in its usual form. False for anything else.
 */
bool fetch_url_read(struct span text, struct fetch_url *url);
/* The same for https://, and nothing else. */
bool fetch_url_read_https(struct span text, struct fetch_url *url);

/* Asks for it: one GET (RFC 9112), after which the server closes. `agent` is the User-Agent. */
void fetch_url_write_request(const struct fetch_url *url, struct span agent, struct evbuffer *out);

#endif
