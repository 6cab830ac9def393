/* SPDX-License-Identifier: BSD-2-Clause */
/* Text for people: see sekisho_output.h. */
#include "gateway/sekisho_output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filters/memory.h"
#include "gateway/utf8.h"

#define SPELLED 16 /* bytes of "<U+10FFFF>" and a NUL */

/* --- text --- */

char *output_clean(struct span text)
{
    char *clean = memory_allocate(text.size * SPELLED + 1, 1);
    size_t used = 0;

    while (text.size > 0) {
        uint32_t character;

        text = span_from(text, utf8_decode(text, &character));
        if (utf8_is_control(character) || utf8_is_deceptive(character))
            used += (size_t)snprintf(clean + used, SPELLED, "<U+%04" PRIX32 ">", character);
        else
            used += utf8_encode(character, clean + used);
    }
    clean[used] = '\0';
    return memory_resize(clean, used + 1, 1);
}

/* Unicode's East_Asian_Width W and F, as blocks, and what combines with the character before. */
static const struct {
    uint32_t first, last;
    unsigned width;
} widths[] = {
    {0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x2e80, 0x303e, 2},
    {0x3041, 0x3098, 2},   {0x3099, 0x309a, 0},   {0x309b, 0x33ff, 2},   {0x3400, 0x4dbf, 2},
    {0x4e00, 0x9fff, 2},   {0xa000, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},
    {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
    {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2}, {0xe0100, 0xe01ef, 0},
};

static unsigned character_width(uint32_t character)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
        if (character >= widths[i].first && character <= widths[i].last)
            return widths[i].width;
    return 1;
}

size_t output_width(const char *text)
{
    struct span rest = span_of(text);
    size_t width = 0;

    while (rest.size > 0) {
        uint32_t character;

        rest = span_from(rest, utf8_decode(rest, &character));
        width += character_width(character);
    }
    return width;
}

/* --- numbers --- */

bool output_parse_duration(const char *text, int64_t *seconds)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"s", 1},       {"sec", 1},   {"m", 60},      {"min", 60},  {"h", 3600},
                 {"hour", 3600}, {"d", 86400}, {"day", 86400}, {"w", 604800}};
    size_t digits = strspn(text, "0123456789");
    int64_t number;

    if (digits == 0 || digits > 9 || !span_number((struct span){text, digits}, &number))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text + digits, units[i].name) == 0) {
            *seconds = number * units[i].seconds;
            return *seconds <= 366 * INT64_C(86400);
        }
    return false;
}

void output_format_duration(int64_t seconds, char text[OUTPUT_TEXT])
{
    if (seconds < 0)
        seconds = 0;
    if (seconds < 60)
        snprintf(text, OUTPUT_TEXT, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, OUTPUT_TEXT, "%" PRId64 "min", seconds / 60);
    else if (seconds < 86400)
        snprintf(text, OUTPUT_TEXT, "%" PRId64 "h %02" PRId64 "min", seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(text, OUTPUT_TEXT, "%" PRId64 "d %02" PRId64 "h", seconds / 86400,
                 seconds / 3600 % 24);
}

void output_format_time(int64_t seconds, char text[OUTPUT_TEXT])
{
    time_t time = (time_t)seconds;
    struct tm calendar;

    if (localtime_r(&time, &calendar) == NULL ||
        strftime(text, OUTPUT_TEXT, "%Y-%m-%d %H:%M:%S", &calendar) == 0)
        snprintf(text, OUTPUT_TEXT, "%" PRId64, seconds);
}

void output_format_size(uint64_t bytes, char text[OUTPUT_TEXT])
{
    static const char units[] = "kMGTPE";
    size_t unit = 0;
    double value = (double)bytes / 1000;

    if (bytes < 1000) {
        snprintf(text, OUTPUT_TEXT, "%" PRIu64, bytes);
        return;
    }
    for (; value >= 999.5 && unit + 2 < sizeof(units); unit++)
        value /= 1000;
    snprintf(text, OUTPUT_TEXT, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

/* --- tables --- */

struct table {
    const char *const *headers;
    size_t columns;
    char **cells;
    size_t count, room;
};

struct table *table_new(const char *const *headers, size_t columns)
{
    struct table *table = memory_allocate(1, sizeof(*table));

    table->headers = headers;
    table->columns = columns;
    return table;
}

void table_add(struct table *table, struct span cell)
{
    if (table->count == table->room) {
        table->room = table->room == 0 ? 64 : table->room * 2;
        table->cells = memory_resize(table->cells, table->room, sizeof(*table->cells));
    }
    table->cells[table->count++] = output_clean(cell);
}

void table_add_text(struct table *table, const char *cell)
{
    table_add(table, span_of(cell));
}

void table_add_number(struct table *table, int64_t number)
{
    char text[OUTPUT_TEXT];

    snprintf(text, sizeof(text), "%" PRId64, number);
    table_add_text(table, text);
}

size_t table_rows(const struct table *table)
{
    return table->count / table->columns;
}

static void print_row(const struct table *table, const char *const *cells, const size_t *columns,
                      FILE *out)
{
    for (size_t i = 0; i < table->columns; i++) {
        size_t fill = columns[i] - output_width(cells[i]);

        fputs(cells[i], out);
        /* Nothing after the last: a narrow terminal would wrap the blanks. */
        if (i + 1 < table->columns)
            fprintf(out, "%*s", (int)fill + 2, "");
    }
    fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
    size_t *columns = memory_allocate(table->columns, sizeof(*columns));

    for (size_t i = 0; i < table->columns; i++)
        columns[i] = output_width(table->headers[i]);
    for (size_t i = 0; i < table->count; i++) {
        size_t width = output_width(table->cells[i]);

        // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a table without columns has no cells
        if (width > columns[i % table->columns])
            columns[i % table->columns] = width;
    }
    print_row(table, table->headers, columns, out);
    for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
        print_row(table, (const char *const *)table->cells + i, columns, out);
    free(columns);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}
