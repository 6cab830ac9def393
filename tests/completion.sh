#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What bash offers for sekisho(1) against what the program takes: every command that the source
# lists is offered, every option that is offered is taken, and nothing is offered that is refused.
# Run by make check, in the build folder.

set -u
source=${SEKISHO_SOURCE:?}
program=$PWD/sekisho
# shellcheck disable=SC1091 # it is looked at by itself
. "$source/firmware/sekisho.bash"
failed=0

wrong() {
    echo "not ok $*"
    failed=1
}

offered() { # WORDS ... CURRENT: what is offered for the last one
    COMP_WORDS=(sekisho "$@")
    COMP_CWORD=$#
    _sekisho "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
}

same() { # WHAT WANTED GOT
    [ "$(tr ' ' '\n' <<<"$2" | sort)" = "$(sort <<<"$3")" ] || wrong "$1: \"$3\", not \"$2\""
}

# The table in the program's source has a row X("name", ...) for each command.
table=$(sed -n 's/^    X("\([a-z-]*\)", .*/\1/p' "$source/gateway/sekisho.c" | tr '\n' ' ')
[ "$(wc -w <<<"$table")" -gt 5 ] || wrong "the table of commands was not found: \"$table\""
same "commands" "${table% }" "$(offered '')"
same "commands after an option" "${table% }" "$(offered -c /etc/hosts '')"
same "beginnings" "release releases reload" "$(offered re)"
same "an unknown command" "" "$(offered nonsense '')"
same "words of ca" "export init rotate show" "$(offered ca '')"
same "words of release" "" "$(offered release '')"
same "words of status" "" "$(offered --json status '')"
same "options of ca" "--root-key" "$(offered ca --root)"
same "options of release" "--by --end --for --reason" "$(offered release --)"
same "options before a command" "--configuration --help --json --socket --version" "$(offered --)"
same "a duration" "2h" "$(offered incidents --since 2)"
same "a file" "$source/README" "$(offered -c "$source/READM")"
same "a file to check" "$source/README" "$(offered check "$source/READM")"
same "a file to install" "$source/README" "$(offered update "$source/READM")"

# getopt says "unrecognized", the program "takes no": neither may be said of what is offered.
for command in $table; do
    for option in $(offered "$command" --); do
        said=$("$program" -c /nonexistent "$command" "$option" x 2>&1 </dev/null)
        [[ $said != *"takes no --configuration"* ]] ||
            said=$("$program" "$command" "$option" x 2>&1 </dev/null)
        case $said in
        *unrecognized* | *"takes no"*) wrong "$command $option is offered, and refused: $said" ;;
        esac
    done
done
[ "$failed" -eq 0 ] && echo "ok completion"
exit "$failed"
