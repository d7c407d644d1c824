"""Hosts in failure domains: what is left when some are lost, and how many it takes."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.capacity.demand import MOST_DOMAINS, Domains, HostFailures
from analysis.statistics.blocks import Floats, Ints

ALONE = Domains(count=MOST_DOMAINS, lose=1)
"""Every host a domain of its own, of which one may be lost. Holds below ``MOST_DOMAINS`` hosts."""


@dataclass(frozen=True)
class Layout:
    """Hosts spread as evenly over the domains as their sizes allow, for any number of hosts."""

    domains: Domains

    @property
    def room(self) -> float:
        """Hosts that all domains can take together."""
        return float(sum(self.domains.sizes)) if self.domains.sizes else np.inf

    def spread(self, hosts: int) -> tuple[int, ...]:
        """Hosts in each domain, the fullest first. ``hosts`` must not exceed the room."""
        if not self.domains.sizes:
            each, more = divmod(hosts, self.domains.number)
            return tuple(each + (place < more) for place in range(self.domains.number))
        filled = [0] * self.domains.number
        level = 0
        while sum(filled) < hosts:
            level += 1
            for place, size in enumerate(self.domains.sizes):
                if size >= level and sum(filled) < hosts:
                    filled[place] += 1
        return tuple(sorted(filled, reverse=True))

    def allowed(self, hosts: Floats) -> Floats:
        """Each number of hosts, or the next one that may be; infinite where there is no room for it."""
        f = self.domains.number
        found = np.ceil(hosts / f) * f if self.domains.whole else hosts
        return np.where(found > self.room, np.inf, found)

    def lost(self, hosts: Floats) -> Floats:
        """Hosts that are lost with the ``lose`` fullest domains, for each number of hosts."""
        f, k = self.domains.number, self.domains.lose
        if not self.domains.sizes:
            return np.asarray(k * (hosts // f) + np.minimum(k, hosts % f), dtype=np.float64)
        table = self._table
        inside = np.clip(np.where(np.isfinite(hosts), hosts, 0), 0, table.size - 1).astype(np.int64)
        return table[inside].astype(np.float64)

    @property
    def _table(self) -> Ints:
        """Hosts that are lost, by the number of hosts from 0 to the room."""
        sizes, k = np.array(self.domains.sizes), self.domains.lose
        levels = np.arange(1, sizes.max() + 1)
        wide = (sizes[None, :] >= levels[:, None]).sum(axis=1)
        # within a level hosts go to one domain after the other: the first k of them are fullest
        steps = [np.arange(width) < k for width in wide]
        return np.concatenate([[0], np.cumsum(np.concatenate(steps))]).astype(np.int64)

    def hosts_for(self, survivors: Floats) -> Floats:
        """Fewest hosts of which ``survivors`` are left after the loss; infinite without the room.

        Even domains give f − k survivors per full layer of f hosts, and in the last layer the first
        k hosts are the ones that are lost: ⌊(s − 1)/(f − k)⌋·f + (s − 1) mod (f − k) + 1 + k.
        """
        f, k = self.domains.number, self.domains.lose
        finite = np.isfinite(survivors)
        need = np.where(finite, np.maximum(survivors, 1), 1)
        if self.domains.sizes:
            left = np.arange(self._table.size) - self._table
            place = np.searchsorted(np.maximum.accumulate(left), need)
            found = np.where(place < left.size, place, np.inf)
        elif self.domains.whole:
            found = np.ceil(need / (f - k)) * f
        else:
            found = (need - 1) // (f - k) * f + (need - 1) % (f - k) + 1 + k
        return np.asarray(np.where(finite, found, np.inf), dtype=np.float64)


def hosts_up(needed: Floats, failures: HostFailures) -> Floats:
    """Fewest hosts of which ``needed`` are up with the target's chance, when each fails by itself.

    Smallest H with P(binomial(H, a) ≥ needed) ≥ target, a = MTBF/(MTBF + MTTR).
    """
    finite = np.isfinite(needed)
    whole, place = np.unique(np.where(finite, needed, 1), return_inverse=True)
    found = np.maximum(whole, 1).astype(np.int64)
    while True:
        short = 1 - special.bdtr(whole - 1, found, failures.up) < failures.target
        if not short.any():
            break
        found = found + short
    return np.asarray(np.where(finite, found[place], np.inf), dtype=np.float64)
