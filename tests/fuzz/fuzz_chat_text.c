/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of a chat's text: UTF-16, namespaces, JSONP, data: URLs and links in one. The first
 * byte chooses what is declared. Whole and byte by byte must find the same, text and pictures; what
 * is left out of XML is no more than XML holds.
 */
#include "gateway/chat_text.h"
#include "tests/unit/links_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void on_picture(void *context)
{
    transcript_add(context, "{", 1);
}

static void on_picture_bytes(void *context, const void *bytes, size_t size)
{
    transcript_add(context, bytes, size);
}

static void on_picture_end(void *context)
{
    transcript_add(context, "}", 1);
}

static struct transcript look_through(uint8_t kind, struct span text, size_t step)
{
    static const struct data_url_handler handler = {on_picture, on_picture_bytes, on_picture_end};
    static const char *const types[] = {"application/json", "text/xml",
                                        "text/plain; charset=utf-16be", "text/javascript"};
    struct transcript transcript = {0};
    struct chat_text *chat =
        (kind & 4) != 0
            ? chat_text_new_messages(SPAN("xmpp"), transcript_found, &handler, &transcript)
            : chat_text_new(span_of(types[kind & 3]), SPAN("/?callback=cb"), transcript_found,
                            &handler, &transcript);

    transcript_add(&transcript, "", 0);
    while (text.size > 0) {
        struct span piece = span_first(text, step);
        chat_text_feed(chat, piece);
        text = span_from(text, piece.size);
    }
    chat_text_end(chat);
    chat_text_free(chat);
    return transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1)
        return 0;
    struct span text = {(const char *)bytes + 1, size - 1};
    struct transcript whole = look_through(bytes[0], text, size);
    struct transcript single = look_through(bytes[0], text, 1);

    /* Pictures and links may come in another order: how much there is of both is the same. */
    if (whole.size != single.size || whole.count != single.count)
        abort();
    free(whole.text);
    free(single.text);
    return 0;
}
