/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values on their way into struct configuration: one function per type of OPTION_TYPES, each for
 * one value or one element. What was not said takes its default from the table by the same way.
 */
#include "gateway/configuration_reader.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/hostname.h"
#include "filters/memory.h"
#include "filters/url.h"
#include "gateway/configuration_parse.h"

#define TEXT_MAX 256 /* bytes of a name, a contact or a header's value */

/* One element on its way. */
struct element {
    struct reader *reader;
    const struct option_row *option;
    unsigned char *base; /* of the section */
    const char *text;
    struct rule rule;
};

typedef void apply_function(const struct element *e);

static void *target(const struct element *e)
{
    return e->base + e->option->where.offset;
}

/* A new, zeroed element at the end of the option's array. */
static void *append(const struct element *e)
{
    void **array = target(e);
    size_t *count = (void *)(e->base + e->option->where.count);
    size_t size = e->option->where.size;

    *array = memory_resize(*array, *count + 1, size);
    unsigned char *added = (unsigned char *)*array + *count * size;
    memset(added, 0, size);
    ++*count;
    return added;
}

/* Between a section's name and the option's. */
static const char *dot_of(const struct option_row *option)
{
    return option->section == SECTION_ROOT ? "" : ".";
}

static void complain(const struct element *e, const char *detail)
{
    const struct option_row *option = e->option;

    reader_error(e->reader, e->rule, "%s%s%s: expected %s, found \"%s\"%s%s",
                 section_rows[option->section].name, dot_of(option), option->name,
                 option_types[option->type].expected, e->text, detail ? ": " : "",
                 detail ? detail : "");
}

/* --- scalars --- */

static void store_integer(const struct element *e, int64_t value)
{
    void *to = target(e);

    switch (e->option->where.size) {
    case sizeof(uint16_t):
        memcpy(to, &(uint16_t){(uint16_t)value}, sizeof(uint16_t));
        break;
    case sizeof(uint32_t):
        memcpy(to, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
        break;
    default:
        memcpy(to, &value, sizeof(value));
    }
}

static void apply_boolean(const struct element *e)
{
    if (!parse_boolean(e->text, target(e)))
        complain(e, NULL);
}

/* A bound with the largest unit that needs no fraction. */
static void format_bound(const struct option_row *option, int64_t value, char *text, size_t size)
{
    static const struct {
        enum option_type type;
        int64_t factor;
        const char *name;
    } units[] = {{OPTION_DURATION, 86400000, "d"},
                 {OPTION_DURATION, 3600000, "h"},
                 {OPTION_DURATION, 60000, "min"},
                 {OPTION_DURATION, 1000, "s"},
                 {OPTION_DURATION, 1, "ms"},
                 {OPTION_SIZE, 1048576, "MB"},
                 {OPTION_SIZE, 1024, "kB"},
                 {OPTION_SIZE, 1, "B"},
                 {OPTION_NUMBER, 1, ""}};
    size_t i = 0;

    while (units[i].type != option->type || value % units[i].factor != 0 ||
           (value == 0 && units[i].factor != 1))
        i++;
    snprintf(text, size, "%lld%s", (long long)(value / units[i].factor), units[i].name);
}

static void apply_number(const struct element *e)
{
    int64_t value = 0;
    const struct option_row *option = e->option;
    char least[32], greatest[32];
    bool fine = option->type == OPTION_DURATION ? parse_duration(e->text, &value)
                : option->type == OPTION_SIZE   ? parse_size(e->text, &value)
                                                : parse_number(e->text, &value);

    if (!fine) {
        complain(e, NULL);
    } else if (value < option->least || value > option->greatest) {
        format_bound(option, option->least, least, sizeof(least));
        format_bound(option, option->greatest, greatest, sizeof(greatest));
        reader_error(e->reader, e->rule, "%s%s%s: expected %s from %s to %s, found \"%s\"",
                     section_rows[option->section].name, dot_of(option), option->name,
                     option_types[option->type].expected, least, greatest, e->text);
    } else {
        store_integer(e, value);
    }
}

static void apply_choice(const struct element *e)
{
    int64_t value;

    if (parse_choice(e->option->words, e->text, &value))
        store_integer(e, value);
    else
        reader_error(e->reader, e->rule, "%s%s%s: expected one of %s, found \"%s\"",
                     section_rows[e->option->section].name, dot_of(e->option), e->option->name,
                     e->option->words, e->text);
}

static void store_string(const struct element *e, char *text)
{
    char **to = target(e);

    free(*to);
    *to = text;
}

static void apply_text(const struct element *e)
{
    if (strlen(e->text) > TEXT_MAX || !is_printable(e->text))
        complain(e, "at most 256 bytes without control characters");
    else
        store_string(e, memory_string(e->text));
}

static void apply_path(const struct element *e)
{
    if (!e->text[0] && e->rule.file)
        complain(e, NULL);
    else
        store_string(e, e->text[0] ? reader_path_join(e->rule.file, e->text) : memory_string(""));
}

static void apply_date(const struct element *e)
{
    int64_t day;

    if (e->text[0] && !parse_date(e->text, &day))
        complain(e, NULL);
    else
        store_string(e, memory_string(e->text));
}

static void apply_link(const struct element *e)
{
    struct url url;

    if (e->text[0] && (!is_printable(e->text) || !url_parse(span_of(e->text), &url)))
        complain(e, NULL);
    else
        store_string(e, memory_string(e->text));
}

static void apply_log_target(const struct element *e)
{
    if (!parse_log_target(e->text, e->reader->configuration))
        complain(e, "addresses stand for themselves, names are not looked up");
}

/* --- elements of lists --- */

static void apply_interface(const struct element *e)
{
    if (strlen(e->text) >= IF_NAMESIZE)
        complain(e, "a name has at most 15 bytes");
    else if (strpbrk(e->text, "/: \t") || strcmp(e->text, ".") == 0 || strcmp(e->text, "..") == 0)
        complain(e, NULL);
    else
        *(char **)append(e) = memory_string(e->text);
}

static void apply_resolver(const struct element *e)
{
    struct sockaddr_storage address;

    if (parse_socket_address(e->text, 53, &address))
        memcpy(append(e), &address, sizeof(address));
    else
        complain(e, NULL);
}

static void apply_address(const struct element *e)
{
    struct address address;

    if (address_parse(span_of(e->text), &address))
        memcpy(append(e), &address, sizeof(address));
    else
        complain(e, NULL);
}

static void apply_port_range(const struct element *e)
{
    struct port_range range;
    bool single = e->option->type == OPTION_PORTS;

    if (!parse_port_range(e->text, &range) || (single && range.first != range.last))
        complain(e, "from 1 to 65535");
    else if (single)
        memcpy(append(e), &range.first, sizeof(range.first));
    else
        memcpy(append(e), &range, sizeof(range));
}

static void apply_client(const struct element *e)
{
    struct room_client client;

    if (parse_room_client(e->text, &client))
        memcpy(append(e), &client, sizeof(client));
    else
        complain(e, strchr(e->text, '/') ? "no host bits may be set" : NULL);
}

static void apply_network(const struct element *e)
{
    struct network network;

    if (network_parse(span_of(e->text), &network))
        memcpy(append(e), &network, sizeof(network));
    else
        complain(e, strchr(e->text, '/') ? "no host bits may be set" : NULL);
}

/* "30103", as the registries write it "AS30103" (RFC 5396). */
static void apply_system(const struct element *e)
{
    const char *digits = strncmp(e->text, "AS", 2) == 0 ? e->text + 2 : e->text;
    int64_t number;

    if (parse_number(digits, &number) && number >= 1 && number <= UINT32_MAX)
        *(struct service_system *)append(e) = (struct service_system){(uint32_t)number, e->rule};
    else
        complain(e, "from 1 to 4294967295");
}

static void apply_country(const struct element *e)
{
    if (strlen(e->text) != 2 || strspn(e->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2) {
        complain(e, NULL);
        return;
    }
    struct country *country = append(e);
    memcpy(country->code, e->text, sizeof(country->code));
    country->rule = e->rule;
}

static void apply_place(const struct element *e)
{
    if (strcmp(e->text, "lan") == 0)
        append(e);
    else
        apply_network(e);
}

static void apply_name(const struct element *e)
{
    if (is_plain_name(e->text))
        *(char **)append(e) = memory_string(e->text);
    else
        complain(e, NULL);
}

static void apply_zone(const struct element *e)
{
    struct hostset *one = hostset_new();
    const char *error = hostset_add(one, span_of(e->text), 0, e->rule);
    size_t offset;

    if (!error && host_pattern_kind(span_of(hostset_at(one, 0)->pattern), &offset) == PATTERN_EXACT)
        *(char **)append(e) = memory_string(hostset_at(one, 0)->pattern);
    else
        complain(e, error);
    hostset_free(one);
}

static struct hostset *set_of(const struct element *e)
{
    return *(struct hostset **)target(e);
}

static void apply_host(const struct element *e)
{
    const struct option_row *option = e->option;
    bool permits = strcmp(option->name, "deny") != 0;

    reader_add_host(e->reader, set_of(e), e->text, (int)option->least, e->rule, permits);
}

static struct list list_of(const struct element *e)
{
    return (struct list){.set = set_of(e),
                         .tag = (int)e->option->least,
                         .permits = strcmp(e->option->name, "denied") != 0,
                         .treats = e->option->type == OPTION_NAMED_LISTS};
}

static void apply_list(const struct element *e)
{
    struct list list = list_of(e);

    reader_add_list(e->reader, &list, e->text, e->rule);
}

static void apply_named_list(const struct element *e)
{
    struct list list = list_of(e);

    reader_add_named_list(e->reader, &list, e->text, e->rule);
}

static void apply_url(const struct element *e)
{
    struct url_pattern pattern;
    const char *error = NULL;

    if (url_pattern_parse(span_of(e->text), e->rule, &pattern, &error))
        memcpy(append(e), &pattern, sizeof(pattern));
    else
        complain(e, error);
}

static void apply_file(const struct element *e)
{
    struct span type, host;

    if (!parse_listed_file(e->text, &type, &host)) {
        complain(e, NULL);
        return;
    }
    struct listed_file *file = append(e);
    char *pattern = memory_span(host);
    *file = (struct listed_file){memory_span(type), hostset_new(), e->rule};
    reader_add_host(e->reader, file->hosts, pattern, 0, e->rule, true);
    free(pattern);
}

/* --- */

static apply_function *const functions[] = {
    [OPTION_BOOLEAN] = apply_boolean,
    [OPTION_NUMBER] = apply_number,
    [OPTION_DURATION] = apply_number,
    [OPTION_SIZE] = apply_number,
    [OPTION_CHOICE] = apply_choice,
    [OPTION_TEXT] = apply_text,
    [OPTION_PATH] = apply_path,
    [OPTION_DATE] = apply_date,
    [OPTION_LINK] = apply_link,
    [OPTION_LOG_TARGET] = apply_log_target,
    [OPTION_INTERFACES] = apply_interface,
    [OPTION_RESOLVERS] = apply_resolver,
    [OPTION_ADDRESSES] = apply_address,
    [OPTION_SYSTEMS] = apply_system,
    [OPTION_COUNTRIES] = apply_country,
    [OPTION_PORTS] = apply_port_range,
    [OPTION_PORT_RANGES] = apply_port_range,
    [OPTION_NAMES] = apply_name,
    [OPTION_ZONES] = apply_zone,
    [OPTION_PLACES] = apply_place,
    [OPTION_CLIENTS] = apply_client,
    [OPTION_NETWORKS] = apply_network,
    [OPTION_HOSTS] = apply_host,
    [OPTION_URLS] = apply_url,
    [OPTION_FILES] = apply_file,
    [OPTION_LISTS] = apply_list,
    [OPTION_NAMED_LISTS] = apply_named_list,
};

static bool is_string(enum option_type type)
{
    return type == OPTION_TEXT || type == OPTION_PATH || type == OPTION_DATE || type == OPTION_LINK;
}

static void apply_default(struct element *e)
{
    struct span rest = span_of(e->option->initial), word;

    if (!option_types[e->option->type].list) {
        e->text = e->option->initial;
        functions[e->option->type](e);
        return;
    }
    while (span_next(&rest, ',', &word)) {
        char *text = memory_span(word);
        e->text = text;
        functions[e->option->type](e);
        free(text);
    }
}

void reader_apply(struct reader *reader, const struct option_row *option, void *base,
                  const struct values *values)
{
    struct element element = {reader, option, base, NULL, {NULL, 0}};
    bool list = option_types[option->type].list;

    /* a set is there even when nothing is in it */
    if ((option->type == OPTION_HOSTS || option->type == OPTION_LISTS ||
         option->type == OPTION_NAMED_LISTS) &&
        !set_of(&element))
        *(struct hostset **)target(&element) = hostset_new();
    if (!values->given) {
        if (option->initial)
            apply_default(&element);
        return;
    }
    for (size_t i = 0; i < values->count; i++) {
        element.text = values->list[i]->text;
        element.rule = (struct rule){values->file, values->list[i]->line};
        if (i == 0)
            reader->where[option - option_rows] = element.rule;
        if (list && element.text[0] == '\0') /* the scan's mark of an empty list */
            continue;
        functions[option->type](&element);
    }
    if (is_string(option->type) && !*(char **)target(&element))
        store_string(&element, memory_string("")); /* it was wrong; the checks go on */
}
