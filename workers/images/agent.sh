#!/bin/busybox sh
# The agent: the same bytes in a container, a virtual machine and a bare process.
#
#   busybox sh ROOT/agent.sh     with busybox and its applets under ROOT/bin
#
# It says one beacon, then answers each line "TICKET REQUEST [N]" on stdin by one JSON line on stdout:
#
#   ping        nothing but the answer          uptime   seconds since the guest's kernel started
#   cpu N       SHA-256 over N MiB of zeros     mem N    N MiB moved through a 1 MiB buffer
#   disk N      N MiB written with fsync, read back, removed
#   sys N       N reads and N writes of one byte
#   fork N      N times fork and exec           inspect  what can be seen from in here
#   lay N       lay out a file of N MiB in the work folder, where that lies on a disk; the next three use it
#   direct N    N writes, then N reads of 4 KiB, one after another, past the page cache, by one program each
#   random N    N reads and N writes of 4 KiB at random places, past the page cache, by a program each
#   fsync N     N times 4 KiB appended and fsynced, by a program each
#   starts N    N times start that program for nothing: what the two above hold of it
#   listen KIND PORT N   answer over TCP, in the background: net gives back what comes, stream takes N MiB
#   net ADDRESS PORT N   N round trips of a line over one connection to who listens there
#   stream ADDRESS PORT N   N MiB sent there, until it says that all came
#   run WORD…   run a program of the image, in the work folder; each word begins with = and may hold bytes
#               as \0 and three octal digits. No shell sees them
#   output      what the last program printed, in base64, 32 KiB at most, and the end of its errors
#   digest PATH SHA-256 of a file, or null where it cannot be read from in here
#   mark WORD   keep a word, in a file and in memory     marked   say what both have kept
#   stress KIND SECONDS N   be a bad neighbour until `calm`, for so many seconds at most; other requests
#               are answered meanwhile. cpu: N busy loops; mem: N loops that fill 16 MiB; alloc: N MiB taken,
#               filled and let go again and again; fork: as many programs as can be started, each starting
#               others, so it wants a limit of processes around it; disk: N files written with fsync, over
#               and over; flood: lines without end on stdout
#   calm        end the stress, and see that nothing of it is left
#   quit        end, as the end of stdin does
#   die         end at once, as if killed: nothing is cleaned up
#   oom         take memory until the kernel ends this very process; no answer comes
#
# Environment: TONNAGE_NONCE (said in the beacon; a guest takes it from tonnage.nonce= on its kernel's
# line), TONNAGE_GUEST=1 (there is a kernel of our own: its uptime means something), TONNAGE_WORK (folder
# to work in), PATH (where programs are looked for). Nothing that comes over stdin is ever evaluated.

set -f # a request is split into words, never matched against file names
export LC_ALL=C

root=${0%/*}
[ "$root" != "$0" ] || root=.
programs=$PATH
PATH=$root/bin
busybox=$root/bin/busybox
marker=
scratch=
laid=
listener=
ran=
stress=
work=${TONNAGE_WORK:-${root%/}/work}
place=1
printed=32768 # bytes of a program's output that are kept

leave() {
    kill -9 %% 2>/dev/null # the job at hand, if any, however far its start has come
    [ -z "$stress" ] || end_stress
    [ -z "$listener" ] || kill -9 "$listener" 2>/dev/null
    [ -z "$ran" ] || rm -f "$ran" "$ran.errors" "$ran.status"
    [ -z "$scratch" ] || rm -f "$scratch"
    [ -z "$laid" ] || rm -f "$laid" "$laid.log"
    exit 0
}
# As PID 1 a shell has no default for these signals: without a trap it would not hear them.
trap leave TERM INT HUP

quote() { # a JSON string; control characters are left out
    printf '"%s"' "$(printf '%s' "$1" | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g')"
}

answer() { # $1 = ',"key":value…'; no fork, so that ping costs a read and a write
    printf '{"re":"%s","ok":true%s}\n' "$ticket" "$1"
}

refuse() { # $1 = constant text
    printf '{"re":"%s","ok":false,"error":"%s"}\n' "$ticket" "$1"
}

own_uptime() { # into $uptime: of the guest's kernel, or nothing where the kernel is the host's
    uptime=
    [ "$TONNAGE_GUEST" != 1 ] || read -r uptime _ </proc/uptime
}

centiseconds() { # into $now
    read -r now _ </proc/uptime
    now=$((${now%.*} * 100 + 1${now#*.} - 100)) # the 1 keeps 08 from being read as octal
}

fits() { # $1 = text, $2 = characters at most, $3 = pattern that it must not match
    [ "${#1}" -le "$2" ] || return 1
    case $1 in $3) return 1 ;; esac
}

whole() { # $1 = text, $2 = digits at most: is it a whole number from 1?
    fits "$1" "$2" '*[!0-9]*' && fits "$1" "$2" '0*' && [ -n "$1" ]
}

run() { # in the background, so that a signal ends the wait
    "$@" </dev/null >/dev/null 2>&1 &
    wait $!
}

work_cpu() {
    dd if=/dev/zero bs=1048576 count="$1" 2>/dev/null | sha256sum >/dev/null 2>&1 &
    wait $!
}

work_mem() { run dd if=/dev/zero of=/dev/null bs=1048576 count="$1"; }

work_sys() { run dd if=/dev/zero of=/dev/null bs=1 count="$1"; }

work_disk() {
    scratch=$work/disk.$$
    run dd if=/dev/zero of="$scratch" bs=1048576 count="$1" conv=fsync &&
        run dd if="$scratch" of=/dev/null bs=1048576
    set -- $?
    rm -f "$scratch"
    scratch=
    return "$1"
}

on_disk() { # fails where the work folder lies in memory
    longest=0
    while read -r _ _ _ _ point _ rest; do
        case $work/ in "${point%/}"/*) ;; *) continue ;; esac
        [ ${#point} -ge "$longest" ] || continue # of two at one place the later one is on top
        longest=${#point}
        filesystem=${rest#*- }
    done </proc/self/mountinfo
    case $filesystem in tmpfs* | ramfs* | rootfs*) return 1 ;; esac
}

lay() { # $1 = MiB
    whole "$1" 5 || {
        refuse 'lay wants a whole number from 1, of at most 5 digits'
        return
    }
    on_disk || {
        refuse 'the work folder lies in memory: there is no disk to ask'
        return
    }
    laid=$work/laid.$$
    blocks=$(($1 * 256))
    run dd if=/dev/zero of="$laid" bs=1048576 count="$1" conv=fsync || {
        refuse 'there is no room for the file'
        return
    }
    dd if="$laid" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null || {
        refuse 'the file system of the work folder offers no direct access'
        return
    }
    answer ''
}

work_direct() {
    [ "$1" -le "$blocks" ] &&
        run dd if=/dev/zero of="$laid" bs=4096 count="$1" oflag=direct conv=notrunc &&
        run dd if="$laid" of=/dev/null bs=4096 count="$1" iflag=direct
}

next_place() { # the same places everywhere: Lehmer's numbers, as Park and Miller chose them
    place=$((place * 48271 % 2147483647))
    block=$((place % blocks))
}

work_random() {
    left=$1
    while [ "$left" -gt 0 ]; do
        next_place
        dd if="$laid" of=/dev/null bs=4096 count=1 skip=$block iflag=direct 2>/dev/null || return 1
        next_place
        dd if=/dev/zero of="$laid" bs=4096 count=1 seek=$block oflag=direct conv=notrunc 2>/dev/null ||
            return 1
        left=$((left - 1))
    done
}

work_fsync() {
    left=$1
    while [ "$left" -gt 0 ]; do
        dd if=/dev/zero of="$laid.log" bs=4096 count=1 oflag=append conv=notrunc,fsync 2>/dev/null ||
            return 1
        left=$((left - 1))
    done
}

work_starts() {
    left=$1
    while [ "$left" -gt 0 ]; do
        dd if=/dev/null of=/dev/null bs=4096 count=1 2>/dev/null || return 1
        left=$((left - 1))
    done
}

listening() { # $1 = port: whether anybody takes connections there
    want=$(printf ':%04X' "$1")
    for table in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$table" ] || continue
        while read -r _ here _ state _; do
            case $here:$state in *"$want:0A") return 0 ;; esac
        done <"$table"
    done
    return 1
}

listen() { # $1 = kind, $2 = port, $3 = N
    case $1 in
        net | stream) ;;
        *) refuse 'one listens for net or stream' && return ;;
    esac
    if ! whole "$2" 5 || ! whole "$3" 5; then
        refuse 'listen wants a port, and a number of at most 5 digits'
    elif [ -n "$listener" ] || listening "$2"; then
        refuse 'somebody listens there already'
    else
        # By itself nc goes on to the next connection, each with a program of its own.
        nc -ll -p "$2" -e "$busybox" sh "$0" serve "$1" "$3" </dev/null >/dev/null 2>&1 &
        listener=$!
        centiseconds
        patience=$((now + 1000))
        until listening "$2" || [ "$now" -gt "$patience" ]; do
            sleep 0.02
            centiseconds
        done
        listening "$2" && answer '' || refuse 'nobody listens there after 10 s'
    fi
}

# Input and output of what follows are a connection, by nc; it serves, or asks.

serve_net() { exec "$busybox" cat; }

serve_stream() { # $1 = MiB
    dd of=/dev/null bs=1048576 count="$1" iflag=fullblock 2>/dev/null && echo all
}

ask_net() { # $1 = round trips
    left=$1
    while [ "$left" -gt 0 ]; do
        echo "$left"
        read -r line && [ "$line" = "$left" ] || return 1
        left=$((left - 1))
    done
}

ask_stream() { # $1 = MiB
    dd if=/dev/zero bs=1048576 count="$1" 2>/dev/null && read -r line && [ "$line" = all ]
}

linked() { # $1 = kind, $2 = address, $3 = port, $4 = N
    fits "$2" 45 '*[!0-9A-Fa-f.:]*' && [ -n "$2" ] && whole "$3" 5 && whole "$4" 5 || {
        refuse "$1 wants an address, a port, and a number of at most 5 digits"
        return
    }
    centiseconds
    begun=$now
    run nc -w 10 "$2" "$3" -e "$busybox" sh "$0" ask "$1" "$4" || {
        refuse "$1 failed: the connection, or an answer"
        return
    }
    took
}

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

work_fork() {
    left=$1
    while [ "$left" -gt 0 ]; do
        "$busybox" true || return 1 # by its path: a bare `true` is the shell's own
        left=$((left - 1))
    done
}

take_all_memory() { # the shell itself holds it, so that no child of it is killed in its place
    chunk=0123456789abcdef
    while [ ${#chunk} -lt 4194304 ]; do chunk=$chunk$chunk; done
    held=
    while :; do held=$held$chunk; done
}

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

work() { # $1 = name, $2 = amount, $3 = digits at most
    whole "$2" "$3" || {
        refuse "$1 wants a whole number from 1, of at most $3 digits"
        return
    }
    centiseconds
    begun=$now
    "work_$1" "$2" || {
        refuse "$1 failed"
        return
    }
    took
}

took() { # answers with the time since $begun, and $1
    centiseconds
    took=$((now - begun))
    answer ",\"elapsed_s\":$((took / 100)).$((took / 10 % 10))$((took % 10))$1"
}

with_file() { # $1 = name, $2 = amount
    if [ -n "$laid" ]; then work "$1" "$2" 6; else refuse 'lay out a file first'; fi
}

number() { # a JSON number, or null
    case $1 in
        '' | *[!0-9]*) printf null ;;
        *) printf '%s' "$1" ;;
    esac
}

kernel_paths="/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/drop_caches
    /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/kcore /proc/mtrr
    /sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state"

strings() { # a JSON list of the words, of 1024 at most
    left=1024
    printf '['
    comma=
    for word; do
        [ "$left" -gt 0 ] || break
        left=$((left - 1))
        case $word in # a fork for each of a thousand names would take its time
            *[!A-Za-z0-9/.:@_-]*) printf '%s%s' "$comma" "$(quote "$word")" ;;
            *) printf '%s"%s"' "$comma" "$word" ;;
        esac
        comma=,
    done
    printf ']'
}

mount_flag() { # $1 = path: into $flag, ro or rw, of the mount that it lies on
    longest=0
    flag=rw
    while read -r _ _ _ _ point options rest; do
        case $1/ in "${point%/}"/*) ;; *) continue ;; esac
        [ ${#point} -ge "$longest" ] || continue # of two at one place the later one is on top
        longest=${#point}
        case ",$options,${rest##* }," in *,ro,*) flag=ro ;; *) flag=rw ;; esac
    done </proc/self/mountinfo
}

surfaces() { # what of the kernel, devices and network there is to touch; nothing is written to
    comma=
    printf ',"kernel_paths":{'
    for path in $kernel_paths; do
        line=$(ls -ldn "$path") || continue
        mount_flag "$path"
        set -- $line
        printf '%s"%s":"%s %s %s %s"' "$comma" "$path" "$1" "$3" "$4" "$flag"
        comma=,
    done
    set --
    while read -r mode line; do
        case $mode in b*) set -- "$@" "${line##* }" ;; esac
    done <<END
$(ls -ln /dev)
END
    printf '},"block_devices":%s' "$(strings "$@")"
    set --
    while read -r line; do
        case $line in *:*) set -- "$@" "${line%%:*}" ;; esac
    done </proc/net/dev
    printf ',"interfaces":%s' "$(strings "$@")"
    set --
    while read -r _ _ _ _ point _ line; do
        case $line in *'- 9p '* | *'- virtiofs '*) set -- "$@" "$point" ;; esac
    done </proc/self/mountinfo
    printf ',"passed_mounts":%s' "$(strings "$@")"
}

processes() { # into $count: how many there are to be seen
    count=0
    for name in $(ls /proc); do
        case $name in *[!0-9]*) ;; *) count=$((count + 1)) ;; esac
    done
}

digest() { # $1 = path
    fits "$1" 400 '*[!A-Za-z0-9/._-]*' && [ -n "$1" ] || {
        refuse 'digest wants a path of letters, digits, dots, dashes, underscores and slashes'
        return
    }
    sum=
    [ ! -f "$1" ] || sum=$(sha256sum 2>/dev/null <"$1") 2>/dev/null
    [ -n "$sum" ] && answer ",\"sha256\":\"${sum%% *}\"" || answer ',"sha256":null'
}

mark() { # $1 = word
    fits "$1" 64 '*[!A-Za-z0-9]*' && [ -n "$1" ] || {
        refuse 'mark wants a word of at most 64 letters and digits'
        return
    }
    marker=$1
    if { printf '%s\n' "$1" >"$work/marker"; } 2>/dev/null; then answer ''; else refuse 'mark failed'; fi
}

marked() {
    line=
    [ ! -f "$work/marker" ] || read -r line <"$work/marker"
    answer ",\"file\":$(quote "$line"),\"memory\":\"$marker\""
}

facts() {
    while read -r key value; do
        case $key in
            CapEff:) printf ',"cap_eff":%s' "$(quote "$value")" ;;
            CapBnd:) printf ',"cap_bnd":%s' "$(quote "$value")" ;;
            Seccomp:) printf ',"seccomp":%s' "$(number "$value")" ;;
            NoNewPrivs:) printf ',"no_new_privs":%s' "$(number "$value")" ;;
        esac
    done <"/proc/$$/status"
    while read -r key value _; do
        [ "$key" != MemTotal: ] || printf ',"mem_total_kb":%s' "$(number "$value")"
    done </proc/meminfo
    while read -r key; do set -- "$@" $key; done <"/proc/$$/uid_map"
    printf ',"uid_map":%s,"uid":%s' "$(quote "$*")" "$(number "$(id -u)")"
    read -r value </proc/sys/kernel/random/boot_id
    printf ',"gid":%s,"boot_id":%s' "$(number "$(id -g)")" "$(quote "$value")"
    value=
    read -r value <"/proc/$$/attr/current"
    printf ',"lsm":%s' "$(quote "$value")"
    processes
    printf ',"processes":%s' "$count"
    surfaces
    printf ',"kernel":%s,"pid1":%s' "$(quote "$(uname -r)")" "$(quote "$(cat /proc/1/comm)")"
    printf ',"hostname":%s,"cpus":%s' "$(quote "$(hostname)")" "$(number "$(nproc)")"
    printf ',"dev_entries":%s,"namespaces":{' "$(number "$(ls /dev | wc -l)")"
    comma=
    for name in $(ls "/proc/$$/ns"); do
        printf '%s%s:%s' "$comma" "$(quote "$name")" "$(quote "$(readlink "/proc/$$/ns/$name")")"
        comma=,
    done
    printf '}'
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
