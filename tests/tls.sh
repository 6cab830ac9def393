#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The tests behind TLS.md, which is written anew by them:
#
#     sh tests/tls.sh                 every row, the table of parameters, the instructions
#     sh tests/tls.sh --parameters    prints what each side saw, a line for each combination
#     sh tests/tls.sh --cost          counts instructions per handshake alone (callgrind)
#
# $BUILD is the build folder (build/ when unset). The exit status is 0 when each row is as it must be.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
BUILD=${BUILD:-$top/build}
export BUILD
what=${1:-all}
case $what in
all | --parameters | --cost) ;;
*)
    echo "usage: sh tests/tls.sh [--parameters | --cost]" >&2
    exit 2
    ;;
esac
sh tests/install.sh
echo "building in $BUILD ..." >&2
sh tests/build.sh "$BUILD"

lab() { # PATTERN: runs the cases, and shows them
    /usr/bin/python3 -u tests/lab/run.py --only "$1"
}

# Instructions of a run of tests/bench/cost with these words.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$BUILD/tests/bench/cost" "$@" 2>&1 |
        sed -n 's/^==[0-9]*== Collected : //p'
}

# Millions of instructions for one handshake: what twenty more of them cost.
each() { # MODE [BUNDLE]
    few=$(count "$1" 5 ${2:+"$2"})
    many=$(count "$1" 25 ${2:+"$2"})
    awk "BEGIN { printf \"%.2f\", ($many - $few) / 20 / 1000000 }"
}

cost() {
    make -C "$BUILD" tests/bench/cost >>"$BUILD/build.log"
    bundle=/etc/ssl/certs/ca-certificates.crt
    roots=$(grep -c 'BEGIN CERTIFICATE' "$bundle")
    plain=$(each plain)
    layer=$(each layer)
    large=$(each layer "$bundle")
    echo "| Both handshakes of an inspected connection, all four ends (P-256, chain of three) |" \
        "Million instructions |"
    echo "| --- | --- |"
    echo "| OpenSSL's strict verification alone | $plain |"
    echo "| with the layer over the chain, one root trusted | $layer |"
    echo "| with the layer over the chain, $((roots + 1)) roots trusted | $large |"
}

case $what in
--parameters)
    LAB_PARAMETERS=$BUILD/parameters.txt
    export LAB_PARAMETERS
    status=0
    lab '^q_tls[.]parameters' >"$BUILD/tls.log" || status=$?
    [ ! -e "$LAB_PARAMETERS" ] || cat "$LAB_PARAMETERS"
    tail -n 1 "$BUILD/tls.log"
    exit "$status"
    ;;
--cost)
    cost
    ;;
all)
    cost >"$BUILD/cost.txt"
    LAB_TLS_COST=$BUILD/cost.txt LAB_TLS_PAGE=write lab '^q_tls'
    ;;
esac
