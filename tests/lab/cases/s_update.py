# SPDX-License-Identifier: BSD-2-Clause
#
# `sekisho update` from a web server, as far as a machine without an EFI system partition goes: the
# program of tests/appliance has its places in a folder of the case. The whole of it, in the image, is
# tried by firmware/lab/updates.py.

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import time

from case import case, check, equal
from gateway import REPOSITORY, Gateway
from misbehaving import Origin

HOST = "updates.example.jp"
SITE = "files.example.net"  # nginx
PAYLOAD = 200000
FAR_MORE = 24 << 20


def build_program(lab):
    program = os.path.join(lab.gateway.build, "tests", "appliance", "sekisho")
    subprocess.run(["make", "-C", lab.gateway.build, "tests/appliance/sekisho"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return os.path.realpath(program)


def tool(name, *words):
    subprocess.run(["sh", os.path.join(REPOSITORY, "firmware", name), *words], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Appliance:
    """A folder with what the image has, and bundles that nginx hands out."""

    def __init__(self, lab):
        self.lab = lab
        self.program = build_program(lab)
        self.folder = os.path.join(lab.folder, "appliance")
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("esp.off/EFI/Linux", "esp.off/sekisho", "state", "parts", "keys"):
            os.makedirs(os.path.join(self.folder, name))
        os.chmod(self.path("state"), 0o700)  # whoever fetches makes no file here
        self.write("release", "version=1.1.0\nsequence=11\nfloor=5\ndevice=sekisho-x86_64\n")
        self.write("esp.off/EFI/Linux/sekisho_1.1.0.efi", "what runs")
        for name in ("development", "stranger"):
            tool("keys", self.path("keys"), name)
        shutil.copy(self.path("keys/development-ca.pem"), self.path("update.pem"))
        shutil.copy(lab.certificates.root, self.path("web.pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def bundle(self, name, version, sequence, signer="development", size=PAYLOAD, device="sekisho-x86_64"):
        """Its bytes; nginx has it as https://SITE/NAME."""
        self.write("parts/release", "version=%s\nsequence=%d\nfloor=5\ndevice=%s\n" % (version, sequence, device))
        with open(self.path("payload"), "wb") as file:
            file.write(os.urandom(size))
        target = os.path.join(self.lab.origins.sites, "files", name)
        tool("bundle", self.path("parts"), self.path("payload"), self.path("keys/%s.pem" % signer),
             self.path("keys/%s.key" % signer), target)
        os.chmod(target, 0o644)
        with open(target, "rb") as file:
            return file.read()

    def update(self, *words):
        """(exit status, what it said)"""
        user = "_sekisho-fetcher" if Gateway._may_separate() else "root"
        done = subprocess.run(
            [*self.lab.network.prefix("gateway"), self.program, "update", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            env={**os.environ, "LAB_APPLIANCE": self.folder, "LAB_APPLIANCE_USER": user})
        equal(os.listdir(self.path("state")), [], "left behind")
        check(os.path.exists(self.path("esp.off")), "the ESP stays mounted")
        return done.returncode, done.stdout.decode()

    def versions(self):
        return sorted(os.listdir(self.path("esp.off/EFI/Linux")))

    def refuses(self, url, text):
        before = self.versions()
        status, said = self.update(url)
        check(status == 1 and text in said, url, status, said)
        equal(self.versions(), before, url)


def sent(lab):
    """Bytes that the internet has put on the wire."""
    links = json.loads(lab.network.run("internet", "ip", "-s", "-j", "link", "show", "eth0"))
    return links[0]["stats64"]["tx"]["bytes"]


@case(gateway=False)
def a_newer_version_is_installed(lab):
    appliance = Appliance(lab)
    url = "https://%s/new.bundle" % SITE
    appliance.bundle("new.bundle", "1.2.0", 12)
    appliance.write("url", "\n")
    status, said = appliance.update()
    check(status == 1 and "no URL is configured" in said, said)
    appliance.write("url", url + "\n")
    status, said = appliance.update()
    equal(status, 0, said)
    for words in (SITE + " is asked", "1.2.0 is there", "is genuine", "Version 1.2.0 is installed"):
        check(words in said, words, said)
    equal(appliance.versions(), ["sekisho_1.1.0.efi", "sekisho_1.2.0+3.efi"])
    # The same again, until it was started; a hand may still give a file.
    equal(appliance.update(url), (4, "%s is asked for a newer version\nNothing newer: version 1.2.0 is offered, "
                                  "and 1.2.0 waits for the next start.\n" % SITE))
    status, said = appliance.update("--json", url)
    equal((status, json.loads(said)["ok"], json.loads(said)["installed"]), (4, True, False), said)
    appliance.bundle("newer.bundle", "1.3.0", 13)
    status, said = appliance.update("--json", "https://%s/newer.bundle" % SITE)
    equal((status, json.loads(said)), (0, {"ok": True, "installed": True, "version": "1.3.0", "tries": 3}))
    equal(appliance.versions(), ["sekisho_1.1.0.efi", "sekisho_1.3.0+3.efi"])
    equal(appliance.update(os.path.join(lab.origins.sites, "files", "new.bundle"))[0], 0)
    equal(appliance.versions(), ["sekisho_1.1.0.efi", "sekisho_1.2.0+3.efi"])
    # It was tried in vain, and the machine has started the one before: not every night anew.
    os.unlink(appliance.path("waits"))
    os.rename(appliance.path("esp.off/EFI/Linux/sekisho_1.2.0+3.efi"),
              appliance.path("esp.off/EFI/Linux/sekisho_1.2.0+0-3.efi"))
    status, said = appliance.update(url)
    check(status == 4 and "1.2.0 was tried and has failed" in said, said)


@case(gateway=False)
def what_is_not_wanted_is_not_fetched(lab):
    """A few kB come of what is signed by somebody else, for another device or not newer."""
    appliance = Appliance(lab)
    for name, words, status, text in (
            ("same", ("1.1.0", 11), 4, "Nothing newer: version 1.1.0 is offered, and 1.1.0 runs."),
            ("old", ("1.0.0", 7), 4, "Nothing newer: version 1.0.0 is offered, and 1.1.0 runs."),
            ("foreign", ("1.2.0", 12, "stranger"), 1, "the signature is damaged, or of somebody")):
        appliance.bundle(name + ".bundle", *words, size=FAR_MORE)
        before = sent(lab)
        found, said = appliance.update("https://%s/%s.bundle" % (SITE, name))
        check(found == status and text in said, name, found, said)
        time.sleep(0.5)
        amount = sent(lab) - before
        check(amount < 1 << 20, "%s: %d bytes were sent of %d" % (name, amount, FAR_MORE))
    appliance.bundle("device.bundle", "1.2.0", 12, device="sekisho-aarch64", size=FAR_MORE)
    appliance.refuses("https://%s/device.bundle" % SITE, "another kind of device")
    equal(appliance.versions(), ["sekisho_1.1.0.efi"])


@case(gateway=False)
def servers_that_are_not_trusted(lab):
    appliance = Appliance(lab)
    appliance.bundle("new.bundle", "1.2.0", 12)
    good = "https://%s/new.bundle" % SITE
    appliance.refuses("http://%s/new.bundle" % SITE, "must be https://")
    appliance.refuses("https://%s/redirect" % SITE, "does not have it, or leads elsewhere")
    appliance.refuses("https://%s/nothing.bundle" % SITE, "does not have it, or leads elsewhere")
    appliance.refuses("https://%s/index.html" % SITE, "the file is no update")
    appliance.refuses("https://expired.example-clinic.jp/", "not valid at this time")
    appliance.refuses("https://wrong.example-clinic.jp/", "for another name")
    appliance.refuses("https://self.example-clinic.jp/", "not by a CA that is trusted here")
    appliance.refuses("https://nowhere.test/", "the name has no address")
    appliance.refuses("https://%s/" % HOST, "no connection")  # nobody listens
    check(not [r for r in lab.origins.requests() if r["host"].endswith("example-clinic.jp")],
          "a request went to a server that was not verified")
    # A private CA of the vendor's, beside the public ones.
    certificate, _ = lab.certificates.impostor("vendor")
    shutil.copy(certificate, appliance.path("web.pem"))
    appliance.refuses(good, "not by a CA that is trusted here")
    shutil.copy(lab.certificates.root, appliance.path("update-ca.pem"))
    equal(appliance.update(good)[0], 0)


def processes(program):
    """What the kernel says of each process of this program."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink("/proc/%s/exe" % number) == program:
                with open("/proc/%s/status" % number, encoding="ascii") as file:
                    found.append({name: value.strip() for name, _, value in
                                  (line.partition(":") for line in file)})
    return found


class Hostile(Origin):
    """Says `content` after the head of an answer: bytes, or a function that is given the socket."""

    content = b""

    def serve(self, sock, tls, connection):
        with self.handshake(sock, tls) as secure:
            self.head(secure, connection)
            secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            if callable(self.content):
                self.content(secure)
            else:
                secure.sendall(self.content)
                with contextlib.suppress(OSError):
                    secure.unwrap()


@case(gateway=False)
def servers_that_misbehave(lab):
    appliance = Appliance(lab)
    bundle = appliance.bundle("new.bundle", "1.2.0", 12)
    url = "https://%s/new.bundle" % HOST

    def endless(secure):
        secure.sendall(bundle)
        while True:
            secure.sendall(b"x" * 65536)

    def cut(secure):
        secure.sendall(bundle[:100000])  # and no word of TLS that this is the end

    def silent(secure):
        secure.sendall(bundle[:100000])
        time.sleep(1)
        confined.extend(facts for facts in processes(appliance.program) if facts["PPid"] in
                        [other["Pid"] for other in processes(appliance.program)])
        time.sleep(30)

    confined = []
    server = Hostile(lab, HOST)
    try:
        for content, text in (
                (endless, "cut off, or longer than it should be"),
                (cut, "the download broke off after 100000 bytes; nothing of it is kept"),
                (bundle[:100000], "cut off, or longer than it should be"),
                (silent, "takes too long"),
                (bundle[:-1] + bytes([bundle[-1] ^ 1]), "the file is damaged"),
                (b"x" * 100, "the file is no update"),
                (b"sekisho-bundle 1\n\xff\xff\xff\xff" + b"x" * 100, "the file is no update"),
                (b"", "not the answer of a web server")):
            server.content = content
            appliance.refuses(url, text)
        server.content = bundle
        status, said = appliance.update(url)
        equal(status, 0, said)
    finally:
        server.close()
    equal(appliance.versions(), ["sekisho_1.1.0.efi", "sekisho_1.2.0+3.efi"])
    # Whoever read all that could do nothing else.
    equal(len(confined), 1, confined)
    facts = confined[0]
    if Gateway._may_separate():
        equal(facts["Uid"].split(), [str(pwd.getpwnam("_sekisho-fetcher").pw_uid)] * 4)
        equal((facts["Groups"].strip(), int(facts["CapPrm"], 16), int(facts["CapEff"], 16)), ("", 0, 0))
    with open(appliance.program, "rb") as file:
        if b"__asan_init" not in file.read():  # a build that is not shut in
            equal((facts["NoNewPrivs"], facts["Seccomp"]), ("1", "2"))
