#!/bin/busybox sh
# First program of a guest, in its initramfs: mounts, loads the modules listed in /modules/order, and
# hands over to /guest.sh, on the disk when there is a folder /disk to mount it on.

PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo guest >/proc/sys/kernel/hostname
exec </dev/ttyS0 >/dev/ttyS0 2>&1

while read -r module; do
    insmod "/modules/$module" || echo "tonnage: module $module cannot be loaded"
done </modules/order

guest_program=$(cat /guest.sh)
[ -d /disk ] || exec sh -c "$guest_program" guest ''

left=200
until [ -b /dev/vda ] || [ $left = 0 ]; do
    sleep 0.05
    left=$((left - 1))
done
mount -t ext4 /dev/vda /disk || {
    echo 'tonnage: the disk /dev/vda cannot be mounted'
    poweroff -f
}
mount -t proc proc /disk/proc
mount -t sysfs sysfs /disk/sys
mount -t devtmpfs devtmpfs /disk/dev
home=
[ ! -e /disk/tonnage/agent.sh ] || home=/tonnage # a root file system of the user's, with the agent in it
exec switch_root /disk "$home/bin/busybox" sh -c "$guest_program" guest "$home"
