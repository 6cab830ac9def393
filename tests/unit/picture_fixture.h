/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pictures for the tests, made with the libraries that the others use to make them: codes by
 * libqrencode, drawn into grey, turned, scaled, made noisy, and written in each format.
 */
#ifndef TESTS_PICTURE_FIXTURE_H
#define TESTS_PICTURE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>
#include <jpeglib.h>
#include <png.h>
#include <qrencode.h>
#include <webp/encode.h>

#include "gateway/picture.h"

/* An encoded picture. */
struct file {
    uint8_t *data;
    size_t size;
};

static inline struct span file_span(const struct file *file)
{
    return (struct span){(const char *)file->data, file->size};
}

static inline void file_free(struct file *file)
{
    free(file->data);
    *file = (struct file){NULL, 0};
}

/* --- grey pictures --- */

static inline struct picture grey_make(uint32_t width, uint32_t height, uint8_t level)
{
    struct picture grey = {.width = width, .height = height};

    grey.luminance = malloc((size_t)width * height);
    assert_non_null(grey.luminance);
    memset(grey.luminance, level, (size_t)width * height);
    return grey;
}

/* The same numbers in every run. */
static inline uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Draws a code with its top left corner at x, y; nothing around it is touched. Its side. */
static inline uint32_t grey_draw_code(struct picture *grey, const char *text, uint32_t x0,
                                      uint32_t y0, uint32_t module, uint8_t dark, uint8_t light)
{
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);

    assert_non_null(code);
    uint32_t side = (uint32_t)code->width * module;
    assert_true(x0 + side <= grey->width && y0 + side <= grey->height);
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            size_t at = y / module * (uint32_t)code->width + x / module;
            grey->luminance[(size_t)(y0 + y) * grey->width + x0 + x] =
                (code->data[at] & 1) != 0 ? dark : light;
        }
    QRcode_free(code);
    return side;
}

/* A code with a quiet zone of four modules: what qrencode(1) makes. */
static inline struct picture grey_code(const char *text, uint32_t module)
{
    struct picture wide = grey_make(80 * module, 80 * module, 255);
    uint32_t side = grey_draw_code(&wide, text, 4 * module, 4 * module, module, 0, 255);
    struct picture grey = grey_make(side + 8 * module, side + 8 * module, 255);

    for (uint32_t y = 0; y < grey.height; y++)
        memcpy(grey.luminance + (size_t)y * grey.width, wide.luminance + (size_t)y * wide.width,
               grey.width);
    free(wide.luminance);
    return grey;
}

/* Turned by the degrees and scaled, on a canvas that it fits on, with bilinear sampling. */
static inline struct picture grey_turn(const struct picture *in, double degrees, double scale,
                                       uint8_t around)
{
    double angle = degrees * M_PI / 180, sine = sin(angle), cosine = cos(angle);
    double reach = (fabs(sine) + fabs(cosine)) * scale;
    uint32_t side = (uint32_t)(reach * (in->width > in->height ? in->width : in->height)) + 8;
    struct picture out = grey_make(side, side, around);

    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            double u = (x - side / 2.0) / scale, v = (y - side / 2.0) / scale;
            double from_x = cosine * u + sine * v + in->width / 2.0 - 0.5;
            double from_y = cosine * v - sine * u + in->height / 2.0 - 0.5;
            if (from_x < 0 || from_y < 0 || from_x >= in->width - 1 || from_y >= in->height - 1)
                continue;
            uint32_t column = (uint32_t)from_x, row = (uint32_t)from_y;
            double fx = from_x - column, fy = from_y - row;
            const uint8_t *p = in->luminance + (size_t)row * in->width + column;
            out.luminance[(size_t)y * side + x] =
                (uint8_t)((p[0] * (1 - fx) + p[1] * fx) * (1 - fy) +
                          (p[in->width] * (1 - fx) + p[in->width + 1] * fx) * fy);
        }
    return out;
}

static inline void grey_map(struct picture *grey, uint8_t dark, uint8_t light)
{
    for (size_t i = 0; i < (size_t)grey->width * grey->height; i++)
        grey->luminance[i] = (uint8_t)(dark + grey->luminance[i] * (light - dark) / 255);
}

static inline void grey_noise(struct picture *grey, int strength)
{
    uint32_t state = 1;

    for (size_t i = 0; i < (size_t)grey->width * grey->height; i++) {
        int level = grey->luminance[i] +
                    (int)(random_next(&state) % (2u * (uint32_t)strength + 1)) - strength;
        grey->luminance[i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

/* Light that falls from one side. */
static inline void grey_shade(struct picture *grey)
{
    for (uint32_t y = 0; y < grey->height; y++)
        for (uint32_t x = 0; x < grey->width; x++) {
            uint8_t *pixel = grey->luminance + (size_t)y * grey->width + x;
            *pixel = (uint8_t)(*pixel * (80 + 150 * x / grey->width) / 255 + 20);
        }
}

/* --- writing them --- */

static inline void png_append(png_structp png, png_bytep bytes, size_t size)
{
    struct file *file = png_get_io_ptr(png);

    file->data = realloc(file->data, file->size + size);
    assert_non_null(file->data);
    memcpy(file->data + file->size, bytes, size);
    file->size += size;
}

/* In the colour type; what is alpha in it is 255 where `alpha` is NULL. */
static inline struct file grey_png(const struct picture *grey, int colour, int depth,
                                   bool interlaced, const uint8_t *alpha)
{
    struct file file = {NULL, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    size_t samples = colour == PNG_COLOR_TYPE_RGB          ? 3
                     : colour == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                     : colour == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                           : 1;
    size_t width = depth == 16 ? 2 : 1, stride = grey->width * samples * width;
    uint8_t *pixels = calloc(grey->height, stride);
    png_bytep *rows = calloc(grey->height, sizeof(*rows));
    png_color colours[256];

    assert_true(pixels != NULL && rows != NULL);
    for (size_t i = 0; i < (size_t)grey->width * grey->height; i++)
        for (size_t sample = 0; sample < samples; sample++) {
            bool is_alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0 && sample == samples - 1;
            uint8_t level = !is_alpha ? grey->luminance[i] : alpha != NULL ? alpha[i] : 255;
            memset(pixels + (i * samples + sample) * width, level, width);
        }
    for (uint32_t y = 0; y < grey->height; y++)
        rows[y] = pixels + y * stride;
    png_set_write_fn(png, &file, png_append, NULL);
    png_set_IHDR(png, info, grey->width, grey->height, depth, colour,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    for (int i = 0; i < 256; i++)
        colours[i] = (png_color){(uint8_t)i, (uint8_t)i, (uint8_t)i};
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, colours, 256);
    png_set_rows(png, info, rows);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    free(rows);
    free(pixels);
    return file;
}

static inline struct file grey_png_plain(const struct picture *grey)
{
    return grey_png(grey, PNG_COLOR_TYPE_GRAY, 8, false, NULL);
}

static inline struct file grey_jpeg(const struct picture *grey, J_COLOR_SPACE space, int quality,
                                    bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    unsigned samples = space == JCS_CMYK ? 4 : space == JCS_RGB ? 3 : 1;
    uint8_t *row = calloc(grey->width, samples);
    JSAMPROW rows[1] = {row};

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = grey->width;
    jpeg.image_height = grey->height;
    jpeg.input_components = (int)samples;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (uint32_t y = 0; y < grey->height; y++) {
        for (uint32_t x = 0; x < grey->width; x++) {
            uint8_t level = grey->luminance[(size_t)y * grey->width + x];
            memset(row + x * samples, space == JCS_CMYK ? 255 : level, samples);
            if (space == JCS_CMYK)
                row[x * samples + 3] = level;
        }
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return (struct file){data, size};
}

static inline int gif_append(GifFileType *gif, const GifByteType *bytes, int size)
{
    struct file *file = gif->UserData;

    file->data = realloc(file->data, file->size + (size_t)size);
    assert_non_null(file->data);
    memcpy(file->data + file->size, bytes, (size_t)size);
    file->size += (size_t)size;
    return size;
}

/* `transparent`: a colour's index, or -1. A second frame, all black, follows the first. */
static inline struct file grey_gif(const struct picture *grey, bool interlaced, int transparent)
{
    static const uint32_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    struct file file = {NULL, 0};
    GifColorType colours[256];
    int error, width = (int)grey->width, height = (int)grey->height;

    for (int i = 0; i < 256; i++)
        colours[i] = (GifColorType){(uint8_t)i, (uint8_t)i, (uint8_t)i};
    GifFileType *gif = EGifOpen(&file, gif_append, &error);
    ColorMapObject *map = GifMakeMapObject(256, colours);
    assert_true(gif != NULL && map != NULL);
    EGifSetGifVersion(gif, true);
    assert_int_equal(EGifPutScreenDesc(gif, width, height, 8, 0, map), GIF_OK);
    if (transparent >= 0) {
        GifByteType block[4];
        GraphicsControlBlock control = {.TransparentColor = transparent};
        EGifGCBToExtension(&control, block);
        EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block);
    }
    assert_int_equal(EGifPutImageDesc(gif, 0, 0, width, height, interlaced, NULL), GIF_OK);
    for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
        for (uint32_t y = interlaced ? first[pass] : 0; y < grey->height;
             y += interlaced ? step[pass] : 1)
            EGifPutLine(gif, grey->luminance + (size_t)y * grey->width, width);
    EGifPutImageDesc(gif, 0, 0, 1, 1, false, NULL);
    EGifPutPixel(gif, 0);
    EGifCloseFile(gif, &error);
    GifFreeMapObject(map);
    return file;
}

static inline struct file grey_webp(const struct picture *grey, bool lossless, const uint8_t *alpha)
{
    struct file file = {NULL, 0};
    size_t pixels = (size_t)grey->width * grey->height;
    uint8_t *rgba = malloc(pixels * 4), *out = NULL;
    int width = (int)grey->width, height = (int)grey->height;

    for (size_t i = 0; i < pixels; i++) {
        memset(rgba + i * 4, grey->luminance[i], 3);
        rgba[i * 4 + 3] = alpha != NULL ? alpha[i] : 255;
    }
    file.size = lossless ? WebPEncodeLosslessRGBA(rgba, width, height, width * 4, &out)
                         : WebPEncodeRGBA(rgba, width, height, width * 4, 80, &out);
    assert_true(file.size > 0);
    free(rgba);
    /* from one allocator to the other */
    file.data = malloc(file.size);
    memcpy(file.data, out, file.size);
    WebPFree(out);
    return file;
}

/* Little-endian, in `size` bytes. */
static inline uint8_t *put_little(uint8_t *at, size_t size, uint32_t value)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + size;
}

static inline uint8_t *put_chunk(uint8_t *at, const char *name, size_t size)
{
    memcpy(at, name, 4);
    return put_little(at + 4, 4, (uint32_t)size);
}

/* An animation of this one frame, as the container's specification lays it out. */
static inline struct file grey_webp_animation(const struct picture *grey)
{
    enum { HEAD = 12, CHUNK = 8, EXTENDED = 10, ANIMATION = 6, FRAME = 16 };
    struct file still = grey_webp(grey, true, NULL);
    size_t bitstream = still.size - HEAD; /* one chunk, with its own head */
    size_t size = HEAD + CHUNK + EXTENDED + CHUNK + ANIMATION + CHUNK + FRAME + bitstream;
    struct file file = {calloc(1, size), size};
    uint8_t *at = put_chunk(file.data, "RIFF", size - CHUNK);

    memcpy(at, "WEBP", 4);
    at = put_chunk(at + 4, "VP8X", EXTENDED);
    at[0] = 0x02; /* it moves */
    put_little(at + 4, 3, grey->width - 1);
    put_little(at + 7, 3, grey->height - 1);
    at = put_chunk(at + EXTENDED, "ANIM", ANIMATION) + ANIMATION;
    at = put_chunk(at, "ANMF", FRAME + bitstream);
    put_little(at + 6, 3, grey->width - 1);
    put_little(at + 9, 3, grey->height - 1);
    put_little(at + 12, 3, 100); /* ms */
    memcpy(at + FRAME, still.data + HEAD, bitstream);
    file_free(&still);
    return file;
}

#endif
