#!/bin/sh
# Makes a folder that campaigns can name as their image, the same userland for bare processes, containers and
# virtual machines: a minimal Debian with some programs, by debootstrap.
#
#   deploy/debian-image.sh FOLDER [PACKAGE…]      by default sysbench, fio, stress-ng and iperf3
#
# TONNAGE_SUITE names another suite than bookworm, TONNAGE_MIRROR another mirror than the one of this machine's
# own package sources. Needs root. FOLDER must not be there: it holds rootfs/ and what is in it. The worker
# makes an image of Docker and a disk of libvirt out of it when a campaign first asks for them, and puts the
# agent in. Never change its files afterwards: make a new one.
set -eu

die() {
    echo "debian-image: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: $0 FOLDER [PACKAGE…]"
[ "$(id -u)" = 0 ] || die 'debootstrap needs root'
folder=$1
shift
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
[ ! -e "$folder" ] || die "$folder is there already: remove it, or name another folder"
command -v debootstrap >/dev/null || die "debootstrap is not installed: apt-get install debootstrap"
[ $# -ge 1 ] || set -- sysbench fio stress-ng iperf3

suite=${TONNAGE_SUITE:-bookworm}
mirror=${TONNAGE_MIRROR:-}
if [ -z "$mirror" ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016 # these are apt's own names, not the shell's
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
        awk -v suite="$suite" '$1 == suite && $2 == "main" { print $3; exit }')
fi
mirror=${mirror:-http://deb.debian.org/debian}
packages=$(printf '%s,' "$@")

unfinished=$folder.unfinished
rm -rf "$unfinished"
trap 'rm -rf "$unfinished"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$unfinished"
rootfs=$unfinished/rootfs
# Packages come over the network only where they must: debootstrap checks their signatures.
debootstrap --variant=minbase --include="${packages%,}" "$suite" "$rootfs" "$mirror"

rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/* "$rootfs"/var/log/*
rm -f "$rootfs"/etc/machine-id "$rootfs"/etc/resolv.conf "$rootfs"/etc/hostname
mkdir -p "$rootfs/tonnage" "$rootfs/work" # for the agent, and to work in
chmod 1777 "$rootfs/work"

digest=$(tar -C "$rootfs" --sort=name --mtime=@0 --numeric-owner --exclude=./dev -cf - . | sha256sum)
versions=$(dpkg-query --admindir="$rootfs/var/lib/dpkg" -W -f '"${Package}": "${Version}", ' "$@")
cat >"$unfinished/tonnage-image.json" <<END
{"digest": "${digest%% *}", "suite": "$suite", "packages": {${versions%, }}}
END
chmod 755 "$unfinished"
mv "$unfinished" "$folder"
trap - EXIT
echo "$folder: $(du -sm "$folder" | cut -f1) MiB; name it as a campaign's image"
