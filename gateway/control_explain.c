/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "explain": the filters run here, as they do in a worker, on a made-up top-level navigation, once
 * as things stand and once as if a consultation were on and not on.
 */
#include "gateway/control_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/filters.h"
#include "filters/memory.h"
#include "filters/url.h"
#include "gateway/digest.h"
#include "gateway/deadline.h"

static const char *const flow_verdicts[] = {
    [FLOW_SPLICE] = "splice",
    [FLOW_INSPECT] = "inspect",
    [FLOW_ANSWER] = "answer",
    [FLOW_REFUSE] = "refuse",
};

/* --- who asks --- */

struct asker {
    char scope[SCOPE_TEXT];
    const char *room; /* NULL: in none */
};

static bool find_asker(struct registry *registry, const char *from, struct asker *asker)
{
    struct registry_client client;
    const struct room *room;

    if (!registry_find_client(registry, from, &client))
        return false;
    room = registry_room(registry, &client);
    asker->room = room == NULL ? NULL : room->name;
    registry_name_scope(registry, &client, asker->scope);
    return true;
}

/* --- the two judgements --- */

static json_t *show_rule(const struct rule *rule)
{
    char text[600];

    if (rule->file == NULL)
        return json_string("built in");
    snprintf(text, sizeof(text), "%s:%u", rule->file, rule->line);
    return control_text(span_of(text));
}

static json_t *judge_request(const struct policy *policy, const struct standing *standing,
                             const struct url *url)
{
    static const struct field fields[] = {
        {{"Accept", 6}, {"text/html,application/xhtml+xml,*/*;q=0.8", 41}},
        {{"Upgrade-Insecure-Requests", 25}, {"1", 1}},
        {{"Sec-Fetch-Site", 14}, {"none", 4}},
        {{"Sec-Fetch-Mode", 14}, {"navigate", 8}},
        {{"Sec-Fetch-User", 14}, {"?1", 2}},
        {{"Sec-Fetch-Dest", 14}, {"document", 8}},
    };
    /* Plain http carries no Fetch Metadata. */
    struct request request = {
        .method = SPAN("GET"),
        .tls = url->tls,
        .host = span_of(url->host),
        .port = url->port,
        .target = url->target,
        .fields = fields,
        .field_count = url->tls ? sizeof(fields) / sizeof(fields[0]) : 2,
        .host_is_covered = true,
    };
    struct address literal;
    struct finding finding;
    json_t *row;

    if (url->tls && !address_parse(request.host, &literal))
        request.sni = request.host;
    filters_judge_request(policy, standing, &request, &finding);
    row = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:o}", "verdict",
                    finding.verdict == VERDICT_BLOCK ? "block" : "pass", "reason",
                    reason_code(finding.reason), "help", reason_help(finding.reason), "rule",
                    show_rule(&finding.rule), "kind", request_kind_name(finding.kind), "class",
                    destination_class_name(finding.class), "judged_host",
                    control_text(span_of(finding.judged_host)));
    if (finding.service != NULL)
        json_object_set_new(row, "service", control_text(span_of(finding.service->name)));
    return row;
}

static json_t *judge_flow(const struct policy *policy, const struct standing *standing,
                          const struct url *url)
{
    struct flow_facts facts = {.alpn_is_http = true};
    struct flow_finding finding;
    json_t *row;

    if (!address_parse(span_of(url->host), &facts.destination))
        facts.sni = span_of(url->host);
    filters_judge_flow(policy, standing, &facts, &finding);
    row = json_pack("{s:s, s:s, s:o, s:s}", "verdict", flow_verdicts[finding.verdict], "reason",
                    reason_code(finding.reason), "rule", show_rule(&finding.rule), "class",
                    destination_class_name(finding.class));
    if (finding.call != NULL)
        json_object_set_new(row, "sign_of_call", control_text(span_of(finding.call->name)));
    return row;
}

/* What is learned counts as well: the patient's links of that scope, and the clinic's meetings. */
static json_t *judge(struct registry *registry, const struct url *url, const char *scope,
                     const char *service, bool consultation)
{
    struct release *releases = memory_allocate(registry->release_count + 1, sizeof(*releases));
    struct standing standing = {
        .consultation = consultation,
        .service = service,
        .releases = releases,
        .release_count = registry->release_count,
        .now = registry_now() / 1000,
        .sha256 = digest_sha256,
        .learned = registry->learned,
        .scope = scope,
    };
    const struct policy *policy = &registry->configuration->policy;
    json_t *row = json_object();

    for (size_t i = 0; i < registry->release_count; i++)
        releases[i] = registry->releases[i].release;
    if (url->tls)
        json_object_set_new(row, "flow", judge_flow(policy, &standing, url));
    json_object_set_new(row, "request", judge_request(policy, &standing, url));
    free(releases);
    return row;
}

/* --- the destination --- */

static json_t *show_destination(const struct policy *policy, const struct url *url)
{
    const struct service *service = NULL;
    const struct hostset_entry *entry = NULL;
    enum destination_class class = policy_classify(policy, span_of(url->host), &service, &entry);
    bool listed = class == CLASS_SERVICE || class == CLASS_CLINIC || class == CLASS_SYSTEM;
    json_t *row =
        json_pack("{s:s, s:s}", "host", url->host, "class", destination_class_name(class));

    if (service != NULL)
        json_object_set_new(row, "service", control_text(span_of(service->name)));
    if (entry != NULL) {
        json_object_set_new(row, "entry", control_text(span_of(entry->pattern)));
        json_object_set_new(row, "rule", show_rule(&entry->rule));
    }
    if (entry != NULL && listed)
        json_object_set_new(row, "treatment",
                            json_string(entry->tag == TREAT_SPLICE ? "splice" : "inspect"));
    return row;
}

/* "example.jp/x" is taken for https. */
static bool take_url(const json_t *object, char *text, size_t size, struct url *url)
{
    const json_t *given = json_object_get(object, "url");
    struct span value = {json_string_value(given), json_string_length(given)};
    bool has_scheme = span_find_nocase(value, SPAN("://")) < value.size;

    if (value.size == 0 || value.size > size - sizeof("https://"))
        return false;
    snprintf(text, size, "%s%.*s", has_scheme ? "" : "https://", (int)value.size, value.data);
    return url_parse(span_of(text), url);
}

json_t *command_explain(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object)
{
    const struct policy *policy = &registry->configuration->policy;
    const char *from = json_string_value(json_object_get(object, "from")), *service;
    struct asker asker = {.scope = "", .room = NULL};
    char text[16384];
    struct url url;
    json_t *reply;
    bool on;

    (void)request;
    (void)uid;
    if (!take_url(object, text, sizeof(text), &url))
        return control_error("\"url\" must be a URL of http or https, or a host");
    if (from != NULL && !find_asker(registry, from, &asker))
        return control_error("\"from\" must be the address or the MAC address of a client");
    if (from == NULL && policy->scope == SCOPE_CLINIC)
        snprintf(asker.scope, sizeof(asker.scope), "clinic");
    /* With a narrower scope, whether one is on depends on who asks. */
    service = NULL;
    on = asker.scope[0] != '\0' && registry_is_on(registry, asker.scope, &service);
    reply = json_pack("{s:b, s:o, s:s, s:o, s:b, s:o, s:o, s:o}", "ok", 1, "destination",
                      show_destination(policy, &url), "mode",
                      policy->mode == MODE_OBSERVE ? "observe" : "enforce", "scope",
                      control_text(span_of(asker.scope)), "consultation", on, "now",
                      judge(registry, &url, asker.scope, service, on), "during_consultation",
                      judge(registry, &url, asker.scope, service, true), "outside_consultation",
                      judge(registry, &url, asker.scope, NULL, false));
    if (asker.room != NULL)
        json_object_set_new(reply, "room", control_text(span_of(asker.room)));
    return reply;
}
