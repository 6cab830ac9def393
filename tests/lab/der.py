# SPDX-License-Identifier: BSD-2-Clause
#
# Certificates, lists of revoked ones and OCSP answers, byte for byte: what no program makes because
# it would be wrong is made here. Keys and ECDSA come from the openssl program; RSA is signed by
# hand, so that any digest and any size will do.

import base64
import hashlib
import os
import subprocess
import time

# --- DER (X.690) ---


def tlv(tag, *contents):
    body = b"".join(contents)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*contents):
    return tlv(0x30, *contents)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(content):
    return tlv(0x04, content)


def bits(content, unused=0):
    return tlv(0x03, bytes([unused]), content)


def boolean(value):
    return tlv(0x01, b"\xff" if value else b"\0")


def oid(text):
    numbers = [int(part) for part in text.split(".")]
    out = b""
    for number in (numbers[0] * 40 + numbers[1], *numbers[2:]):
        part = [number & 127]
        while number > 127:
            number >>= 7
            part.append(128 | number & 127)
        out += bytes(reversed(part))
    return tlv(0x06, out)


def moment(seconds):
    """A UTCTime, or a GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5)."""
    date = time.gmtime(seconds)
    if 1950 <= date.tm_year < 2050:
        return tlv(0x17, time.strftime("%y%m%d%H%M%SZ", date).encode())
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ", date).encode())


def generalized(seconds):
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def name(common, organisation="Lab"):
    return sequence(*(tlv(0x31, sequence(oid(kind), tlv(0x0c, text.encode())))
                      for kind, text in (("2.5.4.10", organisation), ("2.5.4.3", common)) if text))


def children(data):
    """The elements of what a constructed element holds, each whole."""
    out, at = [], 0
    while at < len(data):
        length, head = data[at + 1], 2
        if length & 0x80:
            count = length & 0x7f
            length, head = int.from_bytes(data[at + 2:at + 2 + count], "big"), 2 + count
        out.append(data[at:at + head + length])
        at += head + length
    return out


def content(element):
    head = 2 + (element[1] & 0x7f if element[1] & 0x80 else 0)
    return element[head:]


# --- keys and signatures ---

RSA_KEY, EC_KEY = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
DIGESTS = {"md4": "1.2.840.113549.2.4", "md5": "1.2.840.113549.2.5", "sha1": "1.3.14.3.2.26",
           "sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2"}
RSA_SIGNATURES = {"md4": "1.2.840.113549.1.1.3", "md5": "1.2.840.113549.1.1.4",
                  "sha1": "1.2.840.113549.1.1.5", "sha256": "1.2.840.113549.1.1.11",
                  "sha384": "1.2.840.113549.1.1.12"}
EC_SIGNATURES = {"sha1": "1.2.840.10045.4.1", "sha224": "1.2.840.10045.4.3.1",
                 "sha256": "1.2.840.10045.4.3.2",
                 "sha384": "1.2.840.10045.4.3.3"}


def _openssl(*words, data=None):
    done = subprocess.run(["openssl", *words], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(words), done.stderr.decode()))
    return done.stdout


def digest(algorithm, data):
    if algorithm == "md4":  # the library has it in its legacy provider only
        return _openssl("dgst", "-provider", "legacy", "-provider", "default", "-md4", "-binary",
                        data=data)
    return hashlib.new(algorithm, data).digest()


class Key:
    """`kind`: "ec" (P-256), "p384", "ed25519", or the bits of an RSA key."""

    def __init__(self, path, kind="ec", make=True):
        self.path, self.kind = path, kind
        words = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
                 "brainpool": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
                 "secp256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
                 "explicit": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                              "-pkeyopt", "ec_param_enc:explicit"],
                 "dsa": ["-paramfile", path + ".parameters"],
                 "ed25519": ["-algorithm", "ED25519"]}.get(
            kind, ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:%s" % kind])
        if make:
            if kind == "dsa":
                _openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt",
                         "dsa_paramgen_bits:1024", "-out", path + ".parameters")
            _openssl("genpkey", *words, "-out", path)
            os.chmod(path, 0o600)
        self.public = _openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
        parts = children(content(self.public))
        self.identifier = hashlib.sha1(content(parts[1])[1:]).digest()
        self._rsa = None
        if isinstance(kind, int):
            numbers = children(content(_openssl("rsa", "-in", path, "-traditional", "-outform",
                                                "DER")))
            self._rsa = [int.from_bytes(content(number), "big") for number in numbers]

    @classmethod
    def read(cls, path):
        """One that is there already, for P-256."""
        return cls(path, make=False)

    def algorithm(self, with_digest):
        if self.kind == "ed25519":
            return sequence(oid("1.3.101.112"))
        if self._rsa:
            return sequence(oid(RSA_SIGNATURES[with_digest]), tlv(0x05))
        return sequence(oid(EC_SIGNATURES[with_digest]))

    def sign(self, data, with_digest):
        if self._rsa:
            return self._sign_rsa(data, with_digest)
        if self.kind == "ed25519":
            with open(self.path + ".in", "wb") as file:
                file.write(data)
            return _openssl("pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-in",
                            self.path + ".in")
        return _openssl("dgst", "-" + with_digest, "-sign", self.path, data=data)

    def _sign_rsa(self, data, with_digest):
        """RFC 8017 section 8.2.1."""
        modulus, private = self._rsa[1], self._rsa[3]
        size = (modulus.bit_length() + 7) // 8
        info = sequence(sequence(oid(DIGESTS[with_digest]), tlv(0x05)),
                        octets(digest(with_digest, data)))
        padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(size, "big")


# --- extensions (RFC 5280 section 4.2) ---

SERVER, CODE_SIGNING, OCSP_SIGNING = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3",
                                      "1.3.6.1.5.5.7.3.9")
ANY_PURPOSE = "2.5.29.37.0"
SIGNS, ENCIPHERS, SIGNS_CERTIFICATES, SIGNS_LISTS = 0, 2, 5, 6


def extension(kind, value, critical=False):
    return sequence(oid(kind), boolean(True) if critical else b"", octets(value))


def basic(is_ca=True, bound=None):
    return extension("2.5.29.19", sequence(boolean(True) if is_ca else b"",
                                           b"" if bound is None else integer(bound)), True)


def usage(*positions):
    value = 0
    for position in positions:
        value |= 0x80 >> position
    return extension("2.5.29.15", bits(bytes([value]), 7 - max(positions)), True)


def purposes(*kinds):
    return extension("2.5.29.37", sequence(*map(oid, kinds)))


def alternatives(*hosts, critical=False):
    return extension("2.5.29.17", sequence(*(tlv(0x82, host.encode()) for host in hosts)), critical)


def own_key(key):
    return extension("2.5.29.14", octets(key.identifier))


def above_key(key):
    return extension("2.5.29.35", sequence(tlv(0x80, key.identifier)))


def constraints(permitted=(), excluded=()):
    def trees(tag, bases):
        return tlv(tag, *(sequence(tlv(0x82, base.encode())) for base in bases)) if bases else b""
    return extension("2.5.29.30", sequence(trees(0xa0, permitted), trees(0xa1, excluded)), True)


# --- the three kinds of signed things ---

def signed(tbs, key, with_digest="sha256"):
    return sequence(tbs, key.algorithm(with_digest), bits(key.sign(tbs, with_digest)))


def certificate(subject, public, issuer, key, extensions, begin, end, serial=None, version=3,
                with_digest="sha256"):
    serial = int.from_bytes(b"\x40" + os.urandom(15), "big") if serial is None else serial
    tbs = sequence(
        tlv(0xa0, integer(version - 1)) if version > 1 else b"", integer(serial),
        key.algorithm(with_digest), issuer, sequence(moment(begin), moment(end)), subject, public,
        tlv(0xa3, sequence(*extensions)) if version == 3 else b"")
    return signed(tbs, key, with_digest)


def revocation_list(issuer, key, serials, now):
    revoked = sequence(*(sequence(integer(serial), moment(now - 3600)) for serial in serials))
    tbs = sequence(integer(1), key.algorithm("sha256"), issuer, moment(now - 3600),
                   moment(now + 86400), revoked if serials else b"",
                   tlv(0xa0, sequence(above_key(key), extension("2.5.29.20", integer(7)))))
    return signed(tbs, key)


def ocsp_answer(issuer, issuer_key, serial, signer, is_revoked, now, carried=b""):
    """RFC 6960 section 4.2.1; `carried`: the responder's certificate, where it is not the issuer."""
    known = sequence(sequence(oid(DIGESTS["sha1"]), tlv(0x05)),
                     octets(hashlib.sha1(issuer).digest()), octets(issuer_key.identifier),
                     integer(serial))
    state = tlv(0xa1, generalized(now - 3600)) if is_revoked else tlv(0x80)
    single = sequence(known, state, generalized(now - 60), tlv(0xa0, generalized(now + 86400)))
    tbs = sequence(tlv(0xa2, octets(signer.identifier)), generalized(now - 60), sequence(single))
    basic_answer = sequence(tbs, signer.algorithm("sha256"), bits(signer.sign(tbs, "sha256")),
                            tlv(0xa0, sequence(carried)) if carried else b"")
    return sequence(tlv(0x0a, b"\0"), tlv(0xa0, sequence(oid("1.3.6.1.5.5.7.48.1.1"),
                                                         octets(basic_answer))))


def pem(der, kind="CERTIFICATE"):
    text = base64.b64encode(der).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n" % (kind, "\n".join(lines), kind)
