#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Every test: sh tests/run.sh [--fuzz] [--sanitize] [--package] [--firmware] [--only PATTERN] [--limbo FILE]
#
#   --fuzz       also a minute of fuzzing for each target (FUZZ_SECONDS to change it)
#   --sanitize   also the unit tests and the whole lab under ASan, UBSan and LeakSanitizer
#   --package    also the Debian package on a clean system, the OpenWrt recipe and the release's
#                archive; as root (or with PACKAGE=true)
#   --firmware   also the images, built and booted in QEMU (or with FIRMWARE=true); of arm64 the main
#                job alone
#   --limbo      also the cases of x509-limbo in that file (see tests/limbo.sh)
#   --only       of the lab only the cases whose names match
#
# With CI=true the first two are on. $BUILD is the build folder (build/ when unset). The last line
# is "N passed, N failed, N skipped"; the exit status is 0 when nothing failed.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
build=${BUILD:-$top/build}
mkdir -p "$build" || exit 1
build=$(cd "$build" && pwd)
fuzz=no
sanitize=no
package=${PACKAGE:-no}
firmware=${FIRMWARE:-no}
only=
limbo=
if [ "${CI:-}" = true ]; then
    fuzz=yes
    sanitize=yes
fi
while [ $# -gt 0 ]; do
    case $1 in
    --fuzz) fuzz=yes ;;
    --sanitize) sanitize=yes ;;
    --package) package=true ;;
    --firmware) firmware=true ;;
    --only)
        [ $# -ge 2 ] || { echo "run.sh: --only needs a pattern" >&2; exit 2; }
        only=$2
        shift
        ;;
    --limbo)
        [ $# -ge 2 ] || { echo "run.sh: --limbo needs a file" >&2; exit 2; }
        limbo=$2
        shift
        ;;
    *)
        echo "usage: sh tests/run.sh [--fuzz] [--sanitize] [--package] [--firmware] [--only PATTERN] [--limbo FILE]" >&2
        exit 2
        ;;
    esac
    shift
done

passed=0
failed=0
skipped=0
began=$(date +%s)

say() {
    printf '==> [%4d s] %s\n' "$(($(date +%s) - began))" "$*"
}

add() { # PASSED FAILED SKIPPED
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit $?
}

# A step without which nothing else makes sense.
need() {
    "$@" || {
        echo "not ok $1 $2"
        add 0 1 0
        finish
    }
}

# The results of `make check` in a folder: each test of a cmocka program counts, and each other
# program as one. A program that died without saying what failed is one failure.
count_check() {
    find "$1" -name '*.trs' | sort | while read -r trs; do
        log=${trs%.trs}.log
        result=$(sed -n 's/^:test-result: //p' "$trs" | sort | uniq | tr '\n' ' ')
        awk -v name="$(basename "$log" .log)" -v result="$result" '
            function number(line) { sub(/ test\(s\).*/, "", line); sub(/.* /, "", line); return line + 0 }
            /\[==========\].*Running/ { cmocka = 1 }
            /\[  PASSED  \].*test\(s\)/ { p += number($0) }
            /\[  FAILED  \].*test\(s\)/ { f += number($0) }
            /\[  SKIPPED \].*test\(s\)/ { s += number($0) }
            END {
                bad = result ~ /FAIL|ERROR/
                if (!cmocka) { p = result ~ /PASS/ && !bad; s = result ~ /SKIP/ && !bad; f = bad }
                else if (bad && f == 0) f = 1
                if (f) print "not ok " name > "/dev/stderr"
                print p + 0, f + 0, s + 0
            }' "$log"
    done | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

check() { # FOLDER LABEL
    say "unit and replay tests$2"
    make -C "$1" -j"$(nproc)" check >"$1/check.log" 2>&1
    status=$?
    # shellcheck disable=SC2046 # three numbers
    set -- "$1" $(count_check "$1")
    if [ "$status" -ne 0 ] && [ "$3" -eq 0 ]; then
        echo "not ok make check: the end of $1/check.log:"
        tail -n 30 "$1/check.log"
        set -- "$1" "$2" 1 "$4"
    fi
    echo "    $2 passed, $3 failed, $4 skipped"
    add "$2" "$3" "$4"
}

lab() { # FOLDER LABEL [arguments]
    folder=$1
    say "lab: clients, gateway and internet in network namespaces$2"
    shift 2
    rm -f "$folder/lab.json"
    BUILD=$folder /usr/bin/python3 -u "$top/tests/lab/run.py" --only "$only" --json "$folder/lab.json" "$@"
    status=$?
    if [ "$status" -eq 77 ]; then
        add 0 0 1
    elif [ -s "$folder/lab.json" ]; then
        # shellcheck disable=SC2046 # three numbers
        add $(/usr/bin/python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(r["passed"], r["failed"], r["skipped"])' "$folder/lab.json")
    else
        echo "not ok lab: it ended with $status before any result"
        add 0 1 0
    fi
}

fuzz_one() { # PROGRAM: prints "ok NAME" or "not ok NAME"
    name=$(basename "$1")
    seeds=$top/tests/fuzz/corpus/${name#fuzz_}
    work=$(dirname "$1")/work-$name
    mkdir -p "$work/corpus" "$work/findings"
    [ -d "$seeds" ] || seeds=
    # With the same seed a run can be repeated; to search further give it another.
    if "$1" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 \
        -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 -artifact_prefix="$work/findings/" "$work/corpus" ${seeds:+"$seeds"} \
        >"$work/log" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name: $work/log without its stack frames, and what was found:"
        grep -av '^ *#' "$work/log" | tail -n 40
        for finding in "$work"/findings/*; do
            echo "$(basename "$finding"): $(head -c 3000 "$finding" | base64 -w 0)"
        done
    fi
}

if [ "${1:-}" = "" ] && [ "${SEKISHO_FUZZ_ONE:-}" != "" ]; then
    fuzz_one "$SEKISHO_FUZZ_ONE"
    exit 0
fi

say "packages"
need sh "$top/tests/install.sh"
say "build in $build, warnings are errors"
need sh "$top/tests/build.sh" "$build" --enable-werror
check "$build" ""
lab "$build" ""

if [ -n "$limbo" ]; then
    say "x509-limbo through the verification of origins"
    if BUILD=$build sh "$top/tests/limbo.sh" "$limbo" >"$build/limbo.table"; then
        tail -n 1 "$build/limbo.table"
        add 1 0 0
    else
        echo "not ok limbo: see $build/limbo.table"
        tail -n 1 "$build/limbo.table"
        add 0 1 0
    fi
fi

if [ "$sanitize" = yes ]; then
    flags='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined'
    say "build under ASan, UBSan and LeakSanitizer"
    need sh "$top/tests/build.sh" "$build-sanitize" CFLAGS="$flags" LDFLAGS="-fsanitize=address,undefined"
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:exitcode=99}
    UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    LAB_BACK=${LAB_BACK:-4}
    LAB_RELOADS=${LAB_RELOADS:-20}
    export ASAN_OPTIONS UBSAN_OPTIONS LAB_BACK LAB_RELOADS
    check "$build-sanitize" " (sanitizers)"
    lab "$build-sanitize" " (sanitizers)" --not '^a_direct|_direct$' --slow 3
    unset ASAN_OPTIONS UBSAN_OPTIONS LAB_BACK LAB_RELOADS
fi

if [ "$fuzz" = yes ]; then
    say "build of the fuzz targets"
    need sh "$top/tests/build.sh" "$build-fuzz" CC=clang \
        CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'
    if make -C "$build-fuzz" -j"$(nproc)" fuzz >>"$build-fuzz/build.log" 2>&1; then
        targets=$(find "$build-fuzz" -type f -name 'fuzz_*' -perm -u+x ! -name '*.o' | sort)
        say "fuzzing, ${FUZZ_SECONDS:-60} s each: $(echo "$targets" | wc -l) targets"
        echo "$targets" | xargs -P "$(nproc)" -I{} \
            env SEKISHO_FUZZ_ONE={} sh "$top/tests/run.sh" >"$build-fuzz/results" 2>&1
        cat "$build-fuzz/results"
        add "$(grep -c '^ok ' "$build-fuzz/results")" "$(grep -c '^not ok ' "$build-fuzz/results")" 0
    else
        echo "not ok fuzz: the targets do not build: the end of $build-fuzz/build.log:"
        tail -n 20 "$build-fuzz/build.log"
        add 0 1 0
    fi
fi
# A script whose last line is "N passed, N failed".
counted() { # LABEL COMMAND ...
    say "$1"
    shift
    "$@" >"$build/counted.log" 2>&1
    cat "$build/counted.log"
    # shellcheck disable=SC2046 # two numbers
    set -- $(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$build/counted.log")
    add "${1:-0}" "${2:-1}" 0
}

if [ "$package" = true ]; then
    need sh "$top/tests/install.sh" "$top/firmware/packages-debian"
    counted "the Debian package" sh "$top/firmware/package-test" "$build-package"
    counted "the OpenWrt recipe" sh "$top/firmware/openwrt/test" "$build"
    say "the release's archive"
    if sh "$top/tests/dist.sh" "$build"; then add 1 0 0; else add 0 1 0; fi
fi
if [ "$firmware" = true ]; then
    need sh "$top/tests/install.sh" "$top/firmware/packages-image"
    counted "the image" /usr/bin/python3 -u "$top/firmware/test"
    counted "the image of arm64: the main job" /usr/bin/python3 -u "$top/firmware/test" \
        --architecture arm64 --only main_job
fi
say "done"
finish
