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

    def _leaf(self, label, subject, names, *validity, section="leaf"):
        certificate, key = self.paths(label)
        request = os.path.join(self.folder, label + ".csr")
        self._key(key)
        self._openssl("req", "-new", "-key", key, "-subj", "/CN=" + subject[:64], "-config",
                      self._config, "-out", request)
        self._serial += 1
        self._openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self._root_key,
                      "-sha256", "-set_serial", "0x%x" % (0x7000000000000000 + self._serial),
                      "-extfile", self._config, "-extensions", section, *validity,
                      "-out", certificate, names=names)
        os.unlink(request)
        return certificate, key

    def paths(self, label):
        return (os.path.join(self.folder, label + ".pem"), os.path.join(self.folder, label + ".key"))

    def good(self, *hosts):
        names = ", ".join(("IP:" if h.replace(".", "").isdigit() or ":" in h else "DNS:") + h
                          for h in hosts)
        return self._leaf(hosts[0], hosts[0], names, "-days", "20")

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

    def revocation_list(self, *hosts):
        """The root's list (CRL) with the newest certificates of these hosts, as a file."""
        base = os.path.join(self.folder, "lists")
        os.makedirs(base, exist_ok=True)
        config, path = os.path.join(base, "lists.conf"), os.path.join(base, "root.crl")
        with open(config, "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca = lab\n[lab]\ndatabase = %s/index\ncrlnumber = %s/number\n"
                       "default_md = sha256\ndefault_crl_days = 2\ncrl_extensions = list\n[list]\n"
                       "authorityKeyIdentifier = keyid:always\n" % (base, base))
        with open(os.path.join(base, "index"), "w", encoding="ascii") as file:
            for host in hosts:
                serial = run("openssl", "x509", "-in", self.paths(host)[0], "-noout", "-serial")
                file.write("R\t360101000000Z\t260101000000Z\t%s\tunknown\t/CN=%s\n"
                           % (serial.split("=", 1)[1].strip(), host))
        with open(os.path.join(base, "number"), "w", encoding="ascii") as file:
            file.write("1000\n")
        self._openssl("ca", "-gencrl", "-config", config, "-cert", self.root, "-keyfile",
                      self._root_key, "-out", path)
        return path

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


def fingerprint(path):
    """SHA-256 of the certificate in a PEM file, as openssl writes it."""
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"],
                          stdout=subprocess.PIPE, check=True).stdout.decode()
    return text.split("=", 1)[1].strip()
