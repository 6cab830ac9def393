# SPDX-License-Identifier: BSD-2-Clause
#
# Each of these was once wrong in the data plane, and looked right from outside: what is left of one
# exchange when the next begins, what may go on for ever, what leaves no trace.

import contextlib
import gzip
import os
import socket
import time

from case import case, check, equal, reached
from network import GATEWAY_LAN4
from origins import portable_executable
from processes import wait_for
from tlsclient import TlsClient, read_response

EHR = "ehr.example-clinic.jp"


def receiver(sock):
    return lambda: sock.recv(65536)


def until_the_end(sock, seconds):
    """What comes until the other side ends; "" added when it does not within so many seconds."""
    out = b""
    limit = time.monotonic() + seconds
    while True:
        sock.settimeout(max(0.05, limit - time.monotonic()))
        try:
            data = sock.recv(65536)
        except TimeoutError:
            return out, False
        except OSError:
            return out, True
        if not data:
            return out, True
        out += data


@case()
def connect_after_a_plain_request(lab):
    """The proxy connection had an origin before CONNECT: that one goes, and its end disturbs nobody."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    hostile.hold = 1.0
    sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=10)
    sock.sendall(b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % ((hostile.host.encode(),) * 2))
    equal(read_response(receiver(sock))[0], 200)
    sock.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % ((EHR.encode(),) * 2))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    check(answer.startswith(b"HTTP/1.1 200"), answer)
    tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
    equal(tls.get(EHR, close=False)[0], 200)
    time.sleep(1.5)
    equal(tls.get(EHR)[0], 200)
    tls.close()
    # A refused name: answered without an origin, though the connection had one.
    sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=10)
    sock.sendall(b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % ((hostile.host.encode(),) * 2))
    equal(read_response(receiver(sock))[0], 200)
    sock.sendall(b"CONNECT bit.ly:443 HTTP/1.1\r\nHost: bit.ly:443\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    tls = TlsClient(sock, "bit.ly", lab.trust("clinic")).handshake()
    equal(tls.get("bit.ly")[0], 403)
    tls.close()


@case({"limits": {"buffer": "8MB"}}, seconds=60)
def slow_reader_gets_the_tail_across_a_reload(lab):
    """The last bytes of a response wait in the worker that drains: it stays until they have left."""
    sock = lab.network.connect("other", lab.address(EHR), 80, timeout=20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % EHR.encode())
    head, rest = sock.recv(16384).split(b"\r\n\r\n", 1)
    time.sleep(0.5)  # by now the origin has said all
    lab.gateway.reload()
    time.sleep(1)
    length = len(lab.origins.big)
    seen = len(rest)
    while seen < length:
        data = sock.recv(16384)
        if not data:
            break
        seen += len(data)
        time.sleep(0.002)
    equal(seen, length, "the end of the body was lost")
    sock.close()


@case({"timeouts": {"body": "2s"}})
def upload_of_a_byte_now_and_then(lab):
    """Progress that is none does not keep a request alive."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer, hostile.hold = b"", 30
    sock = lab.network.connect("other", lab.address(hostile.host), 80, timeout=5)
    sock.sendall(b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n" % hostile.host.encode())
    began = time.monotonic()
    sock.settimeout(0.2)
    answer = b""
    while time.monotonic() - began < 12 and not answer:
        try:
            sock.sendall(b"x")
            answer = sock.recv(65536) or b"end"
        except TimeoutError:
            continue
        except OSError:
            break
    check(time.monotonic() - began < 8, "still alive after %.1f s" % (time.monotonic() - began))
    check(answer.startswith(b"HTTP/1.1 408"), answer[:60])
    lab.collector.wait(reason="request-timeout")
    sock.close()


@case({"timeouts": {"first-byte": "2s", "body": "2s"}})
def head_that_never_comes_to_an_end(lab):
    """Interim responses, or a head in single bytes: the time to the first byte is for the final response."""
    hostile = lab.misbehaving["hostile"]
    for answer, piece in ((b"HTTP/1.1 103 Early Hints\r\n\r\n" * 60, 28),
                          (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, 6)):
        hostile.answer, hostile.piece, hostile.pause = answer, piece, 0.3
        got = lab.curl("clinician", "http://%s/" % hostile.host, seconds=12)
        equal(got.status, 504, got)
        check(got.seconds < 6, got.seconds)


@case({"timeouts": {"body": "1s", "splice": "1s"}})
def event_stream_that_is_dead(lab):
    """A silent stream may wait for long, but not for ever."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"data: x\n\n" * 200
    hostile.hold = 20
    sock = lab.network.connect("other", lab.address(hostile.host), 80, timeout=10)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % hostile.host.encode())
    out, ended = until_the_end(sock, 10)
    check(out.startswith(b"HTTP/1.1 200"), out[:60])
    check(ended, "the stream is still open")
    sock.close()


@case()
def coding_in_two_fields(lab):
    """RFC 9110, section 5.3: two fields of one name are one list. A browser undoes both codings."""
    hostile = lab.misbehaving["hostile"]
    body = gzip.compress(portable_executable())
    for codings in ((b"gzip",), (b"gzip", b"identity"), (b"identity", b"gzip")):
        fields = b"".join(b"Content-Encoding: %s\r\n" % coding for coding in codings)
        hostile.answer = (b"HTTP/1.1 200 OK\r\nContent-Type: application/x-thing\r\n%s"
                          b"Content-Disposition: attachment; filename=thing.dat\r\n"
                          b"Content-Length: %d\r\n\r\n" % (fields, len(body))) + body
        got = lab.curl("clinician", "http://%s/thing" % hostile.host)
        equal(got.status, 403, codings, got)


@case()
def client_that_leaves_before_the_end_is_logged(lab):
    """What was asked for is on record, also when the client does not wait for the last byte."""
    for linger in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):
        lab.fresh()
        sock = lab.network.connect("other", lab.address(EHR), 80, timeout=5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        sock.sendall(b"GET /big.bin?secret=1 HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode())
        sock.recv(1000)
        sock.close()
        record = lab.collector.wait(5, event="allow", host=EHR, path="/big.bin")
        check("secret" not in "".join(lab.collector.lines()), record)


@case()
def bodies_on_one_connection(lab):
    """The end of a request's body is seen with its last byte: the connection goes on."""
    sock = lab.network.connect("clinician", lab.address(EHR), 443)
    tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
    for body in (b"x" * 10, b"", b"y" * 3000, b"z"):
        tls.send(b"POST /echo HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n" % (EHR.encode(), len(body))
                 + body)
        status, fields, _ = read_response(tls.receive)
        equal((status, fields.get("connection")), (200, None), len(body))
    tls.close()


@case({"timeouts": {"body": "1s", "first-byte": "6s"}})
def origin_that_thinks_about_a_body(lab):
    """The time for the request's body ends with it."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    hostile.pause, hostile.piece = 2.0, 17
    got = lab.curl("clinician", "--data", "a=b", "http://%s/" % hostile.host)
    check(got.status in (200, 504), got)
    hostile.pause, hostile.piece = 0.4, 17
    got = lab.curl("clinician", "--data", "a=b", "http://%s/" % hostile.host)
    reached(lab, got)


@case()
def upgrade_with_a_body(lab):
    """A body and a WebSocket do not go together: no tunnel."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxx"
    for request in (b"POST / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Content-Length: 5\r\n\r\nabcde",
                    b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: h2c, x\r\n\r\n"):
        sock = lab.network.connect("other", lab.address(hostile.host), 80, timeout=5)
        sock.sendall(request % hostile.host.encode())
        equal(read_response(receiver(sock))[0], 502, request)
        sock.close()


@case({"limits": {"connections-per-client": 20}}, seconds=60)
def answers_that_nobody_fetches_count(lab):
    """A connection counts for its client until the last byte left, not only until its answer was made."""
    def sockets():
        return sum(os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:")
                   for pid in lab.gateway.pids("worker") for name in os.listdir("/proc/%d/fd" % pid))
    before, socks = sockets(), []
    for _ in range(120):
        with contextlib.suppress(OSError):  # what is over the share is reset
            sock = lab.network.connect("other", lab.address(EHR), 80, timeout=5)
            socks.append(sock)
            sock.sendall(b"nonsense\r\n\r\n")
            sock.recv(4096)
    time.sleep(0.3)
    check(sockets() - before <= 40, "%d connections" % (sockets() - before))
    for sock in socks:
        sock.close()

    def over():
        answer = lab.curl("other", "http://%s/" % EHR)
        return answer.status == 200
    wait_for(over, 10, "a place for the client")


@case({"timeouts": {"sniff": "1s"}})
def danger_that_shows_late(lab):
    """Who drips its first bytes gets past the time for sniffing, and is stopped in the middle all the same."""
    hostile = lab.misbehaving["hostile"]
    program = portable_executable()
    hostile.answer = (b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(program)) + program
    hostile.piece, hostile.pause = 115, 1.3  # the head alone, and then the program
    got = lab.curl("clinician", "http://%s/late" % hostile.host, seconds=30)
    check(got.exit != 0 or got.status == 403, got)
    check(len(got.body) < 1000, len(got.body))
    record = lab.collector.wait(event="block", host=hostile.host)
    check(record.get("incident"), record)


@case()
def proxy_leads_nowhere_local(lab):
    """Neither the gateway itself nor what only it can reach, by any form, address or name."""
    for host in ("127.0.0.1", "[::1]", "0.0.0.0", "[::]", "169.254.1.1", "[::ffff:127.0.0.1]", GATEWAY_LAN4):
        for port in ("80", "443"):
            sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=5)
            text = "GET http://%s:%s/ HTTP/1.1\r\nHost: %s:%s\r\n\r\n" % (host, port, host, port)
            sock.sendall(text.encode())
            status = read_response(receiver(sock))[0]
            check(status in (400, 403), host, port, status)
            sock.close()
    lab.collector.wait(reason="loop")
    for words in ("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR,
                  "GET https://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (EHR, EHR),
                  "CONNECT %s:22 HTTP/1.1\r\nHost: %s:22\r\n\r\n" % (EHR, EHR),
                  "GET http://%s:25/ HTTP/1.1\r\nHost: %s:25\r\n\r\n" % (EHR, EHR)):
        sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=5)
        sock.sendall(words.encode())
        status = read_response(receiver(sock))[0]
        check(status in (400, 403), words, status)
        sock.close()
    # CONNECT within a tunnel, plain or under TLS, leads no further.
    sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=5)
    sock.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % ((EHR.encode(),) * 2))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
    tls.send(b"CONNECT bit.ly:443 HTTP/1.1\r\nHost: bit.ly:443\r\n\r\n")
    equal(read_response(tls.receive)[0], 400)
    tls.close()
    check(not lab.origins.requests(), lab.origins.requests())


@case({"policy": {"mode": "observe"}})
def observed_and_not_stopped(lab):
    """Observe mode: a denied name, a dangerous file, a nameless hello: each passes, each is told."""
    sock = lab.network.connect("clinician", lab.address("bit.ly"), 443)
    tls = TlsClient(sock, "bit.ly", lab.trust("clinic")).handshake()
    check(tls.get("bit.ly", "/x?secret=1")[0] != 403)
    tls.close()
    lab.collector.wait(event="would-block", reason="denied-destination")
    got = lab.curl("clinician", "https://files.example.net/setup.pdf")
    reached(lab, got)
    lab.collector.wait(event="would-block", host="files.example.net")
    sock = lab.network.connect("clinician", lab.address(EHR), 443)
    tls = TlsClient(sock, None, lab.trust("both")).handshake()
    equal(tls.get(EHR)[0], 200)
    tls.close()
    lab.collector.wait(event="would-block", reason="no-sni")
    check("secret" not in "".join(lab.collector.lines()))
