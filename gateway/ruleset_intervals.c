/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks in CIDR notation to disjoint intervals: an interval set refuses elements that overlap.
 */
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/ruleset_parts.h"

static size_t interval_size(uint8_t family)
{
    return family == 4 ? 4 : 16;
}

static void interval_from_network(const struct network *network, struct interval *interval)
{
    size_t size = interval_size(network->address.family);

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

bool interval_end(const struct interval *interval, uint8_t family, uint8_t end[16])
{
    memcpy(end, interval->last, 16);
    for (size_t i = interval_size(family); i-- > 0;)
        if (++end[i] != 0)
            return true;
    return false;
}

size_t intervals_merge(const struct network *networks, size_t count, uint8_t family,
                       struct interval **intervals)
{
    struct interval *list = memory_allocate(count + 1, sizeof(*list));
    size_t found = 0, merged = 0;

    for (size_t i = 0; i < count; i++)
        if (networks[i].address.family == family)
            interval_from_network(&networks[i], &list[found++]);
    qsort(list, found, sizeof(*list), interval_compare);
    for (size_t i = 0; i < found; i++) {
        uint8_t end[16];

        if (merged > 0 && (!interval_end(&list[merged - 1], family, end) ||
                           memcmp(list[i].first, end, sizeof(end)) <= 0)) {
            if (memcmp(list[i].last, list[merged - 1].last, sizeof(end)) > 0)
                memcpy(list[merged - 1].last, list[i].last, sizeof(end));
        } else {
            list[merged++] = list[i];
        }
    }
    *intervals = list;
    return merged;
}
