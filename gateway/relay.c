/* SPDX-License-Identifier: BSD-2-Clause */
/* Spliced flows: see relay.h. */
#include "gateway/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filters/memory.h"

#define PIECE      1048576 /* bytes asked for in one splice */
#define TURNS      16      /* splices in one turn of the loop: others want to go on too */
#define POOL       64      /* idle pipes that a worker keeps */
#define PIPE_RETRY 20      /* ms until a pipe is tried for again at the descriptor limit */
#define SIGN_EVERY 1000    /* ms between signs of a call */

struct relay_pipe {
    int ends[2]; /* read, write */
    struct relay_pipe *next;
};

/* One direction. */
struct lane {
    struct relay *relay;
    int from, to;
    struct event readable; /* from */
    struct event writable; /* to */
    struct relay_pipe *pipe;
    size_t inside;  /* bytes in the pipe */
    uint8_t *first; /* bytes that come before those of the pipe */
    size_t first_size, first_used;
    bool ended;  /* `from` said that nothing more comes */
    bool closed; /* and that was passed on */
    uint64_t *bytes;
};

struct relay {
    struct flow *flow;
    int sockets[2]; /* client, origin */
    struct lane up, down;
    struct deadline pipe_retry;
    int64_t signed_at;
};

/* --- pipes --- */

static struct relay_pipe *pipe_take(struct worker *worker)
{
    struct relay_pipe *pipe = worker->idle_pipes;

    if (pipe != NULL) {
        worker->idle_pipes = pipe->next;
        worker->idle_pipe_count--;
        return pipe;
    }
    pipe = memory_allocate(1, sizeof(*pipe));
    if (pipe2(pipe->ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    fcntl(pipe->ends[1], F_SETPIPE_SZ, PIECE / 4); /* may be refused: then it stays at 64 kB */
    return pipe;
}

static void pipe_close(struct relay_pipe *pipe)
{
    close(pipe->ends[0]);
    close(pipe->ends[1]);
    free(pipe);
}

/* An empty pipe goes back to the pool; one with bytes of a dead flow in it is closed. */
static void pipe_return(struct worker *worker, struct relay_pipe *pipe, bool is_empty)
{
    if (pipe == NULL)
        return;
    if (!is_empty || worker->idle_pipe_count >= POOL) {
        pipe_close(pipe);
        return;
    }
    pipe->next = worker->idle_pipes;
    worker->idle_pipes = pipe;
    worker->idle_pipe_count++;
}

void relay_free_pipes(struct worker *worker)
{
    struct relay_pipe *pipe;

    while ((pipe = worker->idle_pipes) != NULL) {
        worker->idle_pipes = pipe->next;
        pipe_close(pipe);
    }
    worker->idle_pipe_count = 0;
}

/* --- moving bytes --- */

enum progress {
    PROGRESS_MORE,
    PROGRESS_NO_INPUT,
    PROGRESS_NO_ROOM,
    PROGRESS_NO_PIPE,
    PROGRESS_DONE,
    PROGRESS_FAILED
};

static enum progress write_first(struct lane *lane)
{
    ssize_t sent = send(lane->to, lane->first + lane->first_used,
                        lane->first_size - lane->first_used, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? PROGRESS_NO_ROOM : PROGRESS_FAILED;
    lane->first_used += (size_t)sent;
    *lane->bytes += (uint64_t)sent;
    if (lane->first_used < lane->first_size)
        return PROGRESS_NO_ROOM;
    free(lane->first);
    lane->first = NULL;
    return PROGRESS_MORE;
}

static enum progress empty_pipe(struct lane *lane)
{
    ssize_t moved = splice(lane->pipe->ends[0], NULL, lane->to, NULL, lane->inside,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (moved < 0)
        return errno == EAGAIN ? PROGRESS_NO_ROOM : PROGRESS_FAILED;
    lane->inside -= (size_t)moved;
    *lane->bytes += (uint64_t)moved;
    return PROGRESS_MORE;
}

static enum progress fill_pipe(struct lane *lane)
{
    struct worker *worker = lane->relay->flow->worker;

    if (lane->ended)
        return PROGRESS_DONE;
    if (lane->pipe == NULL && (lane->pipe = pipe_take(worker)) == NULL)
        return PROGRESS_NO_PIPE;
    ssize_t moved = splice(lane->from, NULL, lane->pipe->ends[1], NULL, PIECE,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved < 0 && errno != EAGAIN)
        return PROGRESS_FAILED;
    if (moved <= 0) {
        pipe_return(worker, lane->pipe, true);
        lane->pipe = NULL;
        if (moved < 0)
            return PROGRESS_NO_INPUT;
        lane->ended = true;
        return PROGRESS_DONE;
    }
    lane->inside = (size_t)moved;
    return PROGRESS_MORE;
}

static enum progress step(struct lane *lane)
{
    if (lane->first != NULL)
        return write_first(lane);
    if (lane->inside > 0)
        return empty_pipe(lane);
    return fill_pipe(lane);
}

static void set_event(struct event *event, short what, bool wanted)
{
    bool pending = event_pending(event, what, NULL) != 0;

    if (wanted && !pending)
        event_add(event, NULL);
    else if (!wanted && pending)
        event_del(event);
}

/* One side broke off: an orderly end towards the other would tell it that all was said. */
static void pass_on_reset(struct relay *relay)
{
    static const struct linger at_once = {1, 0};

    for (size_t i = 0; i < 2; i++)
        setsockopt(relay->sockets[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

/* False when the relay is over and gone. */
static bool pump(struct lane *lane)
{
    struct relay *relay = lane->relay;
    struct flow *flow = relay->flow;
    enum progress progress = PROGRESS_MORE;

    for (int turn = 0; turn < TURNS && progress == PROGRESS_MORE; turn++)
        progress = step(lane);
    if (progress == PROGRESS_DONE && !lane->closed) {
        lane->closed = true;
        if (shutdown(lane->to, SHUT_WR) != 0)
            progress = PROGRESS_FAILED;
    }
    if (progress == PROGRESS_FAILED)
        pass_on_reset(relay);
    if (progress == PROGRESS_FAILED || (relay->up.closed && relay->down.closed)) {
        flow_end(flow);
        return false;
    }
    if (progress == PROGRESS_NO_PIPE)
        deadline_set(&relay->pipe_retry, PIPE_RETRY);
    /* With bytes left over after so many turns the socket is still readable or writable: the loop
     * comes back. */
    set_event(&lane->readable, EV_READ,
              !lane->ended && (progress == PROGRESS_NO_INPUT || progress == PROGRESS_MORE) &&
                  lane->inside == 0);
    set_event(&lane->writable, EV_WRITE, lane->first != NULL || lane->inside > 0);
    return true;
}

static void note_progress(struct relay *relay)
{
    struct flow *flow = relay->flow;
    int64_t now = clock_monotonic();

    deadline_set(&flow->deadline, flow->worker->configuration->timeout_splice);
    if (flow->finding.call != NULL && now - relay->signed_at >= SIGN_EVERY) {
        relay->signed_at = now;
        flow_sign(flow, flow->finding.call);
    }
}

static void on_event(evutil_socket_t fd, short what, void *argument)
{
    struct lane *lane = argument;

    (void)fd;
    (void)what;
    note_progress(lane->relay);
    pump(lane);
}

static void on_pipe_retry(void *context)
{
    struct relay *relay = context;

    if (pump(&relay->up))
        pump(&relay->down);
}

static void on_idle(void *context)
{
    flow_end(context);
}

static void prepare_lane(struct lane *lane, struct relay *relay, int from, int to, uint64_t *bytes)
{
    struct event_base *base = relay->flow->worker->base;

    lane->relay = relay;
    lane->from = from;
    lane->to = to;
    lane->bytes = bytes;
    event_assign(&lane->readable, base, from, EV_READ | EV_PERSIST, on_event, lane);
    event_assign(&lane->writable, base, to, EV_WRITE | EV_PERSIST, on_event, lane);
}

struct relay *relay_new(struct flow *flow, int client, int origin, const uint8_t *first,
                        size_t first_size)
{
    struct relay *relay = memory_allocate(1, sizeof(*relay));

    relay->flow = flow;
    relay->sockets[0] = client;
    relay->sockets[1] = origin;
    prepare_lane(&relay->up, relay, client, origin, &flow->bytes_up);
    prepare_lane(&relay->down, relay, origin, client, &flow->bytes_down);
    if (first_size > 0) {
        relay->up.first = memory_allocate(first_size, 1);
        memcpy(relay->up.first, first, first_size);
        relay->up.first_size = first_size;
    }
    deadline_init(&relay->pipe_retry, flow->worker->base, on_pipe_retry, relay);
    flow->deadline.expired = on_idle;
    note_progress(relay);
    event_add(&relay->down.readable, NULL);
    event_add(&relay->up.writable, NULL); /* at once: the first bytes, or a look for some */
    return relay;
}

static void free_lane(struct lane *lane)
{
    event_del(&lane->readable);
    event_del(&lane->writable);
    pipe_return(lane->relay->flow->worker, lane->pipe, lane->inside == 0);
    free(lane->first);
}

void relay_free(struct relay *relay)
{
    if (relay == NULL)
        return;
    deadline_clear(&relay->pipe_retry);
    free_lane(&relay->up);
    free_lane(&relay->down);
    close(relay->sockets[0]);
    close(relay->sockets[1]);
    free(relay);
}
