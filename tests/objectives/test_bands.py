"""Limits with a lower side: bands, as the tiers of a latency are."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.commands.previews import limits_of
from hwnas.core import Architecture, InfeasibleError, UsageError
from hwnas.objectives import (
    COSTS,
    Bound,
    KnownCosts,
    Limits,
    band_about,
    bounds_of,
    is_latency,
    looking,
    objectives,
    parse_quantity,
    require_devices,
)

Values = dict[str, NDArray[np.float64]]
NAMES = [cost.name for cost in COSTS.values()]


@given(low=st.floats(0, 1), high=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_within_a_band_is_what_is_neither_below_nor_above_it(
    costs: KnownCosts, everything: list[Architecture], all_values: Values, low: float, high: float
) -> None:
    latency_ms = all_values["latency_ms"]
    least, most = (float(np.quantile(latency_ms, q)) for q in sorted((low, high)))
    limits = Limits({"min_latency_ms": least, "latency_ms": most}, costs)
    inside = (least <= latency_ms) & (latency_ms <= most)
    some = np.random.default_rng(0).permutation(len(everything))[:200]
    assert limits.feasible([everything[i] for i in some]).tolist() == inside[some].tolist()
    assert ((limits.excess([everything[i] for i in some]) == 0) == inside[some]).all()
    (reach,) = limits.preview(costs.family.space).reaches
    assert (reach.floor, reach.limit, reach.share.value) == (least, most, inside.mean())
    assert reach.within == latency_ms[latency_ms >= least].min()
    assert reach.most_within == latency_ms[latency_ms <= most].max()


@pytest.mark.parametrize("large", [False, True])
def test_a_narrow_band_with_networks_is_found_and_one_beyond_the_space_is_refused_with_the_nearest(
    costs: KnownCosts, all_values: Values, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(looking, "MOST_COUNTED", 10)
    latency_ms, space = all_values["latency_ms"], costs.family.space
    least, most = np.quantile(latency_ms, [0.5, 0.51]).tolist()
    limits = Limits({"min_latency_ms": least, "latency_ms": most}, costs)
    assert limits.feasible([limits.require_feasible(space)]).all()
    beyond = {"min_latency_ms": 2 * float(latency_ms.max())}
    with pytest.raises(InfeasibleError, match=r"--min-latency \S+ms: the largest reachable value is") as caught:
        Limits(beyond, costs).require_feasible(space)
    assert caught.value.nearest == {"min_latency_ms": latency_ms.max()}
    printed = re.search(r"reachable value is (\S+)\.$", str(caught.value))
    assert printed is not None
    assert 0.998 * latency_ms.max() <= parse_quantity(printed[1], unit="ms") <= latency_ms.max()
    Limits({"min_latency_ms": parse_quantity(printed[1], unit="ms")}, costs).require_feasible(space)


@pytest.mark.parametrize("side", ["below", "above", "between"])
def test_of_a_band_that_no_network_is_in_it_is_said_how_far_either_side_has_to_give_way(
    costs: KnownCosts, all_values: Values, side: str
) -> None:
    ordered = np.unique(all_values["latency_ms"])
    place = int(np.argmax(np.diff(ordered)))
    bands = {
        "below": (0.1 * ordered[0], 0.5 * ordered[0]),
        "above": (2 * ordered[-1], 3 * ordered[-1]),
        "between": tuple(ordered[place] + np.array([0.4, 0.6]) * (ordered[place + 1] - ordered[place])),
    }
    least, most = map(float, bands[side])
    asked = {"min_latency_ms": least, "latency_ms": most}
    with pytest.raises(InfeasibleError, match="satisfies all of them together") as caught:
        Limits(asked, costs).require_feasible(costs.family.space)
    up, down = ordered[ordered >= least], ordered[ordered <= most]
    expected = {"latency_ms": up.min()} if len(up) else {}
    expected |= {"min_latency_ms": down.max()} if len(down) else {}
    assert caught.value.alone == expected
    for name, value in expected.items():
        Limits({**asked, name: value}, costs).require_feasible(costs.family.space)
        assert f"--{'max' if name == 'latency_ms' else 'min'}-latency " in str(caught.value).partition("it takes")[2]
    Limits(caught.value.together, costs).require_feasible(costs.family.space)


@pytest.mark.parametrize("name", NAMES)
def test_a_band_whose_minimum_exceeds_its_maximum_is_refused_before_anything_is_looked_at(name: str) -> None:
    with pytest.raises(UsageError, match=r"nothing can keep --min-\w+ 2\w* and --max-\w+ 1\w*: .*Exchange the two"):
        bounds_of({f"min_{name}": 2.0, name: 1.0})
    assert [bound.sign for bound in bounds_of({name: 1.0, f"min_{name}": 1.0})] == [-1, 1]


def test_an_unknown_limit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown limit 'latency': .*latency_ms.*min_latency_ms"):
        bounds_of({"latency": 5.0})


def test_bounds_are_called_as_the_command_line_calls_them() -> None:
    bound = Bound(cost="latency_ms", value=2.5, sign=-1)
    assert (bound.name, bound.option, str(bound)) == ("min_latency_ms", "--min-latency", "--min-latency 2.5ms")
    assert str(Bound(cost="params_m", value=0.3)) == "--max-params 0.3M"


@pytest.mark.parametrize("name", NAMES)
def test_a_cost_that_is_to_be_hit_may_be_two_per_cent_off(name: str) -> None:
    band = band_about(name, 50.0)
    assert band == {f"min_{name}": pytest.approx(49.0), name: pytest.approx(51.0)}
    assert [bound.sign for bound in bounds_of(band)] == [-1, 1]


def test_bounds_on_other_devices_come_behind_and_are_written_with_their_device() -> None:
    limits = {"latency_ms@jetson": 8.0, "params_m": 1.0, "min_latency_ms@jetson": 2.0, "latency_ms": 5.0}
    found = bounds_of(limits)
    assert [bound.name for bound in found] == ["latency_ms", "params_m", "min_latency_ms@jetson", "latency_ms@jetson"]
    assert [bound.device for bound in found] == [None, None, "jetson", "jetson"]
    assert " ".join(map(str, found)) == (
        "--max-latency 5ms --max-params 1M --min-latency jetson=2ms --max-latency jetson=8ms"
    )
    with pytest.raises(UsageError, match="nothing can keep --min-latency jetson=9ms and --max-latency jetson=8ms"):
        bounds_of({"latency_ms@jetson": 8.0, "min_latency_ms@jetson": 9.0})
    for name in ("params_m@jetson", "latency_ms@", "latency@jetson"):
        with pytest.raises(UsageError, match="unknown limit"):
            bounds_of({name: 1.0})


def test_targets_on_other_devices_are_latencies_alone() -> None:
    goals = objectives(["latency", "latency@jetson", "params", "latency@jetson"])
    assert [goal.name for goal in goals] == ["accuracy", "latency_ms", "latency_ms@jetson", "params_m"]
    assert [is_latency(goal.name) for goal in goals] == [False, True, True, False]
    for name in ("params@jetson", "latency@", "@jetson"):
        with pytest.raises(UsageError, match="unknown target"):
            objectives([name])
    require_devices(["params_m", "latency_ms@jetson"], ["jetson"])
    with pytest.raises(UsageError, match=r"--devices phone=TABLE\.jsonl; named are jetson"):
        require_devices(["latency_ms@phone"], ["jetson"])


def test_typed_limits_may_name_a_device() -> None:
    typed = {"latency": ["5ms", "jetson=8ms"], "params": "1M"}
    limits = limits_of(typed, at_least={"latency": ["jetson=300us"]}, about={"latency": None})
    assert limits == {"latency_ms": 5.0, "latency_ms@jetson": 8.0, "params_m": 1.0, "min_latency_ms@jetson": 0.3}
    for twice in (["5ms", "6ms"], ["jetson=5ms", "jetson=6ms"]):
        with pytest.raises(UsageError, match="--max-latency is given twice"):
            limits_of({"latency": twice}, at_least={}, about={})
    with pytest.raises(UsageError):
        limits_of({"latency": ["jetson="]}, at_least={}, about={})
