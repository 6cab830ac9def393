/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's leaves: cache, and requests under way. See leaf.h. */
#include "gateway/leaf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "filters/memory.h"
#include "gateway/chain.h"

#define CHAIN_LIMIT   8
#define SEED_SIZE     16
#define REFRESH_PAUSE 60 /* seconds between two tries to renew the same leaf */

/* What one signer process gave: shared by all its leaves. */
struct generation {
    unsigned references;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    uint8_t ca[DIGEST_SIZE]; /* of the chain: a signer with another CA makes another chain */
};

struct leaf {
    unsigned references;
    struct generation *generation;
    X509 *certificate;
    int64_t refresh_at; /* Unix seconds */
    int64_t stale_at;   /* from then on it is no longer served */
};

struct leaf_request {
    LIST_ENTRY(leaf_request) next;
    struct entry *entry; /* NULL while it is being answered */
    leaf_callback *callback;
    void *context;
    struct event timer;
};
LIST_HEAD(request_list, leaf_request);

enum asking { ASKING_NOT, ASKING_LATER, ASKING_NOW };

/* A key of the cache with its leaf, those who wait for one, or both. It lives while it has either.
 */
struct entry {
    struct leaf_cache *cache;
    uint8_t key[DIGEST_SIZE];
    struct message_leaf question;
    LIST_ENTRY(entry) bucket;
    TAILQ_ENTRY(entry) recent; /* only with a leaf */
    TAILQ_ENTRY(entry) queue;  /* only when asking */
    enum asking asking;
    struct leaf *leaf;
    struct request_list requests;
};
LIST_HEAD(bucket, entry);
TAILQ_HEAD(entry_queue, entry);

struct leaf_cache {
    struct event_base *base;
    struct link *link;
    struct generation *generation;
    uint64_t last_id;
    size_t capacity, count;
    uint8_t seed[SEED_SIZE];   /* names come from the network: their places must not be foreseen */
    struct entry_queue recent; /* leaves, the most recently used first */
    struct entry_queue later;  /* to be asked for when a link takes it */
    struct entry_queue asked;  /* in the order of the questions, which is that of the answers */
    size_t mask;
    struct bucket *buckets;
};

/* --- leaves --- */

static void generation_release(struct generation *generation)
{
    if (!generation || --generation->references > 0)
        return;
    EVP_PKEY_free(generation->key);
    sk_X509_pop_free(generation->chain, X509_free);
    free(generation);
}

struct leaf *leaf_hold(struct leaf *leaf)
{
    leaf->references++;
    return leaf;
}

void leaf_release(struct leaf *leaf)
{
    if (!leaf || --leaf->references > 0)
        return;
    X509_free(leaf->certificate);
    generation_release(leaf->generation);
    free(leaf);
}

int leaf_install(const struct leaf *leaf, SSL *ssl)
{
    const struct generation *generation = leaf->generation;
    STACK_OF(X509) *chain = sk_X509_new_null();
    int result = chain ? 0 : -1;

    /* The client has the root, or it does not trust us: there is no use in sending it. */
    for (int i = 0; result == 0 && i < sk_X509_num(generation->chain); i++) {
        X509 *certificate = sk_X509_value(generation->chain, i);
        if (!(X509_get_extension_flags(certificate) & EXFLAG_SS) &&
            !sk_X509_push(chain, certificate))
            result = -1;
    }
    if (result == 0 && SSL_use_cert_and_key(ssl, leaf->certificate, generation->key, chain, 1) != 1)
        result = -1;
    sk_X509_free(chain);
    return result;
}

/* A leaf of the signer's DER, or NULL when it is not one for our key. */
static struct leaf *leaf_new(struct generation *generation, const uint8_t *der, size_t size,
                             int64_t origin_end)
{
    const unsigned char *at = der;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    int64_t end = certificate ? chain_time(X509_get0_notAfter(certificate)) : -1;
    int64_t life = end - (int64_t)time(NULL);
    bool bound = origin_end && end >= origin_end; /* a new one could not live longer */

    if (life <= 0 || at != der + size ||
        X509_check_private_key(certificate, generation->key) != 1) {
        X509_free(certificate);
        ERR_clear_error();
        return NULL;
    }

    struct leaf *leaf = memory_allocate(1, sizeof(*leaf));
    leaf->references = 1;
    leaf->certificate = certificate;
    leaf->generation = generation;
    generation->references++;
    leaf->refresh_at = bound ? end : end - life / 4;
    leaf->stale_at = bound ? end : end - life / 16;
    return leaf;
}

/* --- entries --- */

static struct bucket *entry_bucket(struct leaf_cache *cache, const uint8_t key[DIGEST_SIZE])
{
    uint32_t hash;

    memcpy(&hash, key, sizeof(hash));
    return &cache->buckets[hash & cache->mask];
}

static void entry_set_asking(struct entry *entry, enum asking asking)
{
    struct leaf_cache *cache = entry->cache;

    if (entry->asking != ASKING_NOT)
        TAILQ_REMOVE(entry->asking == ASKING_NOW ? &cache->asked : &cache->later, entry, queue);
    if (asking != ASKING_NOT)
        TAILQ_INSERT_TAIL(asking == ASKING_NOW ? &cache->asked : &cache->later, entry, queue);
    entry->asking = asking;
}

static void entry_drop_leaf(struct entry *entry)
{
    if (!entry->leaf)
        return;
    TAILQ_REMOVE(&entry->cache->recent, entry, recent);
    entry->cache->count--;
    leaf_release(entry->leaf);
    entry->leaf = NULL;
}

/* An answer that comes after all who waited for it have left finds no entry, and is ignored. */
static void entry_free_unused(struct entry *entry)
{
    if (entry->leaf || !LIST_EMPTY(&entry->requests))
        return;
    entry_set_asking(entry, ASKING_NOT);
    LIST_REMOVE(entry, bucket);
    free(entry);
}

static void entry_set_leaf(struct entry *entry, struct leaf *leaf)
{
    struct leaf_cache *cache = entry->cache;

    entry_drop_leaf(entry);
    entry->leaf = leaf;
    TAILQ_INSERT_HEAD(&cache->recent, entry, recent);
    if (++cache->count <= cache->capacity)
        return;

    struct entry *oldest = TAILQ_LAST(&cache->recent, entry_queue);
    entry_drop_leaf(oldest);
    entry_free_unused(oldest);
}

static struct entry *entry_get(struct leaf_cache *cache, const uint8_t key[DIGEST_SIZE])
{
    struct bucket *bucket = entry_bucket(cache, key);
    struct entry *entry;

    LIST_FOREACH (entry, bucket, bucket)
        if (!memcmp(entry->key, key, DIGEST_SIZE))
            return entry;
    entry = memory_allocate(1, sizeof(*entry));
    entry->cache = cache;
    memcpy(entry->key, key, DIGEST_SIZE);
    LIST_INIT(&entry->requests);
    LIST_INSERT_HEAD(bucket, entry, bucket);
    return entry;
}

/* Sends what waits to be asked, as far as the link takes it. */
static void ask(struct leaf_cache *cache)
{
    struct entry *entry;

    while (cache->link && (entry = TAILQ_FIRST(&cache->later)) != NULL) {
        entry->question.id = ++cache->last_id;
        if (link_send(cache->link, MESSAGE_LEAF, &entry->question, sizeof(entry->question), -1) < 0)
            return;
        entry_set_asking(entry, ASKING_NOW);
    }
}

/* --- requests --- */

static void request_free(struct leaf_request *request)
{
    LIST_REMOVE(request, next);
    event_del(&request->timer);
    free(request);
}

void leaf_cancel(struct leaf_request *request)
{
    if (!request)
        return;

    struct entry *entry = request->entry;
    request_free(request);
    if (entry)
        entry_free_unused(entry);
}

static void on_timeout(evutil_socket_t fd, short what, void *argument)
{
    struct leaf_request *request = argument;
    leaf_callback *callback = request->callback;
    void *context = request->context;

    (void)fd, (void)what;
    leaf_cancel(request);
    callback(context, NULL);
}

/* Callbacks may cancel other requests, and ask for leaves that push this very entry out. */
static void entry_answer(struct entry *entry, struct leaf *leaf)
{
    struct request_list requests = entry->requests;
    struct leaf_request *request;

    LIST_INIT(&entry->requests);
    if (LIST_FIRST(&requests))
        LIST_FIRST(&requests)->next.le_prev = &LIST_FIRST(&requests);
    LIST_FOREACH (request, &requests, next)
        request->entry = NULL;
    if (leaf)
        leaf_hold(leaf);
    entry_free_unused(entry);
    while ((request = LIST_FIRST(&requests)) != NULL) {
        leaf_callback *callback = request->callback;
        void *context = request->context;
        request_free(request);
        callback(context, leaf);
    }
    leaf_release(leaf);
}

static void make_key(const struct leaf_cache *cache, const char *name, const uint8_t *digest,
                     uint8_t key[DIGEST_SIZE])
{
    char text[SEED_SIZE + 1 + DIGEST_SIZE + sizeof(((struct message_leaf *)NULL)->name)];
    size_t size = strlen(name);

    memset(text, 0, SEED_SIZE + 1 + DIGEST_SIZE);
    memcpy(text, cache->seed, SEED_SIZE);
    text[SEED_SIZE] = digest ? 1 : 0;
    if (digest)
        memcpy(text + SEED_SIZE + 1, digest, DIGEST_SIZE);
    memcpy(text + SEED_SIZE + 1 + DIGEST_SIZE, name, size);
    digest_sha256((struct span){text, SEED_SIZE + 1 + DIGEST_SIZE + size}, key);
}

/* True when the callback has been served from the cache. */
static bool serve_cached(struct entry *entry, leaf_callback *callback, void *context)
{
    struct leaf_cache *cache = entry->cache;
    int64_t now = (int64_t)time(NULL);
    struct leaf *leaf = entry->leaf;

    if (!leaf)
        return false;
    if (now >= leaf->stale_at) {
        entry_drop_leaf(entry);
        return false;
    }
    TAILQ_REMOVE(&cache->recent, entry, recent);
    TAILQ_INSERT_HEAD(&cache->recent, entry, recent);
    if (now >= leaf->refresh_at && entry->asking == ASKING_NOT) {
        leaf->refresh_at = now + REFRESH_PAUSE;
        entry_set_asking(entry, ASKING_LATER);
        ask(cache);
    }
    leaf_hold(leaf);
    callback(context, leaf);
    leaf_release(leaf);
    return true;
}

void leaf_get(struct leaf_cache *cache, const char *name, const uint8_t *origin_digest,
              int64_t not_after, leaf_callback *callback, void *context,
              struct leaf_request **request)
{
    static const struct timeval timeout = {LEAF_TIMEOUT / 1000, LEAF_TIMEOUT % 1000 * 1000};
    uint8_t key[DIGEST_SIZE];
    struct entry *entry;

    *request = NULL;
    /* An origin without an end is no origin: its leaf would outlive what was verified. */
    if (strlen(name) >= sizeof(entry->question.name) || not_after < 0 ||
        (origin_digest && not_after == 0)) {
        callback(context, NULL);
        return;
    }
    make_key(cache, name, origin_digest, key);
    entry = entry_get(cache, key);
    if (serve_cached(entry, callback, context))
        return;

    struct leaf_request *made = memory_allocate(1, sizeof(*made));
    made->entry = entry;
    made->callback = callback;
    made->context = context;
    evtimer_assign(&made->timer, cache->base, on_timeout, made);
    event_add(&made->timer, event_base_init_common_timeout(cache->base, &timeout));
    LIST_INSERT_HEAD(&entry->requests, made, next);
    *request = made;
    if (entry->asking == ASKING_NOT) {
        entry->question.not_after = not_after;
        memset(entry->question.name, 0, sizeof(entry->question.name));
        memcpy(entry->question.name, name, strlen(name));
        entry_set_asking(entry, ASKING_LATER);
        ask(cache);
    }
}

/* --- the signer --- */

void leaf_cache_set_signer(struct leaf_cache *cache, struct link *link)
{
    struct entry *entry;

    /* From the last to the first, so that the oldest question is the first again. */
    while ((entry = TAILQ_LAST(&cache->asked, entry_queue)) != NULL) {
        TAILQ_REMOVE(&cache->asked, entry, queue);
        TAILQ_INSERT_HEAD(&cache->later, entry, queue);
        entry->asking = ASKING_LATER;
    }
    cache->link = link;
    ask(cache);
}

/* A leaf of another CA is of no use to clients that were given the new one. */
static void forget_leaves(struct leaf_cache *cache)
{
    struct entry *entry;

    while ((entry = TAILQ_FIRST(&cache->recent)) != NULL) {
        entry_drop_leaf(entry);
        entry_free_unused(entry);
    }
}

static struct generation *generation_read(const uint8_t *payload, size_t size)
{
    struct generation *generation = memory_allocate(1, sizeof(*generation));
    const unsigned char *at = payload + 4, *end = payload + size;
    size_t key_size = size < 4 ? 0
                               : (size_t)payload[0] << 24 | (size_t)payload[1] << 16 |
                                     (size_t)payload[2] << 8 | payload[3];
    X509 *certificate;

    generation->references = 1;
    generation->chain = sk_X509_new_null();
    if (!generation->chain || key_size == 0 || key_size > size - 4)
        goto failed;
    generation->key = d2i_AutoPrivateKey(NULL, &at, (long)key_size);
    if (!generation->key || at != payload + 4 + key_size)
        goto failed;
    digest_sha256((struct span){(const char *)at, (size_t)(end - at)}, generation->ca);
    while (at < end) {
        certificate = d2i_X509(NULL, &at, end - at);
        if (!certificate || sk_X509_num(generation->chain) == CHAIN_LIMIT ||
            !sk_X509_push(generation->chain, certificate)) {
            X509_free(certificate);
            goto failed;
        }
    }
    return generation;
failed:
    ERR_clear_error();
    generation_release(generation);
    return NULL;
}

static int receive_key(struct leaf_cache *cache, const uint8_t *payload, size_t size)
{
    struct generation *generation = generation_read(payload, size);

    if (!generation)
        return -1;
    if (cache->generation && memcmp(cache->generation->ca, generation->ca, DIGEST_SIZE) != 0)
        forget_leaves(cache);
    generation_release(cache->generation);
    cache->generation = generation;
    return 0;
}

static int receive_certificate(struct leaf_cache *cache, const uint8_t *payload, size_t size)
{
    struct entry *entry;
    struct leaf *leaf = NULL;
    uint64_t id;

    if (size < sizeof(id) || !cache->generation)
        return -1;
    memcpy(&id, payload, sizeof(id));
    TAILQ_FOREACH (entry, &cache->asked, queue)
        if (entry->question.id == id)
            break;
    if (!entry)
        return 0; /* nobody waits for it any more */
    entry_set_asking(entry, ASKING_NOT);
    if (size > sizeof(id)) {
        leaf = leaf_new(cache->generation, payload + sizeof(id), size - sizeof(id),
                        entry->question.not_after);
        if (leaf)
            entry_set_leaf(entry, leaf);
    }
    bool malformed = size > sizeof(id) && !leaf;
    entry_answer(entry, leaf);
    ask(cache);
    return malformed ? -1 : 0;
}

int leaf_cache_receive(struct leaf_cache *cache, enum message_type type, const void *payload,
                       size_t size)
{
    if (type == MESSAGE_LEAF_KEY)
        return receive_key(cache, payload, size);
    if (type == MESSAGE_LEAF_CERTIFICATE)
        return receive_certificate(cache, payload, size);
    return -1;
}

/* --- the cache --- */

struct leaf_cache *leaf_cache_new(struct event_base *base, size_t capacity)
{
    struct leaf_cache *cache = memory_allocate(1, sizeof(*cache));
    size_t buckets = 16;

    cache->base = base;
    cache->capacity = capacity ? capacity : LEAF_CACHE_CAPACITY;
    while (buckets < cache->capacity)
        buckets *= 2;
    cache->mask = buckets - 1;
    cache->buckets = memory_allocate(buckets, sizeof(*cache->buckets));
    TAILQ_INIT(&cache->recent);
    TAILQ_INIT(&cache->later);
    TAILQ_INIT(&cache->asked);
    if (RAND_bytes(cache->seed, sizeof(cache->seed)) != 1)
        abort();
    return cache;
}

size_t leaf_cache_count(const struct leaf_cache *cache)
{
    return cache->count;
}

void leaf_cache_free(struct leaf_cache *cache)
{
    struct entry *entry;

    if (!cache)
        return;
    for (size_t i = 0; i <= cache->mask; i++)
        while ((entry = LIST_FIRST(&cache->buckets[i])) != NULL) {
            while (!LIST_EMPTY(&entry->requests))
                request_free(LIST_FIRST(&entry->requests));
            entry_drop_leaf(entry);
            entry_free_unused(entry);
        }
    generation_release(cache->generation);
    free(cache->buckets);
    free(cache);
}
