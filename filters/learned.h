/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The links that came in through a service's chat, or as a QR code in a picture that came through
 * it: what was learned, for whom, and until when. Known by hashes only; bounded in number (the
 * oldest goes first) and time. Links that the clinic's own side typed are kept beside them, so that
 * their echo in the chat is not taken for the patient's.
 */
#ifndef FILTERS_LEARNED_H
#define FILTERS_LEARNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEARNED_MAX 8192

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
    bool whole_host;      /* too long to be known whole: it stands for its host */
    int64_t since, until; /* Unix seconds */
    char scope[200];      /* of the consultation state: see policy.scope */
    char service[64];     /* that it came through */
};

struct learned_links;

struct learned_links *learned_links_new(void);
void learned_links_free(struct learned_links *links);

/*
 * Adds a link, or prolongs it. False when there is nothing new to tell others: it was known for
 * nearly as long, or it is the echo of a link that was typed first. What came from outside first
 * stays so, whoever types it later. When all places are taken the oldest link goes, not the new
 * one: what is opened is what came last, and a flood sent ahead must not shut it out.
 */
bool learned_links_add(struct learned_links *links, const struct learned_link *link, int64_t now);

/* How many links that were still in force have had to make room for newer ones. */
uint64_t learned_links_pushed_out(const struct learned_links *links);

/*
 * The link that came to `scope` from outside and has this URL, or this host (with `by_host`, or
 * when the link stands for its host); NULL when there is none in force. Borrowed until the next
 * call that is not a look-up.
 */
const struct learned_link *learned_links_find(const struct learned_links *links, const char *scope,
                                              const uint8_t url_sha256[32],
                                              const uint8_t host_sha256[32], bool by_host,
                                              int64_t now);

/* Tells each that is in force, oldest first. The set must not be changed meanwhile. */
typedef void learned_links_visit(void *context, const struct learned_link *link);
void learned_links_each(const struct learned_links *links, int64_t now, learned_links_visit *visit,
                        void *context);

#endif
