# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 frame by frame: the words of tests/conformance/http2.md turned into bytes, a client that sends
# just those, and an origin that answers with chosen frames. Field sections are read by python3-hpack.

import contextlib
import os
import ssl
import struct
import threading
import time

import hpack

from tlsclient import TlsClient

TYPES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
         "WINDOW_UPDATE", "CONTINUATION"]
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION \
    = range(10)
FLAGS = {"end": 1, "ack": 1, "padded": 8, "priority": 0x20}
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CODES = {"NO_ERROR": 0, "PROTOCOL": 1, "INTERNAL": 2, "REFUSED": 7, "CANCEL": 8, "CALM": 11}


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(name, value):
    """A field that is not indexed."""
    def text(data):
        size = len(data)
        if size < 127:
            return bytes([size]) + data
        out, size = b"\x7f", size - 127
        while size >= 128:
            out, size = out + bytes([size % 128 + 128]), size // 128
        return out + bytes([size]) + data
    return b"\0" + text(name.encode()) + text(value.encode())


def fields(*pairs):
    return b"".join(literal(name, value) for name, value in pairs)


def request(host, path="/", method="GET", *more):
    return fields((":method", method), (":scheme", "https"), (":path", path), (":authority", host), *more)


# --- the words of the table ---

def payload(word, host):
    if word in ("get", "post", "head"):
        return request(host, method=word.upper())
    if word.startswith("u32:"):
        return struct.pack("!I", int(word[4:]))
    if word.startswith("set:"):
        name, value = word[4:].split("=")
        return struct.pack("!HI", int(name), int(value))
    if word.startswith("*"):
        return bytes(int(word[1:]))
    if word.startswith("x") and not word.startswith("x-"):
        return bytes.fromhex(word[1:])
    name, value = word.split("=", 1)
    return literal(name, host if value == "@" else value)


def read_frame(text, host):
    name, *words = text.split()
    if name == "raw":
        return b"".join(payload(word, host) for word in words)
    kind, *flags = name.split(".")
    kind = int(kind[1:], 16) if kind.startswith("x") else TYPES.index(kind)
    bits = END_HEADERS if kind in (HEADERS, CONTINUATION, PUSH_PROMISE) else 0
    for flag in flags:
        if flag == "part":
            bits &= ~END_HEADERS
        else:
            bits |= int(flag[1:], 16) if flag.startswith("x") else FLAGS[flag]
    return frame(kind, bits, int(words[0]), b"".join(payload(word, host) for word in words[1:]))


# --- frames that come ---

class Frame:
    def __init__(self, kind, flags, stream, data):
        self.kind, self.flags, self.stream, self.data = kind, flags, stream, data

    def number(self, at=0):
        return struct.unpack_from("!I", self.data, at)[0]

    def block(self):
        """The field section of HEADERS, without padding and priority."""
        data = self.data
        if self.flags & 8:
            data = data[1:len(data) - data[0]]
        return data[5:] if self.flags & 0x20 else data

    def __repr__(self):
        name = TYPES[self.kind] if self.kind < len(TYPES) else hex(self.kind)
        code = {RST_STREAM: 0, GOAWAY: 4}.get(self.kind)
        return "%s%s %d%s" % (name, ".%x" % self.flags if self.flags else "", self.stream,
                              " code %d" % self.number(code) if code is not None else
                              " (%d)" % len(self.data))


class Peer:
    """One end: `receive()` gives bytes, b"" at the end. The end of the connection is the frame None."""

    def __init__(self, receive, send):
        self._receive, self.send = receive, send
        self._data = b""
        self.decoder = hpack.Decoder()
        self.seen = []
        self.open = True

    def _fill(self, size):
        while len(self._data) < size:
            try:
                more = self._receive()
            except (ssl.SSLError, ConnectionError):
                more = b""
            if not more:
                return False
            self._data += more
        return True

    def take(self):
        if not self._fill(9):
            return None
        size = struct.unpack("!I", b"\0" + self._data[:3])[0]
        kind, flags, stream = struct.unpack("!BBI", self._data[3:9])
        if not self._fill(9 + size):
            return None
        found = Frame(kind, flags, stream, self._data[9:9 + size])
        self._data = self._data[9 + size:]
        self.seen.append(found)
        if kind == HEADERS:  # all of them, or the table is not the sender's any more
            found.fields = dict(self.decoder.decode(found.block()))
        return found

    def until(self, condition):
        """Reads to the first frame that condition() is true of, or to the end: None."""
        while True:
            found = self.take()
            if found is None or condition(found):
                return found

    def settings(self):
        """The first SETTINGS of the other end, acknowledged."""
        found = self.until(lambda f: f.kind == SETTINGS and not f.flags & ACK)
        self.send(frame(SETTINGS, ACK, 0))
        return found


class Client(Peer):
    """A client of `host` behind the gateway; it stands on a machine of the LAN."""

    def __init__(self, lab, host, client="clinician", begin=True, seconds=10):
        sock = lab.network.connect(client, lab.address(host), 443)
        sock.settimeout(seconds)
        self.tls = TlsClient(sock, host, lab.trust("clinic"), alpn=("h2",)).handshake()
        self.host = host
        super().__init__(self.tls.receive, self._write)
        if begin:
            self.send(PREFACE + frame(SETTINGS, 0, 0))
            self.settings()

    def _write(self, data):
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # what it said last is still read
            self.tls.send(data)

    def ask(self, stream, path="/", method="GET", more=(), end=True):
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.send(frame(HEADERS, flags, stream, request(self.host, path, method, *more)))

    def answer(self, stream):
        """(status, body, None), or (None, body, code) of a stream that was reset."""
        status, body = None, b""
        while True:
            found = self.take()
            if found is None:
                raise EOFError("the connection ended: %r" % self.seen[-4:])
            if found.stream != stream:
                continue
            if found.kind == HEADERS and found.fields[":status"] >= "200":
                status = int(found.fields[":status"])
            elif found.kind == DATA:
                body += found.data
                if found.data:
                    self.send(b"".join(frame(WINDOW_UPDATE, 0, s, struct.pack("!I", len(found.data)))
                                       for s in (0, stream)))
            elif found.kind == RST_STREAM:
                return None if status is None else status, body, found.number()
            if found.kind in (HEADERS, DATA) and found.flags & END_STREAM:
                return status, body, None

    def close(self):
        self.tls.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Origin:
    """
    An origin of frames: `behave(peer, frame)` is called for every frame of every connection, in a thread
    of that connection. What came is in `peers`, each a Peer with its frames in `seen`.
    """

    def __init__(self, lab, host, behave):
        self.behave, self.peers = behave, []
        self._stop = False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*lab.certificates.paths(host))
        self.context.set_alpn_protocols(["h2"])
        self._listener = lab.network.listen("internet", lab.address(host), 443)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._stop:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(30)
        peer = None
        with contextlib.suppress(OSError, EOFError), \
                self.context.wrap_socket(sock, server_side=True) as tls:
            got = b""
            while len(got) < len(PREFACE):
                got += tls.recv(len(PREFACE) - len(got)) or _nothing()
            peer = Peer(lambda: tls.recv(65536), tls.sendall)
            self.peers.append(peer)
            peer.send(frame(SETTINGS, 0, 0))
            while found := peer.take():
                if found.kind == SETTINGS and not found.flags & ACK:
                    peer.send(frame(SETTINGS, ACK, 0))
                self.behave(peer, found)
        if peer:
            peer.open = False

    def seen(self, kind):
        return [f for peer in list(self.peers) for f in list(peer.seen) if f.kind == kind]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(2)
        self._listener.close()


def _nothing():
    raise EOFError


def respond(peer, stream, status="200", body=b"ok\n", end=True, more=()):
    """A response of one HEADERS and one DATA."""
    peer.send(frame(HEADERS, END_HEADERS, stream,
                    fields((":status", status), ("content-type", "text/plain"), *more)))
    peer.send(frame(DATA, END_STREAM if end else 0, stream, body))


# --- the table ---

def rows(repository):
    """(name, what is sent, what is to come) of every row that has both."""
    path = os.path.join(repository, "tests", "conformance", "http2.md")
    with open(path, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != 4 or not cells[0].startswith(("generic", "http2", "hpack")):
                continue
            codes = [cell.strip("`") for cell in cells[2:] if cell.startswith("`") and cell.endswith("`")]
            if len(codes) == 2:
                yield cells[0], *codes


def fits(frames, ended, gets):
    """Whether these frames are what a row wants; None: not yet."""
    kind, *numbers = gets.split()
    resets = [(f.stream, f.number()) for f in frames if f.kind == RST_STREAM]
    goaways = [f.number(4) for f in frames if f.kind == GOAWAY and f.number(4)]
    wanted = [int(n) for n in numbers if n.isdigit()]
    if kind == "GOAWAY":
        return goaways == wanted if ended else None
    if kind == "RST":
        found = tuple(wanted) in resets
    elif goaways or resets:
        return False
    elif kind == "end":
        found = ended
    elif gets == "first settings":
        found = frames and frames[0].kind == SETTINGS and not frames[0].flags & ACK
    elif kind == "settings":
        found = sum(f.kind == SETTINGS and f.flags & ACK for f in frames) == 2
    elif kind == "ping":
        found = any(f.kind == PING and f.flags & ACK for f in frames)
    elif kind == "answer":
        found = any(f.kind == HEADERS and f.stream == wanted[0] for f in frames)
    else:
        bodies = [len(f.data) for f in frames if f.kind == DATA and f.stream == wanted[0]]
        found = bodies[0] == wanted[1] if bodies else None
        if found is False:
            return False
    return True if found else False if ended else None


def run_row(lab, host, sends, gets):
    """None when it is as the row says, otherwise what came instead."""
    with Client(lab, host, begin=not sends.startswith("raw"), seconds=5) as client:
        ended, data = False, b""
        for text in sends.split(";"):
            if text.strip() != "wait":
                data += read_frame(text, host)
                continue
            client.send(data)
            data = b""
            ended = client.until(lambda f: f.stream == 1 and f.kind in (HEADERS, DATA)
                                 and f.flags & END_STREAM) is None
        client.send(data)
        end = time.monotonic() + 5
        while not ended and fits(client.seen, ended, gets) is None and time.monotonic() < end:
            try:
                ended = client.take() is None
            except TimeoutError:
                break
        return None if fits(client.seen, ended, gets) else "%r%s" % (client.seen, ", the end" * ended)
