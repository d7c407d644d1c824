# shellcheck shell=bash
# What a machine needs before anything can run: packages, and a Python environment with Tonnage in it.
# Sourced. Nothing is upgraded, and what is already there is left alone, whoever brought it.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=deploy/steps.sh
source "$ROOT/deploy/steps.sh"

# Daemons live in sbin folders, which an ordinary user's path leaves out.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
VENV=${TONNAGE_VENV:-$ROOT/.venv}
INSTALL=yes    # 'no' when packages must not be touched
PYTHON=        # set by find_python
PACKAGES=()    # set by install_packages

has() {
  command -v "$1" >/dev/null 2>&1
}

# can_install: whether this script may bring packages.
can_install() {
  [[ $INSTALL == yes && $EUID -eq 0 ]] && has apt-get
}

# find_python: sets PYTHON to an interpreter of version 3.11 or later. Fails when there is none.
find_python() {
  local candidate
  for candidate in ${TONNAGE_PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.14; do
    if has "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      PYTHON=$(command -v "$candidate")
      return 0
    fi
  done
  return 1
}

# python_can WHAT: venv (make environments) or build (compile extensions).
python_can() {
  case $1 in
    venv) "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ;;
    build)
      "$PYTHON" - <<'PYTHON' 2>/dev/null
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())
PYTHON
      ;;
  esac
}

# static_busybox: whether there is a busybox that needs no libraries, which every image is made of.
static_busybox() {
  local path
  for path in /bin/busybox /usr/bin/busybox "$(command -v busybox)"; do
    # ldd fails, or says so, when a program has no dynamic section.
    if [[ -x $path ]] && ! ldd "$path" 2>/dev/null | grep -q '=>'; then
      return 0
    fi
  done
  return 1
}

has_kernel() {
  local kernel
  for kernel in "${TONNAGE_KERNEL:-}" /boot/vmlinuz*; do
    [[ -n $kernel && -r $kernel ]] && return 0
  done
  return 1
}

# can_build_libvirt: whether pip can compile the libvirt client, or has done so.
can_build_libvirt() {
  "$VENV/bin/python" -c 'import libvirt' 2>/dev/null && return 0
  has cc && has pkg-config && pkg-config --exists libvirt && python_can build
}

# missing_python: prints the packages that give an interpreter which can make environments.
missing_python() {
  local version
  if [[ -n $PYTHON ]]; then
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    python_can venv || [[ -x $VENV/bin/pip ]] || echo "python$version-venv"
    python_can build || "$VENV/bin/python" -c 'import libvirt' 2>/dev/null || echo "python$version-dev"
    return
  fi
  for version in 3.13 3.12 3.11; do
    if apt-cache show "python$version" >/dev/null 2>&1; then
      echo "python$version" "python$version-venv" "python$version-dev"
      return
    fi
  done
  echo python3 python3-venv python3-dev
}

# missing_engines: prints the packages of engines that are not there in any form.
missing_engines() {
  has dockerd || [[ -S /var/run/docker.sock ]] || echo docker.io
  has crun || echo crun
  has podman || echo podman
  has redis-server || has valkey-server || echo redis-server
  has docker-registry || echo docker-registry
  has ip || echo iproute2
  has nsenter || echo util-linux
  static_busybox || echo busybox-static
  [[ $(uname -m) == x86_64 ]] || return 0
  has qemu-system-x86_64 || echo qemu-system-x86
  has qemu-img || echo qemu-utils
  has libvirtd || echo libvirt-daemon-system
  has_libvirt_lxc || echo libvirt-daemon-driver-lxc
  can_build_libvirt || echo libvirt-dev pkg-config gcc libc6-dev
  has mkfs.ext4 || echo e2fsprogs
  has cpio || echo cpio
  has_kernel || kernel_package
}

# has_libvirt_lxc: whether libvirt can hold containers, wherever it keeps the program that does.
has_libvirt_lxc() {
  local place
  for place in /usr/lib/libvirt /usr/libexec /usr/lib64/libvirt; do
    [[ ! -x $place/libvirt_lxc ]] || return 0
  done
  return 1
}

kernel_package() {
  # shellcheck source=/dev/null
  case $(source /etc/os-release && echo "${ID:-} ${ID_LIKE:-}") in
    *ubuntu*) echo linux-image-virtual ;;
    *) echo linux-image-cloud-amd64 ;;
  esac
}

# install_packages LOG [PACKAGE…]: brings what is missing, and the named packages; PACKAGES then holds
# their names. Does nothing at all when nothing is missing, and nothing but naming it when this script may
# not install. Returns 1 when apt fails; what it said is in LOG.
install_packages() {
  local log=$1
  find_python || true
  mapfile -t PACKAGES < <({ missing_python; missing_engines; printf '%s\n' "${@:2}"; } | tr ' ' '\n' | sed '/^$/d')
  ((${#PACKAGES[@]})) || return 0
  can_install || return 0
  hold_services
  install_now "$log" "${PACKAGES[@]}" || { release_services; return 1; }
  release_services
  find_python || true
}

install_now() {
  local log=$1
  shift
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt_get "$log" update || return 1
  apt_install "$log" "$@" && return 0
  # Lists that are older than the archive name files that are gone.
  apt_get "$log" update && apt_install "$log" "$@"
}

apt_install() {
  local log=$1
  shift
  # The two busyboxes exclude each other by design: the static one takes the other's place.
  if [[ " $* " == *' busybox-static '* ]]; then
    apt_get "$log" install --no-install-recommends busybox-static || return 1
  fi
  apt_get "$log" install --no-install-recommends --no-upgrade --no-remove "$@"
}

apt_get() {
  local log=$1
  shift
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -y -q \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
    "$@" </dev/null >>"$log" 2>&1
}

POLICY=/usr/sbin/policy-rc.d
POLICY_OURS=

# hold_services: without systemd, packages start nothing: engines are started here and stopped again.
hold_services() {
  [[ ! -d /run/systemd/system && ! -e $POLICY ]] || return 0
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
  POLICY_OURS=1
}

# release_services: also belongs into the EXIT trap of whoever calls install_packages.
release_services() {
  [[ -z $POLICY_OURS ]] || rm -f "$POLICY"
  POLICY_OURS=
}

# fetch_busybox LOG: an ordinary user may download a package, only not install it. Puts the static
# busybox beside Tonnage's Python, where it is found by path.
fetch_busybox() {
  static_busybox || [[ -x $VENV/bin/busybox ]] && return 0
  has apt-get && has dpkg-deb || return 1
  local folder
  folder=$(mktemp -d) || return 1
  if (cd "$folder" && apt_get "$1" download busybox-static && dpkg-deb -x ./*.deb .); then
    cp "$(find "$folder" -type f -name busybox -perm -100 | head -n 1)" "$VENV/bin/busybox" || true
  fi
  rm -rf "$folder"
  [[ -x $VENV/bin/busybox ]]
}

# make_venv LOG [GROUP…]: the Python environment with Tonnage from this checkout, and dependency groups.
# Does nothing when pyproject.toml has not changed since. Returns 1 when pip fails; LOG says why.
make_venv() {
  local log=$1 extras=docker,serve
  shift
  if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    "$PYTHON" -m venv --clear "$VENV" >>"$log" 2>&1 || return 1
  fi
  if can_build_libvirt; then
    extras=docker,serve,libvirt
  fi
  if ! unless_stamped "package $extras" pip_install "$log" -e "${ROOT}[$extras]"; then
    # A client that does not compile costs the virtual machines, not everything.
    unless_stamped 'package docker,serve' pip_install "$log" -e "${ROOT}[docker,serve]" || return 1
  fi
  (($#)) || return 0
  unless_stamped "groups $*" install_groups "$log" "$@"
}

# unless_stamped NAME COMMAND…: runs the command when it has not succeeded with this pyproject.toml yet.
unless_stamped() {
  local stamp="$VENV/.tonnage-${1%% *}" content
  content="$1 $ROOT $(sha256sum <"$ROOT/pyproject.toml")"
  [[ -f $stamp && $(<"$stamp") == "$content" ]] && return 0
  "${@:2}" || return 1
  printf '%s\n' "$content" >"$stamp"
}

pip_install() {
  local log=$1
  shift
  "$VENV/bin/python" -m pip install -q --disable-pip-version-check --no-input "$@" </dev/null >>"$log" 2>&1
}

install_groups() {
  local log=$1 group arguments=()
  # Dependency groups came with pip 25.1.
  pip_install "$log" 'pip>=25.1' || return 1
  for group in "${@:2}"; do
    arguments+=(--group "$ROOT/pyproject.toml:$group")
  done
  pip_install "$log" "${arguments[@]}"
}

# lock_checkout: one script at a time makes the environment of a checkout. Held until descriptor 9 is closed.
lock_checkout() {
  exec 9<"$ROOT"
  flock -n 9 || fail "another script is at work in $ROOT"
}

# set_up_machine LOGS [PACKAGE…]: the step that brings packages. What cannot be had is said, not fatal.
set_up_machine() {
  begin packages
  if ! install_packages "$1/apt.log" "${@:2}"; then
    show_log "$1/apt.log"
    warn "apt could not install ${PACKAGES[*]}; going on with what is there"
  elif ((${#PACKAGES[@]} == 0)); then
    finish 'all there'
  elif can_install; then
    finish "installed ${PACKAGES[*]}"
  else
    finish "left alone; as root this would install ${PACKAGES[*]}"
  fi
}

# set_up_python LOGS [GROUP…]: the step that makes the Python environment. Nothing works without it.
set_up_python() {
  begin python
  [[ -n $PYTHON ]] || fail 'Python 3.11 or later is needed: apt install python3 python3-venv'
  if ! make_venv "$1/pip.log" "${@:2}"; then
    show_log "$1/pip.log"
    fail "no Python environment in $VENV (needs python3-venv, and PyPI or a mirror of it)"
  fi
  PATH=$VENV/bin:$PATH
  finish "$VENV"
}
