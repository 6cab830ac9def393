/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of what was touched: see observed.h. The row that was quiet for longest makes room. */
#include "gateway/observed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

struct observations {
    struct observed rows[OBSERVED_MAX];
    uint32_t hashes[OBSERVED_MAX]; /* side by side: each record asks all of them */
    size_t count;
};

const char *observed_way_name(enum observed_way way)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        OBSERVED_WAYS(X)
#undef X
    };
    return way < OBSERVED_WAY_COUNT ? names[way] : "";
}

struct observations *observations_new(void)
{
    return memory_allocate(1, sizeof(struct observations));
}

void observations_free(struct observations *observations)
{
    free(observations);
}

/* FNV-1a. */
static uint32_t hash_more(uint32_t value, const char *text)
{
    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)*text) * 16777619u;
    return (value ^ 0xffu) * 16777619u;
}

static uint32_t hash_of(const struct observed *what)
{
    return hash_more(hash_more(hash_more(2166136261u, what->host), what->client), what->service);
}

static bool is_same(const struct observed *a, const struct observed *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->client, b->client) == 0 &&
           strcmp(a->service, b->service) == 0;
}

static size_t find_oldest(const struct observations *observations)
{
    size_t oldest = 0;

    for (size_t i = 1; i < observations->count; i++)
        if (observations->rows[i].last < observations->rows[oldest].last)
            oldest = i;
    return oldest;
}

static struct observed *find_or_add(struct observations *observations, const struct observed *what,
                                    int64_t now)
{
    uint32_t hash = hash_of(what);
    size_t index;

    for (size_t i = 0; i < observations->count; i++)
        if (observations->hashes[i] == hash && is_same(&observations->rows[i], what))
            return &observations->rows[i];
    index = observations->count < OBSERVED_MAX ? observations->count++ : find_oldest(observations);
    observations->hashes[index] = hash;
    observations->rows[index] = *what;
    observations->rows[index].opened = false;
    observations->rows[index].first = now;
    memset(observations->rows[index].counts, 0, sizeof(observations->rows[index].counts));
    return &observations->rows[index];
}

void observations_note(struct observations *observations, const struct observed *what,
                       enum observed_way way, int64_t now)
{
    struct observed *row;

    if (what->host[0] == '\0')
        return;
    row = find_or_add(observations, what, now);
    row->counts[way]++;
    row->opened = row->opened || what->opened;
    row->last = now;
    memcpy(row->reason, what->reason, sizeof(row->reason));
}

const struct observed *observations_at(const struct observations *observations, size_t index)
{
    return index < observations->count ? &observations->rows[index] : NULL;
}
