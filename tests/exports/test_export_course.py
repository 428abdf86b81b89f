"""The course of an export's full training: on its card, beside its weights, and in the report."""

from __future__ import annotations

import json

from safetensors.torch import load_file, save_file

import hwnas
from hwnas.exports import ExportSettings, ExportStep, read_card
from hwnas.exports.weights import stored_metadata
from hwnas.reports.numbers import collect
from hwnas.study import Run
from hwnas.training import Course, course_in, without_course


def test_the_card_tells_the_whole_training_and_the_report_draws_it(run: Run) -> None:
    card = read_card(run, "knee")
    assert card is not None
    course = Course.from_json(card["course"])
    assert [one.number for one in course.epochs] == [1, 2]
    assert list(course.accuracies)[-1] == 2
    assert abs(course.accuracies[2] - card["accuracy"]["validation"]) < 1e-4
    assert "exported as knee" in hwnas.report(run).read_text(encoding="utf-8")
    (winner,) = {winner.card.pick for winner in collect(run).winners if winner.card}
    assert winner == "knee"


def test_weights_that_are_used_again_bring_their_course(run: Run) -> None:
    steps = list[ExportStep]()
    before = read_card(run, "knee")
    assert before is not None
    again = hwnas.export(run, "knee", settings=ExportSettings(opset=17), on_step=steps.append)
    assert "training" not in {step.name for step in steps}
    assert again.card["course"] == before["course"] != []


def test_weights_of_before_courses_were_kept_are_not_trained_anew(run: Run) -> None:
    file = run.folder / "models" / "knee.safetensors"
    held = stored_metadata(file) or {}
    assert course_in(held).epochs
    save_file(load_file(file), file, metadata=without_course(held))
    steps = list[ExportStep]()
    again = hwnas.export(run, "knee", on_step=steps.append)
    assert "training" not in {step.name for step in steps}
    assert again.card["course"] == []
    path = run.folder / "models" / "knee.json"
    path.write_text(json.dumps({name: value for name, value in again.card.items() if name != "course"}))
    assert "cannot be read" not in hwnas.report(run).read_text(encoding="utf-8")
