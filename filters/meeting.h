/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose a meeting is. The clinic's own are on its list (clinic.meetings), or were seen to be made:
 * a profile names the requests by which its service makes one (service.create), and a join link
 * that such a request did not hold and its answer does is the clinic's. They are kept beside the
 * learned links, as hashes of service, host and room, for the whole clinic.
 *
 * Nothing else makes a meeting the clinic's: what a service shows (lists, invitations, messages)
 * may come from anybody.
 */
#ifndef FILTERS_MEETING_H
#define FILTERS_MEETING_H

#include "filters/policy.h"
#include "filters/url.h"

/* The scope under which they are kept. No client's scope has this text. */
#define MEETING_SCOPE "meetings"

/* The service that makes a meeting by a request to `host` and `target`, or NULL. */
const struct service *meeting_maker(const struct policy *policy, struct span host,
                                    struct span target);

/*
 * What a join link of `service` is known by: the same for all links to one room of one host,
 * whatever their query says. False when it is no join link of the service.
 */
typedef void meeting_sha256(struct span bytes, uint8_t digest[32]);
bool meeting_digest(const struct service *service, struct span host, struct span target,
                    meeting_sha256 *sha256, uint8_t digest[32]);

/* True when a request to `target` says by itself what the room of the link `url` is called. */
bool meeting_is_named(const struct service *service, const struct url *url, struct span target);

/*
 * What is kept of a meeting that was made: the meeting, and that the service has one at all.
 * `since` and `until` are the caller's to set.
 */
#define MEETING_LINKS 2
bool meeting_learn(const struct service *service, const struct url *url, meeting_sha256 *sha256,
                   struct learned_link links[MEETING_LINKS]);
/* True for the second of them. */
bool meeting_is_mark(const struct learned_link *link);

/*
 * The join pattern that makes host and target a meeting of somebody else, or NULL: none of the
 * clinic's own is known of that service, or it is one.
 */
const struct url_pattern *meeting_find_foreign(const struct policy *policy,
                                               const struct standing *standing, struct span host,
                                               struct span target);

#endif
