# SPDX-License-Identifier: BSD-2-Clause
#
# What the cases about the patient's links say. The link leads to a host of the clinic's own list, and
# no consultation is on: nothing but the chat can be the reason why it is stopped.

import hashlib
import re
import time

from case import NAVIGATE, check, equal, reached
from chat import HOST, message
from network import CLIENTS
from processes import wait_for

EHR = "ehr.example-clinic.jp"
LINK = "https://%s/index.html?karte=20261101&b=2" % EHR
OTHER = "https://%s/alt" % EHR      # another path of the same host


def digest(url):
    return hashlib.sha256(url.encode()).hexdigest()


def opens(lab, url=LINK, client="clinician", times=1):
    """The status with which that client's browser gets it, the same each time."""
    answers = [lab.curl(client, *NAVIGATE, url) for _ in range(times)]
    check(len({a.status for a in answers}) == 1, client, url, answers)
    return answers[-1]


def passes(lab, url=LINK, clients=("clinician", "phone"), times=1):
    for client in clients:
        reached(lab, opens(lab, url, client, times))


def stopped(lab, url=LINK, clients=("clinician", "phone"), times=1, service="telemed"):
    """Blocked as the patient's on each of them, over new connections that meet either worker."""
    for client in clients:
        answer = opens(lab, url, client, times)
        equal(answer.status, 403, client, url, answer)
        record = lab.collector.wait(event="block", reason="patient-link", url_sha256=digest(url))
        equal(record["from"], "learned:" + service, record)
        check(record.get("incident"), record)
        wait_for(lambda client=client: [r for r in lab.collector.records(
            event="block", reason="patient-link") if r["client"] in CLIENTS[client]], 5,
            "a record of the block on " + client)
    return answer


def is_learned(lab, url=LINK, kind="text", seconds=5):
    """Until the registry says so; the workers have been told then, or are just being."""
    record = lab.collector.wait(seconds, event="learned", url_sha256=digest(url))
    equal((record["kind"], record["service"]), (kind, "telemed"), record)
    time.sleep(0.1)
    return record


def nothing_learned(lab, url=LINK, pause=0.5):
    time.sleep(pause)
    equal(lab.collector.records(event="learned", url_sha256=digest(url)), [])


def poll(lab, path, *words, client="clinician"):
    check(lab.chat)  # it runs from the first mention on
    answer = lab.curl(client, "--compressed", *words, "https://%s%s" % (HOST, path))
    reached(lab, answer)
    return answer


def patient_sends(lab, link=LINK, client="clinician", name="feed.json"):
    """The link arrives in a JSON message that this client's page fetches."""
    lab.chat.put(name, message("こちらです: %s よろしく" % link))
    check(link.replace("/", "\\/") in poll(lab, "/plain/" + name, client=client).text)


def resident(pid):
    """(now, the most so far) in bytes."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        text = file.read()
    return tuple(int(re.search(name + r":\s+(\d+)", text)[1]) * 1024 for name in ("VmRSS", "VmHWM"))
