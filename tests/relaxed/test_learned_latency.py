"""Latency as a network: it orders what it has not seen, on devices it has not seen, and takes a table's place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.predictors.ranking import spearman
from hwnas.relaxed import (
    DeviceTask,
    LatencySettings,
    LearnedLatency,
    Modnas,
    ModnasSettings,
    TimedDevice,
    described_device,
    rays,
)
from hwnas.spaces import mobilenet_space
from tests.relaxed.made_up import ARCHITECTURES, SIZES, SPACE, error, latencies, task

SLOPES = {"narrow": 0.0, "middle": 1.0, "wide": 3.0}
QUICK = LatencySettings(steps=200, batch=64)
EVERY = list(range(len(ARCHITECTURES)))
SOME = [place for place in EVERY if place % 5]  # the rest is never timed


def timed(slope: float, some: list[int] = EVERY) -> TimedDevice:
    found = latencies(slope)
    return TimedDevice(
        architectures=[ARCHITECTURES[place] for place in some],
        latency_ms=found[some],
        description=described_device(found[::4]),
    )


@pytest.fixture(scope="module")
def learned() -> LearnedLatency:
    return LearnedLatency(SPACE, [timed(slope, SOME) for slope in SLOPES.values()], seed=0, settings=QUICK)


def test_networks_never_timed_are_ordered_on_a_device_never_seen(learned: LearnedLatency) -> None:
    unseen = timed(2.0)
    predicted = learned.on(unseen.description).scaled(None)(learned.encoded(ARCHITECTURES))
    assert (spearman(predicted.numpy(), unseen.latency_ms) or 0) > 0.9


def test_what_was_timed_lies_between_0_and_1(learned: LearnedLatency) -> None:
    device = timed(1.0, SOME)
    predicted = learned.on(device.description).scaled(None)(learned.encoded(device.architectures))
    wanted = (device.latency_ms - device.latency_ms.min()) / np.ptp(device.latency_ms)
    assert np.abs(predicted.numpy() - wanted).mean() < 0.1


@pytest.mark.parametrize("estimator", ["reinmax", "gumbel"])
def test_a_policy_learned_from_it_knows_fast_from_accurate(learned: LearnedLatency, estimator: str) -> None:
    tasks = [
        DeviceTask(name=name, costs=(learned.on(timed(slope).description),), description=timed(slope).description)
        for name, slope in SLOPES.items()
    ]
    rules = ModnasSettings(steps=100, learning_rate=5e-3, estimator=estimator)  # type: ignore[arg-type]
    modnas = Modnas(error(), tasks, seed=0, settings=rules)
    modnas.fit()
    unseen = timed(2.0)
    fastest, best = modnas.propose(unseen.description, rays(2, objectives=2))
    cost = dict(zip(ARCHITECTURES, unseen.latency_ms, strict=True))
    assert cost[fastest] < np.median(unseen.latency_ms)
    assert SIZES[ARCHITECTURES.index(best)] > np.median(SIZES)


def test_one_seed_gives_one_network_and_no_gradient_of_its_own(learned: LearnedLatency) -> None:
    devices = [timed(slope, SOME) for slope in SLOPES.values()]
    again = LearnedLatency(SPACE, devices, seed=0, settings=QUICK)
    choices, description = learned.encoded(ARCHITECTURES), devices[0].description
    one, other = (network.on(description).scaled(None)(choices) for network in (learned, again))
    assert one.tolist() == other.tolist()
    assert not any(part.requires_grad for part in learned.parameters())


def test_expectations_of_a_network_are_refused(learned: LearnedLatency) -> None:
    known = task("narrow", 0.0)
    soft = replace(known, costs=(learned.on(known.description),))
    with pytest.raises(UsageError, match="expected the estimator reinmax or gumbel for learned latencies"):
        Modnas(error(), [soft], seed=0)


def test_what_cannot_be_learned_from_is_refused(learned: LearnedLatency) -> None:
    one = timed(1.0)
    with pytest.raises(UsageError, match=r"descriptions of one length, received \[\]"):
        LearnedLatency(SPACE, [], seed=0)
    with pytest.raises(UsageError, match="descriptions of one length"):
        LearnedLatency(SPACE, [one, replace(one, description=one.description[:3])], seed=0)
    with pytest.raises(UsageError, match="all 24 latencies of device 1 are alike: expected networks with different"):
        LearnedLatency(SPACE, [replace(one, latency_ms=np.ones(24))], seed=0, settings=QUICK)
    with pytest.raises(UsageError, match=r"device 2 has 24 networks and latencies of shape \(23,\): expected one each"):
        LearnedLatency(SPACE, [one, replace(one, latency_ms=one.latency_ms[1:])], seed=0)
    with pytest.raises(UsageError, match="device 1 has 1 latencies that are no positive number"):
        LearnedLatency(SPACE, [replace(one, latency_ms=np.where(np.arange(24) == 3, np.nan, one.latency_ms))], seed=0)
    with pytest.raises(UsageError, match="device 1 has none: expected networks with different latencies"):
        LearnedLatency(SPACE, [replace(one, architectures=[], latency_ms=np.zeros(0))], seed=0)
    with pytest.raises(UsageError, match="expected batch above 0, received 0"):
        LatencySettings(batch=0)
    with pytest.raises(UsageError, match="expected a space of independent choices, such as nasbench201"):
        LearnedLatency(mobilenet_space("tiny"), [one], seed=0)
    with pytest.raises(UsageError, match=r"expected a description of 6 numbers, received shape \(2,\)"):
        learned.on(np.zeros(2))
