/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that certificates speak for: what a host is as a name to verify or to sign, and whether
 * a subjectAltName covers it (RFC 6125 section 6.4, RFC 9525, CA/Browser Forum 3.2.2.6).
 */
#ifndef GATEWAY_CERTIFICATE_NAME_H
#define GATEWAY_CERTIFICATE_NAME_H

#include <openssl/x509v3.h>

#include "filters/hostset.h"

struct certificate_name {
    char text[HOST_TEXT]; /* as host_normalise() gives it */
    uint8_t address[16];  /* in network order */
    size_t address_size;  /* bytes: 4, 16, or 0 for a host name */
};

/* Reads a host name or an address literal, as host_normalise() does. False for anything else. */
bool certificate_name_read(struct span host, struct certificate_name *name);

/*
 * Whether one of the alternative names is this name. A wildcard stands for exactly one whole
 * left-most label and never directly on a public suffix; an address is matched by an iPAddress
 * entry alone.
 */
bool certificate_name_covered(const struct certificate_name *name, const GENERAL_NAMES *names);

#endif
