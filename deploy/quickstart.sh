#!/usr/bin/env bash
# usage: deploy/quickstart.sh [--results DIR] [--no-install] [CAMPAIGN.yaml [-- OPTION…]]
#
# Runs a campaign on this machine and prints where the report is: one of yours, one of deploy/campaigns, or
# else quickstart.yaml there, which measures how fast bare processes, containers and virtual machines come
# and go. That one takes about three minutes on two cores; the first time, packages come on top.
#
# As root on Debian or Ubuntu it installs what is missing, starts the engines that are needed and do not
# run, and stops what it started. Without root, or elsewhere, it measures with what is there: without a
# campaign's name it says which drivers were left out, a campaign that needs an absent one is not begun.
#
#   CAMPAIGN.yaml   runs on this machine alone, whatever hosts it names
#   --results DIR   where results go (./results/CAMPAIGN-DATE-TIME). Given again, the same folder is
#                   completed: only what is missing is measured.
#   --no-install    touch no package
#   -- OPTION…      further options of `tonnage run`, such as --engine-deadline 120
#
# TONNAGE_VENV names the Python environment to use or make (.venv in this checkout), TONNAGE_PYTHON an
# interpreter, TONNAGE_DOCKER_SOCKET, TONNAGE_PODMAN_SOCKET and TONNAGE_LIBVIRT_URI engines to use. Where all engines in use are
# started here, TONNAGE_MAY_RESTART_ENGINES is set: experiments may then restart them.
# Exit codes are those of `tonnage run`: 0 all measured, 1 an engine is absent, 2 the campaign is wrong, 3
# something missing or failed, 5 interrupted.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=deploy/engines.sh
source "$ROOT/deploy/engines.sh"

HOST=quickstart
RESULTS=
CAMPAIGN=       # the file that was named; empty for the sample that suits this machine
OPTIONS=()      # for `tonnage run`
WANTED=(process docker libvirt)
DRIVERS=()      # those of WANTED that work here
ABSENT=()       # why the others do not
CHILD=

read_arguments() {
  while (($#)); do
    case $1 in
      --results)
        [[ -n ${2:-} ]] || fail '--results needs a folder'
        RESULTS=$(realpath -m -- "$2")
        shift
        ;;
      --no-install) INSTALL=no ;;
      -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
      --)
        OPTIONS=("${@:2}")
        break
        ;;
      *.yaml | *.yml)
        [[ -z $CAMPAIGN ]] || fail "one campaign at a time, not also $1"
        [[ -f $1 ]] || fail "there is no file $1"
        CAMPAIGN=$(realpath -- "$1")
        ;;
      *) fail "unknown: $1 (see --help)" ;;
    esac
    shift
  done
  [[ -n $CAMPAIGN || ${#OPTIONS[@]} -eq 0 ]] || fail 'options after -- go with a campaign'
  local name=${CAMPAIGN##*/}
  name=${name%.*}
  : "${RESULTS:=$PWD/results/${name:-quickstart}-$(date +%Y%m%d-%H%M%S)}"
}

# read_campaign: sees that the named campaign can be run at all, and which drivers it needs.
read_campaign() {
  [[ -n $CAMPAIGN ]] || return 0
  begin campaign
  local said
  said=$("$VENV/bin/tonnage" validate "$CAMPAIGN" 2>&1) || { printf '\n%s\n' "$said" >&2; exit 2; }
  mapfile -t WANTED < <("$VENV/bin/python" - "$CAMPAIGN" <<'PYTHON'
import pathlib, sys
from contract.campaign import load_campaign
from workers.discover import build_catalog
campaign, _ = load_campaign(pathlib.Path(sys.argv[1]))
named = {name for entry in campaign.experiments for name in entry.drivers}
profiles, meant = campaign.profiles, build_catalog().driver_of
print("\n".join(sorted({meant(profiles[n].driver, profiles[n].settings).name if n in profiles else n for n in named})))
PYTHON
  )
  finish "${said##*: }"
}

wants() {
  [[ " ${WANTED[*]} " == *" $1 "* ]]
}

# on_signal: the campaign is asked to end, and ends in its own way; before it runs, we just leave.
on_signal() {
  [[ -n $CHILD ]] || exit 5
  kill -s INT "$CHILD" 2>/dev/null || true
}

clean_up() {
  local status=$?
  trap '' INT TERM HUP
  release_services
  if [[ -n $ENGINES_DIR ]]; then
    # What it still measures after an interruption goes with its private state.
    stop_daemons 10 worker
    ((status == 0)) || sweep
    ((status == 0 || status == 5)) || keep_logs
    stop_engines
  fi
  give_back
  return "$status"
}

# sweep: what a campaign that did not end well has left in engines that stay.
sweep() {
  [[ ! -x $VENV/bin/tonnage ]] || timeout 60 "$VENV/bin/tonnage" sweep --host "$HOST" >>"$ENGINES_DIR/log/sweep.log" 2>&1 || true
}

keep_logs() {
  local kept
  kept=$(mktemp -d /tmp/tonnage-logs-XXXXXX)
  cp "$ENGINES_DIR"/log/* "$kept" 2>/dev/null || true
  printf 'logs: %s\n' "$kept" >&2
}

# give_back: under sudo, results and environment belong to the one who asked.
give_back() {
  [[ -n ${SUDO_UID:-} && $EUID -eq 0 ]] || return 0
  local path
  for path in "$RESULTS" "$(dirname "$RESULTS")" "$VENV"; do
    [[ ! -e $path || $(stat -c %u "$(dirname "$path")") != "$SUDO_UID" ]] ||
      chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$path"
  done
}

# start_all_engines: those that are wanted. What is absent is said, and ends a named campaign.
start_all_engines() {
  local driver
  for driver in process docker podman libvirt libvirt_lxc; do
    ! wants "$driver" || "offer_$driver"
  done
  offer_registry
  if [[ -n $CAMPAIGN ]] && ((${#ABSENT[@]})); then
    printf 'error: %s needs what is not here:\n' "$CAMPAIGN" >&2
    printf '  %s\n' "${ABSENT[@]}" >&2
    exit 1
  fi
  may_restart
}

# leave_out DRIVER WHY
leave_out() {
  ABSENT+=("$1: $2")
  finish "left out: $2"
}

offer_process() {
  begin process
  if fetch_busybox "$ENGINES_DIR/log/apt.log"; then
    DRIVERS+=(process)
    finish 'ready'
  else
    leave_out process 'no static busybox: apt install busybox-static'
  fi
}

offer_docker() {
  begin docker
  if start_docker; then
    DRIVERS+=(docker)
    finish "$(whose "$DOCKER_SOCKET")"
  else
    leave_out docker "$(why_no_docker)"
  fi
}

offer_podman() {
  begin podman
  if start_podman; then
    DRIVERS+=(podman)
    finish "$(whose "$PODMAN_SOCKET")"
  elif ((EUID != 0)); then
    leave_out podman "no service answers: start this user's with 'systemctl --user start podman.socket', or run this script as root"
  else
    leave_out podman "$(has podman && echo 'its service does not start; its log is above' || echo 'no engine: apt install podman')"
  fi
}

offer_libvirt_lxc() {
  begin libvirt_lxc
  if ! start_libvirt; then
    leave_out libvirt_lxc "$(why_no_libvirt)"
  elif lxc_answers; then
    DRIVERS+=(libvirt_lxc)
    finish 'lxc:///'
  else
    leave_out libvirt_lxc 'this libvirt holds no containers: apt install libvirt-daemon-driver-lxc, and restart it'
  fi
}

offer_libvirt() {
  begin libvirt
  if start_libvirt; then
    DRIVERS+=(libvirt)
    if daemon_lives libvirtd; then finish 'started for this run'; else finish "$LIBVIRT_URI"; fi
  else
    leave_out libvirt "$(why_no_libvirt)"
  fi
}

# offer_registry: for campaigns whose images travel, unless TONNAGE_REGISTRY names one.
offer_registry() {
  [[ -n $CAMPAIGN && -z ${TONNAGE_REGISTRY:-} ]] || return 0
  grep -Eq 'experiment: *(deployment|rollout)' "$CAMPAIGN" || return 0
  begin registry
  if start_registry 127.0.0.1; then
    export TONNAGE_REGISTRY=$REGISTRY
    finish "$REGISTRY, started for this run"
  else
    leave_out registry 'no registry starts here: apt install docker-registry, or name one with TONNAGE_REGISTRY'
  fi
}

# may_restart: engines that were started for this run may be restarted by experiments, others not. One
# switch stands for all, so it is set only where none of the machine's own is in use.
may_restart() {
  [[ -n ${TONNAGE_MAY_RESTART_ENGINES:-} ]] && return 0
  [[ " ${DRIVERS[*]-} " != *' docker '* ]] || daemon_lives dockerd || return 0
  [[ " ${DRIVERS[*]-} " != *' libvirt '* ]] || daemon_lives libvirtd || return 0
  export TONNAGE_MAY_RESTART_ENGINES=1
}

whose() {
  [[ $1 == "$ENGINES_DIR"/* ]] && echo 'started for this run' || echo "$1"
}


why_no_docker() {
  if ((EUID == 0)); then
    has dockerd && echo "dockerd does not start; its log is above" || echo 'no engine: apt install docker.io'
  elif [[ -S /var/run/docker.sock && ! -w /var/run/docker.sock ]]; then
    echo "this user may not use /var/run/docker.sock: join group docker, or run this script as root"
  else
    echo 'no engine answers: start Docker, or run this script as root'
  fi
}

why_no_libvirt() {
  if ! "$VENV/bin/python" -c 'import libvirt' 2>/dev/null; then
    echo 'its Python client is missing: run this script as root, or apt install libvirt-dev pkg-config gcc python3-dev'
  elif ((EUID != 0)); then
    echo "$LIBVIRT_URI does not answer this user: join group libvirt, or run this script as root"
  elif has libvirtd && has qemu-system-x86_64; then
    echo 'libvirtd does not start; its log is above'
  else
    echo 'no engine: apt install libvirt-daemon-system qemu-system-x86 qemu-utils'
  fi
}

# start_worker: the worker of this one host, on a Redis of its own. Without a Redis, one process does both
# parts and the campaign is the same.
start_worker() {
  export TONNAGE_NAME=$HOST TONNAGE_STATE_DIR=$ENGINES_DIR/state TONNAGE_RUN_DIR=$ENGINES_DIR/run
  export TONNAGE_LIBVIRT_URI=$LIBVIRT_URI
  [[ -z $DOCKER_SOCKET ]] || export TONNAGE_DOCKER_SOCKET=$DOCKER_SOCKET
  [[ -z $PODMAN_SOCKET ]] || export TONNAGE_PODMAN_SOCKET=$PODMAN_SOCKET
  if [[ -n $CAMPAIGN ]]; then  # may name hosts that are not here: one process does both parts
    unset TONNAGE_BROKER
    return
  fi
  begin worker
  if ! start_redis; then
    unset TONNAGE_BROKER
    finish 'left out, so everything runs in one process: no Redis starts here: apt install redis-server'
    return
  fi
  export TONNAGE_BROKER=$BROKER
  mkdir -p "$ENGINES_DIR/tmp"
  start_daemon worker env TMPDIR="$ENGINES_DIR/tmp" "$VENV/bin/tonnage" worker
  wait_for 60 worker worker_is_known || fail 'the worker does not start'
  finish "host '$HOST', through Celery and Redis on 127.0.0.1:$REDIS_PORT"
}

worker_is_known() {
  timeout 30 "$VENV/bin/tonnage" hosts 2>/dev/null | grep -qw "$HOST"
}

# choose_sample: quickstart.yaml without the drivers that are absent, or a sample that needs none of them.
choose_sample() {
  local driver sample=quickstart
  case ${DRIVERS[*]-} in
    '') sample=simulated ;;
    process) sample=quickstart-process ;;
    *)
      for driver in process docker libvirt; do
        [[ " ${DRIVERS[*]} " == *" $driver "* ]] || options+=(--skip-driver "$driver")
      done
      ;;
  esac
  CAMPAIGN=$ROOT/deploy/campaigns/$sample.yaml
}

# run_campaign: the named one as it stands, or a sample cut down to the drivers that work here. In a session
# of its own, so that one Ctrl-C is one request to end.
run_campaign() {
  local status=0 options=(--results "$RESULTS" ${OPTIONS[@]+"${OPTIONS[@]}"}) named=()
  [[ -z $CAMPAIGN ]] || named=("$CAMPAIGN")
  [[ -n $CAMPAIGN ]] || choose_sample
  [[ -n ${TONNAGE_BROKER:-} ]] || options+=(--local)
  printf '\n'
  setsid env --default-signal=INT "$VENV/bin/tonnage" run "$CAMPAIGN" "${options[@]}" &
  CHILD=$!
  wait "$CHILD" || status=$?
  while started_at "$CHILD" >/dev/null; do
    status=0
    wait "$CHILD" || status=$?
  done
  ((status != 0)) || say_next
  ((status != 5)) || printf 'to go on: deploy/quickstart.sh --results %q %s\n' "$RESULTS" "${named[*]@Q}" >&2
  return "$status"
}

# say_next: what a reader of the last lines wants to know. The command may be on nobody's path yet.
say_next() {
  printf 'next: open the report in a browser; the command: . %q/bin/activate && tonnage --help\n' "$VENV"
}

main() {
  read_arguments "$@"
  trap clean_up EXIT
  trap on_signal INT TERM HUP
  lock_checkout
  begin_engines
  set_up_machine "$ENGINES_DIR/log"
  set_up_python "$ENGINES_DIR/log"
  read_campaign
  start_all_engines
  start_worker
  run_campaign
}

main "$@"
