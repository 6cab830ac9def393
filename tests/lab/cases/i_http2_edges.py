# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 where it is pressed: readers that stop, uploads that are answered early, origins that leave or
# fall silent.

import os
import re
import signal
import subprocess
import time

from browser import Browser
from case import NAVIGATE, call, case, check, equal, reached
from gateway import SERVICES
from http2 import Http2Client, Http2Origin, masked_frame, text_frame
from learned import LINK, digest, passes, resident, stopped
from processes import wait_for

EHR = "ehr.example-clinic.jp"
HOST = "streams.example-clinic.jp"

READERS, STREAMS = 8, 16
# limits.buffer is 64 kB: sixteen of them for the streams of a connection, one for its output, and the rest
# for two ends of TLS and HTTP/2, the streams themselves and what the allocator adds.
BOUND = 2304 * 1024


def _grown(workers, before):
    return sum(resident(pid)[0] for pid in workers) - before


@case(seconds=120)
def slow_readers_cost_little(lab):
    """128 downloads on 8 connections whose readers stop: what waits is bounded, and then it all comes."""
    size = 4 << 20  # 16 of them are more than all sockets on the way hold
    with open(os.path.join(lab.origins.sites, "ehr", "slow.bin"), "wb") as file:
        file.truncate(size)
    with lab.origins.speaking_http2():
        url = "https://%s/slow.bin" % EHR
        workers = lab.gateway.pids("worker")
        load = ["h2load", "-c", str(READERS), "-m", str(STREAMS), "-n", str(READERS * STREAMS)]
        lab.network.run("clinician", *load, "https://%s/logo.png" % EHR)  # all code and tables are there
        before = sum(resident(pid)[0] for pid in workers)
        process = subprocess.Popen([*lab.network.prefix("clinician"), *load, url], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: [f.get("state") for f in lab.gateway.ask("flows")["flows"]].count("http2")
                     == READERS, 10, lambda: "the connections: %r" % lab.gateway.ask("flows"))
            process.send_signal(signal.SIGSTOP)
            seen = [0, 1, 2]
            while len(set(seen[-4:])) > 1:  # until nothing moves any more
                time.sleep(0.25)
                seen.append(_grown(workers, before))
            if "ASAN_OPTIONS" not in os.environ:
                check(seen[-1] < READERS * BOUND, "grown by", seen[-1], "of", READERS * BOUND)
            print("# grown by %.1f MB" % (seen[-1] / 1e6))
        finally:
            process.send_signal(signal.SIGCONT)
        text = process.communicate(timeout=90)[0].decode(errors="replace")
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
        equal(found and tuple(map(int, found.groups())), (READERS * STREAMS, 0, 0), text)


@case({"tls": {"http2": False}})
def it_can_be_switched_off(lab):
    with lab.origins.speaking_http2():
        answer = lab.curl("clinician", "https://%s/logo.png" % EHR)
        reached(lab, answer)
        equal(answer.facts["http_version"], "1.1")


# --- uploads ---

@case(seconds=60)
def early_answers_to_uploads(lab):
    """The origin answers before it has read what is sent: the answer arrives, whatever the size."""
    path = os.path.join(lab.folder, "upload.bin")
    with lab.origins.speaking_http2():
        for size in (1000, 100000, 1 << 20, 100 << 20):
            with open(path, "wb") as file:
                file.truncate(size)
            wanted = 413 if size > 20 << 20 else 404
            for words in (["--data-binary", "@" + path], ["--upload-file", path, "--request", "POST"]):
                answer = lab.curl("clinician", *words, "-H", "Expect:", "https://%s/nowhere" % EHR)
                equal((answer.exit, answer.status, answer.facts["http_version"]), (0, wanted, "2"),
                      size, words)
        reached(lab, lab.curl("clinician", "https://%s/logo.png" % EHR))


@case(seconds=60)
def uploads_to_what_is_blocked(lab):
    """The page is seen though the upload was not over; the origin got nothing of it."""
    path = os.path.join(lab.folder, "upload.bin")
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    with lab.origins.speaking_http2():
        host = "www.patient-link.example"
        reached(lab, lab.curl("clinician", "https://%s/present" % host))
        lab.fresh()
        process = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--show-error", "--cacert",
             lab.trust("both"), "--noproxy", "", "--rate", "30/m", "https://%s/present" % host,
             "--output", os.devnull, "--next", "--silent", "--cacert", lab.trust("both"), *NAVIGATE,
             "-H", "Expect:", "--data-binary", "@" + path, "https://%s/present" % host,
             "--write-out", "%{http_code} %{http_version}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lab.origins.requests(host, least=1)
        call(lab)
        text = process.communicate(timeout=30)[0].decode(errors="replace")
        equal((process.returncode, text[-5:]), (0, "403 2"), text[-300:])
        check("<html" in text, text[:300])
        equal(len(lab.origins.requests(host)), 1)


# --- origins that leave ---

REFUSED, INTERNAL, CANCEL = 7, 2, 8


@case()
def resets_of_the_origin(lab):
    """Each is told to its own stream, and the others go on."""
    with Http2Origin(lab, HOST):
        client = Http2Client(lab, HOST)
        seen = {}
        for path in ("/reset/7", "/reset/8", "/reset/13", "/reset/0", "/reset-late/8", "/reset-late/7"):
            stream = client.finish(client.ask(path))
            seen[path] = stream.reset if stream.status in (None, 200) else stream.status
            equal(client.finish(client.ask("/text")).body, b"text", path)
        # Who refuses cannot have begun to answer.
        equal(seen, {"/reset/7": REFUSED, "/reset/8": CANCEL, "/reset/13": 13, "/reset/0": INTERNAL,
                     "/reset-late/8": CANCEL, "/reset-late/7": INTERNAL})
        client.close()


@case(seconds=120)
def origins_that_leave(lab):
    """What may be asked again is said so; what may have been served is not."""
    rows = [  # (answered before, method, path, what becomes of it)
        (False, "GET", "/leave", 502), (True, "GET", "/leave", "refused"), (True, "POST", "/leave", 502),
        (False, "GET", "/goaway-below", "refused"), (False, "POST", "/goaway-below", "refused"),
        (True, "POST", "/goaway-below", "refused"), (True, "GET", "/goaway-at", 502),
        (True, "POST", "/goaway-at", 502), (True, "GET", "/goaway-served", 200),
        (True, "POST", "/goaway-served", 200),
    ]
    with Http2Origin(lab, HOST):
        for before, method, path, wanted in rows:
            client = Http2Client(lab, HOST)
            if before:
                equal(client.finish(client.ask("/text")).body, b"text")
            stream = client.finish(client.ask(path, method, body=b"b" if method == "POST" else None))
            seen = "refused" if stream.reset == REFUSED and stream.status is None else stream.status
            equal(seen, wanted, (before, method, path), stream)
            check(client.wait(lambda client=client: client.goaway is not None), "no GOAWAY", path)
            client.close()
        client = Http2Client(lab, HOST)
        waits, stalls = client.ask("/silent"), client.ask("/stall")
        client.wait(lambda: client.streams[stalls].body)
        client.ask("/leave")
        client.finish(waits, stalls)
        equal((client.streams[waits].status, client.streams[stalls].reset), (502, INTERNAL))
        client.close()


# --- time ---

@case({"timeouts": {"first-byte": "1s", "body": "2s", "sniff": "500ms"}}, seconds=60)
def each_stream_has_its_time(lab):
    """Silence of the origin or of the client ends its own stream and no other."""
    with Http2Origin(lab, HOST):
        client = Http2Client(lab, HOST)
        silent, stalled = client.ask("/silent"), client.ask("/stall")
        upload = client.ask("/silent", "POST", end=False, fields=[("content-length", "10")])
        tunnel_less = client.ask("/text")
        equal(client.finish(tunnel_less).body, b"text")
        client.finish(silent, stalled, upload, seconds=20)
        equal([client.streams[s].status for s in (silent, stalled, upload)], [504, 200, 408])
        equal(client.streams[stalled].reset, INTERNAL)
        check(client.streams[upload].ended, "an answer that is whole", client.streams[upload])
        equal(client.finish(client.ask("/text")).body, b"text")
        client.close()
        for detail, reason in (("no response", "origin-timeout"), ("the response's body", "origin-timeout"),
                               ("the request's body", "request-timeout")):
            lab.collector.wait(reason=reason, detail=detail)


@case({"timeouts": {"body": "1s"}}, seconds=60)
def who_does_not_take_its_answer(lab):
    """A stream whose window the client never opens is ended; its neighbour is whole."""
    with lab.origins.speaking_http2():
        client = Http2Client(lab, EHR)
        client.http2.increment_flow_control_window(16 << 20)
        client.http2.acknowledge_received_data = lambda *_: None  # 64 kB a stream, and nothing more
        stuck = client.ask("/big.bin")
        client.wait(lambda: len(client.streams[stuck].body) == 65535)
        for _ in range(3):
            equal(client.finish(client.ask("/logo.png")).ended, True)
        stream = client.finish(stuck, seconds=20)
        check(stream.reset is not None and not stream.ended, stream)
        lab.collector.wait(reason="request-timeout", detail="the response's body")
        client.close()


# --- WebSocket over a stream (RFC 8441) ---

CHAT = SERVICES + """
service "streams" {
    title = "HTTP/2 の相談"
    inspect = { "streams.example-clinic.jp" }
    chat = { "streams.example-clinic.jp" }
    reviewed = "2026-11-01"
    policy-url = "https://streams.example-clinic.jp/policy"
}
"""
UPGRADE = [(":protocol", "websocket"), ("sec-websocket-version", "13")]


@case(services=CHAT, seconds=60)
def websocket_over_a_stream(lab):
    """Offered once the origin offers it, passed both ways, ended by either side; its links are learned."""
    with Http2Origin(lab, HOST) as origin:
        origin.messages = [LINK]
        passes(lab)
        client = Http2Client(lab, HOST)
        check(client.wait(lambda: client.allows_connect), "extended CONNECT is not offered")
        socket = client.ask("/ws", "CONNECT", UPGRADE, end=False)
        first = text_frame(LINK.encode())
        check(client.wait(lambda: client.streams[socket].body == first), client.streams[socket])
        equal(client.streams[socket].status, 200)
        lab.collector.wait(event="allow", kind="websocket", host=HOST)
        lab.collector.wait(event="learned", url_sha256=digest(LINK), service="streams")
        client.send(socket, masked_frame(b"hello"))
        echo = first + text_frame(b"hello")
        check(client.wait(lambda: client.streams[socket].body == echo), client.streams[socket])
        equal(client.finish(client.ask("/text")).body, b"text")
        client.send(socket, masked_frame(b"\x03\xe8", 8), True)
        equal(client.finish(socket).body, echo + text_frame(b"\x03\xe8", 8))
        equal(client.streams[socket].ended, True)
        equal(origin.asked[0], ("CONNECT", "websocket", "/ws"))
        # What is no WebSocket, a frame that breaks the protocol, and who does not know the host.
        equal(client.finish(client.ask("/ws", "CONNECT", [(":protocol", "connect-udp")])).status, 400)
        socket = client.ask("/ws", "CONNECT", UPGRADE, end=False)
        client.wait(lambda: client.streams[socket].body == first)
        client.send(socket, b"\xff\x80mask")
        check(client.finish(socket).reset is not None, client.streams[socket])
        lab.collector.wait(event="error", reason="bad-request", host=HOST)
        client.close()
        stopped(lab, service="streams")


@case(services=CHAT, seconds=90)
def websocket_of_chromium_over_a_stream(lab):
    """Chromium takes the stream that is offered to it: the origin sees CONNECT, and the link is learned."""
    with Http2Origin(lab, HOST) as origin:
        origin.messages = ["こんにちは", LINK]
        with Browser(lab, "clinician") as browser:
            browser.get("https://%s/page" % HOST)
            wait_for(lambda: LINK in browser.text("#messages"), 10, lambda: browser.text())
            equal(browser.text("#state"), "open")
        check(("CONNECT", "websocket", "/ws") in origin.asked, origin.asked)
        lab.collector.wait(event="learned", url_sha256=digest(LINK), service="streams")
