"""What networks learn to do: a loss to make small, and a score to be judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import nn

if TYPE_CHECKING:
    from hwnas.training.recipe import Recipe


@runtime_checkable
class Task(Protocol):
    """What a training asks of a task; ``ImageData.task`` is that of the data.

    Outputs are what a network gives for a batch, targets the same entries of ``Split.labels``, which may have any shape
    ``(n, ...)`` and type that the task understands. A task holds no state.
    """

    @property
    def name(self) -> str:
        """For messages."""

    def require(self, recipe: Recipe) -> None:
        """Refuses a recipe whose variations of the images would make their targets wrong.

        Raises:
            UsageError: It has one.
        """

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        """The mean loss of a batch, a scalar.

        Args:
            outputs: Of the network, shape ``(b, ...)``, in fp32.
            targets: Shape ``(b, ...)``, as ``mixable`` made them where the recipe mixes images.
            recipe: For its settings of the loss.
        """

    def distance(self, outputs: torch.Tensor, wanted: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        """How far outputs are from those of a teacher, mean over the batch; asked for where the recipe distils."""

    def mixable(self, targets: torch.Tensor, *, outputs: int) -> torch.Tensor:
        """Targets of which weighted sums make sense; asked for where the recipe mixes images.

        Args:
            targets: Shape ``(b, ...)``.
            outputs: How many a network has.
        """

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """How well each example was done, from 0 to 1, shape ``(b,)``; their mean is what is called accuracy."""


@dataclass(frozen=True)
class Classification:
    """One class for each image: cross-entropy, and the share of the images with the right class."""

    name: str = "classification"

    def require(self, recipe: Recipe) -> None:
        """Takes every recipe: a class stays what it is however its image is varied."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        """Cross-entropy with labels of shape ``(b,)``, or with shares of the classes, ``(b, classes)``."""
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=recipe.label_smoothing)

    def distance(self, outputs: torch.Tensor, wanted: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        """See ``distance``; outputs are logits, shape ``(b, classes)``."""
        return distance(outputs, wanted, temperature=recipe.temperature)

    def mixable(self, targets: torch.Tensor, *, outputs: int) -> torch.Tensor:
        """Shares of the classes, shape ``(b, classes)``."""
        return nn.functional.one_hot(targets, outputs)

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 where the largest logit is at the right class."""
        return (outputs.argmax(dim=1) == targets).double()


CLASSIFICATION = Classification()


def distance(outputs: torch.Tensor, wanted: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of the student's classes from the teacher's, softened, mean over the batch.

    It is multiplied by the square of the temperature, so that its gradient keeps its size (Hinton et al., 2015, 2).

    Args:
        outputs: Logits of the student, shape ``(b, classes)``.
        wanted: Logits of the teacher, shape ``(b, classes)``.
        temperature: What both are divided by.
    """
    student = nn.functional.log_softmax(outputs / temperature, dim=1)
    teacher = nn.functional.log_softmax(wanted.float() / temperature, dim=1)
    return temperature**2 * nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
