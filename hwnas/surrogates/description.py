"""What a surrogate sees of an architecture: its choices, or what the space tells of it instead, and its exact costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.core import Architecture
from hwnas.spaces import Encoding, SearchSpace
from hwnas.surrogates.kernels import Columns, Kernel, Matrix, Part

_SAMPLES = 256  # random architectures from which features and costs get their scale
_LEAST_SPREAD = 1e-9
_ORDINAL = 2.0  # by which ordered choices are stretched, so that their ends differ as two categories do

# Priors of log amplitudes and log weights, as mean and standard deviation, for targets of variance 1 and columns of
# variance 1. With them a part hardly varies over a column on its own, and a good deal over all of them together.
_CHOICES = ((-1.0, 1.0), (-1.2, 1.0))
_EXTRAS = ((0.5, 1.0), (-3.0, 1.0))
_FEATURES = ((1.5, 1.0), (-5.0, 1.0))  # nearly a plane: figures that sum a network up act almost linearly
_BAG = ((0.0, 1.0), (-3.0, 1.0))


class Description:
    """Architectures as rows of numbers, and the kernel over such rows.

    Where the space has features, the kernel compares them and the exact costs, and once more the largest group of
    features for itself: architectures that are built differently may be the same network. Without features it compares
    choice by choice, and the exact costs beside them. Costs count on a logarithmic scale where they are positive.

    Args:
        space: Of the architectures.
        exact: Costs of architectures that are known exactly, shape ``(n, k)``; ``None`` where none are.
    """

    def __init__(self, space: SearchSpace, exact: Callable[[Sequence[Architecture]], Matrix] | None = None) -> None:
        self._space, self._exact = space, exact
        rng = np.random.default_rng(0)
        sample = [space.sample(rng) for _ in range(_SAMPLES)]
        costs = self.exact(sample)
        self._logged = (costs > 0).all(axis=0)
        scaled = self._log(costs)
        self._cost_means, self._cost_spreads = scaled.mean(axis=0), np.maximum(scaled.std(axis=0), _LEAST_SPREAD)
        if space.features:
            self._groups = space.features.groups
            values = described(space, sample)
            self._means, self._spreads = values.mean(axis=0), np.empty(values.shape[1])
            for group in self._groups:  # one scale a group, so that what is rare in it matters less
                self._spreads[list(group)] = max(float(np.sqrt(values[:, group].var(axis=0).mean())), _LEAST_SPREAD)
        else:
            places = Encoding(space).columns.values()
            self._groups = tuple(tuple(range(place.start, place.stop)) for place in places)
            widths = [len(group) for group in self._groups]
            self._means = np.zeros(sum(widths))
            self._spreads = np.repeat([1 / _ORDINAL if width == 1 else 1.0 for width in widths], widths)

    @property
    def kernel(self) -> Kernel:
        """For rows of this description."""
        start = len(self._means)
        costs: tuple[Columns, ...] = tuple((column,) for column in range(start, start + len(self._cost_means)))
        if self._space.features:
            bag = max(self._groups, key=len)
            return Kernel([_part((*self._groups, *costs), _FEATURES), _part((bag,), _BAG)])
        choices = _part(self._groups, _CHOICES)
        return Kernel([choices, _part(costs, _EXTRAS)] if costs else [choices])

    def fixed(self, described: Matrix) -> Matrix:
        """What never changes about architectures, as the kernel compares it; shape ``(n, d - k)``.

        Args:
            described: What ``described`` says of them.
        """
        return np.asarray((described - self._means) / self._spreads, np.float64)

    def exact(self, architectures: Sequence[Architecture]) -> Matrix:
        """Exact costs in their own units, shape ``(n, k)``."""
        return self._exact(architectures) if self._exact else np.zeros((len(architectures), 0))

    def rows(self, fixed: Matrix, exact: Matrix) -> Matrix:
        """Both together as the kernel compares them, shape ``(n, d)``."""
        return np.column_stack([fixed, (self._log(exact) - self._cost_means) / self._cost_spreads])

    def _log(self, costs: Matrix) -> Matrix:
        scaled = np.array(costs, dtype=np.float64)
        scaled[:, self._logged] = np.log(np.maximum(scaled[:, self._logged], np.finfo(float).tiny))
        return scaled


def _part(groups: tuple[Columns, ...], prior: tuple[tuple[float, float], tuple[float, float]]) -> Part:
    return Part(groups=groups, amplitude=prior[0], weight=prior[1])


def described(space: SearchSpace, architectures: Sequence[Architecture]) -> Matrix:
    """The features of architectures, or the codes of their choices where the space has none; shape ``(n, d - k)``."""
    return (space.features or Encoding(space).encode)(architectures)
