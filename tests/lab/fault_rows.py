# SPDX-License-Identifier: BSD-2-Clause
#
# The table of the faults: what an origin shows, and what the gateway has to say of it. A row is a
# test; tests/tls.sh prints what became of each into TLS.md.
#
# W1 to W43 are the tests of Waked, Mannan and Youssef. Their papers' tables were not at hand: which
# 43 there are, and their order, is by our reading of what they describe. S rows are there for the
# evaluator tests of the PP-Module for SSL/TLS Inspection Proxies 1.1; X rows go beyond both.

import base64
import os
import struct

import der
from der import (ANY_PURPOSE, CODE_SIGNING, ENCIPHERS, OCSP_SIGNING, SERVER, SIGNS,
                 SIGNS_CERTIFICATES, SIGNS_LISTS)
from faults import (DAY, DOMAIN, KEY_EXCHANGE, Authority, Shown, finite_field, flipped,
                    hello_with, later_flight, shows, with_message)

PASSED = "passed"
BOTH, TLS12, TLS13 = ("1.2", "1.3"), ("1.2",), ("1.3",)
# What the client hears when the certificate is bad, and when the handshake is.
CERTIFICATE_ALERT, OTHER_ALERT = "alert 42 (bad_certificate)", "alert 80 (internal_error)"
RSA12 = {"suites12": ["ECDHE-RSA-AES128-GCM-SHA256"]}


class Row:
    """`verdict`: the log's `verify`, "tls" for a handshake that is at fault, None where it must pass.
    `stip`: the evaluator tests that this row is."""

    def __init__(self, key, fault, shown, verdict, stip=(), versions=BOTH, alert=None):
        self.key, self.fault, self.shown, self.verdict = key, fault, shown, verdict
        self.stip = (stip,) if isinstance(stip, str) else tuple(stip)
        self.versions = versions
        self.client = (PASSED if verdict is None else
                       alert or (OTHER_ALERT if verdict == "tls" else CERTIFICATE_ALERT))

    def host(self, version):
        return "%s-%s.%s" % (self.key.lower(), version.replace(".", ""), DOMAIN)


# --- those that take more than a line ---

def self_signed(world, host):
    key = world.key()
    own = Authority(der.name(host), key, b"")
    return world.leaf(host, own, sent=[])


def fake_issuer(world, host):
    """The trusted root's name and key identifier over another key, and the fake root sent along."""
    real, key = world.root, world.key("fake")
    claimed = der.extension("2.5.29.14", der.octets(real.key.identifier))
    certificate = der.certificate(
        real.name, key.public, real.name, key,
        [der.basic(), der.usage(SIGNS_CERTIFICATES, SIGNS_LISTS), claimed],
        world.now - DAY, world.now + DAY)
    fake = Authority(real.name, key, certificate)
    return world.leaf(host, fake, parts={"above": der.above_key(real.key)})


def non_ca(world, host, basic=None):
    """Signed by a certificate for servers."""
    above = world.authority("Faults Not A CA " + ("plain" if basic is None else "said"),
                            parts={"basic": basic})
    return world.leaf(host, above)


def signed_like_a_server(world, host):
    key = world.key("server that signs")
    certificate = world.certificate("other." + DOMAIN, key=key)
    return world.leaf(host, Authority(der.name("other." + DOMAIN), key, certificate,
                                      world.between.chain))


def path_length(world, host):
    first = world.authority("Faults Last CA", parts={"basic": der.basic(True, 0)})
    return world.leaf(host, world.authority("Faults CA Too Many", first))


def limited(world, host, label="", **trees):
    return world.leaf(host, world.authority("Faults Limited CA " + label,
                                            parts={"limits": der.constraints(**trees)}))


def revoked_by_list(world, host):
    shown = world.leaf(host)
    world.revoke_later(world.between, shown.chain[0])
    return shown


def revoked_authority(world, host):
    above = world.authority("Faults Revoked CA")
    world.revoke_later(world.root, above.certificate)
    return world.leaf(host, above)


def stapled(world, host, is_revoked, purposes=None, delegated=False, about=None):
    shown = world.leaf(host)
    signer, carried = (world.responder(world.between, *(purposes or (OCSP_SIGNING,)))
                       if delegated else (None, b""))
    shown.context["staple"] = world.answer(about or shown.chain[0], is_revoked, signer=signer,
                                           carried=carried)
    return shown


def under_root(world, host, common, **options):
    return world.leaf(host, world.new_root(common, **options), sent=[])


def own_ca(world, host):
    """By the very CA that the gateway makes its leaves with: it is never trusted for an origin."""
    return world.leaf(host, world.clinic, sent=[world.clinic.certificate])


def rsa_ca(world, digest="sha256", bits=2048):
    return world.authority("Faults RSA CA %d" % bits, kind=bits)


def weak_ca_signature(world, host, digest):
    """The CA between is signed so; the leaf below it is well."""
    root = world.new_root("Faults RSA Root", kind=2048) if "rsa root" not in world.made else \
        world.made["rsa root"]
    world.made["rsa root"] = root
    above = world.authority("Faults CA by " + digest, root, with_digest=digest)
    return world.leaf(host, above)


def raw(world, host, function):
    """The leaf's bytes changed after it was signed; sent as they are."""
    shown = world.good(host)
    certificates = [function(bytearray(shown.chain[0])), *shown.chain[1:]]
    return Shown(shown.chain, shown.key, shows(map(bytes, certificates)))


def in_key(data):
    """One bit within the public key: the last byte of a P-256 point."""
    at = data.index(bytes.fromhex("2a8648ce3d030107034200")) + 11 + 64
    data[at] ^= 1
    return data


def flip(position):
    def function(data):
        data[position] ^= 1
        return data
    return function


END_OF_TIME = 253402300799  # 31 December 9999, one second before midnight


def out_of_order(world):
    stranger = world.new_root("Faults Stranger", trusted=False)
    second = world.authority("Faults CA Second")
    third = world.authority("Faults CA Third", second)
    return [stranger.certificate, second.certificate, world.between.certificate,
            third.certificate, world.root.certificate]


def long_chain(world, host, count):
    above = world.root
    for number in range(count):
        above = world.authority("Faults CA number %d" % number, above)
    return world.leaf(host, above)


def exchange_on_curve(curve):
    """The server's key exchange says a curve that was never offered."""
    return with_message(KEY_EXCHANGE, lambda body: body[:1] + struct.pack("!H", curve) + body[3:])


def signature_of_exchange(body):
    return flipped(-1)(body)


def odd_time(text):
    """A notAfter written so."""
    def make(world, host):
        real = der.moment
        end = world.now + 90 * DAY
        der.moment = lambda seconds: der.tlv(0x18 if len(text) == 15 else 0x17, text) \
            if seconds == end else real(seconds)
        try:
            return world.leaf(host)
        finally:
            der.moment = real
    return make


def as_it_is(build):
    """In TLS 1.2 OpenSSL's own server looks into its certificate first, and would not show it."""
    def make(world, host):
        shown, plain = build(world, host), world.good(host)
        return shown if "-13." in host else Shown(plain.chain, plain.key, shows(shown.chain))
    return make


def extension_of(kind, value, critical=False):
    return lambda world, host: world.leaf(host, parts={
        {"2.5.29.15": "usage", "2.5.29.17": "names", "2.5.29.19": "basic"}.get(kind, "more"):
        der.extension(kind, value, critical)})


def names(*written, critical=False):
    return lambda world, host: world.leaf(host, parts={
        "names": der.alternatives(*(w.replace("HOST", host) for w in written), critical=critical)})


NO_NAMES = {"names": None}
EXTRA = "1.3.6.1.4.1.32473.1"  # of the arc for documentation (RFC 5612)

ROWS = [
    # --- Waked, Mannan and Youssef ---
    Row("W1", "self-signed certificate", self_signed, "self-signed"),
    Row("W2", "signature that does not verify", lambda w, h: raw(w, h, flip(-1)), "signature",
        "FIA_X509_EXT.1/STIP:7", TLS12),
    Row("W3", "fake issuer: a trusted root's name and key identifier over another key", fake_issuer,
        "signature"),
    Row("W4", "certificate for another host",
        lambda w, h: w.leaf(h, parts={"names": der.alternatives("elsewhere." + DOMAIN)}), "name",
        "FCS_TTTC_EXT.1.2:1"),
    Row("W5", "unknown issuer", lambda w, h: w.leaf(h, w.new_root("Faults Stranger", trusted=False)),
        "untrusted", "FCS_TTTC_EXT.1.3:1"),
    Row("W6", "signed by a certificate that is not a CA's", signed_like_a_server, "not-ca",
        "FIA_X509_EXT.1/STIP:10"),
    Row("W7", "X.509 version 1 CA between",
        lambda w, h: w.leaf(h, w.authority("Faults V1 CA", version=1)), "not-ca"),
    Row("W8", "more CAs than the path length allows", path_length, "path-length"),
    Row("W9", "outside the CA's name constraints",
        lambda w, h: limited(w, h, "elsewhere", permitted=["elsewhere.example"]),
        "name-constraints"),
    Row("W10", "unknown critical extension", extension_of(EXTRA, der.octets(b"?"), True),
        "critical"),
    Row("W11", "malformed extension: a key usage that is no bit string",
        as_it_is(extension_of("2.5.29.15", b"\x03\x05\x07\x80", True)), "extension"),
    Row("W12", "revoked, by its CA's list", revoked_by_list, "revoked",
        ("FCS_TTTC_EXT.1.3:3", "FIA_X509_EXT.1/STIP:4")),
    Row("W13", "revoked, by a stapled OCSP answer", lambda w, h: stapled(w, h, True), "revoked",
        "FIA_X509_EXT.1/STIP:4"),
    Row("W14", "expired leaf", lambda w, h: w.leaf(h, begin=-9 * DAY, end=-60), "expired",
        ("FCS_TTTC_EXT.1.3:7", "FIA_X509_EXT.1/STIP:3")),
    Row("W15", "expired CA between",
        lambda w, h: w.leaf(h, w.authority("Faults Expired CA", end=-60)), "expired",
        "FCS_TTTC_EXT.1.3:8"),
    Row("W16", "expired root", lambda w, h: under_root(w, h, "Faults Expired Root", end=-60),
        "expired"),
    Row("W17", "leaf not yet valid", lambda w, h: w.leaf(h, begin=3600), "not-yet-valid"),
    Row("W18", "CA between not yet valid",
        lambda w, h: w.leaf(h, w.authority("Faults Future CA", begin=3600)), "not-yet-valid"),
    Row("W19", "root not yet valid",
        lambda w, h: under_root(w, h, "Faults Future Root", begin=3600), "not-yet-valid"),
    Row("W20", "leaf's key usage is not for this key exchange",
        as_it_is(lambda w, h: w.leaf(h, parts={"usage": der.usage(ENCIPHERS)})), "purpose"),
    Row("W21", "CA whose key usage is not for signing certificates",
        lambda w, h: w.leaf(h, w.authority("Faults CA For Lists",
                                           parts={"usage": der.usage(SIGNS_LISTS)})), "not-ca"),
    Row("W22", "leaf for signing code",
        lambda w, h: w.leaf(h, parts={"purposes": der.purposes(CODE_SIGNING)}), "purpose",
        "FCS_TTTC_EXT.1.1:3"),
    Row("W23", "CA for signing code",
        lambda w, h: w.leaf(h, w.authority("Faults Code CA",
                                           parts={"for": der.purposes(CODE_SIGNING)})), "purpose"),
    Row("W24", "RSA key of 512 bits", lambda w, h: w.leaf(h, kind=512, context=RSA12), "weak-key",
        versions=TLS12),
    Row("W25", "RSA key of 768 bits", lambda w, h: w.leaf(h, kind=768), "weak-key"),
    Row("W26", "RSA key of 1016 bits", lambda w, h: w.leaf(h, kind=1016), "weak-key"),
    Row("W27", "RSA key of 1024 bits", lambda w, h: w.leaf(h, kind=1024), "weak-key"),
    Row("W28", "signature with MD4",
        lambda w, h: w.leaf(h, rsa_ca(w), with_digest="md4"), "weak-signature"),
    Row("W29", "signature with MD5",
        lambda w, h: w.leaf(h, rsa_ca(w), with_digest="md5"), "weak-signature"),
    Row("W30", "signature with SHA-1",
        lambda w, h: w.leaf(h, rsa_ca(w), with_digest="sha1"), "weak-signature"),
    Row("W31", "Diffie-Hellman with 512 bits, whatever was offered",
        lambda w, h: w.good(h, finite_field(0x009e, 512), 2048), "tls", versions=TLS12),
    Row("W32", "Diffie-Hellman with 1024 bits, whatever was offered",
        lambda w, h: w.good(h, finite_field(0x009e, 1024), 2048), "tls", versions=TLS12),
    Row("W33", "certificate signed by the gateway's own CA", own_ca, "untrusted"),
    Row("W34", "root that was distrusted (DigiNotar's name)",
        lambda w, h: w.leaf(h, w.new_root("DigiNotar Root CA", trusted=False)), "untrusted"),
    Row("W38", "BEAST: TLS 1.0 with CBC, whatever was offered",
        lambda w, h: w.good(h, hello_with(version=0x0301, suite=0xc009)), "tls", versions=TLS12),
    Row("W39", "CRIME: compression, whatever was offered",
        lambda w, h: w.good(h, hello_with(compression=1)), "tls", versions=TLS12),
    Row("W40", "FREAK: RSA export suite, whatever was offered",
        lambda w, h: w.good(h, hello_with(suite=0x0003), 2048), "tls", versions=TLS12),
    Row("W41", "Logjam: DHE export suite with 512 bits, whatever was offered",
        lambda w, h: w.good(h, finite_field(0x0014, 512), 2048), "tls", versions=TLS12),
    Row("W42", "insecure renegotiation: no renegotiation_info (RFC 5746)",
        lambda w, h: w.good(h, hello_with(without=0xff01)), "tls", versions=TLS12),

    # --- the PP-Module's tests that are none of those ---
    Row("S1", "nothing: a good chain", lambda w, h: w.good(h), None,
        ("FIA_X509_EXT.1/STIP:1", "FDP_TEP_EXT.1:1")),
    Row("S2", "nothing: RSA of 2048 bits, serverAuth and clientAuth",
        lambda w, h: w.leaf(h, kind=2048, parts={
            "purposes": der.purposes(SERVER, "1.3.6.1.5.5.7.3.2")}), None, "FCS_TTTC_EXT.1.1:2"),
    Row("S3", "no extended key usage", lambda w, h: w.leaf(h, parts={"purposes": None}), "purpose",
        "FCS_TTTC_EXT.1.1:2"),
    Row("S4", "ECDSA certificate under a suite for RSA",
        lambda w, h: w.good(h, hello_with(suite=0xc02f)), "tls", "FCS_TTTC_EXT.1.1:4a", TLS12),
    Row("S5", "RSA certificate under a suite for ECDSA",
        lambda w, h: w.good(h, hello_with(suite=0xc02b), 2048), "tls", "FCS_TTTC_EXT.1.1:4b",
        TLS12),
    Row("S6", "TLS_NULL_WITH_NULL_NULL", lambda w, h: w.good(h, hello_with(suite=0)), "tls",
        "FCS_TTTC_EXT.1.1:5", TLS12),
    Row("S7", "undefined version 03 06", lambda w, h: w.good(h, hello_with(version=0x0306)), "tls",
        "FCS_TTTC_EXT.1.1:6.1", TLS12),
    Row("S8", "version SSL 3.0", lambda w, h: w.good(h, hello_with(version=0x0300)), "tls",
        "FCS_TTTC_EXT.1.1:6.2", TLS12),
    Row("S9", "one bit of the server's nonce changed",
        lambda w, h: w.good(h, hello_with(flip_random=True)), "tls", "FCS_TTTC_EXT.1.1:6.3", TLS12),
    Row("S10", "suite that was not offered (ECDHE with CBC)",
        lambda w, h: w.good(h, hello_with(suite=0xc009)), "tls", "FCS_TTTC_EXT.1.1:6.4", TLS12),
    Row("S11", "key exchange with a wrong signature",
        lambda w, h: w.good(h, with_message(KEY_EXCHANGE, signature_of_exchange)), "tls",
        "FCS_TTTC_EXT.1.1:6.5", TLS12),
    Row("S12", "Finished with one bit changed",
        lambda w, h: w.good(h, later_flight(2)), "tls", "FCS_TTTC_EXT.1.1:6.6", TLS12),
    Row("S13", "Finished with one bit changed (TLS 1.3)",
        lambda w, h: w.good(h, later_flight(1)), "tls", "FCS_TTTC_EXT.1.1:6.6", TLS13),
    Row("S14", "wildcard that is not the left-most label",
        names("s14-12.*.example-clinic.jp", "s14-13.*.example-clinic.jp"), "name",
        "FCS_TTTC_EXT.1.2:4.1"),
    Row("S15", "nothing: a wildcard for one label", names("*." + DOMAIN), None,
        "FCS_TTTC_EXT.1.2:4.2"),
    Row("S16", "wildcard over two labels", names("*.example-clinic.jp"), "name",
        "FCS_TTTC_EXT.1.2:4.2"),
    Row("S17", "wildcard without a label left", names("*.HOST"), "name", "FCS_TTTC_EXT.1.2:4.2"),
    Row("S18", "wildcard on a public suffix", names("*.jp", "*.co.jp"), "name",
        "FCS_TTTC_EXT.1.2:4.3"),
    Row("S19", "CA between not sent", lambda w, h: w.leaf(h, sent=[]), "untrusted",
        ("FCS_TTTC_EXT.1.3:2", "FIA_X509_EXT.1/STIP:2")),
    Row("S20", "CA between revoked by the root's list", revoked_authority, "revoked",
        ("FCS_TTTC_EXT.1.3:5", "FIA_X509_EXT.1/STIP:4")),
    Row("S21", "OCSP answer by who may not answer (no OCSPSigning)",
        lambda w, h: stapled(w, h, False, (SERVER,), True), "staple", "FIA_X509_EXT.1/STIP:5"),
    Row("S22", "nothing: OCSP answer by who may",
        lambda w, h: stapled(w, h, False, None, True), None, "FIA_X509_EXT.1/STIP:5"),
    Row("S23", "a bit within the first eight bytes changed", lambda w, h: raw(w, h, flip(5)), "tls",
        "FIA_X509_EXT.1/STIP:6", TLS12),
    Row("S24", "a bit of the public key changed", lambda w, h: raw(w, h, in_key), "weak-key",
        "FIA_X509_EXT.1/STIP:8", TLS12),
    Row("S25", "CA without basicConstraints", lambda w, h: non_ca(w, h), "not-ca",
        "FIA_X509_EXT.1/STIP:9"),
    Row("S26", "CA with cA FALSE", lambda w, h: non_ca(w, h, der.basic(False)), "not-ca",
        "FIA_X509_EXT.1/STIP:10"),
    Row("S27", "key exchange on a curve that was not offered (brainpoolP256r1)",
        lambda w, h: w.good(h, exchange_on_curve(26)), "tls", "FCS_TTTC_EXT.5:1", TLS12),

    # --- beyond ---
    Row("X1", "no alternative name, the host as CN only", lambda w, h: w.leaf(h, parts=NO_NAMES),
        "no-san"),
    Row("X2", "leaf that is a CA's",
        lambda w, h: w.leaf(h, parts={"basic": der.basic(),
                                      "usage": der.usage(SIGNS, SIGNS_CERTIFICATES)}), "ca-leaf"),
    Row("X3", "version 1 leaf", lambda w, h: w.leaf(h, version=1), "no-san"),
    Row("X4", "anyExtendedKeyUsage",
        lambda w, h: w.leaf(h, parts={"purposes": der.purposes(ANY_PURPOSE)}), "purpose"),
    Row("X5", "for servers and for signing code",
        lambda w, h: w.leaf(h, parts={"purposes": der.purposes(SERVER, CODE_SIGNING)}), "purpose"),
    Row("X6", "CA of RSA with 1024 bits", lambda w, h: w.leaf(h, rsa_ca(w, bits=1024)), "weak-key"),
    Row("X7", "CA signed with MD5", lambda w, h: weak_ca_signature(w, h, "md5"), "weak-signature"),
    Row("X8", "CA signed with SHA-1", lambda w, h: weak_ca_signature(w, h, "sha1"),
        "weak-signature"),
    Row("X9", "ECDSA with SHA-1", lambda w, h: w.leaf(h, with_digest="sha1"), "weak-signature"),
    Row("X10", "key on brainpoolP256r1",
        lambda w, h: raw_kind(w, h, "brainpool"), "weak-key", versions=TLS12),
    Row("X11", "serial number zero", lambda w, h: w.leaf(h, serial=0), "serial"),
    Row("X12", "negative serial number", lambda w, h: w.leaf(h, serial=-5), "serial"),
    Row("X13", "serial number of 21 bytes", lambda w, h: w.leaf(h, serial=1 << 160), "serial"),
    Row("X14", "the same extension twice",
        as_it_is(lambda w, h: w.leaf(h, parts={"again": der.alternatives(h)})), "extension"),
    Row("X15", "malformed alternative names", as_it_is(extension_of("2.5.29.17",
                                                                    b"\x30\x05\x82\x09abc")),
        "extension"),
    Row("X16", "bytes behind an extension's value",
        lambda w, h: w.leaf(h, parts={"purposes": der.extension(
            "2.5.29.37", der.sequence(der.oid(SERVER)) + b"\5\0")}), "extension"),
    Row("X17", "excluded by the CA's name constraints",
        lambda w, h: limited(w, h, "excluded", excluded=[DOMAIN]), "name-constraints"),
    Row("X18", "wildcard that reaches into an excluded name",
        lambda w, h: w.leaf(h, w.authority("Faults Limited CA reach", parts={
            "limits": der.constraints(excluded=["mail." + DOMAIN])}),
            parts={"names": der.alternatives("*." + DOMAIN)}), "name-constraints"),
    Row("X19", "NUL in an alternative name", names("HOST", "HOST\0.evil.example"), "san"),
    Row("X20", "wildcard within a label", names("HOST", "x*." + DOMAIN), "san"),
    Row("X21", "the bare wildcard", names("HOST", "*"), "san"),
    Row("X22", "underscore in an alternative name", names("HOST", "a_b." + DOMAIN), "san"),
    Row("X23", "address as a DNS name", names("HOST", "203.0.113.87"), "san"),
    Row("X24", "final dot in a name", names("HOST", "HOST."), "san"),
    Row("X25", "critical alternative names beside a subject",
        names("HOST", critical=True), "extension"),
    Row("X26", "chain of nine CAs", lambda w, h: long_chain(w, h, 9), "path-length"),
    Row("X27", "must-staple without an answer",
        lambda w, h: w.leaf(h, parts={"feature": der.extension(
            "1.3.6.1.5.5.7.1.24", der.sequence(der.integer(5)))}), "must-staple"),
    Row("X28", "OCSP answer about another certificate",
        lambda w, h: stapled(w, h, False, about=w.certificate("other." + DOMAIN)), "staple"),
    Row("X29", "OCSP answer that is no DER",
        lambda w, h: w.leaf(h, context={"staple": b"\x30\x03\x0a\x01\x00garbage"}), "staple"),
    Row("X30", "GeneralizedTime before 2050", odd_time(b"20300101000000Z"), "validity"),
    Row("X31", "UTCTime without Z", odd_time(b"300101000000+"), "validity"),
    Row("X32", "ends before it begins", lambda w, h: w.leaf(h, begin=-DAY, end=-2 * DAY),
        "expired"),
    Row("X33", "no authority key identifier", lambda w, h: w.leaf(h, parts={"above": None}),
        "key-identifier"),
    Row("X34", "a precertificate (poison)",
        extension_of("1.3.6.1.4.1.11129.2.4.3", b"\5\0", True), "critical"),
    Row("X35", "empty extended key usage",
        lambda w, h: w.leaf(h, parts={"purposes": der.purposes()}), "purpose"),
    Row("X36", "RC4, whatever was offered", lambda w, h: w.good(h, hello_with(suite=0xc007)), "tls",
        versions=TLS12),
    Row("X37", "3DES, whatever was offered", lambda w, h: w.good(h, hello_with(suite=0xc008)),
        "tls", versions=TLS12),
    Row("X38", "a suite of TLS 1.3 under TLS 1.2", lambda w, h: w.good(h, hello_with(suite=0x1301)),
        "tls", versions=TLS12),
    Row("X39", "CCM-8, whatever was offered", lambda w, h: w.good(h, hello_with(suite=0xc0ae)),
        "tls", versions=TLS12),
    Row("X40", "no certificate at all", lambda w, h: with_chain(w, h, []), "tls", versions=TLS12),
    Row("X41", "bytes behind the leaf's DER", lambda w, h: raw(w, h, lambda d: d + b"\0"), "tls",
        versions=TLS12),
    Row("X42", "Diffie-Hellman offered alone, honestly",
        lambda w, h: w.good(h, None, 2048, suites12=["DHE-RSA-AES128-GCM-SHA256"]), "tls",
        versions=TLS12, alert="alert 40 (handshake_failure)"),
    Row("X43", "RSA key exchange alone",
        lambda w, h: w.good(h, None, 2048, suites12=["AES128-GCM-SHA256"]), "tls", versions=TLS12,
        alert="alert 40 (handshake_failure)"),
    Row("X44", "CBC alone",
        lambda w, h: w.good(h, suites12=["ECDHE-ECDSA-AES128-SHA256"]), "tls", versions=TLS12,
        alert="alert 40 (handshake_failure)"),
    Row("X45", "CA without a key usage",
        lambda w, h: w.leaf(h, w.authority("Faults CA Of No Use", parts={"usage": None})),
        "not-ca"),
    Row("X46", "root that may not sign certificates",
        lambda w, h: under_root(w, h, "Faults Root For Lists",
                                parts={"usage": der.usage(SIGNS_LISTS)}), "not-ca"),
    Row("X47", "root for signing code",
        lambda w, h: under_root(w, h, "Faults Root For Code",
                                parts={"for": der.purposes(CODE_SIGNING)}), "purpose"),
    Row("X48", "nothing: a root whose own signature is of SHA-1",
        lambda w, h: under_root(w, h, "Faults SHA-1 Root", kind=2048, with_digest="sha1"), None),
    Row("X49", "root of RSA with 1024 bits",
        lambda w, h: under_root(w, h, "Faults Short Root", kind=1024), "weak-key"),
    Row("X50", "CA for clients alone",
        lambda w, h: w.leaf(h, w.authority("Faults Client CA", parts={
            "for": der.purposes("1.3.6.1.5.5.7.3.2")})), "purpose"),
    Row("X51", "root with path length 0, and a CA below it",
        lambda w, h: w.leaf(h, w.authority("Faults CA Below", w.new_root(
            "Faults Last Root", parts={"basic": der.basic(True, 0)}))), "path-length"),
    Row("X52", "two signature algorithms that differ", lambda w, h: raw(w, h, other_algorithm),
        "algorithm", versions=TLS12),
    Row("X53", "signature with SHA-224", lambda w, h: w.leaf(h, with_digest="sha224"),
        "weak-signature"),
    Row("X54", "nothing: Ed25519", lambda w, h: w.good(h, kind="ed25519"), None),
    Row("X55", "nothing: P-384", lambda w, h: w.good(h, kind="p384"), None),
    Row("X56", "nothing: no subject, and critical alternative names",
        lambda w, h: w.leaf(h, subject=der.sequence(), parts={
            "names": der.alternatives(h, critical=True)}), None),
    Row("X57", "nothing: an unknown extension that is not critical",
        extension_of(EXTRA, der.octets(b"?")), None),
    Row("X58", "nothing: the name in capitals",
        lambda w, h: w.leaf(h, parts={"names": der.alternatives(h.upper())}), None),
    Row("X59", "alternative names that are no hosts",
        extension_of("2.5.29.17", der.sequence(der.tlv(0x81, b"a@faults.example-clinic.jp"))),
        "name"),
    Row("X60", "nothing: valid until 9999", lambda w, h: w.leaf(h, end=END_OF_TIME - w.now), None),
    Row("X61", "nothing: the chain out of order, with strangers in it",
        lambda w, h: w.leaf(h, w.authority("Faults CA Third", w.authority("Faults CA Second")),
                            sent=out_of_order(w)), None),
    Row("X62", "nothing: a hundred CAs sent along",
        lambda w, h: w.leaf(h, sent=[w.between.certificate] * 100), None),
    Row("X63", "path length in a leaf",
        as_it_is(extension_of("2.5.29.19", der.sequence(der.integer(0)))), "extension"),
    Row("X64", "identifier of another CA's key",
        lambda w, h: w.leaf(h, parts={"above": der.above_key(w.key("fake"))}), "untrusted"),
    Row("X65", "empty alternative names", as_it_is(extension_of("2.5.29.17", der.sequence())),
        "extension"),
    Row("X66", "empty key usage", as_it_is(extension_of("2.5.29.15", der.bits(b""), True)),
        "extension"),
    Row("X67", "version 2", lambda w, h: w.leaf(h, version=2), "no-san"),
    Row("X68", "key on secp256k1", lambda w, h: raw_kind(w, h, "secp256k1"), "weak-key",
        versions=TLS12),
    Row("X69", "key on a curve that is spelled out", lambda w, h: raw_kind(w, h, "explicit"),
        "weak-key", versions=TLS12),
    Row("X70", "DSA key", lambda w, h: raw_kind(w, h, "dsa"), "weak-key", versions=TLS12),
    Row("X71", "nothing: within the CA's name constraints",
        lambda w, h: limited(w, h, "own", permitted=["example-clinic.jp"]), None),
    Row("X72", "constraint that begins with a dot",
        lambda w, h: limited(w, h, "dot", permitted=[".example-clinic.jp"]), "name-constraints"),
    Row("X73", "name that goes on where the constraint ends",
        lambda w, h: limited(w, h, "near", permitted=["clinic.jp"]), "name-constraints"),
    Row("X74", "unknown critical extension in the CA",
        lambda w, h: w.leaf(h, w.authority("Faults Critical CA", parts={
            "more": der.extension(EXTRA, der.octets(b"?"), True)})), "critical"),
    Row("X75", "CA whose basicConstraints are not critical",
        lambda w, h: w.leaf(h, w.authority("Faults Lax CA", parts={
            "basic": der.extension("2.5.29.19", der.sequence(der.boolean(True)))})), "extension"),
    Row("X76", "CA that a server's certificate of the same name hides",
        lambda w, h: w.leaf(h, w.authority("Faults Hidden CA"), sent=[
            w.certificate("x." + DOMAIN, subject=der.name("Faults Hidden CA")),
            w.authority("Faults Hidden CA").certificate]), None),
    Row("X77", "expired an instant ago", lambda w, h: w.leaf(h, end=-1), "expired"),
    Row("X78", "extended key usage that is critical",
        lambda w, h: w.leaf(h, parts={"purposes": der.extension(
            "2.5.29.37", der.sequence(der.oid(SERVER)), True)}), "extension"),
]


def with_chain(world, host, certificates):
    shown = world.good(host)
    return Shown(shown.chain, shown.key, shows(certificates))


def other_algorithm(data):
    """ECDSA with SHA-384 outside, where SHA-256 was signed."""
    tbs, _, signature = der.children(der.content(bytes(data)))
    return der.sequence(tbs, der.sequence(der.oid(der.EC_SIGNATURES["sha384"])), signature)


def raw_kind(world, host, kind):
    """A key that no suite on offer could use: only the certificate is shown."""
    shown = world.good(host)
    odd = world.leaf(host, kind=kind)
    return Shown(shown.chain, shown.key, shows([odd.chain[0], *shown.chain[1:]]))


def key_of_clinic(lab):
    """The gateway's own CA, with its key: this test may read it, being root in the lab."""
    path = lab.gateway.ca
    with open(path, encoding="ascii") as file:
        text = file.read()
    first = text.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    certificate = base64.b64decode("".join(first.split()))
    key = der.Key.read(os.path.join(os.path.dirname(path), "ca-key.pem"))
    parts = der.children(der.content(der.children(der.content(certificate))[0]))
    return Authority(parts[5], key, certificate)
