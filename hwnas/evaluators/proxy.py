"""Scores of networks before their training, put on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError, unknown
from hwnas.evaluators.proxy_scores import SCORES, Untrained
from hwnas.evaluators.trained import training_seed
from hwnas.networks import NetworkFamily
from hwnas.supernets import fixed_part
from hwnas.training import ImageData, prepared, require_classification
from hwnas.training.devices import torch_threads

DEFAULT_SCORES = ("naswot", "synflow", "zico")
_IMAGES = 64
_FARTHEST = 5.0  # deviations: one absurd score must not outvote the others
_QUARTILES = 1.349  # deviations of a normal distribution between them


@dataclass(frozen=True, kw_only=True, eq=False)
class ProxyEvaluator:
    """Judges a network before its training, by scores of a few seconds.

    Each score is measured in deviations from its median in a fixed random sample of the space, and the mean is taken.
    So the value of one network depends on no other that is evaluated. It is no accuracy, and is not called so.

    Attributes:
        family: Space and networks.
        data: A fixed part of its training images is shown to the networks.
        seed: Of initial weights and of the sample.
        scores: Which; see ``hwnas.evaluators.proxy_scores``.
        sample: Networks in the sample.

    Raises:
        UsageError: An unknown score, none at all, a sample of fewer than four networks, or data of another task than
            classification.
    """

    family: NetworkFamily
    data: ImageData
    seed: int
    scores: tuple[str, ...] = DEFAULT_SCORES
    sample: int = 32

    def __post_init__(self) -> None:
        require_classification(self.data, "a proxy")
        for name in self.scores:
            if name not in SCORES:
                raise unknown("score", name, SCORES)
        if not self.scores or self.sample < 4:
            raise UsageError(
                "a proxy needs at least one score and a sample of at least 4 networks, received "
                f"{list(self.scores)} and {self.sample}"
            )

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``proxy_score``, the larger the better, and each score by its name."""
        found = self._scores(architecture)
        middle, scale = self._scale
        apart = np.clip((found - middle) / scale, -_FARTHEST, _FARTHEST)
        return {"proxy_score": float(apart.mean()), **dict(zip(self.scores, found.tolist(), strict=True))}

    def placed(self) -> PlacedProxy:
        """The same, for a search that asks for accuracies and trains its winners."""
        return PlacedProxy(proxy=self)

    @cached_property
    def _scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Median and deviation of each score in the sample; medians and quartiles, for tails are long."""
        rng = np.random.default_rng(self.seed % 2**32)
        found = np.array([self._scores(self.family.space.sample(rng)) for _ in range(self.sample)])  # (n, scores)
        low, middle, high = np.percentile(found, [25, 50, 75], axis=0)
        scale = (high - low) / _QUARTILES
        return middle, np.where(scale > 0, scale, 1.0)

    def _scores(self, architecture: Architecture) -> NDArray[np.float64]:
        part = fixed_part(self.data, _IMAGES)
        seed = training_seed(self.seed, architecture)
        network = Untrained(
            blocks=self.family.blocks(architecture),
            make=lambda: self.family.module(architecture, seed=seed),
            images=prepared(part.images, self.data, size=self.family.resolution(architecture)),
            labels=torch.from_numpy(part.labels),
        )
        with torch_threads(1):
            return np.array([SCORES[name](network) for name in self.scores], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedProxy:
    """A score in the place of an accuracy, until the winners are trained.

    Attributes:
        proxy: What scores.
    """

    proxy: ProxyEvaluator

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy``, and all that the proxy says.

        What stands as ``accuracy`` is none: the network's place among random ones, from 0 to 1, were scores
        distributed normally. It ranks as the score does.
        """
        found = self.proxy.evaluate(architecture)
        return {"accuracy": NormalDist().cdf(found["proxy_score"]), **found}
