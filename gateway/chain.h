/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules over a chain of certificates that OpenSSL has built and found good: what RFC 5280, the
 * Baseline Requirements of the CA/Browser Forum and browsers demand beyond it. A core: a chain, a
 * name and a time go in, "ok" or a reason comes out. No I/O, no clock, no trust: that the
 * signatures are right and that the last certificate is trusted was found out before.
 *
 * chain.c is the table of rules; the others are its parts: chain_extension.c (each extension by
 * itself), chain_key.c (keys and signatures), chain_name.c (names and constraints on them),
 * chain_distrust.c (CAs that nobody trusts any more).
 */
#ifndef GATEWAY_CHAIN_H
#define GATEWAY_CHAIN_H

#include <openssl/x509.h>

#include "gateway/certificate_name.h"
#include "gateway/certificate_verdict.h"

/* Where a certificate stands: a server's, a CA's between, the trusted one at the end. */
enum chain_position { CHAIN_LEAF = 1, CHAIN_BETWEEN = 2, CHAIN_ANCHOR = 4 };

struct chain_finding {
    enum certificate_verdict verdict;
    int depth; /* of the certificate at fault; 0 is the leaf */
};

/* `chain`: leaf first, anchor last, at least one. `time`: Unix seconds, both ends of a validity
 * belong to it (RFC 5280 section 4.1.2.5). */
struct chain_finding chain_check(STACK_OF(X509) * chain, const struct certificate_name *name,
                                 int64_t time);

/* The rules that a trusted root meets wherever it stands at the end of a chain. */
enum certificate_verdict chain_check_anchor(X509 *anchor);

/*
 * Whether an anchor's faults of form are excused (no key identifiers, lax basicConstraints and such
 * like): roots made before the Baseline Requirements came into force (1 July 2012), and not before
 * there was a profile to break (RFC 2459, January 1999). The public bundles hold some: Go Daddy
 * Class 2, Certigna, TWCA Global. Younger roots have no excuse.
 */
bool chain_anchor_is_old(const X509 *anchor);

/* RSA of at least 2048 bits, P-256, P-384, P-521 (as named curves) or Ed25519. */
bool chain_key_strong(const EVP_PKEY *key);
/* SHA-2 with RSA (PKCS #1) or ECDSA, or Ed25519. Of PSS the parameters would have to be seen too.
 */
bool chain_signature_strong(int nid);
/* The same of an algorithm with what stands beside it, which must be what RFC 4055, 5758 and 8410
 * want. */
bool chain_algorithm_strong(const X509_ALGOR *algorithm);

/* Unix seconds, or -1 when it is not a time. */
int64_t chain_time(const ASN1_TIME *time);

/* --- the parts --- */

enum certificate_verdict chain_check_extensions(const X509 *certificate,
                                                enum chain_position position);
enum certificate_verdict chain_check_key(X509 *certificate);
enum certificate_verdict chain_check_distrust(X509 *authority);
enum certificate_verdict chain_check_signature(X509 *certificate);
enum certificate_verdict chain_check_names(X509 *certificate);
enum certificate_verdict chain_check_host(X509 *leaf, const struct certificate_name *name);

/* The constraints of every CA on the names below it, the anchor's too. */
struct chain_finding chain_check_constraints(STACK_OF(X509) * chain);

#endif
