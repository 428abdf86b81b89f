"""Limits that are hit or kept, whatever the training comes to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import InfeasibleError, UsageError
from hwnas.relaxed import (
    ConstrainedSettings,
    CostTensor,
    constrained_chances,
    fit_constrained,
    likeliest_first,
    log_chances,
)
from hwnas.spaces import nasbench201_space
from tests.relaxed.made_up import ARCHITECTURES, SPACE, error, latencies

COSTS = latencies(1.0)
COST = CostTensor.of(SPACE, ARCHITECTURES, COSTS)
QUICK = ConstrainedSettings(steps=150, tolerance=0.1)


@pytest.mark.parametrize("equality", [True, False])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 150])
def test_the_limit_holds_after_any_training(equality: bool, quantile: float, steps: int) -> None:
    limit = float(np.quantile(COSTS, quantile, method="nearest"))
    rules = replace(QUICK, equality=equality, steps=steps)
    found = fit_constrained(error(), COST, limit=limit, seed=0, settings=rules)
    cost = COSTS[ARCHITECTURES.index(found.architecture)]
    assert abs(cost / limit - 1) <= 0.1 if equality else cost <= limit * (1 + 1e-6)


def test_more_to_spend_buys_less_error() -> None:
    errors = dict(zip(ARCHITECTURES, error().values.flatten().tolist(), strict=True))
    rules = replace(QUICK, equality=False)
    bought = [
        errors[fit_constrained(error(), COST, limit=float(np.quantile(COSTS, q)), seed=0, settings=rules).architecture]
        for q in (0.05, 0.95)
    ]
    assert bought[1] < bought[0]


@pytest.mark.parametrize("equality", [True, False])
def test_the_architecture_is_the_likeliest_of_the_policy_that_keeps_to_the_limit(equality: bool) -> None:
    rules = replace(QUICK, equality=equality)
    seen: list[tuple[int, int]] = []
    chances, multiplier = constrained_chances(
        error(), COST, limit=1.0, seed=0, settings=rules, on_progress=lambda done, total: seen.append((done, total))
    )
    logs = log_chances(SPACE, ARCHITECTURES, chances)
    keeps = np.abs(COSTS - 1) <= 0.1 if equality else COSTS <= 1
    found = fit_constrained(error(), COST, limit=1.0, seed=0, settings=rules)
    assert found.architecture == ARCHITECTURES[int(np.argmax(np.where(keeps, logs, -np.inf)))]
    assert found.multiplier == multiplier
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    assert seen == [(step, rules.steps) for step in range(1, rules.steps + 1)]


def test_one_seed_gives_one_result() -> None:
    one, other = (fit_constrained(error(), COST, limit=1.0, seed=3, settings=QUICK) for _ in range(2))
    assert one.architecture == other.architecture
    assert one.multiplier == other.multiplier


def test_a_multiplier_of_a_limit_that_must_not_be_exceeded_is_never_negative() -> None:
    rules = replace(QUICK, equality=False)
    assert fit_constrained(error(), COST, limit=10 * COSTS.max(), seed=0, settings=rules).multiplier == 0


@pytest.mark.parametrize(
    ("limit", "equality", "told"),
    [
        (0.001, False, r"no architecture of made-up costs at most 0\.001: they cost .* and the nearest"),
        (1000.0, True, r"no architecture of made-up costs within 10% of 1000"),
    ],
)
def test_a_limit_that_nothing_keeps_to_names_the_nearest(limit: float, equality: bool, told: str) -> None:
    with pytest.raises(InfeasibleError, match=told):
        fit_constrained(error(), COST, limit=limit, seed=0, settings=replace(QUICK, equality=equality))


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan, np.inf])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="expected a positive limit"):
        fit_constrained(error(), COST, limit=limit, seed=0)


def test_a_cost_of_another_space_is_refused() -> None:
    cells = nasbench201_space()
    other = CostTensor.of(cells, list(cells.enumerate()), np.arange(15625.0))
    with pytest.raises(UsageError, match="expected a cost of space made-up, received one of nasbench201"):
        fit_constrained(error(), other, limit=1.0, seed=0)


def test_a_part_of_the_space_is_told_from_the_whole() -> None:
    part = SPACE.restrict({SPACE.choices[0].name: [SPACE.choices[0].options[0]]})  # type: ignore[union-attr]
    some = CostTensor.of(part, list(part.enumerate()), np.arange(part.size, dtype=float) + 1)
    with pytest.raises(UsageError, match=rf"received one of another part of it \({part.size} architectures, not"):
        fit_constrained(error(), some, limit=1.0, seed=0)


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"hottest": 0.0}, {"coldest": -1.0}, {"tolerance": -1.0}])
def test_settings_that_teach_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(wrong))} "):
        ConstrainedSettings(**wrong)  # type: ignore[arg-type]


def test_the_likeliest_of_each_network_come_before_what_is_the_same_as_one_of_them() -> None:
    cells = nasbench201_space()
    rng = np.random.default_rng(0)
    some = [cells.sample(rng) for _ in range(400)]
    logs = rng.normal(size=len(some))
    order = likeliest_first(cells, some, logs)
    assert sorted(order) == list(range(len(some)))
    networks = [cells.canonical(some[place]) for place in order]
    different = len(set(networks))
    assert different < len(some)
    assert len(set(networks[:different])) == different
    assert order[0] == logs.argmax()
    for part in (logs[order][:different], logs[order][different:]):
        assert (np.diff(part) <= 0).all()


def test_tables_that_are_not_whole_are_refused() -> None:
    every = list(SPACE.enumerate())
    for values in (np.ones(len(every) - 1), np.ones((len(every), 1)), np.array(3.0)):
        with pytest.raises(UsageError, match=rf"expected {len(every)} values, received shape"):
            CostTensor.of(SPACE, every, values)
    part = SPACE.restrict({choice.name: choice.options[1:] for choice in SPACE.choices})  # type: ignore[union-attr]
    strangers = every[: int(part.size)]
    with pytest.raises(UsageError, match="expected architectures of space made-up, received one with"):
        CostTensor.of(part, strangers, np.ones(len(strangers)))
