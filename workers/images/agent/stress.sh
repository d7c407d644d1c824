# Bad neighbours.

# What follows runs in a session of its own, which a single signal ends however fast it forks.

strain_cpu() {
    [ "$1" -eq 1 ] || strain_cpu $(($1 - 1)) &
    while :; do :; done
}

strain_mem() {
    [ "$1" -eq 1 ] || strain_mem $(($1 - 1)) &
    exec dd if=/dev/zero of=/dev/null bs=16M
}

strain_alloc() { # in eight parts: a kernel refuses at once what is more than it has
    part=$((($1 + 7) / 8))
    for _ in 1 2 3 4 5 6 7; do take_and_let_go $part & done
    take_and_let_go $part
}

take_and_let_go() {
    while :; do dd if=/dev/zero of=/dev/null bs="${1}M" count=16; done
}

strain_fork() { # `find` goes on when it cannot fork, where a shell would end
    set -- "$root/bin"
    while [ $# -lt 4096 ]; do set -- "$@" "$@"; done
    while :; do "$busybox" find "$@" -exec "$busybox" true \; & done
}

strain_disk() {
    [ "$1" -eq 1 ] || strain_disk $(($1 - 1)) &
    while :; do dd if=/dev/zero of="$work/strain.$1" bs=1M count=16 conv=fsync || exit; done
}

strain_flood() {
    line=0123456789abcdef
    while [ ${#line} -lt 1024 ]; do line=$line$line; done
    exec "$busybox" yes "$line"
}

begin_stress() { # $1 = kind, $2 = seconds at most, $3 = N
    case $1 in
        flood) setsid "$busybox" sh "$0" strain "$1" "$3" </dev/null 2>/dev/null & ;;
        *) setsid "$busybox" sh "$0" strain "$1" "$3" </dev/null >/dev/null 2>&1 & ;;
    esac
    stress=$!
    kind=$1
    strained=0
    [ "$1" != disk ] || strained=$3
    centiseconds
    stressed=$now
    ends=$((now + $2 * 100))
}

end_stress() { # Fails when something outlives it. After a fork bomb there may be no room for a fork
    kill -9 "$stress" 2>/dev/null # it may not have its session yet
    centiseconds
    patience=$((now + 500))
    while kill -9 "-$stress" 2>/dev/null && [ "$now" -lt "$patience" ]; do
        jobs >/dev/null # reaps what has ended, also what others have left to PID 1
        [ "$kind" = fork ] || sleep 0.02 # what PID 1 has to reap may take a while
        centiseconds
    done
    wait "$stress" 2>/dev/null
    ! kill -0 "-$stress" 2>/dev/null || return 1
    stress=
    while [ "$strained" -gt 0 ]; do
        rm -f "$work/strain.$strained"
        strained=$((strained - 1))
    done
}

stress() { # $1 = kind, $2 = seconds at most, $3 = N
    case $1 in
        cpu | mem | alloc | fork | disk | flood) ;;
        *) refuse 'no such stress' && return ;;
    esac
    if ! whole "$2" 4 || ! whole "$3" 6; then
        refuse 'stress wants seconds of at most 4 digits, and a number of at most 6'
    elif [ -n "$stress" ]; then
        refuse 'there is stress already'
    else
        begin_stress "$@"
        answer ''
    fi
}

calm() {
    if [ -z "$stress" ]; then
        refuse 'there is no stress'
    elif end_stress; then
        answer ",\"elapsed_s\":$(((now - stressed) / 100))"
    else
        refuse 'some of the stress outlives SIGKILL'
    fi
}
