/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of the request table. Each says whether it matches, and notes the rule that made it. */
#include "filters/judge.h"

#include <stdio.h>
#include <string.h>

#include "filters/glob.h"
#include "filters/kind.h"
#include "filters/learned_url.h"
#include "filters/meeting.h"

struct span request_field(const struct request *request, struct span name)
{
    const struct field *field = field_find(request->fields, request->field_count, name);
    return field ? field->value : (struct span){NULL, 0};
}

static void add_destination(struct judgement *judgement, struct destination destination)
{
    struct destination *added = &judgement->destinations[judgement->destination_count++];
    *added = destination;
    added->class = policy_classify(judgement->policy, added->host, &added->service, &added->entry);
    judgement->judged = added;
}

/* A redirector is judged by where it leads, and by nothing when that cannot be read. */
static void find_destinations(struct judgement *judgement)
{
    const struct request *request = judgement->request;
    struct url *url = &judgement->unwrapped;

    judgement->destination_count = 0;
    add_destination(judgement, (struct destination){.tls = request->tls,
                                                    .host = request->host,
                                                    .port = request->port,
                                                    .target = request->target});
    struct destination *own = &judgement->destinations[0];
    switch (redirector_unwrap(request->host, request->target, url, judgement->buffer)) {
    case REDIRECTOR_NONE:
        break;
    case REDIRECTOR_TARGET:
        add_destination(judgement, (struct destination){.tls = url->tls,
                                                        .host = span_of(url->host),
                                                        .port = url->port,
                                                        .target = url->target});
        break;
    case REDIRECTOR_OPAQUE:
        if (own->class != CLASS_DENIED) {
            own->class = CLASS_UNKNOWN;
            own->service = NULL;
            own->entry = NULL;
        }
        break;
    }
}

/* The link that the patient presented and that leads to `to`, or NULL. */
static const struct learned_link *find_learned(const struct judgement *judgement,
                                               const struct destination *to)
{
    const struct standing *standing = judgement->standing;
    enum learned_reach reach = judgement->policy->learned_by_host ? LEARNED_OF_HOST
                               : to->class == CLASS_UNKNOWN       ? LEARNED_OF_LONG
                                                                  : LEARNED_OF_URL;
    struct url url = {.tls = to->tls, .port = to->port, .target = to->target};
    const struct learned_link *link;
    const struct service *service;

    memcpy(url.host, to->host.data, to->host.size); /* shorter than HOST_TEXT */
    link = learned_links_find_url(standing->learned, standing->scope, &url, reach, standing->sha256,
                                  standing->now);
    if (!link)
        return NULL;
    service = policy_service_by_host(judgement->policy, to->host);
    return service && strcmp(service->name, link->service) == 0 ? NULL : link;
}

/* Nothing says more about where a request comes from than that its link came from the patient. */
static void find_learned_source(struct judgement *judgement)
{
    struct finding *finding = judgement->finding;

    if (!judgement->standing->learned || !judgement->standing->sha256)
        return;
    for (size_t i = 0; i < judgement->destination_count; i++) {
        const struct learned_link *link = find_learned(judgement, &judgement->destinations[i]);
        if (link) {
            finding->source = FROM_LEARNED;
            snprintf(finding->source_name, sizeof(finding->source_name), "%s", link->service);
            finding->learned = *link;
            return;
        }
    }
}

void judgement_begin(struct judgement *judgement, const struct policy *policy,
                     const struct standing *standing, const struct request *request,
                     struct finding *finding)
{
    judgement->policy = policy;
    judgement->standing = standing;
    judgement->request = request;
    judgement->finding = finding;
    find_destinations(judgement);

    memset(finding, 0, sizeof(*finding));
    finding->file = (struct file_facts){"", "", FILE_UNKNOWN};
    finding->kind = request_kind_find(request);
    finding->top_level = request_is_top_level(request, finding->kind);
    judgement->page_count = request_pages_find(request, judgement->pages);
    finding->source =
        request_source_find(policy, judgement->pages, judgement->page_count, finding->source_name);
    finding->class = judgement->judged->class;
    finding->service = judgement->judged->service;
    if (judgement->judged->entry)
        finding->rule = judgement->judged->entry->rule;
    snprintf(finding->judged_host, sizeof(finding->judged_host), "%.*s",
             (int)judgement->judged->host.size, judgement->judged->host.data);
    find_learned_source(judgement);
}

static bool is_opened(enum request_kind kind)
{
    return kind != KIND_SUBRESOURCE && kind != KIND_WEBSOCKET;
}

/* Row 1. RFC 9110, section 7.4: a request that this connection has no authority for. */
bool request_is_misdirected(struct judgement *judgement)
{
    const struct request *request = judgement->request;
    return !request->host_is_covered ||
           (request->tls && request->sni.size && !span_equal_nocase(request->host, request->sni));
}

/* Row 2. A release of the redirector is as good as one of the place where it leads. */
bool request_is_released(struct judgement *judgement)
{
    for (size_t i = 0; i < judgement->destination_count; i++) {
        const struct destination *to = &judgement->destinations[i];
        if (release_find(judgement->standing, to->tls, to->host, to->port, to->target)) {
            judgement->finding->class = CLASS_RELEASED;
            judgement->finding->rule = (struct rule){0};
            return true;
        }
    }
    return false;
}

bool is_dns_media_type(struct span type)
{
    static const struct span types[] = {{"application/dns-message", 23},
                                        {"application/oblivious-dns-message", 33}, /* RFC 9230 */
                                        {"application/dns-json", 20}};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (span_starts_nocase(type, types[i]))
            return true;
    return false;
}

static bool accepts_dns(const struct request *request)
{
    struct span rest, element;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!span_equal_nocase(request->fields[i].name, SPAN("Accept")))
            continue;
        rest = request->fields[i].value;
        while (span_next(&rest, ',', &element))
            if (is_dns_media_type(span_trim(element)))
                return true;
    }
    return false;
}

/* RFC 8484: names asked over HTTPS would pass by the resolver that the policy watches. */
static bool is_dns_over_https(const struct request *request)
{
    struct span path = span_first(request->target, span_index(request->target, '?'));
    return glob_matches_decoded(SPAN("/dns-query"), path) ||
           glob_matches_decoded(SPAN("/dns-query/*"), path) ||
           is_dns_media_type(request_field(request, SPAN("Content-Type"))) || accepts_dns(request);
}

/* Row 3. A denied redirector stays denied wherever it leads. */
bool request_is_denied(struct judgement *judgement)
{
    struct finding *finding = judgement->finding;
    for (size_t i = 0; i < judgement->destination_count; i++) {
        const struct destination *to = &judgement->destinations[i];
        if (to->class == CLASS_DENIED) {
            finding->class = CLASS_DENIED;
            finding->service = NULL;
            finding->rule = to->entry->rule;
            return true;
        }
    }
    if (!is_dns_over_https(judgement->request) || finding->class == CLASS_CLINIC ||
        finding->class == CLASS_SYSTEM)
        return false;
    finding->rule = (struct rule){0};
    return true;
}

static const struct url_pattern *find_pattern(const struct url_pattern *patterns, size_t count,
                                              const struct destination *to)
{
    for (size_t i = 0; i < count; i++)
        if (url_pattern_matches(&patterns[i], to->host, to->target))
            return &patterns[i];
    return NULL;
}

/* Row 5. */
bool request_is_attachment(struct judgement *judgement)
{
    const struct policy *policy = judgement->policy;
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        for (size_t k = 0; k < judgement->destination_count; k++) {
            const struct url_pattern *pattern = find_pattern(
                service->attachments, service->attachment_count, &judgement->destinations[k]);
            if (pattern) {
                judgement->finding->rule = pattern->rule;
                return true;
            }
        }
    }
    return false;
}

/* Row 6. Guideline 1-2 i: the clinic calls the patient. While no meeting of the clinic's is known
 * nobody can tell. */
bool request_is_foreign_meeting(struct judgement *judgement)
{
    struct finding *finding = judgement->finding;
    if (finding->kind != KIND_NAVIGATION && finding->kind != KIND_FRAME &&
        finding->kind != KIND_OTHER)
        return false;
    for (size_t i = 0; i < judgement->destination_count; i++) {
        const struct destination *to = &judgement->destinations[i];
        const struct url_pattern *join =
            meeting_find_foreign(judgement->policy, judgement->standing, to->host, to->target);
        if (join) {
            finding->rule = join->rule;
            return true;
        }
    }
    return false;
}

/* Row 7. */
bool request_is_link_from_consultation(struct judgement *judgement)
{
    const struct finding *finding = judgement->finding;
    return finding->source == FROM_SERVICE && finding->class == CLASS_UNKNOWN &&
           (finding->kind == KIND_NAVIGATION || finding->kind == KIND_FRAME ||
            finding->kind == KIND_DOWNLOAD);
}

/* Row 8: typed, pasted, scanned with another device, or clicked in a native client. */
bool request_is_unverified(struct judgement *judgement)
{
    const struct finding *finding = judgement->finding;
    return judgement->standing->consultation && finding->class == CLASS_UNKNOWN &&
           is_opened(finding->kind);
}

static bool page_is_allowed(const struct judgement *judgement, const char *page)
{
    if (release_find_host(judgement->standing, span_of(page)))
        return true;
    switch (policy_classify(judgement->policy, span_of(page), NULL, NULL)) {
    case CLASS_SERVICE:
    case CLASS_CLINIC:
    case CLASS_SYSTEM:
        return true;
    default:
        return false;
    }
}

/* A part of a page goes with the page. Where Referer and Origin differ, both must be allowed. */
static bool belongs_to_allowed_page(const struct judgement *judgement)
{
    for (size_t i = 0; i < judgement->page_count; i++)
        if (!page_is_allowed(judgement, judgement->pages[i]))
            return false;
    return judgement->page_count > 0;
}

/*
 * Row 4. Guideline xv itself: whatever else the destination is, this link came from the patient.
 * What an allowed page loads as its part is not followed by anybody: the avatars and previews of
 * the chat are named in its messages too.
 */
bool request_is_patient_link(struct judgement *judgement)
{
    struct finding *finding = judgement->finding;

    if (finding->source != FROM_LEARNED ||
        (!is_opened(finding->kind) && belongs_to_allowed_page(judgement)))
        return false;
    finding->rule = (struct rule){0};
    return true;
}

/* Row 9. */
bool request_is_part_of_unverified(struct judgement *judgement)
{
    const struct finding *finding = judgement->finding;
    return judgement->standing->consultation && finding->class == CLASS_UNKNOWN &&
           !is_opened(finding->kind) && !belongs_to_allowed_page(judgement);
}

/*
 * After row 9, for every kind: nothing at all is fetched from such an address. Known once there is
 * an address; before that the connection asks the same question, and is not made.
 */
bool request_is_in_denied_country(struct judgement *judgement)
{
    struct finding *finding = judgement->finding;
    const char *country = judgement->request->country;
    if (!country)
        return false;
    /* of the host itself: a redirector's target will be a connection of its own */
    enum destination_class class =
        policy_classify(judgement->policy, judgement->request->host, NULL, NULL);
    return policy_denies_country(judgement->policy, class, country, &finding->rule);
}

/* Row 10. */
bool request_is_unknown(struct judgement *judgement)
{
    const struct finding *finding = judgement->finding;
    return !judgement->standing->consultation && judgement->policy->outside == OUTSIDE_DENY &&
           finding->class == CLASS_UNKNOWN &&
           (is_opened(finding->kind) || !belongs_to_allowed_page(judgement));
}
