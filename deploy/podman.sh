# shellcheck shell=bash
# Podman's service, and what it and libvirt's containers need of a host's control groups.
# Sourced by engines.sh.

PODMAN_SOCKET=          # set by start_podman
HIDING=()               # set by hide_mixed_cgroups

# hide_mixed_cgroups: sets HIDING to the command that runs a daemon where control groups of version 1 are
# all there is, on a host whose version 2 has controllers beside them: crun, and libvirt's LXC, refuse that.
hide_mixed_cgroups() {
  local mixed=/sys/fs/cgroup/unified
  HIDING=()
  grep -q . "$mixed/cgroup.controllers" 2>/dev/null || return 0
  # shellcheck disable=SC2016
  HIDING=(unshare --mount --propagation slave sh -c 'umount "$0" && exec "$@"' "$mixed")
}

# start_podman: sets PODMAN_SOCKET to a service that answers: the machine's, or else one of our own, which
# keeps everything in the private folder. Returns 1 when there is none.
start_podman() {
  PODMAN_SOCKET=${TONNAGE_PODMAN_SOCKET:-/run/podman/podman.sock}
  docker_answers "$PODMAN_SOCKET" && return 0
  PODMAN_SOCKET=
  ((EUID == 0)) && has podman || return 1
  local folder=$ENGINES_DIR/podman files processes numbers
  mkdir -p "$folder"
  # Podman's own limits are higher than what root may set in many a container.
  files=$(ulimit -H -n) processes=$(ulimit -H -u) numbers=$(</proc/sys/kernel/pid_max)
  [[ $files != unlimited ]] || files=1048576
  [[ $processes != unlimited ]] && ((processes < numbers)) || processes=$numbers
  printf '%s\n' '[containers]' "default_ulimits = [\"nofile=$files:$files\", \"nproc=$processes:$processes\"]" \
    '[engine]' 'events_logger = "file"' 'cgroup_manager = "cgroupfs"' \
    '[network]' "network_config_dir = \"$folder/networks\"" >"$folder/containers.conf"
  podman_network "$folder/networks"
  # As Docker does, it takes a registry on this machine without TLS.
  printf '%s\n' '[[registry]]' 'location = "127.0.0.1"' 'insecure = true' >"$folder/registries.conf"
  remember_cgroups
  hide_mixed_cgroups
  start_daemon podman env CONTAINERS_CONF="$folder/containers.conf" \
    CONTAINERS_REGISTRIES_CONF="$folder/registries.conf" ${HIDING[@]+"${HIDING[@]}"} \
    podman --root "$folder/data" --runroot "$folder/run" --tmpdir "$folder/tmp" \
    system service --time=0 "unix://$folder/podman.sock"
  wait_for 30 podman docker_answers "$folder/podman.sock" || return 1
  PODMAN_SOCKET=$folder/podman.sock
}

# podman_network FOLDER: Podman's default network on a bridge of ours, without a word to the machine's packet
# filter. Where Podman has no CNI plugins its networks have another form, and it makes one by itself.
podman_network() {
  local name address
  mkdir -p "$1"
  [[ -x /usr/lib/cni/bridge || -x /usr/libexec/cni/bridge || -x /opt/cni/bin/bridge ]] || return 0
  has ip && make_bridge "$ENGINES_DIR/podman-bridge" || return 0
  name=$(<"$ENGINES_DIR/podman-bridge")
  address=$(ip -4 -o addr show dev "$name" | awk '{ print $4 }')
  printf '%s' '{"cniVersion": "0.4.0", "name": "podman", "plugins": [{"type": "bridge", "bridge": "'"$name"'",' \
    '"isGateway": false, "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "'"$1/addresses"'",' \
    '"ranges": [[{"subnet": "'"${address%.*}.0/24"'", "rangeStart": "'"${address%.*}.10"'"}]]}}]}' >"$1/87-podman.conflist"
}

# lxc_answers: whether that libvirt also holds containers.
lxc_answers() {
  timeout 20 "$VENV/bin/python" -c 'import libvirt; libvirt.open("lxc:///")' 2>/dev/null
}
