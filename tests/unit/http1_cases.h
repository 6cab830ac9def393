/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of the HTTP/1.1 parser's test: good ones with what the parser makes of them (as
 * tests/unit/http1_transcript.h writes it), bad ones with the error and the byte at which it is
 * known.
 */
#ifndef TESTS_UNIT_HTTP1_CASES_H
#define TESTS_UNIT_HTTP1_CASES_H

#include "gateway/http1.h"

#define G   "GET / HTTP/1.1\r\n"
#define H   "Host: a\r\n"
#define GH  G H
#define OK  "HTTP/1.1 200 OK\r\n"
#define TE  "Transfer-Encoding: chunked\r\n"
#define GOT "GET / host=a:0 path=/ 1.1 none keep\n Host: a\n"
#define E   "\r\n"

enum side { REQUEST, RESPONSE, TO_HEAD, TO_CONNECT };

struct good {
    enum side side;
    const char *bytes, *expected;
};

static const struct good GOOD[] = {
    /* heads of requests */
    {REQUEST, GH E, GOT "end\n"},
    {REQUEST, E GH E, GOT "end\n"},
    {REQUEST, GH "A:\r\nB:\t x\t y \t\r\nc!#$%&'*+-.^_`|~9: \xe9\x80\r\n" E,
     GOT " A: \n B: x\t y\n c!#$%&'*+-.^_`|~9: \xe9\x80\nend\n"},
    {REQUEST, "M-X /a|\"{}^`<>\\?x=[1] HTTP/1.1\r\nhOST:EXAMPLE.jp.:8080\r\n" E,
     "M-X /a|\"{}^`<>\\?x=[1] host=example.jp:8080 path=/a|\"{}^`<>\\?x=[1] 1.1 none keep\n"
     " hOST: EXAMPLE.jp.:8080\nend\n"},
    {REQUEST, G "Host: [2001:DB8::1]:65535\r\n" E,
     "GET / host=2001:db8::1:65535 path=/ 1.1 none keep\n Host: [2001:DB8::1]:65535\nend\n"},
    {REQUEST, "GET / HTTP/1.0\r\n" E, "GET / host=:0 path=/ 1.0 none\nend\n"},
    {REQUEST, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\n" E,
     "GET / host=:0 path=/ 1.0 none keep\n Connection: Keep-Alive\n Expect: 100-continue\nend\n"},
    {REQUEST, "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n" E,
     "GET / host=:0 path=/ 1.0 none\n Connection: Upgrade\n Upgrade: x\nend\n"},
    {REQUEST, GH "Connection: keep-alive , CLOSE\r\n" E,
     "GET / host=a:0 path=/ 1.1 none\n Host: a\n Connection: keep-alive , CLOSE\nend\n"},
    {REQUEST, GH "Connection: x-a,,close,\r\nConnection: x-b\r\n" E,
     "GET / host=a:0 path=/ 1.1 none [x-a] [x-b]\n Host: a\n Connection: x-a,,close,\n"
     " Connection: x-b\nend\n"},
    {REQUEST, GH "Expect: 100-Continue\r\n" E,
     "GET / host=a:0 path=/ 1.1 none keep expect\n Host: a\n Expect: 100-Continue\nend\n"},
    {REQUEST, GH "Expect: 200-ok\r\n" E, GOT " Expect: 200-ok\nend\n"},
    {REQUEST, GH "Connection: upgrade\r\n" E, GOT " Connection: upgrade\nend\n"},
    {REQUEST, GH "Upgrade: websocket\r\n" E, GOT " Upgrade: websocket\nend\n"},
    /* targets */
    {REQUEST, "GET HTTP://A.jp/x?y HTTP/1.1\r\nHost: a.JP:80\r\n" E,
     "GET HTTP://A.jp/x?y host=a.jp:0 path=/x?y http 1.1 none keep\n Host: a.JP:80\nend\n"},
    {REQUEST, "GET https://a:443 HTTP/1.1\r\nHost: a\r\n" E,
     "GET https://a:443 host=a:443 path=/ https 1.1 none keep\n Host: a\nend\n"},
    {REQUEST, "GET http://a?b/c HTTP/1.1\r\nHost: a\r\n" E,
     "GET http://a?b/c host=a:0 path=/?b/c http 1.1 none keep\n Host: a\nend\n"},
    {REQUEST, "OPTIONS http://a:81 HTTP/1.1\r\nHost: a:81\r\n" E,
     "OPTIONS http://a:81 host=a:81 path=* http 1.1 none keep\n Host: a:81\nend\n"},
    {REQUEST, "GET http://[::1]:81/ HTTP/1.0\r\n" E,
     "GET http://[::1]:81/ host=::1:81 path=/ http 1.0 none\nend\n"},
    {REQUEST, "OPTIONS * HTTP/1.1\r\n" H E,
     "OPTIONS * host=a:0 path=* 1.1 none keep\n Host: a\nend\n"},
    {REQUEST, "CONNECT a.jp:443 HTTP/1.1\r\nHost: a.jp\r\nContent-Length: 0\r\n" E "\x16\x03\r\n",
     "CONNECT a.jp:443 host=a.jp:443 path= 1.1 none=0 keep\n Host: a.jp\n Content-Length: 0\n"
     "upgraded \x16\x03\r\n\nend\n"},
    /* bodies of requests, pipelined */
    {REQUEST, GH "Content-Length: 3\r\n" E "a\nb" E GH E,
     "GET / host=a:0 path=/ 1.1 length=3 keep\n Host: a\n Content-Length: 3\nbody a\nb\nend\n" GOT
     "end\n"},
    {REQUEST, GH "Content-Length: 0\r\n" E GH E GH E,
     "GET / host=a:0 path=/ 1.1 length=0 keep\n Host: a\n Content-Length: 0\nend\n" GOT "end\n" GOT
     "end\n"},
    {REQUEST, GH TE E "3\r\nabc\r\n00A;x;y=z;q=\"\\\"; \t\xe9\"\r\n0123456789\r\n0\r\n" E GH E,
     "GET / host=a:0 path=/ 1.1 chunked keep\n Host: a\n Transfer-Encoding: chunked\n"
     "body abc0123456789\nend\n" GOT "end\n"},
    {REQUEST, GH "transfer-ENCODING:\tChunked \r\n" E "0;last\r\nX-Sum: 1\r\nX-Time:\r\n" E,
     "GET / host=a:0 path=/ 1.1 chunked keep\n Host: a\n transfer-ENCODING: Chunked\n"
     "trailer\n X-Sum: 1\n X-Time: \nend\n"},
    {REQUEST,
     GH TE E "0\r\nhost: b\r\nContent-length: 5\r\nTransfer-Encoding: x\r\nX: 1\r\n"
             "Set-Cookie: a\r\nAuthorization: b\r\nTE: c\r\nTrailer: d\r\n" E,
     "GET / host=a:0 path=/ 1.1 chunked keep\n Host: a\n Transfer-Encoding: chunked\n"
     "trailer\n X: 1\nend\n"},
    {REQUEST, GH TE E "0\r\nContent-Length: 5\r\n" E GH E,
     "GET / host=a:0 path=/ 1.1 chunked keep\n Host: a\n Transfer-Encoding: chunked\nend\n" GOT
     "end\n"},
    {REQUEST, GH "Connection: Upgrade\r\nUpgrade: websocket\r\n" E "\r\n\x81",
     "GET / host=a:0 path=/ 1.1 none keep upgrade\n Host: a\n Connection: Upgrade\n"
     " Upgrade: websocket\nupgraded \r\n\x81\nend\n"},
    /* responses */
    {RESPONSE, OK "Content-Length: 2\r\n" E "hi" OK "Content-Length: 0\r\n" E,
     "200 'OK' 1.1 length=2 keep\n Content-Length: 2\nbody hi\nend\n"
     "200 'OK' 1.1 length=0 keep\n Content-Length: 0\nend\n"},
    {RESPONSE, "HTTP/1.1 404\r\nContent-Length: 0\r\n" E "HTTP/1.1 999 \r\nContent-Length: 0\r\n" E,
     "404 '' 1.1 length=0 keep\n Content-Length: 0\nend\n"
     "999 '' 1.1 length=0 keep\n Content-Length: 0\nend\n"},
    {RESPONSE, "HTTP/1.0 200 \xe6\x97\xa5 x\t\r\n" E "HTTP/1.1 200 OK\r\n",
     "200 '\xe6\x97\xa5 x\t' 1.0 close\nbody HTTP/1.1 200 OK\r\n\nend\n"},
    {RESPONSE, OK E, "200 'OK' 1.1 close\nend\n"},
    {RESPONSE, OK TE "Host: not looked at\r\n" E "1\r\nx\r\n0\r\nX: y\r\n" E OK E "z",
     "200 'OK' 1.1 chunked keep\n Transfer-Encoding: chunked\n Host: not looked at\nbody x\n"
     "trailer\n X: y\nend\n200 'OK' 1.1 close\nbody z\nend\n"},
    {RESPONSE, "HTTP/1.1 100 Continue\r\n" E "HTTP/1.1 103 E\r\nLink: x\r\n" E OK E "z",
     "100 'Continue' 1.1 none keep\nend\n103 'E' 1.1 none keep\n Link: x\nend\n"
     "200 'OK' 1.1 close\nbody z\nend\n"},
    {RESPONSE, "HTTP/1.1 204 N\r\nContent-Length: 5\r\n" E "HTTP/1.1 304 N\r\n" TE E OK E "z",
     "204 'N' 1.1 none=5 keep\n Content-Length: 5\nend\n"
     "304 'N' 1.1 none keep\n Transfer-Encoding: chunked\nend\n200 'OK' 1.1 close\nbody z\nend\n"},
    {RESPONSE, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n" E "HTTP/1.1 200",
     "101 'S' 1.1 none keep upgrade\n Connection: upgrade\n Upgrade: x\nupgraded HTTP/1.1 200\n"
     "end\n"},
    /* what the request was is kept over 1xx and holds for one final response */
    {TO_HEAD, "HTTP/1.1 100 C\r\n" E OK "Content-Length: 9\r\n" E OK "Content-Length: 1\r\n" E "x",
     "100 'C' 1.1 none keep\nend\n200 'OK' 1.1 none=9 keep\n Content-Length: 9\nend\n"
     "200 'OK' 1.1 length=1 keep\n Content-Length: 1\nbody x\nend\n"},
    {TO_HEAD, OK TE E, "200 'OK' 1.1 none keep\n Transfer-Encoding: chunked\nend\n"},
    {TO_CONNECT, "HTTP/1.1 100 C\r\n" E OK "Content-Length: 1\r\n" E "x" OK,
     "100 'C' 1.1 none keep\nend\n200 'OK' 1.1 none=1 keep\n Content-Length: 1\n"
     "upgraded xHTTP/1.1 200 OK\r\n\nend\n"},
    {TO_CONNECT, "HTTP/1.1 407 P\r\nContent-Length: 1\r\n" E "x",
     "407 'P' 1.1 length=1 keep\n Content-Length: 1\nbody x\nend\n"},
};

/* --- what is refused --- */

struct bad {
    enum side side;
    enum http1_error error;
    const char *bytes; /* ^ stands for NUL, ~ for the end of what the parser takes */
};

#define BAD(side, error, bytes)                                                                    \
    {                                                                                              \
        side, HTTP1_ERROR_##error, bytes                                                           \
    }
#define LENGTH(value) GH "Content-Length:" value "\r\n~" E
#define CODING(value) GH "Transfer-Encoding:" value "\r\n~" E
#define CHUNK(line)   GH TE E line "\r\n~"
#define HOST(value)   G "Host: " value "\r\n~" E

static const struct bad BADS[] = {
    /* line endings and NUL */
    BAD(REQUEST, BARE_LF, "GET / HTTP/1.1~\n" H E),
    BAD(REQUEST, BARE_LF, G "Host: a~\n" E),
    BAD(REQUEST, BARE_LF, GH "~\n"),
    BAD(REQUEST, BARE_LF, "~\n" GH E),
    BAD(REQUEST, BARE_CR, "GET / HTTP/1.1\r~\r\n" H E),
    BAD(REQUEST, BARE_CR, GH "A: b\r~c\r\n" E),
    BAD(REQUEST, BARE_CR, GH "\r~GET"),
    BAD(REQUEST, NUL, GH "A: b~^\r\n" E),
    BAD(REQUEST, NUL, "~^"),
    BAD(REQUEST, NUL, "\x16\x03\x01\x02~^\x01"),
    BAD(RESPONSE, NUL, OK "A~^: b\r\n" E),
    /* what the gateway of an application takes for a length */
    BAD(REQUEST, FIELD_NAME, GH "content_LENGTH: 0\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "Transfer_Encoding: chunked\r\n~" E),
    /* request lines */
    BAD(REQUEST, METHOD, E E "~" GH E),
    BAD(REQUEST, METHOD, " GET / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, METHOD, "GE(T / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, METHOD, "G\xc3\x89T / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, METHOD, "GET\t/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET\r\n~" H E),
    BAD(REQUEST, VERSION, "GET /\r\n~"),
    BAD(REQUEST, VERSION, "GET / \r\n~"),
    BAD(REQUEST, VERSION, "GET  / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET /  HTTP/1.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / HTTP/1.1 \r\n~" H E),
    BAD(REQUEST, VERSION, "GET /a b HTTP/1.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / http/1.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / HTTP/1.2\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / HTTP/1.10\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / HTTP/01.1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / HTTP/1,1\r\n~" H E),
    BAD(REQUEST, VERSION, "GET / ICAP/1.0\r\n~" H E),
    BAD(REQUEST, UNSUPPORTED_VERSION, "PRI * HTTP/2.0\r\n~" E "SM" E E),
    BAD(REQUEST, UNSUPPORTED_VERSION, "GET / HTTP/0.9\r\n~" H E),
    /* targets */
    BAD(REQUEST, TARGET, "GET a HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET * HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET a:80 HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET /a#b HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET /a\tb HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET /\xe6\x97\xa5 HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET /\x7f HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET ftp://a/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http:/a/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http:///x HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://u@a/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://u:p@a/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://a\\@b/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://a:/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://a:0/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://a:65536/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "GET http://[::1/ HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "CONNECT a HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "CONNECT a: HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "CONNECT / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "CONNECT https://a:443 HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "CONNECT a:0443 HTTP/1.1\r\n~" H E),
    BAD(REQUEST, TARGET, "connect a:443 HTTP/1.1\r\n~" H E),
    /* fields */
    BAD(REQUEST, FOLDING, G " Host: a\r\n~" E),
    BAD(REQUEST, FOLDING, GH "A: b\r\n\tc\r\n~" E),
    BAD(REQUEST, FOLDING, GH " \r\n~" E),
    BAD(REQUEST, SPACE_BEFORE_COLON, GH "A : b\r\n~" E),
    BAD(REQUEST, SPACE_BEFORE_COLON, GH "Transfer-Encoding\t: chunked\r\n~" E),
    BAD(RESPONSE, SPACE_BEFORE_COLON, OK "Content-Length : 1\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "A b: c\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH ": c\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "no colon\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "A\xc2\xa0: b\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "A\x0b: b\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH "(A): b\r\n~" E),
    BAD(REQUEST, FIELD_VALUE, GH "A: \x7f\r\n~" E),
    BAD(REQUEST, FIELD_VALUE, GH "A: b\x01\r\n~" E),
    BAD(REQUEST, FIELD_VALUE,
        GH "Transfer-Encoding: \x0b"
           "chunked\r\n~" E),
    BAD(REQUEST, FIELD_VALUE, GH "Connection: 1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h\r\n~" E),
    /* Host */
    BAD(REQUEST, HOST, G E "~"),
    BAD(REQUEST, HOST, GH H "~" E),
    BAD(REQUEST, HOST, "GET / HTTP/1.0\r\n" H H "~" E),
    BAD(REQUEST, HOST, "GET http://a/ HTTP/1.1\r\nX: y\r\n" E "~"),
    BAD(REQUEST, HOST, "GET http://a/ HTTP/1.1\r\nHost: b\r\n~" E),
    BAD(REQUEST, HOST, "GET http://a/ HTTP/1.1\r\nHost: a:443\r\n~" E),
    BAD(REQUEST, HOST, "GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n~" E),
    BAD(REQUEST, HOST, "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n~" E),
    BAD(REQUEST, HOST, "CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n~" E),
    BAD(REQUEST, HOST, HOST("")),
    BAD(REQUEST, HOST, HOST("a, b")),
    BAD(REQUEST, HOST, HOST("a b")),
    BAD(REQUEST, HOST, HOST("a/")),
    BAD(REQUEST, HOST, HOST("a:")),
    BAD(REQUEST, HOST, HOST("a:0")),
    BAD(REQUEST, HOST, HOST("a:080")),
    BAD(REQUEST, HOST, HOST("a:65536")),
    BAD(REQUEST, HOST, HOST("a:4294967376")),
    BAD(REQUEST, HOST, HOST("a:80:80")),
    BAD(REQUEST, HOST, HOST("a:+80")),
    BAD(REQUEST, HOST, HOST("http://a")),
    BAD(REQUEST, HOST, HOST("::1")),
    BAD(REQUEST, HOST, HOST("[a]")),
    BAD(REQUEST, HOST, HOST("[127.0.0.1]")),
    BAD(REQUEST, HOST, HOST("[::1]80")),
    BAD(REQUEST, HOST, HOST("[::1")),
    BAD(REQUEST, HOST, HOST("a..b")),
    BAD(REQUEST, HOST, HOST("a%2eb")),
    /* lengths */
    BAD(REQUEST, LENGTH, LENGTH("")),
    BAD(REQUEST, LENGTH, LENGTH("+1")),
    BAD(REQUEST, LENGTH, LENGTH("-1")),
    BAD(REQUEST, LENGTH, LENGTH("0x1")),
    BAD(REQUEST, LENGTH, LENGTH("1 1")),
    BAD(REQUEST, LENGTH, LENGTH("1;")),
    BAD(REQUEST, LENGTH, LENGTH("\"1\"")),
    BAD(REQUEST, LENGTH, LENGTH("9223372036854775808")),
    BAD(REQUEST, LENGTH, LENGTH("18446744073709551617")),
    BAD(REQUEST, LENGTHS_DIFFER, LENGTH("1,1")),
    BAD(REQUEST, LENGTHS_DIFFER, LENGTH("1, 2")),
    BAD(REQUEST, LENGTHS_DIFFER, GH "Content-Length: 1\r\nContent-Length: 1\r\n~" E),
    BAD(REQUEST, LENGTHS_DIFFER, GH "Content-Length: 1\r\ncontent-length: 2\r\n~" E),
    BAD(RESPONSE, LENGTHS_DIFFER, OK "Content-Length: 1\r\nContent-Length: 1\r\n~" E),
    BAD(RESPONSE, LENGTH, OK "Content-Length: 1.0\r\n~" E),
    BAD(TO_HEAD, LENGTH, OK "Content-Length: x\r\n~" E),
    BAD(REQUEST, LENGTH_AND_CODING, GH "Content-Length: 1\r\n" TE "~" E),
    BAD(REQUEST, LENGTH_AND_CODING, GH TE "Content-Length: 0\r\n~" E),
    BAD(RESPONSE, LENGTH_AND_CODING, OK "Content-Length: 1\r\n" TE "~" E),
    BAD(RESPONSE, LENGTH_AND_CODING, OK TE "Content-Length: 1\r\n~" E),
    BAD(REQUEST, LENGTH, "CONNECT a:1 HTTP/1.1\r\n" H "Content-Length: 1\r\n" E "~x"),
    BAD(REQUEST, CODING, "CONNECT a:1 HTTP/1.1\r\n" H TE E "~"),
    /* codings */
    BAD(REQUEST, CODING, CODING("")),
    BAD(REQUEST, CODING, CODING("xchunked")),
    BAD(REQUEST, CODING, CODING("chunkedx")),
    BAD(REQUEST, CODING, CODING("chunked, identity")),
    BAD(REQUEST, CODING, CODING("identity")),
    BAD(REQUEST, CODING, CODING("gzip, chunked")),
    BAD(REQUEST, CODING, CODING("chunked,chunked")),
    BAD(REQUEST, CODING, CODING(",chunked")),
    BAD(REQUEST, CODING, CODING("\"chunked\"")),
    BAD(REQUEST, CODING, CODING("chunked;q=1")),
    BAD(REQUEST, CODING, CODING("chun\xc5\xbfked")),
    BAD(REQUEST, CODING, GH TE TE "~" E),
    BAD(REQUEST, CODING, "POST / HTTP/1.0\r\n" TE "~" E),
    BAD(RESPONSE, CODING, "HTTP/1.0 200 OK\r\n" TE "~" E),
    BAD(RESPONSE, CODING, OK "Transfer-Encoding: gzip, chunked\r\n~" E),
    BAD(RESPONSE, CODING, "HTTP/1.1 204 N\r\n" TE E "~"),
    BAD(RESPONSE, CODING, "HTTP/1.1 100 C\r\n" TE E "~"),
    /* chunks */
    BAD(REQUEST, CHUNK, CHUNK("")),
    BAD(REQUEST, CHUNK, CHUNK("+1")),
    BAD(REQUEST, CHUNK, CHUNK("-1")),
    BAD(REQUEST, CHUNK, CHUNK("0x1")),
    BAD(REQUEST, CHUNK, CHUNK(" 1")),
    BAD(REQUEST, CHUNK, CHUNK("1 ")),
    BAD(REQUEST, CHUNK, CHUNK("1\t;a")),
    BAD(REQUEST, CHUNK, CHUNK("1_0")),
    BAD(REQUEST, CHUNK, CHUNK("g")),
    BAD(REQUEST, CHUNK, CHUNK("8000000000000000")),
    BAD(REQUEST, CHUNK, CHUNK("ffffffffffffffff")),
    BAD(REQUEST, CHUNK, CHUNK("10000000000000000")),
    BAD(REQUEST, CHUNK, CHUNK("00000000000000001")),
    BAD(REQUEST, CHUNK, CHUNK("1;")),
    BAD(REQUEST, CHUNK, CHUNK("1;;a")),
    BAD(REQUEST, CHUNK, CHUNK("1;a=")),
    BAD(REQUEST, CHUNK, CHUNK("1; a")),
    BAD(REQUEST, CHUNK, CHUNK("1;a =b")),
    BAD(REQUEST, CHUNK, CHUNK("1;a=\"b")),
    BAD(REQUEST, CHUNK, CHUNK("1;a=\"b\\")),
    BAD(REQUEST, CHUNK, CHUNK("1;a=\"b\"c")),
    BAD(REQUEST, CHUNK, CHUNK("1;a=\"\x7f\"")),
    BAD(REQUEST, BARE_LF, GH TE E "1~\nx\r\n0\r\n" E),
    BAD(REQUEST, BARE_CR, GH TE E "1;a\r~b\r\n"),
    BAD(REQUEST, NUL, GH TE E "1~^"),
    BAD(REQUEST, CHUNK, GH TE E "1\r\nx~x\r\n0\r\n" E),
    BAD(REQUEST, CHUNK, GH TE E "1\r\nx~\n0\r\n" E),
    BAD(REQUEST, CHUNK, GH TE E "1\r\nx\r~\r\n0\r\n" E),
    BAD(REQUEST, CHUNK, GH TE E "1\r\nx~0\r\n" E),
    BAD(RESPONSE, CHUNK, OK TE E "-0\r\n~" E),
    BAD(REQUEST, FIELD_NAME, GH TE E "0\r\nGET / HTTP/1.1\r\n~" H E),
    BAD(REQUEST, FOLDING, GH TE E "0\r\n a: b\r\n~" E),
    BAD(REQUEST, SPACE_BEFORE_COLON, GH TE E "0\r\na : b\r\n~" E),
    BAD(REQUEST, BARE_LF, GH TE E "0\r\n~\n" E),
    /* status lines */
    BAD(RESPONSE, VERSION, E "~" OK E),
    BAD(RESPONSE, VERSION, "ICY 200 OK\r\n~" E),
    BAD(RESPONSE, VERSION, "HTTP/1.x 200 OK\r\n~" E),
    BAD(RESPONSE, VERSION, "HTTP/1\r\n~" E),
    BAD(RESPONSE, VERSION, "<html>\r\n~"),
    BAD(RESPONSE, UNSUPPORTED_VERSION, "HTTP/2.0 200 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 \r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 20\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 20 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 2000 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1  200 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1\t200 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 200\tOK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 099 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 +20 OK\r\n~" E),
    BAD(RESPONSE, STATUS, "HTTP/1.1 200 O\x7fK\r\n~" E),
    /* the second message is judged as the first */
    BAD(REQUEST, LENGTH_AND_CODING, GH E GH "Content-Length: 1\r\n" TE "~" E),
    BAD(REQUEST, METHOD, GH "Content-Length: 1\r\n" E "x" E E "~" GH E),
};

#endif
