# SPDX-License-Identifier: BSD-2-Clause
#
# What the rows of the bypass table do: each function gives an action, a function of the lab that makes
# the attempt on a client and says in a few words what that client got.

import asyncio
import contextlib
import errno
import itertools
import os
import socket
import ssl
import struct
import subprocess
import time

from bypass import EVIL
from case import NAVIGATE, Skip
from network import CLIENTS, GATEWAY_LAN4
from origins import address4, address6
from tlsclient import TlsClient, client_hello

CLIENT = "clinician"
E4, E6 = address4(EVIL), address6(EVIL)
PROXY = "http://%s:8080" % GATEWAY_LAN4
NUMBERS = itertools.count(1)
PATIENCE = 4  # seconds a client waits; what is refused at once is refused much sooner


def curl(*words, navigate=True, trust="both"):
    def action(lab):
        answer = lab.curl(CLIENT, *(NAVIGATE if navigate else ()), *words, trust=trust, seconds=PATIENCE)
        if answer.status:
            return "HTTP %d" % answer.status
        return "curl %d after %.2f s" % (answer.exit, answer.seconds)
    return action


def program(*words, seconds=PATIENCE):
    """A program of Debian's on the client: its exit status."""
    def action(lab):
        began = time.monotonic()
        try:
            done = subprocess.run([*lab.network.prefix(CLIENT), *words], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                                  check=False)
        except FileNotFoundError:
            raise Skip("%s is not installed" % words[0]) from None
        except subprocess.TimeoutExpired:
            return "%s waits in vain" % words[0]
        return "%s exit %d after %.2f s" % (words[0], done.returncode, time.monotonic() - began)
    return action


def turn(*words):
    """coturn's own client asks that host for a relay."""
    return program("turnutils_uclient", "-u", "u", "-w", "p", "-n", "1", "-m", "1", "-e", E4, *words, E4)


def _said(function):
    """The outcome of a function in words: what it returned, or the error and how soon it came."""
    began = time.monotonic()
    try:
        return function()
    except ssl.SSLError as error:
        return "TLS: %s" % (error.reason or error)
    except (socket.timeout, asyncio.TimeoutError):
        return "no answer"
    except EOFError as error:
        return str(error)
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error))
        return "%s after %.0f ms" % (name, (time.monotonic() - began) * 1000)


def connect_then(target, data):
    """By the explicit proxy to that host and port; then these bytes, whatever they are."""
    def say(lab):
        with contextlib.closing(lab.network.connect(CLIENT, GATEWAY_LAN4, 8080, PATIENCE)) as sock:
            sock.sendall(("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)).encode())
            answer = sock.recv(200)
            if b" 200 " not in answer:
                return "HTTP %s" % answer.split(b" ")[1].decode()
            sock.sendall(data)
            return _record(sock.recv(200))
    return lambda lab: _said(lambda: say(lab))


def _answered(data):
    return "an answer: %r" % data[:24] if data else "closed without an answer"


def tcp(port, data=b"", address=None):
    """Connects, sends, and reads what comes; over IPv4, then over IPv6."""
    def one(lab, to):
        sock = lab.network.connect(CLIENT, to, port, PATIENCE)
        with contextlib.closing(sock):
            if data:
                sock.sendall(data)
            return _answered(sock.recv(200))

    def action(lab):
        targets = [address] if address else [E4, E6]
        return ", ".join(_said(lambda to=to: one(lab, to)) for to in targets)
    return action


def udp(port, data=b"x" * 64, address=None):
    def one(lab, to):
        sock = lab.network.datagram(CLIENT, to, port, PATIENCE)
        with contextlib.closing(sock):
            sock.send(data)
            return _answered(sock.recv(200))

    def action(lab):
        targets = [address] if address else [E4, E6]
        return ", ".join(_said(lambda to=to: one(lab, to)) for to in targets)
    return action


def raw(protocol, data, protocol6=None, data6=None):
    """A packet of another protocol than TCP and UDP, over IPv4 and IPv6."""
    def one(lab, family, to, number, packet):
        with lab.network.on(CLIENT):
            sock = socket.socket(family, socket.SOCK_RAW, number)
        with contextlib.closing(sock):
            sock.settimeout(1)
            sock.connect((to, 0))
            sock.send(packet)
            return _answered(sock.recv(200))

    def action(lab):
        ways = ((socket.AF_INET, E4, protocol, data),
                (socket.AF_INET6, E6, protocol6 or protocol, data6 or data))
        return ", ".join(_said(lambda way=way: one(lab, *way)) for way in ways)
    return action


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2)))
    total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xffff)


def ping(text):
    """An echo request of each family; the kernel itself writes the checksum of ICMPv6."""
    body = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + text
    return raw(socket.IPPROTO_ICMP, body[:2] + checksum(body) + body[4:], socket.IPPROTO_ICMPV6,
               b"\x80" + body[1:])


# --- TLS ---

def _record(answer):
    if answer[:1] == b"\x15":
        return "TLS alert %d" % answer[6]
    return "ServerHello" if answer[:1] == b"\x16" else _answered(answer)


def edited(hello, edit):
    """A ClientHello whose list of extensions [(type, body)] was changed."""
    body = hello[9:]
    at = 34
    at += 1 + body[at]
    at += 2 + struct.unpack("!H", body[at:at + 2])[0]
    at += 1 + body[at]
    listed, extensions = body[at + 2:], []
    while listed:
        kind, size = struct.unpack("!HH", listed[:4])
        extensions.append((kind, listed[4:4 + size]))
        listed = listed[4 + size:]
    edit(extensions)
    packed = b"".join(struct.pack("!HH", kind, len(data)) + data for kind, data in extensions)
    body = body[:at] + struct.pack("!H", len(packed)) + packed
    return (b"\x16\x03\x01" + struct.pack("!H", len(body) + 4) + b"\x01" + struct.pack("!I", len(body))[1:]
            + body)


def server_names(*names):
    """The body of a server_name extension with these names, as they are."""
    entries = b"".join(b"\0" + struct.pack("!H", len(name)) + name for name in names)
    return struct.pack("!H", len(entries)) + entries


def with_names(*names):
    def edit(extensions):
        for index, (kind, _) in enumerate(extensions):
            if kind == 0:
                extensions[index] = (0, server_names(*names))
    return edit


def name_twice(first, second):
    def edit(extensions):
        extensions[:] = [e for e in extensions if e[0] != 0]
        extensions[:0] = [(0, server_names(first)), (0, server_names(second))]
    return edit


def encrypted(extensions):
    """
    encrypted_client_hello, outer (RFC 9849, section 5): HKDF-SHA256 with AES-128-GCM, a configuration,
    an encapsulated X25519 key and an encrypted inner hello as a browser sends them.
    """
    key, inner = os.urandom(32), os.urandom(240)
    extensions.append((0xfe0d, b"\0" + struct.pack("!HHB", 1, 1, 0x42) + struct.pack("!H", len(key)) + key
                       + struct.pack("!H", len(inner)) + inner))


def hello(name, edit=None, address=None, alpn=("http/1.1",), then=b""):
    """A ClientHello alone: the kind of record that comes back."""
    def say(lab):
        first = client_hello(name, alpn)
        sock = lab.network.connect(CLIENT, address or E4, 443, PATIENCE)
        with contextlib.closing(sock):
            sock.sendall((edited(first, edit) if edit else first) + then)
            return _record(sock.recv(100))
    return lambda lab: _said(lambda: say(lab))


def request(name, text, address=None, port=443):
    """Bytes of HTTP, inside TLS under that name on 443: the status line of what comes back."""
    def say(lab):
        sock = lab.network.connect(CLIENT, address or E4, port, PATIENCE)
        with contextlib.closing(sock):
            if port == 443:
                client = TlsClient(sock, name, lab.trust("both")).handshake()
                client.send(text)
                return statuses(sock, client.receive)
            sock.sendall(text)
            return statuses(sock, lambda: sock.recv(65536))
    return lambda lab: _said(lambda: say(lab))


def statuses(sock, receive):
    """The statuses of all answers until the connection ends or is quiet."""
    data = b""
    with contextlib.suppress(OSError):
        while more := receive():
            data += more
            sock.settimeout(0.5)
    found = [line.split(b" ")[1].decode() for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return "HTTP " + " ".join(found) if found else _answered(data)


def segment(port, flags, data=b"", options=False):
    """
    One TCP segment as it is, without a connection; with `options` behind a router alert of IPv4 and a
    header of destination options of IPv6.
    """
    def one(lab, family, source, to):
        head = struct.pack("!HHIIBBHHH", 40000, port, 1, 1, 5 << 4, flags, 512, 0, 0)
        pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, to) + struct.pack(
            "!II", len(head) + len(data), socket.IPPROTO_TCP)
        packet = head[:16] + checksum(pseudo + head + data) + head[18:] + data
        behind = options and family == socket.AF_INET6
        with lab.network.on(CLIENT):
            sock = socket.socket(family, socket.SOCK_RAW, 60 if behind else socket.IPPROTO_TCP)
        with contextlib.closing(sock):
            if options and not behind:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x94\x04\0\0")
            sock.sendto((b"\x06\0\x01\x04\0\0\0\0" if behind else b"") + packet, (to, 0))
        return "sent"

    def action(lab):
        ip4, ip6, _ = CLIENTS[CLIENT]
        return ", ".join((_said(lambda: one(lab, socket.AF_INET, ip4, E4)),
                          _said(lambda: one(lab, socket.AF_INET6, ip6, E6))))
    return action


def http2(host, *fields):
    """One request over HTTP/2 with these fields ("name: value") in place of what would stand there."""
    def say(lab):
        listed = {":method": "GET", ":scheme": "https", ":authority": host, ":path": "/",
                  "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        for field in fields:
            name, value = field.split(": ")
            listed.pop(name, None)
            listed[name] = value
        with contextlib.closing(lab.network.connect(CLIENT, address4(host), 443, PATIENCE)) as sock:
            client = TlsClient(sock, host, lab.trust("both"), alpn=("h2",)).handshake()
            block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                             for name, value in sorted(listed.items(), key=lambda f: f[0][0] != ":"))
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
                        + frame(1, 5, 1, block))
            return stream_answer(client.receive)

    return lambda lab: _said(lambda: say(lab))


def frame(kind, flags, stream, payload):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def stream_answer(receive):
    """What the first stream was answered with (RFC 9113, section 6)."""
    data = b""
    while True:
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            more = receive()
            if not more:
                return "closed without an answer"
            data += more
        size, kind = int.from_bytes(data[:3], "big"), data[3]
        payload, data = data[9:9 + size], data[9 + size:]
        if kind == 1:
            return "HTTP 200" if payload[0] == 0x88 else "HTTP, not 200"
        if kind in (3, 7):
            return "RST_STREAM %d" % payload[3] if kind == 3 else "GOAWAY %d" % payload[7]


def page(script, where="https://call.telemed.example/room/1"):
    """
    What a script does in the service's page, in Chromium: until the gateway has blocked something, or
    the trap has met a request, or for two seconds. Each leads to a name of its own: nothing that was
    cached or left open helps.
    """
    host = "page%d.%s" % (next(NUMBERS), EVIL)

    def action(lab):
        browser = lab.browser
        browser.first_window()
        browser.get(where)
        lab.collector.clear()
        lab.origins.clear()
        lab.trap.clear()
        from selenium.common.exceptions import WebDriverException
        with contextlib.suppress(WebDriverException):
            browser.run("const done = arguments[arguments.length - 1], url = arguments[0]; setTimeout(done, 50);"
                        + script.replace("EVIL", host), "https://%s/" % host)
        end = time.monotonic() + 2
        while time.monotonic() < end and not lab.collector.records(event="block") and \
                not lab.origins.requests(host):
            time.sleep(0.05)
        return "-"
    return action


def websocket(url, origin=None):
    def say(lab):
        import websockets
        host = url.split("/")[2]
        context = ssl.create_default_context(cafile=lab.trust("both"))

        async def connect():
            sock = lab.network.connect(CLIENT, E4, 443, PATIENCE)
            try:
                async with websockets.connect(url, ssl=context, server_hostname=host, sock=sock,
                                              origin=origin, open_timeout=PATIENCE):
                    return "open"
            except websockets.InvalidStatusCode as error:
                return "HTTP %d" % error.status_code
        return asyncio.run(connect())
    return lambda lab: _said(lambda: say(lab))
