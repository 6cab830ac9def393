/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is a host, for the link scanner: any spelling that a browser would take for one, and whether
 * a bare name in a text is likely to be meant as one.
 */
#include "filters/links_private.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "filters/ascii.h"
#include "filters/punycode.h"
#include "gateway/exchange.h"

#define LABEL        63
#define WRITTEN_SIZE 768 /* a name of 253 bytes, each percent-escaped */

/*
 * Top-level domains in common use, by their first letter, each between blanks. Those that are also
 * common endings of file names or names in programs (id, md, name, pl, py, rs, sh, so, zip ...) are
 * not here. Ends with what Japanese readers meet of internationalised ones, as A-labels.
 */
static const char *const common[26] = {
    ['a' - 'a'] = " ac academy ad adult ae aero af ag agency ai al am app ar art asia at au "
                  "auction audio autos az ",
    ['b' - 'a'] = " ba bank bar bb be beauty best bet bg bid biz black blog blue bo boats bond "
                  "br build business buzz bz ",
    ['c' - 'a'] = " ca cafe cam camp capital care cash casino cat cc cd center cf cfd ch chat "
                  "ci city cl claims click clinic cloud club cm cn co codes com company cool "
                  "coop cr credit cx cyou cz ",
    ['d' - 'a'] = " dating de deals delivery dental dentist design dev digital direct dk doctor "
                  "domains ",
    ['e' - 'a'] = " ec edu education ee eg energy es eu events exchange expert express ",
    ['f' - 'a'] = " fashion fi finance financial fit fm fr fun fund fyi ",
    ['g' - 'a'] = " ga gallery game games gd ge gg gl gle global gmbh goog google gov gq gr "
                  "green gs guide guru gy ",
    ['h' - 'a'] = " hair health healthcare help hk hn holdings homes hospital host hr hu ",
    ['i' - 'a'] = " icu ie il im in inc info ink institute int io ir is it ",
    ['j' - 'a'] = " jobs jp ",
    ['k' - 'a'] = " ke kg kh kim kr kyoto kz ",
    ['l' - 'a'] = " la lat legal li life link live lk loan lol lt ltd lu lv ly ",
    ['m' - 'a'] = " ma market marketing mba me medical men mil ml mn mo mobi moe money monster "
                  "motorcycles ms museum mx ",
    ['n' - 'a'] = " nagoya net network news ng ninja nl no nu nz ",
    ['o' - 'a'] = " okinawa one ong online ooo org osaka ",
    ['p' - 'a'] = " page partners party pe ph pharmacy photos pics pink pizza pk plus porn "
                  "press pro pt pub pw ",
    ['q' - 'a'] = " qa quest ",
    ['r' - 'a'] = " racing re red rent rest restaurant ro rocks ru run ryukyu ",
    ['s' - 'a'] = " sa sbs sc school science se services sex sg shop shopping si site sk skin "
                  "social software solutions space st store studio su support surf sx systems ",
    ['t' - 'a'] = " tax team tech tel tf th tk tl tn to today tokyo tools top tours tr trade "
                  "training travel tv tw ",
    ['u' - 'a'] = " ua ug uk us uy uz ",
    ['v' - 'a'] = " vc ventures vet vg video vip vn ",
    ['w' - 'a'] = " webcam website wiki win work works world ws wtf ",
    ['x' - 'a'] = " xin xn--1ck2e1b xn--3e0b707e xn--55qx5d xn--bck1b9a5dre4c xn--cck2b3b "
                  "xn--cckwcxetd xn--eckvdtc9d xn--efvy88h xn--fct429k xn--fiqs8s xn--fiqz9s "
                  "xn--gckr3f0f xn--gk3at1e xn--io0a7i xn--j6w193g xn--jvr189m xn--kprw13d "
                  "xn--kpry57d xn--p1ai xn--q9jyb4c xn--qcka1pmc xn--rhqv96g xn--tckwe xxx xyz ",
    ['y' - 'a'] = " yokohama ",
    ['z' - 'a'] = " za zone ",
};

/* Those of them that stand in English sentences behind "dot". */
static const char words[] =
    " am at bar be best bet black blue in is it me men no one plus red run team to top us win "
    "work ";

static bool is_listed(const char *list, struct span label)
{
    char wanted[LABEL + 2];
    if (label.size > LABEL)
        return false;
    wanted[0] = wanted[label.size + 1] = ' ';
    memcpy(wanted + 1, label.data, label.size);
    return memmem(list, strlen(list), wanted, label.size + 2) != NULL;
}

static struct span last_label(struct span host)
{
    size_t start = host.size;
    while (start > 0 && host.data[start - 1] != '.')
        start--;
    return span_from(host, start);
}

bool link_host_is_common(struct span host)
{
    struct span label = last_label(host);
    if (label.size < 2)
        return false;
    if (label.data[0] < 'a' || label.data[0] > 'z')
        return host_is_literal(host);
    const char *list = common[label.data[0] - 'a'];
    return list && is_listed(list, label);
}

bool link_host_is_unmistakable(struct span host)
{
    return link_host_is_common(host) && !is_listed(words, last_label(host));
}

bool link_host_is_likely(struct span host)
{
    struct span label = last_label(host);
    if (host_is_literal(host) || span_starts(label, SPAN("xn--")))
        return true;
    for (size_t i = 0; i < label.size; i++)
        if (label.data[i] < 'a' || label.data[i] > 'z')
            return false;
    return label.size >= 2;
}

/* --- numbers (WHATWG URL, "IPv4 parser") --- */

static bool read_number(struct span text, uint64_t *value)
{
    int base = 10;
    if (text.size == 0)
        return false;
    if (span_starts_nocase(text, SPAN("0x"))) {
        base = 16;
        text = span_from(text, 2);
    } else if (text.size > 1 && text.data[0] == '0') {
        base = 8;
    }
    *value = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = ascii_digit(text.data[i], base);
        if (digit < 0 || *value > UINT32_MAX)
            return false;
        *value = *value * (unsigned)base + (unsigned)digit;
    }
    return true;
}

/* "0x7f.1", "2130706433", "0300.0250.1.1" */
static bool read_address(struct span text, char host[HOST_TEXT])
{
    struct address address = {.family = 4};
    uint64_t value, whole = 0;
    unsigned parts = 0;
    while (parts < 4) {
        size_t dot = span_index(text, '.');
        bool last = dot == text.size;
        unsigned bits = last ? 8 * (4 - parts) : 8;
        if (!read_number(span_first(text, dot), &value) || value >> bits)
            return false;
        whole = last ? whole << bits | value : whole << 8 | value;
        if (last)
            break;
        text = span_from(text, dot + 1);
        if (++parts == 4)
            return false;
    }
    for (unsigned i = 0; i < 4; i++)
        address.bytes[i] = (uint8_t)(whole >> (24 - 8 * i));
    address_format(&address, host);
    return true;
}

/* --- names --- */

/* Symbols are not in IDNA 2008, but browsers go to such hosts. */
static bool read_symbols(struct span text, char host[HOST_TEXT])
{
    struct span label;
    size_t used = 0;
    while (text.size > 0) {
        char code[PUNYCODE_LABEL];
        size_t end = span_index(text, '.');
        label = span_first(text, end);
        if (!ascii_alone(label))
            label = (struct span){code, punycode_encode(label, code)};
        if (label.size == 0 || label.size + 1 >= HOST_TEXT - used)
            return false;
        memcpy(host + used, label.data, label.size);
        used += label.size;
        text = span_from(text, end);
        if (text.size > 0)
            host[used++] = '.';
        text = span_from(text, 1);
    }
    host[used] = '\0';
    return used > 0;
}

/* As browsers do (UTS 46): case, width and the other full stops are mapped. */
static bool read_idn(const char *text, char host[HOST_TEXT])
{
    char *ascii = NULL;
    if (idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
        return read_symbols(span_of(text), host);
    bool good = strlen(ascii) < HOST_TEXT;
    if (good)
        memcpy(host, ascii, strlen(ascii) + 1);
    idn2_free(ascii);
    return good;
}

static bool is_edge(char byte)
{
    return byte == '.' || byte == '-' || byte == '_';
}

bool link_host_read(struct span written, char host[HOST_TEXT])
{
    char text[WRITTEN_SIZE + 1], name[HOST_TEXT];
    if (written.size == 0 || written.size > WRITTEN_SIZE)
        return false;
    if (written.data[0] == '[')
        return host_normalise(written, host);
    size_t size = url_decode(written, text);
    for (size_t i = 0; i < size; i++)
        if (text[i] == LINK_STOP)
            text[i] = '.';
    text[size] = '\0';
    struct span ascii = {text, size};
    if (memchr(text, '\0', size))
        return false;
    if (!ascii_alone(ascii)) {
        if (!read_idn(text, name))
            return false;
        ascii = span_of(name);
    }
    while (ascii.size && is_edge(ascii.data[ascii.size - 1]))
        ascii.size--;
    struct span label = last_label(ascii);
    uint64_t ignored;
    if (label.size && label.data[0] >= '0' && label.data[0] <= '9' && read_number(label, &ignored))
        return read_address(ascii, host);
    return span_index(ascii, '.') < ascii.size && host_normalise(ascii, host);
}
