/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parent and its children are held to: see confinement.h. */
#include "gateway/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/child.h"
#include "gateway/log.h"

#define FOLDERS_MAX 3
#define MEGABYTE    (1ul << 20)

static struct {
    bool entered;
    char *folders[FOLDERS_MAX]; /* in which files may be changed */
    size_t folder_count;
    struct {
        const char *name;
        struct sandbox_user ids;
    } users[ROLE_COUNT];
    size_t user_count;
} confinement;

/* --- the folders --- */

/* The folder of a file, which the caller frees; NULL for no file. */
static char *folder_of(const char *path)
{
    char *folder, *slash;

    if (path == NULL || path[0] == '\0')
        return NULL;
    folder = memory_string(path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        memcpy(folder, ".", 2); /* a path has at least one character */
    else
        slash[slash == folder ? 1 : 0] = '\0';
    return folder;
}

/* Those that the daemon changes; NULL where the configuration names none. The caller frees each. */
static void list_folders(const struct configuration *configuration, char *folders[FOLDERS_MAX])
{
    folders[0] = memory_string(configuration->state_directory);
    folders[1] = folder_of(configuration->control_socket);
    folders[2] = folder_of(configuration->dns_file);
}

static bool is_beneath(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 &&
           (path[length] == '\0' || path[length] == '/' || strcmp(folder, "/") == 0);
}

static bool leads_up(const char *path)
{
    size_t length = strlen(path);

    return strstr(path, "/../") != NULL || (length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

static bool covers_folder(const char *path)
{
    for (size_t i = 0; i < confinement.folder_count; i++)
        if (is_beneath(path, confinement.folders[i]) && !leads_up(path))
            return true;
    return false;
}

static bool covers_folders(const struct configuration *configuration, char *error, size_t size)
{
    char *folders[FOLDERS_MAX];
    bool covered = true;

    list_folders(configuration, folders);
    for (size_t i = 0; i < FOLDERS_MAX; i++) {
        if (folders[i] != NULL && covered && !covers_folder(folders[i])) {
            snprintf(error, size,
                     "%s: the running daemon may not write there: restart it for another folder",
                     folders[i]);
            covered = false;
        }
        free(folders[i]);
    }
    return covered;
}

/* --- the users --- */

static void find_users(void)
{
    for (enum role role = ROLE_PARENT + 1; geteuid() == 0 && role < ROLE_COUNT; role++) {
        const struct role_operations *operations = role_find(role);
        const struct passwd *entry;

        if (operations == NULL || operations->user == NULL ||
            (entry = getpwnam(operations->user)) == NULL)
            continue;
        confinement.users[confinement.user_count].name = operations->user;
        confinement.users[confinement.user_count++].ids =
            (struct sandbox_user){entry->pw_uid, entry->pw_gid};
    }
}

static bool covers_user(const char *name)
{
    const struct passwd *entry = getpwnam(name);

    for (size_t i = 0; entry != NULL && i < confinement.user_count; i++)
        if (strcmp(confinement.users[i].name, name) == 0)
            return confinement.users[i].ids.user == entry->pw_uid &&
                   confinement.users[i].ids.group == entry->pw_gid;
    return false;
}

static bool covers_users(char *error, size_t size)
{
    for (enum role role = ROLE_PARENT + 1; role < ROLE_COUNT; role++) {
        const struct role_operations *operations = role_find(role);

        if (operations == NULL || operations->user == NULL || covers_user(operations->user))
            continue;
        snprintf(error, size,
                 "the user %s was made or changed after the daemon was started: restart it",
                 operations->user);
        return false;
    }
    return true;
}

/* --- the parent --- */

static int enter(void)
{
    struct sandbox_user users[ROLE_COUNT];

    for (size_t i = 0; i < confinement.user_count; i++)
        users[i] = confinement.users[i].ids;
    return sandbox_enter_parent((const char *const *)confinement.folders, confinement.folder_count,
                                users, confinement.user_count);
}

int confinement_enter(const struct configuration *configuration)
{
    static const struct rlimit none = {0, 0}, all = {RLIM_INFINITY, RLIM_INFINITY};
    char *folders[FOLDERS_MAX];

    if (sandbox_weakness() != NULL)
        log_warnx("the processes are less confined than they should be: %s", sandbox_weakness());
    /* The signer locks its memory, and cannot raise its limit itself any more. Without the right to
     * do so the old limit holds. */
    (void)setrlimit(RLIMIT_MEMLOCK, &all);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_warn("no protection from core files");
        return -1;
    }
    list_folders(configuration, folders);
    for (size_t i = 0; i < FOLDERS_MAX; i++) {
        if (folders[i] == NULL)
            continue;
        if (mkdir(folders[i], 0755) != 0 && errno != EEXIST)
            log_warn("%s", folders[i]); /* as the registry would say: the daemon runs without */
        confinement.folders[confinement.folder_count++] = folders[i];
    }
    find_users();
    if (enter() != 0)
        return -1;
    confinement.entered = !sandbox_is_off();
    return 0;
}

bool confinement_allows(const struct configuration *configuration, char *error, size_t size)
{
    return !confinement.entered ||
           (covers_folders(configuration, error, size) &&
            (geteuid() != 0 || !configuration->separate_users || covers_users(error, size)));
}

/* --- the children --- */

/* Nobody but the examiner starts processes, and nobody but the signer locks memory. */
static const struct {
    unsigned who; /* enum roles */
    __rlimit_resource_t resource;
    rlim_t most;
    bool not_sanitized; /* a sanitizer's runtime needs more */
} limits[] = {
    {ROLES_CHILD, RLIMIT_CORE, 0, false},
    {ROLES_CHILD, RLIMIT_MSGQUEUE, 0, false},
    {ROLES_CHILD & ~ROLES_EXAMINER, RLIMIT_NPROC, 0, true},
    {ROLES_CHILD & ~ROLES_SIGNER, RLIMIT_MEMLOCK, 0, true},
    {ROLES_SIGNER | ROLES_REGISTRY | ROLES_EXAMINER | ROLES_FETCHER, RLIMIT_NOFILE, 1024, false},
    {ROLES_PORTAL, RLIMIT_NOFILE, 256, false},
};

/* Bytes of data that a role may have beside what it began with. A worker's is bounded by its number
 * of connections. */
static const struct {
    unsigned who;
    rlim_t more;
} memory[] = {
    {ROLES_SIGNER, 64 * MEGABYTE},    {ROLES_PORTAL, 64 * MEGABYTE},
    {ROLES_FETCHER, 64 * MEGABYTE}, /* what it fetches is not its data, and has a bound of its own
                                     */
    {ROLES_EXAMINER, 512 * MEGABYTE}, {ROLES_REGISTRY, 1024 * MEGABYTE},
};

static bool lower(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) != 0)
        return false;
    if (limit.rlim_max > most)
        limit.rlim_max = most;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) == 0;
}

/* Bytes of writable memory: the sixth number of /proc/self/statm is in pages. */
static bool data_used(rlim_t *bytes)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "re");
    bool known = file != NULL && fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) == 1;

    if (file != NULL)
        fclose(file);
    if (known)
        *bytes = pages * (rlim_t)sysconf(_SC_PAGESIZE);
    return known;
}

int confinement_limit(enum role role)
{
    rlim_t used;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if ((limits[i].who & (1u << role)) != 0 && !(limits[i].not_sanitized && sandbox_is_off()) &&
            !lower(limits[i].resource, limits[i].most)) {
            log_warn("limits");
            return -1;
        }
    for (size_t i = 0; !sandbox_is_off() && i < sizeof(memory) / sizeof(memory[0]); i++) {
        if ((memory[i].who & (1u << role)) == 0)
            continue;
        if (!data_used(&used)) {
            log_warn("/proc/self/statm: the memory of this process has no bound");
        } else if (!lower(RLIMIT_DATA, used + memory[i].more)) {
            log_warn("limits");
            return -1;
        }
    }
    return 0;
}
