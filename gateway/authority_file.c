/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that are never half written: see authority_private.h. */
#include "gateway/authority_private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filters/memory.h"

/* A new file beside `path`, whole and on the disk. Its name, to be freed; NULL with errno. */
static char *write_temporary(const char *path, struct span bytes, mode_t mode)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *name = memory_allocate(1, size);
    int fd;

    snprintf(name, size, "%s.XXXXXX", path);
    fd = mkostemp(name, O_CLOEXEC); /* made 0600: never open to others, not for a moment */
    if (fd < 0) {
        free(name);
        return NULL;
    }
    ssize_t written = write(fd, bytes.data, bytes.size);
    bool done =
        written >= 0 && (size_t)written == bytes.size && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int saved = written >= 0 && (size_t)written < bytes.size ? ENOSPC : errno;

    if (close(fd) == 0 && done)
        return name;
    unlink(name);
    free(name);
    errno = saved;
    return NULL;
}

/* Never onto an existing file, however the race goes; 0 or -1 with errno. */
static int rename_new(const char *from, const char *to)
{
    struct stat status;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system that does not know the flag: look first. */
    if (lstat(to, &status) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static void sync_directory(const char *path)
{
    char *copy = memory_string(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

int authority_file_move(const char *from, const char *to, bool replaces)
{
    if ((replaces ? rename(from, to) : rename_new(from, to)) < 0)
        return -1;
    sync_directory(to);
    return 0;
}

static int write_file(const char *path, struct span bytes, mode_t mode, bool replaces)
{
    char *name = write_temporary(path, bytes, mode);
    int result = name ? authority_file_move(name, path, replaces) : -1;
    int saved = errno;

    if (name && result < 0)
        unlink(name);
    free(name);
    errno = saved;
    return result;
}

int authority_file_put(const char *path, struct span bytes, mode_t mode)
{
    return write_file(path, bytes, mode, true);
}

int authority_file_add(const char *path, struct span bytes, mode_t mode)
{
    return write_file(path, bytes, mode, false);
}
