# SPDX-License-Identifier: BSD-2-Clause
#
# What an origin shows of itself: certificates that change under a name, stapled answers about
# revocation, and demands for a certificate of the client's. The origin is openssl's s_server.

import ssl

from case import case, check, equal
from origins import address4
from processes import wait_for

HOST = "changing.example-clinic.jp"
URL = "https://%s/" % HOST


class Server:
    def __init__(self, lab, certificate, key, *words):
        self.lab = lab
        self.process = lab.processes.start("internet", "s_server", [
            "openssl", "s_server", "-accept", address4(HOST) + ":443", "-cert", certificate,
            "-key", key, "-www", "-quiet", *words])
        wait_for(self.listens, 10, lambda: "s_server: " + self.process.output())

    def listens(self):
        return self.lab.network.listens("internet", address4(HOST))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()


def passes(lab, *words):
    answer = lab.curl("clinician", "-4", *words, URL, trust="clinic")
    equal(answer.status, 200, answer)


def refused(lab, verify):
    lab.collector.clear()
    answer = lab.curl("clinician", "-4", URL)
    check(answer.exit in (35, 56) and answer.status == 0, answer)
    record = lab.collector.wait(event="tls-error", sni=HOST)
    equal((record["reason"], record["verify"]), ("origin-certificate", verify), record)


def leaf(lab):
    """The leaf that the client is shown."""
    sock = lab.network.connect("clinician", address4(HOST), 443)
    context = ssl.create_default_context(cafile=lab.trust("clinic"))
    with context.wrap_socket(sock, server_hostname=HOST) as tls:
        return tls.getpeercert(binary_form=True)


@case({"process": {"workers": 1}})  # each keeps leaves of its own
def certificates_that_change_under_a_name(lab):
    good = lab.certificates.good(HOST)
    with Server(lab, *good):
        first = leaf(lab)
        equal(leaf(lab), first, "kept for the same certificate")
        passes(lab)
    with Server(lab, *lab.certificates.wrong_host(HOST + ".wrong", "elsewhere.example-clinic.jp")):
        refused(lab, "name")
    with Server(lab, *lab.certificates.self_signed(HOST + ".self")):
        refused(lab, "self-signed")
    with Server(lab, *good):
        equal(leaf(lab), first, "the good one again")
    with Server(lab, *lab.certificates.good(HOST)):
        check(leaf(lab) != first, "another certificate has another leaf")
        passes(lab)


@case()
def stapled_answers(lab):
    plain = lab.certificates.good(HOST)
    for version in ("-tls1_2", "-tls1_3"):
        with Server(lab, *plain, version, "-status_file", lab.certificates.staple(HOST)):
            passes(lab)
        with Server(lab, *plain, version, "-status_file", lab.certificates.staple(HOST, revoked=True)):
            refused(lab, "revoked")
        with Server(lab, *plain, version):
            passes(lab)
    about_another = lab.certificates.staple(HOST)
    demanding = lab.certificates.demanding(HOST)
    with Server(lab, *demanding):
        refused(lab, "must-staple")
    with Server(lab, *demanding, "-status_file", about_another):
        refused(lab, "staple")
    with Server(lab, *demanding, "-status_file", lab.certificates.staple(HOST)):
        passes(lab)


@case()
def revoked_after_a_good_answer(lab):
    """Nothing that was cached for the same certificate speaks for it any more."""
    certificate = lab.certificates.good(HOST)
    with Server(lab, *certificate, "-status_file", lab.certificates.staple(HOST)):
        passes(lab)
    with Server(lab, *certificate, "-status_file", lab.certificates.staple(HOST, revoked=True)):
        refused(lab, "revoked")


@case()
def client_certificates(lab):
    certificate = lab.certificates.good(HOST)
    for version in ("-tls1_2", "-tls1_3"):
        with Server(lab, *certificate, version, "-verify", "1"):
            passes(lab)
        lab.collector.clear()
        with Server(lab, *certificate, version, "-Verify", "1", "-verify_return_error"):
            answer = lab.curl("clinician", "-4", URL)
            check(answer.status in (0, 502), answer)
            record = lab.collector.wait(event="tls-error", reason="client-certificate")
            check('clinic { splice = { "%s" } }' % HOST in record["detail"], record)


@case({"clinic": {"splice": [HOST]}})
def client_certificates_of_a_spliced_site(lab):
    """The hint of the log line holds: the client shows its own."""
    certificate, key = lab.certificates.good(HOST)
    with Server(lab, certificate, key, "-Verify", "1", "-verify_return_error", "-CAfile",
                lab.certificates.root, "-purpose", "sslserver"):
        passes_with = lab.curl("clinician", "-4", "--cert", certificate, "--key", key, URL)
        equal(passes_with.status, 200, passes_with)


def _lists(lab, mode, *revoked):
    lab.gateway.configure({"tls": {"revocation": mode, "revocation-lists":
                                   lab.certificates.revocation_list(*revoked)}})
    status, out, err = lab.gateway.reload()
    equal(status, 0, out, err)


@case()
def lists_of_revoked_certificates(lab):
    """Over a reload: what passed before is refused by the new list, and passes again without it."""
    certificate = lab.certificates.good(HOST)
    with Server(lab, *certificate):
        passes(lab)
        _lists(lab, "soft", "ehr.example-clinic.jp")
        passes(lab)
        _lists(lab, "soft", "ehr.example-clinic.jp", HOST)
        refused(lab, "revoked")
        _lists(lab, "hard")
        passes(lab)


@case({"tls": {"revocation": "hard"}})
def nothing_unknown_passes_where_that_is_asked_for(lab):
    certificate = lab.certificates.good(HOST)
    with Server(lab, *certificate):
        refused(lab, "revocation-unknown")
    with Server(lab, *certificate, "-status_file", lab.certificates.staple(HOST)):
        passes(lab)
