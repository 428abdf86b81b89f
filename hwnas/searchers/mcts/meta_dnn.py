"""The Meta-DNN: a small network that predicts what an evaluation would find, so that many rollouts cost nothing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 20  # evaluations before there is anything worth predicting
_MEMBERS = 3
_HELD_OUT = 0.2
_LARGEST = 2000  # samples; more take longer without changing the ranking of rollouts


@dataclass(frozen=True)
class MetaDNN:
    """An ensemble of multilayer perceptrons, fitted to ranks.

    Each member learns from four fifths of the samples and is judged on the rest. Costs are learned as normal scores of
    their ranks, which any unit and scale becomes alike, and are turned back through the costs seen.

    Attributes:
        error: Mean squared error of a prediction on held-out samples, relative to the variance; shape ``(k,)``.
    """

    error: NDArray[np.float64]
    _members: tuple[Any, ...]
    _seen: NDArray[np.float64]  # (n, k), each column sorted
    _scores: NDArray[np.float64]  # (n,), of the sorted ranks

    @classmethod
    def fit(cls, codes: NDArray[np.float64], costs: NDArray[np.float64], *, seed: int) -> MetaDNN:
        """Learns costs from codes.

        Args:
            codes: Encoded architectures, shape ``(n, d)``; at least ``FEWEST``.
            costs: What evaluations found, shape ``(n, k)``.
            seed: Of the first weights and of what is held out.
        """
        kept = np.unique(np.linspace(0, len(codes) - 1, min(len(codes), _LARGEST)).round().astype(int))
        codes, costs = codes[kept], costs[kept]
        n = len(codes)
        scores = _normal_scores(n)
        seen = np.sort(costs, axis=0)
        targets = np.column_stack([np.interp(costs[:, j], seen[:, j], scores) for j in range(costs.shape[1])])
        rng = np.random.default_rng([seed, n])
        members, squares = [], []
        for _ in range(_MEMBERS):
            order = rng.permutation(n)
            out, fitted = np.split(order, [max(2, round(_HELD_OUT * n))])
            member = _fitted(codes[fitted], targets[fitted], seed=int(rng.integers(2**31)))
            members.append(member)
            squares.append((_predicted(member, codes[out]) - targets[out]) ** 2)
        error = np.concatenate(squares).mean(axis=0) / np.maximum(targets.var(axis=0), 1e-12)
        return cls(error, tuple(members), seen, scores)

    def predict(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Costs of architectures, within those seen; shape ``(n, k)``."""
        mean = np.mean([_predicted(member, codes) for member in self._members], axis=0)
        columns = [np.interp(mean[:, j], self._scores, self._seen[:, j]) for j in range(self._seen.shape[1])]
        return np.column_stack(columns)


def _fitted(codes: NDArray[np.float64], targets: NDArray[np.float64], *, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  (heavy, and needed after 20 trials only)
    from sklearn.neural_network import MLPRegressor  # noqa: PLC0415

    network = MLPRegressor(hidden_layer_sizes=(48,), alpha=0.1, solver="lbfgs", max_iter=120, random_state=seed)
    with warnings.catch_warnings():  # stopping early is the regularisation
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(codes, targets[:, 0] if targets.shape[1] == 1 else targets)


def _predicted(member: Any, codes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(member.predict(codes), dtype=np.float64).reshape(len(codes), -1)


def _normal_scores(n: int) -> NDArray[np.float64]:
    """Expected normal order statistics, nearly (Blom 1958)."""
    return np.array([NormalDist().inv_cdf((i - 0.375) / (n + 0.25)) for i in range(1, n + 1)])
