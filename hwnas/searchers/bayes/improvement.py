"""qEHVI and qNEHVI as inner searchers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.pareto import non_dominated
from hwnas.searchers.bayes.candidates import LookSettings, look
from hwnas.searchers.bayes.library import advice_ignored, failures, require_botorch
from hwnas.searchers.inner import MutationInner, RandomInner, Request


@dataclass(frozen=True, kw_only=True)
class BayesSettings:
    """The free choices of Bayesian optimisation.

    Attributes:
        kernel: ``"ordinal"`` (as LaMOO published it: one number a choice), ``"one-hot"`` (an indicator for each option
            of a categorical choice) or ``"hamming"`` (of categorical choices, only equal or not equal counts). All with
            BoTorch's lengthscale for each column and its priors.
        samples: Draws from the posterior.
        initial: Random architectures before the first surrogate.
        most: Trials that a surrogate is fitted to; of more, the front and the latest. The time for a fit grows with
            the cube of it.
        iterations: Most steps in which the hyperparameters of a process are found.
        look: Where candidates come from.
    """

    kernel: Literal["ordinal", "one-hot", "hamming"] = "one-hot"
    samples: int = 128
    initial: int = 10
    most: int = 1000
    iterations: int = 200
    look: LookSettings = field(default_factory=LookSettings)


class _Improvement:
    """What both have in common; they differ in the front that is to be improved on."""

    name: Literal["qehvi", "qnehvi"]

    def __init__(self, settings: BayesSettings | None = None) -> None:
        self._settings = settings or BayesSettings()

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """The candidates of the largest expected improvement, chosen one after another.

        Raises:
            MissingExtraError: BoTorch is not installed.
        """
        require_botorch(self.name)
        rows = _learned_from(request.history.costs, most=self._settings.most)
        if len(rows) < max(self._settings.initial, 2):
            return RandomInner().propose(n, request)
        try:
            found = self._improving(n, request, rows)
        except failures() as error:
            request.notes["fallback"] = f"mutation, because the surrogate failed: {type(error).__name__}"
            return MutationInner().propose(n, request)
        request.taken.update(architecture.id for architecture in found)
        return found

    def _improving(self, n: int, request: Request, rows: NDArray[np.intp]) -> list[Architecture]:
        import torch  # noqa: PLC0415  (seconds)

        from hwnas.searchers.bayes.acquisition import Improvement, greedy, values  # noqa: PLC0415
        from hwnas.searchers.bayes.surrogate import Inputs, fitted  # noqa: PLC0415

        problem = request.history.problem
        inputs = Inputs(problem.space, self._settings.kernel)
        fit_seed, draw_seed = (int(seed) for seed in request.rng.integers(2**31, size=2))
        costs = request.history.costs[rows]
        x = inputs([request.history.trials[row].architecture for row in rows])
        with advice_ignored():
            surrogate = fitted(
                x, costs, problem.reference, inputs=inputs, seed=fit_seed, iterations=self._settings.iterations
            )
            worth = Improvement(name=self.name, surrogate=surrogate, samples=self._settings.samples, seed=draw_seed)
            waiting = inputs(request.pending)
            alone = worth.beside(waiting)
            looked_at: list[torch.Tensor] = []

            def alone_worth(batch: Sequence[Architecture]) -> NDArray[np.float64]:
                looked_at.append(inputs(batch))
                return values(alone, looked_at[-1])

            pool = look(request, alone_worth, settings=self._settings.look)
            if not looked_at:
                return []
            candidates = torch.cat(looked_at)
            best = greedy(n, candidates, pool.worth, beside=lambda chosen: worth.beside(torch.cat([waiting, chosen])))
        return [pool.architectures[i] for i in best]


def _learned_from(costs: NDArray[np.float64], *, most: int) -> NDArray[np.intp]:
    """Rows to fit to: all with finite costs, or the front and the latest of them."""
    rows = np.flatnonzero(np.isfinite(costs).all(axis=1))
    if len(rows) <= most:
        return rows
    front = rows[non_dominated(costs[rows])][-most:]
    latest = np.setdiff1d(rows, front)[-(most - len(front)) :] if len(front) < most else rows[:0]
    return np.sort(np.concatenate([front, latest]))


class QehviInner(_Improvement):
    """Largest expected hypervolume improvement over the observed front (qEHVI, BoTorch).

    Every objective is a black box with a Gaussian process of its own, cheap ones too, as published. With one objective,
    the expected improvement over the best.

    Args:
        settings: The free choices.

    References:
        Daulton, Balandat and Bakshy, Differentiable expected hypervolume improvement for parallel multi-objective
        Bayesian optimization, NeurIPS 2020.
    """

    name = "qehvi"


class QnehviInner(_Improvement):
    """Largest expected hypervolume improvement where observations are noisy (qNEHVI, BoTorch).

    As ``QehviInner``, but the front to improve on is uncertain itself.

    Args:
        settings: The free choices.

    References:
        Daulton, Balandat and Bakshy, Parallel Bayesian optimization of multiple noisy objectives with expected
        hypervolume improvement, NeurIPS 2021.
    """

    name = "qnehvi"
