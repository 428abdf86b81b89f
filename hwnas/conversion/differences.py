"""How far the outputs of two models are apart on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]

_TIE = 1e-5  # classes this close, relative to the largest value, are one class


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Outputs beside those that were expected.

    Attributes:
        samples: How many.
        max_abs: Largest absolute difference of an output; infinite for another shape or no numbers.
        max_rel: Largest difference relative to the largest value of its sample; likewise.
        top1_agreement: Share of samples of which the first output is largest at the same place; ``None`` where that is
            no vector for each sample.
    """

    samples: int
    max_abs: float
    max_rel: float
    top1_agreement: float | None


def outputs_apart(found: Arrays, expected: Arrays) -> Difference:
    """Compares outputs.

    Args:
        found: Each output, shape ``(n, ...)``.
        expected: Likewise.
    """
    pairs = list(zip(found, expected, strict=True))
    return Difference(
        samples=len(expected[0]),
        max_abs=max(float(np.max(_apart(a, b)[0], initial=0.0)) for a, b in pairs),
        max_rel=max(relative_difference(a, b) for a, b in pairs),
        top1_agreement=_agreement(*pairs[0]),
    )


def relative_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference relative to the largest value of its sample; infinite for another shape or no numbers."""
    apart, scale = _apart(found, expected)
    return float(np.max(apart / scale, initial=0.0))


def _apart(found: NDArray[Any], expected: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences ``(n, k)`` and scale ``(n, 1)`` of each sample."""
    if found.size != expected.size or len(found) != len(expected):  # (n, c, 1, 1) is (n, c)
        return np.full((1, 1), np.inf), np.ones((1, 1))
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (found, expected))
    apart = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - np.where(np.isfinite(b), b, 0)), np.inf)
    apart = np.where(a == b, 0.0, apart)  # two infinities of one sign
    largest = np.abs(np.where(np.isfinite(b), b, 0)).max(axis=1, keepdims=True, initial=0.0)
    return apart, np.maximum(largest, 1e-6)


def _agreement(found: NDArray[Any], expected: NDArray[Any]) -> float | None:
    if expected.ndim != 2 or found.shape != expected.shape or expected.shape[1] < 2:
        return None
    chosen = expected[np.arange(len(expected)), np.nan_to_num(found).argmax(axis=1)]
    largest = expected.max(axis=1)
    same = (largest - chosen) <= _TIE * np.maximum(np.abs(expected).max(axis=1), 1e-6)
    return float((same & np.isfinite(found).all(axis=1)).mean())
