"""Sums over choices that have the same options."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import Architecture
from hwnas.spaces import Choice, Encoding, Interval, SearchSpace
from hwnas.surrogates.description import Description
from hwnas.surrogates.kernels import Matrix
from hwnas.surrogates.kinds import Kinds
from hwnas.surrogates.steps import Steps

KERNELS = tuple(Choice(name=f"kernel_{i}", options=(3, 5, 7)) for i in range(3))
SPACE = SearchSpace(
    "kinds", (*KERNELS, Choice(name="activation", options=("relu", "hswish"), ordinal=False), Interval("rate", 0, 1))
)


def test_choices_with_the_same_options_are_a_kind_and_a_continuous_choice_is_its_own() -> None:
    kernels = ({1: 0, 2: 1}, {1: 2, 2: 3}, {1: 4, 2: 5})
    assert Steps(SPACE).kinds == (kernels, ({0: 6, 1: 7},), ({0: 8},))


def test_a_choice_that_may_be_absent_is_of_the_kind_of_those_that_may_not() -> None:
    space = SearchSpace(
        "absent",
        (
            Choice(name="depth", options=(1, 2)),
            Choice(name="kernel_1", options=(3, 5)),
            Choice(name="kernel_2", options=(3, 5), parent="depth", when=frozenset({2})),
        ),
    )
    assert Steps(space).kinds == (({1: 0},), ({1: 1}, {0: 2, 1: 3}))


def figures(steps: list[list[float]], sample: list[list[float]]) -> list[list[float]]:
    kinds = Kinds([({1: 0, 2: 1}, {1: 2, 2: 3}, {1: 4, 2: 5})], np.array(sample, dtype=float))
    return [[float(value) for value in row] for row in kinds(np.array(steps, dtype=float))]


def test_a_kind_is_how_often_each_step_is_taken_and_whether_early_or_late() -> None:
    sample = [[0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1]]  # sums vary by 1 each, leans not at all
    early, late = figures([[1, 0, 1, 0, 0, 0], [0, 0, 1, 0, 1, 0]], sample)
    assert early[:2] == late[:2] == [2.0, 0.0]
    assert early[2] < 0 < late[2]
    assert early[3] == late[3] == 0.0


@given(st.permutations(range(3)), st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_sums_do_not_ask_which_of_the_choices_took_a_step(order: list[int], taken: list[int]) -> None:
    def steps(counts: list[int]) -> list[float]:
        return [float(count > step) for count in counts for step in range(2)]

    sample = [steps([0, 1, 2]), steps([2, 0, 0]), steps([1, 1, 2])]
    once, again = figures([steps(taken), steps([taken[i] for i in order])], sample)
    assert once[:2] == again[:2]


def test_what_was_seen_of_one_choice_is_believed_of_its_neighbour_and_never_the_reverse_of_another() -> None:
    description = Description(SPACE)
    kernel = description.kernel
    line = kernel.parts[1]

    def row(*kernels: int) -> Matrix:
        values = {f"kernel_{i}": kernel for i, kernel in enumerate(kernels)}
        codes = Encoding(SPACE).encode([SPACE.architecture(values | {"activation": "relu", "rate": 0.5})])
        return description.rows(description.fixed(codes), np.zeros((1, 0)))

    first, second, third = (row(*kernels) - row(3, 3, 3) for kernels in ((7, 3, 3), (3, 7, 3), (3, 3, 7)))
    prior = kernel.prior[0][len(kernel.parts[0].priors) :]
    shared = [line.matrix(prior, first, other)[0, 0] for other in (first, second, third)]
    assert shared[0] > shared[1] > shared[2] > -1e-9


def test_a_space_without_steps_has_no_kinds() -> None:
    space = SearchSpace("one", (Choice(name="only", options=(1,)),))
    codes = Encoding(space).encode([Architecture({"only": 1})])
    assert Steps(space).kinds == ()
    assert Kinds((), Steps(space)(codes))(Steps(space)(codes)).shape == (1, 0)
