# Bytes between two agents.

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
