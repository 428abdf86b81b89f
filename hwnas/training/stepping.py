"""One step of a training: loss, gradient, optimiser, in as many parts as memory asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hwnas.core import HwnasError, MachineError
from hwnas.training.recipe import Recipe
from hwnas.training.schedules import learning_rate, momentum

_LEAST_PART = 2  # images: batch normalisation has no variance of one


class TrainingDivergedError(HwnasError, ArithmeticError):
    """The loss became NaN or infinite."""


class Stepper:
    """The optimiser of a recipe with its schedule, its precision, and its way with memory.

    Where a device runs out of memory, the step is made again with the batch in twice as many parts, whose gradients
    add up; later steps stay with that number. The loss is that of the whole batch; batch normalisation sees the parts.

    Args:
        module: What is trained.
        recipe: How.
        steps: Of the whole training.
        device: Where it is trained.

    Attributes:
        optimizer: The optimiser.
        scaler: Scales the loss of fp16; disabled otherwise.
        parts: What a batch is divided into.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, *, steps: int, device: torch.device) -> None:
        self.optimizer = _optimizer(module, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.parts = 1
        self._module = module
        self._recipe = recipe
        self._steps = steps
        # what a failed attempt leaves behind in running statistics is taken back; the CPU never fails this way
        self._takes_back = device.type != "cpu"

    def step(
        self,
        loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        targets: torch.Tensor,
        *,
        number: int,
    ) -> float:
        """Makes a step and gives the loss before it.

        Args:
            loss_of: Mean loss of some images and their targets.
            images: Shape ``(b, c, size, size)``.
            targets: Of ``b`` images.
            number: Of the step, from 0.

        Raises:
            TrainingDivergedError: The loss became NaN or infinite; the weights are those before the step.
            MachineError: Memory does not do for two images.
        """
        rate, inertia = (law(self._recipe, number, steps=self._steps) for law in (learning_rate, momentum))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            if self._recipe.optimizer == "sgd":
                group["momentum"] = inertia
            else:
                group["betas"] = (inertia, group["betas"][1])
        loss = self._backward(loss_of, images, targets, epoch=number * self._recipe.epochs // self._steps + 1)
        if self._recipe.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self._module.parameters(), self._recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    @property
    def learning_rate(self) -> float:
        """Of the latest step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the optimiser remembers, by number of the parameter and name."""
        remembered = self.optimizer.state_dict()["state"]
        return {
            f"{number}/{name}": value
            for number, values in remembered.items()
            for name, value in values.items()
            if value is not None
        }

    def load(self, tensors: Mapping[str, torch.Tensor], *, parts: int, scaler: Mapping[str, Any]) -> None:
        """Takes over what a stepper of the same module and recipe remembered.

        Args:
            tensors: From ``tensors``.
            parts: What a batch is divided into.
            scaler: The state of the scaler.
        """
        remembered: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            number, _, name = key.partition("/")
            remembered.setdefault(int(number), {})[name] = value.clone()  # the optimiser changes it in place
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": remembered})
        self.parts = int(parts)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(dict(scaler))

    def _backward(
        self,
        loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        targets: torch.Tensor,
        *,
        epoch: int,
    ) -> float:
        """Gradients of a batch, in parts that memory has room for."""
        before = [buffer.clone() for buffer in self._module.buffers()] if self._takes_back else []
        while True:
            try:
                return self._in_parts(loss_of, images, targets, epoch=epoch)
            except torch.OutOfMemoryError as error:
                if len(images) < 2 * self.parts * _LEAST_PART:
                    raise MachineError(
                        f"out of memory with {-(-len(images) // self.parts)} images at once: take a smaller batch "
                        f"(now {self._recipe.batch}), smaller networks or images, or train on the CPU"
                    ) from error
            # outside of the handler: the error holds on to what the failed attempt had computed
            self.parts *= 2
            if before:
                for buffer, value in zip(self._module.buffers(), before, strict=True):
                    buffer.copy_(value)
            if images.device.type == "cuda":
                torch.cuda.empty_cache()

    def _in_parts(
        self,
        loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        targets: torch.Tensor,
        *,
        epoch: int,
    ) -> float:
        self.optimizer.zero_grad()
        total = 0.0
        parts = zip(torch.tensor_split(images, self.parts), torch.tensor_split(targets, self.parts), strict=True)
        for some, theirs in parts:
            loss = loss_of(some, theirs)
            if self.parts > 1:
                loss = loss * (len(some) / len(images))
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"the loss became {value} in epoch {epoch}: lower the learning rate ({self._recipe.learning_rate})"
                )
            torch.autograd.backward(self.scaler.scale(loss))
            total += value
        return total


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [{"params": list(module.parameters())}]
    if recipe.decay == "weights":
        matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), weight_decay=recipe.weight_decay
    )
