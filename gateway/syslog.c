/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection to the collector and the queue before it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/log.h"
#include "gateway/syslog.h"

#define BACKOFF_FIRST 200 /* milliseconds */
#define BACKOFF_LAST  10000
#define CONNECT_TIME  10    /* seconds that a TCP connection may take to come about */
#define BURST         64    /* lines sent before other events have their turn */
#define UDP_TRIAL     2000  /* milliseconds without an error after which UDP counts as working */
#define COUNT_TEXT    12    /* of the octet count and its space */
#define SILENCE       30000 /* milliseconds after which unacknowledged data ends a TCP connection */

struct line {
    STAILQ_ENTRY(line) next;
    uint64_t tells; /* how many dropped lines this one tells of; 0 for an event's */
    size_t size;
    char text[];
};

enum state { STATE_AWAY, STATE_CONNECTING, STATE_UP };

struct syslog {
    struct event_base *base;
    enum log_transport transport;
    struct sockaddr_storage address;
    socklen_t address_size;
    char host[256];
    int pid;

    enum state state;
    int fd;
    struct event *readable, *writable, *timer;
    int64_t backoff;
    int64_t up_since; /* monotonic milliseconds */
    bool complained;  /* one warning for each time that the collector goes away */

    STAILQ_HEAD(, line) queue;
    size_t bytes, lines;
    size_t written;          /* bytes of the first line that TCP has taken */
    uint64_t dropped;        /* since the start */
    uint64_t dropped_unsaid; /* of these, not yet told to the collector */
};

static void syslog_connect(struct syslog *syslog);
static void syslog_flush(struct syslog *syslog);

/* --- the queue --- */

static size_t line_cost(const struct line *line)
{
    return sizeof(*line) + line->size;
}

static void queue_remove(struct syslog *syslog, struct line *line)
{
    STAILQ_REMOVE(&syslog->queue, line, line, next);
    syslog->bytes -= line_cost(line);
    syslog->lines--;
    free(line);
}

static void queue_drop(struct syslog *syslog, struct line *line)
{
    if (line->tells == 0)
        syslog->dropped++;
    syslog->dropped_unsaid += line->tells > 0 ? line->tells : 1;
    queue_remove(syslog, line);
}

/* Makes room by dropping the oldest, but not one of which a part is on its way. */
static int queue_make_room(struct syslog *syslog, size_t cost)
{
    int result = 0;

    while (syslog->bytes + cost > SYSLOG_QUEUE) {
        struct line *oldest = STAILQ_FIRST(&syslog->queue);

        if (oldest != NULL && syslog->written > 0)
            oldest = STAILQ_NEXT(oldest, next);
        if (oldest == NULL)
            break;
        queue_drop(syslog, oldest);
        result = -1;
    }
    return result;
}

/* The record as it goes over the wire. */
static struct line *line_new(const struct syslog *syslog, const struct record *record)
{
    char text[COUNT_TEXT + RECORD_LINE];
    struct timespec now;
    struct line *line;
    size_t size, count = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    size = record_format(record, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, syslog->host,
                         syslog->pid, text + COUNT_TEXT, sizeof(text) - COUNT_TEXT);
    if (syslog->transport == LOG_TCP)
        count = (size_t)snprintf(text, COUNT_TEXT, "%zu ", size);
    line = memory_allocate(1, sizeof(*line) + count + size);
    memcpy(line->text, text, count);
    memcpy(line->text + count, text + COUNT_TEXT, size);
    line->size = count + size;
    return line;
}

static void queue_add(struct syslog *syslog, struct line *line, bool first)
{
    if (first)
        STAILQ_INSERT_HEAD(&syslog->queue, line, next);
    else
        STAILQ_INSERT_TAIL(&syslog->queue, line, next);
    syslog->bytes += line_cost(line);
    syslog->lines++;
}

/* What was lost is said before what comes after it. */
static void queue_tell_dropped(struct syslog *syslog)
{
    struct record record;
    struct line *line;
    char text[64];

    if (syslog->dropped_unsaid == 0 || syslog->written > 0)
        return;
    snprintf(text, sizeof(text), "%llu log lines dropped",
             (unsigned long long)syslog->dropped_unsaid);
    record_init(&record, EVENT_ERROR);
    record_set_text(&record, RECORD_DETAIL, text);
    line = line_new(syslog, &record);
    line->tells = syslog->dropped_unsaid;
    syslog->dropped_unsaid = 0;
    queue_add(syslog, line, true);
}

/* --- the connection --- */

static const char *transport_name(const struct syslog *syslog)
{
    static const char *const names[] = {
        [LOG_UNIX] = "local socket", [LOG_UDP] = "UDP", [LOG_TCP] = "TCP"};

    return names[syslog->transport];
}

static void syslog_close(struct syslog *syslog)
{
    if (syslog->readable != NULL)
        event_free(syslog->readable);
    if (syslog->writable != NULL)
        event_free(syslog->writable);
    syslog->readable = syslog->writable = NULL;
    if (syslog->fd >= 0)
        close(syslog->fd);
    syslog->fd = -1;
    syslog->state = STATE_AWAY;
    syslog->written = 0; /* a new connection gets the whole line */
}

static void syslog_lost(struct syslog *syslog, int error)
{
    struct timeval wait = {.tv_sec = syslog->backoff / 1000,
                           .tv_usec = syslog->backoff % 1000 * 1000};

    syslog_close(syslog);
    if (!syslog->complained)
        log_warnx("syslog: %s: %s; lines wait in memory", transport_name(syslog), strerror(error));
    syslog->complained = true;
    evtimer_add(syslog->timer, &wait);
    syslog->backoff = syslog->backoff * 2 < BACKOFF_LAST ? syslog->backoff * 2 : BACKOFF_LAST;
}

static void syslog_up(struct syslog *syslog)
{
    syslog->up_since = clock_monotonic();
    syslog->state = STATE_UP;
    syslog_flush(syslog);
}

/* Something got through: whatever was wrong before is over. UDP takes everything at first; whether
 * it arrived is known when no ICMP error has come back for a while. */
static void syslog_works(struct syslog *syslog)
{
    if (syslog->transport == LOG_UDP && clock_monotonic() - syslog->up_since < UDP_TRIAL)
        return;
    if (syslog->complained)
        log_info("syslog: %s: works again", transport_name(syslog));
    syslog->complained = false;
    syslog->backoff = BACKOFF_FIRST;
}

/* The next part of the first line. False when the connection cannot take more now, or is gone. */
static bool syslog_send_first(struct syslog *syslog)
{
    struct line *line = STAILQ_FIRST(&syslog->queue);
    ssize_t sent = send(syslog->fd, line->text + syslog->written, line->size - syslog->written,
                        MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno == EINTR)
            return true;
        if (errno == EMSGSIZE) { /* no retry would make it smaller */
            queue_drop(syslog, line);
            return true;
        }
        /* ENOBUFS: a full device queue, which poll() does not report. */
        if (errno != EAGAIN && errno != ENOBUFS)
            syslog_lost(syslog, errno);
        return false;
    }
    syslog->written += (size_t)sent;
    if (syslog->transport == LOG_TCP && syslog->written < line->size)
        return true;
    syslog->written = 0;
    queue_remove(syslog, line);
    syslog_works(syslog);
    return true;
}

static void syslog_flush(struct syslog *syslog)
{
    if (syslog->state != STATE_UP)
        return;
    for (int i = 0; i < BURST; i++) {
        queue_tell_dropped(syslog);
        if (STAILQ_EMPTY(&syslog->queue) || !syslog_send_first(syslog))
            break;
    }
    if (syslog->state == STATE_UP && !STAILQ_EMPTY(&syslog->queue))
        event_add(syslog->writable, NULL);
}

static void syslog_on_writable(evutil_socket_t fd, short what, void *context)
{
    struct syslog *syslog = context;
    socklen_t size = sizeof(int);
    int error = 0;

    if (syslog->state == STATE_UP) {
        syslog_flush(syslog);
        return;
    }
    if ((what & EV_TIMEOUT) != 0)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error != 0)
        syslog_lost(syslog, error);
    else
        syslog_up(syslog);
}

/* A collector says nothing; what can be read is the end of the connection or an ICMP error. */
static void syslog_on_readable(evutil_socket_t fd, short what, void *context)
{
    struct syslog *syslog = context;
    char ignored[512];
    ssize_t got = recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT);

    (void)what;
    if (got > 0 || (got == 0 && syslog->transport != LOG_TCP))
        return;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    syslog_lost(syslog, got == 0 ? ECONNRESET : errno);
}

static void syslog_on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    syslog_connect(context);
}

static int syslog_socket(const struct syslog *syslog)
{
    int type = syslog->transport == LOG_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int fd = socket(syslog->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unsigned silence = SILENCE;
    int on = 1;

    if (fd < 0 || syslog->transport != LOG_TCP)
        return fd;
    /* A collector that vanished without a word is noticed: both are refinements, so unchecked. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
    return fd;
}

static void syslog_connect(struct syslog *syslog)
{
    struct timeval patience = {.tv_sec = CONNECT_TIME};

    syslog->fd = syslog_socket(syslog);
    if (syslog->fd < 0) {
        syslog_lost(syslog, errno);
        return;
    }
    syslog->readable =
        event_new(syslog->base, syslog->fd, EV_READ | EV_PERSIST, syslog_on_readable, syslog);
    syslog->writable = event_new(syslog->base, syslog->fd, EV_WRITE, syslog_on_writable, syslog);
    if (syslog->readable == NULL || syslog->writable == NULL) {
        syslog_lost(syslog, ENOMEM);
        return;
    }
    if (connect(syslog->fd, (struct sockaddr *)&syslog->address, syslog->address_size) == 0) {
        event_add(syslog->readable, NULL);
        syslog_up(syslog);
    } else if (errno == EINPROGRESS) {
        syslog->state = STATE_CONNECTING;
        event_add(syslog->readable, NULL);
        event_add(syslog->writable, &patience);
    } else {
        syslog_lost(syslog, errno);
    }
}

/* --- what others call --- */

static void syslog_set_address(struct syslog *syslog, const struct configuration *configuration)
{
    struct sockaddr_un *local = (struct sockaddr_un *)(void *)&syslog->address;

    if (syslog->transport != LOG_UNIX) {
        syslog->address = configuration->log_address;
        syslog->address_size = configuration->log_address_size;
        return;
    }
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof(local->sun_path), "%s", configuration->log_path);
    syslog->address_size = sizeof(*local);
}

struct syslog *syslog_new(struct event_base *base, const struct configuration *configuration)
{
    struct syslog *syslog = memory_allocate(1, sizeof(*syslog));

    syslog->base = base;
    syslog->transport = configuration->log_transport;
    syslog_set_address(syslog, configuration);
    if (gethostname(syslog->host, sizeof(syslog->host) - 1) != 0)
        syslog->host[0] = '\0';
    syslog->pid = (int)getpid();
    syslog->fd = -1;
    syslog->backoff = BACKOFF_FIRST;
    STAILQ_INIT(&syslog->queue);
    syslog->timer = evtimer_new(base, syslog_on_timer, syslog);
    if (syslog->timer == NULL)
        fatal("syslog: no timer");
    syslog_connect(syslog);
    return syslog;
}

void syslog_free(struct syslog *syslog)
{
    if (syslog == NULL)
        return;
    /* A line more than there are, for the one that tells of dropped lines. */
    for (size_t left = syslog->lines / BURST + 1; left > 0; left--)
        syslog_flush(syslog);
    if (syslog->lines > 0)
        log_warnx("syslog: %s: %zu lines could not be delivered before the end",
                  transport_name(syslog), syslog->lines);
    syslog_close(syslog);
    event_free(syslog->timer);
    while (!STAILQ_EMPTY(&syslog->queue))
        queue_remove(syslog, STAILQ_FIRST(&syslog->queue));
    free(syslog);
}

int syslog_write(struct syslog *syslog, const struct record *record)
{
    struct line *line = line_new(syslog, record);
    int result = queue_make_room(syslog, line_cost(line));
    bool idle = STAILQ_EMPTY(&syslog->queue);

    queue_add(syslog, line, false);
    /* Behind others it waits for its turn: the write event is set. */
    if (idle)
        syslog_flush(syslog);
    return result;
}

uint64_t syslog_dropped(const struct syslog *syslog)
{
    return syslog->dropped;
}

size_t syslog_waiting(const struct syslog *syslog)
{
    return syslog->lines;
}
