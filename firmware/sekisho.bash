# SPDX-License-Identifier: BSD-2-Clause
# Completion of sekisho(1) for bash. It knows no command by itself: it reads `sekisho help`, so that
# it cannot know others than the program does.

# The options of the help that take a value, by both names; the program is $1.
_sekisho_valued() {
    "$1" help 2>/dev/null |
        sed -n 's/^  \(-.\), \(--[a-z-]*\) X .*/\1 \2/p'
}

# A line for each command: its name and how it is called. What goes on in a second line (five
# spaces; the explanation has six) belongs to the command above it.
_sekisho_commands() {
    "$1" help 2>/dev/null | sed -n '/^commands:/,/^$/{s/^  \([a-z].*\)/\1/p;s/^     \([a-z].*\)/\t\1/p}' |
        sed -e ':a' -e 'N' -e '$!ba' -e 's/\n\t/ | /g'
}

_sekisho_value() { # OPTION WORD
    local folder names=''
    case $1 in
    -c | --configuration | -s | --socket | -o | --output | -R | --root-key | -P | --passphrase-file)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    -N | --service)
        for folder in /etc/sekisho/services /usr/share/sekisho/services; do
            [ -d "$folder" ] && names+=" $(cd "$folder" && printf '%s\n' *.conf)"
        done
        mapfile -t COMPREPLY < <(compgen -W "${names//.conf/}" -- "$2")
        ;;
    -S | --since | -t | --for)
        mapfile -t COMPREPLY < <(compgen -W '30m 2h 1d' -- "$2")
        ;;
    esac
}

_sekisho() { # PROGRAM WORD PREVIOUS
    local valued commands usage word skip=no command='' words
    valued=" $(_sekisho_valued "$1" | tr '\n' ' ') "
    COMPREPLY=()
    if [[ $valued == *" $3 "* ]]; then
        _sekisho_value "$3" "$2"
        return
    fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [ "$skip" = yes ]; then
            skip=no
        elif [[ $valued == *" $word "* ]]; then
            skip=yes
        elif [[ $word != -* ]]; then
            command=$word
            break
        fi
    done
    commands=$(_sekisho_commands "$1")
    if [ -z "$command" ]; then
        if [[ $2 == -* ]]; then
            words='--configuration --socket --json --help --version'
        else
            words=$(cut -d ' ' -f 1 <<<"$commands")
        fi
    else
        usage=$(sed -n "s/^$command //p" <<<"$commands")
        if [[ $2 == -* ]]; then
            words=$(grep -o -e '--[a-z-]*' <<<"$usage" | sort -u)
        else
            # Words that are to be written as they stand: in small letters, and no option's value.
            words=$(sed -e 's/--[a-z-]* [^] |]*//g' -e 's/--[a-z-]*//g' <<<"$usage" |
                grep -ow '[a-z]*' | sort -u)
            if [[ $usage == *FILE* && $usage != *--output* ]]; then
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$2")
                return
            fi
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2")
}

complete -F _sekisho sekisho
