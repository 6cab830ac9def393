/* SPDX-License-Identifier: BSD-2-Clause */
/* GIF by giflib: the first frame, without the canvas around it. */
#include "gateway/picture_private.h"

#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define COLOURS 256

struct reading {
    GifFileType *gif;
    struct span rest;
    struct picture *picture;
    int transparent; /* a colour's index, or NO_TRANSPARENT_COLOR */
    uint8_t greys[COLOURS];
    GifPixelType row[PICTURE_SIDE_MAX];
};

static int on_read(GifFileType *gif, GifByteType *out, int size)
{
    struct reading *reading = gif->UserData;
    struct span taken = span_first(reading->rest, size > 0 ? (size_t)size : 0);

    if (taken.size > 0)
        memcpy(out, taken.data, taken.size);
    reading->rest = span_from(reading->rest, taken.size);
    return (int)taken.size;
}

/* Of the graphics control extension, which tells the transparent colour of the frame after it. */
static bool read_extension(struct reading *reading)
{
    GifByteType *block;
    GraphicsControlBlock control;
    int code;

    if (DGifGetExtension(reading->gif, &code, &block) == GIF_ERROR)
        return false;
    while (block != NULL) {
        if (code == GRAPHICS_EXT_FUNC_CODE &&
            DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            reading->transparent = control.TransparentColor;
        if (DGifGetExtensionNext(reading->gif, &block) == GIF_ERROR)
            return false;
    }
    return true;
}

static bool make_greys(struct reading *reading)
{
    const ColorMapObject *map = reading->gif->Image.ColorMap != NULL ? reading->gif->Image.ColorMap
                                                                     : reading->gif->SColorMap;

    if (map == NULL)
        return false;
    memset(reading->greys, 0, sizeof(reading->greys));
    for (int i = 0; i < map->ColorCount && i < COLOURS; i++)
        reading->greys[i] =
            picture_grey(map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue);
    if (reading->transparent >= 0 && reading->transparent < COLOURS)
        reading->greys[reading->transparent] = PICTURE_BACKGROUND;
    return true;
}

/* How many rows could be read. */
static uint32_t read_rows(struct reading *reading)
{
    static const struct {
        uint32_t first, step;
    } passes[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}, {0, 1}};
    const struct picture *picture = reading->picture;
    bool interlaced = reading->gif->Image.Interlace;
    uint32_t count = 0;

    for (size_t pass = interlaced ? 0 : 4; pass < (interlaced ? 4 : 5); pass++)
        for (uint32_t row = passes[pass].first; row < picture->height; row += passes[pass].step) {
            uint8_t *out = picture->luminance + (size_t)row * picture->width;
            if (DGifGetLine(reading->gif, reading->row, (int)picture->width) == GIF_ERROR)
                return count;
            for (uint32_t i = 0; i < picture->width; i++)
                out[i] = reading->greys[reading->row[i]];
            count++;
        }
    return count;
}

static enum picture_result read_frame(struct reading *reading)
{
    const GifImageDesc *frame = &reading->gif->Image;
    uint32_t rows;

    if (DGifGetImageDesc(reading->gif) == GIF_ERROR || !make_greys(reading))
        return PICTURE_DAMAGED;
    if (frame->Width <= 0 || frame->Height <= 0)
        return PICTURE_DAMAGED;
    if (!picture_make(reading->picture, (uint64_t)frame->Width, (uint64_t)frame->Height))
        return PICTURE_TOO_LARGE;
    rows = read_rows(reading);
    if (rows == reading->picture->height)
        return PICTURE_WHOLE;
    return rows > 0 ? PICTURE_PARTIAL : PICTURE_DAMAGED;
}

static enum picture_result read_picture(struct reading *reading)
{
    GifRecordType type;

    while (DGifGetRecordType(reading->gif, &type) == GIF_OK) {
        if (type == IMAGE_DESC_RECORD_TYPE)
            return read_frame(reading);
        if (type != EXTENSION_RECORD_TYPE || !read_extension(reading))
            break;
    }
    return PICTURE_DAMAGED;
}

enum picture_result picture_decode_gif(struct span bytes, struct picture *picture)
{
    struct reading *reading = memory_allocate(1, sizeof(*reading));
    enum picture_result result = PICTURE_DAMAGED;

    reading->rest = bytes;
    reading->picture = picture;
    reading->transparent = NO_TRANSPARENT_COLOR;
    reading->gif = DGifOpen(reading, on_read, NULL);
    if (reading->gif != NULL) {
        result = read_picture(reading);
        DGifCloseFile(reading->gif, NULL);
    }
    free(reading);
    return result;
}
