#!/usr/bin/env bash
# usage: deploy/test.sh [--fast] [--no-install] [PYTEST ARGUMENT…]
#
# Sets up everything the tests need, and runs all tests on real engines (Redis, RabbitMQ, Docker, Podman, libvirt) and
# all checks beside them. As root on Debian or Ubuntu it installs what is missing. The tests start engines of
# their own (tests/engines.py), or use those that TONNAGE_TEST_DOCKER_SOCKET and TONNAGE_TEST_LIBVIRT_URI
# name. An engine that cannot be had skips its tests, or fails them where CI=true.
#
#   --fast         checks, and the tests that need no engine
#   --no-install   touch no package
#
# Everything else goes to pytest. TONNAGE_VENV and TONNAGE_PYTHON are as in deploy/quickstart.sh.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

WITHOUT_ENGINES='not (redis or rabbitmq or docker or podman or libvirt or fleet or browser)'
FAST=
ARGUMENTS=()
LOGS=
CHECKING=    # process of the checks

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

# has_browser: whether there is one to look at reports with, or none to be had: Ubuntu's is no package.
has_browser() {
  has chromium || has chromium-browser || has google-chrome || has google-chrome-stable ||
    grep -qs '^ID=ubuntu' /etc/os-release
}

clean_up() {
  local status=$?
  [[ -z $CHECKING ]] || kill "$CHECKING" 2>/dev/null || true
  release_services
  rm -rf "$LOGS"
  return "$status"
}

main() {
  local checks=0 tests=0 tools=()
  read_arguments "$@"
  LOGS=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 5' INT TERM HUP
  lock_checkout
  has shellcheck || tools+=(shellcheck)
  has openssl || tools+=(openssl)
  has systemd-analyze || tools+=(systemd)
  has docker-compose || docker compose version >/dev/null 2>&1 || tools+=(docker-compose)
  [[ -n $FAST ]] || has xmllint || tools+=(libxml2-utils)
  [[ -n $FAST ]] || has_browser || tools+=(chromium)
  [[ -n $FAST ]] || [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || tools+=(rabbitmq-server)
  set_up_machine "$LOGS" "${tools[@]}"
  set_up_python "$LOGS" test lint docs
  # Tests may call scripts that take it.
  exec 9<&-
  cd "$ROOT"
  printf '\n'
  # Beside the tests, which wait for engines half of their time. What they say comes last, in one piece.
  deploy/check.sh >"$LOGS/checks" 2>&1 &
  CHECKING=$!
  # Four at a time, as most of them wait for engines; tests/conftest.py says which stay together.
  ARGUMENTS=(-n 4 --dist loadgroup --no-loadscope-reorder "${ARGUMENTS[@]}")
  [[ -z $FAST ]] || ARGUMENTS=(-m "$WITHOUT_ENGINES" "${ARGUMENTS[@]}")
  "$VENV/bin/python" -m pytest "${ARGUMENTS[@]}" </dev/null || tests=$?
  wait "$CHECKING" || checks=1
  CHECKING=
  printf '\n'
  cat "$LOGS/checks"
  ((checks == 0)) || warn 'a check above failed'
  ((tests == 0 && checks == 0))
}

main "$@"
