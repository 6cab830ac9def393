/* SPDX-License-Identifier: BSD-2-Clause */
/* `sekisho update`: of the appliance, from a file or from a web server. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

#include "gateway/control.h"
#include "gateway/sekisho_appliance.h"
#include "gateway/sekisho_output.h"
#include "gateway/update_download.h"

struct attempt {
    const struct sekisho *sekisho;
    const struct appliance *appliance;
    struct bundle_manifest manifest;
    enum update_standing standing; /* of what a server has */
    char text[512];                /* why nothing is installed */
};

static void tell(void *context, const char *text)
{
    const struct attempt *attempt = context;

    syslog(LOG_NOTICE, "update: %s", text);
    if (attempt->sekisho->values[OPTION_JSON] == NULL) {
        printf("%s\n", text);
        fflush(stdout); /* what comes next may take minutes */
    }
}

static void tell_of(struct attempt *attempt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell_of(struct attempt *attempt, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tell(attempt, text);
}

static int install(struct attempt *attempt, int fd)
{
    int result;

    if (!appliance_mount_esp(0, attempt->text, sizeof(attempt->text)))
        return -1;
    result = update_install(&attempt->appliance->place, fd, tell, attempt, &attempt->manifest,
                            attempt->text, sizeof(attempt->text));
    appliance_unmount_esp();
    return result;
}

static int install_file(struct attempt *attempt, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd < 0) {
        snprintf(attempt->text, sizeof(attempt->text), "%s: %s", path, strerror(errno));
        return -1;
    }
    result = install(attempt, fd);
    close(fd);
    return result;
}

/* --- from a web server --- */

static uint64_t judge(void *context, int fd)
{
    struct attempt *attempt = context;
    uint64_t size = 0;

    if (!appliance_mount_esp(MS_RDONLY, attempt->text, sizeof(attempt->text)))
        return 0;
    attempt->standing = update_look(&attempt->appliance->place, fd, &attempt->manifest, &size,
                                    attempt->text, sizeof(attempt->text));
    appliance_unmount_esp();
    if (attempt->standing != UPDATE_NEWER)
        return 0;
    tell_of(attempt, "version %s is there, %" PRIu64 " bytes are fetched",
            attempt->manifest.version, size);
    return size;
}

/* The host alone: what follows it may be what opens the server to this clinic. */
static int install_url(struct attempt *attempt, const char *url)
{
    struct update_source source = attempt->appliance->source;
    char error[256];
    struct fetch_url parts;
    int fd, result;

    if (!fetch_url_read_https(span_of(url), &parts)) {
        snprintf(attempt->text, sizeof(attempt->text), "the address must be https://HOST/PATH");
        return -1;
    }
    source.url = url;
    tell_of(attempt, "%s is asked for a newer version", parts.host);
    fd = update_download(&source, judge, attempt, error, sizeof(error));
    if (fd < 0) {
        if (error[0] != '\0')
            snprintf(attempt->text, sizeof(attempt->text), "%s: %s", parts.host, error);
        return -1;
    }
    result = install(attempt, fd);
    close(fd);
    return result;
}

static int install_configured(struct attempt *attempt)
{
    char url[FETCH_URL_MAX] = "";
    FILE *file = fopen(attempt->appliance->url, "re");

    if (file != NULL) {
        if (fgets(url, sizeof(url), file) != NULL)
            url[strcspn(url, "\n")] = '\0';
        fclose(file);
    }
    if (url[0] != '\0')
        return install_url(attempt, url);
    snprintf(attempt->text, sizeof(attempt->text),
             "no URL is configured: `update` in network.conf");
    return -1;
}

/* A file is called by another name. */
static bool is_url(const char *word)
{
    return strncmp(word, "https://", 8) == 0 || strncmp(word, "http://", 7) == 0;
}

static int run(struct attempt *attempt)
{
    const char *word = attempt->sekisho->count > 0 ? attempt->sekisho->arguments[0] : NULL;

    if (word != NULL && !is_url(word))
        return install_file(attempt, word);
    /* Nothing is fetched for a machine that could not take it. */
    if (access(attempt->appliance->place.release, R_OK) != 0) {
        snprintf(attempt->text, sizeof(attempt->text),
                 "%s does not say what runs: this is no appliance",
                 attempt->appliance->place.release);
        return -1;
    }
    return word != NULL ? install_url(attempt, word) : install_configured(attempt);
}

/* --- what became of it --- */

static void show(const struct attempt *attempt, enum sekisho_exit result)
{
    switch (result) {
    case SEKISHO_OK:
        printf("Version %s is installed. It is tried at the next start, %d times at most.\n",
               attempt->manifest.version, UPDATE_TRIES);
        break;
    case SEKISHO_NOTHING_NEWER:
        printf("Nothing newer: %s.\n", attempt->text);
        break;
    default:
        fprintf(stderr, "sekisho: %s\n", attempt->text);
    }
}

static void show_json(const struct attempt *attempt, enum sekisho_exit result)
{
    json_t *text = control_text((struct span){attempt->text, strlen(attempt->text)});
    json_t *reply;

    switch (result) {
    case SEKISHO_OK:
        json_decref(text);
        reply = json_pack("{s:b, s:b, s:s, s:i}", "ok", 1, "installed", 1, "version",
                          attempt->manifest.version, "tries", UPDATE_TRIES);
        break;
    case SEKISHO_NOTHING_NEWER:
        reply = json_pack("{s:b, s:b, s:o}", "ok", 1, "installed", 0, "nothing-newer", text);
        break;
    default:
        reply = json_pack("{s:b, s:o}", "ok", 0, "error", text);
    }
    sekisho_print_json(reply);
    json_decref(reply);
}

enum sekisho_exit sekisho_update(const struct sekisho *sekisho)
{
    struct attempt attempt = {.sekisho = sekisho, .appliance = appliance_find()};
    enum sekisho_exit result = SEKISHO_ERROR;

    openlog("sekisho-appliance", 0, LOG_DAEMON);
    if (run(&attempt) == 0)
        result = SEKISHO_OK;
    else if (attempt.standing == UPDATE_OLD || attempt.standing == UPDATE_WAITS ||
             attempt.standing == UPDATE_FAILED)
        result = SEKISHO_NOTHING_NEWER;
    if (result == SEKISHO_OK)
        syslog(LOG_NOTICE, "update: version %s is installed, it is tried at the next start",
               attempt.manifest.version);
    else if (result == SEKISHO_NOTHING_NEWER)
        syslog(LOG_NOTICE, "update: nothing newer: %s", attempt.text);
    else
        syslog(LOG_WARNING, "update: not installed: %s", attempt.text);
    if (sekisho->values[OPTION_JSON] != NULL)
        show_json(&attempt, result);
    else
        show(&attempt, result);
    return result;
}
