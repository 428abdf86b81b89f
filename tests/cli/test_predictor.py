"""``hwnas predictor evaluate``: what it measures, prints and writes, and what it refuses.

Most tests measure on a device that computes its times, so that the predictions are right and the figures known.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import cli
import profilers
from hwnas.core import Architecture
from hwnas.networks import NetworkFamily, macs_m
from hwnas.predictors import read_evaluation
from hwnas.study import open_run, search
from latency_tables import LatencyTable, read_table, table_sha256, write_table
from tests.conftest import SHORT
from tests.profilers.fakes_backend import PROTOCOL as FAKE_PROTOCOL
from tests.profilers.fakes_backend import FakeBackend

FEW = ("--networks", "6", "--rounds", "2")


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Hwnas = Callable[..., Answer]


@pytest.fixture
def hwnas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, short_protocol: None
) -> Hwnas:
    """Runs the command line in a temporary folder and gives its status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hwnas", "predictor", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Answer(int(caught.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def fake_table(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of ``mobilenet:tiny`` measured on the fake device, whose latencies are sums of kernels and a call."""
    out = tmp_path_factory.mktemp("fake") / "fake.jsonl"
    settings = profilers.CampaignSettings(
        space=tiny_family.space.name, protocol=replace(FAKE_PROTOCOL, rounds=2, most_rounds=2), steps=False
    )
    profilers.profile(
        tiny_family.workloads(), tiny_family.references(), backend=FakeBackend(), out=out, settings=settings
    )
    return out


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, fake_table: Path, tmp_path: Path) -> FakeBackend:
    """The fake device in place of this machine's, and its table as ``fake.jsonl`` in the folder of the command."""
    shutil.copy(fake_table, tmp_path / "fake.jsonl")
    backend = FakeBackend()
    monkeypatch.setattr(profilers, "open_device_of", lambda manifest, device="auto": backend)
    monkeypatch.setattr(profilers, "open_device", lambda name="auto", **settings: backend)
    return backend


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch, fake_table: Path, tiny_family: NetworkFamily, tmp_path: Path) -> Path:
    """A run of 12 trials on the fake device's table, none of them trained."""

    class FakeTrainer:
        def __init__(self, **settings: Any) -> None:
            pass

        def evaluate(self, architecture: Architecture) -> dict[str, float]:
            return {"accuracy": macs_m(tiny_family.blocks(architecture)) ** 0.1 / 2, "train_s": 0.0}

    monkeypatch.setattr("hwnas.evaluators.sources.TrainedEvaluator", FakeTrainer)
    run = search(table=fake_table, out=tmp_path / "run", space="mobilenet:tiny", trials=12)
    run.record.close()
    return run.folder


TINY = ("--space", "mobilenet:tiny", "--table", "fake.jsonl", *FEW)


def test_a_device_that_is_a_sum_is_predicted_right_and_the_files_say_so(hwnas: Hwnas, device: FakeBackend) -> None:
    answer = hwnas(*TINY, "--json")
    assert answer.status == 0, answer.err
    result = json.loads(answer.out)
    for group in ("random", "front"):
        assert result["groups"][group]["estimates"]["table"]["mape"] < 0.01
        assert result["groups"][group]["estimates"]["table"]["kendall"] > 0.9
    assert result["groups"]["random"]["networks"] == 6
    assert result["files"] == ["runs/evaluation/evaluation.json", "runs/evaluation/evaluation.html"]
    written = read_evaluation(Path("runs/evaluation/evaluation.json"))
    assert written.to_json() == {name: value for name, value in result.items() if name != "files"}
    assert written.about.table == "fake.jsonl"
    assert written.about.table_sha256 == table_sha256(read_table("fake.jsonl"))
    assert {path.name for path in Path("runs/evaluation").iterdir()} == {"evaluation.json", "evaluation.html"}


def test_networks_of_all_kinds_are_measured_in_the_same_rounds(
    hwnas: Hwnas, device: FakeBackend, tiny_family: NetworkFamily
) -> None:
    assert hwnas(*TINY).status == 0
    counts = {count for (kind, _), count in device.measured.items() if kind == "time"}
    assert counts == {2}
    networks = json.loads(Path("runs/evaluation/evaluation.json").read_text())["networks"]
    assert len(device.measured) == len(tiny_family.references()) + len(networks)


def test_people_get_a_table_of_figures_beside_the_noise(hwnas: Hwnas, device: FakeBackend) -> None:
    answer = hwnas(*TINY)
    words = re.sub(r"[\s│┃]+", " ", answer.out)
    for expected in (
        "Random networks (6)",
        "Chosen networks",
        "flops",
        "noise",
        "Kendall",
        "evaluation.html",
        "times as long as when",
    ):
        assert expected in words
    assert "profiling evaluation.json" in answer.err


def test_the_same_seed_measures_the_same_networks(hwnas: Hwnas, device: FakeBackend) -> None:
    ids = []
    for seed in (1, 1, 2):
        assert hwnas(*TINY, "--seed", seed).status == 0
        ids.append([one.id for one in read_evaluation(Path("runs/evaluation/evaluation.json")).networks])
    assert ids[0] == ids[1] != ids[2]


def test_without_a_table_the_devices_own_is_made_first(hwnas: Hwnas, device: FakeBackend) -> None:
    assert hwnas("--space", "mobilenet:tiny", *FEW, "--batch", "2").status == 0
    (table,) = Path("hwnas-tables").glob("*.jsonl")
    assert read_table(table).manifest.batches == (2,)
    found = read_evaluation(Path("runs/evaluation/evaluation.json"))
    assert (found.about.table, found.about.batch) == (str(table), 2)


# --- bounds


def test_met_bounds_are_recorded_and_exit_0(hwnas: Hwnas, device: FakeBackend) -> None:
    answer = hwnas(*TINY, "--max-mape", "0.5", "--min-kendall", "0.1", "--json")
    assert answer.status == 0
    assert [gate["passed"] for gate in json.loads(answer.out)["gates"]] == [True] * 4


def test_a_missed_bound_exits_4_with_everything_written(hwnas: Hwnas, device: FakeBackend) -> None:
    device.slowdown = lambda moment: 1.3  # since the table was made
    missed = hwnas(*TINY, "--max-mape", "0.1")
    assert missed.status == 4
    assert re.search(
        r"MAPE of the estimate 'table' on the random networks is 2\d\.\d\d%, expected at most 10\.00%", missed.err
    )
    assert "evaluation.json" in missed.err
    assert "Random networks" in missed.out
    gates = read_evaluation(Path("runs/evaluation/evaluation.json")).gates
    assert [gate.passed for gate in gates] == [False, False]
    assert Path("runs/evaluation/evaluation.html").exists()
    assert hwnas(*TINY, "--max-mape", "0.1", "--gate-on", "session").status == 0


# --- a run


def test_the_front_of_a_run_is_measured_and_shown_in_its_report(
    hwnas: Hwnas, device: FakeBackend, finished: Path
) -> None:
    answer = hwnas("--run", finished, *FEW, "--json")
    assert answer.status == 0, answer.err
    front = {trial.architecture.id for trial in open_run(finished).front()}
    found = read_evaluation(finished / "evaluation.json")
    assert {one.id for one in found.networks if one.group == "front"} == front
    assert found.about.front == f"the front of {finished}, found by lamoo"
    assert found.about.table == str(finished / "latency_table.jsonl")
    sys.argv = ["hwnas", "report", str(finished)]
    with pytest.raises(SystemExit):
        cli.main()
    assert 'id="evaluation"' in (finished / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--space", "nasbench201"),
            r"is a run of mobilenet:tiny \(1 channel, 10 classes\), asked for was nasbench201",
        ),
        (("--data", "colour.npz"), r"asked for was mobilenet:tiny \(3 channels, 3 classes\).*leave --space and --data"),
    ],
)
def test_a_run_of_another_space_or_other_data_is_refused(
    hwnas: Hwnas, device: FakeBackend, finished: Path, arguments: tuple[str, ...], message: str
) -> None:
    images, labels = np.zeros((60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 3
    np.savez("colour.npz", images=images + np.arange(60, dtype=np.uint8)[:, None, None, None], labels=labels)
    refused(hwnas("--run", finished, *FEW, *arguments), message, device)


# --- what is refused before anything is measured


def refused(answer: Answer, message: str, device: FakeBackend | None = None, *, status: int = 2) -> None:
    assert answer.status == status, answer.err
    assert re.search(message, answer.err), answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert device is None or not device.calls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gate-on", "noise"), "--gate-on: expected one of table, session, received 'noise'"),
        (("--max-mape", "0"), "expected a bound of the MAPE above 0"),
        (("--min-kendall", "2"), "expected a bound of Kendall's tau"),
        (("--precision", "fp8"), "unknown precision 'fp8'"),
        (("--precision", "int8"), "no rows for batch 1, int8.*hwnas profile --batch 1 --precision int8"),
        (("--batch", "8"), "no rows for batch 8, fp32"),
        (("--networks", "2"), "--networks"),
        (("--rounds", "1"), "--rounds"),
        (("--run", "nowhere"), "nowhere is no run folder"),
        (("--table", "nowhere.jsonl"), "expected the path of a table .*received 'nowhere.jsonl'"),
        (("--space", "mobilnet"), "unknown space 'mobilnet'"),
        (("--space", "nasbench201"), "the table holds no block"),
    ],
)
def test_a_users_mistake_is_one_message_and_nothing_is_measured(
    hwnas: Hwnas, device: FakeBackend, arguments: tuple[str, ...], message: str
) -> None:
    refused(hwnas(*TINY, *arguments), message, device)


def test_a_table_of_another_device_is_refused_with_the_cure(hwnas: Hwnas, device: FakeBackend) -> None:
    device.conditions = {**device.conditions, "chip": "another"}
    answer = hwnas(*TINY)
    refused(answer, "chip: here 'another', in the table 'one'.*Make a new one with `hwnas profile`", device)
    assert "--allow-other-device" not in answer.err


def test_a_table_without_whole_networks_will_do_and_is_not_believed(hwnas: Hwnas, device: FakeBackend) -> None:
    table = read_table("fake.jsonl")
    write_table(LatencyTable(table.manifest, table.kernels, table.blocks), "bare.jsonl")
    answer = hwnas(*TINY, "--table", "bare.jsonl")
    assert answer.status == 0
    assert "holds the latency of 0 of the 20 networks" in re.sub(r"\s+", " ", answer.out)


def test_an_unwritable_folder_is_named_before_anything_is_measured(hwnas: Hwnas, device: FakeBackend) -> None:
    Path("file").write_text("in the way")
    refused(hwnas(*TINY, "--out", "file/here"), "file/here", device, status=3)


# --- the real runtime


def test_on_this_machine_from_the_table_to_the_page(hwnas: Hwnas, measured_tiny: Path) -> None:
    answer = hwnas("--space", "mobilenet:tiny", "--table", measured_tiny, "--device", "cpu", *FEW, "--batch", "8")
    assert answer.status == 0, answer.err
    found = read_evaluation(Path("runs/evaluation/evaluation.json"))
    assert found.about.protocol["timed_runs"] == SHORT.timed_runs
    assert all(one.truth_ms > 0 and one.predicted_ms["table"] > 0 for one in found.networks)
    assert found.groups["random"].noise.mape >= 0
    assert "How good the predictions are" in Path("runs/evaluation/evaluation.html").read_text(encoding="utf-8")
