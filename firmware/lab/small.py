# SPDX-License-Identifier: BSD-2-Clause
#
# The group "small": the main job on a machine with 128 MB and one core.

import os
import re

from case import NAVIGATE, equal, not_reached, reached
from ground import copy_disk
from steps import it_is_healthy, it_takes_a_configuration

MEGABYTES = 128


def it_starts(ground):
    print("    ready after %.0f s" % ground.machine.ready(600))


def the_main_job_is_done(ground):
    lab = ground.lab
    ground.enrol()
    for _ in range(20):
        reached(lab, lab.curl("clinician", "https://ehr.example-clinic.jp/", trust="clinic", seconds=60))
    answer = lab.curl("clinician", *NAVIGATE, "https://bit.ly/3xYzAbC", trust="clinic", seconds=60)
    equal(answer.status, 403, answer)
    not_reached(lab, "bit.ly")


def nothing_was_ended_for_want_of_memory(ground):
    said = ground.machine.run("dmesg | grep -i -E 'out of memory|oom' || true; free -k; cat /proc/meminfo")
    equal(re.findall(r"(?i).*(?:out of memory|oom.kill).*", said), [], said)
    found = {name: int(size) // 1024 for name, size in re.findall(r"(?m)^(\w+): +(\d+) kB", said)}
    print("    of %d MB that the kernel leaves, %d MB are available" % (found["MemTotal"],
                                                                      found["MemAvailable"]))


def run(ground, perform):
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "small.img"))
    ground.boot(disk, "small", slow=ground.options.slow, memory=MEGABYTES)
    for function in (it_starts, it_is_healthy, it_takes_a_configuration, the_main_job_is_done,
                     nothing_was_ended_for_want_of_memory):
        if not perform(function, ground) and function is it_starts:
            return
