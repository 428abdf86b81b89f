"""What a node is worth, judged by the samples in it; larger is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto import hypervolume
from hwnas.searchers.tree.samples import Members, Samples


@dataclass(frozen=True)
class Valuation:
    """Values of nodes, for one set of samples.

    Attributes:
        of: The value of a node that holds some samples, by their indices.
        scale: The extent that values have, which automatic exploration is a share of.
    """

    of: Callable[[Members], float]
    scale: float


class NodeValue(Protocol):
    """Judges nodes."""

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """How nodes that hold some of these samples are valued; ``reference`` bounds the hypervolume."""


class Hypervolume:
    """Hypervolume of the node's samples (LaMOO); the scale is that of all samples."""

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """The valuation."""
        return Valuation(
            lambda members: hypervolume(samples.costs[members], reference), hypervolume(samples.costs, reference)
        )


class HypervolumeContribution:
    """Share of the hypervolume that is lost without the node's samples, in [0, 1].

    A node that holds one end of the front alone is worth little by its own hypervolume, and much by its contribution.
    """

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """The valuation."""
        total = hypervolume(samples.costs, reference)

        def contribution(members: Members) -> float:
            others = np.ones(len(samples), dtype=np.bool_)
            others[members] = False
            return 1.0 - hypervolume(samples.costs[others], reference) / total if total > 0 else 0.0

        return Valuation(contribution, 1.0)


class Mean:
    """Mean merit of the node's samples (LaNAS, LA-MCTS)."""

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """The valuation."""
        del reference
        return _of_merits(samples, lambda merits: float(merits.mean()))


class Max:
    """Largest merit of the node's samples (PlaLaM)."""

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """The valuation."""
        del reference
        return _of_merits(samples, lambda merits: float(merits.max()))


@dataclass(frozen=True)
class Quantile:
    """A quantile of the merit of the node's samples: between the mean's caution and the maximum's optimism.

    Attributes:
        level: In [0, 1].
    """

    level: float = 0.9

    def __call__(self, samples: Samples, reference: NDArray[np.float64]) -> Valuation:
        """The valuation."""
        del reference
        return _of_merits(samples, lambda merits: float(np.quantile(merits, self.level)))


def _of_merits(samples: Samples, summary: Callable[[NDArray[np.float64]], float]) -> Valuation:
    """A summary of merits; a node without samples is worth the least of all merits."""
    if len(samples) == 0:
        return Valuation(lambda _: 0.0, 0.0)
    least, extent = float(samples.merits.min()), float(np.ptp(samples.merits))
    return Valuation(lambda members: summary(samples.merits[members]) if len(members) else least, extent)
