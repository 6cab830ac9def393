/* SPDX-License-Identifier: BSD-2-Clause */
/* The enrolment page: its name, its listeners, its files. */
#include "gateway/configuration_reader.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/configuration_parse.h"

static bool is_unspecified(const struct address *address)
{
    static const uint8_t zero[sizeof(address->bytes)];
    return memcmp(address->bytes, zero, address->family == 4 ? 4 : 16) == 0;
}

static void check_host(struct reader *reader)
{
    struct configuration *c = reader->configuration;
    char host[HOST_TEXT];

    if (!host_normalise(span_of(c->portal_host), host) || host_is_literal(span_of(host))) {
        reader_error(reader, reader_rule_of(reader, SECTION_PORTAL, "host"),
                     "portal.host: expected a host name");
        return;
    }
    free(c->portal_host);
    c->portal_host = memory_string(host);
}

static void add_listener(struct reader *reader, const struct address *address, uint16_t port,
                         bool tls)
{
    struct configuration *c = reader->configuration;
    struct listener_options one = {
        .portal = true, .tls = tls, .rule = reader_rule_of(reader, SECTION_PORTAL, "address")};

    one.address_size = socket_address_make(address, port, &one.address);
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].address_size == one.address_size &&
            memcmp(&c->listeners[i].address, &one.address, one.address_size) == 0)
            reader_error(reader, one.rule,
                         "portal: port %u: a listener has that address already (%s:%u)",
                         (unsigned)port, c->listeners[i].rule.file, c->listeners[i].rule.line);
    c->portal_listeners =
        memory_resize(c->portal_listeners, c->portal_listener_count + 1, sizeof(one));
    c->portal_listeners[c->portal_listener_count++] = one;
}

void reader_check_portal(struct reader *reader)
{
    struct configuration *c = reader->configuration;

    check_host(reader);
    if (c->portal_address_count == 0)
        return;
    if (c->portal_port == c->portal_tls_port)
        reader_error(reader, reader_rule_of(reader, SECTION_PORTAL, "tls-port"),
                     "portal.tls-port: expected another port than that for http");
    for (size_t i = 0; i < c->portal_address_count; i++) {
        const struct address *address = &c->portal_addresses[i];
        if (is_unspecified(address))
            reader_error(reader, reader_rule_of(reader, SECTION_PORTAL, "address"),
                         "portal.address: expected the gateway's addresses on the LAN, not all");
        add_listener(reader, address, c->portal_port, false);
        add_listener(reader, address, c->portal_tls_port, true);
    }
    reader_read_page(reader, "enrol.html", &c->portal_template);
    reader_read_page(reader, "enrol.ja", &c->portal_messages[0]);
    reader_read_page(reader, "enrol.en", &c->portal_messages[1]);
}
