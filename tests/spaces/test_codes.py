"""Architectures as rows of whole numbers, and sums over shares of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces import ArchitectureCodes, Choice, SearchSpace, Share, ShareTable, mobilenet_space, nasbench201_space


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces with choices that depend on others, some of a single option."""
    choices: list[Choice] = []
    for index in range(draw(st.integers(1, 5))):
        options = tuple(range(draw(st.integers(1, 4))))
        parent = draw(st.sampled_from([None, *choices])) if choices else None
        when = frozenset(draw(st.lists(st.sampled_from(parent.options)))) if parent else frozenset()
        name = f"c{index}"
        choices.append(Choice(name=name, options=options, parent=parent.name if parent else None, when=when))
    return SearchSpace("made up", tuple(choices))


@given(spaces())
@settings(deadline=None)
def test_all_codes_are_those_of_all_architectures_in_their_order(space: SearchSpace) -> None:
    codes = ArchitectureCodes(space)
    every = codes.enumerate()
    architectures = list(space.enumerate())
    assert codes.decode(every) == architectures
    np.testing.assert_array_equal(codes.encode(architectures), every)
    assert len(every) == space.size == len({tuple(row) for row in every.tolist()})
    np.testing.assert_array_equal(codes.encode(space.listed), every)


@given(spaces(), st.integers(0, 5))
@settings(deadline=None)
def test_samples_are_architectures_of_the_space(space: SearchSpace, seed: int) -> None:
    codes = ArchitectureCodes(space)
    drawn = codes.sample(np.random.default_rng(seed), 20)
    np.testing.assert_array_equal(drawn, codes.sample(np.random.default_rng(seed), 20))
    for architecture, row in zip(codes.decode(drawn), drawn, strict=True):
        assert space.architecture(architecture) == architecture
        np.testing.assert_array_equal(codes.encode([architecture])[0], row)


def test_every_option_of_an_active_choice_is_as_likely_as_the_others() -> None:
    codes = ArchitectureCodes(mobilenet_space("small"))
    drawn = codes.sample(np.random.default_rng(0), 30_000)
    for column, choice in enumerate(codes.space.choices):
        active = codes.active(drawn, column)
        shares = np.bincount(drawn[active, column], minlength=len(choice.options)) / active.sum()
        np.testing.assert_allclose(shares, 1 / len(choice.options), atol=0.02)
        assert (drawn[~active, column] == -1).all()


def test_an_architecture_of_another_space_has_no_code() -> None:
    codes = ArchitectureCodes(nasbench201_space())
    with pytest.raises(UsageError, match="space nasbench201 has no choice 'width'"):
        codes.encode([Architecture({"width": 1.0})])
    with pytest.raises(UsageError, match=r"choice 'edge_0_1' of space nasbench201: expected one of .* received 'conv'"):
        codes.encode([Architecture(dict.fromkeys((c.name for c in codes.space.choices), "conv"))])


def test_a_space_too_large_to_be_listed_says_so() -> None:
    with pytest.raises(UsageError, match=r"space mobilenet:ofa has 2.18e\+20 architectures, more than the 20,000,000"):
        ArchitectureCodes(mobilenet_space("ofa")).enumerate()


# --- sums of shares


def price(values: Mapping[str, Value]) -> NDArray[np.float64]:
    """Two figures that tell every combination of values from the others."""
    number = sum((int(value) + 1) * 5 ** int(name[1:]) for name, value in values.items())
    return np.array([number, -(number**2)], dtype=np.float64)


@given(spaces(), st.data())
@settings(deadline=None)
def test_sums_and_maxima_are_those_of_the_shares_one_by_one(space: SearchSpace, data: st.DataObject) -> None:
    names = [choice.name for choice in space.choices]
    chosen = data.draw(st.lists(st.lists(st.sampled_from(names), unique=True, max_size=4), min_size=1, max_size=4))
    shares = [Share[Mapping[str, Value]](tuple(members), dict) for members in chosen]
    table = ShareTable(space, shares, price=price, width=2)
    codes = ArchitectureCodes(space).enumerate()
    one_by_one = np.array([[price(share.in_(a)) for share in shares] for a in space.enumerate()])  # (n, shares, 2)
    np.testing.assert_array_equal(table.sums(codes), one_by_one.sum(axis=1))
    np.testing.assert_array_equal(table.maxima(codes), np.maximum(one_by_one.max(axis=1), 0))
    np.testing.assert_array_equal(table.sums(codes[::-1]), one_by_one.sum(axis=1)[::-1])
    assert table.sums(codes[:0]).shape == (0, 2)


def test_an_even_sample_draws_every_architecture_as_often() -> None:
    space = SearchSpace(
        "uneven",
        (
            Choice(name="deep", options=(False, True)),
            Choice(name="one", options=(1, 2, 3), parent="deep", when=frozenset([True])),
            Choice(name="two", options=(1, 2, 3), parent="one", when=frozenset([2, 3])),
        ),
    )
    assert [sum(space.ways(choice)) for choice in space.choices] == [8, 7, 3]
    codes = ArchitectureCodes(space)
    drawn = codes.sample(np.random.default_rng(0), 8000, evenly=True)
    rows, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {tuple(row) for row in rows.tolist()} == {tuple(row) for row in codes.enumerate().tolist()}
    assert abs(counts - 1000).max() < 150  # five standard deviations


def test_a_share_is_priced_once_and_only_when_it_is_asked_for() -> None:
    space = mobilenet_space("tiny")
    asked: list[Mapping[str, Value]] = []

    def counted(values: Mapping[str, Value]) -> NDArray[np.float64]:
        asked.append(values)
        return np.ones(1)

    shares = [Share[Mapping[str, Value]](("resolution", "s1.b2.kernel"), dict)]
    table = ShareTable(space, shares, price=counted, width=1)
    codes = ArchitectureCodes(space).sample(np.random.default_rng(0), 500)
    assert not asked
    for _ in range(2):
        assert table.sums(codes).sum() == 500
    assert len(asked) == 2 * 3  # resolutions, and kernels of which one is that of a block that is not there


def test_a_price_that_cannot_be_had_leaves_the_others_as_they_were() -> None:
    space = nasbench201_space()

    def priced(values: Mapping[str, Value]) -> NDArray[np.float64]:
        if values["edge_0_1"] == "none":
            raise KeyError("no price")
        return np.ones(1)

    table = ShareTable(space, [Share[Mapping[str, Value]](("edge_0_1",), dict)], price=priced, width=1)
    codes = ArchitectureCodes(space).enumerate()
    with pytest.raises(KeyError, match="no price"):
        table.sums(codes)
    rest = codes[codes[:, 0] != 0]
    assert table.sums(rest).sum() == len(rest)
