/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content codings, undone piece by piece. Each coding is a row of one table; a decoder is a chain
 * of at most two of them, and what comes out of the last is kept up to the limit. A bomb costs at
 * most what the limits say: decoding stops when the output is full, and fails when it eats or makes
 * much without ever filling it.
 */
#include "gateway/decode.h"

#define ZLIB_CONST /* what zlib reads it does not write */
#include <brotli/decode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "filters/memory.h"

#define STAGES     2
#define CHUNK      8192 /* bytes that one stage hands to the next at a time */
#define FIRST_ROOM 2048 /* of the output */
#define SLACK                                                                                      \
    (1024L * 1024) /* bytes beyond the limit that a stage may take before the output is full */
#define BROTLI_ROOM  (26L << 20) /* a window of 16 MB (RFC 7932), 8 more while it grows, tables */
#define STREAM_FREE  (64u << 20) /* bytes of a stream that nobody asks about */
#define STREAM_RATIO 200         /* over that, the most that one byte may become */
#define ZSTD_HEADER  18          /* bytes at most (RFC 8878 section 3.1.1) */
#define ZSTD_WINDOW  23          /* 8 MB, the most that RFC 9659 lets a content coding use */

struct stage;

enum progress {
    PROGRESS_MORE,
    PROGRESS_OVER, /* the end; what follows is ignored, as browsers do */
    PROGRESS_BAD
};

/* How to undo one coding. `run` moves *in and *out on and lessens their sizes. */
struct coding {
    const char *name;
    bool (*start)(struct stage *stage);
    enum progress (*run)(struct stage *stage, struct span *in, uint8_t **out, size_t *room);
    void (*stop)(struct stage *stage);
};

struct stage {
    const struct coding *coding;
    z_stream zlib;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
    size_t brotli_used;
    size_t zstd_head; /* bytes of a frame's header that were taken */
    uint8_t head[2]; /* the bytes that tell what follows: zlib's wrapping, another member of gzip */
    size_t head_size;
    bool between; /* gzip: a member has ended */
    size_t taken; /* bytes of input */
    bool ended;   /* takes nothing more */
};

struct decoder {
    struct stage stages[STAGES];
    size_t stage_count;
    uint8_t *output;
    size_t size, room, limit;
    bool full;
    bool failed;
    decoder_sink *sink; /* of a stream: takes what would be kept */
    void *sink_context;
    uint64_t fed, made; /* bytes of a stream */
};

/* The codings */

static void *zlib_allocate(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return memory_allocate(count, size);
}

static void zlib_free(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

static bool zlib_start(struct stage *stage, int window_bits)
{
    stage->zlib.zalloc = zlib_allocate;
    stage->zlib.zfree = zlib_free;
    return inflateInit2(&stage->zlib, window_bits) == Z_OK;
}

static void zlib_stop(struct stage *stage)
{
    if (stage->zlib.state != NULL)
        inflateEnd(&stage->zlib);
}

static enum progress zlib_run(struct stage *stage, struct span *in, uint8_t **out, size_t *room)
{
    z_stream *zlib = &stage->zlib;
    unsigned size = in->size > CHUNK ? CHUNK : (unsigned)in->size;
    int code;

    zlib->next_in = (const uint8_t *)in->data;
    zlib->avail_in = size;
    zlib->next_out = *out;
    zlib->avail_out = (unsigned)*room;
    code = inflate(zlib, Z_NO_FLUSH);
    *in = span_from(*in, size - zlib->avail_in);
    *out = zlib->next_out;
    *room = zlib->avail_out;
    if (code == Z_STREAM_END)
        return PROGRESS_OVER;
    return code == Z_OK || code == Z_BUF_ERROR ? PROGRESS_MORE : PROGRESS_BAD;
}

static bool gzip_start(struct stage *stage)
{
    return zlib_start(stage, 16 + MAX_WBITS);
}

/* Fills `head`; true when both bytes are there. */
static bool take_head(struct stage *stage, struct span *in)
{
    while (stage->head_size < sizeof(stage->head) && in->size > 0) {
        stage->head[stage->head_size++] = (uint8_t)in->data[0];
        *in = span_from(*in, 1);
    }
    return stage->head_size == sizeof(stage->head);
}

/* What begins like another member (RFC 1952 section 2.2) must be one; anything else is padding. */
static enum progress gzip_run(struct stage *stage, struct span *in, uint8_t **out, size_t *room)
{
    struct span head = {(const char *)stage->head, sizeof(stage->head)};
    enum progress progress;

    if (stage->between) {
        if (!take_head(stage, in))
            return PROGRESS_MORE;
        if (stage->head[0] != 0x1f || stage->head[1] != 0x8b)
            return PROGRESS_OVER;
        stage->between = false;
        if (inflateReset(&stage->zlib) != Z_OK ||
            zlib_run(stage, &head, out, room) != PROGRESS_MORE)
            return PROGRESS_BAD;
    }
    progress = zlib_run(stage, in, out, room);
    if (progress == PROGRESS_OVER) {
        stage->between = true;
        stage->head_size = 0;
        progress = PROGRESS_MORE;
    }
    return progress;
}

static bool deflate_start(struct stage *stage)
{
    stage->zlib.state = NULL; /* begun when the first two bytes are there */
    return true;
}

/*
 * "deflate" should be zlib's format (RFC 9110 section 8.4.1.2), but many servers send the bare one
 * and browsers take both.
 */
static enum progress deflate_run(struct stage *stage, struct span *in, uint8_t **out, size_t *room)
{
    enum progress progress = PROGRESS_MORE;
    struct span head;

    if (stage->zlib.state == NULL) {
        if (!take_head(stage, in))
            return PROGRESS_MORE;
        bool wrapped = (stage->head[0] & 0x0f) == Z_DEFLATED && stage->head[0] >> 4 <= 7 &&
                       (stage->head[0] << 8 | stage->head[1]) % 31 == 0;
        if (!zlib_start(stage, wrapped ? MAX_WBITS : -MAX_WBITS))
            return PROGRESS_BAD;
        head = (struct span){(const char *)stage->head, 2};
        progress = zlib_run(stage, &head, out, room);
    }
    return progress == PROGRESS_MORE ? zlib_run(stage, in, out, room) : progress;
}

/* Each block remembers its size, so that what the decoder holds can be bounded. */
union block {
    size_t size;
    max_align_t align;
};

static void *brotli_allocate(void *opaque, size_t size)
{
    struct stage *stage = opaque;
    union block *block;

    if (size > (size_t)BROTLI_ROOM - stage->brotli_used)
        return NULL;
    block = memory_allocate(1, sizeof(*block) + size);
    block->size = size;
    stage->brotli_used += size;
    return block + 1;
}

static void brotli_free(void *opaque, void *memory)
{
    struct stage *stage = opaque;
    union block *block = memory;

    if (block == NULL)
        return;
    stage->brotli_used -= block[-1].size;
    free(block - 1);
}

static bool brotli_start(struct stage *stage)
{
    stage->brotli = BrotliDecoderCreateInstance(brotli_allocate, brotli_free, stage);
    return stage->brotli != NULL;
}

static void brotli_stop(struct stage *stage)
{
    BrotliDecoderDestroyInstance(stage->brotli);
}

static enum progress brotli_run(struct stage *stage, struct span *in, uint8_t **out, size_t *room)
{
    size_t left = in->size;
    const uint8_t *next = (const uint8_t *)in->data;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(stage->brotli, &left, &next, room, out, NULL);

    *in = span_from(*in, in->size - left);
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        return PROGRESS_OVER;
    return result == BROTLI_DECODER_RESULT_ERROR ? PROGRESS_BAD : PROGRESS_MORE;
}

static bool zstd_start(struct stage *stage)
{
    stage->zstd = ZSTD_createDCtx();
    return stage->zstd != NULL &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(stage->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW));
}

static void zstd_stop(struct stage *stage)
{
    ZSTD_freeDCtx(stage->zstd);
}

/*
 * The library takes a frame that it sees whole, or one of a format older than RFC 8878, by other
 * code, which finds other errors. What a body is must not depend on how it was cut, so the header
 * goes byte by byte.
 */
static enum progress zstd_run(struct stage *stage, struct span *in, uint8_t **out, size_t *room)
{
    size_t size = stage->zstd_head >= ZSTD_HEADER || in->size == 0 ? in->size : 1;
    ZSTD_inBuffer from = {in->data, size, 0};
    ZSTD_outBuffer to = {*out, *room, 0};
    size_t code = ZSTD_decompressStream(stage->zstd, &to, &from);

    stage->zstd_head = code == 0 ? 0 : stage->zstd_head + from.pos;
    *in = span_from(*in, from.pos);
    *out += to.pos;
    *room -= to.pos;
    return ZSTD_isError(code) ? PROGRESS_BAD : PROGRESS_MORE; /* a frame may follow a frame */
}

static const struct coding codings[] = {
    {"gzip", gzip_start, gzip_run, zlib_stop},
    {"x-gzip", gzip_start, gzip_run, zlib_stop},
    {"deflate", deflate_start, deflate_run, zlib_stop},
    {"br", brotli_start, brotli_run, brotli_stop},
    {"zstd", zstd_start, zstd_run, zstd_stop},
};

/* The chain */

static const struct coding *find_coding(struct span name)
{
    for (size_t i = 0; i < sizeof(codings) / sizeof(*codings); i++)
        if (span_equal_nocase(name, span_of(codings[i].name)))
            return &codings[i];
    return NULL;
}

/* Besides "identity", what servers write there by mistake: browsers take the body as it is. */
static bool is_no_coding(struct span name)
{
    static const char *const names[] = {"identity", "none", "utf-8", "utf8", "binary", "8bit"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (span_equal_nocase(name, span_of(names[i])))
            return true;
    return false;
}

static bool add_stage(struct decoder *decoder, struct span name)
{
    const struct coding *coding = find_coding(name);
    struct stage *stage = &decoder->stages[decoder->stage_count];

    if (coding == NULL || decoder->stage_count == STAGES)
        return false;
    stage->coding = coding;
    decoder->stage_count++;
    return coding->start(stage);
}

struct decoder *decoder_new(struct span content_encoding, size_t limit)
{
    struct decoder *decoder = memory_allocate(1, sizeof(*decoder));
    struct span name;

    decoder->limit = limit;
    decoder->full = limit == 0;
    while (span_next(&content_encoding, ',', &name)) {
        if (name.size == 0 || is_no_coding(name))
            continue;
        if (!add_stage(decoder, name)) {
            decoder_free(decoder);
            return NULL;
        }
    }
    return decoder;
}

struct decoder *decoder_new_stream(struct span content_encoding, decoder_sink *sink, void *context)
{
    struct decoder *decoder = decoder_new(content_encoding, 1);

    if (decoder != NULL) {
        decoder->sink = sink;
        decoder->sink_context = context;
    }
    return decoder;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (size_t i = 0; i < decoder->stage_count; i++)
        decoder->stages[i].coding->stop(&decoder->stages[i]);
    free(decoder->output);
    free(decoder);
}

static void keep(struct decoder *decoder, struct span bytes)
{
    size_t room = decoder->room == 0 ? FIRST_ROOM : decoder->room;

    if (decoder->sink != NULL) {
        decoder->made += bytes.size;
        if (bytes.size > 0)
            decoder->sink(decoder->sink_context, bytes);
        return;
    }
    bytes = span_first(bytes, decoder->limit - decoder->size);
    if (bytes.size == 0)
        return;
    while (room < decoder->size + bytes.size)
        room *= 2;
    if (room > decoder->limit)
        room = decoder->limit;
    if (room > decoder->room) {
        decoder->output = memory_resize(decoder->output, room, 1);
        decoder->room = room;
    }
    memcpy(decoder->output + decoder->size, bytes.data, bytes.size);
    decoder->size += bytes.size;
    decoder->full = decoder->size == decoder->limit;
}

static bool is_excessive(const struct decoder *decoder, const struct stage *stage)
{
    if (decoder->sink != NULL)
        return decoder->made > STREAM_FREE && decoder->made / STREAM_RATIO > decoder->fed;
    return stage->taken > decoder->limit + SLACK;
}

/*
 * Feeds the first `count` stages, the last of them first: the coding that was applied last is
 * undone first (RFC 9110 section 8.4). Behind them is the output.
 */
static void feed_stages(struct decoder *decoder, size_t count, struct span in)
{
    uint8_t chunk[CHUNK];
    bool more = in.size > 0;

    if (count == 0) {
        keep(decoder, in);
        return;
    }
    struct stage *stage = &decoder->stages[count - 1];
    while (more && !stage->ended && !decoder->full && !decoder->failed) {
        uint8_t *out = chunk;
        size_t room = CHUNK, before = in.size;
        enum progress progress = stage->coding->run(stage, &in, &out, &room);
        stage->taken += before - in.size;
        feed_stages(decoder, count - 1, (struct span){(const char *)chunk, CHUNK - room});
        if (progress == PROGRESS_BAD || is_excessive(decoder, stage))
            decoder->failed = true;
        stage->ended = progress != PROGRESS_MORE;
        /* A full chunk: more may wait inside. Neither input nor output moved: nothing does. */
        more = (in.size > 0 || room == 0) && (in.size < before || room < CHUNK);
    }
}

int decoder_feed(struct decoder *decoder, const void *bytes, size_t size)
{
    decoder->fed += size;
    if (!decoder->failed && !decoder->full)
        feed_stages(decoder, decoder->stage_count, (struct span){bytes, size});
    return decoder->failed && !decoder->full ? -1 : 0;
}

struct span decoder_output(const struct decoder *decoder)
{
    return (struct span){(const char *)decoder->output, decoder->size};
}

bool decoder_is_full(const struct decoder *decoder)
{
    return decoder->full;
}

bool decoder_is_plain(const struct decoder *decoder)
{
    return decoder->stage_count == 0;
}

void decoder_raise(struct decoder *decoder, size_t limit)
{
    if (!decoder->full && limit > decoder->limit)
        decoder->limit = limit;
}
