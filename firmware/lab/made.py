# SPDX-License-Identifier: BSD-2-Clause
#
# The group "made": the same parts make the same version and the same disk, however old they are.

import os
import subprocess

from image import tool


def the_same_parts_make_the_same_disk(ground):
    epoch = {"SOURCE_DATE_EPOCH": ground.image.release["built"]}
    made = []
    for day in ("2001-02-03", "2011-12-13"):
        folder = os.path.join(ground.work, "made", day)
        parts, uki, disk = (os.path.join(folder, name) for name in ("copy", "version.efi", "disk.img"))
        subprocess.run(["cp", "-rL", ground.image.variant(folder), parts], check=True)
        subprocess.run(["find", parts, "-exec", "touch", "-d", day, "{}", "+"], check=True)
        tool("uki", parts, uki, **epoch)
        subprocess.run(["touch", "-d", day, uki], check=True)
        tool("disk", parts, uki, disk, **epoch)
        made.append((uki, disk))
    for one, other in zip(*made):
        subprocess.run(["cmp", one, other], check=True)


def run(ground, perform):
    perform(the_same_parts_make_the_same_disk, ground)
