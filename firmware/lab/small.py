# SPDX-License-Identifier: BSD-2-Clause
#
# The group "small": the main job with 128 MB and one core. Here QEMU starts the kernel, with the very
# initramfs and command line of the version: what UEFI and the loader hold of the memory meanwhile is
# theirs, and differs (OVMF starts the image with 192 MB).

import os
import re
import subprocess

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
    said = ground.machine.run("dmesg | grep -i -E 'out of m[e]mory|o[o]m' || true; free -k; cat /proc/meminfo")
    equal(re.findall(r"(?i).*(?:out of memory|oom.kill).*", said), [], said)
    found = {name: int(size) // 1024 for name, size in re.findall(r"(?m)^(\w+): +(\d+) kB", said)}
    print("    of %d MB that the kernel leaves, %d MB are available" % (found["MemTotal"],
                                                                      found["MemAvailable"]))


def direct(image, work):
    """The version's own sections, as words of QEMU's."""
    found = {}
    for name in ("initrd", "cmdline"):
        found[name] = os.path.join(work, name)
        subprocess.run([image.machine + "-linux-gnu-objcopy", "-O", "binary", "--only-section=." + name,
                        os.path.join(image.folder, "sekisho.efi"), found[name]], check=True)
    with open(found["cmdline"], encoding="ascii") as file:
        line = file.read().strip("\0\n ")
    return ["-kernel", os.path.join(image.parts, "vmlinuz"), "-initrd", found["initrd"], "-append", line]


def run(ground, perform):
    work = os.path.join(ground.work, "small")
    os.makedirs(work, exist_ok=True)
    disk = copy_disk(ground.image.disk, os.path.join(work, "small.img"))
    ground.boot(disk, "small", slow=ground.options.slow, memory=MEGABYTES,
                direct=direct(ground.image, work))
    for function in (it_starts, it_is_healthy, it_takes_a_configuration, the_main_job_is_done,
                     nothing_was_ended_for_want_of_memory):
        if not perform(function, ground) and function is it_starts:
            return
