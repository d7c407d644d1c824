# Requests, and the answers.

next_line() { # into $line; ends a stress whose time is over. Fails at the end of input
    while [ -n "$stress" ]; do
        centiseconds
        [ "$now" -lt "$ends" ] || { end_stress || return 1; }
        [ -n "$stress" ] || break
        # A time that is over and an input that has ended look the same, but for the clock.
        IFS= read -t $(((ends - now) / 100 + 1)) -r line && return
        centiseconds
        [ "$now" -ge "$ends" ] || return 1
    done
    IFS= read -r line
}

serve() { # $1 = request, then its arguments
    case $1:$# in
        *:1 | *:2 | run:* | stress:4 | net:4 | stream:4 | listen:4) ;;
        *) set -- 'too many words' ;;
    esac
    case $1 in
        ping) answer '' ;;
        uptime) own_uptime && answer ",\"uptime_s\":\"$uptime\"" ;;
        cpu | mem) work "$1" "$2" 7 ;;
        disk) work disk "$2" 4 ;;
        sys) work sys "$2" 9 ;;
        fork | starts) work "$1" "$2" 6 ;;
        lay) lay "$2" ;;
        direct | random | fsync) with_file "$1" "$2" ;;
        listen) listen "$2" "$3" "$4" ;;
        net | stream) linked "$@" ;;
        run) shift && run_program "$@" ;;
        output) output ;;
        inspect) answer "$(facts 2>/dev/null)" ;;
        digest) digest "$2" ;;
        mark) mark "$2" ;;
        marked) marked ;;
        stress) stress "$2" "$3" "$4" ;;
        calm) calm ;;
        quit) answer '' && leave ;;
        die) kill -9 $$ ;;
        oom) take_all_memory ;;
        *) refuse 'no such request' ;;
    esac
}

case $1 in
    strain | serve | ask) # this is no agent, but what an agent has started
        trap - TERM INT HUP
        "$1_$2" "$3"
        exit
        ;;
esac
if [ "$TONNAGE_GUEST" = 1 ] && [ -z "$TONNAGE_NONCE" ]; then
    read -r line </proc/cmdline
    for word in $line; do
        case $word in tonnage.nonce=*) TONNAGE_NONCE=${word#*=} ;; esac
    done
fi
[ ! -t 0 ] || stty raw -echo

own_uptime
printf '{"beacon":%s,"uptime_s":"%s"}\n' "$(quote "$TONNAGE_NONCE")" "$uptime"

while next_line; do
    set -- $line
    [ $# -gt 0 ] || continue
    ticket=
    if fits "$1" 80 '*[!A-Za-z0-9._-]*'; then
        ticket=$1
        shift
        serve "$@"
    else
        refuse 'a ticket holds at most 80 letters, digits, dots, dashes and underscores'
    fi
done
leave
