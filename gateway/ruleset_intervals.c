/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks in CIDR notation and ranges of ports to disjoint intervals: an interval set refuses
 * elements that overlap. */
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/ruleset_parts.h"

static void interval_from_network(const struct network *network, struct interval *interval)
{
    size_t size = network->address.family == 4 ? 4 : 16;

    memset(interval, 0, sizeof(*interval));
    for (size_t i = 0; i < size; i++) {
        unsigned bits = network->prefix > i * 8 ? network->prefix - (unsigned)i * 8 : 0;
        uint8_t host = (uint8_t)(bits >= 8 ? 0 : 0xffu >> bits);

        interval->first[i] = network->address.bytes[i] & (uint8_t)~host;
        interval->last[i] = network->address.bytes[i] | host;
    }
}

static int interval_compare(const void *a, const void *b)
{
    return memcmp(((const struct interval *)a)->first, ((const struct interval *)b)->first,
                  sizeof(((const struct interval *)a)->first));
}

bool interval_end(const struct interval *interval, size_t size, uint8_t end[16])
{
    memcpy(end, interval->last, 16);
    for (size_t i = size; i-- > 0;)
        if (++end[i] != 0)
            return true;
    return false;
}

/* Sorts the list and merges what overlaps or touches; how many are left is returned. */
static size_t intervals_join(struct interval *list, size_t found, size_t size)
{
    size_t merged = 0;

    qsort(list, found, sizeof(*list), interval_compare);
    for (size_t i = 0; i < found; i++) {
        uint8_t end[16];

        if (merged > 0 && (!interval_end(&list[merged - 1], size, end) ||
                           memcmp(list[i].first, end, sizeof(end)) <= 0)) {
            if (memcmp(list[i].last, list[merged - 1].last, sizeof(end)) > 0)
                memcpy(list[merged - 1].last, list[i].last, sizeof(end));
        } else {
            list[merged++] = list[i];
        }
    }
    return merged;
}

size_t intervals_merge(const struct network *networks, size_t count, uint8_t family,
                       struct interval **intervals)
{
    struct interval *list = memory_allocate(count + 1, sizeof(*list));
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        if (networks[i].address.family == family)
            interval_from_network(&networks[i], &list[found++]);
    *intervals = list;
    return intervals_join(list, found, family == 4 ? 4 : 16);
}

size_t intervals_merge_ports(const struct port_range *ranges, size_t count,
                             struct interval **intervals)
{
    struct interval *list = memory_allocate(count + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++)
        list[i] = (struct interval){{(uint8_t)(ranges[i].first >> 8), (uint8_t)ranges[i].first},
                                    {(uint8_t)(ranges[i].last >> 8), (uint8_t)ranges[i].last}};
    *intervals = list;
    return intervals_join(list, count, 2);
}
