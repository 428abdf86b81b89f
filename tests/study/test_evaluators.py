"""Searches by estimates: the best candidates are trained, and rank by that; nothing is trained twice."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hwnas.core import Architecture, DataError, MachineError, RunMismatchError, UsageError
from hwnas.evaluators import EvaluatorSource, ProxyEvaluator, require_judge
from hwnas.executors import ExecutorSettings
from hwnas.networks import network_family
from hwnas.reports import report
from hwnas.reports.commands import search_command
from hwnas.spaces import architecture_string, nasbench201_space
from hwnas.study import Run, SearchProgress, open_run
from hwnas.training import ImageData, Recipe, Split, TrainingDivergedError, load_data
from latency_tables import resolve
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]


class Guess:
    """Stands for an evaluator with shared weights: the truth, with the ranks turned round."""

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        return {"accuracy": 1 - accuracy_by_id(architecture)}


@pytest.fixture
def guess(begin: Begin, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch) -> Begin:
    honest = EvaluatorSource.made

    def made(self: EvaluatorSource, *arguments: object, **named: object) -> object:
        return Guess() if self.name == "supernet" else honest(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(EvaluatorSource, "made", made)
    return lambda **changes: begin(**{"evaluator": "supernet", "algorithm": "mutation", "trials": 40, **changes})


def test_the_front_is_that_of_the_candidates_that_were_trained(guess: Begin, trainer: FakeTrainer) -> None:
    run = guess()
    trained = run.retrained.accuracies()
    assert {run.pick(str(number)).architecture.id for number in trained} == set(trainer.evaluated)
    assert len(trained) == len(trainer.evaluated) <= 24
    assert {trial.number for trial in run.front()} <= set(trained)
    for trial in run.front():
        assert trial.values["accuracy"] == accuracy_by_id(trial.architecture)
        assert trial.values["estimated_accuracy"] == 1 - accuracy_by_id(trial.architecture)
    rows = list(csv.DictReader((run.folder / "front.csv").read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == [trial.values["accuracy"] for trial in run.front()]


def test_what_is_trained_is_not_trained_again_and_a_larger_budget_trains_what_is_new(
    guess: Begin, trainer: FakeTrainer
) -> None:
    before = guess(trials=15).retrained.accuracies()
    guess(trials=15)
    assert len(trainer.evaluated) == len(before)
    after = guess(trials=40).retrained.accuracies()
    assert before.items() <= after.items()
    assert len(trainer.evaluated) == len(set(trainer.evaluated)) == len(after)


def test_the_training_of_the_winners_goes_on_where_it_was_cut_off(guess: Begin, trainer: FakeTrainer) -> None:
    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 3:
            raise KeyboardInterrupt
        return accuracy_by_id(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        guess()
    trainer.accuracy = accuracy_by_id
    seen: list[SearchProgress] = []
    run = guess(on_progress=seen.append)
    assert [progress.stage for progress in seen] == ["winners"] * (len(run.retrained.accuracies()) - 1)
    assert [progress.done for progress in seen] == list(range(len(run.retrained.accuracies()) - 1))
    assert len(set(trainer.evaluated)) == len(run.retrained.accuracies())


def test_a_winner_that_cannot_be_trained_is_left_out_with_the_reason(guess: Begin, trainer: FakeTrainer) -> None:
    def diverges(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 2:
            raise TrainingDivergedError("the loss became nan")
        return accuracy_by_id(architecture)

    trainer.accuracy = diverges
    run = guess()
    assert list(run.retrained.failures().values()) == ["TrainingDivergedError: the loss became nan"]
    assert not run.retrained.failures().keys() & {trial.number for trial in run.front()}
    guess()
    assert len(trainer.evaluated) == len(run.retrained.accuracies()) + 1


def test_the_report_says_which_accuracies_are_estimates(guess: Begin) -> None:
    run = guess()
    page = report(run).read_text()
    assert f"of {len(run.retrained.accuracies())} trials found by training, which alone make the front" in page
    assert "--evaluator supernet" in page


def test_a_run_does_not_go_on_with_another_evaluator(guess: Begin) -> None:
    guess(trials=3)
    with pytest.raises(RunMismatchError, match="evaluator: recorded 'supernet', asked for 'trained'"):
        guess(trials=3, evaluator="trained")
    with pytest.raises(UsageError, match=r"unknown evaluator 'supernets'.*Did you mean 'supernet'"):
        guess(evaluator="supernets")


def test_a_function_finds_the_accuracies_here_and_in_other_processes(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def quality(architecture):\n    return {'accuracy': 0.5 + len(architecture) / 1000, 'mine': 7}\n"
    )
    function = f"{tmp_path / 'mine.py'}:quality"
    two = ExecutorSettings(name="processes", workers=2)
    for name, where in (("here", None), ("there", two)):
        run = begin(evaluator=function, algorithm="random", trials=4, executor=where, out=tmp_path / name)
        assert all(
            trial.values["accuracy"] == 0.5 + len(trial.architecture) / 1000 and trial.values["mine"] == 7
            for trial in run.front()
        )
    with pytest.raises(UsageError, match="has no function 'other': it has quality"):
        begin(evaluator=f"{tmp_path / 'mine.py'}:other", out=tmp_path / "other")


def test_a_search_by_scores_before_training_trains_its_winners(
    begin: Begin, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = partial(ProxyEvaluator, scores=("naswot",), sample=4)
    monkeypatch.setattr("hwnas.evaluators.sources.ProxyEvaluator", quick)
    run = begin(evaluator="proxy", algorithm="random", trials=6)
    assert set(trainer.evaluated) == {run.pick(str(number)).architecture.id for number in run.retrained.accuracies()}
    for trial in run.front():
        assert trial.values["accuracy"] == accuracy_by_id(trial.architecture)
        assert 0 < trial.values["estimated_accuracy"] < 1
    trials = run.trials()
    by_score = sorted(trials, key=lambda trial: trial.values["proxy_score"])
    assert by_score == sorted(trials, key=lambda trial: trial.values["accuracy"])
    command = search_command(run, out="out")
    assert "--evaluator proxy" in command
    assert "--supernet-epochs" not in command


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """A made-up table of NAS-Bench-201 in a data folder: a cell's number in 20,000ths, on test images half of it."""
    found = list(nasbench201_space().enumerate())
    percent = [index / 200 for index in range(len(found))]
    columns = {"arch_str": [architecture_string(cell) for cell in found]}
    columns |= {"cifar10_valid_acc_200": percent, "cifar10_test_acc_200": [one / 2 for one in percent]}  # type: ignore[dict-item]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data" / "nasbench201.parquet")
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path / "data"))
    return found


@pytest.mark.parametrize("data", ["cifar10", "torchvision:CIFAR10?root=there"])
def test_space_and_data_choose_the_published_accuracy(cells: list[Architecture], tmp_path: Path, data: str) -> None:
    recipe = Recipe(epochs=1)
    source = EvaluatorSource(
        name="tabular", space="nasbench201", data=data, data_sha256="", recipe=recipe, supernet_epochs=1, seed=0,
        folder=tmp_path,
    )  # fmt: skip
    evaluator = source.made(load_data("digits"), network_family("nasbench201"))
    for index in (0, 4711, 15_624):
        found = evaluator.evaluate(cells[index])
        assert found["accuracy"] == pytest.approx(index / 20_000)
        assert found["published_test_accuracy"] == pytest.approx(index / 40_000)
    with pytest.raises(DataError, match="expected the columns cifar100_valid_acc_200, cifar100_test_acc_200"):
        require_judge("tabular", family=network_family("nasbench201"), data="torchvision:CIFAR100")


@pytest.mark.science
def test_a_search_by_a_table_of_published_accuracies_trains_nothing(
    begin: Begin, trainer: FakeTrainer, cells: list[Architecture]
) -> None:
    rng = np.random.default_rng(0)
    part = Split(rng.integers(0, 255, (20, 32, 32, 3), dtype=np.uint8), np.arange(20) % 10)
    names = tuple(map(str, range(10)))
    data = ImageData(name="cifar10", class_names=names, train=part, validation=part, test=part)
    shipped = resolve("h100-ortcuda-nasbench201-fp32")
    run = begin(evaluator="tabular", space="nasbench201", data=data, table=shipped, algorithm="random", trials=8)
    assert trainer.evaluated == []
    for trial in run.trials():
        index = cells.index(trial.architecture)
        assert trial.values["accuracy"] == pytest.approx(index / 20_000)
        assert trial.values["published_test_accuracy"] == pytest.approx(index / 40_000)
    assert run.front()


def test_a_search_by_a_table_is_refused_where_there_is_none(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match="no table holds accuracies of space mobilenet:tiny on data digits: expected"
    ) as e:
        begin(evaluator="tabular")
    assert "--space nasbench201 --data cifar10, --space nasbench201 --data torchvision:CIFAR10" in str(e.value)
    monkeypatch.delenv("HWNAS_DATA", raising=False)
    with pytest.raises(MachineError, match="HWNAS_DATA"):
        require_judge("tabular", family=network_family("nasbench201"), data="torchvision:CIFAR100?root=x")


@pytest.mark.parametrize("name", ["supernet", "few-shot"])
def test_a_search_by_shared_weights_runs_to_its_end_for_real(begin: Begin, name: str) -> None:
    run = begin(evaluator=name, supernet_epochs=1, algorithm="random", trials=4)
    assert run.retrained.accuracies()
    assert (run.folder / name).is_dir()
    assert len(open_run(run.folder).front()) == len(run.front()) > 0
