/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signed certificate timestamps (RFC 6962 section 3): promises of transparency logs that a
 * certificate is public. A core: a verified chain and what the server sent beside it go in, counts
 * come out. They are told in the log and decide nothing. Without a list of logs they are only
 * counted.
 */
#ifndef GATEWAY_TRANSPARENCY_H
#define GATEWAY_TRANSPARENCY_H

#include <stdint.h>

#include <openssl/x509.h>

#include "filters/span.h"

#define TRANSPARENCY_MAX 16 /* timestamps of one source that are looked at */

struct transparency; /* the logs that are known */

/* Reads a file in the form of OpenSSL's log list (SSL_CTX_set_ctlog_list_file(3)). NULL with a
 * message. */
struct transparency *transparency_read(const char *path, char *error, size_t size);
void transparency_free(struct transparency *logs); /* NULL does nothing */

struct transparency_count {
    unsigned all; /* valid, unknown and invalid; without a list of logs: just all */
    unsigned valid;
    unsigned unknown; /* from logs that the list does not have, or of another version */
    unsigned invalid; /* a wrong signature, or of the future */
    bool is_checked;  /* there is a list of logs */
};

/*
 * Counts those in the leaf, in the TLS extension (`extension`: a SignedCertificateTimestampList)
 * and in a stapled OCSP answer (`staple`: DER); both spans may be empty. `chain`: verified, leaf
 * first. `time`: Unix seconds.
 */
void transparency_check(const struct transparency *logs, STACK_OF(X509) * chain,
                        struct span extension, struct span staple, int64_t time,
                        struct transparency_count *count);

#endif
