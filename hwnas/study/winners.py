"""Which candidate of a search by estimates to train next, and when enough of them are trained.

What a training gives is expected to follow the estimate and the size of the network in a line: networks of one size are
all misjudged alike, which is what shared weights do first of all. How steep the line is, and how far it is to be
trusted, is learned from the trainings themselves. Next is always the network that is expected to add most to the front
of those that were trained; when even that is next to nothing, the front is settled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Trial
from hwnas.evaluators import ESTIMATES
from hwnas.pareto import hypervolume, non_dominated_boxes
from hwnas.searchers.greybox.improvement import Belief, expected_improvement
from hwnas.study.run import Run
from hwnas.surrogates import Warp

Values = NDArray[np.float64]

MOST = 24  # trainings for one budget of trials
_SETTLED = 1e-3  # share of the hypervolume; a training that is expected to add less is not made
_BEFORE = "trained_before_"  # begins the name of a note on the study: how many were trained when a budget began
_SIZES = ("params_m", "flops_m")
# What is believed before anything was trained, in standard deviations of the estimates: trainings follow the estimate
# as it is and no size, give or take a deviation that counts like so many trainings.
_DEVIATION, _LIKE = 1.0, 2.0
_PRECISIONS = (0.1, 1.0, 1.0, 1.0)  # of the line's height, of its slope along the estimate, and along each size
_LEAST = 1e-3  # estimates closer together than this tell nothing
_WIDE = 100.0  # width of a warp, in standard deviations of the estimates, that is as good as none


def begin_budget(run: Run) -> None:
    """Notes how many were trained before the trials of the present budget, for ``MOST`` holds of each."""
    name = f"{_BEFORE}{run.settings.trials}"
    if run.settings.evaluator in ESTIMATES and name not in run.record.notes():
        run.record.note(name, len(run.trained()) + len(run.untrainable()))


def most_left(run: Run, finished: Sequence[Trial], *, under_way: int = 0) -> int:
    """How many trainings there can be at the most, beside those that are under way."""
    if run.settings.evaluator not in ESTIMATES:
        return 0
    done = len(run.trained()) + len(run.untrainable()) + under_way
    before = int(run.record.notes().get(f"{_BEFORE}{run.settings.trials}", 0))
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
    trained, failed = run.trained(), run.untrainable()
    able = [trial for trial in finished if trial.complete and trial.number not in failed]
    (paid,) = (place for place, goal in enumerate(run.objectives) if goal.expensive)
    to_cost = run.objectives[paid].to_cost
    best = most_promising(
        run.cost_matrix(able),
        np.array([[trial.values[name] for name in _SIZES] for trial in able]),
        paid=paid,
        told={i: to_cost(trained[trial.number]) for i, trial in enumerate(able) if trial.number in trained},
        under_way=[i for i, trial in enumerate(able) if trial.number in under_way],
        reference=run.reference_costs,
    )
    return None if best is None else able[best]


def most_promising(
    costs: Values,
    sizes: Values,
    *,
    paid: int,
    told: Mapping[int, float],
    under_way: Collection[int],
    reference: Values,
) -> int | None:
    """The position of the candidate whose training is expected to add most to the front.

    Args:
        costs: Minimised, one of them an estimate, shape ``(n, m)``.
        sizes: Of the networks, above 0, shape ``(n, s)``.
        paid: Which cost is the estimate.
        told: What that came to where a network was trained, by its position.
        under_way: Positions of those that are being trained.
        reference: Of the hypervolume, shape ``(m,)``.

    Returns:
        ``None`` where none is expected to add a thousandth to what the trained ones have.
    """
    known, begun = np.array(sorted(told), dtype=np.intp), np.array(sorted(under_way), dtype=np.intp)
    taken = np.concatenate([known, begun])
    found = costs.copy()
    found[known, paid] = [told[int(i)] for i in known]
    belief = believed(costs[:, paid], sizes, known=known, told=found[known, paid])
    found[begun, paid] = belief.warp.backward(belief.means[begun])
    cheap = [place for place in range(costs.shape[1]) if place != paid]
    boxes = non_dominated_boxes(found[taken], reference)
    worth = expected_improvement(boxes, found[:, cheap], [belief], cheap=cheap, paid=[paid])
    worth[taken] = -np.inf
    best = int(np.argmax(worth))
    settled = len(taken) > 0 and worth[best] <= _SETTLED * hypervolume(found[taken], reference)
    return None if settled else best


def believed(estimates: Values, sizes: Values, *, known: NDArray[np.intp], told: Values) -> Belief:
    """What trainings would give: Bayesian regression on the estimate and the logarithms of the sizes.

    Args:
        estimates: Of a cost, minimised, shape ``(n,)``.
        sizes: Above 0, shape ``(n, s)``.
        known: Positions of what was trained, shape ``(k,)``.
        told: The cost that it came to, shape ``(k,)``.

    Returns:
        The belief about all of them. Its deviations hold the luck of a training, too.
    """
    spread = max(float(estimates.std()), _LEAST)
    warp = Warp(center=float(estimates.min()), width=_WIDE * spread, shift=0.0, scale=1 / _WIDE)
    logs = np.log(np.maximum(sizes, np.finfo(np.float64).tiny))
    terms = np.column_stack([np.ones(len(estimates)), _standardised(estimates), *map(_standardised, logs.T)])  # (n, t)
    usual = np.zeros(terms.shape[1])
    usual[:2] = warp.forward(estimates).mean(), 1.0
    seen, off = terms[known], warp.forward(told) - terms[known] @ usual
    spreads = np.linalg.inv(np.diag(_PRECISIONS) + seen.T @ seen)  # (t, t), in units of the deviation below
    moved = spreads @ (seen.T @ off)
    left = off @ off - (seen.T @ off) @ moved  # of the squares, where the line has moved
    deviation2 = (_LIKE * _DEVIATION**2 + left) / (_LIKE + len(known))
    variances = deviation2 * (1 + np.einsum("ij,jk,ik->i", terms, spreads, terms))
    return Belief(warp, terms @ (usual + moved), variances)


def _standardised(values: Values) -> Values:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))
