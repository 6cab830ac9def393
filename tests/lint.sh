#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# clang-tidy and cppcheck over gateway/ and filters/: sh tests/lint.sh [FILE ...]; without files
# over all of them. What is looked for is in .clang-tidy. $BUILD is a build folder (build/ when
# unset). Any finding fails it; one that is wrong is answered where it is, with its reason:
# // NOLINTNEXTLINE(check) or // cppcheck-suppress check.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
build=${BUILD:-$top/build}
for program in clang-tidy cppcheck; do
    command -v $program >/dev/null || {
        echo "lint.sh: there is no $program: sh tests/install.sh tests/packages-lint" >&2
        exit 2
    }
done
[ -e "$build/Makefile" ] || { echo "lint.sh: there is no $build/Makefile: build first" >&2; exit 2; }
[ $# -gt 0 ] || set -- gateway/*.c filters/*.c

# shellcheck disable=SC2016 # make's own names
flags=$(make -s -C "$build" --no-print-directory \
    --eval='flags:;@echo -std=gnu11 $(DEFS) $(AM_CPPFLAGS) $(SEKISHO_CFLAGS)' flags | sed 's/"/\\"/g')
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# Their counts of what was suppressed in the system's headers are no findings.
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c "clang-tidy --quiet '{}' -- $flags 2>/dev/null" |
    grep -E '^/.*: (warning|error): ' | sort -u >"$found"
cppcheck -j "$(nproc)" --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    -D_GNU_SOURCE -I. --include="$(echo '#include <sys/queue.h>' | gcc -M -E -x c - |
        tr ' ' '\n' | grep '/queue.h$')" --include=/usr/include/jansson.h \
    --suppress=missingIncludeSystem --template='{file}:{line}: {severity}: {message} [{id}]' \
    "$@" >>"$found" 2>&1
sed "s|^$top/||" "$found"
echo "lint: $(grep -c . "$found") findings in $# files"
[ ! -s "$found" ]
