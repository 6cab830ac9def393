/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a text is UTF-8 (RFC 3629), told as early as a byte says so, with three bytes of memory
 * between two pieces.
 */
#include "gateway/websocket_private.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080u

static size_t ascii_run(struct span bytes)
{
    size_t run = 0;
    uint64_t word;
    while (bytes.size - run >= sizeof(word)) {
        memcpy(&word, bytes.data + run, sizeof(word));
        if (word & HIGH_BITS)
            break;
        run += sizeof(word);
    }
    return run;
}

/* Table 3-7 of the Unicode standard: what may follow a lead byte. */
static bool begin_character(struct websocket_utf8 *utf8, uint8_t lead)
{
    utf8->lower = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    utf8->upper = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0x80)
        return true;
    utf8->needed = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    return lead >= 0xc2 && lead <= 0xf4;
}

size_t websocket_utf8_check(struct websocket_utf8 *utf8, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if (utf8->needed == 0)
            i += ascii_run(span_from(bytes, i));
        if (i == bytes.size)
            break;
        uint8_t byte = (uint8_t)bytes.data[i];
        if (utf8->needed == 0) {
            if (!begin_character(utf8, byte))
                return i;
            continue;
        }
        if (byte < utf8->lower || byte > utf8->upper)
            return i;
        utf8->needed--;
        utf8->lower = 0x80;
        utf8->upper = 0xbf;
    }
    return bytes.size;
}
