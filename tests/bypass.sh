#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Tries to get around the gateway in every way that the table of tests/lab/cases/o_bypass.py holds, while a
# consultation is on, and prints what happened to each: what the client got | what reached the far side | the
# log line, or the kernel's rule. sh tests/bypass.sh
#
# The exit status is 0 when all is as the table says.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
BUILD=${BUILD:-$top/build}
export BUILD
sh tests/install.sh
echo "building in $BUILD ..."
sh tests/build.sh "$BUILD"
status=0
/usr/bin/python3 -u tests/lab/run.py --only '^o_bypass' >"$BUILD/bypass.log" || status=$?
cat "$BUILD/lab/bypass.txt"
tail -n 1 "$BUILD/bypass.log"
exit "$status"
