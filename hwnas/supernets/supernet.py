"""One set of weights for every network of a family.

A network uses the first channels of each layer, the first blocks of each stage, and the middle of each filter, by a
learned linear map (Cai et al., 2020, arXiv:1908.09791); along the edges of a cell, the weights of the operation that is
chosen (Guo et al., 2020, arXiv:1904.00420). Both follow from the description of the networks; see
``hwnas.supernets.slots``. Statistics of batch normalisation are not shared: they are taken anew for each network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.func import functional_call

from hwnas.core import Architecture
from hwnas.networks import Block, NetworkFamily
from hwnas.networks.module import hollow_module, network_module
from hwnas.supernets.slots import placed, slots
from hwnas.training.training import lay_out


class Supernet(nn.Module):
    """Shared weights of a family.

    Args:
        family: Whose networks. Its space may be a restricted one; the weights are those of the whole family even then.
        seed: Of the initial weights.

    Attributes:
        family: The same.
    """

    def __init__(self, family: NetworkFamily, *, seed: int) -> None:
        super().__init__()
        self.family = family
        found = slots(family)
        blocks = [Block(key=name, layers=(slot.layer,), size=1) for name, slot in found.items()]
        made = network_module(blocks, seed=seed)
        self.slots = nn.ModuleDict(
            {name: part.get_submodule("layers.0") for name, part in zip(found, made, strict=True)}
        )
        self.maps = nn.ParameterDict(
            {
                f"{name}/{kernel}": nn.Parameter(torch.eye(kernel**2))
                for name, slot in found.items()
                for kernel in slot.kernels[:-1]
            }
        )
        self._kernels = {name: slot.kernels for name, slot in found.items()}

    def forward(
        self, images: torch.Tensor, architecture: Architecture, *, buffers: Mapping[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Logits of one network.

        Args:
            images: Shape ``(b, c, h, w)``, at the network's resolution.
            architecture: Which network.
            buffers: Statistics of its normalisations, as its module names them; without any, those of the batch are
                used, and left nowhere.

        Returns:
            Shape ``(b, classes)``.
        """
        module = hollow_module(self.family.blocks(architecture))
        module.train(buffers is None)
        held = buffers or {name: torch.zeros(one.shape, dtype=one.dtype) for name, one in module.named_buffers()}
        shown = images.contiguous(memory_format=torch.channels_last)  # colour images are convolved twice as fast so
        logits: torch.Tensor = functional_call(module, {**self._weights(architecture, module), **held}, (shown,))
        return logits

    def weights(self, architecture: Architecture) -> dict[str, torch.Tensor]:
        """The weights of one network, as its module names them: views of the shared ones, or computed from them."""
        return self._weights(architecture, hollow_module(self.family.blocks(architecture)))

    def _weights(self, architecture: Architecture, module: nn.Module) -> dict[str, torch.Tensor]:
        return {
            f"{one.path}.{name}": self._part(one.slot, name, own.shape)
            for one in placed(self.family, architecture)
            for name, own in module.get_submodule(one.path).named_parameters()
        }

    @torch.no_grad()
    def materialize(self, architecture: Architecture) -> nn.Sequential:
        """One network as a module of its own with a copy of its weights, which lie in memory with the channels last.

        Its normalisations have no statistics yet; see ``recalibrate``.
        """
        module = self.family.module(architecture, seed=0)
        weights = self.weights(architecture)
        for name, own in module.named_parameters():
            own.copy_(weights[name])
        lay_out(module, torch.channels_last)  # as of ``forward``
        return module

    def _part(self, slot: str, name: str, shape: torch.Size) -> torch.Tensor:
        shared = self.slots[slot].get_parameter(name)
        weight = shared[tuple(slice(length) for length in shape[:2])]
        if weight.ndim < 4 or weight.shape == shape:
            return weight
        for kernel in reversed(self._kernels[slot][:-1]):
            if weight.shape[-1] > shape[-1]:
                weight = _middle(weight, kernel).flatten(2) @ self.maps[f"{slot}/{kernel}"]
                weight = weight.unflatten(2, (kernel, kernel))
        return weight


def _middle(weight: torch.Tensor, kernel: int) -> torch.Tensor:
    """The middle of filters of odd size, shape ``(o, i, kernel, kernel)``."""
    margin = (weight.shape[-1] - kernel) // 2
    return weight[:, :, margin : margin + kernel, margin : margin + kernel]
