"""Choices step by step."""

from __future__ import annotations

import numpy as np

from hwnas.core import Architecture
from hwnas.spaces import Choice, Encoding, Interval, SearchSpace
from hwnas.surrogates.description import Description
from hwnas.surrogates.steps import Steps

SPACE = SearchSpace(
    "steps",
    (
        Choice(name="depth", options=(1, 2)),
        Choice(name="kernel", options=(3, 5, 7)),
        Choice(name="second", options=(3, 5), parent="depth", when=frozenset({2})),
        Choice(name="activation", options=("relu", "hswish"), ordinal=False),
        Choice(name="only", options=(1,)),
        Interval("rate", 0.0, 1.0),
    ),
)


def steps_of(**values: object) -> list[float]:
    architecture = SPACE.architecture(values)
    return [float(step) for step in Steps(SPACE)(Encoding(SPACE).encode([architecture]))[0]]


def test_an_ordered_choice_is_the_steps_it_has_taken() -> None:
    small = steps_of(depth=1, kernel=3, activation="relu", only=1, rate=0.25)
    large = steps_of(depth=2, kernel=7, second=3, activation="hswish", only=1, rate=0.5)
    assert small == [0, 0, 0, 0, 0, 1, 0, 0.5]
    assert large == [1, 1, 1, 1, 0, 0, 1, 1.0]


def test_a_choice_is_a_group_unless_it_is_none() -> None:
    assert Steps(SPACE).groups == ((0,), (1, 2), (3, 4), (5, 6), (7,))


def test_a_space_of_one_point_has_a_kernel() -> None:
    space = SearchSpace("one", (Choice(name="only", options=(1,)),))
    description = Description(space)
    rows = description.rows(description.fixed(Encoding(space).encode([Architecture({"only": 1})])), np.zeros((1, 0)))
    kernel = description.kernel
    assert kernel.matrix(kernel.prior[0], rows, rows).shape == (1, 1)
