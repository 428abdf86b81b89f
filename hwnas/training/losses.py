"""What a training makes small."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from hwnas.core import UsageError
from hwnas.training.recipe import Recipe

Teacher = Callable[[torch.Tensor], torch.Tensor]  # (b, c, size, size) -> logits (b, classes)


class Loss:
    """Cross-entropy, and where the recipe distils, the distance to a teacher.

    Args:
        module: Whose outputs are judged.
        recipe: Label smoothing, and share and temperature of distillation.
        teacher: What to learn from beside the labels. A module is copied, put into evaluation mode and moved to
            ``device``; any other callable gets images there.
        device: Where the images are.

    Raises:
        UsageError: The recipe distils and there is no teacher, or the other way round.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, *, teacher: Teacher | None, device: torch.device) -> None:
        require_teacher(recipe, teacher)
        self._module = module
        self._recipe = recipe
        if isinstance(teacher, nn.Module):
            teacher = copy.deepcopy(teacher).eval().requires_grad_(requires_grad=False).to(device)
        self._teacher = teacher
        dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
        self._dtype = dtypes[recipe.precision]
        self._device_type = device.type

    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, a scalar in fp32.

        Args:
            images: Shape ``(b, c, size, size)``.
            targets: Labels of shape ``(b,)``, or shares of the classes of shape ``(b, classes)``.
        """
        outputs = self._outputs(images)
        loss = nn.functional.cross_entropy(outputs, targets, label_smoothing=self._recipe.label_smoothing)
        if self._teacher is None:
            return loss
        with torch.no_grad():
            wanted = self._teacher(images)
        share = self._recipe.distillation
        return (1 - share) * loss + share * distance(outputs, wanted, temperature=self._recipe.temperature)

    def _outputs(self, images: torch.Tensor) -> torch.Tensor:
        if self._dtype is None:
            outputs: torch.Tensor = self._module(images)
            return outputs
        with torch.autocast(self._device_type, dtype=self._dtype):
            outputs = self._module(images)
        return outputs.float()


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


def require_teacher(recipe: Recipe, teacher: Teacher | None) -> None:
    """Refuses a recipe that distils without a teacher, and a teacher for one that does not.

    Raises:
        UsageError: One of the two.
    """
    if recipe.distillation and teacher is None:
        raise UsageError(
            f"the recipe distils (distillation {recipe.distillation:g}): expected a teacher, received none. Give one "
            "to `train`, or set distillation to 0"
        )
    if teacher is not None and not recipe.distillation:
        raise UsageError("expected a recipe with distillation above 0 for the teacher, received one with 0")
