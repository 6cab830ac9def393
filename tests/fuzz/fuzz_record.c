/* SPDX-License-Identifier: BSD-2-Clause */
/* Unpacking any bytes, then formatting: what was accepted packs again to the same bytes, and the
 * line is one line of well-formed UTF-8 with a properly closed element. */
#include <stdlib.h>
#include <string.h>

#include "gateway/record.h"
#include "gateway/utf8.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_line(struct span line)
{
    bool quoted = false, escaped = false, closed = false;

    for (size_t i = 0; i < line.size; i++) {
        char byte = line.data[i];

        if (!closed && quoted && !escaped && byte == '\\') {
            escaped = true;
            continue;
        }
        if (!closed && byte == '"' && !escaped)
            quoted = !quoted;
        if (!closed && byte == ']' && !escaped) {
            CHECK(!quoted);
            closed = true;
        }
        escaped = false;
    }
    CHECK(closed && !quoted);
    while (line.size > 0) {
        uint32_t character;
        size_t size = utf8_decode(line, &character);

        CHECK(!utf8_is_control(character));
        CHECK(character != UTF8_REPLACEMENT || size == 3);
        line = span_from(line, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packed[16384];
    static char line[RECORD_LINE];
    struct record record, filled;
    size_t length, shorter;

    if (size > sizeof(packed))
        return 0;
    if (record_unpack(data, size, &record)) {
        length = record_pack(&record, packed, sizeof(packed));
        CHECK(length == size && memcmp(packed, data, size) == 0);
        length = record_format(&record, 0, "h", 1, line, sizeof(line));
        CHECK(length < sizeof(line) - 1 && strlen(line) == length);
        check_line((struct span){line, length});
        shorter = 120 + size % 200;
        length = record_format(&record, 0, "h", 1, line, shorter);
        CHECK(length < shorter);
        check_line((struct span){line, length});
    }
    /* The same bytes as values, in the way of a worker. */
    record_init(&filled, EVENT_BLOCK);
    for (unsigned i = 1; i < RECORD_FIELD_COUNT && size > 0; i++) {
        size_t part = size < (size_t)data[0] * 8 ? size : (size_t)data[0] * 8;

        record_set(&filled, i, (struct span){(const char *)data, part});
        data += part > 0 ? part : 1;
        size -= part > 0 ? part : 1;
    }
    length = record_format(&filled, 0, "h", 1, line, sizeof(line));
    check_line((struct span){line, length});
    length = record_pack(&filled, packed, sizeof(packed));
    CHECK(length > 0 && record_unpack(packed, length, &record));
    return 0;
}
