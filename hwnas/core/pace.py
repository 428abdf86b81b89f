"""How long what is left of some work will take, by what its last parts took."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from statistics import fmean, median

_BLOCKS = 5
_RECENT = 30


class Pace:
    """Times units of work as they are done, and says how long further ones will take.

    What one unit takes is a median of means: the latest durations in five blocks, the mean of each, the median of
    these. A few that took far longer (the first one, which loads everything; one beside other work) leave it alone, and
    units that are unlike each other still count as the mean of their mixture. An old pace is forgotten once enough
    units have been done at a new one. Only what is done with this object counts, nothing that an earlier process did.

    A unit is timed from the moment at which its worker became free, so that whatever has to be done between two units
    is part of the pace.

    Args:
        workers: Units under way at once.
        recent: Durations remembered, a few at least.
        clock: Seconds, never going back.
    """

    def __init__(self, *, workers: int = 1, recent: int = _RECENT, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._durations_s: deque[float] = deque(maxlen=max(recent, _BLOCKS))
        self._free = deque([clock()] * workers)  # since when each idle worker has been so
        self._under_way: dict[Hashable, float] = {}
        self._spent_s: dict[Hashable, float] = {}  # on units that halted

    def begun(self, unit: Hashable) -> None:
        """A worker has taken a unit."""
        self._under_way[unit] = self._free.popleft() if self._free else self._clock()

    def halted(self, unit: Hashable) -> None:
        """A worker has let go of that unit, which is not done: its time so far counts when it is."""
        self._spent_s[unit] = self._spent_s.get(unit, 0.0) + self._let_go(unit)

    def ended(self, unit: Hashable) -> None:
        """That unit is done; one that was never begun here says nothing."""
        spent_s = self._spent_s.pop(unit, None)
        if unit in self._under_way:
            spent_s = (spent_s or 0.0) + self._let_go(unit)
        if spent_s is not None:
            self._durations_s.append(spent_s)

    def lost(self, unit: Hashable) -> None:
        """That unit came to nothing, and its time says nothing."""
        self._let_go(unit)

    def advanced(self, units: int = 1) -> None:
        """Of work that one does alone: so many units are done since the last call, or since the beginning."""
        now = self._clock()
        if units > 0:
            self._durations_s.append((now - self._free[0]) / units)
            self._free[0] = now

    def paused(self) -> None:
        """Of such work: what was done since the last call was something else."""
        self._free[0] = self._clock()

    @property
    def unit_s(self) -> float | None:
        """Seconds that a unit takes; ``None`` before the first one is done."""
        found = list(self._durations_s)
        if not found:
            return None
        size = max(1, len(found) // _BLOCKS)
        latest = found[-_BLOCKS * size :]
        return median(fmean(latest[start : start + size]) for start in range(0, len(latest), size))

    def left_s(self, units: int) -> float | None:
        """Seconds until so many units are done, those under way included; ``None`` before the first one is.

        Every worker takes the next unit as soon as it is free. One that is late counts as about to end.
        """
        unit_s = self.unit_s
        if unit_s is None or units <= 0:
            return None if unit_s is None else 0.0
        now = self._clock()
        ready = sorted(max(0.0, unit_s - (now - since)) for since in self._under_way.values())
        free = [0.0] * len(self._free) + ready  # in how many seconds each worker takes its next unit
        rounds, rest = divmod(max(0, units - len(ready)), len(free))
        return max(at + unit_s * (rounds + (place < rest)) for place, at in enumerate(free))

    def _let_go(self, unit: Hashable) -> float:
        now = self._clock()
        since = self._under_way.pop(unit)
        self._free.append(now)
        return now - since
