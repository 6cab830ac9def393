/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The suggested file name. The first byte is the room, the first line a Content-Disposition value,
 * the rest the request target. A name has no separator or control, and no dot or space at its end.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/sniff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void check_name(const char *name, size_t size)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)name[i];
        demand(byte >= 0x20 && byte != 0x7f && byte != '/' && byte != '\\');
    }
    demand(length < size);
    demand(length == 0 || (name[length - 1] != '.' && name[length - 1] != ' '));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct field field = {SPAN("Content-Disposition"), {NULL, 0}};
    struct response response = {.fields = &field, .field_count = 1};
    struct span rest;
    size_t room;
    char *name;
    bool attachment;

    if (size == 0)
        return 0;
    room = data[0] + 1U;
    rest = (struct span){(const char *)data + 1, size - 1};
    field.value = span_first(rest, span_index(rest, '\n'));
    name = malloc(room);
    demand(name != NULL);
    sniff_file_name(&response, span_from(rest, field.value.size + 1), name, room, &attachment);
    check_name(name, room);
    free(name);
    return 0;
}
