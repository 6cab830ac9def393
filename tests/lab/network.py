# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's network: one namespace a host, made without names that another run could meet. A namespace
# is a file in the lab's folder (bind-mounted in a mount namespace of the lab's own), so everything
# is gone when the lab's last process is.
#
#     clinician .21 ─┐
#     phone     .22 ─┼─ br-lan  gateway  wan0 ── eth0 internet (every origin has its address there)
#     other     .23 ─┘  192.168.10.1    203.0.113.1    home0 ── patient 198.51.100.21
#
# The gateway does not translate addresses: an origin sees the client's address when the packet was
# forwarded, and the gateway's when it came through the proxy. That is how a test tells them apart.

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000

CLIENTS = {  # name: (IPv4, IPv6, MAC)
    "clinician": ("192.168.10.21", "fd00:10::21", "02:00:00:00:10:21"),
    "phone": ("192.168.10.22", "fd00:10::22", "02:00:00:00:10:22"),
    "other": ("192.168.10.23", "fd00:10::23", "02:00:00:00:10:23"),
}
GATEWAY_LAN4, GATEWAY_LAN6 = "192.168.10.1", "fd00:10::1"
GATEWAY_WAN4, GATEWAY_WAN6 = "203.0.113.1", "2001:db8:113::1"
PATIENT4, PATIENT6 = "198.51.100.21", "2001:db8:51::21"  # at home: an access network of its own
HOME4, HOME6 = "198.51.100.0/24", "2001:db8:51::/64"
HOME_ROUTER4, HOME_ROUTER6 = "198.51.100.1", "2001:db8:51::1"
INTERNET_ROUTER = 254  # last part of the internet namespace's own address
LAN4, LAN6 = "192.168.10.0/24", "fd00:10::/64"

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "setns: " + os.strerror(error))


def run(*command, **options):
    """Runs a program to its end; an error carries what the program said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()
        raise RuntimeError("%s: exit %d: %s" % (" ".join(command), done.returncode, said))
    return done.stdout.decode(errors="replace")


def origin4(number):
    return "203.0.113.%d" % number


def origin6(number):
    return "2001:db8:113::%d" % number


class Network:
    def __init__(self, folder):
        self.folder = os.path.join(folder, "ns")
        os.makedirs(self.folder, exist_ok=True)
        self._made = []

    # --- namespaces ---

    def path(self, host):
        return os.path.join(self.folder, host)

    def prefix(self, host):
        """The command words that run a program on that host."""
        return ["nsenter", "--net=" + self.path(host)]

    def run(self, host, *command, **options):
        return run(*self.prefix(host), *command, **options)

    @contextlib.contextmanager
    def on(self, host):
        """The calling thread stands on that host: sockets that it makes belong there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path(host), os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(there)
            os.close(home)

    def _make(self, host):
        with open(self.path(host), "w", encoding="ascii"):
            pass
        run("unshare", "--net", "mount", "--bind", "/proc/self/ns/net", self.path(host))
        self._made.append(host)
        self.run(host, "ip", "link", "set", "lo", "up")
        # Duplicate address detection would keep IPv6 unusable for the first seconds.
        self._sysctl(host, "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                     "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0")

    def _sysctl(self, host, *settings):
        self.run(host, "sysctl", "-q", "-w", *settings)

    def _ip(self, host, *lines):
        self.run(host, "ip", "-force", "-batch", "-", input="\n".join(lines).encode() + b"\n")

    def _wire(self, host, name, peer_host, peer_name, mac=None):
        """A cable between two hosts."""
        self._ip(host, "link add %s type veth peer name %s netns %s" % (
            name, peer_name, self.path(peer_host)))
        if mac:
            self._ip(host, "link set %s address %s" % (name, mac))
        self._ip(host, "link set %s up" % name)
        self._ip(peer_host, "link set %s up" % peer_name)

    def up(self, origins):
        """Raises the hosts. `origins`: the numbers of the addresses that the internet answers on."""
        for host in ("gateway", "internet", "patient", *CLIENTS):
            self._make(host)
        self._ip("gateway", "link add br-lan type bridge", "link set br-lan up",
                 "addr add %s/24 dev br-lan" % GATEWAY_LAN4,
                 "addr add %s/64 dev br-lan nodad" % GATEWAY_LAN6)
        for number, (host, (ip4, ip6, mac)) in enumerate(CLIENTS.items()):
            port = "lan%d" % number
            self._wire(host, "eth0", "gateway", port, mac)
            self._ip("gateway", "link set %s master br-lan" % port)
            self._ip(host, "addr add %s/24 dev eth0" % ip4, "addr add %s/64 dev eth0 nodad" % ip6,
                     "route add default via " + GATEWAY_LAN4,
                     "route add ::/0 via " + GATEWAY_LAN6)
        self._wire("internet", "eth0", "gateway", "wan0")
        self._ip("gateway", "addr add %s/24 dev wan0" % GATEWAY_WAN4,
                 "addr add %s/64 dev wan0 nodad" % GATEWAY_WAN6)
        self._wire("patient", "eth0", "internet", "home0")
        self._ip("patient", "addr add %s/24 dev eth0" % PATIENT4,
                 "addr add %s/64 dev eth0 nodad" % PATIENT6,
                 "route add default via " + HOME_ROUTER4, "route add ::/0 via " + HOME_ROUTER6)
        lines = ["addr add %s/24 dev home0" % HOME_ROUTER4,
                 "addr add %s/64 dev home0 nodad" % HOME_ROUTER6]
        for number in (INTERNET_ROUTER, *origins):
            lines.append("addr add %s/24 dev eth0" % origin4(number))
            lines.append("addr add %s/64 dev eth0 nodad" % origin6(number))
        lines.append("route add %s via %s" % (LAN4, GATEWAY_WAN4))
        lines.append("route add %s via %s" % (LAN6, GATEWAY_WAN6))
        self._ip("internet", *lines)
        self._ip("gateway", "route add %s via %s" % (HOME4, origin4(INTERNET_ROUTER)),
                 "route add %s via %s" % (HOME6, origin6(INTERNET_ROUTER)))
        for host in ("gateway", "internet"):
            self._sysctl(host, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        # Where br_netfilter is loaded, a bridge runs the prerouting hooks before the packet is taken
        # up, and the socket that TPROXY chose is lost again: TPROXY on a bridge needs it off.
        if os.path.exists("/proc/sys/net/bridge"):
            self._sysctl("gateway", "net.bridge.bridge-nf-call-iptables=0",
                         "net.bridge.bridge-nf-call-ip6tables=0")

    def attach(self, host, interface, ip4, ip6):
        """One more host, alone behind an interface of the gateway's, which has .1 of its networks."""
        self._make(host)
        self._wire(host, "eth0", "gateway", interface)
        gate4, gate6 = ip4.rsplit(".", 1)[0] + ".1", ip6.rsplit(":", 1)[0] + ":1"
        self._ip("gateway", "addr add %s/24 dev %s" % (gate4, interface),
                 "addr add %s/64 dev %s nodad" % (gate6, interface))
        self._ip(host, "addr add %s/24 dev eth0" % ip4, "addr add %s/64 dev eth0 nodad" % ip6,
                 "route add default via " + gate4, "route add ::/0 via " + gate6)

    def detach(self, host, interface):
        self._ip("gateway", "link del " + interface)
        subprocess.run(["umount", self.path(host)], check=True)
        self._made.remove(host)

    def down(self):
        for host in self._made:
            subprocess.run(["umount", self.path(host)], stderr=subprocess.DEVNULL, check=False)
            with contextlib.suppress(OSError):
                os.unlink(self.path(host))
        self._made = []

    # --- sockets on a host ---

    def connect(self, host, address, port, timeout=10, source=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.on(host):
            sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def listens(self, host, address, port=443):
        """Whether somebody on that host takes connections there."""
        try:
            self.connect(host, address, port, 1).close()
            return True
        except OSError:
            return False

    def listen(self, host, address, port, backlog=256):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.on(host):
            sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # of what it accepts too
        sock.bind((address, port))
        sock.listen(backlog)
        return sock

    def datagram(self, host, address, port, timeout=5):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.on(host):
            sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.settimeout(timeout)
        sock.connect((address, port))
        return sock


class Attempt:
    """One TCP connection attempt that was seen on the wire."""

    def __init__(self, when, source, destination, port):
        self.when, self.source, self.destination, self.port = when, source, destination, port

    def __repr__(self):
        return "%s>%s:%d" % (self.source, self.destination, self.port)


class Wire:
    """
    Watches the cable between gateway and internet: every connection attempt (SYN) that reaches the
    origins' side. What a server's access log cannot show is seen here: a connection on which no request came.
    """

    def __init__(self, network):
        with network.on("internet"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            self._socket.bind(("eth0", 0))
        self._filter()
        self._socket.settimeout(0.2)
        self._attempts = []
        self._lock = threading.Lock()
        self._stop = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _filter(self):
        """Classic BPF: (operation, jump if true, jump if false, operand); SYN without ACK."""
        code = [
            (0x28, 0, 0, 12),       # ethertype
            (0x15, 0, 6, 0x0800),   # IPv4, else to line 8
            (0x30, 0, 0, 23),       # protocol
            (0x15, 0, 10, 6),       # TCP
            (0xb1, 0, 0, 14),       # length of the IPv4 header
            (0x50, 0, 0, 27),       # flags of TCP
            (0x54, 0, 0, 0x12),
            (0x15, 7, 6, 0x02),
            (0x15, 0, 5, 0x86dd),   # IPv6
            (0x30, 0, 0, 20),       # next header
            (0x15, 0, 3, 6),
            (0x30, 0, 0, 67),       # flags of TCP
            (0x54, 0, 0, 0x12),
            (0x15, 1, 0, 0x02),
            (0x06, 0, 0, 0),        # reject
            (0x06, 0, 0, 0x40000),  # accept
        ]
        packed = b"".join(struct.pack("HBBI", *line) for line in code)
        buffer = ctypes.create_string_buffer(packed)
        program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER

    def _watch(self):
        while not self._stop:
            try:
                packet, facts = self._socket.recvfrom(256)
            except socket.timeout:
                continue
            except OSError:
                return
            if facts[2] == 4:  # PACKET_OUTGOING: an origin that calls is not what is counted
                continue
            kind = packet[12:14]
            if kind == b"\x08\x00":
                source, destination = (socket.inet_ntop(socket.AF_INET, packet[at:at + 4])
                                       for at in (26, 30))
                tcp = 14 + (packet[14] & 15) * 4
            elif kind == b"\x86\xdd":
                source, destination = (socket.inet_ntop(socket.AF_INET6, packet[at:at + 16])
                                       for at in (22, 38))
                tcp = 54
            else:
                continue
            if packet[tcp + 13] & 0x12 != 0x02:
                continue  # came in before the filter was attached
            port = struct.unpack("!H", packet[tcp + 2:tcp + 4])[0]
            with self._lock:
                self._attempts.append(Attempt(time.time(), source, destination, port))

    def attempts(self, *destinations, since=0.0, port=None):
        """Those to the given addresses (any when none is given)."""
        with self._lock:
            return [a for a in self._attempts
                    if (not destinations or a.destination in destinations) and a.when >= since
                    and (port is None or a.port == port)]

    def clear(self):
        with self._lock:
            self._attempts = []

    def close(self):
        self._stop = True
        self._thread.join(2)
        self._socket.close()
