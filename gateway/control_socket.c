/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the control socket's file, as root and before privileges are dropped. */
#include "gateway/control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(char *error, size_t size, const char *path, const char *what)
{
    snprintf(error, size, "%s: %s: %s", path, what, strerror(errno));
    return -1;
}

/* The folder, when it is the only thing that is missing (/run is empty after a start). */
static int make_folder(const char *path, char *error, size_t size)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char *slash;

    snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return 0;
    *slash = '\0';
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return fail(error, size, folder, "cannot make the folder");
    return 0;
}

static int set_owner(const char *path, const char *group, char *error, size_t size)
{
    struct group *entry = getgrnam(group);

    if (entry == NULL) {
        snprintf(error, size, "there is no group %s (process.control-group)", group);
        return -1;
    }
    if (lchown(path, (uid_t)-1, entry->gr_gid) != 0)
        return fail(error, size, path, "cannot give it to the group");
    if (chmod(path, 0660) != 0)
        return fail(error, size, path, "cannot set its mode");
    return 0;
}

/*
 * Made under another name, closed to all, and moved to its place when it is right: nobody connects
 * to a socket with the wrong mode, and there is no moment without one during a replacement.
 */
int control_open_socket(const char *path, const char *group, char *error, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;
    mode_t mask;
    int fd, bound;

    if (lstat(path, &old) == 0 && !S_ISSOCK(old.st_mode)) {
        snprintf(error, size, "%s: is there already and is not a socket", path);
        return -1;
    }
    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path,
                         (int)getpid()) >= sizeof(address.sun_path)) {
        snprintf(error, size, "%s: too long for the name of a socket", path);
        return -1;
    }
    if (make_folder(path, error, size) != 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(error, size, path, "socket");
    unlink(address.sun_path);
    mask = umask(0177);
    bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (bound != 0) {
        fail(error, size, path, "cannot be made");
        close(fd);
        return -1;
    }
    if (group[0] != '\0' && set_owner(address.sun_path, group, error, size) != 0)
        goto undo;
    if (listen(fd, 16) == 0 && rename(address.sun_path, path) == 0)
        return fd;
    fail(error, size, path, "cannot be put in place");
undo:
    unlink(address.sun_path);
    close(fd);
    return -1;
}
