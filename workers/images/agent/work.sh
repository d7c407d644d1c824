# Work that takes time, by its amount.

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
