"""Where fewer operations are not faster: what the count of FLOPs would have got wrong in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.reports.thinning import spread
from hwnas.reports.trials import TrialRow

_MOST = 1000  # trials that are held against each other: half a million pairs
_DEVIATIONS = 2.0  # of the error of a prediction, that latencies have to differ by


@dataclass(frozen=True, kw_only=True)
class Misled:
    """Pairs of networks of which the one with fewer FLOPs is the slower one.

    Attributes:
        lean: Of the most striking pair, the one with fewer FLOPs.
        fast: The other one.
        pairs: Pairs of that kind.
        of: Pairs that differ in FLOPs, and in latency by more than the error of predictions.
    """

    lean: TrialRow
    fast: TrialRow
    pairs: int
    of: int

    @property
    def flops_ratio(self) -> float:
        """FLOPs of the fast one over those of the lean one, above 1."""
        return self.fast.costs["flops_m"] / self.lean.costs["flops_m"]

    @property
    def latency_ratio(self) -> float:
        """Latency of the lean one over that of the fast one, above 1."""
        return self.lean.costs["latency_ms"] / self.fast.costs["latency_ms"]


def misled_by_flops(rows: Sequence[TrialRow], *, spread_of_error: float) -> Misled | None:
    """The pairs of a run in which the network with fewer FLOPs is the slower one; ``None`` where there are none.

    Networks of different precisions make no pair: an operation is not the same work there.

    Args:
        rows: Trials; of very many, some at even distances are looked at.
        spread_of_error: Standard deviation of the relative error of predicted latencies; two of them are between the
            networks of a pair.
    """
    known = [row for row in rows if row.costs.get("flops_m", 0) > 0 and row.costs.get("latency_ms", 0) > 0]
    known = spread(known, _MOST)
    if len(known) < 2:
        return None
    flops, latency = (np.log([row.costs[name] for row in known]) for name in ("flops_m", "latency_ms"))
    more = flops[None, :] - flops[:, None]  # of column over row
    slower = latency[:, None] - latency[None, :]  # row over column
    precision = np.array([row.precision or "" for row in known])
    alike = precision[:, None] == precision[None, :]
    clear = alike & (np.abs(slower) > np.log1p(_DEVIATIONS * spread_of_error))
    wrong = (more > 0) & (slower > 0) & clear
    if not wrong.any():
        return None
    lean, fast = np.unravel_index(np.argmax(np.where(wrong, np.minimum(more, slower), -1.0)), wrong.shape)
    return Misled(
        lean=known[int(lean)],
        fast=known[int(fast)],
        pairs=int(wrong.sum()),
        of=int(((more > 0) & clear).sum()),
    )
