/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content decoding. The first byte chooses the codings, the second how the rest is cut: the output
 * must not depend on the cutting, nor the failure unless the output was full before it came, and
 * the output never passes the limit.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/decode.h"

#define LIMIT 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"gzip", "deflate", "br", "zstd", "br, gzip", "gzip, zstd"};
    struct decoder *whole, *pieces;
    struct span one, other;
    size_t step;
    int status, status_of_pieces = 0;

    if (size < 2)
        return 0;
    step = data[1] + 1U;
    whole = decoder_new(span_of(names[data[0] % 6]), LIMIT);
    pieces = decoder_new(span_of(names[data[0] % 6]), LIMIT);
    demand(whole != NULL && pieces != NULL);
    status = decoder_feed(whole, data + 2, size - 2);
    for (size_t at = 2; at < size; at += step)
        status_of_pieces = decoder_feed(pieces, data + at, size - at < step ? size - at : step);
    one = decoder_output(whole);
    other = decoder_output(pieces);
    demand(one.size <= LIMIT && other.size <= LIMIT);
    demand(decoder_is_full(whole) == (one.size == LIMIT));
    demand(status == status_of_pieces || decoder_is_full(status == 0 ? whole : pieces));
    demand(status != 0 || status_of_pieces != 0 || span_equal(one, other));
    demand(span_starts(one, other) || span_starts(other, one));
    decoder_free(whole);
    decoder_free(pieces);
    return 0;
}
