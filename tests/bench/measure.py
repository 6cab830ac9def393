# SPDX-License-Identifier: BSD-2-Clause
#
# The columns of the card, and how each figure is taken. A figure is a number, or None when the
# gateway did not carry it; what was odd about it is said in words.

import os
import re
import ssl
import statistics
import subprocess
import time

from ground import (BIG, BIG_SIZE, CHAT, CLIENT, HISTORIES, HISTORY_SIZE, INSPECTED, NUMBERS, SMALL,
                    SMALL_BODY)
from network import origin4

LOAD_CONNECTIONS = 32
LOAD_STREAMS = 10   # of HTTP/2, at a time on each
IDLE_CONNECTIONS = 200
HANDSHAKES = 60
TICKS = os.sysconf("SC_CLK_TCK")

# name: (heading, unit, digits, more is better, in the plot)
COLUMNS = {
    "new": ("new TLS", "conn/s", 0, True, True),
    "kept": ("h1 kept open", "req/s", 0, True, True),
    "h2": ("h2 kept open", "req/s", 0, True, True),
    "one": ("1 x 100 MB", "MB/s", 0, True, True),
    "four": ("4 x 100 MB", "MB/s", 0, True, True),
    "first": ("hs + first", "median ms", 2, False, True),
    "new-cpu": ("CPU/conn", "us", 0, False, False),
    "kept-cpu": ("CPU/h1 req", "us", 0, False, False),
    "h2-cpu": ("CPU/h2 req", "us", 0, False, False),
    "idle": ("idle conn", "kB PSS", 1, False, False),
    "base": ("at rest", "MB PSS", 1, False, False),
}

# What looking through a chat costs: of the same body, from a host with chat and from one without.
SCANS = {"%s%s" % (kind, more): (kind, host) for kind in HISTORIES
         for more, host in (("", INSPECTED), (" of a chat", CHAT))}
SCAN_TIMES = 8


class Trouble(Exception):
    """This figure could not be taken; the text says why."""


def url(peer, name):
    return "https://%s/%s" % (peer.host, name)


def on_client(ground, *words, **options):
    return subprocess.run([*ground.network.prefix(CLIENT), *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)


def curl(peer, *words):
    return ["curl", "--silent", "--show-error", "--http1.1", "--noproxy", "", "--cacert", peer.trust,
            "--fail", "--max-time", "30", *words]


def passes(ground, peer):
    """One request through it, verified against the CA that must have signed what the client sees."""
    said = ""
    for _ in range(20):
        done = on_client(ground, *curl(peer, "-o", os.devnull, url(peer, SMALL)))
        if done.returncode == 0:
            return
        said = done.stdout.decode(errors="replace").strip()
        time.sleep(0.2)
    raise Trouble("it does not carry a request: " + said)


# --- processes ---

def family(pid):
    """The process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
    found, at = [pid], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def proportional(pids):
    """Their memory together, bytes (PSS)."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
                total += 1024 * int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
        except (OSError, TypeError):
            continue  # it has just ended
    return total


def processor(pids):
    """The processor time that they have used, seconds."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / TICKS


# --- figures: each returns {column: value} ---

def memory(ground, peer, _seconds):
    """At rest, and for each connection that was used once and is kept open by the client."""
    if peer.pid is None:
        return {}
    base = proportional(family(peer.pid))
    context = ssl.create_default_context(cafile=peer.trust)
    context.set_alpn_protocols(["http/1.1"])
    request = ("GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (SMALL, peer.host)).encode()
    kept = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            plain = ground.network.connect(CLIENT, origin4(NUMBERS[peer.host]), 443, 10)
            kept.append(context.wrap_socket(plain, server_hostname=peer.host))
            kept[-1].sendall(request)
            got = b""
            while not got.endswith(SMALL_BODY[-64:]):
                piece = kept[-1].recv(65536)
                if not piece:
                    raise Trouble("a kept connection was closed after %r" % got[:80])
                got += piece
        time.sleep(0.2)
        full = proportional(family(peer.pid))
    except OSError as error:
        raise Trouble("with %d idle connections: %s" % (len(kept), error)) from error
    finally:
        for connection in kept:
            connection.close()
    return {"base": base / 1e6, "idle": (full - base) / 1000 / IDLE_CONNECTIONS}


def load(ground, peer, seconds, *words):
    """(requests a second, the gateway's processor time for each in microseconds, errors) under wrk."""
    pids = family(peer.pid) if peer.pid else []
    used = processor(pids)
    done = on_client(ground, "wrk", "-t", "2", "-c", str(LOAD_CONNECTIONS), "-d", "%ds" % seconds,
                     "--timeout", "10s", *words, url(peer, SMALL))
    used = processor(pids) - used
    said = done.stdout.decode(errors="replace")
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)", said, re.M)
    count = re.search(r"(\d+) requests in", said)
    if not rate or not count or not int(count[1]):
        raise Trouble("wrk: " + " ".join(said.split())[-200:])
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = sum(map(int, socket_errors.groups())) if socket_errors else 0
    errors += int(other[1]) if other else 0
    return float(rate[1]), used * 1e6 / int(count[1]) if pids else None, errors


def new_connections(ground, peer, seconds):
    rate, cost, errors = load(ground, peer, seconds, "-H", "Connection: close")
    return {"new": rate, "new-cpu": cost, "errors": errors}


def kept_connections(ground, peer, seconds):
    rate, cost, errors = load(ground, peer, seconds)
    return {"kept": rate, "kept-cpu": cost, "errors": errors}


def http2_streams(ground, peer, seconds):
    """What kept_connections() is for HTTP/1.1, of HTTP/2 and with several streams on each connection."""
    if not peer.speaks_http2:
        return {}
    pids = family(peer.pid) if peer.pid else []
    used = processor(pids)
    done = on_client(ground, "h2load", "-t", "2", "-c", str(LOAD_CONNECTIONS), "-m", str(LOAD_STREAMS),
                     "-D", "%ds" % seconds, url(peer, SMALL))
    used = processor(pids) - used
    said = done.stdout.decode(errors="replace")
    rate = re.search(r"^finished in [^,]+, ([0-9.]+) req/s", said, re.M)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    if "Application protocol: h2\n" not in said or not rate or not counts or not int(counts[1]):
        raise Trouble("h2load: " + " ".join(said.split())[-200:])
    return {"h2": float(rate[1]), "h2-cpu": used * 1e6 / int(counts[1]) if pids else None,
            "errors": sum(map(int, counts.groups()[1:]))}


def download(ground, peer, number):
    began = time.monotonic()
    running = [subprocess.Popen(
        [*ground.network.prefix(CLIENT), *curl(peer, "-o", os.devnull, "-w", "%{size_download}",
                                               url(peer, BIG))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(number)]
    texts = [process.communicate()[0].decode(errors="replace") for process in running]
    took = time.monotonic() - began
    for text in texts:
        if text != str(BIG_SIZE):
            raise Trouble("download: " + text.strip()[:160])
    return number * BIG_SIZE / 1e6 / took


def one_download(ground, peer, _seconds):
    return {"one": download(ground, peer, 1)}


def four_downloads(ground, peer, _seconds):
    return {"four": download(ground, peer, 4)}


def first_response(ground, peer, _seconds):
    """New connections one after another: from the first SYN to the first byte of the answer."""
    done = on_client(ground, *curl(
        peer, "--no-sessionid", "-H", "Connection: close", "-o", os.devnull, "-w",
        "%{time_namelookup} %{time_starttransfer}\n", "%s?[1-%d]" % (url(peer, SMALL), HANDSHAKES)))
    lines = [line.split() for line in done.stdout.decode(errors="replace").splitlines()]
    if done.returncode != 0 or len(lines) != HANDSHAKES:
        raise Trouble("curl: " + done.stdout.decode(errors="replace").strip()[-160:])
    return {"first": 1000 * statistics.median(float(end) - float(name) for name, end in lines)}


def looking_through(ground, peer, _seconds):
    """The gateway's processor time for each MB of a history, milliseconds."""
    if not peer.knows_chats:
        return {}
    result = {}
    pids = family(peer.pid)
    for name, (kind, host) in SCANS.items():
        used = processor(pids)
        done = on_client(ground, *curl(peer, "-o", os.devnull, "-w", "%{size_download}\n", "https://%s/%s?[1-%d]" % (
            host, HISTORIES[kind], SCAN_TIMES)))
        if done.stdout.decode(errors="replace").split() != [str(HISTORY_SIZE)] * SCAN_TIMES:
            raise Trouble("history: " + done.stdout.decode(errors="replace").strip()[-160:])
        result[name] = (processor(pids) - used) * 1e9 / (SCAN_TIMES * HISTORY_SIZE)
    return result


# In this order: memory at rest is taken before the gateway has worked.
FIGURES = [
    ("memory", ("base", "idle"), memory),
    ("new connections", ("new", "new-cpu"), new_connections),
    ("keep-alive", ("kept", "kept-cpu"), kept_connections),
    ("keep-alive, HTTP/2", ("h2", "h2-cpu"), http2_streams),
    ("one download", ("one",), one_download),
    ("four downloads", ("four",), four_downloads),
    ("first response", ("first",), first_response),
    ("looking through a chat", tuple(SCANS), looking_through),
]
