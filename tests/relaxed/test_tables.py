"""Expectations from whole tables: what contracting has to agree with, and what is no table."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import UsageError
from hwnas.relaxed import CostTensor, architecture_at, expected, positions
from hwnas.spaces import Choice, SearchSpace, mobilenet_space, nasbench201_space
from tests.relaxed.made_up import ARCHITECTURES, SIZES, SPACE


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    rows=st.integers(1, 3),
    own=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_an_expectation_is_the_mean_over_all_architectures(sizes: list[int], rows: int, own: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = rng.normal(size=(rows if own else 1, *sizes))
    chances = [rng.dirichlet(np.ones(size), size=rows) for size in sizes]
    wanted = [
        sum(
            tables[row if own else 0][place] * np.prod([part[row, i] for part, i in zip(chances, place, strict=True)])
            for place in product(*map(range, sizes))
        )
        for row in range(rows)
    ]
    found = expected(torch.tensor(tables if own else tables[0]), [torch.tensor(part) for part in chances])
    assert found.numpy() == pytest.approx(np.array(wanted))


def test_a_certain_choice_gives_the_value_of_its_architecture_and_a_gradient() -> None:
    table = CostTensor.of(SPACE, ARCHITECTURES, SIZES)
    places = [2, 1, 0]
    chances = [
        torch.eye(len(choice.options))[place].unsqueeze(0).requires_grad_()
        for choice, place in zip(SPACE.choices, places, strict=True)
    ]
    found = expected(table.values, chances)
    assert float(found[0].detach()) == 7**2 * 16 * 1
    found.sum().backward()
    assert chances[0].grad is not None
    assert chances[0].grad[0].tolist() == [9 * 16, 25 * 16, 49 * 16]


def test_places_and_architectures_are_one_another() -> None:
    for one in ARCHITECTURES:
        assert architecture_at(SPACE, positions(SPACE, one)) == one


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(len(ARCHITECTURES))
    shuffled = CostTensor.of(SPACE, [ARCHITECTURES[i] for i in order], SIZES[order])
    assert torch.equal(shuffled.values, CostTensor.of(SPACE, ARCHITECTURES, SIZES).values)


def test_what_is_no_whole_table_is_refused() -> None:
    with pytest.raises(UsageError, match="expected each of the 24 architectures of made-up once, received 23"):
        CostTensor.of(SPACE, ARCHITECTURES[1:], SIZES[1:])
    with pytest.raises(UsageError, match="received 24 with 23 different ones"):
        CostTensor.of(SPACE, [ARCHITECTURES[0], *ARCHITECTURES[:-1]], SIZES)
    with pytest.raises(UsageError, match="expected finite values, received 1 that are not"):
        CostTensor.of(SPACE, ARCHITECTURES, np.where(SIZES.max() == SIZES, np.nan, SIZES))


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (mobilenet_space("tiny"), "depends on another"),
        (SearchSpace("huge", tuple(Choice(name=f"c{i}", options=(1, 2, 3, 4)) for i in range(12))), "1,000,000 at the"),
    ],
)
def test_spaces_without_a_whole_table_are_refused(space: SearchSpace, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        CostTensor.of(space, [], np.zeros(0))


def test_the_cells_of_nasbench201_are_independent_choices() -> None:
    space = nasbench201_space()
    assert positions(space, next(iter(space.enumerate()))) == [0] * 6
