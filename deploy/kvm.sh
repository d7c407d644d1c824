# shellcheck shell=bash
# Lending QEMU's user /dev/kvm for as long as engines of ours run. Sourced by engines.sh.

# lend_kvm: gives QEMU's user /dev/kvm, as udev would. Without it libvirt examines QEMU anew before every
# call, which takes longer than what is measured.
lend_kvm() {
  local user=libvirt-qemu
  if [[ ! -e /dev/kvm ]] || ! id "$user" >/dev/null 2>&1 || ! getent group kvm >/dev/null; then
    return 0
  fi
  if setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
    test -r /dev/kvm -a -w /dev/kvm; then
    return 0
  fi
  stat -c '%u:%g %a' /dev/kvm >"$ENGINES_DIR/kvm"
  chgrp kvm /dev/kvm
  chmod 660 /dev/kvm
}

take_kvm_back() {
  local owner mode
  [[ -e $ENGINES_DIR/kvm ]] || return 0
  read -r owner mode <"$ENGINES_DIR/kvm"
  chown "$owner" /dev/kvm
  chmod "$mode" /dev/kvm
}
