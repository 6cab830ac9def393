/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between a URL and what is kept of a learned link: how a link that was found in a text becomes one
 * that is learned, and which learned link a URL that is asked for is.
 */
#ifndef FILTERS_LEARNED_URL_H
#define FILTERS_LEARNED_URL_H

#include "filters/learned.h"
#include "filters/url.h"

typedef void learned_sha256(struct span bytes, uint8_t digest[32]);

/* Sets the digests. `cut`: the URL goes on behind what is there of it. */
void learned_link_name(struct learned_link *link, const struct url *url, bool cut,
                       learned_sha256 *sha256);

/*
 * The URL that is as likely to be asked for when this one was found: browsers try https of
 * themselves where http was written, and a bare name (without `has_scheme`) is either. False when
 * there is none.
 */
bool learned_url_other(const struct url *url, bool has_scheme, struct url *other);

/*
 * As learned_links_find(). A link that was learned as ended where a reader of the text may have
 * read on (a quote, a blank, a bracket) is found too.
 */
const struct learned_link *learned_links_find_url(const struct learned_links *links,
                                                  const char *scope, const struct url *url,
                                                  enum learned_reach reach, learned_sha256 *sha256,
                                                  int64_t now);

#endif
