"""Latency as a network of architecture and device: learned from some networks on some devices, and then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwnas.core import Architecture, UsageError
from hwnas.relaxed.costs import Scaled
from hwnas.relaxed.policy import seeded_linear
from hwnas.relaxed.required import require_above_0, required_description
from hwnas.relaxed.tables import option_counts, positions
from hwnas.spaces import SearchSpace

Array = NDArray[np.float64]

_WIDTH = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedDevice:
    """A device with some networks that were timed on it.

    Attributes:
        architectures: The networks.
        latency_ms: Their latencies, shape ``(n,)``.
        description: What tells the device from others, shape ``(e,)``; see ``described_device``.
    """

    architectures: Sequence[Architecture]
    latency_ms: Array
    description: Array


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """How such a network is trained.

    Attributes:
        steps: Updates.
        batch: Pairs of network and device behind each.
        learning_rate: Of Adam, falling to 0.
    """

    steps: int = 3000
    batch: int = 256
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Refuses numbers that nothing could be learned with.

        Raises:
            UsageError: One is not above 0.
        """
        require_above_0(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)


class LearnedLatency(nn.Module):
    """Latency of an architecture on a device, from 0 for the least to 1 for the most of what was timed there.

    The latency predictor of MODNAS (Sukthanker et al., 2025, https://arxiv.org/abs/2402.18213), a perceptron of the
    choices as ones among zeros and of the device's description. Its gradient in the choices is what a policy follows.

    Args:
        space: Its choices do not depend on one another.
        devices: To learn from.
        seed: Of all randomness.
        settings: How to train.

    Raises:
        UsageError: The space has choices that depend on each other; no device, descriptions of different lengths or
            with what is not finite, or a device with fewer than two different latencies, with another number of them
            than of networks, or with one that is no positive number.
    """

    def __init__(
        self, space: SearchSpace, devices: Sequence[TimedDevice], *, seed: int, settings: LatencySettings | None = None
    ) -> None:
        super().__init__()
        self.space, self._options = space, option_counts(space)
        lengths = {one.description.shape for one in devices}
        if len(lengths) != 1:
            raise UsageError(f"expected devices with descriptions of one length, received {sorted(map(str, lengths))}")
        (self._described,) = next(iter(lengths))
        for number, one in enumerate(devices, start=1):
            _require_timed(one, number=number, described=self._described)
        sizes = (sum(self._options) + self._described, _WIDTH, _WIDTH, 1)
        generator = torch.Generator().manual_seed(seed)
        first, second, last = (seeded_linear(*pair, generator) for pair in pairwise(sizes))
        self.body = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)
        self._fit(devices, np.random.default_rng(seed), settings or LatencySettings())
        self.requires_grad_(requires_grad=False)

    def forward(self, choices: Sequence[Tensor], description: Tensor) -> Tensor:
        """Latencies.

        Args:
            choices: For each choice shape ``(b, o_i)``.
            description: Shape ``(b, e)``.

        Returns:
            Shape ``(b,)``.
        """
        found: Tensor = self.body(torch.cat([*choices, description], dim=1)).squeeze(1)
        return found

    def on(self, description: Array) -> LatencyOn:
        """The latency on one device, as a policy is trained against it.

        Raises:
            UsageError: The description has another length than those that were learned from, or is not finite.
        """
        known = required_description(description, length=self._described)
        return LatencyOn(network=self, description=torch.as_tensor(known, dtype=torch.float32))

    def encoded(self, architectures: Sequence[Architecture]) -> list[Tensor]:
        """Architectures as choices: for each choice shape ``(n, o_i)``, one 1 among zeros."""
        places = torch.tensor([positions(self.space, one) for one in architectures])
        return [nn.functional.one_hot(places[:, i], n).float() for i, n in enumerate(self._options)]

    def _fit(self, devices: Sequence[TimedDevice], rng: np.random.Generator, rules: LatencySettings) -> None:
        choices = [
            torch.cat(parts) for parts in zip(*(self.encoded(one.architectures) for one in devices), strict=True)
        ]
        wanted = torch.cat([_from_0_to_1(one.latency_ms) for one in devices])
        described = torch.cat(
            [
                torch.as_tensor(one.description, dtype=torch.float32).expand(len(one.architectures), -1)
                for one in devices
            ]
        )
        optimizer = torch.optim.Adam(self.parameters(), lr=rules.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rules.steps)
        for _ in range(rules.steps):
            some = torch.as_tensor(rng.integers(len(wanted), size=rules.batch))
            found = self([part[some] for part in choices], described[some])
            optimizer.zero_grad()
            torch.autograd.backward((found - wanted[some]).square().mean())
            optimizer.step()
            schedule.step()


@dataclass(frozen=True, kw_only=True, eq=False)
class LatencyOn:
    """A learned latency on one device: a ``RelaxedCost``.

    Attributes:
        network: Frozen.
        description: Of the device, shape ``(e,)``.
    """

    network: LearnedLatency
    description: Tensor

    @property
    def space(self) -> SearchSpace:
        """The network's."""
        return self.network.space

    @property
    def multilinear(self) -> bool:
        """A network's value at a mean is not the mean of its values."""
        return False

    def scaled(self, kept: Tensor | None) -> Scaled:
        """Already from 0 to 1 over what was timed, whatever is kept."""
        del kept
        return lambda choices: self.network(choices, self.description.expand(len(choices[0]), -1))


def _require_timed(device: TimedDevice, *, number: int, described: int) -> None:
    required_description(device.description, length=described)
    latency_ms, networks = device.latency_ms, len(device.architectures)
    if latency_ms.shape != (networks,):
        raise UsageError(
            f"device {number} has {networks} networks and latencies of shape {latency_ms.shape}: expected one each"
        )
    wrong = int((~(np.isfinite(latency_ms) & (latency_ms > 0))).sum())
    if wrong:
        raise UsageError(f"device {number} has {wrong} latencies that are no positive number: leave these networks out")
    if networks < 2 or np.ptp(latency_ms) == 0:
        told = f"all {networks} latencies of device {number} are alike" if networks else f"device {number} has none"
        raise UsageError(f"{told}: expected networks with different latencies")


def _from_0_to_1(latency_ms: Array) -> Tensor:
    low, wide = latency_ms.min(), np.ptp(latency_ms)
    return torch.as_tensor((latency_ms - low) / wide, dtype=torch.float32)
