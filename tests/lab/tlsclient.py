# SPDX-License-Identifier: BSD-2-Clause
#
# A TLS client whose ClientHello leaves as a case wants it: in pieces, late, in many records, large.
# The handshake itself is OpenSSL's, certificates are verified, and what follows is real traffic.

import ssl
import struct
import time


def padded_alpn(size):
    """An ALPN list that begins with http/1.1 and makes the hello so much larger."""
    names, used, number = ["http/1.1"], 9, 0
    while used < size:
        name = ("x-%05d-" % number).ljust(min(200, max(16, size - used)), "p")
        names.append(name)
        used += len(name) + 1
        number += 1
    return names


def split_records(flight, *sizes):
    """The handshake bytes of one record in several records: of the given sizes, the rest in the last."""
    kind, version, length = struct.unpack("!BHH", flight[:5])
    body, rest = flight[5:5 + length], flight[5 + length:]
    out, at = b"", 0
    for size in (*sizes, len(body)):
        piece = body[at:at + size]
        if piece:
            out += struct.pack("!BHH", kind, version, len(piece)) + piece
        at += size
    return out + rest


class TlsClient:
    """
    `hello` turns the first flight into a list of (bytes, seconds to wait after them). `context` may
    be changed by the caller before connect().
    """

    def __init__(self, sock, name, cafile, alpn=("http/1.1",), hello=None, minimum=None, maximum=None):
        self.sock = sock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(cafile)
        if alpn:
            self.context.set_alpn_protocols(list(alpn))
        if minimum:
            self.context.minimum_version = minimum
        if maximum:
            self.context.maximum_version = maximum
        if name is None:
            # Without a name there is nothing to match; the chain is verified all the same.
            self.context.check_hostname = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._hello = hello or (lambda flight: [(flight, 0)])
        self._first = True

    def _flush(self):
        data = self._outgoing.read()
        if not data:
            return
        if self._first:
            self._first = False
            for piece, pause in self._hello(data):
                self.sock.sendall(piece)
                if pause:
                    time.sleep(pause)
            return
        self.sock.sendall(data)

    def _drive(self, operation):
        while True:
            try:
                result = operation()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def handshake(self):
        self._drive(self.tls.do_handshake)
        return self

    def send(self, data):
        self._drive(lambda: self.tls.write(data))

    def receive(self, size=65536):
        """b"" at a proper end; an end without close_notify raises ssl.SSLEOFError or SSLError."""
        try:
            return self._drive(lambda: self.tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def get(self, host, target="/", extra=b"", close=True):
        """(status, head, body) of one GET."""
        self.send(("GET %s HTTP/1.1\r\nHost: %s\r\n%s" % (
            target, host, "Connection: close\r\n" if close else "")).encode() + extra + b"\r\n")
        return read_response(self.receive)

    def issuer(self):
        """The organisation or common name of who signed what the server showed."""
        issuer = dict(item for part in self.tls.getpeercert().get("issuer", ()) for item in part)
        return issuer.get("commonName", "")

    def close(self):
        self.sock.close()


def client_hello(name, alpn=("http/1.1",)):
    """The bytes of a ClientHello alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if name is None:
        context.check_hostname = False
    context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def read_response(receive, method="GET"):
    """Reads one HTTP/1.1 response strictly: (status, head, body). `receive()` gives bytes, b"" at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = receive()
        if not more:
            raise EOFError("the connection ended after %d bytes of a head: %r" % (len(data), data[:80]))
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.split(b"\r\n")
    status = int(lines[0].split(b" ")[1])
    fields = {}
    for line in lines[1:]:
        name, value = line.split(b":", 1)
        fields[name.lower().decode()] = value.strip().decode("latin-1")
    if method == "HEAD" or status in (204, 304) or status < 200:
        return status, fields, body
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return status, fields, _chunked(receive, body)
    if "content-length" in fields:
        length = int(fields["content-length"])
        while len(body) < length:
            more = receive()
            if not more:
                raise EOFError("%d of %d bytes of a body" % (len(body), length))
            body += more
        return status, fields, body[:length]
    while True:
        more = receive()
        if not more:
            return status, fields, body
        body += more


def _chunked(receive, data):
    out = b""
    while True:
        while b"\r\n" not in data:
            data += _more(receive)
        line, data = data.split(b"\r\n", 1)
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while not data.endswith(b"\r\n") and b"\r\n\r\n" not in data:
                data += _more(receive)
            return out
        while len(data) < size + 2:
            data += _more(receive)
        out, data = out + data[:size], data[size + 2:]


def _more(receive):
    data = receive()
    if not data:
        raise EOFError("the connection ended within a chunked body")
    return data
