/* SPDX-License-Identifier: BSD-2-Clause */
/* Characters of Unicode: see character.h. */
#include "filters/character.h"

size_t character_encode(uint32_t character, char text[4])
{
    if (character < 0x80) {
        text[0] = (char)character;
        return 1;
    }
    size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        text[i] = (char)(0x80u | (character & 0x3fu));
        character >>= 6;
    }
    text[0] = (char)((0xf00u >> size & 0xffu) | character);
    return size;
}

size_t character_decode(struct span text, uint32_t *character)
{
    uint8_t lead = (uint8_t)text.data[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size > text.size)
        size = 1;
    *character = size == 1 ? lead : lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        *character = *character << 6 | ((uint8_t)text.data[i] & 0x3fu);
    return size;
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t character)
{
    for (size_t i = 0; i < count && ranges[i].first <= character; i++)
        if (character <= ranges[i].last)
            return true;
    return false;
}

#define IS_IN(ranges, character) is_in(ranges, sizeof(ranges) / sizeof(*(ranges)), character)

bool character_is_unseen(uint32_t character)
{
    static const struct range unseen[] = {
        {0xad, 0xad},     {0x34f, 0x34f},     {0x61c, 0x61c},     {0x115f, 0x1160},
        {0x17b4, 0x17b5}, {0x180b, 0x180f},   {0x200b, 0x200f},   {0x202a, 0x202e},
        {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    return IS_IN(unseen, character);
}

bool character_ends_link(uint32_t character)
{
    static const struct range ends[] = {
        {0x80, 0xa0},     {0xa6, 0xa9},     {0xab, 0xac},     {0xae, 0xb1},     {0xb4, 0xb4},
        {0xb6, 0xb6},     {0xbb, 0xbb},     {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2010, 0x2029},
        {0x202f, 0x205f}, {0x2190, 0x21ff}, {0x2500, 0x25ff}, {0x3000, 0x3001}, {0x3003, 0x3004},
        {0x3008, 0x3020}, {0x3030, 0x3030}, {0x303d, 0x303f}, {0xfe10, 0xfe19}, {0xfe30, 0xfe4f},
        {0xff02, 0xff02}, {0xff07, 0xff07}, {0xff0c, 0xff0c}, {0xff1c, 0xff1c}, {0xff1e, 0xff1e},
        {0xff40, 0xff40}, {0xff5f, 0xff60}, {0xff62, 0xff64}, {0xfff0, 0xffff},
    };
    return IS_IN(ends, character);
}
