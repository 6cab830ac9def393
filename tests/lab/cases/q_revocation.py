# SPDX-License-Identifier: BSD-2-Clause
#
# What is fetched about origins' certificates: lists of revoked ones (CRL) and issuers that the origin
# did not send. The origin is openssl's s_server, what its certificate points to is lists.py.

import contextlib
import os
import signal
import socket
import threading
import time

from case import case, check, equal
from cases.o_certificates import HOST, URL, Server, leaf, passes, refused
from lists import Lists, url
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_WAN4
from processes import wait_for

PATIENT = {"revocation-wait": "20s"}
SMALL = {"fetch-size": "64kB"}
LIST = "root.crl"


def crl(lab, *hosts, **words):
    with open(lab.certificates.revocation_list(*hosts, form="DER", **words), "rb") as file:
        return file.read()


def passed(lab, revocation, *words):
    """The page arrives, and the record tells by what the certificate is known not to be revoked."""
    lab.collector.clear()
    passes(lab, *words)
    record = lab.collector.wait(event="allow", host=HOST)
    equal((record["verify"], record["revocation"]), ("ok", revocation), record)


def is_refused(lab):
    answer = lab.curl("clinician", "-4", URL)
    return answer.status == 0 and answer.exit in (35, 56)


# --- lists ---

@case({"tls": PATIENT})
def revoked_by_the_list_that_it_points_to(lab):
    for version in ("-tls1_2", "-tls1_3"):
        with Lists(lab) as lists:
            path = version + LIST
            certificate = lab.certificates.pointing(HOST, [url(path)])
            lists.files[path] = crl(lab, "ehr.example-clinic.jp")
            with Server(lab, *certificate, version):
                passed(lab, "list")
                passed(lab, "list")
            # another list, because that one is kept
            certificate = lab.certificates.pointing(HOST, [url("2" + path)])
            lists.files["2" + path] = crl(lab, HOST)
            with Server(lab, *certificate, version):
                refused(lab, "revoked")
                refused(lab, "revoked")
            check(len(lists.asked) <= 2, lists.asked)


@case({"tls": {**PATIENT, "revocation-age": "2s"}})
def revoked_after_a_good_list(lab):
    """The list is fetched anew while it is in use; what it revokes stays revoked when it is gone."""
    certificate = lab.certificates.pointing(HOST, [url(LIST)])
    with Server(lab, *certificate):
        with Lists(lab) as lists:
            lists.files[LIST] = crl(lab)
            passed(lab, "list")
            first = leaf(lab)
            lists.files[LIST] = crl(lab, HOST)
            wait_for(lambda: all(is_refused(lab) for _ in range(8)), 30, "the new list to count in each worker", 0.2)
            refused(lab, "revoked")
        time.sleep(3)
        refused(lab, "revoked")
    # Another certificate of the same name is another matter, and has a leaf of its own.
    with Server(lab, *lab.certificates.pointing(HOST, ["http://crl.example-ca.jp/other.crl"])):
        with Lists(lab) as lists:
            lists.files["other.crl"] = crl(lab)
            passed(lab, "list")
            check(leaf(lab) != first, "the leaf of the revoked certificate")


@case({"tls": PATIENT, "process": {"workers": 2}})
def one_fetch_serves_all(lab):
    with Lists(lab) as lists, Server(lab, *lab.certificates.pointing(HOST, [url(LIST)])):
        lists.files[LIST] = crl(lab)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            lab.curl("clinician", "-4", URL, trust="clinic"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal([a.status for a in answers], [200] * 8, answers)
        equal(lists.asked, [LIST])


@case({"tls": PATIENT})
def a_list_of_many(lab):
    """Some megabytes are no hindrance."""
    with Lists(lab) as lists:
        certificate = lab.certificates.pointing(HOST, [url(LIST)])
        lists.files[LIST] = crl(lab, HOST, more=50000)
        check(len(lists.files[LIST]) > 1 << 20, len(lists.files[LIST]))
        with Server(lab, *certificate):
            refused(lab, "revoked")


def endless(sock):
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(b"x" * 4096)


def drip(sock):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n")
    while True:
        sock.sendall(b"x")
        time.sleep(0.1)


def redirect(sock):
    sock.sendall(("HTTP/1.1 302 Found\r\nLocation: http://%s/%s\r\nContent-Length: 0\r\n\r\n"
                  % (CLIENTS["phone"][0], LIST)).encode())


def hang(sock):
    sock.recv(1)


def broken_off(content):
    return lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
                                     + content[:-1])


def bad_contents(lab):
    """{name: what is handed out}: none of it says anything of a certificate."""
    good = crl(lab)
    return {
        "missing": None,
        "endless": endless,
        "drip": drip,
        "redirect": redirect,
        "large": b"x" * 65537,
        "garbage": b"<html>captive portal</html>",
        "empty": b"",
        "broken-off": broken_off(good),
        "appended": good + b"\0",
        "changed": good[:-1] + bytes([good[-1] ^ 1]),
        "pem": open(lab.certificates.revocation_list(), "rb").read(),
        "indirect": crl(lab, extensions="issuingDistributionPoint = critical, @where\n[where]\n"
                                        "fullname = URI:http://x.jp/\nindirectCRL = TRUE"),
        "delta": crl(lab, extensions="2.5.29.27 = critical, DER:02:01:01"),
        "attributes": crl(lab, extensions="issuingDistributionPoint = critical, @where\n[where]\nonlyAA = TRUE"),
        "for-cas": crl(lab, extensions="issuingDistributionPoint = critical, @where\n[where]\nonlyCA = TRUE"),
        "elsewhere": crl(lab, extensions="issuingDistributionPoint = critical, @where\n[where]\n"
                                         "fullname = URI:http://elsewhere.example.jp/x.crl"),
        "unknown-critical": crl(lab, extensions="1.2.3.4 = critical, DER:05:00"),
        "over": crl(lab, times=("-crl_lastupdate", "20240101000000Z", "-crl_nextupdate", "20240102000000Z")),
        "not-begun": crl(lab, times=("-crl_lastupdate", "20480101000000Z",
                                     "-crl_nextupdate", "20480102000000Z")),
        "impostor": crl(lab, ca=lab.certificates.impostor()),
        "another-ca": crl(lab, ca=lab.certificates.between("another-ca")),
    }


@case({"tls": {**SMALL, "revocation": "hard", "revocation-wait": "20s"}, "timeouts": {"fetch": "2s"}}, seconds=300)
def lists_that_say_nothing(lab):
    with Lists(lab) as lists:
        for name, content in bad_contents(lab).items():
            lists.files[name] = content
            with Server(lab, *lab.certificates.pointing(HOST, [url(name)])):
                lab.collector.clear()
                answer = lab.curl("clinician", "-4", URL)
                check(answer.status == 0, name, answer)
                record = lab.collector.wait(event="tls-error", sni=HOST)
                equal((record["reason"], record["verify"]), ("origin-certificate", "revocation-unknown"), name)
        # The second place that a certificate names serves as well.
        lists.files["good"] = crl(lab)
        with Server(lab, *lab.certificates.pointing(HOST, [url("another-missing"), url("good")])):
            passed(lab, "list")
        equal(lists.asked.count("another-missing"), 1, lists.asked)


@case({"tls": {"revocation-wait": "1s"}, "timeouts": {"fetch": "3s"}})
def unavailable_lists_are_told(lab):
    """By default who is on no list passes after a short wait, and the record says so."""
    with Lists(lab) as lists:
        lists.files["hang"] = hang
        for name in ("missing", "hang"):
            with Server(lab, *lab.certificates.pointing(HOST, [url(name)])):
                passed(lab, "unavailable")
        with Server(lab, *lab.certificates.good(HOST)):
            passed(lab, "none")
        with Server(lab, *lab.certificates.good(HOST), "-status_file", lab.certificates.staple(HOST)):
            passed(lab, "staple")
    with Server(lab, *lab.certificates.pointing(HOST, [url("nobody-there")])):
        passed(lab, "unavailable")


@case({"tls": {"revocation": "hard", "revocation-wait": "20s"}})
def places_that_nobody_is_led_to(lab):
    """Neither this machine nor the LAN, by address or by name, of whatever the certificate says."""
    phone4, phone6, _ = CLIENTS["phone"]
    places = ["127.0.0.1", "[::1]", GATEWAY_WAN4, GATEWAY_LAN4, phone4, "[%s]" % phone6, "169.254.169.254",
              "crl.inside.test", "crl.itself.test"]
    with contextlib.ExitStack() as stack:
        traps = [stack.enter_context(Lists(lab, where="phone", names=[phone4, phone6])),
                 stack.enter_context(Lists(lab, where="gateway", names=["127.0.0.1", "::1", GATEWAY_WAN4,
                                                                        GATEWAY_LAN4]))]
        for place in places:
            with Server(lab, *lab.certificates.pointing(HOST, [url(LIST, place)])):
                refused(lab, "revocation-unknown")
        for other in ("https://crl.example-ca.jp/x", "ldap://crl.example-ca.jp/x", "http://crl.example-ca.jp:8080/x",
                      "http://user@crl.example-ca.jp/x", "http://2130706433/x"):
            with Server(lab, *lab.certificates.pointing(HOST, [other])):
                refused(lab, "revocation-unknown")
        equal([trap.asked for trap in traps], [[], []])
        check("the address is not one of the internet" in lab.gateway.log(), lab.gateway.log()[-500:])


@case({"tls": {"revocation-fetch": False}})
def nothing_is_fetched_where_that_is_said(lab):
    with Lists(lab) as lists, Server(lab, *lab.certificates.pointing(HOST, [url(LIST)])):
        lists.files[LIST] = crl(lab, HOST)
        passes(lab)
        equal(lists.asked, [])


# --- in the middle ---

class Held:
    """A list that the first who asks does not get."""

    def __init__(self, content):
        self.content, self.first = content, True
        self.waiting = threading.Event()

    def __call__(self, sock):
        if self.first:
            self.first = False
            self.waiting.set()
            with contextlib.suppress(socket.timeout):
                sock.recv(1)
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.content) + self.content)


def in_the_middle(lab, act):
    with Lists(lab) as lists, Server(lab, *lab.certificates.pointing(HOST, [url(LIST)])):
        held = lists.files[LIST] = Held(crl(lab))
        answers = []
        lab.collector.clear()
        thread = threading.Thread(target=lambda: answers.append(
            lab.curl("clinician", "-4", URL, trust="clinic", seconds=60)))
        thread.start()
        check(held.waiting.wait(20), "nobody asks for the list")
        act()
        thread.join()
        equal(answers[0].status, 200, answers)
        equal(lab.collector.wait(event="allow", host=HOST)["revocation"], "list")
        equal(lists.asked, [LIST, LIST])


@case({"tls": {"revocation-wait": "50s"}, "timeouts": {"fetch": "1min", "handshake": "1min"}}, deaths=True)
def killed_fetcher_in_the_middle(lab):
    in_the_middle(lab, lambda: os.kill(lab.gateway.pids("fetcher")[0], signal.SIGKILL))


@case({"tls": {"revocation-wait": "50s"}, "timeouts": {"fetch": "1min", "handshake": "1min", "drain": "1min"}})
def reload_in_the_middle_of_a_fetch(lab):
    in_the_middle(lab, lambda: equal(lab.gateway.reload()[0], 0))


@case({"tls": PATIENT})
def a_reload_keeps_what_was_fetched(lab):
    """The next fetcher has it from the one before: also when it is nowhere else to be had any more."""
    with Server(lab, *lab.certificates.pointing(HOST, [url(LIST)])):
        with Lists(lab) as lists:
            lists.files[LIST] = crl(lab, HOST)
            refused(lab, "revoked")
            before = lab.gateway.pids("fetcher")
            equal(lab.gateway.reload()[0], 0)
            wait_for(lambda: lab.gateway.pids("fetcher") not in (before, []), 20, "another fetcher")
            refused(lab, "revoked")
            equal(lists.asked, [LIST])
        equal(lab.gateway.reload()[0], 0)
        refused(lab, "revoked")


# --- issuers ---

def chain_of(lab, *issuers):
    """A certificate whose issuer stands between it and the root, and is not sent."""
    between = lab.certificates.between("between")
    return lab.certificates.pointing(HOST, issuers=issuers, ca=between), between


@case({"timeouts": {"fetch": "2s"}})
def missing_issuers(lab):
    with Lists(lab) as lists:
        certificate, between = chain_of(lab, url("ca.der"))
        lists.files["ca.der"] = lab.certificates.der(between[0])
        with Server(lab, *certificate):
            refused(lab, "untrusted")
            equal(lists.asked, [], "nothing is fetched by default")
            lab.gateway.configure({"tls": {"aia": True, "revocation-wait": "20s"}, "timeouts": {"fetch": "2s"}})
            equal(lab.gateway.reload()[0], 0)
            passes(lab)
            passes(lab)
            check(lists.asked.count("ca.der") == 1, lists.asked)
        # What is there is no certificate, or not the issuer's, or not there.
        for name, content in (("garbage", b"x"), ("other", lab.certificates.der(lab.certificates.root)),
                              ("missing", None), ("drip", drip)):
            lists.files[name] = content
            with Server(lab, *lab.certificates.pointing(HOST, issuers=[url(name)], ca=between)):
                refused(lab, "untrusted")
        lab.gateway.configure({"tls": {"intermediates": between[0]}})
        equal(lab.gateway.reload()[0], 0)
        with Server(lab, *lab.certificates.pointing(HOST, ca=between)):
            passes(lab)
        with Server(lab, *lab.certificates.self_signed(HOST)):
            refused(lab, "self-signed")


# --- sessions ---

@case()
def no_session_of_an_origin_is_resumed(lab):
    """Each connection verifies anew: the origin sees a new session each time."""
    for version in ("-tls1_2", "-tls1_3"):
        with Server(lab, *lab.certificates.good(HOST), version):
            for _ in range(3):
                answer = lab.curl("clinician", "-4", URL, trust="clinic")
                check(answer.status == 200 and "New, " in answer.text and "Reused, " not in answer.text, answer)
