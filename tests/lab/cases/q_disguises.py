# SPDX-License-Identifier: BSD-2-Clause
#
# Files in disguise, on the whole way through the gateway; and what must not be taken for one: streams
# whose messages come slowly.

import gzip

from case import NAVIGATE, case, check, equal
from chat import HOST, Reply
from origins import FILES, portable_executable

FETCH = ["-H", "Sec-Fetch-Mode: cors", "-H", "Sec-Fetch-Dest: empty", "-H", "Sec-Fetch-Site: same-origin",
         "-H", "Accept: */*", "-H", "Referer: https://%s/" % HOST]
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + b"\x3e\0\x03\0\xfe\xff\x09\0" + b"\0" * 1500


def answers(lab, body, *fields):
    """The origin's host; it answers so from now on."""
    hostile = lab.misbehaving["hostile"]
    head = ("HTTP/1.1 200 OK", *fields, "Content-Length: %d" % len(body))
    hostile.answer = "\r\n".join(head).encode() + b"\r\n\r\n" + body
    return hostile.host


def stopped(lab, answer, body, *what):
    if answer.status != 403:  # it began before it showed what it is
        check(answer.exit != 0 and len(answer.body) < len(body), *what, "arrived whole", answer)


@case(seconds=120)
def codings_that_are_not_there(lab):
    """The file came as it is: under a coding that is none of its own, or that hides it whole."""
    hidden = b"\x0b\x80" + b"MZ"  # brotli: what follows is no stream of it
    for body in (OLE, portable_executable(), FILES["disk.iso"][0], FILES["program.elf"][0] * 30, hidden + OLE):
        for coding in ("br", "gzip", "deflate", "zstd", "identity, br", "x-unknown"):
            for kind in (NAVIGATE, FETCH, []) if body is OLE else (FETCH,):
                host = answers(lab, body, "Content-Type: text/html", "Content-Encoding: " + coding)
                got = lab.curl("clinician", *kind, "https://%s/a" % host)
                stopped(lab, got, body, body[:8], coding, kind)
        if body.startswith(hidden):
            continue    # as it came it is nothing
        # Browsers take what is under a word that they do not know as it is: a script may save it.
        host = answers(lab, body, "Content-Type: image/png", "Content-Encoding: x-unknown")
        stopped(lab, lab.curl("clinician", *FETCH, "https://%s/a" % host), body, body[:8], "as a picture")
    for size in (20, 2000, 200000):
        picture = b"\x89PNG\r\n\x1a\n" + bytes(size)
        host = answers(lab, picture, "Content-Type: image/png", "Content-Encoding: x-unknown")
        got = lab.curl("clinician", *FETCH, "https://%s/a" % host)
        equal((got.status, got.body), (200, picture), size)
    page = b"<!DOCTYPE html><p>hello</p>" * 200
    for coding, body in (("none", page), ("utf-8", page), ("gzip", gzip.compress(page))):
        host = answers(lab, body, "Content-Type: text/html", "Content-Encoding: " + coding)
        got = lab.curl("clinician", *NAVIGATE, "https://%s/a" % host)
        equal((got.status, got.body), (200, body), coding)


@case()
def disk_image_that_a_script_fetches(lab):
    """Its mark lies behind what is held of a part of a page."""
    image = FILES["disk.iso"][0]
    for declared in ("application/json", "application/octet-stream"):
        host = answers(lab, image, "Content-Type: " + declared)
        got = lab.curl("clinician", *FETCH, "https://%s/a" % host)
        stopped(lab, got, image, declared)
        lab.collector.wait(event="block", host=host)
        lab.collector.clear()


@case()
def streams_are_not_held(lab):
    """Events, and messages that a script reads as they come: the first one arrives before the second."""
    for media, version in (("text/event-stream", "--http1.1"), ("text/event-stream", "--http2"),
                           ("application/x-ndjson", "--http2")):
        lab.chat.replies["stream"] = Reply([b"data: 1\n\n", 3.0, b"data: 2\n\n"], media=media)
        got = lab.curl("clinician", version, *FETCH, "https://%s/origin/stream" % HOST)
        equal((got.status, got.body), (200, b"data: 1\n\ndata: 2\n\n"), media, version)
        check(got.facts["time_starttransfer"] < 2.9, media, version, "waited for the second message", got.facts)


@case()
def danger_in_a_stream(lab):
    """What follows the head that went ahead is looked at before it goes on."""
    for version in ("--http1.1", "--http2"):
        lab.chat.replies["stream"] = Reply([0.3, portable_executable()], media="text/event-stream")
        got = lab.curl("clinician", version, *FETCH, "https://%s/origin/stream" % HOST)
        check(got.exit != 0 and not got.body, version, "it arrived", got)
        lab.collector.wait(event="block", reason="type-mismatch", host=HOST)
        lab.collector.clear()
