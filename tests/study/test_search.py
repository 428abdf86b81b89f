"""The study: what is recorded, what is refused, and what a crash costs."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from filelock import FileLock

from hwnas.commands.winners import failed_rows, front_parts
from hwnas.core import (
    Architecture,
    InfeasibleError,
    MachineError,
    RunMismatchError,
    StudyError,
    UsageError,
)
from hwnas.networks import NetworkFamily
from hwnas.pareto import non_dominated
from hwnas.reports import report
from hwnas.study import Run, SearchProgress, open_run
from hwnas.training import Recipe, TrainingDivergedError
from latency_tables import LatencyTable, MissingRowError, Row, TableMismatchError, keyed
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]


def trace(run: Run) -> list[tuple[str, dict[str, float]]]:
    return [(t.architecture.id, {k: v for k, v in t.values.items() if k != "train_s"}) for t in run.record.finished()]


def test_the_same_seed_gives_the_same_trace_and_another_seed_another(begin: Begin, tmp_path: Path) -> None:
    traces = [trace(begin(out=tmp_path / str(i), seed=seed)) for i, seed in enumerate((1, 1, 2))]
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]


def test_every_trial_holds_the_known_costs_and_why_it_was_proposed(finished: Run) -> None:
    run = finished
    assert len(run.trials()) == 15
    for trial in run.trials():
        known = run.costs.values([trial.architecture])
        assert {name: trial.values[name] for name in known} == {n: pytest.approx(v[0]) for n, v in known.items()}
        assert "inner" in run.record.attributes()[trial.number]["why"]


@pytest.mark.parametrize("stop", [0, 3, 9, 14])
def test_a_search_stopped_in_the_middle_of_a_trial_resumes_to_the_uninterrupted_one(
    begin: Begin, trainer: FakeTrainer, searched: Path, tmp_path: Path, stop: int
) -> None:
    whole = trace(open_run(searched))

    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == stop + 1:
            raise KeyboardInterrupt
        return accuracy_by_id(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        begin(out=tmp_path / "cut")
    assert len(open_run(tmp_path / "cut").record.finished()) == stop
    assert (tmp_path / "cut" / "front.csv").exists()
    trainer.accuracy = accuracy_by_id
    assert trace(begin(out=tmp_path / "cut")) == whole


@pytest.mark.parametrize(
    ("algorithm", "inner", "recorded"),
    [("lamoo", None, "grey-ehvi"), ("lanas", "mutation", "mutation"), ("alphax", None, None)],
)
def test_the_inner_searcher_is_recorded_as_it_was_used(
    begin: Begin, algorithm: str, inner: str | None, recorded: str | None
) -> None:
    run = begin(algorithm=algorithm, inner=inner, trials=13)
    assert open_run(run.folder).settings.inner == recorded
    assert len(run.trials()) == 13
    if recorded is not None:
        begin(algorithm=algorithm, inner=recorded, trials=13)  # named or by default, it is the same run
        with pytest.raises(RunMismatchError, match=f"inner: recorded '{recorded}', asked for 'random'"):
            begin(algorithm=algorithm, inner="random", trials=13)


def test_an_inner_searcher_that_cannot_be_used_is_refused_before_anything_is_read(begin: Begin) -> None:
    with pytest.raises(UsageError, match="random takes no inner searcher"):
        begin(algorithm="random", inner="mutation", table="nowhere")


def test_a_finished_run_evaluates_nothing_more(finished: Run, begin: Begin, trainer: FakeTrainer) -> None:
    seen: list[SearchProgress] = []
    begin(on_progress=seen.append)
    assert trainer.evaluated == []
    assert [p.done for p in seen] == [15]


@pytest.mark.parametrize(
    ("change", "name"),
    [({"seed": 5}, "seed"), ({"algorithm": "la-mcts", "inner": "grey-ehvi"}, "algorithm"),
     ({"targets": ["flops"]}, "targets"), ({"limits": {"params_m": 1.0}}, "limits")],
)  # fmt: skip
def test_other_settings_than_the_recorded_ones_are_refused_and_named(
    finished: Run, begin: Begin, change: dict[str, object], name: str
) -> None:
    with pytest.raises(RunMismatchError, match=rf"{name}: recorded .*, asked for .*another --out") as caught:
        begin(**change)
    assert list(caught.value.differences) == [name]
    assert caught.value.exit_code == 2


def test_a_budget_is_extended_as_if_it_had_been_so_from_the_beginning(
    finished: Run, begin: Begin, trainer: FakeTrainer, tmp_path: Path
) -> None:
    run = begin(trials=19)
    assert len(trainer.evaluated) == 4
    assert open_run(run.folder).settings.trials == 19
    assert trace(run) == trace(begin(trials=19, out=tmp_path / "whole"))
    with pytest.raises(UsageError, match="has 19 finished trials: expected at least as many, received 15"):
        begin(trials=15)


def test_another_space_or_shape_of_data_is_named_as_such_and_not_as_a_gap_in_the_table(
    finished: Run, begin: Begin, tmp_path: Path
) -> None:
    np.savez(tmp_path / "colour.npz", images=np.zeros((40, 8, 8, 3), dtype=np.uint8), labels=np.arange(40) % 2)
    with pytest.raises(RunMismatchError, match="space: recorded 'mobilenet:tiny', asked for 'mobilenet:small'"):
        begin(space="mobilenet:small")
    with pytest.raises(RunMismatchError, match="channels: recorded 1, asked for 3"):
        begin(data=str(tmp_path / "colour.npz"))


def test_another_table_is_refused(finished: Run, begin: Begin, tiny_table: LatencyTable) -> None:
    kernels = dict(tiny_table.kernels)
    kernels.popitem()
    with pytest.raises((RunMismatchError, MissingRowError)):
        begin(table=LatencyTable(tiny_table.manifest, kernels, tiny_table.blocks, tiny_table.networks))


def test_a_table_of_another_batch_or_precision_is_refused_before_anything_is_evaluated(
    begin: Begin, trainer: FakeTrainer, tiny_table: LatencyTable, tmp_path: Path
) -> None:
    for batch, precision in ((8, "fp32"), (1, "int8")):
        renamed: list[Row] = [
            replace(row, key=keyed(row.key, batch=batch, precision=precision)) for row in tiny_table.blocks.values()
        ]
        other = LatencyTable.from_rows(tiny_table.manifest, [*tiny_table.kernels.values(), *renamed])
        with pytest.raises(TableMismatchError, match=f"no rows for batch 1, fp32: it has batch {batch}, {precision}"):
            begin(table=other)
    assert trainer.evaluated == []
    assert not (tmp_path / "run").exists()


def test_an_impossible_limit_is_refused_before_anything_is_evaluated(begin: Begin, trainer: FakeTrainer) -> None:
    with pytest.raises(InfeasibleError, match="smallest reachable value is") as caught:
        begin(limits={"latency_ms": 1e-6})
    assert trainer.evaluated == []
    nearest = caught.value.nearest["latency_ms"]
    run = begin(limits={"latency_ms": nearest * 1.05})
    assert all(t.values["latency_ms"] <= nearest * 1.05 for t in run.trials())


def test_limits_hold_for_every_trial(begin: Begin) -> None:
    run = begin(limits={"flops_m": 0.5, "params_m": 0.012}, trials=20)
    assert len(run.trials()) == 20
    assert all(t.values["flops_m"] <= 0.5 and t.values["params_m"] <= 0.012 for t in run.trials())


def test_a_failing_trial_is_kept_with_its_reason_and_the_search_goes_on(begin: Begin, trainer: FakeTrainer) -> None:
    def sometimes(architecture: Architecture) -> float:
        if len(trainer.evaluated) in {2, 6}:
            raise TrainingDivergedError("the loss became nan")
        return accuracy_by_id(architecture)

    trainer.accuracy = sometimes
    run = begin()
    finished = run.record.finished()
    assert len(finished) == 15
    assert [t.failed for t in finished if t.failed] == ["TrainingDivergedError: the loss became nan"] * 2
    failed = next(t for t in finished if t.failed)
    assert [row["reason"] for row in failed_rows(run)] == ["TrainingDivergedError: the loss became nan"] * 2
    told = f"2 trials failed; trial {failed.number}: TrainingDivergedError: the loss became nan"
    assert told in front_parts(run, run.folder / "report.html")
    for name in (str(failed.number), failed.architecture.id):
        with pytest.raises(UsageError, match=f"trial {failed.number} of .* failed, TrainingDivergedError"):
            run.pick(name)
    assert len(run.trials()) == 13


def test_a_search_in_which_everything_fails_stops_and_says_why(begin: Begin, trainer: FakeTrainer) -> None:
    def never(_: Architecture) -> float:
        raise RuntimeError("out of memory")

    trainer.accuracy = never
    with pytest.raises(StudyError, match=r"last 5 trials failed.*out of memory"):
        begin()
    assert len(trainer.evaluated) == 5


def test_an_accuracy_that_is_no_number_is_a_failed_trial(begin: Begin, trainer: FakeTrainer) -> None:
    trainer.accuracy = lambda a: float("nan") if len(trainer.evaluated) == 3 else accuracy_by_id(a)
    run = begin()
    assert len(run.trials()) == 14
    assert "not a finite number" in str(run.record.finished()[2].failed)


def test_the_front_file_holds_exactly_the_non_dominated_trials(finished: Run) -> None:
    run = finished
    rows = list(csv.DictReader((run.folder / "front.csv").read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == [t.number for t in run.front()]
    for row in rows:
        assert run.family.space.architecture(json.loads(row["architecture"])).id == row["id"]
    latency = [float(row["latency_ms"]) for row in rows]
    accuracy = [float(row["accuracy"]) for row in rows]
    assert latency == sorted(latency)
    assert accuracy == sorted(accuracy)


def test_picks_are_the_ends_and_the_knee_of_the_front(begin: Begin) -> None:
    run = begin(targets=["latency", "params"])
    front = run.front()
    assert run.pick("fastest").values["latency_ms"] == min(t.values["latency_ms"] for t in front)
    assert run.pick("best").values["accuracy"] == max(t.values["accuracy"] for t in front)
    assert run.pick("knee").number in {t.number for t in front}
    trial = run.trials()[4]
    assert run.pick("4") == run.pick(trial.architecture.id) == trial
    with pytest.raises(UsageError, match="no finished trial 'fast': expected knee, fastest, best"):
        run.pick("fast")


def test_optuna_opens_the_record_as_it_is(finished: Run) -> None:
    run = finished
    study = optuna.load_study(study_name="hwnas", storage=f"sqlite:///{run.folder / 'study.db'}")
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latency_ms"]
    assert len(study.trials) == 15
    assert {t.number for t in study.best_trials} == {t.number for t in run.front()}
    assert study.trials[0].params == dict(run.trials()[0].architecture)


def test_a_second_process_on_the_same_run_is_refused(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(UsageError, match="another process is working on"):
        begin()


def test_more_trials_than_architectures_are_refused(begin: Begin, tiny_family: NetworkFamily) -> None:
    with pytest.raises(UsageError, match=f"has {tiny_family.space.size} architectures"):
        begin(trials=tiny_family.space.size + 1)
    with pytest.raises(UsageError, match="at least 1 trial"):
        begin(trials=0)


def test_a_run_of_before_recipes_had_so_many_fields_is_opened_and_gone_on_with(finished: Run, begin: Begin) -> None:
    content = json.loads((finished.folder / "run.json").read_text())
    fields = ("epochs", "batch", "learning_rate", "weight_decay", "label_smoothing", "threads")
    content["settings"]["recipe"] = {name: content["settings"]["recipe"][name] for name in fields}
    (finished.folder / "run.json").write_text(json.dumps(content))
    assert open_run(finished.folder).settings.recipe == Recipe(channels_last=False)  # as it was then
    begin()


@pytest.mark.parametrize("recorded", [False, True])
def test_a_run_keeps_its_order_in_memory_where_the_command_leaves_it_open(
    finished: Run, begin: Begin, recorded: bool
) -> None:
    assert finished.settings.recipe.channels_last == "auto"
    content = json.loads((finished.folder / "run.json").read_text())
    content["settings"]["recipe"]["channels_last"], content["schema_version"] = recorded, 7  # of before it was open
    (finished.folder / "run.json").write_text(json.dumps(content))
    longer = begin(trials=16)
    assert longer.settings.recipe == Recipe(channels_last=recorded)
    assert begin(trials=16, recipe=Recipe(channels_last=recorded)).is_finished()
    message = f"recipe: channels_last: recorded {recorded}, asked for {not recorded}"
    with pytest.raises(RunMismatchError, match=message):
        begin(trials=16, recipe=Recipe(channels_last=not recorded))


def test_a_run_that_chose_its_order_in_memory_itself_goes_on_with_no_other(finished: Run, begin: Begin) -> None:
    with pytest.raises(RunMismatchError, match="recipe: channels_last: recorded 'auto', asked for True"):
        begin(recipe=Recipe(channels_last=True))


def test_a_recipe_nobody_can_read_is_an_error_that_names_the_field(finished: Run) -> None:
    content = json.loads((finished.folder / "run.json").read_text())
    content["settings"]["recipe"]["dropout"] = 0.2
    (finished.folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match="unknown recipe setting 'dropout'"):
        open_run(finished.folder)


def test_of_another_recipe_the_fields_that_differ_are_named(finished: Run, begin: Begin) -> None:
    with pytest.raises(RunMismatchError) as caught:
        begin(recipe=Recipe(batch=32, optimizer="sgd"))
    assert "(recipe: batch: recorded 64, asked for 32; recipe: optimizer: recorded 'adamw'" in str(caught.value)
    assert list(caught.value.differences) == ["recipe"]


def test_a_recipe_that_no_trial_could_follow_is_refused_before_anything_is_written(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="expected a teacher, received none"):
        begin(recipe=Recipe(distillation=0.5))
    with pytest.raises(MachineError, match="no GPU to train on"):
        begin(recipe=Recipe(device="gpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema_version": 99}', '{"schema_version": 1}'])
def test_a_damaged_run_folder_is_an_error_that_names_it(finished: Run, damage: str) -> None:
    (finished.folder / "run.json").write_text(damage)
    with pytest.raises(StudyError, match=r"run\.json"):
        open_run(finished.folder)


def test_a_damaged_record_is_an_error_that_names_it(finished: Run, begin: Begin) -> None:
    (finished.folder / "study.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StudyError, match=r"study\.db.*damaged"):
        begin()


def test_a_folder_without_a_run_is_an_error_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hwnas search --out"):
        open_run(tmp_path)


def test_a_full_disk_loses_nothing_and_the_same_search_goes_on(
    begin: Begin, tiny_table: LatencyTable, searched: Path, tmp_path: Path
) -> None:
    """The disk is made full for another process by limiting the size of the files that it may write."""
    from latency_tables import write_table

    write_table(tiny_table, tmp_path / "table.jsonl")
    script = f"""
import resource, sys
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id
import hwnas.evaluators.sources as made
import hwnas.study.searching as module
from hwnas.core import HwnasError
made.TrainedEvaluator = FakeTrainer(accuracy_by_id, [])
def fill(progress):
    if progress.done == 6:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    module.search(table={str(tmp_path / "table.jsonl")!r}, out={str(tmp_path / "run")!r}, space="mobilenet:tiny",
                  trials=15, on_progress=fill)
except HwnasError as error:
    print(type(error).__name__, error.exit_code, error)
except OSError as error:
    print("OSError", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "MachineError 3 cannot use the record" in done.stdout
    assert "nothing finished is lost" in done.stdout
    kept = len(open_run(tmp_path / "run").record.finished())
    assert kept >= 6
    assert trace(begin()) == trace(open_run(searched))


def test_an_unwritable_place_is_an_error_before_anything_is_evaluated(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        begin(out=tmp_path / "file" / "run")
    assert trainer.evaluated == []


def test_three_objectives_are_searched_and_recorded(begin: Begin) -> None:
    run = begin(targets=["latency", "flops", "latency"])
    assert [o.name for o in run.objectives] == ["accuracy", "latency_ms", "flops_m"]
    assert run.hypervolume(run.trials()) > 0
    assert np.isfinite(run.reference_costs).all()


def test_a_target_added_afterwards_is_traded_as_if_it_had_been_known(
    finished: Run, begin: Begin, trainer: FakeTrainer, tmp_path: Path
) -> None:
    """The trials stay, their new cost is that of the network, and the front is that of three objectives."""
    begin(targets=["latency", "params"])
    assert trainer.evaluated == []
    run = open_run(finished.folder)
    assert trace(run) == trace(finished)
    assert [goal.name for goal in run.objectives] == ["accuracy", "latency_ms", "params_m"]
    costs = run.cost_matrix(run.trials())
    np.testing.assert_array_equal(
        costs[:, 2], run.costs.values([trial.architecture for trial in run.trials()])["params_m"]
    )
    on_front = {trial.number for trial, good in zip(run.trials(), non_dominated(costs), strict=True) if good}
    assert {trial.number for trial in run.front()} == on_front >= {trial.number for trial in finished.front()}
    rows = list(csv.DictReader((run.folder / "front.csv").read_text().splitlines()))
    assert {int(row["trial"]) for row in rows} == on_front
    whole = begin(targets=["latency", "params"], out=tmp_path / "whole")
    assert run.reference == whole.reference
    (change,) = run.changes
    assert (change.before, change.added, change.trials) == (("latency",), ("params",), 15)
    assert "params since" in report(run).read_text(encoding="utf-8")


def test_a_search_goes_on_with_added_targets_and_their_order_does_not_matter(
    finished: Run, begin: Begin, trainer: FakeTrainer
) -> None:
    begin(targets=["params", "latency"], trials=17)
    run = begin(targets=["memory", "params", "latency"], trials=18)
    assert run.settings.targets == ("latency", "params", "memory")
    assert [change.added for change in open_run(run.folder).changes] == [("params",), ("memory",)]
    assert len(trainer.evaluated) == 3
    assert all({"params_m", "memory_mib"} <= trial.values.keys() for trial in run.trials())
    assert begin(targets=["latency", "params", "memory"], trials=18).hypervolume(run.trials()) > 0
    study = optuna.load_study(study_name="hwnas", storage=f"sqlite:///{run.folder / 'study.db'}")
    assert {len(entry.values) for entry in study.get_trials()} == {2}


def test_a_cost_that_was_not_recorded_with_old_trials_is_known_all_the_same(
    finished: Run, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(finished.folder / "study.db") as database:
        database.execute("DELETE FROM trial_user_attributes WHERE key = 'macs_m'")
    run = begin(targets=["latency", "macs"])
    for trial in run.trials():
        assert trial.values["macs_m"] == run.costs.values([trial.architecture])["macs_m"][0]


def test_a_target_that_the_table_does_not_tell_or_that_would_be_lost_is_refused(finished: Run, begin: Begin) -> None:
    with pytest.raises(UsageError, match="cannot go on with the target energy: its latency table, which a run keeps"):
        begin(targets=["latency", "energy"])
    with pytest.raises(RunMismatchError, match=r"targets: recorded \['latency'\].*can be added, not taken away"):
        begin(targets=["params"])
    assert open_run(finished.folder).changes == ()


def test_errors_know_their_exit_status() -> None:
    assert (MachineError.exit_code, StudyError.exit_code, UsageError.exit_code) == (3, 1, 2)
