"""Encoders: information on trials as short vectors that boundaries can be drawn between. None has to lead back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.searchers.tree.samples import Codes

Encode = Callable[[Codes], Codes]
"""From information, shape ``(n, d)``, to codes, shape ``(n, k)``."""


class Encoder(Protocol):
    """Learns codes of information."""

    name: str

    def __call__(self, information: Codes, merits: NDArray[np.float64], rng: np.random.Generator) -> Encode:
        """Learns from some trials.

        Args:
            information: Every column of mean 0 and deviation 1, shape ``(n, d)``; at least two rows.
            merits: How good each trial is, shape ``(n,)``, larger is better.
            rng: Randomness.

        Raises:
            ArithmeticError: Or a ``ValueError`` or ``RuntimeError``: nothing was learned.
        """


class Identity:
    """The information as it is."""

    name = "identity"

    def __call__(self, information: Codes, merits: NDArray[np.float64], rng: np.random.Generator) -> Encode:
        """The encoding."""
        del information, merits, rng
        return np.asarray


@dataclass(frozen=True)
class Pca:
    """The directions in which the information varies most.

    Attributes:
        width: How many at the most.
    """

    width: int = 32
    name = "pca"

    def __call__(self, information: Codes, merits: NDArray[np.float64], rng: np.random.Generator) -> Encode:
        """The encoding."""
        del merits, rng
        center = information.mean(axis=0)
        _, _, directions = np.linalg.svd(information - center, full_matrices=False)
        kept = directions[: self.width].T  # (d, k)
        return lambda rows: np.asarray((rows - center) @ kept)


@dataclass(frozen=True)
class RandomNetwork:
    """A network of random weights that nobody trains: what lies near one another stays so, in curved coordinates.

    Attributes:
        width: Of the code.
        hidden: Units of the layer before.
    """

    width: int = 32
    hidden: int = 128
    name = "random-network"

    def __call__(self, information: Codes, merits: NDArray[np.float64], rng: np.random.Generator) -> Encode:
        """The encoding; of the information only its width matters."""
        del merits
        width = information.shape[1]
        first = rng.standard_normal((width, self.hidden)) / np.sqrt(width)
        shift = rng.standard_normal(self.hidden)
        second = rng.standard_normal((self.hidden, self.width)) / np.sqrt(self.hidden)
        return lambda rows: np.asarray(np.tanh(rows @ first + shift) @ second)


@dataclass(frozen=True)
class WeightedRegression:
    """A network that learns to give back the information and to predict the merit; its narrow layer is the code.

    Good trials weigh exponentially more, so that the code tells apart what matters among them.

    Attributes:
        width: Of the code.
        hidden: Units of the layer before.
        steps: Of the optimiser, over all trials.
        sharpness: Weight of a trial: ``exp(sharpness * merit)`` for merits of mean 0 and deviation 1.
    """

    width: int = 8
    hidden: int = 64
    steps: int = 200
    sharpness: float = 1.0
    name = "weighted-regression"

    def __call__(self, information: Codes, merits: NDArray[np.float64], rng: np.random.Generator) -> Encode:
        """The encoding."""
        import torch  # noqa: PLC0415  (a second, for whoever asks for this encoder)

        width = information.shape[1]
        weights = [
            torch.tensor(rng.standard_normal(shape) / np.sqrt(shape[0]), dtype=torch.float32, requires_grad=True)
            for shape in ((width, self.hidden), (self.hidden, self.width), (self.width, self.hidden))
        ]
        back = torch.zeros((self.hidden, width), requires_grad=True)
        judge = torch.zeros((self.hidden, 1), requires_grad=True)
        rows = torch.tensor(information, dtype=torch.float32)
        score = torch.tensor((merits - merits.mean()) / (merits.std() or 1.0), dtype=torch.float32)
        share = torch.softmax(self.sharpness * score, dim=0)[:, None]
        optimiser = torch.optim.Adam([*weights, back, judge], lr=1e-2)
        with torch.enable_grad():
            for _ in range(self.steps):
                code = torch.tanh(rows @ weights[0]) @ weights[1]
                after = torch.tanh(code @ weights[2])
                wrong = ((after @ back - rows) ** 2).mean(dim=1, keepdim=True) + (after @ judge - score[:, None]) ** 2
                optimiser.zero_grad()
                torch.autograd.backward(torch.sum(share * wrong))
                optimiser.step()
        first, second = (weight.detach().numpy().astype(np.float64) for weight in weights[:2])
        return lambda more: np.asarray(np.tanh(more @ first) @ second)
