"""A search whose targets and limits are latencies on several devices at once, whatever proposes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwnas.commands.devices import device_parts
from hwnas.commands.winners import front_rows
from hwnas.core import InfeasibleError, RunMismatchError, UsageError, cost_matrix
from hwnas.networks import NetworkFamily
from hwnas.pareto import non_dominated
from hwnas.predictors import device_name, needs_pool
from hwnas.reports import report
from hwnas.reports.commands import search_command
from hwnas.study import Devices, Run, open_devices, open_run, preview
from latency_tables import BlockRow, LatencyTable, MissingRowError, read_table, write_table
from tests.builders import made_up_table

Begin = Callable[..., Run]
BOARD = "latency_ms@board"


@pytest.fixture(scope="module")
def board(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of a device that ranks networks otherwise: large blocks cost least there."""
    folder = tmp_path_factory.mktemp("tables")
    return write_table(
        made_up_table(tiny_family, seed=7, device=lambda sum_ms, n: 2.0 - sum_ms), folder / "board.jsonl"
    )


@pytest.fixture(scope="module")
def devices(tiny_family: NetworkFamily, board: Path) -> Devices:
    return open_devices(tiny_family, [str(board)], described=False)


def middle_ms(family: NetworkFamily, devices: Devices) -> float:
    """What half of the space takes at most on the board."""
    return float(np.median(devices.latencies["board"].predict(family.space.listed)[0]))


@pytest.mark.parametrize("algorithm", ["lamoo", "nsga2", "random"])
def test_a_limit_on_another_device_holds_of_every_trial(
    begin: Begin, devices: Devices, tiny_family: NetworkFamily, algorithm: str
) -> None:
    limit = middle_ms(tiny_family, devices)
    run = begin(devices=devices, algorithm=algorithm, targets=["latency", "latency@board"], limits={BOARD: limit})
    trials = run.trials()
    there = devices.latencies["board"].predict([trial.architecture for trial in trials])[0]
    assert [trial.values[BOARD] for trial in trials] == pytest.approx(there.tolist())
    assert len(trials) == 15
    assert there.max() <= limit
    assert run.reference[BOARD] == pytest.approx(1.1 * limit)


def test_the_front_is_of_both_devices_and_holds_the_front_of_each(begin: Begin, devices: Devices) -> None:
    run = begin(devices=devices, targets=["latency", "latency@board"])
    trials = run.trials()
    joint = {trial.number for trial in run.front()}
    costs = cost_matrix(trials, run.objectives)
    assert [goal.name for goal in run.objectives] == ["accuracy", "latency_ms", BOARD]
    assert joint == {trial.number for trial, good in zip(trials, non_dominated(costs), strict=True) if good}
    alone = {trial.number for trial in run.front_on("board")}
    assert [goal.name for goal in run.objectives_on("board")] == ["accuracy", BOARD]
    assert alone <= joint
    fastest = {min(trials, key=lambda t, at=at: t.values[at]).number for at in ("latency_ms", BOARD)}  # type: ignore[misc]
    assert len(fastest) == 2, "the two devices disagree"
    assert fastest <= joint


def test_a_device_that_is_no_target_has_a_front_all_the_same(begin: Begin, devices: Devices) -> None:
    run = begin(devices=devices, targets=["params"])
    assert [goal.name for goal in run.objectives_on("board")] == ["accuracy", BOARD, "params_m"]
    assert (run.folder / "front@board.csv").read_text().startswith("trial,id,accuracy,latency_ms,latency_ms@board")


def test_the_run_goes_on_with_the_device_as_a_target_and_not_with_another_table(
    begin: Begin, devices: Devices, tiny_family: NetworkFamily, tiny_table: LatencyTable, tmp_path: Path
) -> None:
    begin(devices=devices, trials=6)
    run = begin(devices=devices, trials=8, targets=["latency", "latency@board"])
    assert set(run.reference) == {"accuracy", "latency_ms", BOARD}
    reopened = open_run(run.folder)
    assert [trial.number for trial in reopened.front()] == [trial.number for trial in run.front()]
    assert reopened.hypervolume(reopened.trials()) == run.hypervolume(run.trials()) > 0
    with pytest.raises(UsageError, match="nothing says how long networks take on phone"):
        begin(devices=devices, targets=["latency", "latency@board", "latency@phone"])
    with pytest.raises(RunMismatchError, match="devices"):
        begin(trials=9)
    other = open_devices(tiny_family, [f"board={write_table(tiny_table, tmp_path / 'other.jsonl')}"], described=False)
    with pytest.raises(RunMismatchError, match="devices_sha256"):
        begin(devices=other, trials=9)


def test_the_report_tells_targets_and_limits_by_their_device(
    begin: Begin, devices: Devices, board: Path, tiny_family: NetworkFamily, tmp_path: Path
) -> None:
    limit = middle_ms(tiny_family, devices)
    run = begin(devices=devices, targets=["latency", "latency@board"], limits={BOARD: limit})
    page = report(run, figures=tmp_path / "figures").read_text(encoding="utf-8")
    assert "accuracy against latency and latency on board" in page
    assert "latency on board at most" in page
    assert "nothing was measured there" in page
    assert "learned for all devices" not in page
    assert (tmp_path / "figures" / "parallel.svg").is_file()
    command = search_command(run, out="again")
    for words in (f"--devices {board}", "--target latency@board", f"--max-latency board={limit!r}ms"):
        assert words in command
    assert len(device_parts(run)) == 1
    assert [row[BOARD] for row in front_rows(run)] == [trial.values[BOARD] for trial in run.front()]
    header = page[page.index("Front as a table") :]
    assert "Latency on board" in header[: header.index("</thead>")]


def test_a_limit_that_nothing_keeps_is_refused_with_what_can_be_reached_there(
    begin: Begin, devices: Devices, tiny_family: NetworkFamily, tiny_table: LatencyTable
) -> None:
    least = float(devices.latencies["board"].predict(tiny_family.space.listed)[0].min())
    with pytest.raises(InfeasibleError, match=r"--max-latency board=1e-06ms: the smallest reachable value is [\d.]+ms"):
        begin(devices=devices, limits={BOARD: 1e-6})
    with pytest.raises(InfeasibleError, match=r"--max-latency 1e-06ms: .*With the others as they are it") as caught:
        begin(devices=devices, limits={BOARD: 1.01 * least, "latency_ms": 1e-6})
    assert caught.value.nearest[BOARD] == pytest.approx(least)
    found = preview(tiny_family, table=tiny_table, limits={BOARD: least}, devices=devices)
    assert {"latency_ms", BOARD} <= {reach.cost for reach in found.reaches}
    assert found.limited[0].device == "board"
    assert found.limited[0].target == "latency"


def test_devices_have_the_name_of_their_file_or_the_one_they_are_given(
    tiny_family: NetworkFamily, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device_name(str(board)) == "board"
    assert device_name(f"jetson={board}") == "jetson"
    found = open_devices(tiny_family, [str(board), f"jetson={board}"], described=False)
    assert list(found.latencies) == ["board", "jetson"]
    with pytest.raises(UsageError, match=r"device 'board' is named twice: .* NAME=TABLE"):
        open_devices(tiny_family, [str(board), f"board={board}"], described=False)
    with pytest.raises(UsageError, match="name without a slash, as files are named by it, received 'a/b'"):
        open_devices(tiny_family, [f"a/b={board}"], described=False)
    rows = read_table(board)
    some = [row for row in rows.rows() if not (isinstance(row, BlockRow) and "k=5" in row.key)]
    lacking = write_table(LatencyTable.from_rows(rows.manifest, some), tmp_path / "half.jsonl")
    with pytest.raises(MissingRowError, match=r"That is \S+half\.jsonl, the table of phone: measure what is missing"):
        open_devices(tiny_family, [f"phone={lacking}"], described=False)
    with pytest.raises(UsageError, match=r"unknown device 'nowhere.jsonl': expected one of TABLE.jsonl"):
        open_devices(tiny_family, ["nowhere.jsonl"], described=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.jsonl").write_bytes(board.read_bytes())
    assert device_name("a=b.jsonl") == "a=b"


def test_only_names_of_a_pool_need_one(board: Path) -> None:
    assert not needs_pool([str(board)], space="nasbench201")
    assert not needs_pool(["h100-ortcuda-nasbench201-fp32"], space="nasbench201")
    assert needs_pool(["pixel3"], space="nasbench201")
    assert not needs_pool(["pixel3"], space="mobilenet:tiny"), "what is wrong with it is said of a table"
    assert needs_pool(["timed.csv"], space="mobilenet:tiny")
