/* SPDX-License-Identifier: BSD-2-Clause */
/* See sekisho_appliance.h. */
#include "gateway/sekisho_appliance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

/* The image's first script notes which partition the ESP is. */
#define ESP        "/efi"
#define ESP_DEVICE "/run/esp"

static const struct appliance image = {
    .place = {"/run/release", "/run/update-waits", "/usr/share/sekisho/update.pem", ESP},
    .source = {.trust = "/etc/ssl/certs/ca-certificates.crt",
               .more_trust = "/data/etc/update-ca.pem",
               .user = "_sekisho-fetcher",
               .folder = "/data/state",
               .patience = 60 * 1000,
               .longest = 3600 * 1000},
    .url = "/run/update-url",
};

const struct appliance *appliance_find(void)
{
    return &image;
}

static void hold_signals(int how)
{
    static const int held[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        sigaddset(&set, held[i]);
    sigprocmask(how, &set, NULL);
}

bool appliance_mount_esp(unsigned long flags, char *error, size_t size)
{
    char device[64] = "";
    FILE *file = fopen(ESP_DEVICE, "re");

    if (file != NULL) {
        if (fgets(device, sizeof(device), file) != NULL)
            device[strcspn(device, "\n")] = '\0';
        fclose(file);
    }
    if (device[0] != '/') {
        snprintf(error, size, "%s names no partition: this is no appliance", ESP_DEVICE);
        return false;
    }
    hold_signals(SIG_BLOCK);
    /* MS_DIRSYNC: a rename is first the new name, then its content, then the old one's end. */
    flags |= MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_DIRSYNC;
    if (mount(device, ESP, "vfat", flags, "umask=077") == 0)
        return true;
    snprintf(error, size, "%s cannot be mounted: %s%s", device, strerror(errno),
             errno == EBUSY ? " (another update is under way)" : "");
    hold_signals(SIG_UNBLOCK);
    return false;
}

void appliance_unmount_esp(void)
{
    sync();
    if (umount(ESP) != 0)
        syslog(LOG_WARNING, "update: %s stays mounted: %s", ESP, strerror(errno));
    hold_signals(SIG_UNBLOCK);
}
