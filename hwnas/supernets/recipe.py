"""How a supernet is trained, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

from hwnas.core import UsageError
from hwnas.training import ImageData

_WARM_UP = 0.1  # share of the steps


@dataclass(frozen=True, kw_only=True)
class SupernetRecipe:
    """AdamW, with a learning rate that rises linearly over a tenth of the steps and falls along a cosine.

    Attributes:
        epochs: Passes over the training images. In each step several networks learn from the same images, so an epoch
            costs as much as several of one network.
        batch: Images a step.
        learning_rate: The largest.
        weight_decay: Decoupled.
        label_smoothing: Share of the target spread over all classes, where it is not another network's answer.
        random_paths: In a space with order, random networks a step beside the largest and the smallest.
        calibration_images: Training images that the statistics of a network's normalisations are taken from before it
            is judged.
        threads: Of torch. The result depends on it in the last digits.
    """

    epochs: int = 30
    batch: int = 64
    learning_rate: float = 8e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    random_paths: int = 2
    calibration_images: int = 1024
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 2), ("random_paths", 0), ("calibration_images", 2)):
            if getattr(self, name) < least:
                received = getattr(self, name)
                raise UsageError(f"recipe of a supernet: expected {name} of {least} or more, received {received}")

    def to_json(self) -> dict[str, int | float]:
        """Field by field, for the record of a run."""
        return asdict(self)

    def steps_an_epoch(self, data: ImageData) -> int:
        """Steps in a pass over the training images; the rest that fills no batch is left out."""
        return max(1, len(data.train.images) // self.batch)

    def rate(self, step: int, *, total: int) -> float:
        """The learning rate of a step, from 0, of so many."""
        rising = max(1, round(_WARM_UP * total))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))


@dataclass(frozen=True, kw_only=True)
class SupernetProgress:
    """How far the training is, or the judging that follows.

    Attributes:
        stage: What is trained: ``"supernet"``, or ``"part 2 of 4"``; then ``"scale"``, where networks are judged.
        done: Steps of all stages of training; networks judged.
        total: Likewise, to the end.
    """

    stage: str
    done: int
    total: int


OnProgress = Callable[[SupernetProgress], None]
