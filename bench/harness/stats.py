"""The arithmetic of the comparison: what the rounds of one cell say, and how two runs compare."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """The rounds of one measurement."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def below(self, other: Spread) -> bool:
        """Whether this is lower in any round that may be expected. A few rounds do not show all: each range counts as twice as wide."""
        return self.high + (self.high - self.low) / 2 < other.low - (other.high - other.low) / 2

    def apart_from(self, other: Spread) -> bool:
        return self.below(other) or other.below(self)


def ratio(theirs: Spread, ours: Spread) -> float:
    """How many times as long theirs takes; above 1, ours is faster."""
    return theirs.middle / ours.middle


def share_of_others(all_cpu: float, ours: float, seconds: float, cores: int) -> float:
    """How much of the machine's CPU time processes other than ours used. The two clocks tick differently: little of it may come out below none."""
    return max(0.0, all_cpu - ours) / seconds / cores


def turned(first: dict[tuple, Spread], second: dict[tuple, Spread]) -> list[tuple[tuple, tuple]]:
    """Pairs of cells of one group (all of a key but its last part) that are apart in both runs, the other way round in the second."""
    keys = sorted(key for key in first if key in second)
    pairs = [(a, b) for a in keys for b in keys if a[:-1] == b[:-1] and first[a].below(first[b])]
    return [(a, b) for a, b in pairs if second[b].below(second[a])]
