# SPDX-License-Identifier: BSD-2-Clause
#
# Attempts to get around the gateway, and how they are judged: by what reached the far side. A raw
# socket on the internet's end of the cable sees every packet of every protocol, the sites' access log
# every request, and the trap answers on every port, so that an attempt that gets out would succeed.
# The table itself is in cases/o_bypass.py.

import os
import socket
import struct
import threading
import time

from case import check
from network import GATEWAY_WAN4, GATEWAY_WAN6, origin6
from origins import address4, address6
from rules import REFUSE, rules_that

EVIL = "evil.example.org"        # nobody lists it; *.evil.example.org leads there too
LANDING = 7777                   # of the trap's programs: every port but the web's leads there
NAT64 = "64:ff9b::cb00:715a"     # EVIL's address, for those who reach IPv4 through a translator
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 41: "ip6-in-ip", 44: "fragment", 47: "gre", 50: "esp", 58: "icmpv6",
             60: "ipv6-options", 132: "sctp"}
SETTLE = 0.15                    # seconds in which the last packet arrives

TRAP = """
table inet trap {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr %(ip4)s tcp dport != { 80, 443 } redirect to :%(port)d
        ip6 daddr { %(ip6)s, %(nat64)s } tcp dport != { 80, 443 } redirect to :%(port)d
        ip daddr %(ip4)s meta l4proto udp redirect to :%(port)d
        ip6 daddr { %(ip6)s, %(nat64)s } meta l4proto udp redirect to :%(port)d
    }
}
""" % {"ip4": address4(EVIL), "ip6": address6(EVIL), "nat64": NAT64, "port": LANDING}

# What the far side may see of an attempt. Each includes those before it.
NOTHING = "nothing"
HANDSHAKE = "the gateway's own handshake, no request"
REQUEST = "a request"
PACKETS = "packets of the client's"
DEGREES = (NOTHING, HANDSHAKE, REQUEST, PACKETS)


class Trap:
    """The far side: who answers, and what was seen. Made once a run."""

    def __init__(self, lab):
        self.lab = lab
        with lab.network.on("internet"):
            self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            self._raw.bind(("eth0", 0))
            datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._raw.setblocking(False)
        lab.network.run("internet", "ip", "addr", "add", NAT64 + "/128", "dev", "eth0", "nodad")
        lab.network.run("gateway", "ip", "route", "add", "64:ff9b::/96", "via", origin6(254))
        lab.network.run("internet", "nft", "-f", "-", input=TRAP.encode())
        datagrams.bind(("::", LANDING))
        threading.Thread(target=self._datagrams, args=(datagrams,), daemon=True).start()
        listener = lab.network.listen("internet", "::", LANDING)
        threading.Thread(target=self._streams, args=(listener,), daemon=True).start()

    @staticmethod
    def _datagrams(sock):
        while True:
            data, peer = sock.recvfrom(4096)
            sock.sendto(b"trap: " + data[:100], peer)

    @staticmethod
    def _streams(listener):
        while True:
            sock, _ = listener.accept()
            sock.sendall(b"trap\r\n")
            sock.close()

    def clear(self):
        self.packets()
        self.lab.origins.clear()

    def packets(self):
        """[(source, destination, protocol, port)] that came over the cable since the last time."""
        seen = []
        while True:
            try:
                packet, facts = self._raw.recvfrom(2048)
            except BlockingIOError:
                return seen
            if facts[2] == socket.PACKET_OUTGOING:
                continue
            if packet[12:14] == b"\x08\x00":
                protocol, at = packet[23], 14 + (packet[14] & 15) * 4
                source, destination = (socket.inet_ntop(socket.AF_INET, packet[i:i + 4]) for i in (26, 30))
                if packet[20] & 0x1f or packet[21]:
                    protocol = 44  # not the first of its packet: no ports
            elif packet[12:14] == b"\x86\xdd":
                protocol, at = packet[20], 54
                source, destination = (socket.inet_ntop(socket.AF_INET6, packet[i:i + 16]) for i in (22, 38))
            else:
                continue
            if protocol == 58 and packet[at] in range(133, 138):
                continue  # neighbour discovery
            port = struct.unpack("!H", packet[at + 2:at + 4])[0] if protocol in (6, 17) else 0
            seen.append((source, destination, PROTOCOLS.get(protocol, str(protocol)), port))

    def seen(self, hosts):
        """(degree, words) of what reached the addresses of these hosts, and nobody else's."""
        addresses = {a for host in hosts for a in (address4(host), address6(host))}
        if EVIL in hosts:
            addresses.add(NAT64)
        packets = [p for p in self.packets() if p[1] in addresses]
        foreign = sorted({"%s/%d" % p[2:] if p[3] else p[2] for p in packets
                          if p[0] not in (GATEWAY_WAN4, GATEWAY_WAN6)})
        requests = [r for r in self.lab.origins.requests() if r["server"].strip("[]") in addresses]
        if foreign:
            return PACKETS, "%s from the client" % ", ".join(foreign)
        if requests:
            return REQUEST, "%s %s of %s" % (requests[0]["method"], requests[0]["uri"], requests[0]["host"])
        return (HANDSHAKE if packets else NOTHING), ""


class Attempt:
    """
    One row. `action(lab)` does it and returns in a few words what the client got; `far` is the most
    that the far side may see of it; `record` the fields of the log line that must be there, or KERNEL
    when a rule of the kernel refuses it or leads it elsewhere; `hosts` whose addresses are watched; `direct`: without a
    gateway the same attempt reaches them, which is tried too; `note`: why it is as it is.
    """

    def __init__(self, what, action, far=NOTHING, record=None, hosts=(EVIL,), direct=True, note=""):
        self.what, self.action, self.far, self.record = what, action, far, record
        self.hosts, self.direct, self.note = hosts, direct, note


KERNEL = {"kernel": True}


class Result:
    def __init__(self, attempt, got, far, words, told, faults):
        self.attempt, self.got, self.far, self.words = attempt, got, far, words
        self.told, self.faults = told, faults

    def line(self):
        far = self.far + (": " + self.words if self.words else "")
        note = " (%s)" % self.attempt.note if self.attempt.note else ""
        return "%s | %s | %s | %s%s" % (self.attempt.what, self.got, far, self.told or "-", note)


def told(record):
    words = [record["event"], record.get("reason", "")]
    if record.get("rule"):
        words.append("by " + os.path.basename(record["rule"]))
    if record.get("sni") or record.get("host"):
        words.append("for " + (record.get("host") or record["sni"]))
    return " ".join(word for word in words if word)


def try_one(lab, trap, attempt):
    """Does it and judges it."""
    lab.collector.clear()
    before = rules_that(lab, *REFUSE)
    trap.clear()
    got = attempt.action(lab)
    time.sleep(SETTLE)
    far, words = trap.seen(attempt.hosts)
    faults = []
    if DEGREES.index(far) > DEGREES.index(attempt.far):
        faults.append("the far side saw %s: %s" % (far, words))
    elif attempt.far in (REQUEST, PACKETS) and far != attempt.far:
        faults.append("the far side was to see %s, it saw %s" % (attempt.far, far))
    said = ""
    if attempt.record is KERNEL:
        after = rules_that(lab, *REFUSE)
        rules = [name for name, count in after.items() if count > before.get(name, 0)]
        said = ", ".join(rules)
        if not rules:
            faults.append("no rule of the kernel counted it")
    elif attempt.record:
        try:
            said = told(lab.collector.wait(5, **attempt.record))
        except AssertionError as error:
            faults.append(str(error))
    return Result(attempt, got, far, words, said, faults)


def try_all(lab, table, name):
    """All rows of a table; the results go to BUILD/lab/bypass.txt, and what is wrong is told together."""
    results = [try_one(lab, lab.trap, attempt) for attempt in table]
    path = os.path.join(lab.build, "lab", "bypass.txt")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n%s\n" % name)
        for result in results:
            file.write("  %s %s\n" % ("NOT OK" if result.faults else "ok", result.line()))
    wrong = ["%s: %s (client: %s)" % (r.attempt.what, "; ".join(r.faults), r.got) for r in results if r.faults]
    check(not wrong, " || ".join(wrong))


def try_direct(lab, table):
    """The same where packets are simply forwarded: each does reach the far side, or it proves nothing."""
    dud = []
    for attempt in table:
        if not attempt.direct:
            continue
        lab.trap.clear()
        got = attempt.action(lab)
        time.sleep(SETTLE)
        if lab.trap.seen(attempt.hosts)[0] == NOTHING:
            dud.append("%s (client: %s)" % (attempt.what, got))
    check(not dud, " || ".join(dud))


__all__ = ["Attempt", "EVIL", "HANDSHAKE", "KERNEL", "NAT64", "NOTHING", "PACKETS", "REQUEST", "Trap",
           "try_all", "try_direct"]
