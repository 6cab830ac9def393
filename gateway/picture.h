/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pictures as the examiner sees them: PNG, JPEG, GIF (its first frame) and WebP (its first frame),
 * decoded from memory into eight bits of luminance. What is transparent becomes middle grey, so
 * that black and white on it can both be told from it. A damaged picture is given as far as it
 * goes, as browsers show it.
 *
 * Every bound is checked before memory is taken. Runs only where a crash harms nobody: the decoders
 * are libraries.
 */
#ifndef GATEWAY_PICTURE_H
#define GATEWAY_PICTURE_H

#include <stdint.h>

#include "filters/span.h"

#define PICTURE_BYTES_MAX  (8u << 20)  /* of the encoded picture */
#define PICTURE_SIDE_MAX   8192u       /* width and height, in pixels */
#define PICTURE_PIXELS_MAX (16u << 20) /* that are decoded; a JPEG with more is decoded smaller */
#define PICTURE_BACKGROUND 128         /* the luminance of what is transparent */

/* X(symbol, name) */
#define PICTURE_RESULTS(X)                                                                         \
    X(WHOLE, "whole")                                                                              \
    X(PARTIAL, "partial")     /* damaged or cut off: what could be decoded */                      \
    X(UNKNOWN, "unknown")     /* none of the formats */                                            \
    X(TOO_LARGE, "too large") /* over one of the bounds */                                         \
    X(DAMAGED, "damaged")     /* nothing could be decoded */

enum picture_result {
#define X(symbol, name) PICTURE_##symbol,
    PICTURE_RESULTS(X)
#undef X
        PICTURE_RESULT_COUNT
};
const char *picture_result_name(enum picture_result result);

struct picture {
    uint32_t width, height; /* pixels */
    uint8_t *luminance;     /* width * height bytes, row by row, 0 is black */
};

/*
 * Whether what begins with these bytes is a picture of a format that can be decoded, whatever it is
 * declared to be: browsers show it as one. PICTURE_PERHAPS: more bytes are needed to tell.
 */
enum picture_start { PICTURE_NONE, PICTURE_PERHAPS, PICTURE_BEGINS };
enum picture_start picture_recognise(struct span bytes);

/*
 * Decodes. With PICTURE_WHOLE and PICTURE_PARTIAL the caller gives `picture` back to
 * picture_free(); otherwise it is empty.
 */
enum picture_result picture_decode(struct span bytes, struct picture *picture);

/* Frees the pixels and empties the picture; an empty one is left as it is. */
void picture_free(struct picture *picture);

#endif
