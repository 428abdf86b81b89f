"""By which choices to split a space: where its options pull the shared weights in different directions.

Options whose gradients agree can share weights; where they do not, each spoils what the other has learned (after Hu et
al., 2022, arXiv:2203.15207). The published few-shot method (Zhao et al., 2021) takes any edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces import SearchSpace
from hwnas.supernets.calibration import fixed_part
from hwnas.supernets.splitting import splittable
from hwnas.supernets.supernet import Supernet
from hwnas.training import ImageData, prepared
from hwnas.training.devices import torch_threads

_IMAGES = 64
_CONTEXTS = 4  # random networks around each option

Gradients = Mapping[str, torch.Tensor]


def gradient_match(
    supernet: Supernet, space: SearchSpace, data: ImageData, *, choice: str, seed: int
) -> NDArray[np.float64]:
    """How well the gradients of a choice's options agree, with the rest of the network the same.

    Args:
        supernet: Whose weights.
        space: Where the rest of the network is drawn.
        data: The gradients are those of a fixed part of its training images.
        choice: Which.
        seed: Of the networks drawn.

    Returns:
        Mean cosines between the gradients of each two options on the weights that both use, shape ``(k, k)``.
    """
    options = space.by_name[choice].options
    rng = np.random.default_rng([seed % 2**32, space.choices.index(space.by_name[choice])])
    total = np.zeros((len(options), len(options)))
    with torch_threads(1):
        for _ in range(_CONTEXTS):
            context = {one.name: one.drawn(rng) for one in space.choices}
            gradients = [
                _gradients(supernet, space.architecture({**context, choice: option}), data) for option in options
            ]
            total += [[_cosine(one, other) for other in gradients] for one in gradients]
    return total / _CONTEXTS


def halves_of_least_match(
    supernet: Supernet, space: SearchSpace, data: ImageData, *, halvings: int, seed: int
) -> dict[str, tuple[tuple[Value, ...], ...]]:
    """The choices whose two halves agree least, each with these halves.

    An ordinal choice is cut in the middle of its order, or beside it where there are two middles; of the halves of
    another, those that agree least are taken. A supernet that has learned something knows better than a fresh one.

    Args:
        supernet: As trained so far.
        space: What is to be split.
        data: See ``gradient_match``.
        halvings: How many choices: two give four parts.
        seed: Of the networks drawn.

    Raises:
        UsageError: The space has fewer choices that every network has.
    """
    names = splittable(space)
    if len(names) < halvings:
        raise UsageError(
            f"space {space.name} has {len(names)} choices to split by, for {2 ** len(names)} parts at the most; "
            f"expected {halvings} for {2**halvings}"
        )
    found = []
    for name in names:
        match = gradient_match(supernet, space, data, choice=name, seed=seed)
        choice = space.by_name[name]
        worst = min((_across(match, half), half) for half in _halves(len(choice.options), ordinal=choice.ordinal))
        found.append((worst[0], name, worst[1]))
    chosen = sorted(found)[:halvings]
    return {name: _both(space.by_name[name].options, half) for _, name, half in chosen}


def _gradients(supernet: Supernet, architecture: Architecture, data: ImageData) -> Gradients:
    part = fixed_part(data, _IMAGES)
    shown = prepared(part.images, data, size=supernet.family.resolution(architecture))
    loss = nn.functional.cross_entropy(supernet(shown, architecture), torch.from_numpy(part.labels))
    names, parameters = zip(*supernet.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: one for name, one in zip(names, gradients, strict=True) if one is not None}


def _cosine(one: Gradients, other: Gradients) -> float:
    """Cosine on the weights that both use: those of which neither gradient is zero."""
    dot = first = second = 0.0
    for name in one.keys() & other.keys():
        used = (one[name] != 0) & (other[name] != 0)
        a, b = one[name][used].double(), other[name][used].double()
        dot, first, second = dot + float(a @ b), first + float(a @ a), second + float(b @ b)
    return dot / (first * second) ** 0.5 if first and second else 0.0


def _halves(count: int, *, ordinal: bool) -> Sequence[tuple[int, ...]]:
    """Positions of the options of one half, for every way to halve so many."""
    sizes = sorted({count // 2, count - count // 2})
    if ordinal:
        return [tuple(range(size)) for size in sizes]
    return [half for half in combinations(range(count), sizes[0]) if 2 * sizes[0] < count or 0 in half]


def _across(match: NDArray[np.float64], half: Sequence[int]) -> float:
    rest = [position for position in range(len(match)) if position not in half]
    return float(match[np.ix_(list(half), rest)].mean())


def _both(options: Sequence[Value], half: Sequence[int]) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    first = tuple(options[position] for position in half)
    return first, tuple(option for option in options if option not in first)
