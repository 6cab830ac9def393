/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that broke the handshake off because of our certificate, by device and name, from what
 * was observed: of the last OBSERVED_MAX pairs. A device that took it elsewhere is enrolled, so
 * that the program there insists on a certificate of its own; one that took it nowhere is not.
 * Either way somebody is told what could be done. Nothing is passed on because of it.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/control.h"
#include "gateway/log.h"
#include "gateway/registry.h"

#define HINT_SIZE  400
#define LINE_EVERY 60 /* seconds between two lines of the log */
#define ROWS_MAX   50 /* in the answer */

/* Whether the device has taken a certificate of ours anywhere. */
static bool is_enrolled(const struct registry *registry, const char *client)
{
    const struct observed *row;

    for (size_t i = 0; (row = observations_at(registry->observations, i)) != NULL; i++)
        if (row->counts[OBSERVED_INSPECTED] > 0 && strcmp(row->client, client) == 0)
            return true;
    return false;
}

static void make_hint(const struct registry *registry, const struct observed *row,
                      char hint[HINT_SIZE])
{
    const struct configuration *configuration = registry->configuration;

    if (is_enrolled(registry, row->client))
        snprintf(hint, HINT_SIZE, "clinic { splice = { \"%s\" } }", row->host);
    else if (configuration->portal_address_count > 0)
        snprintf(hint, HINT_SIZE, "enrol this device at http://%s/", configuration->portal_host);
    else
        snprintf(hint, HINT_SIZE, "enrol this device: sekisho ca export");
}

void registry_note_distrust(struct registry *registry, const struct observed *what, int64_t now)
{
    char hint[HINT_SIZE];

    if (now - registry->distrust_told < LINE_EVERY) {
        registry->distrust_untold++;
        return;
    }
    make_hint(registry, what, hint);
    log_warnx("%s does not trust our certificate for %s (and %u more such): %s", what->client,
              what->host, registry->distrust_untold, hint);
    registry->distrust_told = now;
    registry->distrust_untold = 0;
}

json_t *registry_list_distrust(const struct registry *registry)
{
    json_t *list = json_array();
    const struct observed *row;
    char hint[HINT_SIZE];

    for (size_t i = 0; (row = observations_at(registry->observations, i)) != NULL; i++) {
        if (row->counts[OBSERVED_REJECTED] == 0 || json_array_size(list) == ROWS_MAX)
            continue;
        make_hint(registry, row, hint);
        json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:I, s:o}", "client",
                                              control_text(span_of(row->client)), "host",
                                              control_text(span_of(row->host)), "count",
                                              (json_int_t)row->counts[OBSERVED_REJECTED], "last",
                                              (json_int_t)row->last, "hint",
                                              control_text(span_of(hint))));
    }
    return list;
}
