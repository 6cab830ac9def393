/* SPDX-License-Identifier: BSD-2-Clause */
/* `sekisho update`: of the appliance, where it is installed from a file. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

#include "gateway/control.h"
#include "gateway/sekisho_output.h"
#include "gateway/update.h"

/* The image's own places. Its first script notes which partition the ESP is. */
#define RELEASE    "/run/release"
#define TRUST      "/usr/share/sekisho/update.pem"
#define ESP        "/efi"
#define ESP_DEVICE "/run/esp"

static void tell(void *context, const char *text)
{
    const struct sekisho *sekisho = context;

    syslog(LOG_NOTICE, "update: %s", text);
    if (sekisho->values[OPTION_JSON] == NULL)
        printf("%s\n", text);
}

static bool mount_esp(char *error, size_t size)
{
    char device[64] = "";
    FILE *file = fopen(ESP_DEVICE, "re");

    if (file != NULL) {
        if (fgets(device, sizeof(device), file) != NULL)
            device[strcspn(device, "\n")] = '\0';
        fclose(file);
    }
    if (device[0] != '/')
        snprintf(error, size, "%s names no partition: this is no appliance", ESP_DEVICE);
    else if (mount(device, ESP, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC, "umask=077") != 0)
        snprintf(error, size, "%s cannot be mounted: %s%s", device, strerror(errno),
                 errno == EBUSY ? " (another update is under way)" : "");
    else
        return true;
    return false;
}

enum sekisho_exit sekisho_update(const struct sekisho *sekisho)
{
    const struct update_place place = {RELEASE, TRUST, ESP};
    struct bundle_manifest manifest = {.version = ""};
    const char *path = sekisho->arguments[0];
    char error[512] = "";
    int result = -1;

    openlog("sekisho-appliance", 0, LOG_DAEMON);
    if (mount_esp(error, sizeof(error))) {
        result = update_install(&place, path, tell, (void *)(uintptr_t)sekisho, &manifest, error,
                                sizeof(error));
        sync();
        if (umount(ESP) != 0)
            syslog(LOG_WARNING, "update: %s stays mounted: %s", ESP, strerror(errno));
    }
    if (result == 0)
        syslog(LOG_NOTICE, "update: version %s is installed, it is tried at the next start",
               manifest.version);
    else
        syslog(LOG_WARNING, "update: refused: %s", error);
    if (sekisho->values[OPTION_JSON] != NULL) {
        json_t *reply = result == 0 ? json_pack("{s:b, s:s, s:i}", "ok", 1, "version",
                                                manifest.version, "tries", UPDATE_TRIES)
                                    : json_pack("{s:b, s:o}", "ok", 0, "error",
                                                control_text((struct span){error, strlen(error)}));

        sekisho_print_json(reply);
        json_decref(reply);
    } else if (result == 0) {
        printf("Version %s is installed. It is tried at the next start, %d times at most.\n",
               manifest.version, UPDATE_TRIES);
    } else {
        fprintf(stderr, "sekisho: %s\n", error);
    }
    return result == 0 ? SEKISHO_OK : SEKISHO_ERROR;
}
