/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An update of the appliance: one file, which brings one version for one kind of device.
 *
 *     "sekisho-bundle 1\n"    17 bytes
 *     size of the signature    4 bytes, big-endian
 *     signature                CMS SignedData (RFC 5652), DER, with the manifest inside
 *     payload                  the rest of the file
 *
 * The manifest is text, six lines in this order, a name, a space and a value each:
 *
 *     device sekisho-x86_64
 *     version 1.2.0            numbers between dots, without leading zeros
 *     sequence 12              must be higher than that of the version that runs
 *     floor 10                 once this version has proved itself, none below is taken any more
 *     size 28258657            of the payload, in bytes
 *     sha256 HEX               of the payload, in small letters
 *
 * The functions take bytes and do no I/O.
 */
#ifndef GATEWAY_BUNDLE_H
#define GATEWAY_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "filters/span.h"
#include "gateway/digest.h"

#define BUNDLE_HEAD          21 /* bytes */
#define BUNDLE_SIGNATURE_MAX 65536
#define BUNDLE_PAYLOAD_MAX   (100u << 20)
#define BUNDLE_TEXT          48 /* room for a device's or a version's name */

/* X(symbol, text): what can be wrong with an update. */
#define BUNDLE_FAULTS(X)                                                                           \
    X(FORM, "the file is no update, or it is damaged")                                             \
    X(SIGNATURE, "the signature is damaged, or of somebody whose updates are not taken here")      \
    X(MANIFEST, "the signed manifest is not understood")                                           \
    X(DEVICE, "the update is for another kind of device")                                          \
    X(OLD, "the update is not newer than the version that runs")                                   \
    X(FLOOR, "the update is older than what may still be installed")                               \
    X(SIZE, "the file is cut off, or longer than it should be")                                    \
    X(DIGEST, "the file is damaged")
enum bundle_fault {
    BUNDLE_OK = 0,
#define X(symbol, text) BUNDLE_##symbol,
    BUNDLE_FAULTS(X)
#undef X
};

struct bundle_manifest {
    char device[BUNDLE_TEXT];
    char version[BUNDLE_TEXT]; /* digits and dots only: it becomes part of a file's name */
    uint32_t sequence, floor;
    uint64_t size;
    uint8_t digest[DIGEST_SIZE];
};

/* The head's BUNDLE_HEAD bytes: how long the signature behind it is. */
enum bundle_fault bundle_read_head(const uint8_t head[BUNDLE_HEAD], size_t *signature);

/*
 * Verifies the signature by the CAs of `trust` and reads the manifest in it. The signer's
 * certificate must be for code signing (RFC 5280, 4.2.1.12). Its dates are not looked at: a device
 * whose clock is wrong must be able to update, and `sequence` keeps old updates away.
 */
enum bundle_fault bundle_verify(struct span signature, X509_STORE *trust,
                                struct bundle_manifest *manifest);

/* The manifest's text alone; false when it is not exactly as above. */
bool bundle_read_manifest(struct span text, struct bundle_manifest *manifest);

/* Whether the update fits the version that runs. */
enum bundle_fault bundle_fits(const struct bundle_manifest *manifest, const char *device,
                              uint32_t sequence, uint32_t floor);

const char *bundle_fault_text(enum bundle_fault fault);

#endif
