#!/usr/bin/env bash
# usage: deploy/compose/try.sh [--base IMAGE] [--redis-image IMAGE] [--wheels DIR] [--compose COMMAND]
#
# Builds the image, makes a broker's files, and runs the sample campaign on three simulated hosts: broker,
# worker and coordinator each in a container of its own. Ends with the coordinator's exit code, and leaves the
# image behind, nothing else. DOCKER_HOST names another engine than the machine's.
#
#   --base IMAGE         image to build from (debian:12-slim)
#   --redis-image IMAGE  image of the broker (redis:7)
#   --wheels DIR         take all Python packages from this folder
#   --compose COMMAND    "docker compose" or docker-compose; by default the one that is there
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source=deploy/engines.sh
source "$ROOT/deploy/engines.sh"

HERE=$ROOT/deploy/compose
COMPOSE=
WHEELS=
WORK=
BUILD=()

read_arguments() {
  while (($#)); do
    case $1 in
      --base | --redis-image | --wheels | --compose) [[ -n ${2:-} ]] || fail "$1 needs a value" ;;&
      --base) export TONNAGE_BASE=$2 ;;
      --redis-image) export TONNAGE_REDIS_IMAGE=$2 ;;
      --wheels) WHEELS=$(realpath -- "$2") ;;
      --compose) COMPOSE=$2 ;;
      -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
      *) fail "unknown: $1 (see --help)" ;;
    esac
    shift 2
  done
}

compose() {
  # shellcheck disable=SC2086 # it may be two words
  $COMPOSE -f "$HERE/compose.yaml" -p tonnage-try --profile try "$@"
}

clean_up() {
  local status=$?
  [[ -z $WORK ]] || compose down --timeout 10 >/dev/null 2>&1 || true
  [[ -z $WHEELS ]] || find "$HERE/wheels" -name '*.whl' -delete
  rm -rf "$WORK"
  return "$status"
}

build() {
  begin image
  if [[ -n $WHEELS ]]; then
    cp -- "$WHEELS"/*.whl "$HERE/wheels/"
    BUILD=(--build-arg PIP_NO_INDEX=1)
  fi
  compose build "${BUILD[@]}" coordinator >"$WORK/build.log" 2>&1 || { show_log "$WORK/build.log"; fail 'the image cannot be built'; }
  finish tonnage
}

main() {
  read_arguments "$@"
  if [[ -z $COMPOSE ]]; then
    COMPOSE=docker-compose
    ! docker compose version >/dev/null 2>&1 || COMPOSE='docker compose'
  fi
  WORK=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 5' INT TERM HUP
  export TONNAGE_BROKER_FILES=$WORK/broker TONNAGE_RESULTS=$WORK/results
  find_python || fail 'Python 3.11 or later is needed'
  TONNAGE_BROKER_PORT=127.0.0.1:$(free_port)
  TONNAGE_UID=$(id -u)
  TONNAGE_GID=$(id -g)
  export TONNAGE_BROKER_PORT TONNAGE_UID TONNAGE_GID
  mkdir "$WORK/results"
  begin broker
  "$ROOT/deploy/broker.sh" make "$WORK/broker" --name broker --simulated 3 >"$WORK/broker.log" 2>&1 ||
    { show_log "$WORK/broker.log"; fail 'no files for the broker'; }
  finish 'authority, certificate, users'
  build
  begin campaign
  compose up -d redis simulated >"$WORK/up.log" 2>&1 || { show_log "$WORK/up.log"; fail 'the containers do not start'; }
  local status=0
  compose run --rm coordinator run /campaigns/first.yaml --results /results/first </dev/null || status=$?
  ((status == 0)) || compose logs --tail=20 redis simulated >&2
  finish "exit code $status"
  return "$status"
}

main "$@"
