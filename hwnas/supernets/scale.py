"""One scale for what several supernets say of their networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_SLOPE = 0.1  # in ratios of spreads, so that networks of a part are in the order of the part's own judgements
_NO_SPREAD = 1e-20  # what is less comes of rounding


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Puts a part's judgements where the supernet for all puts the networks of that part.

    Supernets that were trained apart judge on scales of their own: within a part theirs is the better order, between
    parts that of the supernet that all networks share.

    Attributes:
        accuracies: For each part the mean accuracy of some of its networks by the supernet for all.
        confidences: The mean probability of the right class that the same networks give by the supernet of the part.
        slope: Accuracy for each unit of confidence.
    """

    accuracies: tuple[float, ...]
    confidences: tuple[float, ...]
    slope: float

    @classmethod
    def of(cls, accuracies: NDArray[np.float64], confidences: NDArray[np.float64]) -> Scale:
        """The scale from networks that were judged twice.

        The slope is that of least squares within parts. What a supernet for all knows little of the order within parts
        makes it small, and differences between parts count for more. It is 1 where either judges all alike.

        Args:
            accuracies: By the supernet for all, shape ``(parts, networks)``.
            confidences: By that of the part, shape ``(parts, networks)``.
        """
        means = accuracies.mean(axis=1), confidences.mean(axis=1)
        accuracy, confidence = (
            found - mean[:, None] for found, mean in zip((accuracies, confidences), means, strict=True)
        )
        spread, known = float((confidence**2).sum()), float((accuracy**2).sum())
        if min(spread, known) < _NO_SPREAD:
            slope = 1.0
        else:
            slope = max(float((accuracy * confidence).sum()) / spread, _LEAST_SLOPE * float(np.sqrt(known / spread)))
        return cls(accuracies=tuple(means[0].tolist()), confidences=tuple(means[1].tolist()), slope=slope)

    def accuracy(self, part: int, confidence: float) -> float:
        """What a confidence in a part stands for, 0 to 1."""
        moved = self.accuracies[part] + self.slope * (confidence - self.confidences[part])
        return min(max(moved, 0.0), 1.0)

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return {"accuracies": list(self.accuracies), "confidences": list(self.confidences), "slope": self.slope}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Scale:
        """What ``to_json`` wrote."""
        return cls(
            accuracies=tuple(held["accuracies"]), confidences=tuple(held["confidences"]), slope=float(held["slope"])
        )
