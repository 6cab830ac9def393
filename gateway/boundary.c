/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parent tells the kernel's rules while the daemon works: that a consultation is on or
 * over. One element of a set changes, the rules stay as they are. When the daemon dies the kernel
 * goes on with what it was told last.
 */
#include "gateway/parent_private.h"

#include "gateway/log.h"
#include "gateway/ruleset.h"

bool boundary_is_ours(const struct configuration *configuration)
{
    for (size_t i = 0; i < configuration->listener_count; i++)
        if (configuration->listeners[i].transparent)
            return configuration->manage_rules;
    return false;
}

void boundary_renew(void)
{
    char error[512];

    if (!parent.consultation_known || !boundary_is_ours(parent.now.configuration))
        return;
    if (ruleset_set_consultation(parent.now.configuration, parent.consultation, error,
                                 sizeof(error)) != 0)
        log_warnx("the kernel cannot be told whether a consultation is on: %s", error);
}

void boundary_set(bool consultation)
{
    parent.consultation_known = true;
    parent.consultation = consultation;
    boundary_renew();
}
