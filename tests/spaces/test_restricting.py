"""Restricted spaces, and the architectures that stand for all that are the same network."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import UsageError, Value
from hwnas.spaces import SearchSpace, from_string, mobilenet_space, nasbench201_space
from tests.spaces.test_space import NESTED, choice, spaces

CELLS = nasbench201_space()


def assert_restricted(space: SearchSpace, kept: dict[str, tuple[Value, ...]]) -> SearchSpace:
    """Checks that exactly the architectures whose active choices were kept are left."""
    smaller = space.restrict(kept)
    expected = [a for a in space.enumerate() if all(a[name] in kept[name] for name in kept if name in a)]
    assert list(smaller.enumerate()) == expected
    assert smaller.size == len(expected)
    assert all(smaller.architecture(dict(a)) == a for a in expected)
    return smaller


@st.composite
def restrictions(draw: st.DrawFn) -> tuple[SearchSpace, dict[str, tuple[Value, ...]]]:
    space = draw(spaces())
    named = draw(st.lists(st.sampled_from(space.choices), unique_by=lambda c: c.name)) if space.choices else []
    return space, {c.name: tuple(draw(st.sets(st.sampled_from(c.options), min_size=1))) for c in named}


@given(restrictions())
@settings(max_examples=150, deadline=None)
def test_in_any_space_the_architectures_left_are_those_whose_active_choices_were_kept(
    drawn: tuple[SearchSpace, dict[str, tuple[Value, ...]]],
) -> None:
    assert_restricted(*drawn)


def test_choices_that_nothing_brings_to_life_are_left_out_with_what_depends_on_them() -> None:
    smaller = assert_restricted(NESTED, {"depth": (1, 2)})
    assert [c.name for c in smaller.choices] == ["depth", "k1", "k2", "alone"]
    assert [c.name for c in assert_restricted(NESTED, {"gate": (False,)}).choices][-2:] == ["gate", "alone"]
    assert_restricted(NESTED, {"gate": (True,), "act": ("gelu", "relu"), "depth": (3, 1)})


def test_options_keep_their_order_and_restricting_twice_is_restricting_to_both() -> None:
    wide = mobilenet_space("ofa")
    smaller = wide.restrict({"width": (1.2,), "s1.depth": (4, 2)})
    assert smaller.by_name["s1.depth"].options == (2, 4)
    assert smaller == wide.restrict({"s1.depth": (2, 4)}).restrict({"width": (1.2,)})
    assert wide.restrict({}) == wide
    assert smaller.name == wide.name


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown choice of space nested 'depht'.*Did you mean 'depth'"):
        NESTED.restrict({"depht": (1,)})
    with pytest.raises(UsageError, match=r"choice 'depth': expected one of .*received 9"):
        NESTED.restrict({"depth": (1, 9)})
    with pytest.raises(
        UsageError, match=r"'depth' of space nested: expected at least one of .* to keep, received none"
    ):
        NESTED.restrict({"depth": ()})


def test_without_a_rule_only_equal_architectures_are_the_same_network() -> None:
    space = SearchSpace("flat", (choice("a", 1, 2), choice("b", "x", "y")))
    assert [space.canonical(a) for a in space.enumerate()] == list(space.enumerate())


def test_cells_that_are_the_same_network_share_their_canonical_one() -> None:
    def form(text: str) -> object:
        return CELLS.canonical(from_string(text))

    conv_last = form("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert form("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|") == conv_last
    assert form("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|") == conv_last
    assert form("|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|none~2|") == conv_last
    assert form("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|") != conv_last
    assert form("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|") != conv_last


def test_canonical_cells_are_their_own_and_first_of_their_class() -> None:
    classes = defaultdict(list)
    for cell in CELLS.enumerate():
        classes[CELLS.canonical(cell)].append(cell)
    assert len(classes) == 4_930
    assert all(first == members[0] for first, members in classes.items())
