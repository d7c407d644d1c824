# What can be seen from in here, and what was kept.

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
