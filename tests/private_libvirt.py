"""A libvirt that a test may kill: daemons in a mount namespace of their own, beside the machine's."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from engines import UP_S, libvirt_answers, needs_root, short_folder
from fleet import wait_until

_DAEMONS = """
set -eu
for part in /run/libvirt /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
  mkdir -p "$part" && mount -t tmpfs -o mode=755 own "$part"
done
printf 'user = "root"\\ngroup = "root"\\nnamespaces = []\\n' > /etc/libvirt/qemu.conf
virtlogd --pid-file "$0/virtlogd.pid" > "$0/virtlogd.log" 2>&1 &
exec sleep infinity
"""
"""What must outlive libvirtd: the namespace itself, and who keeps the guests' logs."""


class PrivateLibvirt:
    """libvirtd with folders and a socket of its own. Guests outlive it, as they would outlive any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = folder / "libvirtd.conf"
        sockets = folder / "sock"
        sockets.mkdir()
        self._config.write_text(
            'auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n'
            f'unix_sock_dir = "{sockets}"\n'
        )
        self.uri = f"qemu:///system?socket={sockets}/libvirt-sock"
        self._namespace = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _DAEMONS, str(folder)],
            start_new_session=True,
        )
        self._libvirtd: subprocess.Popen[bytes] | None = None
        wait_until((folder / "virtlogd.pid").exists, "virtlogd runs", UP_S)

    def start(self) -> None:
        """Answer."""
        enter = ["nsenter", "--mount", "--target", str(self._namespace.pid)]
        options = ["--config", str(self._config), "--pid-file", str(self._folder / "libvirtd.pid")]
        with (self._folder / "libvirtd.log").open("ab") as log:
            self._libvirtd = subprocess.Popen(
                [*enter, "libvirtd", *options], stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: libvirt_answers(self.uri), "libvirtd answers", UP_S)

    def kill(self) -> None:
        """End at once, without a word to anybody."""
        if self._libvirtd is not None:
            self._libvirtd.kill()
            self._libvirtd.wait(UP_S)

    def guests(self) -> list[int]:
        """QEMU processes that see this libvirt's folders."""
        own = Path(f"/proc/{self._namespace.pid}/ns/mnt").readlink()
        found = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(OSError, psutil.Error):
                inside = Path(f"/proc/{process.pid}/ns/mnt").readlink() == own
                if inside and (process.info["name"] or "").startswith("qemu-system"):
                    found.append(process.pid)
        return found

    def close(self) -> None:
        """End everything in the namespace, guests too."""
        self.kill()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._folder / "virtlogd.pid").read_text()), signal.SIGKILL)
        for pid in self.guests():
            os.kill(pid, signal.SIGKILL)
        self._namespace.kill()
        self._namespace.wait(UP_S)


@contextmanager
def private_libvirt() -> Iterator[PrivateLibvirt]:
    """One that answers. Raises Absent where there is no libvirt, or we are not root."""
    needs_root("virtlogd", "libvirtd", "qemu-system-x86_64", "unshare", "nsenter")
    with short_folder() as folder:
        libvirt = PrivateLibvirt(folder)
        try:
            libvirt.start()
            yield libvirt
        finally:
            libvirt.close()
