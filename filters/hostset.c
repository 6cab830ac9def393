/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of host patterns. One hash table holds them all, keyed by what the pattern fixes: the whole
 * name, or the domain below which it matches. The hash runs from the last byte to the first, so
 * that one pass over a host gives the hash of each of its parent domains.
 */
#include "filters/hostset.h"

#include <string.h>
#include <stdlib.h>

#include "filters/glob.h"
#include "filters/hostname.h"
#include "filters/memory.h"

#define NONE       UINT32_MAX
#define BLOCK_SIZE (32 * 1024)

struct slot {
    struct hostset_entry entry;
    uint32_t hash;
    uint32_t next;                 /* in the bucket */
    uint16_t key_offset, key_size; /* within entry.pattern */
    uint8_t kind;
};

/* Pattern texts, many to a block: a list may have hundreds of thousands. */
struct block {
    struct block *next;
    size_t used;
    char bytes[BLOCK_SIZE];
};

struct hostset {
    struct slot *slots;
    size_t count, room;
    uint32_t *buckets;
    size_t bucket_count; /* a power of two, or 0 */
    struct block *blocks;
};

#define HASH_START 2166136261u

/* FNV-1a, a byte at a time. */
static uint32_t hash_byte(uint32_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * 16777619u;
}

static uint32_t hash_key(struct span key)
{
    uint32_t hash = HASH_START;
    for (size_t i = key.size; i-- > 0;)
        hash = hash_byte(hash, key.data[i]);
    return hash;
}

/* FNV's low bits are weak for short keys; and the kind parts equal keys. */
static size_t bucket_of(const struct hostset *set, uint32_t hash, enum host_pattern_kind kind)
{
    hash += (uint32_t)kind * 0x9e3779b9u;
    hash ^= hash >> 15;
    return (hash * 0x85ebca6bu >> 7) & (set->bucket_count - 1);
}

struct hostset *hostset_new(void)
{
    return memory_allocate(1, sizeof(struct hostset));
}

void hostset_free(struct hostset *set)
{
    if (!set)
        return;
    while (set->blocks) {
        struct block *block = set->blocks;
        set->blocks = block->next;
        free(block);
    }
    free(set->slots);
    free(set->buckets);
    free(set);
}

static const char *keep_text(struct hostset *set, const char *text)
{
    size_t size = strlen(text) + 1;
    if (!set->blocks || BLOCK_SIZE - set->blocks->used < size) {
        struct block *block = memory_allocate(1, sizeof(*block));
        block->next = set->blocks;
        set->blocks = block;
    }
    char *kept = set->blocks->bytes + set->blocks->used;
    memcpy(kept, text, size);
    set->blocks->used += size;
    return kept;
}

static void link_slot(struct hostset *set, uint32_t index)
{
    struct slot *slot = &set->slots[index];
    size_t bucket = bucket_of(set, slot->hash, slot->kind);
    slot->next = set->buckets[bucket];
    set->buckets[bucket] = index;
}

static void grow(struct hostset *set)
{
    if (set->count == set->room) {
        set->room = set->room ? set->room * 2 : 16;
        set->slots = memory_resize(set->slots, set->room, sizeof(*set->slots));
    }
    if (set->count < set->bucket_count)
        return;
    set->bucket_count = set->bucket_count ? set->bucket_count * 2 : 16;
    set->buckets = memory_resize(set->buckets, set->bucket_count, sizeof(*set->buckets));
    memset(set->buckets, 0xff, set->bucket_count * sizeof(*set->buckets));
    for (uint32_t i = 0; i < set->count; i++)
        link_slot(set, i);
}

static struct span slot_key(const struct slot *slot)
{
    return (struct span){slot->entry.pattern + slot->key_offset, slot->key_size};
}

/* The next slot from `index` on with that key, or NONE. */
static uint32_t seek(const struct hostset *set, uint32_t index, enum host_pattern_kind kind,
                     uint32_t hash, struct span key)
{
    while (index != NONE) {
        const struct slot *slot = &set->slots[index];
        if (slot->hash == hash && slot->kind == (uint8_t)kind && span_equal(slot_key(slot), key))
            return index;
        index = slot->next;
    }
    return NONE;
}

static uint32_t seek_first(const struct hostset *set, enum host_pattern_kind kind, uint32_t hash,
                           struct span key)
{
    return seek(set, set->buckets[bucket_of(set, hash, kind)], kind, hash, key);
}

/* True when this very pattern is in the set: globs may share a key. */
static bool is_present(const struct hostset *set, enum host_pattern_kind kind, uint32_t hash,
                       struct span key, const char *pattern)
{
    if (set->count == 0)
        return false;
    for (uint32_t i = seek_first(set, kind, hash, key); i != NONE;
         i = seek(set, set->slots[i].next, kind, hash, key))
        if (strcmp(set->slots[i].entry.pattern, pattern) == 0)
            return true;
    return false;
}

const char *hostset_add(struct hostset *set, struct span pattern, int tag, struct rule rule)
{
    char text[HOST_PATTERN_TEXT];
    const char *error = host_pattern_normalise(pattern, text);
    if (error)
        return error;
    struct span whole = span_of(text);
    size_t offset;
    enum host_pattern_kind kind = host_pattern_kind(whole, &offset);
    struct span key = span_from(whole, offset);
    uint32_t hash = hash_key(key);
    if (is_present(set, kind, hash, key, text))
        return NULL;
    if (set->count >= NONE - 1)
        return "too many entries";
    grow(set);
    set->slots[set->count] = (struct slot){
        .entry = {.pattern = keep_text(set, text), .tag = tag, .rule = rule},
        .hash = hash,
        .key_offset = (uint16_t)offset,
        .key_size = (uint16_t)key.size,
        .kind = (uint8_t)kind,
    };
    link_slot(set, (uint32_t)set->count);
    set->count++;
    return NULL;
}

/* Of the globs below the parent of `host`, the longest that matches; of equally long, the first. */
static const struct hostset_entry *find_glob(const struct hostset *set, struct span host,
                                             size_t dot, uint32_t parent_hash)
{
    const struct hostset_entry *best = NULL;
    struct span parent = span_from(host, dot + 1);
    for (uint32_t i = seek_first(set, PATTERN_GLOB, parent_hash, parent); i != NONE;
         i = seek(set, set->slots[i].next, PATTERN_GLOB, parent_hash, parent)) {
        const struct slot *slot = &set->slots[i];
        struct span label = {slot->entry.pattern, slot->key_offset - 1u};
        /* buckets run from the last added to the first, so an equal length goes to the later seen
         */
        if (glob_matches(label, span_first(host, dot)) &&
            (!best || strlen(slot->entry.pattern) >= strlen(best->pattern)))
            best = &slot->entry;
    }
    return best;
}

static const struct hostset_entry *find_key(const struct hostset *set, enum host_pattern_kind kind,
                                            uint32_t hash, struct span key)
{
    uint32_t index = seek_first(set, kind, hash, key);
    return index == NONE ? NULL : &set->slots[index].entry;
}

const struct hostset_entry *hostset_find(const struct hostset *set, struct span host)
{
    char text[HOST_TEXT];
    if (!set || set->count == 0 || !host_normalise(host, text))
        return NULL;
    return hostset_find_normal(set, span_of(text));
}

const struct hostset_entry *hostset_find_normal(const struct hostset *set, struct span name)
{
    if (!set || set->count == 0)
        return NULL;
    if (host_is_literal(name))
        return find_key(set, PATTERN_EXACT, hash_key(name), name);

    const struct hostset_entry *suffix = NULL, *found;
    uint32_t hash = HASH_START, parent_hash = 0;
    size_t dot = name.size;
    for (size_t i = name.size; i-- > 0; hash = hash_byte(hash, name.data[i])) {
        if (name.data[i] != '.')
            continue;
        dot = i;
        parent_hash = hash;
        struct span key = span_from(name, i + 1);
        found = find_key(set, PATTERN_BELOW, hash, key);
        if (!found)
            found = find_key(set, PATTERN_WITHIN, hash, key);
        if (found)
            suffix = found;
    }
    found = find_key(set, PATTERN_EXACT, hash, name);
    if (!found && dot < name.size)
        found = find_glob(set, name, dot, parent_hash);
    if (!found)
        found = find_key(set, PATTERN_WITHIN, hash, name);
    return found ? found : suffix;
}

size_t hostset_count(const struct hostset *set)
{
    return set ? set->count : 0;
}

const struct hostset_entry *hostset_at(const struct hostset *set, size_t index)
{
    return set && index < set->count ? &set->slots[index].entry : NULL;
}
