"""LightNAS and DCA-NAS as searchers of a run: one limit, one policy, its likeliest networks the trials."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwnas.core import InfeasibleError, Measurement, RunMismatchError, UsageError
from hwnas.evaluators import TabularEvaluator
from hwnas.networks import Workload
from hwnas.relaxed import CostTensor, fit_constrained, log_chances
from hwnas.reports import report
from hwnas.reports.commands import search_command
from hwnas.study import Run, SearchProgress, limit_policies
from hwnas.training import CheckpointError

QUICK = replace(limit_policies.SETTINGS, steps=40)
UNDER, BAND = {"latency_ms": 0.8}, {"min_latency_ms": 0.51, "latency_ms": 0.54}
ASKED = {"dca-nas": UNDER, "lightnas": BAND}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limit_policies, "SETTINGS", QUICK)
        yield


@pytest.fixture(scope="module")
def begin(begin_cells: Callable[..., Run]) -> Callable[..., Run]:
    def start(out: Path, algorithm: str = "dca-nas", **changes: Any) -> Run:
        settings = {"algorithm": algorithm, "limits": ASKED.get(algorithm, UNDER), "trials": 5}
        return begin_cells(out, **{**settings, **changes})

    return start


@pytest.fixture(scope="module")
def runs(begin: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("limits")
    return {name: begin(out / name, name) for name in ASKED}


def trace(run: Run) -> list[str]:
    return [trial.architecture.id for trial in run.record.finished()]


@pytest.mark.parametrize("algorithm", ASKED)
def test_the_first_trial_is_what_a_training_for_the_limit_gives(
    runs: dict[str, Run], cells: TabularEvaluator, algorithm: str
) -> None:
    run, networks = runs[algorithm], cells.space.listed
    error = CostTensor.of(cells.space, networks, 100 * (1 - cells.values("accuracy", networks)))
    cost = CostTensor.of(cells.space, networks, run.latency.predict(networks)[0])
    equality = algorithm == "lightnas"
    limit = 0.525 if equality else 0.8
    rules = replace(QUICK, equality=equality, tolerance=0.015 / limit)
    found = fit_constrained(error, cost, limit=limit, seed=0, settings=rules)
    assert run.trials()[0].architecture == found.architecture
    (told, *_) = [entry["why"]["log_chance"] for entry in run.record.attributes().values()]
    assert told == pytest.approx(log_chances(cells.space, [found.architecture], found.chances)[0], abs=1e-2)


@pytest.mark.parametrize("algorithm", ASKED)
def test_all_trials_keep_to_the_limit_the_likeliest_first(runs: dict[str, Run], algorithm: str) -> None:
    run = runs[algorithm]
    latencies = [trial.values["latency_ms"] for trial in run.trials()]
    assert len(latencies) == 5
    assert max(latencies) <= ASKED[algorithm]["latency_ms"]
    assert min(latencies) >= ASKED[algorithm].get("min_latency_ms", 0)
    whys = [entry["why"] for entry in run.record.attributes().values()]
    assert [(why["inner"], why["place"]) for why in whys] == [(algorithm, place) for place in range(1, 6)]
    chances = [why["log_chance"] for why in whys]
    assert chances == sorted(chances, reverse=True)


def test_the_policy_goes_towards_the_limit(begin: Callable[..., Run], runs: dict[str, Run], tmp_path: Path) -> None:
    """A loose limit leaves the whole space; what is proposed first then is no longer what a tight one gave."""
    loose = begin(tmp_path / "loose", limits={"latency_ms": 100.0}, trials=1)
    (first,) = loose.trials()
    assert first.values["accuracy"] > runs["dca-nas"].trials()[0].values["accuracy"]
    assert first.values["latency_ms"] > 0.8


def test_a_limit_above_all_costs_does_not_press(begin: Callable[..., Run], tmp_path: Path) -> None:
    """One to be hit would: its multiplier becomes negative, and cost is rewarded the more, the nearer it is."""
    found = [begin(tmp_path / str(limit), limits={"latency_ms": limit}, trials=2) for limit in (2.0, 100.0)]
    whys = [[entry["why"] for entry in run.record.attributes().values()] for run in found]
    assert trace(found[0]) == trace(found[1])
    assert whys[0] == whys[1]


def test_a_run_has_a_front_a_report_and_its_command(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["lightnas"]
    with (run.folder / "front.csv").open() as file:
        assert [int(row["trial"]) for row in csv.DictReader(file)] == [trial.number for trial in run.front()]
    page = report(run, out=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "lightnas" in page
    command = search_command(run, out="again")
    assert "--min-latency 0.51ms" in command
    assert "--max-latency 0.54ms" in command


@pytest.mark.parametrize("algorithm", ASKED)
def test_a_run_goes_on_with_the_policy_it_learned(
    begin: Callable[..., Run], runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    begin(tmp_path / "run", algorithm, trials=2)
    assert (tmp_path / "run" / f"{algorithm}.safetensors").is_file()
    monkeypatch.setattr(limit_policies, "constrained_chances", lambda *_, **__: pytest.fail("it was learned before"))
    assert trace(begin(tmp_path / "run", algorithm)) == trace(runs[algorithm])


def test_a_run_goes_on_with_further_targets_and_not_with_another_limit(
    begin: Callable[..., Run], runs: dict[str, Run], tmp_path: Path
) -> None:
    begin(tmp_path / "run", trials=2)
    more = begin(tmp_path / "run", targets=["latency", "params"], trials=5)
    assert trace(more) == trace(runs["dca-nas"])
    with pytest.raises(RunMismatchError, match="limits: recorded"):
        begin(tmp_path / "run", targets=["latency", "params"], limits={"latency_ms": 0.9})


def test_a_damaged_policy_is_named(begin: Callable[..., Run], tmp_path: Path) -> None:
    begin(tmp_path / "run", trials=1)
    (tmp_path / "run" / "dca-nas.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"dca-nas\.safetensors.*remove it to begin anew"):
        begin(tmp_path / "run", trials=2)


def test_learning_tells_how_far_it_is(begin: Callable[..., Run], tmp_path: Path) -> None:
    seen: list[SearchProgress] = []
    begin(tmp_path / "run", trials=1, on_progress=seen.append)
    steps = [told.done for told in seen if told.stage == "policy"]
    assert steps == list(range(QUICK.steps + 1))


def test_a_run_ends_where_the_limit_leaves_nothing_more(begin: Callable[..., Run], tmp_path: Path) -> None:
    run = begin(tmp_path / "run", "lightnas", trials=64)
    networks = run.family.space.listed
    latencies = run.latency.predict(networks)[0]
    inside = int(((latencies >= BAND["min_latency_ms"]) & (latencies <= BAND["latency_ms"])).sum())
    assert 5 < len(run.trials()) == inside < 64
    assert run.is_finished()


def test_dca_nas_stays_under_any_cost(begin: Callable[..., Run], tmp_path: Path) -> None:
    run = begin(tmp_path / "run", limits={"params_m": 0.6}, trials=3)
    assert len(run.trials()) == 3
    assert all(trial.values["params_m"] <= 0.6 for trial in run.trials())


def test_lightnas_hits_any_cost_that_has_a_band(begin: Callable[..., Run], tmp_path: Path) -> None:
    run = begin(tmp_path / "run", "lightnas", limits={"min_flops_m": 220.0, "flops_m": 240.0}, trials=1)
    assert 220 <= run.trials()[0].values["flops_m"] <= 240


def test_where_a_device_can_measure_what_is_predicted_to_hit_is_measured_and_what_misses_is_left_out(
    begin: Callable[..., Run], runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The made-up device is as predicted, but for the first proposal, which it finds too slow."""
    monkeypatch.setattr(Workload, "model", property(lambda self: self.architecture.id.encode()))
    networks = runs["lightnas"].family.space.listed
    predicted = dict(zip((one.id for one in networks), runs["lightnas"].latency.predict(networks)[0], strict=True))
    first, *others = trace(runs["lightnas"])
    measured = []

    def meter(model: bytes) -> Measurement:
        measured.append(model.decode())
        ms = float(predicted[measured[-1]]) * (1.5 if measured[-1] == first else 1)
        return SimpleNamespace(
            latency_ms=ms, min_ms=ms, median_ms=ms, iqr_ms=0.01 * ms, n=100, noise="ok", uncertainty=0.002,
            provider="FakeProvider", device_speed=1.0,
        )  # fmt: skip

    run = begin(tmp_path / "run", "lightnas", trials=4, meter=meter)
    assert measured[0] == first
    assert trace(run) == others


@pytest.mark.parametrize(
    ("algorithm", "changes", "told"),
    [
        ("dca-nas", {"limits": None}, r"expected one of --max-latency, .*--max-energy, received no limit"),
        ("dca-nas", {"limits": BAND}, r"received --min-latency 0\.51ms and --max-latency 0\.54ms"),
        ("dca-nas", {"limits": {"latency_ms": 1.0, "params_m": 1.0}}, r"stay under one limit: .*and --max-params 1M"),
        ("lightnas", {"limits": None}, "expected --hit-latency, or a band of .*, received no limit"),
        ("lightnas", {"limits": UNDER}, r"received --max-latency 0\.8ms\. To stay under a limit, take .* dca-nas"),
        ("lightnas", {"limits": {"min_latency_ms": 0.1, "params_m": 1.0}}, "learns to hit one cost"),
        ("lightnas", {"limits": {"min_latency_ms": 2.0, "latency_ms": 1.0}}, "nothing can keep .*Exchange the two"),
        ("lightnas", {"inner": "random"}, "algorithm lightnas takes no inner searcher"),
        ("dca-nas", {"evaluator": "trained"}, "expected --evaluator tabular, received trained"),
        ("dca-nas", {"space": "mobilenet:tiny", "evaluator": "trained"}, "a space of independent choices"),
        ("dcanas", {}, "unknown algorithm 'dcanas': .*Did you mean 'dca-nas'"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_before_anything_is_written(
    begin: Callable[..., Run], tmp_path: Path, algorithm: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        begin(tmp_path / "run", algorithm, **changes)
    assert not (tmp_path / "run").exists()


def test_a_limit_that_no_network_keeps_is_refused_with_the_nearest(begin: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match="smallest reachable value is") as under:
        begin(tmp_path / "run", limits={"latency_ms": 0.001})
    with pytest.raises(InfeasibleError, match="With the others as they are it takes --min-latency") as hit:
        begin(tmp_path / "run", "lightnas", limits={"min_latency_ms": 98.0, "latency_ms": 102.0})
    assert not (tmp_path / "run").exists()
    nearest = under.value.nearest["latency_ms"], hit.value.alone["min_latency_ms"]
    run = begin(tmp_path / "run", limits={"latency_ms": nearest[0]}, trials=1)
    networks = run.family.space.listed
    latencies = run.latency.predict(networks)[0]
    assert nearest == (latencies.min(), latencies.max())
    assert run.trials()[0].values["latency_ms"] == latencies.min()
