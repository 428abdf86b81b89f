"""Measuring when unsure, on a made-up device that is slower than predicted in a region nobody modelled.

The meter is a fake: it is handed the name of an architecture in place of its model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.core import Architecture, Measurement, StudyError
from hwnas.networks import NetworkFamily, Workload
from hwnas.predictors import SURE, LatencyPredictor
from hwnas.study import Run, open_run
from hwnas.study.measuring import Doubts
from latency_tables import LatencyTable, NetworkRow, merge_tables, read_table
from tests.builders import made_up_table, made_up_timing
from tests.study.conftest import FakeTrainer

Begin = Callable[..., Run]
NOISE = 0.04


@pytest.fixture(scope="module")
def uncertain_table(tiny_family: NetworkFamily) -> LatencyTable:
    """A table whose whole networks scatter by 4 %, so that its predictions do."""
    table, rng = made_up_table(tiny_family), np.random.default_rng(0)
    rows = [
        NetworkRow(
            key=row.key,
            blocks=row.blocks,
            timing=made_up_timing(row.timing.latency_ms * (1 + NOISE * rng.standard_normal())),
        )
        for row in table.networks.values()
    ]
    return LatencyTable.from_rows(table.manifest, [*table.rows(), *rows])


@dataclass
class Device:
    """A fake: what it measures is what is predicted, times a factor for networks of kernel 5.

    Attributes:
        predicted_ms: Architecture's id to prediction.
        slow: Ids of the region nobody modelled.
        speed: How much slower the device is today than when the table was made.
        measured: Ids in the order they were measured.
    """

    predicted_ms: Mapping[str, float]
    slow: frozenset[str]
    speed: float = 1.0
    measured: list[str] = field(default_factory=list)

    def truth_ms(self, name: str) -> float:
        return self.predicted_ms[name] * (1.0 + NOISE * (name in self.slow))

    def __call__(self, model: bytes) -> Measurement:
        name = model.decode()
        self.measured.append(name)
        ms = self.speed * self.truth_ms(name)
        return SimpleNamespace(
            latency_ms=ms, min_ms=ms, median_ms=ms, iqr_ms=0.01 * ms, n=100, noise="ok", uncertainty=0.002,
            provider="FakeProvider", device_speed=self.speed,
        )  # fmt: skip


@pytest.fixture(scope="module")
def everything(tiny_family: NetworkFamily) -> list[Architecture]:
    return list(tiny_family.space.enumerate())


@pytest.fixture(scope="module")
def predicted_ms(
    tiny_family: NetworkFamily, uncertain_table: LatencyTable, everything: list[Architecture]
) -> Mapping[str, float]:
    latency_ms, _ = LatencyPredictor.of(uncertain_table, tiny_family).predict(everything)
    return {a.id: float(ms) for a, ms in zip(everything, latency_ms, strict=True)}


@pytest.fixture
def device(
    everything: list[Architecture], predicted_ms: Mapping[str, float], monkeypatch: pytest.MonkeyPatch
) -> Device:
    monkeypatch.setattr(Workload, "model", property(lambda self: self.architecture.id.encode()))
    return Device(predicted_ms, frozenset(a.id for a in everything if a["s1.b1.kernel"] == 5))


def spread(run: Run) -> float:
    return run.predictors.by_precision["fp32"].calibration.spread


def limit_ms(device: Device) -> float:
    return float(np.quantile(list(device.predicted_ms.values()), 0.03))


@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_no_network_that_breaks_the_limit_is_trained_though_its_prediction_keeps_it(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer, speed: float
) -> None:
    device.speed = speed
    bound = limit_ms(device)
    run = begin(table=uncertain_table, limits={"latency_ms": bound}, meter=device, trials=20)
    assert device.measured
    assert all(device.truth_ms(name) <= bound for name in trainer.evaluated)
    sure = [name for name in trainer.evaluated if name not in device.measured]
    assert all(device.predicted_ms[name] * (1 + 0.9 * SURE * spread(run)) <= bound for name in sure)
    blind = begin(table=uncertain_table, limits={"latency_ms": bound}, trials=20, out=run.folder.parent / "blind")
    assert any(device.truth_ms(t.architecture.id) > bound for t in blind.trials())  # what measuring is for


def test_a_network_whose_prediction_breaks_the_limit_may_turn_out_to_keep_it(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    device.predicted_ms = {name: 0.97 * ms for name, ms in device.predicted_ms.items()}  # everything is faster
    bound = float(np.quantile(list(device.predicted_ms.values()), 0.005))
    begin(table=uncertain_table, limits={"latency_ms": bound}, meter=device, trials=20, algorithm="random")
    assert any(device.predicted_ms[name] / 0.97 > bound for name in trainer.evaluated)


def test_what_was_measured_is_what_is_recorded_and_nothing_is_measured_twice(
    begin: Begin, uncertain_table: LatencyTable, device: Device
) -> None:
    run = begin(table=uncertain_table, meter=device, trials=25)
    assert 0 < len(device.measured) == len(set(device.measured))
    for trial in run.trials():
        name = trial.architecture.id
        known = device.truth_ms(name) if name in device.measured else device.predicted_ms[name]
        assert trial.values["latency_ms"] == pytest.approx(known)


def test_every_network_that_is_on_the_front_only_by_its_error_was_measured(
    begin: Begin, uncertain_table: LatencyTable, device: Device
) -> None:
    """The last trial sees the front that all others made."""
    run = begin(table=uncertain_table, meter=device, trials=30)
    last = run.trials()[-1]
    others = [t for t in run.trials() if t.values["accuracy"] >= last.values["accuracy"] and t is not last]
    ms, error_ms = device.predicted_ms[last.architecture.id], 0.9 * SURE * spread(run)
    bounds = [t.values["latency_ms"] for t in others]
    straddles = any(ms * (1 - error_ms) < b < ms * (1 + error_ms) for b in bounds) and min(bounds) > ms * (1 - error_ms)
    assert not straddles or last.architecture.id in device.measured


def test_no_network_outside_of_a_band_is_trained_on_either_side(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    least, most = np.quantile(list(device.predicted_ms.values()), [0.5, 0.6]).tolist()
    limits = {"min_latency_ms": least, "latency_ms": most}
    begin(table=uncertain_table, limits=limits, meter=device, trials=10, algorithm="random")
    assert all(least <= device.truth_ms(name) <= most for name in trainer.evaluated)
    assert len(trainer.evaluated) == 10
    assert device.measured


def test_a_search_learns_that_predictions_are_off_and_measures_little_in_vain(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    least, most = np.quantile(list(device.predicted_ms.values()), [0.4, 0.5]).tolist()
    device.predicted_ms = {name: 1.3 * ms for name, ms in device.predicted_ms.items()}
    limits = {"min_latency_ms": 1.3 * least, "latency_ms": 1.3 * most}
    begin(table=uncertain_table, limits=limits, meter=device, trials=20, algorithm="random")
    assert all(1.3 * least <= device.truth_ms(name) <= 1.3 * most for name in trainer.evaluated)
    in_vain = set(device.measured) - set(trainer.evaluated)
    assert len(trainer.evaluated) == 20
    assert len(in_vain) < 60


def test_a_search_that_measures_in_vain_again_and_again_ends_and_says_how_far_off_predictions_are(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    bound = float(np.quantile(list(device.predicted_ms.values()), 0.5))
    device.predicted_ms = dict.fromkeys(device.predicted_ms, 1.001 * bound)
    settings = {"limits": {"min_latency_ms": 0.999 * bound, "latency_ms": bound}, "algorithm": "random"}
    with pytest.raises(StudyError, match=r"50 networks in a row .* 1\.0[0-9] times what .*no-measure"):
        begin(table=uncertain_table, meter=device, trials=20, **settings)
    assert not trainer.evaluated
    assert len(device.measured) == 50


def test_measurements_are_a_table_that_joins_the_one_of_the_run(
    begin: Begin, uncertain_table: LatencyTable, device: Device
) -> None:
    run = begin(table=uncertain_table, meter=device, trials=25)
    grown = read_table(run.folder / "measured.jsonl")
    assert {row.key.partition("-")[0] for row in grown.networks.values()} == set(device.measured)
    merged = merge_tables([run.table, grown])
    assert len(merged.networks) == len({*run.table.networks, *grown.networks})
    for name in device.measured:
        assert run.measured.latencies[name][0] == pytest.approx(device.truth_ms(name), rel=1e-5)


def test_a_search_cut_off_remembers_what_it_measured(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    settings = {"table": uncertain_table, "limits": {"latency_ms": limit_ms(device)}, "meter": device, "trials": 20}
    accuracy = trainer.accuracy

    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 12:
            raise KeyboardInterrupt
        return accuracy(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        begin(**settings)
    before = list(device.measured)
    trainer.accuracy = accuracy
    run = begin(**settings)
    assert device.measured[: len(before)] == before
    assert len(device.measured) == len(set(device.measured))
    assert len(run.trials()) == 20
    assert open_run(run.folder).measured.latencies.keys() == set(device.measured)


def test_a_device_that_is_lost_costs_no_training(
    begin: Begin, uncertain_table: LatencyTable, device: Device, trainer: FakeTrainer
) -> None:
    def lost(_: bytes) -> Measurement:
        raise RuntimeError("the device is gone")

    with pytest.raises(RuntimeError, match="the device is gone"):
        begin(table=uncertain_table, meter=lost, trials=30)
    done = list(trainer.evaluated)
    run = begin(table=uncertain_table, meter=device, trials=30)
    assert len(run.trials()) == 30
    assert trainer.evaluated[: len(done)] == done
    assert len(trainer.evaluated) == 30


def test_workers_are_stopped_when_the_device_is_free_and_not_while_it_is_waited_for(
    begin: Begin, uncertain_table: LatencyTable, device: Device, everything: list[Architecture]
) -> None:
    course: list[str] = []

    @contextmanager
    def noted(what: str) -> Iterator[None]:
        course.append(what)
        yield
        course.append(f"no {what}")

    class Leased:
        def lease(self) -> AbstractContextManager[None]:
            return noted("lease")

        def __call__(self, model: bytes) -> Measurement:
            course.append("measured")
            return device(model)

    run = begin(table=uncertain_table, trials=1)
    limited = replace(run, settings=replace(run.settings, limits={"latency_ms": 1e-6}))
    Doubts(limited, Leased(), lambda: noted("quiet")).settle_limit(everything[0])
    assert course == ["lease", "quiet", "measured", "no quiet", "no lease"]


def test_without_a_device_nothing_is_measured(begin: Begin, uncertain_table: LatencyTable) -> None:
    run = begin(table=uncertain_table, limits={"latency_ms": 0.2})
    assert not run.measured.latencies
    assert not (run.folder / "measured.jsonl").exists()
