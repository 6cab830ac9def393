/* SPDX-License-Identifier: BSD-2-Clause */
/* QR codes: the forms in which a picture is tried, and ZBar. See qrcode.h. */
#include "gateway/qrcode.h"

#include <dlfcn.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zbar.h>

#include "filters/memory.h"

#define MARGIN     16           /* pixels of white around: codes are often cropped to their edge */
#define FORMAT     0x30303859ul /* ZBar's "Y800": eight bits of luminance, little-endian */
#define TAIL_PARTS 200          /* stretching leaves out this part of the pixels at each end */
#define PIXELS_ALL PICTURE_PIXELS_MAX

/*
 * The forms, those that find the most for their time first: whoever waits may give up before the
 * last. `from` and `to` bound the pixels of the pictures that a form is for.
 */
static const struct form {
    uint32_t up, down; /* scale */
    bool inverted, stretched;
    uint32_t from, to;
} forms[] = {
    {1, 4, false, true, 4u << 20, PIXELS_ALL}, /* photographs of a page or a screen */
    {1, 1, false, false, 0, PIXELS_ALL},
    {1, 1, true, true, 0, PIXELS_ALL},
    {1, 2, false, true, 64u << 10, PIXELS_ALL}, /* noise and moiré are averaged away */
    {1, 2, true, true, 64u << 10, PIXELS_ALL},
    {2, 1, false, true, 0, 1u << 20}, /* modules of one or two pixels */
    {2, 1, true, true, 0, 1u << 18},
    {1, 1, false, true, 0, PIXELS_ALL},         /* pale codes */
    {1, 3, false, true, 16u << 10, PIXELS_ALL}, /* strong noise */
    {3, 1, false, true, 0, 1u << 16},
};

#define LIBRARY "libzbar.so.0"

/* What is used of ZBar, by its own name without the prefix. */
#define ZBAR(X)                                                                                    \
    X(image_create)                                                                                \
    X(image_destroy)                                                                               \
    X(image_set_format)                                                                            \
    X(image_set_size)                                                                              \
    X(image_set_data)                                                                              \
    X(image_first_symbol)                                                                          \
    X(symbol_next)                                                                                 \
    X(symbol_get_data)                                                                             \
    X(symbol_get_data_length)                                                                      \
    X(image_scanner_create)                                                                        \
    X(image_scanner_destroy)                                                                       \
    X(image_scanner_set_config)                                                                    \
    X(scan_image)
static struct {
#define X(name) __typeof__(&zbar_##name) name;
    ZBAR(X)
#undef X
} zbar;

static bool load(char *error, size_t size)
{
    static void *library; /* for as long as the process lives */
    static const struct {
        const char *name;
        void *place;
    } functions[] = {
#define X(name) {"zbar_" #name, &zbar.name},
        ZBAR(X)
#undef X
    };

    if (library == NULL && (library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)) == NULL) {
        snprintf(error, size, "QR codes cannot be read: %s", dlerror());
        return false;
    }
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *function = dlsym(library, functions[i].name);
        if (function == NULL) {
            snprintf(error, size, "QR codes cannot be read: %s has no %s", LIBRARY,
                     functions[i].name);
            return false;
        }
        memcpy(functions[i].place, &function, sizeof(function)); /* as POSIX has it for dlsym() */
    }
    return true;
}

bool qrcode_prepare(char *error, size_t size)
{
    static const char *const names[] = {"CP437", "SJIS", "BIG-5", "ISO8859-1", "UTF-8"};
    /* Never closed: what is open stays loaded, for the processes that are forked too. */
    static iconv_t tables[sizeof(names) / sizeof(names[0])];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (tables[i] == NULL)
            tables[i] = iconv_open("UTF-8", names[i]);
    return load(error, size);
}

struct search {
    const struct picture *picture;
    zbar_image_scanner_t *scanner;
    qrcode_callback *found;
    void *context;
    uint8_t levels[256]; /* the contrast stretched to all of the range */
    struct span texts[QRCODE_TEXTS_MAX];
    unsigned count;
};

/* The darkest and brightest few pixels are left out: one spot must not keep a code pale. */
static void make_levels(struct search *search)
{
    size_t histogram[256] = {0};
    size_t pixels = (size_t)search->picture->width * search->picture->height;
    size_t tail = pixels / TAIL_PARTS, sum = 0;
    int low = 0, high = 255;

    for (size_t i = 0; i < pixels; i++)
        histogram[search->picture->luminance[i]]++;
    for (sum = histogram[0]; sum <= tail && low < 255; sum += histogram[low])
        low++;
    for (sum = histogram[255]; sum <= tail && high > 0; sum += histogram[high])
        high--;
    for (int i = 0; i < 256; i++) {
        int level = high > low ? (i - low) * 255 / (high - low) : i;
        search->levels[i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

static bool is_stretched(const struct search *search)
{
    return search->levels[0] != 0 || search->levels[255] != 255 || search->levels[64] != 64 ||
           search->levels[192] != 192;
}

/* The mean of a square of pixels, or one pixel. */
static uint8_t sample(const struct picture *picture, uint32_t x, uint32_t y, uint32_t side)
{
    const uint8_t *row = picture->luminance + (size_t)y * picture->width + x;
    uint32_t sum = 0;

    if (side == 1)
        return row[0];
    for (uint32_t i = 0; i < side; i++, row += picture->width)
        for (uint32_t j = 0; j < side; j++)
            sum += row[j];
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): no form has a side of 0
    return (uint8_t)(sum / (side * side));
}

/* The picture in this form, with its margin. */
static struct picture make_form(const struct search *search, const struct form *form)
{
    const struct picture *in = search->picture;
    uint32_t width = in->width * form->up / form->down;
    uint32_t height = in->height * form->up / form->down;
    struct picture out = {.width = width + 2 * MARGIN, .height = height + 2 * MARGIN};
    uint8_t map[256];

    for (unsigned i = 0; i < 256; i++) {
        uint8_t level = form->stretched ? search->levels[i] : (uint8_t)i;
        map[i] = form->inverted ? (uint8_t)(255 - level) : level;
    }
    out.luminance = memory_allocate(out.width, out.height);
    memset(out.luminance, 255, (size_t)out.width * out.height);
    for (uint32_t y = 0; y < height; y++) {
        uint8_t *row = out.luminance + (size_t)(y + MARGIN) * out.width + MARGIN;
        for (uint32_t x = 0; x < width; x++)
            row[x] =
                map[sample(in, x * form->down / form->up, y * form->down / form->up, form->down)];
    }
    return out;
}

static void take_text(struct search *search, struct span text)
{
    text = span_first(text, QRCODE_BYTES_MAX);
    if (text.size == 0 || search->count == QRCODE_TEXTS_MAX)
        return;
    for (unsigned i = 0; i < search->count; i++)
        if (span_equal(search->texts[i], text))
            return;
    search->texts[search->count++] = (struct span){memory_span(text), text.size};
    search->found(search->context, text);
}

static void scan(struct search *search, const struct picture *picture)
{
    zbar_image_t *image = zbar.image_create();

    if (image == NULL)
        return;
    zbar.image_set_format(image, FORMAT);
    zbar.image_set_size(image, picture->width, picture->height);
    zbar.image_set_data(image, picture->luminance, (unsigned long)picture->width * picture->height,
                        NULL);
    if (zbar.scan_image(search->scanner, image) > 0)
        for (const zbar_symbol_t *symbol = zbar.image_first_symbol(image); symbol != NULL;
             symbol = zbar.symbol_next(symbol))
            take_text(search, (struct span){zbar.symbol_get_data(symbol),
                                            zbar.symbol_get_data_length(symbol)});
    zbar.image_destroy(image);
}

static bool is_for(const struct search *search, const struct form *form)
{
    const struct picture *picture = search->picture;
    uint32_t pixels = picture->width * picture->height;

    /* Without anything to stretch it is the form that has been tried. */
    if (form->stretched && !form->inverted && form->up == form->down && !is_stretched(search))
        return false;
    return pixels >= form->from && pixels <= form->to && picture->width >= form->down &&
           picture->height >= form->down;
}

/* Bytes as they are: ZBar's guesses at the encoding would want conversion tables from files. */
static zbar_image_scanner_t *make_scanner(void)
{
    zbar_image_scanner_t *scanner = zbar.image_scanner_create();

    if (scanner == NULL)
        return NULL;
    zbar.image_scanner_set_config(scanner, ZBAR_NONE, ZBAR_CFG_ENABLE, 0);
    zbar.image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_ENABLE, 1);
    zbar.image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_BINARY, 1);
    return scanner;
}

unsigned qrcode_read(const struct picture *picture, qrcode_callback *found, void *context)
{
    struct search search = {.picture = picture, .found = found, .context = context};

    search.scanner = make_scanner();
    if (search.scanner == NULL)
        return 0;
    make_levels(&search);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!is_for(&search, &forms[i]))
            continue;
        struct picture tried = make_form(&search, &forms[i]);
        scan(&search, &tried);
        picture_free(&tried);
    }
    for (unsigned i = 0; i < search.count; i++)
        free((char *)search.texts[i].data);
    zbar.image_scanner_destroy(search.scanner);
    return search.count;
}
