/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared platforms: names at which strangers can put pages and files. A host pattern that lets
 * things pass should not cover one, because it would vouch for whoever signs up there. Beside the
 * private part of the public suffix list, which only knows names below which others get names of
 * their own, and not all of those.
 */
#ifndef GATEWAY_SHARED_PLATFORM_H
#define GATEWAY_SHARED_PLATFORM_H

/*
 * The platform that `pattern` (as host_pattern_normalise() gives it) covers, static; NULL when it
 * covers none that is known. One customer's own name on a platform covers nobody else's.
 */
const char *shared_platform_find(const char *pattern);

#endif
