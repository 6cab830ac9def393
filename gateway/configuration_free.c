/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving a configuration back. */
#include <stdlib.h>

#include "gateway/configuration.h"

static void free_urls(struct url_pattern *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(patterns[i].host);
        free(patterns[i].path);
    }
    free(patterns);
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void free_service(struct service *service)
{
    for (size_t i = 0; i < service->header_count; i++) {
        free(service->headers[i].name);
        free(service->headers[i].value);
        hostset_free(service->headers[i].hosts);
    }
    free(service->headers);
    free_urls(service->attachments, service->attachment_count);
    free_urls(service->join, service->join_count);
    free_urls(service->create, service->create_count);
    hostset_free(service->hosts);
    hostset_free(service->call);
    hostset_free(service->chat);
    hostset_free(service->media_hosts);
    free(service->networks);
    free(service->systems);
    free(service->media_udp);
    free(service->media_tcp);
    free(service->policy_url);
    free(service->reviewed);
    free(service->title);
    free(service->name);
}

static void free_policy(struct policy *policy)
{
    for (size_t i = 0; i < policy->service_count; i++)
        free_service(&policy->services[i]);
    free(policy->services);
    for (size_t i = 0; i < policy->file_count; i++) {
        free(policy->files[i].type);
        hostset_free(policy->files[i].hosts);
    }
    free(policy->files);
    free_urls(policy->meetings, policy->meeting_count);
    free(policy->country_allow);
    free(policy->country_deny);
    hostset_free(policy->clinic);
    hostset_free(policy->clinic_deny);
    hostset_free(policy->denied);
    hostset_free(policy->never);
    hostset_free(policy->system);
}

static void free_network(struct configuration *configuration)
{
    for (size_t i = 0; i < configuration->bypasses_count; i++) {
        struct bypass *bypass = &configuration->bypasses[i];

        free(bypass->name);
        free(bypass->title);
        free(bypass->networks);
        free_texts(bypass->zones, bypass->zone_count);
        free(bypass->resolvers);
    }
    free(configuration->bypasses);
    for (size_t i = 0; i < configuration->segment_count; i++) {
        free(configuration->segments[i].name);
        free_texts(configuration->segments[i].interfaces,
                   configuration->segments[i].interface_count);
    }
    free(configuration->segments);
    for (size_t i = 0; i < configuration->permit_count; i++) {
        struct permit *permit = &configuration->permits[i];

        free(permit->name);
        free(permit->from);
        free(permit->to);
        free(permit->tcp);
        free(permit->udp);
    }
    free(configuration->permits);
    free_texts(configuration->lan, configuration->lan_count);
    free_texts(configuration->bypass, configuration->bypass_count);
    free(configuration->resolvers);
    free(configuration->dns);
}

void configuration_free(struct configuration *configuration)
{
    if (!configuration)
        return;
    free_policy(&configuration->policy);
    free_network(configuration);
    for (size_t i = 0; i < configuration->room_count; i++) {
        free(configuration->rooms[i].name);
        free(configuration->rooms[i].clients);
    }
    free_texts(configuration->files, configuration->file_count);
    char *owned[] = {configuration->path,
                     configuration->clinic_name,
                     configuration->clinic_contact,
                     configuration->ca_certificate,
                     configuration->ca_key,
                     configuration->trust,
                     configuration->revocation_lists,
                     configuration->intermediates,
                     configuration->ct_logs,
                     configuration->dns_file,
                     configuration->asn_database,
                     configuration->country_database,
                     configuration->log_path,
                     configuration->state_directory,
                     configuration->control_socket,
                     configuration->control_group,
                     configuration->pages_directory,
                     configuration->page_template,
                     configuration->page_messages[0],
                     configuration->page_messages[1],
                     configuration->portal_host,
                     configuration->portal_template,
                     configuration->portal_messages[0],
                     configuration->portal_messages[1]};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        free(owned[i]);
    free(configuration->rooms);
    free(configuration->dns_upstream);
    free(configuration->dns_sink);
    free(configuration->listeners);
    free(configuration->portal_addresses);
    free(configuration->portal_listeners);
    free(configuration->connect_ports);
    free(configuration->fetch_ports);
    free(configuration);
}
