/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures: which format it is, and the bounds that hold for all. See picture.h. */
#include "gateway/picture_private.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

static const char *const result_names[] = {
#define X(symbol, name) [PICTURE_##symbol] = name,
    PICTURE_RESULTS(X)
#undef X
};

const char *picture_result_name(enum picture_result result)
{
    return (size_t)result < PICTURE_RESULT_COUNT ? result_names[result] : "?";
}

/* As browsers tell them: WHATWG MIME Sniffing, section 6.1. */
static const struct format {
    struct span start;
    struct span later; /* at byte 8 */
    picture_decoder *decode;
} formats[] = {
    {SPAN("\x89PNG\r\n\x1a\n"), {NULL, 0}, picture_decode_png},
    {SPAN("\xff\xd8\xff"), {NULL, 0}, picture_decode_jpeg},
    {SPAN("GIF87a"), {NULL, 0}, picture_decode_gif},
    {SPAN("GIF89a"), {NULL, 0}, picture_decode_gif},
    {SPAN("RIFF"), SPAN("WEBPVP"), picture_decode_webp},
};

/* All that is there of the wanted bytes is right; `whole`: and all of them are there. */
static bool agrees(struct span bytes, struct span wanted, bool *whole)
{
    *whole = *whole && bytes.size >= wanted.size;
    return span_starts(wanted, span_first(bytes, wanted.size));
}

static enum picture_start find_format(struct span bytes, const struct format **format)
{
    enum picture_start start = PICTURE_NONE;

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        bool whole = true;
        *format = &formats[i];
        if (!agrees(bytes, formats[i].start, &whole) ||
            !agrees(span_from(bytes, 8), formats[i].later, &whole))
            continue;
        if (whole)
            return PICTURE_BEGINS;
        start = PICTURE_PERHAPS;
    }
    return start;
}

enum picture_start picture_recognise(struct span bytes)
{
    const struct format *format;

    return find_format(bytes, &format);
}

bool picture_fits(uint64_t width, uint64_t height)
{
    return width > 0 && height > 0 && width <= PICTURE_SIDE_MAX && height <= PICTURE_SIDE_MAX &&
           width * height <= PICTURE_PIXELS_MAX;
}

bool picture_make(struct picture *picture, uint64_t width, uint64_t height)
{
    if (!picture_fits(width, height))
        return false;
    picture->width = (uint32_t)width;
    picture->height = (uint32_t)height;
    picture->luminance = memory_allocate((size_t)width * (size_t)height, 1);
    memset(picture->luminance, PICTURE_BACKGROUND, (size_t)width * (size_t)height);
    return true;
}

enum picture_result picture_decode(struct span bytes, struct picture *picture)
{
    const struct format *format;
    enum picture_result result;

    *picture = (struct picture){.width = 0};
    if (find_format(bytes, &format) != PICTURE_BEGINS)
        return PICTURE_UNKNOWN;
    if (bytes.size > PICTURE_BYTES_MAX)
        return PICTURE_TOO_LARGE;
    result = format->decode(bytes, picture);
    if (result != PICTURE_WHOLE && result != PICTURE_PARTIAL)
        picture_free(picture);
    return result;
}

void picture_free(struct picture *picture)
{
    free(picture->luminance);
    *picture = (struct picture){.width = 0};
}
