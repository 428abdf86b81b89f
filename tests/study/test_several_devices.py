"""One policy for several devices as the searcher of a run: a front for each, in one record and one report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.commands.devices import device_parts, device_rows
from hwnas.core import RunMismatchError, UsageError
from hwnas.evaluators import TabularEvaluator
from hwnas.networks import NetworkFamily, network_family
from hwnas.pareto import non_dominated
from hwnas.predictors import LatencyPool
from hwnas.predictors.pool_spaces import POOL_SPACES
from hwnas.reports import report
from hwnas.reports.commands import search_command
from hwnas.study import Devices, Run, SearchProgress, modnas, open_devices, open_run

POOL = ("phone", "board", "server")
QUICK = replace(modnas.SETTINGS, steps=30, learning_rate=1e-2)


@pytest.fixture(scope="module", autouse=True)
def small(cells: TabularEvaluator) -> Iterator[None]:
    """The space and its accuracies, and a pool of its latencies, all small and made up."""
    space, about = cells.space, POOL_SPACES["nasbench201"]
    features, rng = about.features(space.listed), np.random.default_rng(0)
    prices = rng.uniform(0.1, 1, (len(POOL), features.shape[1]))
    pool = LatencyPool(
        about=replace(about, space=space),
        devices=POOL,
        architectures=space.listed,
        latency_ms=3 + prices @ features.T,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwnas.study.devices.read_pool", lambda name: pool)
        patch.setattr(LatencyPool, "choose", lambda self, n: list(self.architectures[1::6][:n]))
        patch.setattr(modnas, "SETTINGS", QUICK)
        yield


@pytest.fixture(scope="module")
def family(small: None) -> NetworkFamily:
    return network_family("nasbench201")


@pytest.fixture(scope="module")
def devices(family: NetworkFamily) -> Devices:
    return open_devices(family, ["phone", "board"], unseen=["server"])


@pytest.fixture(scope="module")
def begin(begin_cells: Callable[..., Run], devices: Devices) -> Callable[..., Run]:
    settings: dict[str, Any] = {"algorithm": "modnas", "devices": devices, "trials": 8}
    return lambda out, **changes: begin_cells(out, **{**settings, **changes})


@pytest.fixture(scope="module")
def found(begin: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return begin(tmp_path_factory.mktemp("several") / "run")


def trace(run: Run) -> list[str]:
    return [trial.architecture.id for trial in run.record.finished()]


def test_every_trial_has_its_latency_on_every_device_and_each_device_a_front(found: Run, devices: Devices) -> None:
    trials = found.trials()
    assert len(trials) == 8
    assert found.settings.other_devices == ("phone", "board", "server")
    for one in devices.all:
        column = f"latency_ms@{one.name}"
        expected = one.latency.predict([trial.architecture for trial in trials])[0]
        assert [trial.values[column] for trial in trials] == pytest.approx(expected.tolist())
        costs = np.array([[-trial.values["accuracy"], trial.values[column]] for trial in trials])
        best = {trial.number for trial, good in zip(trials, non_dominated(costs), strict=True) if good}
        front = found.front_on(one.name)
        assert {trial.number for trial in front} == best
        there = [trial.values[column] for trial in front]
        assert there == sorted(there)


def test_trials_say_for_which_device_and_preference_they_are(found: Run) -> None:
    whys = [entry["why"] for entry in found.record.attributes().values()]
    assert {why["inner"] for why in whys} == {"modnas"}
    assert {why["device"] for why in whys} <= {"NVIDIA H100 80GB HBM3", "phone", "board", "server"}
    assert all(sum(why["preference"]) == pytest.approx(1, abs=2e-3) for why in whys)
    assert whys[0]["preference"] in ([1, 0], [0, 1])


def test_fronts_are_files_with_a_column_for_each_device(found: Run) -> None:
    for name, front in (("front.csv", found.front()), ("front@server.csv", found.front_on("server"))):
        with (found.folder / name).open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["trial"]) for row in rows] == [trial.number for trial in front]
        assert {"latency_ms", "latency_ms@phone", "latency_ms@board", "latency_ms@server"} <= rows[0].keys()


def test_the_fronts_on_disk_are_at_every_moment_those_of_the_trials_that_ended(
    begin: Callable[..., Run], tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def require_kept(progress: SearchProgress | None) -> None:
        if progress is not None and progress.stage != "trials":
            return
        kept = open_run(folder)
        for device, file in ((None, "front.csv"), *((name, f"front@{name}.csv") for name in POOL)):
            rows = csv.DictReader((folder / file).read_text().splitlines())
            assert [int(row["trial"]) for row in rows] == [trial.number for trial in kept.front_on(device)]
        ended = len(kept.trials())
        kept.record.close()
        if progress is not None and ended == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(folder, on_progress=require_kept)
    require_kept(None)
    begin(folder)
    require_kept(None)


def test_the_report_has_a_figure_and_a_table_for_each_device(found: Run, tmp_path: Path) -> None:
    page = report(found, out=tmp_path / "page.html", figures=tmp_path / "figures").read_text(encoding="utf-8")
    for name in found.settings.other_devices:
        assert f"The front on {name} as a table" in page
        assert (tmp_path / "figures" / f"front-latency-on-{name}.svg").is_file()
    assert page.count("never seen</span>") == 1
    command = search_command(found, out="again")
    assert "--devices phone,board" in command
    assert "--unseen server" in command


def test_people_and_programs_are_told_each_front(found: Run, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    rows = device_rows(found)
    assert list(rows) == ["phone", "board", "server"]
    assert [row["trial"] for row in rows["server"]] == [trial.number for trial in found.front_on("server")]
    for part in device_parts(found):
        Console(width=120).print(part)
    told = capsys.readouterr().out
    assert "never seen" in told
    assert f"{rows['phone'][0]['latency_ms']:.6g} ms" in told


def test_a_run_goes_on_with_the_policy_it_learned(
    begin: Callable[..., Run], found: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "run", trials=3)
    monkeypatch.setattr("hwnas.relaxed.Modnas.fit", lambda *_: pytest.fail("it was learned before"))
    longer = begin(tmp_path / "run", trials=8)
    assert trace(longer) == trace(found)
    reopened = open_run(longer.folder)
    assert [trial.number for trial in reopened.front_on("server")] == [t.number for t in found.front_on("server")]


def test_a_run_does_not_go_on_with_other_devices_or_targets(
    begin: Callable[..., Run], found: Run, family: NetworkFamily, devices: Devices
) -> None:
    with pytest.raises(RunMismatchError, match=r"unseen: recorded \['server'\], asked for \[\]"):
        begin(found.folder, devices=open_devices(family, ["phone", "board"]))
    changed = replace(devices, learned=(replace(devices.learned[0], sha256="other"), devices.learned[1]))
    with pytest.raises(RunMismatchError, match="devices_sha256"):
        begin(found.folder, devices=changed)
    with pytest.raises(UsageError, match=r"has a policy for the targets latency: .* for params besides"):
        begin(found.folder, targets=["latency", "params"])


def test_three_objectives_have_fronts_in_all_of_them(begin: Callable[..., Run], tmp_path: Path) -> None:
    run = begin(tmp_path / "run", targets=["latency", "params"], trials=6)
    goals = [goal.name for goal in run.objectives]
    assert goals == ["accuracy", "latency_ms", "params_m"]
    assert all(len(entry["why"]["preference"]) == 3 for entry in run.record.attributes().values())
    trials = run.trials()
    costs = np.array([[-t.values["accuracy"], t.values["latency_ms@phone"], t.values["params_m"]] for t in trials])
    assert len(run.front_on("phone")) == int(non_dominated(costs).sum())


def test_one_device_needs_no_other_and_a_run_of_before_has_but_one(begin: Callable[..., Run], tmp_path: Path) -> None:
    run = begin(tmp_path / "run", devices=None, trials=4)
    assert run.settings.other_devices == ()
    assert len(run.trials()) == 4
    content = json.loads((run.folder / "run.json").read_text())
    assert content["settings"]["devices_sha256"] == ""
    for name in ("devices", "unseen", "devices_sha256"):
        del content["settings"][name]
    content["schema_version"] = 6
    (run.folder / "run.json").write_text(json.dumps(content))
    assert open_run(run.folder).settings == run.settings


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"algorithm": "dca-nas"}, "algorithm dca-nas learns for one device, that of --table: leave --devices out"),
        ({"targets": ["latency", "latency@phone"]}, "neither trades nor limits the latency on a device by its name"),
        ({"inner": "random"}, "algorithm modnas takes no inner searcher, received 'random'"),
        ({"algorithm": "modnass"}, "unknown algorithm 'modnass': .*Did you mean 'modnas'"),
        ({"evaluator": "trained"}, "expected --evaluator tabular, received trained"),
        ({"targets": ["params"]}, "add --target latency"),
        ({"targets": ["latency", "energy"]}, "the energy is known on the device of --table alone"),
        ({"space": "mobilenet:tiny"}, "continuous or depends on another: expected a space of independent choices"),
    ],
)
def test_what_no_policy_can_be_learned_from_is_refused_before_anything_is_written(
    begin: Callable[..., Run], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        begin(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_device_named_twice_is_refused(family: NetworkFamily) -> None:
    with pytest.raises(UsageError, match="device 'phone' is named twice"):
        open_devices(family, ["phone"], unseen=["phone"])
