"""Latencies of shapes that a table lacks, learned from those it holds: one regression for each kind of kernel.

The idea of a regression for each kind of kernel is nn-Meter's (Zhang et al., 2021,
https://doi.org/10.1145/3458864.3467882). Here it only fills gaps, and says how sure it is: the logarithm of the latency
is a ridge regression on the logarithms of the sizes, their squares and products, and boosted trees learn what that
leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.predictors.shapes import Shape

Values = NDArray[np.float64]

FEWEST = 12  # rows of a kind; fewer teach nothing that could be relied on
_FOLDS = 5
_RIDGE = 1e-3  # of standardised features: for numerical rank, not for shrinkage
_TREES = 120
_GAUSSIAN = 1.4826  # standard deviation of a normal variable over its median absolute value
_NEAR = np.log(1.1)  # how far outside the sizes learned from counts as inside
_FAR = np.log(2.0)  # further than this nothing is said at all
_OUTSIDE = 3.0  # factor on the spread between these two


@dataclass(frozen=True)
class Regressed:
    """An estimate.

    Attributes:
        latency_ms: In milliseconds.
        spread: Standard deviation, relative.
        rows: Rows of the kind that it was learned from.
    """

    latency_ms: float
    spread: float
    rows: int


class KindRegression:
    """A regression on the shapes of one kind.

    Args:
        shapes: Of one kind.
        latency_ms: Their latencies, shape ``(n,)``, above 0.
    """

    def __init__(self, shapes: Sequence[Shape], latency_ms: Values) -> None:
        self._names = sorted(shapes[0].logs)
        self._sizes = self._matrix(shapes)  # (n, d)
        self._log_ms = np.log(latency_ms)

    def estimate(self, shape: Shape) -> Regressed | None:
        """The latency of a shape; ``None`` where it lies too far from all that was learned from."""
        if sorted(shape.logs) != self._names:
            return None
        sizes = self._matrix([shape])
        outside = float(np.max(np.maximum(self._sizes.min(0) - sizes, sizes - self._sizes.max(0)), initial=0.0))
        if outside > _FAR:
            return None
        wide = self._spread * (_OUTSIDE if outside > _NEAR else 1.0)
        return Regressed(self.extrapolate(shape), wide, len(self._sizes))

    def extrapolate(self, shape: Shape) -> float:
        """The latency of a shape of this kind in milliseconds, however far it lies from those learned from."""
        return float(np.exp(self._predict(self._matrix([shape]))[0]))

    @cached_property
    def _predict(self) -> Callable[[Values], Values]:
        return _regression(self._sizes, self._log_ms)

    @cached_property
    def _spread(self) -> float:
        """Relative error of rows left out of the regression, by cross-validation."""
        order = np.random.default_rng(0).permutation(len(self._sizes))
        errors = np.zeros(len(order))
        for fold in range(_FOLDS):
            out = order[fold::_FOLDS]
            kept = np.setdiff1d(order, out)
            errors[out] = _regression(self._sizes[kept], self._log_ms[kept])(self._sizes[out]) - self._log_ms[out]
        size = np.abs(errors)
        return max(_GAUSSIAN * float(np.median(size)), float(np.quantile(size, 0.9)) / 1.645)

    def _matrix(self, shapes: Sequence[Shape]) -> Values:
        return np.array([[shape.logs[name] for name in self._names] for shape in shapes])


class ShapeRegressions:
    """The regressions of a table, each made when it is first asked for.

    Args:
        latency_ms: Latencies by key.
        shape: From a key to its shape; ``None`` for keys that cannot be read.
    """

    def __init__(self, latency_ms: Mapping[str, float], shape: Callable[[str], Shape | None]) -> None:
        self._latency_ms, self._shape = latency_ms, shape
        self._kinds: dict[str, KindRegression | None] = {}

    def estimate(self, key: str) -> Regressed | None:
        """The latency of a key that has no row; ``None`` where the table teaches nothing about it."""
        shape = self._shape(key)
        if shape is None:
            return None
        if shape.kind not in self._kinds:
            self._kinds[shape.kind] = self._learn(shape)
        regression = self._kinds[shape.kind]
        return None if regression is None else regression.estimate(shape)

    def _learn(self, like: Shape) -> KindRegression | None:
        held = self._by_kind.get(like.kind, [])
        fitting = [(shape, ms) for shape, ms in held if ms > 0 and sorted(shape.logs) == sorted(like.logs)]
        if len(fitting) < FEWEST:
            return None
        return KindRegression([shape for shape, _ in fitting], np.array([ms for _, ms in fitting]))

    @cached_property
    def _by_kind(self) -> Mapping[str, list[tuple[Shape, float]]]:
        found: dict[str, list[tuple[Shape, float]]] = defaultdict(list)
        for key, latency_ms in self._latency_ms.items():
            shape = self._shape(key)
            if shape is not None:
                found[shape.kind].append((shape, latency_ms))
        return found


def _regression(sizes: Values, log_ms: Values) -> Callable[[Values], Values]:
    """Ridge on sizes, squares and products, and boosted trees on what is left; from sizes to log latencies."""
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415  (a second to import; gaps are rare)

    mean, scale = sizes.mean(0), sizes.std(0)
    scale[scale == 0] = 1.0

    def features(raw: Values) -> Values:
        z = (raw - mean) / scale
        first, second = np.triu_indices(z.shape[1])
        return np.column_stack([np.ones(len(z)), z, z[:, first] * z[:, second]])

    design = features(sizes)
    penalty = _RIDGE * len(sizes) * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ log_ms)
    trees = GradientBoostingRegressor(
        n_estimators=_TREES, max_depth=3, learning_rate=0.08, subsample=0.7, min_samples_leaf=3, random_state=0
    )
    trees.fit(sizes, log_ms - design @ weights)
    return lambda raw: np.asarray(features(raw) @ weights + trees.predict(raw), np.float64)
