"""A smallest accuracy: what is below it wins nothing, whoever proposes and however accuracies are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwnas.commands.previews import accuracy_of
from hwnas.core import InfeasibleError, RunMismatchError, UsageError
from hwnas.evaluators import TabularEvaluator
from hwnas.reports import report
from hwnas.reports.commands import search_command
from hwnas.study import Run, open_run
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id
from tests.study.test_evaluators import guess  # noqa: F401  (a fixture)

Begin = Callable[..., Run]


@pytest.mark.parametrize("algorithm", ["lamoo", "mutation", "random"])
def test_nothing_on_the_front_is_below_it_whoever_proposes(begin: Begin, algorithm: str) -> None:
    whole = begin(algorithm=algorithm)
    middle = float(np.median([trial.values["accuracy"] for trial in whole.front()]))
    run = begin(algorithm=algorithm, min_accuracy=middle, out=whole.folder.with_name("limited"))
    front = run.front()
    assert front
    assert min(trial.values["accuracy"] for trial in front) >= middle
    assert run.reference["accuracy"] == middle
    assert [line.split(",")[0] for line in (run.folder / "front.csv").read_text().splitlines()[1:]] == [
        str(trial.number) for trial in front
    ]
    assert run.pick("fastest").values["accuracy"] >= middle
    assert open_run(run.folder).settings.min_accuracy == middle
    with pytest.raises(RunMismatchError, match="min_accuracy"):
        begin(algorithm=algorithm, out=run.folder, trials=16)


def test_the_search_spends_more_trials_above_it_than_a_search_without(
    begin_cells: Begin, cells: TabularEvaluator, tmp_path: Path
) -> None:
    least = float(np.quantile(cells.values("accuracy", cells.space.listed), 0.7))

    def above(run: Run) -> int:
        return sum(trial.values["accuracy"] >= least for trial in run.trials())

    limited = [begin_cells(tmp_path / f"a{seed}", trials=24, seed=seed, min_accuracy=least) for seed in range(3)]
    free = [begin_cells(tmp_path / f"b{seed}", trials=24, seed=seed) for seed in range(3)]
    assert sum(map(above, limited)) > sum(map(above, free))


def test_where_none_has_it_the_best_is_told_and_more_trials_go_on(begin: Begin, tmp_path: Path) -> None:
    run = begin(min_accuracy=0.999, trials=5)
    best = max(run.trials(), key=lambda trial: trial.values["accuracy"])
    assert run.front() == []
    assert run.picks() == {}
    for asked in (run.require_winners, lambda: run.pick("knee")):
        with pytest.raises(InfeasibleError, match=rf"the best of 5 is trial {best.number} with") as caught:
            asked()
        assert caught.value.nearest == {"min_accuracy": best.values["accuracy"]}
    assert run.pick(best.architecture.id).number == best.number, "by its id any network can be had"
    with pytest.raises(UsageError, match="has no finished trial 'nobody'"):
        run.pick("nobody")
    page = report(run, out=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No network has the accuracy of 99.9" in page
    assert "accuracy at least 99.9" in page
    assert "--min-accuracy 0.999" in search_command(run, out="again")
    assert len(begin(min_accuracy=0.999, trials=7).trials()) == 7


def test_estimates_are_not_held_to_it_and_trainings_are(guess: Begin, trainer: FakeTrainer) -> None:  # noqa: F811
    least = 0.5
    run = guess(min_accuracy=least)
    assert run.reference["accuracy"] < least, "estimates are on a scale of their own"
    front = run.front()
    assert front
    for trial in front:
        assert "estimated_accuracy" in trial.values
        assert trial.values["accuracy"] == accuracy_by_id(trial.architecture) >= least


@pytest.mark.parametrize("accuracy", [0.0, -0.1, 1.01, float("nan")])
def test_what_is_no_accuracy_is_refused(begin: Begin, accuracy: float) -> None:
    with pytest.raises(UsageError, match=r"expected a smallest accuracy above 0 and up to 1 \(100%\)"):
        begin(min_accuracy=accuracy)


def test_it_is_typed_as_a_share_or_in_percent() -> None:
    assert accuracy_of(None) is None
    assert accuracy_of("70%") == pytest.approx(0.7)
    assert accuracy_of("0.7") == 0.7
    for text in ("70", "most", "70ms", "-1"):
        with pytest.raises(UsageError):
            accuracy_of(text)
