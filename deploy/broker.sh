#!/usr/bin/env bash
# usage: deploy/broker.sh make DIR --name NAME… [--host HOST]… [--simulated N] [--port N]
#          [--files-at DIR] [--no-keys]
#        deploy/broker.sh add-host DIR HOST…
#        deploy/broker.sh remove-host DIR HOST…
#        deploy/broker.sh renew DIR [--name NAME]…
#        deploy/broker.sh start DIR | stop DIR | refused DIR
#
# A Redis for a fleet: TLS only, no default user, and a user for every host that reaches what is that host's
# and nothing else. DIR gets all of it; keep it private, and take to every machine only its own folder.
#
#   make          an authority, a certificate for the broker, redis.conf, users, and a folder per machine.
#                 Safe to repeat: what is there stays, and users get the rules of this version
#   add-host      a user and a folder for each; remove-host revokes them. A Redis that `start` has started
#                 takes over either at once, any other one when it is started again
#   renew         a new certificate, for the same names or for others
#   start, stop   runs Redis from here, for those who have no service manager
#   refused       what users have asked for and may not do
#
#   --name        name or address of the broker, as its hosts call it; may be repeated
#   --host        name of a host; may be repeated
#   --simulated   one user for simulated hosts, and signing keys for this many
#   --port        port of the broker, 6380
#   --files-at    where a machine will keep its files, /etc/tonnage
#   --no-keys     no keys: whoever can write to the broker is believed
#
# In DIR: ca.key (take it off the machine), ca.pem; redis/ is the working folder of the broker; hosts/HOST,
# coordinator, viewer (a dashboard), events (of Celery) and simulated hold what those machines need.
set -euo pipefail

# shellcheck source=deploy/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=deploy/engines.sh
source "$ROOT/deploy/engines.sh"

CA_DAYS=3650 SERVER_DAYS=730
RULES=$ROOT/deploy/broker
OUTLIVE=1
NAMES=() HOSTS=()
DIR='' PORT='' FILES_AT='' SIMULATED='' KEYS=1

read_arguments() {
  while (($#)); do
    case $1 in
      --name | --host | --simulated | --port | --files-at) [[ -n ${2:-} ]] || fail "$1 needs a value" ;;&
      --name) NAMES+=("$2") && shift ;;
      --host) HOSTS+=("$2") && shift ;;
      --simulated) SIMULATED=$2 && shift ;;
      --port) PORT=$2 && shift ;;
      --files-at) FILES_AT=$2 && shift ;;
      --no-keys) KEYS= ;;
      -*) fail "there is no option '$1'" ;;
      *) HOSTS+=("$1") ;;
    esac
    shift
  done
  local host
  for host in "${HOSTS[@]}"; do
    [[ $host =~ ^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$ ]] || fail "'$host' is no host's name: see docs/campaign.md"
    [[ $host != sim-* ]] || fail "'$host' is the name of a simulated host: --simulated has a user for those"
  done
  [[ -z $PORT ]] || [[ $PORT =~ ^[1-9][0-9]{0,4}$ ]] || fail "--port needs a number, not '$PORT'"
  [[ -z $SIMULATED ]] || [[ $SIMULATED =~ ^[1-9][0-9]{0,4}$ ]] || fail "--simulated needs a number, not '$SIMULATED'"
  [[ -z $FILES_AT ]] || [[ $FILES_AT =~ ^/[A-Za-z0-9._/-]*$ ]] || fail "--files-at needs a plain path, not '$FILES_AT'"
}

# settings: what `make` was told is kept, and what it is told now wins.
settings() {
  local key value name names=()
  while IFS='=' read -r key value; do
    case $key in
      name) names+=("$value") ;;
      port) PORT=${PORT:-$value} ;;
      files_at) FILES_AT=${FILES_AT:-$value} ;;
      simulated) SIMULATED=${SIMULATED:-$value} ;;
    esac
  done < <(cat "$DIR/settings" 2>/dev/null || true)
  ((${#NAMES[@]})) || NAMES=("${names[@]}")
  ((${#NAMES[@]})) || fail 'which broker? --name NAME, as hosts will call it'
  PORT=${PORT:-6380}
  FILES_AT=${FILES_AT:-/etc/tonnage}
  for name in "${NAMES[@]}"; do
    [[ $name =~ ^[A-Za-z0-9.:_-]+$ ]] || fail "--name needs a host's name or address, not '$name'"
  done
  printf '%s\n' "${NAMES[@]/#/name=}" "port=$PORT" "files_at=$FILES_AT" "simulated=$SIMULATED" | write "$DIR/settings"
}

failed() {
  show_log "$LOG" && fail "$1"
}

# write FILE: standard input becomes the file, whole or not at all, for nobody else to read.
write() {
  cat >"$1.new"
  mv -f "$1.new" "$1"
}

make_authority() {
  if [[ -e $DIR/ca.pem || -e $DIR/ca.key ]]; then
    [[ -e $DIR/ca.pem ]] || fail "$DIR/ca.key without ca.pem: bring it back, or begin with another folder"
    return 0
  fi
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days "$CA_DAYS" \
    -subj '/CN=Tonnage broker authority' -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$DIR/ca.key.new" -out "$DIR/ca.pem.new" 2>"$LOG" ||
    failed 'openssl makes no authority'
  mv "$DIR/ca.key.new" "$DIR/ca.key"
  mv "$DIR/ca.pem.new" "$DIR/ca.pem"
}

make_certificate() {
  [[ -e $DIR/ca.key ]] || fail "a certificate needs $DIR/ca.key: bring it back for as long as this takes"
  local name titles='DNS:localhost,IP:127.0.0.1'
  for name in "${NAMES[@]}"; do
    if [[ $name == *:* || $name =~ ^[0-9.]+$ ]]; then titles+=",IP:$name"; else titles+=",DNS:$name"; fi
  done
  printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
    'extendedKeyUsage=serverAuth' "subjectAltName=$titles" >"$DIR/redis/extensions"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=Tonnage broker' \
    -keyout "$DIR/redis/server.key.new" -out "$DIR/redis/request" 2>"$LOG" || failed 'openssl makes no key'
  openssl x509 -req -sha256 -days "$SERVER_DAYS" -in "$DIR/redis/request" -set_serial "0x$(openssl rand -hex 16)" \
    -CA "$DIR/ca.pem" -CAkey "$DIR/ca.key" -extfile "$DIR/redis/extensions" -out "$DIR/redis/server.pem.new" \
    2>"$LOG" || failed 'openssl makes no certificate'
  rm -f "$DIR/redis/extensions" "$DIR/redis/request"
  mv -f "$DIR/redis/server.key.new" "$DIR/redis/server.key"
  mv -f "$DIR/redis/server.pem.new" "$DIR/redis/server.pem"
}

# Paths in it are relative, so that the folder can be anywhere: Redis is started inside it.
write_redis_conf() {
  cp "$DIR/ca.pem" "$DIR/redis/ca.pem"
  write "$DIR/redis/redis.conf" <<CONF
# Made by deploy/broker.sh. Run it inside this folder: redis-server redis.conf
port 0
tls-port $PORT
bind * -::*
tls-cert-file server.pem
tls-key-file server.key
tls-ca-cert-file ca.pem
tls-auth-clients no
tls-protocols "TLSv1.2 TLSv1.3"
aclfile users.acl
acllog-max-len 128
protected-mode yes
appendonly yes
save ""
maxmemory-policy noeviction
daemonize no
CONF
}

# rules FILE NAME: the rules of a kind of user on one line, for a host or pattern.
rules() {
  sed -e 's/#.*//' -e "s/NAME/$2/g" "$RULES/$1.acl" | tr -s '\n ' '  '
}

# hash_of USER: what is known of the user's password. Nothing when there is no such user.
hash_of() {
  [[ ! -e $DIR/redis/users.acl ]] ||
    awk -v user="$1" '$1 == "user" && $2 == user { for (i = 3; i <= NF; i++) if ($i ~ /^#/) print substr($i, 2) }' \
      "$DIR/redis/users.acl"
}

# give USER FOLDER [HOST]: a user that is new gets a password, told in the folder for its machine.
give() {
  local password
  [[ -z $(hash_of "$1") ]] || return 0
  password=$(openssl rand -hex 24)
  mkdir -p "$2"
  cp "$DIR/ca.pem" "$2/ca.pem"
  {
    printf 'TONNAGE_BROKER=rediss://%s:%s@%s:%s/0?ssl_ca_certs=%s/ca.pem\n' \
      "$1" "$password" "$(bracketed "${NAMES[0]}")" "$PORT" "$FILES_AT"
    [[ -z ${3:-} ]] || printf 'TONNAGE_NAME=%s\n' "$3"
  } | write "$2/tonnage.env"
  printf 'user %s #%s\n' "$1" "$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)" >>"$DIR/redis/users.acl"
}

bracketed() {
  [[ $1 != *:* ]] && printf %s "$1" || printf '[%s]' "$1"
}

# give_keys FOLDER HOST…: keys for signed messages, as `tonnage keys` makes them, to hosts and coordinator.
give_keys() {
  local folder=$1 host key
  shift
  [[ -n $KEYS ]] || return 0
  for host; do
    key=$DIR/coordinator/keys/$host.key
    install -d -m 700 "${key%/*}" "${folder/HOST/$host}"
    [[ -f $key ]] || openssl rand -hex 32 | write "$key"
    install -m 600 "$key" "${folder/HOST/$host}/"
  done
}

# tell_key FILE KEY|KEYS PATH: once.
tell_key() {
  [[ -z $KEYS ]] || grep -qs "^TONNAGE_$2=" "$1" || printf 'TONNAGE_%s=%s\n' "$2" "$3" >>"$1"
}

# write_users: every user anew, with its own password and the rules of this version.
write_users() {
  local user known
  {
    printf 'user default reset off\n'
    while read -r user; do
      known=$(hash_of "$user")
      printf 'user %s reset on #%s resetchannels ' "$user" "$known"
      case $user in
        tonnage-worker-*) rules worker "${user#tonnage-worker-}" ;;
        tonnage-simulated) rules worker 'sim-*' ;;
        tonnage-*) rules "${user#tonnage-}" '' ;;
        *) fail "users.acl has a user '$user' that is none of ours" ;;
      esac
      echo
    done < <(awk '$1 == "user" && $2 != "default" { print $2 }' "$DIR/redis/users.acl" | sort -u)
  } >"$DIR/redis/users.acl.new"
  mv -f "$DIR/redis/users.acl.new" "$DIR/redis/users.acl"
}

make() {
  settings
  mkdir -p "$DIR/redis" "$DIR/hosts"
  make_authority
  [[ -e $DIR/redis/server.pem ]] || make_certificate
  write_redis_conf
  touch "$DIR/redis/users.acl"
  give tonnage-admin "$DIR/redis/admin"
  give tonnage-coordinator "$DIR/coordinator"
  give tonnage-viewer "$DIR/viewer"
  give tonnage-events "$DIR/events"
  [[ -z $SIMULATED ]] || give_simulated
  add_hosts
}

give_simulated() {
  local names
  give tonnage-simulated "$DIR/simulated"
  mapfile -t names < <(seq -f 'sim-%04.0f' 1 "$SIMULATED")
  give_keys "$DIR/simulated/keys" "${names[@]}"
  tell_key "$DIR/simulated/tonnage.env" KEY "$FILES_AT/keys"
}

add_hosts() {
  local host
  for host in "${HOSTS[@]}"; do give "tonnage-worker-$host" "$DIR/hosts/$host" "$host"; done
  give_keys "$DIR/hosts/HOST" "${HOSTS[@]}"
  for host in "${HOSTS[@]}"; do tell_key "$DIR/hosts/$host/tonnage.env" KEY "$FILES_AT/$host.key"; done
  tell_key "$DIR/coordinator/tonnage.env" KEYS "$FILES_AT/keys"
  write_users
  reload
}

remove_hosts() {
  local host
  ((${#HOSTS[@]})) || fail 'which hosts?'
  for host in "${HOSTS[@]}"; do
    [[ -n $(hash_of "tonnage-worker-$host") ]] || fail "there is no user for a host '$host'"
    awk -v user="tonnage-worker-$host" '$2 != user' "$DIR/redis/users.acl" | write "$DIR/redis/users.acl"
    rm -rf "$DIR/hosts/$host" "$DIR/coordinator/keys/$host.key"
  done
  write_users
  reload
}

# reload: a Redis that runs from here reads its users anew, and drops those that are gone.
reload() {
  is_up || return 0
  [[ $(as_admin ACL LOAD) == OK ]] || fail 'Redis does not take its users: stop it, and start it again'
}

as_admin() {
  local url
  url=$(sed -n 's/^TONNAGE_BROKER=.*tonnage-admin://p' "$DIR/redis/admin/tonnage.env")
  REDISCLI_AUTH=${url%%@*} timeout 20 redis-cli --no-auth-warning --tls --cacert "$DIR/ca.pem" -h 127.0.0.1 \
    -p "$PORT" --user tonnage-admin "$@"
}

admin_is_heard() {
  [[ $(as_admin PING 2>/dev/null) == PONG ]]
}

is_up() {
  [[ -f $DIR/redis/run/daemons ]] || return 1
  use_engines_dir "$DIR/redis/run"
  daemon_lives redis
}

start() {
  local server
  ! is_up || fail "it runs already: deploy/broker.sh stop $DIR"
  server=$(command -v redis-server || command -v valkey-server) || fail 'there is no redis-server: apt install redis-server'
  use_engines_dir "$DIR/redis/run"
  cd "$DIR/redis"
  start_daemon redis "$server" redis.conf
  wait_for 15 redis admin_is_heard || { stop_daemons 10 && rm -rf "$ENGINES_DIR" && fail 'Redis does not come up'; }
  printf 'broker: rediss://%s:%s\n' "$(bracketed "${NAMES[0]}")" "$PORT"
}

stop() {
  is_up || { echo 'nothing is up' && return 0; }
  stop_daemons 30
  rm -rf "$DIR/redis/run"
}

say_made() {
  cat <<TEXT
made in $DIR:
    redis/         working folder of the broker: deploy/broker.sh start $DIR
    coordinator/   for the machine of 'tonnage run'; viewer/ for one that only looks
    hosts/HOST/    for each host: $(find "$DIR/hosts" -mindepth 1 -maxdepth 1 | wc -l) of them
Take each folder's files to $FILES_AT of its machine, and ca.key to a safe place.
TEXT
}

clean_up() {
  local status=$?
  rm -f "$LOG"
  return "$status"
}

main() {
  local verb=${1:-}
  case $verb in
    -h | --help) say_usage "${BASH_SOURCE[0]}" && exit 0 ;;
    make | add-host | remove-host | renew | start | stop | refused) ;;
    *) say_usage "${BASH_SOURCE[0]}" >&2 && exit 1 ;;
  esac
  [[ -n ${2:-} && $2 != -* ]] || fail "$verb needs a folder"
  umask 077
  read_arguments "${@:3}"
  has openssl || fail 'there is no openssl: apt install openssl'
  [[ $verb == make || -f $2/settings ]] || fail "$2 was not made by: deploy/broker.sh make $2 --name …"
  mkdir -p "$2"
  DIR=$(cd "$2" && pwd -P) LOG=$(mktemp)
  trap clean_up EXIT
  exec 9<"$DIR"
  flock -n 9 || fail "another script is at work in $DIR"
  case $verb in
    make) make && say_made ;;
    add-host) settings && add_hosts ;;
    remove-host) settings && remove_hosts ;;
    renew) settings && make_certificate && echo 'a new certificate: start Redis again to use it' ;;
    start) settings && start ;;
    stop) settings && stop ;;
    refused) settings && as_admin ACL LOG ;;
  esac
}

main "$@"
