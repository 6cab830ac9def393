/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading DER (X.690) without copying it: for what is too large to be turned into objects. Only
 * what DER allows: definite lengths in their shortest form, tags of one byte.
 */
#ifndef GATEWAY_DER_H
#define GATEWAY_DER_H

#include <stdbool.h>

#include "filters/span.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OBJECT = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0
};

struct der {
    unsigned tag;
    struct span content;
    struct span whole; /* with tag and length */
};

/* Takes the next element off *rest. False, with *rest as it was, when there is none, or it is
 * malformed or not whole. */
bool der_next(struct span *rest, struct der *element);

/* The same when it has this tag; otherwise nothing is taken. */
bool der_take(struct span *rest, unsigned tag, struct der *element);

/*
 * A time of a certificate or a list (RFC 5280 sections 4.1.2.5 and 5.1.2.4): with seconds, in Zulu
 * time, as UTCTime up to 2049 and as GeneralizedTime from then on. Unix seconds, or -1.
 */
int64_t der_time(const struct der *element);

#endif
