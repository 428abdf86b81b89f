"""The average of a network's weights, and the statistics of its batch normalisation estimated anew."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from hwnas.training.judging import HeldImages
from hwnas.training.recipe import Recipe
from hwnas.training.schedules import ema_decay

_FIXED_SEED = 0  # the same images whatever the training's seed, so that networks are recalibrated alike


class WeightAverage:
    """An exponential moving average of a module's parameters and of what its normalisation keeps.

    Args:
        module: Its values now are the first.
        recipe: The decay.
    """

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self._recipe = recipe
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, *, updates: int) -> None:
        """Takes in the module's present values; whole numbers, such as counts of batches, as they are.

        Args:
            module: The module.
            updates: How many there were before.
        """
        weight = 1 - ema_decay(self._recipe, updates)
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, weight)
            else:
                self.values[name].copy_(value)

    @torch.no_grad()
    def load(self, values: Mapping[str, torch.Tensor]) -> None:
        """Takes over an average that was kept."""
        for name, value in self.values.items():
            value.copy_(values[name])


@torch.no_grad()
def recalibrate(module: nn.Module, images: HeldImages, *, count: int, batch: int) -> None:
    """Estimates the running statistics of batch normalisation anew, and leaves the module in evaluation mode.

    Needed where weights are not those that the statistics were collected with: an average of weights, a part of a
    supernet. No weight changes.

    Args:
        module: The module.
        images: The training images.
        count: How many of them to read, always the same ones; all where there are fewer.
        batch: Images at once.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    norms = [norm for norm in norms if norm.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # every batch counts alike
        norm.train()
    picked = torch.randperm(len(images), generator=torch.Generator().manual_seed(_FIXED_SEED))[:count]
    for part in torch.tensor_split(picked, -(-len(picked) // batch)):
        module(images.at(part))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
