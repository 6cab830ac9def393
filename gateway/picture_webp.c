/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WebP by libwebp: lossy, lossless, with and without alpha; of an animation the first frame. The
 * incremental decoder is used because it gives what there is of a picture that was cut off.
 */
#include "gateway/picture_private.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

/* libwebp gives luminance in the video range, 16 to 235, which is good enough to tell modules. */
static void convert_rows(const WebPYUVABuffer *planes, struct picture *picture, int rows)
{
    for (int row = 0; row < rows; row++) {
        const uint8_t *grey = planes->y + (ptrdiff_t)row * planes->y_stride;
        const uint8_t *alpha =
            planes->a != NULL ? planes->a + (ptrdiff_t)row * planes->a_stride : NULL;
        uint8_t *out = picture->luminance + (size_t)row * picture->width;
        for (uint32_t i = 0; i < picture->width; i++)
            out[i] = picture_blend(grey[i], alpha != NULL ? alpha[i] : 255);
    }
}

static enum picture_result decode_still(const WebPData *data, const WebPBitstreamFeatures *features,
                                        struct picture *picture)
{
    WebPDecoderConfig config;
    int rows = 0;

    if (!WebPInitDecoderConfig(&config) ||
        !picture_make(picture, (uint64_t)features->width, (uint64_t)features->height))
        return PICTURE_DAMAGED;
    config.output.colorspace = features->has_alpha ? MODE_YUVA : MODE_YUV;
    WebPIDecoder *decoder = WebPIDecode(NULL, 0, &config);
    if (decoder == NULL)
        return PICTURE_DAMAGED;
    VP8StatusCode status = WebPIUpdate(decoder, data->bytes, data->size);
    if (WebPIDecGetYUVA(decoder, &rows, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) != NULL) {
        if (rows > features->height)
            rows = features->height;
        convert_rows(&config.output.u.YUVA, picture, rows);
    }
    WebPIDelete(decoder);
    WebPFreeDecBuffer(&config.output);
    if (status == VP8_STATUS_OK && rows == features->height)
        return PICTURE_WHOLE;
    return rows > 0 ? PICTURE_PARTIAL : PICTURE_DAMAGED;
}

static enum picture_result decode_data(const WebPData *data, struct picture *picture,
                                       bool *is_animation)
{
    WebPBitstreamFeatures features;

    *is_animation = false;
    if (WebPGetFeatures(data->bytes, data->size, &features) != VP8_STATUS_OK)
        return PICTURE_DAMAGED;
    if (features.width <= 0 || features.height <= 0)
        return PICTURE_DAMAGED;
    if (!picture_fits((uint64_t)features.width, (uint64_t)features.height))
        return PICTURE_TOO_LARGE;
    *is_animation = features.has_animation;
    return features.has_animation ? PICTURE_DAMAGED : decode_still(data, &features, picture);
}

enum picture_result picture_decode_webp(struct span bytes, struct picture *picture)
{
    WebPData data = {(const uint8_t *)bytes.data, bytes.size};
    WebPDemuxState state;
    WebPIterator frame;
    bool is_animation;
    enum picture_result result = decode_data(&data, picture, &is_animation);

    if (!is_animation)
        return result;
    WebPDemuxer *demuxer = WebPDemuxPartial(&data, &state);
    if (demuxer == NULL)
        return PICTURE_DAMAGED;
    if (WebPDemuxGetFrame(demuxer, 1, &frame)) {
        result = decode_data(&frame.fragment, picture, &is_animation);
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demuxer);
    return result;
}
