/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches what passes through a service's chat and learns the links in it: bodies of requests and
 * responses, WebSocket messages, and the QR codes in pictures (as bodies, or as data: URLs in
 * text). What comes from the service is the patient's; what the clinic sends is remembered for
 * a while as typed, so that its echo is not taken for the patient's. Nothing is kept but hashes.
 * The bytes themselves are not changed and not held up.
 */
#ifndef GATEWAY_WATCH_H
#define GATEWAY_WATCH_H

#include "filters/url.h"
#include "gateway/flow.h"
#include "gateway/websocket.h"

/*
 * X(content coding, function of the test that makes such a body, bytes that looking through one
 * takes at the most). What the larger two really take is the window that the sender chose. Of two
 * codings, one in the other, it is both. A picture waits in the examiner (picture.h).
 */
#define WATCH_MEMORY(X)                                                                            \
    X("", plain, 16 << 10)                                                                         \
    X("gzip", gzip, 72 << 10)                                                                      \
    X("deflate", deflate, 72 << 10)                                                                \
    X("zstd", zstd, 10 << 20)                                                                      \
    X("br", brotli, 26 << 20)
#define WATCH_MEMORY_WEBSOCKET (80 << 10) /* each direction */

struct watch;

enum watch_side { WATCH_CLIENT, WATCH_SERVICE }; /* who sends it */

/* The service whose chat `host` carries, as policy.learn has it, or NULL. */
const struct service *watch_service(const struct policy *policy, struct span host);

/* What is known of a body before it comes. Empty is what was not said. */
struct watch_body {
    struct span media_type, content_encoding;
    struct span target; /* of the request that it answers */
};

/*
 * A watch over one body: text, JSON, server-sent events (HTML is left out) and pictures, with the
 * content codings undone. NULL when there is nothing to look for in such a body.
 */
struct watch *watch_new_body(struct flow *flow, const struct service *service, enum watch_side side,
                             const struct watch_body *body);

/* A watch over one direction of a WebSocket. `parameters` are copied; `protocol` is the one that
 * was agreed on, or empty. */
struct watch *watch_new_websocket(struct flow *flow, const struct service *service,
                                  enum watch_side side,
                                  const struct websocket_parameters *parameters,
                                  struct span protocol);

/* The next bytes. False only for a WebSocket whose bytes break the protocol: see watch_error(). */
bool watch_feed(struct watch *watch, const void *bytes, size_t size);
const char *watch_error(const struct watch *watch);

/* The end: what was still pending is taken as whole. NULL does nothing. */
void watch_free(struct watch *watch);

/* A redirect on the way from a learned link: the next link is learned too. */
void watch_learn_redirect(struct flow *flow, const char *service, const struct url *url);

/* Pictures that are still with the examiner when the worker ends are let go. */
void watch_free_all(struct worker *worker);

#endif
