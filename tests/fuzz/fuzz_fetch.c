/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is fetched from, and what comes back. The input is a line with a URL and then an answer: a
 * URL that is taken is taken again from its parts, and an answer is the same in one piece and in
 * pieces of every length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/fetch_answer.h"
#include "gateway/fetch_url.h"

#define LIMIT 4096
#define HEAD  2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    enum fetch_fault fault;
    size_t size;
    char file[LIMIT];
};

static void read_answer(struct span rest, size_t piece, struct result *result)
{
    struct fetch_answer *answer = fetch_answer_new(LIMIT, HEAD);
    enum fetch_event event = FETCH_MORE;
    struct span data;

    *result = (struct result){.size = 0};
    while (event == FETCH_MORE && rest.size > 0) {
        struct span bytes = span_first(rest, piece);
        rest = span_from(rest, bytes.size);
        while ((event = fetch_answer_feed(answer, &bytes, &data)) == FETCH_BYTES) {
            if (data.size == 0 || data.size > LIMIT - result->size)
                abort();
            memcpy(result->file + result->size, data.data, data.size);
            result->size += data.size;
        }
        if (event == FETCH_MORE && bytes.size > 0)
            abort();
    }
    if (event == FETCH_MORE)
        event = fetch_answer_close(answer);
    result->fault = fetch_answer_fault(answer);
    if ((event == FETCH_WHOLE) != (result->fault == FETCH_FAULT_NONE) ||
        (event == FETCH_WHOLE && result->size == 0) || fetch_answer_close(answer) != event)
        abort();
    fetch_answer_free(answer);
}

static void read_url(struct span text)
{
    char again[FETCH_URL_MAX + HOST_TEXT];
    struct fetch_url url, same;

    if (!fetch_url_read(text, &url))
        return;
    if (url.port == 0 || url.host[0] == '\0' || url.target.size == 0 || url.target.data[0] != '/')
        abort();
    int length =
        snprintf(again, sizeof(again), url.is_ipv6 ? "http://[%s]:%u%.*s" : "http://%s:%u%.*s",
                 url.host, url.port, (int)url.target.size, url.target.data);
    if ((size_t)length >= FETCH_URL_MAX)
        return;
    if (!fetch_url_read((struct span){again, (size_t)length}, &same) ||
        strcmp(same.host, url.host) != 0 || same.port != url.port ||
        !span_equal(same.target, url.target))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result whole, pieces;
    struct span input = {(const char *)data, size};
    size_t line = span_index(input, '\n');
    struct span answer = span_from(input, line + 1);

    read_url(span_first(input, line));
    read_answer(answer, SIZE_MAX, &whole);
    for (size_t piece = 1; piece < 64; piece = piece * 3 + 1) {
        read_answer(answer, piece, &pieces);
        if (pieces.fault == FETCH_FAULT_NONE &&
            (whole.fault != FETCH_FAULT_NONE || whole.size != pieces.size ||
             memcmp(whole.file, pieces.file, whole.size) != 0))
            abort();
        if ((whole.fault == FETCH_FAULT_NONE) != (pieces.fault == FETCH_FAULT_NONE))
            abort();
    }
    return 0;
}
