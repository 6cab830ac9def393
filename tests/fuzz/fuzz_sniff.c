/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sniffing, extensions and declared types on arbitrary bytes. A program at the front stays one
 * whatever follows, an answer that was final stays so, and every answer is a row of the table.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/filetype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void check_row(const struct file_facts *facts)
{
    struct file_facts row;
    int type = TYPE_NONE;

    for (; type < TYPE_COUNT; type++) {
        file_type_describe((enum file_type)type, &row);
        if (row.type == facts->type)
            break;
    }
    demand(type < TYPE_COUNT && row.mime == facts->mime && row.danger == facts->danger);
}

static bool starts(const uint8_t *data, size_t size, const char *bytes)
{
    return size >= strlen(bytes) && memcmp(data, bytes, strlen(bytes)) == 0;
}

/* What may turn out to be a mere word is a program until its end, or enough of it, was seen. */
static bool becomes_word(const struct file_facts *part, const struct file_facts *whole, size_t size)
{
    return size < 64 && strcmp(part->type, "dos") == 0 && strcmp(whole->type, "dos-word") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct file_facts whole, part, named;

    sniff_bytes(data, size, true, &whole);
    sniff_bytes(data, size, false, &part);
    check_row(&whole);
    check_row(&part);
    demand(whole.type[0] != '\0'); /* a whole body is always something */
    demand(part.type == whole.type || (part.type[0] == '\0' && size < SNIFF_BYTES) ||
           becomes_word(&part, &whole, size));
    if (starts(data, size, "MZ") ||
        starts(data, size,
               "\x7f"
               "ELF") ||
        starts(data, size, "#!"))
        demand(whole.danger == FILE_DANGEROUS);
    demand(sniff_extension(text, &named) == (named.type[0] != '\0'));
    check_row(&named);
    demand(sniff_declared(text, &named) == (named.type[0] != '\0'));
    check_row(&named);
    sniff_is_rendered(text);
    return 0;
}
