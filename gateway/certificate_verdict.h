/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be said of an origin's certificate: the one table of verdicts, for the log's `verify`.
 */
#ifndef GATEWAY_CERTIFICATE_VERDICT_H
#define GATEWAY_CERTIFICATE_VERDICT_H

#include <openssl/x509_vfy.h>

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
    X(STAPLE, "staple", X509_V_ERR_OCSP_VERIFY_FAILED,                                             \
      "the stapled answer about its revocation is malformed, forged or about another one")         \
    X(MUST_STAPLE, "must-staple", X509_V_ERR_OCSP_VERIFY_NEEDED,                                   \
      "it demands a stapled answer, and there is no current one")                                  \
    X(UNKNOWN, "revocation-unknown", X509_V_ERR_UNABLE_TO_GET_CRL,                                 \
      "no current list or answer says that it is not revoked (tls.revocation = hard)")             \
    X(PURPOSE, "purpose", X509_V_ERR_INVALID_PURPOSE, "not a certificate for TLS servers")         \
    X(CA_LEAF, "ca-leaf", X509_V_ERR_INVALID_PURPOSE, "a CA's certificate used by a server")       \
    X(NOT_CA, "not-ca", X509_V_ERR_INVALID_CA, "signed with a certificate that is not a CA's")     \
    X(PATH_LENGTH, "path-length", X509_V_ERR_PATH_LENGTH_EXCEEDED, "more CAs than allowed")        \
    X(NAME_CONSTRAINTS, "name-constraints", X509_V_ERR_PERMITTED_VIOLATION,                        \
      "a CA may not speak for this host, or its constraints are malformed")                        \
    X(POLICY, "policy", X509_V_ERR_NO_EXPLICIT_POLICY, "a CA demands a policy that is not there")  \
    X(CRITICAL, "critical", X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "an unknown critical one")    \
    X(EXTENSION, "extension", X509_V_ERR_INVALID_EXTENSION,                                        \
      "an extension is malformed, twice there, in the wrong place or wrongly (not) critical")      \
    X(IDENTIFIER, "key-identifier", X509_V_ERR_AKID_SKID_MISMATCH,                                 \
      "the identifiers of the keys are missing or do not fit together")                            \
    X(SAN, "san", X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, "an alternative name is malformed")          \
    X(EMPTY_NAME, "empty-name", X509_V_ERR_SUBJECT_NAME_EMPTY, "an issuer or a CA without name")   \
    X(VERSION, "version", X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3, "not of version 3")             \
    X(SERIAL, "serial", X509_V_ERR_UNSPECIFIED, "the serial number is zero, negative or too long") \
    X(VALIDITY, "validity", X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD,                              \
      "a time is not written as it must be")                                                       \
    X(SIGNATURE, "signature", X509_V_ERR_CERT_SIGNATURE_FAILURE, "a signature is wrong")           \
    X(ALGORITHM, "algorithm", X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY,                        \
      "the signature's algorithm is not said alike twice, or has wrong parameters")                \
    X(WEAK_KEY, "weak-key", X509_V_ERR_EE_KEY_TOO_SMALL, "RSA < 2048 or another kind of key")      \
    X(WEAK_SIGNATURE, "weak-signature", X509_V_ERR_CA_MD_TOO_WEAK, "not a SHA-2 signature")        \
    X(MALFORMED, "malformed", X509_V_ERR_UNSPECIFIED, "breaks RFC 5280 in another way")            \
    X(INTERNAL, "internal", X509_V_ERR_UNSPECIFIED, "it could not be checked")

enum certificate_verdict {
#define X(symbol, code, error, meaning) VERDICT_##symbol,
    CERTIFICATE_VERDICTS(X)
#undef X
};

const char *certificate_verdict_code(enum certificate_verdict verdict);
const char *certificate_verdict_meaning(enum certificate_verdict verdict);
int certificate_verdict_error(enum certificate_verdict verdict);

#endif
