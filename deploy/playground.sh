#!/usr/bin/env bash
# usage: deploy/playground.sh up N | down | status | cut HOST | join HOST
#
# N hosts on one machine, to try a fleet without one. Needs root. Each host h1, h2, … is a network and a
# mount namespace with its own dockerd and its own worker; all share this machine's kernel, processors and
# libvirt, so neighbours disturb each other's numbers: a place to learn and to test, not to compare.
#
#   up N        starts them, and a Redis and an image registry that they all reach; prints the broker's URL
#               and what to run next
#   down        stops and removes everything; safe to repeat
#   status      what lives
#   cut HOST    takes the host's network link down, join HOST brings it back
#
# TONNAGE_PLAYGROUND is the folder for all state (/var/lib/tonnage-playground), TONNAGE_SUBNET the first
# three numbers of the network (10.213.0). TONNAGE_VENV names the Python environment (.venv).
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=deploy/engines.sh
source "$ROOT/deploy/engines.sh"

PLAYGROUND=${TONNAGE_PLAYGROUND:-/var/lib/tonnage-playground}
SUBNET=${TONNAGE_SUBNET:-10.213.0}
BRIDGE=tonnage0
MAX_HOSTS=100 # each costs some 150 MiB for its engine and worker
OUTLIVE=1

up() {
  if [[ ! ${1:-} =~ ^[1-9][0-9]{0,2}$ ]] || (($1 > MAX_HOSTS)); then
    fail "up needs a number of hosts, 1 to $MAX_HOSTS"
  fi
  [[ ! -e $PLAYGROUND ]] || fail "$PLAYGROUND is there already: deploy/playground.sh down"
  ((${#PLAYGROUND} <= 50)) || fail "TONNAGE_PLAYGROUND is too long for the sockets inside: 50 bytes at most"
  ip link show "$BRIDGE" >/dev/null 2>&1 && fail "network device $BRIDGE exists and is not ours"
  trap roll_back EXIT
  trap 'exit 5' INT TERM HUP
  use_engines_dir "$PLAYGROUND"
  set_up_machine "$PLAYGROUND/log"
  set_up_python "$PLAYGROUND/log"
  local tool n
  for tool in dockerd nsenter ip; do has "$tool" || fail "'$tool' is needed and could not be installed"; done
  start_shared
  begin hosts
  for ((n = 1; n <= $1; n++)); do make_host "$n"; done
  for ((n = 1; n <= $1; n++)); do await_engine "$n"; done
  finish "$(host_names)"
  start_workers
  trap - EXIT
  say_next
}

# roll_back: half a playground is none.
roll_back() {
  local status=$?
  trap '' INT TERM HUP
  ((status == 0)) || printf 'stopping what was started\n' >&2
  release_services
  take_down
  return "$status"
}

# start_shared: what the hosts have in common.
start_shared() {
  begin network
  ip link add "$BRIDGE" type bridge
  : >"$PLAYGROUND/network"
  ip addr add "$SUBNET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  finish "$BRIDGE, $SUBNET.0/24"
  begin redis
  REDIS_ADDRESS=$SUBNET.1
  start_redis || fail 'Redis does not start'
  (umask 077 && printf '%s\n' "$BROKER" >"$PLAYGROUND/broker")
  finish "127.0.0.1:$REDIS_PORT and $SUBNET.1:$REDIS_PORT"
  begin registry
  if start_registry "$SUBNET.1"; then
    finish "$REGISTRY"
  else
    REGISTRY=
    finish 'none: images that travel are left out'
  fi
  begin libvirt
  if start_libvirt; then finish "$LIBVIRT_URI, shared"; else finish 'none: virtual machines are left out'; fi
}

# make_host N: its namespaces, its link to the bridge, and its engine.
make_host() {
  local host=h$1 space=tonnage-h$1
  ip netns add "$space"
  ip link add "tonnage-h$1" type veth peer name eth0 netns "$space"
  ip link set "tonnage-h$1" master "$BRIDGE" up
  ip -n "$space" addr add "$SUBNET.$((10 + $1))/24" dev eth0
  ip -n "$space" link set lo up
  ip -n "$space" link set eth0 up
  ip -n "$space" route add default via "$SUBNET.1"
  mkdir -p "$PLAYGROUND/$host/mounts"
  # Not `ip netns exec`: that mounts a /sys of its own, in which dockerd finds no cgroups.
  PREFIX=(nsenter "--net=/run/netns/$space" "$ROOT/deploy/own_mounts.sh" "$PLAYGROUND/$host/mounts")
  start_dockerd "dockerd-$host" "$PLAYGROUND/$host" --insecure-registry "$SUBNET.0/24"
}

await_engine() {
  wait_for 60 "dockerd-h$1" docker_answers "$PLAYGROUND/h$1/docker.sock" || fail "dockerd of h$1 does not start"
}

start_workers() {
  local host link
  begin workers
  # Links hang in the network that this script and Redis run in, where the workers are not.
  printf -v link 'nsenter --target %s --net %q' "$(pid_of redis)" "$ROOT/deploy/playground.sh"
  for host in $(host_names); do
    mkdir -p "$PLAYGROUND/$host/tmp"
    start_daemon "worker-$host" nsenter --target "$(pid_of "dockerd-$host")" --net --mount env \
      TONNAGE_BROKER="redis://:$REDIS_PASSWORD@$SUBNET.1:$REDIS_PORT/0" \
      TONNAGE_LIBVIRT_URI="$LIBVIRT_URI" TMPDIR="$PLAYGROUND/$host/tmp" TONNAGE_PLAYGROUND="$PLAYGROUND" \
      ${REGISTRY:+TONNAGE_REGISTRY="http://$REGISTRY"} \
      TONNAGE_LOSE_COMMAND="$link cut $host" TONNAGE_REGAIN_COMMAND="$link join $host" \
      "$VENV/bin/tonnage" worker --name "$host" --label "playground=yes" \
      --state-dir "$PLAYGROUND/$host/state" --run-dir "$PLAYGROUND/$host/run" \
      --docker-socket "$PLAYGROUND/$host/docker.sock"
  done
  for host in $(host_names); do
    wait_for 90 "worker-$host" is_known "$host" || fail "the worker of $host does not start"
  done
  finish "$(host_names)"
}

is_known() {
  TONNAGE_BROKER=$BROKER timeout 30 "$VENV/bin/tonnage" hosts 2>/dev/null | grep -qw "$1"
}

# host_names: those that were made, in order.
host_names() {
  local folder names=()
  for folder in "$PLAYGROUND"/h[0-9]*; do
    [[ ! -d $folder ]] || names+=("${folder##*/}")
  done
  ((${#names[@]} == 0)) || printf '%s\n' "${names[@]}" | sort -V | paste -sd ' '
}

say_next() {
  local tonnage=$VENV/bin/tonnage
  cat <<TEXT

broker: $BROKER

    export TONNAGE_BROKER=$BROKER
    $tonnage hosts
    $tonnage run $ROOT/deploy/campaigns/lifecycle.yaml
    deploy/playground.sh down
TEXT
}

down() {
  [[ -e $PLAYGROUND ]] || { echo 'nothing is up'; return 0; }
  [[ -f $PLAYGROUND/daemons ]] || fail "$PLAYGROUND does not look like a playground; it is left alone"
  trap '' INT TERM HUP
  use_engines_dir "$PLAYGROUND"
  take_down
  echo 'all stopped and removed'
}

# take_down: workers first, then what they left in the shared libvirt, then engines, then the network.
take_down() {
  local host
  find_python || true
  stop_daemons 20 'worker-*'
  for host in $(host_names); do sweep_host "$host"; done
  stop_daemons 30 'dockerd-*'
  for host in $(host_names); do
    ip netns delete "tonnage-$host" 2>/dev/null || true
    ip link delete "tonnage-$host" 2>/dev/null || true
  done
  [[ ! -e $PLAYGROUND/network ]] || ip link delete "$BRIDGE" 2>/dev/null || true
  stop_engines
}

sweep_host() {
  [[ -x $VENV/bin/tonnage && -S $PLAYGROUND/$1/docker.sock ]] || return 0
  TONNAGE_STATE_DIR=$PLAYGROUND/$1/state TONNAGE_RUN_DIR=$PLAYGROUND/$1/run \
    TONNAGE_DOCKER_SOCKET=$PLAYGROUND/$1/docker.sock TONNAGE_LIBVIRT_URI=$LIBVIRT_URI \
    timeout 60 "$VENV/bin/tonnage" sweep --host "$1" >>"$ENGINES_DIR/log/sweep.log" 2>&1 || true
}

status() {
  [[ -f $PLAYGROUND/daemons ]] || { echo 'nothing is up'; return 0; }
  use_engines_dir "$PLAYGROUND"
  local host
  printf 'broker: %s   redis %s\n' "$(cat "$PLAYGROUND/broker" 2>/dev/null)" "$(says_lives redis)"
  for host in $(host_names); do
    printf '%-5s link %-5s dockerd %-5s worker %s\n' "$host" \
      "$(cat "/sys/class/net/tonnage-$host/operstate" 2>/dev/null || echo none)" \
      "$(says_lives "dockerd-$host")" "$(says_lives "worker-$host")"
  done
}

says_lives() {
  if daemon_lives "$1"; then echo up; else echo dead; fi
}

# set_link HOST up|down
set_link() {
  [[ -d $PLAYGROUND/${1:-none} ]] || fail "no host '${1:-}'; there are: $(host_names)"
  ip link set "tonnage-$1" "$2"
}

main() {
  case ${1:-} in
    -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
    up | down | status | cut | join) ((EUID == 0)) || fail 'network namespaces need root' ;;
    *) say_usage "${BASH_SOURCE[0]}" >&2 && exit 1 ;;
  esac
  case $1 in
    up) up "${2:-}" ;;
    down) down ;;
    status) status ;;
    cut) set_link "${2:-}" down ;;
    join) set_link "${2:-}" up ;;
  esac
}

main "$@"
