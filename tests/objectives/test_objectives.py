"""Quantities, objectives and limits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import Architecture, InfeasibleError, UsageError
from hwnas.networks import NetworkFamily, macs_m, params_m
from hwnas.objectives import ACCURACY, COSTS, KnownCosts, Limits, lowest, objectives, parse_quantity
from hwnas.objectives.descent import descents
from hwnas.objectives.feasibility import round_up
from hwnas.predictors import LatencyPredictor
from hwnas.spaces import Choice, SearchSpace
from latency_tables import LatencyTable, MissingRowError
from tests.builders import additive_device, made_up_table
from tests.objectives.conftest import known_costs

UNITS = {
    "ms": {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3},
    "M": {"": 1e-6, "k": 1e-3, "K": 1e-3, "M": 1.0, "G": 1e3, "B": 1e3},
    "MiB": {"KiB": 2**-10, "kB": 1000 / 2**20, "MiB": 1.0, "MB": 1e6 / 2**20, "GiB": 1024.0, "GB": 1e9 / 2**20},
    "mJ": {"uJ": 1e-3, "µJ": 1e-3, "mJ": 1.0, "J": 1e3},
}
NAMES = tuple(objective.name for objective in COSTS.values())


# --- quantities


@given(
    value=st.floats(1e-6, 1e6),
    unit=st.sampled_from([(unit, name) for unit, names in UNITS.items() for name in names]),
    space=st.sampled_from(["", " ", "  "]),
)
@settings(max_examples=150, deadline=None)
def test_quantities_are_read_in_every_unit(value: float, unit: tuple[str, str], space: str) -> None:
    wanted, name = unit
    expected = value * UNITS[wanted][name]
    for text in (f"{value!r}{space}{name}", f" {value:.17e}{space}{name} "):
        assert parse_quantity(text, unit=wanted) == pytest.approx(expected, rel=1e-12)


@given(value=st.floats(1e-9, 1e9), unit=st.sampled_from(sorted(UNITS)))
@settings(max_examples=100, deadline=None)
def test_a_quantity_in_its_own_unit_survives_exactly(value: float, unit: str) -> None:
    assert parse_quantity(f"{value!r}{unit}", unit=unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("5ms", "ms", 5.0),
        ("5 ms", "ms", 5.0),
        ("\t0.2s\n", "ms", 200.0),
        ("300us", "ms", 0.3),
        ("300µs", "ms", 0.3),
        (".5ms", "ms", 0.5),
        ("1e-1s", "ms", 100.0),
        ("007ms", "ms", 7.0),
        ("1.5M", "M", 1.5),
        ("300k", "M", 0.3),
        ("300000", "M", 0.3),
        ("3e5", "M", 0.3),
        ("2G", "M", 2000.0),
        ("2B", "M", 2000.0),
    ],
)
def test_quantities_as_people_write_them(text: str, unit: str, expected: float) -> None:
    assert parse_quantity(text, unit=unit) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", ["ms", "M"])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "ms", "M", "k", "-5ms", "-5M", "- 5ms", "five ms", "5m", "5 minutes", "5MS", "5mss", "5 m s"),
        *("5ms 6ms", "5,5ms", "5..5ms", "0x10ms", "nan", "nanms", "nanM", "inf", "infms", "-inf", "1_000k", "٥ms"),
        *("5%", "5ms\x00"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_text_and_the_units(text: str, unit: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_quantity(text, unit=unit)
    assert repr(text) in str(caught.value)
    for name in UNITS[unit]:
        assert name in str(caught.value)


def test_a_time_without_a_unit_or_with_that_of_a_count_is_refused() -> None:
    for text, unit in (("5", "ms"), ("5M", "ms"), ("5k", "ms"), ("5ms", "M"), ("5s", "M")):
        with pytest.raises(UsageError, match=f"cannot read '{text}': expected a number with one of the units"):
            parse_quantity(text, unit=unit)


@pytest.mark.parametrize("text", ["0ms", "0.0 s", "0e5us", "1e999ms", "1e-999ms"])
def test_nothing_and_too_much_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected a number above 0 .*for example 5ms"):
        parse_quantity(text, unit="ms")


@given(
    text=st.text(max_size=8) | st.text("0123456789.eE+-kKMGBnumsµ ", max_size=8), unit=st.sampled_from(sorted(UNITS))
)
@example(text="1" * 400 + "s", unit="ms")
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_is_refused_or_above_zero(text: str, unit: str) -> None:
    try:
        value = parse_quantity(text, unit=unit)
    except UsageError:
        return
    assert 0 < value < math.inf


# --- objectives


def test_accuracy_comes_first_and_each_target_once() -> None:
    assert objectives([]) == (ACCURACY,)
    assert objectives(["latency", "params", "latency"]) == (ACCURACY, COSTS["latency"], COSTS["params"])
    assert [found.name for found in objectives(["params", "flops"])] == ["accuracy", "params_m", "flops_m"]


def test_an_unknown_target_is_refused_with_the_known_ones_and_the_likeliest() -> None:
    every = "energy, flops, latency, latency@DEVICE, macs, memory, params"
    with pytest.raises(UsageError, match=rf"target 'latncy': expected one of {every}. Did you mean 'latency'\?"):
        objectives(["flops", "latncy"])
    with pytest.raises(UsageError, match=rf"unknown target 'speed': expected one of {every}\.$"):
        objectives(["speed"])


@given(value=st.floats(-1e6, 1e6))
@settings(max_examples=20, deadline=None)
def test_a_cost_is_smaller_where_the_value_is_better_and_can_be_undone(value: float) -> None:
    for objective in objectives(list(COSTS)):
        assert objective.from_cost(objective.to_cost(value)) == value
        better = value + 1 if objective.direction == "maximize" else value - 1
        assert objective.to_cost(better) < objective.to_cost(value)
        assert objective.expensive == (objective is ACCURACY)


# --- known costs


def test_costs_are_those_of_the_network(
    tiny_family: NetworkFamily, costs: KnownCosts, everything: list[Architecture]
) -> None:
    some = everything[::1000]
    values = costs.values(some)
    parts = {"weights_mib", "activations_mib"}
    assert set(values) == {*NAMES, *parts}
    for i, architecture in enumerate(some):
        blocks = tiny_family.blocks(architecture)
        assert values["flops_m"][i] == 2 * macs_m(blocks)
        assert values["macs_m"][i] == macs_m(blocks)
        assert values["params_m"][i] == params_m(blocks)
        assert values["memory_mib"][i] == values["weights_mib"][i] + values["activations_mib"][i]
        assert values["energy_mj"][i] == pytest.approx(2.0 + 30 * values["latency_ms"][i], rel=1e-6)
        assert values["latency_ms"][i] == pytest.approx(costs.latency.predict([architecture])[0][0], rel=1e-12)
    assert {name: found.shape for name, found in costs.values([]).items()} == dict.fromkeys([*NAMES, *parts], (0,))


def test_a_table_without_energy_knows_none_and_says_how_to_get_it(tiny_family: NetworkFamily) -> None:
    predictor = LatencyPredictor.of(made_up_table(tiny_family), tiny_family)
    assert predictor.energy is None
    costs = KnownCosts(tiny_family, predictor, energy=predictor.energy)
    costs.require_known(["latency_ms", "memory_mib"])
    with pytest.raises(UsageError, match=r"holds the energy of too few networks .* `hwnas profile --energy`"):
        costs.require_known(["latency_ms", "energy_mj"])
    assert "energy_mj" not in costs.values([])


def test_an_architecture_of_another_space_has_no_cost(costs: KnownCosts) -> None:
    with pytest.raises(UsageError, match="space mobilenet:tiny has no choice 'depth'"):
        costs.values([Architecture({"depth": 3})])


def test_a_table_that_lacks_a_block_has_no_cost(tiny_family: NetworkFamily, everything: list[Architecture]) -> None:
    table = made_up_table(tiny_family)
    absent = tiny_family.block_keys(everything[0])[1]
    lacking = LatencyTable.from_rows(table.manifest, [row for row in table.rows() if row.key != absent])
    costs = KnownCosts(tiny_family, LatencyPredictor(lacking, tiny_family.block_keys))
    with pytest.raises(MissingRowError) as caught:
        costs.values(everything[:1])
    assert caught.value.missing == (absent,)


# --- limits


@given(latency=st.floats(0, 1), flops=st.floats(0, 1), params=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_feasible_is_what_exceeds_no_limit(
    costs: KnownCosts, everything: list[Architecture], latency: float, flops: float, params: float, seed: int
) -> None:
    picked = np.random.default_rng(seed).choice(len(everything), 40)
    some = [everything[i] for i in picked]
    values = costs.values(some)
    shares = {"latency_ms": latency, "flops_m": flops, "params_m": params}
    upper = {name: float(np.quantile(values[name], q)) for name, q in shares.items()}
    limits = Limits(upper, costs)
    kept = limits.feasible(some)
    assert kept.tolist() == [all(values[name][i] <= upper[name] for name in upper) for i in range(len(some))]
    assert ((limits.excess(some) == 0) == kept).all()


def test_without_limits_everything_is_feasible(costs: KnownCosts, everything: list[Architecture]) -> None:
    limits = Limits({}, costs)
    assert limits.feasible(everything[:5]).all()
    assert limits.feasible([]).shape == (0,)
    assert limits.require_feasible(costs.family.space) in costs.family.space.enumerate()


@pytest.mark.parametrize("name", NAMES)
def test_limits_that_can_be_met_are_met(
    costs: KnownCosts, all_values: dict[str, NDArray[np.float64]], name: str
) -> None:
    for quantile in (0.001, 0.1, 0.5, 1.0):
        limits = Limits({name: float(np.quantile(all_values[name], quantile))}, costs)
        found = limits.require_feasible(costs.family.space)
        assert limits.feasible([found]).all()


@pytest.mark.parametrize("seed", range(5))
def test_limits_that_only_a_few_meet_together_are_met(
    costs: KnownCosts, all_values: dict[str, NDArray[np.float64]], seed: int
) -> None:
    values = np.column_stack([all_values[name] for name in NAMES])
    at = values[np.random.default_rng(seed).integers(len(values))]
    below = np.flatnonzero((values <= at).all(axis=1))
    tight = values[below[np.argmin((values[below] / at).sum(axis=1))]]
    together = Limits(dict(zip(NAMES, tight.tolist(), strict=True)), costs)
    assert together.feasible([together.require_feasible(costs.family.space)]).all()


@given(value=st.floats(1e-9, 1e15))
@example(value=1e-6)
@example(value=9.9999)
@example(value=1234.0)
@example(value=99_999.4)
@settings(max_examples=200, deadline=None)
def test_a_value_named_in_a_message_is_never_below_the_true_one(value: float) -> None:
    printed = float(f"{round_up(value):g}")
    assert value <= printed <= 1.0011 * value


@pytest.mark.parametrize(("name", "target", "unit"), [(c.name, t, c.unit) for t, c in COSTS.items()])
@pytest.mark.parametrize("seed", range(3))
def test_the_value_named_for_an_impossible_limit_is_a_possible_one(
    tiny_family: NetworkFamily, name: str, target: str, unit: str, seed: int
) -> None:
    space, costs = tiny_family.space, known_costs(tiny_family, seed)
    with pytest.raises(InfeasibleError) as caught:
        Limits({name: 1e-6}, costs).require_feasible(space)
    message = str(caught.value)
    assert f"no architecture of space mobilenet:tiny satisfies the limits. --max-{target} 1e-06{unit}" in message
    printed = re.search(r"smallest reachable value is (\S+)\.$", message)
    assert printed is not None
    value = parse_quantity(printed[1], unit=unit)
    assert set(caught.value.nearest) == {name}
    nearest = caught.value.nearest[name]
    assert nearest <= value <= 1.0011 * nearest  # four digits, rounded up
    for bound in (value, nearest):
        found = Limits({name: bound}, costs).require_feasible(space)
        assert costs.values([found])[name][0] <= bound
    with pytest.raises(InfeasibleError):
        Limits({name: math.nextafter(nearest, 0)}, costs).require_feasible(space)


def test_limits_that_exclude_each_other_are_said_to_do_so(
    costs: KnownCosts, all_values: dict[str, NDArray[np.float64]], tiny_family: NetworkFamily
) -> None:
    fastest = int(np.argmin(all_values["latency_ms"]))
    upper = {"latency_ms": 1e-6, "params_m": float(all_values["params_m"][fastest])}
    with pytest.raises(InfeasibleError, match="satisfies all of them together") as caught:
        Limits(upper, costs).require_feasible(tiny_family.space)
    assert set(caught.value.nearest) == set(upper)
    beyond, cure = str(caught.value).split(" No architecture was found")
    assert "--max-latency 1e-06ms: the smallest reachable value is" in beyond
    assert "--max-params" not in beyond  # which some networks keep
    assert "--max-latency" in cure


# --- the lowest


@pytest.mark.parametrize("name", ["flops_m", "params_m"])
def test_the_lowest_is_that_of_all(costs: KnownCosts, all_values: dict[str, NDArray[np.float64]], name: str) -> None:
    found = lowest(costs.family.space, lambda batch: costs.values(batch)[name])
    assert costs.values([found])[name][0] == all_values[name].min()


@pytest.fixture(scope="module")
def block_keys(tiny_family: NetworkFamily, everything: list[Architecture]) -> dict[Architecture, list[str]]:
    return {architecture: list(tiny_family.block_keys(architecture)) for architecture in everything}


LAWS = [(0.02, 0.9, -0.0004), (0.0, 1.0, 0.0), (0.5, 1.1, 0.003), (0.05, 0.8, -0.0015)]


@pytest.mark.parametrize("seed", range(10))
def test_the_lowest_latency_is_that_of_all(
    tiny_family: NetworkFamily,
    everything: list[Architecture],
    block_keys: dict[Architecture, list[str]],
    seed: int,
) -> None:
    table = made_up_table(tiny_family, device=additive_device(*LAWS[seed % len(LAWS)]), seed=seed)
    predictor = LatencyPredictor(table, block_keys.__getitem__)
    found = lowest(tiny_family.space, lambda batch: predictor.predict(batch)[0])
    assert predictor.predict([found])[0][0] == predictor.predict(everything)[0].min()


@given(widths=st.lists(st.integers(1, 6), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_lowest_sum_over_independent_choices_is_found_exactly(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = SearchSpace("flat", tuple(Choice(name=f"c{i}", options=tuple(range(n))) for i, n in enumerate(widths)))
    price = {(c.name, option): float(rng.normal()) for c in space.choices for option in c.options}

    def total(batch: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([sum(price[item] for item in architecture.items()) for architecture in batch])

    expected = {c.name: min(c.options, key=lambda option, c=c: price[c.name, option]) for c in space.choices}
    assert dict(lowest(space, total)) == expected


def test_the_lowest_is_the_same_every_time(costs: KnownCosts) -> None:
    def latency(batch: Sequence[Architecture]) -> NDArray[np.float64]:
        return costs.latency.predict(batch)[0]

    assert lowest(costs.family.space, latency) == lowest(costs.family.space, latency)


@given(widths=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_descents_that_step_together_end_where_each_ends_alone(widths: list[int], seed: int) -> None:
    """On a cost that is noise, full of valleys."""
    rng = np.random.default_rng(seed)
    space = SearchSpace("flat", tuple(Choice(name=f"c{i}", options=tuple(range(n))) for i, n in enumerate(widths)))
    prices = dict(zip(space.listed, rng.integers(0, 50, len(space.listed)).tolist(), strict=True))

    def price(batch: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([prices[architecture] for architecture in batch], dtype=np.float64)

    starts = [space.sample(rng) for _ in range(8)]
    together = descents(space, price, [*starts, starts[0]])
    assert together == [descents(space, price, [start])[0] for start in [*starts, starts[0]]]
    assert all(price([end])[0] <= price([around]).min() for end in together for around in space.neighbors(end))


def test_what_nothing_is_below_ends_the_search_for_the_lowest(costs: KnownCosts) -> None:
    asked: list[int] = []

    def flat(batch: Sequence[Architecture]) -> NDArray[np.float64]:
        asked.append(len(batch))
        return np.zeros(len(batch))

    assert lowest(costs.family.space, flat, least=0.0) == lowest(costs.family.space, flat)
    assert len(asked) > 2
    assert asked[0] == asked[1]  # the second search asks for the same sample, and then goes on
