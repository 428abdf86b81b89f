"""The shortest convex combination of gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.relaxed import min_norm_weights


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 6), d=st.integers(1, 8), seed=st.integers(0, 2**16), alike=st.booleans())
def test_no_gradient_objects_to_the_shortest_combination(n: int, d: int, seed: int, alike: bool) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, d)) + (2.0 if alike else 0.0)
    weights = min_norm_weights(vectors @ vectors.T)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    united = weights @ vectors
    # The condition of optimality: no vertex is on the near side of the combination.
    assert (vectors @ united).min() >= united @ united - 1e-9 * max(1.0, (vectors**2).sum(1).max())
    assert united @ united <= (vectors**2).sum(1).min() + 1e-9


def test_of_two_it_is_the_foot_of_the_perpendicular_or_the_shorter_one() -> None:
    across = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert min_norm_weights(across @ across.T) == pytest.approx([0.5, 0.5])
    along = np.array([[1.0, 0.0], [3.0, 0.1]])
    assert min_norm_weights(along @ along.T) == pytest.approx([1.0, 0.0])
    opposed = np.array([[1.0], [-3.0]])
    assert min_norm_weights(opposed @ opposed.T) @ opposed == pytest.approx(0)


def test_equal_gradients_share_as_they_like() -> None:
    assert min_norm_weights(np.ones((3, 3))).sum() == pytest.approx(1)


def test_where_gradients_nearly_cancel_the_step_is_still_worse_for_none_of_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        vectors = rng.normal(size=(4, 4))
        vectors[:, 0] = 0.05  # the one direction that is good for all of them
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        united = min_norm_weights(vectors @ vectors.T) @ vectors
        assert (vectors @ united).min() > 0
