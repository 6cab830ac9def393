# SPDX-License-Identifier: BSD-2-Clause
#
# What happens when parts of the gateway die, when it is reloaded under load, and when it is out of
# descriptors (points 5, 6 and 7): nothing gets out that the policy would have stopped, and service
# is back at once.

import concurrent.futures
import os
import signal
import threading
import time

from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from load import Load
from network import GATEWAY_LAN4
from processes import wait_for
from tlsclient import TlsClient, client_hello, read_response

EHR = "ehr.example-clinic.jp"
FORBIDDEN = "bit.ly"
PATIENT = "www.patient-link.example"
FIELDS = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n"
BACK = float(os.environ.get("LAB_BACK", "1.0"))  # seconds until service is back; a sanitizer build gets more
RELOADS = int(os.environ.get("LAB_RELOADS", "100"))


class Streams:
    """An allowed stream, and two that must never get out: a denied host, and the link during a call."""

    def __init__(self, lab):
        self.lab = lab
        self.good = Load(lab, "clinician", EHR, timeout=4)
        self.denied = Load(lab, "phone", FORBIDDEN, threads=1, timeout=4)
        self.link = Load(lab, "phone", PATIENT, "/present", threads=1, fields=FIELDS, timeout=4)
        self.plain = None

    def __enter__(self):
        for stream in (self.good, self.denied, self.link):
            stream.__enter__()
        wait_for(lambda: len(self.good.successes()) > 5, 10, lambda: "the allowed stream: %r"
                 % self.good.outcomes[-3:])
        return self

    def __exit__(self, *_):
        for stream in (self.good, self.denied, self.link):
            stream.stop()

    def nothing_got_out(self):
        not_reached(self.lab, FORBIDDEN)
        check(not self.lab.origins.requests(PATIENT), "the patient's site got %r"
              % self.lab.origins.requests(PATIENT)[:3])
        leaked = [o for o in self.denied.outcomes + self.link.outcomes if o.status not in (0, 403, 503)]
        check(not leaked, leaked[:5])
        direct = [a for a in self.lab.wire.attempts() if a.source.startswith(("192.168.", "fd00:"))]
        check(not direct, "packets were forwarded past the proxy: %r" % direct[:5])

    def back_within(self, since, seconds, what):
        """No allowed request that begins later than so many seconds after the kill fails."""
        time.sleep(max(0.0, since + seconds + 1.5 - time.time()))
        late = self.good.failures(since=since + seconds)
        check(not late, "%.2f s after the kill of the %s requests still fail: %r" % (
            late[-1].began - since if late else 0, what, late[:2]))
        check(self.good.successes(since=since + seconds), "no request succeeded after the kill of the " + what)


class Spliced:
    """A spliced flow that is asked, again and again, whether it lives."""

    def __init__(self, lab):
        host = lab.misbehaving["echo"].host
        self.sock = lab.network.connect("other", lab.address(host), 443, timeout=3)
        self.sock.sendall(client_hello(host))
        self.port = self.sock.getsockname()[1]
        self._read(len(client_hello(host)))

    def _read(self, at_least):
        data = b""
        while len(data) < at_least:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            data += more
        return data

    def alive(self):
        try:
            self.sock.settimeout(2)
            self.sock.sendall(b"ping")
            return b"ping" in self._read(4)
        except (OSError, EOFError):
            return False


@case({"process": {"workers": 2}}, deaths=True, seconds=150)
def kill_each_process_under_load(lab):
    lab.gateway.supervise()
    call(lab)
    lab.origins.clear()
    spliced = [Spliced(lab) for _ in range(8)]
    with Streams(lab) as streams:
        for role in ("signer", "registry", "examiner", "fetcher"):
            lost = time.time()
            os.kill(lab.gateway.pids(role)[0], signal.SIGKILL)
            streams.back_within(lost, BACK, role)
            wait_for(lambda: _pids_or_none(lab, role), 10, "a new " + role)
            equal([s.alive() for s in spliced], [True] * 8, "spliced flows after the kill of the " + role)
        workers = lab.gateway.pids("worker")
        equal(len(workers), 2)
        lost = time.time()
        os.kill(workers[0], signal.SIGKILL)
        streams.back_within(lost, BACK, "worker")
        living = [s.alive() for s in spliced]
        check(any(living), "spliced flows of the other worker died too", living)
        lost = time.time()
        os.kill(lab.gateway.process.pid, signal.SIGKILL)
        streams.back_within(lost, BACK + 1.0, "parent")  # the supervisor waits 0.1 s, then a whole start
        streams.nothing_got_out()
    check(lab.gateway.restarts <= 3, "%d starts until one succeeded: %s" % (
        lab.gateway.restarts, lab.gateway.log()[-300:]))
    blocked(lab, lab.curl("phone", *NAVIGATE, "https://%s/present" % PATIENT),
            "unverified-destination")


def _pids_or_none(lab, role):
    try:
        return lab.gateway.pids(role)
    except (AssertionError, ValueError):
        return None


def _lives(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@case(deaths=True)
def killed_daemon_leaves_the_door_shut(lab):
    """kill -9 of the parent and no supervisor: nothing of TCP/80 and TCP/443 is forwarded, DNS still is."""
    reached(lab, lab.curl("clinician", "https://%s/" % EHR))
    pids = [p["pid"] for p in lab.gateway.processes()]
    os.kill(lab.gateway.process.pid, signal.SIGKILL)
    wait_for(lambda: not lab.gateway.process.alive(), 5, "the end of the parent")
    wait_for(lambda: not any(map(_lives, pids)), 10,
             lambda: "the children to go: %r" % list(filter(_lives, pids)))
    lab.fresh()
    tries = [(family, "%s://%s/" % (scheme, host)) for host in (EHR, FORBIDDEN, PATIENT)
             for family in ("-4", "-6") for scheme in ("https", "http")]
    with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
        answers = list(pool.map(lambda words: lab.curl("clinician", *words, seconds=2), tries))
    for words, answer in zip(tries, answers):
        check(answer.exit != 0 and answer.status == 0, *words, answer)
    check(not lab.wire.attempts(), lab.wire.attempts())
    lab.gateway.process = None


@case(start=False)
def starting_daemon_lets_nothing_out(lab):
    """From the first rule to the first accept: the forbidden stream runs while it starts and stops."""
    lab.gateway.start()
    equal(lab.gateway.stop(), 0)
    with Load(lab, "phone", FORBIDDEN, threads=2, timeout=2) as denied:
        for _ in range(3):
            lab.gateway.start()
            time.sleep(0.5)
            equal(lab.gateway.stop(), 0)
            time.sleep(0.3)
    not_reached(lab, FORBIDDEN)
    check({o.status for o in denied.outcomes} <= {0, 403}, denied.outcomes[-5:])
    lab.gateway.start()


# --- reload ---

@case(seconds=240)
def reloads_under_load(lab):
    """100 reloads (LAB_RELOADS), by signal and by command in turn, and no failed request."""
    call(lab)
    lab.origins.clear()
    spliced = Spliced(lab)
    with Streams(lab) as streams:
        for number in range(RELOADS):
            if number % 2:
                lab.gateway.reload(by="signal")
            else:
                status, out, err = lab.gateway.reload()
                equal(status, 0, number, out, err)
        time.sleep(0.3)
    failures = streams.good.failures()
    check(not failures, "%d of %d requests failed: %r" % (
        len(failures), len(streams.good.outcomes), failures[:3]))
    check(len(streams.good.outcomes) > 50, len(streams.good.outcomes))
    streams.nothing_got_out()
    check({o.status for o in streams.denied.outcomes} == {403}, streams.denied.failures(403)[:3])
    check({o.status for o in streams.link.outcomes} == {403}, streams.link.failures(403)[:3])
    check(len(lab.gateway.processes()) < 40, "old processes pile up")
    del spliced


@case()
def reload_takes_the_new_configuration(lab):
    reached(lab, lab.curl("clinician", "https://unknown.example.org/plain.txt"))
    spliced = Spliced(lab)
    lab.gateway.configure({"clinic": {"deny": ["unknown.example.org"]}})
    status, out, err = lab.gateway.reload()
    equal(status, 0, out, err)
    for _ in range(6):
        equal(lab.curl("clinician", "https://unknown.example.org/plain.txt").status, 403)
    check(spliced.alive(), "a spliced flow of the old generation is drained, not cut")
    lab.collector.wait(event="reload")


@case()
def idle_connections_do_not_keep_the_old_configuration(lab):
    """Those that were kept alive are closed soon after a reload; the next request is a new one's."""
    host = "unknown.example.org"
    request = b"GET /plain.txt HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode()
    plain = lab.network.connect("clinician", lab.address(host), 80, timeout=10)
    sock = lab.network.connect("clinician", lab.address(host), 443, timeout=10)
    secure = TlsClient(sock, host, lab.trust("clinic")).handshake()
    plain.sendall(request)
    equal(read_response(lambda: plain.recv(65536))[0], 200)
    secure.send(request)
    equal(read_response(secure.receive)[0], 200)
    lab.gateway.configure({"clinic": {"deny": [host]}})
    equal(lab.gateway.reload()[0], 0)
    equal(plain.recv(65536), b"", "the plain one")
    equal(secure.receive(), b"", "the one with TLS")
    equal(lab.curl("clinician", "https://%s/plain.txt" % host).status, 403)
    plain.close()
    secure.close()


@case()
def broken_configuration_keeps_the_old_one(lab):
    good = lab.gateway.text()
    for broken, expected in ((good + 'polcy { mode = "observe" }\n', "policy"),
                             (good.replace('linger = "10min"', 'linger = "ten"'), "linger"),
                             (good + "clinic {\n", "sekisho.conf"),
                             (good + 'include("services/absent.conf")\n', "absent.conf")):
        lab.gateway.write(broken)
        lab.gateway.mark_log()
        status, out, err = lab.gateway.reload()
        equal(status, 1, out, err)
        for text in (out + err, lab.gateway.log()):
            check(expected in text and any("sekisho.conf:%d" % n in text for n in
                                           range(1, broken.count("\n") + 2)), "file:line", text)
        lab.gateway.mark_log()
        lab.gateway.process.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: "sekisho.conf:" in lab.gateway.log(), 5, lambda: "the log after SIGHUP: " + lab.gateway.log())
        reached(lab, lab.curl("clinician", "https://%s/" % EHR))
        equal(lab.curl("clinician", "https://%s/x" % FORBIDDEN).status, 403)
    lab.gateway.write(good)
    equal(lab.gateway.reload()[0], 0)
    lab.gateway.mark_log()


# --- limits ---

def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@case({"process": {"workers": 1}, "timeouts": {"hello": "3s"}}, start=False, seconds=120)
def descriptor_limit_of_64(lab):
    """Accepting pauses and resumes: no spin, no crash, and the rest is served when room is made."""
    lab.gateway.launch = ["prlimit", "--nofile=64:64"]
    lab.gateway.start()
    idle = []
    for _ in range(150):
        idle.append(lab.network.connect("other", lab.address(EHR), 443, timeout=5))
    time.sleep(0.5)
    pid = lab.gateway.pids("worker")[0]
    before = cpu_ticks(pid)
    time.sleep(1.5)
    spent = (cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    check(spent < 0.4, "the worker spins at its limit: %.2f s of processor in 1.5 s" % spent)
    for sock in idle:
        sock.close()
    answer = wait_for(lambda: (lambda a: a if a.status == 200 else None)(
        lab.curl("clinician", "https://%s/" % EHR, seconds=5)), 20, "service after the crowd is gone")
    reached(lab, answer)
    equal(lab.gateway.pids("worker"), [pid], "the worker was replaced")


@case({"process": {"workers": 1}, "timeouts": {"hello": "2s", "head": "2s"}})
def slow_clients_are_timed_out_and_delay_nobody(lab):
    ended = {}

    def trickle(name, data, prepare):
        sock = lab.network.connect("other", lab.address(EHR), 443 if name == "hello" else 80, timeout=15)
        began = time.monotonic()
        try:
            prepare(sock)
            for at in range(len(data)):
                sock.sendall(data[at:at + 1])
                sock.settimeout(1)
                try:
                    if sock.recv(4096) == b"":
                        break
                except TimeoutError:
                    pass
        except OSError:
            pass
        ended[name] = time.monotonic() - began
        sock.close()
    threads = [threading.Thread(target=trickle, args=args, daemon=True) for args in (
        ("hello", client_hello(EHR), lambda s: None),
        ("head", b"GET / HTTP/1.1\r\nHost: %s\r\nX: " % EHR.encode() + b"x" * 100, lambda s: None))]
    for thread in threads:
        thread.start()
    for _ in range(5):
        answer = lab.curl("clinician", "https://%s/" % EHR)
        reached(lab, answer)
        check(answer.seconds < 1, "another client waited %.2f s" % answer.seconds)
        time.sleep(0.3)
    for thread in threads:
        thread.join(20)
    for name in ("hello", "head"):
        check(name in ended and ended[name] < 10, "the slow %s is still served" % name, ended)


@case({"process": {"workers": 1}, "limits": {"connections-per-client": 20}})
def one_client_cannot_take_all(lab):
    idle = []
    for _ in range(60):
        try:
            idle.append(lab.network.connect("other", lab.address(EHR), 443, timeout=5))
        except OSError:  # over its share: turned away
            pass
    time.sleep(0.3)
    answer = lab.curl("clinician", "https://%s/" % EHR)
    reached(lab, answer)
    check(answer.seconds < 2, answer.seconds)
    for sock in idle:
        sock.close()


@case({"timeouts": {"body": "2s", "idle": "2s"}})
def slow_reader_is_timed_out(lab):
    """A client that asks for a large body and does not read it holds its connection for a bounded time."""
    host = EHR
    sock = lab.network.connect("other", lab.address(host), 443, timeout=15)
    sock.setsockopt(1, 8, 4096)  # SO_RCVBUF
    tls = TlsClient(sock, host, lab.trust("clinic")).handshake()
    for _ in range(4):
        tls.send(b"GET /big.bin HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode())
    wait_for(lambda: not [f for f in lab.gateway.ask("flows")["flows"] if f.get("host") == host], 15,
             lambda: "the flow to be ended: %r" % lab.gateway.ask("flows"))
    sock.close()


@case()
def unread_websites_do_not_fill_memory(lab):
    """Back-pressure: 10 clients that never read 5 MB each cost the worker a bounded amount."""
    pids = lab.gateway.pids("worker")
    before = sum(_resident(pid) for pid in pids)
    held = []
    for _ in range(10):
        sock = lab.network.connect("other", lab.address(EHR), 443, timeout=10)
        sock.setsockopt(1, 8, 4096)
        tls = TlsClient(sock, EHR, lab.trust("clinic")).handshake()
        tls.send(b"GET /big.bin HTTP/1.1\r\nHost: %s\r\n\r\n" % EHR.encode())
        held.append(tls)
    time.sleep(1.5)
    grown = sum(_resident(pid) for pid in pids) - before
    check(grown < 20 * 1024 or "ASAN_OPTIONS" in os.environ, "the workers grew by %d kB" % grown)
    for tls in held:
        tls.close()


def _resident(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


@case()
def explicit_listener_survives_idle_tunnels(lab):
    tunnels = []
    for _ in range(30):
        sock = lab.network.connect("other", GATEWAY_LAN4, 8080, timeout=5)
        sock.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (EHR.encode(), EHR.encode()))
        tunnels.append(sock)
    reached(lab, lab.curl("other", "--proxy", "http://%s:8080" % GATEWAY_LAN4, "https://%s/" % EHR))
    for sock in tunnels:
        sock.close()


