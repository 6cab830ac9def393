/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control program shows: nothing steers the terminal, Japanese stays aligned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/sekisho.h"
#include "gateway/sekisho_reply.h"

static void text_cannot_steer_the_terminal(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *clean;
    } rows[] = {
        {"plain /path", 11, "plain /path"},
        {"診察室1", 10, "診察室1"},
        {"a\x1b[2Jb", 6, "a<U+001B>[2Jb"},
        {"a\nb\tc\r", 6, "a<U+000A>b<U+0009>c<U+000D>"},
        {"\0", 1, "<U+0000>"},
        {"\x7f", 1, "<U+007F>"},
        {"\xc2\x9b"
         "31m",
         5, "<U+009B>31m"},
        {"a\xe2\x80\xae"
         "fdp.exe",
         11, "a<U+202E>fdp.exe"},
        {"\x9b"
         "31m",
         4,
         "\xef\xbf\xbd"
         "31m"},
        {"\xe8\xa8", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"", 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *clean = output_clean((struct span){rows[i].bytes, rows[i].size});

        assert_string_equal(clean, rows[i].clean);
        free(clean);
    }
}

/* Every byte pair: no control of either kind is ever left. */
static void no_control_is_left(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 65536; value++) {
        char bytes[2] = {(char)(value >> 8), (char)(value & 0xff)};
        char *clean = output_clean((struct span){bytes, 2});

        for (const unsigned char *at = (const unsigned char *)clean; *at != '\0'; at++) {
            assert_true(*at >= 0x20 && *at != 0x7f);
            assert_false(at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
        }
        free(clean);
    }
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(output_width(""), 0);
    assert_int_equal(output_width("abc"), 3);
    assert_int_equal(output_width("診察室1"), 7);
    assert_int_equal(output_width("ｶﾅ"), 2); /* half width */
    assert_int_equal(output_width("カナ"), 4);
    assert_int_equal(output_width("か\xe3\x82\x99"), 2);   /* with a combining mark */
    assert_int_equal(output_width("\xf0\xa0\xae\xb7"), 2); /* beyond the BMP */
}

static char *print(const struct table *table)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    table_print(table, out);
    fclose(out);
    return text;
}

static void columns_are_aligned(void **state)
{
    static const char *const headers[] = {"ROOM", "HOST"};
    struct table *table = table_new(headers, 2);
    char *text;

    (void)state;
    assert_int_equal(table_rows(table), 0);
    table_add_text(table, "診察室1");
    table_add_text(table, "a.example");
    table_add_text(table, "R");
    table_add_number(table, -7);
    assert_int_equal(table_rows(table), 2);
    text = print(table);
    assert_string_equal(text, "ROOM     HOST\n"
                              "診察室1  a.example\n"
                              "R        -7\n");
    free(text);
    table_free(table);
}

static void replies_are_not_trusted(void **state)
{
    static const char *const headers[] = {"TEXT", "NUMBER", "AGE", "SIZE"};
    struct table *table = table_new(headers, COUNT(headers));
    json_t *rows = json_pack("[{s:s, s:i, s:i, s:i}, {s:i, s:s}, {}]", "text", "a\x1b[2J", "number",
                             7, "age", 61000, "size", 950, "text", 1, "size", "much");
    size_t i;
    json_t *row;
    char *text;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        reply_add(table, row, "text", REPLY_TEXT);
        reply_add(table, row, "number", REPLY_NUMBER);
        reply_add(table, row, "age", REPLY_AGE);
        reply_add(table, row, "size", REPLY_SIZE);
    }
    text = print(table);
    assert_string_equal(text, "TEXT          NUMBER  AGE   SIZE\n"
                              "a<U+001B>[2J  7       1min  950\n"
                              "              -       0s    0\n"
                              "              -       0s    0\n");
    free(text);
    table_free(table);
    json_decref(rows);
}

static void many_rows(void **state)
{
    static const char *const headers[] = {"N"};
    struct table *table = table_new(headers, 1);
    char *text;

    (void)state;
    for (int i = 0; i < 1000; i++)
        table_add_number(table, i);
    text = print(table);
    assert_non_null(strstr(text, "\n999\n"));
    free(text);
    table_free(table);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: not one */
    } rows[] = {
        {"30s", 30},        {"30m", 1800},        {"10min", 600},
        {"4h", 14400},      {"1d", 86400},        {"2w", 1209600},
        {"0s", 0},          {"30", -1},           {"", -1},
        {"m", -1},          {"-5m", -1},          {"5 m", -1},
        {"5mm", -1},        {"99999999999s", -1}, {"400d", -1},
        {"999999999d", -1},
    };
    int64_t seconds;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(output_parse_duration(rows[i].text, &seconds), rows[i].seconds >= 0);
        if (rows[i].seconds >= 0)
            assert_int_equal(seconds, rows[i].seconds);
    }
}

static void numbers_for_people(void **state)
{
    char text[OUTPUT_TEXT];

    (void)state;
    output_format_duration(59, text);
    assert_string_equal(text, "59s");
    output_format_duration(3599, text);
    assert_string_equal(text, "59min");
    output_format_duration(3 * 3600 + 5 * 60 + 9, text);
    assert_string_equal(text, "3h 05min");
    output_format_duration(2 * 86400 + 4 * 3600, text);
    assert_string_equal(text, "2d 04h");
    output_format_duration(-5, text);
    assert_string_equal(text, "0s");
    output_format_size(999, text);
    assert_string_equal(text, "999");
    output_format_size(1200, text);
    assert_string_equal(text, "1.2k");
    output_format_size(999700, text);
    assert_string_equal(text, "1.0M");
    output_format_size(UINT64_MAX, text);
    assert_string_equal(text, "18E");
    setenv("TZ", "Asia/Tokyo", 1);
    output_format_time(0, text);
    assert_int_equal(strlen(text), 19);
    output_format_time(INT64_MAX, text); /* no calendar has it */
    assert_true(strlen(text) > 0);
}

/* The socket is found in a file that nobody could use otherwise. */
static void socket_of_a_broken_configuration(void **state)
{
    static const struct {
        const char *text, *socket;
    } rows[] = {
        {"process { control-socket = \"/run/x\" }", "/run/x"},
        {"garbage } } { control-socket='/run/y'", "/run/y"},
        {"# control-socket = \"/no\"\n// control-socket = \"/no\"\n/* control-socket = \"/no\" */"
         "name = \"control-socket = '/no'\" process { workers = 2 control-socket = # why\n \"/z\" "
         "}",
         "/z"},
        {"x-control-socket = \"/no\" control-socket = \"/yes\"", "/yes"},
        {"control-socket = /bare", NULL},
        {"control-socket = \"/never closed", NULL},
        {"control-socket", NULL},
        {"/* control-socket = \"/no\"", NULL},
        {"\"\\", NULL},
        {"", NULL},
    };
    char path[] = "/tmp/test_sekisho.XXXXXX", *found;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
        found = sekisho_find_socket(path);
        assert_non_null(found);
        if (rows[i].socket != NULL)
            assert_string_equal(found, rows[i].socket);
        else
            assert_non_null(strstr(found, "/control")); /* the default */
        free(found);
    }
    close(fd);
    unlink(path);
    found = sekisho_find_socket(path);
    assert_non_null(strstr(found, "/control"));
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_cannot_steer_the_terminal),
        cmocka_unit_test(no_control_is_left),
        cmocka_unit_test(widths),
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(replies_are_not_trusted),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(durations),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(socket_of_a_broken_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
