# SPDX-License-Identifier: BSD-2-Clause
#
# The groups of firmware/test: what is booted, and which checks meet it.

import os
import subprocess
import sys

import checks
from ground import HERE, copy_disk


class Image:
    """What firmware/build has made, and where the tests' keys are."""

    def __init__(self, folder, keys):
        self.folder, self.keys = folder, keys
        self.parts = os.path.join(folder, "parts")
        self.disk = os.path.join(folder, "sekisho.img")


def prepare(options, work):
    if options.image:
        return Image(os.path.abspath(options.image), None)
    folder = os.path.join(work, "image")
    done = subprocess.run(["sh", os.path.join(HERE, "build"), "--output", folder], check=False)
    if done.returncode != 0:
        print("not ok build: firmware/build ended with %d" % done.returncode)
        sys.exit(1)
    return Image(folder, None)


def main_job(ground, perform):
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "main.img"))
    ground.boot(disk, "main", slow=ground.options.slow)
    for function in checks.FIRST:
        if not perform(function, ground) and function is checks.FIRST[0]:
            return
    for function in checks.CONFIGURED:
        perform(function, ground)


GROUPS = {"main": main_job}
