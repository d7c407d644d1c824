#!/bin/sh
# usage: deploy/own_mounts.sh FOLDER COMMAND…
#
# Runs a command in a mount namespace of its own, so that whatever it mounts is nobody else's and ends with
# it. Where the machine mixes both versions of cgroups, only the first is shown, since crun refuses the
# mixture. FOLDER is an empty one to work in. Used by playground.sh for each host.
set -eu

if [ "$1" != --inside ]; then
  exec unshare --mount --propagation slave "$0" --inside "$@"
fi
folder=$2
shift 2

if [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then
  # A fresh folder without 'unified': were it only empty, crun would make groups in it as plain folders.
  mount --rbind /sys/fs/cgroup "$folder"
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for hierarchy in "$folder"/*; do
    name=${hierarchy##*/}
    if [ -L "$hierarchy" ]; then
      cp -P "$hierarchy" "/sys/fs/cgroup/$name"
    elif [ "$name" != unified ]; then
      mkdir "/sys/fs/cgroup/$name"
      mount --bind "$hierarchy" "/sys/fs/cgroup/$name"
    fi
  done
  umount -l "$folder"
fi
exec "$@"
