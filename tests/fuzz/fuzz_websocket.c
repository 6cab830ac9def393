/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of the WebSocket core. The first byte chooses the direction and what was negotiated;
 * the rest are the bytes of the connection. Whole, cut in two and byte by byte must give the same
 * events. With the top bit of the first byte the rest is a Sec-WebSocket-Extensions value instead.
 */
#include "tests/unit/websocket_transcript.h"

#define NEEDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_window(uint8_t bits)
{
    return bits >= 8 && bits <= 15;
}

static void check_negotiation(struct span value)
{
    struct websocket_parameters parameters;
    bool good = websocket_negotiate(value, &parameters);
    NEEDS(is_window(parameters.client.window_bits) && is_window(parameters.server.window_bits));
    NEEDS(good || !parameters.deflate);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct transcript whole, halves, single;
    if (size == 0)
        return 0;
    struct span rest = {(const char *)bytes + 1, size - 1};
    if (bytes[0] & 0x80) {
        check_negotiation(rest);
        return 0;
    }
    bool client = bytes[0] & 1, no_takeover = bytes[0] & 4;
    uint8_t bits = (uint8_t)(8 + (bytes[0] >> 3 & 7));
    const struct websocket_parameters parameters = {
        bytes[0] & 2, {no_takeover, bits}, {no_takeover, bits}};
    enum websocket_error error =
        transcript_make(&whole, client, &parameters, rest, rest.size, rest.size);
    NEEDS(transcript_make(&halves, client, &parameters, rest, 1 + rest.size / 2, rest.size) ==
          error);
    NEEDS(transcript_make(&single, client, &parameters, rest, 1, 1) == error);
    NEEDS(strcmp(whole.text, halves.text) == 0);
    NEEDS(strcmp(whole.text, single.text) == 0);
    free(whole.text);
    free(halves.text);
    free(single.text);
    return 0;
}
