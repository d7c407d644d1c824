"""The archive that Linux unpacks at boot: cpio in its "newc" form."""

import stat
from collections.abc import Iterable

from workers.images.tiny import Entry

_END = Entry("TRAILER!!!", 0)


def pack(entries: Iterable[Entry]) -> bytes:
    """The entries as one archive, folders before what is in them: the same bytes on every call.

    Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
    """
    packed = bytearray()
    for inode, entry in enumerate([*entries, _END], start=1):
        name = entry.path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name size, check
        fields = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
        packed += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        _pad(packed)
        packed += entry.content
        _pad(packed)
    return bytes(packed)


def _pad(packed: bytearray) -> None:
    packed += bytes(-len(packed) % 4)
