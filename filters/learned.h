/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The links that came in through a service's chat, or as a QR code in a picture that came through
 * it: what was learned, for whom, and until when. Known by hashes only; bounded in number and time.
 *
 * Links that the clinic's own side typed are kept beside them for a short while: a copy in a text
 * that comes back meanwhile is explained by the typing. What came before it, what comes later, and
 * what comes otherwise (a code in a picture, a redirect) is the patient's.
 */
#ifndef FILTERS_LEARNED_H
#define FILTERS_LEARNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEARNED_MAX 8192

/* Bytes of the normal form that are known of a link that is not known whole. */
#define LEARNED_BEGINNING 256

/* X(symbol, name): how it came. */
#define LEARNED_KINDS(X)                                                                           \
    X(TEXT, "text")                                                                                \
    X(CODE, "code")                                                                                \
    X(REDIRECT, "redirect")                                                                        \
    X(TYPED, "typed")                                                                              \
    X(OWN, "own")
enum learned_kind {
#define X(symbol, name) LEARNED_##symbol,
    LEARNED_KINDS(X)
#undef X
        LEARNED_KIND_COUNT
};
const char *learned_kind_name(enum learned_kind kind);

struct learned_link {
    uint8_t url_sha256[32];  /* of url_normalise() */
    uint8_t host_sha256[32]; /* of the normalised host */
    enum learned_kind kind;
    bool whole_host;  /* too long to be known whole: `url_sha256` is of its beginning, and it stands
                         for its host, see enum learned_reach */
    int64_t since;    /* when it was seen, Unix milliseconds */
    int64_t until;    /* Unix seconds; of what was typed: it explains copies until then */
    char scope[200];  /* of the consultation state: see policy.scope */
    char service[64]; /* that it came through */
};

/* Whether bytes that another process sent are such a struct: each member has a value of its type.
 */
bool learned_link_is_sound(const struct learned_link *link);

struct learned_links;

struct learned_links *learned_links_new(void);
void learned_links_free(struct learned_links *links);

/*
 * Adds a link, or prolongs it. False when there is nothing new to tell others: it was known for
 * nearly as long, or it is explained by what was typed. What came from outside first stays so,
 * whoever types it later; which was first the times say, not the order of the news.
 *
 * When all places are taken the oldest link goes of the chat (scope and service) that has the most:
 * a flood costs nobody else's, and not the new one, because what is opened is what came last.
 */
bool learned_links_add(struct learned_links *links, const struct learned_link *link, int64_t now);

/* Whether none was ever added. */
bool learned_links_is_empty(const struct learned_links *links);

/* Whether that URL of that scope is kept, whoever said it. */
bool learned_links_has(const struct learned_links *links, const struct learned_link *link);

/* How many links that were still in force have had to go, and the last of them (or NULL). */
uint64_t learned_links_pushed_out(const struct learned_links *links,
                                  const struct learned_link **last);

/*
 * How far a link reaches. A host that the clinic lists is none that a stranger may have blocked as
 * a whole by writing a long link.
 */
enum learned_reach {
    LEARNED_OF_URL,  /* the same URL */
    LEARNED_OF_LONG, /* or the same host, where the link stands for its host */
    LEARNED_OF_HOST  /* or the same host */
};

/*
 * The link that came to `scope` from outside and reaches this URL and host; NULL when there is none
 * in force. Borrowed until the next call that is not a look-up.
 */
const struct learned_link *learned_links_find(const struct learned_links *links, const char *scope,
                                              const uint8_t url_sha256[32],
                                              const uint8_t host_sha256[32],
                                              enum learned_reach reach, int64_t now);

/* Tells each that is in force, of each chat the oldest first. The set must not be changed
 * meanwhile. */
typedef void learned_links_visit(void *context, const struct learned_link *link);
void learned_links_each(const struct learned_links *links, int64_t now, learned_links_visit *visit,
                        void *context);

#endif
