#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The benchmark card: direct forwarding, HAProxy, nginx, Squid and Sekisho side by side, in one run on
# one machine: sh tests/bench.sh [--quick] [--only NAME]
#
#   --quick   one round of 3 s a figure instead of the median of three of 4 s
#   --only    of the gateways only those whose name contains NAME (direct forwarding is always there)
#
# The table is printed; with the plot and the single figures it is left in $BUILD/bench/ ($BUILD is
# build/ when unset). No figure makes it fail: the exit status is 0 when the card was made.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$top/build}
mkdir -p "$BUILD"
BUILD=$(cd "$BUILD" && pwd)
export BUILD
cd "$top"
# Mistakes in the arguments first: the build takes a while.
for word in "$@"; do
    case $word in
    -h | --help) exec /usr/bin/python3 tests/bench/run.py --help ;;
    esac
done
/usr/bin/python3 tests/bench/run.py --check "$@" || exit
sh tests/install.sh
echo "building in $BUILD ..."
sh tests/build.sh "$BUILD"
exec /usr/bin/python3 -u tests/bench/run.py "$@"
