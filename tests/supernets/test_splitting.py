"""Parts of spaces: every network in exactly one, and split where the options agree least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkFamily
from hwnas.spaces import SearchSpace, mobilenet_space, nasbench201_space
from hwnas.supernets import (
    Supernet,
    gradient_match,
    halves_of_least_match,
    matching,
    owner,
    split,
    split_all,
    splittable,
)
from hwnas.training import ImageData
from tests.spaces.test_space import spaces


@given(spaces(), st.data())
@settings(max_examples=80, deadline=None)
def test_every_network_is_in_exactly_one_part(space: SearchSpace, data: st.DataObject) -> None:
    names = splittable(space)
    if not names:
        return
    choice = space.by_name[data.draw(st.sampled_from(names))]
    colours = [data.draw(st.integers(0, 2)) for _ in choice.options]
    groups = [[o for o, c in zip(choice.options, colours, strict=True) if c == colour] for colour in set(colours)]
    parts = split(space, choice.name, groups)
    assert sum(part.size for part in parts) == space.size
    for one in list(space.enumerate())[:200]:
        mine = owner(parts, one)
        assert one[choice.name] in groups[mine]
        assert parts[mine].architecture(dict(one)) == one
        assert owner(parts[mine:], one) == 0
        assert all(one[choice.name] not in part.by_name[choice.name].options for part in parts if part != parts[mine])


def test_by_default_there_is_a_part_for_each_option_as_published() -> None:
    parts = split(nasbench201_space(), "edge_0_1")
    assert [part.size for part in parts] == [3125] * 5
    assert [part.by_name["edge_0_1"].options for part in parts] == [
        (name,) for name in nasbench201_space().by_name["edge_0_1"].options
    ]


def test_two_choices_make_parts_of_all_combinations() -> None:
    space = mobilenet_space("small")
    parts = split_all(space, {"activation": [["relu"], ["hswish"]], "width": [[0.5], [0.75, 1.0]]})
    assert len(parts) == 4
    assert sum(part.size for part in parts) == space.size
    assert {(part.by_name["activation"].options, part.by_name["width"].options) for part in parts} == {
        (a, w) for a in (("relu",), ("hswish",)) for w in ((0.5,), (0.75, 1.0))
    }
    assert split_all(space, {}) == [space]


def test_what_cannot_be_split_is_refused() -> None:
    space = mobilenet_space("tiny")
    with pytest.raises(UsageError, match=r"unknown choice of space mobilenet:tiny 'widht'.*Did you mean 'width'"):
        split(space, "widht")
    with pytest.raises(
        UsageError, match=r"by 's1\.b2\.kernel', which some networks lack: expected one of resolution, "
    ):
        split(space, "s1.b2.kernel")
    for groups in ([[1.0]], [[1.0], [1.0, 2.0]], [[1.0, 2.0], []], [[1.0], [3.0]]):
        with pytest.raises(UsageError, match=r"expected each of \(1\.0, 2\.0\) in one group"):
            split(space, "width", groups)
    with pytest.raises(UsageError, match=r"none of the 1 parts of space mobilenet:tiny contains"):
        owner(split(space, "width")[:1], Architecture({"width": 2.0}))


def test_the_match_of_gradients_is_a_table_of_cosines(smallest: NetworkFamily, few: ImageData) -> None:
    supernet = Supernet(smallest, seed=0)
    match, again = (gradient_match(supernet, smallest.space, few, choice="activation", seed=4) for _ in range(2))
    assert match.shape == (2, 2)
    assert np.array_equal(match, again)
    assert np.allclose(match, match.T)
    assert np.diag(match) == pytest.approx(1)
    assert -1 <= match[0, 1] < 1
    assert all(one.grad is None for one in supernet.parameters())


def test_the_choices_whose_halves_agree_least_are_split_there(
    monkeypatch: pytest.MonkeyPatch, smallest: NetworkFamily, few: ImageData
) -> None:
    """Edges (0, 2) and (1, 3) disagree, two of the operations of each with the rest."""
    space = nasbench201_space()
    odd = {"edge_0_2": {1, 4}, "edge_1_3": {0, 3}}

    def made_up(*_: object, choice: str, **__: object) -> np.ndarray:
        apart = odd.get(choice, set())
        value = -0.5 if choice == "edge_0_2" else -0.4
        return np.array([[value if (i in apart) != (j in apart) else 0.9 for j in range(5)] for i in range(5)])

    monkeypatch.setattr(matching, "gradient_match", made_up)
    found = halves_of_least_match(Supernet(smallest, seed=0), space, few, halvings=2, seed=0)
    assert list(found) == ["edge_0_2", "edge_1_3"]
    assert {frozenset(half) for half in found["edge_0_2"]} == {
        frozenset({"skip_connect", "avg_pool_3x3"}),
        frozenset({"none", "nor_conv_1x1", "nor_conv_3x3"}),
    }
    assert len(split_all(space, found)) == 4


def test_an_ordered_choice_is_cut_along_its_order(
    monkeypatch: pytest.MonkeyPatch, smallest: NetworkFamily, few: ImageData
) -> None:
    space = mobilenet_space("small").restrict({"activation": ["relu"], "resolution": [16]})
    monkeypatch.setattr(
        matching, "gradient_match", lambda *_, choice, **__: -np.eye(len(space.by_name[choice].options))
    )
    found = halves_of_least_match(Supernet(smallest, seed=0), space, few, halvings=5, seed=0)
    for name, (first, second) in found.items():
        assert (*first, *second) == space.by_name[name].options
    only = nasbench201_space().restrict({f"edge_{e}": ["none"] for e in ("0_1", "0_2", "1_2", "0_3", "1_3")})
    with pytest.raises(UsageError, match=r"has 1 choices to split by, for 2 parts at the most; expected 2 for 4"):
        halves_of_least_match(Supernet(smallest, seed=0), only, few, halvings=2, seed=0)
