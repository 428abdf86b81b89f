"""Successive halving that is aware of the front: which trainings may be given up halfway, and which may not.

The base is the stopping rule of asynchronous successive halving (Li et al., A system for massively parallel
hyperparameter tuning, MLSys 2020, arXiv:1810.05934): trainings halt at rungs, and only the best ``1 / eta`` of all that
came to a rung so far go on. "Best" is by levels of non-domination, as in multi-objective successive halving (Schmucker
et al., 2021, arXiv:2106.12639), of the accuracy at the rung and the costs, which are known exactly. And nobody is
stopped on a ranking that is not known to last: a candidate has to be behind one that costs no more by a lead that
further training hardly ever overturned. (Bohdal et al., PASHA, ICLR 2023, arXiv:2207.06940, also take the uncertainty
of a ranking from the leads that were overturned.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import UsageError
from hwnas.pareto import levels

Values = NDArray[np.float64]

OVERTURNED = 0.1  # a lead counts when it is overturned by the end with at most this probability
FEWEST_ETA = 2.0


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """A training at a rung.

    Attributes:
        accuracy: On the validation images, then.
        costs: Of the network, known exactly, minimised; the same ones for all.
        final: Accuracy after the last epoch; ``None`` for trainings that did not come there, or not yet.
    """

    accuracy: float
    costs: tuple[float, ...]
    final: float | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of a training at a rung, and why.

    Attributes:
        stop: Whether it ends there.
        results: How many came to the rung, it included.
        ahead: How many of them are on a better level.
        behind: How far its accuracy is below the best of those that cost no more; 0 where it is itself the best.
        margin: The lead that counts; infinite while too little is known.
    """

    stop: bool
    results: int
    ahead: int
    behind: float
    margin: float

    def told(self) -> str:
        """For people."""
        return (
            f"{self.behind:.4f} behind a network that costs no more, where a lead of {self.margin:.4f} lasts; "
            f"{self.ahead} of {self.results} results are on better levels"
        )


@dataclass(frozen=True, kw_only=True)
class Halving:
    """The rule.

    Attributes:
        eta: Of the results at a rung, the best ``1 / eta`` go on in any case, and rungs are ``eta`` times as far apart;
            infinite for no rungs, and nobody stopped.

    Raises:
        UsageError: ``eta`` is below 2, or no number.
    """

    eta: float

    def __post_init__(self) -> None:
        if not self.eta >= FEWEST_ETA:
            raise UsageError(f"expected a halving of 2 or more, such as 3, received {self.eta:g}")

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs after which a training of so many halts: a share ``1 / eta`` of them, of these, and so on."""
        found: set[int] = set()
        left = epochs / self.eta
        while left >= 1:
            found.add(int(left))
            left /= self.eta
        return tuple(sorted(found))

    def verdict(self, candidate: RungResult, others: Sequence[RungResult]) -> Verdict:
        """Whether a training that came to a rung is to end there.

        What is not dominated at its rung always goes on, and the order of the others does not matter.

        Args:
            candidate: It.
            others: All others that came to the same rung so far, those that were stopped there included.
        """
        everyone = [candidate, *others]
        costs = np.array([(-one.accuracy, *one.costs) for one in everyone], dtype=np.float64)  # (n, 1 + k)
        level = levels(costs)
        ahead = int((level < level[0]).sum())
        peers = (costs[1:, 1:] <= costs[0, 1:]).all(axis=1)
        behind = float(max((-costs[1:, 0])[peers] - candidate.accuracy, default=0.0))
        behind, margin = max(behind, 0.0), lasting_lead(others)
        late = ahead >= len(everyone) / self.eta and not math.isinf(self.eta)
        return Verdict(stop=late and behind > margin, results=len(everyone), ahead=ahead, behind=behind, margin=margin)


def require_halving(eta: float | None, *, evaluator: str, epochs: int) -> None:
    """Checks that trainings can be stopped early, before anything is paid for.

    Args:
        eta: Of the halving; ``None`` for none.
        evaluator: What finds the accuracies.
        epochs: Of the recipe.

    Raises:
        UsageError: ``eta`` makes no sense, the evaluator does not train candidates, or no rung fits into the recipe.
    """
    if eta is None:
        return
    rungs = Halving(eta=eta).rungs(epochs)
    if evaluator != "trained":
        raise UsageError(
            f"halving stops trainings of candidates early, which the evaluator {evaluator} does not make: leave "
            "--halving out, or choose --evaluator trained"
        )
    if not rungs:
        raise UsageError(
            f"halving {eta:g} would stop trainings after {epochs / eta:.2g} of {epochs} epochs: expected a recipe of "
            f"at least {eta:g} epochs. Leave --halving out, or train longer (--epochs)"
        )


def lasting_lead(results: Sequence[RungResult]) -> float:
    """The smallest lead at a rung beyond which hardly any is overturned by the end of training.

    Counted are the pairs of trainings that came to their end. The probability that a lead is overturned is estimated by
    the rule of succession, so it takes eight pairs without an exception, those of five trainings, until any lead
    counts.

    Args:
        results: At one rung.

    Returns:
        At least 0; infinite where no lead is known to last.
    """
    at, end, _ = _ended(results)
    lead = at[:, None] - at[None, :]  # (n, n)
    ordered = lead > 0
    order = np.argsort(lead[ordered], kind="stable")
    leads, overturned = lead[ordered][order], (end[:, None] < end[None, :])[ordered][order]
    least = np.unique(np.append(leads, 0.0))
    first = np.searchsorted(leads, least, side="right")  # of the pairs beyond each
    lost = overturned.sum() - np.append(0, np.cumsum(overturned))[first]
    lasts = (lost + 1) / (len(leads) - first + 2) <= OVERTURNED
    return float(least[np.argmax(lasts)]) if lasts.any() else math.inf


def expected_finals(candidates: Sequence[RungResult], results: Sequence[RungResult]) -> Values:
    """What trainings that were stopped would have come to: the errors at their rung, fewer as they became elsewhere.

    Nothing is expected to be better than what a network that costs no more really came to: a guess takes nobody's place
    on the front.

    Args:
        candidates: Those that were stopped, ``n`` of them.
        results: At the same rung; those that came to their end say what share of the errors is left by then.

    Returns:
        Accuracies, shape ``(n,)``; those at the rung where no training came to its end, or none had errors.
    """
    at, end, costs = _ended(results)
    accuracies = np.array([one.accuracy for one in candidates], dtype=np.float64)
    if len(at) == 0:
        return accuracies
    errors = float((1 - at).sum())
    expected = 1 - (1 - accuracies) * float((1 - end).sum()) / errors if errors > 0 else accuracies
    own = np.array([one.costs for one in candidates], dtype=np.float64).reshape(-1, costs.shape[1])
    as_cheap = (costs[None, :, :] <= own[:, None, :]).all(axis=2)  # (n, trained)
    bound = np.where(as_cheap, end[None, :], -1.0).max(axis=1)
    return np.clip(np.where(bound >= 0, np.minimum(expected, bound), expected), 0.0, 1.0)


def _ended(results: Sequence[RungResult]) -> tuple[Values, Values, Values]:
    """Of those that came to their end: accuracies at the rung and then, shape ``(n,)``, and costs, shape ``(n, k)``."""
    rows = [(one.accuracy, one.final, *one.costs) for one in results if one.final is not None]
    found = np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 2)
    return found[:, 0], found[:, 1], found[:, 2:]
