/* SPDX-License-Identifier: BSD-2-Clause */
/* The control program's end of the control socket: one request, one answer. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "filters/memory.h"
#include "gateway/control.h"
#include "gateway/sekisho_output.h"

#define REPLY_LONGEST (64u << 20) /* bytes */
#define PATIENCE      75          /* seconds: a reload may take a minute */
#define TRIES         20          /* while the registry is being replaced */
#define REPEATS       3           /* of a request whose registry went away without an answer */

/* Why there is no connection, in the form of an answer. */
static json_t *describe_failure(const char *path)
{
    switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
        return control_error("the daemon does not run (nobody listens at %s)", path);
    case EACCES:
    case EPERM:
        return control_error("no permission for %s: be root or in the group that "
                             "process.control-group names",
                             path);
    default:
        return control_error("%s: %s", path, strerror(errno));
    }
}

static int connect_once(const struct sockaddr_un *address)
{
    struct timeval patience = {PATIENCE, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* A socket without a listener: the registry may be on its way back from a reload. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timespec pause = {0, 100 * 1000 * 1000};
    int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    for (int i = 0; i < TRIES; i++) {
        fd = connect_once(&address);
        if (fd >= 0 || (errno != ECONNREFUSED && errno != EAGAIN))
            break;
        nanosleep(&pause, NULL);
    }
    return fd;
}

static bool send_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        text += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* A whole line, or NULL with errno (0: the daemon closed the connection). */
static char *receive_line(int fd, size_t *size)
{
    size_t room = 65536, used = 0;
    char *line = memory_allocate(room, 1);

    for (;;) {
        ssize_t received = recv(fd, line + used, room - used, 0);
        char *end;

        if (received < 0 && errno == EINTR)
            continue;
        if (received <= 0) {
            errno = received == 0 ? 0 : errno;
            break;
        }
        end = memchr(line + used, '\n', (size_t)received);
        if (end != NULL) {
            *size = (size_t)(end - line);
            return line;
        }
        used += (size_t)received;
        if (used < room)
            continue;
        if (room >= REPLY_LONGEST) {
            errno = EMSGSIZE;
            break;
        }
        room *= 2;
        line = memory_resize(line, room, 1);
    }
    free(line);
    return NULL;
}

/* NULL with errno 0 when the daemon closed the connection without a word. */
static char *exchange_lines(int fd, const char *text, size_t *size)
{
    if (send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1))
        return receive_line(fd, size);
    if (errno == EPIPE || errno == ECONNRESET)
        errno = 0;
    return NULL;
}

/* The daemon's answer; where there is none, one that says why, and *reached is false. */
static json_t *exchange(const char *path, const char *text, bool *reached)
{
    json_t *reply;
    size_t size = 0;
    char *line = NULL;

    for (int i = 0; line == NULL && i < REPEATS; i++) {
        int fd = connect_to(path);
        if (fd < 0)
            return describe_failure(path);
        line = exchange_lines(fd, text, &size);
        int saved = errno;
        close(fd);
        errno = saved;
        if (line == NULL && errno != 0 && errno != ECONNRESET)
            break;
    }
    if (line == NULL)
        return control_error("no answer from the daemon: %s",
                             errno == 0 ? "it closed the connection" : strerror(errno));
    reply = json_loadb(line, size, 0, NULL);
    free(line);
    *reached = reply != NULL;
    return reply != NULL ? reply : control_error("the daemon's answer makes no sense");
}

static bool is_error(const json_t *reply)
{
    const json_t *error = json_object_get(reply, "error");
    char *text;

    if (json_is_true(json_object_get(reply, "ok")))
        return false;
    text = output_clean((struct span){json_string_value(error), json_string_length(error)});
    fprintf(stderr, "sekisho: %s\n", text[0] == '\0' ? "the daemon refuses" : text);
    free(text);
    return true;
}

enum sekisho_exit sekisho_ask_socket(const char *path, json_t *request, json_t **reply)
{
    char *text = json_dumps(request, JSON_COMPACT);
    bool reached = false, error;

    json_decref(request);
    *reply = NULL;
    if (text == NULL) {
        fprintf(stderr, "sekisho: the request is not UTF-8\n");
        return SEKISHO_USAGE;
    }
    *reply = exchange(path, text, &reached);
    free(text);
    error = is_error(*reply);
    if (!reached)
        return SEKISHO_UNREACHABLE;
    return error ? SEKISHO_ERROR : SEKISHO_OK;
}

enum sekisho_exit sekisho_ask(const struct sekisho *sekisho, json_t *request, json_t **reply)
{
    const char *given = sekisho->values[OPTION_SOCKET];
    char *path = given != NULL ? memory_string(given) : sekisho_find_socket(sekisho->configuration);
    enum sekisho_exit result = sekisho_ask_socket(path, request, reply);

    free(path);
    return result;
}

void sekisho_print_json(const json_t *json)
{
    json_dumpf(json, stdout,
               JSON_INDENT(2) | (isatty(STDOUT_FILENO) ? (size_t)JSON_ENSURE_ASCII : 0));
    fputc('\n', stdout);
}
