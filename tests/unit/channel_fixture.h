/* SPDX-License-Identifier: BSD-2-Clause */
/* An owner of a channel for the tests: it keeps what comes and counts what it is told. */
#ifndef TESTS_CHANNEL_FIXTURE_H
#define TESTS_CHANNEL_FIXTURE_H

#include "tests/unit/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/channel.h"

struct owner {
    struct channel *channel;
    struct evbuffer *input;
    unsigned readable, drained, handshaken, failed, finished, paused; /* events */
    bool finishing;     /* nothing but CHANNEL_FINISHED may come */
    bool ended, broken; /* CHANNEL_END, CHANNEL_ERROR */
    bool done;          /* handshaken, failed, ended, broken, or `wanted` bytes came */
    bool in_call;       /* in a function of the module: no event may come */
    size_t wanted;
    size_t piece;               /* bytes of one read; 0: many */
    bool one_read;              /* per event: then it pauses */
    enum channel_event free_on; /* the handler frees the channel with that event, if `frees` */
    bool frees;
};

static inline void owner_read(struct owner *owner)
{
    uint8_t bytes[4096];
    size_t size = owner->piece > 0 ? owner->piece : sizeof(bytes), got = 99;

    for (;;) {
        enum channel_result result = channel_read(owner->channel, bytes, size, &got);
        if (result == CHANNEL_DATA) {
            assert_true(got > 0 && got <= size);
            evbuffer_add(owner->input, bytes, got);
            if (owner->one_read)
                break;
            continue;
        }
        assert_int_equal(got, 0);
        owner->ended = result == CHANNEL_END;
        owner->broken = result == CHANNEL_ERROR;
        if (result != CHANNEL_AGAIN)
            channel_want_read(owner->channel, false);
        break;
    }
    if (owner->ended || owner->broken ||
        (owner->wanted > 0 && evbuffer_get_length(owner->input) >= owner->wanted))
        owner->done = true;
}

static inline void on_channel_event(void *context, struct channel *channel,
                                    enum channel_event event)
{
    struct owner *owner = context;

    assert_false(owner->in_call);
    assert_ptr_equal(channel, owner->channel);
    assert_int_equal(owner->failed + owner->finished, 0); /* nothing more comes after that */
    assert_true(!owner->finishing || event == CHANNEL_FINISHED);
    if (owner->frees && owner->free_on == event) {
        channel_free(channel);
        owner->channel = NULL;
        owner->done = true;
        return;
    }
    switch (event) {
    case CHANNEL_READABLE:
        owner->readable++;
        owner_read(owner);
        break;
    case CHANNEL_DRAINED:
        owner->drained++;
        break;
    case CHANNEL_HANDSHAKEN:
        owner->handshaken++;
        owner->done = true;
        break;
    case CHANNEL_PAUSED:
        owner->paused++;
        owner->done = true;
        break;
    case CHANNEL_FAILED:
        owner->failed++;
        owner->done = true;
        break;
    case CHANNEL_FINISHED:
        assert_true(owner->finishing && owner->finished == 0);
        owner->finished++;
        owner->done = true;
        break;
    }
}

static inline void owner_open(struct owner *owner, struct event_base *base, int fd)
{
    *owner = (struct owner){.input = evbuffer_new()};
    assert_non_null(owner->input);
    owner->channel = channel_new(base, fd, on_channel_event, owner);
}

static inline void owner_close(struct owner *owner)
{
    channel_free(owner->channel);
    if (owner->input != NULL)
        evbuffer_free(owner->input);
    *owner = (struct owner){0};
}

static inline void owner_want_read(struct owner *owner, bool wanted)
{
    owner->in_call = true;
    channel_want_read(owner->channel, wanted);
    owner->in_call = false;
}

static inline void owner_write(struct owner *owner, const void *bytes, size_t size)
{
    owner->in_call = true;
    evbuffer_add(channel_output(owner->channel), bytes, size);
    channel_flush(owner->channel);
    owner->in_call = false;
}

/* The channel is then the module's own. */
static inline void owner_finish(struct owner *owner)
{
    owner->in_call = true; /* never again */
    channel_finish(owner->channel);
    owner->channel = NULL;
}

/* The channel stays the owner's until it is told. */
static inline void owner_finish_and_tell(struct owner *owner)
{
    owner->in_call = owner->finishing = true;
    owner->done = false;
    channel_finish_and_tell(owner->channel, on_channel_event, owner);
    owner->in_call = false;
    assert_false(owner->done);
}

static inline void check_input(const struct owner *owner, const void *bytes, size_t size)
{
    assert_int_equal(evbuffer_get_length(owner->input), size);
    assert_memory_equal(evbuffer_pullup(owner->input, -1), bytes, size);
}

/* Bytes that do not repeat soon, so that what is lost, doubled or out of order shows. */
static inline uint8_t *noise(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    return bytes;
}

/* Reads what a bare, non-blocking socket has. The bytes; -1 with errno at an error, and sets
 * `*ended` at the end. */
static inline ssize_t drain(int fd, struct evbuffer *into, bool *ended)
{
    uint8_t bytes[4096];
    ssize_t total = 0;

    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got < 0)
            return errno == EAGAIN ? total : -1;
        if (got == 0) {
            *ended = true;
            return total;
        }
        evbuffer_add(into, bytes, (size_t)got);
        total += got;
    }
}

#endif
