"""Whether a program needs shared libraries, read from its ELF headers."""

import struct
from pathlib import Path

_PT_INTERP = 3
"""Program header type of the loader's path: only dynamically linked programs have one."""


def is_static(program: Path) -> bool:
    """True for an ELF program that names no loader; False for anything else, also unreadable."""
    try:
        with program.open("rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:4] != b"\x7fELF":
                return False
            order = "<" if head[5] == 1 else ">"
            wide = head[4] == 2
            # Place, entry size and number of the program headers: e_phoff, e_phentsize, e_phnum.
            (start,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)
            size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
            file.seek(start)
            table = file.read(size * count)
        kinds = {struct.unpack_from(order + "I", table, size * index)[0] for index in range(count)}
    except (OSError, struct.error):
        return False
    return _PT_INTERP not in kinds
