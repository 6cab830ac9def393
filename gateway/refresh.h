/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a response sends a browser on to: Location, the Refresh field, or a meta element that
 * stands for it (WHATWG HTML, "shared declarative refresh steps").
 */
#ifndef GATEWAY_REFRESH_H
#define GATEWAY_REFRESH_H

#include "gateway/exchange.h"

/* The URL of a Refresh value such as "0;url='/next'"; empty when it names none. Borrowed. */
struct span refresh_parse(struct span value);

/* The Refresh value of the first such meta element in the beginning of a page; empty without one.
 */
struct span refresh_find_meta(struct span html);

#endif
