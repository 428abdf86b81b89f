"""Which candidate of a search by estimates to train next, and when enough of them are trained.

First come some that are spread over the front as it was estimated. What they came to teaches a Gaussian process over
the choices of a network, its estimate and its size what others would come to: in which respects estimates mislead, and
how far they do, shows in the trainings themselves. Next is always the network that is expected to add most to the front
of those that were trained; when even that is next to nothing, the front is settled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from hwnas.core import Architecture, Trial
from hwnas.evaluators import ESTIMATES
from hwnas.pareto import hypervolume, non_dominated, non_dominated_boxes
from hwnas.searchers.greybox.improvement import Belief, expected_improvement
from hwnas.spaces import SearchSpace
from hwnas.study.run import Run
from hwnas.surrogates import Description, Kernel, LinearPart, described, learn, posterior

Values = NDArray[np.float64]

MOST = 24  # trainings for one budget of trials and its targets
FIRST = 5  # of them, spread over the estimated front
_SETTLED = 1e-3  # share of the hypervolume; a training that is expected to add less is not made
_DOUBT = 2.0  # before the front is called settled, deviations are believed to be so many times as large
_BEFORE = "trained_before_"  # begins the name of a note on the study: how many were trained when a budget began
_SIZES = ("params_m", "flops_m")
_SLOPE = (0.0, 1.0)  # prior of the log of the variance that the estimate, or a size, explains by itself


def begin_budget(run: Run) -> None:
    """Notes how many were trained before the present budget of trials, or its targets: ``MOST`` holds of each."""
    if run.settings.evaluator in ESTIMATES and _budget(run) not in run.record.notes():
        run.record.note(_budget(run), len(run.retrained.accuracies()) + len(run.retrained.failures()))


def _budget(run: Run) -> str:
    return f"{_BEFORE}{run.settings.trials}_{len(run.objectives)}"


def most_left(run: Run, finished: Sequence[Trial], *, under_way: int = 0) -> int:
    """How many trainings there can be at the most, beside those that are under way."""
    if run.settings.evaluator not in ESTIMATES:
        return 0
    done = len(run.retrained.accuracies()) + len(run.retrained.failures()) + under_way
    before = int(run.record.notes().get(_budget(run), 0))
    return max(0, min(MOST + before, sum(trial.complete for trial in finished)) - done)


def next_winner(run: Run, finished: Sequence[Trial], *, under_way: Collection[int] = ()) -> Trial | None:
    """The candidate whose training is expected to add most to the front, of those that are not trained yet.

    It follows from the record alone, so a training of winners that was cut off goes on as if it had not been.

    Args:
        run: The run; without estimates there is nothing to train.
        finished: All its trials that ended.
        under_way: Numbers of those that are being trained, which are believed to come to what is expected of them.

    Returns:
        ``None`` where the front is settled, or ``MOST`` were trained.
    """
    if not most_left(run, finished, under_way=len(under_way)):
        return None
    trained, failed = run.retrained.accuracies(), run.retrained.failures()
    able = [trial for trial in finished if trial.complete and trial.number not in failed]
    (paid,) = (place for place, goal in enumerate(run.objectives) if goal.expensive)
    to_cost = run.objectives[paid].to_cost
    reference = run.reference_costs.copy()
    if run.settings.min_accuracy is not None:  # on the scale of trainings
        reference[paid] = min(reference[paid], to_cost(run.settings.min_accuracy))
    contest = Contest(
        space=run.family.space,
        architectures=[trial.architecture for trial in able],
        costs=run.cost_matrix(able),
        sizes=np.array([[trial.values[name] for name in _SIZES] for trial in able]),
        paid=paid,
        reference=reference,
    )
    told = {place: to_cost(trained[trial.number]) for place, trial in enumerate(able) if trial.number in trained}
    best = contest.best(told, under_way=[place for place, trial in enumerate(able) if trial.number in under_way])
    return None if best is None else able[best]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Candidates of which some are to be trained.

    Attributes:
        space: Where they are from.
        architectures: They, ``n``.
        costs: Theirs, minimised, of which one is an estimate; shape ``(n, m)``.
        sizes: Of the networks, above 0, shape ``(n, s)``.
        paid: Which cost is the estimate.
        reference: Of the hypervolume, shape ``(m,)``.
    """

    space: SearchSpace
    architectures: Sequence[Architecture]
    costs: Values
    sizes: Values
    paid: int
    reference: Values

    def best(self, told: Mapping[int, float], *, under_way: Sequence[int] = ()) -> int | None:
        """The position of the candidate to train next.

        Args:
            told: What the estimated cost came to where a network was trained, by its position.
            under_way: Positions of those that are being trained.

        Returns:
            ``None`` where the front is settled.
        """
        taken = {*told, *under_way}
        order = self._in_order()
        spread = [place for place in order[:FIRST] if place not in taken]
        left = [place for place in order if place not in taken]
        if spread or not left:
            return spread[0] if spread else None
        known = np.array(sorted(told), dtype=np.intp)
        try:
            belief = self._believed(known, np.array([told[int(place)] for place in known]))
        except (LinAlgError, FloatingPointError):  # as where none was trained, or all came to the same
            return left[0]
        found = self.costs.copy()
        found[:, self.paid] = belief.warp.backward(belief.means)
        found[known, self.paid] = [told[int(place)] for place in known]
        cheap = [place for place in range(found.shape[1]) if place != self.paid]
        begun = found[sorted(taken)]
        boxes = non_dominated_boxes(begun, self.reference)
        least = _SETTLED * hypervolume(begun, self.reference)
        for doubt in (1.0, _DOUBT):
            doubted = [belief.widened(doubt)]
            worth = expected_improvement(boxes, found[:, cheap], doubted, cheap=cheap, paid=[self.paid])
            best = max(left, key=lambda place: worth[place])
            if worth[best] > least:
                return best
        return None

    def _in_order(self) -> list[int]:
        """The estimated front, some that are spread over it before the rest of it, and then all others."""
        on_front, estimates = non_dominated(self.costs), self.costs[:, self.paid]
        order = np.lexsort((np.arange(len(estimates)), estimates, ~on_front))
        ends = np.linspace(0, on_front.sum() - 1, FIRST).round().astype(np.intp)
        return list(dict.fromkeys([*order[ends].tolist(), *order.tolist()]))

    def _believed(self, known: NDArray[np.intp], told: Values) -> Belief:
        """What trainings would give, by those of ``known``; the deviations hold the luck of a training, too.

        Raises:
            FloatingPointError: Nothing can be learned.
            LinAlgError: Likewise.
        """
        if len(known) < 2:
            raise FloatingPointError("expected two trainings to learn from")
        description = Description(self.space)
        fixed = description.fixed(described(self.space, self.architectures))
        logs = np.log(np.maximum(self.sizes, np.finfo(np.float64).tiny))
        own = np.column_stack([_standardised(column) for column in (self.costs[:, self.paid], *logs.T)])
        rows = np.column_stack([fixed, own])  # (n, d + 1 + s)
        columns = tuple((place,) for place in range(fixed.shape[1], rows.shape[1]))
        kernel = Kernel([*description.kernel.parts, LinearPart(groups=columns, weight=_SLOPE)])
        learned = learn(kernel, rows[known], told)
        means, variances = posterior(kernel, learned, rows[known], told).predict(rows)
        return Belief(learned.warp, means, variances + learned.hyper.noise)


def _standardised(values: Values) -> Values:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))
