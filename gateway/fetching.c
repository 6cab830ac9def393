/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetching.h. */
#include "gateway/fetching.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/digest.h"
#include "gateway/fetch_issuers.h"
#include "gateway/fetch_job.h"
#include "gateway/fetch_points.h"
#include "gateway/log.h"

#define BYTES_KEPT    4       /* all files together: so many of the largest */
#define PAUSE_LONGEST 60000   /* ms until what failed is tried again, the first time */
#define RETRY_LONGEST 3600000 /* and at the most */
#define LOOK_LEAST    50      /* ms between two looks at what grows old */
/* Any server can name issuers, only a trusted CA lists: those do not take the place of these. */
#define ISSUER_FILES  64 /* known */
#define ISSUERS_ASKED 16 /* at once */

/* What a file is made of: memory of the fetcher's, and the list that lies in it. */
struct content {
    void *bytes;
    size_t size;
    struct crl *crl;
};

struct file {
    TAILQ_ENTRY(file) by_use;   /* the one used longest ago first */
    TAILQ_ENTRY(file) checking; /* while `next` is looked through */
    struct fetching *owner;
    uint64_t id;
    enum fetch_kind kind;
    char url[FETCH_URL_MAX];
    uint8_t issuer_key[DIGEST_SIZE]; /* FETCH_LIST */
    X509 *issuer;                    /* while a list is wanted */
    bool is_asked;                   /* the fetcher has to answer */
    bool is_checking;
    bool is_used; /* since it was fetched */
    bool is_stale;
    struct content now, next;
    struct revocation_list *list; /* `now`, attached */
    STACK_OF(X509) * issuers;     /* FETCH_ISSUER */
    int64_t at;                   /* monotonic ms, of what came last, whatever it was good for */
    int64_t refresh_at, retry_at;
    unsigned failures;
};

struct fetch_wait {
    LIST_ENTRY(fetch_wait) next;
    struct fetch_wanted wanted;
    struct deadline deadline;
    fetch_wait_callback *callback;
    void *context;
};

struct fetching {
    struct event_base *base;
    const struct configuration *configuration;
    struct revocation *revocation;
    struct link *link;
    TAILQ_HEAD(file_list, file) files;
    TAILQ_HEAD(, file) checking;
    LIST_HEAD(, fetch_wait) waits;
    size_t count, bytes;
    uint64_t last_id;
    int64_t pause;
    struct deadline slice, look;
};

/* --- waiting --- */

void fetch_wait_cancel(struct fetch_wait *wait)
{
    if (wait == NULL)
        return;
    LIST_REMOVE(wait, next);
    deadline_clear(&wait->deadline);
    free(wait);
}

static void wake(struct fetch_wait *wait)
{
    fetch_wait_callback *callback = wait->callback;
    void *context = wait->context;

    fetch_wait_cancel(wait);
    callback(context);
}

static void on_wait_over(void *context)
{
    wake(context);
}

struct fetch_wait *fetching_wait(struct fetching *fetching, const struct fetch_wanted *wanted,
                                 int64_t milliseconds, fetch_wait_callback *callback, void *context)
{
    struct fetch_wait *wait = memory_allocate(1, sizeof(*wait));

    wait->wanted = *wanted;
    wait->callback = callback;
    wait->context = context;
    deadline_init(&wait->deadline, fetching->base, on_wait_over, wait);
    deadline_set(&wait->deadline, milliseconds);
    LIST_INSERT_HEAD(&fetching->waits, wait, next);
    return wait;
}

static void strike_out(struct fetch_wanted *wanted, uint64_t id)
{
    for (size_t i = wanted->count; i-- > 0;)
        if (wanted->files[i] == id)
            wanted->files[i] = wanted->files[--wanted->count];
}

/* The file is there, or will not be: whoever waited for nothing else goes on. */
static void settle(struct file *file)
{
    struct fetching *fetching = file->owner;
    struct fetch_wait *wait;
    bool woke = true;

    LIST_FOREACH (wait, &fetching->waits, next)
        strike_out(&wait->wanted, file->id);
    while (woke) { /* a callback may change the list, and begin to wait anew */
        woke = false;
        LIST_FOREACH (wait, &fetching->waits, next)
            if (wait->wanted.count == 0) {
                woke = true;
                wake(wait);
                break;
            }
    }
}

/* --- files --- */

static void content_free(struct fetching *fetching, struct content *content)
{
    crl_free(content->crl);
    if (content->bytes != NULL)
        munmap(content->bytes, content->size);
    fetching->bytes -= content->size;
    *content = (struct content){0};
}

static void stop_checking(struct file *file)
{
    if (file->is_checking)
        TAILQ_REMOVE(&file->owner->checking, file, checking);
    file->is_checking = false;
    content_free(file->owner, &file->next);
}

static void drop_now(struct file *file)
{
    revocation_detach(file->owner->revocation, file->list);
    file->list = NULL;
    sk_X509_pop_free(file->issuers, X509_free);
    file->issuers = NULL;
    content_free(file->owner, &file->now);
}

static void file_free(struct file *file)
{
    struct fetching *fetching = file->owner;

    stop_checking(file);
    drop_now(file);
    X509_free(file->issuer);
    TAILQ_REMOVE(&fetching->files, file, by_use);
    fetching->count--;
    free(file);
}

static bool is_pending(const struct file *file)
{
    return file->is_asked || file->is_checking;
}

static bool is_held(const struct file *file)
{
    return file->list != NULL || file->issuers != NULL;
}

size_t fetching_held(const struct fetching *fetching)
{
    const struct file *file;
    size_t count = 0;

    TAILQ_FOREACH (file, &fetching->files, by_use)
        count += is_held(file);
    return count;
}

/* Room for one more file, or for so many bytes: the ones used longest ago go. */
static bool make_room(struct fetching *fetching, size_t files, size_t bytes)
{
    size_t most = fetching->configuration->fetch_size * BYTES_KEPT;
    struct file *file, *after;

    for (file = TAILQ_FIRST(&fetching->files); file != NULL; file = after) {
        after = TAILQ_NEXT(file, by_use);
        if (fetching->count + files <= FETCHING_FILES && bytes <= most &&
            fetching->bytes <= most - bytes)
            break;
        if (!is_pending(file) && (files > 0 || file->now.size > 0))
            file_free(file);
    }
    return fetching->count + files <= FETCHING_FILES && bytes <= most &&
           fetching->bytes <= most - bytes;
}

/* Among issuers: the one used longest ago goes when there are as many as may be. */
static bool make_room_for_issuer(struct fetching *fetching)
{
    struct file *file, *oldest = NULL;
    size_t count = 0;

    TAILQ_FOREACH_REVERSE(file, &fetching->files, file_list, by_use)
    if (file->kind == FETCH_ISSUER) {
        count++;
        oldest = is_pending(file) ? oldest : file;
    }
    if (count < ISSUER_FILES)
        return true;
    if (oldest == NULL)
        return false;
    file_free(oldest);
    return true;
}

static struct file *get_file(struct fetching *fetching, enum fetch_kind kind, const char *url,
                             const uint8_t *issuer_key)
{
    struct file *file;

    TAILQ_FOREACH (file, &fetching->files, by_use)
        if (file->kind == kind && strcmp(file->url, url) == 0 &&
            memcmp(file->issuer_key, issuer_key, DIGEST_SIZE) == 0) {
            TAILQ_REMOVE(&fetching->files, file, by_use);
            TAILQ_INSERT_TAIL(&fetching->files, file, by_use);
            file->is_used = true;
            return file;
        }
    if ((kind == FETCH_ISSUER && !make_room_for_issuer(fetching)) || !make_room(fetching, 1, 0))
        return NULL;
    file = memory_allocate(1, sizeof(*file));
    file->owner = fetching;
    file->id = ++fetching->last_id;
    file->kind = kind;
    file->is_used = true;
    memcpy(file->url, url, strlen(url) + 1);
    memcpy(file->issuer_key, issuer_key, DIGEST_SIZE);
    TAILQ_INSERT_TAIL(&fetching->files, file, by_use);
    fetching->count++;
    return file;
}

/* --- asking --- */

static void send_question(const struct file *file)
{
    struct message_fetch message = {.id = file->id, .kind = file->kind};
    struct link *link = file->owner->link;

    /* Another than came already, and none that would have to be fetched again at once. */
    message.since = clock_monotonic() - file->owner->configuration->revocation_age;
    if (message.since <= file->at)
        message.since = file->at + 1;
    memcpy(message.url, file->url, sizeof(file->url));
    if (link != NULL && link_send(link, MESSAGE_FETCH, &message, sizeof(message), -1) != 0)
        log_warnx("the fetcher does not take a question");
}

/* Without a fetcher it is asked when there is one again. */
static void ask(struct file *file)
{
    file->is_asked = true;
    send_question(file);
}

/* What was held stays, and counts as long as it says itself. */
static void fail(struct file *file, const char *why)
{
    int64_t wait = file->owner->pause;

    if (why != NULL)
        log_info("not used: %s: %s", file->url, why);
    for (unsigned i = 0; i < file->failures && wait < RETRY_LONGEST; i++)
        wait *= 2;
    file->failures++;
    file->retry_at = clock_monotonic() + (wait < RETRY_LONGEST ? wait : RETRY_LONGEST);
    file->is_asked = false;
    stop_checking(file);
    if (file->list != NULL && file->is_stale) {
        file->is_stale = false;
        revocation_set_stale(file->list, false);
    }
    settle(file);
}

/* What came is not good. It may have been kept for long where it comes from: then it is fetched
 * anew at once, and what comes then must be another one. */
static void reject(struct file *file, const char *why)
{
    if (file->at >= clock_monotonic() - file->owner->pause) {
        fail(file, why);
        return;
    }
    log_info("not used: %s: %s; fetched anew", file->url, why);
    stop_checking(file);
    ask(file);
}

/* Before it ends, of which a quarter is left, and before it is too old. */
static int64_t refresh_time(const struct file *file)
{
    int64_t now = clock_monotonic(), pause = file->owner->pause;
    int64_t when = file->at + file->owner->configuration->revocation_age;

    if (file->now.crl != NULL) {
        int64_t left = (crl_end(file->now.crl) - clock_unix()) * 1000 / 4 * 3;
        if (now + left < when)
            when = now + left;
    }
    return when < now + pause ? now + pause : when;
}

static void adopt(struct file *file)
{
    file->failures = 0;
    file->retry_at = 0;
    file->is_used = file->is_stale = false;
    file->refresh_at = refresh_time(file);
    settle(file);
}

/* --- looking through what came --- */

static void adopt_list(struct file *file)
{
    struct content next = file->next;

    TAILQ_REMOVE(&file->owner->checking, file, checking);
    file->is_checking = false;
    file->next = (struct content){0};
    drop_now(file);
    file->now = next;
    file->list = revocation_attach(file->owner->revocation, next.crl, file->url);
    adopt(file);
}

/* One piece; the signature first, so that nothing is looked at that the issuer did not write. */
static void check_piece(struct file *file)
{
    struct crl *crl = file->next.crl;

    switch (crl_verify(crl, file->issuer, FETCHING_SLICE)) {
    case CRL_UNDER_WAY:
        return;
    case CRL_GOOD:
        break;
    case CRL_UNVERIFIED:
    case CRL_BAD:
        reject(file, crl_fault(crl) != NULL ? crl_fault(crl) : "not signed by the issuer");
        return;
    }
    if (!crl_read(crl, FETCHING_SLICE))
        return;
    if (crl_fault(crl) != NULL)
        reject(file, crl_fault(crl));
    else if (crl_end(crl) < clock_unix())
        reject(file, "it is over");
    else
        adopt_list(file);
}

static void on_slice(void *context)
{
    struct fetching *fetching = context;
    struct file *file = TAILQ_FIRST(&fetching->checking);

    if (file != NULL)
        check_piece(file);
    if (!TAILQ_EMPTY(&fetching->checking))
        deadline_set(&fetching->slice, 0);
}

static void begin_checking(struct file *file)
{
    struct span bytes = {file->next.bytes, file->next.size};

    file->next.crl = crl_new(bytes);
    if (file->next.crl == NULL || crl_fault(file->next.crl) != NULL || file->issuer == NULL) {
        reject(file, file->next.crl == NULL ? "it is no list" : crl_fault(file->next.crl));
        return;
    }
    file->is_checking = true;
    TAILQ_INSERT_TAIL(&file->owner->checking, file, checking);
    deadline_set(&file->owner->slice, 0);
}

static void take_issuers(struct file *file)
{
    STACK_OF(X509) *found = fetch_issuers_read((struct span){file->next.bytes, file->next.size});

    content_free(file->owner, &file->next);
    if (sk_X509_num(found) < 1) {
        sk_X509_free(found);
        reject(file, "it is no certificate");
        return;
    }
    drop_now(file);
    file->issuers = found;
    adopt(file);
}

/* --- what the fetcher says --- */

void fetching_set_link(struct fetching *fetching, struct link *link)
{
    struct file *file;

    fetching->link = link;
    TAILQ_FOREACH (file, &fetching->files, by_use)
        if (file->is_asked)
            send_question(file);
}

static struct file *find_asked(struct fetching *fetching, uint64_t id)
{
    struct file *file;

    TAILQ_FOREACH (file, &fetching->files, by_use)
        if (file->id == id && file->is_asked)
            return file;
    return NULL;
}

/* The memory as it is, if it is what it must be: of this size for ever. */
static void *map(int fd, uint64_t size, size_t most)
{
    struct stat facts;

    if (size == 0 || size > most || fstat(fd, &facts) != 0 || facts.st_size != (off_t)size ||
        (fcntl(fd, F_GET_SEALS) & FETCH_SEALS) != FETCH_SEALS)
        return NULL;
    void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    return bytes != MAP_FAILED ? bytes : NULL;
}

static int take_file(struct fetching *fetching, const struct message_fetched *message, int fd)
{
    struct file *file = find_asked(fetching, message->id);
    void *bytes;

    if (file == NULL)
        return 0; /* it was given up */
    /* While it still counts as asked for, so that it is not the one that goes. */
    bool has_room = make_room(fetching, 0, (size_t)message->size);
    file->is_asked = false;
    if (message->at <= file->at) {
        fail(file, NULL); /* there is no newer one */
        return 0;
    }
    bytes = has_room && message->at <= clock_monotonic()
                ? map(fd, message->size, fetching->configuration->fetch_size)
                : NULL;
    if (bytes == NULL) {
        fail(file, "the fetcher's memory cannot be used");
        return -1;
    }
    file->next = (struct content){bytes, (size_t)message->size, NULL};
    file->at = message->at;
    fetching->bytes += file->next.size;
    if (file->kind == FETCH_LIST)
        begin_checking(file);
    else
        take_issuers(file);
    return 0;
}

int fetching_receive(struct fetching *fetching, enum message_type type, const void *payload,
                     size_t size, int fd)
{
    int result = -1;

    if (type == MESSAGE_FETCHED && size == sizeof(struct message_fetched) && fd >= 0) {
        struct message_fetched message;
        memcpy(&message, payload, sizeof(message));
        result = take_file(fetching, &message, fd);
    } else if (type == MESSAGE_FETCH_FAILED && size == sizeof(struct message_fetch_failed)) {
        struct message_fetch_failed message;
        memcpy(&message, payload, sizeof(message));
        struct file *file = find_asked(fetching, message.id);
        if (file != NULL)
            fail(file, fetch_fault_text((enum fetch_fault)message.fault));
        result = 0;
    }
    if (fd >= 0)
        close(fd);
    return result;
}

/* --- what grows old --- */

static void look_at(struct file *file, int64_t now)
{
    if (!is_held(file) || is_pending(file) || now < file->refresh_at || now < file->retry_at)
        return;
    /* Who was refused by it asks it nothing more, and may be let off some day. */
    bool is_used = file->is_used || (file->list != NULL && revocation_has_revoked(file->list));
    if (is_used && file->kind == FETCH_LIST) {
        ask(file);
    } else if (!file->is_stale) {
        file->is_stale = true;
        if (file->list != NULL)
            revocation_set_stale(file->list, true);
    }
}

static void on_look(void *context)
{
    struct fetching *fetching = context;
    struct file *file, *after;
    int64_t now = clock_monotonic();

    for (file = TAILQ_FIRST(&fetching->files); file != NULL; file = after) {
        after = TAILQ_NEXT(file, by_use);
        look_at(file, now);
    }
    deadline_set(&fetching->look,
                 fetching->pause / 4 > LOOK_LEAST ? fetching->pause / 4 : LOOK_LEAST);
}

/* --- what chains want --- */

static void want(struct fetch_wanted *wanted, const struct file *file)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->files[i] == file->id)
            return;
    if (wanted->count < FETCHING_WANTED)
        wanted->files[wanted->count++] = file->id;
}

/* It was good, and what it says is no longer enough. */
static bool is_over(const struct file *file)
{
    return file->is_stale || (file->now.crl != NULL && crl_end(file->now.crl) < clock_unix());
}

static bool may_ask(const struct file *file)
{
    const struct file *other;
    size_t asked = 0;

    if (clock_monotonic() < file->retry_at)
        return false;
    TAILQ_FOREACH (other, &file->owner->files, by_use)
        asked += other->kind == FETCH_ISSUER && other->is_asked;
    return file->kind != FETCH_ISSUER || asked < ISSUERS_ASKED;
}

/* Whether this file is one to wait for: asked for now, or under way. */
static bool pursue(struct file *file, struct fetch_wanted *wanted)
{
    if (!is_pending(file)) {
        if ((is_held(file) && !is_over(file)) || !may_ask(file))
            return false; /* it says nothing of this one, or cannot be had now */
        ask(file);
    }
    want(wanted, file);
    return true;
}

static void keep_issuer(struct file *file, X509 *issuer)
{
    if (file->issuer != NULL || X509_up_ref(issuer) != 1)
        return;
    file->issuer = issuer;
}

bool fetching_lists(struct fetching *fetching, STACK_OF(X509) * chain, uint32_t unknown,
                    struct fetch_wanted *wanted)
{
    struct fetch_points points;
    uint8_t key[DIGEST_SIZE];
    bool any = false;

    for (int i = 0; i + 1 < sk_X509_num(chain) && i < 32; i++) {
        X509 *issuer = sk_X509_value(chain, i + 1);
        bool is_unknown = (unknown >> i & 1) != 0, pursued = false;
        fetch_points_of_lists(sk_X509_value(chain, i), &points);
        if (X509_pubkey_digest(issuer, EVP_sha256(), key, NULL) != 1)
            continue;
        any = any || (points.count > 0 && is_unknown);
        for (size_t j = 0; j < points.count && !pursued; j++) {
            struct file *file = get_file(fetching, FETCH_LIST, points.urls[j], key);
            if (file == NULL)
                continue;
            keep_issuer(file, issuer);
            /* One that is known is only marked as used. */
            pursued = is_unknown ? pursue(file, wanted) : is_held(file);
        }
    }
    return any;
}

void fetching_issuer(struct fetching *fetching, X509 *certificate, STACK_OF(X509) * found,
                     struct fetch_wanted *wanted)
{
    static const uint8_t none[DIGEST_SIZE];
    struct fetch_points points;

    fetch_points_of_issuer(certificate, &points);
    for (size_t i = 0; i < points.count; i++) {
        struct file *file = get_file(fetching, FETCH_ISSUER, points.urls[i], none);
        if (file == NULL)
            continue;
        for (int j = 0; j < sk_X509_num(file->issuers); j++)
            fetch_issuers_push(found, sk_X509_value(file->issuers, j));
        if (pursue(file, wanted) || file->issuers != NULL)
            return;
    }
}

/* --- beginning and end --- */

struct fetching *fetching_new(struct event_base *base, const struct configuration *configuration,
                              struct revocation *revocation)
{
    struct fetching *fetching = memory_allocate(1, sizeof(*fetching));
    int64_t half = configuration->revocation_age / 2;

    fetching->base = base;
    fetching->configuration = configuration;
    fetching->revocation = revocation;
    fetching->pause = half < PAUSE_LONGEST ? half : PAUSE_LONGEST;
    TAILQ_INIT(&fetching->files);
    TAILQ_INIT(&fetching->checking);
    LIST_INIT(&fetching->waits);
    deadline_init(&fetching->slice, base, on_slice, fetching);
    deadline_init(&fetching->look, base, on_look, fetching);
    on_look(fetching);
    return fetching;
}

void fetching_free(struct fetching *fetching)
{
    if (fetching == NULL)
        return;
    while (!LIST_EMPTY(&fetching->waits))
        fetch_wait_cancel(LIST_FIRST(&fetching->waits));
    while (!TAILQ_EMPTY(&fetching->files))
        file_free(TAILQ_FIRST(&fetching->files));
    deadline_clear(&fetching->slice);
    deadline_clear(&fetching->look);
    free(fetching);
}
