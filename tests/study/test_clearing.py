"""What trials leave behind goes when nothing can ask for it again, and not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hwnas.core import Architecture, Proposal
from hwnas.spaces import precision_of, without_precision
from hwnas.study import Run, open_run
from hwnas.study.clearing import clear_after
from latency_tables import LatencyTable
from tests.builders import with_int8
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]
BOTH = ("fp32", "int8")


@pytest.fixture(scope="module")
def both(tiny_table: LatencyTable) -> LatencyTable:
    return with_int8(tiny_table, factor=lambda number: (0.6, 1.3)[number % 2])


class Keeping(FakeTrainer):
    """FAKE evaluator that keeps the weights of a network as the one for several precisions does."""

    weights: Path

    def __call__(self, **settings: Any) -> FakeTrainer:
        self.weights = settings.get("weights", Path())
        return self

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        self.weights.mkdir(exist_ok=True)
        for end in ("", ".lock"):
            (self.weights / f"{without_precision(architecture).id}.safetensors{end}").touch()
        return super().evaluate(architecture)


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    fake = Keeping(accuracy_by_id, [])
    monkeypatch.setattr("hwnas.evaluators.sources.MixedEvaluator", fake)
    return fake


def kept(run: Run) -> set[str]:
    """Ids of the networks whose weights are there; a lock goes with them."""
    files = {file.name for file in (run.folder / "weights").iterdir()}
    found = {name.removesuffix(".safetensors") for name in files if name.endswith(".safetensors")}
    assert files == {f"{name}.safetensors{end}" for name in found for end in ("", ".lock")}
    return found


def twin_of(architecture: Architecture) -> Architecture:
    (other,) = set(BOTH) - {precision_of(architecture)}
    return Architecture({**architecture, "precision": other})


def missing_twins(run: Run) -> dict[str, Architecture]:
    """The twin of each network that was evaluated in one precision alone, by the id of the network."""
    known = {trial.architecture for trial in run.trials()}
    return {without_precision(one).id: twin_of(one) for one in known if twin_of(one) not in known}


def test_weights_stay_as_long_as_a_twin_can_be_proposed(begin: Begin, both: LatencyTable, twins: FakeTrainer) -> None:
    settings: dict[str, Any] = {"table": both, "precisions": BOTH, "algorithm": "random"}
    run = open_run(begin(**settings, trials=6).folder)
    first = missing_twins(run)
    assert kept(run) == first.keys() != set()
    for twin in list(first.values())[:2]:
        known = {name: float(values[0]) for name, values in run.costs.values([twin]).items()}
        number = run.record.begin(Proposal(architecture=twin, why={}), known)
        run.record.finish(number, {**known, "accuracy": 0.5})
    run.record.close()
    longer = begin(**settings, trials=10)  # what a process left that was killed right after a trial goes, too
    assert kept(longer) == missing_twins(longer).keys()
    assert len(first.keys() & kept(longer)) == len(first) - 2


def test_weights_do_not_stay_for_twins_that_break_a_limit(
    begin: Begin, tiny_table: LatencyTable, twins: FakeTrainer, tmp_path: Path
) -> None:
    slower = with_int8(tiny_table, factor=lambda _: 2.0)
    settings: dict[str, Any] = {"table": slower, "precisions": BOTH, "algorithm": "random", "trials": 8}
    free = begin(**settings, out=tmp_path / "free")
    limit = sorted(trial.values["latency_ms"] for trial in free.trials())[4]
    run = begin(**settings, limits={"latency_ms": limit})
    possible = {network for network, twin in missing_twins(run).items() if run.limits.feasible([twin])[0]}
    assert kept(run) == possible != missing_twins(run).keys()


def test_weights_stay_though_the_twin_is_expected_to_break_a_limit_at_the_moment(
    begin: Begin, both: LatencyTable, twins: FakeTrainer
) -> None:
    """Measurements of other networks move what is expected, and may move it back."""
    settings: dict[str, Any] = {"table": both, "precisions": BOTH, "algorithm": "random", "trials": 6}
    run = open_run(begin(**settings, limits={"latency_ms": 1e3}).folder)
    there = kept(run)
    assert there == missing_twins(run).keys() != set()
    run.measured.errors += [20.0] * 50
    assert not run.expected_limits.feasible(list(missing_twins(run).values())).any()
    clear_after(run, run.record.finished(), finished=run.record.finished())
    assert kept(run) == there
    run.record.close()


def test_a_network_without_twins_leaves_no_weights(begin: Begin, both: LatencyTable, twins: FakeTrainer) -> None:
    run = begin(table=both, precisions=["int8"], trials=4)
    assert len(twins.evaluated) == 4
    assert kept(run) == set()


def test_the_training_of_a_trial_that_failed_does_not_stay(begin: Begin, trainer: FakeTrainer, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "trainings"

    def under_way(architecture: Architecture) -> float:
        folder.mkdir(exist_ok=True)
        (folder / f"{architecture.id}.safetensors").touch()
        if len(trainer.evaluated) == 3:
            raise ArithmeticError("diverged")
        return accuracy_by_id(architecture)

    trainer.accuracy = under_way
    run = begin(trials=5)
    (failed,) = [trial.architecture.id for trial in run.record.finished() if trial.failed]
    there = {file.stem for file in folder.iterdir()}
    assert there == set(trainer.evaluated) - {failed}  # of the others the trainer takes care itself
