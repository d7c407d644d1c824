#!/usr/bin/env bash
# usage: deploy/install.sh worker|coordinator|redis [OPTION…]
#        deploy/install.sh --uninstall [--purge] [--prefix DIR] [--root DIR]
#
# Installs a role on this machine, as root: a user, a Python environment, folders, settings and a unit of
# systemd, which is enabled and started where systemd runs and there is a broker to speak to. Says what it
# did. Done again it brings all up to date, and leaves /etc/tonnage/tonnage.yaml as you have made it.
#
#   --from DIR|WHEEL     Tonnage itself: a checkout (this one by default) or a wheel
#   --wheels DIR         take all Python packages from this folder, and ask no registry
#   --host-files DIR     what deploy/broker.sh has made for this host: DIR/hosts/NAME, or DIR/coordinator
#   --broker-files DIR   redis: the folder that deploy/broker.sh has made
#   --config FILE        settings, installed as /etc/tonnage/tonnage.yaml
#   --root-worker        worker: run as root, see deploy/systemd/tonnage-worker.service.d/root.conf
#   --filtered           worker: filter its system calls, for hosts that measure no bare processes
#   --no-start           start nothing
#   --prefix DIR         where the Python environment goes (/opt/tonnage)
#   --root DIR           install below this folder and start nothing, as makers of packages do
#
# --uninstall stops and removes units, environment and command. Settings, keys, spool, results and users stay,
# unless --purge is said too. Nothing that was there before goes either way.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=deploy/installed.sh
source "$ROOT/deploy/installed.sh"

ROLE=
UNINSTALL=
PURGE=
DEST=           # stands for / where it is not empty
START=yes
DROP_IN=
CONFIG=
HOST_FILES=
BROKER_FILES=
WHEELS=
FROM=$ROOT
PREFIX=/opt/tonnage
ETC=/etc/tonnage
UNITS=/etc/systemd/system
LOG=
RECORD=         # what was made, so that exactly that can be removed

read_arguments() {
  while (($#)); do
    case $1 in
      worker | coordinator | redis) ROLE=$1 ;;
      --uninstall) UNINSTALL=yes ;;
      --purge) PURGE=yes ;;
      --no-start) START= ;;
      --root-worker) DROP_IN=root.conf ;;
      --filtered) DROP_IN=filtered.conf ;;
      --from | --wheels | --host-files | --broker-files | --config | --prefix | --root)
        [[ -n ${2:-} ]] || fail "$1 needs a path"
        take_path "$1" "$2"
        shift
        ;;
      -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
      *) fail "unknown: $1 (see --help)" ;;
    esac
    shift
  done
  check_arguments
}

take_path() {
  local path
  path=$(realpath -m -- "$2")
  case $1 in
    --from) FROM=$path ;;
    --wheels) WHEELS=$path ;;
    --host-files) HOST_FILES=$path ;;
    --broker-files) BROKER_FILES=$path ;;
    --config) CONFIG=$path ;;
    --prefix) PREFIX=$path ;;
    --root) DEST=${path%/} ;;
  esac
}

check_arguments() {
  local path
  [[ -n $ROLE || -n $UNINSTALL ]] || fail 'say what this machine shall be: worker, coordinator or redis'
  [[ $EUID -eq 0 ]] || fail 'this takes root: it makes users and units'
  for path in "$FROM" "$WHEELS" "$HOST_FILES" "$BROKER_FILES" "$CONFIG"; do
    [[ -z $path || -e $path ]] || fail "there is no $path"
  done
  [[ $ROLE != redis || -n $BROKER_FILES ]] || fail 'redis needs --broker-files: make them with deploy/broker.sh'
  [[ -z $BROKER_FILES || -f $BROKER_FILES/redis/redis.conf ]] ||
    fail "there is no $BROKER_FILES/redis/redis.conf: make it with deploy/broker.sh"
  RECORD=$DEST$PREFIX/installed
}

# is_for_all PROGRAM: whether every user can get at it: an interpreter in root's home is for root alone.
is_for_all() {
  local path
  path=$(realpath -- "$1")
  while [[ $path != / ]]; do
    [[ $(stat -c %A -- "$path") == *[xt] ]] || return 1
    path=$(dirname -- "$path")
  done
}

# make_environment: Tonnage and what it needs, in an environment of its own.
make_environment() {
  local extras=docker
  find_python || fail 'Python 3.11 or later is needed: apt install python3 python3-venv'
  is_for_all "$PYTHON" || TONNAGE_PYTHON=/usr/bin/python3 find_python
  is_for_all "$PYTHON" || fail "$PYTHON cannot be reached by other users than root: TONNAGE_PYTHON names another"
  VENV=$DEST$PREFIX/venv
  if [[ ! -x $VENV/bin/python ]]; then
    if ! "$PYTHON" -m venv "$VENV" >>"$LOG" 2>&1; then
      show_log "$LOG"
      fail "no environment in $VENV (needs python3-venv)"
    fi
    did "made    $PREFIX/venv"
  fi
  ! may_have_libvirt || extras=docker,libvirt
  if [[ $extras != docker ]] && ! install_tonnage "$extras"; then
    warn 'the client of libvirt could not be had: no virtual machines here'
    extras=docker
  fi
  if [[ $extras == docker ]] && ! install_tonnage docker; then
    show_log "$LOG"
    fail "Tonnage could not be installed from $FROM"
  fi
  [[ -z $DEST ]] || settle_environment
  did "python  $PREFIX/venv: tonnage[$extras] from $FROM"
  link_command
}

# may_have_libvirt: its client compiles here, or is among the wheels.
may_have_libvirt() {
  [[ $ROLE == worker ]] || return 1
  if [[ -n $WHEELS ]]; then
    compgen -G "$WHEELS/libvirt_python-*.whl" >/dev/null
  else
    can_build_libvirt
  fi
}

# install_tonnage EXTRAS: what was named, also where another build of the same version is there.
install_tonnage() {
  local sources=()
  [[ -z $WHEELS ]] || sources=(--no-index --find-links "$WHEELS")
  pip_install "$LOG" "${sources[@]}" "${FROM}[$1]" || return 1
  pip_install "$LOG" "${sources[@]}" --no-deps --force-reinstall "$FROM"
}

# settle_environment: below --root, programs name an interpreter that will be somewhere else.
settle_environment() {
  local file
  while IFS= read -r file; do
    sed -i "s|$DEST$PREFIX/venv|$PREFIX/venv|g" "$file"
  done < <(grep -lI -- "$DEST$PREFIX/venv" "$VENV"/bin/* "$VENV/pyvenv.cfg")
}

link_command() {
  local link=/usr/local/bin/tonnage
  mkdir -p "$DEST/usr/local/bin"
  if [[ ! -e $DEST$link && ! -L $DEST$link ]]; then
    ln -s "$PREFIX/venv/bin/tonnage" "$DEST$link"
    record program "$link"
    did "made    $link"
  fi
}

# install_settings: the file of settings, and what deploy/broker.sh has made for this host.
install_settings() {
  local file name
  make_folder 755 root:root "$ETC" data
  if [[ -n $CONFIG ]]; then
    put 640 root:tonnage "$CONFIG" "$ETC/tonnage.yaml" data
  elif [[ ! -e $DEST$ETC/tonnage.yaml ]]; then
    put 640 root:tonnage "$ROOT/deploy/systemd/tonnage.yaml" "$ETC/tonnage.yaml" data
  fi
  [[ -n $HOST_FILES ]] || return 0
  for file in "$HOST_FILES"/*; do
    name=${file##*/}
    if [[ -d $file ]]; then
      make_folder 750 root:tonnage "$ETC/$name" data
      put_each "$file" "$ETC/$name"
    elif [[ $name == tonnage.env ]]; then
      # Worker and coordinator may share a machine, and are different users of the broker.
      [[ $ROLE == worker ]] || name=coordinator.env
      put 640 root:tonnage "$file" "$ETC/$name" data
    else
      put 640 root:tonnage "$file" "$ETC/$name" data
    fi
  done
}

put_each() {
  local file
  for file in "$1"/*; do
    [[ ! -f $file ]] || put 640 root:tonnage "$file" "$2/${file##*/}" data
  done
}

install_worker() {
  make_user tonnage /var/lib/tonnage
  join_groups tonnage
  make_environment
  install_settings
  make_folder 711 tonnage:tonnage /var/lib/tonnage data
  install_unit tonnage-worker.service
  install_drop_in
  start_unit tonnage-worker.service "$ETC/tonnage.env"
}

install_drop_in() {
  local folder=$UNITS/tonnage-worker.service.d name
  for name in root.conf filtered.conf; do
    [[ $name == "$DROP_IN" || ! -e $DEST$folder/$name ]] || rm -f "$DEST$folder/$name"
  done
  [[ -n $DROP_IN ]] || return 0
  make_folder 755 root:root "$folder" program
  put 644 root:root "$ROOT/deploy/systemd/tonnage-worker.service.d/$DROP_IN" "$folder/$DROP_IN" program
}

install_coordinator() {
  make_user tonnage /var/lib/tonnage
  make_environment
  install_settings
  make_folder 750 root:tonnage "$ETC/campaigns" data
  make_folder 750 tonnage:tonnage /var/lib/tonnage-coordinator data
  install_unit tonnage-coordinator@.service
  did "next    put campaigns into $ETC/campaigns, and systemctl start tonnage-coordinator@NAME"
}

# install_redis: what Redis needs; the authority's key and its hosts' passwords stay where they are.
install_redis() {
  local name settled
  has redis-server || [[ -n $DEST ]] || fail 'there is no redis-server: apt install redis-server'
  make_user tonnage-redis /var/lib/tonnage-redis
  make_folder 755 root:root "$ETC" data
  make_folder 750 root:tonnage-redis "$ETC/broker" data
  make_folder 750 tonnage-redis:tonnage-redis /var/lib/tonnage-redis data
  for name in ca.pem server.pem server.key users.acl; do
    put 640 root:tonnage-redis "$BROKER_FILES/redis/$name" "$ETC/broker/$name" data
  done
  # Its paths are relative to its folder, and here its data is elsewhere.
  settled=$(mktemp)
  sed -E -e "s|^(tls-[a-z-]+-file\|aclfile) ([^/].*)|\1 $ETC/broker/\2|" -e '/^dir /d' \
    "$BROKER_FILES/redis/redis.conf" >"$settled"
  printf 'dir /var/lib/tonnage-redis\n' >>"$settled"
  put 640 root:tonnage-redis "$settled" "$ETC/broker/redis.conf" data
  rm -f "$settled"
  install_unit tonnage-redis.service
  start_unit tonnage-redis.service "$ETC/broker/redis.conf"
}

main() {
  read_arguments "$@"
  LOG=$(mktemp)
  trap 'rm -f "$LOG"' EXIT
  if [[ -n $UNINSTALL ]]; then
    uninstall
    return
  fi
  mkdir -p "$DEST$PREFIX"
  "install_$ROLE"
}

main "$@"
