/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verification of an origin's certificate: OpenSSL's own, strict, and after it a layer of rules
 * over the chain that it built. No I/O and no clock: the proxy and the tests call the same
 * function.
 */
#ifndef GATEWAY_CERTIFICATE_VERIFY_H
#define GATEWAY_CERTIFICATE_VERIFY_H

#include <openssl/x509.h>

#include "gateway/certificate_name.h"

/* X(symbol, the code in the log, the X509_V_ERR that makes OpenSSL choose a fitting alert, meaning)
 */
#define CERTIFICATE_VERDICTS(X)                                                                    \
    X(NONE, "none", X509_V_ERR_UNSPECIFIED, "the handshake ended before a certificate came")       \
    X(OK, "ok", X509_V_OK, "verified")                                                             \
    X(EXPIRED, "expired", X509_V_ERR_CERT_HAS_EXPIRED, "a certificate of the chain is over")       \
    X(NOT_YET_VALID, "not-yet-valid", X509_V_ERR_CERT_NOT_YET_VALID, "one has not begun")          \
    X(SELF_SIGNED, "self-signed", X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "by itself alone")       \
    X(UNTRUSTED, "untrusted", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,                        \
      "the chain does not end at a trusted root")                                                  \
    X(NAME, "name", X509_V_ERR_HOSTNAME_MISMATCH, "it speaks for other hosts")                     \
    X(NO_SAN, "no-san", X509_V_ERR_HOSTNAME_MISMATCH, "no subjectAltName; the CN is not a host")   \
    X(REVOKED, "revoked", X509_V_ERR_CERT_REVOKED, "withdrawn by its issuer")                      \
    X(PURPOSE, "purpose", X509_V_ERR_INVALID_PURPOSE, "not a certificate for TLS servers")         \
    X(CA_LEAF, "ca-leaf", X509_V_ERR_INVALID_PURPOSE, "a CA's certificate used by a server")       \
    X(NOT_CA, "not-ca", X509_V_ERR_INVALID_CA, "signed with a certificate that is not a CA's")     \
    X(PATH_LENGTH, "path-length", X509_V_ERR_PATH_LENGTH_EXCEEDED, "more CAs than allowed")        \
    X(NAME_CONSTRAINTS, "name-constraints", X509_V_ERR_PERMITTED_VIOLATION,                        \
      "a CA may not speak for this host")                                                          \
    X(CRITICAL, "critical", X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "an unknown critical one")    \
    X(SIGNATURE, "signature", X509_V_ERR_CERT_SIGNATURE_FAILURE, "a signature is wrong")           \
    X(WEAK_KEY, "weak-key", X509_V_ERR_EE_KEY_TOO_SMALL, "RSA < 2048 or another kind of key")      \
    X(WEAK_SIGNATURE, "weak-signature", X509_V_ERR_CA_MD_TOO_WEAK, "not a SHA-2 signature")        \
    X(MALFORMED, "malformed", X509_V_ERR_UNSPECIFIED, "breaks RFC 5280")                           \
    X(INTERNAL, "internal", X509_V_ERR_UNSPECIFIED, "it could not be checked")

enum certificate_verdict {
#define X(symbol, code, error, meaning) VERDICT_##symbol,
    CERTIFICATE_VERDICTS(X)
#undef X
};

const char *certificate_verdict_code(enum certificate_verdict verdict);
int certificate_verdict_error(enum certificate_verdict verdict);

struct certificate_question {
    X509_STORE *trust;
    X509 *leaf;
    STACK_OF(X509) * others; /* whatever else the server sent; may be NULL */
    const struct certificate_name *name;
    int64_t time; /* Unix seconds */
};

/*
 * Verifies. With VERDICT_OK and `chain` not NULL, *chain is the chain that was built, leaf first,
 * and belongs to the caller (sk_X509_pop_free); otherwise it is NULL.
 */
enum certificate_verdict certificate_chain_verify(const struct certificate_question *question,
                                                  STACK_OF(X509) * *chain);

/* RSA of at least 2048 bits, P-256, P-384, P-521 (as named curves) or Ed25519. */
bool certificate_key_strong(const EVP_PKEY *key);

/* Unix seconds, or -1 when it is not a time. */
int64_t certificate_time(const ASN1_TIME *time);

#endif
