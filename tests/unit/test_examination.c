/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's side of the examiner, before an examiner of the test that answers as it should,
 * late, wrongly or not at all.
 */
#include "tests/unit/loop.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/examination.h"

/* The examiner's end: all that came, by kind of message. */
struct examiner {
    struct link *link;
    bool closed;
    struct message_examine begun;
    struct message_examine_end ended, cancelled;
    unsigned begins, ends, cancels;
    uint64_t data_id;
    uint8_t *bytes;
    size_t size;
};

struct answer {
    bool given;
    unsigned calls;
    enum examination_status status;
    char texts[EXAMINATION_TEXTS_MAX][64];
    size_t sizes[EXAMINATION_TEXTS_MAX];
    size_t count;
};

struct fixture {
    struct event_base *base;
    struct examinations *examinations;
    struct link *link;
    struct examiner examiner;
    int received; /* what examinations_receive() said of the last message */
};

static void at_examiner(void *context, struct link *link, enum message_type type,
                        const void *payload, size_t size, int fd)
{
    struct examiner *examiner = context;

    (void)link;
    assert_int_equal(fd, -1);
    switch (type) {
    case MESSAGE_NONE:
        examiner->closed = true;
        examiner->link = NULL;
        break;
    case MESSAGE_EXAMINE_BEGIN:
        memcpy(&examiner->begun, payload, sizeof(examiner->begun));
        examiner->begins++;
        break;
    case MESSAGE_EXAMINE_DATA:
        memcpy(&examiner->data_id, payload, 8);
        examiner->bytes = realloc(examiner->bytes, examiner->size + size - 8);
        memcpy(examiner->bytes + examiner->size, (const uint8_t *)payload + 8, size - 8);
        examiner->size += size - 8;
        break;
    case MESSAGE_EXAMINE_END:
        memcpy(&examiner->ended, payload, sizeof(examiner->ended));
        examiner->ends++;
        break;
    default:
        assert_int_equal(type, MESSAGE_EXAMINE_CANCEL);
        memcpy(&examiner->cancelled, payload, sizeof(examiner->cancelled));
        examiner->cancels++;
    }
}

static void at_worker(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct fixture *fixture = context;

    (void)link;
    assert_int_equal(fd, -1);
    if (type == MESSAGE_NONE) {
        examinations_set_link(fixture->examinations, NULL);
        fixture->link = NULL;
    } else {
        fixture->received = examinations_receive(fixture->examinations, type, payload, size);
    }
}

static void connect_examiner(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->link = link_new(fixture->base, fds[0], ROLE_WORKER, ROLE_EXAMINER, at_worker, fixture);
    fixture->examiner.closed = false;
    fixture->examiner.link = link_new(fixture->base, fds[1], ROLE_EXAMINER, ROLE_WORKER,
                                      at_examiner, &fixture->examiner);
    examinations_set_link(fixture->examinations, fixture->link);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    fixture->base = event_base_new();
    fixture->examinations = examinations_new(fixture->base);
    connect_examiner(fixture);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    examinations_set_link(fixture->examinations, NULL);
    examinations_free(fixture->examinations);
    link_free(fixture->link);
    link_free(fixture->examiner.link);
    free(fixture->examiner.bytes);
    event_base_free(fixture->base);
    free(fixture);
    return 0;
}

static void on_answer(void *context, enum examination_status status, const struct span *texts,
                      size_t count)
{
    struct answer *answer = context;

    answer->given = true;
    answer->calls++;
    answer->status = status;
    answer->count = count;
    for (size_t i = 0; i < count; i++) {
        assert_true(texts[i].size < sizeof(answer->texts[i]));
        memcpy(answer->texts[i], texts[i].data, texts[i].size);
        answer->sizes[i] = texts[i].size;
    }
}

static struct examination *begin(struct fixture *fixture)
{
    struct examination *examination =
        examination_begin(fixture->examinations, EXAMINATION_PICTURE, 0);

    assert_non_null(examination);
    loop_settle(fixture->base);
    return examination;
}

static void say_text(struct fixture *fixture, uint64_t id, const char *text)
{
    uint8_t payload[MESSAGE_MAX];

    memcpy(payload, &id, 8);
    memcpy(payload + 8, text, strlen(text));
    assert_int_equal(
        link_send(fixture->examiner.link, MESSAGE_EXAMINED_TEXT, payload, 8 + strlen(text), -1), 0);
}

static void say_status(struct fixture *fixture, uint64_t id, uint32_t status, uint32_t texts)
{
    struct message_examined message = {id, status, texts};

    assert_int_equal(
        link_send(fixture->examiner.link, MESSAGE_EXAMINED, &message, sizeof(message), -1), 0);
    loop_settle(fixture->base);
}

static void await(struct fixture *fixture, struct answer *answer, enum examination_status status)
{
    assert_true(loop_until(fixture->base, &answer->given, LONG_ENOUGH));
    assert_int_equal(answer->calls, 1);
    assert_int_equal(answer->status, status);
}

static void assert_idle(const struct fixture *fixture)
{
    assert_int_equal(examinations_count(fixture->examinations), 0);
    assert_int_equal(examinations_bytes(fixture->examinations), 0);
}

static void test_answer(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};

    assert_int_equal(fixture->examiner.begun.kind, EXAMINATION_PICTURE);
    assert_true(examination_feed(examination, "abc", 3));
    assert_true(examination_feed(examination, NULL, 0));
    assert_true(examination_feed(examination, "def", 3));
    examination_end(examination, on_answer, &answer);
    loop_settle(fixture->base);
    uint64_t id = fixture->examiner.begun.id;
    assert_int_equal(fixture->examiner.data_id, id);
    assert_int_equal(fixture->examiner.size, 6);
    assert_memory_equal(fixture->examiner.bytes, "abcdef", 6);
    assert_int_equal(fixture->examiner.ended.id, id);
    assert_int_equal(fixture->examiner.ended.size, 6);
    assert_int_equal(examinations_count(fixture->examinations), 1);
    assert_int_equal(examinations_bytes(fixture->examinations), 6);
    say_text(fixture, id, "https://a.example/");
    say_text(fixture, id, "b");
    assert_false(answer.given);
    say_status(fixture, id, EXAMINATION_PARTIAL, 2);
    await(fixture, &answer, EXAMINATION_PARTIAL);
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.texts[0], "https://a.example/");
    assert_int_equal(answer.sizes[1], 1);
    assert_idle(fixture);
    assert_int_equal(fixture->examiner.cancels, 0);
}

/* What is larger than a message goes in several. */
static void test_long(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};
    uint8_t *bytes = malloc(1000003);

    for (size_t i = 0; i < 1000003; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    assert_true(examination_feed(examination, bytes, 1000003));
    examination_end(examination, on_answer, &answer);
    for (int i = 0; i < 100 && fixture->examiner.ends == 0; i++)
        loop_settle(fixture->base);
    assert_int_equal(fixture->examiner.size, 1000003);
    assert_memory_equal(fixture->examiner.bytes, bytes, 1000003);
    free(bytes);
    say_status(fixture, fixture->examiner.begun.id, EXAMINATION_WHOLE, 0);
    await(fixture, &answer, EXAMINATION_WHOLE);
}

static void test_time_out(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};
    int64_t start = clock_monotonic();

    examination_end(examination, on_answer, &answer);
    loop_settle(fixture->base);
    uint64_t id = fixture->examiner.ended.id;
    say_text(fixture, id, "found so far");
    await(fixture, &answer, EXAMINATION_OPAQUE);
    assert_true(clock_monotonic() - start >= EXAMINATION_TIMEOUT - 10);
    assert_int_equal(answer.count, 1); /* it counts all the same */
    loop_settle(fixture->base);
    assert_int_equal(fixture->examiner.cancels, 1); /* nobody waits for it any more */
    assert_int_equal(fixture->examiner.cancelled.id, id);
    assert_idle(fixture);
    say_status(fixture, id, EXAMINATION_WHOLE, 1); /* too late */
    assert_int_equal(fixture->received, 0);
    assert_int_equal(answer.calls, 1);
}

static void test_link_lost(void **state)
{
    struct fixture *fixture = *state;
    struct examination *feeding = begin(fixture), *ended = begin(fixture);
    struct answer answers[2] = {{.given = false}, {.given = false}};

    examination_end(ended, on_answer, &answers[0]);
    assert_true(examination_feed(feeding, "abc", 3));
    link_free(fixture->examiner.link);
    fixture->examiner.link = NULL;
    await(fixture, &answers[0], EXAMINATION_OPAQUE);
    assert_null(fixture->link);
    assert_false(examination_feed(feeding, "def", 3));
    examination_end(feeding, on_answer, &answers[1]);
    assert_false(answers[1].given); /* never before it has returned */
    await(fixture, &answers[1], EXAMINATION_OPAQUE);
    assert_idle(fixture);
    assert_null(examination_begin(fixture->examinations, EXAMINATION_PICTURE, 0));
}

/* Another examiner: what was under way is opaque, and it hears nothing of it. */
static void test_new_link(void **state)
{
    struct fixture *fixture = *state;
    struct examination *feeding = begin(fixture), *ended = begin(fixture);
    struct answer answers[3] = {{.given = false}, {.given = false}, {.given = false}};
    struct link *old = fixture->link;

    examination_feed(feeding, "abc", 3);
    examination_end(ended, on_answer, &answers[0]);
    loop_settle(fixture->base);
    link_free(fixture->examiner.link);
    fixture->examiner.begins = 0;
    fixture->examiner.ends = 0;
    connect_examiner(fixture);
    link_free(old);
    assert_false(answers[0].given);
    assert_false(examination_feed(feeding, "def", 3));
    examination_end(feeding, on_answer, &answers[1]);
    await(fixture, &answers[0], EXAMINATION_OPAQUE);
    await(fixture, &answers[1], EXAMINATION_OPAQUE);
    struct examination *fresh = begin(fixture);
    examination_end(fresh, on_answer, &answers[2]);
    loop_settle(fixture->base);
    assert_int_equal(fixture->examiner.begins, 1);
    assert_int_equal(fixture->examiner.ends, 1);
    assert_int_equal(fixture->examiner.cancels, 0);
    say_status(fixture, fixture->examiner.ended.id, EXAMINATION_UNKNOWN, 0);
    await(fixture, &answers[2], EXAMINATION_UNKNOWN);
}

static void test_cancel(void **state)
{
    struct fixture *fixture = *state;
    struct examination *feeding = begin(fixture), *ended = begin(fixture);
    struct answer answer = {.given = false};
    uint64_t id = fixture->examiner.begun.id;

    examination_feed(feeding, "abc", 3);
    examination_end(ended, on_answer, &answer);
    examination_cancel(ended);
    examination_cancel(feeding);
    examination_cancel(NULL);
    assert_idle(fixture);
    loop_settle(fixture->base);
    assert_int_equal(fixture->examiner.cancels, 2);
    say_text(fixture, id, "too late");
    say_status(fixture, id, EXAMINATION_WHOLE, 1);
    assert_int_equal(fixture->received, 0);
    assert_int_equal(answer.calls, 0);
}

/* After it became opaque and before that was told. */
static void test_cancel_failed(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};

    examination_end(examination, on_answer, &answer);
    examinations_set_link(fixture->examinations, NULL);
    examination_cancel(examination);
    loop_for(fixture->base, 20);
    assert_int_equal(answer.calls, 0);
    assert_idle(fixture);
}

static void test_too_many(void **state)
{
    struct fixture *fixture = *state;
    struct examination *all[EXAMINATIONS_MAX];

    for (size_t i = 0; i < EXAMINATIONS_MAX; i++)
        all[i] = begin(fixture);
    assert_null(examination_begin(fixture->examinations, EXAMINATION_PICTURE, 0));
    examination_cancel(all[3]);
    all[3] = begin(fixture);
    for (size_t i = 0; i < EXAMINATIONS_MAX; i++)
        examination_cancel(all[i]);
    assert_idle(fixture);
}

static void feed_zeros(struct fixture *fixture, struct examination *examination, size_t size)
{
    static const uint8_t zeros[65536];

    for (; size > 0; size -= size < sizeof(zeros) ? size : sizeof(zeros)) {
        assert_true(
            examination_feed(examination, zeros, size < sizeof(zeros) ? size : sizeof(zeros)));
        loop_settle(fixture->base);
    }
}

static void test_too_large(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {.given = false};

    assert_null(
        examination_begin(fixture->examinations, EXAMINATION_PICTURE, EXAMINATION_BYTES_MAX + 1));
    struct examination *examination =
        examination_begin(fixture->examinations, EXAMINATION_PICTURE, EXAMINATION_BYTES_MAX);
    feed_zeros(fixture, examination, EXAMINATION_BYTES_MAX);
    assert_false(examination_feed(examination, "x", 1));
    assert_false(examination_feed(examination, NULL, 0));
    examination_end(examination, on_answer, &answer);
    await(fixture, &answer, EXAMINATION_OPAQUE);
    loop_settle(fixture->base);
    assert_int_equal(fixture->examiner.ends, 0);
    assert_int_equal(fixture->examiner.cancels, 1);
    assert_idle(fixture);
}

/* All together have a bound, which what is over gives free again. */
static void test_all_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct examination *first = begin(fixture), *second = begin(fixture), *third = begin(fixture);

    feed_zeros(fixture, first, EXAMINATION_BYTES_MAX);
    feed_zeros(fixture, second, EXAMINATIONS_BYTES - EXAMINATION_BYTES_MAX - 10);
    assert_null(examination_begin(fixture->examinations, EXAMINATION_PICTURE, 11));
    feed_zeros(fixture, third, 10);
    assert_false(examination_feed(third, "x", 1));
    examination_cancel(second);
    second = begin(fixture);
    assert_true(examination_feed(second, "x", 1));
    examination_cancel(first);
    examination_cancel(second);
    examination_cancel(third);
    assert_idle(fixture);
}

/* An examiner that does not read: opaque, and what it cannot be told now it is told later. */
static void test_full_link(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};
    uint64_t id = fixture->examiner.begun.id;
    static const uint8_t zeros[65536];

    while (examination_feed(examination, zeros, sizeof(zeros)))
        ; /* the loop does not run, so nobody takes it */
    examination_end(examination, on_answer, &answer);
    assert_int_equal(fixture->examiner.ends, 0);
    /* Fill what is left of the queue, so that not even a cancellation has room. */
    struct message_examine_end filler = {0, 0};
    while (link_send(fixture->link, MESSAGE_EXAMINE_CANCEL, &filler, sizeof(filler), -1) == 0)
        ;
    examination_cancel(examination);
    assert_int_equal(examinations_count(fixture->examinations), 1);
    for (int i = 0; i < 500 && fixture->examiner.cancelled.id != id; i++)
        loop_for(fixture->base, 10);
    assert_int_equal(fixture->examiner.cancelled.id, id);
    assert_int_equal(answer.calls, 0);
    assert_idle(fixture);
}

/* --- an examiner that was taken over --- */

static void test_nonsense(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};
    uint8_t payload[MESSAGE_MAX] = {0};
    uint64_t id = fixture->examiner.begun.id;

    examination_end(examination, on_answer, &answer);
    memcpy(payload, &id, 8);
    /* another type, a text that is too long, a status that is none, one text too many */
    assert_int_equal(examinations_receive(fixture->examinations, MESSAGE_RELEASE, payload, 16), -1);
    assert_int_equal(examinations_receive(fixture->examinations, MESSAGE_EXAMINED_TEXT, payload,
                                          8 + EXAMINATION_TEXT_MAX + 1),
                     -1);
    assert_int_equal(examinations_receive(fixture->examinations, MESSAGE_EXAMINED_TEXT, payload, 8),
                     -1);
    struct message_examined message = {id, EXAMINATION_STATUS_COUNT, 0};
    assert_int_equal(
        examinations_receive(fixture->examinations, MESSAGE_EXAMINED, &message, sizeof(message)),
        -1);
    for (int i = 0; i <= EXAMINATION_TEXTS_MAX; i++)
        assert_int_equal(
            examinations_receive(fixture->examinations, MESSAGE_EXAMINED_TEXT, payload, 10),
            i < EXAMINATION_TEXTS_MAX ? 0 : -1);
    assert_false(answer.given);
    say_status(fixture, id, EXAMINATION_WHOLE, EXAMINATION_TEXTS_MAX - 1);
    await(fixture, &answer, EXAMINATION_OPAQUE); /* not as many as it says */
    assert_int_equal(answer.count, EXAMINATION_TEXTS_MAX);
}

/* An answer before the end is no answer, unless it is that nothing will come of it. */
static void test_early(void **state)
{
    struct fixture *fixture = *state;
    struct examination *examination = begin(fixture);
    struct answer answer = {.given = false};
    uint64_t id = fixture->examiner.begun.id;

    say_text(fixture, id, "early");
    say_status(fixture, id, EXAMINATION_WHOLE, 1);
    assert_false(examination_feed(examination, "abc", 3));
    examination_end(examination, on_answer, &answer);
    await(fixture, &answer, EXAMINATION_OPAQUE);
    assert_int_equal(answer.count, 0);
    assert_int_equal(fixture->examiner.cancels, 0); /* it has nothing of it */
    assert_idle(fixture);
}

/* --- what a callback may do --- */

struct chain {
    struct fixture *fixture;
    struct examination *other, *next;
    bool given;
};

static void on_chain(void *context, enum examination_status status, const struct span *texts,
                     size_t count)
{
    struct chain *chain = context;

    (void)status;
    examination_cancel(chain->other);
    chain->next = examination_begin(chain->fixture->examinations, EXAMINATION_PICTURE, 0);
    assert_int_equal(count, 1);
    assert_true(span_equal(texts[0], SPAN("text"))); /* still there */
    chain->given = true;
}

static void test_from_callback(void **state)
{
    struct fixture *fixture = *state;
    struct examination *first = begin(fixture);
    uint64_t id = fixture->examiner.begun.id;
    struct chain chain = {.fixture = fixture, .other = begin(fixture)};
    struct answer answer = {.given = false};

    examination_end(first, on_chain, &chain);
    examination_end(chain.other, on_answer, &answer);
    loop_settle(fixture->base);
    say_text(fixture, id, "text");
    say_status(fixture, id, EXAMINATION_WHOLE, 1);
    assert_true(chain.given);
    assert_non_null(chain.next);
    assert_int_equal(examinations_count(fixture->examinations), 1);
    examination_cancel(chain.next);
    loop_for(fixture->base, 20);
    assert_int_equal(answer.calls, 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(examination_kind_name(EXAMINATION_PICTURE), "picture");
    assert_string_equal(examination_kind_name(EXAMINATION_KIND_COUNT), "?");
    assert_string_equal(examination_status_name(EXAMINATION_OPAQUE), "opaque");
    assert_string_equal(examination_status_name(EXAMINATION_STATUS_COUNT), "?");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_answer),        WITH_FIXTURE(test_long),
        WITH_FIXTURE(test_time_out),      WITH_FIXTURE(test_link_lost),
        WITH_FIXTURE(test_new_link),      WITH_FIXTURE(test_cancel),
        WITH_FIXTURE(test_cancel_failed), WITH_FIXTURE(test_too_many),
        WITH_FIXTURE(test_too_large),     WITH_FIXTURE(test_all_bytes),
        WITH_FIXTURE(test_full_link),     WITH_FIXTURE(test_nonsense),
        WITH_FIXTURE(test_early),         WITH_FIXTURE(test_from_callback),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
