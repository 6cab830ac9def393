/* SPDX-License-Identifier: BSD-2-Clause */
/* Kind and source of a request, out of its header fields. Only for the files that hold rows. */
#ifndef FILTERS_KIND_H
#define FILTERS_KIND_H

#include "filters/judge.h"

enum request_kind request_kind_find(const struct request *request);

/* True when the browser will save the answer, whatever it is. */
bool request_is_saved(const struct request *request);

/* True when a person looks at the answer, so that a page may stand in for it. */
bool request_is_top_level(const struct request *request, enum request_kind kind);

/* The hosts of Referer and Origin, normalised; returns how many. */
size_t request_pages_find(const struct request *request, char pages[PAGES][HOST_TEXT]);

/* `name` becomes the service's name, the first page's host, or "". */
enum request_source request_source_find(const struct policy *policy,
                                        const char pages[PAGES][HOST_TEXT], size_t page_count,
                                        char name[HOST_TEXT]);

#endif
