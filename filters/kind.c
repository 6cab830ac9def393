/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the client is about to do with the answer, and which page the request comes from. Fetch
 * Metadata first, because no script can forge it; plain http and old or native clients send none,
 * and are read by Upgrade, Accept and Upgrade-Insecure-Requests. What is unclear is taken for the
 * stricter.
 */
#include "filters/kind.h"

#include <stdio.h>
#include <string.h>

const char *request_kind_name(enum request_kind kind)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        REQUEST_KINDS(X)
#undef X
    };
    return (unsigned)kind < sizeof(names) / sizeof(*names) ? names[kind] : "other";
}

static bool is_one_of(struct span value, const char *list)
{
    struct span rest = span_of(list), one;
    while (span_next(&rest, ' ', &one))
        if (span_equal_nocase(value, one))
            return true;
    return false;
}

static bool has_any(struct span value, const char *list)
{
    struct span rest = span_of(list), one;
    while (span_next(&rest, ' ', &one))
        if (span_find_nocase(value, one) < value.size)
            return true;
    return false;
}

static bool is_document_method(struct span method)
{
    return span_equal(method, SPAN("GET")) || span_equal(method, SPAN("HEAD")) ||
           span_equal(method, SPAN("POST"));
}

static bool upgrades_to_websocket(const struct request *request)
{
    return has_any(request_field(request, SPAN("Upgrade")), "websocket");
}

/* A page fetched ahead is judged like the navigation that it prepares. */
static bool is_prefetch(const struct request *request)
{
    static const char purposes[] = "prefetch prerender preview";
    return has_any(request_field(request, SPAN("Sec-Purpose")), purposes) ||
           has_any(request_field(request, SPAN("Purpose")), purposes) ||
           has_any(request_field(request, SPAN("X-Moz")), purposes);
}

/* As Chromium asks for what a link with a "download" attribute leads to; Firefox tells nothing. */
bool request_is_saved(const struct request *request)
{
    return span_equal(request->method, SPAN("GET")) &&
           is_one_of(request_field(request, SPAN("Sec-Fetch-Mode")), "navigate") &&
           is_one_of(request_field(request, SPAN("Sec-Fetch-Dest")), "empty");
}

#define FRAME_DESTINATIONS "iframe frame embed object fencedframe"

/* W3C Fetch Metadata Request Headers, sections 2.1 and 2.2; Fetch, "request destination". */
static enum request_kind kind_by_metadata(const struct request *request, struct span mode,
                                          struct span dest)
{
    bool empty = dest.size == 0 || is_one_of(dest, "empty");
    if (is_one_of(dest, FRAME_DESTINATIONS))
        return KIND_FRAME;
    if (request_is_saved(request))
        return KIND_DOWNLOAD;
    if (is_one_of(mode, "navigate") || is_one_of(dest, "document"))
        return KIND_NAVIGATION;
    if (is_one_of(mode, "websocket") || upgrades_to_websocket(request))
        return KIND_WEBSOCKET;
    if (empty && is_prefetch(request))
        return KIND_NAVIGATION;
    if (!is_one_of(mode, "cors no-cors same-origin"))
        return is_document_method(request->method) ? KIND_NAVIGATION : KIND_OTHER;
    if (empty && is_one_of(mode, "no-cors") && span_equal(request->method, SPAN("GET")))
        return KIND_DOWNLOAD;
    return KIND_SUBRESOURCE;
}

static enum request_kind kind_by_accept(const struct request *request)
{
    struct span accept = request_field(request, SPAN("Accept"));
    bool has_page =
        request_field(request, SPAN("Referer")).size || request_field(request, SPAN("Origin")).size;
    if (upgrades_to_websocket(request))
        return KIND_WEBSOCKET;
    if (is_document_method(request->method) &&
        (request_field(request, SPAN("Upgrade-Insecure-Requests")).size ||
         has_any(accept, "text/html") || is_prefetch(request)))
        return KIND_NAVIGATION;
    if (has_any(accept, "image/ text/css audio/ video/ font/ application/font") ||
        (has_page && has_any(accept, "*/*")) ||
        request_field(request, SPAN("X-Requested-With")).size)
        return KIND_SUBRESOURCE;
    return KIND_OTHER;
}

enum request_kind request_kind_find(const struct request *request)
{
    struct span mode = request_field(request, SPAN("Sec-Fetch-Mode"));
    struct span dest = request_field(request, SPAN("Sec-Fetch-Dest"));
    if (mode.size || dest.size)
        return kind_by_metadata(request, mode, dest);
    return kind_by_accept(request);
}

bool request_is_top_level(const struct request *request, enum request_kind kind)
{
    if (kind == KIND_OTHER)
        return has_any(request_field(request, SPAN("Accept")), "text/html");
    return kind == KIND_NAVIGATION || kind == KIND_FRAME || kind == KIND_DOWNLOAD;
}

/* The host of the page that a field names. "null" and other schemes are no page. */
static bool page_host(const struct request *request, struct span name, char *host)
{
    struct url url;
    if (!url_parse(request_field(request, name), &url))
        return false;
    memcpy(host, url.host, sizeof(url.host));
    return true;
}

size_t request_pages_find(const struct request *request, char pages[PAGES][HOST_TEXT])
{
    size_t count = 0;
    if (page_host(request, SPAN("Referer"), pages[count]))
        count++;
    if (page_host(request, SPAN("Origin"), pages[count]))
        count++;
    /* a page may hide its address, but cannot claim to be of the same origin */
    if (count == 0 && is_one_of(request_field(request, SPAN("Sec-Fetch-Site")), "same-origin") &&
        host_normalise(request->host, pages[0]))
        count = 1;
    return count;
}

enum request_source request_source_find(const struct policy *policy,
                                        const char pages[PAGES][HOST_TEXT], size_t page_count,
                                        char name[HOST_TEXT])
{
    name[0] = '\0';
    for (size_t i = 0; i < page_count; i++) {
        const struct service *service = policy_service_by_host(policy, span_of(pages[i]));
        if (service) {
            snprintf(name, HOST_TEXT, "%s", service->name);
            return FROM_SERVICE;
        }
    }
    if (page_count == 0)
        return FROM_NONE;
    memcpy(name, pages[0], HOST_TEXT);
    return FROM_PAGE;
}
