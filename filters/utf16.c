/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-16: see utf16.h. */
#include "filters/utf16.h"

#include <string.h>

#include "filters/character.h"

#define PIECE       512
#define REPLACEMENT 0xfffd

struct output {
    char text[PIECE];
    size_t size;
    utf16_text *give;
    void *context;
};

static bool is_parameter_end(char byte)
{
    return byte == ';' || byte == ' ' || byte == '"' || byte == '\t';
}

enum utf16_form utf16_declared(struct span media_type)
{
    static const struct {
        struct span name;
        enum utf16_form form;
    } names[] = {{{"utf-16", 6}, UTF16_LITTLE},
                 {{"utf-16le", 8}, UTF16_LITTLE},
                 {{"utf-16be", 8}, UTF16_BIG},
                 {{"utf16", 5}, UTF16_LITTLE},
                 {{"unicode", 7}, UTF16_LITTLE}};
    struct span mark = SPAN("charset="), value;

    value = span_from(media_type, span_find_nocase(media_type, mark));
    value = span_from(value, mark.size);
    if (value.size > 0 && value.data[0] == '"')
        value = span_from(value, 1);
    for (size_t i = 0; i < value.size; i++)
        if (is_parameter_end(value.data[i]))
            value.size = i;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (span_equal_nocase(value, names[i].name))
            return names[i].form;
    return UTF16_NONE;
}

static void flush(struct output *output)
{
    if (output->size > 0)
        output->give(output->context, (struct span){output->text, output->size});
    output->size = 0;
}

static void put(struct output *output, uint32_t character)
{
    output->size += character_encode(character, output->text + output->size);
    if (output->size > PIECE - 8) /* one unit may bring two characters of four bytes */
        flush(output);
}

static void take_unit(struct utf16 *utf16, uint16_t unit, struct output *output)
{
    uint16_t high = utf16->high;

    utf16->high = 0;
    if (unit >= 0xdc00 && unit <= 0xdfff) {
        put(output, high ? 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(unit - 0xdc00)
                         : REPLACEMENT);
        return;
    }
    if (high)
        put(output, REPLACEMENT);
    if (unit >= 0xd800 && unit <= 0xdbff)
        utf16->high = unit;
    else
        put(output, unit);
}

/* The first two bytes are there. True when they were a mark and are done with. */
static bool begin(struct utf16 *utf16, uint8_t first, uint8_t second)
{
    utf16->begun = true;
    if (first == 0xff && second == 0xfe)
        utf16->form = UTF16_LITTLE;
    else if (first == 0xfe && second == 0xff)
        utf16->form = UTF16_BIG;
    else if (first == 0xef && second == 0xbb) /* the mark of UTF-8 */
        utf16->form = UTF16_NONE;
    else
        return false;
    return utf16->form != UTF16_NONE;
}

static void take_pair(struct utf16 *utf16, uint8_t first, uint8_t second, struct output *output)
{
    char bytes[] = {(char)first, (char)second};

    if (!utf16->begun && begin(utf16, first, second))
        return;
    if (utf16->form == UTF16_NONE)
        output->give(output->context, (struct span){bytes, sizeof(bytes)});
    else if (utf16->form == UTF16_LITTLE)
        take_unit(utf16, (uint16_t)(first | second << 8), output);
    else
        take_unit(utf16, (uint16_t)(first << 8 | second), output);
}

void utf16_feed(struct utf16 *utf16, struct span bytes, utf16_text *give, void *context)
{
    struct output output = {.give = give, .context = context};

    for (size_t at = 0; at < bytes.size; at++) {
        uint8_t byte = (uint8_t)bytes.data[at];
        if (utf16->begun && utf16->form == UTF16_NONE) {
            give(context, span_from(bytes, at));
            return;
        }
        if (utf16->has_held)
            take_pair(utf16, utf16->held, byte, &output);
        utf16->held = byte;
        utf16->has_held = !utf16->has_held;
    }
    flush(&output);
}

void utf16_end(struct utf16 *utf16, utf16_text *give, void *context)
{
    char byte = (char)utf16->held;

    if (utf16->has_held && (!utf16->begun || utf16->form == UTF16_NONE))
        give(context, (struct span){&byte, 1});
}
