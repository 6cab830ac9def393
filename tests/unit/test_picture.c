/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding pictures: every format in its kinds, damaged at every byte, and bombs. */
#include "tests/unit/picture_fixture.h"

#include <arpa/inet.h>
#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WIDTH        61
#define HEIGHT       43

/* A gradient with an edge in it: rows or columns that are swapped or shifted show. */
static struct picture make_sample(void)
{
    struct picture grey = grey_make(WIDTH, HEIGHT, 0);

    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            grey.luminance[y * WIDTH + x] = (uint8_t)(y < 8 ? 255 : x * 3 + y);
    return grey;
}

static void assert_like(const struct picture *is, const struct picture *wanted, int tolerance)
{
    assert_int_equal(is->width, wanted->width);
    assert_int_equal(is->height, wanted->height);
    for (size_t i = 0; i < (size_t)is->width * is->height; i++)
        if (abs(is->luminance[i] - wanted->luminance[i]) > tolerance)
            fail_msg("pixel %zu is %d, not %d", i, is->luminance[i], wanted->luminance[i]);
}

static void assert_decodes(struct file *file, const struct picture *wanted, int tolerance)
{
    struct picture picture;

    assert_int_equal(picture_decode(file_span(file), &picture), PICTURE_WHOLE);
    assert_like(&picture, wanted, tolerance);
    picture_free(&picture);
    file_free(file);
}

static void test_png(void **state)
{
    static const struct {
        int colour, depth;
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, 8},       {PNG_COLOR_TYPE_GRAY, 16},
                 {PNG_COLOR_TYPE_RGB, 8},        {PNG_COLOR_TYPE_RGB, 16},
                 {PNG_COLOR_TYPE_PALETTE, 8},    {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 16}, {PNG_COLOR_TYPE_RGB_ALPHA, 8}};
    struct picture grey = make_sample();

    (void)state;
    for (size_t i = 0; i < COUNT(kinds) * 2; i++) {
        struct file file =
            grey_png(&grey, kinds[i / 2].colour, kinds[i / 2].depth, i % 2 == 1, NULL);
        assert_decodes(&file, &grey, 1);
    }
    free(grey.luminance);
}

static void test_jpeg(void **state)
{
    static const J_COLOR_SPACE spaces[] = {JCS_GRAYSCALE, JCS_RGB, JCS_CMYK};
    struct picture grey = make_sample();

    (void)state;
    for (size_t i = 0; i < COUNT(spaces) * 2; i++) {
        struct file file = grey_jpeg(&grey, spaces[i / 2], 98, i % 2 == 1);
        assert_decodes(&file, &grey, 24);
    }
    free(grey.luminance);
}

static void test_gif(void **state)
{
    struct picture grey = make_sample();

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct file file = grey_gif(&grey, i == 1, -1);
        assert_decodes(&file, &grey, 0);
    }
    free(grey.luminance);
}

static void test_webp(void **state)
{
    struct picture grey = make_sample();
    struct file file = grey_webp(&grey, true, NULL);

    (void)state;
    assert_decodes(&file, &grey, 24); /* the luminance is of the video range */
    file = grey_webp(&grey, false, NULL);
    assert_decodes(&file, &grey, 40);
    file = grey_webp_animation(&grey);
    assert_decodes(&file, &grey, 24);
    free(grey.luminance);
}

/* Transparent black, and transparent white, are both the background. */
static void test_transparency(void **state)
{
    struct picture grey = make_sample(), wanted = make_sample();
    uint8_t alpha[WIDTH * HEIGHT];

    (void)state;
    for (size_t i = 0; i < COUNT(alpha); i++) {
        alpha[i] = i % WIDTH < 30 ? 255 : 0;
        if (alpha[i] == 0)
            wanted.luminance[i] = PICTURE_BACKGROUND;
    }
    struct file file = grey_png(&grey, PNG_COLOR_TYPE_RGB_ALPHA, 8, false, alpha);
    assert_decodes(&file, &wanted, 1);
    file = grey_png(&grey, PNG_COLOR_TYPE_GRAY_ALPHA, 8, true, alpha);
    assert_decodes(&file, &wanted, 1);
    file = grey_webp(&grey, true, alpha);
    assert_decodes(&file, &wanted, 24);
    for (size_t i = 0; i < COUNT(alpha); i++)
        wanted.luminance[i] = grey.luminance[i] == 255 ? PICTURE_BACKGROUND : grey.luminance[i];
    file = grey_gif(&grey, false, 255);
    assert_decodes(&file, &wanted, 0);
    free(grey.luminance);
    free(wanted.luminance);
}

/* Cut off after every byte: it is never taken for whole, and grows to something on the way. */
static void check_truncations(struct file *file, size_t slack)
{
    bool shown = false;

    for (size_t size = 0; size < file->size; size++) {
        uint8_t *exact = malloc(size + 1); /* so that a read past the end is seen */
        struct picture picture;
        memcpy(exact, file->data, size);
        enum picture_result result =
            picture_decode((struct span){(const char *)exact, size}, &picture);
        if (size + slack < file->size)
            assert_int_not_equal(result, PICTURE_WHOLE);
        if (result == PICTURE_PARTIAL) {
            shown = true;
            assert_int_equal(picture.width, WIDTH);
            assert_int_equal(picture.height, HEIGHT);
        } else if (result != PICTURE_WHOLE) {
            assert_null(picture.luminance);
        }
        picture_free(&picture);
        free(exact);
    }
    assert_true(shown);
    file_free(file);
}

static void test_truncated(void **state)
{
    struct picture grey = make_sample();
    struct file file;

    (void)state;
    grey_noise(&grey, 20); /* so that the pixels take room */
    file = grey_png(&grey, PNG_COLOR_TYPE_GRAY, 8, false, NULL);
    check_truncations(&file, 24); /* IEND, and the checksums at the end of the pixels */
    file = grey_png(&grey, PNG_COLOR_TYPE_RGB_ALPHA, 8, true, NULL);
    check_truncations(&file, 24);
    file = grey_jpeg(&grey, JCS_GRAYSCALE, 60, false);
    check_truncations(&file, 2);
    file = grey_jpeg(&grey, JCS_RGB, 60, true);
    check_truncations(&file, 2);
    file = grey_gif(&grey, false, -1);
    check_truncations(&file, 32); /* the second frame is not looked at */
    file = grey_webp(&grey, true, NULL);
    check_truncations(&file, 8);
    file = grey_webp(&grey, false, NULL);
    check_truncations(&file, 8);
    free(grey.luminance);
}

/* The rows that came are there, in their places. */
static void test_partial_content(void **state)
{
    struct picture grey = grey_make(256, 256, 0), picture;

    (void)state;
    grey_noise(&grey, 255);
    struct file file = grey_png_plain(&grey);
    assert_int_equal(
        picture_decode((struct span){(const char *)file.data, file.size / 2}, &picture),
        PICTURE_PARTIAL);
    assert_memory_equal(picture.luminance, grey.luminance, 256 * 80);
    for (size_t i = 256 * 200; i < 256 * 256; i++)
        assert_int_equal(picture.luminance[i], PICTURE_BACKGROUND);
    picture_free(&picture);
    file_free(&file);
    free(grey.luminance);
}

/* A flipped byte anywhere may spoil the picture but nothing else. */
static void check_flips(struct file *file)
{
    for (size_t i = 0; i < file->size; i++)
        for (unsigned mask = 1; mask < 256; mask = mask * 8 + 7) {
            struct picture picture;
            file->data[i] ^= (uint8_t)mask;
            enum picture_result result = picture_decode(file_span(file), &picture);
            assert_true((result <= PICTURE_PARTIAL) == (picture.luminance != NULL));
            assert_true(picture.luminance == NULL ||
                        (uint64_t)picture.width * picture.height <= PICTURE_PIXELS_MAX);
            picture_free(&picture);
            file->data[i] ^= (uint8_t)mask;
        }
    file_free(file);
}

static void test_flipped(void **state)
{
    struct picture grey = grey_make(9, 11, 77);
    struct file file;

    (void)state;
    file = grey_png(&grey, PNG_COLOR_TYPE_PALETTE, 8, true, NULL);
    check_flips(&file);
    file = grey_gif(&grey, true, 3);
    check_flips(&file);
    file = grey_webp(&grey, true, NULL);
    check_flips(&file);
    file = grey_jpeg(&grey, JCS_GRAYSCALE, 60, true);
    check_flips(&file);
    free(grey.luminance);
}

static void test_wrong_checksum(void **state)
{
    struct picture grey = make_sample(), picture;
    struct file file = grey_png_plain(&grey);

    (void)state;
    file.data[29] ^= 1; /* of IHDR */
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_WHOLE);
    assert_like(&picture, &grey, 0);
    picture_free(&picture);
    file_free(&file);
    free(grey.luminance);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, 4);
}

/* The header says that it is enormous; the checksum is right. */
static void test_bomb_png(void **state)
{
    static const uint32_t sizes[][2] = {{8193, 1},       {1, 8193},      {4097, 4096},
                                        {8192, 8192},    {65535, 65535}, {0x7fffffff, 0x7fffffff},
                                        {0x7fffffff, 1}, {1, 0x7fffffff}};
    struct picture grey = grey_make(1, 1, 0), picture;
    struct file file = grey_png_plain(&grey);

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        put32(file.data + 16, sizes[i][0]);
        put32(file.data + 20, sizes[i][1]);
        put32(file.data + 29, (uint32_t)crc32(0, file.data + 12, 17));
        assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_TOO_LARGE);
        assert_null(picture.luminance);
    }
    put32(file.data + 16, 0x80000000u);
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_DAMAGED);
    file_free(&file);
    free(grey.luminance);
}

static void test_bomb_jpeg(void **state)
{
    struct picture grey = grey_make(8, 8, 0), picture;
    struct file file = grey_jpeg(&grey, JCS_GRAYSCALE, 60, false);
    uint8_t *frame = memmem(file.data, file.size, "\xff\xc0", 2);

    (void)state;
    assert_non_null(frame);
    memcpy(frame + 5, "\xff\x00", 2); /* 65280 rows */
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_TOO_LARGE);
    memcpy(frame + 5, "\x1f\x00\x20\x00", 4); /* 7936 rows of 8192: at a half */
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_PARTIAL);
    assert_int_equal(picture.width, 4096);
    assert_int_equal(picture.height, 3968);
    picture_free(&picture);
    file_free(&file);
    free(grey.luminance);
}

/* Thousands of scans, each over the whole picture. */
static void test_bomb_scans(void **state)
{
    struct picture grey = grey_make(64, 64, 0), picture;

    (void)state;
    grey_noise(&grey, 200);
    struct file file = grey_jpeg(&grey, JCS_GRAYSCALE, 60, true);
    uint8_t *first = memmem(file.data, file.size, "\xff\xda", 2);
    uint8_t *second = memmem(first + 2, file.size - (size_t)(first + 2 - file.data), "\xff\xda", 2);
    assert_true(first != NULL && second != NULL);
    size_t head = (size_t)(first - file.data), scan = (size_t)(second - first);
    struct file bomb = {malloc(head + scan * 5000), head};
    memcpy(bomb.data, file.data, head);
    for (int i = 0; i < 5000; i++, bomb.size += scan)
        memcpy(bomb.data + bomb.size, first, scan);
    assert_int_equal(picture_decode(file_span(&bomb), &picture), PICTURE_DAMAGED);
    bomb.size = head + scan * 50;
    assert_int_equal(picture_decode(file_span(&bomb), &picture), PICTURE_PARTIAL);
    picture_free(&picture);
    file_free(&bomb);
    file_free(&file);
    free(grey.luminance);
}

static void test_bomb_gif(void **state)
{
    struct picture grey = grey_make(4, 4, 0), picture;
    struct file file = grey_gif(&grey, false, -1);
    uint8_t *frame = file.data + 13 + 3 * 256;

    (void)state;
    assert_int_equal(frame[0], ',');
    memset(frame + 5, 0xff, 4);
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_TOO_LARGE);
    memset(frame + 5, 0, 2); /* no width at all */
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_DAMAGED);
    file_free(&file);
    free(grey.luminance);
}

static void test_bomb_webp(void **state)
{
    struct picture grey = grey_make(4, 4, 0), picture;
    struct file file = grey_webp(&grey, true, NULL);

    (void)state;
    assert_memory_equal(file.data + 12, "VP8L", 4);
    memset(file.data + 21, 0xff, 3); /* 16384 pixels wide, and high */
    file.data[24] |= 0x0f;
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_TOO_LARGE);
    file_free(&file);
    free(grey.luminance);
}

/* The largest that is allowed is decoded, in its harder form too. */
static void test_largest(void **state)
{
    struct picture grey = grey_make(4096, 4096, 200);
    struct file file = grey_png(&grey, PNG_COLOR_TYPE_GRAY, 8, true, NULL);

    (void)state;
    assert_decodes(&file, &grey, 0);
    file = grey_jpeg(&grey, JCS_RGB, 50, true);
    assert_decodes(&file, &grey, 3);
    free(grey.luminance);
}

static void test_unknown(void **state)
{
    static const struct span others[] = {
        SPAN(""),       SPAN("\x89"),     SPAN("\x89PNG\r\n\x1a"),  SPAN("BM123456789"),
        SPAN("GIF88a"), SPAN("\xff\xd8"), SPAN("RIFF\0\0\0\0WEBP"), SPAN("RIFF\0\0\0\0WAVEfmt "),
        SPAN("<svg/>"), {NULL, 0}};
    struct picture picture;

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_int_equal(picture_decode(others[i], &picture), PICTURE_UNKNOWN);
        assert_null(picture.luminance);
    }
    picture_free(&picture);
}

static void test_too_many_bytes(void **state)
{
    struct file file = {calloc(1, PICTURE_BYTES_MAX + 1), PICTURE_BYTES_MAX + 1};
    struct picture picture;

    (void)state;
    memcpy(file.data, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_TOO_LARGE);
    file.size--;
    assert_int_equal(picture_decode(file_span(&file), &picture), PICTURE_DAMAGED);
    file_free(&file);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < PICTURE_RESULT_COUNT; i++)
        assert_non_null(picture_result_name((enum picture_result)i));
    assert_string_equal(picture_result_name(PICTURE_TOO_LARGE), "too large");
    assert_string_equal(picture_result_name(PICTURE_RESULT_COUNT), "?");
}

static void test_recognised(void **state)
{
    static const struct {
        struct span bytes;
        enum picture_start start;
    } cases[] = {
        {SPAN(""), PICTURE_PERHAPS},
        {SPAN("{"), PICTURE_NONE},
        {SPAN("\x89PN"), PICTURE_PERHAPS},
        {SPAN("\x89PNG\r\n\x1a\n"), PICTURE_BEGINS},
        {SPAN("\xff\xd8"), PICTURE_PERHAPS},
        {SPAN("\xff\xd8\xff\xe0xx"), PICTURE_BEGINS},
        {SPAN("GIF8"), PICTURE_PERHAPS},
        {SPAN("GIF88a"), PICTURE_NONE},
        {SPAN("GIF89a"), PICTURE_BEGINS},
        {SPAN("RIFF1234WE"), PICTURE_PERHAPS},
        {SPAN("RIFF1234WAVE"), PICTURE_NONE},
        {SPAN("RIFF1234WEBPVP"), PICTURE_BEGINS},
        {SPAN("\x89PNG\r\n\x1a\x1a"), PICTURE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(picture_recognise(cases[i].bytes), cases[i].start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recognised), cmocka_unit_test(test_png),
        cmocka_unit_test(test_jpeg),       cmocka_unit_test(test_gif),
        cmocka_unit_test(test_webp),       cmocka_unit_test(test_transparency),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_partial_content),
        cmocka_unit_test(test_flipped),    cmocka_unit_test(test_wrong_checksum),
        cmocka_unit_test(test_bomb_png),   cmocka_unit_test(test_bomb_jpeg),
        cmocka_unit_test(test_bomb_scans), cmocka_unit_test(test_bomb_gif),
        cmocka_unit_test(test_bomb_webp),  cmocka_unit_test(test_largest),
        cmocka_unit_test(test_unknown),    cmocka_unit_test(test_too_many_bytes),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
