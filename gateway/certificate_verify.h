/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verification of an origin's certificate: OpenSSL's own, strict, and after it the rules of
 * chain.h over the chain that it built. No I/O and no clock: the proxy and the tests call the same
 * function.
 */
#ifndef GATEWAY_CERTIFICATE_VERIFY_H
#define GATEWAY_CERTIFICATE_VERIFY_H

#include <openssl/x509.h>

#include "gateway/certificate_name.h"
#include "gateway/certificate_verdict.h"
#include "gateway/revocation.h"

struct certificate_question {
    X509_STORE *trust;
    X509 *leaf;
    STACK_OF(X509) * others; /* whatever else the server sent; may be NULL */
    const struct certificate_name *name;
    int64_t time;             /* Unix seconds */
    struct revocation *lists; /* of revoked certificates; NULL: none are asked */
    bool is_hard;             /* who is on no current list is refused... */
    bool *leaf_unknown;       /* ...but the leaf, where this is there: then it is told here */
    uint32_t *unknown;        /* who is on none, bits by depth, as in revocation.h; or NULL */
};

/*
 * Verifies, by at most six ways to a root; the verdict is the first one's when none is good. With
 * VERDICT_OK and `chain` not NULL, *chain is the chain that was built, leaf first, and belongs to
 * the caller (sk_X509_pop_free); otherwise it is NULL.
 */
enum certificate_verdict certificate_chain_verify(const struct certificate_question *question,
                                                  STACK_OF(X509) * *chain);

#endif
