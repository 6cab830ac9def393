/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of options.h as text: every default as a configuration, and the manual's section; and
 * those of the log, for the manual. */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "filters/reason.h"
#include "gateway/options.h"
#include "gateway/record.h"

#define COLUMN 96

/* Words of `text` in lines that begin with `prefix`. */
static void write_wrapped(struct evbuffer *out, const char *prefix, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");
        if (column && column + 1 + word > COLUMN) {
            evbuffer_add_printf(out, "\n");
            column = 0;
        }
        int added = column ? evbuffer_add_printf(out, " %.*s", (int)word, text)
                           : evbuffer_add_printf(out, "%s%.*s", prefix, (int)word, text);
        column += added > 0 ? (size_t)added : 0;
        text += word + strspn(text + word, " ");
    }
    evbuffer_add_printf(out, "\n");
}

static bool is_bare(enum option_type type)
{
    return type == OPTION_BOOLEAN || type == OPTION_NUMBER || type == OPTION_DURATION ||
           type == OPTION_SIZE || type == OPTION_CHOICE || type == OPTION_PORTS;
}

/* A default as it would be written in a file. */
static void write_initial(struct evbuffer *out, const struct option_row *option)
{
    bool list = option_types[option->type].list;
    const char *quote = is_bare(option->type) ? "" : "\"";
    struct span rest = span_of(option->initial), word;

    if (!list) {
        evbuffer_add_printf(out, "%s%s%s", quote,
                            option->initial         ? option->initial
                            : is_bare(option->type) ? option_types[option->type].argument
                                                    : "",
                            quote);
        return;
    }
    evbuffer_add_printf(out, "{");
    for (const char *comma = ""; span_next(&rest, ',', &word); comma = ", ")
        evbuffer_add_printf(out, "%s%s%.*s%s", comma, quote, (int)word.size, word.data, quote);
    evbuffer_add_printf(out, "}");
}

static bool is_said(const struct option_row *option)
{
    return option->initial && option->initial[0];
}

/* `comment` is "# " where the section is only an example. */
static void write_options(struct evbuffer *out, enum section section, const char *comment)
{
    const char *margin = section == SECTION_ROOT ? "# " : "    # ";

    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *option = &option_rows[i];
        if (option->section != section)
            continue;
        write_wrapped(out, margin, option->help);
        evbuffer_add_printf(out, "%.*s%s%s = ", (int)strlen(margin) - 2, margin,
                            is_said(option) ? comment : "# ", option->name);
        write_initial(out, option);
        if (option->words)
            evbuffer_add_printf(out, "    # %s", option->words);
        evbuffer_add_printf(out, "\n");
    }
}

void configuration_write_defaults(struct evbuffer *out)
{
    write_options(out, SECTION_ROOT, "");
    for (size_t i = 1; i < SECTION_COUNT; i++) {
        const struct section_row *row = &section_rows[i];
        /* a listener there must be: this one needs nothing of the network */
        bool written = !row->title || i == SECTION_LISTEN;
        const char *comment = written ? "" : "# ";

        evbuffer_add_printf(out, "\n");
        write_wrapped(out, "# ", row->help);
        evbuffer_add_printf(out, "%s%s", comment, row->name);
        if (row->title)
            evbuffer_add_printf(out, " \"%s\"", i == SECTION_LISTEN ? "explicit" : row->title);
        evbuffer_add_printf(out, " {\n");
        write_options(out, (enum section)i, comment);
        evbuffer_add_printf(out, "%s}\n", comment);
    }
}

/* --- mdoc(7) --- */

/* One text line: no line may begin with a control character of roff, and a backslash is one
 * anywhere. */
static void write_roff(struct evbuffer *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        evbuffer_add_printf(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            evbuffer_add_printf(out, "\\e");
        else if (*text == '-')
            evbuffer_add_printf(out, "\\-");
        else
            evbuffer_add(out, text, 1);
    }
    evbuffer_add_printf(out, "\n");
}

static void write_range(struct evbuffer *out, const struct option_row *option)
{
    enum option_type type = option->type;
    long long least = (long long)option->least, greatest = (long long)option->greatest;

    if (type == OPTION_DURATION)
        evbuffer_add_printf(out,
                            greatest % 3600000 == 0 ? "From %lld ms to %lld h.\n"
                                                    : "From %lld ms to %lld s.\n",
                            least, greatest / (greatest % 3600000 == 0 ? 3600000 : 1000));
    else if (type == OPTION_SIZE)
        evbuffer_add_printf(out, "From %lld bytes to %lld kB.\n", least, greatest / 1024);
    else if (type == OPTION_NUMBER || type == OPTION_PORTS || type == OPTION_PORT_RANGES)
        evbuffer_add_printf(out, "From %lld to %lld.\n", least, greatest);
}

static void write_item(struct evbuffer *out, const struct option_row *option)
{
    const struct option_type_row *type = &option_types[option->type];

    evbuffer_add_printf(out, ".It Cm %s No =%s", option->name, type->list ? " {" : "");
    evbuffer_add_printf(out, " Ar %s%s\n", option->words ? option->words : type->argument,
                        type->list ? " No , ... }" : "");
    write_roff(out, option->help);
    write_range(out, option);
    if (is_said(option)) {
        struct evbuffer *text = evbuffer_new();
        if (!text)
            return;
        write_initial(text, option);
        evbuffer_add(text, "", 1);
        evbuffer_add_printf(out, "Default:\n");
        write_roff(out, (const char *)evbuffer_pullup(text, -1));
        evbuffer_free(text);
    }
}

/* An event, a field or a reason of the log. */
static void write_word(struct evbuffer *out, const char *name, const char *more, const char *help)
{
    evbuffer_add_printf(out, ".It Cm %s%s\n", name, more);
    write_roff(out, help);
}

static void write_log(struct evbuffer *out)
{
    char more[48];

    evbuffer_add_printf(out, ".Sh THE LOG\n.Ss Events\n"
                             "Each line has one, as the MSGID and as the field\n.Cm event .\n"
                             ".Bl -tag -width Ds -compact\n");
#define X(symbol, name, severity, who, help) write_word(out, name, "", help);
    RECORD_EVENTS(X)
#undef X
    evbuffer_add_printf(out, ".El\n.Ss Fields\nA field that has nothing to say is left out.\n"
                             ".Bl -tag -width Ds -compact\n");
#define X(symbol, name, help) write_word(out, name, "", help);
    RECORD_FIELDS(X)
#undef X
    evbuffer_add_printf(out, ".El\n.Ss Reasons\n"
                             "With the item of the checklist, and the status of the answer where "
                             "requests are read.\n.Bl -tag -width Ds -compact\n");
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        unsigned status = reason_status(reason);
        const char *item = reason_item(reason);
        size_t used = 0;

        more[0] = '\0';
        if (strcmp(item, "-") != 0)
            used = (size_t)snprintf(more, sizeof(more), " No \\(en item %s", item);
        if (status != 0)
            snprintf(more + used, sizeof(more) - used, "%s %u", used > 0 ? "," : " No \\(en",
                     status);
        write_word(out, reason_code(reason), more, reason_help(reason));
    }
    evbuffer_add_printf(out, ".El\n");
}

void configuration_write_manual(struct evbuffer *out)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct section_row *row = &section_rows[i];
        evbuffer_add_printf(out, ".Ss %s%s%s%s\n", i == SECTION_ROOT ? "Of the whole" : row->name,
                            row->title ? " \\(dq" : "", row->title ? row->title : "",
                            row->title ? "\\(dq" : "");
        if (i != SECTION_ROOT)
            write_roff(out, row->help);
        evbuffer_add_printf(out, ".Bl -tag -width Ds\n");
        for (size_t j = 0; j < OPTION_ROW_COUNT; j++)
            if (option_rows[j].section == i)
                write_item(out, &option_rows[j]);
        evbuffer_add_printf(out, ".El\n");
    }
    write_log(out);
}
