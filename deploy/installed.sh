# shellcheck shell=bash
# What an installation makes: folders, files, users and units, each on record, and their removal.
# Sourced by install.sh, whose DEST (a folder that stands for /, or nothing), PREFIX, ETC, UNITS, RECORD,
# START and PURGE it uses.

# did TEXT: what was done, for the one who reads along.
did() {
  printf '%s\n' "$1"
}

# record KIND NAME: once.
record() {
  grep -qsxF -- "$1 $2" "$RECORD" || printf '%s %s\n' "$1" "$2" >>"$RECORD"
}

# make_folder MODE OWNER PATH KIND: KIND says when it goes again: program, or data that stays until --purge.
make_folder() {
  local path=$DEST$3
  if [[ ! -d $path ]]; then
    mkdir -p "$path"
    did "made    $3"
    record "$4" "$3"
  fi
  chown "$(ids_of "$2")" "$path"
  chmod "$1" "$path"
}

# put MODE OWNER FILE PATH KIND: a copy, when there is none or another.
put() {
  local path=$DEST$4
  if ! cmp -s -- "$3" "$path"; then
    if [[ -e $path ]]; then
      did "changed $4"
    else
      did "made    $4"
      record "$5" "$4"
    fi
    # Secrets are never open to others, not for a moment.
    install -m 600 -- "$3" "$path.new"
    mv -f -- "$path.new" "$path"
  fi
  chown "$(ids_of "$2")" "$path"
  chmod "$1" "$path"
}

# ids_of USER:GROUP: as numbers, since names below --root are not this machine's.
ids_of() {
  local user group
  user=$(awk -F: -v name="${1%:*}" '$1 == name { print $3 }' "$DEST/etc/passwd")
  group=$(awk -F: -v name="${1#*:}" '$1 == name { print $3 }' "$DEST/etc/group")
  printf '%s:%s\n' "${user:-0}" "${group:-0}"
}

# make_user NAME HOME: a user of the system that nobody can log in as.
make_user() {
  local place=()
  [[ -z $DEST ]] || place=(--prefix "$DEST")
  mkdir -p "$DEST/etc"
  touch "$DEST/etc/passwd" "$DEST/etc/group"
  grep -qs "^$1:" "$DEST/etc/passwd" && return 0
  useradd "${place[@]}" --system --user-group --home-dir "$2" --no-create-home --shell /usr/sbin/nologin "$1"
  did "made    user $1"
  record user "$1"
}

# join_groups USER: those of the engines that are there.
join_groups() {
  local group place=()
  [[ -z $DEST ]] || place=(--prefix "$DEST")
  for group in docker libvirt kvm; do
    grep -qs "^$group:" "$DEST/etc/group" || continue
    grep -qsE "^$group:.*[:,]$1(,|\$)" "$DEST/etc/group" && continue
    usermod "${place[@]}" -aG "$group" "$1"
    did "joined  group $group"
  done
}

install_unit() {
  local settled
  mkdir -p "$DEST$UNITS"
  settled=$(mktemp)
  sed "s|/opt/tonnage/|$PREFIX/|g" "$ROOT/deploy/systemd/$1" >"$settled"
  put 644 root:root "$settled" "$UNITS/$1" program
  rm -f "$settled"
}

# start_unit UNIT FILE: now and at every boot, once there is FILE, which names the broker.
start_unit() {
  if [[ -n $DEST || ! -d /run/systemd/system ]]; then
    did "next    systemctl enable --now $1 (systemd does not run here)"
    return
  fi
  systemctl daemon-reload
  systemctl enable --quiet "$1"
  if [[ -n $START && -e $2 ]]; then
    systemctl restart "$1" || fail "$1 does not start: journalctl -u $1 says why"
    did "started $1"
  else
    did "next    systemctl start $1, once $2 names the broker"
  fi
}

uninstall() {
  local kind name
  [[ -f $RECORD ]] || fail "nothing is installed in $PREFIX: there is no $RECORD"
  while read -r kind name; do
    [[ $kind != program || $name != *.service ]] || stop_unit "${name##*/}"
  done <"$RECORD"
  # The newest first: what lies in a folder goes before it.
  while read -r kind name; do
    case $kind in
      program) remove "$name" ;;
      data) [[ -z $PURGE ]] || remove "$name" ;;
    esac
  done < <(tac "$RECORD")
  [[ -z $PURGE ]] || remove_users
  [[ -n $DEST || ! -d /run/systemd/system ]] || systemctl daemon-reload
  remove "$PREFIX/venv"
  if [[ -n $PURGE ]]; then
    rm -f -- "$RECORD"
    rmdir --ignore-fail-on-non-empty -- "$DEST$PREFIX"
  else
    did "kept    settings, keys, spool, results and users: --uninstall --purge removes them too"
  fi
}

stop_unit() {
  [[ -z $DEST && -d /run/systemd/system ]] || return 0
  # A template has no instance of its own: all of them.
  systemctl stop "${1/@./@*.}" 2>/dev/null || true
  systemctl disable --quiet "$1" 2>/dev/null || true
}

remove() {
  local path=$DEST$1
  [[ $1 == /?* ]] && [[ -e $path || -L $path ]] || return 0
  if [[ -d $path && ! -L $path && $1 == "$UNITS"/* ]]; then
    rmdir --ignore-fail-on-non-empty -- "$path"
  else
    rm -rf -- "$path"
  fi
  did "removed $1"
}

remove_users() {
  local kind name place=()
  [[ -z $DEST ]] || place=(--prefix "$DEST")
  while read -r kind name; do
    [[ $kind == user ]] || continue
    userdel "${place[@]}" "$name" 2>/dev/null || warn "user $name could not be removed"
    # Its own group goes with it, except where the settings of useradd say otherwise.
    groupdel "${place[@]}" "$name" 2>/dev/null || true
    did "removed user $name"
  done <"$RECORD"
}
