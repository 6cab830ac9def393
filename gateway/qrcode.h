/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The QR codes in a picture, by ZBar. A telephone's camera reads codes that are small, pale,
 * inverted or noisy, so the picture is tried in several forms, each of a bounded size. All of them
 * are tried even when one has given a code: another code may stand beside it as a decoy.
 *
 * Not read: Micro QR and rMQR codes, Aztec, Data Matrix, and codes whose two colours differ in hue
 * alone.
 */
#ifndef GATEWAY_QRCODE_H
#define GATEWAY_QRCODE_H

#include "gateway/picture.h"

#define QRCODE_TEXTS_MAX 16   /* of one picture */
#define QRCODE_BYTES_MAX 4096 /* of one text; what is longer is cut there */

/*
 * Called for each different text, as soon as it is found; borrowed for the length of the call. The
 * bytes are as they stand in the code, in whatever encoding, and may hold NULs.
 */
typedef void qrcode_callback(void *context, struct span text);

/*
 * Once, in a process that can still open files, before qrcode_read(). Loads ZBar, which brings the
 * libraries of a desktop along: no other process of the daemon has them. And it converts what is in
 * a code by iconv(3), whose tables are files; without them a code in such an encoding is read as
 * the bytes that it has. False, with the reason in `error`, when there is no ZBar.
 */
bool qrcode_prepare(char *error, size_t size);

/* Looks for codes. The number of different texts, at most QRCODE_TEXTS_MAX. */
unsigned qrcode_read(const struct picture *picture, qrcode_callback *found, void *context);

#endif
