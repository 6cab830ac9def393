#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a release's archive would lack: sh tests/dist.sh [BUILD_FOLDER]. Every file that Git knows,
# but those that only mean something to Git and CI, is in what `make dist` packs.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:-$top/build}" && pwd)
name=$(sed -n 's/^AC_INIT(\[\([^]]*\)\], \[\([^]]*\)\])$/\1-\2/p' "$top/configure.ac")
folder=$(mktemp -d)
trap 'rm -rf "$folder" "${build:?}/$name"' EXIT

make -s -C "$build" distdir >/dev/null
(cd "$build/$name" && find . -type f -o -type l) | sed 's|^\./||' | sort >"$folder/packed"
git -C "$top" ls-files | grep -v -e '^\.ci/' -e '^\.gitignore$' | sort >"$folder/known"
if comm -23 "$folder/known" "$folder/packed" | grep .; then
    echo "dist: these files are not in the archive: see EXTRA_DIST in Makefile.am" >&2
    exit 1
fi
echo "dist: all $(wc -l <"$folder/known") files are in the archive"
