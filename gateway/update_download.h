/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bundle from a web server into a file that has no name: whatever happens, also when the power
 * fails, the file system takes it back once nobody holds it. A child reads what the network says
 * (update_fetch.h); here are only bytes, their number and the time they take.
 *
 * The first bytes of a bundle say which version it brings. Most days it is none that is wanted:
 * then the rest is not fetched.
 */
#ifndef GATEWAY_UPDATE_DOWNLOAD_H
#define GATEWAY_UPDATE_DOWNLOAD_H

#include <stdint.h>

#include "gateway/update_fetch.h"

/*
 * Head and signature of a bundle are at the beginning of this file. Gives the bytes that the whole
 * of it has, or 0: it is not wanted.
 */
typedef uint64_t update_judge(void *context, int fd);

/*
 * The file, as long as was said, open for reading and the caller's. -1 when there is none: with a
 * message in `error`, or without one when it is not wanted.
 */
int update_download(const struct update_source *source, update_judge *judge, void *context,
                    char *error, size_t size);

#endif
