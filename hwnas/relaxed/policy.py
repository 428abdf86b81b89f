"""A network that gives distributions over architectures for a preference and a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_WIDTH = 256
_WAVES = 16  # cosines of a preference's shares: neighbours may differ, as neighbouring cells of a table would


class HyperPolicy(nn.Module):
    """From a preference and the description of a device to the chances of each choice's options.

    The hypernetwork of MODNAS (Sukthanker et al., 2025, https://arxiv.org/abs/2402.18213) as a network that is smooth
    in the preference, so that it takes any number of objectives; theirs is a table over one share of two.

    Args:
        options: Options of each choice.
        objectives: Shares of a preference.
        description: Numbers that describe a device; 0 without devices.
        generator: Randomness of the first weights.
    """

    def __init__(
        self, options: Sequence[int], *, objectives: int, description: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.options, self.objectives, self.description = tuple(options), objectives, description
        inputs = objectives * (1 + _WAVES) + description
        sizes = (inputs, _WIDTH, _WIDTH, sum(options))
        first, second, last = (seeded_linear(*pair, generator) for pair in pairwise(sizes))
        self.body = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, preferences: Tensor, descriptions: Tensor) -> list[Tensor]:
        """Logarithms of the chances.

        Args:
            preferences: Shape ``(b, objectives)``.
            descriptions: Shape ``(b, description)``.

        Returns:
            For each choice, shape ``(b, o_i)``.
        """
        waves = torch.arange(1, _WAVES + 1, dtype=preferences.dtype, device=preferences.device) * math.pi
        seen = torch.cos(preferences.unsqueeze(-1) * waves).flatten(1)
        logits = self.body(torch.cat([preferences, seen, descriptions], dim=1))
        return [part.log_softmax(1) for part in logits.split(self.options, dim=1)]


def seeded_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer that takes its first weights from the generator, and none from the process."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(inputs)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
