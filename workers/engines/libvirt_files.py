"""What libvirt and QEMU keep about a running domain on this host: PID file, cgroups, log."""

import os
import pwd
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_ACCESS_LIST = "system.posix_acl_access"
_DAEMON_SETTINGS = (Path("/etc/libvirt/virtqemud.conf"), Path("/etc/libvirt/libvirtd.conf"))
_STOCK_LIMITS = {"max_clients": 5000, "max_workers": 20, "max_client_requests": 5}
"""What a daemon does when its settings say nothing (libvirtd.conf)."""


class LibvirtFiles:
    """Places of one libvirt daemon's files: the system's, or those of a user's session."""

    def __init__(self, uri: str, kind: str = "qemu") -> None:
        self._kind = kind
        named = parse_qs(urlsplit(uri).query).get("socket")
        self._named = Path(named[0]) if named else None
        if "/session" in uri:
            runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
            self._state = Path(runtime) / f"libvirt/{kind}/run"
            self._logs = Path.home() / f".cache/libvirt/{kind}/log"
            self._sockets = Path(runtime) / "libvirt"
        else:
            self._state = Path("/run/libvirt", kind)
            self._logs = Path("/var/log/libvirt", kind)
            self._sockets = Path("/run/libvirt")

    @property
    def guests(self) -> Path | None:
        """Where the system's daemon keeps what QEMU must read of its guest; None for another daemon."""
        ours = self._named is None and self._sockets == Path("/run/libvirt")
        return Path("/var/lib/libvirt", self._kind) if ours else None

    @property
    def daemon_socket(self) -> Path:
        """Where the daemon listens: of the driver's own daemon where libvirt runs as several."""
        if self._named is not None:
            return self._named
        modular = self._sockets / f"virt{self._kind}d-sock"
        return modular if modular.exists() else self._sockets / "libvirt-sock"

    def pid(self, name: str) -> int | None:
        """PID of a running domain's QEMU; None when it does not run or the file is not readable."""
        try:
            return int((self._state / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def state_files(self, name: str) -> list[Path]:
        """Files of a running domain that are still there."""
        candidates = [self._state / f"{name}.pid", self._state / f"{name}.xml"]
        return [path for path in candidates if path.exists()]

    def log(self, name: str) -> Path:
        """QEMU's log. libvirt leaves it behind for ever."""
        return self._logs / f"{name}.log"


def cgroups_of(pid: int, name: str) -> list[Path]:
    """Control group folders that were made for the domain ``name``, whose QEMU is ``pid``.

    Version 1 has one per controller, version 2 one in all. Those shared with others are not meant.
    """
    try:
        lines = (_PROC / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        own = _own_part(path, name)
        if own is None:
            continue
        mount = controllers.removeprefix("name=") if controllers else ""
        found += [place for base in _mounts(mount) if (place := base / own).is_dir()]
    return found


def connection_limits() -> dict[str, int]:
    """The daemon's limits on clients and requests, as configured on this host."""
    limits = dict(_STOCK_LIMITS)
    for path in _DAEMON_SETTINGS:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() in limits and value.strip().isdigit():
                limits[key.strip()] = int(value)
        break
    return limits


def unreachable(path: Path, uid: int, gid: int) -> Path | None:
    """The first folder on the way to ``path`` that this user may not pass; None when all are open.

    Only the permission bits count here: access lists and other security modules may still say no.
    """
    if uid == 0:
        return None
    groups = _groups_of(uid, gid)
    for folder in reversed(path.absolute().parents):
        try:
            if not _may(folder.stat(), uid, groups, stat.S_IXOTH):
                return folder
        except FileNotFoundError:
            return None
    return None


def readable(path: Path, uid: int, gid: int) -> bool:
    """Whether a user of these ids may read ``path``, by its permission bits."""
    return uid == 0 or _may(path.stat(), uid, _groups_of(uid, gid), stat.S_IROTH)


def usable(device: Path, uid: int, gid: int) -> bool:
    """Whether a user of these ids may read and write ``device``: by its bits, or perhaps by a list."""
    if uid == 0 or _ACCESS_LIST in os.listxattr(device):
        return True
    return _may(device.stat(), uid, _groups_of(uid, gid), stat.S_IROTH | stat.S_IWOTH)


def _groups_of(uid: int, gid: int) -> set[int]:
    """All groups that a program of this user is in when libvirt starts it.

    The user's own primary group is among them, whatever group libvirt is set to (virGetGroupList).
    """
    try:
        user = pwd.getpwuid(uid)
        return {gid, *os.getgrouplist(user.pw_name, user.pw_gid)}
    except KeyError:  # a user without a name
        return {gid}


def _may(status: os.stat_result, uid: int, groups: set[int], bits_of_others: int) -> bool:
    shift = 6 if status.st_uid == uid else 3 if status.st_gid in groups else 0
    wanted = bits_of_others << shift
    return status.st_mode & wanted == wanted


def _own_part(path: str, name: str) -> str | None:
    """The path up to the component that names the domain: QEMU itself sits in a folder below it."""
    parts = path.strip("/").split("/")
    # systemd writes a dash in a name as \x2d.
    for depth, part in enumerate(parts, start=1):
        if name in part.replace("\\x2d", "-"):
            return "/".join(parts[:depth])
    return None


def _mounts(controllers: str) -> list[Path]:
    """Where a hierarchy may be mounted: its own folder, or for version 2 the top or ``unified``."""
    if controllers:
        return [_CGROUPS / controllers]
    return [_CGROUPS, _CGROUPS / "unified"]
