"""One scale for the judgements of several supernets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.supernets.scale import Scale

shares = st.floats(0.2, 0.8)
judgements = arrays(np.float64, (3, 5), elements=shares)


@given(confidences=judgements, accuracies=judgements, moved=arrays(np.float64, 3, elements=st.floats(-5, 5)))
def test_how_confident_a_part_is_altogether_does_not_count(
    confidences: np.ndarray, accuracies: np.ndarray, moved: np.ndarray
) -> None:
    assume((confidences.std(axis=1) > 1e-3).any() and (accuracies.std(axis=1) > 1e-3).any())
    before, after = Scale.of(accuracies, confidences), Scale.of(accuracies, confidences + moved[:, None])
    assert after.slope == pytest.approx(before.slope, rel=1e-6, abs=1e-6)
    for part in range(3):
        assert after.accuracy(part, confidences[part, 0] + moved[part]) == pytest.approx(
            before.accuracy(part, confidences[part, 0]), abs=1e-6
        )


@given(accuracies=judgements, slope=st.floats(0.3, 3), moved=arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_parts_that_agree_with_the_whole_but_for_their_scales_are_put_where_it_is(
    accuracies: np.ndarray, slope: float, moved: np.ndarray
) -> None:
    assume((accuracies.std(axis=1) > 1e-3).any())
    confidences = (accuracies - moved[:, None]) / slope
    scale = Scale.of(accuracies, confidences)
    for part in range(3):
        for i in range(5):
            assert scale.accuracy(part, confidences[part, i]) == pytest.approx(accuracies[part, i], abs=1e-6)


@given(confidences=judgements, accuracies=judgements, asked=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_the_order_within_a_part_is_its_own_and_accuracies_are_shares(
    confidences: np.ndarray, accuracies: np.ndarray, asked: list[float]
) -> None:
    scale = Scale.of(accuracies, confidences)
    assert scale.slope >= 0
    for part in range(3):
        said = [scale.accuracy(part, confidence) for confidence in sorted(asked)]
        assert said == sorted(said)
        assert all(0 <= one <= 1 for one in said)


def test_a_supernet_that_ranks_a_part_the_other_way_round_does_not_turn_its_order() -> None:
    rising = np.tile(np.linspace(0.3, 0.5, 5), (2, 1))
    scale = Scale.of(rising[:, ::-1], rising)
    assert scale.slope == pytest.approx(0.1)
    assert scale.accuracy(0, 0.5) > scale.accuracy(0, 0.3)


def test_networks_that_are_all_judged_alike_leave_confidences_as_they_differ() -> None:
    for confidences in (np.full((2, 3), 0.1 + 0.2), np.tile([0.1, 0.3, 0.5], (2, 1))):
        scale = Scale.of(np.full((2, 3), 0.4), confidences)
        assert scale.accuracy(1, 0.35) == pytest.approx(0.45)


def test_it_is_the_same_after_a_file() -> None:
    rng = np.random.default_rng(0)
    scale = Scale.of(rng.uniform(size=(4, 8)), rng.uniform(size=(4, 8)))
    assert Scale.from_json(scale.to_json()) == scale
