/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ClientHello core: records and handshake message are reassembled into one buffer that never
 * grows past what the message declares; the message is read once, when it is whole.
 */
#include "gateway/hello.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "filters/ascii.h"
#include "filters/memory.h"

#define RECORD_HEADER    5     /* type, version, length (RFC 8446 section 5.1) */
#define RECORD_LIMIT     16384 /* 2^14 bytes of plaintext in a record */
#define RECORD_HANDSHAKE 22
#define MESSAGE_HEADER   4 /* type, 24-bit length (RFC 8446 section 4) */
#define MESSAGE_HELLO    1
#define MESSAGE_LIMIT    (HELLO_LIMIT - RECORD_HEADER - MESSAGE_HEADER)
#define FIRST_ROOM       2048 /* holds a browser's post-quantum hello without growing */

enum extension_type {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_GROUPS = 10,
    EXTENSION_SIGNATURES = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SESSION_TICKET = 35,
    EXTENSION_PRE_SHARED_KEY = 41,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    EXTENSION_ENCRYPTED_HELLO = 0xfe0d
};

struct hello {
    enum hello_status status;
    size_t total; /* bytes taken, record headers included */
    uint8_t header[RECORD_HEADER];
    size_t header_size;
    size_t record_left; /* bytes of the current record that are still to come */
    uint8_t *message;   /* the handshake message with its header */
    size_t message_size;
    size_t message_room;
    struct hello_facts facts;
};

/* What is left to read of the message, or of a vector inside it. */
struct cursor {
    const uint8_t *data;
    size_t size;
};

struct hello *hello_new(void)
{
    return memory_allocate(1, sizeof(struct hello));
}

void hello_free(struct hello *hello)
{
    if (hello == NULL)
        return;
    free(hello->message);
    free(hello);
}

const struct hello_facts *hello_result(const struct hello *hello)
{
    return hello->status == HELLO_DONE ? &hello->facts : NULL;
}

/* A big-endian number of `width` bytes, at most three. */
static bool take_number(struct cursor *from, size_t width, size_t *value)
{
    if (from->size < width)
        return false;
    *value = 0;
    for (size_t i = 0; i < width; i++)
        *value = *value << 8 | from->data[i];
    from->data += width;
    from->size -= width;
    return true;
}

static bool take_bytes(struct cursor *from, size_t size, struct cursor *bytes)
{
    if (from->size < size)
        return false;
    *bytes = (struct cursor){from->data, size};
    from->data += size;
    from->size -= size;
    return true;
}

/* A vector with a length of `width` bytes in front (RFC 8446 section 3.4) and at least `least`
 * bytes. */
static bool take_vector(struct cursor *from, size_t width, size_t least, struct cursor *vector)
{
    size_t size;

    return take_number(from, width, &size) && size >= least && take_bytes(from, size, vector);
}

/* 0x0a0a, 0x1a1a ... 0xfafa (RFC 8701). */
static bool is_grease(size_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* A label that says it is an A-label must be one: "xn--" and something that Punycode gives. */
static bool is_a_label(const char *label, size_t size)
{
    char text[64];
    char *decoded = NULL;
    bool good;

    memcpy(text, label, size);
    text[size] = '\0';
    good = idn2_to_unicode_8z8z(text, &decoded, 0) == IDN2_OK && decoded != NULL &&
           strcmp(decoded, text) != 0;
    idn2_free(decoded);
    return good;
}

static bool is_label(const char *label, size_t size)
{
    if (size < 1 || size > 63 || label[0] == '-' || label[size - 1] == '-')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!((label[i] >= 'a' && label[i] <= 'z') || (label[i] >= '0' && label[i] <= '9') ||
              label[i] == '-'))
            return false;
    return size < 4 || memcmp(label, "xn--", 4) != 0 || is_a_label(label, size);
}

/* "7", "0x7f", "0x": where a last label is a number the whole name is an IPv4 address (WHATWG URL).
 */
static bool is_numeric_label(const char *label, size_t size)
{
    bool hexadecimal = size >= 2 && label[0] == '0' && label[1] == 'x';

    for (size_t i = hexadecimal ? 2 : 0; i < size; i++)
        if (!((label[i] >= '0' && label[i] <= '9') ||
              (hexadecimal && label[i] >= 'a' && label[i] <= 'f')))
            return false;
    return true;
}

/*
 * A host name of LDH labels in lower case. RFC 6066 section 3 allows neither a trailing dot nor an
 * address literal.
 */
static bool read_name(struct cursor name, char text[HOST_TEXT])
{
    size_t start = 0;

    if (name.size < 1 || name.size > HOST_TEXT - 1)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = (char)name.data[i];
        text[i] = ascii_lower(c);
    }
    text[name.size] = '\0';
    for (size_t i = 0; i < name.size; i++) {
        if (text[i] != '.')
            continue;
        if (!is_label(text + start, i - start))
            return false;
        start = i + 1;
    }
    return is_label(text + start, name.size - start) &&
           !is_numeric_label(text + start, name.size - start);
}

/* RFC 6066 section 3: one list with one host_name, and nothing behind it. */
static bool read_server_name(struct cursor data, struct hello_facts *facts)
{
    struct cursor list, name;
    size_t type;

    facts->sni_present = true;
    if (!take_vector(&data, 2, 1, &list) || data.size != 0)
        return false;
    if (!take_number(&list, 1, &type))
        return false;
    if (type != 0) { /* no other type was ever defined, so how long it is nobody knows */
        facts->sni_bad = true;
        return true;
    }
    if (!take_vector(&list, 2, 1, &name) || list.size != 0)
        return false;
    if (!read_name(name, facts->sni)) {
        facts->sni_bad = true;
        memset(facts->sni, 0, sizeof(facts->sni));
    }
    return true;
}

static bool cursor_is(struct cursor bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* RFC 7301 section 3.1 */
static bool read_alpn(struct cursor data, struct hello_facts *facts)
{
    struct cursor list, name;

    facts->alpn_present = true;
    if (!take_vector(&data, 2, 2, &list) || data.size != 0)
        return false;
    while (list.size > 0) {
        if (!take_vector(&list, 1, 1, &name))
            return false;
        if (cursor_is(name, "http/1.1")) {
            facts->alpn_http1 = true;
        } else if (cursor_is(name, "h2")) {
            facts->alpn_h2_first = facts->alpn_h2_first || !facts->alpn_http1;
            facts->alpn_h2 = true;
        } else if (name.size != 2 || !is_grease((size_t)name.data[0] << 8 | name.data[1])) {
            facts->alpn_other = true;
        }
    }
    return true;
}

/* RFC 8446 section 4.2.1: where this extension stands, it alone says which versions are offered. */
static bool read_versions(struct cursor data, struct hello_facts *facts)
{
    struct cursor list;
    size_t version;

    if (!take_vector(&data, 1, 2, &list) || data.size != 0 || list.size % 2 != 0)
        return false;
    facts->version = 0;
    facts->offer.tls12 = false;
    while (take_number(&list, 2, &version)) {
        offer_add_version(&facts->offer, (uint16_t)version);
        if (version >= 0x0301 && version <= 0x0304 && version > facts->version)
            facts->version = (uint16_t)version;
    }
    return true;
}

static void read_codes(struct cursor list, enum offer_table table, struct hello_facts *facts)
{
    size_t code;

    while (take_number(&list, 2, &code))
        offer_add(&facts->offer, table, (uint16_t)code);
}

/* RFC 8446 sections 4.2.3 and 4.2.7: one list of code points, and nothing behind it. */
static bool read_list(struct cursor data, enum offer_table table, struct hello_facts *facts)
{
    struct cursor list;

    if (!take_vector(&data, 2, 2, &list) || data.size != 0 || list.size % 2 != 0)
        return false;
    read_codes(list, table, facts);
    return true;
}

static bool read_extension(size_t type, struct cursor data, bool last, struct hello_facts *facts)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        return read_server_name(data, facts);
    case EXTENSION_GROUPS:
        return read_list(data, OFFER_GROUPS, facts);
    case EXTENSION_SIGNATURES:
        return read_list(data, OFFER_SIGNATURES, facts);
    case EXTENSION_ALPN:
        return read_alpn(data, facts);
    case EXTENSION_SUPPORTED_VERSIONS:
        return read_versions(data, facts);
    case EXTENSION_SESSION_TICKET: /* empty: only asks for one (RFC 5077 section 3.2) */
        facts->resumption |= data.size > 0;
        return true;
    case EXTENSION_PRE_SHARED_KEY: /* must be the last (RFC 8446 section 4.2.11) */
        facts->resumption = true;
        return last && data.size > 0;
    case EXTENSION_ENCRYPTED_HELLO:
        facts->ech = true;
        return true;
    default:
        return true;
    }
}

/* No type may stand twice (RFC 8446 section 4.2); one bit for each type keeps that linear. */
static bool read_extensions(struct cursor list, struct hello_facts *facts)
{
    uint8_t seen[65536 / 8] = {0};
    struct cursor data;
    size_t type;

    while (list.size > 0) {
        if (!take_number(&list, 2, &type) || !take_vector(&list, 2, 0, &data))
            return false;
        if (seen[type / 8] & 1U << type % 8)
            return false;
        seen[type / 8] |= (uint8_t)(1U << type % 8);
        if (!read_extension(type, data, list.size == 0, facts))
            return false;
    }
    return true;
}

/* RFC 8446 section 4.1.2; every length must be exact, to the last byte of the message. */
static bool read_hello(struct cursor body, struct hello_facts *facts)
{
    struct cursor random, session, suites, compression, extensions;
    size_t version;

    if (!take_number(&body, 2, &version) || version < 0x0300 || !take_bytes(&body, 32, &random) ||
        !take_vector(&body, 1, 0, &session) || session.size > 32 ||
        !take_vector(&body, 2, 2, &suites) || suites.size % 2 != 0 ||
        !take_vector(&body, 1, 1, &compression))
        return false;
    if (memchr(compression.data, 0, compression.size) == NULL)
        return false;

    /* Without the extension no server may choose more than TLS 1.2. */
    facts->version = version > 0x0303 ? 0x0303 : (uint16_t)version;
    if (facts->version < 0x0301)
        facts->version = 0;
    offer_add_version(&facts->offer, facts->version);
    read_codes(suites, OFFER_SUITES, facts);
    if (body.size > 0) {
        if (!take_vector(&body, 2, 0, &extensions) || body.size != 0 ||
            !read_extensions(extensions, facts))
            return false;
    }
    if (facts->version == 0x0304)
        return compression.size == 1;
    facts->resumption |= session.size > 0; /* in TLS 1.3 it only looks like one (appendix D.4) */
    return true;
}

/* The header of a record is whole. */
static enum hello_status begin_record(struct hello *hello)
{
    struct cursor header = {hello->header, RECORD_HEADER};
    size_t type = 0, version = 0;

    take_number(&header, 1, &type);
    take_number(&header, 2, &version);
    take_number(&header, 2, &hello->record_left);
    if (type != RECORD_HANDSHAKE || version >> 8 != 3 || hello->record_left < 1 ||
        hello->record_left > RECORD_LIMIT)
        return HELLO_MALFORMED;
    return HELLO_MORE;
}

/* The length of the message with its header, 0 while the header is not whole. */
static size_t message_length(const struct hello *hello)
{
    const uint8_t *m = hello->message;

    if (hello->message_size < MESSAGE_HEADER)
        return 0;
    return MESSAGE_HEADER + ((size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3]);
}

static void message_reserve(struct hello *hello, size_t wanted, size_t most)
{
    size_t room = hello->message_room == 0 ? FIRST_ROOM : hello->message_room;

    if (wanted <= hello->message_room)
        return;
    while (room < wanted)
        room *= 2;
    if (most != 0 && room > most)
        room = most;
    hello->message = memory_resize(hello->message, room, 1);
    hello->message_room = room;
}

/* Takes what the current record holds of the message; says how much that was. */
static enum hello_status take_fragment(struct hello *hello, const uint8_t *data, size_t size,
                                       size_t *taken)
{
    size_t length = message_length(hello);
    size_t wanted = length == 0 ? MESSAGE_HEADER : length;

    *taken = size < hello->record_left ? size : hello->record_left;
    if (*taken > wanted - hello->message_size)
        *taken = wanted - hello->message_size;
    message_reserve(hello, hello->message_size + *taken, length);
    memcpy(hello->message + hello->message_size, data, *taken);
    hello->message_size += *taken;
    hello->record_left -= *taken;

    if (hello->message[0] != MESSAGE_HELLO)
        return HELLO_MALFORMED;
    length = message_length(hello);
    if (length > MESSAGE_LIMIT + MESSAGE_HEADER)
        return HELLO_TOO_LONG;
    if (length == 0 || hello->message_size < length)
        return HELLO_MORE;
    /* A key change follows: the message must end its record (RFC 8446 section 5.1). */
    if (hello->record_left != 0)
        return HELLO_MALFORMED;
    struct cursor body = {hello->message + MESSAGE_HEADER, length - MESSAGE_HEADER};
    return read_hello(body, &hello->facts) ? HELLO_DONE : HELLO_MALFORMED;
}

/* One byte of a record's header; the first two of the stream tell TLS from anything else. */
static enum hello_status take_header(struct hello *hello, uint8_t byte)
{
    static const uint8_t start[] = {RECORD_HANDSHAKE, 3};

    if (hello->total < sizeof(start) && byte != start[hello->total])
        return HELLO_NOT_TLS;
    hello->header[hello->header_size++] = byte;
    if (hello->header_size < RECORD_HEADER)
        return HELLO_MORE;
    hello->header_size = 0;
    return begin_record(hello);
}

static enum hello_status take(struct hello *hello, const uint8_t *data, size_t size, size_t *taken)
{
    if (hello->record_left > 0)
        return take_fragment(hello, data, size, taken);
    *taken = 1;
    return take_header(hello, *data);
}

enum hello_status hello_feed(struct hello *hello, const uint8_t *data, size_t size)
{
    while (hello->status == HELLO_MORE && size > 0) {
        size_t left = HELLO_LIMIT - hello->total;
        size_t taken = 0;

        hello->status = take(hello, data, size < left ? size : left, &taken);
        hello->total += taken;
        data += taken;
        size -= taken;
        if (hello->status == HELLO_MORE && hello->total == HELLO_LIMIT)
            hello->status = HELLO_TOO_LONG;
    }
    if (hello->status != HELLO_MORE) { /* the message has been read, or never will be */
        free(hello->message);
        hello->message = NULL;
    }
    return hello->status;
}
