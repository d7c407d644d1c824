# Disk access past the page cache, on a file that was laid out before.

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
