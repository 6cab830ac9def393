/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `sekisho` for the lab, with the places of the image below the folder that $LAB_APPLIANCE names,
 * in the place of gateway/sekisho_appliance.c. Its ESP is the folder esp.off, which is called esp
 * while it is mounted, so that nothing finds it before or afterwards.
 */
#include "gateway/sekisho_appliance.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path_of(const char *name, char path[PATH_MAX])
{
    const char *folder = getenv("LAB_APPLIANCE");

    snprintf(path, PATH_MAX, "%s/%s", folder != NULL ? folder : "/nonexistent", name);
    return path;
}

const struct appliance *appliance_find(void)
{
    static char release[PATH_MAX], waits[PATH_MAX], trust[PATH_MAX], esp[PATH_MAX], web[PATH_MAX],
        more[PATH_MAX], folder[PATH_MAX], url[PATH_MAX];
    static struct appliance appliance;

    appliance.place = (struct update_place){path_of("release", release), path_of("waits", waits),
                                            path_of("update.pem", trust), path_of("esp", esp)};
    appliance.source = (struct update_source){.trust = path_of("web.pem", web),
                                              .more_trust = path_of("update-ca.pem", more),
                                              .user = getenv("LAB_APPLIANCE_USER"),
                                              .folder = path_of("state", folder),
                                              .patience = 5000,
                                              .longest = 60000};
    appliance.url = path_of("url", url);
    return &appliance;
}

bool appliance_mount_esp(unsigned long flags, char *error, size_t size)
{
    char off[PATH_MAX], on[PATH_MAX];

    (void)flags;
    if (rename(path_of("esp.off", off), path_of("esp", on)) == 0)
        return true;
    snprintf(error, size, "esp.off: %s", strerror(errno));
    return false;
}

void appliance_unmount_esp(void)
{
    char off[PATH_MAX], on[PATH_MAX];

    if (rename(path_of("esp", on), path_of("esp.off", off)) != 0)
        abort();
}
