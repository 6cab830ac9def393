# SPDX-License-Identifier: BSD-2-Clause
#
# Bad input of every kind gives a clear error, and the daemon stays up (point 8). After each case the
# runner sees that the daemon lives, that its log holds no fault, and that it stops cleanly.

import os
import random
import socket
import ssl
import subprocess
import time

from case import NAVIGATE, call, case, check, equal, not_reached, reached
from misbehaving import STAGES
from network import GATEWAY_LAN4, origin4
from origins import FILES, NOWHERE
from tlsclient import TlsClient, client_hello, read_response

EHR = "ehr.example-clinic.jp"


def exchange(sock, data, seconds=5):
    """Sends bytes, half-closes nothing, reads until the end or for so long."""
    sock.settimeout(seconds)
    out = b""
    try:
        sock.sendall(data)
        while len(out) < 1 << 20:
            more = sock.recv(65536)
            if not more:
                break
            out += more
    except OSError:
        pass
    finally:
        sock.close()
    return out


def healthy(lab):
    reached(lab, lab.curl("clinician", "https://%s/" % EHR))
    equal(lab.curl("clinician", "https://bit.ly/x").status, 403)


PORTS = [("origin", 80), ("origin", 443), (GATEWAY_LAN4, 8080)]


@case({"timeouts": {"hello": "1s", "head": "1s"}}, seconds=180)
def garbage_on_every_port(lab):
    dice = random.Random(11)
    before = {p["pid"] for p in lab.gateway.processes()}
    lines = [b"\0" * 100, b"\xff" * 5000, b"\r\n" * 2000, b"GET", b"GET / HTTP/1.1\r\n\r\n",
             b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\x16\x03\x01\0\0" * 50,
             b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10" + b"\0" * 40, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
             b"CONNECT x:99999 HTTP/1.1\r\n\r\n", b"GET http://[::1 HTTP/1.1\r\nHost: [::1\r\n\r\n",
             b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x03\0\x04\x01\xff\xff\xff" + b"x" * 70000]
    lines += [dice.randbytes(dice.randrange(1, 3000)) for _ in range(20)]
    for address, port in PORTS:
        for line in lines:
            where = lab.address(EHR) if address == "origin" else address
            answer = exchange(lab.network.connect("other", where, port), line, 3)
            check(not answer.startswith(b"HTTP/1.1 200"), port, line[:40], answer[:60])
    for host in (EHR,):
        check(not lab.origins.requests(host), lab.origins.requests(host)[:3])
    healthy(lab)
    equal({p["pid"] for p in lab.gateway.processes()}, before, "a process was replaced")


@case()
def tls_to_the_plain_port_and_the_reverse(lab):
    answer = exchange(lab.network.connect("clinician", lab.address(EHR), 80), client_hello(EHR), 3)
    check(not answer.startswith(b"\x16"), "a handshake on port 80", answer[:40])
    answer = exchange(lab.network.connect("clinician", lab.address(EHR), 443),
                      b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode(), 3)
    check(not answer.startswith(b"HTTP/1.1 200"), answer[:80])
    answer = exchange(lab.network.connect("clinician", GATEWAY_LAN4, 8080), client_hello(EHR), 3)
    check(not answer.startswith(b"\x16"), answer[:40])
    check(not lab.origins.requests(EHR))
    healthy(lab)


def _endless(lab, start, filler, limit=8 << 20):
    """Sends without end. (bytes that could be sent, what came back)."""
    sock = lab.network.connect("other", lab.address(EHR), 80, timeout=10)
    sent = 0
    try:
        sock.sendall(start)
        while sent < limit:
            sock.sendall(filler)
            sent += len(filler)
    except OSError:
        pass
    answer = b""
    try:
        answer = sock.recv(65536)
    except OSError:
        pass
    sock.close()
    return sent, answer


@case()
def gigabyte_of_header(lab):
    """Refused as soon as the limit is reached: of what would be a gigabyte, a few megabytes at most go."""
    head = b"GET / HTTP/1.1\r\nHost: %s\r\n" % EHR.encode()
    for start, filler, status in ((head + b"X: ", b"x" * 65536, b"431"),
                                  (head, b"X-a: b\r\n" * 8192, b"431"),
                                  (b"GET /", b"x" * 65536, b"414 431")):
        sent, answer = _endless(lab, start, filler)
        check(sent < 8 << 20, "all of it was taken")
        check(not answer or answer.split(b" ")[1] in status.split(), answer[:60])
    check(not lab.origins.requests(EHR))
    answer = lab.curl("clinician", "-H", "X: " + "x" * 100000, "https://%s/" % EHR)
    equal(answer.status, 431, answer)
    healthy(lab)


SMUGGLING = [
    b"POST / HTTP/1.1\r\nHost: %h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: %h\r\nContent-Length: 4, 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: %h\r\nContent-Length: +4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: %h\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: %h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: %h\n\n",
    b"GET / HTTP/1.1\r\nHost: %h\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %h\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %h\r\nX: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %h\r\nHost: bit.ly\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: y\r\n\r\n",
    b"GET http://bit.ly/ HTTP/1.1\r\nHost: %h\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: %h\r\n\r\n",
    b"GE\tT / HTTP/1.1\r\nHost: %h\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\nHost: %h\r\n\r\n",
    b"GET /#x HTTP/1.1\r\nHost: %h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %h:99999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a,%h\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: %h\r\n\r\n",
]
# The head is good, the body is not: it may be forwarded up to the fault, and no further.
BAD_CHUNKS = [b"ffffffffffffffff\r\n", b"-1\r\n", b"0x4\r\nabcd\r\n0\r\n\r\n", b"+4\r\nabcd\r\n0\r\n\r\n",
              b"4 \r\nabcd\r\n0\r\n\r\n", b"4\nabcd\n0\n\n", b"4\r\nabcdX\r\n0\r\n\r\n",
              b"4;a\rb\r\nabcd\r\n0\r\n\r\n", b"7fffffffffffffff\r\nx", b"00000000000000000000004\r\nabcd\r\n"]


@case()
def requests_that_two_could_read_differently(lab):
    for number, text in enumerate(SMUGGLING):
        for port in (80, 443):
            data = text.replace(b"%h", EHR.encode()) + b"GET /smuggled HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode()
            sock = lab.network.connect("other", lab.address(EHR), port, timeout=5)
            if port == 443:
                tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
                tls.send(data)
                status = read_response(tls.receive)[0]
                tls.close()
            else:
                answer = exchange(sock, data, 3)
                status = int(answer.split(b" ")[1]) if answer else None
            check(status in (400, 421, 501, 505), number, port, text, status)
    check(not lab.origins.requests(EHR), "was forwarded: %r" % lab.origins.requests(EHR)[:3])
    lab.collector.wait(reason="bad-request")
    healthy(lab)


@case()
def chunked_bodies_that_lie(lab):
    for text in BAD_CHUNKS:
        sock = lab.network.connect("other", lab.address(EHR), 80, timeout=5)
        exchange(sock, b"POST /echo HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % EHR.encode()
                 + text + b"GET /smuggled HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode(), 2)
    check(not lab.origins.requests(EHR, "/smuggled"), lab.origins.requests(EHR))
    healthy(lab)


HOSTILE_ANSWERS = [
    b"", b"\0" * 200, b"not http at all\r\n\r\n", b"HTTP/1.1 99 Low\r\n\r\n", b"HTTP/3.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300000 + b"\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nxxxx",
    b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 20000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
]
HOSTILE_BODIES = [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nnot gz",
]


@case({"timeouts": {"first-byte": "3s"}}, seconds=120)
def hostile_responses(lab):
    hostile = lab.misbehaving["hostile"]
    for number, answer in enumerate(HOSTILE_ANSWERS):
        hostile.answer = answer
        got = lab.curl("clinician", "https://%s/" % hostile.host)
        equal(got.status, 502, number, answer[:60], got)
    for number, answer in enumerate(HOSTILE_BODIES):
        hostile.answer = answer
        got = lab.curl("clinician", "https://%s/" % hostile.host)
        check(got.status in (403, 502) or got.exit != 0, "a broken body looks whole", number, got)
    lab.collector.wait(reason="bad-response")
    hostile.answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + \
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    hostile.piece = 1
    got = lab.curl("clinician", "https://%s/" % hostile.host)
    equal((got.status, got.body), (200, b"ok"), "interim responses, byte by byte")
    healthy(lab)


@case()
def disk_image_shown_as_something_else(lab):
    """Its mark lies deep: by then the head is on its way, and the connection breaks."""
    hostile = lab.misbehaving["hostile"]
    image = FILES["disk.iso"][0]
    for declared in ("text/plain", "text/html", "image/png"):
        hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
            declared.encode(), len(image)) + image
        got = lab.curl("clinician", *NAVIGATE, "https://%s/" % hostile.host)
        check(got.status == 403 or got.exit != 0, declared, "arrived whole", got)
        check(len(got.body) <= 32769, declared, "%d bytes arrived" % len(got.body))
        lab.collector.wait(reason="type-mismatch")
        lab.collector.clear()
    healthy(lab)


@case({"timeouts": {"first-byte": "2s", "body": "2s", "sniff": "1s"}})
def origin_that_never_answers(lab):
    hostile = lab.misbehaving["hostile"]
    hostile.answer, hostile.hold = b"", 20
    got = lab.curl("clinician", "https://%s/" % hostile.host)
    equal(got.status, 504, got)
    check(got.seconds < 8, got.seconds)
    hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf"
    got = lab.curl("clinician", "https://%s/" % hostile.host)
    check(got.exit != 0 and got.seconds < 10, "half a body passes as whole", got)
    healthy(lab)


@case(seconds=120)
def origin_closes_at_each_moment(lab):
    closing = lab.misbehaving["closing"]
    for reset in (False, True):
        for stage in STAGES:
            closing.stage, closing.reset = stage, reset
            got = lab.curl("clinician", "https://%s/" % closing.host, seconds=10)
            check(got.exit != 0 or got.status in (502, 504), stage, reset, "looks whole", got)
            check(got.exit != 28, stage, reset, "the client waits")
    healthy(lab)


@case(seconds=120)
def client_closes_at_each_moment(lab):
    request = b"GET /big.bin HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode()
    for moment in range(6):
        for linger in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):
            sock = lab.network.connect("other", lab.address(EHR), 443, timeout=5)
            if linger[0]:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if moment == 1:
                sock.sendall(client_hello(EHR)[:100])
            elif moment == 2:
                sock.sendall(client_hello(EHR))
            elif moment >= 3:
                tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
                if moment >= 4:
                    tls.send(request[:20] if moment == 4 else request)
                if moment == 5:
                    tls.receive()
            sock.close()
    healthy(lab)


@case({"network": {"resolvers": [origin4(NOWHERE)]}, "timeouts": {"connect": "3s"}})
def absent_resolver(lab):
    answer = lab.curl("clinician", "https://%s/" % EHR)
    check(answer.status in (0, 502, 504), answer)
    check(answer.seconds < 10, answer.seconds)
    lab.collector.wait(10, reason="origin-unresolved")
    equal(lab.curl("clinician", "https://bit.ly/x").status, 403, "what needs no name is as ever")
    check(lab.gateway.ask("status"), "the daemon answers")


@case()
def name_that_does_not_exist(lab):
    answer = lab.curl("other", "--proxy", "http://%s:8080" % GATEWAY_LAN4, "http://nosuch.example-clinic.jp/")
    equal(answer.status, 502, answer)
    lab.collector.wait(reason="origin-unresolved")


@case({"timeouts": {"connect": "2s"}})
def origin_that_is_not_there(lab):
    """One that refuses, and one that swallows packets: 502 and 504 in time, by the proxy's own name."""
    lab.network.run("internet", "nft", "add table inet dark; add chain inet dark in { type filter hook input "
                    "priority 0; }; add rule inet dark in ip daddr %s drop" % lab.address("labo.example.jp"))
    try:
        answer = lab.curl("clinician", "-4", "http://labo.example.jp/", seconds=8)
        check(answer.status in (502, 504, 200), answer)  # 200: it went on to the IPv6 address
        check(answer.seconds < 6, answer.seconds)
    finally:
        lab.network.run("internet", "nft", "delete table inet dark")
    healthy(lab)


# --- configuration and files ---

def refuses(lab, *expected):
    status, log = lab.gateway.run_once()
    check(status not in (0, None), "it started", log[-400:])
    for text in expected:
        check(text in log, "the log does not say %r" % text, log[-800:])
    code, out, err = lab.gateway.sekisho("check", lab.gateway.path, check=False)
    equal(code, 1, out, err)
    for text in expected:
        check(text in out + err, "`sekisho check` does not say %r" % text, out, err)
    lab.gateway.mark_log()
    lab.gateway.process = None


@case(start=False)
def malformed_configurations(lab):
    good = lab.gateway.text()
    line = good.count("\n") + 1
    for text, expected in (
            (good + "polisy { mode = \"observe\" }\n", ["sekisho.conf:%d" % line, "policy"]),
            (good + "timeouts { hallo = \"1s\" }\n", ["sekisho.conf:%d" % line, "hello"]),
            (good + "timeouts { hello = \"soon\" }\n", ["sekisho.conf:%d" % line]),
            (good + "clinic {\n", ["sekisho.conf:"]),
            (good + "limits { fields = 1 }\n", ["sekisho.conf:%d" % line]),
            (good + "include(\"services/absent.conf\")\n", ["sekisho.conf:%d" % line, "absent.conf"]),
            (good + "tls { backdate = \"1h\" }\n", ["sekisho.conf:%d" % line]),
            (good.replace(lab.certificates.root, "/nonexistent/ca.pem"), ["/nonexistent/ca.pem"]),
            (good.replace('name = "ラボ診療所"', 'name = "a"\n    name = "b"'), ["sekisho.conf:"]),
            (good.replace('"ehr.example-clinic.jp"', '"ehr..example"'), ["sekisho.conf:", "ehr..example"])):
        lab.gateway.write(text)
        refuses(lab, *expected)


@case(start=False)
def unreadable_configuration(lab):
    os.unlink(lab.gateway.path)
    refuses(lab, "sekisho.conf")
    os.mkdir(lab.gateway.path)
    refuses(lab, "sekisho.conf")
    os.rmdir(lab.gateway.path)
    with open(lab.gateway.path, "wb") as file:
        file.write(random.Random(3).randbytes(5000))
    refuses(lab, "sekisho.conf")
    lab.gateway.write("x" * 200000)
    refuses(lab, "sekisho.conf")


@case(start=False)
def unreadable_ca(lab):
    folder = os.path.join(lab.folder, "otherca")
    os.makedirs(folder, exist_ok=True)
    key = os.path.join(folder, "ca-key.pem")
    for content, mode in ((b"not a key\n", 0o600), (open(lab.gateway.ca[:-6] + "ca-key.pem", "rb").read(), 0o644)):
        with open(key, "wb") as file:
            file.write(content)
        os.chmod(key, mode)
        lab.gateway.configure({"tls": {"ca-key": key}})
        status, log = lab.gateway.run_once()
        check(status not in (0, None) and "ca-key.pem" in log, status, log[-400:])
        lab.gateway.mark_log()
        lab.gateway.process = None


@case(start=False)
def busy_port_is_told(lab):
    holder = lab.network.listen("gateway", GATEWAY_LAN4, 8080)
    status, log = lab.gateway.run_once()
    check(status not in (0, None) and "sekisho.conf:" in log and "in use" in log, status, log[-400:])
    holder.close()
    lab.gateway.mark_log()
    lab.gateway.process = None


@case(start=False)
def full_disk_for_the_state_folder(lab):
    """Blocking goes on, the log says so, no release is granted that could not be kept."""
    os.makedirs(lab.gateway.state, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "lab", lab.gateway.state], check=True)
    try:
        lab.gateway.start()
        for folder, _, _ in list(os.walk(lab.gateway.state)):
            try:
                with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
                    while file.write(b"x" * 512):
                        pass
            except OSError:
                pass
        call(lab)
        for number in range(40):
            equal(lab.curl("clinician", "https://bit.ly/%d" % number).status, 403)
        equal(lab.curl("phone", *NAVIGATE, "https://www.patient-link.example/").status, 403)
        reached(lab, lab.curl("clinician", "https://%s/" % EHR))
        code, out, err = lab.gateway.sekisho("release", "bit.ly", "--for", "5m", "--reason", "r" * 400, "--by",
                                             "b", check=False)
        if code == 0:
            # There was room after all: then it must be kept.
            check("bit.ly" in lab.gateway.sekisho("releases"), out, err)
        else:
            equal(lab.curl("clinician", "https://bit.ly/x").status, 403)
        equal(len(lab.gateway.processes("registry")), 1)
        not_reached(lab, "bit.ly")
        lab.gateway.stop()
    finally:
        lab.gateway.stop()
        subprocess.run(["umount", "-l", lab.gateway.state], check=True)


@case(start=False)
def foreign_state_file(lab):
    """A registry.db that is no database: told by name, not overwritten, no crash loop unseen."""
    lab.gateway.start()
    lab.gateway.stop()
    found = [os.path.join(folder, name) for folder, _, names in os.walk(lab.gateway.state)
             for name in names if name.endswith(".db")]
    check(found, "no state file in " + lab.gateway.state)
    for name in found:
        for end in ("-wal", "-shm"):
            if os.path.exists(name + end):
                os.unlink(name + end)
        with open(name, "r+b") as file:
            file.truncate()
            file.write(b"this is not a database\n" * 100)
    lab.gateway.mark_log()
    try:
        lab.gateway.start(10)
        equal(lab.curl("clinician", "https://bit.ly/x").status, 403)
    except Exception:
        check("registry" in lab.gateway.log(), lab.gateway.log()[-500:])
    lab.gateway.stop()
    lab.gateway.mark_log()
    with open(found[0], "rb") as file:
        check(file.read(4) == b"this", "the foreign file was overwritten")
    lab.gateway.process = None


@case({"log": {"to": "tcp://127.0.0.1:5999"}})
def absent_collector_delays_nobody(lab):
    for _ in range(20):
        answer = lab.curl("clinician", "https://%s/" % EHR)
        reached(lab, answer)
        check(answer.seconds < 1, answer.seconds)
    equal(lab.curl("clinician", "https://bit.ly/x").status, 403)


@case()
def client_that_does_not_trust_the_ca(lab):
    answer = lab.curl("other", "https://%s/" % EHR, trust="internet")
    equal(answer.exit, 60, answer)
    lab.collector.wait(event="tls-error", reason="client-tls")
    healthy(lab)


@case()
def control_socket_takes_nonsense(lab):
    for data in (b"\n", b"{}\n", b"[" * 100000 + b"\n", b'{"command": 7}\n', b"\xff\xfe\n", b"x" * 100000,
                 b'{"command":"release","what":"x","seconds":-1}\n', random.Random(5).randbytes(4000) + b"\n"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(5)
        sock.connect(lab.gateway.control_socket)
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65536)
        except OSError:
            pass
        sock.close()
    check(lab.gateway.ask("status"))


@case({"timeouts": {"hello": "2s"}}, seconds=60)
def many_half_open_hellos(lab):
    """400 connections that say half a hello: timed out, and others are served all the while."""
    half = client_hello(EHR)[:60]
    socks = []
    for _ in range(400):
        sock = lab.network.connect("other", lab.address(EHR), 443, timeout=5)
        sock.sendall(half)
        socks.append(sock)
    answer = lab.curl("clinician", "https://%s/" % EHR)
    reached(lab, answer)
    check(answer.seconds < 2, answer.seconds)
    time.sleep(3)
    closed = 0
    for sock in socks:
        sock.settimeout(0.2)
        try:
            sock.recv(100)  # an alert, or the end
            closed += 1
        except ConnectionError:
            closed += 1
        except (TimeoutError, ssl.SSLError):
            pass
        sock.close()
    check(closed >= 390, "%d of 400 were ended" % closed)

