#!/usr/bin/env bash
# usage: deploy/check.sh
#
# Every check that needs no engine and runs no product code: format, lint, types, floors, sizes, shell.
# Uses the environment that deploy/test.sh makes (.venv, or TONNAGE_VENV).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${TONNAGE_VENV:-.venv}/bin
[[ -x $bin/ruff ]] || { echo "no $bin/ruff: run deploy/test.sh --fast once" >&2; exit 1; }

failed=()

# check NAME COMMAND…: says nothing but the name when all is well.
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'ok      %s\n' "$name"
  else
    printf '%s\nFAILED  %s\n' "$said" "$name"
    failed+=("$name")
  fi
}

check format "$bin/ruff" format --check .
check lint "$bin/ruff" check .
check types "$bin/mypy"
check floors "$bin/lint-imports"
check sizes "$bin/python" -m pytest -q -p no:randomly tests/test_limits.py
if command -v shellcheck >/dev/null; then
  check shell shellcheck -x deploy/*.sh deploy/compose/*.sh .ci/run
  # The parts of the agent are one script. It calls its functions by composed names, splits requests into
  # words on purpose, and uses busybox's read -t.
  check agent bash -c 'cat workers/images/agent/*.sh |
    shellcheck -s dash -e SC2012,SC2015,SC2045,SC2086,SC2254,SC2317,SC3045 -'
elif [[ ${CI:-} == true ]]; then
  check shell false
else
  printf 'skipped shell (apt install shellcheck)\n'
fi

((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[*]}" >&2; exit 1; }
