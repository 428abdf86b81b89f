"""What a training makes small."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from hwnas.core import UsageError
from hwnas.training.recipe import Recipe
from hwnas.training.tasks import Task

Teacher = Callable[[torch.Tensor], torch.Tensor]  # (b, c, size, size) -> outputs (b, ...)


class Loss:
    """The loss of a task, and where the recipe distils, the distance to a teacher.

    Args:
        module: Whose outputs are judged.
        recipe: Precision, share of distillation, and what else the task makes of it.
        task: What is learned.
        teacher: What to learn from beside the labels. A module is copied, put into evaluation mode and moved to
            ``device``; any other callable gets images there.
        device: Where the images are.

    Raises:
        UsageError: The recipe distils and there is no teacher, or the other way round; or the task cannot do with it.
    """

    def __init__(
        self, module: nn.Module, recipe: Recipe, *, task: Task, teacher: Teacher | None, device: torch.device
    ) -> None:
        require_teacher(recipe, teacher)
        task.require(recipe)
        self._task = task
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
            targets: As the task takes them, shape ``(b, ...)``.
        """
        outputs = self._outputs(images)
        loss = self._task.loss(outputs, targets, self._recipe)
        if self._teacher is None:
            return loss
        with torch.no_grad():
            wanted = self._teacher(images)
        share = self._recipe.distillation
        return (1 - share) * loss + share * self._task.distance(outputs, wanted, self._recipe)

    def _outputs(self, images: torch.Tensor) -> torch.Tensor:
        if self._dtype is None:
            outputs: torch.Tensor = self._module(images)
            return outputs
        with torch.autocast(self._device_type, dtype=self._dtype):
            outputs = self._module(images)
        return outputs.float()


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
