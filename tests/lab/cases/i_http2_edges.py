# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 where it is pressed: readers that stop, uploads that are answered early, origins that leave or
# fall silent.

import os
import re
import signal
import subprocess
import time

from case import NAVIGATE, call, case, check, equal, reached
from learned import resident
from processes import wait_for

EHR = "ehr.example-clinic.jp"
ON = {"tls": {"http2": True}}

READERS, STREAMS = 8, 16
# limits.buffer is 64 kB: sixteen of them for the streams of a connection, one for its output, and the rest
# for two ends of TLS and HTTP/2, the streams themselves and what the allocator adds.
BOUND = 2304 * 1024


def _grown(workers, before):
    return sum(resident(pid)[0] for pid in workers) - before


@case(ON, seconds=120)
def slow_readers_cost_little(lab):
    """128 downloads on 8 connections whose readers stop: what waits is bounded, and then it all comes."""
    size = 4 << 20  # 16 of them are more than all sockets on the way hold
    with open(os.path.join(lab.origins.sites, "ehr", "slow.bin"), "wb") as file:
        file.truncate(size)
    with lab.origins.speaking_http2():
        url = "https://%s/slow.bin" % EHR
        workers = lab.gateway.pids("worker")
        load = ["h2load", "-c", str(READERS), "-m", str(STREAMS), "-n", str(READERS * STREAMS)]
        lab.network.run("clinician", *load, "https://%s/logo.png" % EHR)  # all code and tables are there
        before = sum(resident(pid)[0] for pid in workers)
        process = subprocess.Popen([*lab.network.prefix("clinician"), *load, url], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: [f.get("state") for f in lab.gateway.ask("flows")["flows"]].count("http2")
                     == READERS, 10, lambda: "the connections: %r" % lab.gateway.ask("flows"))
            process.send_signal(signal.SIGSTOP)
            seen = [0, 1, 2]
            while len(set(seen[-4:])) > 1:  # until nothing moves any more
                time.sleep(0.25)
                seen.append(_grown(workers, before))
            if "ASAN_OPTIONS" not in os.environ:
                check(seen[-1] < READERS * BOUND, "grown by", seen[-1], "of", READERS * BOUND)
            print("# grown by %.1f MB" % (seen[-1] / 1e6))
        finally:
            process.send_signal(signal.SIGCONT)
        text = process.communicate(timeout=90)[0].decode(errors="replace")
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
        equal(found and tuple(map(int, found.groups())), (READERS * STREAMS, 0, 0), text)


# --- uploads ---

@case(ON, seconds=60)
def early_answers_to_uploads(lab):
    """The origin answers before it has read what is sent: the answer arrives, whatever the size."""
    path = os.path.join(lab.folder, "upload.bin")
    with lab.origins.speaking_http2():
        for size in (1000, 100000, 1 << 20, 100 << 20):
            with open(path, "wb") as file:
                file.truncate(size)
            wanted = 413 if size > 20 << 20 else 404
            for words in (["--data-binary", "@" + path], ["--upload-file", path, "--request", "POST"]):
                answer = lab.curl("clinician", *words, "-H", "Expect:", "https://%s/nowhere" % EHR)
                equal((answer.exit, answer.status, answer.facts["http_version"]), (0, wanted, "2"),
                      size, words)
        reached(lab, lab.curl("clinician", "https://%s/logo.png" % EHR))


@case(ON, seconds=60)
def uploads_to_what_is_blocked(lab):
    """The page is seen though the upload was not over; the origin got nothing of it."""
    path = os.path.join(lab.folder, "upload.bin")
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    with lab.origins.speaking_http2():
        host = "www.patient-link.example"
        reached(lab, lab.curl("clinician", "https://%s/present" % host))
        lab.fresh()
        process = subprocess.Popen(
            [*lab.network.prefix("clinician"), "curl", "--silent", "--show-error", "--cacert",
             lab.trust("both"), "--noproxy", "", "--rate", "30/m", "https://%s/present" % host,
             "--output", os.devnull, "--next", "--silent", "--cacert", lab.trust("both"), *NAVIGATE,
             "-H", "Expect:", "--data-binary", "@" + path, "https://%s/present" % host,
             "--write-out", "%{http_code} %{http_version}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lab.origins.requests(host, least=1)
        call(lab)
        text = process.communicate(timeout=30)[0].decode(errors="replace")
        equal((process.returncode, text[-5:]), (0, "403 2"), text[-300:])
        check("<html" in text, text[:300])
        equal(len(lab.origins.requests(host)), 1)
