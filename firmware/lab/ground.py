# SPDX-License-Identifier: BSD-2-Clause
#
# The lab of tests/lab with the image in the gateway's place: QEMU stands in the gateway's namespace,
# which has lost its addresses and only joins cables: the clients' to the image's LAN port, the
# internet's to its WAN port.

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading

FIRMWARE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPOSITORY = os.path.dirname(FIRMWARE)
sys.path.insert(0, os.path.join(REPOSITORY, "tests", "lab"))

from lab import Lab, enter  # noqa: E402
from machine import Machine  # noqa: E402
from network import GATEWAY_LAN4, GATEWAY_WAN4, INTERNET_ROUTER, origin4  # noqa: E402
from origins import DNS_NUMBER  # noqa: E402
from processes import wait_for  # noqa: E402
import records  # noqa: E402

COLLECTOR = "collector.example.org"
COLLECTOR_PORT = 6514


class TlsCollector:
    """A syslog collector by TLS (RFC 5425): lines with their length before them, kept as records."""

    def __init__(self, lab, address):
        self.lab, self.address = lab, address
        certificate, key = lab.certificates.good(COLLECTOR)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.lines = []
        self.faults = []
        self._lock = threading.Lock()
        self._listener = None
        self._connections = set()

    def open(self):
        self._listener = self.lab.network.listen("internet", self.address, COLLECTOR_PORT)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def shut(self):
        listener, self._listener = self._listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as tls:
                self._connections.add(tls)
                self._frames(tls.makefile("rb"))
        except (OSError, ValueError) as error:
            self.faults.append(repr(error))

    def _frames(self, stream):
        while True:
            size = b""
            while not size.endswith(b" "):
                byte = stream.read(1)
                if not byte:
                    return
                size += byte
            line = stream.read(int(size)).decode("utf-8")
            with self._lock:
                self.lines.append(line)

    def records(self, **fields):
        found = []
        with self._lock:
            lines = list(self.lines)
        for line in lines:
            record = records.parse(line)  # a malformed line is an error of the test's
            if all(record.get(name) == value for name, value in fields.items()):
                found.append(record)
        return found

    def wait(self, seconds=60, **fields):
        return wait_for(lambda: self.records(**fields), seconds,
                        lambda: "the collector got no %r; the last: %r; faults: %r" % (
                            fields, self.lines[-5:], self.faults[-3:]))[0]


class Frames:
    """All frames that arrive at the internet's end of the WAN cable."""

    def __init__(self, lab):
        self.frames = []
        with lab.network.on("internet"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._socket.bind(("eth0", 0))
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            try:
                frame, facts = self._socket.recvfrom(65536)
            except OSError:
                return
            if facts[2] != 4:  # not those that the internet sends
                self.frames.append(frame)

    def clear(self):
        self.frames = []

    def with_bytes(self, *needles):
        return [frame for frame in list(self.frames) if any(needle in frame for needle in needles)]


class Ground:

    def __init__(self, work):
        self.lab = Lab("/nonexistent")
        self.work = work
        self.machine = None

    def __enter__(self):
        self.lab.up()
        self._rewire()
        self.collector = TlsCollector(self.lab, origin4(DNS_NUMBER)).open()
        self.frames = Frames(self.lab)
        return self

    def __exit__(self, *_):
        if self.machine:
            self.machine.kill()
        self.lab.down()

    def _rewire(self):
        def ip(*lines):
            self.lab.network._ip("gateway", *lines)
        self.lab.network.run("gateway", "sysctl", "-q", "-w", "net.ipv4.ip_forward=0",
                             "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.all.disable_ipv6=1")
        ip("addr flush dev br-lan", "addr flush dev wan0", "link add br-wan type bridge",
           "link set br-wan up", "link set wan0 master br-wan",
           *("tuntap add dev %s mode tap" % name for name in ("vmwan", "vmlan", "vmisp")),
           "link set vmwan master br-wan up", "link set vmlan master br-lan up",
           "link set vmisp master br-wan up")
        path = os.path.join(self.lab.folder, "dhcp.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("port=0\ninterface=eth0\nbind-interfaces\nuser=root\ngroup=root\n"
                       "dhcp-range=%s,%s,10m\ndhcp-option=3,%s\ndhcp-option=6,%s\n"
                       "dhcp-leasefile=%s/leases\ndhcp-ignore-clid\n" % (
                           GATEWAY_WAN4, GATEWAY_WAN4, origin4(INTERNET_ROUTER), origin4(DNS_NUMBER),
                           self.lab.folder))
        self.lab.processes.start("internet", "dhcp", ["dnsmasq", "--keep-in-foreground", "-C", path])

    def boot(self, disk, name="vm", **options):
        """The image on this disk, between LAN and internet."""
        if self.machine:
            self.machine.kill()  # one that a failed check has left there
        self.machine = Machine(
            os.path.join(self.work, name), disk,
            nets=["tap,ifname=vmwan,script=no,downscript=no", "tap,ifname=vmlan,script=no,downscript=no"],
            prefix=[*self.lab.network.prefix("gateway"), "nice", "-n", os.environ.get("NICE", "10")],
            kind=self.image.machine, **options)
        return self.machine.start()

    @contextlib.contextmanager
    def beside(self, disk, name):
        """Another machine, on the internet's side."""
        other = Machine(os.path.join(self.work, name), disk, first=16,
                        nets=["tap,ifname=vmisp,script=no,downscript=no"], slow=self.machine.slow,
                        prefix=[*self.lab.network.prefix("gateway"), "nice", "-n", "10"])
        try:
            yield other.start()
        finally:
            other.kill()

    def enrol(self):
        """The CA's certificate from the enrolment page, as a device takes it."""
        def ask():
            answer = self.lab.curl("clinician", "http://%s/sekisho-ca.crt" % GATEWAY_LAN4, trust="internet",
                                   seconds=10)
            return answer if answer.status == 200 else None

        answer = wait_for(ask, 60 * self.machine.slow, "no certificate from the enrolment page", 1)
        os.makedirs(os.path.dirname(self.lab.gateway.root), exist_ok=True)
        with open(self.lab.gateway.root, "wb") as file:
            file.write(answer.body)
        both = os.path.join(self.lab.folder, "both.pem")
        if os.path.exists(both):
            os.unlink(both)
        return answer.body


def stick(path, files, megabytes=96):
    """A USB stick's image with a FAT file system: {name: bytes or a path}."""
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["/sbin/mkfs.vfat", "-F", "32", "-n", "STICK", path], check=True,
                   stdout=subprocess.DEVNULL)
    for name, content in files.items():
        source = content
        if isinstance(content, bytes):
            source = path + ".part"
            with open(source, "wb") as file:
                file.write(content)
        subprocess.run(["mcopy", "-i", path, source, "::" + name], check=True,
                       env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
    return path


def copy_disk(source, target):
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
    return target


__all__ = ["Ground", "enter", "stick", "copy_disk", "GATEWAY_LAN4", "GATEWAY_WAN4"]
