/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a configuration: the scan, libconfuse with grammars made from the tables of options.h,
 * then section by section into struct configuration. And what is done with a finished one.
 */
#include "gateway/configuration.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/configuration_parse.h"
#include "gateway/configuration_reader.h"

#define REPORT_SIZE      1024
#define TRANSPARENT_PORT 8443
#define EXPLICIT_PORT    8080

/* --- reports --- */

static void report_line(struct reader *reader, struct rule rule, const char *kind,
                        const char *format, va_list list)
{
    char message[REPORT_SIZE], line[REPORT_SIZE];

    vsnprintf(message, sizeof(message), format, list);
    int used = snprintf(line, sizeof(line), "%s:%u: %s: %s", rule.file, rule.line, kind, message);
    if (used > 0 && reader->report)
        reader->report(reader->context, line);
}

void reader_error(struct reader *reader, struct rule rule, const char *format, ...)
{
    va_list list;

    if (reader->errors++ >= REPORTS_MAX)
        return;
    va_start(list, format);
    report_line(reader, rule, "error", format, list);
    va_end(list);
}

void reader_warning(struct reader *reader, struct rule rule, const char *format, ...)
{
    va_list list;

    if (reader->warnings++ >= REPORTS_MAX)
        return;
    va_start(list, format);
    report_line(reader, rule, "warning", format, list);
    va_end(list);
}

/* --- libconfuse --- */

/* libconfuse keeps its own state in global variables and gives its callbacks no context. */
static struct reader *parsing;

static void report_of_confuse(cfg_t *cfg, const char *format, va_list list)
{
    struct rule rule = {cfg && cfg->filename ? cfg->filename : parsing->configuration->path,
                        cfg ? (unsigned)cfg->line : 1};

    parsing->errors++;
    report_line(parsing, rule, "error", format, list);
}

static int keep_value(cfg_t *cfg, cfg_opt_t *option, const char *text, void *result)
{
    size_t size = strlen(text) + 1;
    struct value *value = memory_allocate(1, sizeof(*value) + size);

    (void)option;
    value->line = (unsigned)cfg->line;
    memcpy(value->text, text, size);
    *(void **)result = value;
    return 0;
}

/*
 * The grammar of one section: its options, each kept as text with its line, and the sections
 * within. Made from the tables; freed with free_grammar().
 */
static cfg_opt_t *make_grammar(enum section section)
{
    cfg_opt_t *grammar = memory_allocate(OPTION_ROW_COUNT + SECTION_COUNT + 1, sizeof(*grammar));
    size_t count = 0;

    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        if (option_rows[i].section != section)
            continue;
        bool list = option_types[option_rows[i].type].list;
        grammar[count++] = (cfg_opt_t){.name = option_rows[i].name,
                                       .type = CFGT_PTR,
                                       .flags = (list ? CFGF_LIST : CFGF_NONE) | CFGF_NODEFAULT,
                                       .parsecb = keep_value,
                                       .freecb = free};
    }
    for (size_t i = 1; i < SECTION_COUNT; i++) {
        if (section_rows[i].parent != section)
            continue;
        cfg_flag_t titled = section_rows[i].title ? CFGF_MULTI | CFGF_TITLE : CFGF_NONE;
        grammar[count++] = (cfg_opt_t){.name = section_rows[i].name,
                                       .type = CFGT_SEC,
                                       .flags = titled | CFGF_NODEFAULT,
                                       .subopts = make_grammar((enum section)i)};
    }
    grammar[count] = (cfg_opt_t)CFG_END();
    return grammar;
}

static void free_grammar(cfg_opt_t *grammar)
{
    for (cfg_opt_t *option = grammar; option->name; option++)
        if (option->subopts)
            free_grammar(option->subopts);
    free(grammar);
}

/* Parses the canonical texts, one after the other, into one tree. */
static void parse_sources(struct reader *reader)
{
    for (size_t i = 0; i < reader->source_count; i++) {
        struct source *source = &reader->sources[i];
        FILE *file = source->size ? fmemopen(source->text, source->size, "r") : NULL;
        if (!file) {
            if (source->size)
                reader_error(reader, source->from, "%s: cannot be parsed", source->path);
            continue;
        }
        free(reader->cfg->filename);
        reader->cfg->filename = strdup(source->path); /* freed by libconfuse */
        if (reader->cfg->filename)
            cfg_parse_fp(reader->cfg, file); /* its errors were reported and counted */
        else
            reader_error(reader, source->from, "out of memory");
        fclose(file);
    }
}

/* --- sections --- */

/* Applies all options of a section; `cfg` is NULL when the section was not written. */
static void apply_options(struct reader *reader, enum section section, cfg_t *cfg, void *base)
{
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *option = &option_rows[i];
        if (option->section != section)
            continue;
        cfg_opt_t *given = cfg ? cfg_getopt(cfg, option->name) : NULL;
        struct values values = {.count = given ? cfg_opt_size(given) : 0};
        if (values.count) {
            values.given = true;
            /* libconfuse knows of the whole only the file that came last */
            values.file = section == SECTION_ROOT ? reader->sources[0].path
                                                  : reader_file_name(reader, cfg->filename);
            values.list = memory_allocate(values.count, sizeof(*values.list));
            for (size_t j = 0; j < values.count; j++)
                values.list[j] = cfg_opt_getnptr(given, (unsigned)j);
        }
        reader_apply(reader, option, base, &values);
        free(values.list);
    }
}

static struct rule section_rule(struct reader *reader, cfg_t *cfg, enum section section,
                                size_t parent)
{
    for (size_t i = 0; i < reader->landmark_count; i++) {
        const struct landmark *mark = &reader->landmarks[i];
        if (mark->section == section && mark->parent == parent &&
            strcmp(mark->title, cfg_title(cfg)) == 0)
            return mark->rule;
    }
    return (struct rule){reader->configuration->path, 1};
}

static bool is_unspecified(const struct address *address)
{
    static const uint8_t zero[sizeof(address->bytes)];
    return memcmp(address->bytes, zero, address->family == 4 ? 4 : 16) == 0;
}

/* One listener for each address of a listen section. */
static void take_listener(struct reader *reader, cfg_t *cfg)
{
    struct configuration *c = reader->configuration;
    struct rule rule = section_rule(reader, cfg, SECTION_LISTEN, 0);
    struct listen_draft draft = {0};
    bool transparent = strcmp(cfg_title(cfg), "transparent") == 0;

    apply_options(reader, SECTION_LISTEN, cfg, &draft);
    if (!transparent && strcmp(cfg_title(cfg), "explicit") != 0) {
        reader_error(reader, rule,
                     "listen \"%s\": expected listen \"transparent\" or listen \"explicit\"",
                     cfg_title(cfg));
        goto done;
    }
    if (!draft.port)
        draft.port = transparent ? TRANSPARENT_PORT : EXPLICIT_PORT;
    if (draft.address_count == 0 && cfg_size(cfg, "address") == 1)
        reader_error(reader, rule, "listen \"%s\": expected addresses", cfg_title(cfg));
    if (transparent && cfg_size(cfg, "connect-ports"))
        reader_error(reader, rule, "connect-ports belongs to listen \"explicit\"");
    for (size_t i = 0; i < draft.address_count; i++) {
        struct listener_options one = {.transparent = transparent, .rule = rule};
        one.address_size = socket_address_make(&draft.addresses[i], draft.port, &one.address);
        for (size_t j = 0; j < c->listener_count; j++)
            if (c->listeners[j].address_size == one.address_size &&
                memcmp(&c->listeners[j].address, &one.address, one.address_size) == 0)
                reader_error(
                    reader, rule, "port %u: another listener has that address already (%s:%u)",
                    (unsigned)draft.port, c->listeners[j].rule.file, c->listeners[j].rule.line);
        if (!transparent && is_unspecified(&draft.addresses[i]))
            reader_warning(reader, rule,
                           "listen \"explicit\": a proxy on every address of this machine: name "
                           "that of the LAN");
        c->listeners = memory_resize(c->listeners, c->listener_count + 1, sizeof(one));
        c->listeners[c->listener_count++] = one;
    }
    if (!transparent) {
        free(c->connect_ports);
        c->connect_ports = draft.connect_ports;
        c->connect_port_count = draft.connect_port_count;
        draft.connect_ports = NULL;
    }
done:
    free(draft.addresses);
    free(draft.connect_ports);
}

static void take_room(struct reader *reader, cfg_t *cfg)
{
    struct configuration *c = reader->configuration;

    c->rooms = memory_resize(c->rooms, c->room_count + 1, sizeof(*c->rooms));
    struct room *room = &c->rooms[c->room_count++];
    *room = (struct room){.name = memory_string(cfg_title(cfg)),
                          .rule = section_rule(reader, cfg, SECTION_ROOM, 0)};
    apply_options(reader, SECTION_ROOM, cfg, room);
    if (!room->name[0] || strlen(room->name) > 64 || !is_printable(room->name))
        reader_error(reader, room->rule,
                     "room \"%s\": expected a name of at most 64 bytes without control characters",
                     room->name);
}

static void take_bypass(struct reader *reader, cfg_t *cfg)
{
    struct configuration *c = reader->configuration;

    c->bypasses = memory_resize(c->bypasses, c->bypasses_count + 1, sizeof(*c->bypasses));
    struct bypass *bypass = &c->bypasses[c->bypasses_count++];
    *bypass = (struct bypass){.name = memory_string(cfg_title(cfg)),
                              .rule = section_rule(reader, cfg, SECTION_BYPASS, 0)};
    apply_options(reader, SECTION_BYPASS, cfg, bypass);
    if (!bypass->title[0]) {
        free(bypass->title);
        bypass->title = memory_string(bypass->name);
    }
}

static void take_segment(struct reader *reader, cfg_t *cfg)
{
    struct configuration *c = reader->configuration;

    c->segments = memory_resize(c->segments, c->segment_count + 1, sizeof(*c->segments));
    struct segment *segment = &c->segments[c->segment_count++];
    *segment = (struct segment){.name = memory_string(cfg_title(cfg)),
                                .rule = section_rule(reader, cfg, SECTION_SEGMENT, 0)};
    apply_options(reader, SECTION_SEGMENT, cfg, segment);
}

static void take_permit(struct reader *reader, cfg_t *cfg)
{
    struct configuration *c = reader->configuration;

    c->permits = memory_resize(c->permits, c->permit_count + 1, sizeof(*c->permits));
    struct permit *permit = &c->permits[c->permit_count++];
    *permit = (struct permit){.name = memory_string(cfg_title(cfg)),
                              .rule = section_rule(reader, cfg, SECTION_PERMIT, 0)};
    apply_options(reader, SECTION_PERMIT, cfg, permit);
}

static void take_service(struct reader *reader, cfg_t *cfg)
{
    struct policy *policy = &reader->configuration->policy;
    struct service *service;

    policy->services =
        memory_resize(policy->services, policy->service_count + 1, sizeof(*policy->services));
    service = &policy->services[policy->service_count++];
    *service = (struct service){.name = memory_string(cfg_title(cfg)),
                                .rule = section_rule(reader, cfg, SECTION_SERVICE, 0)};
    apply_options(reader, SECTION_SERVICE, cfg, service);
    if (!service->title[0]) {
        free(service->title);
        service->title = memory_string(service->name);
    }
    size_t parent = 0;
    for (size_t i = 0; i < reader->landmark_count; i++)
        if (reader->landmarks[i].section == SECTION_SERVICE &&
            strcmp(reader->landmarks[i].title, service->name) == 0)
            parent = i + 1;
    for (unsigned i = 0; i < cfg_size(cfg, "header"); i++) {
        cfg_t *inner = cfg_getnsec(cfg, "header", i);
        service->headers =
            memory_resize(service->headers, service->header_count + 1, sizeof(*service->headers));
        struct tenant_header *header = &service->headers[service->header_count++];
        *header = (struct tenant_header){.name = memory_string(cfg_title(inner))};
        apply_options(reader, SECTION_HEADER, inner, header);
        reader_check_header(reader, service, header,
                            section_rule(reader, inner, SECTION_HEADER, parent));
    }
}

static void take_sections(struct reader *reader)
{
    static const struct {
        enum section section;
        void (*take)(struct reader *reader, cfg_t *cfg);
    } titled[] = {{SECTION_LISTEN, take_listener}, {SECTION_ROOM, take_room},
                  {SECTION_BYPASS, take_bypass},   {SECTION_SEGMENT, take_segment},
                  {SECTION_PERMIT, take_permit},   {SECTION_SERVICE, take_service}};
    cfg_t *cfg = reader->cfg;

    apply_options(reader, SECTION_ROOT, cfg, reader->configuration);
    for (size_t i = 1; i < SECTION_COUNT; i++)
        if (section_rows[i].parent == SECTION_ROOT && !section_rows[i].title)
            apply_options(
                reader, (enum section)i,
                cfg_size(cfg, section_rows[i].name) ? cfg_getsec(cfg, section_rows[i].name) : NULL,
                reader->configuration);
    for (size_t kind = 0; kind < sizeof(titled) / sizeof(titled[0]); kind++)
        for (unsigned i = 0; i < cfg_size(cfg, section_rows[titled[kind].section].name); i++)
            titled[kind].take(reader, cfg_getnsec(cfg, section_rows[titled[kind].section].name, i));
}

/* --- the whole --- */

static void read_configuration(struct reader *reader, const char *path)
{
    cfg_opt_t *grammar;

    if (!reader_scan(reader, path))
        return; /* what cannot be parsed would only give errors that are none */
    grammar = make_grammar(SECTION_ROOT);
    reader->cfg = cfg_init(grammar, CFGF_NONE);
    if (reader->cfg) {
        parsing = reader;
        cfg_set_error_function(reader->cfg, report_of_confuse);
        parse_sources(reader);
        take_sections(reader);
        cfg_free(reader->cfg);
        parsing = NULL;
        reader_check(reader);
    } else {
        reader_error(reader, (struct rule){path, 1}, "out of memory");
    }
    free_grammar(grammar);
}

static struct configuration *read_with(const char *path, configuration_report *report,
                                       void *context, bool ca_wanted)
{
    struct reader *reader = memory_allocate(1, sizeof(*reader));
    struct configuration *configuration = memory_allocate(1, sizeof(*configuration));

    *reader = (struct reader){.configuration = configuration,
                              .report = report,
                              .context = context,
                              .ca_wanted = ca_wanted,
                              .suffixes = psl_builtin()};
    configuration->path = memory_string(path);
    read_configuration(reader, path);
    bool fine = reader->errors == 0;
    if (reader->errors > REPORTS_MAX) {
        reader->errors = 0;
        reader_error(reader, (struct rule){path, 1}, "and more errors");
    }
    for (size_t i = 0; i < reader->source_count; i++)
        free(reader->sources[i].text);
    for (size_t i = 0; i < reader->landmark_count; i++)
        free(reader->landmarks[i].title);
    free(reader->landmarks);
    free(reader);
    if (fine)
        return configuration;
    configuration_free(configuration);
    return NULL;
}

struct configuration *configuration_read(const char *path, configuration_report *report,
                                         void *context)
{
    return read_with(path, report, context, true);
}

struct configuration *configuration_read_without_ca(const char *path, configuration_report *report,
                                                    void *context)
{
    return read_with(path, report, context, false);
}

int configuration_room(const struct configuration *configuration, const struct address *address,
                       const uint8_t mac[6])
{
    for (size_t i = 0; i < configuration->room_count; i++) {
        const struct room *room = &configuration->rooms[i];
        for (size_t j = 0; j < room->client_count; j++) {
            const struct room_client *client = &room->clients[j];
            if (client->is_mac ? mac && memcmp(client->mac, mac, sizeof(client->mac)) == 0
                               : address && network_contains(&client->network, address))
                return (int)i;
        }
    }
    return -1;
}
