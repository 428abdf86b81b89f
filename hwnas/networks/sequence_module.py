"""Recurrent layers as torch modules."""

from __future__ import annotations

import math

import torch
from torch import nn

from hwnas.networks.factorised import LinearMap, LowRankMap
from hwnas.networks.factorised_module import Drawn, linear_module
from hwnas.networks.sequences import FusedSteps, Project, Steps


class Projection(nn.Module):
    """A linear map of every frame."""

    def __init__(self, layer: Project) -> None:
        super().__init__()
        self.linear = linear_module(layer.mapped)
        self.written = layer.mapped.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(b, t, h, w)`` or ``(b, t, in_features)`` to ``(b, t, out_features)``."""
        frames: torch.Tensor = self.linear(x)
        return frames.reshape(-1, x.shape[1], self.written)


class Recurrence(Drawn):
    """A recurrent cell from the first frame to the last."""

    def __init__(self, layer: Steps) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layer.hidden, layer.gates))
        self.cell, self.hidden = layer.cell, layer.hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(b, t, gates)`` to the last state, ``(b, hidden)``."""
        step = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[self.cell]
        state = step(x[:, 0], ())
        for t in range(1, x.shape[1]):
            state = step(x[:, t], state)
        return state[0]

    def _rnn(self, read: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (torch.tanh(torch.addmm(read, state[0], self.weight) if state else read),)

    def _gru(self, read: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        gates, new = torch.split(read, [2 * self.hidden, self.hidden], 1)
        if not state:
            _, update = torch.sigmoid(gates).chunk(2, 1)
            new = torch.tanh(new)
            return (new - update * new,)
        held_gates, held_new = torch.split(state[0] @ self.weight, [2 * self.hidden, self.hidden], 1)
        reset, update = torch.sigmoid(gates + held_gates).chunk(2, 1)
        new = torch.tanh(new + reset * held_new)
        return (new + update * (state[0] - new),)

    def _lstm(self, read: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        gates = torch.addmm(read, state[0], self.weight) if state else read
        opened, new = torch.split(gates, [3 * self.hidden, self.hidden], 1)
        enter, keep, leave = torch.sigmoid(opened).chunk(3, 1)
        memory = enter * torch.tanh(new)
        if state:
            memory = keep * state[1] + memory
        return leave * torch.tanh(memory), memory

    def draw(self, generator: torch.Generator) -> None:
        """Normal weights that keep the variance of the state."""
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(1 / self.hidden), generator=generator)


class FusedRecurrence(Drawn):
    """Map and steps by torch's own cell."""

    def __init__(self, layer: FusedSteps) -> None:
        super().__init__()
        self.narrow = None
        if isinstance(layer.mapped, LowRankMap):
            self.narrow = nn.Parameter(torch.empty(layer.mapped.in_features, layer.read))
        self.cell = {"gru": nn.GRU, "lstm": nn.LSTM}[layer.cell](layer.read, layer.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(b, t, h, w)`` or ``(b, t, in_features)`` to the last state, ``(b, hidden)``."""
        frames = x.shape[1]
        if self.narrow is not None:
            x = x.reshape(-1, self.narrow.shape[0]) @ self.narrow
        _, last = self.cell(x.reshape(-1, frames, self.cell.input_size).transpose(0, 1))
        state: torch.Tensor = (last[0] if isinstance(last, tuple) else last)[0]
        return state

    def draw(self, generator: torch.Generator) -> None:
        """Normal weights that keep the variance of what is read and of the state, and no biases."""
        with torch.no_grad():
            if self.narrow is not None:
                self.narrow.normal_(0.0, math.sqrt(1 / self.narrow.shape[0]), generator=generator)
            for name, weights in self.cell.named_parameters():
                if name.startswith("weight"):
                    weights.normal_(0.0, math.sqrt(1 / weights.shape[1]), generator=generator)
                else:
                    nn.init.zeros_(weights)


def recurrent_module(mapped: LinearMap, *, cell: str, frames: int, seed: int) -> nn.Sequential:
    """A recurrent layer of its own, freshly initialised: maps ``(b, frames, in_features)`` to its last state.

    Args:
        mapped: From a frame to the gates: as many outputs as the cell has gates, times the numbers of its state; all
            of the first gate's come before all of the second's.
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        frames: Steps.
        seed: Of the weights.

    Raises:
        UsageError: No such cell, or outputs that are no multiple of its gates.
    """
    steps = Steps.of(mapped, cell=cell, frames=frames)
    module = nn.Sequential(Projection(Project(frames=frames, mapped=mapped)), Recurrence(steps))
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, Drawn):
            part.draw(generator)
    return module
