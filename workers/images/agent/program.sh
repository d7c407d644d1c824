# Programs of the image, and what they print.

find_program() { # $1 = name or absolute path; into $program
    program=$1
    case $1 in
        /*) [ -f "$1" ] && [ -x "$1" ] && return ;;
        */* | '') return 1 ;;
    esac
    left=$programs:
    while [ -n "$left" ]; do
        program=${left%%:*}/$1
        left=${left#*:}
        [ ! -f "$program" ] || [ ! -x "$program" ] || return 0
    done
    return 1
}

decode() { # $1 = a word as it came; into $decoded
    decoded=${1#=}
    case $decoded in
        *\\*)
            decoded=$(printf '%b.' "$decoded") # or ends of line at its end would be lost
            decoded=${decoded%.}
            ;;
    esac
}

execute() { # "$@": a program's words; its streams into files of bounded size
    cd "$work" || exit
    {
        {
            PATH=$programs HOME=$work TMPDIR=$work "$program" "$@" </dev/null 3>&-
            echo $? >"$ran.status"
        } 2>&1 >&3 3>&- | tail -c 1500 >"$ran.errors"
    } 3>&1 | dd of="$ran" bs=$((printed + 1)) count=1 iflag=fullblock 2>/dev/null
}

run_program() { # "$@": words as they came
    left=$#
    while [ "$left" -gt 0 ]; do
        decode "$1"
        shift
        set -- "$@" "$decoded"
        left=$((left - 1))
    done
    find_program "$1" || {
        printf '{"re":"%s","ok":false,"error":%s}\n' "$ticket" "$(quote "there is no program '$1' in here")"
        return
    }
    shift
    ran=$work/ran.$$
    rm -f "$ran.status"
    centiseconds
    begun=$now
    execute "$@" 2>/dev/null &
    wait $!
    status=
    read -r status 2>/dev/null <"$ran.status"
    [ -n "$status" ] || {
        refuse 'the work folder cannot be written to'
        return
    }
    took ",\"status\":$status"
}

output() {
    [ -n "$ran" ] && [ -f "$ran" ] || {
        refuse 'no program was run'
        return
    }
    answer ",\"complete\":$([ "$(wc -c <"$ran")" -le $printed ] && echo true || echo false),\
\"output\":\"$(dd if="$ran" bs=$printed count=1 2>/dev/null | base64 -w 0)\",\
\"errors\":\"$(base64 -w 0 "$ran.errors")\""
}
