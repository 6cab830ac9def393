#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Installs the Debian packages that are missing of tests/packages, and of other lists with the same
# form: sh tests/install.sh [LIST ...]. Then makes the users that the daemon's roles run as. Says
# nothing and needs nobody's rights when nothing is missing.

set -eu
here=$(cd "$(dirname "$0")" && pwd)

wanted=$(cat "$here/packages" "$@" | sed -e 's/#.*//' -e '/^[[:space:]]*$/d')
missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done

if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "install.sh: these packages are missing; install them as root and run this again:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    log=$(mktemp)
    policy=/usr/sbin/policy-rc.d
    made=no
    # The services are wanted as programs of the tests; none of them is to start on this machine.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    cleanup() {
        [ "$made" = no ] || rm -f "$policy"
        rm -f "$log"
    }
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # the names are words
    if ! { apt-get -q update && apt-get -q -y -o DPkg::Lock::Timeout=600 \
        install --no-install-recommends $missing; } >"$log" 2>&1; then
        echo "install.sh: apt-get failed; its last lines:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
fi

# Without root the lab runs everything as one user, in a user namespace.
if [ "$(id -u)" -eq 0 ]; then
    for user in _sekisho-signer _sekisho-worker _sekisho-registry _sekisho-examiner \
        _sekisho-portal _sekisho-fetcher; do
        getent passwd "$user" >/dev/null ||
            useradd --system --user-group --no-create-home --home-dir /nonexistent \
                --shell /usr/sbin/nologin "$user"
    done
fi
