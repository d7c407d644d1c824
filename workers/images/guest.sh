# What a guest does once its root file system is there: runs the agent on its serial port, and ends when
# the agent ends or the power button is pressed.

home=$1 # folder of the agent; empty: the root
PATH=$home/bin
for name in /sys/class/input/event*/device/name; do
    [ -e "$name" ] && read -r device <"$name" && [ "$device" = 'Power Button' ] || continue
    event=${name%/device/name}
    # Opened before anything is said: what is pressed from then on waits here. One key event is 24 bytes.
    exec 3<"/dev/input/${event##*/}"
    { dd of=/dev/null bs=24 count=1 <&3 2>/dev/null && poweroff -f; } &
    exec 3<&-
done

programs=/bin
if [ -n "$home" ]; then
    ifconfig lo up
    programs=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    mkdir -p /dev/shm
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs run /run
fi
PATH=$programs TONNAGE_GUEST=1 TONNAGE_WORK=/work \
    "$home/bin/busybox" sh "$home/agent.sh" </dev/ttyS0 >/dev/ttyS0 2>/dev/null
poweroff -f
