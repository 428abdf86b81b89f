"""Weights of objectives: where they come from, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import UsageError
from hwnas.relaxed import drawn_preferences, rays, required_preference, widest_first


@given(n=st.integers(3, 40), objectives=st.integers(2, 4))
def test_rays_are_different_preferences_with_every_corner(n: int, objectives: int) -> None:
    if n < objectives:
        return
    found = rays(n, objectives=objectives)
    assert len(found) >= n
    assert len(np.unique(found.round(9), axis=0)) == len(found)
    required_preference(found, objectives=objectives)
    corners = {tuple(row) for row in found if row.max() == 1}
    assert len(corners) == objectives


def test_two_objectives_get_exactly_as_many_rays_as_are_asked_for_evenly() -> None:
    found = rays(24, objectives=2)
    assert len(found) == 24
    assert np.diff(found[:, 0]) == pytest.approx(np.full(23, 1 / 23))


@given(n=st.integers(3, 30), objectives=st.integers(2, 3))
def test_the_widest_apart_come_first_and_none_is_lost(n: int, objectives: int) -> None:
    found = rays(n, objectives=objectives)
    ordered = widest_first(found)
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, found))
    assert (ordered[:objectives].max(axis=1) == 1).all()
    gaps = [np.linalg.norm(ordered[:i] - row, axis=1).min() for i, row in enumerate(ordered) if i >= objectives]
    assert (np.diff(gaps) <= 1e-9).all()


def test_drawn_preferences_are_preferences_and_their_own() -> None:
    found = drawn_preferences(50, objectives=3, rng=np.random.default_rng(0))
    required_preference(found, objectives=3)
    assert len(np.unique(found, axis=0)) == 50


@pytest.mark.parametrize(
    ("preference", "told"),
    [
        ([0.5, 0.4], "a sum of 1, received"),
        ([1.5, -0.5], "at least 0"),
        ([0.2, 0.3, 0.5], "expected 2 shares .* received 3 of them"),
        ([np.nan, 1.0], "nan"),
        (1.0, "received 1 of them"),
    ],
)
def test_what_is_no_preference_is_refused(preference: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        required_preference(np.array(preference), objectives=2)


@pytest.mark.parametrize(("n", "objectives"), [(1, 2), (5, 1)])
def test_too_few_rays_are_refused(n: int, objectives: int) -> None:
    with pytest.raises(UsageError, match="two objectives or more"):
        rays(n, objectives=objectives)
