/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PNG by libpng, which is fed with what there is and gives the rows that are in it. Wrong checksums
 * are overlooked, as some viewers do: a code that is seen must be read. Everything that changes
 * between setjmp() and longjmp() is in `struct reading`, which the function that calls setjmp()
 * only has a pointer to.
 */
#include "gateway/picture_private.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define CHUNK_BYTES_MAX  (1u << 20) /* of one chunk that is not pixels, unpacked */
#define CHUNK_COUNT_MAX  64         /* of those that libpng keeps */
#define SAMPLES          4          /* red, green, blue, alpha */
#define SIDE_MAX_OF_FILE 0x7fffffffu

struct reading {
    png_structp png;
    png_infop info;
    struct span bytes;
    struct picture *picture;
    uint8_t *pixels; /* all of them, when the picture is interlaced */
    bool has_begun;  /* there is a row */
    enum picture_result result;
};

static void on_error(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* Whatever it is becomes eight bits of red, green, blue and alpha. */
static void ask_for_rgba(png_structp png)
{
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
}

/* The size is known: libpng has taken no memory for rows yet. */
static void on_header(png_structp png, png_infop info)
{
    struct reading *reading = png_get_progressive_ptr(png);
    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);

    if (!picture_fits(width, height)) {
        reading->result = PICTURE_TOO_LARGE;
        png_error(png, "too large");
    }
    if (reading->picture->luminance != NULL)
        png_error(png, "a second header");
    ask_for_rgba(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)width * SAMPLES)
        png_error(png, "a row of another size");
    if (passes > 1)
        reading->pixels = memory_allocate((size_t)width * SAMPLES, height);
    picture_make(reading->picture, width, height);
}

static void convert_row(const struct picture *picture, const uint8_t *pixels, uint32_t row)
{
    uint8_t *out = picture->luminance + (size_t)row * picture->width;

    for (uint32_t i = 0; i < picture->width; i++, pixels += SAMPLES)
        out[i] = picture_blend(picture_grey(pixels[0], pixels[1], pixels[2]), pixels[3]);
}

/* The rows of an interlaced picture grow finer with each pass: what is missing stays coarse. */
static void on_row(png_structp png, png_bytep pixels, png_uint_32 row, int pass)
{
    struct reading *reading = png_get_progressive_ptr(png);
    const struct picture *picture = reading->picture;
    bool interlaced = reading->pixels != NULL;

    if (row >= picture->height)
        return;
    reading->has_begun = true;
    if (interlaced)
        png_progressive_combine_row(png, reading->pixels + (size_t)row * picture->width * SAMPLES,
                                    pixels);
    else if (pixels != NULL)
        convert_row(picture, pixels, row);
    /* What follows the pixels is of no interest. */
    if (row == picture->height - 1 && pass == (interlaced ? PNG_INTERLACE_ADAM7_PASSES - 1 : 0))
        reading->result = PICTURE_WHOLE;
}

static void prepare(struct reading *reading)
{
    png_structp png = reading->png;

    png_set_progressive_read_fn(png, reading, on_header, on_row, NULL);
    png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_option(png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
    png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_set_benign_errors(png, 1);
    /* Our own bounds are checked in on_header(). */
    png_set_user_limits(png, SIDE_MAX_OF_FILE, SIDE_MAX_OF_FILE);
    png_set_chunk_malloc_max(png, CHUNK_BYTES_MAX);
    png_set_chunk_cache_max(png, CHUNK_COUNT_MAX);
}

/* Until the bytes are at their end, or libpng gives up. */
static void read_picture(struct reading *reading)
{
    if (setjmp(png_jmpbuf(reading->png)) != 0)
        return;
    prepare(reading);
    png_process_data(reading->png, reading->info, (png_bytep)reading->bytes.data,
                     reading->bytes.size);
}

static void convert_interlaced(const struct reading *reading)
{
    size_t stride = (size_t)reading->picture->width * SAMPLES;

    for (uint32_t row = 0; row < reading->picture->height; row++)
        convert_row(reading->picture, reading->pixels + row * stride, row);
}

enum picture_result picture_decode_png(struct span bytes, struct picture *picture)
{
    struct reading reading = {.bytes = bytes, .picture = picture, .result = PICTURE_DAMAGED};

    reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, on_error, on_warning);
    if (reading.png == NULL)
        return PICTURE_DAMAGED;
    reading.info = png_create_info_struct(reading.png);
    if (reading.info != NULL)
        read_picture(&reading);
    if (reading.has_begun && reading.result == PICTURE_DAMAGED)
        reading.result = PICTURE_PARTIAL;
    if (reading.has_begun && reading.pixels != NULL)
        convert_interlaced(&reading);
    free(reading.pixels);
    png_destroy_read_struct(&reading.png, &reading.info, NULL);
    return reading.result;
}
