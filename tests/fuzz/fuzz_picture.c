/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boundary of the picture decoders on arbitrary bytes: the bounds hold, a failure leaves
 * nothing behind, the same bytes give the same picture, and whoever cuts a picture short gets
 * nothing larger.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static enum picture_result decode(const uint8_t *data, size_t size, struct picture *picture)
{
    enum picture_result result = picture_decode((struct span){(const char *)data, size}, picture);

    demand((unsigned)result < PICTURE_RESULT_COUNT);
    if (result == PICTURE_WHOLE || result == PICTURE_PARTIAL) {
        demand(picture->luminance != NULL && picture->width > 0 && picture->height > 0);
        demand(picture->width <= PICTURE_SIDE_MAX && picture->height <= PICTURE_SIDE_MAX);
        demand((uint64_t)picture->width * picture->height <= PICTURE_PIXELS_MAX);
    } else {
        demand(picture->luminance == NULL && picture->width == 0 && picture->height == 0);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture first, second;
    enum picture_result result = decode(data, size, &first);

    demand(decode(data, size, &second) == result);
    demand(first.width == second.width && first.height == second.height);
    demand(first.luminance == NULL ||
           memcmp(first.luminance, second.luminance, (size_t)first.width * first.height) == 0);
    picture_free(&second);
    uint8_t *cut = malloc(size / 2 + 1); /* so that a read past its end is seen */
    demand(cut != NULL);
    if (size > 0)
        memcpy(cut, data, size / 2);
    if (decode(cut, size / 2, &second) <= PICTURE_PARTIAL && first.luminance != NULL)
        demand(first.width == second.width && first.height == second.height);
    free(cut);
    picture_free(&first);
    picture_free(&second);
    return 0;
}
