/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the rows of tests/conformance/http2.md against the HTTP/2 adapter: what a client sends is
 * written as the row says, and what comes back is compared. How a row reads is said there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/http2_fixture.h"

#define TABLE     "tests/conformance/http2.md"
#define AUTHORITY "example.jp"
#define ANSWER    "12345678" /* the body of every response */
#define LEAST     140        /* rows that the table must have */

/* --- from words to bytes --- */

struct words {
    char *rest;
};

static char *next_word(struct words *words, const char *separators)
{
    char *word;
    do
        word = strsep(&words->rest, separators);
    while (word && *word == '\0');
    return word;
}

static void add_number(struct evbuffer *out, size_t size, unsigned long number)
{
    for (size_t i = size; i-- > 0;) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        evbuffer_add(out, &byte, 1);
    }
}

static void add_hex(struct evbuffer *out, const char *text)
{
    for (; *text; text += 2) {
        char digits[] = {text[0], text[1], '\0'}, *end;
        add_number(out, 1, strtoul(digits, &end, 16));
        assert_true(end == digits + 2);
    }
}

static void add_field(struct evbuffer *out, const char *word)
{
    size_t name = strcspn(word, "=");
    const char *value = word + name + 1;
    if (word[name] != '=')
        fail_msg("what is \"%s\"?", word);
    if (strcmp(value, "@") == 0)
        value = AUTHORITY;
    hpack_add(out, word, name, value, strlen(value), false);
}

static void add_payload(struct evbuffer *out, const char *word)
{
    static const char *const METHODS[][2] = {{"get", "GET"}, {"post", "POST"}, {"head", "HEAD"}};
    unsigned id;
    unsigned long number;
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
        if (strcmp(word, METHODS[i][0]) != 0)
            continue;
        hpack_add(out, ":method", 7, METHODS[i][1], strlen(METHODS[i][1]), false);
        add_field(out, ":scheme=https");
        add_field(out, ":path=/");
        add_field(out, ":authority=@");
        return;
    }
    if (sscanf(word, "u32:%lu", &number) == 1) {
        add_number(out, 4, number);
    } else if (sscanf(word, "set:%u=%lu", &id, &number) == 2) {
        add_number(out, 2, id);
        add_number(out, 4, number);
    } else if (sscanf(word, "*%lu", &number) == 1) {
        while (number-- > 0)
            add_number(out, 1, 0);
    } else if (word[0] == 'x' && word[1] != '-') {
        add_hex(out, word + 1);
    } else {
        add_field(out, word);
    }
}

static int number_of(const char *word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(word, names[i]) == 0)
            return (int)i;
    if (word[0] != 'x')
        fail_msg("what is \"%s\"?", word);
    return (int)strtoul(word + 1, NULL, 16);
}

static const char *const TYPES[] = {"DATA",          "HEADERS",      "PRIORITY", "RST_STREAM",
                                    "SETTINGS",      "PUSH_PROMISE", "PING",     "GOAWAY",
                                    "WINDOW_UPDATE", "CONTINUATION"};
static const char *const FLAGS[] = {
    "", [1] = "end", [2] = "ack", [4] = "part", [8] = "padded", [0x20] = "priority"};

static void add_frame(struct evbuffer *out, char *text)
{
    struct words words = {text}, name = {next_word(&words, " ")};
    struct evbuffer *payload = evbuffer_new();
    const char *word = next_word(&name, ".");
    if (strcmp(word, "raw") == 0) {
        while ((word = next_word(&words, " ")))
            add_payload(out, word);
        evbuffer_free(payload);
        return;
    }
    int type = number_of(word, TYPES, sizeof(TYPES) / sizeof(TYPES[0]));
    int flags = type == HEADERS || type == CONTINUATION || type == PUSH_PROMISE ? END_HEADERS : 0;
    while ((word = next_word(&name, "."))) {
        int flag = number_of(word, FLAGS, sizeof(FLAGS) / sizeof(FLAGS[0]));
        flags = flag == 4 ? flags & ~END_HEADERS : flags | (flag == 2 ? ACK : flag);
    }
    uint32_t id = (uint32_t)strtoul(next_word(&words, " "), NULL, 10);
    while ((word = next_word(&words, " ")))
        add_payload(payload, word);
    size_t size = evbuffer_get_length(payload);
    frame_add(out, type, flags, id, evbuffer_pullup(payload, -1), size);
    evbuffer_free(payload);
}

/* --- the server --- */

/* Answers every request that is whole. */
static void serve(void *context, const struct http2_event *event)
{
    struct http2_head head = {.status = 200};
    (void)context;
    switch (event->kind) {
    case HTTP2_BODY:
        http2_consume_body(event->stream, event->data.size);
        break;
    case HTTP2_END:
        http2_send_response(event->stream, &head);
        http2_send_body(event->stream, SPAN(ANSWER));
        http2_send_end(event->stream);
        break;
    case HTTP2_CLOSED:
    case HTTP2_RESET:
        http2_release_stream(event->stream, HTTP2_NO_ERROR);
        break;
    default:
        break;
    }
}

static struct http2 *server_new(void)
{
    struct http2_options options = HTTP2_DEFAULTS;
    options.handler = serve;
    return http2_new_server(&options);
}

/* Gives it the bytes, `step` at a time (0: all at once), and takes what it says. */
static void exchange(struct http2 *server, struct evbuffer *bytes, size_t step,
                     struct evbuffer *out)
{
    feed(server, bytes, step, step);
    evbuffer_drain(bytes, evbuffer_get_length(bytes));
    http2_pull(server, out, 1 << 20);
}

static struct evbuffer *talk(const char *sends, size_t step, bool *over)
{
    struct http2 *server = server_new();
    struct evbuffer *bytes = evbuffer_new(), *out = evbuffer_new();
    char *text = strdup(sends), *frame;
    struct words frames = {text};
    http2_pull(server, out, 1 << 20);
    if (strncmp(text, "raw", 3) != 0) {
        evbuffer_add(bytes, PREFACE, strlen(PREFACE));
        frame_add(bytes, SETTINGS, 0, 0, NULL, 0);
        frame_add(bytes, SETTINGS, ACK, 0, NULL, 0);
    }
    while ((frame = next_word(&frames, ";"))) {
        if (strcmp(frame + strspn(frame, " "), "wait") == 0)
            exchange(server, bytes, step, out);
        else
            add_frame(bytes, frame);
    }
    exchange(server, bytes, step, out);
    *over = http2_is_over(server);
    http2_free(server);
    evbuffer_free(bytes);
    free(text);
    return out;
}

/* --- what came back --- */

struct seen {
    unsigned first; /* type and flags of the first frame */
    unsigned settings_acks, pings, errors;
    unsigned answer;                 /* the stream of the last response, */
    unsigned data_stream, data_size; /* and of the first body */
    unsigned reset_stream, reset_code;
    unsigned goaway_code;
    bool reset, goaway;
};

static struct seen look(struct evbuffer *out)
{
    struct seen seen = {0};
    struct frame frame;
    for (bool first = true; frame_take(out, &frame); first = false) {
        if (first)
            seen.first = (unsigned)(frame.type << 8 | frame.flags);
        switch (frame.type) {
        case SETTINGS:
            seen.settings_acks += frame.flags & ACK;
            break;
        case PING:
            seen.pings += frame.flags & ACK;
            break;
        case HEADERS:
            seen.answer = frame.id;
            break;
        case DATA:
            if (!seen.data_stream)
                seen.data_size = (unsigned)frame.size;
            seen.data_stream = frame.id;
            break;
        case RST_STREAM:
            seen.reset = true;
            seen.reset_stream = frame.id;
            seen.reset_code = frame_number(&frame, 0);
            break;
        case GOAWAY:
            seen.goaway = seen.goaway || frame_number(&frame, 4) != HTTP2_NO_ERROR;
            seen.goaway_code = frame_number(&frame, 4);
            break;
        default:
            break;
        }
    }
    return seen;
}

static bool fits(const struct seen *seen, bool over, const char *gets)
{
    unsigned a, b;
    if (sscanf(gets, "GOAWAY %u", &a) == 1)
        return seen->goaway && seen->goaway_code == a && over;
    if (seen->goaway)
        return false;
    if (sscanf(gets, "RST %u %u", &a, &b) == 2)
        return seen->reset && seen->reset_stream == a && seen->reset_code == b;
    if (seen->reset)
        return false;
    if (strcmp(gets, "end") == 0)
        return over;
    if (strcmp(gets, "first settings") == 0)
        return seen->first == SETTINGS << 8;
    if (strcmp(gets, "settings") == 0)
        return seen->settings_acks == 2; /* of the one that all begin with, and of this */
    if (strcmp(gets, "ping") == 0)
        return seen->pings == 1;
    if (sscanf(gets, "answer %u", &a) == 1)
        return seen->answer == a;
    if (sscanf(gets, "data %u %u", &a, &b) == 2)
        return seen->data_stream == a && seen->data_size == b;
    fail_msg("what is \"%s\"?", gets);
    return false;
}

static unsigned run_row(const char *name, const char *sends, const char *gets)
{
    unsigned failed = 0;
    for (size_t step = 0; step < 2; step++) {
        bool over;
        struct evbuffer *out = talk(sends, step, &over);
        struct seen seen = look(out);
        evbuffer_free(out);
        if (fits(&seen, over, gets))
            continue;
        failed++;
        print_error("%s, step %zu: %s: expected %s, saw answer %u, data %u of %u, ping %u, "
                    "settings %u, RST %d %u %u, GOAWAY %d %u, over %d\n",
                    name, step, sends, gets, seen.answer, seen.data_size, seen.data_stream,
                    seen.pings, seen.settings_acks, seen.reset, seen.reset_stream, seen.reset_code,
                    seen.goaway, seen.goaway_code, over);
    }
    return failed;
}

/* --- the table --- */

static FILE *table_open(void)
{
    const char *source = getenv("SEKISHO_SOURCE");
    char path[4096];
    snprintf(path, sizeof(path), "%s/" TABLE, source ? source : ".");
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: run from the top of the sources, or with SEKISHO_SOURCE", path);
    return file;
}

/* The text between the backticks of a cell; NULL when it has none. */
static char *code_of(char *cell)
{
    char *begin = strchr(cell, '`'), *end = begin ? strchr(begin + 1, '`') : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    return begin + 1;
}

static bool is_row(const char *line)
{
    return strncmp(line, "| generic", 9) == 0 || strncmp(line, "| http2", 7) == 0 ||
           strncmp(line, "| hpack", 7) == 0;
}

static void test_table(void **state)
{
    (void)state;
    FILE *file = table_open();
    char *line = NULL;
    size_t capacity = 0;
    unsigned rows = 0, failed = 0;
    while (getline(&line, &capacity, file) > 0) {
        if (!is_row(line))
            continue;
        struct words cells = {line};
        const char *name = next_word(&cells, "|");
        next_word(&cells, "|");
        char *sends = code_of(next_word(&cells, "|")), *gets = code_of(next_word(&cells, "|"));
        rows++;
        if (sends && gets)
            failed += run_row(name, sends, gets);
    }
    free(line);
    fclose(file);
    assert_in_range(rows, LEAST, 1000);
    assert_int_equal(failed, 0);
}

/* RFC 9113 section 6.9.2: what was sent is not forgotten when the window shrinks. */
static void test_negative_window(void **state)
{
    (void)state;
    struct http2 *server = server_new();
    struct evbuffer *bytes = bytes_new(true), *out = evbuffer_new();
    frame_add(bytes, SETTINGS, 0, 0, "\0\x04\0\0\0\x03", 6);
    headers_add(bytes, END_HEADERS | END_STREAM, 1, GET);
    exchange(server, bytes, 0, out);
    assert_int_equal(look(out).data_size, 3);
    frame_add(bytes, SETTINGS, 0, 0, "\0\x04\0\0\0\x02", 6); /* now it is -1 */
    exchange(server, bytes, 0, out);
    assert_int_equal(look(out).data_stream, 0);
    frame_add_number(bytes, WINDOW_UPDATE, 1, 2);
    exchange(server, bytes, 0, out);
    assert_int_equal(look(out).data_size, 1);
    evbuffer_free(bytes);
    evbuffer_free(out);
    http2_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_negative_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
