/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decompression of the messages of one direction (RFC 7692 section 7.2.2) with zlib, in pieces of a
 * fixed size, and the watch for bombs.
 */
#include "gateway/websocket_private.h"

#define ZLIB_CONST /* what zlib reads it does not write */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "filters/memory.h"

#define PIECE 8192 /* bytes of output at a time */

/* zlib's compressor makes a window of 9 bits when it is asked for 8, and says nothing of it. */
#define WINDOW_TRUE_LEAST 9

/* What messages weighed: on the wire, and decompressed. */
struct weight {
    uint64_t in, out;
};

struct websocket_inflater {
    z_stream zlib;
    bool no_context_takeover;
    struct weight message; /* the one under way */
    struct weight large;   /* those that were not small */
    char output[PIECE];
};

static void *inflater_allocate(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return memory_allocate(count, size);
}

static void inflater_release(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

struct websocket_inflater *websocket_inflater_new(const struct websocket_deflate *deflate)
{
    struct websocket_inflater *inflater = memory_allocate(1, sizeof(*inflater));
    int bits = deflate->window_bits < WINDOW_TRUE_LEAST ? WINDOW_TRUE_LEAST : deflate->window_bits;
    inflater->no_context_takeover = deflate->no_context_takeover;
    inflater->zlib.zalloc = inflater_allocate;
    inflater->zlib.zfree = inflater_release;
    if (inflateInit2(&inflater->zlib, -bits) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void websocket_inflater_free(struct websocket_inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->zlib);
    free(inflater);
}

static bool is_bomb(const struct websocket_inflater *inflater)
{
    uint64_t in = inflater->large.in, out = inflater->large.out;
    if (inflater->message.out > WEBSOCKET_BOMB_SMALL) {
        in += inflater->message.in;
        out += inflater->message.out;
    }
    return out > WEBSOCKET_BOMB_SIZE && out / WEBSOCKET_BOMB_RATIO > in;
}

enum websocket_inflation websocket_inflater_run(struct websocket_inflater *inflater,
                                                struct span *input, struct span *output)
{
    z_stream *zlib = &inflater->zlib;
    unsigned size = input->size > UINT_MAX ? UINT_MAX : (unsigned)input->size;

    zlib->next_in = (const uint8_t *)input->data;
    zlib->avail_in = size;
    zlib->next_out = (uint8_t *)inflater->output;
    zlib->avail_out = PIECE;
    int code = inflate(zlib, Z_SYNC_FLUSH);
    *input = span_from(*input, size - zlib->avail_in);
    *output = (struct span){inflater->output, PIECE - zlib->avail_out};
    inflater->message.in += size - zlib->avail_in;
    inflater->message.out += output->size;
    if (is_bomb(inflater))
        return INFLATION_BOMB;
    /* A sender may end the stream anywhere in a message; the next one goes on with the same
     * window, which the plain reset would forget (section 7.2.3.4). */
    if (code == Z_STREAM_END)
        return inflateResetKeep(zlib) != Z_OK ? INFLATION_BAD
               : input->size                  ? INFLATION_MORE
                                              : INFLATION_DONE;
    if (code != Z_OK && code != Z_BUF_ERROR)
        return INFLATION_BAD;
    return zlib->avail_out == 0 || input->size ? INFLATION_MORE : INFLATION_DONE;
}

void websocket_inflater_end(struct websocket_inflater *inflater)
{
    if (inflater->message.out > WEBSOCKET_BOMB_SMALL) {
        inflater->large.in += inflater->message.in;
        inflater->large.out += inflater->message.out;
    }
    inflater->message = (struct weight){0, 0};
    if (inflater->no_context_takeover)
        inflateReset(&inflater->zlib);
}
