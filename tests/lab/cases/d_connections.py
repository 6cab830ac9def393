# SPDX-License-Identifier: BSD-2-Clause
#
# Policy meets every request of a connection, and every ClientHello however it arrives; what is
# spliced is untouched (points 3 and 4, and rules 2 to 5 of the design).

import hashlib
import os
import random
import ssl
import threading
import time

from case import call, case, check, equal, not_reached, reached
from network import GATEWAY_LAN4, GATEWAY_WAN4, GATEWAY_WAN6
from processes import wait_for
from tlsclient import TlsClient, client_hello, padded_alpn, read_response, split_records

EHR = "ehr.example-clinic.jp"
FULL = os.environ.get("LAB_FULL") == "1"  # every position instead of a sample


def client(lab, host, family=4, **options):
    sock = lab.network.connect("clinician", lab.address(host, family), 443)
    return TlsClient(sock, host, options.pop("cafile", lab.trust("clinic")), **options).handshake()


# --- every request of a connection ---

@case()
def second_request_is_judged_as_the_first(lab):
    """Kept alive: allowed, then a file that is stopped, then allowed or closed; never passed unseen."""
    host = "files.example.net"
    tls = client(lab, host)
    equal(tls.get(host, "/plain.txt", close=False)[0], 200)
    status, fields, body = tls.get(host, "/setup.pdf", close=False)
    equal(status, 403, fields)
    check(b"This program" not in body)
    tls.close()


@case()
def consultation_begins_on_a_kept_connection(lab):
    """The connection was opened before the call: its next request meets the new state."""
    host = "www.patient-link.example"
    tls = client(lab, host)
    equal(tls.get(host, "/present", close=False)[0], 200)
    lab.origins.clear()
    call(lab)
    equal(tls.get(host, "/present", close=False)[0], 403)
    check(not lab.origins.requests(host), "the second request got out")
    tls.close()


@case()
def origin_that_ignores_connection_close(lab):
    """The origin keeps the connection though asked not to: what follows is judged all the same."""
    stubborn = lab.misbehaving["stubborn"]
    tls = client(lab, stubborn.host)
    equal(tls.get(stubborn.host, "/1", close=True)[2], b"stubborn\n")
    try:
        status = tls.get(stubborn.host, "/2", close=True)[0]
        check(status != 200, "a request after Connection: close was served")
    except (OSError, EOFError, ssl.SSLError):
        pass
    tls.close()
    equal(stubborn.requests(), ["GET /1 HTTP/1.1"])
    tls = client(lab, stubborn.host)
    for number in range(3, 6):
        equal(tls.get(stubborn.host, "/%d" % number, close=False)[0], 200)
    call(lab)
    status = tls.get(stubborn.host, "/6", b"Referer: https://call.telemed.example/\r\n", close=False)[0]
    equal(status, 200, "a clinic host stays allowed")
    wait_for(lambda: len(lab.collector.records(event="allow", host=stubborn.host)) == 5, 5,
             lambda: "one line for each of 5 requests: %r" % lab.collector.records(host=stubborn.host))
    tls.close()


@case()
def pipelined_requests_are_each_judged(lab):
    host = "files.example.net"
    tls = client(lab, host)
    one = "GET %s HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
    tls.send("".join(one % path for path in ("/plain.txt", "/logo.png", "/setup.pdf")).encode())
    data = [b""]

    def receive():
        if data[0]:
            whole, data[0] = data[0], b""
            return whole
        return tls.receive()
    statuses = []
    for _ in range(3):
        status, fields, body = read_exactly(receive, data)
        statuses.append(status)
        check(b"This program" not in body)
        if fields.get("connection", "") == "close":
            break
    equal(statuses, [200, 200, 403])
    tls.close()


def read_exactly(receive, left):
    """read_response() for a connection on which more follows: what is over goes back to `left`."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = receive()
        check(more, "ended within a head")
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n")
              if line.lower().startswith(b"content-length:")]
    if not length:
        return read_response(lambda it=iter([data]): next(it, b"") or receive())
    while len(rest) < length[0]:
        more = receive()
        check(more, "ended within a body")
        rest += more
    left[0] = rest[length[0]:]
    fields = {line.split(b":")[0].lower().decode(): line.split(b":", 1)[1].strip().decode().lower()
              for line in head.split(b"\r\n")[1:]}
    return int(head.split(b" ")[1]), fields, rest[:length[0]]


@case()
def upload_and_large_body_arrive_whole(lab):
    answer = lab.curl("clinician", "--data-binary", "@" + os.path.join(lab.origins.sites, "ehr", "big.bin"),
                      "https://%s/echo" % EHR)
    reached(lab, answer)
    answer = lab.curl("clinician", "https://%s/big.bin" % EHR)
    equal(hashlib.sha256(answer.body).digest(), hashlib.sha256(lab.origins.big).digest())
    answer = lab.curl("clinician", "--head", "https://%s/big.bin" % EHR)
    reached(lab, answer)


# --- the ClientHello ---

def outcomes(lab, hello, alpn=("http/1.1",), family=4):
    """The three fates of a name, with hellos delivered in this way. Each must be the same as ever."""
    tls = client(lab, EHR, family, alpn=alpn, hello=hello)
    check(tls.issuer().startswith("Sekisho Issuing CA"), tls.issuer())
    equal(tls.get(EHR)[0], 200)
    tls.close()
    tls = client(lab, "bit.ly", family, alpn=alpn, hello=hello)
    equal(tls.get("bit.ly")[0], 403)
    tls.close()
    tls = client(lab, "web.splice.example", family, alpn=alpn, hello=hello,
                 cafile=lab.trust("internet"))
    equal(tls.get("web.splice.example")[0], 200)
    tls.close()
    not_reached(lab, "bit.ly")


def nameless(lab, hello=None, alpn=("http/1.1",), family=4, host=EHR):
    """A hello without SNI is refused by an alert, and nobody is contacted."""
    sock = lab.network.connect("clinician", lab.address(host, family), 443)
    tls = TlsClient(sock, None, lab.trust("both"), alpn=alpn, hello=hello)
    try:
        tls.handshake()
        raise AssertionError("a hello without SNI was served: " + tls.issuer())
    except (ssl.SSLError, ConnectionResetError) as error:
        # OpenSSL names an alert that it received by its own name, without the word.
        check(not isinstance(error, ssl.SSLEOFError) and not isinstance(error, ssl.SSLCertVerificationError),
              repr(error))
    finally:
        tls.close()


@case()
def hello_plain(lab):
    for family in (4, 6):
        outcomes(lab, None, family=family)


@case()
def hello_2500_bytes_in_two_segments_500_ms_apart(lab):
    alpn = padded_alpn(2200)
    check(2300 < len(client_hello(EHR, alpn)) < 3000)
    outcomes(lab, lambda f: [(f[:1400], 0.5), (f[1400:], 0)], alpn)
    nameless(lab, lambda f: [(f[:1400], 0.5), (f[1400:], 0)], alpn)
    lab.collector.wait(reason="no-sni")


@case(seconds=240)
def hello_cut_at_every_byte(lab):
    """One cut at each position (a sample of them, unless LAB_FULL=1), and all cuts at once."""
    size = len(client_hello(EHR))
    positions = range(1, size) if FULL else [*range(1, 12), 43, 44, 76, 77, *range(100, size, 29), size - 1]
    for position in positions:
        tls = client(lab, EHR, hello=lambda f, at=position: [(f[:at], 0.01), (f[at:], 0)])
        check(tls.issuer().startswith("Sekisho Issuing CA"), position, tls.issuer())
        tls.close()
        tls = client(lab, "web.splice.example", cafile=lab.trust("internet"),
                     hello=lambda f, at=position: [(f[:at], 0.01), (f[at:], 0)])
        check(tls.issuer() == "Lab Internet Root", position)
        tls.close()
    outcomes(lab, lambda f: [(bytes([b]), 0.0005) for b in f])


@case()
def hello_in_two_records(lab):
    for size in (1, 4, 5, 100, 300):
        outcomes(lab, lambda f, s=size: [(split_records(f, s), 0)])
        outcomes(lab, lambda f, s=size: [(split_records(f, s)[:s + 5], 0.05), (split_records(f, s)[s + 5:], 0)])
    outcomes(lab, lambda f: [(split_records(f, *[1] * (len(f) - 6)), 0)])
    nameless(lab, lambda f: [(split_records(f, 100), 0)])


@case()
def hello_of_9_kb(lab):
    alpn = padded_alpn(9000)
    outcomes(lab, None, alpn)
    outcomes(lab, lambda f: [(split_records(f, 4000, 4000), 0)], alpn)
    nameless(lab, None, alpn)


@case()
def hello_without_a_name_is_refused(lab):
    for family in (4, 6):
        nameless(lab, family=family)
    not_reached(lab, EHR)
    record = lab.collector.wait(event="refuse", reason="no-sni")
    check(record.get("incident") or record.get("client"), record)


@case({"policy": {"no-sni": "inspect"}})
def hello_without_a_name_may_be_inspected(lab):
    """The origin is then known by its address, which its certificate does not carry: never re-signed as good."""
    sock = lab.network.connect("clinician", lab.address(EHR), 443)
    tls = TlsClient(sock, None, lab.trust("both"))
    try:
        tls.handshake()
        check("Sekisho" in tls.issuer(), tls.issuer())
        equal(tls.get(EHR)[0] in (421, 502), True)
    except (ssl.SSLError, OSError):
        pass
    check(not lab.origins.requests(EHR), "a request got out on a nameless connection")


@case()
def old_protocol_versions(lab):
    tls = client(lab, EHR, maximum=ssl.TLSVersion.TLSv1_2)
    equal(tls.tls.version(), "TLSv1.2")
    equal(tls.get(EHR)[0], 200)
    tls.close()
    equal(lab.origins.requests(EHR, least=1)[-1]["protocol"], "TLSv1.2", "never offered what the client did not")


@case()
def alpn_is_the_origins_choice(lab):
    tls = client(lab, EHR, alpn=("h2", "http/1.1"))
    equal(tls.tls.selected_alpn_protocol(), "http/1.1")
    tls.close()
    tls = client(lab, EHR, alpn=())
    equal(tls.tls.selected_alpn_protocol(), None)
    equal(tls.get(EHR)[0], 200)
    tls.close()


# --- what is spliced ---

def _echo(lab, sock, size, seed):
    """Sends a hello and so many random bytes, reads all back, half-closes. (sent, received)."""
    sent = client_hello("media.splice.example") + random.Random(seed).randbytes(size)
    received = bytearray()

    def read():
        while True:
            data = sock.recv(1 << 16)
            if not data:
                return
            received.extend(data)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    sock.sendall(sent)
    sock.shutdown(1)
    reader.join(30)
    return sent, bytes(received)


@case()
def spliced_bytes_are_identical_and_one_connection(lab):
    echo = lab.misbehaving["echo"]
    for family, wan in ((4, GATEWAY_WAN4), (6, GATEWAY_WAN6)):
        lab.fresh()
        sock = lab.network.connect("clinician", lab.address(echo.host, family), 443, timeout=30)
        sent, received = _echo(lab, sock, 5 * 1024 * 1024, family)
        check(received == sent, "%d of %d bytes came back" % (len(received), len(sent)))
        connection = echo.connections[0]
        equal(connection.digest.digest(), hashlib.sha256(sent).digest(), "what the origin received")
        equal((len(echo.connections), connection.ended), (1, "eof"))
        equal(len(lab.wire.attempts(lab.address(echo.host), lab.address(echo.host, 6))), 1)
        check(connection.peer == wan, connection.peer)
        record = lab.collector.wait(event="splice", sni=echo.host)
        equal((record["bytes-up"], record["bytes-down"]), (str(len(sent)), str(len(sent))), record)


@case()
def spliced_half_close_from_the_origin(lab):
    """The origin ends first: the client sees the end and may still send."""
    host = "web.splice.example"
    tls = client(lab, host, cafile=lab.trust("internet"))
    equal(tls.get(host)[0], 200)
    equal(tls.receive(), b"", "the end of the origin's side")
    tls.sock.shutdown(1)
    tls.close()


@case()
def spliced_reset_is_passed_on(lab):
    echo = lab.misbehaving["echo"]
    sock = lab.network.connect("clinician", lab.address(echo.host), 443)
    sock.sendall(client_hello(echo.host))
    sock.recv(10)
    sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: close with RST
    sock.close()
    wait_for(lambda: echo.connections and echo.connections[0].ended, 5, "the origin to see the end")


@case()
def spliced_name_is_a_true_name(lab):
    """SNI of a spliced service sent to another address: the named host is reached, or nobody."""
    host = "media.splice.example"
    bad = lab.address("www.patient-link.example")
    sock = lab.network.connect("clinician", bad, 443)
    sock.sendall(client_hello(host))
    sock.settimeout(5)
    try:
        sock.recv(16)
    except OSError:
        pass
    sock.close()
    not_reached(lab, "www.patient-link.example")
    lab.collector.wait(event="mismatch", sni=host)


@case()
def spliced_through_the_explicit_proxy(lab):
    echo = lab.misbehaving["echo"]
    sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=30)
    sock.sendall(b"CONNECT media.splice.example:443 HTTP/1.1\r\nHost: media.splice.example:443\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(1)
    check(answer.startswith(b"HTTP/1.1 200"), answer)
    sent, received = _echo(lab, sock, 1 << 20, 9)
    check(received == sent, "%d of %d bytes came back" % (len(received), len(sent)))
    equal(len(echo.connections), 1)


@case()
def no_packet_before_the_verdict(lab):
    """A client that connects and says nothing, or half a hello, causes no connection to the origin."""
    sock = lab.network.connect("clinician", lab.address(EHR), 443)
    hello = client_hello(EHR)
    sock.sendall(hello[:-1])
    time.sleep(0.7)
    not_reached(lab, EHR)
    sock.sendall(hello[-1:])
    wait_for(lambda: lab.wire.attempts(lab.address(EHR), lab.address(EHR, 6)), 5, "the origin's connection")
    sock.close()
