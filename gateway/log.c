/* SPDX-License-Identifier: BSD-2-Clause */
/* Diagnostics on standard error: each line is one write, so that lines of processes never mix. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/utf8.h"

#define LOG_TEXT 2048                 /* bytes of one message before escaping */
#define LOG_LINE (LOG_TEXT * 4 + 256) /* with every byte as \xNN, and the name */

static const char *log_name = "sekishod";

void log_init(const char *name)
{
    log_name = name;
}

/* Text may hold what a peer sent: a terminal must not obey it and a line must stay one line. */
static size_t log_escape(struct span text, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    while (text.size > 0) {
        uint32_t character;
        size_t size = utf8_decode(text, &character);
        bool broken = character == UTF8_REPLACEMENT && size == 1;

        if (broken || utf8_is_control(character) || utf8_is_deceptive(character)) {
            for (size_t i = 0; i < size; i++) {
                uint8_t byte = (uint8_t)text.data[i];

                out[used++] = '\\';
                out[used++] = 'x';
                out[used++] = digits[byte >> 4];
                out[used++] = digits[byte & 15];
            }
        } else {
            memcpy(out + used, text.data, size);
            used += size;
        }
        text = span_from(text, size);
    }
    return used;
}

static void log_line(const char *level, int error, const char *format, va_list arguments)
{
    char text[LOG_TEXT], line[LOG_LINE];
    int length, prefix;
    size_t size;

    length = vsnprintf(text, sizeof(text), format, arguments);
    if (length < 0)
        return;
    size = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
    if (error != 0 && size < sizeof(text) - 1) {
        length = snprintf(text + size, sizeof(text) - size, ": %s", strerror(error));
        if (length > 0)
            size += (size_t)length < sizeof(text) - size ? (size_t)length : sizeof(text) - size - 1;
    }
    prefix = snprintf(line, 200, "%s: %s", log_name, level);
    if (prefix < 0)
        return;
    if (prefix > 199)
        prefix = 199;
    size = (size_t)prefix + log_escape((struct span){text, size}, line + prefix);
    line[size++] = '\n';
    /* When standard error is full or gone there is nobody left to tell. */
    if (write(STDERR_FILENO, line, size) < 0)
        return;
}

#define LOG_WITH(level, error)                                                                     \
    do {                                                                                           \
        int saved_errno = errno;                                                                   \
        va_list arguments;                                                                         \
                                                                                                   \
        va_start(arguments, format);                                                               \
        log_line(level, error, format, arguments);                                                 \
        va_end(arguments);                                                                         \
        errno = saved_errno;                                                                       \
    } while (0)

void log_info(const char *format, ...)
{
    LOG_WITH("", 0);
}

void log_warn(const char *format, ...)
{
    LOG_WITH("warning: ", saved_errno);
}

void log_warnx(const char *format, ...)
{
    LOG_WITH("warning: ", 0);
}

void fatal(const char *format, ...)
{
    LOG_WITH("fatal: ", 0);
    exit(1);
}
