# SPDX-License-Identifier: BSD-2-Clause
#
# Other people's servers and clients: what Debian has besides nginx, curl and the browsers, on either side of an
# inspected site. Whatever a pair does with each other without the gateway, it does with it.

import hashlib
import os
import subprocess

from case import case, check, equal
from processes import wait_for

HOST = "changing.example-clinic.jp"
URL = "https://%s/" % HOST
BIG = (b"0123456789abcde\n" * 200_000)[:3_000_001]
SUM = hashlib.sha256(BIG).hexdigest()

APACHE = """
ServerRoot {folder}
ServerName {host}
PidFile {folder}/pid
Listen {address}:443
ErrorLog /dev/stderr
Mutex sem
{modules}
TypesConfig /etc/mime.types
User www-data
Group www-data
SetOutputFilter DEFLATE
Protocols h2 http/1.1
DocumentRoot {folder}
<Directory {folder}>
    Require all granted
</Directory>
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
"""
LIGHTTPD = """
server.modules = ("mod_openssl")
server.document-root = "{folder}"
server.port = 443
server.bind = "{address}"
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html", ".txt" => "text/plain")
ssl.engine = "enable"
ssl.pemfile = "{certificate}"
ssl.privkey = "{key}"
"""
H2O = """
user: root
listen:
  host: {address}
  port: 443
  ssl:
    certificate-file: {certificate}
    key-file: {key}
hosts:
  "{host}":
    paths:
      /:
        file.dir: {folder}
"""
MODULES = "\n".join("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so" % (name, name) for name in (
    "mpm_event", "authz_core", "ssl", "http2", "dir", "mime", "deflate", "filter"))

# name: (its configuration, the words that start it with that file)
SERVERS = {
    "apache2": (APACHE, ("apache2", "-X", "-f")),
    "lighttpd": (LIGHTTPD, ("lighttpd", "-D", "-f")),
    "h2o": (H2O, ("h2o", "-c")),
}

HTTPX = """
import hashlib, httpx, ssl, sys
for http2 in (False, True):
    with httpx.Client(http2=http2, verify=ssl.create_default_context()) as client:
        for again in range(2):
            print(hashlib.sha256(client.get(sys.argv[1]).content).hexdigest())
"""


class Server:
    def __init__(self, lab, name):
        configuration, words = SERVERS[name]
        self.lab, self.folder = lab, os.path.join(lab.folder, "interop-" + name)
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self._write("index.html", b"<!doctype html><title>t</title><p>INTEROP-PAGE " + b"x" * 5000)
        self._write("big.txt", BIG)
        certificate, key = lab.certificates.good(HOST)
        path = self._write("conf", configuration.format(
            folder=self.folder, host=HOST, address=lab.address(HOST), modules=MODULES,
            certificate=certificate, key=key).encode())
        self.process = lab.processes.start("internet", "interop-" + name, [*words, path])
        wait_for(self._listens, 15, lambda: name + ": " + self.process.output())

    def _write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _listens(self):
        return self.lab.network.listens("internet", self.lab.address(HOST))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()
        wait_for(lambda: not self._listens(), 10, "the port is free")


def client(lab, *words):
    """Another client's exit status and what it printed."""
    done = subprocess.run([*lab.network.prefix("clinician"), *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=40, check=False, cwd=lab.folder,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": lab.folder,
                               "SSL_CERT_FILE": lab.trust("both")})
    return done.returncode, done.stdout


def with_curl(lab):
    for version in ("--http1.1", "--http2"):
        page = lab.curl("clinician", version, "--compressed", URL)
        check(page.status == 200 and b"INTEROP-PAGE" in page.body, version, page)
        big = lab.curl("clinician", version, "--compressed", URL + "big.txt")
        equal((big.exit, hashlib.sha256(big.body).hexdigest()), (0, SUM), version, big.errors)
        head = lab.curl("clinician", version, "--head", URL + "big.txt")
        equal((head.exit, head.status), (0, 200), version, head)
        absent = lab.curl("clinician", version, URL + "absent")
        equal((absent.exit, absent.status), (0, 404), version, absent)
        # Small enough to be sent before the answer comes: this curl knows no early answers over HTTP/2.
        upload = lab.curl("clinician", version, "--data-binary", "x" * 20000, URL + "index.html")
        check(upload.exit == 0 and upload.status in (200, 403, 405), version, upload)


def with_others(lab):
    status, text = client(lab, "wget", "-q", "--ca-certificate=" + lab.trust("both"), "-O", "-", URL + "big.txt")
    equal((status, hashlib.sha256(text).hexdigest()), (0, SUM), "wget", repr(text[-200:]))
    status, text = client(lab, "aria2c", "--quiet", "--async-dns=false", "--allow-overwrite=true", "--split=4",
                          "--max-connection-per-server=4", "--min-split-size=1M", "--dir=" + lab.folder, "--out=got",
                          "--ca-certificate=" + lab.trust("both"), URL + "big.txt")
    equal(status, 0, "aria2c", repr(text[-200:]))
    with open(os.path.join(lab.folder, "got"), "rb") as file:
        equal(hashlib.sha256(file.read()).hexdigest(), SUM, "aria2c")
    status, text = client(lab, "/usr/bin/python3", "-c", HTTPX, URL + "big.txt")
    equal((status, text.count(SUM.encode())), (0, 4), "httpx", repr(text[-300:]))
    status, text = client(lab, "w3m", "-dump", URL)
    check(status == 0 and b"INTEROP-PAGE" in text, "w3m", repr(text[-200:]))


def interop(lab, name):
    with Server(lab, name):
        with_curl(lab)
        with_others(lab)


@case()
def apache(lab):
    interop(lab, "apache2")


@case()
def lighttpd(lab):
    interop(lab, "lighttpd")


@case()
def h2o(lab):
    interop(lab, "h2o")
