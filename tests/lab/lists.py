# SPDX-License-Identifier: BSD-2-Clause
#
# Where certificates of the lab point to: a web server on plain HTTP that hands out lists of revoked
# certificates and certificates of issuers, and does it badly where a case wants that.

import contextlib
import socket
import threading

from origins import addresses

HOST = "crl.example-ca.jp"


def url(path, host=HOST):
    return "http://%s/%s" % (host, path)


class Lists:
    """
    `files`: {path: bytes, or a function that is given the socket}. What is not there is 404. Counts who
    asked for what.
    """

    def __init__(self, lab, host=HOST, where=None, names=None):
        self.files, self.asked = {}, []
        self._listeners, self._sockets = [], []
        for address in names or addresses(host):
            listener = lab.network.listen(where or "internet", address, 80)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                self._sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError):
            sock.settimeout(60)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = sock.recv(4096)
                if not piece:
                    raise ValueError
                head += piece
            path = head.split(b" ", 2)[1].decode("ascii").lstrip("/")
            self.asked.append(path)
            content = self.files.get(path)
            if callable(content):
                content(sock)
            elif content is None:
                sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(content) + content)
        with contextlib.suppress(OSError):
            sock.close()

    def close(self):
        for sock in (*self._listeners, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
