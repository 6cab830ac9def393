# SPDX-License-Identifier: BSD-2-Clause
#
# The clinic's CA, and how devices come to it: the enrolment page, a rotation from end to end, and
# names that are never signed for.

import hashlib
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import time

from browser import Browser
from case import case, check, equal, reached
from firefox import Firefox
from lab import build_folder
from load import Load
from network import GATEWAY_LAN4, GATEWAY_LAN6
from origins import PORTAL
from processes import wait_for

EHR = "ehr.example-clinic.jp"
UNKNOWN = "unknown.example.org"
ON = {"portal": {"address": [GATEWAY_LAN4, GATEWAY_LAN6]}}


def fingerprint(lab, *words):
    return lab.gateway.ask("ca", "show", *words)["sha256"]


def pem_digest(path):
    with open(path, encoding="ascii") as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()


def screen(name):
    return os.path.join(build_folder(), "lab", "screens", name + ".png")


# --- the page ---

@case(ON)
def the_page_hands_out_the_certificate(lab):
    for family in ("-4", "-6"):
        page = lab.curl("phone", family, "-H", "Accept-Language: en", "http://%s/" % PORTAL)
        reached(lab, page)
        check("Download the certificate" in page.text and "ラボ診療所" in page.text, page.text[:300])
    digits = fingerprint(lab).upper()
    check(" ".join(digits[i:i + 2] for i in range(0, 64, 2)) in page.text, "the fingerprint")
    check("この端末" in lab.curl("phone", "http://%s/" % PORTAL).text, "Japanese unless asked otherwise")
    der = lab.curl("phone", "http://%s/ca.crt" % PORTAL)
    equal((der.field("Content-Type"), hashlib.sha256(der.body).hexdigest()),
          ("application/x-x509-ca-cert", fingerprint(lab)))
    pem = lab.curl("phone", "http://%s/ca.pem" % GATEWAY_LAN4)
    equal(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.text)).hexdigest(), fingerprint(lab))
    profile = lab.curl("phone", "http://%s/ca.mobileconfig" % PORTAL)
    equal(profile.field("Content-Type"), "application/x-apple-aspen-config")
    import plistlib
    payload = plistlib.loads(profile.body)["PayloadContent"][0]
    equal((payload["PayloadType"], hashlib.sha256(payload["PayloadContent"]).hexdigest()),
          ("com.apple.security.root", fingerprint(lab)))
    for words, status in ((["-X", "POST", "-d", "x"], 405), (["-X", "DELETE"], 405),
                          (["-H", "Host: " + UNKNOWN], 421), (["-H", "Host:"], 400)):
        equal(lab.curl("phone", *words, "http://%s/" % PORTAL).status, status, words)
    for path in ("/next.crt", "/status", "/..%2fca-key.pem", "/ca-key.pem"):
        equal(lab.curl("phone", "--path-as-is", "http://%s%s" % (PORTAL, path)).status, 404, path)
    # and over https, for those who have it
    answer = lab.curl("phone", "https://%s/" % PORTAL, trust="clinic")
    reached(lab, answer)
    check('class="enrolled"' in answer.text, answer.text[:200])
    equal(lab.curl("phone", "https://%s/" % PORTAL, trust="internet").exit, 60)
    # what is not there is not served by anything else of the gateway either
    check(lab.curl("phone", "http://%s:8443/" % GATEWAY_LAN4).exit == 7, "the transparent listener")


def spoil(lab, port, bytes_, wait=0.0):
    sock = lab.network.connect("other", GATEWAY_LAN4, port, 5)
    sock.settimeout(15)
    try:
        sock.sendall(bytes_)
        time.sleep(wait)
        return sock.recv(4096)
    except OSError:
        return b""
    finally:
        sock.close()


@case(ON)
def garbage_at_its_ports(lab):
    pid = lab.gateway.pids("portal")
    chance = random.Random(5)
    for turn in range(40):
        rubbish = chance.randbytes(chance.randrange(1, 3000))
        for port in (80, 443):
            spoil(lab, port, rubbish + b"\r\n\r\n")
    for request, status in ((b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"400"),
                            (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"414"),
                            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100 + b"\r\n", b"431"),
                            (b"GET / HTTP/1.1\nHost: x\n\n", b"400"),
                            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505")):
        check(spoil(lab, 80, request).startswith(b"HTTP/1.1 " + status), request[:60], status)
    # those who say nothing, from one device, do not keep another one out
    idle = [lab.network.connect("other", GATEWAY_LAN4, port, 5) for port in (80, 443) for _ in range(60)]
    for sock in idle[::3]:
        try:
            sock.sendall(b"GET / HT")
        except OSError:
            pass
    for scheme in ("http", "https"):
        reached(lab, lab.curl("phone", "%s://%s/" % (scheme, PORTAL)))
    for sock in idle:
        sock.close()
    equal(lab.gateway.pids("portal"), pid, "it lives")


@case(ON, deaths=True)
def a_killed_portal_comes_back(lab):
    old = lab.gateway.pids("portal")[0]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: lab.gateway.pids("portal") not in ([], [old]), 20, "a new portal")
    for scheme in ("http", "https"):
        reached(lab, lab.curl("phone", "%s://%s/" % (scheme, PORTAL)))
    # without its section it goes, and nothing listens there
    lab.gateway.configure()
    equal(lab.gateway.reload()[0], 0)
    wait_for(lambda: lab.curl("phone", "http://%s/" % PORTAL).exit == 7, 20, "the port to be closed")
    equal(lab.gateway.pids("portal"), [])
    lab.gateway.configure(ON)
    equal(lab.gateway.reload()[0], 0)
    reached(lab, lab.curl("phone", "http://%s/" % PORTAL))


# --- browsers ---

def enrolled_with_download(lab, kind):
    """That browser on the clinician's device, which has the certificate from the page alone."""
    class Enrolled(kind):
        def _enrol(self):
            path = os.path.join(self.home, "download.crt")
            with open(path, "wb") as file:
                file.write(lab.curl(self.client, "http://%s/ca.crt" % PORTAL).body)
            if kind is Browser:
                self.trust = ("internet",)
                super()._enrol()
                store = "sql:" + os.path.join(self.home, ".pki", "nssdb")
            else:
                store = "sql:" + self.profile
                subprocess.run(["certutil", "-d", store, "-N", "--empty-password"], check=True)
            subprocess.run(["certutil", "-d", store, "-A", "-t", "C,,", "-n", "portal", "-i", path],
                           check=True)
    return Enrolled(lab, "clinician")


def enrols(lab, kind, name):
    with enrolled_with_download(lab, kind) as browser:
        equal(browser.get("http://%s/" % PORTAL), None)
        check("SHA-256" in browser.text(), browser.text()[:200])
        browser.screenshot(screen("enrol-" + name))
        check(browser.run("arguments[0]([...document.querySelectorAll('a')].length >= 5)"), "links")
        browser.click("details summary")
        equal(browser.get("https://%s/" % PORTAL), None)
        check("登録されています" in browser.text(".enrolled"), browser.text()[:200])
        browser.screenshot(screen("enrolled-" + name))
        equal(browser.get("https://%s/" % EHR), None)
        check("EHR" in browser.source() or "電子" in browser.source() or EHR in browser.url(),
              browser.source()[:300])


@case(ON)
def chromium_is_enrolled_from_the_page(lab):
    enrols(lab, Browser, "chromium")


@case(ON)
def firefox_is_enrolled_from_the_page(lab):
    enrols(lab, Firefox, "firefox")


# --- the CA ---

def own_ca(lab, name, **tls):
    """A CA that a case may change, with its own files: the words for the configuration."""
    folder = os.path.join(lab.gateway.folder, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    words = {**ON, "tls": {"ca-certificate": os.path.join(folder, "ca.pem"),
                           "ca-key": os.path.join(folder, "ca-key.pem"), **tls}}
    lab.gateway.configure(words)
    lab.gateway.sekisho("ca", "init")
    return folder


def issuer_of(lab, client, *cafiles):
    """Whether the leaf that the client is shown verifies under these roots."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in cafiles:
        context.load_verify_locations(path)
    sock = lab.network.connect(client, lab.address(EHR), 443)
    try:
        with context.wrap_socket(sock, server_hostname=EHR):
            return True
    except ssl.SSLCertVerificationError:
        return False


@case(start=False, seconds=150)
def a_rotation_with_overlap(lab):
    """Prepared, enrolled beside the old one, activated: no request fails on the way."""
    folder = own_ca(lab, "rotation")
    roots = [os.path.join(folder, name + ".pem") for name in ("first", "second")]
    lab.gateway.sekisho("ca", "export", "--output", roots[0])
    lab.gateway.start()
    status, out, err = lab.gateway.sekisho("ca", "rotate", "--activate", check=False)
    check(status == 1 and "no CA is prepared" in err, status, out, err)
    lab.gateway.sekisho("ca", "rotate")
    lab.gateway.sekisho("ca", "export", "--next", "--output", roots[1])
    check(pem_digest(roots[0]) != pem_digest(roots[1]), "two roots")
    equal((fingerprint(lab), fingerprint(lab, "--next")), tuple(map(pem_digest, roots)))
    equal(lab.gateway.reload()[0], 0)
    equal(hashlib.sha256(lab.curl("phone", "http://%s/next.crt" % PORTAL).body).hexdigest(),
          pem_digest(roots[1]), "the page hands out the next one")
    equal(hashlib.sha256(lab.curl("phone", "http://%s/ca.crt" % PORTAL).body).hexdigest(),
          pem_digest(roots[0]))
    both = os.path.join(folder, "both.pem")
    with open(both, "w", encoding="ascii") as file:
        for path in roots:
            with open(path, encoding="ascii") as part:
                file.write(part.read())
    check(issuer_of(lab, "clinician", roots[0]) and not issuer_of(lab, "clinician", roots[1]),
          "the old one signs")
    with Load(lab, "clinician", EHR, timeout=10, cafile=both) as stream:
        wait_for(lambda: len(stream.successes()) > 5, 20, lambda: "requests: %r" % stream.outcomes[-3:])
        lab.gateway.sekisho("ca", "rotate", "--activate")
        equal(lab.gateway.reload()[0], 0)
        done = time.time()
        wait_for(lambda: len(stream.successes(since=done)) > 5, 20, lambda: "requests after it: %r"
                 % stream.outcomes[-3:])
    check(not stream.failures(), "requests that failed: %r" % stream.failures()[:3])
    check(issuer_of(lab, "clinician", roots[1]) and not issuer_of(lab, "clinician", roots[0]),
          "the new one signs")
    equal(lab.curl("phone", "http://%s/next.crt" % PORTAL).status, 404)
    lab.gateway.sekisho("ca", "export", "--old", "--output", roots[0] + ".old")
    equal(pem_digest(roots[0] + ".old"), pem_digest(roots[0]))
    equal(os.stat(os.path.join(folder, "ca-key.pem")).st_mode & 0o777, 0o600)


@case(start=False)
def a_root_key_that_is_kept(lab):
    """Its file is encrypted, its passphrase no word of the command line, and it signs again."""
    folder = own_ca(lab, "kept")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    phrase, key = os.path.join(folder, "phrase"), os.path.join(folder, "root-key.pem")
    with open(phrase, "w", encoding="ascii") as file:
        file.write("correct horse battery\nsecond line\n")
    run = lambda *words: lab.gateway.sekisho("ca", *words, check=False)
    status, _, err = run("init", "--root-key", key, "--passphrase-file", phrase)
    check(status == 1 and "chmod 600" in err, status, err)
    os.chmod(phrase, 0o600)
    status, _, err = run("init", "--root-key", key)
    check(status == 1 and "terminal" in err, status, err)
    equal(run("init", "--root-key", key, "--passphrase-file", phrase)[0], 0)
    with open(key, encoding="ascii") as file:
        check("BEGIN ENCRYPTED PRIVATE KEY" in file.read(), "encrypted")
    first = fingerprint(lab)
    subprocess.run(["openssl", "pkey", "-in", key, "-passin", "pass:correct horse battery", "-noout"],
                   check=True)
    equal(run("rotate", "--issuing")[0], 2)
    equal(run("rotate", "--issuing", "--root-key", key, "--passphrase-file", phrase)[0], 0)
    equal(run("rotate", "--activate")[0], 0)
    equal(fingerprint(lab), first, "the same root")
    lab.gateway.start()
    lab.gateway.sekisho("ca", "export", "--output", os.path.join(folder, "root.pem"))
    check(issuer_of(lab, "clinician", os.path.join(folder, "root.pem")), "it signs")


@case(start=False)
def a_sealed_file_and_its_passphrase(lab):
    """It opens with that alone, and says nothing of what is in it."""
    folder = own_ca(lab, "sealed")
    plain, sealed, opened, phrase = (os.path.join(folder, name) for name in ("plain", "sealed", "open", "phrase"))
    with open(plain, "wb") as file:
        file.write(b"the clinic's own words" * 1000)

    def run(command, source, target, words):
        with open(phrase, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(words)
        done = subprocess.run([lab.gateway.program, command, "--passphrase-file", phrase, source, target],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stderr

    for words, fault in ((b"eleven sign", "12 bytes at least"), (b"x" * 1025, "1024 bytes at most")):
        status, err = run("seal", plain, sealed, words)
        check(status == 1 and fault in err and not os.path.exists(sealed), status, err)
    equal(run("seal", plain, sealed, b"x" * 1024)[0], 0)
    equal(run("unseal", sealed, opened, b"x" * 1024 + b"\n")[0], 0)
    equal(os.stat(opened).st_mode & 0o777, 0o600)
    equal(open(opened, "rb").read(), open(plain, "rb").read())
    os.unlink(opened)
    content = open(sealed, "rb").read()
    check(b"clinic" not in content, "it can be read")
    for words, change in ((b"x" * 1023, content), (b"x" * 1024, content[:-1]),
                          (b"x" * 1024, content[:500] + bytes([content[500] ^ 1]) + content[501:])):
        with open(sealed, "wb") as file:
            file.write(change)
        status, err = run("unseal", sealed, opened, words)
        check(status == 1 and "no sealed file, or damaged" in err and not os.path.exists(opened), status, err)


@case(start=False)
def excluded_names_are_never_signed(lab):
    """They are passed on where they may be opened at all, and refused where not."""
    path = os.path.join(lab.gateway.folder, "never.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write(".%s\n.%s\n" % (EHR, UNKNOWN))
    folder = own_ca(lab, "excluding", **{"never-inspect": [path]})
    shown = json.loads(lab.gateway.sekisho("ca", "show", "--json"))
    equal(sorted(shown["excluded"]), sorted([EHR, UNKNOWN]))
    text = subprocess.run(["openssl", "x509", "-in", os.path.join(folder, "ca.pem"), "-noout", "-text"],
                          check=True, capture_output=True, text=True).stdout
    check("Name Constraints: critical" in text and "DNS:" + EHR in text and "pathlen:0" in text, text)
    status, out, err = lab.gateway.sekisho("check", check=False)
    check(status == 0 and "never inspected" in out + err and EHR in out + err, status, out, err)
    lab.gateway.start()
    for host in (EHR, UNKNOWN):  # the origin's own certificate, not one of ours
        reached(lab, lab.curl("clinician", "https://%s/" % host, trust="internet"))
        lab.collector.wait(event="splice", sni=host)
    root = os.path.join(folder, "root.pem")
    lab.gateway.sekisho("ca", "export", "--output", root)
    reached(lab, lab.curl("clinician", "--cacert", root, "https://call.telemed.example/room/1"))
    lab.collector.wait(event="consultation-on")
    wait_for(lambda: lab.curl("clinician", "https://%s/" % UNKNOWN, trust="internet").exit == 35, 10,
             "every worker to know of the consultation")
    reached(lab, lab.curl("clinician", "https://%s/" % EHR, trust="internet"))
    answer = lab.curl("clinician", "https://%s/" % UNKNOWN)
    check(answer.exit == 35 and answer.status == 0, answer)
    lab.collector.wait(event="refuse", sni=UNKNOWN, reason="unverified-destination")
    # a CA from before the list grew goes on, and is told of
    lab.gateway.configure({"tls": {"never-inspect": [path]}})
    status, out, err = lab.gateway.sekisho("check", check=False)
    check(status == 0 and "could speak for 2 names" in out + err, status, out, err)


@case(ON)
def devices_without_the_ca_are_told_of(lab):
    """By device and name, with what helps: nothing is passed on because of it."""
    for _ in range(3):
        equal(lab.curl("phone", "https://%s/" % EHR, trust="internet").exit, 60)
    lab.collector.wait(event="tls-error", sni=EHR, reason="client-tls")
    row = wait_for(lambda: [r for r in lab.gateway.ask("status")["distrust"] if r["count"] == 3], 10,
                   lambda: "three: %r" % lab.gateway.ask("status")["distrust"])[0]
    equal((row["host"], row["hint"]), (EHR, "enrol this device at http://%s/" % PORTAL))
    check("WHAT HELPS" in lab.gateway.sekisho("status"), "the text")
    equal(lab.gateway.log().count("does not trust our certificate for " + EHR), 1, lab.gateway.log())
    # a device that takes it elsewhere has a program that insists on its own
    reached(lab, lab.curl("phone", "https://labo.example.jp/plain.txt"))
    wait_for(lambda: lab.gateway.ask("status")["distrust"][0]["hint"] ==
             'clinic { splice = { "%s" } }' % EHR, 10,
             lambda: "the other hint: %r" % lab.gateway.ask("status")["distrust"])
    equal(lab.curl("phone", "https://%s/" % EHR, trust="internet").exit, 60, "never by itself")
