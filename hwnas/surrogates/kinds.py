"""Choices of a kind: what they come to together, and whether it is the early or the late ones that take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.surrogates.kernels import Columns, Matrix

_LEAST_SPREAD = 1e-9


class Kinds:
    """Steps of architectures, shape ``(n, s)``, summed up over all choices with the same options, shape ``(n, t)``.

    Blocks of a network are mostly built alike, and a larger kernel does much the same in one as in the next. Of a kind
    there are two groups of figures with one for each step: how often it is taken, and its lean, the same sum with
    weights from -1 for the first choice of the kind to 1 for the last. Both have the scale of the sum, so that no two
    choices of a kind are expected to act against one another. A choice that is alone has its steps.

    Args:
        kinds: The choices of each, in their order, and of each choice the column of every step.
        sample: Steps of some architectures, from which a sum gets its scale; shape ``(m, s)``.
    """

    def __init__(self, kinds: Sequence[Sequence[Mapping[int, int]]], sample: Matrix) -> None:
        blocks: list[Matrix] = [np.zeros((sample.shape[1], 0))]
        groups: list[Columns] = []
        for choices in kinds:
            names = sorted({name for columns in choices for name in columns})
            sums, leans = np.zeros((2, sample.shape[1], len(names)))
            for columns, place in zip(choices, np.linspace(-1.0, 1.0, len(choices)), strict=True):
                for name, column in columns.items():
                    sums[column, names.index(name)] = 1.0
                    leans[column, names.index(name)] = place
            spread = max(float(np.sqrt((sample @ sums).var(axis=0).mean())), _LEAST_SPREAD)
            for block in [sums, leans] if len(choices) > 1 else [sums]:
                start = sum(len(group) for group in groups)
                groups.append(tuple(range(start, start + len(names))))
                blocks.append(block / spread)
        self.groups = tuple(groups)
        self._weights = np.concatenate(blocks, axis=1)

    def __call__(self, steps: Matrix) -> Matrix:
        """The figures of architectures."""
        return np.asarray(steps @ self._weights, np.float64)
