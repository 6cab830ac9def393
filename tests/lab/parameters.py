# SPDX-License-Identifier: BSD-2-Clause
#
# The table of parameters: what a client offers, what an origin would choose, what they would have
# agreed on without the gateway, and what each saw with it. Every pair of choices in each dimension
# under each version, and draws from the product of all dimensions.

import itertools
import random

import der
from endpoint import (VERSIONS, VERSION_NAMES, Connection, Context, Endpoint, Hello, Refused,
                      messages, shake)
from faults import DOMAIN, FaultOrigin, Shown
from origins import address4
from processes import wait_for

CIPHERS = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
SUITES13 = {"AES128": "TLS_AES_128_GCM_SHA256", "AES256": "TLS_AES_256_GCM_SHA384",
            "CHACHA": "TLS_CHACHA20_POLY1305_SHA256"}
SUITES12 = {name: ["ECDHE-ECDSA-" + cipher, "ECDHE-RSA-" + cipher]
            for name, cipher in zip(SUITES13, CIPHERS)}
GROUPS = ("X25519", "P-256", "P-384", "P-521")
# What is spoken at all, as code points: the whole of what an origin may ever be offered.
SPOKEN = {"versions": {0x0303, 0x0304},
          "suites": {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8},
          "groups": {0x001d, 0x0017, 0x0018, 0x0019},
          "signatures": {0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501,
                         0x0601}}
SIGNALS = {0x00ff, 0x5600}  # of renegotiation and of fallback: no suites

# Each dimension: {name: parameters of a Context}. "weak" is what neither side may ever be given.
VERSION = {"1.0": ("1.0", "1.0"), "1.1": ("1.1", "1.1"), "1.2": ("1.2", "1.2"),
           "1.3": ("1.3", "1.3"), "1.2+1.3": ("1.2", "1.3"), "all": ("1.0", "1.3")}
SUITE = {**{name: {"suites13": [SUITES13[name]], "suites12": SUITES12[name]} for name in SUITES13},
         "all": {"suites13": list(SUITES13.values()),
                 "suites12": [suite for both in SUITES12.values() for suite in both]},
         "weak first": {"suites13": ["TLS_AES_128_CCM_8_SHA256", *SUITES13.values()],
                        "suites12": ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
                                     *SUITES12["AES128"], *SUITES12["AES256"]]}}
GROUP = {**{name: {"groups": [name]} for name in GROUPS}, "all": {"groups": list(GROUPS)},
         "strong first": {"groups": ["P-521", "P-384", "P-256"]}}
SIGNATURE = {"all": {"signatures": None},
             "P-256": {"signatures": ["ecdsa_secp256r1_sha256"]},
             "P-256, PSS": {"signatures": ["ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256"]},
             "P-256, PKCS1": {"signatures": ["ecdsa_secp256r1_sha256", "rsa_pkcs1_sha256"]},
             "P-384, P-256": {"signatures": ["ecdsa_secp384r1_sha384", "ecdsa_secp256r1_sha256"]},
             "RSA alone": {"signatures": ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"]}}
ALPN = {"none": {"alpn": None}, "http/1.1": {"alpn": ["http/1.1"]}, "h2": {"alpn": ["h2"]},
        "both": {"alpn": ["h2", "http/1.1"]}}
KEYS = {"P-256": "ec", "P-384": "p384", "RSA": 2048}
DIMENSIONS = {"version": VERSION, "suites": SUITE, "groups": GROUP, "signatures": SIGNATURE,
              "alpn": ALPN}
USUAL = {"version": "1.2+1.3", "suites": "all", "groups": "all", "signatures": "all",
         "alpn": "both", "key": "P-256"}
DRAWS = 100


class Side(dict):
    """One choice in each dimension."""

    def context(self, server, **options):
        parameters = {"versions": VERSION[self["version"]]}
        for dimension in ("suites", "groups", "signatures", "alpn"):
            parameters.update(DIMENSIONS[dimension][self[dimension]])
        if VERSIONS[parameters["versions"][0]] < 0x0303:
            parameters["suites12"] = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
                                      *parameters["suites12"]]
        return Context(server, **parameters, **options)


def sides(changes):
    client, origin = Side(USUAL), Side(USUAL)
    for (side, dimension), value in changes.items():
        (client if side == "client" else origin)[dimension] = value
    return client, origin


def combinations():
    """[(client, origin)]: no pair twice."""
    seen, out = set(), []

    def add(changes):
        client, origin = sides(changes)
        key = (tuple(client.items()), tuple(origin.items()))
        if key not in seen:
            seen.add(key)
            out.append((client, origin))
    for one, other, key in itertools.product(VERSION, VERSION, ("P-256", "RSA")):
        add({("client", "version"): one, ("origin", "version"): other, ("origin", "key"): key})
    for dimension, others, keys in (("suites", SUITE, ("P-256", "RSA")),
                                    ("groups", GROUP, ("P-256",)),
                                    ("signatures", ("all", "P-384, P-256"), KEYS),
                                    ("alpn", ALPN, ("P-256",))):
        for version, one, other, key in itertools.product(("1.2", "1.3"), DIMENSIONS[dimension],
                                                          others, keys):
            add({("client", "version"): version, ("client", dimension): one,
                 ("origin", dimension): other, ("origin", "key"): key})
    draw = random.Random(2018)
    for _ in range(DRAWS):
        changes = {(side, dimension): draw.choice(list(table)) for side in ("client", "origin")
                   for dimension, table in DIMENSIONS.items()}
        changes["origin", "key"] = draw.choice(list(KEYS))
        add(changes)
    return out


# --- what each saw ---

class Agreed:
    """Version, suite, group and ALPN of one leg; or how it was refused."""

    def __init__(self, endpoint=None, refused=None):
        self.refused = refused
        if endpoint:
            self.version, self.suite = endpoint.version, endpoint.suite
            self.group, self.protocol = endpoint.group, endpoint.protocol

    @property
    def cipher(self):
        """Of the suite: what encrypts, without how the key came about."""
        return self.suite.replace("TLS_", "").replace("ECDHE-ECDSA-", "").replace(
            "ECDHE-RSA-", "").replace("_", "-").replace("AES-128", "AES128").replace(
            "AES-256", "AES256").removesuffix("-SHA256").removesuffix("-SHA384")

    @property
    def bits(self):
        """Strength: the cipher's key, where it is AEAD with forward secrecy."""
        if not any(word in self.suite for word in ("GCM", "CHACHA20")) or not self.group:
            return 0
        return 256 if "256-GCM" in self.suite.replace("_", "-") or "CHACHA20" in self.suite else 128

    @property
    def group_bits(self):
        return {"X25519": 128, "P-256": 128, "P-384": 192, "P-521": 256}.get(self.group, 0)

    def __str__(self):
        if self.refused:
            return self.refused
        return "TLS %s %s %s %s" % (self.version, self.cipher, self.group, self.protocol or "-")


class ParameterOrigin(FaultOrigin):
    def __init__(self, lab):
        super().__init__(lab)
        self.agreed = {}

    def serve(self, sock, hello, first):
        connection = Connection(sock, self.shown[hello.host].context["made"], first=first)
        try:
            connection.handshake()
        except Refused as refused:
            self.agreed[hello.host] = Agreed(refused=str(refused))
            return
        self.agreed[hello.host] = Agreed(connection)
        connection.read()


def direct(client, origin, host):
    """Without anybody between: what the two agree on, and the client's ClientHello."""
    near, far = Endpoint(client, host), Endpoint(origin)
    kept = []
    near._change = lambda flight: kept.append(flight) or flight
    troubles = shake(near, far)
    parts, _ = messages(kept[0])
    trouble = troubles[1] if troubles[1] and troubles[0] and troubles[0].alert is None else troubles[0]
    return (Agreed(refused=str(trouble or troubles[1])) if any(troubles) else Agreed(near)), \
        Hello(parts[0][1])


def through(lab, client, host):
    sock = lab.network.connect("clinician", address4(DOMAIN), 443)
    with sock:
        sock.settimeout(20)
        connection = Connection(sock, client, host)
        try:
            connection.handshake()
        except Refused as refused:
            return Agreed(refused=str(refused))
        return Agreed(connection)


# --- what must hold ---

def servable(hello):
    """What a client has to offer for the gateway's own leaf (P-256, SHA-256)."""
    return 0x0403 in hello.signatures


def violations(said, seen, alone, near, far):
    """`said`: the client's ClientHello, `seen`: the origin's (None when it was never asked);
    `alone`, `near`, `far`: what was agreed on directly, by the client, by the origin."""
    out = []
    if seen:
        for name in ("versions", "suites", "groups", "signatures"):
            offered = set(getattr(seen, name)) - SIGNALS
            if offered - set(getattr(said, name)):
                out.append("the origin was offered %s that the client did not offer" % name)
            if offered - SPOKEN[name]:
                out.append("the origin was offered weak %s" % name)
        if set(seen.protocols or []) - set(said.protocols or []) or \
                (seen.protocols is not None) > (said.protocols is not None):
            out.append("the origin was offered other protocols")
    if near.refused:
        alone_is_spoken = not alone.refused and alone.version in ("1.2", "1.3") and alone.bits > 0
        needs_p256 = not alone.refused and alone.version == "1.2" and 0x0017 not in said.groups
        # HTTP/2 alone, and an origin without ALPN: they would have nothing to say to each other.
        is_speechless = said.protocols == ["h2"] and not alone.refused and not alone.protocol
        if alone_is_spoken and servable(said) and not needs_p256 and not is_speechless:
            out.append("refused (%s) what both agree on" % near.refused)
        return out
    if alone.refused:
        out.append("passed what the two refuse between themselves: " + alone.refused)
        return out
    if far.refused:
        return out + ["passed what the origin refused: " + far.refused]
    for name in ("version", "cipher", "group", "protocol"):
        if getattr(near, name) != getattr(far, name):
            out.append("the two sides have another %s" % name)
    if near.version not in ("1.2", "1.3") or near.bits == 0:
        out.append("a weak connection")
    if alone.version in ("1.2", "1.3") and VERSIONS[near.version] != VERSIONS[alone.version]:
        out.append("another version than directly")
    if near.bits < alone.bits or near.group_bits < alone.group_bits:
        out.append("weaker than directly")
    return out


def run(lab, world, start):
    """[(client, origin, alone, near, far, seen, violations)]"""
    wildcard = {name: world.leaf(DOMAIN, kind=kind, parts={
        "names": der.alternatives("*." + DOMAIN)}) for name, kind in KEYS.items()}
    trust = world.write()[0]
    start()
    rows = []
    with ParameterOrigin(lab) as server:
        for number, (client, origin) in enumerate(combinations()):
            host = "p%d.%s" % (number, DOMAIN)
            shown = wildcard[origin["key"]]
            made = origin.context(True, chain=shown.chain, key=shown.key)
            server.shown[host] = Shown(shown.chain, shown.key, made=made)
            alone, said = direct(client.context(False, trust=trust), made, host)
            near = through(lab, client.context(False, trust=lab.trust("clinic")), host)
            if not near.refused:  # the origin may have the last word still to read
                wait_for(lambda: host in server.agreed, 10, "the origin's side of " + host, 0.002)
            seen = server.hellos.get(host)
            far = server.agreed.get(host) or Agreed(refused="not asked" if seen is None else "left")
            rows.append((client, origin, alone, near, far, seen,
                         violations(said, seen, alone, near, far)))
    return rows


def choice(side, server=False):
    words = ["%s" % side["version"]] + [
        "%s %s" % (dimension, side[dimension]) for dimension in DIMENSIONS
        if dimension != "version" and side[dimension] != USUAL[dimension]]
    if server and side["key"] != USUAL["key"]:
        words.append("key " + side["key"])
    return ", ".join(words)


def offered(seen):
    if seen is None:
        return "nothing"
    return "%s; %d suites; %d groups; %d signatures; %s" % (
        "+".join(VERSION_NAMES.get(v, hex(v)) for v in sorted(seen.versions)),
        len(set(seen.suites) - SIGNALS), len(seen.groups), len(seen.signatures),
        ",".join(seen.protocols) if seen.protocols else "no ALPN")


def table(rows):
    """The whole table as text, a line each."""
    yield "client | origin | directly | the client saw | the origin saw | the origin was offered | "
    for client, origin, alone, near, far, seen, wrong in rows:
        yield " | ".join((choice(client), choice(origin, True), str(alone), str(near), str(far),
                          offered(seen), "; ".join(wrong) or "ok"))


def summary(rows):
    """For the page: one line a dimension, how many combinations, how they ended."""
    def line(name, chosen):
        ended = [("passed", sum(not r[3].refused for r in chosen)),
                 ("refused, as without the gateway",
                  sum(bool(r[3].refused and r[2].refused) for r in chosen)),
                 ("refused by the gateway alone",
                  sum(bool(r[3].refused and not r[2].refused) for r in chosen)),
                 ("violations", sum(bool(r[-1]) for r in chosen))]
        return (name, len(chosen), *(count for _, count in ended))
    groups, drawn = {}, rows[-DRAWS:]
    for row in rows[:-DRAWS]:
        differing = [d for d in DIMENSIONS if d != "version" and
                     (row[0][d] != USUAL[d] or row[1][d] != USUAL[d])]
        groups.setdefault(differing[0] if differing else "version", []).append(row)
    return [line(name, chosen) for name, chosen in groups.items()] + \
        [line("drawn from all of them", drawn), line("together", rows)]
