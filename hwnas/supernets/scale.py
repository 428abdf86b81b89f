"""One scale for what several supernets say of their networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_SLOPE = 0.1  # in ratios of spreads, so that networks of a part are in the order of the part's own judgements
_NO_SPREAD = 1e-20  # what is less comes of rounding
_OVERTAKEN = 0.5  # spreads of its accuracies, by which parts judge better than a supernet for all that has no say left


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Puts the judgements of parts beside each other.

    Supernets that were trained apart judge on scales of their own. One that all networks share knows where parts
    stand, and then the confidence of a part's supernet is the finest order within the part. But one that has learned
    too little favours the parts that learn fastest; that shows where the parts, trained on alone, give the same
    networks much more than it does. The more they do, the more the plain accuracy by the part's supernet counts.

    Attributes:
        trust: How far the supernet for all has a say, 0 to 1.
        levels: For each part the mean accuracy of some of its networks by the supernet for all.
        confidences: The mean probability of the right class that the same networks give by the supernet of the part.
        slope: Accuracy for each unit of confidence.
    """

    trust: float
    levels: tuple[float, ...]
    confidences: tuple[float, ...]
    slope: float

    @classmethod
    def of(cls, whole: NDArray[np.float64], accuracies: NDArray[np.float64], confidences: NDArray[np.float64]) -> Scale:
        """The scale from networks that were judged twice.

        The slope is that of least squares within parts; it is 1 where accuracies or confidences are all alike.

        Args:
            whole: Accuracies by the supernet for all, shape ``(parts, networks)``.
            accuracies: Those by the supernet of the part, likewise.
            confidences: And their mean probabilities of the right class.
        """
        about, accuracy, confidence = (
            each - each.mean(axis=1, keepdims=True) for each in (whole, accuracies, confidences)
        )
        spread, known = float((confidence**2).sum()), float((accuracy**2).sum())
        if min(spread, known) < _NO_SPREAD:
            slope = 1.0
        else:
            slope = max(float((accuracy * confidence).sum()) / spread, _LEAST_SLOPE * float(np.sqrt(known / spread)))
        return cls(
            trust=_trust(gain=float((accuracies - whole).mean()), spread=float(np.sqrt((about**2).mean()))),
            levels=tuple(whole.mean(axis=1).tolist()),
            confidences=tuple(confidences.mean(axis=1).tolist()),
            slope=slope,
        )

    def accuracy(self, part: int, accuracy: float, confidence: float) -> float:
        """What the judgement of a part's supernet stands for, 0 to 1."""
        placed = self.levels[part] + self.slope * (confidence - self.confidences[part])
        return min(max(self.trust * placed + (1 - self.trust) * accuracy, 0.0), 1.0)

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return {
            "trust": self.trust,
            "levels": list(self.levels),
            "confidences": list(self.confidences),
            "slope": self.slope,
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Scale:
        """What ``to_json`` wrote."""
        return cls(
            trust=float(held["trust"]),
            levels=tuple(held["levels"]),
            confidences=tuple(held["confidences"]),
            slope=float(held["slope"]),
        )


def _trust(*, gain: float, spread: float) -> float:
    """1 where parts judge no better than the supernet for all, 0 where they are better by half of its spread."""
    if gain <= 0:
        return 1.0
    return max(1 - gain / (_OVERTAKEN * spread), 0.0) if spread**2 > _NO_SPREAD else 0.0
