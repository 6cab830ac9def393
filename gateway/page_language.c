/* SPDX-License-Identifier: BSD-2-Clause */
/* Which language a person wants, by Accept-Language (RFC 9110 section 12.5.4, RFC 4647
 * section 3.3.1). */
#include "gateway/page.h"

#define QUALITY_MAX 1000 /* weights in thousandths */

/* qvalue of RFC 9110 section 12.4.2: 0 to 1 with at most three decimals; -1 when it is not one. */
static int quality_parse(struct span text)
{
    int quality, place = 100;

    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.size > 1 && text.data[1] != '.'))
        return -1;
    quality = (text.data[0] - '0') * QUALITY_MAX;
    for (size_t i = 2; i < text.size; i++, place /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        quality += (text.data[i] - '0') * place;
    }
    return quality <= QUALITY_MAX ? quality : -1;
}

/* The weight of "range;q=0.5"; without q it is 1. */
static int element_quality(struct span element, struct span *range)
{
    struct span part;
    int quality = QUALITY_MAX;

    if (!span_next(&element, ';', range))
        return -1;
    while (span_next(&element, ';', &part))
        if (span_starts_nocase(part, SPAN("q=")))
            quality = quality_parse(span_from(part, 2));
    return quality;
}

static bool range_is(struct span range, struct span language)
{
    return span_starts_nocase(range, language) &&
           (range.size == language.size || range.data[language.size] == '-');
}

enum language page_language(struct span accept_language)
{
    int ja = -1, en = -1, other = -1; /* -1: not mentioned */
    bool english_first = false;
    struct span element, range;

    while (span_next(&accept_language, ',', &element)) {
        int quality = element_quality(element, &range);

        if (quality < 0)
            continue;
        if (range_is(range, SPAN("ja")) && quality > ja) {
            ja = quality;
        } else if (range_is(range, SPAN("en")) && quality > en) {
            en = quality;
            english_first = ja < en; /* of equal weights the one named first (many clients do so) */
        } else if (span_equal(range, SPAN("*"))) {
            other = quality;
        }
    }
    if (en < 0 && ja < 0)
        return LANGUAGE_JA; /* "*" asks for anything */
    if (en < 0)
        en = other;
    if (ja < 0)
        ja = other;
    return en > 0 && (en > ja || (en == ja && english_first)) ? LANGUAGE_EN : LANGUAGE_JA;
}
