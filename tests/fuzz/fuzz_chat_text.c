/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of a chat's text: UTF-16, namespaces, JSONP, data: URLs and links in one. The first
 * byte chooses what is declared. Whole and byte by byte must find the same links and pictures.
 */
#include "gateway/chat_text.h"
#include "tests/unit/links_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct findings {
    struct transcript links; /* first: links_transcript.h knows no more */
    struct transcript pictures;
};

static void on_picture(void *context)
{
    transcript_add(&((struct findings *)context)->pictures, "{", 1);
}

static void on_picture_bytes(void *context, const void *bytes, size_t size)
{
    transcript_add(&((struct findings *)context)->pictures, bytes, size);
}

static void on_picture_end(void *context)
{
    transcript_add(&((struct findings *)context)->pictures, "}", 1);
}

static struct findings look_through(uint8_t kind, struct span text, size_t step)
{
    static const struct data_url_handler handler = {on_picture, on_picture_bytes, on_picture_end};
    static const char *const types[] = {"application/json", "text/xml",
                                        "text/plain; charset=utf-16be", "text/javascript"};
    struct findings findings = {0};
    struct chat_text *chat =
        (kind & 4) != 0
            ? chat_text_new_messages(SPAN("xmpp"), transcript_found, &handler, &findings)
            : chat_text_new(span_of(types[kind & 3]), SPAN("/?callback=cb"), transcript_found,
                            &handler, &findings);

    transcript_add(&findings.links, "", 0);
    transcript_add(&findings.pictures, "", 0);
    while (text.size > 0) {
        struct span piece = span_first(text, step);
        chat_text_feed(chat, piece);
        text = span_from(text, piece.size);
    }
    chat_text_end(chat);
    chat_text_free(chat);
    return findings;
}

static bool is_same(const struct transcript *one, const struct transcript *other)
{
    return one->size == other->size && memcmp(one->text, other->text, one->size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1)
        return 0;
    struct span text = {(const char *)bytes + 1, size - 1};
    struct findings whole = look_through(bytes[0], text, size);
    struct findings single = look_through(bytes[0], text, 1);

    if (!is_same(&whole.links, &single.links) || !is_same(&whole.pictures, &single.pictures))
        abort();
    free(whole.links.text);
    free(whole.pictures.text);
    free(single.links.text);
    free(single.pictures.text);
    return 0;
}
