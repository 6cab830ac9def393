/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JPEG by libjpeg-turbo, straight to luminance. A picture of more pixels than the bound is decoded
 * at a half, a quarter or an eighth, which costs less memory and not more. As in picture_png.c
 * everything that changes is behind the pointer that the function with setjmp() has.
 */
#include "gateway/picture_private.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it */
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "filters/memory.h"

#define MEMORY_MAX (144L << 20) /* bytes, for the coefficients of a progressive picture */
#define SCANS_MAX  100          /* a bomb has thousands, each over all the pixels */
#define CMYK       4            /* samples */

struct reading {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    struct span bytes;
    struct picture *picture;
    uint8_t *row; /* of a picture in CMYK */
    enum picture_result result;
};

static void on_error(j_common_ptr jpeg)
{
    struct reading *reading = jpeg->client_data;

    longjmp(reading->jump, 1);
}

/* Warnings are counted: libjpeg goes on after them, with grey for what is missing. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0)
        jpeg->err->num_warnings++;
}

static void on_progress(j_common_ptr jpeg)
{
    struct reading *reading = jpeg->client_data;

    if (reading->jpeg.input_scan_number > SCANS_MAX)
        ERREXIT(jpeg, JERR_BAD_PROGRESSION);
}

/* As Adobe's programs write it, and so everybody else: the samples are inverted. */
static void convert_cmyk(const uint8_t *in, uint8_t *out, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++, in += CMYK)
        out[i] = picture_grey((uint8_t)(in[0] * in[3] / 255), (uint8_t)(in[1] * in[3] / 255),
                              (uint8_t)(in[2] * in[3] / 255));
}

static void read_rows(struct reading *reading)
{
    struct jpeg_decompress_struct *jpeg = &reading->jpeg;

    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out =
            reading->picture->luminance + (size_t)jpeg->output_scanline * jpeg->output_width;
        JSAMPROW row = reading->row != NULL ? reading->row : out;
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1)
            ERREXIT(jpeg, JERR_CANT_SUSPEND);
        if (reading->row != NULL)
            convert_cmyk(reading->row, out, jpeg->output_width);
    }
}

static bool choose_scale(struct jpeg_decompress_struct *jpeg)
{
    uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;

    if (jpeg->image_width > PICTURE_SIDE_MAX || jpeg->image_height > PICTURE_SIDE_MAX)
        return false;
    jpeg->scale_num = 1;
    jpeg->scale_denom = 1;
    while (pixels / (jpeg->scale_denom * jpeg->scale_denom) > PICTURE_PIXELS_MAX)
        jpeg->scale_denom *= 2;
    return true;
}

static void prepare(struct reading *reading)
{
    struct jpeg_decompress_struct *jpeg = &reading->jpeg;

    jpeg->client_data = reading;
    jpeg->mem->max_memory_to_use = MEMORY_MAX;
    reading->progress.progress_monitor = on_progress;
    jpeg->progress = &reading->progress;
    jpeg_mem_src(jpeg, (const unsigned char *)reading->bytes.data,
                 (unsigned long)reading->bytes.size);
}

/* Returns by itself, or by longjmp() to its setjmp(): the result tells how far it came. */
static void read_picture(struct reading *reading)
{
    struct jpeg_decompress_struct *jpeg = &reading->jpeg;

    if (setjmp(reading->jump) != 0)
        return;
    jpeg_create_decompress(jpeg);
    prepare(reading);
    jpeg_read_header(jpeg, TRUE);
    if (!choose_scale(jpeg)) {
        reading->result = PICTURE_TOO_LARGE;
        return;
    }
    bool is_cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = is_cmyk ? JCS_CMYK : JCS_GRAYSCALE;
    jpeg_start_decompress(jpeg);
    if (is_cmyk)
        reading->row = memory_allocate(jpeg->output_width, CMYK);
    if (!picture_make(reading->picture, jpeg->output_width, jpeg->output_height)) {
        reading->result = PICTURE_TOO_LARGE;
        return;
    }
    reading->result = PICTURE_PARTIAL;
    read_rows(reading);
    if (reading->errors.num_warnings == 0)
        reading->result = PICTURE_WHOLE;
}

enum picture_result picture_decode_jpeg(struct span bytes, struct picture *picture)
{
    struct reading *reading = memory_allocate(1, sizeof(*reading));
    enum picture_result result;

    reading->bytes = bytes;
    reading->picture = picture;
    reading->result = PICTURE_DAMAGED;
    reading->jpeg.err = jpeg_std_error(&reading->errors);
    reading->jpeg.client_data = reading;
    reading->errors.error_exit = on_error;
    reading->errors.emit_message = on_message;
    read_picture(reading);
    jpeg_destroy_decompress(&reading->jpeg);
    result = reading->result;
    free(reading->row);
    free(reading);
    return result;
}
