/* SPDX-License-Identifier: BSD-2-Clause */
/* Records: filling, the packed form between processes, and the RFC 5424 line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/record.h"
#include "gateway/utf8.h"

#define FACILITY 3 /* system daemons (RFC 5424, table 1) */
/* Of the packed form: one daemon speaks to itself, but across a reload. */
#define PACKED_VERSION 1
#define PACKED_HEAD    3
#define PACKED_FIELD   3

/* The last bytes of a record are not for long values: the short ones after them need room. */
#define SHORT_VALUE 64
#define RESERVE     640

static const char *const field_names[] = {
#define X(symbol, name, help) name,
    RECORD_FIELDS(X)
#undef X
};

static const struct {
    const char *name;
    int severity;
    unsigned who; /* enum roles */
} events[] = {
#define X(symbol, name, severity, who, help) {name, severity, who},
    RECORD_EVENTS(X)
#undef X
};

const char *record_field_name(enum record_field field)
{
    return (unsigned)field < RECORD_FIELD_COUNT ? field_names[field] : "?";
}

const char *record_event_name(enum record_event event)
{
    return (unsigned)event < EVENT_COUNT ? events[event].name : "?";
}

bool record_event_may(enum record_event event, enum role role)
{
    return (unsigned)event < EVENT_COUNT && (events[event].who & (1u << role)) != 0;
}

void record_init(struct record *record, enum record_event event)
{
    record->event = event;
    record->used = 0;
    memset(record->offset, 0, sizeof(record->offset));
    memset(record->length, 0, sizeof(record->length));
    record_set_text(record, RECORD_EVENT, record_event_name(event));
}

/* Takes a value out and closes the gap. */
static void record_unset(struct record *record, enum record_field field)
{
    size_t start, size;

    if (record->offset[field] == 0)
        return;
    start = record->offset[field] - 1u;
    size = record->length[field];
    memmove(record->text + start, record->text + start + size, record->used - start - size);
    record->used = (uint16_t)(record->used - size);
    record->offset[field] = 0;
    record->length[field] = 0;
    for (unsigned i = 0; i < RECORD_FIELD_COUNT; i++)
        if (record->offset[i] != 0 && record->offset[i] - 1u > start)
            record->offset[i] = (uint16_t)(record->offset[i] - size);
}

void record_set(struct record *record, enum record_field field, struct span value)
{
    char copy[RECORD_VALUE]; /* the value may be another field of this record */
    size_t room;

    value = utf8_first(value, sizeof(copy));
    if (value.size > 0)
        memcpy(copy, value.data, value.size);
    value.data = copy;
    record_unset(record, field);
    room = sizeof(record->text) - record->used;
    if (value.size > SHORT_VALUE)
        room = room > RESERVE ? room - RESERVE : 0;
    value = utf8_first(value, room);
    if (value.size == 0)
        return;
    memcpy(record->text + record->used, value.data, value.size);
    record->offset[field] = (uint16_t)(record->used + 1u);
    record->length[field] = (uint16_t)value.size;
    record->used = (uint16_t)(record->used + value.size);
}

void record_set_text(struct record *record, enum record_field field, const char *value)
{
    record_set(record, field, span_of(value));
}

void record_set_number(struct record *record, enum record_field field, uint64_t value)
{
    char text[24], *first = text + sizeof(text);

    do
        *--first = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    record_set(record, field, (struct span){first, (size_t)(text + sizeof(text) - first)});
}

struct span record_get(const struct record *record, enum record_field field)
{
    if (record->offset[field] == 0)
        return (struct span){"", 0};
    return (struct span){record->text + record->offset[field] - 1, record->length[field]};
}

/* --- the packed form: version, event, how many fields; per field number, length (2), bytes --- */

size_t record_pack(const struct record *record, uint8_t *out, size_t size)
{
    size_t at = PACKED_HEAD;
    uint8_t count = 0;

    if (size < PACKED_HEAD)
        return 0;
    for (unsigned i = 0; i < RECORD_FIELD_COUNT; i++) {
        struct span value = record_get(record, i);

        if (value.size == 0 || i == RECORD_EVENT)
            continue;
        if (size - at < PACKED_FIELD + value.size)
            return 0;
        out[at] = (uint8_t)i;
        out[at + 1] = (uint8_t)(value.size >> 8);
        out[at + 2] = (uint8_t)value.size;
        memcpy(out + at + PACKED_FIELD, value.data, value.size);
        at += PACKED_FIELD + value.size;
        count++;
    }
    out[0] = PACKED_VERSION;
    out[1] = (uint8_t)record->event;
    out[2] = count;
    return at;
}

size_t record_unpack_first(const uint8_t *bytes, size_t size, struct record *record)
{
    size_t at = PACKED_HEAD;
    unsigned last = RECORD_EVENT; /* in order: no field comes twice, and never the event itself */

    if (size < PACKED_HEAD || bytes[0] != PACKED_VERSION || bytes[1] >= EVENT_COUNT)
        return 0;
    record_init(record, bytes[1]);
    for (unsigned left = bytes[2]; left > 0; left--) {
        unsigned field;
        size_t length;

        if (size - at < PACKED_FIELD)
            return 0;
        field = bytes[at];
        length = (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        at += PACKED_FIELD;
        if (field <= last || field >= RECORD_FIELD_COUNT || length == 0 || length > RECORD_VALUE ||
            length > size - at || length > sizeof(record->text) - record->used)
            return 0;
        last = field;
        memcpy(record->text + record->used, bytes + at, length);
        record->offset[field] = (uint16_t)(record->used + 1u);
        record->length[field] = (uint16_t)length;
        record->used = (uint16_t)(record->used + length);
        at += length;
    }
    return at;
}

bool record_unpack(const uint8_t *bytes, size_t size, struct record *record)
{
    return size > 0 && record_unpack_first(bytes, size, record) == size;
}

/* --- the line --- */

struct line {
    char *out;
    size_t used, size; /* `size` leaves room for the final NUL */
};

/* All of it or nothing: a line is never cut inside a parameter. */
static bool line_add(struct line *line, struct span text)
{
    if (line->size - line->used < text.size)
        return false;
    memcpy(line->out + line->used, text.data, text.size);
    line->used += text.size;
    return true;
}

/* How many bytes at the start are written as they are in any place: nearly all are. */
static size_t plain_start(struct span value)
{
    size_t size = 0;

    while (size < value.size && value.data[size] >= 0x20 && value.data[size] < 0x7f &&
           value.data[size] != '"' && value.data[size] != '\\' && value.data[size] != ']')
        size++;
    return size;
}

/*
 * What a collector, a terminal or a person could misread is shown as a visible sign: a control as
 * its picture (U+2400 block), bad UTF-8 and characters that reorder a line as U+FFFD. RFC 5424
 * section 6.3.3 asks for a backslash before '"', '\' and ']' inside a parameter.
 */
static bool line_add_value(struct line *line, struct span value, bool parameter)
{
    while (value.size > 0) {
        char sign[1 + UTF8_BYTES];
        size_t length = 0, plain = plain_start(value);
        uint32_t character;

        if (plain > 0) {
            if (!line_add(line, span_first(value, plain)))
                return false;
            value = span_from(value, plain);
            continue;
        }
        value = span_from(value, utf8_decode(value, &character));
        if (character < 0x20)
            character = 0x2400 + character;
        else if (character == 0x7f)
            character = 0x2421;
        else if (utf8_is_control(character) || utf8_is_deceptive(character))
            character = UTF8_REPLACEMENT;
        if (parameter && (character == '"' || character == '\\' || character == ']'))
            sign[length++] = '\\';
        length += utf8_encode(character, sign + length);
        if (!line_add(line, (struct span){sign, length}))
            return false;
    }
    return true;
}

static void line_add_parameter(struct line *line, enum record_field field, struct span value)
{
    size_t start = line->used;

    /* One byte stays free for the bracket that closes the element. */
    line->size--;
    if (!line_add(line, SPAN(" ")) || !line_add(line, span_of(field_names[field])) ||
        !line_add(line, SPAN("=\"")) || !line_add_value(line, value, true) ||
        !line_add(line, SPAN("\"")))
        line->used = start;
    line->size++;
}

/* HOSTNAME of RFC 5424: 1 to 255 bytes of PRINTUSASCII, or "-". */
static struct span line_host(const char *host)
{
    struct span text = span_of(host);

    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 33 || text.data[i] > 126)
            return SPAN("-");
    return text.size == 0 || text.size > 255 ? SPAN("-") : text;
}

/* UTC with microseconds; false when the year does not have four digits. */
static bool line_time(int64_t time, char *text, size_t size)
{
    time_t seconds = (time_t)(time / 1000000 - (time % 1000000 < 0));
    int64_t fraction = time % 1000000 + (time % 1000000 < 0 ? 1000000 : 0);
    struct tm parts;
    size_t length;

    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year < -1900 || parts.tm_year > 8099)
        return false;
    length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, size - length, ".%06" PRId64 "Z", fraction);
    return true;
}

/* The same in a few words, for the reader of a plain text view: "block patient-link example.jp". */
static void line_add_message(struct line *line, const struct record *record)
{
    static const enum record_field words[] = {RECORD_EVENT, RECORD_REASON, RECORD_HOST,
                                              RECORD_DETAIL};
    size_t start;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct span value = record_get(record, words[i]);

        start = line->used;
        if (value.size > 0 && (!line_add(line, SPAN(" ")) || !line_add_value(line, value, false))) {
            line->used = start;
            return;
        }
    }
}

size_t record_format(const struct record *record, int64_t time, const char *host, int pid,
                     char *out, size_t size)
{
    struct line line = {out, 0, size - 1};
    struct span name = line_host(host);
    char stamp[40], head[400];
    int length;

    if (size == 0)
        return 0;
    if (!line_time(time, stamp, sizeof(stamp)))
        memcpy(stamp, "-", 2);
    length = snprintf(head, sizeof(head), "<%d>1 %s %.*s sekishod %d %s [sekisho@32473",
                      FACILITY * 8 + events[record->event].severity, stamp, (int)name.size,
                      name.data, pid, record_event_name(record->event));
    if (line_add(&line, (struct span){head, (size_t)length}) && line.used < line.size) {
        for (unsigned i = 0; i < RECORD_FIELD_COUNT; i++) {
            struct span value = record_get(record, i);

            if (value.size > 0)
                line_add_parameter(&line, i, value);
        }
        line_add(&line, SPAN("]"));
        line_add_message(&line, record);
    } else {
        line.used = 0; /* no room even for the head: better nothing than half a line */
    }
    out[line.used] = '\0';
    return line.used;
}
