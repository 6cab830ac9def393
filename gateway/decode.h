/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decodes the first bytes of a body whose content is coded (gzip, deflate, br, zstd, and up to two
 * of them stacked; RFC 9110 section 8.4), so that they can be sniffed. Output and memory are
 * bounded.
 */
#ifndef GATEWAY_DECODE_H
#define GATEWAY_DECODE_H

#include "filters/span.h"

/* The codings that can be decoded, as an Accept-Encoding value. */
#define DECODE_ACCEPT "gzip, deflate, br, zstd"

struct decoder;

/*
 * For a Content-Encoding value; an empty one, "identity", or one of the words that servers write by
 * mistake ("none", "utf-8") gives a decoder that copies. NULL when a coding is unknown or there are
 * too many. `limit` is the most bytes of output that will ever be
 * kept.
 */
struct decoder *decoder_new(struct span content_encoding, size_t limit);
/*
 * A decoder of whole bodies: what comes out is given to `sink` piece by piece and not kept. NULL as
 * above. A bomb (more than 64 MB and over 200 times its input) ends as a failure.
 */
typedef void decoder_sink(void *context, struct span bytes);
struct decoder *decoder_new_stream(struct span content_encoding, decoder_sink *sink, void *context);
void decoder_free(struct decoder *decoder);

/* Takes more coded bytes. 0, or -1 when they are not what the coding says. Past `limit` it does
 * nothing. */
int decoder_feed(struct decoder *decoder, const void *bytes, size_t size);

/* What was decoded so far. Borrowed until the next feed. */
struct span decoder_output(const struct decoder *decoder);
bool decoder_is_full(const struct decoder *decoder);
/* True when there is no coding to undo: what comes out is what went in. */
bool decoder_is_plain(const struct decoder *decoder);

/* Raises the limit (a download wants a longer prefix). Only before the decoder was full. */
void decoder_raise(struct decoder *decoder, size_t limit);

#endif
