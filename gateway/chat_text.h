/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a chat, looked through for links and for pictures in data: URLs: UTF-16 is read as
 * such, the names of namespaces in XML are passed over. Of JSON that comes as a script (JSONP) the
 * name that the page chose for it must stand at its beginning; of any other script nothing is read.
 */
#ifndef GATEWAY_CHAT_TEXT_H
#define GATEWAY_CHAT_TEXT_H

#include "filters/links.h"
#include "gateway/data_url.h"

#define CHAT_TEXT_CALLBACK 128 /* bytes of such a name, at the most */

struct chat_text;

/*
 * `media_type` as declared, or empty; `target` is of the request whose answer the text is, or
 * empty. NULL when in such a text nothing is looked for. The pictures' handler, which may be NULL,
 * must outlive it.
 */
struct chat_text *chat_text_new(struct span media_type, struct span target, link_found *found,
                                const struct data_url_handler *pictures, void *context);
/* The same for the messages of a WebSocket that speaks this protocol. */
struct chat_text *chat_text_new_messages(struct span protocol, link_found *found,
                                         const struct data_url_handler *pictures, void *context);
void chat_text_free(struct chat_text *text);

void chat_text_feed(struct chat_text *text, struct span bytes);
/* The text is over: what was pending is taken as whole. Another may follow. */
void chat_text_end(struct chat_text *text);

#endif
