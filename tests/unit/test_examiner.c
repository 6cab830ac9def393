/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The examiner's role over real links, with the processes that it starts: answers, bounds, workers
 * that misbehave, and work that dies or hangs.
 */
#include "tests/unit/picture_fixture.h"

#include "tests/unit/loop.h"
#include "tests/unit/packet.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gateway/examiner_work.h"
#include "gateway/process.h"
#include "gateway/qrcode.h"

#define LINK  "https://files.example.net/share/7f3a9c"
#define DATA  (MESSAGE_MAX - sizeof(uint64_t))
#define TEXTS 24 /* that a worker remembers */

static unsigned ready;

void child_ready(struct child *child)
{
    (void)child;
    ready++;
}

/* The worker's end. */
struct worker {
    struct link *link;
    int fd; /* the link\'s, for what a link would not send */
    bool closed;
    bool answered; /* and by which message */
    struct message_examined answer;
    unsigned answers;
    uint64_t text_ids[TEXTS];
    char texts[TEXTS][128];
    unsigned text_count;
};

struct fixture {
    struct child child;
    struct worker workers[2];
    unsigned descriptors;
};

static void receive(void *context, struct link *link, enum message_type type, const void *payload,
                    size_t size, int fd)
{
    struct worker *worker = context;

    (void)link;
    assert_int_equal(fd, -1);
    if (type == MESSAGE_NONE) {
        worker->closed = true;
        worker->link = NULL;
    } else if (type == MESSAGE_EXAMINED_TEXT) {
        unsigned at = worker->text_count++;
        assert_true(at < TEXTS && size > 8 && size - 8 < sizeof(worker->texts[0]));
        memcpy(&worker->text_ids[at], payload, 8);
        memcpy(worker->texts[at], (const char *)payload + 8, size - 8);
        worker->texts[at][size - 8] = '\0';
    } else {
        assert_int_equal(type, MESSAGE_EXAMINED);
        memcpy(&worker->answer, payload, sizeof(worker->answer));
        worker->answered = true;
        worker->answers++;
    }
}

static void connect_worker(struct fixture *fixture, unsigned slot)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->workers[slot] = (struct worker){.closed = false, .fd = fds[0]};
    fixture->workers[slot].link = link_new(fixture->child.base, fds[0], ROLE_WORKER, ROLE_EXAMINER,
                                           receive, &fixture->workers[slot]);
    examiner_operations.peer(&fixture->child, ROLE_WORKER, slot, fds[1]);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    ready = 0;
    fixture->descriptors = descriptors_open();
    fixture->child = (struct child){.role = ROLE_EXAMINER, .base = event_base_new()};
    assert_int_equal(examiner_operations.start(&fixture->child), 0);
    assert_int_equal(ready, 1);
    connect_worker(fixture, 0);
    connect_worker(fixture, 1);
    return 0;
}

/* Nothing is left: no process, no descriptor, no open link. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    examiner_operations.stop(&fixture->child);
    assert_null(fixture->child.state);
    loop_settle(fixture->child.base);
    for (int i = 0; i < 2; i++)
        assert_true(fixture->workers[i].closed);
    event_base_free(fixture->child.base);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(descriptors_open(), fixture->descriptors);
    free(fixture);
    return 0;
}

/* --- speaking to it --- */

static void send_message(struct fixture *fixture, unsigned slot, enum message_type type,
                         const void *payload, size_t size)
{
    while (link_send(fixture->workers[slot].link, type, payload, size, -1) != 0)
        loop_settle(fixture->child.base);
}

static void send_begin(struct fixture *fixture, unsigned slot, uint64_t id)
{
    struct message_examine message = {.id = id, .kind = EXAMINATION_PICTURE};

    send_message(fixture, slot, MESSAGE_EXAMINE_BEGIN, &message, sizeof(message));
}

static void send_data(struct fixture *fixture, unsigned slot, uint64_t id, struct span bytes,
                      size_t part)
{
    uint8_t payload[MESSAGE_MAX];

    memcpy(payload, &id, 8);
    while (bytes.size > 0) {
        struct span piece = span_first(bytes, part);
        memcpy(payload + 8, piece.data, piece.size);
        send_message(fixture, slot, MESSAGE_EXAMINE_DATA, payload, 8 + piece.size);
        bytes = span_from(bytes, piece.size);
    }
}

static void send_end(struct fixture *fixture, unsigned slot, uint64_t id, uint64_t size)
{
    struct message_examine_end message = {id, size};

    send_message(fixture, slot, MESSAGE_EXAMINE_END, &message, sizeof(message));
}

static void send_cancel(struct fixture *fixture, unsigned slot, uint64_t id)
{
    struct message_examine_end message = {id, 0};

    send_message(fixture, slot, MESSAGE_EXAMINE_CANCEL, &message, sizeof(message));
}

static void send_all(struct fixture *fixture, unsigned slot, uint64_t id, const struct file *file,
                     size_t part)
{
    send_begin(fixture, slot, id);
    send_data(fixture, slot, id, file_span(file), part);
    send_end(fixture, slot, id, file->size);
}

static void await(struct fixture *fixture, unsigned slot, uint64_t id,
                  enum examination_status status, unsigned texts)
{
    struct worker *worker = &fixture->workers[slot];

    assert_true(loop_until(fixture->child.base, &worker->answered, LONG_ENOUGH));
    worker->answered = false;
    assert_int_equal(worker->answer.id, id);
    assert_int_equal(worker->answer.status, status);
    assert_int_equal(worker->answer.texts, texts);
    assert_int_equal(worker->text_count, texts);
    for (unsigned i = 0; i < texts; i++)
        assert_int_equal(worker->text_ids[i], id);
    worker->text_count = 0;
}

static struct file code_file(void)
{
    struct picture code = grey_code(LINK, 4);
    struct file file = grey_png_plain(&code);

    free(code.luminance);
    return file;
}

/* Busy for longer than any test waits for the process to be there. */
static struct file slow_file(void)
{
    struct picture grey = grey_make(2000, 2000, 0);

    for (uint32_t y = 0; y < grey.height; y++)
        for (uint32_t x = 0; x < grey.width; x++) {
            static const uint8_t finder[] = {0, 1, 0, 0, 0, 1, 0, 1};
            bool light = (finder[x / 2 % 8] | finder[y / 2 % 8]) != 0;
            grey.luminance[(size_t)y * grey.width + x] = light ? 255 : 0;
        }
    struct file file = grey_png_plain(&grey);
    free(grey.luminance);
    return file;
}

/* Until its limits are set, which is when it has let go of our descriptors. */
static void await_shut_in(pid_t pid)
{
    struct rlimit limit = {1, 1};

    for (int turn = 0; turn < 5000 && limit.rlim_cur != 0; turn++) {
        assert_int_equal(prlimit(pid, RLIMIT_NPROC, NULL, &limit), 0);
        usleep(1000);
    }
    assert_int_equal(limit.rlim_max, 0);
}

/* The process that works now, once there is one. */
static pid_t find_work(struct fixture *fixture)
{
    char path[64], text[32] = "";

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    for (int turn = 0; turn < 1000; turn++) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        size_t size = fread(text, 1, sizeof(text) - 1, file);
        text[size] = '\0';
        fclose(file);
        if (size > 0) {
            pid_t pid = (pid_t)strtol(text, NULL, 10);
            await_shut_in(pid);
            return pid;
        }
        loop_settle(fixture->child.base);
    }
    fail_msg("no process works");
    return -1;
}

/* --- answers --- */

static void test_code(void **state)
{
    struct fixture *fixture = *state;
    struct file file = code_file();

    send_all(fixture, 0, 7, &file, DATA);
    await(fixture, 0, 7, EXAMINATION_WHOLE, 1);
    assert_string_equal(fixture->workers[0].texts[0], LINK);
    assert_int_equal(fixture->workers[1].answers, 0);
    file_free(&file);
}

/* Both sides together: the worker's own functions, in the pieces that a body comes in. */
struct outcome {
    bool given;
    enum examination_status status;
    char text[128];
    size_t count;
};

static void on_outcome(void *context, enum examination_status status, const struct span *texts,
                       size_t count)
{
    struct outcome *outcome = context;

    outcome->given = true;
    outcome->status = status;
    outcome->count = count;
    if (count > 0)
        snprintf(outcome->text, sizeof(outcome->text), "%.*s", (int)texts[0].size, texts[0].data);
}

static void at_worker(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    (void)link;
    (void)fd;
    assert_int_equal(examinations_receive(context, type, payload, size), 0);
}

static void test_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct examinations *examinations = examinations_new(fixture->child.base);
    struct outcome outcomes[3] = {{.given = false}, {.given = false}, {.given = false}};
    struct file code = code_file(), slow = slow_file();
    const struct file *files[] = {&code, &slow, &code};
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    examiner_operations.peer(&fixture->child, ROLE_WORKER, 2, fds[1]);
    struct link *link =
        link_new(fixture->child.base, fds[0], ROLE_WORKER, ROLE_EXAMINER, at_worker, examinations);
    examinations_set_link(examinations, link);
    for (size_t i = 0; i < COUNT(files); i++) {
        struct examination *examination =
            examination_begin(examinations, EXAMINATION_PICTURE, files[i]->size);
        for (size_t at = 0; at < files[i]->size; at += 1000) {
            struct span part = span_first(span_from(file_span(files[i]), at), 1000);
            assert_true(examination_feed(examination, part.data, part.size));
        }
        examination_end(examination, on_outcome, &outcomes[i]);
    }
    for (size_t i = 0; i < COUNT(files); i++) {
        assert_true(loop_until(fixture->child.base, &outcomes[i].given, LONG_ENOUGH));
        if (files[i] != &code)
            continue;
        assert_int_equal(outcomes[i].status, EXAMINATION_WHOLE);
        assert_int_equal(outcomes[i].count, 1);
        assert_string_equal(outcomes[i].text, LINK);
    }
    assert_int_equal(examinations_count(examinations), 0);
    examinations_set_link(examinations, NULL);
    link_free(link);
    examinations_free(examinations);
    file_free(&code);
    file_free(&slow);
}

/* In pieces of any size, interleaved with another worker's and another of its own. */
static void test_pieces(void **state)
{
    static const size_t parts[] = {1, 7, 100};
    struct fixture *fixture = *state;
    struct file file = code_file();

    for (size_t i = 0; i < COUNT(parts); i++) {
        send_begin(fixture, 0, 1);
        send_begin(fixture, 0, 2);
        send_begin(fixture, 1, 1);
        for (size_t at = 0; at < file.size; at += parts[i]) {
            struct span piece = span_first(span_from(file_span(&file), at), parts[i]);
            send_data(fixture, 0, 1, piece, DATA);
            send_data(fixture, 1, 1, piece, DATA);
        }
        send_end(fixture, 0, 1, file.size);
        send_end(fixture, 1, 1, file.size);
        await(fixture, 0, 1, EXAMINATION_WHOLE, 1);
        await(fixture, 1, 1, EXAMINATION_WHOLE, 1);
        assert_string_equal(fixture->workers[1].texts[0], LINK);
        send_cancel(fixture, 0, 2);
    }
    file_free(&file);
}

/* A code, and noise below it, which is cut off. */
static struct file cut_file(void)
{
    struct picture grey = grey_make(300, 600, 128);

    grey_noise(&grey, 100);
    for (uint32_t y = 0; y < 300; y++)
        memset(grey.luminance + (size_t)y * grey.width, 255, grey.width);
    grey_draw_code(&grey, LINK, 50, 50, 6, 0, 255);
    struct file file = grey_png_plain(&grey);
    free(grey.luminance);
    file.size = file.size / 2;
    return file;
}

static void test_statuses(void **state)
{
    struct fixture *fixture = *state;
    struct picture plain = grey_make(64, 64, 9);
    struct file whole = grey_png_plain(&plain), cut = cut_file();
    struct file text = {(uint8_t *)"<svg/>", 6}, empty = {NULL, 0};

    send_all(fixture, 0, 1, &whole, DATA);
    await(fixture, 0, 1, EXAMINATION_WHOLE, 0);
    whole.size = 20; /* not even its size */
    send_all(fixture, 0, 2, &whole, DATA);
    await(fixture, 0, 2, EXAMINATION_OPAQUE, 0);
    send_all(fixture, 0, 3, &cut, DATA);
    await(fixture, 0, 3, EXAMINATION_PARTIAL, 1);
    send_all(fixture, 0, 4, &text, DATA);
    await(fixture, 0, 4, EXAMINATION_UNKNOWN, 0);
    send_all(fixture, 0, 5, &empty, DATA);
    await(fixture, 0, 5, EXAMINATION_UNKNOWN, 0);
    file_free(&whole);
    file_free(&cut);
    free(plain.luminance);
}

/* A kind that a later worker might ask for. */
static void test_unknown_kind(void **state)
{
    struct fixture *fixture = *state;
    struct message_examine message = {.id = 1, .kind = 77};

    send_message(fixture, 0, MESSAGE_EXAMINE_BEGIN, &message, sizeof(message));
    send_end(fixture, 0, 1, 0);
    await(fixture, 0, 1, EXAMINATION_UNKNOWN, 0);
}

/* The largest pictures fit into the memory that the work has. */
static void test_largest(void **state)
{
    struct fixture *fixture = *state;
    uint32_t side = WORK_IS_SANITIZED ? 1024 : 4096;
    struct picture grey = grey_make(side, side, 200);

    grey_draw_code(&grey, LINK, side / 4, side / 4, side / 256, 0, 255);
    struct file files[] = {grey_png(&grey, PNG_COLOR_TYPE_RGB_ALPHA, 8, true, NULL),
                           grey_jpeg(&grey, JCS_RGB, 30, true), grey_webp(&grey, true, NULL)};

    free(grey.luminance);
    for (size_t i = 0; i < COUNT(files); i++) {
        struct worker *worker = &fixture->workers[0];
        send_all(fixture, 0, i, &files[i], DATA);
        assert_true(loop_until(fixture->child.base, &worker->answered, LONG_ENOUGH));
        worker->answered = false;
        /* On a slow machine its time may be up: what was found until then counts. */
        if (worker->text_count != 1)
            fail_msg("file %zu: %u texts, %s", i, worker->text_count,
                     examination_status_name((enum examination_status)worker->answer.status));
        worker->text_count = 0;
        file_free(&files[i]);
    }
}

/* --- bounds --- */

/* What is too large is opaque, at once and without its bytes being kept; others are not harmed. */
static void test_too_large(void **state)
{
    struct fixture *fixture = *state;
    struct file large = {calloc(1, EXAMINATION_BYTES_MAX + 1), EXAMINATION_BYTES_MAX + 1};
    struct file code = code_file();

    memcpy(large.data, "\x89PNG\r\n\x1a\n", 8);
    send_begin(fixture, 0, 9);
    send_all(fixture, 0, 1, &large, DATA);
    await(fixture, 0, 1, EXAMINATION_OPAQUE, 0);
    send_data(fixture, 0, 9, file_span(&code), DATA);
    send_end(fixture, 0, 9, code.size);
    await(fixture, 0, 9, EXAMINATION_WHOLE, 1);
    file_free(&large);
    file_free(&code);
}

/* A worker's share of bytes is its own: the other's things are opened. */
static void test_share(void **state)
{
    struct fixture *fixture = *state;
    struct file large = {calloc(1, EXAMINATION_BYTES_MAX), EXAMINATION_BYTES_MAX};
    struct file code = code_file();

    for (uint64_t id = 1; id <= 3; id++) {
        send_begin(fixture, 0, id);
        send_data(fixture, 0, id, file_span(&large), DATA);
    }
    send_end(fixture, 0, 3, large.size);
    await(fixture, 0, 3, EXAMINATION_OPAQUE, 0);
    send_all(fixture, 1, 1, &code, DATA);
    await(fixture, 1, 1, EXAMINATION_WHOLE, 1);
    send_cancel(fixture, 0, 1); /* gives room again */
    send_all(fixture, 0, 4, &code, DATA);
    await(fixture, 0, 4, EXAMINATION_WHOLE, 1);
    file_free(&large);
    file_free(&code);
}

static void test_too_many(void **state)
{
    struct fixture *fixture = *state;
    struct file code = code_file();

    for (uint64_t id = 1; id <= EXAMINATIONS_MAX; id++)
        send_begin(fixture, 0, id);
    loop_settle(fixture->child.base);
    assert_int_equal(fixture->workers[0].answers, 0);
    send_begin(fixture, 0, 99);
    await(fixture, 0, 99, EXAMINATION_OPAQUE, 0);
    send_begin(fixture, 0, 5); /* twice the same */
    await(fixture, 0, 5, EXAMINATION_OPAQUE, 0);
    send_cancel(fixture, 0, 1);
    send_all(fixture, 0, 100, &code, DATA);
    await(fixture, 0, 100, EXAMINATION_WHOLE, 1);
    file_free(&code);
}

/* A message got lost: it is not taken for a whole one. */
static void test_lost_data(void **state)
{
    struct fixture *fixture = *state;
    struct file code = code_file();

    send_begin(fixture, 0, 1);
    send_data(fixture, 0, 1, file_span(&code), DATA);
    send_end(fixture, 0, 1, code.size + 1);
    await(fixture, 0, 1, EXAMINATION_OPAQUE, 0);
    file_free(&code);
}

/* For what does not exist, or is over. */
static void test_strange_ids(void **state)
{
    struct fixture *fixture = *state;
    struct file code = code_file();

    send_data(fixture, 0, 5, SPAN("bytes"), DATA);
    send_end(fixture, 0, 5, 5);
    send_cancel(fixture, 0, 5);
    send_all(fixture, 0, 1, &code, DATA);
    send_data(fixture, 0, 1, SPAN("more"), DATA);
    send_end(fixture, 0, 1, code.size);
    await(fixture, 0, 1, EXAMINATION_WHOLE, 1);
    send_cancel(fixture, 0, 1);
    loop_for(fixture->child.base, 20);
    assert_int_equal(fixture->workers[0].answers, 1);
    assert_false(fixture->workers[0].closed);
    file_free(&code);
}

static void test_wrong_message(void **state)
{
    struct fixture *fixture = *state;
    struct file code = code_file();

    send_all(fixture, 0, 1, &code, DATA); /* the work of the one that is sent away ends too */
    packet_send(fixture->workers[0].fd, MESSAGE_SNAPSHOT_END, NULL, 0);
    send_all(fixture, 1, 2, &code, DATA);
    await(fixture, 1, 2, EXAMINATION_WHOLE, 1);
    assert_true(fixture->workers[0].closed);
    file_free(&code);
}

static void test_wrong_peer(void **state)
{
    struct fixture *fixture = *state;
    int fds[2];
    char byte;

    assert_int_equal(link_pair(fds), 0);
    examiner_operations.peer(&fixture->child, ROLE_REGISTRY, 0, fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

/* --- work that goes wrong --- */

/* It crashes: opaque, and the next one is opened as if nothing had been. */
static void test_crash(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file(), code = code_file();

    send_all(fixture, 0, 1, &slow, DATA);
    send_all(fixture, 1, 1, &code, DATA);
    kill(find_work(fixture), SIGABRT);
    await(fixture, 0, 1, EXAMINATION_OPAQUE, 0);
    await(fixture, 1, 1, EXAMINATION_WHOLE, 1);
    file_free(&slow);
    file_free(&code);
}

static void test_hang(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file(), code = code_file();
    int64_t start = clock_monotonic();

    send_all(fixture, 0, 1, &slow, DATA);
    send_all(fixture, 0, 2, &code, DATA);
    kill(find_work(fixture), SIGSTOP);
    await(fixture, 0, 1, EXAMINATION_OPAQUE, 0);
    assert_in_range(clock_monotonic() - start, WORK_TIME * 1000 - 10, WORK_TIME * 1000 + 2500);
    await(fixture, 0, 2, EXAMINATION_WHOLE, 1);
    file_free(&slow);
    file_free(&code);
}

/* Nobody waits for it any more: its process ends, and what waited behind it begins. */
static void test_cancel_work(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file(), code = code_file();

    send_all(fixture, 0, 1, &slow, DATA);
    kill(find_work(fixture), SIGSTOP);
    send_all(fixture, 0, 2, &slow, DATA);
    send_cancel(fixture, 0, 2); /* that one had not begun */
    send_all(fixture, 0, 3, &code, DATA);
    loop_settle(fixture->child.base);
    send_cancel(fixture, 0, 1);
    await(fixture, 0, 3, EXAMINATION_WHOLE, 1);
    assert_int_equal(fixture->workers[0].answers, 1);
    file_free(&slow);
    file_free(&code);
}

/* The worker dies while its things are opened. */
static void test_worker_gone(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file(), code = code_file();

    send_all(fixture, 0, 1, &slow, DATA);
    send_all(fixture, 0, 2, &slow, DATA);
    kill(find_work(fixture), SIGSTOP);
    link_free(fixture->workers[0].link);
    fixture->workers[0].closed = true;
    send_all(fixture, 1, 1, &code, DATA);
    await(fixture, 1, 1, EXAMINATION_WHOLE, 1);
    file_free(&slow);
    file_free(&code);
}

/* Stopping with work under way: tear_down() sees that nothing is left. */
static void test_stop_at_work(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file();

    send_all(fixture, 0, 1, &slow, DATA);
    send_begin(fixture, 1, 1);
    find_work(fixture);
    file_free(&slow);
}

/* The process that works has three standard descriptors and the answer, and may have no more. */
static void test_shut_in(void **state)
{
    struct fixture *fixture = *state;
    struct file slow = slow_file();
    struct rlimit limit;
    char path[64];
    struct stat status;

    send_all(fixture, 0, 1, &slow, DATA);
    pid_t pid = find_work(fixture);
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
    assert_int_equal(limit.rlim_max, 4);
    assert_int_equal(prlimit(pid, RLIMIT_CPU, NULL, &limit), 0);
    assert_int_equal(limit.rlim_max, WORK_TIME);
    for (int fd = 4; fd < 64; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        assert_int_equal(lstat(path, &status), -1);
    }
    snprintf(path, sizeof(path), "/proc/%d/fd/3", (int)pid);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    file_free(&slow);
}

/* --- what a process that was taken over may write --- */

static void put_text(uint8_t **at, uint32_t size, const char *text)
{
    memcpy(*at, &size, 4);
    *at += 4;
    if (text != NULL) {
        memcpy(*at, text, size);
        *at += size;
    }
}

static void test_answers(void **state)
{
    static uint8_t buffer[WORK_ANSWER_MAX + 8192];
    struct span texts[EXAMINATION_TEXTS_MAX];
    uint8_t *at = buffer;
    uint32_t status = EXAMINATION_PARTIAL;
    size_t count;

    (void)state;
    put_text(&at, 3, "abc");
    put_text(&at, 1, "d");
    put_text(&at, UINT32_MAX, NULL);
    memcpy(at, &status, 4);
    size_t size = (size_t)(at - buffer) + 4;
    for (size_t cut = 0; cut <= size + 1; cut++) {
        enum examination_status got =
            work_read_answer((struct span){(char *)buffer, cut}, texts, &count);
        assert_int_equal(got, cut == size ? EXAMINATION_PARTIAL : EXAMINATION_OPAQUE);
        assert_int_equal(count, cut < 7 ? 0 : cut < 12 ? 1 : 2);
        if (count > 1)
            assert_true(span_equal(texts[0], SPAN("abc")) && span_equal(texts[1], SPAN("d")));
    }
    status = EXAMINATION_STATUS_COUNT;
    memcpy(at, &status, 4);
    assert_int_equal(work_read_answer((struct span){(char *)buffer, size}, texts, &count),
                     EXAMINATION_OPAQUE);
    /* a text that is too long, an empty one, and one too many */
    at = buffer;
    put_text(&at, EXAMINATION_TEXT_MAX + 1, NULL);
    assert_int_equal(work_read_answer((struct span){(char *)buffer, sizeof(buffer)}, texts, &count),
                     EXAMINATION_OPAQUE);
    assert_int_equal(count, 0);
    at = buffer;
    put_text(&at, 0, NULL);
    assert_int_equal(work_read_answer((struct span){(char *)buffer, 64}, texts, &count),
                     EXAMINATION_OPAQUE);
    assert_int_equal(count, 0);
    at = buffer;
    for (int i = 0; i <= EXAMINATION_TEXTS_MAX; i++)
        put_text(&at, 2, "xy");
    assert_int_equal(
        work_read_answer((struct span){(char *)buffer, (size_t)(at - buffer)}, texts, &count),
        EXAMINATION_OPAQUE);
    assert_int_equal(count, EXAMINATION_TEXTS_MAX);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static int load(void **state)
{
    char error[256];

    (void)state;
    return qrcode_prepare(error, sizeof(error)) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_code),         WITH_FIXTURE(test_both_sides),
        WITH_FIXTURE(test_pieces),       WITH_FIXTURE(test_statuses),
        WITH_FIXTURE(test_unknown_kind), WITH_FIXTURE(test_largest),
        WITH_FIXTURE(test_too_large),    WITH_FIXTURE(test_share),
        WITH_FIXTURE(test_too_many),     WITH_FIXTURE(test_lost_data),
        WITH_FIXTURE(test_strange_ids),  WITH_FIXTURE(test_wrong_message),
        WITH_FIXTURE(test_wrong_peer),   WITH_FIXTURE(test_crash),
        WITH_FIXTURE(test_hang),         WITH_FIXTURE(test_cancel_work),
        WITH_FIXTURE(test_worker_gone),  WITH_FIXTURE(test_stop_at_work),
        WITH_FIXTURE(test_shut_in),      cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, load, NULL);
}
