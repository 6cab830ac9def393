# SPDX-License-Identifier: BSD-2-Clause
#
# An origin for every fault: one server that shows, by the name in the ClientHello, a certificate or
# a handshake with exactly one thing wrong, and is right in all else. The certificates are made here
# (der.py), the TLS is OpenSSL's with nothing forbidden (endpoint.py). The table of the faults is in
# fault_rows.py.

import contextlib
import hashlib
import os
import socket
import struct
import threading
import time

import der
from der import OCSP_SIGNING, SERVER, SIGNS, SIGNS_CERTIFICATES, SIGNS_LISTS
from endpoint import Connection, Context, Refused, flight_of, messages, read_hello
from origins import address4, address6

DOMAIN = "faults.example-clinic.jp"
DAY = 86400
BODY = b"what the origin has to say\n"


class Authority:
    """A CA: its certificate, and those above it that a server sends along."""

    def __init__(self, name, key, certificate, above=()):
        self.name, self.key, self.certificate, self.above = name, key, certificate, list(above)

    @property
    def chain(self):
        return [self.certificate, *self.above]


class Shown:
    """What the origin does for one name: parameters of its Context, and a change of its flights."""

    def __init__(self, chain, key, change=None, **context):
        self.chain, self.key, self.change, self.context = chain, key, change, context


class World:
    """The certificates of the faults' internet: a good root, a good CA below it, and bad ones."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.now = int(time.time())
        self._keys = {}
        self.trusted = []   # roots in the gateway's bundle
        self.lists = []     # of revoked certificates, that the gateway is given
        self.made = {}      # what rows have in common
        self._revoked = {}
        self.clinic = None  # the gateway's own CA
        self.root = self.new_root("Faults Root")
        self.between = self.authority("Faults CA")

    # --- keys ---

    def key(self, label="leaf", kind="ec"):
        if (label, kind) not in self._keys:
            path = os.path.join(self.folder, "%s-%s.key" % (label.replace(" ", "-"), kind))
            self._keys[label, kind] = der.Key(path, kind)
        return self._keys[label, kind]

    # --- CAs ---

    def _authority_parts(self, key, issuer_key, changes):
        parts = {"basic": der.basic(), "usage": der.usage(SIGNS_CERTIFICATES, SIGNS_LISTS),
                 "own": der.own_key(key), "above": der.above_key(issuer_key)}
        parts.update(changes)
        return [part for part in parts.values() if part]

    def new_root(self, common, kind="ec", trusted=True, parts=None, begin=-10 * DAY,
                 end=300 * DAY, **options):
        key, name = self.key(common, kind), der.name(common)
        certificate = der.certificate(
            name, key.public, name, key, self._authority_parts(key, key, parts or {}),
            self.now + begin, self.now + end, **options)
        root = Authority(name, key, certificate)
        if trusted:
            self.trusted.append(certificate)
        return root

    def authority(self, common, issuer=None, kind="ec", parts=None, begin=-9 * DAY,
                  end=200 * DAY, key=None, **options):
        issuer = issuer or self.root
        key, name = key or self.key("between", kind), der.name(common)
        certificate = der.certificate(
            name, key.public, issuer.name, issuer.key,
            self._authority_parts(key, issuer.key, parts or {}),
            self.now + begin, self.now + end, **options)
        above = issuer.chain if issuer.certificate not in self.trusted else []
        return Authority(name, key, certificate, above)

    # --- leaves ---

    def certificate(self, host, issuer=None, kind="ec", key=None, parts=None, begin=-2 * DAY,
                    end=90 * DAY, **options):
        issuer, key = issuer or self.between, key or self.key(kind=kind)
        usual = {"basic": der.basic(False), "usage": der.usage(SIGNS),
                 "purposes": der.purposes(SERVER), "names": der.alternatives(host),
                 "own": der.own_key(key), "above": der.above_key(issuer.key)}
        usual.update(parts or {})
        return der.certificate(
            options.pop("subject", der.name(host)), options.pop("public", key.public),
            options.pop("issuer_name", issuer.name), issuer.key,
            [part for part in usual.values() if part], self.now + begin, self.now + end, **options)

    def leaf(self, host, issuer=None, kind="ec", sent=None, context=None, change=None, **options):
        """What the origin shows: a leaf with these changes, below that CA. `sent`: the CAs with it."""
        issuer = issuer or self.between
        certificate = self.certificate(host, issuer, kind, **options)
        return Shown([certificate, *(issuer.chain if sent is None else sent)],
                     self.key(kind=kind).path, change, **(context or {}))

    def good(self, host, change=None, kind="ec", **context):
        return self.leaf(host, kind=kind, context=context, change=change)

    # --- revocation ---

    def serial(self, certificate):
        return int.from_bytes(der.content(der.children(der.content(der.children(
            der.content(certificate))[0]))[1]), "big")

    def revoke_later(self, issuer, certificate):
        """On the one list of that CA's, which write() makes."""
        self._revoked.setdefault(issuer.name, (issuer, []))[1].append(self.serial(certificate))

    def answer(self, certificate, is_revoked, issuer=None, signer=None, carried=b""):
        issuer = issuer or self.between
        return der.ocsp_answer(issuer.name, issuer.key, self.serial(certificate),
                               signer or issuer.key, is_revoked, self.now, carried)

    def responder(self, issuer, *kinds):
        """The certificate of who answers for that CA, with these purposes."""
        key = self.key("responder")
        return key, der.certificate(
            der.name("Faults Responder"), key.public, issuer.name, issuer.key,
            [der.usage(SIGNS), der.purposes(*(kinds or (OCSP_SIGNING,))), der.own_key(key),
             der.above_key(issuer.key), der.extension("1.3.6.1.5.5.7.48.1.5", b"\5\0")],
            self.now - DAY, self.now + DAY)

    # --- what the gateway is given ---

    def write(self, *extra_roots):
        """(trust bundle, lists) as files; `extra_roots`: PEM files whose roots are trusted too."""
        trust = os.path.join(self.folder, "trust.pem")
        lists = os.path.join(self.folder, "lists.pem")
        with open(trust, "w", encoding="ascii") as file:
            for path in extra_roots:
                with open(path, encoding="ascii") as root:
                    file.write(root.read())
            file.writelines(map(der.pem, self.trusted))
        for issuer, serials in self._revoked.values():
            self.lists.append(der.revocation_list(issuer.name, issuer.key, serials, self.now))
        with open(lists, "w", encoding="ascii") as file:
            file.writelines(der.pem(entry, "X509 CRL") for entry in self.lists)
        return trust, lists if self.lists else None


# --- changes of flights (TLS 1.2, whose first one is in the clear) ---

SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE = 2, 11, 12


def once(function):
    """Only the first flight is changed."""
    done = []

    def change(flight):
        if done:
            return flight
        done.append(True)
        return function(flight)
    return change


def with_message(kind, function):
    """The body of that message in the first flight becomes function(body)."""
    def change(flight):
        parts, rest = messages(flight)
        return flight_of([(k, function(body) if k == kind else body) for k, body in parts], rest)
    return lambda: once(change)


def shows(certificates):
    """These bytes as the server's certificates, whatever they are."""
    entries = b"".join(len(c).to_bytes(3, "big") + c for c in certificates)
    return with_message(CERTIFICATE, lambda _: len(entries).to_bytes(3, "big") + entries)


def hello_with(version=None, suite=None, compression=None, flip_random=False, without=None):
    """A ServerHello that says something else."""
    def function(body):
        at = 35 + body[34]
        head = bytearray(body[:at + 3])
        if version:
            head[0:2] = struct.pack("!H", version)
        if flip_random:
            head[2] ^= 0x01
        if suite is not None:
            head[at:at + 2] = struct.pack("!H", suite)
        if compression is not None:
            head[at + 2] = compression
        rest = body[at + 3:]
        if without is not None:
            rest = _without(rest, without)
        return bytes(head) + rest
    return with_message(SERVER_HELLO, function)


def _without(extensions, unwanted):
    out, at = b"", 2
    while at < len(extensions):
        kind, size = struct.unpack("!HH", extensions[at:at + 4])
        if kind != unwanted:
            out += extensions[at:at + 4 + size]
        at += 4 + size
    return struct.pack("!H", len(out)) + out


def finite_field(suite, bits_of_prime):
    """A ServerHello with that suite of Diffie-Hellman, and a prime of that size."""
    prime = int.from_bytes(hashlib.shake_256(b"prime").digest(bits_of_prime // 8), "big") \
        | 1 << (bits_of_prime - 1) | 1

    def number(value):
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return struct.pack("!H", len(data)) + data
    exchange = number(prime) + number(2) + number(pow(2, 65537, prime)) + b"\4\1\0\100" + b"s" * 64

    def change():
        hello, body = hello_with(suite=suite)(), with_message(KEY_EXCHANGE, lambda _: exchange)()
        return lambda flight: body(hello(flight))
    return change


def flipped(position):
    """One bit of the message's body, counted from its end when negative."""
    def function(body):
        changed = bytearray(body)
        changed[position] ^= 0x01
        return bytes(changed)
    return function


def later_flight(number):
    """The last byte of that flight (the Finished of the server is in it)."""
    def make():
        seen = []

        def change(flight):
            seen.append(True)
            return flight[:-1] + bytes([flight[-1] ^ 1]) if len(seen) == number else flight
        return change
    return make


# --- the origin ---

class FaultOrigin:
    """`shown`: {host: Shown}. Keeps the ClientHello that came for each name, and whether HTTP did."""

    def __init__(self, lab):
        self.lab, self.shown, self.hellos, self.asked = lab, {}, {}, {}
        self._listeners = [lab.network.listen("internet", address, 443)
                           for address in (address4(DOMAIN), address6(DOMAIN))]
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        with contextlib.suppress(OSError, Refused), sock:
            sock.settimeout(30)
            hello, first = read_hello(lambda: sock.recv(65536))
            if hello is None:
                return
            self.hellos[hello.host] = hello
            self.serve(sock, hello, first)

    def serve(self, sock, hello, first):
        shown = self.shown[hello.host]
        context = Context(True, chain=shown.chain, key=shown.key, **shown.context)
        connection = Connection(sock, context, change=shown.change() if shown.change else None,
                                first=first)
        connection.handshake()
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.read()
            if not more:
                return
            request += more
        self.asked[hello.host] = self.asked.get(hello.host, 0) + 1
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                         b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY))


# --- the client ---

def visit(lab, host, address=None, client="clinician", context=None, weak=False, **parameters):
    """What a client sees of this host: "passed", "page 502", or how its handshake was refused.
    `weak`: the client's own library forbids it nothing."""
    if context is None:
        parameters.setdefault("suites12", ["ECDHE-ECDSA-AES128-SHA"] if weak else ["ECDHE-ECDSA-AES128-GCM-SHA256",
                                           "ECDHE-RSA-AES128-GCM-SHA256",
                                           "ECDHE-ECDSA-AES256-GCM-SHA384",
                                           "ECDHE-RSA-AES256-GCM-SHA384"])
        parameters.setdefault("alpn", ["http/1.1"])
        context = Context(False, trust=lab.trust("clinic"), level=0 if weak else 2,
                          **parameters)
    sock = lab.network.connect(client, address or address4(DOMAIN), 443)
    with sock:
        sock.settimeout(20)
        connection = Connection(sock, context, host)
        try:
            connection.handshake()
        except Refused as refused:
            return str(refused)
        connection.write(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
        answer = b""
        with contextlib.suppress(Refused):
            while True:
                more = connection.read()
                if not more:
                    break
                answer += more
    status = answer.split(b" ", 2)[1:2]
    if status == [b"200"] and answer.endswith(BODY):
        return "passed"
    if BODY in answer:
        return "a page with the origin's content"
    return "page %s" % status[0].decode() if status else "closed"
