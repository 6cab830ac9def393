#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# testssl.sh against the gateway's side towards clients and against the enrolment page, which must give no
# finding above "low" but those that tests/lab/cases/t_testssl.py names with a reason. Takes minutes.
# $BUILD is the build folder (build/ when unset).

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
BUILD=${BUILD:-$top/build}
export BUILD
sh tests/install.sh
sh tests/build.sh "$BUILD"
exec /usr/bin/python3 -u tests/lab/run.py --by-name --only '^t_testssl[.]'
