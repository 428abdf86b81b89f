"""Children of two architectures, and the way back from codes to architectures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import Architecture
from hwnas.spaces import Choice, Encoding, SearchSpace, mobilenet_space, nasbench201_space
from hwnas.spaces.decoding import nearest, step

SPACES = [mobilenet_space("tiny"), mobilenet_space("small"), nasbench201_space()]
spaces = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


@spaces
def test_a_child_is_legal_and_has_each_value_from_a_parent(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    both = 0
    for _ in range(50):
        a, b = space.sample(rng), space.sample(rng)
        child = space.crossover(a, b, rng)
        assert space.architecture(child) == child
        assert all(value in {a.get(name), b.get(name)} for name, value in child.items())
        both += child not in (a, b)
    assert both > 40


@spaces
def test_a_child_of_equal_parents_is_the_parent(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    a = space.sample(rng)
    assert space.crossover(a, a, rng) == a


def test_choices_come_with_the_value_they_depend_on() -> None:
    space = SearchSpace(
        "nested",
        (
            Choice(name="a", options=(0, 1)),
            Choice(name="b", options=(0, 1), parent="a", when=frozenset({1})),
            Choice(name="c", options=(0, 1, 2), parent="b", when=frozenset({1})),
        ),
    )
    first, second = Architecture({"a": 0}), Architecture({"a": 1, "b": 0})
    children = {space.crossover(first, second, np.random.default_rng(seed)) for seed in range(20)}
    assert children == {first, second}
    third = Architecture({"a": 1, "b": 1, "c": 2})
    children = {space.crossover(first, third, np.random.default_rng(seed)) for seed in range(20)}
    assert children == {first, third}  # b and c go with a


@spaces
def test_the_same_randomness_gives_the_same_child(space: SearchSpace) -> None:
    a, b = (space.sample(np.random.default_rng(seed)) for seed in (1, 2))
    assert space.crossover(a, b, np.random.default_rng(3)) == space.crossover(a, b, np.random.default_rng(3))


@spaces
@given(seed=st.integers(0, 10**6))
def test_an_architecture_is_nearest_to_its_own_code_even_with_noise(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    architectures = [space.sample(rng) for _ in range(3)]
    codes = Encoding(space).encode(architectures)
    assert nearest(space, codes) == architectures
    smallest = min(step(choice) if choice.ordinal else 1.0 for choice in space.choices)
    assert nearest(space, codes + rng.uniform(-0.49, 0.49, codes.shape) * smallest) == architectures


@spaces
def test_points_outside_are_nearest_to_an_end_and_legal(space: SearchSpace) -> None:
    points = np.random.default_rng(0).uniform(-5, 5, (40, Encoding(space).width))
    assert all(space.architecture(found) == found for found in nearest(space, points))
    ends = [choice for choice in space.choices if choice.ordinal and choice.parent is None]
    for value, option in ((-3.0, 0), (3.0, -1)):
        (found,) = nearest(space, np.full((1, Encoding(space).width), value))
        assert all(found[choice.name] == choice.options[option] for choice in ends)


@spaces
def test_columns_follow_one_another_up_to_the_width(space: SearchSpace) -> None:
    places = list(Encoding(space).columns.values())
    assert [place.start for place in places] == [0, *(place.stop for place in places[:-1])]
    assert places[-1].stop == Encoding(space).width
