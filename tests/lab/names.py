# SPDX-License-Identifier: BSD-2-Clause
#
# Names in the lab: the dnsmasq beside the gateway, with what the gateway wrote for it, and questions
# as a client asks them.

import os
import socket
import struct

from network import GATEWAY_LAN4, GATEWAY_LAN6, origin4
from origins import DNS_NUMBER
from processes import wait_for

A, AAAA, SVCB, HTTPS = 1, 28, 64, 65
NXDOMAIN = 3
SINK4, SINK6 = "192.0.2.53", "100::53"
UPSTREAM = origin4(DNS_NUMBER)


def _skip_name(packet, at):
    while packet[at] != 0:
        if packet[at] >= 0xc0:
            return at + 2
        at += packet[at] + 1
    return at + 1


def _text(kind, data):
    if kind in (A, AAAA):
        return socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data)
    return data.hex()


def ask(lab, name, kind=A, server=GATEWAY_LAN4, client="clinician"):
    """(response code, the answers of that type as text)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack("!6H", 0x5e4, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
    sock = lab.network.datagram(client, server, 53)
    try:
        sock.send(query)
        packet = sock.recv(4096)
    finally:
        sock.close()
    flags, questions, answers = struct.unpack("!3H", packet[2:8])
    at = 12
    for _ in range(questions):
        at = _skip_name(packet, at) + 4
    found = []
    for _ in range(answers):
        at = _skip_name(packet, at)
        this, _, _, size = struct.unpack("!HHIH", packet[at:at + 10])
        if this == kind:
            found.append(_text(kind, packet[at + 10:at + 10 + size]))
        at += 10 + size
    return flags & 15, found


class Resolver:
    """dnsmasq on the gateway. `own`: more lines of its own configuration."""

    def __init__(self, lab, path, *own):
        self.lab, self.path = lab, path
        self.configuration = os.path.join(lab.gateway.folder, "own-dnsmasq.conf")
        # The lab's internet has addresses for documentation, which no name may lead to.
        lines = ["bind-interfaces", "user=root", "group=root", "pid-file=", "no-daemon", "no-hosts",
                 "log-queries", "log-facility=-", "rebind-domain-ok=/example/com/net/org/jp/ly/",
                 "listen-address=127.0.0.1,%s,%s" % (GATEWAY_LAN4, GATEWAY_LAN6),
                 "conf-file=" + path, *own]
        with open(self.configuration, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self._start()

    def _start(self):
        self.process = self.lab.processes.start("gateway", "own-dnsmasq",
                                                ["dnsmasq", "-C", self.configuration])

        def answers():
            if not self.process.alive():
                raise AssertionError("dnsmasq: " + self.process.output()[-2000:])
            try:
                return ask(self.lab, "use-application-dns.net", client="gateway")[0] == NXDOMAIN
            except OSError:
                return False
        wait_for(answers, 10, lambda: "dnsmasq: " + self.process.output()[-2000:])

    def stop(self):
        self.process.stop()
        self.lab.processes.forget(self.process)

    def restart(self):
        """As its service manager does when the file has changed."""
        self.stop()
        self._start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
