/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading QR codes: as patients' pictures show them, and pictures that show none. */
#include "tests/unit/picture_fixture.h"

#include "gateway/qrcode.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINK         "https://files.example.net/share/7f3a9c?name=result.pdf"

struct found {
    struct span texts[QRCODE_TEXTS_MAX];
    unsigned count;
};

static void take(void *context, struct span text)
{
    struct found *found = context;
    char *copy = malloc(text.size + 1);

    assert_true(found->count < QRCODE_TEXTS_MAX);
    assert_true(text.size > 0 && text.size <= QRCODE_BYTES_MAX);
    memcpy(copy, text.data, text.size);
    found->texts[found->count++] = (struct span){copy, text.size};
}

static void forget(struct found *found)
{
    for (unsigned i = 0; i < found->count; i++)
        free((char *)found->texts[i].data);
    found->count = 0;
}

static bool has(const struct found *found, const char *text)
{
    for (unsigned i = 0; i < found->count; i++)
        if (span_equal(found->texts[i], span_of(text)))
            return true;
    return false;
}

/* Reads and frees the picture. */
static void read_grey(struct picture *grey, struct found *found)
{
    *found = (struct found){.count = 0};
    unsigned count = qrcode_read(grey, take, found);
    assert_int_equal(count, found->count);
    free(grey->luminance);
}

/* The picture has this one code. Frees the picture. */
static void assert_reads(struct picture *grey, const char *text, const char *what)
{
    struct found found;

    read_grey(grey, &found);
    if (found.count != 1 || !has(&found, text))
        fail_msg("%s: %u texts", what, found.count);
    forget(&found);
}

static void test_plain(void **state)
{
    (void)state;
    for (uint32_t module = 1; module <= 24; module++) {
        struct picture grey = grey_code(LINK, module);
        char what[32];
        snprintf(what, sizeof(what), "modules of %u pixels", module);
        assert_reads(&grey, LINK, what);
    }
}

static void test_turned(void **state)
{
    (void)state;
    for (int degrees = 0; degrees < 360; degrees += 15) {
        struct picture code = grey_code(LINK, 5), grey = grey_turn(&code, degrees, 1.0, 255);
        char what[32];
        snprintf(what, sizeof(what), "turned by %d degrees", degrees);
        free(code.luminance);
        assert_reads(&grey, LINK, what);
    }
}

static void test_scaled(void **state)
{
    static const double scales[] = {0.35, 0.5, 0.73, 1.0, 1.37, 2.5, 4.0};

    (void)state;
    for (size_t i = 0; i < COUNT(scales); i++) {
        struct picture code = grey_code(LINK, 6), grey = grey_turn(&code, 7, scales[i], 200);
        char what[32];
        snprintf(what, sizeof(what), "scaled by %.2f", scales[i]);
        free(code.luminance);
        assert_reads(&grey, LINK, what);
    }
}

static void test_levels(void **state)
{
    static const struct {
        uint8_t dark, light;
        const char *what;
    } rows[] = {{0, 255, "black on white"},
                {255, 0, "white on black"},
                {116, 120, "hardly grey"},
                {240, 250, "pale"},
                {5, 12, "dark"},
                {120, 116, "hardly grey, inverted"},
                {0, 128, "on transparent"},
                {255, 128, "white on transparent"},
                {250, 240, "pale, inverted"}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct picture grey = grey_code(LINK, 5);
        grey_map(&grey, rows[i].dark, rows[i].light);
        assert_reads(&grey, LINK, rows[i].what);
    }
}

static void test_noise(void **state)
{
    (void)state;
    for (int strength = 20; strength <= 140; strength += 20) {
        struct picture grey = grey_code(LINK, 6);
        char what[32];
        snprintf(what, sizeof(what), "noise of %d", strength);
        grey_noise(&grey, strength);
        assert_reads(&grey, LINK, what);
    }
}

/* As a camera sees a screen: turned, smaller, shaded, noisy, and pressed into a JPEG. */
static void test_photograph(void **state)
{
    struct picture code = grey_code(LINK, 12), grey = grey_turn(&code, 23, 0.7, 180), photograph;

    (void)state;
    free(code.luminance);
    grey_shade(&grey);
    grey_noise(&grey, 30);
    struct file file = grey_jpeg(&grey, JCS_RGB, 40, true);
    free(grey.luminance);
    assert_int_equal(picture_decode(file_span(&file), &photograph), PICTURE_WHOLE);
    file_free(&file);
    assert_reads(&photograph, LINK, "photograph");
}

/* A code in a corner of a large photograph. */
static void test_large(void **state)
{
    struct picture grey = grey_make(4000, 3000, 170);

    (void)state;
    grey_draw_code(&grey, LINK, 3100, 1900, 20, 30, 220);
    grey_noise(&grey, 60);
    assert_reads(&grey, LINK, "large");
}

/* Cut out without its quiet zone. */
static void test_no_margin(void **state)
{
    struct picture wide = grey_make(400, 400, 255);
    uint32_t side = grey_draw_code(&wide, LINK, 0, 0, 4, 0, 255);
    struct picture grey = grey_make(side, side, 0), inverted = grey_make(side, side, 0);

    (void)state;
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            grey.luminance[y * side + x] = wide.luminance[y * 400 + x];
            inverted.luminance[y * side + x] = (uint8_t)~wide.luminance[y * 400 + x];
        }
    free(wide.luminance);
    assert_reads(&grey, LINK, "no margin");
    assert_reads(&inverted, LINK, "no margin, inverted");
}

static void test_transparent_files(void **state)
{
    struct picture code = grey_code(LINK, 4), picture;
    uint8_t *alpha = malloc((size_t)code.width * code.height);

    (void)state;
    for (int light = 0; light < 2; light++) { /* black, then white, on nothing */
        for (size_t i = 0; i < (size_t)code.width * code.height; i++) {
            if (light == 0)
                alpha[i] = (uint8_t)~code.luminance[i];
            code.luminance[i] = light == 0 ? 0 : 255;
        }
        struct file file = grey_png(&code, PNG_COLOR_TYPE_RGB_ALPHA, 8, false, alpha);
        assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_WHOLE);
        file_free(&file);
        assert_reads(&picture, LINK, light == 0 ? "black on nothing" : "white on nothing");
    }
    free(alpha);
    free(code.luminance);
}

/* Every format, end to end. */
static void test_formats(void **state)
{
    struct picture code = grey_code(LINK, 4), picture;
    struct file files[] = {grey_png_plain(&code),
                           grey_png(&code, PNG_COLOR_TYPE_PALETTE, 8, true, NULL),
                           grey_jpeg(&code, JCS_GRAYSCALE, 50, false),
                           grey_jpeg(&code, JCS_CMYK, 50, false),
                           grey_gif(&code, true, -1),
                           grey_webp(&code, false, NULL),
                           grey_webp_animation(&code)};

    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        char what[32];
        snprintf(what, sizeof(what), "file %zu", i);
        assert_int_equal(picture_decode(file_span(&files[i]), &picture), PICTURE_WHOLE);
        assert_reads(&picture, LINK, what);
        file_free(&files[i]);
    }
    free(code.luminance);
}

/* A decoy that is easy to read does not hide the inverted one beside it. */
static void test_decoy(void **state)
{
    struct picture grey = grey_make(700, 320, 255);
    struct found found;

    (void)state;
    for (uint32_t y = 0; y < 320; y++)
        memset(grey.luminance + y * 700 + 350, 0, 350);
    grey_draw_code(&grey, "https://harmless.example.jp/", 20, 20, 6, 0, 255);
    grey_draw_code(&grey, LINK, 380, 20, 6, 255, 0);
    read_grey(&grey, &found);
    assert_int_equal(found.count, 2);
    assert_true(has(&found, "https://harmless.example.jp/"));
    assert_true(has(&found, LINK));
    forget(&found);
}

/* The same code many times is one text; of many texts there are no more than the bound. */
static void test_many(void **state)
{
    struct picture same = grey_make(1000, 1000, 255), different = grey_make(1000, 1000, 255);
    struct found found;

    (void)state;
    for (uint32_t i = 0; i < 25; i++) {
        char text[40];
        snprintf(text, sizeof(text), "https://example.jp/%u", i);
        grey_draw_code(&same, LINK, i % 5 * 195 + 20, i / 5 * 195 + 20, 4, 0, 255);
        grey_draw_code(&different, text, i % 5 * 195 + 20, i / 5 * 195 + 20, 5, 0, 255);
    }
    assert_reads(&same, LINK, "the same");
    read_grey(&different, &found);
    assert_int_equal(found.count, QRCODE_TEXTS_MAX);
    for (unsigned i = 0; i < found.count; i++) {
        assert_true(span_starts(found.texts[i], SPAN("https://example.jp/")));
        for (unsigned j = 0; j < i; j++)
            assert_false(span_equal(found.texts[i], found.texts[j]));
    }
    forget(&found);
}

/* Bytes of the code, with its modes and encodings, as they are. */
static void check_code(QRcode *code, const char *bytes, size_t size)
{
    uint32_t module = 3, side = (uint32_t)code->width * module + 24;
    struct picture grey = grey_make(side, side, 255);
    struct found found;

    for (uint32_t y = 0; y < side - 24; y++)
        for (uint32_t x = 0; x < side - 24; x++)
            if (code->data[y / module * (uint32_t)code->width + x / module] & 1)
                grey.luminance[(y + 12) * side + x + 12] = 0;
    QRcode_free(code);
    read_grey(&grey, &found);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.texts[0].size, size);
    assert_memory_equal(found.texts[0].data, bytes, size);
    forget(&found);
}

static void test_contents(void **state)
{
    static const char utf8[] = "予約は https://日本.example/予約 へ",
                      nul[] = "a\0b\xff\x80http://c.jp";
    char digits[QRCODE_BYTES_MAX + 2001];

    (void)state;
    check_code(QRcode_encodeData(sizeof(utf8) - 1, (const uint8_t *)utf8, 0, QR_ECLEVEL_L), utf8,
               sizeof(utf8) - 1);
    check_code(QRcode_encodeData(sizeof(nul) - 1, (const uint8_t *)nul, 0, QR_ECLEVEL_L), nul,
               sizeof(nul) - 1);
    check_code(
        QRcode_encodeString("\x97\x5c\x96\xf1 http://a.jp", 0, QR_ECLEVEL_L, QR_MODE_KANJI, 1),
        "\x97\x5c\x96\xf1 http://a.jp", 16);
    check_code(QRcode_encodeString("HTTPS://EXAMPLE.JP/A", 0, QR_ECLEVEL_H, QR_MODE_8, 1),
               "HTTPS://EXAMPLE.JP/A", 20);
    /* longer than we want to know */
    memset(digits, '7', sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    check_code(QRcode_encodeString(digits, 0, QR_ECLEVEL_L, QR_MODE_8, 1), digits,
               QRCODE_BYTES_MAX);
}

/* What has no code gives none, whatever its shape. */
static void test_nothing(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 8192}, {8192, 1},    {2, 2},
                                        {3, 7}, {16, 16},  {1000, 1000}, {2500, 2000}};
    struct found found;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * 3; i++) {
        struct picture grey = grey_make(sizes[i / 3][0], sizes[i / 3][1], i % 3 == 0 ? 0 : 128);
        if (i % 3 == 2)
            grey_noise(&grey, 127);
        read_grey(&grey, &found);
        assert_int_equal(found.count, 0);
    }
}

static int load(void **state)
{
    char error[256];

    (void)state;
    return qrcode_prepare(error, sizeof(error)) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_turned),
        cmocka_unit_test(test_scaled),   cmocka_unit_test(test_levels),
        cmocka_unit_test(test_noise),    cmocka_unit_test(test_photograph),
        cmocka_unit_test(test_large),    cmocka_unit_test(test_no_margin),
        cmocka_unit_test(test_formats),  cmocka_unit_test(test_transparent_files),
        cmocka_unit_test(test_decoy),    cmocka_unit_test(test_many),
        cmocka_unit_test(test_contents), cmocka_unit_test(test_nothing),
    };

    return cmocka_run_group_tests(tests, load, NULL);
}
