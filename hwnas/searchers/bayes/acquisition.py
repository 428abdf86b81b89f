"""What a candidate is worth beside those chosen already, and the choice of a batch. Imports BoTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from botorch.acquisition import qExpectedImprovement, qNoisyExpectedImprovement
from botorch.acquisition.multi_objective import (
    qExpectedHypervolumeImprovement,
    qNoisyExpectedHypervolumeImprovement,
)
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.sampling import manual_seed
from numpy.typing import NDArray

from hwnas.searchers.bayes.surrogate import Surrogate

Function = Callable[[torch.Tensor], Any]  # (b, q, d) -> tensor (b,)
Name = Literal["qehvi", "qnehvi"]

_CHUNK = 256  # candidates at a time on their own, so many that what is computed of them stays in the caches
_CHUNK_BESIDE = 64  # and beside others, where every subset of the batch is counted
_TOGETHER = 4  # qEHVI counts every subset of a candidate and so many beside it; 2^5


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """Expected improvement of the hypervolume; with one objective, of the best.

    Attributes:
        name: ``"qehvi"`` improves on the observed front (Daulton, Balandat and Bakshy, NeurIPS 2020); ``"qnehvi"`` on
            what the front may be if observations are noisy (the same, NeurIPS 2021).
        surrogate: What is believed of the costs.
        samples: Draws from the posterior, quasi-Monte Carlo (Sobol).
        seed: Of the draws.
    """

    name: Name
    surrogate: Surrogate
    samples: int
    seed: int

    def beside(self, chosen: torch.Tensor) -> Function:
        """What a candidate adds to some that are evaluated in any case.

        The work of qEHVI doubles with every one of them. Of more than four, all but the last four count as if their
        expected values had been observed.

        Args:
            chosen: Shape ``(p, d)``.
        """
        split = max(len(chosen) - _TOGETHER, 0) if self.name == "qehvi" else 0
        believed, together = chosen[:split], chosen[split:]
        function: Function = self.function(together, believed=believed)
        if not len(together):
            return function
        with torch.no_grad():
            already = function(together[-1:].unsqueeze(0))  # a candidate that is chosen already adds nothing
        return lambda x: function(x) - already

    def function(self, chosen: torch.Tensor, *, believed: torch.Tensor) -> Any:  # the library's types are partial
        """BoTorch's acquisition function: the improvement by a candidate and all chosen ones together.

        Args:
            chosen: Shape ``(p, d)``.
            believed: Candidates taken to have their expected values, shape ``(b, d)``; of qEHVI only.
        """
        sampler = SobolQMCNormalSampler(sample_shape=torch.Size([self.samples]), seed=self.seed)
        pending = chosen if len(chosen) else None
        model, reference, x = self.surrogate.model, self.surrogate.reference, self.surrogate.x
        single = len(reference) == 1
        if self.name == "qnehvi":
            with manual_seed(self.seed):  # pruning draws
                if single:
                    return qNoisyExpectedImprovement(
                        model.models[0], x, sampler=sampler, X_pending=pending, prune_baseline=True
                    )
                return qNoisyExpectedHypervolumeImprovement(
                    model, reference, x, sampler=sampler, X_pending=pending, prune_baseline=True
                )
        observed = self.surrogate.gains
        if len(believed):
            with torch.no_grad():
                observed = torch.cat([observed, model.posterior(believed).mean])
        if single:
            return qExpectedImprovement(
                model.models[0], observed.max().clamp_min(0.0), sampler=sampler, X_pending=pending
            )
        cells = FastNondominatedPartitioning(ref_point=reference, Y=observed)
        return qExpectedHypervolumeImprovement(model, reference, cells, sampler=sampler, X_pending=pending)


def values(function: Function, x: torch.Tensor, *, chunk: int = _CHUNK) -> NDArray[np.float64]:
    """Values of candidates one by one, shape ``(c,)``.

    Args:
        function: What they are worth.
        x: Shape ``(c, d)``.
        chunk: Candidates at a time.
    """
    with torch.no_grad():
        parts = [function(part.unsqueeze(-2)) for part in torch.split(x, chunk)]  # (b, 1, d) -> (b,)
    return np.concatenate([part.double().numpy() for part in parts]) if parts else np.zeros(0)


def greedy(
    n: int, x: torch.Tensor, alone: NDArray[np.float64], *, beside: Callable[[torch.Tensor], Function]
) -> list[int]:
    """A batch chosen one after another, each the best beside those before it.

    The improvement by a set is submodular: what a candidate adds never grows while the set does. So what it added last
    time bounds what it adds now, and only candidates whose bound reaches the best value found so far are evaluated
    again (Minoux, Accelerated greedy algorithms, 1978). Up to the error of the draws, the batch is the one that
    evaluating all of them would give.

    Args:
        n: How many.
        x: Candidates, shape ``(c, d)``.
        alone: What each is worth beside what is pending, shape ``(c,)``.
        beside: What a candidate adds to some chosen ones, of shape ``(k, d)``.

    Returns:
        Positions of the candidates, fewer than ``n`` where there are fewer.
    """
    bounds = alone.copy()
    chosen: list[int] = []
    while len(chosen) < min(n, len(x)):
        if chosen:
            _tighten(bounds, x, beside(x[chosen]))
        best = int(bounds.argmax())
        chosen.append(best)
        bounds[best] = -np.inf
    return chosen


def _tighten(bounds: NDArray[np.float64], x: torch.Tensor, beside: Function) -> None:
    """Replaces bounds by what is true beside the chosen, until the largest of them is true."""
    order = np.argsort(-bounds, kind="stable")
    order = order[np.isfinite(bounds[order])]
    best = -np.inf
    for start in range(0, len(order), _CHUNK_BESIDE):
        part = order[start : start + _CHUNK_BESIDE]
        if bounds[part[0]] <= best:
            break
        bounds[part] = values(beside, x[part], chunk=_CHUNK_BESIDE)
        best = max(best, float(bounds[part].max()))
