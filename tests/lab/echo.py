# SPDX-License-Identifier: BSD-2-Clause
#
# What stands on the other side of the kernel's rules: ports that answer, and a stream of numbered
# datagrams, as a call has, that knows of each one whether it came back.

import contextlib
import socket
import struct
import threading
import time


class Echo:
    """Answers UDP with what came, and TCP with one line, on some address and port of a host."""

    def __init__(self, lab, host, address, port, kinds=("udp", "tcp")):
        self.seen = []  # (kind, peer)
        self._sockets = []
        if "udp" in kinds:
            with lab.network.on(host):
                udp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((address, port))
            self._start(self._datagrams, udp)
        if "tcp" in kinds:
            self._start(self._streams, lab.network.listen(host, address, port))

    def _start(self, function, sock):
        self._sockets.append(sock)
        threading.Thread(target=function, args=(sock,), daemon=True).start()

    def _datagrams(self, sock):
        with contextlib.suppress(OSError):
            while True:
                data, peer = sock.recvfrom(2048)
                if peer is None:  # it was shut down
                    return
                self.seen.append(("udp", peer[0]))
                sock.sendto(data, peer)

    def _streams(self, listener):
        with contextlib.suppress(OSError):
            while True:
                sock, peer = listener.accept()
                self.seen.append(("tcp", peer[0]))
                with contextlib.suppress(OSError):
                    sock.sendall(b"hello\n")
                sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class Stream:
    """Numbered datagrams at a steady pace to an echo. What did not come back is lost."""

    def __init__(self, lab, host, address, port, pace=0.01, size=160):
        self._socket = lab.network.datagram(host, address, port, timeout=0.2)
        self._pace, self._size = pace, size
        self.sent, self.back, self.errors = 0, set(), []
        self.largest_gap = 0.0  # s between two that came back
        self._stop = False
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]

    def _send(self):
        begin = time.monotonic()
        while not self._stop:
            try:
                self._socket.send(struct.pack("!I", self.sent).ljust(self._size, b"m"))
            except OSError as error:
                self.errors.append(error)
            self.sent += 1
            time.sleep(max(0.0, begin + self.sent * self._pace - time.monotonic()))

    def _receive(self):
        last = time.monotonic()
        while not (self._stop and time.monotonic() - last > 1):
            try:
                data = self._socket.recv(2048)
            except socket.timeout:
                continue
            except OSError as error:
                self.errors.append(error)
                continue
            now = time.monotonic()
            self.largest_gap = max(self.largest_gap, now - last)
            last = now
            self.back.add(struct.unpack("!I", data[:4])[0])

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    @property
    def lost(self):
        return self.sent - len(self.back)

    def __repr__(self):
        return "%d sent, %d lost, largest gap %.0f ms, %r" % (
            self.sent, self.lost, self.largest_gap * 1000, self.errors[:2])


def attempt(lab, client, kind, address, port, payload=b"x" * 40, seconds=3):
    """('passes' | 'refused' | 'silent', seconds until it was known)."""
    begin = time.monotonic()

    def result(word):
        return word, time.monotonic() - begin
    try:
        if kind == "tcp":
            with lab.network.connect(client, address, port, seconds) as sock:
                return result("passes" if sock.recv(100) else "refused")
        with lab.network.datagram(client, address, port, seconds) as sock:
            sock.send(payload)
            sock.recv(2048)
            return result("passes")
    except socket.timeout:
        return result("silent")
    except OSError:
        return result("refused")


def internet_sum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def forged_datagram(mac, to_mac, source, target, payload=b"question"):
    """The frame of a UDP datagram from anybody, (address, port), for a packet socket."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, address) for address, _ in (source, target))
    size = 8 + len(payload)  # even
    udp = struct.pack("!HHHH", source[1], target[1], size, 0) + payload
    check = internet_sum(ends + struct.pack("!HH", socket.IPPROTO_UDP, size) + udp)
    udp = udp[:6] + struct.pack("!H", check) + udp[8:]
    if family == socket.AF_INET6:
        kind, head = 0x86dd, struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_UDP, 64) + ends
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
        kind, head = 0x0800, head[:10] + struct.pack("!H", internet_sum(head)) + head[12:]
    return b"".join(bytes.fromhex(m.replace(":", "")) for m in (to_mac, mac)) + struct.pack("!H", kind) + head + udp
