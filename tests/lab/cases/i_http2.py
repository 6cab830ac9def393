# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 on both sides: the cases of the consultation and of the connections once more, with nginx
# speaking it; many streams, large bodies and trailers; and what becomes of a stream when its origin,
# or the other version, is in the way.

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import time

import case as cases
from browser import Browser
from case import CASES, NAVIGATE, Skip, call, check, equal, reached
from firefox import Firefox
from gateway import SERVICES
from origins import TOGETHER
from processes import wait_for
from tlsclient import TlsClient

EHR = "ehr.example-clinic.jp"
FILES = "files.example.net"
STREAMS = "streams.example-clinic.jp"
HUGE = "huge.bin"


def case(config=None, *words, **more):
    """As everywhere, with tls.http2 switched on."""
    config = dict(config or {})
    config["tls"] = {**config.get("tls", {}), "http2": True}
    return cases.case(config, *words, **more)


# What is shown again, with every site speaking HTTP/2.
AGAIN = [
    "b_basics.allowed_site_is_inspected", "b_basics.denied_destination_is_never_met",
    "b_basics.consultation_blocks_unknown", "b_basics.link_out_of_the_consultation",
    "b_basics.chat_attachment_host", "b_basics.page_in_the_clients_language",
    "b_basics.subresource_gets_an_empty_answer", "b_basics.subresource_of_an_allowed_page_passes",
    "b_basics.dangerous_files_are_blocked_from_allowed_sites",
    "b_basics.dangerous_bytes_are_blocked_for_scripts_too",
    "b_basics.harmless_files_outside_a_consultation",
    "b_basics.unknown_downloads_during_a_consultation", "b_basics.content_coding_hides_nothing",
    "b_basics.bad_origin_certificates_are_never_made_good",
    "b_basics.bad_origin_certificates_with_a_page", "b_basics.alt_svc_is_stripped",
    "b_basics.another_host_on_this_connection_is_misdirected", "b_basics.proxy_connect",
    "b_basics.observe_mode_blocks_nothing",
    "c_consultation.chromium_sees_a_consultation_through",
    "c_consultation.firefox_sees_a_consultation_through",
    "c_consultation.firefox_saves_what_is_allowed", "c_consultation.firefox_address_bar",
    "c_consultation.phone_elsewhere_on_the_lan_is_blocked_too",
    "c_consultation.firefox_elsewhere_on_the_lan_is_blocked_too", "c_consultation.linger_ends",
    "c_consultation.release_of_an_incident", "c_consultation.release_of_a_denied_host",
    "d_connections.old_protocol_versions", "g_review.observed_and_not_stopped",
    "h_review.call_that_begins_without_a_registry",
]


def over_http2(function):
    """With every site of nginx speaking it; and it is seen that those who offer it get it."""
    def run(lab):
        with lab.origins.speaking_http2():
            function(lab)
            seen = [r for r in lab.origins.requests() if r["scheme"] == "https"
                    and re.match("curl|Mozilla", r["agent"])]
            check(all(r["version"] == "HTTP/2.0" for r in seen),
                  [(r["host"], r["uri"], r["version"]) for r in seen])
    run.__name__, run.__module__ = function.__name__, __name__
    return run


def _register_again():
    for made in list(CASES):
        if made.name in AGAIN:
            case(made.config, made.services, seconds=made.seconds, deaths=made.deaths)(over_http2(made.function))


def run_curl(lab, *words, client="clinician"):
    """One line for each URL, in the order in which they were over: (status, version, connects, url)."""
    done = subprocess.run(
        [*lab.network.prefix(client), "curl", "--silent", "--show-error", "--max-time", "20",
         "--cacert", lab.trust("both"), "--noproxy", "",
         "--write-out", "\n@ %{http_code} %{http_version} %{num_connects} %{url_effective}\n", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=40, check=False)
    lines = [line.split()[1:] for line in done.stdout.decode("latin-1").splitlines()
             if line.startswith("@ ")]
    return [(int(status), version, int(connects), url) for status, version, connects, url in lines], \
        done.stdout, done.stderr.decode(errors="replace")


def h2load(lab, *words, client="clinician"):
    if not shutil.which("h2load"):
        raise Skip("h2load (nghttp2-client) is not installed")
    done = subprocess.run([*lab.network.prefix(client), "h2load", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=80, check=False)
    text = done.stdout.decode(errors="replace")
    found = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    check(found, text)
    check("Application protocol: h2" in text, text)
    return tuple(int(n) for n in found.groups()), text


def nghttp(lab, *words, client="clinician"):
    """What nghttp says of its frames; it offers h2 alone."""
    if not shutil.which("nghttp"):
        raise Skip("nghttp (nghttp2-client) is not installed")
    done = subprocess.run([*lab.network.prefix(client), "nghttp", "--verbose", *words],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=30, check=False)
    return done.stdout.decode("latin-1")


class Streams:
    """nghttpd: echoes uploads, sends a trailer."""

    def __init__(self, lab):
        if not shutil.which("nghttpd"):
            raise Skip("nghttpd (nghttp2-server) is not installed")
        self.lab = lab
        self.start()

    def start(self):
        certificate, key = self.lab.certificates.good(STREAMS)
        root = os.path.join(self.lab.origins.sites, "ehr")
        with open(os.path.join(root, HUGE), "wb") as file:
            file.truncate(64 << 20)  # more than all buffers on the way hold
        self.process = self.lab.processes.start("internet", "nghttpd", [
            "nghttpd", "--address=" + self.lab.address(STREAMS), "--echo-upload", "--htdocs=" + root,
            "--trailer=x-sum: 31337", "443", key, certificate])
        wait_for(self.listens, 10, lambda: "nghttpd: " + self.process.output())

    def listens(self):
        return self.lab.network.listens("internet", self.lab.address(STREAMS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()


# --- which version ---

@case()
def both_sides_speak_it(lab):
    with lab.origins.speaking_http2():
        for flag in ("-4", "-6"):
            lab.fresh()
            answer = lab.curl("clinician", flag, "https://%s/" % EHR, trust="clinic")
            reached(lab, answer)
            equal(answer.facts["http_version"], "2")
            equal(lab.origins.requests(EHR, least=1)[0]["version"], "HTTP/2.0")
        answer = lab.curl("clinician", "--http1.1", "https://%s/" % EHR, trust="clinic")
        equal((answer.status, answer.facts["http_version"]), (200, "1.1"))
        equal(lab.origins.requests(EHR, least=2)[-1]["version"], "HTTP/1.1")


@case()
def the_origin_chooses_the_older_one(lab):
    answer = lab.curl("clinician", "https://%s/" % EHR, trust="clinic")
    equal((answer.status, answer.facts["http_version"]), (200, "1.1"))


def _handshake(lab, host, alpn, cafile="clinic"):
    sock = lab.network.connect("clinician", lab.address(host), 443)
    return TlsClient(sock, host, lab.trust(cafile), alpn=alpn).handshake()


@case()
def only_http2_is_offered(lab):
    """An origin that has it gets the client; before one that has not the client is refused in words."""
    try:
        _handshake(lab, EHR, ("h2",)).close()
        raise AssertionError("a client that offers h2 alone was let in before an HTTP/1.1 origin")
    except ssl.SSLError as error:
        check("NO_APPLICATION_PROTOCOL" in str(error).upper().replace(" ", "_"), repr(error))
    record = lab.collector.wait(event="tls-error", sni=EHR)
    check("h2" in record["detail"], record)
    with lab.origins.speaking_http2():
        tls = _handshake(lab, EHR, ("h2",))
        equal(tls.tls.selected_alpn_protocol(), "h2")
        tls.close()
        for offer, order in ((("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1"), ((), None)):
            tls = _handshake(lab, EHR, offer)
            equal(tls.tls.selected_alpn_protocol(), order, offer)
            tls.close()


@case()
def page_for_a_client_that_offers_only_http2(lab):
    text = nghttp(lab, "--header=sec-fetch-mode: navigate", "--header=sec-fetch-dest: document",
                  "https://bit.ly/x")
    check(":status: 403" in text and "text/html" in text and "<html" in text, text)
    lab.collector.wait(event="block", reason="denied-destination")


# --- streams ---

@case()
def a_blocked_stream_and_its_neighbours(lab):
    """On one connection: a page, a program, a page and a large file at once; the program alone is stopped."""
    paths = ["plain.txt", "setup.pdf", "logo.png", "big.bin", "setup.exe", "plain.txt?2"]
    with lab.origins.speaking_http2():
        words = []
        for number, path in enumerate(paths):
            words += ["--output", os.path.join(lab.folder, "stream-%d" % number),
                      "https://%s/%s" % (FILES, path)]
        lines, _, errors = run_curl(lab, "--parallel", *words)
        statuses = {url.rsplit("/", 1)[1]: (status, version) for status, version, _, url in lines}
        equal(statuses, {p: (403 if p.startswith("setup") else 200, "2") for p in paths}, errors)
        check(sum(line[2] for line in lines) <= 2, "streams share a connection", lines)
        with open(os.path.join(lab.folder, "stream-3"), "rb") as file:
            check(file.read() == lab.origins.big, "the large body")


@case()
def consultation_begins_on_a_kept_connection(lab):
    """Streams of one connection, before and after the call began."""
    url = "https://www.patient-link.example/present"
    with lab.origins.speaking_http2():
        process = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--cacert", lab.trust("both"),
             "--noproxy", "", "--rate", "20/m", "--output", "/dev/null", "--write-out",
             "%{http_code} %{http_version} %{num_connects}\n", url + "?1", "--next",
             "--cacert", lab.trust("both"), "--silent", "--output", "/dev/null", "--write-out",
             "%{http_code} %{http_version} %{num_connects}\n", url + "?2"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        lab.origins.requests("www.patient-link.example", least=1)
        call(lab)
        out = process.communicate(timeout=20)[0].decode().split("\n")
        equal(out[0], "200 2 1")
        check(out[1].startswith("403 2"), out)
        equal(len(lab.origins.requests("www.patient-link.example")), 1)


@case(seconds=120)
def many_streams(lab):
    with lab.origins.speaking_http2():
        counts, text = h2load(lab, "-n", "2000", "-c", "4", "-m", "50", "https://%s/logo.png" % EHR)
        equal(counts, (2000, 2000, 0, 0), text)
        check("2000 2xx" in text, text)
        counts, text = h2load(lab, "-n", "24", "-c", "2", "-m", "12", "https://%s/big.bin" % EHR)
        equal(counts, (24, 24, 0, 0), text)
        check(24 * len(lab.origins.big) <= int(re.search(r"\((\d+)\) data", text)[1]), text)
        counts, text = h2load(lab, "-n", "300", "-c", "1", "-m", "100", "https://%s/setup.pdf" % FILES)
        check("300 4xx" in text, text)


@case()
def a_slow_reader_holds_nobody_up(lab):
    """A download that is taken slowly arrives whole, and others beside it are not slower."""
    with lab.origins.speaking_http2():
        slow = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--cacert", lab.trust("both"),
             "--noproxy", "", "--limit-rate", "1200k", "--output", os.path.join(lab.folder, "slow"),
             "https://%s/big.bin" % EHR], stdin=subprocess.DEVNULL)
        time.sleep(0.3)
        for _ in range(5):
            answer = lab.curl("clinician", "https://%s/logo.png" % EHR)
            reached(lab, answer)
            check(answer.seconds < 2, answer.seconds)
        equal(slow.wait(30), 0)
        with open(os.path.join(lab.folder, "slow"), "rb") as file:
            check(file.read() == lab.origins.big)


@case()
def uploads_and_trailers_pass(lab):
    with Streams(lab):
        big = os.path.join(lab.origins.sites, "ehr", "big.bin")
        answer = lab.curl("clinician", "--data-binary", "@" + big, "-H", "Expect:",
                          "https://%s/echo" % STREAMS)
        reached(lab, answer)
        equal(answer.facts["http_version"], "2")
        equal(hashlib.sha256(answer.body).digest(), hashlib.sha256(lab.origins.big).digest())
        text = nghttp(lab, "https://%s/logo.png" % STREAMS)
        check("x-sum: 31337" in text, "the trailer", text[-2000:])
        answer = lab.curl("clinician", "--head", "https://%s/big.bin" % STREAMS)
        reached(lab, answer)
        equal(answer.field("Content-Length"), str(len(lab.origins.big)))


@case()
def an_origin_that_leaves(lab):
    """Killed in the middle of a body: the client sees that something is missing; then all is well again."""
    with Streams(lab) as streams:
        slow = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--cacert", lab.trust("both"),
             "--noproxy", "", "--limit-rate", "4000k", "--output", "/dev/null",
             "https://%s/%s" % (STREAMS, HUGE)], stdin=subprocess.DEVNULL)
        time.sleep(1)
        streams.process.stop()
        check(slow.wait(30) not in (0, 28), "a body that is not whole looked whole")
        answer = lab.curl("clinician", "https://%s/" % STREAMS)
        check(answer.status != 200, answer)
        streams.start()
        reached(lab, lab.curl("clinician", "https://%s/logo.png" % STREAMS))


@case({"limits": {"buffer": "64kB"}})
def a_reload_loses_no_stream(lab):
    """The old worker says goodbye by GOAWAY: every request of a client that knows HTTP/2 is answered."""
    with lab.origins.speaking_http2():
        slow = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--cacert", lab.trust("both"),
             "--noproxy", "", "--limit-rate", "1500k", "--output", os.path.join(lab.folder, "slow"),
             "https://%s/big.bin" % EHR], stdin=subprocess.DEVNULL)
        time.sleep(0.5)
        status, out, err = lab.gateway.reload()
        equal(status, 0, out, err)
        for _ in range(5):
            reached(lab, lab.curl("clinician", "https://%s/logo.png" % EHR))
        equal(slow.wait(30), 0)
        with open(os.path.join(lab.folder, "slow"), "rb") as file:
            check(file.read() == lab.origins.big)


# --- two names of one server ---

# The second one is where a service keeps its attachments.
APART = SERVICES.replace('attachments = {', 'attachments = { "%s",' % TOGETHER[1])

# By an <img>, which goes with cookies: fetch() without them would be given a connection of its own.
PICTURE = ("const picture = new Image(), done = arguments[1];"
           "picture.onload = picture.onerror = e => done(e.type); picture.src = arguments[0];")


def coalescing(lab, kind):
    """
    A page of one name loads something of the other, which has the same address and stands in the same
    certificate. The connections on which the origin saw each of them, and the browser's own words.
    """
    page, other = TOGETHER
    with lab.origins.speaking_http2(), kind(lab, "clinician") as browser:
        equal(browser.get("https://%s/" % page), None)
        equal(browser.protocol(), "h2")
        said = [browser.run(PICTURE, "https://%s/logo.png?%d" % (other, n)) for n in range(2)]
        equal(browser.fetch("/plain.txt"), "200 basic 11")
    return [{r["connection"] for r in lab.origins.requests(name)} for name in TOGETHER], said


def shared_by(lab, kind):
    (first, second), said = coalescing(lab, kind)
    equal(said, ["load"] * 2)
    check(second and second <= first, "the browser does not put both on one connection", first, second)


def judged_apart(lab, kind):
    """Through the gateway the second name has a connection of its own, and meets its own policy."""
    (first, second), said = coalescing(lab, kind)
    check(first and not second, first, second)
    lab.collector.wait(event="block", reason="chat-attachment", host=TOGETHER[1])
    equal(said, ["error"] * 2)
    check(not lab.collector.records(reason="misdirected"), "no connection was used for both")


@case(gateway=False)
def chromium_shares_a_connection(lab):
    shared_by(lab, Browser)


@case(gateway=False)
def firefox_shares_a_connection(lab):
    shared_by(lab, Firefox)


@case({}, APART)
def chromium_names_are_judged_apart(lab):
    judged_apart(lab, Browser)


@case({}, APART)
def firefox_names_are_judged_apart(lab):
    judged_apart(lab, Firefox)


_register_again()
