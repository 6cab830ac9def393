/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts that verify origins have among themselves: certificate_origin.c (the context, and
 * what is asked of a connection) and certificate_evidence.c (what OpenSSL calls while it verifies).
 */
#ifndef GATEWAY_CERTIFICATE_PRIVATE_H
#define GATEWAY_CERTIFICATE_PRIVATE_H

#include <openssl/ssl.h>

#include "gateway/certificate_name.h"
#include "gateway/certificate_verdict.h"
#include "gateway/fetching.h"
#include "gateway/revocation.h"
#include "gateway/transparency.h"

/* Hangs on the context, freed with it. */
struct evidence {
    struct revocation *revocation; /* lists of a file, and fetched ones */
    bool is_hard;
    struct fetching *fetching; /* borrowed; NULL: nothing is fetched */
    bool with_lists, with_issuers;
    STACK_OF(X509) * intermediates; /* of the configuration; or NULL */
    struct transparency *logs;      /* or NULL: timestamps are only counted */
};

/* Hangs on the SSL, freed with it. */
struct expectation {
    struct certificate_name name;
    enum certificate_verdict verdict;
    struct transparency_count timestamps;
    struct span said_timestamps; /* by the TLS extension; allocated */
    bool asked;                  /* for a certificate of ours */
    bool leaf_unknown;           /* to the lists of revoked ones, where all must be known */
    bool has_points;             /* what no list knows says where one is to be had */
    bool is_over;                /* nothing is waited for any more */
    uint32_t unknown;            /* to the lists, bits by depth */
    bool is_stapled;             /* there is a current answer that the leaf is good */
    struct fetch_wanted wanted;
};

struct expectation *certificate_expectation(const SSL *ssl);
struct evidence *certificate_evidence(const SSL_CTX *context);

/* Sets the calls of a context. False when the library refuses. */
bool certificate_evidence_prepare(SSL_CTX *context);

#endif
