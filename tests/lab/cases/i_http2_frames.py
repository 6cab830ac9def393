# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 frame by frame through the whole gateway: the conformance table, the resets and GOAWAYs of one
# side as the other side sees them, streams that do not disturb each other, and floods.

from case import check, equal
from cases.i_http2 import EHR, case
from gateway import REPOSITORY
from http2_frames import rows, run_row

SLOW = "streams.example-clinic.jp"


@case(seconds=240)
def conformance(lab):
    with lab.origins.speaking_http2():
        failed, count = [], 0
        for name, sends, gets in rows(REPOSITORY):
            came = run_row(lab, EHR, sends, gets)
            count += 1
            if came:
                failed.append("%s: %s wanted, %s came" % (name, gets, came))
        equal(failed, [])
        check(count >= 135, count)
