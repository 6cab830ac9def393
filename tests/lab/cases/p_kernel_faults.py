# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel's part when things go wrong around it: a daemon that is killed while it loads, rights that
# are as few as can be.

import contextlib
import os
import signal
import time

from case import Skip, call, case, check, equal
from cases.l_kernel import ELSEWHERE, MEDIA, MEDIA_SERVICE, echoes, elements, many_services, nft
from echo import Stream, attempt
from processes import wait_for


@case(services=MEDIA_SERVICE, deaths=True, seconds=180)
def killed_while_it_loads(lab):
    """The rules are those from before or those from after, and in between nothing is lost and nothing gets out."""
    text = lab.gateway.text()
    with echoes(lab, (MEDIA, 8801), (ELSEWHERE, 8801)):
        with Stream(lab, "clinician", MEDIA[0], 8801) as stream, \
                Stream(lab, "phone", ELSEWHERE[0], 8801, pace=0.002) as shut:
            wait_for(lambda: len(stream.back) > 20, 10, "the stream runs")
            whole = nft(lab, "list", "chain", "inet", "sekisho", "from_lan")
            for delay in (0.1, 0.4, 0.6, 0.8, 1.0):
                lab.gateway.write(text + many_services(lab, 0))
                pids = [process["pid"] for process in lab.gateway.processes()]
                os.kill(lab.gateway.process.pid, signal.SIGHUP)
                time.sleep(delay)
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                lab.gateway.process.popen.wait(5)
                equal(nft(lab, "list", "chain", "inet", "sekisho", "from_lan"), whole)
                there = [name for name in nft(lab, "list", "sets", "inet").split() if name.startswith("media4_many")]
                check(len(there) in (0, 8), there)
                lab.gateway.write(text)
                lab.gateway.start()
            wait_for(lambda: max(stream.back) > stream.sent - 20, 20, "the stream runs on")
        equal((stream.lost, stream.errors), (0, []))
        equal(len(shut.back), 0, "what is refused got out")


@case({"process": {"separate-users": False}, "network": {"egress": "consultation"}}, services=MEDIA_SERVICE)
def one_capability_is_enough(lab):
    """CAP_NET_ADMIN, for all that the parent tells and asks the kernel."""
    if os.geteuid() != 0:
        raise Skip("only root has rights to give up")
    lab.gateway.stop()
    lab.gateway.launch = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+net_admin"]
    try:
        lab.gateway.start()
        with open("/proc/%d/status" % lab.gateway.process.pid, encoding="ascii") as file:
            check("CapEff:\t0000000000001000\n" in file.read())
        call(lab)
        wait_for(lambda: elements(lab, "consultation") == ["br-lan"], 3, "the rules hear of it")
        equal(lab.gateway.reload()[0], 0)
        with echoes(lab, (MEDIA, 8801)), Stream(lab, "clinician", MEDIA[0], 8801):
            lab.collector.wait(10, event="call-on", service="lab")
        nft(lab, "flush", "ruleset")
        wait_for(lambda: "sekisho" in nft(lab, "list", "tables"), 10, "the table is there again")
        equal(attempt(lab, "other", "tcp", ELSEWHERE[0], 4444)[0], "refused")
    finally:
        lab.gateway.stop()
        lab.gateway.launch = []
