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
#   digest PATH SHA-256 of a file, or null where it cannot be read from in here
#   quit        end, as the end of stdin does
#   die         end at once, as if killed: nothing is cleaned up
#   oom         take memory until the kernel ends this very process; no answer comes
#
# Environment: TONNAGE_NONCE (said in the beacon; a guest takes it from tonnage.nonce= on its kernel's
# line), TONNAGE_GUEST=1 (there is a kernel of our own: its uptime means something), TONNAGE_WORK (folder
# for `disk`). Nothing that comes over stdin is ever evaluated.

set -f # a request is split into words, never matched against file names
export LC_ALL=C

root=${0%/*}
[ "$root" != "$0" ] || root=.
PATH=$root/bin
busybox=$root/bin/busybox
scratch=

leave() {
    kill -9 %% 2>/dev/null # the job at hand, if any, however far its start has come
    [ -z "$scratch" ] || rm -f "$scratch"
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
    scratch=${TONNAGE_WORK:-${root%/}/work}/disk.$$
    run dd if=/dev/zero of="$scratch" bs=1048576 count="$1" conv=fsync &&
        run dd if="$scratch" of=/dev/null bs=1048576
    set -- $?
    rm -f "$scratch"
    scratch=
    return "$1"
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
    centiseconds
    took=$((now - begun))
    answer ",\"elapsed_s\":$((took / 100)).$((took / 10 % 10))$((took % 10))"
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

serve() { # $1 = request, $2 = its argument
    [ $# -le 2 ] || set -- 'too many words'
    case $1 in
        ping) answer '' ;;
        uptime) own_uptime && answer ",\"uptime_s\":\"$uptime\"" ;;
        cpu | mem) work "$1" "$2" 7 ;;
        disk) work disk "$2" 4 ;;
        sys) work sys "$2" 9 ;;
        fork) work fork "$2" 6 ;;
        inspect) answer "$(facts 2>/dev/null)" ;;
        digest) digest "$2" ;;
        quit) answer '' && leave ;;
        die) kill -9 $$ ;;
        oom) take_all_memory ;;
        *) refuse 'no such request' ;;
    esac
}

if [ "$TONNAGE_GUEST" = 1 ] && [ -z "$TONNAGE_NONCE" ]; then
    read -r line </proc/cmdline
    for word in $line; do
        case $word in tonnage.nonce=*) TONNAGE_NONCE=${word#*=} ;; esac
    done
fi
[ ! -t 0 ] || stty raw -echo

own_uptime
printf '{"beacon":%s,"uptime_s":"%s"}\n' "$(quote "$TONNAGE_NONCE")" "$uptime"

while IFS= read -r line; do
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
