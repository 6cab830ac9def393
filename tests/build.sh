#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the tree into a folder: sh tests/build.sh FOLDER [arguments of configure]. Quiet; when a
# step fails its last lines are shown. The whole output is in FOLDER/build.log.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
folder=$1
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ ! -e "$folder/configure.ac" ] || { echo "build.sh: $folder is a tree of sources" >&2; exit 2; }
log=$folder/build.log
: >"$log"

step() {
    if ! "$@" >>"$log" 2>&1; then
        echo "build.sh: failed: $*; the end of $log:" >&2
        tail -n 40 "$log" >&2
        exit 1
    fi
}

# Afterwards make's own rules see to what has changed.
if [ ! -x "$top/configure" ] || [ ! -e "$top/Makefile.in" ]; then
    cd "$top"
    step autoreconf -fi
fi
cd "$folder"
# What was built of another tree, or in another way than is asked for, is not gone on with.
if [ -e config.status ] && { [ "$(sed -n 1p configured 2>/dev/null)" != "$top" ] ||
    { [ $# -gt 0 ] && [ "$(sed -n 2p configured)" != "$*" ]; }; }; then
    find . -mindepth 1 ! -name build.log -delete
fi
if [ ! -e Makefile ]; then
    step "$top/configure" "$@"
    printf '%s\n' "$top" "$*" >configured
fi
step make -j"$(nproc)"
