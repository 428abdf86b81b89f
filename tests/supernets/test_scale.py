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


def improved(whole: np.ndarray, *, spreads: float) -> np.ndarray:
    """Accuracies that are better by so many spreads within parts."""
    within = whole - whole.mean(axis=1, keepdims=True)
    return np.asarray(whole + spreads * np.sqrt((within**2).mean()))


@given(whole=judgements, confidences=judgements, moved=arrays(np.float64, 3, elements=st.floats(-5, 5)))
def test_how_confident_a_part_is_altogether_does_not_count(
    whole: np.ndarray, confidences: np.ndarray, moved: np.ndarray
) -> None:
    assume((confidences.std(axis=1) > 1e-3).any() and (whole.std(axis=1) > 1e-3).any())
    before = Scale.of(whole, whole, confidences)
    after = Scale.of(whole, whole, confidences + moved[:, None])
    assert after.slope == pytest.approx(before.slope, rel=1e-6, abs=1e-6)
    for part in range(3):
        assert after.accuracy(part, 0.5, confidences[part, 0] + moved[part]) == pytest.approx(
            before.accuracy(part, 0.5, confidences[part, 0]), abs=1e-6
        )


@given(accuracies=judgements, slope=st.floats(0.3, 3), moved=arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_confidences_that_are_accuracies_but_for_their_scales_are_put_where_the_supernet_for_all_puts_them(
    accuracies: np.ndarray, slope: float, moved: np.ndarray
) -> None:
    assume((accuracies.std(axis=1) > 1e-3).any())
    confidences = (accuracies - moved[:, None]) / slope
    scale = Scale.of(accuracies, accuracies, confidences)
    assert scale.trust == 1
    for part in range(3):
        for i in range(5):
            found = scale.accuracy(part, 0.0, confidences[part, i])
            assert found == pytest.approx(accuracies[part, i], abs=1e-6)


@given(whole=judgements, spreads=st.floats(-1, 1), accuracy=shares, confidence=shares)
def test_the_more_parts_have_overtaken_the_supernet_for_all_the_less_it_has_a_say(
    whole: np.ndarray, spreads: float, accuracy: float, confidence: float
) -> None:
    assume(np.ptp(whole, axis=1).max() > 1e-3)
    scale = Scale.of(whole, improved(whole, spreads=spreads), whole)
    assert scale.trust == pytest.approx(1 - min(max(2 * spreads, 0), 1), abs=1e-6)
    if spreads > 0.51:
        assert scale.accuracy(1, accuracy, confidence) == accuracy


@given(
    whole=judgements,
    accuracies=judgements,
    confidences=judgements,
    asked=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6),
)
def test_what_a_part_judges_better_in_both_ways_is_better_and_accuracies_are_shares(
    whole: np.ndarray, accuracies: np.ndarray, confidences: np.ndarray, asked: list[tuple[float, float]]
) -> None:
    scale = Scale.of(whole, accuracies, confidences)
    assert scale.slope >= 0
    rising = [sorted(found) for found in zip(*asked, strict=True)]
    for part in range(3):
        said = [scale.accuracy(part, *found) for found in zip(*rising, strict=True)]
        assert said == sorted(said)
        assert all(0 <= one <= 1 for one in said)


def test_accuracies_that_fall_where_confidences_rise_do_not_turn_the_order() -> None:
    rising = np.tile(np.linspace(0.3, 0.5, 5), (2, 1))
    scale = Scale.of(rising, rising[:, ::-1], rising)
    assert scale.slope == pytest.approx(0.1)
    assert scale.accuracy(0, 0.4, 0.5) > scale.accuracy(0, 0.4, 0.3)


def test_networks_that_are_all_judged_alike_leave_confidences_as_they_differ() -> None:
    alike = np.full((2, 3), 0.4)
    for confidences in (np.full((2, 3), 0.1 + 0.2), np.tile([0.1, 0.3, 0.5], (2, 1))):
        assert Scale.of(alike, alike, confidences).accuracy(1, 0.4, 0.35) == pytest.approx(0.45)
    assert Scale.of(alike, alike + 0.01, alike).trust == 0


def test_it_is_the_same_after_a_file() -> None:
    rng = np.random.default_rng(0)
    scale = Scale.of(*rng.uniform(size=(3, 4, 8)))
    assert Scale.from_json(scale.to_json()) == scale
