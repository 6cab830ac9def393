/* SPDX-License-Identifier: BSD-2-Clause */
/* What the decoders of the picture formats share: see picture.h. Included by picture*.c alone. */
#ifndef GATEWAY_PICTURE_PRIVATE_H
#define GATEWAY_PICTURE_PRIVATE_H

#include "gateway/picture.h"

/* One per format. The picture is empty; what they leave in it when they fail, the caller frees. */
typedef enum picture_result picture_decoder(struct span bytes, struct picture *picture);
picture_decoder picture_decode_png, picture_decode_jpeg, picture_decode_gif, picture_decode_webp;

/* Whether a picture of this size is within the bounds. */
bool picture_fits(uint64_t width, uint64_t height);

/* Makes the pixels of the background. False, with nothing made, when it does not fit. */
bool picture_make(struct picture *picture, uint64_t width, uint64_t height);

/* The luminance of a colour (ITU-R BT.601), and of one that is partly transparent. */
static inline uint8_t picture_grey(uint8_t red, uint8_t green, uint8_t blue)
{
    return (uint8_t)((red * 77u + green * 150u + blue * 29u + 128u) >> 8);
}

static inline uint8_t picture_blend(uint8_t grey, uint8_t alpha)
{
    return (uint8_t)((grey * (unsigned)alpha + PICTURE_BACKGROUND * (255u - alpha) + 127u) / 255u);
}

#endif
