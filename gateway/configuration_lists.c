/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that a configuration names: finding them, reading them, and the lists of hosts among
 * them. */
#include "gateway/configuration_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/hostname.h"
#include "filters/memory.h"
#include "gateway/configuration_parse.h"
#include "gateway/shared_platform.h"
#include "gateway/utf8.h"

#define LIST_ERRORS_MAX 20 /* of one file: it is not a list then */
#define CLINIC_PREFIX   "clinic-"
#define LIST_SUFFIX     ".txt"

const char *reader_file_name(struct reader *reader, const char *path)
{
    struct configuration *configuration = reader->configuration;

    for (size_t i = 0; i < configuration->file_count; i++)
        if (strcmp(configuration->files[i], path) == 0)
            return configuration->files[i];
    configuration->files =
        memory_resize(configuration->files, configuration->file_count + 1, sizeof(char *));
    configuration->files[configuration->file_count] = memory_string(path);
    return configuration->files[configuration->file_count++];
}

static char *join(struct span folder, const char *name)
{
    size_t size = strlen(name);
    char *path = memory_allocate(folder.size + size + 2, 1);

    if (folder.size) /* empty: without a slash, else it would be the root */
        memcpy(path, folder.data, folder.size);
    if (folder.size && folder.data[folder.size - 1] != '/')
        path[folder.size++] = '/';
    memcpy(path + folder.size, name, size);
    return path;
}

char *reader_path_in(const char *folder, const char *name)
{
    return join(span_of(folder), name);
}

char *reader_path_join(const char *from, const char *name)
{
    const char *slash = from ? strrchr(from, '/') : NULL;

    if (name[0] == '/' || !slash)
        return memory_string(name);
    return join((struct span){from, (size_t)(slash - from) + 1}, name);
}

char *reader_file_find(const char *from, const char *name)
{
    char *path = reader_path_join(from, name);

    if (name[0] == '\0' || access(path, F_OK) == 0 || name[0] == '/')
        goto done;
    free(path);
    path = join(SPAN(SEKISHO_SYSCONF_DIR), name);
    if (access(path, F_OK) == 0)
        goto done;
    free(path);
    path = join(SPAN(SEKISHO_DATA_DIR), name);
done:
    if (name[0] == '\0' || access(path, F_OK) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

/* Reads what `fd` has to its end, at most `limit` bytes; NULL with *error set. */
static char *read_all(int fd, size_t limit, size_t *size, const char **error)
{
    size_t capacity = 8192, used = 0;
    char *text = memory_allocate(capacity, 1);

    for (;;) {
        ssize_t got = read(fd, text + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            *error = strerror(errno);
        used += got > 0 ? (size_t)got : 0;
        if (got >= 0 && used > limit)
            *error = "too large a file";
        if (*error) {
            free(text);
            return NULL;
        }
        if (got == 0)
            break;
        if (used + 1 == capacity) {
            capacity *= 2;
            text = memory_resize(text, capacity, 1);
        }
    }
    text[used] = '\0';
    *size = used;
    return text;
}

char *reader_file_contents(const char *path, size_t limit, size_t *size, const char **error)
{
    struct stat facts;
    char *text = NULL;

    *error = NULL;
    /* not blocking: a FIFO would wait for ever */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &facts) != 0)
        *error = strerror(errno);
    else if (!S_ISREG(facts.st_mode))
        *error = "not a regular file";
    else
        text = read_all(fd, limit, size, error);
    if (fd >= 0)
        close(fd);
    return text;
}

bool reader_is_utf8(const char *text, size_t size, size_t *offset)
{
    for (size_t i = 0; i < size;) {
        uint32_t character;
        size_t used = utf8_decode((struct span){text + i, size - i}, &character);
        if (used == 1 && character == UTF8_REPLACEMENT) {
            *offset = i;
            return false;
        }
        i += used;
    }
    return true;
}

/*
 * Public suffixes below which the registry lets only a known sort of organisation register: the
 * state (go.jp), prefectures and municipalities (lg.jp), by JPRS, types of JP domain names; the
 * government and the armed forces of the United States (gov, mil), and banks that were checked
 * (bank), by IANA, root zone database.
 */
static bool is_reserved_suffix(const char *suffix)
{
    static const char *const reserved[] = {"go.jp", "lg.jp", "gov", "mil", "bank"};

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcmp(suffix, reserved[i]) == 0)
            return true;
    return false;
}

/*
 * A pattern that lets things pass must not cover a public suffix: "*.co.jp" is every company of
 * Japan, and "*clinic.co.jp" is every name that somebody can register with that ending. Nor should
 * it cover what strangers can fill.
 */
void reader_check_reach(struct reader *reader, const char *pattern, struct rule rule)
{
    size_t offset;
    bool wide = host_pattern_kind(span_of(pattern), &offset) != PATTERN_EXACT;
    const char *base = pattern + offset;
    const char *platform = shared_platform_find(pattern);

    if (wide && reader->suffixes && !is_reserved_suffix(base) &&
        (base[0] == '\0' ||
         psl_is_public_suffix2(reader->suffixes, base, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE))) {
        reader_error(reader, rule,
                     "\"%s\" covers all that anybody registers under %s: name the hosts", pattern,
                     base);
        return;
    }
    if (!platform && wide && reader->suffixes &&
        psl_is_public_suffix2(reader->suffixes, base, PSL_TYPE_PRIVATE | PSL_TYPE_NO_STAR_RULE))
        platform = base;
    if (platform)
        reader_warning(reader, rule, "\"%s\" covers what anybody puts on the shared platform %s",
                       pattern, platform);
}

static void check_entry(struct reader *reader, const struct hostset_entry *entry)
{
    reader_check_reach(reader, entry->pattern, entry->rule);
}

/* The entry of that very pattern: the set has kept it instead of the one that was just to be added.
 */
static const struct hostset_entry *find_same(const struct hostset *set, const char *pattern)
{
    struct hostset *one = hostset_new();
    const struct hostset_entry *same = NULL;

    hostset_add(one, span_of(pattern), 0, (struct rule){NULL, 0});
    const struct hostset_entry *wanted = hostset_at(one, 0);
    for (size_t i = 0; wanted && !same && i < hostset_count(set); i++)
        if (strcmp(hostset_at(set, i)->pattern, wanted->pattern) == 0)
            same = hostset_at(set, i);
    hostset_free(one);
    return same;
}

void reader_add_host(struct reader *reader, struct hostset *set, const char *pattern, int tag,
                     struct rule rule, bool permits)
{
    size_t count = hostset_count(set);
    const char *error = hostset_add(set, span_of(pattern), tag, rule);

    if (error) {
        reader_error(reader, rule, "\"%s\" is not a host pattern: %s", pattern, error);
    } else if (hostset_count(set) > count) {
        if (permits)
            check_entry(reader, hostset_at(set, count));
    } else {
        const struct hostset_entry *same = find_same(set, pattern);
        if (same && same->tag != tag)
            reader_error(reader, rule, "\"%s\" is treated otherwise in line %u", pattern,
                         same->rule.line);
        else if (same)
            reader_warning(reader, rule, "\"%s\" is listed already in line %u", pattern,
                           same->rule.line);
    }
}

/* A line of a clinic's list may say that its host cannot be inspected: "splice karte.example.jp".
 */
static struct span take_treatment(struct span line, int *tag)
{
    static const struct span word = {"splice ", 7};

    if (!span_starts(line, word))
        return line;
    *tag = TREAT_SPLICE;
    return span_trim(span_from(line, word.size));
}

static const char *add_line(struct reader *reader, const struct list *list, struct span line,
                            struct rule rule)
{
    int tag = list->tag;
    size_t count = hostset_count(list->set);
    struct span pattern = list->treats ? take_treatment(line, &tag) : line;
    const char *error = hostset_add(list->set, pattern, tag, rule);

    if (list->permits && hostset_count(list->set) > count)
        check_entry(reader, hostset_at(list->set, count));
    return error;
}

/* One pattern a line, '#' begins a comment. The same host in two lists is no mistake. */
static void add_lines(struct reader *reader, const struct list *list, const char *file,
                      struct span text)
{
    unsigned errors = 0;
    struct rule rule = {file, 1};

    for (; text.size && errors < LIST_ERRORS_MAX; rule.line++) {
        size_t end = span_index(text, '\n');
        struct span line = span_first(text, end);
        text = span_from(text, end < text.size ? end + 1 : end);
        line = span_first(line, span_index(line, '#'));
        if (span_ends(line, SPAN("\r")))
            line.size--;
        line = span_trim(line);
        const char *error = line.size ? add_line(reader, list, line, rule) : NULL;
        if (error) {
            errors++;
            reader_error(reader, rule, "\"%.*s\" is not a host pattern: %s",
                         (int)(line.size < 80 ? line.size : 80), line.data, error);
        }
    }
}

/* Reads the file at `path`, which is freed. `where` is what named it. */
static void read_list(struct reader *reader, const struct list *list, char *path, struct rule where)
{
    size_t size = 0, bad = 0;
    const char *error;
    char *text = reader_file_contents(path, LIST_FILE_MAX, &size, &error);
    const char *file = reader_file_name(reader, path);

    free(path);
    if (!text)
        reader_error(reader, where, "list %s: %s", file, error);
    else if (!reader_is_utf8(text, size, &bad))
        reader_error(reader, where, "list %s: not UTF-8 (byte %zu)", file, bad + 1);
    else
        add_lines(reader, list, file, (struct span){text, size});
    free(text);
}

void reader_add_list(struct reader *reader, const struct list *list, const char *name,
                     struct rule rule)
{
    struct rule where = rule;

    if (!where.file) /* a default: it is looked for as if sekisho.conf had said it */
        where = (struct rule){reader->configuration->path, 1};
    char *path = reader_file_find(where.file, name);
    if (path)
        read_list(reader, list, path, where);
    else
        reader_error(reader, where, "no list \"%s\" in the folder of this file, in %s or in %s",
                     name, SEKISHO_SYSCONF_DIR, SEKISHO_DATA_DIR);
}

/* --- the clinic's lists, by name --- */

/* The name of the list that a file holds, empty when it is none of the clinic's. */
static struct span list_name(const char *file)
{
    struct span name = span_of(file);

    if (!span_starts(name, SPAN(CLINIC_PREFIX)) || !span_ends(name, SPAN(LIST_SUFFIX)))
        return SPAN("");
    name = span_from(name, sizeof(CLINIC_PREFIX) - 1);
    return span_first(name, name.size - (sizeof(LIST_SUFFIX) - 1));
}

/* Adds the names of a folder to those that are known already. */
static void add_names(const char *folder, char *names, size_t size)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        struct span name = list_name(entry->d_name);
        char word[64];
        int used = snprintf(word, sizeof(word), ", %.*s", (int)name.size, name.data);

        if (!name.size || used < 0 || (size_t)used >= sizeof(word) || strstr(names, word))
            continue;
        size_t length = strlen(names);
        snprintf(names + length, size - length, "%s", word);
    }
    if (directory)
        closedir(directory);
}

static void report_unknown_list(struct reader *reader, const char *name, struct rule rule)
{
    const char *const parents[] = {SEKISHO_SYSCONF_DIR, SEKISHO_DATA_DIR};
    char names[512] = "", *folder = reader_path_join(rule.file, "lists");

    add_names(folder, names, sizeof(names));
    free(folder);
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        folder = reader_path_in(parents[i], "lists");
        add_names(folder, names, sizeof(names));
        free(folder);
    }
    reader_error(reader, rule, "no list \"%s\"; there are: %s", name,
                 names[0] ? names + 2 : "none");
}

void reader_add_named_list(struct reader *reader, const struct list *list, const char *name,
                           struct rule rule)
{
    char file[80];

    if (!is_plain_name(name)) { /* a file */
        reader_add_list(reader, list, name, rule);
        return;
    }
    snprintf(file, sizeof(file), "lists/" CLINIC_PREFIX "%s" LIST_SUFFIX, name);
    char *path = reader_file_find(rule.file, file);
    if (path)
        read_list(reader, list, path, rule);
    else
        report_unknown_list(reader, name, rule);
}
