"""The precision as a choice of the search: fp32 and int8 in one front, and what does not go with it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkFamily
from hwnas.reports import report
from hwnas.spaces import precision_of
from hwnas.study import Run, open_run, search
from hwnas.study.measuring import Doubts
from hwnas.study.precisions import require_precisions
from latency_tables import Coordinates, LatencyTable, TableMismatchError, read_table
from tests.builders import with_int8
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]
BOTH = ("fp32", "int8")
# accuracies are made up here, so which networks make the front is luck: with this seed, some of both precisions
SETTINGS: dict[str, Any] = {"precisions": BOTH, "targets": ["latency", "memory"], "seed": 1}


@pytest.fixture(scope="module")
def both(tiny_table: LatencyTable) -> LatencyTable:
    """int8 is faster for some kernels and slower for others."""
    return with_int8(tiny_table, factor=lambda number: (0.6, 1.3)[number % 2])


@pytest.fixture
def judge(trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTrainer]:
    monkeypatch.setattr("hwnas.evaluators.sources.MixedEvaluator", trainer)
    return trainer


@pytest.fixture(scope="module")
def searched_both(both: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("both") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TrainedEvaluator", "MixedEvaluator"):
            patch.setattr(f"hwnas.evaluators.sources.{name}", FakeTrainer(accuracy_by_id, []))
        search(table=both, out=out, space="mobilenet:tiny", **SETTINGS, trials=12)
    return out


@pytest.fixture
def mixed(searched_both: Path, judge: FakeTrainer, tmp_path: Path) -> Run:
    return open_run(shutil.copytree(searched_both, tmp_path / "run"))


def trace(run: Run) -> list[tuple[str, Mapping[str, float]]]:
    return [(trial.architecture.id, trial.values) for trial in run.record.finished()]


def test_networks_of_both_precisions_stand_in_one_front_each_with_the_costs_of_its_own(mixed: Run) -> None:
    assert {precision_of(trial.architecture) for trial in mixed.front()} == set(BOTH)
    assert mixed.settings.precisions == BOTH
    for trial in mixed.trials():
        known = mixed.costs.values([trial.architecture])
        member = mixed.predictors.by_precision[precision_of(trial.architecture)]
        assert trial.values["memory_mib"] == known["memory_mib"][0]
        assert trial.values["latency_ms"] == known["latency_ms"][0]
        assert mixed.predictors.for_(trial.architecture) is member


def test_the_front_file_says_the_precision_of_each_network_where_there_is_a_choice(mixed: Run, searched: Path) -> None:
    lines = csv.DictReader((mixed.folder / "front.csv").read_text().splitlines())
    assert [(int(line["trial"]), line["precision"]) for line in lines] == [
        (trial.number, precision_of(trial.architecture)) for trial in mixed.front()
    ]
    assert "precision" not in (searched / "front.csv").read_text().splitlines()[0]


def test_such_a_run_goes_on_and_another_choice_of_precisions_is_another_run(
    mixed: Run, begin: Begin, both: LatencyTable, tmp_path: Path
) -> None:
    whole = trace(mixed)
    begin(table=both, **SETTINGS, trials=9, out=tmp_path / "short")
    longer = begin(table=both, **{**SETTINGS, "precisions": BOTH[::-1]}, trials=12, out=tmp_path / "short")
    assert trace(longer) == whole
    with pytest.raises(UsageError, match=r"precisions: recorded \['fp32', 'int8'\], asked for \['fp32'\]"):
        begin(table=both, targets=["latency", "memory"], trials=12)
    assert open_run(mixed.folder).settings == mixed.settings


def test_the_report_tells_precisions_and_how_to_repeat_the_search(mixed: Run) -> None:
    page = report(mixed).read_text(encoding="utf-8")
    assert "--precision fp32,int8" in page
    assert "Latencies of networks in int8 are predicted" in page
    assert "trial 0, " in page
    assert any(f" · {trial.architecture.id} · int8 · " in page for trial in mixed.front())


@pytest.mark.parametrize("algorithm", ["nsga2", "alphax", "tnd-nas"])
def test_every_kind_of_searcher_proposes_both(
    begin: Begin, both: LatencyTable, judge: FakeTrainer, algorithm: str
) -> None:
    run = begin(table=both, precisions=BOTH, algorithm=algorithm, trials=8)
    assert {precision_of(trial.architecture) for trial in run.trials()} == set(BOTH)


def test_a_search_in_int8_alone_proposes_nothing_else(begin: Begin, both: LatencyTable, judge: FakeTrainer) -> None:
    run = begin(table=both, precisions=["int8"], trials=6)
    assert {precision_of(trial.architecture) for trial in run.trials()} == {"int8"}


def test_what_is_measured_of_a_network_in_int8_is_a_model_in_int8(
    begin: Begin, both: LatencyTable, judge: FakeTrainer
) -> None:
    kinds: list[set[str]] = []

    def meter(model: bytes) -> Any:
        kinds.append({node.op_type for node in onnx.load_model_from_string(model).graph.node})
        return SimpleNamespace(
            latency_ms=0.1, min_ms=0.1, median_ms=0.1, iqr_ms=0.0, n=9, noise="ok", uncertainty=0.01,
            provider="FakeProvider", device_speed=1.0,
        )  # fmt: skip

    run = begin(table=both, precisions=["int8"], trials=1)
    Doubts(run, meter)._measure(run.trials()[0].architecture)
    assert ["QuantizeLinear" in kind for kind in kinds] == [True]
    rows = read_table(run.folder / "measured.jsonl").networks
    assert {Coordinates.of(key).precision for key in rows} == {"int8"}
    assert run.trials()[0].architecture.id in open_run(run.folder).measured.latencies


@pytest.mark.parametrize("evaluator", ["supernet", "few-shot", "predictor", "proxy", "tabular"])
def test_evaluators_that_know_fp32_alone_are_refused_before_anything_is_paid_for(evaluator: str) -> None:
    message = f"the evaluator {evaluator} tells the accuracy of networks in fp32 alone, not in fp32,int8: leave"
    with pytest.raises(UsageError, match=message):
        require_precisions(BOTH, evaluator=evaluator, halving=None)
    assert require_precisions(["fp32"], evaluator=evaluator, halving=None) == ("fp32",)


def test_halving_and_unknown_precisions_are_refused(begin: Begin, both: LatencyTable, judge: FakeTrainer) -> None:
    with pytest.raises(UsageError, match="halving compares trainings at their rungs in fp32"):
        begin(table=both, precisions=BOTH, halving=3)
    for wrong in ("int4", "bf16"):
        with pytest.raises(UsageError, match=f"unknown precision '{wrong}': expected one of fp16, fp32, int8"):
            begin(table=both, precisions=["fp32", wrong])
    with pytest.raises(UsageError, match="unknown precision ''"):
        begin(table=both, precisions=[])
    assert judge.evaluated == []


def test_a_table_without_rows_of_the_precision_is_refused_before_anything_is_trained(
    begin: Begin, tiny_table: LatencyTable, judge: FakeTrainer, tmp_path: Path
) -> None:
    with pytest.raises(TableMismatchError, match="--precision int8"):
        begin(table=tiny_table, precisions=BOTH)
    assert judge.evaluated == []
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_warm_start_and_lessons_are_of_the_same_precisions(
    mixed: Run, begin: Begin, both: LatencyTable, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="searched networks in fp32, int8: a search in fp32 cannot begin with its"):
        begin(table=both, out=tmp_path / "other", warm_start=mixed.folder)
    with pytest.raises(UsageError, match="--precision of the earlier run: expected fp32, received fp32,int8"):
        begin(table=both, out=tmp_path / "other", evaluator="predictor", learn_from=mixed.folder)
    again = begin(table=both, precisions=BOTH, out=tmp_path / "other", warm_start=mixed.folder, trials=2)
    assert again.warm is not None
    assert again.warm.results == 12


def by_precision(architecture: Mapping[str, Any]) -> float:
    """A user's own evaluation."""
    found = accuracy_by_id(Architecture(architecture))
    return found - 0.1 * (architecture["precision"] == "int8")


def test_a_function_of_the_users_own_is_told_the_precision(begin: Begin, both: LatencyTable) -> None:
    run = begin(table=both, precisions=BOTH, evaluator=f"{__file__}:by_precision", trials=8)
    for trial in run.trials():
        expected = accuracy_by_id(trial.architecture) - 0.1 * (precision_of(trial.architecture) == "int8")
        assert trial.values["accuracy"] == expected


def test_a_run_of_before_the_choice_is_one_of_fp32(finished: Run, tiny_family: NetworkFamily) -> None:
    path = finished.folder / "run.json"
    content = json.loads(path.read_text())
    del content["settings"]["precisions"], content["settings"]["symmetric_int8"]
    content["schema_version"] = 5
    path.write_text(json.dumps(content))
    assert open_run(finished.folder).settings == finished.settings
    assert open_run(finished.folder).family.space == tiny_family.space
