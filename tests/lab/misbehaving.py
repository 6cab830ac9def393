# SPDX-License-Identifier: BSD-2-Clause
#
# Origins that real server software would not be: one that ignores Connection: close, one that goes
# away at a chosen moment, one that answers with chosen bytes, and one that echoes raw bytes and
# keeps their digest. Threads of the lab's own process, standing on the internet host.

import contextlib
import hashlib
import socket
import ssl
import threading
import time

from origins import address4, address6


class Connection:
    def __init__(self, peer):
        self.when = time.time()
        self.peer = peer
        self.requests = []  # request lines
        self.heads = []
        self.received = 0
        self.digest = hashlib.sha256()
        self.ended = None   # how the client's side ended: "eof", "reset"


class Origin:
    """Listens on 443 (TLS) and, where plain is true, on 80. Subclasses say what happens then."""

    plain = True

    def __init__(self, lab, host):
        self.lab, self.host = lab, host
        self.connections = []
        self._stop = False
        self._sockets = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*lab.certificates.paths(host))
        self.context.set_alpn_protocols(["http/1.1"])
        for address in (address4(host), address6(host)):
            self._listen(address, 443, True)
            if self.plain:
                self._listen(address, 80, False)

    def _listen(self, address, port, tls):
        sock = self.lab.network.listen("internet", address, port)
        self._sockets.append(sock)
        threading.Thread(target=self._accept, args=(sock, tls), daemon=True).start()

    def _accept(self, listener, tls):
        while not self._stop:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            connection = Connection(peer[0])
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(sock, tls, connection), daemon=True).start()

    def _run(self, sock, tls, connection):
        sock.settimeout(60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.serve(sock, tls, connection)
        except (ConnectionResetError, BrokenPipeError):
            connection.ended = connection.ended or "reset"
        except (OSError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                sock.close()

    def handshake(self, sock, tls):
        return self.context.wrap_socket(sock, server_side=True) if tls else sock

    def head(self, sock, connection):
        """The head of the next request, or None at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(1)
            if not more:
                connection.ended = "eof"
                return None
            data += more
            if len(data) > 1 << 20:
                return None
        connection.heads.append(data)
        connection.requests.append(data.split(b"\r\n", 1)[0].decode("latin-1"))
        return data

    def serve(self, sock, tls, connection):
        raise NotImplementedError

    def clear(self):
        self.connections = []

    def requests(self):
        return [request for connection in self.connections for request in connection.requests]

    def close(self):
        self._stop = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class Stubborn(Origin):
    """Keeps every connection alive, whatever the request says, and says nothing about it."""

    def serve(self, sock, tls, connection):
        sock = self.handshake(sock, tls)
        while self.head(sock, connection):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nstubborn\n")


# Where the closing origin stops, in the order of a connection's life.
STAGES = ["accept", "hello", "server-hello", "handshake", "request-line", "request", "status",
          "headers", "head", "body", "chunk-size", "chunk", "last-chunk", "trailer"]
_ANSWERS = {
    "status": b"HTTP/1.1 20",
    "headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "head": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"b" * 50,
    "chunk-size": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1",
    "chunk": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    "last-chunk": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"3\r\nabc\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\nabc\r\n0\r\nX: ",
}


class Closing(Origin):
    """Goes away at `stage`, with a FIN or, when `reset` is true, a RST."""

    stage = "accept"
    reset = False

    def serve(self, sock, tls, connection):
        if self.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if self.stage == "accept":
            return
        if self.stage == "hello":
            sock.recv(65536)
            return
        if self.stage == "server-hello":
            self._half_handshake(sock)
            return
        secure = self.handshake(sock, tls)
        if self.stage == "handshake":
            self._drop(secure)
            return
        if self.stage == "request-line":
            secure.recv(5)
            self._drop(secure)
            return
        if self.head(secure, connection):
            secure.sendall(_ANSWERS.get(self.stage, b""))
        self._drop(secure)

    @staticmethod
    def _drop(secure):
        # No close_notify: the origin is gone, not finished.
        secure.close()

    def _half_handshake(self, sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while outgoing.pending == 0:
            incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                server.do_handshake()
        flight = outgoing.read()
        sock.sendall(flight[:len(flight) // 2])


class Hostile(Origin):
    """Answers the request with `answer` as it is, in pieces of `piece` bytes with pauses; then ends or holds."""

    answer = b""
    piece = 65536
    pause = 0.0
    hold = 0.0

    def serve(self, sock, tls, connection):
        sock = self.handshake(sock, tls)
        if not self.head(sock, connection):
            return
        answer, piece, pause, hold = self.answer, self.piece, self.pause, self.hold
        for at in range(0, len(answer), piece):
            sock.sendall(answer[at:at + piece])
            if pause:
                time.sleep(pause)
        if hold:
            time.sleep(hold)
        if isinstance(sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ssl.SSLError):
                sock.settimeout(1)
                sock.unwrap()


class Echo(Origin):
    """Sends back every byte of the TCP connection, TLS or not, and ends when the other side has ended."""

    plain = False

    def serve(self, sock, tls, connection):
        while True:
            data = sock.recv(65536)
            if not data:
                connection.ended = "eof"
                break
            connection.received += len(data)
            connection.digest.update(data)
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


class Quiet:
    """
    Answers UDP on the ports of QUIC and TCP and UDP on those of encrypted DNS, so that a refusal is
    seen to be the gateway's. Stands on the addresses of one host.
    """

    def __init__(self, lab, host):
        self.host = host
        self.seen = []  # (protocol, port, peer)
        self._sockets = []
        for address in (address4(host), address6(host)):
            for port in (80, 443, 853):
                with lab.network.on("internet"):
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    udp = socket.socket(family, socket.SOCK_DGRAM)
                udp.bind((address, port))
                self._start(self._datagrams, udp, port)
            self._start(self._streams, lab.network.listen("internet", address, 853), 853)

    def _start(self, function, sock, port):
        self._sockets.append(sock)
        threading.Thread(target=function, args=(sock, port), daemon=True).start()

    def _datagrams(self, sock, port):
        with contextlib.suppress(OSError):
            while True:
                data, peer = sock.recvfrom(2048)
                self.seen.append(("udp", port, peer[0]))
                sock.sendto(data, peer)

    def _streams(self, listener, port):
        with contextlib.suppress(OSError):
            while True:
                sock, peer = listener.accept()
                self.seen.append(("tcp", port, peer[0]))
                sock.settimeout(5)
                with contextlib.suppress(OSError):
                    sock.sendall(sock.recv(2048))
                sock.close()

    def clear(self):
        self.seen = []

    def close(self):
        for sock in self._sockets:
            sock.close()


KINDS = {"stubborn": Stubborn, "closing": Closing, "hostile": Hostile, "echo": Echo}
