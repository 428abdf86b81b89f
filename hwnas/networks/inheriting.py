"""Weights of a parent, handed to a child: exactly where that can be, else as far as the two are alike.

One rule does for every layer: what the child has in common with the parent is copied, what is new is drawn as in any
fresh network, and nothing that was there reads what is new. So the new channels, filters' margins and gates change no
output, yet they compute something and can learn, which duplicates of old channels could not: they would follow the
same gradients for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hwnas.core import Architecture, UsageError
from hwnas.networks.blocks import Layer
from hwnas.networks.cells import Cell
from hwnas.networks.family import NetworkFamily
from hwnas.networks.module import hollow_module
from hwnas.networks.morphisms import (
    can_add_nothing,
    edges_by_place,
    inserted_gates,
    matched,
    may_join,
    pairs,
)

Weights = Mapping[str, torch.Tensor]

_HALF_OPEN = 2.0  # a gate whose weights are zero lets half through; a power of two makes up for it without rounding


@dataclass(frozen=True, kw_only=True)
class Heir:
    """A child with its parent's weights.

    Attributes:
        module: As ``NetworkFamily.module`` makes it, but for the weights.
        exact: Whether it computes what the parent does.
    """

    module: nn.Sequential
    exact: bool


@torch.no_grad()
def inherit(family: NetworkFamily, parent: Architecture, child: Architecture, weights: Weights, *, seed: int) -> Heir:
    """The module of a child, beginning with the weights of a parent.

    Where ``is_exact`` says so, its logits are the parent's, in evaluation and in training, up to rounding. Else
    channels, blocks, margins of filters and gates are left out, the first channels being kept; a gate that goes is
    replaced by what it lets through without its weights.

    Args:
        family: Of which both are.
        parent: Whose weights these are.
        child: Any other architecture of the family; the more it is like the parent the better.
        weights: The parent's, as ``state_dict`` of its module names them; left as they are.
        seed: Of what is new in the child.

    Raises:
        UsageError: One of the architectures is of another space, or the weights are not those of the parent.
    """
    for architecture in (parent, child):
        family.space.architecture(dict(architecture))
    _require_weights(family, parent, weights)
    module = family.module(child, seed=seed)
    taking = _Taking(weights, module.state_dict())  # the tensors of the module itself
    exact = True
    for pair in pairs(family, parent, child):
        exact = exact and pair.exact
        path = f"{pair.new_place}.layers"
        if pair.new is None:
            continue
        if pair.old is None:
            if can_add_nothing(pair.new):
                taking.silence(path, pair.new.layers)
        else:
            taking.run(f"{pair.old_place}.layers", path, pair.old.layers, pair.new.layers)
    return Heir(module=module, exact=exact)


@dataclass(frozen=True)
class _Taking:
    """Puts what there is of old weights into new ones, in place.

    Attributes:
        old: By name.
        new: By name.
    """

    old: Weights
    new: Weights

    def run(self, old_path: str, new_path: str, old: Sequence[Layer], new: Sequence[Layer]) -> None:
        """Takes over a run of layers."""
        taken = matched(old, new)
        for n, o in taken.items():
            before, after = old[o], new[n]
            if isinstance(before, Cell) and isinstance(after, Cell):
                self._cell(f"{old_path}.{o}.edges", f"{new_path}.{n}.edges", before, after)
            else:
                self._layer(f"{old_path}.{o}.", f"{new_path}.{n}.")
        for n in inserted_gates(old, new):
            self.new[f"{new_path}.{n}.wide.weight"].zero_()
            self.new[f"{new_path}.{n + 1}.0.weight"].mul_(_HALF_OPEN)
        places = {o: n for n, o in taken.items()}
        for o in inserted_gates(new, old):
            passed = nn.functional.hardsigmoid(self.old[f"{old_path}.{o}.wide.bias"])
            following = self.new[f"{new_path}.{places[o + 1]}.0.weight"]
            read = min(len(passed), following.shape[1])
            following[:, :read].mul_(passed[None, :read, None, None])

    def silence(self, path: str, layers: Sequence[Layer]) -> None:
        """Makes a run of layers that ends in a normalisation give nothing, until it has learned something."""
        self.new[f"{path}.{len(layers) - 1}.1.weight"].zero_()

    def _cell(self, old_path: str, new_path: str, old: Cell, new: Cell) -> None:
        before = edges_by_place(old)
        for place, (number, edge) in edges_by_place(new).items():
            path = f"{new_path}.{number}"
            if place in before:
                was_number, was = before[place]
                self.run(f"{old_path}.{was_number}", path, was.layers, edge.layers)
            elif may_join(edge, old):
                self.silence(path, edge.layers)

    def _layer(self, old_path: str, new_path: str) -> None:
        for name, fresh in self.new.items():
            held = self.old.get(old_path + name.removeprefix(new_path)) if name.startswith(new_path) else None
            if held is not None:
                _take(held, fresh)


def _take(old: torch.Tensor, new: torch.Tensor) -> None:
    """Copies what two tensors have in common; of filters the middles.

    Args:
        old: A number, a vector of one entry a channel, or weights of shape ``(o, i, ...)``.
        new: Likewise, of as many dimensions; changed.
    """
    if old.ndim < 2:
        common = tuple(slice(min(a, b)) for a, b in zip(old.shape, new.shape, strict=True))
        new[common] = old[common]
        return
    outputs, inputs = (min(a, b) for a, b in zip(old.shape[:2], new.shape[:2], strict=True))
    new[:outputs] = 0.0  # what was there reads nothing new
    middles = [_middles(a, b) for a, b in zip(old.shape[2:], new.shape[2:], strict=True)]
    here = (slice(outputs), slice(inputs), *(after for _, after in middles))
    new[here] = old[(slice(outputs), slice(inputs), *(before for before, _ in middles))]


def _middles(old: int, new: int) -> tuple[slice, slice]:
    """The part of two filters of odd sizes that both have, in the one and in the other."""
    common = min(old, new)
    before, after = (old - common) // 2, (new - common) // 2
    return slice(before, before + common), slice(after, after + common)


def _require_weights(family: NetworkFamily, parent: Architecture, weights: Weights) -> None:
    wanted = {name: tuple(one.shape) for name, one in hollow_module(family.blocks(parent)).state_dict().items()}
    given = {name: tuple(one.shape) for name, one in weights.items()}
    for name in sorted({*wanted, *given}):
        if wanted.get(name) != given.get(name):
            expected, received = (f"shape {shapes[name]}" if name in shapes else "none" for shapes in (wanted, given))
            raise UsageError(
                f"these are not the weights of network {parent.id} of space {family.space.name}: {name}: expected "
                f"{expected}, received {received}. Give the state of the module that the family makes of it"
            )
