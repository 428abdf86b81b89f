"""What limits leave of a space: counted where it can be, estimated where not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import Architecture, InfeasibleError, Predictor
from hwnas.objectives import COSTS, KnownCosts, Limits, looking
from hwnas.objectives.bounds import bounds_of, satisfied

Values = dict[str, NDArray[np.float64]]
LIMITED = ("latency_ms", "flops_m", "params_m")
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space that is not listed, though it could be."""
    monkeypatch.setattr(looking, "MOST_COUNTED", 10)


def limits_at(costs: KnownCosts, all_values: Values, shares: tuple[float, ...]) -> Limits:
    upper = {name: float(np.quantile(all_values[name], q)) for name, q in zip(LIMITED, shares, strict=True)}
    return Limits(upper, costs)


@dataclass(frozen=True)
class Lazy:
    """An energy that is low where the latency is high."""

    latency: Predictor

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        latency_ms, spread_ms = self.latency.predict(architectures)
        return 1 / latency_ms, spread_ms


@given(shares=SHARES)
@settings(max_examples=8, deadline=None)
def test_of_a_space_that_is_listed_everything_is_exact(
    costs: KnownCosts, all_values: Values, shares: tuple[float, float, float]
) -> None:
    limits = limits_at(costs, all_values, shares)
    found = limits.preview(costs.family.space)
    assert found.exact
    assert found.share.value == satisfied(all_values, limits.bounds).mean()
    assert found.share.error == 0
    assert (found.example is not None) == satisfied(all_values, limits.bounds).any()
    for reach in found.reaches:
        values, bound = all_values[reach.cost], limits.given[reach.cost]
        others = [bound for bound in limits.bounds if bound.cost != reach.cost]
        left = values[satisfied(all_values, others)]
        assert (reach.least, reach.most, reach.limit) == (values.min(), values.max(), bound)
        assert reach.share.value == (values <= bound).mean()
        assert reach.within == (left.min() if len(left) else None)


@given(shares=SHARES)
@settings(max_examples=8, deadline=None)
def test_the_nearest_limits_can_be_met_and_are_those_asked_for_where_these_can(
    costs: KnownCosts, all_values: Values, shares: tuple[float, float, float]
) -> None:
    limits = limits_at(costs, all_values, shares)
    found = limits.preview(costs.family.space)
    assert satisfied(all_values, bounds_of(found.nearest)).any()
    assert all(found.nearest[name] >= bound for name, bound in limits.given.items())
    if found.example is not None:
        assert found.nearest == limits.given


def test_a_sample_tells_the_share_within_its_error_and_descent_the_ends(
    costs: KnownCosts, all_values: Values, as_if_large: None
) -> None:
    limits = limits_at(costs, all_values, (0.4, 0.3, 0.5))
    found = limits.preview(costs.family.space, also=["memory_mib"])
    assert not found.exact
    assert found.looked_at == 20_000
    truth = {reach.cost: (all_values[reach.cost] <= (reach.limit or np.inf)).mean() for reach in found.reaches}
    for reach in found.reaches:
        assert reach.least == all_values[reach.cost].min()
        assert reach.most == all_values[reach.cost].max()
        assert reach.share.value == pytest.approx(truth[reach.cost], abs=5 * reach.share.error)
    assert found.share.value == pytest.approx(satisfied(all_values, limits.bounds).mean(), abs=5 * found.share.error)
    assert 0 < found.share.error < 0.004
    assert {reach.cost for reach in found.reaches} == {*LIMITED, "memory_mib"}


def test_a_share_that_no_sample_hits_keeps_an_error(costs: KnownCosts, all_values: Values, as_if_large: None) -> None:
    found = Limits({"latency_ms": 1e-9}, costs).preview(costs.family.space)
    assert found.share.value == 0
    assert 0 < found.share.error < 1e-3


@pytest.mark.parametrize("large", [False, True])
def test_of_limits_that_exclude_each_other_it_is_said_which_has_to_give_way_and_how_far(
    costs: KnownCosts, all_values: Values, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(looking, "MOST_COUNTED", 10)
    latency = all_values["latency_ms"]
    values = {"latency_ms": latency, "energy_mj": 1 / latency}
    upper = {"latency_ms": float(np.quantile(latency, 0.3)), "energy_mj": 1 / float(np.quantile(latency, 0.6))}
    torn = replace(costs, energy=Lazy(costs.latency))
    with pytest.raises(
        InfeasibleError, match=r"others as they are it takes --max-latency \S+ms or --max-ener"
    ) as caught:
        Limits(upper, torn).require_feasible(costs.family.space)
    assert caught.value.nearest == {name: found.min() for name, found in values.items()}
    for name, other in (("latency_ms", "energy_mj"), ("energy_mj", "latency_ms")):
        assert caught.value.alone[name] == values[name][values[other] <= upper[other]].min()
        Limits({**upper, name: caught.value.alone[name]}, torn).require_feasible(costs.family.space)
    Limits(caught.value.together, torn).require_feasible(costs.family.space)


def test_where_more_than_one_limit_has_to_give_way_the_nearest_that_can_be_met_are_named(
    costs: KnownCosts, all_values: Values
) -> None:
    upper = dict.fromkeys(("latency_ms", "params_m"), 1e-6)
    with pytest.raises(
        InfeasibleError, match="More than one has to give way; the nearest that can be met are --max-l"
    ) as caught:
        Limits(upper, costs).require_feasible(costs.family.space)
    assert caught.value.alone == {}
    assert satisfied(all_values, bounds_of(caught.value.together)).any()


def test_without_limits_the_reach_is_told_all_the_same(costs: KnownCosts, all_values: Values) -> None:
    found = Limits({}, costs).preview(costs.family.space, also=[cost.name for cost in COSTS.values()])
    assert [reach.target for reach in found.reaches] == list(COSTS)
    assert found.share.value == 1
    assert found.require() in costs.family.space.listed
    assert all(reach.limit is None and reach.within == reach.least for reach in found.reaches)
    assert json.loads(json.dumps(found.to_json()))["exact"] is True


def test_a_network_that_a_descent_missed_and_the_preview_found_is_proof_enough(
    costs: KnownCosts, all_values: Values, everything: list[Architecture], monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = everything[int(np.argmax(all_values["latency_ms"]))]
    monkeypatch.setattr("hwnas.objectives.limits.lowest", lambda *_, **__: worst)
    limits = Limits({"latency_ms": float(all_values["latency_ms"].min())}, costs)
    assert limits.feasible([limits.require_feasible(costs.family.space)]).all()


def test_values_just_above_a_limit_are_outside(costs: KnownCosts, everything: list[Architecture]) -> None:
    value = float(costs.values(everything[:1])["latency_ms"][0])
    below = Limits({"latency_ms": float(np.nextafter(value, 0))}, costs)
    assert not below.feasible(everything[:1])[0]
