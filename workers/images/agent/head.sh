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
