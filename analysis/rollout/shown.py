"""Tables of rollout as the report shows them."""

from collections.abc import Sequence

from analysis import quantities
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over


def fleet(rows: Sequence[Row]) -> ShownTable | None:
    """First and last host ready, bytes and throughput, by cell."""
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.count(r["hosts"]),
            quantities.count(r["blocks"]),
            quantities.count(r["incomplete"]),
            *(_time(r, name) for name in ("first", "last", "spread", "pulled")),
            quantities.size(r["bytes_wire"]),
            over(
                speed(r["bytes_per_s"]),
                quantities.size_range(r["bytes_per_s_low"], r["bytes_per_s_high"]),
            ),
        )
        for r in rows
    ]
    heads = (
        *("Conditions", "Variant", "Hosts", "Rollouts", "Incomplete", "First ready", "Last ready"),
        *("Spread", "All pulled", "Bytes", "Per second"),
    )
    caption = (
        "Times from the moment that all hosts had in common, means over rollouts in which every host "
        "became ready; incomplete: the others. Per second: bytes of all hosts over the time until the "
        "last "
        "one had pulled. Second line: 95 % interval over blocks."
    )
    return assemble("From one registry to all hosts", caption, heads, body, "fleet")


def scaling(rows: Sequence[Row]) -> ShownTable | None:
    """More hosts at once against fewer."""
    body = [
        (
            r["conditions"],
            marked(r),
            f"{r['hosts']} against {r['against']}",
            r["verdict"],
            over(
                quantities.ratio(r["slowdown"]),
                quantities.ratio_range(r["slowdown_low"], r["slowdown_high"]),
            ),
            over(
                quantities.share(r["efficiency"]),
                quantities.share_range(r["efficiency_low"], r["efficiency_high"]),
            ),
            quantities.count(r["blocks"]),
        )
        for r in rows
    ]
    heads = ("Conditions", "Variant", "Hosts", "Verdict", "Time to pull", "Efficiency", "Blocks")
    caption = (
        "Time to pull: until the last host had every byte, against rollouts to fewer hosts in the same "
        "block. Efficiency: growth of the throughput over growth of the number of hosts; 100 % means "
        "that "
        "hosts do not hold each other up. Bottleneck: the interval lies below 80 %; no bottleneck: "
        "above."
    )
    return assemble("Is the registry the bottleneck?", caption, heads, body, "scaling")


def speed(bytes_per_s: float | None) -> str:
    """Bytes per second: ``24 MiB/s``."""
    found = quantities.size(bytes_per_s)
    return found if found == quantities.NOT_AVAILABLE else f"{found}/s"


def _time(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}{end}_ns"] for end in ("", "_low", "_high"))
    return over(quantities.duration(value), quantities.duration_range(low, high))
