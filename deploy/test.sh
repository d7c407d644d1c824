#!/usr/bin/env bash
# usage: deploy/test.sh [--fast] [--no-install] [PYTEST ARGUMENT…]
#
# Sets up everything the tests need, runs all checks, then all tests on real engines: Redis, Docker,
# libvirt. As root on Debian or Ubuntu it installs what is missing. It starts engines where none run and
# stops what it started. An engine that cannot be had skips its tests, or fails them where CI=true.
#
#   --fast         checks, and the tests that need no engine
#   --no-install   touch no package
#
# Everything else goes to pytest. TONNAGE_VENV and TONNAGE_PYTHON are as in deploy/quickstart.sh.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=deploy/engines.sh
source "$ROOT/deploy/engines.sh"

WITHOUT_ENGINES='not (redis or docker or libvirt or fleet or browser)'
FAST=
ARGUMENTS=()

read_arguments() {
  while (($#)); do
    case $1 in
      --fast) FAST=1 ;;
      --no-install) INSTALL=no ;;
      -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
      *) ARGUMENTS+=("$1") ;;
    esac
    shift
  done
}

clean_up() {
  local status=$?
  trap '' INT TERM HUP
  release_services
  stop_engines
  return "$status"
}

set_up() {
  local tools=()
  begin packages
  has shellcheck || tools+=(shellcheck)
  if install_packages "$ENGINES_DIR/log/apt.log" "${tools[@]}"; then
    finish "${PACKAGES[*]:-all there}"
  else
    show_log "$ENGINES_DIR/log/apt.log"
    warn "apt could not install ${PACKAGES[*]}"
  fi

  begin python
  [[ -n $PYTHON ]] || fail 'Python 3.11 or later is needed: apt install python3 python3-venv'
  if ! make_venv "$ENGINES_DIR/log/pip.log" test lint; then
    show_log "$ENGINES_DIR/log/pip.log"
    fail "no Python environment in $VENV"
  fi
  PATH=$VENV/bin:$PATH
  finish "$VENV"
}

# start_all_engines: and tells the tests where they are. Redis the tests start themselves.
start_all_engines() {
  begin docker
  if start_docker; then
    export TONNAGE_TEST_DOCKER_SOCKET=$DOCKER_SOCKET
    finish "$DOCKER_SOCKET"
  else
    finish 'none'
  fi
  begin libvirt
  if start_libvirt; then
    export TONNAGE_TEST_LIBVIRT_URI=$LIBVIRT_URI
    finish "$LIBVIRT_URI"
  else
    finish 'none'
  fi
}

main() {
  local checks=0 tests=0
  read_arguments "$@"
  trap clean_up EXIT
  trap 'exit 5' INT TERM HUP
  exec 9<"$ROOT"
  flock -n 9 || fail "another script is at work in $ROOT"
  begin_engines
  set_up
  printf '\n'
  "$ROOT/deploy/check.sh" 9>&- || checks=1
  printf '\n'
  cd "$ROOT"
  if [[ -n $FAST ]]; then
    ARGUMENTS=(-m "$WITHOUT_ENGINES" -n 2 "${ARGUMENTS[@]}")
  else
    start_all_engines
  fi
  "$VENV/bin/python" -m pytest "${ARGUMENTS[@]}" </dev/null 9>&- || tests=$?
  ((checks == 0)) || warn 'a check above failed'
  ((tests == 0 && checks == 0))
}

main "$@"
