# SPDX-License-Identifier: BSD-2-Clause
#
# The certificates of the lab's internet, made by the openssl program at start: a root, an ECDSA
# P-256 leaf for every origin, and the bad ones (expired, another host's, self-signed).

import os
import subprocess

from network import run

ROOT_CONFIG = """
[req]
distinguished_name = name
prompt = no
x509_extensions = root
[name]
O = Lab
CN = Lab Internet Root
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::LAB_NAMES}
[demanding]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
tlsfeature = status_request
subjectAltName = ${ENV::LAB_NAMES}
[between]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.root = os.path.join(folder, "root.pem")
        self._root_key = os.path.join(folder, "root.key")
        self._config = os.path.join(folder, "openssl.conf")
        self._serial = 1
        with open(self._config, "w", encoding="ascii") as file:
            file.write(ROOT_CONFIG)
        self._key(self._root_key)
        self._openssl("req", "-x509", "-new", "-key", self._root_key, "-sha256", "-days", "30",
                      "-config", self._config, "-extensions", "root", "-out", self.root)

    def _openssl(self, *words, names="DNS:unused.invalid", **options):
        return run("openssl", *words, env={**os.environ, "LAB_NAMES": names}, **options)

    def _key(self, path):
        old = os.umask(0o077)
        try:
            self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                          "ec_paramgen_curve:P-256", "-out", path)
        finally:
            os.umask(old)

    def _leaf(self, label, subject, names, *validity, section="leaf", ca=None, config=None):
        issuer, issuer_key = ca or (self.root, self._root_key)
        certificate, key = self.paths(label)
        request = os.path.join(self.folder, label + ".csr")
        self._key(key)
        self._openssl("req", "-new", "-key", key, "-subj", "/CN=" + subject[:64], "-config",
                      self._config, "-out", request)
        self._serial += 1
        self._openssl("x509", "-req", "-in", request, "-CA", issuer, "-CAkey", issuer_key,
                      "-sha256", "-set_serial", "0x%x" % (0x7000000000000000 + self._serial),
                      "-extfile", config or self._config, "-extensions", section, *validity,
                      "-out", certificate, names=names)
        os.unlink(request)
        return certificate, key

    def paths(self, label):
        return (os.path.join(self.folder, label + ".pem"), os.path.join(self.folder, label + ".key"))

    def good(self, *hosts):
        names = ", ".join(("IP:" if h.replace(".", "").isdigit() or ":" in h else "DNS:") + h
                          for h in hosts)
        return self._leaf(hosts[0], hosts[0], names, "-days", "20")

    def pointing(self, host, lists=(), issuers=(), ca=None, label=None):
        """A good one that says where lists of revoked ones (CRL) and its issuer's certificate are."""
        label = label or host
        config = os.path.join(self.folder, label + ".conf")
        text = ROOT_CONFIG.replace("[demanding]", "[pointing]").replace("tlsfeature = status_request\n", "".join(
            ["crlDistributionPoints = %s\n" % ", ".join("URI:" + url for url in lists)] * bool(lists)
            + ["authorityInfoAccess = %s\n" % ", ".join("caIssuers;URI:" + url for url in issuers)]
            * bool(issuers)))
        with open(config, "w", encoding="ascii") as file:
            file.write(text)
        return self._leaf(label, host, "DNS:" + host, "-days", "20", section="pointing", ca=ca, config=config)

    def between(self, label):
        """A CA below the root."""
        return self._leaf(label, label, "DNS:unused.invalid", "-days", "20", section="between")

    def impostor(self, label="impostor"):
        """Another root of the same name."""
        certificate, key = self.paths(label)
        self._key(key)
        self._openssl("req", "-x509", "-new", "-key", key, "-sha256", "-days", "30", "-config", self._config,
                      "-extensions", "root", "-out", certificate)
        return certificate, key

    def demanding(self, host):
        """A good one that demands a stapled answer (RFC 7633)."""
        return self._leaf(host, host, "DNS:" + host, "-days", "20", section="demanding")

    def staple(self, host, revoked=False):
        """The root's answer by OCSP about the newest certificate of this host, as a file."""
        index, path = os.path.join(self.folder, "ocsp.index"), os.path.join(self.folder, host + ".ocsp")
        state = "R\t360101000000Z\t260101000000Z" if revoked else "V\t360101000000Z\t"
        with open(index, "w", encoding="ascii") as file:
            file.write("%s\t%X\tunknown\t/CN=%s\n"
                       % (state, 0x7000000000000000 + self._serial, host))
        self._openssl("ocsp", "-index", index, "-rsigner", self.root, "-rkey", self._root_key,
                      "-rmd", "sha256", "-CA", self.root, "-issuer", self.root, "-cert",
                      self.paths(host)[0], "-ndays", "2", "-respout", path)
        return path

    def revocation_list(self, *hosts, ca=None, extensions="", times=(), more=0, form="PEM"):
        """
        A list (CRL) of the root's or of another CA, with the newest certificates of these hosts and so
        many others, as a file.
        """
        issuer, key = ca or (self.root, self._root_key)
        base = os.path.join(self.folder, "lists")
        os.makedirs(base, exist_ok=True)
        config, path = os.path.join(base, "lists.conf"), os.path.join(base, "root.crl")
        with open(config, "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca = lab\n[lab]\ndatabase = %s/index\ncrlnumber = %s/number\n"
                       "default_md = sha256\ndefault_crl_days = 2\ncrl_extensions = list\n[list]\n"
                       "authorityKeyIdentifier = keyid:always\n%s\n" % (base, base, extensions))
        with open(os.path.join(base, "index"), "w", encoding="ascii") as file:
            for host in hosts:
                serial = run("openssl", "x509", "-in", self.paths(host)[0], "-noout", "-serial")
                file.write("R\t360101000000Z\t260101000000Z\t%s\tunknown\t/CN=%s\n"
                           % (serial.split("=", 1)[1].strip(), host))
            for number in range(more):
                file.write("R\t360101000000Z\t260101000000Z\t%030X\tunknown\t/CN=x\n" % (1 << 100 | number))
        with open(os.path.join(base, "number"), "w", encoding="ascii") as file:
            file.write("1000\n")
        self._openssl("ca", "-gencrl", "-config", config, "-cert", issuer, "-keyfile", key, *times, "-out", path)
        if form == "DER":
            self._openssl("crl", "-in", path, "-outform", "DER", "-out", path + ".der")
            path += ".der"
        return path

    def der(self, path):
        """The certificate of a PEM file as DER."""
        return run_bytes("openssl", "x509", "-in", path, "-outform", "DER")

    def wrong_host(self, label, other):
        return self._leaf(label, other, "DNS:" + other, "-days", "20")

    def expired(self, host):
        """Ended yesterday: x509 takes no date in the past, `ca` does."""
        certificate, key = self.paths(host)
        request = os.path.join(self.folder, host + ".csr")
        self._key(key)
        self._openssl("req", "-new", "-key", key, "-subj", "/CN=" + host, "-config", self._config,
                      "-out", request)
        base = os.path.join(self.folder, "ca")
        os.makedirs(base, exist_ok=True)
        config = os.path.join(base, "ca.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca = lab\n[lab]\nnew_certs_dir = %s\ndatabase = %s/index\n"
                       "rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\n"
                       "commonName = supplied\n" % (base, base) + ROOT_CONFIG)
        with open(os.path.join(base, "index"), "w", encoding="ascii"):
            pass
        self._openssl("ca", "-batch", "-notext", "-config", config, "-extensions", "leaf",
                      "-cert", self.root, "-keyfile", self._root_key, "-in", request,
                      "-startdate", "20240101000000Z", "-enddate", "20240201000000Z",
                      "-out", certificate, names="DNS:" + host)
        return certificate, key

    def self_signed(self, host):
        certificate, key = self.paths(host)
        self._key(key)
        self._openssl("req", "-x509", "-new", "-key", key, "-sha256", "-days", "20", "-subj",
                      "/CN=" + host, "-config", self._config, "-extensions", "leaf",
                      "-out", certificate, names="DNS:" + host)
        return certificate, key


def run_bytes(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def fingerprint(path):
    """SHA-256 of the certificate in a PEM file, as openssl writes it."""
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"],
                          stdout=subprocess.PIPE, check=True).stdout.decode()
    return text.split("=", 1)[1].strip()
