"""One policy for all preferences and devices.

The laws: what is wanted more is had more; a device never seen gets what suits it; one seed gives one policy; and what a
preference or a device is not is told.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwnas.core import UsageError
from hwnas.relaxed import CostTensor, DeviceTask, HyperPolicy, Modnas, ModnasSettings, described_device, rays
from hwnas.spaces import nasbench201_space
from tests.relaxed.made_up import ARCHITECTURES, SIZES, SPACE, error, latencies, task

QUICK = ModnasSettings(steps=120, learning_rate=5e-3)
TASKS = [task("narrow", 0.0), task("middle", 1.0), task("wide", 3.0)]


@pytest.fixture(scope="module")
def trained() -> Modnas:
    modnas = Modnas(error(), TASKS, seed=0, settings=QUICK)
    modnas.fit()
    return modnas


def test_who_wants_accuracy_alone_gets_the_best_and_who_wants_speed_alone_the_fastest(trained: Modnas) -> None:
    for one in TASKS:
        fastest, best = trained.propose(one.description, rays(2, objectives=2))
        found = dict(zip(ARCHITECTURES, one.costs[0].values.flatten().tolist(), strict=True))
        assert SIZES[ARCHITECTURES.index(best)] > np.median(SIZES)
        assert found[fastest] < np.median(list(found.values()))


def test_an_unseen_device_gets_a_front_that_beats_chance(trained: Modnas) -> None:
    unseen = task("unseen", 2.0)
    front = trained.propose(unseen.description, rays(8, objectives=2))
    assert len(set(front)) > 2
    errors = dict(zip(ARCHITECTURES, error().values.flatten().tolist(), strict=True))
    cost = dict(zip(ARCHITECTURES, latencies(2.0), strict=True))
    dominated = [sum(errors[o] < errors[a] and cost[o] < cost[a] for o in ARCHITECTURES) for a in front]
    assert np.mean(dominated) < np.mean(
        [sum(errors[o] < errors[a] and cost[o] < cost[a] for o in ARCHITECTURES) for a in ARCHITECTURES]
    )


def test_one_seed_gives_one_policy_and_another_another(trained: Modnas) -> None:
    brief = replace(QUICK, steps=5)
    made = []
    for seed in (0, 0, 1):
        modnas = Modnas(error(), TASKS, seed=seed, settings=brief)
        modnas.fit()
        made.append(torch.cat([part.flatten() for part in modnas.policy.state_dict().values()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_training_leaves_the_process_wide_randomness_alone() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Modnas(error(), TASKS, seed=0, settings=replace(QUICK, steps=2)).fit()
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_three_objectives_are_learned_alike() -> None:
    energy = CostTensor.of(SPACE, ARCHITECTURES, SIZES / 10)
    tasks = [replace(one, costs=(*one.costs, energy)) for one in TASKS]
    modnas = Modnas(error(), tasks, seed=0, settings=replace(QUICK, steps=3))
    seen: list[tuple[int, int]] = []
    modnas.fit(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert modnas.objectives == 3
    assert len(modnas.propose(TASKS[0].description, rays(6, objectives=3))) == 6


def test_latencies_of_two_devices_are_objectives_of_one_task() -> None:
    narrow, wide = task("narrow", 0.0), task("wide", 3.0)
    both = replace(narrow, name="both", costs=(*narrow.costs, *wide.costs))
    modnas = Modnas(error(), [both], seed=0, settings=QUICK)
    modnas.fit()
    wanted = np.eye(3)
    best, first, second = modnas.propose(both.description, wanted)
    medians = [np.median(latencies(slope)) for slope in (0.0, 3.0)]
    for slope, found, median in zip((0.0, 3.0), (first, second), medians, strict=True):
        assert latencies(slope)[ARCHITECTURES.index(found)] < median
    assert SIZES[ARCHITECTURES.index(best)] > np.median(SIZES)


@pytest.mark.parametrize("estimator", ["reinmax", "gumbel"])
def test_tables_can_be_asked_about_draws_as_well(estimator: str) -> None:
    rules = replace(QUICK, steps=80, estimator=estimator)
    modnas = Modnas(error(), TASKS, seed=0, settings=rules)
    modnas.fit()
    fastest, best = modnas.propose(TASKS[1].description, rays(2, objectives=2))
    assert SIZES[ARCHITECTURES.index(fastest)] < np.median(SIZES) < SIZES[ARCHITECTURES.index(best)]


def test_chances_are_chances() -> None:
    policy = HyperPolicy((3, 4), objectives=2, description=5, generator=torch.Generator().manual_seed(0))
    parts = policy(torch.tensor([[0.3, 0.7], [1.0, 0.0]]), torch.zeros(2, 5))
    assert [part.shape for part in parts] == [(2, 3), (2, 4)]
    for part in parts:
        assert part.exp().sum(1).tolist() == pytest.approx([1, 1])


def test_devices_that_do_not_fit_together_are_refused() -> None:
    short = replace(TASKS[0], description=TASKS[0].description[:3])
    with pytest.raises(UsageError, match="equally many costs, one at least, and descriptions of one length"):
        Modnas(error(), [*TASKS, short], seed=0)
    with pytest.raises(UsageError, match="received 0 with"):
        Modnas(error(), [], seed=0)
    cells = nasbench201_space()
    other = CostTensor.of(cells, list(cells.enumerate()), np.arange(15625.0))
    stranger = DeviceTask(name="stranger", costs=(other,), description=TASKS[0].description)
    with pytest.raises(UsageError, match="expected a cost on stranger of space made-up, received one of nasbench201"):
        Modnas(error(), [*TASKS, stranger], seed=0)
    with pytest.raises(UsageError, match=r"one at least.*received 1 with \['\(0, "):
        Modnas(error(), [replace(TASKS[0], costs=())], seed=0)
    blank = replace(TASKS[0], description=np.full_like(TASKS[0].description, np.nan))
    with pytest.raises(UsageError, match="expected a description of 6 finite numbers"):
        Modnas(error(), [blank], seed=0)
    with pytest.raises(UsageError, match="no architecture has an error of 0 or less"):
        Modnas(error(), TASKS, seed=0, worth_having=0.0)


def test_preferences_and_descriptions_that_are_none_are_refused(trained: Modnas) -> None:
    with pytest.raises(UsageError, match="a sum of 1"):
        trained.propose(TASKS[0].description, np.array([[0.9, 0.9]]))
    with pytest.raises(UsageError, match=r"expected a description of 6 numbers, received shape \(2,\)"):
        trained.propose(np.zeros(2), rays(2, objectives=2))
    with pytest.raises(UsageError, match="expected a description of 6 finite numbers, received"):
        trained.propose(np.full(6, np.nan), rays(2, objectives=2))


def test_one_preference_gives_one_architecture(trained: Modnas) -> None:
    wanted = np.array([0.3, 0.7])
    assert trained.propose(TASKS[0].description, wanted) == trained.propose(TASKS[0].description, wanted[None])


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"devices_per_step": 0}, {"preferences_per_device": -1}, {"learning_rate": -1.0},
              {"smoothness": 0.0}, {"smoothness": float("nan")}, {"entropy": -0.1}],
)  # fmt: skip
def test_settings_that_teach_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(wrong))} "):
        ModnasSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ([1.0], "two reference networks or more"),
        ([1.0, 0.0], "positive"),
        ([1.0, np.nan], "positive"),
        ([2.0, 2.0, 2.0], "cost different amounts"),
    ],
)
def test_references_that_describe_nothing_are_refused(costs: list[float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        described_device(np.array(costs))


def test_a_network_that_the_runtime_folded_away_does_not_rule_a_description() -> None:
    folded, floor = np.array([1.0, 2.0, 4.0, 1e-5]), np.array([1.0, 2.0, 4.0, 0.05 * 1.5])
    assert described_device(folded) == pytest.approx(described_device(floor))


def test_a_device_twice_as_slow_is_described_alike() -> None:
    costs = np.array([1.0, 3.0, 7.0])
    assert described_device(2 * costs) == pytest.approx(described_device(costs))
