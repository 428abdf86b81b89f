"""Training curves of a page: of the search, its winners and its exports, and what it says where there are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hwnas.core import Architecture
from hwnas.evaluators import COURSE, PARENT
from hwnas.reports.courses import Trainings, trainings_of
from hwnas.reports.numbers import collect
from hwnas.study import Run
from hwnas.training import Course, Epoch
from tests.reports.pages import ACCURACIES, AddTrials, Draw, MakeCard, MakeRun, Read

Begin = Callable[..., int]


def course(accuracy: float, *, epochs: int = 6, judged: Sequence[int] = (2, 6)) -> list[list[float]]:
    """Made up: the loss falls to what the accuracy lacks."""
    found = (
        Epoch(
            number=number,
            loss=2.5 - (1.5 + accuracy) * number / epochs,
            learning_rate=0.008 / number,
            accuracy=accuracy * number / epochs if number in judged else None,
        )
        for number in range(1, epochs + 1)
    )
    return Course(tuple(found)).to_json()


def enter(run: Run, begin: Begin, architectures: Sequence[Architecture], *, first: int = 0) -> list[int]:
    """Finished trials with courses, each a little more accurate."""
    numbers = []
    for place, architecture in enumerate(architectures, start=first):
        numbers.append(begin(run, architecture))
        accuracy = 0.6 + 0.05 * place
        run.record.mark(numbers[-1], COURSE, course(accuracy))
        known = {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}
        run.record.finish(numbers[-1], {**known, "accuracy": accuracy})
    return numbers


def of(run: Run) -> Trainings:
    return trainings_of(collect(run))


def test_every_training_is_drawn_and_listed_with_its_loss_and_its_accuracies(
    make_run: MakeRun, begin: Begin, drawn: Draw, read: Read
) -> None:
    run = make_run()
    numbers = enter(run, begin, drawn(4))
    assert [curve.gid for curve in of(run).shown] == [f"c{number}" for number in numbers]
    page = read(run)
    for figure in ("losses", "trainings"):
        drawing = [one for tag in ("g", "a") for one in page.having(tag, **{"class": "curve"})]
        found = {str(one["id"]) for one in drawing if str(one["id"]).startswith(f"{figure}-wide-")}
        assert found == {f"{figure}-wide-c{number}" for number in numbers}
    assert f"trial {numbers[0]} · {drawn(1)[0].id} · loss 2.15 in epoch 1, 0.400 in epoch 6" in page.said
    assert f"trial {numbers[0]} · {drawn(1)[0].id} · 20.0 % after 2, 60.0 % after 6" in page.said
    linked = {str(link["href"]) for link in page.having("a", **{"class": "curve"})}
    assert linked == {f"#trial-{trial.number}" for trial in run.front()}
    assert "Every training on record" in page.said


def test_trainings_that_halt_end_in_a_cross_where_they_were_stopped(
    make_run: MakeRun, add_trials: AddTrials, begin: Begin, drawn: Draw, read: Read
) -> None:
    run = make_run(halving=3.0)
    add_trials(run, ACCURACIES[:2])
    fresh = drawn(9)
    ended, stopped = begin(run, fresh[6]), begin(run, fresh[7])
    for number, accuracy in ((ended, 0.7), (stopped, 0.4)):
        run.record.mark(number, "rungs", {"2": {"accuracy": accuracy, "train_s": 1.0}})
    run.record.mark(stopped, COURSE, course(0.4, epochs=2, judged=(1,)))
    known = {name: float(values[0]) for name, values in run.costs.values([fresh[6]]).items()}
    run.record.finish(ended, {**known, "accuracy": 0.99})
    run.record.stop(stopped, "after 2 of 6 epochs", {"epochs_done": 2, "rung_accuracy": 0.4})
    found = {curve.row.number: curve.accuracies for curve in of(run).shown}
    assert found == {ended: ((2, 0.7), (6, 0.99)), stopped: ((1, 0.2), (2, 0.4))}
    said = read(run).said
    assert f"trial {stopped} · {fresh[7].id} · 20.0 % after 1, 40.0 % after 2 · stopped early" in said
    assert "70.0 % after 2, 99.0 % after 6" in said
    assert "A cross: stopped because" in said


def test_full_trainings_of_exports_are_drawn_too_and_told_epoch_by_epoch(
    run: Run, make_card: MakeCard, read: Read
) -> None:
    (run.folder / "models").mkdir()
    for name in ("knee", "knee-int8"):
        card = {**make_card(run, "knee", course=course(0.98, epochs=12, judged=(6, 12))), "pick": name}
        (run.folder / "models" / f"{name}.json").write_text(json.dumps(card))
    found = of(run)
    assert [(curve.kind, curve.name, curve.epochs) for curve in found.shown] == [("export", "knee", 12)]
    page = read(run)
    knee = run.pick("knee")
    assert f"trial {knee.number} · {knee.architecture.id} · exported as knee · 49.0 % after 6" in page.said
    assert "knee: its full training, epoch by epoch" in page.said
    last = ("0.0200", "0.00067", "98.0\N{NARROW NO-BREAK SPACE}%")
    assert "12</th>" + "".join(f'<td class="n">{figure}</td>' for figure in last) in page.source


def test_after_a_search_by_estimates_the_trainings_of_winners_are_drawn(
    make_run: MakeRun, add_trials: AddTrials, read: Read
) -> None:
    run = make_run(evaluator="supernet")
    add_trials(run, ACCURACIES)
    assert "accuracies of the candidates are those of the evaluator supernet" in read(run).said
    run.retrained.note(2, 0.9, course=course(0.9))
    run.retrained.note(5, 0.92)
    assert [(curve.kind, curve.row.number) for curve in of(run).shown] == [("winner", 2)]
    assert "trained as a winner · 30.0 % after 2, 90.0 % after 6" in read(run).said


@pytest.mark.parametrize(
    ("evaluator", "trials", "said"),
    [
        ("trained", 0, "No trial has finished yet, so no training is on record."),
        ("trained", 6, "this run's trials are of before trainings were recorded, or of another run"),
        ("tabular", 6, "the evaluator tabular trains no candidates"),
    ],
)
def test_where_nothing_was_recorded_the_section_says_why(
    make_run: MakeRun, add_trials: AddTrials, read: Read, evaluator: str, trials: int, said: str
) -> None:
    run = make_run(evaluator=evaluator)
    add_trials(run, ACCURACIES[:trials])
    page = read(run)
    assert page.having("section", id="trainings")
    assert said in page.said
    assert "figure-trainings" not in page.source


def test_a_course_that_nobody_can_read_costs_nothing_else(
    make_run: MakeRun, begin: Begin, drawn: Draw, read: Read
) -> None:
    run = make_run()
    (number,) = enter(run, begin, drawn(1))
    broken = begin(run, drawn(2)[1])
    run.record.mark(broken, COURSE, "no course")
    assert [curve.row.number for curve in of(run).shown] == [number]
    read(run)


def test_of_very_many_trainings_some_are_told_and_others_drawn_in_one_piece(
    make_run: MakeRun, begin: Begin, drawn: Draw, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwnas.reports.courses.LISTED", 4)
    monkeypatch.setattr("hwnas.reports.courses._FRONT", 4)
    monkeypatch.setattr("hwnas.reports.courses._OTHERS", 5)
    run = make_run(trials=20)
    enter(run, begin, drawn(20))
    found = of(run)
    assert found.count == 20
    assert {curve.row.state for curve in found.told} == {"front"}
    winners = {trial.number for trial in run.picks().values()}
    assert winners <= {curve.row.number for curve in found.told}
    assert len(found.told) == min(4, len(run.front()))
    assert {curve.row.state for curve in found.crowd} == {"dominated"}
    assert len(found.crowd) == min(5, 20 - len(run.front()))
    said = read(run).said
    assert f"the {len(found.shown)} that are drawn, of 20" in said


def test_where_weights_are_from_stands_in_the_table_and_on_the_points(
    make_run: MakeRun, begin: Begin, drawn: Draw, read: Read
) -> None:
    run = make_run(evaluator="inherited")
    first, second, third = enter(run, begin, drawn(2)), drawn(3)[2], drawn(4)[3]
    for architecture, noted in ((second, {PARENT: drawn(1)[0].id}), (third, {})):
        number = begin(run, architecture)
        for name, value in noted.items():
            run.record.mark(number, name, value)
        known = {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}
        told = {"parent_distance": 1.0, "parent_exact": 1.0, "lineage_epochs": 8.0}
        run.record.finish(number, {**known, **told, "accuracy": 0.99})
    lineages = [row.lineage for row in collect(run).rows]
    assert lineages[:2] == [None, None]
    assert [(one.parent, one.distance, one.exact, one.epochs) for one in lineages[2:] if one] == [
        (first[0], 1, True, 8), (None, 1, True, 8),
    ]  # fmt: skip
    page = read(run)
    assert f"trial {first[0]}, 1 choice away" in page.said
    assert page.said.count("begun as that, 8 epochs in its line") == 2
    assert "a network 1 choice away" in page.said
    assert f"weights from trial {first[0]}, 1 choice away" in page.source
    assert "Weights from" in page.said


def test_a_run_without_heirs_has_no_column_for_them(run: Run, read: Read) -> None:
    assert "Weights from" not in read(run).said


def test_the_files_of_a_page_have_both_figures(make_run: MakeRun, begin: Begin, drawn: Draw, tmp_path: Path) -> None:
    from hwnas.reports import report

    run = make_run()
    enter(run, begin, drawn(2))
    report(run, figures=tmp_path / "figures")
    assert {"losses.svg", "trainings.svg"} <= {file.name for file in (tmp_path / "figures").iterdir()}
