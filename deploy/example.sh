#!/usr/bin/env bash
# usage: deploy/example.sh [RESULTS]
#
# Measures the worked case of docs/example on this machine, by deploy/quickstart.sh, and puts what its page shows
# beside it: dataset/, answers of compare and capacity, and a picture of the report. Takes about ten minutes on
# two cores, longer with emulated virtual machines. Nothing else may run meanwhile: where a trial is not valid,
# nothing is put there, and the exit code is 3. RESULTS are those of an earlier run, measured to the end.
#
# TONNAGE_VENV is as in deploy/quickstart.sh. The picture needs chromium.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

HERE=$ROOT/docs/example
MOST_KIB=300    # of the dataset, which is kept with the sources

# all_valid RESULTS: whether every trial of the campaign was measured, and is believed.
all_valid() {
  "$VENV/bin/python" - "$1/dataset/manifest.json" <<'PYTHON'
import json, sys
manifest = json.load(open(sys.argv[1]))
print("verdicts:", manifest["verdicts"], "missing:", len(manifest["missing"]))
sys.exit(bool(manifest["missing"] or set(manifest["verdicts"]) - {"valid"}))
PYTHON
}

keep_dataset() {
  local size
  size=$(du -sk "$1/dataset" | cut -f1)
  ((size <= MOST_KIB)) || fail "the dataset has $size KiB; at most $MOST_KIB are kept with the sources"
  rm -rf "$HERE/dataset"
  cp -r "$1/dataset" "$HERE/dataset"
}

draw_report() {
  local browser
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    { warn 'no chromium: no picture of the report'; return 0; }
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1400 \
    --screenshot="$HERE/report.png" "file://$1/report/report.html" >/dev/null 2>&1 ||
    warn 'chromium drew no picture of the report'
}

main() {
  case ${1:-} in -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;; esac
  local results=${1:-$ROOT/results/example}
  [[ -n ${1:-} ]] || "$ROOT/deploy/quickstart.sh" --results "$results" "$HERE/campaign.yaml"
  results=$(realpath -- "$results")
  all_valid "$results" || { warn 'some trial is missing or not believed: nothing is kept'; exit 3; }
  keep_dataset "$results"
  cd "$ROOT"
  "$VENV/bin/tonnage" compare docs/example/dataset --a driver=process --b driver=docker >"$HERE/compare.txt"
  "$VENV/bin/tonnage" capacity docs/example/dataset --demand docs/example/demand.yaml >"$HERE/capacity.txt"
  draw_report "$results"
  printf 'kept in docs/example: dataset/, compare.txt, capacity.txt, report.png\n'
}

main "$@"
