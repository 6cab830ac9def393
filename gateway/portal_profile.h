/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration profile by which Apple's devices take a CA (Configuration Profile Reference,
 * payload com.apple.security.root). */
#ifndef GATEWAY_PORTAL_PROFILE_H
#define GATEWAY_PORTAL_PROFILE_H

#include "gateway/page_template.h"

#define PROFILE_UUID 37 /* bytes of its text, with the NUL */

/*
 * Writes the property list. `der` is the certificate, `name` how people know it, `clinic` may be
 * empty; both are escaped. The UUIDs come from the certificate, so that the same one is replaced
 * and another one is not.
 */
void profile_write(struct span der, struct span name, struct span clinic, struct text *out);

/* A UUID of version 8 (RFC 9562 section 5.8) from the SHA-256 of the purpose and the bytes. */
void profile_make_uuid(const char *purpose, struct span bytes, char uuid[PROFILE_UUID]);

#endif
