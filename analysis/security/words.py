"""What facts of security are called, and how their values and differences are said."""

import json
from collections.abc import Sequence
from typing import Any

from analysis import quantities
from analysis.security.differences import Difference, Pair
from analysis.security.vectors import MEMBERS, Merged, Vector

LABELS = {
    "kernel_shared": "kernel shared with the host",
    "root_is_host_root": "root inside is root on the host",
    "shared_namespaces": "namespaces shared with the host",
    "host_processes_visible": "processes of the host visible inside",
    "host_file_reachable": "file of the host readable inside",
    "capabilities": "effective capabilities",
    "host_capabilities": "effective capabilities of its process on the host",
    "seccomp": "seccomp inside",
    "host_seccomp": "seccomp of its process on the host",
    "no_new_privileges": "no new privileges inside",
    "host_no_new_privileges": "no new privileges of its process on the host",
    "user": "user inside",
    "host_user": "user of its process on the host",
    "writable_kernel_paths": "writable kernel paths",
    "host_mounts": "mounts of the host's file systems",
    "block_devices": "block devices",
    "devices": "entries of /dev",
    "host_interfaces": "network interfaces of the host visible inside",
    "host_syscalls": "distinct system calls on the host",
    "host_syscall_count": "system calls on the host",
    "lsm": "label of a security module inside",
    "host_lsm": "label of its process on the host",
    "emulator_sandbox": "sandbox of the emulator",
    "kernel": "kernel inside",
    "host_kernel": "kernel of the host",
    "capabilities_bounding": "bounding capabilities",
    "host_process": "its process on the host",
    "host_process_namespaces": "namespaces that its process shares with the worker",
    "host_devices_open": "devices that its process has open",
    "own_cgroup": "control group of its own",
    "processes": "processes visible inside",
    "host_processes": "processes on the host",
    "interfaces": "network interfaces inside",
}
"""In the order in which tables list them and sentences name them."""
GUEST = "of its own kernel"
_MOST_ITEMS = 7
_MOST_NAMED = 6
_FEW = 2


def label(name: str) -> str:
    """What a fact is called."""
    member = name.removeprefix(f"{MEMBERS}.")
    return LABELS.get(name, f"engine: {member}" if member != name else name.replace("_", " "))


def place(name: str) -> tuple[int, str]:
    """Where a fact stands among others."""
    order = list(LABELS)
    return (order.index(name) if name in LABELS else len(order)), name


def said(value: Any) -> str:
    """A value in words: ``yes``, ``14: chown, kill, …``."""
    if value is None:
        return quantities.NOT_AVAILABLE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _listed([str(item) for item in value])
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return str(value) or "none"


def merged(fact: Merged | None) -> str:
    """A fact of one cell as the table shows it; where trials disagree, each value with its number."""
    if fact is None or not fact.known:
        return quantities.NOT_AVAILABLE
    guest = f" ({GUEST})" if fact.guest else ""
    return _over_trials(fact) + guest


def brief(fact: Merged) -> str:
    """The same in few words: of a list of more than a few, how many it has."""
    guest = f" ({GUEST})" if fact.guest else ""
    value = fact.value
    if isinstance(value, list) and len(fact.distinct) == 1:
        few = ", ".join(map(str, value)) or "none"
        return f"{few if len(value) <= _FEW else quantities.count(len(value))}{guest}"
    return f"{_over_trials(fact)}{guest}"


def difference(found: Difference) -> str:
    """One difference in plain words, with what only one side has."""
    pair, fact = found.pair, label(found.name)
    if found.undecided:
        return f"{fact}: trials of one variant disagree, so nothing is said"
    one, other = brief(found.fact), brief(found.other_fact)
    told = f"{fact}: {pair.variant.cell.variant} {one}, {pair.other.cell.variant} {other}"
    short = all(
        isinstance(f.value, list) and len(f.value) <= _FEW for f in (found.fact, found.other_fact)
    )
    only = [
        f"only {vector.cell.variant}: {_named(items)}"
        for vector, items in ((pair.variant, found.only), (pair.other, found.only_other))
        if items and not short
    ]
    return "; ".join([told, *only])


def sentence(pair: Pair, found: Sequence[Difference]) -> str:
    """What tells one variant from another, the most telling facts first."""
    one, other = pair.variant.cell.variant, pair.other.cell.variant
    telling = [d for d in found if not d.undecided]
    if not telling:
        return f"No fact was seen that tells {one} from {other}."
    named = [
        f"{label(d.name)} {brief(d.fact)} instead of {brief(d.other_fact)}"
        for d in telling[:_MOST_NAMED]
    ]
    more = len(telling) - len(named)
    rest = f"; {quantities.plural(more, 'further fact')} in the table of differences" if more else ""
    return f"{one} against {other}: {'; '.join(named)}{rest}."


def disagreements(vectors: Sequence[Vector]) -> list[str]:
    """Which facts trials of one variant did not agree about, and where."""
    found = []
    for vector in vectors:
        for name in sorted(vector.facts, key=place):
            fact = vector.facts[name]
            if not fact.agreed:
                where = "; ".join(
                    f"{host}: {' or '.join(said(value) for value in values)}"
                    for host, values in fact.by_host.items()
                )
                found.append(f"Trials of {vector.cell.variant} disagree about '{label(name)}': {where}.")
    return found


def unknown(vectors: Sequence[Vector]) -> list[str]:
    """Which facts are known of one variant and not of another, and why."""
    anywhere = {name for v in vectors for name, fact in v.facts.items() if fact.known}
    missing: dict[tuple[str, str], list[str]] = {}
    for vector in vectors:
        for name, fact in vector.facts.items():
            if not fact.known and (name in anywhere or name == "host_syscalls"):
                missing.setdefault((vector.cell.variant, fact.how), []).append(label(name))
    return [
        f"Not known of {variant}: {quantities.listed(names)} ({why})."
        for (variant, why), names in missing.items()
    ]


def _over_trials(fact: Merged) -> str:
    values = [value for value, _ in fact.distinct]
    if len(values) == 1:
        return said(values[0])
    if fact.agreed and all(isinstance(value, int | float) for value in values):
        return f"{min(values)} to {max(values)}"
    if fact.agreed and all(isinstance(value, list) for value in values):
        return f"{len(fact.always)} in every trial, {len(set().union(*values))} in any"
    return "; ".join(f"{said(value)} in {quantities.plural(n, 'trial')}" for value, n in fact.distinct)


def _listed(items: Sequence[str]) -> str:
    if not items:
        return "none"
    some = ", ".join(items[:_MOST_ITEMS])
    return f"{len(items)}: {some}{', …' if len(items) > _MOST_ITEMS else ''}"


def _named(items: Sequence[str]) -> str:
    return quantities.listed(list(items), 12)
