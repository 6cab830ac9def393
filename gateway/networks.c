/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Databases of networks, by libmaxminddb: see networks.h. The walk knows no recursion: it keeps the
 * nodes on the way to where it is, at most one for each bit of an address, and a bit for each node
 * that it has met, so that a file whose tree is none ends it.
 */
#include "gateway/networks.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "filters/memory.h"
#include "gateway/socket.h"

#define BITS_MAX   128
#define NOT_CACHED UINT32_MAX

struct networks {
    MMDB_s database;
    char *path;
};

/* Where the databases keep a country; the first that is there counts. */
static const char *const country_paths[][3] = {{"country", "iso_code", NULL},
                                               {"registered_country", "iso_code", NULL},
                                               {"country_code", NULL, NULL}};
static const char *const asn_path[] = {"autonomous_system_number", NULL};

/* --- opening --- */

static bool is_regular(const char *path, char *error, size_t size)
{
    struct stat facts;

    if (stat(path, &facts) != 0)
        snprintf(error, size, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(facts.st_mode)) /* opening a FIFO would wait for ever */
        snprintf(error, size, "%s: not a regular file", path);
    else
        return true;
    return false;
}

struct networks *networks_open(const char *path, char *error, size_t size)
{
    struct networks *networks = memory_allocate(1, sizeof(*networks));
    int status;

    if (!is_regular(path, error, size)) {
        free(networks);
        return NULL;
    }
    status = MMDB_open(path, MMDB_MODE_MMAP, &networks->database);
    if (status != MMDB_SUCCESS) {
        snprintf(error, size, "%s: %s", path,
                 status == MMDB_IO_ERROR ? strerror(errno) : MMDB_strerror(status));
        free(networks);
        return NULL;
    }
    networks->path = memory_string(path);
    return networks;
}

void networks_close(struct networks *networks)
{
    if (networks == NULL)
        return;
    MMDB_close(&networks->database);
    free(networks->path);
    free(networks);
}

/* --- what an entry says --- */

/* The number stays 0 where none of a system stands (RFC 6793: 32 bits). The library's status. */
static int read_asn(MMDB_entry_s *entry, struct network_facts *facts)
{
    MMDB_entry_data_s data;
    int status = MMDB_aget_value(entry, &data, asn_path);

    if (status != MMDB_SUCCESS || !data.has_data)
        return status;
    if (data.type == MMDB_DATA_TYPE_UINT16)
        facts->asn = data.uint16;
    else if (data.type == MMDB_DATA_TYPE_UINT32)
        facts->asn = data.uint32;
    else if (data.type == MMDB_DATA_TYPE_UINT64 && data.uint64 <= UINT32_MAX)
        facts->asn = (uint32_t)data.uint64;
    return MMDB_SUCCESS;
}

static bool is_capital(char letter)
{
    return letter >= 'A' && letter <= 'Z';
}

static int read_country(MMDB_entry_s *entry, const char *const *path, char country[3])
{
    MMDB_entry_data_s data;
    int status = MMDB_aget_value(entry, &data, path);

    if (status != MMDB_SUCCESS || !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING ||
        data.data_size != 2 || !is_capital(data.utf8_string[0]) || !is_capital(data.utf8_string[1]))
        return status;
    memcpy(country, data.utf8_string, 2);
    return MMDB_SUCCESS;
}

/* MMDB_SUCCESS also when the entry says nothing of what is wanted. */
static int read_entry(MMDB_entry_s *entry, struct network_facts *facts)
{
    char country[sizeof(facts->country)] = "";
    int status = read_asn(entry, facts);

    for (size_t i = 0; i < sizeof(country_paths) / sizeof(country_paths[0]); i++) {
        if (status != MMDB_SUCCESS && status != MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR)
            return status;
        if (country[0] != '\0')
            break;
        status = read_country(entry, country_paths[i], country);
    }
    if (country[0] != '\0')
        memcpy(facts->country, country, sizeof(country));
    return status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR ? MMDB_SUCCESS : status;
}

void networks_look_up(const struct networks *networks, const struct address *address,
                      struct network_facts *facts)
{
    struct sockaddr_storage asked;
    int status;

    if (networks == NULL || address->family == 0)
        return;
    socket_address(address, 0, &asked);
    MMDB_lookup_result_s result =
        MMDB_lookup_sockaddr(&networks->database, (const struct sockaddr *)&asked, &status);
    if (status == MMDB_SUCCESS && result.found_entry)
        read_entry(&result.entry, facts);
}

/* --- the walk --- */

struct branch {
    MMDB_search_node_s node;
    unsigned side; /* the next to be looked at: 0, 1, or 2 when both were */
};

struct walk {
    const struct networks *networks;
    networks_visitor *visit;
    void *context;
    unsigned bits; /* of an address of this tree */
    struct branch way[BITS_MAX];
    unsigned depth;   /* branches on the way */
    uint8_t *visited; /* a bit for each node */
    uint8_t bytes[16];
    uint32_t cached; /* the data that `facts` are of: neighbours often share it */
    struct network_facts facts;
    const char *fault;
};

/* The parts of a tree of IPv6 in which the one of IPv4 is repeated. */
static const struct alias {
    uint8_t bytes[12];
    unsigned prefix;
} aliases[] = {{{0x20, 0x02}, 16},                                /* 6to4, RFC 3056 */
               {{0x20, 0x01, 0, 0}, 32},                          /* Teredo, RFC 4380 */
               {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}}; /* mapped, RFC 4291 */

static bool is_embedded_ipv4(const struct walk *walk, unsigned prefix)
{
    static const uint8_t zero[12];
    return walk->bits == 128 && prefix >= 96 && memcmp(walk->bytes, zero, sizeof(zero)) == 0;
}

static bool is_alias(const struct walk *walk, unsigned prefix)
{
    for (size_t i = 0; walk->bits == 128 && i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (prefix == aliases[i].prefix &&
            memcmp(walk->bytes, aliases[i].bytes, aliases[i].prefix / 8) == 0)
            return true;
    return false;
}

/* Bit `bit` of the address, and none below it. */
static void set_side(struct walk *walk, unsigned bit, unsigned side)
{
    uint8_t mask = (uint8_t)(0x80u >> (bit % 8));

    walk->bytes[bit / 8] &= (uint8_t) ~(mask | (mask - 1u));
    if (side == 1)
        walk->bytes[bit / 8] |= mask;
    memset(walk->bytes + bit / 8 + 1, 0, sizeof(walk->bytes) - bit / 8 - 1);
}

static void take_data(struct walk *walk, MMDB_entry_s *entry, unsigned prefix)
{
    bool embedded = is_embedded_ipv4(walk, prefix);
    struct network network = {.address.family = walk->bits == 32 || embedded ? 4 : 6,
                              .prefix = (uint8_t)(embedded ? prefix - 96 : prefix)};

    if (entry->offset != walk->cached || walk->cached == NOT_CACHED) {
        walk->facts = (struct network_facts){0};
        if (read_entry(entry, &walk->facts) != MMDB_SUCCESS) {
            walk->fault = "an entry cannot be read";
            return;
        }
        walk->cached = entry->offset;
    }
    if (walk->facts.asn == 0 && walk->facts.country[0] == '\0')
        return;
    memcpy(network.address.bytes, walk->bytes + (embedded ? 12 : 0),
           network.address.family == 4 ? 4 : 16);
    walk->visit(walk->context, &network, &walk->facts);
}

static void enter_node(struct walk *walk, uint64_t number)
{
    const MMDB_s *database = &walk->networks->database;

    if (walk->depth >= walk->bits) {
        walk->fault = "the tree is deeper than an address is long";
    } else if (number >= database->metadata.node_count) {
        walk->fault = "a node is not in the file";
    } else if (walk->visited[number / 8] & (1u << (number % 8))) {
        walk->fault = "the tree is none: two ways lead to one node";
    } else if (MMDB_read_node(database, (uint32_t)number, &walk->way[walk->depth].node) !=
               MMDB_SUCCESS) {
        walk->fault = "a node cannot be read";
    } else {
        walk->visited[number / 8] |= (uint8_t)(1u << (number % 8));
        walk->way[walk->depth++].side = 0;
    }
}

static void take_side(struct walk *walk)
{
    struct branch *branch = &walk->way[walk->depth - 1];
    unsigned side = branch->side++;
    MMDB_search_node_s *node = &branch->node;
    uint64_t record = side == 0 ? node->left_record : node->right_record;
    const MMDB_ipv4_start_node_s *start = &walk->networks->database.ipv4_start_node;

    set_side(walk, walk->depth - 1, side);
    if (is_alias(walk, walk->depth))
        return;
    switch (side == 0 ? node->left_record_type : node->right_record_type) {
    case MMDB_RECORD_TYPE_EMPTY:
        break;
    case MMDB_RECORD_TYPE_DATA:
        take_data(walk, side == 0 ? &node->left_record_entry : &node->right_record_entry,
                  walk->depth);
        break;
    case MMDB_RECORD_TYPE_SEARCH_NODE:
        if (walk->bits == 32 || start->netmask != 96 || record != start->node_value ||
            is_embedded_ipv4(walk, walk->depth)) /* else one more alias */
            enter_node(walk, record);
        break;
    default:
        walk->fault = "a record leads out of the file";
    }
}

bool networks_walk(const struct networks *networks, networks_visitor *visit, void *context,
                   char *error, size_t size)
{
    const MMDB_metadata_s *metadata = &networks->database.metadata;
    struct walk *walk = memory_allocate(1, sizeof(*walk));

    walk->networks = networks;
    walk->visit = visit;
    walk->context = context;
    walk->cached = NOT_CACHED;
    walk->bits = metadata->ip_version == 4 ? 32 : 128;
    walk->visited = memory_allocate(metadata->node_count / 8 + 1, 1);
    enter_node(walk, 0);
    while (walk->fault == NULL && walk->depth > 0) {
        if (walk->way[walk->depth - 1].side < 2)
            take_side(walk);
        else
            walk->depth--;
    }
    const char *fault = walk->fault;
    if (fault != NULL)
        snprintf(error, size, "%s: %s", networks->path, fault);
    free(walk->visited);
    free(walk);
    return fault == NULL;
}
