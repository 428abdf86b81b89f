"""Whole networks side by side: what their figures are, and what half of the rounds says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profilers import CampaignError, CampaignSettings, DeviceError, DeviceMemoryError, Progress, time_networks
from profilers.networks import TimedNetwork
from tests.profilers.fakes_backend import (
    PROTOCOL,
    REFERENCES,
    WORKLOADS,
    FakeBackend,
    PlainFake,
    block_ms,
    campaign,
    lost_at,
    quiet_factor,
    slow_visits,
    stops_at,
)

NETWORKS = (*REFERENCES, *WORKLOADS)
STEADY = replace(PROTOCOL, rounds=4, most_rounds=4)


def timed(backend: PlainFake, out: Path, **changes: Any) -> dict[str, TimedNetwork]:
    settings = CampaignSettings(**{"protocol": STEADY, **changes})
    return time_networks(NETWORKS, backend=backend, out=out, settings=settings)


def test_a_network_takes_what_its_blocks_and_the_call_take(tmp_path: Path) -> None:
    backend = FakeBackend()
    found = timed(backend, tmp_path / "out.json")
    assert set(found) == {one.name for one in NETWORKS}
    for network in NETWORKS:
        expected_ms = (backend.floor_ms + sum(map(block_ms, network.parts.values()))) * quiet_factor(8, 0.25)
        row = found[network.name].row
        assert row.timing.latency_ms == pytest.approx(expected_ms, rel=1e-4)
        assert row.blocks == Counter(network.parts.values())
        assert found[network.name].halves_ms == pytest.approx((row.timing.latency_ms, row.timing.latency_ms))


@pytest.mark.parametrize("make", [PlainFake, FakeBackend])
def test_nothing_but_the_networks_is_measured_on_any_backend(tmp_path: Path, make: type[PlainFake]) -> None:
    backend = make()
    timed(backend, tmp_path / "out.json")
    assert backend.measured == Counter({("time", one.name): 4 for one in NETWORKS})
    assert not any(moment.kind in {"inspect", "isolate"} for moment in backend.calls)


def test_the_figure_is_the_one_of_a_table(tmp_path: Path) -> None:
    table = campaign(FakeBackend(), tmp_path / "table.jsonl", protocol=STEADY)
    found = timed(FakeBackend(), tmp_path / "out.json")
    for name, row in table.networks.items():
        assert found[name].row.timing.latency_ms == pytest.approx(row.timing.latency_ms, rel=1e-4)


def test_every_round_has_all_networks_in_an_order_of_its_own(tmp_path: Path) -> None:
    backend = FakeBackend()
    timed(backend, tmp_path / "out.json")
    order = [moment.what for moment in backend.calls if moment.measuring]
    rounds = [tuple(order[start : start + len(NETWORKS)]) for start in range(0, len(order), len(NETWORKS))]
    assert all(set(one) == {network.name for network in NETWORKS} for one in rounds)
    assert len(set(rounds)) > 1


def test_the_halves_are_every_other_round(tmp_path: Path) -> None:
    found = timed(FakeBackend(slowdown=slow_visits(1.0, 1.04, 1.0, 1.04)), tmp_path / "out.json")
    for one in found.values():
        first, second = one.halves_ms
        assert second / first == pytest.approx(1.04, rel=1e-4)
        assert one.row.timing.latency_ms == pytest.approx(first, rel=1e-4)


def test_rounds_of_a_restless_device_are_in_neither_half(tmp_path: Path) -> None:
    network, calls = NETWORKS[0].name, []

    def slow(moment: Any) -> float:  # the device, sentinel and all, in the first round
        calls.append(moment)
        return 1.5 if moment.call < 2 * len(NETWORKS) else 1.0

    protocol = replace(PROTOCOL, rounds=6, most_rounds=6)
    one = timed(FakeBackend(slowdown=slow), tmp_path / "out.json", protocol=protocol)[network]
    assert one.halves_ms[0] == pytest.approx(one.halves_ms[1], rel=1e-4)


def test_another_precision_has_a_name_of_its_own(tiny_family: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = tiny_family.workload(tiny_family.space.sample(rng))
    settings = CampaignSettings(precisions=("int8",), protocol=STEADY)
    found = time_networks([plain], backend=FakeBackend(), out=tmp_path / "out.json", settings=settings)
    assert list(found) == [f"{plain.name}@b1,int8"]


# --- what goes wrong


def test_what_was_stopped_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        timed(FakeBackend(failure=stops_at(7)), out)
    assert out.with_name("out.json.partial").exists()
    backend = FakeBackend()
    seen: list[Progress] = []
    found = time_networks(
        NETWORKS, backend=backend, out=out, settings=CampaignSettings(protocol=STEADY), on_progress=seen.append
    )
    assert sum(backend.measured.values()) == 4 * len(NETWORKS) - 7
    assert seen[-1].done == seen[-1].total == 4 * len(NETWORKS)
    assert found == timed(FakeBackend(), tmp_path / "whole.json")
    assert list(tmp_path.iterdir()) == []


def test_a_lost_device_says_what_is_kept(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"after 3 measurements, which are kept in .*out\.json\.partial"):
        timed(FakeBackend(failure=lost_at(3)), tmp_path / "out.json")


def test_other_networks_do_not_go_on_with_a_stopped_session(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        timed(FakeBackend(failure=stops_at(7)), tmp_path / "out.json")
    settings = CampaignSettings(protocol=STEADY)
    with pytest.raises(CampaignError, match=r"other conditions stands in the way \(different: networks\)"):
        time_networks(REFERENCES, backend=FakeBackend(), out=tmp_path / "out.json", settings=settings)


def test_what_does_not_fit_the_device_is_left_out(tmp_path: Path) -> None:
    large = NETWORKS[1].name
    backend = FakeBackend(failure=lambda moment: DeviceMemoryError("too large") if moment.what == large else None)
    assert set(timed(backend, tmp_path / "out.json")) == {one.name for one in NETWORKS} - {large}


def test_a_single_round_has_no_halves(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="two halves need at least 2 rounds, the protocol has 1"):
        timed(FakeBackend(), tmp_path / "out.json", protocol=replace(PROTOCOL, rounds=1))
