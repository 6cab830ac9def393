/* SPDX-License-Identifier: BSD-2-Clause */
/* The types of values, one function each: pure, and strict about what is left over. */
#include "gateway/configuration_parse.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "filters/ascii.h"
#include "filters/memory.h"
#include "filters/url.h"

#define SYSLOG_UDP_PORT 514
#define SYSLOG_TCP_PORT 601 /* RFC 6587 */

bool parse_boolean(const char *text, bool *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* The digits that `text` begins with; how many bytes they are is returned. 0 when there is no
 * number. */
static size_t take_number(const char *text, int base, int64_t *value)
{
    size_t used = 0;

    for (*value = 0; ascii_digit(text[used], base) >= 0; used++) {
        if (*value > (INT64_MAX - 15) / 16)
            return 0;
        *value = *value * base + ascii_digit(text[used], base);
    }
    return used;
}

bool parse_number(const char *text, int64_t *value)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        size_t used = take_number(text + 2, 16, value);
        return used && text[2 + used] == '\0';
    }
    size_t used = take_number(text, 10, value);
    return used && text[used] == '\0';
}

struct unit {
    const char *name;
    int64_t factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, size_t count,
                            int64_t *value)
{
    size_t used = take_number(text, 10, value);

    for (size_t i = 0; used && i < count; i++)
        if (strcmp(text + used, units[i].name) == 0)
            return !__builtin_mul_overflow(*value, units[i].factor, value);
    return false;
}

bool parse_duration(const char *text, int64_t *value)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},    {"m", 60000},
                                        {"min", 60000}, {"h", 3600000}, {"d", 86400000}};

    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), value);
}

bool parse_size(const char *text, int64_t *value)
{
    static const struct unit units[] = {{"", 1}, {"B", 1}, {"kB", 1024}, {"MB", 1024 * 1024}};

    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), value);
}

bool parse_choice(const char *words, const char *text, int64_t *value)
{
    struct span rest = span_of(words), word;

    for (*value = 0; span_next(&rest, '|', &word); ++*value)
        if (span_equal(word, span_of(text)))
            return true;
    return false;
}

/* Days from 1970-01-01 of a date of the Gregorian calendar. */
static int64_t day_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool parse_date(const char *text, int64_t *day)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t y, m, d;

    if (strlen(text) != 10 || take_number(text, 10, &y) != 4 || text[4] != '-' ||
        take_number(text + 5, 10, &m) != 2 || text[7] != '-' || take_number(text + 8, 10, &d) != 2)
        return false;
    if (y < 1970 || m < 1 || m > 12)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d < 1 || d > lengths[m - 1] + (m == 2 && leap))
        return false;
    *day = day_of(y, m, d);
    return true;
}

static bool is_port(int64_t value)
{
    return value >= 1 && value <= UINT16_MAX;
}

bool parse_port_range(const char *text, struct port_range *range)
{
    int64_t first, last;
    size_t used = take_number(text, 10, &first);

    if (!used)
        return false;
    last = first;
    if (text[used] == '-') {
        text += used + 1;
        used = take_number(text, 10, &last);
    }
    if (!used || text[used] != '\0' || !is_port(first) || !is_port(last) || last < first)
        return false;
    *range = (struct port_range){(uint16_t)first, (uint16_t)last};
    return true;
}

socklen_t socket_address_make(const struct address *address, uint16_t port,
                              struct sockaddr_storage *result)
{
    memset(result, 0, sizeof(*result));
    if (address->family == 4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)result;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, address->bytes, 4);
        return sizeof(*v4);
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)result;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, address->bytes, 16);
    return sizeof(*v6);
}

/* Takes "%eth0" off the end of `host`. False when there is no such interface. */
static bool take_zone(struct span *host, uint32_t *index)
{
    char name[IF_NAMESIZE];
    size_t at = span_index(*host, '%');
    struct span zone = span_from(*host, at < host->size ? at + 1 : at);

    *index = 0;
    if (at == host->size)
        return true;
    if (zone.size == 0 || zone.size >= sizeof(name))
        return false;
    memcpy(name, zone.data, zone.size);
    name[zone.size] = '\0';
    *host = span_first(*host, at);
    *index = if_nametoindex(name);
    return *index != 0;
}

bool parse_socket_address(const char *text, uint16_t port, struct sockaddr_storage *result)
{
    struct span host = span_of(text), rest = {NULL, 0};
    struct address address;
    int64_t number = port;
    uint32_t zone;

    if (text[0] == '[') { /* [IPv6]:port */
        size_t end = span_index(host, ']');
        if (end == host.size)
            return false;
        rest = span_from(host, end + 1);
        host = span_from(span_first(host, end), 1);
        if (span_index(host, ':') == host.size)
            return false;
    } else if (strchr(text, ':') == strrchr(text, ':')) { /* at most one colon: IPv4 */
        size_t end = span_index(host, ':');
        rest = span_from(host, end);
        host = span_first(host, end);
    }
    if (rest.size && (rest.data[0] != ':' || !span_number(span_from(rest, 1), &number)))
        return false;
    if (!is_port(number) || !take_zone(&host, &zone) || !address_parse(host, &address))
        return false;
    if (zone && address.family != 6)
        return false;
    socket_address_make(&address, (uint16_t)number, result);
    if (zone)
        ((struct sockaddr_in6 *)result)->sin6_scope_id = zone;
    return true;
}

bool parse_log_target(const char *text, struct configuration *configuration)
{
    bool udp = strncmp(text, "udp://", 6) == 0;

    if (strncmp(text, "unix:", 5) == 0) {
        const char *path = text + 5;
        if (path[0] != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
            return false;
        configuration->log_transport = LOG_UNIX;
        configuration->log_path = memory_string(path);
        return true;
    }
    if (!udp && strncmp(text, "tcp://", 6) != 0)
        return false;
    if (!parse_socket_address(text + 6, udp ? SYSLOG_UDP_PORT : SYSLOG_TCP_PORT,
                              &configuration->log_address))
        return false;
    configuration->log_transport = udp ? LOG_UDP : LOG_TCP;
    configuration->log_address_size = configuration->log_address.ss_family == AF_INET
                                          ? sizeof(struct sockaddr_in)
                                          : sizeof(struct sockaddr_in6);
    return true;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
    if (strlen(text) != 17)
        return false;
    for (size_t i = 0; i < 6; i++) {
        int high = ascii_digit(text[3 * i], 16), low = ascii_digit(text[3 * i + 1], 16);
        char mark = text[3 * i + 2];
        if (high < 0 || low < 0 || (i < 5 && ((mark != ':' && mark != '-') || mark != text[2])))
            return false;
        mac[i] = (uint8_t)(high * 16 + low);
    }
    return !(mac[0] & 1); /* a group address is no device */
}

bool parse_room_client(const char *text, struct room_client *client)
{
    memset(client, 0, sizeof(*client));
    client->is_mac = parse_mac(text, client->mac);
    return client->is_mac || network_parse(span_of(text), &client->network);
}

bool room_client_overlaps(const struct room_client *a, const struct room_client *b)
{
    if (a->is_mac != b->is_mac)
        return false;
    if (a->is_mac)
        return memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
    return network_contains(&a->network, &b->network.address) ||
           network_contains(&b->network, &a->network.address);
}

bool parse_listed_file(const char *text, struct span *type, struct span *host)
{
    struct span rest = span_trim(span_of(text)), word;

    if (!span_next(&rest, ' ', type) || !span_next(&rest, ' ', &word) ||
        !span_equal(word, SPAN("from")) || !span_next(&rest, ' ', host) || rest.size)
        return false;
    if (span_equal(*type, SPAN("*")))
        return true;
    for (size_t i = 0; i < type->size; i++) {
        char byte = type->data[i];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')))
            return false;
    }
    return type->size >= 1 && type->size <= 16;
}

bool is_field_name(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr("!#$%&'*+-.^_`|~", *p)))
            return false;
    return text[0] != '\0' && strlen(text) <= 64;
}

bool is_printable(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

bool is_plain_name(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              *p == '-' || *p == '_'))
            return false;
    return text[0] != '\0' && strlen(text) <= 32;
}
