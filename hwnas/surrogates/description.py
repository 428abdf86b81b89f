"""What a surrogate sees of an architecture: its choices, or what the space tells of it instead, and its exact costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.core import Architecture
from hwnas.spaces import Encoding, SearchSpace
from hwnas.surrogates.kernels import Columns, Kernel, LinearPart, Matrix, Prior, RadialPart
from hwnas.surrogates.kinds import Kinds
from hwnas.surrogates.steps import Steps

_SAMPLES = 256  # random architectures from which features and costs get their scale
_LEAST_SPREAD = 1e-9

# Priors of log amplitudes and log weights, as mean and standard deviation, for targets of variance 1 and columns of
# variance 1. With them a part hardly varies over a column on its own, and a good deal over all of them together. The
# more choices there are, the less each of them matters, and likewise each figure of their kinds; that is for weights to
# be counted from.
_CHOICES = ((0.0, 1.0), (-0.2, 1.5))
_KIND_IN_A_LINE = (-2.5, 1.0)
_COST_IN_A_LINE = (-1.0, 1.0)
_FEATURES = ((1.5, 1.0), (-5.0, 1.0))  # nearly a plane: figures that sum a network up act almost linearly
_BAG = ((0.0, 1.0), (-3.0, 1.0))


class Description:
    """Architectures as rows of numbers, and the kernel over such rows.

    Where the space has features, the kernel compares them and the exact costs, and once more the largest group of
    features for itself: architectures that are built differently may be the same network.

    Without features an ordered choice is as many columns as it has steps, 1 for each that is taken, so that no step
    need matter as much as the next. Of those the kernel has a radial part over all choices together. Beside it there is
    a line for what all choices of a kind come to, for their lean, and for each cost: with fewer trials than choices,
    hardly more can be told beyond the networks that were tried, and the best networks lie beyond them. Costs count on
    a logarithmic scale where they are positive.

    Args:
        space: Of the architectures.
        exact: Costs of architectures that are known exactly, shape ``(n, k)``; ``None`` where none are.
    """

    def __init__(self, space: SearchSpace, exact: Callable[[Sequence[Architecture]], Matrix] | None = None) -> None:
        self._space, self._exact = space, exact
        self._steps = None if space.features else Steps(space)
        self._kinds: Kinds | None = None
        rng = np.random.default_rng(0)
        sample = [space.sample(rng) for _ in range(_SAMPLES)]
        costs = self.exact(sample)
        self._logged = (costs > 0).all(axis=0)
        scaled = self._log(costs)
        self._cost_means, self._cost_spreads = scaled.mean(axis=0), np.maximum(scaled.std(axis=0), _LEAST_SPREAD)
        values = self._compared(described(space, sample))
        if space.features:
            self._groups = space.features.groups
            self._means, self._spreads = values.mean(axis=0), np.empty(values.shape[1])
            for group in self._groups:  # one scale a group, so that what is rare in it matters less
                self._spreads[list(group)] = max(float(np.sqrt(values[:, group].var(axis=0).mean())), _LEAST_SPREAD)
        if self._steps:
            self._groups = self._steps.groups
            self._means, self._spreads = values.mean(axis=0), np.ones(values.shape[1])
            self._kinds = Kinds(self._steps.kinds, values)

    @property
    def kernel(self) -> Kernel:
        """For rows of this description."""
        start = len(self._means)
        kinds = tuple(tuple(start + column for column in group) for group in self._kinds.groups) if self._kinds else ()
        start += sum(map(len, kinds))
        costs: tuple[Columns, ...] = tuple((column,) for column in range(start, start + len(self._cost_means)))
        if self._space.features:
            bag = max(self._groups, key=len)
            return Kernel([_part((*self._groups, *costs), _FEATURES), _part((bag,), _BAG)])
        if not self._groups:
            return Kernel([_part(costs, _FEATURES)])
        amplitude, weight = _CHOICES
        together = _part(self._groups, (amplitude, _shared(weight, len(self._groups))))
        alike = LinearPart(groups=kinds, weight=_shared(_KIND_IN_A_LINE, len(kinds)))
        return Kernel([together, alike, *([LinearPart(groups=costs, weight=_COST_IN_A_LINE)] if costs else [])])

    def fixed(self, described: Matrix) -> Matrix:
        """What never changes about architectures, as the kernel compares it; shape ``(n, d - k)``.

        Args:
            described: What ``described`` says of them.
        """
        compared = np.asarray((self._compared(described) - self._means) / self._spreads, np.float64)
        return np.column_stack([compared, self._kinds(compared)]) if self._kinds else compared

    def exact(self, architectures: Sequence[Architecture]) -> Matrix:
        """Exact costs in their own units, shape ``(n, k)``."""
        return self._exact(architectures) if self._exact else np.zeros((len(architectures), 0))

    def rows(self, fixed: Matrix, exact: Matrix) -> Matrix:
        """Both together as the kernel compares them, shape ``(n, d)``."""
        return np.column_stack([fixed, (self._log(exact) - self._cost_means) / self._cost_spreads])

    def _compared(self, described: Matrix) -> Matrix:
        return self._steps(described) if self._steps else described

    def _log(self, costs: Matrix) -> Matrix:
        scaled = np.array(costs, dtype=np.float64)
        scaled[:, self._logged] = np.log(np.maximum(scaled[:, self._logged], np.finfo(float).tiny))
        return scaled


def _shared(prior: Prior, among: int) -> Prior:
    """The prior of each of several weights, so that all together come to the same however many they are."""
    return prior[0] - float(np.log(among)), prior[1]


def _part(groups: tuple[Columns, ...], prior: tuple[Prior, Prior]) -> RadialPart:
    return RadialPart(groups=groups, amplitude=prior[0], weight=prior[1])


def described(space: SearchSpace, architectures: Sequence[Architecture]) -> Matrix:
    """The features of architectures, or the codes of their choices where the space has none; shape ``(n, d - k)``."""
    return (space.features or Encoding(space).encode)(architectures)
