# shellcheck shell=bash
# What the scripts say: numbered steps with their times, warnings, and the end of a log when one fails.
# Sourced by setup.sh.

STEP=0
STEP_OPEN=
STEP_BEGAN_US=0

# begin TEXT: a step starts. Its line is finished by `finish`, or by whatever goes wrong first.
begin() {
  STEP=$((STEP + 1))
  STEP_BEGAN_US=${EPOCHREALTIME/[.,]/}
  STEP_OPEN=1
  printf '%2d  %-12s' "$STEP" "$1"
}

# finish TEXT: the step is done; says what came of it and how long it took.
finish() {
  local took_ms=$(((${EPOCHREALTIME/[.,]/} - STEP_BEGAN_US) / 1000))
  STEP_OPEN=
  printf '%4d.%d s   %s\n' $((took_ms / 1000)) $((took_ms % 1000 / 100)) "$1"
}

# warn TEXT: something the reader should know, although the script goes on.
warn() {
  [[ -z $STEP_OPEN ]] || printf '\n'
  STEP_OPEN=
  printf 'warning: %s\n' "$1" >&2
}

# fail TEXT: nothing sensible can follow. Ends the script; its EXIT trap cleans up.
fail() {
  [[ -z $STEP_OPEN ]] || printf '\n'
  STEP_OPEN=
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# show_log FILE: the last lines of a log, indented, on standard error.
show_log() {
  [[ -s $1 ]] || return 0
  [[ -z $STEP_OPEN ]] || printf '\n'
  STEP_OPEN=
  tail -n 15 -- "$1" | sed 's/^/    | /' >&2
}

# say_usage SCRIPT: the comment at the head of a script is its help.
say_usage() {
  sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$1"
}
