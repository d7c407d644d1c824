# shellcheck shell=bash
# Engines that are there for as long as a script runs: Redis, dockerd, Podman's service, libvirtd.
# Sourced, after setup.sh. What answers already is used as it is. What is started here keeps its data,
# sockets and logs in one private folder, is on record there by process id, and is stopped by
# stop_engines, which also removes everything it left. Call begin_engines first, and stop_engines from
# the EXIT trap.

ENGINES_DIR=            # the private folder
BROKER=                 # set by start_redis: URL, with its password
DOCKER_SOCKET=          # set by start_docker
REGISTRY=               # set by start_registry
LIBVIRT_URI=${TONNAGE_LIBVIRT_URI:-qemu:///system}
OUTLIVE=                # set to let daemons outlive the script that started them
LIBVIRT_MAX_REQUESTS=64 # libvirt's own 5 would make its queue the thing that is measured

# shellcheck source=deploy/kvm.sh
source "$ROOT/deploy/kvm.sh"
# shellcheck source=deploy/podman.sh
source "$ROOT/deploy/podman.sh"

# begin_engines: makes the private folder. Short, since a socket's path may have 107 bytes, and on a
# disk: where /tmp is memory, images would compete with the instances for it.
begin_engines() {
  local top=/tmp
  [[ $(stat -f -c %T /tmp) != tmpfs ]] || top=/var/tmp
  clear_abandoned "$top"
  use_engines_dir "$(mktemp -d "$top/tonnage-XXXXXX")"
  printf '%s %s\n' "$$" "$(started_at "$$")" >"$ENGINES_DIR/script"
}

# clear_abandoned TOP: private folders of scripts that were killed before they could tidy up.
clear_abandoned() {
  local script pid start
  for script in "$1"/tonnage-??????/script; do
    [[ -O $script ]] || continue
    read -r pid start <"$script"
    [[ $(started_at "$pid") != "$start" ]] || continue
    ENGINES_DIR=$(dirname "$script")
    stop_engines
  done
}

# use_engines_dir FOLDER: begins, or goes on, with a folder that has a name.
use_engines_dir() {
  ENGINES_DIR=$1
  mkdir -p "$ENGINES_DIR/log"
  # QEMU runs as a user of its own and must get through to its kernel, disk and sockets, not list them.
  chmod 711 "$ENGINES_DIR"
  : >>"$ENGINES_DIR/daemons"
}

# started_at PID: start time of a process in clock ticks since boot: with the id, it names one process for
# ever. Returns 1 when it is dead, whether or not somebody has fetched its exit code.
started_at() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != [ZX] ]] && echo "${fields[19]}"
}

# start_daemon NAME COMMAND…: runs it in a session of its own, so that Ctrl-C reaches it only through
# us. It dies with the script, however that ends, unless OUTLIVE is set.
start_daemon() {
  local name=$1 tie=()
  shift
  if [[ -z $OUTLIVE ]] && has setpriv; then
    tie=(setpriv --pdeathsig TERM)
  fi
  setsid "${tie[@]}" "$@" </dev/null >>"$ENGINES_DIR/log/$name.log" 2>&1 9>&- &
  printf '%s %s %s\n' "$!" "$(started_at "$!" || echo 0)" "$name" >>"$ENGINES_DIR/daemons"
  # Its end is looked for, never waited for: the shell need not speak of it.
  disown "$!"
}

# pid_of NAME: process id of a daemon that lives. Returns 1 when it does not.
pid_of() {
  local pid start name
  while read -r pid start name; do
    [[ $name == "$1" && $(started_at "$pid") == "$start" ]] && echo "$pid" && return 0
  done <"$ENGINES_DIR/daemons"
  return 1
}

# daemon_lives NAME
daemon_lives() {
  pid_of "$1" >/dev/null
}

# wait_for SECONDS NAME CHECK…: until the check succeeds. When the time is over or the daemon is dead,
# shows the end of its log and returns 1.
wait_for() {
  local name=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    if ! daemon_lives "$name" || ((SECONDS >= end)); then
      show_log "$ENGINES_DIR/log/$name.log"
      return 1
    fi
    sleep 0.2
  done
}

free_port() {
  "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_redis: a Redis of our own on loopback, and on REDIS_ADDRESS. Sets BROKER to its loopback URL,
# REDIS_PORT and REDIS_PASSWORD. Returns 1 when there is no server or it does not come up.
start_redis() {
  local server
  server=$(command -v redis-server || command -v valkey-server) || return 1
  mkdir -p "$ENGINES_DIR/redis"
  REDIS_PORT=$(free_port)
  REDIS_PASSWORD=$(od -An -N 16 -t x1 /dev/urandom | tr -d ' \n')
  # In a file, not among the arguments: every user can list those.
  (
    umask 077
    printf '%s\n' "bind 127.0.0.1 ${REDIS_ADDRESS:-}" "port $REDIS_PORT" "requirepass $REDIS_PASSWORD" \
      "dir $ENGINES_DIR/redis" 'appendonly yes' 'save ""' 'daemonize no' >"$ENGINES_DIR/redis.conf"
  )
  start_daemon redis "$server" "$ENGINES_DIR/redis.conf"
  wait_for 15 redis redis_answers || return 1
  # shellcheck disable=SC2034
  BROKER=redis://:$REDIS_PASSWORD@127.0.0.1:$REDIS_PORT/0
}

redis_answers() {
  { exec 8<>"/dev/tcp/127.0.0.1/$REDIS_PORT"; } 2>/dev/null || return 1
  local answer
  printf 'AUTH %s\r\nPING\r\n' "$REDIS_PASSWORD" >&8
  read -r -t 2 -u 8 answer && read -r -t 2 -u 8 answer
  exec 8>&-
  [[ $answer == +PONG* ]]
}

# start_registry ADDRESS: an OCI registry of our own there, HOST:PORT in REGISTRY. Returns 1 when there is
# no docker-registry or it does not come up.
start_registry() {
  has docker-registry || return 1
  REGISTRY=$1:$(free_port)
  mkdir -p "$ENGINES_DIR/registry"
  printf '%s\n' 'version: 0.1' 'log: {level: warn}' "http: {addr: '$REGISTRY'}" \
    "storage: {filesystem: {rootdirectory: '$ENGINES_DIR/registry'}}" >"$ENGINES_DIR/registry.yml"
  start_daemon registry docker-registry serve "$ENGINES_DIR/registry.yml"
  wait_for 15 registry registry_answers || return 1
}

registry_answers() {
  { exec 8<>"/dev/tcp/${REGISTRY%:*}/${REGISTRY##*:}"; } 2>/dev/null || return 1
  local answer
  printf 'GET /v2/ HTTP/1.0\r\n\r\n' >&8
  read -r -t 2 -u 8 answer
  exec 8>&-
  [[ $answer == *' 200 '* ]]
}

# docker_answers SOCKET
docker_answers() {
  [[ -S $1 && -w $1 ]] || return 1
  timeout 20 "$PYTHON" - "$1" <<'PYTHON' 2>/dev/null
import socket, sys
engine = socket.socket(socket.AF_UNIX)
engine.settimeout(10)
engine.connect(sys.argv[1])
engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
sys.exit(b" 200 " not in engine.recv(64))
PYTHON
}

# start_docker: sets DOCKER_SOCKET to an engine that answers: the machine's, or else one of our own.
# Returns 1 when there is none.
start_docker() {
  DOCKER_SOCKET=${TONNAGE_DOCKER_SOCKET:-/var/run/docker.sock}
  docker_answers "$DOCKER_SOCKET" && return 0
  DOCKER_SOCKET=
  ((EUID == 0)) && has dockerd && has ip || return 1
  make_bridge || return 1
  # It has a bridge of its own and leaves the machine's packet filter alone.
  start_dockerd dockerd "$ENGINES_DIR" --bridge "$(<"$ENGINES_DIR/bridge")" \
    --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false
  wait_for 60 dockerd docker_answers "$ENGINES_DIR/docker.sock" || return 1
  DOCKER_SOCKET=$ENGINES_DIR/docker.sock
}

# start_dockerd NAME FOLDER OPTION…: an engine that keeps everything in FOLDER. PREFIX, when set, is the
# command that runs it (an array).
start_dockerd() {
  local name=$1 folder=$2 options=()
  shift 2
  mkdir -p "$folder"
  # The machine's own settings may contradict ours, which dockerd refuses.
  printf '{}\n' >"$folder/daemon.json"
  has crun && options+=(--add-runtime "crun=$(command -v crun)")
  if [[ -S /run/containerd/containerd.sock ]]; then
    options+=(--containerd-namespace "tonnage-$$-$name" --containerd-plugins-namespace "tonnage-$$-$name-plugins")
  fi
  remember_cgroups
  start_daemon "$name" ${PREFIX[@]+"${PREFIX[@]}"} dockerd --config-file "$folder/daemon.json" \
    --data-root "$folder/docker" --exec-root "$folder/exec" --pidfile "$folder/docker.pid" \
    --host "unix://$folder/docker.sock" --log-level warn "${options[@]}" "$@"
}

# make_bridge [RECORD]: a network bridge for containers, on a private subnet that no route of the machine
# knows. Its name goes into the file RECORD.
make_bridge() {
  local name n record=${1:-$ENGINES_DIR/bridge}
  name=tng$(od -An -N 4 -t x1 /dev/urandom | tr -d ' \n')
  for n in {1..250}; do
    ip -4 route show to match "10.214.$n.1" | grep -qv '^default' && continue
    ip link add "$name" type bridge 2>/dev/null || return 1
    printf '%s\n' "$name" >"$record"
    ip addr add "10.214.$n.1/24" dev "$name" && ip link set "$name" up
    return
  done
  return 1
}

# libvirt_answers: whether this user may use the machine's libvirt.
libvirt_answers() {
  timeout 20 "$VENV/bin/python" -c 'import libvirt, sys; libvirt.open(sys.argv[1])' \
    "${LIBVIRT_URI%% *}" 2>/dev/null
}

# start_libvirt: sees that LIBVIRT_URI answers, if need be by starting libvirtd and its log daemon.
# Returns 1 when it does not.
start_libvirt() {
  libvirt_answers && return 0
  ((EUID == 0)) && has libvirtd && has virtlogd && has qemu-system-x86_64 || return 1
  "$VENV/bin/python" -c 'import libvirt' 2>/dev/null || return 1
  printf '%s\n' 'auth_unix_ro = "none"' 'auth_unix_rw = "none"' 'unix_sock_rw_perms = "0700"' \
    "max_client_requests = $LIBVIRT_MAX_REQUESTS" "max_workers = $LIBVIRT_MAX_REQUESTS" \
    >"$ENGINES_DIR/libvirtd.conf"
  remember_cgroups
  lend_kvm
  start_daemon virtlogd virtlogd --pid-file "$ENGINES_DIR/virtlogd.pid"
  # The machine's virtual networks start by themselves, with bridges and packet filter rules: in a network
  # namespace of their own they end with it. Our guests have no network.
  hide_mixed_cgroups
  start_daemon libvirtd ${HIDING[@]+"${HIDING[@]}"} unshare --net \
    libvirtd --config "$ENGINES_DIR/libvirtd.conf" --pid-file "$ENGINES_DIR/libvirtd.pid"
  wait_for 30 libvirtd libvirt_answers
}

# remember_cgroups: engines leave their empty parent groups behind; only those that were not there go.
remember_cgroups() {
  local top name
  [[ ! -e $ENGINES_DIR/cgroups ]] || return 0
  for top in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    for name in docker machine libpod_parent; do
      [[ ! -e ${top%/}/$name ]] && printf '%s\n' "${top%/}/$name"
    done
  done >"$ENGINES_DIR/cgroups" || true
}

# stop_daemons SECONDS [PATTERN]: ends those whose name matches, the newest first, and waits for each; one
# that outlasts SECONDS is killed.
stop_daemons() {
  local pid start name kept="$ENGINES_DIR/daemons.kept"
  : >"$kept"
  while read -r pid start name; do
    # shellcheck disable=SC2053
    if [[ $name == ${2:-*} ]]; then
      stop_process "$1" "$pid" "$start"
    else
      printf '%s %s %s\n' "$pid" "$start" "$name" >>"$kept"
    fi
  done < <(tac "$ENGINES_DIR/daemons")
  tac "$kept" >"$ENGINES_DIR/daemons"
  rm -f "$kept"
}

stop_process() {
  local end=$((SECONDS + $1)) signal=TERM
  while [[ $(started_at "$2") == "$3" ]]; do
    kill -s "$signal" "$2" 2>/dev/null || return 0
    # One request only: a second one makes some daemons leave without tidying up.
    signal=0
    if ((SECONDS >= end)); then
      # With all of its group: a worker's child would go on measuring.
      kill -s KILL -- "-$2" 2>/dev/null || true
    fi
    # What the kernel itself holds fast is not worth waiting for.
    ((SECONDS < end + 10)) || return 0
    sleep 0.1
  done
}

# kill_strays: what engines that were killed leave running: containerd, shims, conmon, containers. Also
# daemons of ours that an experiment has restarted, whose new process ids are on no record.
kill_strays() {
  local process pid
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $(cat "$process/comm" 2>/dev/null) in
      dockerd | libvirtd | podman | conmon | containerd*)
        grep -qsF -- "$ENGINES_DIR/" "$process/cmdline" || continue
        # shellcheck disable=SC2046
        kill -KILL $(cat "$process"/task/*/children 2>/dev/null) "$pid" 2>/dev/null || true
        ;;
    esac
  done
}

# unmount_below FOLDER: an engine's overlays and namespaces, innermost first.
unmount_below() {
  local target
  while read -r target; do
    umount "$target" 2>/dev/null || umount -l "$target" || true
  done < <(awk -v top="$1/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

# stop_engines: stops everything that was started, and removes all it left. May be called twice.
stop_engines() {
  [[ -n $ENGINES_DIR && -d $ENGINES_DIR ]] || return 0
  stop_daemons 30
  if ((EUID == 0)); then
    kill_strays
    unmount_below "$ENGINES_DIR"
    remove_traces
  fi
  rm -rf --one-file-system "$ENGINES_DIR"
}

remove_traces() {
  local group record
  take_kvm_back
  for record in "$ENGINES_DIR"/{,podman-}bridge; do
    [[ ! -e $record ]] || ip link delete "$(<"$record")" 2>/dev/null || true
  done
  [[ -e $ENGINES_DIR/cgroups ]] || return 0
  while read -r group; do
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done <"$ENGINES_DIR/cgroups"
}
