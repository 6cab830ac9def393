#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Shows the gateway at work: installs what is missing, builds, raises the clinic's LAN, the gateway
# and a small internet on this machine, holds a consultation with real clients, and prints what was
# tried and what became of it. sh tests/demo.sh [--serve]
#
#   --serve   afterwards leaves an explicit proxy on 127.0.0.1:8080 and a page at
#             http://127.0.0.1:8081/ that says how to try it in one's own browser

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
BUILD=${BUILD:-$top/build}
export BUILD
case ${1:-} in
'' | --serve) ;;
*) echo "usage: sh tests/demo.sh [--serve]" >&2; exit 2 ;;
esac
sh tests/install.sh
echo "building in $BUILD ..."
sh tests/build.sh "$BUILD"
exec /usr/bin/python3 -u tests/demo.py "$@"
