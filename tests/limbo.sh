#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The cases of x509-limbo (github.com/C2SP/x509-limbo) through the very function that verifies
# origins: sh tests/limbo.sh FILE.json[.xz]. Prints a table (case, what should be, the verdict, a
# remark) and the sums. Fails when a case goes otherwise and tests/limbo/deviations does not say
# why. $BUILD is the build folder (build/ when unset).

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
[ $# -eq 1 ] || { echo "usage: sh tests/limbo.sh FILE.json[.xz]" >&2; exit 2; }
build=${BUILD:-$top/build}
sh "$top/tests/build.sh" "$build"
make -C "$build" tests/limbo/limbo >>"$build/build.log"
case $1 in
*.xz) xz -dc "$1" ;;
*) cat "$1" ;;
esac | "$build/tests/limbo/limbo" "$top/tests/limbo/deviations"
