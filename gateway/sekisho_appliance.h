/* SPDX-License-Identifier: BSD-2-Clause */
/* The places of the image that `sekisho update` uses, and its EFI system partition. */
#ifndef GATEWAY_SEKISHO_APPLIANCE_H
#define GATEWAY_SEKISHO_APPLIANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/update.h"
#include "gateway/update_fetch.h"

struct appliance {
    struct update_place place;
    struct update_source source; /* its url is not set */
    const char *url;             /* a file with the configured one, or an empty line */
};

const struct appliance *appliance_find(void);

/*
 * The ESP is mounted only while it is used. `flags` are those of mount(2), beside the usual. False
 * with a message in `error`. Signals of the terminal wait until it is unmounted.
 */
bool appliance_mount_esp(unsigned long flags, char *error, size_t size);
void appliance_unmount_esp(void);

#endif
