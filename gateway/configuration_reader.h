/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the configuration module share while one configuration is read: the files, the
 * reports, and the values on their way from the text to struct configuration.
 *
 * A file goes through three steps. The scan (configuration_scan.c) checks its words against the
 * tables of options.h, follows includes, and writes the text anew in a canonical form: libconfuse
 * alone would take an unclosed brace at the end of a file, let the later of two values win, drop
 * bytes that it does not know, and put environment variables in. libconfuse then parses that text,
 * one line for one line, so that all the errors of its values come with file and line. The values
 * are converted by type (configuration_value.c), and what several of them say together is checked
 * (configuration_check.c).
 */
#ifndef GATEWAY_CONFIGURATION_READER_H
#define GATEWAY_CONFIGURATION_READER_H

#include <confuse.h>
#include <libpsl.h>

#include "gateway/options.h"

#define CONFIGURATION_FILES_MAX 200     /* sekisho.conf and what it includes */
#define CONFIGURATION_DEPTH_MAX 8       /* of includes in includes */
#define CONFIGURATION_FILE_MAX  1048576 /* bytes */
#define LIST_FILE_MAX           33554432
#define REPORTS_MAX             200

/* A file of the configuration, in the order in which they were met. */
struct source {
    const char *path; /* borrowed from configuration->files */
    struct rule from; /* of the include that named it */
    unsigned depth;
    char *text; /* canonical */
    size_t size, capacity;
};

/* A section that was met, to find the second one. */
struct landmark {
    enum section section;
    size_t parent; /* which section it stands in: its landmark + 1, 0 for none */
    char *title;   /* NULL when it has none */
    struct rule rule;
};

struct reader {
    struct configuration *configuration;
    configuration_report *report;
    void *context;
    unsigned errors, warnings;
    bool ca_wanted; /* the CA's files must be there */

    struct source sources[CONFIGURATION_FILES_MAX];
    size_t source_count;
    struct landmark *landmarks;
    size_t landmark_count;

    cfg_t *cfg;
    const psl_ctx_t *suffixes;
    /* where the options stand that the last checks speak of; file NULL when they were not said */
    struct rule where[OPTION_ROW_COUNT];
};

/* One value as libconfuse met it. */
struct value {
    unsigned line;
    char text[];
};

/* What an option was given: `count` values, all in one file; or its default (rule.file NULL). */
struct values {
    const char *file;
    bool given;
    struct value **list;
    size_t count;
    unsigned line; /* of the section, for what is missing */
};

void reader_error(struct reader *reader, struct rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reader_warning(struct reader *reader, struct rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The one copy of a file's name, which lives as long as the configuration. */
const char *reader_file_name(struct reader *reader, const char *path);

/*
 * Where a file is that `from` names: as it is when absolute, otherwise in the folder of `from`,
 * then in the configuration's and in the data folder of the installation. NULL when there is none;
 * freed by the caller.
 */
char *reader_file_find(const char *from, const char *name);
/* `name` as seen from the folder of `from`. Freed by the caller. */
char *reader_path_join(const char *from, const char *name);

/* `name` in `folder`. Freed by the caller. */
char *reader_path_in(const char *folder, const char *name);

/*
 * The contents of a regular file of at most `limit` bytes, NUL-terminated, freed by the caller.
 * NULL with a message (static or of strerror) in *error.
 */
char *reader_file_contents(const char *path, size_t limit, size_t *size, const char **error);

/* True for well-formed UTF-8 (RFC 3629); otherwise *offset is where it goes wrong. */
bool reader_is_utf8(const char *text, size_t size, size_t *offset);

/* Scans the file at `path` and all that it includes. False when some cannot be parsed. */
bool reader_scan(struct reader *reader, const char *path);

/* Converts and stores the values of one option of the section at `base`. */
void reader_apply(struct reader *reader, const struct option_row *option, void *base,
                  const struct values *values);

/* Tells of a pattern that lets things pass and covers what strangers can fill. */
void reader_check_reach(struct reader *reader, const char *pattern, struct rule rule);

/* Adds a host pattern, with all checks. */
void reader_add_host(struct reader *reader, struct hostset *set, const char *pattern, int tag,
                     struct rule rule, bool permits);

/* Where the entries of a list file go. */
struct list {
    struct hostset *set;
    int tag;
    bool permits; /* they let things pass: what they cover is looked at */
    bool treats;  /* a line may begin with "splice" */
};
/* Adds what a list file says. `rule` is where the file is named. */
void reader_add_list(struct reader *reader, const struct list *list, const char *name,
                     struct rule rule);
/* The same for a name such as "government", which is the file lists/clinic-government.txt. */
void reader_add_named_list(struct reader *reader, const struct list *list, const char *name,
                           struct rule rule);

/* Where an option stands, or for want of it its section, or where sekisho.conf begins. */
struct rule reader_rule_of(const struct reader *reader, enum section section, const char *name);

/* Adds the networks of the services' autonomous systems, and checks the databases whole. */
void reader_fill_networks(struct reader *reader);

/* Checks a header of a service, whose own options are all there. */
void reader_check_header(struct reader *reader, const struct service *service,
                         const struct tenant_header *header, struct rule rule);
/* What the kernel's part is made of: interfaces, segments, permits, bypasses, resolvers; and the
 * media of one service. */
void reader_check_boundaries(struct reader *reader);
void reader_check_media(struct reader *reader, const struct service *service);
/* What is never inspected, and what the CA in force says of itself. */
void reader_check_authority(struct reader *reader);
/* The entry of the set that decides for every host of the pattern, or NULL. */
const struct hostset_entry *reader_find_cover(const struct hostset *set, const char *pattern);
/* The enrolment page: its name, its listeners, its files. */
void reader_check_portal(struct reader *reader);
/* Reads a file of the pages' folder, which is UTF-8. */
void reader_read_page(struct reader *reader, const char *name, char **text);
/* Checks of all together, and what is filled in from the machine (resolvers, workers, the page's
 * files). */
void reader_check(struct reader *reader);

#endif
