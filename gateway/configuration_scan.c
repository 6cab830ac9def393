/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lexical scan of a configuration file: its words are checked against the tables of options.h
 * and written anew, in canonical form and on the same lines, for libconfuse. What is unknown or
 * given twice is reported and left out, so that the rest can still be checked in the same run.
 */
#include "gateway/configuration_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/configuration_parse.h"

#define WORD_SIZE  4096 /* a value, with its NUL */
#define STACK_SIZE 8    /* sections within sections; the tables know two levels */

enum token { TOKEN_WORD, TOKEN_STRING, TOKEN_MARK, TOKEN_END, TOKEN_BAD };

/* A section that is open. */
struct frame {
    enum section section; /* SECTION_ROOT but at the bottom: unknown, left out */
    size_t landmark;      /* its landmark + 1 */
    unsigned line;        /* of its opening brace */
    unsigned seen[OPTION_ROW_COUNT];
};

struct scanner {
    struct reader *reader;
    struct source *source;
    const char *next, *end;
    unsigned line;        /* of `next` */
    unsigned written;     /* the line that the output is on */
    enum token token;     /* the last one read */
    unsigned at;          /* its line */
    char mark;            /* of TOKEN_MARK */
    char word[WORD_SIZE]; /* of TOKEN_WORD and TOKEN_STRING */
    struct frame stack[STACK_SIZE];
    size_t depth;
};

static struct rule here(const struct scanner *scanner)
{
    return (struct rule){scanner->source->path, scanner->at};
}

/* --- tokens --- */

/* Skips a comment that runs over lines. False when it never ends. */
static bool skip_long_comment(struct scanner *s)
{
    for (s->next += 2; s->next + 1 < s->end; s->next++) {
        if (s->next[0] == '*' && s->next[1] == '/') {
            s->next += 2;
            return true;
        }
        if (*s->next == '\n')
            s->line++;
    }
    reader_error(s->reader, here(s), "the comment that begins here is never closed");
    return false;
}

static void skip_line(struct scanner *s)
{
    while (s->next < s->end && *s->next != '\n')
        s->next++;
}

/* White space and comments. False after an error. */
static bool skip_blank(struct scanner *s)
{
    while (s->next < s->end) {
        bool two = s->end - s->next > 1;
        s->at = s->line;
        if (*s->next == '\n')
            s->line++;
        if (*s->next == '#' || (two && s->next[0] == '/' && s->next[1] == '/')) {
            skip_line(s);
        } else if (two && s->next[0] == '/' && s->next[1] == '*') {
            if (!skip_long_comment(s))
                return false;
        } else if (strchr(" \t\r\n", *s->next)) {
            s->next++;
        } else {
            return true;
        }
    }
    return true;
}

static enum token read_string(struct scanner *s)
{
    char quote = *s->next++;
    size_t used = 0;

    for (; s->next < s->end && *s->next != '\n'; s->next++) {
        char byte = *s->next;
        if (byte == quote) {
            s->next++;
            s->word[used] = '\0';
            return TOKEN_STRING;
        }
        if (byte == '\\' && quote == '"') {
            s->next++;
            if (s->next == s->end || (*s->next != '"' && *s->next != '\\')) {
                reader_error(s->reader, here(s), "after \\ in a string comes \" or \\");
                return TOKEN_BAD;
            }
            byte = *s->next;
        }
        if (used + 1 == sizeof(s->word)) {
            reader_error(s->reader, here(s), "a string of more than %d bytes", WORD_SIZE - 1);
            return TOKEN_BAD;
        }
        s->word[used++] = byte;
    }
    reader_error(s->reader, here(s), "the string that begins here is not closed on its line");
    return TOKEN_BAD;
}

/* What may stand outside quotes: numbers, durations, plain names, addresses, networks, paths. */
static bool is_plain(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte && strchr("_-.:/@%", byte));
}

static bool is_delimiter(const struct scanner *s)
{
    return s->next == s->end || strchr(" \t\r\n={}(),#", *s->next);
}

static enum token read_word(struct scanner *s)
{
    size_t used = 0;

    while (s->next < s->end && is_plain(*s->next) && used + 1 < sizeof(s->word))
        s->word[used++] = *s->next++;
    s->word[used] = '\0';
    if (used && is_delimiter(s) && !strstr(s->word, "//"))
        return TOKEN_WORD;
    const char *begin = s->next - used;
    while (!is_delimiter(s))
        s->next++;
    reader_error(s->reader, here(s),
                 "unexpected %.*s: a value with other signs than letters, digits and _-.:/@%% "
                 "stands in quotes",
                 (int)(s->next - begin), begin);
    return TOKEN_BAD;
}

static enum token read_token(struct scanner *s)
{
    if (!skip_blank(s)) {
        s->token = TOKEN_BAD;
    } else if (s->next == s->end) {
        s->at = s->line;
        s->token = TOKEN_END;
    } else if (*s->next && strchr("{}()=,", *s->next)) {
        s->mark = *s->next++;
        s->token = TOKEN_MARK;
    } else if (*s->next == '"' || *s->next == '\'') {
        s->token = read_string(s);
    } else {
        s->token = read_word(s);
    }
    return s->token;
}

static bool is_mark(const struct scanner *s, char mark)
{
    return s->token == TOKEN_MARK && s->mark == mark;
}

static bool is_value(const struct scanner *s)
{
    return s->token == TOKEN_WORD || s->token == TOKEN_STRING;
}

/* Says what should have stood here. Always false. */
static bool expected(struct scanner *s, const char *what)
{
    if (s->token == TOKEN_END)
        reader_error(s->reader, here(s), "the file ends where %s should come", what);
    else if (s->token == TOKEN_MARK)
        reader_error(s->reader, here(s), "expected %s, found '%c'", what, s->mark);
    else if (s->token != TOKEN_BAD)
        reader_error(s->reader, here(s), "expected %s, found \"%s\"", what, s->word);
    return false;
}

/* --- the canonical text --- */

static bool is_left_out(const struct scanner *s)
{
    return s->depth > 0 && s->stack[s->depth].section == SECTION_ROOT;
}

static void write_byte(struct source *source, char byte)
{
    if (source->size == source->capacity) {
        source->capacity = source->capacity ? source->capacity * 2 : 4096;
        source->text = memory_resize(source->text, source->capacity, 1);
    }
    source->text[source->size++] = byte;
}

/* Comes to the line that the input is on. */
static void write_lines(struct scanner *s)
{
    for (; s->written < s->at; s->written++)
        write_byte(s->source, '\n');
}

static void write_plain(struct scanner *s, const char *text)
{
    if (is_left_out(s))
        return;
    write_lines(s);
    for (; *text; text++)
        write_byte(s->source, *text);
    write_byte(s->source, ' ');
}

/* In double quotes, with '$' escaped: libconfuse would put the environment in. */
static void write_string(struct scanner *s, const char *text)
{
    if (is_left_out(s))
        return;
    write_lines(s);
    write_byte(s->source, '"');
    for (; *text; text++) {
        if (strchr("\"\\$", *text))
            write_byte(s->source, '\\');
        write_byte(s->source, *text);
    }
    write_byte(s->source, '"');
    write_byte(s->source, ' ');
}

/* --- the grammar --- */

static void report_unknown(struct scanner *s, struct rule rule, const char *kind, const char *name)
{
    enum section section = s->stack[s->depth].section;
    const char *nearest = option_nearest(section, name);

    if (option_find(section, name))
        reader_error(s->reader, rule, "%s is an option: expected '='", name);
    else if (section_find(section, name))
        reader_error(s->reader, rule, "%s is a section: expected '{'", name);
    else
        reader_error(s->reader, rule, "unknown %s \"%s\"%s%s%s%s%s", kind, name,
                     s->depth ? " in " : "", section_rows[section].name,
                     nearest ? ", did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

/* The elements of a list, after its '{', to its '}'. */
static bool scan_list(struct scanner *s, bool keep)
{
    bool empty = true;

    for (;;) {
        read_token(s);
        if (is_mark(s, '}'))
            break;
        if (!is_value(s))
            return expected(s, "a value or '}'");
        if (s->word[0] == '\0')
            reader_error(s->reader, here(s), "an empty value in a list");
        else if (keep)
            write_string(s, s->word);
        empty = false;
        read_token(s);
        if (is_mark(s, '}'))
            break;
        if (!is_mark(s, ','))
            return expected(s, "',' or '}'");
        if (keep)
            write_plain(s, ",");
    }
    /* libconfuse does not tell an empty list from one that was never given: it gets one empty value
     */
    if (empty && keep)
        write_string(s, "");
    if (keep)
        write_plain(s, "}");
    return true;
}

static void write_option(struct scanner *s, const char *name)
{
    write_plain(s, name);
    write_plain(s, "=");
}

/* What a newer version has written is not looked at: its words would only seem to be mistakes. */
static bool check_schema(struct scanner *s)
{
    int64_t schema;

    if (!parse_number(s->word, &schema) || schema <= CONFIGURATION_SCHEMA)
        return true;
    reader_error(s->reader, here(s), "schema = %s: made for a newer version, this one knows %d",
                 s->word, CONFIGURATION_SCHEMA);
    return false;
}

static bool scan_option(struct scanner *s, const char *name, unsigned line)
{
    struct frame *frame = &s->stack[s->depth];
    struct rule rule = {s->source->path, line};
    const struct option_row *option = option_find(frame->section, name);
    bool keep = option != NULL;

    if (keep && s->depth == 0 && s->source != s->reader->sources) {
        reader_error(s->reader, rule, "%s stands in %s alone, not in what it includes", name,
                     s->reader->configuration->path);
        keep = false;
    } else if (keep && frame->seen[option - option_rows]) {
        reader_error(s->reader, rule, "%s is given twice: first in line %u", name,
                     frame->seen[option - option_rows]);
        keep = false;
    } else if (keep) {
        frame->seen[option - option_rows] = line;
    } else if (!is_left_out(s)) {
        report_unknown(s, rule, "option", name);
    }
    read_token(s);
    if (is_value(s)) {
        if (keep) {
            write_option(s, name);
            write_string(s, s->word);
        }
        return !keep || s->depth > 0 || check_schema(s);
    }
    if (!is_mark(s, '{'))
        return expected(s, "a value or a list in { }");
    if (keep && !option_types[option->type].list) {
        reader_error(s->reader, here(s), "%s takes one value, not a list: %s", name,
                     option->words ? option->words : option_types[option->type].expected);
        keep = false;
    }
    if (keep) {
        write_option(s, name);
        write_plain(s, "{");
    }
    return scan_list(s, keep);
}

/* Another section of that kind, and of that title when it has one. */
static const struct landmark *landmark_find(const struct reader *reader, enum section section,
                                            size_t parent, const char *title)
{
    for (size_t i = 0; i < reader->landmark_count; i++) {
        const struct landmark *mark = &reader->landmarks[i];
        if (mark->section == section && mark->parent == parent &&
            (!title || strcmp(mark->title, title) == 0))
            return mark;
    }
    return NULL;
}

static size_t landmark_add(struct reader *reader, enum section section, size_t parent,
                           const char *title, struct rule rule)
{
    reader->landmarks =
        memory_resize(reader->landmarks, reader->landmark_count + 1, sizeof(struct landmark));
    reader->landmarks[reader->landmark_count++] =
        (struct landmark){section, parent, title ? memory_string(title) : NULL, rule};
    return reader->landmark_count;
}

/* Opens a section: a new frame, known or left out. The name is read, and its title when `titled`.
 */
static bool open_section(struct scanner *s, const char *name, unsigned line, const char *title)
{
    const struct frame *outer = &s->stack[s->depth];
    enum section section = is_left_out(s) ? SECTION_ROOT : section_find(outer->section, name);
    struct rule rule = {s->source->path, line};
    size_t parent = outer->landmark, landmark = 0;

    if (s->depth + 1 == STACK_SIZE) {
        reader_error(s->reader, rule, "sections nested too deeply");
        return false;
    }
    if (!section && !is_left_out(s))
        report_unknown(s, rule, "section", name);
    const struct section_row *row = &section_rows[section];
    const struct landmark *first =
        section ? landmark_find(s->reader, section, parent, row->title ? title : NULL) : NULL;
    if (section && !row->title != !title) {
        reader_error(s->reader, rule, row->title ? "%s needs a title: %s" : "%s has no title", name,
                     row->title);
        section = SECTION_ROOT;
    } else if (first) {
        reader_error(s->reader, rule, "%s%s%s%s is given twice: first at %s:%u", name,
                     title ? " \"" : "", title ? title : "", title ? "\"" : "", first->rule.file,
                     first->rule.line);
        section = SECTION_ROOT;
    } else if (section) {
        landmark = landmark_add(s->reader, section, parent, title, rule);
        write_plain(s, name);
        if (title)
            write_string(s, title);
        write_plain(s, "{");
    }
    s->depth++;
    s->stack[s->depth] = (struct frame){.section = section, .landmark = landmark, .line = s->at};
    return true;
}

/* After the word `include`: ("FILE"). The file is put at the end of those to be scanned. */
static bool scan_include(struct scanner *s)
{
    struct reader *reader = s->reader;

    read_token(s);
    if (!is_value(s))
        return expected(s, "a file name in quotes");
    struct rule rule = here(s);
    char *path = reader_file_find(s->source->path, s->word);
    if (!path) {
        reader_error(reader, rule,
                     "include: no file \"%s\" in the folder of this file, in %s or in %s", s->word,
                     SEKISHO_SYSCONF_DIR, SEKISHO_DATA_DIR);
    } else if (s->depth > 0) {
        reader_error(reader, rule, "include stands outside of all sections");
    } else if (s->source->depth == CONFIGURATION_DEPTH_MAX) {
        reader_error(reader, rule, "includes nested more than %d deep", CONFIGURATION_DEPTH_MAX);
    } else if (reader->source_count == CONFIGURATION_FILES_MAX) {
        reader_error(reader, rule, "more than %d files", CONFIGURATION_FILES_MAX);
    } else {
        const char *name = reader_file_name(reader, path);
        bool again = false;
        for (size_t i = 0; i < reader->source_count; i++)
            again = again || reader->sources[i].path == name;
        if (again)
            reader_error(reader, rule, "\"%s\" is included twice", path);
        else
            reader->sources[reader->source_count++] =
                (struct source){.path = name, .from = rule, .depth = s->source->depth + 1};
    }
    free(path);
    read_token(s);
    return is_mark(s, ')') || expected(s, "')'");
}

/* What begins with a word: an option, a section or an include. */
static bool scan_item(struct scanner *s)
{
    char name[WORD_SIZE];
    unsigned line = s->at;

    snprintf(name, sizeof(name), "%s", s->word);
    bool quoted = s->token == TOKEN_STRING;
    read_token(s);
    if (is_mark(s, '=') && !quoted)
        return scan_option(s, name, line);
    if (is_mark(s, '(') && strcmp(name, "include") == 0)
        return scan_include(s);
    if (is_mark(s, '{') && !quoted)
        return open_section(s, name, line, NULL);
    if (!is_value(s) || quoted)
        return expected(s, quoted ? "an option or a section" : "'=', '{' or a title");

    char title[WORD_SIZE];
    snprintf(title, sizeof(title), "%s", s->word);
    read_token(s);
    if (!is_mark(s, '{'))
        return expected(s, "'{' after the title");
    return open_section(s, name, line, title);
}

/* The whole file. False when the rest of it could not be understood. */
static bool scan_items(struct scanner *s)
{
    for (;;) {
        switch (read_token(s)) {
        case TOKEN_BAD:
            return false;
        case TOKEN_END:
            if (s->depth == 0)
                return true;
            reader_error(s->reader, (struct rule){s->source->path, s->stack[s->depth].line},
                         "the section that begins here is never closed: '}' is missing");
            return false;
        case TOKEN_MARK:
            if (s->mark != '}' || s->depth == 0)
                return expected(s, s->depth ? "an option, a section or '}'"
                                            : "a section or an include");
            write_plain(s, "}");
            s->depth--;
            break;
        case TOKEN_WORD:
        case TOKEN_STRING:
            if (!scan_item(s))
                return false;
        }
    }
}

/* Bytes that no configuration has. False after an error. */
static bool check_bytes(struct reader *reader, const char *path, const char *text, size_t size)
{
    size_t bad = 0;
    bool is_utf8 = reader_is_utf8(text, size, &bad);
    const char *end = text + (is_utf8 ? size : bad);
    struct rule rule = {path, 1};

    for (const char *p = text; p < end; p++) {
        if (*p == '\n')
            rule.line++;
        if ((unsigned char)*p < ' ' && !strchr("\t\r\n", *p ? *p : 'x')) {
            reader_error(reader, rule, "a control character (%02x)", (unsigned)*p);
            return false;
        }
    }
    if (!is_utf8)
        reader_error(reader, rule, "not UTF-8 (saved as Shift_JIS or EUC-JP?)");
    return is_utf8;
}

static bool scan_source(struct reader *reader, struct source *source)
{
    size_t size;
    const char *error;
    char *text = reader_file_contents(source->path, CONFIGURATION_FILE_MAX, &size, &error);
    if (!text) {
        reader_error(reader, source->from, "%s: %s", source->path, error);
        return false;
    }
    bool fine = check_bytes(reader, source->path, text, size);
    if (fine) {
        struct scanner *s = memory_allocate(1, sizeof(*s));
        bool marked = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0; /* byte order mark */
        s->reader = reader;
        s->source = source;
        s->next = text + (marked ? 3 : 0);
        s->end = text + size;
        s->line = s->at = s->written = 1;
        fine = scan_items(s);
        write_byte(source, '\n');
        free(s);
    }
    free(text);
    return fine;
}

bool reader_scan(struct reader *reader, const char *path)
{
    bool fine = true;
    const char *name = reader_file_name(reader, path);

    reader->sources[reader->source_count++] = (struct source){.path = name, .from = {name, 1}};
    for (size_t i = 0; i < reader->source_count; i++)
        fine = scan_source(reader, &reader->sources[i]) && fine;
    return fine;
}
