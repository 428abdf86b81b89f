"""The rule of successive halving: what it may never do, and what it is for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import UsageError
from hwnas.pareto import non_dominated
from hwnas.study.halving import (
    OVERTURNED,
    Halving,
    RungResult,
    Verdict,
    expected_finals,
    lasting_lead,
    require_halving,
)

shares = st.integers(0, 20).map(lambda twentieths: twentieths / 20)  # ties are common
etas = st.sampled_from([2.0, 3.0, 4.0, 10.0])


@st.composite
def rungs(draw: st.DrawFn, fewest: int = 0) -> list[RungResult]:
    """Results at one rung, with one or two costs; most of the trainings went to their end."""
    costs = draw(st.integers(1, 2))
    cost = st.tuples(*[st.integers(0, 4).map(float)] * costs)
    one = st.builds(RungResult, accuracy=shares, costs=cost, final=st.one_of(shares, shares, st.none()))
    return draw(st.lists(one, min_size=fewest, max_size=14))


@st.composite
def lasting(draw: st.DrawFn) -> list[RungResult]:
    """Results whose order at the end is that at the rung, so that every lead lasts."""
    found = draw(rungs(fewest=7))
    return [replace(one, accuracy=i / 20, final=0.5 + i / 40) for i, one in enumerate(found)]


def costs_of(results: list[RungResult]) -> np.ndarray:
    return np.array([(-one.accuracy, *one.costs) for one in results])


@given(st.one_of(rungs(fewest=1), lasting()), etas)
def test_what_is_not_dominated_at_its_rung_is_never_stopped(results: list[RungResult], eta: float) -> None:
    for i, best in enumerate(non_dominated(costs_of(results))):
        if best:
            assert not Halving(eta=eta).verdict(results[i], results[:i] + results[i + 1 :]).stop


@given(st.one_of(rungs(fewest=2), lasting()), etas, st.randoms(use_true_random=False))
def test_the_order_of_the_others_does_not_matter(results: list[RungResult], eta: float, rng: object) -> None:
    candidate, *others = results
    shuffled = others.copy()
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Halving(eta=eta).verdict(candidate, others) == Halving(eta=eta).verdict(candidate, shuffled)


@given(lasting(), shares, shares, etas)
def test_a_better_accuracy_is_never_stopped_where_a_worse_one_goes_on(
    results: list[RungResult], one: float, other: float, eta: float
) -> None:
    candidate, *others = results
    worse, better = (replace(candidate, accuracy=accuracy) for accuracy in sorted((one, other)))
    rule = Halving(eta=eta)
    assert rule.verdict(worse, others).stop or not rule.verdict(better, others).stop


@given(lasting(), etas, etas)
def test_a_larger_eta_stops_more(results: list[RungResult], one: float, other: float) -> None:
    candidate, *others = results
    few, many = (Halving(eta=eta).verdict(candidate, others).stop for eta in sorted((one, other)))
    assert many or not few


@given(rungs(fewest=1))
def test_switched_off_it_has_no_rungs_and_stops_nothing(results: list[RungResult]) -> None:
    off = Halving(eta=math.inf)
    assert off.rungs(1000) == ()
    assert not off.verdict(results[0], results[1:]).stop


@given(lasting())
def test_nobody_is_stopped_before_five_trainings_came_to_their_end(results: list[RungResult]) -> None:
    candidate, *others = [one if i < 5 else replace(one, final=None) for i, one in enumerate(results)]
    assert lasting_lead(others) == math.inf
    assert not Halving(eta=2).verdict(candidate, others).stop


def test_five_trainings_whose_order_lasts_are_enough_and_the_better_ones_go_on() -> None:
    done = [RungResult(accuracy=a, costs=(1.0,), final=a + 0.3) for a in (0.1, 0.2, 0.3, 0.4, 0.5)]
    rule = Halving(eta=3)
    behind = rule.verdict(RungResult(accuracy=0.15, costs=(1.0,)), done)
    assert behind == Verdict(stop=True, results=6, ahead=4, behind=pytest.approx(0.35), margin=0.0)
    assert behind.told() == (
        "0.3500 behind a network that costs no more, where a lead of 0.0000 lasts; 4 of 6 results are on better levels"
    )
    assert not rule.verdict(RungResult(accuracy=0.15, costs=(0.5,)), done).stop  # nobody is as cheap
    assert not rule.verdict(RungResult(accuracy=0.45, costs=(1.0,)), done).stop  # among the best third


def test_what_is_behind_by_less_than_trainings_catch_up_with_goes_on() -> None:
    rng = np.random.default_rng(0)
    at = np.linspace(0.2, 0.9, 15)
    end = 0.8 + 0.1 * at + 0.02 * rng.standard_normal(15)  # leads of about a fifth are overturned
    done = [RungResult(accuracy=float(a), costs=(1.0,), final=float(b)) for a, b in zip(at, end, strict=True)]
    margin = lasting_lead(done)
    assert 0.1 < margin <= 0.5
    rule = Halving(eta=10)
    assert rule.verdict(RungResult(accuracy=0.9 - margin - 0.01, costs=(2.0,)), done).stop
    assert not rule.verdict(RungResult(accuracy=0.9 - margin + 0.01, costs=(2.0,)), done).stop


def test_where_the_order_at_a_rung_says_nothing_no_lead_lasts() -> None:
    rng = np.random.default_rng(1)
    done = [RungResult(accuracy=a, costs=(1.0,), final=b) for a, b in rng.random((30, 2)).tolist()]
    assert lasting_lead(done) > 0.6


@given(rungs(fewest=1), shares, shares)
def test_an_expected_accuracy_is_one_and_a_better_rung_promises_no_less(
    results: list[RungResult], one: float, other: float
) -> None:
    pair = [replace(results[0], accuracy=accuracy) for accuracy in sorted((one, other))]
    worse, better = expected_finals(pair, results).tolist()
    assert 0 <= worse <= better <= 1


@given(rungs(fewest=2))
def test_nobody_is_expected_to_beat_what_a_network_that_costs_no_more_came_to(results: list[RungResult]) -> None:
    for candidate, expected in zip(results, expected_finals(results, results), strict=True):
        for other in results:
            if other.final is not None and np.less_equal(other.costs, candidate.costs).all():
                best = max(o.final or 0.0 for o in results if np.less_equal(o.costs, candidate.costs).all())
                assert expected <= best


def test_errors_are_expected_to_become_fewer_as_they_did_elsewhere() -> None:
    done = [RungResult(accuracy=0.6, costs=(2.0,), final=0.9), RungResult(accuracy=0.4, costs=(2.0,), final=0.85)]
    cheap, dear = RungResult(accuracy=0.2, costs=(1.0,)), RungResult(accuracy=0.9, costs=(2.0,))
    assert expected_finals([cheap, dear], done).tolist() == pytest.approx([0.8, 0.9])
    assert expected_finals([cheap], []).tolist() == [0.2]
    assert expected_finals([], done).tolist() == []


@given(rungs())
def test_the_lead_that_lasts_is_the_smallest_of_which_that_can_be_said(results: list[RungResult]) -> None:
    done = [(one.accuracy, one.final) for one in results if one.final is not None]
    pairs = [(a - b, end < other) for a, end in done for b, other in done if a > b]

    def lasts(least: float) -> bool:
        beyond = [overturned for lead, overturned in pairs if lead > least]
        return (sum(beyond) + 1) / (len(beyond) + 2) <= OVERTURNED

    found = lasting_lead(results)
    candidates = sorted({0.0, *(lead for lead, _ in pairs)})
    assert found == next((least for least in candidates if lasts(least)), math.inf)


@given(st.integers(1, 500), etas)
def test_rungs_ascend_from_one_and_lie_below_the_end(epochs: int, eta: float) -> None:
    rungs = Halving(eta=eta).rungs(epochs)
    assert list(rungs) == sorted(set(rungs))
    assert all(1 <= one <= epochs / eta for one in rungs)
    assert bool(rungs) == (epochs >= eta)


@pytest.mark.parametrize(("epochs", "rungs"), [(6, (2,)), (12, (1, 4)), (81, (1, 3, 9, 27)), (200, (2, 7, 22, 66))])
def test_rungs_of_a_third(epochs: int, rungs: tuple[int, ...]) -> None:
    assert Halving(eta=3).rungs(epochs) == rungs


@pytest.mark.parametrize(
    ("eta", "evaluator", "epochs", "message"),
    [
        (1.5, "trained", 6, "expected a halving of 2 or more, such as 3, received 1.5"),
        (float("nan"), "trained", 6, "received nan"),
        (3, "supernet", 6, "which the evaluator supernet does not make: leave --halving out"),
        (3, "few-shot", 6, "the evaluator few-shot does not make"),
        (3, "mine.py:quality", 6, "the evaluator mine.py:quality does not make"),
        (3, "trained", 1, "after 0.33 of 1 epochs: expected a recipe of at least 3 epochs"),
        (math.inf, "trained", 6, "expected a recipe of at least inf epochs"),
    ],
)
def test_what_cannot_be_halved_is_refused(eta: float, evaluator: str, epochs: int, message: str) -> None:
    require_halving(None, evaluator=evaluator, epochs=epochs)
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        require_halving(eta, evaluator=evaluator, epochs=epochs)
