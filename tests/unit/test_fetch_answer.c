/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to a fetch: what is taken as a file, in one piece and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/fetch_answer.h"

#define LIMIT 20

/* What is read of an answer that comes in pieces of so many bytes; after it the peer closes. */
static enum fetch_fault read_all(const char *text, size_t piece, char *file, size_t room)
{
    struct fetch_answer *answer = fetch_answer_new(LIMIT, 1024);
    struct span rest = span_of(text);
    enum fetch_event event = FETCH_MORE;
    size_t size = 0;

    while (event == FETCH_MORE && rest.size > 0) {
        struct span bytes = span_first(rest, piece), data;
        rest = span_from(rest, bytes.size);
        while ((event = fetch_answer_feed(answer, &bytes, &data)) == FETCH_BYTES) {
            assert_true(size + data.size < room);
            memcpy(file + size, data.data, data.size);
            size += data.size;
        }
    }
    if (event == FETCH_MORE)
        event = fetch_answer_close(answer);
    file[size] = '\0';
    enum fetch_fault fault = fetch_answer_fault(answer);
    assert_int_equal(event, fault == FETCH_FAULT_NONE ? FETCH_WHOLE : FETCH_FAILED);
    assert_int_equal(fetch_answer_close(answer), event); /* it stays so */
    fetch_answer_free(answer);
    return fault;
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_answers(void **state)
{
    static const struct {
        const char *text;
        enum fetch_fault fault;
        const char *file;
    } rows[] = {
        {OK "Content-Length: 5\r\n\r\nabcde", FETCH_FAULT_NONE, "abcde"},
        {OK "Content-Length: 5\r\n\r\nabcdefgh", FETCH_FAULT_NONE, "abcde"},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", FETCH_FAULT_NONE,
         "abcde"},
        {OK "\r\nuntil the end", FETCH_FAULT_NONE, "until the end"},
        {"HTTP/1.0 200 OK\r\n\r\nold", FETCH_FAULT_NONE, "old"},
        {"HTTP/1.1 103 Early Hints\r\n\r\n" OK "Content-Length: 1\r\n\r\na", FETCH_FAULT_NONE, "a"},
        {OK "Content-Length: 20\r\n\r\n01234567890123456789", FETCH_FAULT_NONE,
         "01234567890123456789"},
        {OK "Content-Encoding: identity\r\nContent-Length: 1\r\n\r\na", FETCH_FAULT_NONE, "a"},
        {OK "Content-Length: 21\r\n\r\n", FETCH_FAULT_TOO_LARGE, NULL},
        {OK "Content-Length: 99999999999999999999\r\n\r\n", FETCH_FAULT_ANSWER, NULL},
        {OK "\r\n012345678901234567890", FETCH_FAULT_TOO_LARGE, NULL},
        {OK "Transfer-Encoding: chunked\r\n\r\n15\r\n012345678901234567890\r\n0\r\n\r\n",
         FETCH_FAULT_TOO_LARGE, NULL},
        {OK "Content-Length: 5\r\n\r\nabcd", FETCH_FAULT_BROKEN_OFF, NULL},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", FETCH_FAULT_BROKEN_OFF, NULL},
        {OK "Content-Le", FETCH_FAULT_BROKEN_OFF, NULL},
        {"", FETCH_FAULT_BROKEN_OFF, NULL},
        {"HTTP/1.1 100 Continue\r\n\r\n", FETCH_FAULT_BROKEN_OFF, NULL},
        {OK "Content-Length: 0\r\n\r\n", FETCH_FAULT_ANSWER, NULL},
        {OK "\r\n", FETCH_FAULT_ANSWER, NULL},
        {OK "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", FETCH_FAULT_ANSWER, NULL},
        {OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", FETCH_FAULT_ANSWER, NULL},
        {"HTTP/1.1 204 No Content\r\n\r\n", FETCH_FAULT_STATUS, NULL},
        {"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\na", FETCH_FAULT_STATUS, NULL},
        {"HTTP/1.1 301 Moved\r\nLocation: http://192.168.10.1/\r\nContent-Length: 1\r\n\r\na",
         FETCH_FAULT_STATUS, NULL},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", FETCH_FAULT_STATUS, NULL},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\na", FETCH_FAULT_STATUS, NULL},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
         FETCH_FAULT_STATUS, NULL},
        {"SSH-2.0-OpenSSH\r\n", FETCH_FAULT_ANSWER, NULL},
        {"\x16\x03\x01\x02", FETCH_FAULT_BROKEN_OFF, NULL},
    };
    char file[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t piece = 1; piece < 200; piece += piece < 8 ? 1 : 64) {
            enum fetch_fault fault = read_all(rows[i].text, piece, file, sizeof(file));
            if (fault != rows[i].fault)
                fail_msg("%s: %s, in pieces of %zu", rows[i].text, fetch_fault_text(fault), piece);
            if (rows[i].file)
                assert_string_equal(file, rows[i].file);
        }
}

/* Neither heads nor answers that are none without end. */
static void test_bounds(void **state)
{
    static char text[65536];
    char file[64];
    size_t used = 0;

    (void)state;
    for (int i = 0; i < 9; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "HTTP/1.1 102 Wait\r\n\r\n");
    snprintf(text + used, sizeof(text) - used, OK "Content-Length: 1\r\n\r\na");
    assert_int_equal(read_all(text, 100, file, sizeof(file)), FETCH_FAULT_ANSWER);
    used = (size_t)snprintf(text, sizeof(text), OK);
    for (int i = 0; i < 200; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "X: 0123456789\r\n");
    snprintf(text + used, sizeof(text) - used, "Content-Length: 1\r\n\r\na");
    assert_int_equal(read_all(text, 100, file, sizeof(file)), FETCH_FAULT_ANSWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers),
                                       cmocka_unit_test(test_bounds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
