/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the daemon's control socket is. The daemon goes on with its last good configuration when
 * the file is broken, and `sekisho reload` must still reach it to be told what is wrong: so the one
 * option is looked for in the text first, whatever else the file says.
 */
#include "gateway/sekisho.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/options.h"

#define FILE_LONGEST 1048576

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text;
    size_t size;

    if (file == NULL)
        return NULL;
    text = memory_allocate(FILE_LONGEST + 1, 1);
    size = fread(text, 1, FILE_LONGEST, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static const char *skip_string(const char *at)
{
    char quote = *at++;

    while (*at != '\0' && *at != quote)
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    return *at == '\0' ? at : at + 1;
}

/* Past blanks and comments. */
static const char *skip_blank(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (at[0] == '#' || (at[0] == '/' && at[1] == '/')) {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");

            at = end == NULL ? at + strlen(at) : end + 2;
        } else {
            return at;
        }
    }
}

/* The quoted value after `name =`, or NULL. A copy. */
static char *find_value(const char *at, const char *name)
{
    size_t size = strlen(name);

    while (*(at = skip_blank(at)) != '\0') {
        size_t word = strcspn(at, " \t\r\n=+{}(),\"'#/");
        bool found = word == size && strncmp(at, name, size) == 0;

        if (*at == '"' || *at == '\'') {
            at = skip_string(at);
            continue;
        }
        at += word == 0 ? 1 : word;
        if (!found || *(at = skip_blank(at)) != '=')
            continue;
        at = skip_blank(at + 1);
        if (*at == '"' || *at == '\'') {
            const char *end = skip_string(at);

            return end - at < 2 || end[-1] != *at
                       ? NULL
                       : memory_span((struct span){at + 1, (size_t)(end - at) - 2});
        }
    }
    return NULL;
}

static void ignore(void *context, const char *line)
{
    (void)context; /* complaints are the business of `sekisho check` */
    (void)line;
}

/* A relative path counts from the folder of the file that says it. Takes `name`. */
static char *from_folder_of(const char *path, char *name)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    size_t size = folder + strlen(name) + 1;
    char *whole = memory_allocate(size, 1);

    snprintf(whole, size, "%.*s%s", (int)folder, path, name);
    free(name);
    return whole;
}

char *sekisho_find_socket(const char *path)
{
    char *text = read_file(path), *found = text == NULL ? NULL : find_value(text, "control-socket");
    struct configuration *configuration;

    free(text);
    if (found != NULL && found[0] != '/')
        found = from_folder_of(path, found);
    if (found != NULL)
        return found;
    configuration = configuration_read_without_ca(path, ignore, NULL);
    found = memory_string(configuration == NULL ? SEKISHO_RUN_DIR "/control"
                                                : configuration->control_socket);
    configuration_free(configuration);
    return found;
}
