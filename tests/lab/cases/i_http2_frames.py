# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 frame by frame through the whole gateway: the conformance table, the resets and GOAWAYs of one
# side as the other side sees them, streams that do not disturb each other, and floods.

import contextlib
import json
import os
import statistics
import struct
import sys
import time

from case import check, equal
from cases.i_http2 import EHR, STREAMS, case
from gateway import REPOSITORY
from http2_frames import (DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Client, Origin, fields,
                          frame, respond, rows, run_row)
from lab import build_folder
from learned import resident
from origins import HERE, portable_executable
from processes import wait_for

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 2, 7, 8
NAVIGATION = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none"))


@case(seconds=240)
def conformance(lab):
    with lab.origins.speaking_http2():
        failed, count = [], 0
        for name, sends, gets in rows(REPOSITORY):
            came = run_row(lab, EHR, sends, gets)
            count += 1
            if came:
                failed.append("%s: %s wanted, %s came" % (name, gets, came))
        equal(failed, [])
        check(count >= 135, count)


# --- what one side does, as the other sees it ---

class Story:
    """An origin that does what the path says: hold, reset/CODE, half/CODE, program; anything else is served."""

    def __init__(self, lab):
        self.held = {}  # path: (peer, stream)
        self.origin = Origin(lab, STREAMS, self.behave)

    def behave(self, peer, found):
        if found.kind != HEADERS:
            return
        path = found.fields[":path"]
        what, _, code = path.strip("/").partition("/")
        if what == "hold":
            self.held[path] = (peer, found.stream)
        elif what in ("reset", "half"):
            if what == "half":
                respond(peer, found.stream, body=b"h" * 2000, end=False)
            peer.send(frame(RST_STREAM, 0, found.stream, struct.pack("!I", int(code))))
        elif what == "program":
            respond(peer, found.stream, body=portable_executable())
        else:
            respond(peer, found.stream)

    def wait(self, path):
        return wait_for(lambda: self.held.get(path), 5, lambda: "no request for %s" % path)

    def serve(self, path, **more):
        respond(*self.wait(path), **more)

    def close(self):
        self.origin.__exit__()


@contextlib.contextmanager
def story(lab):
    """(the origin, a client of it)"""
    told = Story(lab)
    try:
        with Client(lab, STREAMS) as client:
            yield told, client
    finally:
        told.close()


@case()
def a_reset_of_the_origin(lab):
    """Comes to the client with its code, before an answer and within one; the neighbour goes on."""
    with story(lab) as (origin, client):
        client.ask(1, "/hold/neighbour")
        origin.wait("/hold/neighbour")
        stream = 3
        for path, codes in (("/reset/%d", {CANCEL: CANCEL, REFUSED_STREAM: REFUSED_STREAM, 11: 11, 13: 13,
                                           255: 255, INTERNAL_ERROR: INTERNAL_ERROR,
                                           NO_ERROR: INTERNAL_ERROR}),
                            ("/half/%d", {CANCEL: CANCEL, INTERNAL_ERROR: INTERNAL_ERROR,
                                          NO_ERROR: INTERNAL_ERROR})):
            for code, seen in codes.items():
                client.ask(stream, path % code)
                status, body, came = client.answer(stream)
                equal(came, seen, path % code, status, len(body))
                stream += 2
        origin.serve("/hold/neighbour")
        equal(client.answer(1), (200, b"ok\n", None))
        equal(len(origin.origin.peers), 1)


@case()
def a_reset_of_the_client(lab):
    """Comes to the origin with its code; the neighbour goes on."""
    with story(lab) as (origin, client):
        for stream, path in ((1, "/hold/a"), (3, "/hold/b")):
            client.ask(stream, path)
        reset = origin.wait("/hold/a")[1]
        origin.wait("/hold/b")
        client.send(frame(RST_STREAM, 0, 1, struct.pack("!I", CANCEL)))
        seen = wait_for(lambda: origin.origin.seen(RST_STREAM), 5, "RST_STREAM at the origin")
        equal([(f.stream, f.number()) for f in seen], [(reset, CANCEL)])
        origin.serve("/hold/b")
        equal(client.answer(3), (200, b"ok\n", None))


@case()
def a_client_that_vanishes(lab):
    """Its requests are taken back at the origin."""
    with story(lab) as (origin, client):
        client.ask(1, "/hold/a")
        peer = origin.wait("/hold/a")[0]
        client.close()
        wait_for(lambda: any(f.kind in (RST_STREAM, GOAWAY) for f in peer.seen) or not peer.open, 5,
                 "an end at the origin")


@case()
def goaway_of_the_origin(lab):
    """What it will serve is served, what it will not is refused, and the client comes again."""
    with story(lab) as (origin, client):
        for stream, path in ((1, "/hold/a"), (3, "/hold/b")):
            client.ask(stream, path)
        (peer, served), (_, passed_over) = origin.wait("/hold/a"), origin.wait("/hold/b")
        check(served < passed_over, served, passed_over)
        peer.send(frame(GOAWAY, 0, 0, struct.pack("!II", served, NO_ERROR)))
        goaway = client.until(lambda f: f.kind == GOAWAY)
        equal(goaway and goaway.number(4), NO_ERROR)
        check(not any(f.kind == HEADERS for f in client.seen), client.seen)
        if not any(f.kind == RST_STREAM for f in client.seen):
            check(client.until(lambda f: f.kind == RST_STREAM), client.seen)
        equal([(f.stream, f.number()) for f in client.seen if f.kind == RST_STREAM],
              [(3, REFUSED_STREAM)])
        origin.serve("/hold/a")
        equal(client.answer(1), (200, b"ok\n", None))
        check(client.until(lambda f: False) is None, "the connection ends by itself")
        with Client(lab, STREAMS) as again:
            again.ask(1, "/")
            equal(again.answer(1), (200, b"ok\n", None))


@case()
def goaway_of_the_client(lab):
    """What is under way is served, then both connections end."""
    with story(lab) as (origin, client):
        client.ask(1, "/hold/a")
        peer = origin.wait("/hold/a")[0]
        client.send(frame(GOAWAY, 0, 0, struct.pack("!II", 0, NO_ERROR)))
        origin.serve("/hold/a")
        equal(client.answer(1), (200, b"ok\n", None))
        check(client.until(lambda f: False) is None, "the connection ends")
        wait_for(lambda: not peer.open, 5, "the end of the origin's connection")


# --- streams do not disturb each other ---

@case()
def a_blocked_stream_among_others(lab):
    """A page for the one that is stopped, 421 for another name, a reset for nonsense: the rest goes on."""
    with story(lab) as (origin, client):
        client.ask(1, "/hold/body")
        peer, stream = origin.wait("/hold/body")
        peer.send(frame(HEADERS, END_HEADERS, stream, fields((":status", "200"), ("content-type", "text/plain"))))
        client.ask(3, "/program", more=NAVIGATION)
        status, body, code = client.answer(3)
        check((status, code) == (403, None) and b"<html" in body, status, code, body[:80])
        lab.collector.wait(event="block", reason="type-mismatch", host=STREAMS)
        for number, (name, wanted) in enumerate((("files.example.net", 421), (STREAMS + ":444", 421))):
            client.host = name
            client.ask(5 + 2 * number, "/", more=NAVIGATION)
            equal(client.answer(5 + 2 * number)[::2], (wanted, None), name)
        record = lab.collector.wait(host="files.example.net")
        equal(record["reason"], "misdirected", record)
        client.host = STREAMS
        client.ask(9, "/", more=(("host", "files.example.net"),))
        equal(client.answer(9)[::2], (None, PROTOCOL_ERROR))
        client.ask(11, "/", more=(("host", STREAMS),))
        equal(client.answer(11), (200, b"ok\n", None))
        peer.send(frame(DATA, END_STREAM, stream, b"all the while\n"))
        equal(client.answer(1), (200, b"all the while\n", None))
        equal(len(origin.origin.peers), 1)


@case()
def a_stream_that_does_not_read(lab):
    """Its window is full; another stream of the same connection is served whole."""
    with story(lab) as (origin, client):
        client.ask(1, "/hold/large")
        peer, stream = origin.wait("/hold/large")
        peer.send(frame(HEADERS, END_HEADERS, stream, fields((":status", "200"), ("content-type", "text/plain"))))
        for _ in range(3):
            peer.send(frame(DATA, 0, stream, b"a" * 16000))
        # 48000 of the 65535 that the client allows the whole connection: the rest is for the other.
        got = 0
        while got < 48000:
            found = client.until(lambda f: f.kind == DATA and f.stream == 1)
            check(found, client.seen[-3:])
            got += len(found.data)
        for stream in range(3, 43, 2):
            client.ask(stream, "/")
            equal(client.answer(stream), (200, b"ok\n", None))


# --- floods ---

FLOODS = ["reset", "malformed", "continuation", "closed", "settings", "ping", "data", "priority", "windows"]


def latency(lab, seconds):
    """The median time of a request on a connection that is kept, for so long: (seconds, requests)."""
    times = []
    with Client(lab, EHR, "clinician") as client:
        stream, end = 1, time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            client.ask(stream, "/logo.png")
            equal(client.answer(stream)[0], 200)
            times.append(time.monotonic() - began)
            stream += 2
    return statistics.median(times), len(times)


def measured(lab, kind):
    """The same while somebody floods the same worker; and what the flood says of itself."""
    flood = lab.processes.start("phone", "flood-" + kind, [
        sys.executable, os.path.join(HERE, "flood.py"), kind, EHR, lab.address(EHR), lab.trust("clinic"), "3"])
    median, count = latency(lab, 2)
    flood.popen.wait(20)
    return median, count, json.loads(flood.output().splitlines()[-1])


@case({"process": {"workers": 1}}, seconds=180)
def floods_harm_nobody(lab):
    """One worker, one client that floods it in every way, another that asks for a picture."""
    with lab.origins.speaking_http2():
        latency(lab, 0.5)
        worker = lab.gateway.pids("worker")
        before, _ = latency(lab, 2)
        memory = sum(resident(pid)[0] for pid in worker)
        lines, slow = ["without: %.2f ms" % (before * 1000)], []
        for kind in FLOODS:
            median, count, told = measured(lab, kind)
            lines.append("%s: %.2f ms (%d requests), %r" % (kind, median * 1000, count, told))
            check(told["bytes"] > 0, kind, told)
            if median > 10 * before + 0.05:
                slow.append(lines[-1])
        lines.append("memory: %d kB more" % ((sum(resident(pid)[0] for pid in worker) - memory) // 1024))
        with open(os.path.join(build_folder(), "lab", "floods.txt"), "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        equal(slow, [], lines)
        equal(lab.gateway.pids("worker"), worker)
