"""TuRBO as an inner searcher (Eriksson et al., Scalable global optimization via local Bayesian optimization, 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.bayes.library import advice_ignored, failures, require_botorch
from hwnas.searchers.bayes.trust import TrustRegion, TrustSettings, perturbed, replayed
from hwnas.searchers.inner import MutationInner, RandomInner, Request, take
from hwnas.spaces import Encoding

_AUGMENTED = 0.05  # weight of the sum beside the largest of the scaled costs (Knowles, ParEGO, 2006)


class TurboInner:
    """Thompson samples from a Gaussian process in a trust region around the best architecture (TuRBO-1).

    The region is not kept but found again from the trials. With several objectives, the costs become one by an
    augmented Chebyshev scalarisation, its weights drawn anew for each batch (Knowles, ParEGO, 2006), and a trial is an
    improvement when nothing before it was as good in every objective. In a learned region, the trials in it count.

    Args:
        settings: How the trust region grows and shrinks.
        candidates: Architectures in it that are looked at.
        most: Trials the process is fitted to; of more, the latest.
    """

    name = "turbo"

    def __init__(self, settings: TrustSettings | None = None, *, candidates: int = 1000, most: int = 1000) -> None:
        self._settings = settings or TrustSettings()
        self._candidates = candidates
        self._most = most

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Thompson samples.

        Raises:
            MissingExtraError: BoTorch is not installed.
        """
        require_botorch(self.name)
        problem = request.history.problem
        rows = _inside(request, fewest=self._settings.initial)
        trust = replayed(request.history.costs[rows], choices=len(problem.space.choices), settings=self._settings)
        local = rows[trust.start :][-self._most :]
        if len(local) < max(self._settings.initial, 2):
            return RandomInner().propose(n, request)
        try:
            found = self._sampled(n, request, local, trust=trust)
        except failures() as error:
            request.notes["fallback"] = f"mutation, because the surrogate failed: {type(error).__name__}"
            found = []
        request.taken.update(architecture.id for architecture in found)
        return found + (MutationInner().propose(n - len(found), request) if len(found) < n else [])

    def _sampled(self, n: int, request: Request, local: NDArray[np.intp], *, trust: TrustRegion) -> list[Architecture]:
        import torch  # noqa: PLC0415  (seconds)
        from botorch.utils.sampling import manual_seed  # noqa: PLC0415

        from hwnas.searchers.bayes.surrogate import Inputs, fitted  # noqa: PLC0415

        space, rng = request.history.problem.space, request.rng
        trials = [request.history.trials[row].architecture for row in local]
        cost = _scalarised(request.history.costs[local], rng)
        inputs = Inputs(space, "one-hot")
        fit_seed, draw_seed = (int(seed) for seed in rng.integers(2**31, size=2))
        with advice_ignored():
            worst = cost.max(axis=0)
            surrogate = fitted(inputs(trials), cost, worst, inputs=inputs, seed=fit_seed, rough=True)
            process = surrogate.model.models[0]
            lengths = process.covar_module.base_kernel.lengthscale.detach().numpy().ravel()
            center = trials[int(cost.argmin())]
            sides = trust.length * _weights(lengths, [place.start for place in Encoding(space).columns.values()])
            around = perturbed(center, self._candidates, space=space, sides=sides, rng=rng)
            fresh = take(len(around), around, request.accept, taken=set(request.taken), tries=0)
            if not fresh:
                return []
            with torch.no_grad(), manual_seed(draw_seed):
                draws = process.posterior(inputs(fresh)).sample(torch.Size([n]))[..., 0].numpy()  # (n, candidates)
        return [fresh[i] for i in _winners(draws)]


def _inside(request: Request, *, fewest: int) -> NDArray[np.intp]:
    """Rows of the trials in the region, or all where there are too few."""
    rows = np.arange(len(request.history.trials))
    if not len(rows):
        return rows
    kept = rows[request.accept([request.history.trials[row].architecture for row in rows])]
    return kept if len(kept) >= fewest else rows


def _scalarised(costs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """One cost of several, shape ``(n, 1)``."""
    if costs.shape[1] == 1:
        return costs
    extent = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    weighted = scaled * rng.dirichlet(np.ones(costs.shape[1]))
    return np.asarray(weighted.max(axis=1) + _AUGMENTED * weighted.sum(axis=1))[:, None]


def _weights(lengthscales: NDArray[np.float64], first: list[int]) -> NDArray[np.float64]:
    """Sides of the region in units of its length: longer where the process varies less; their product is 1."""
    logs = np.log(lengthscales[first])
    return np.asarray(np.exp(logs - logs.mean()))


def _winners(draws: NDArray[np.float64]) -> list[int]:
    """The best candidate of each draw that no earlier draw has won; shape of the draws ``(n, c)``."""
    found: list[int] = []
    for draw in draws[: draws.shape[1]]:
        free = draw.copy()
        free[found] = -np.inf
        found.append(int(free.argmax()))
    return found
