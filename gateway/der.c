/* SPDX-License-Identifier: BSD-2-Clause */
/* See der.h. */
#include "gateway/der.h"

#include <string.h>
#include <time.h>

#define LONG_FORM    0x80
#define LONG_OCTETS  4 /* of a length; what is longer is longer than anything here */
#define HIGH_TAG     0x1f
#define YEAR_UTC_END 2050

bool der_next(struct span *rest, struct der *element)
{
    const uint8_t *bytes = (const uint8_t *)rest->data;
    size_t head = 2, size;

    if (rest->size < head || (bytes[0] & HIGH_TAG) == HIGH_TAG)
        return false;
    size = bytes[1];
    if ((size & LONG_FORM) != 0) {
        size_t octets = size & ~(size_t)LONG_FORM;
        if (octets == 0 || octets > LONG_OCTETS || rest->size < head + octets || bytes[2] == 0)
            return false;
        size = 0;
        for (size_t i = 0; i < octets; i++)
            size = size << 8 | bytes[head + i];
        if (size < LONG_FORM)
            return false;
        head += octets;
    }
    if (size > rest->size - head)
        return false;
    element->tag = bytes[0];
    element->whole = span_first(*rest, head + size);
    element->content = span_from(element->whole, head);
    *rest = span_from(*rest, head + size);
    return true;
}

bool der_take(struct span *rest, unsigned tag, struct der *element)
{
    return rest->size > 0 && (uint8_t)rest->data[0] == tag && der_next(rest, element);
}

/* Two digits, or -1. */
static int pair(const char *digits)
{
    if (digits[0] < '0' || digits[0] > '9' || digits[1] < '0' || digits[1] > '9')
        return -1;
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

int64_t der_time(const struct der *element)
{
    bool general = element->tag == DER_GENERALIZED_TIME;
    const char *text = element->content.data;
    int parts[6], century = 0;
    struct tm when = {0}, read;

    if ((!general && element->tag != DER_UTC_TIME) || element->content.size != (general ? 15 : 13))
        return -1;
    if (general && (century = pair(text)) < 0)
        return -1;
    text += general ? 2 : 0;
    for (int i = 0; i < 6; i++, text += 2)
        if ((parts[i] = pair(text)) < 0)
            return -1;
    if (*text != 'Z')
        return -1;
    int year = general ? century * 100 + parts[0] : parts[0] + (parts[0] < 50 ? 2000 : 1900);
    if (general && year < YEAR_UTC_END)
        return -1;
    when.tm_year = year - 1900;
    when.tm_mon = parts[1] - 1;
    when.tm_mday = parts[2];
    when.tm_hour = parts[3];
    when.tm_min = parts[4];
    when.tm_sec = parts[5];
    read = when;
    time_t seconds = timegm(&read);
    /* The 31st of February would be a day of March. */
    if (read.tm_mon != when.tm_mon || read.tm_mday != when.tm_mday ||
        read.tm_hour != when.tm_hour || read.tm_min != when.tm_min || read.tm_sec != when.tm_sec)
        return -1;
    return (int64_t)seconds;
}
