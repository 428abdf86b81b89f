"""How a training went: what is noted of it, that noting changes nothing, and what an interruption leaves of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import DataError
from hwnas.training import (
    CheckpointError,
    Course,
    Epoch,
    Recipe,
    Training,
    course_in,
    loop,
    read_checkpoint,
    train,
    train_to,
    without_course,
    write_checkpoint,
)
from hwnas.training.course import marked_epochs
from hwnas.training.schedules import learning_rate
from tests.training.trainings import ALL_OF_IT, CPU, SIZE, few_digits, network, same, state, training_of

figures = st.floats(1e-8, 1e3)
courses = st.lists(st.tuples(figures, figures, st.none() | st.floats(0, 1)), max_size=160).map(
    lambda entries: Course(
        tuple(
            Epoch(number=number, loss=loss, learning_rate=rate, accuracy=accuracy)
            for number, (loss, rate, accuracy) in enumerate(entries, start=1)
        )
    )
)
EVERY = {"default": CPU, "everything": ALL_OF_IT, "averaged": replace(CPU, ema_decay=0.99)}
every_recipe = pytest.mark.parametrize("recipe", EVERY.values(), ids=EVERY)


def judging(patch: pytest.MonkeyPatch, *epochs: int) -> None:
    """Has all trainings be judged after these epochs."""
    patch.setattr(Training, "marks", frozenset(epochs))


def course_of(recipe: Recipe, **named: Any) -> Course:
    return train(network(), few_digits(), recipe, size=SIZE, seed=0, **named)


@given(courses)
def test_a_course_is_read_as_it_was_written(course: Course) -> None:
    assert Course.from_json(json.loads(json.dumps(course.to_json()))) == course
    beside = {"recipe": "x", **course.metadata()}
    assert course_in(beside) == course
    assert without_course(beside) == {"recipe": "x"}


@given(courses)
def test_a_brief_course_is_small_and_has_both_ends_and_whatever_was_judged(course: Course) -> None:
    brief, whole = course.brief(), {one.number: one for one in course.epochs}
    assert len(brief.epochs) <= 50 + len(course.accuracies)
    assert brief.accuracies.keys() == course.accuracies.keys()
    assert [one.number for one in brief.epochs] == sorted({one.number for one in brief.epochs})
    if whole:
        assert (brief.epochs[0].number, brief.epochs[-1].number) == (1, len(whole))
    for one in brief.epochs:
        assert one.loss == pytest.approx(whole[one.number].loss, rel=1e-3)
    assert len(json.dumps(brief.to_json())) <= 50 * len(brief.epochs) + 2


@given(epochs=st.integers(1, 400), learned=st.integers(1, 100_000), judged=st.integers(1, 20_000))
def test_marks_are_few_and_even_and_cost_little_and_none_is_the_end(epochs: int, learned: int, judged: int) -> None:
    marks = sorted(marked_epochs(epochs, learned=learned, judged=judged))
    assert len(marks) <= 7
    assert 6 * judged * len(marks) <= learned * epochs
    assert all(1 <= mark < epochs for mark in marks)
    steps = np.diff([0, *marks, epochs])
    assert steps.max() - steps.min() <= 1 + epochs // (len(marks) + 1) * (not marks)


@pytest.mark.parametrize("value", [None, 3, "text", [3], [[1, 2.0]], [[1, "a", 2.0]], [[1, 2.0, 3.0, 0.5, 4.0]]])
def test_what_is_no_course_is_refused_and_beside_weights_passed_over(value: object) -> None:
    with pytest.raises(DataError, match=r"expected a training's course, a list of \[epoch, loss, learning rate\]"):
        Course.from_json(value)
    assert course_in({"hwnas.course": json.dumps(value)}) == Course()
    assert course_in({"hwnas.course": "{"}) == Course()


@every_recipe
def test_the_course_holds_the_loss_and_the_learning_rate_of_every_epoch(recipe: Recipe) -> None:
    training = training_of(recipe)
    losses = [training.epoch() for _ in range(recipe.epochs)]
    assert [one.loss for one in training.course.epochs] == losses
    steps = 100 // 32
    rates = [learning_rate(recipe, number * steps - 1, steps=steps * recipe.epochs) for number in (1, 2, 3)]
    assert [one.learning_rate for one in training.course.epochs] == rates
    assert [one.number for one in training.course.epochs] == [1, 2, 3]
    assert course_of(recipe) == training.course


@every_recipe
def test_a_training_that_is_judged_on_its_way_is_bit_by_bit_the_one_that_is_not(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended() -> tuple[Course, dict[str, torch.Tensor]]:
        module = network()
        course = train(module, few_digits(), recipe, size=SIZE, seed=0)
        return course, state(module)

    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002  (only looked at)
    judging(monkeypatch)
    plain, weights = ended()
    judging(monkeypatch, 1, 2)
    judged, same_weights = ended()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert same(same_weights, weights)
    assert plain.accuracies == {}
    assert list(judged.accuracies) == [1, 2]
    assert Course(tuple(replace(one, accuracy=None) for one in judged.epochs)) == plain


def test_what_is_judged_is_what_a_rung_is_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    judging(monkeypatch, 2)
    halted = train_to(network(), few_digits(), CPU, size=SIZE, seed=0, epochs=2)
    expected = halted.accuracy(few_digits().validation, recalibration_images=512)
    assert halted.course.accuracies == {2: expected}
    monkeypatch.setattr(Training, "accuracy", lambda *_, **__: pytest.fail("judged twice"))
    assert halted.judge() == expected


def test_where_memory_does_not_do_for_a_judgement_the_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    judging(monkeypatch, 1)

    def full(*_: object, **__: object) -> float:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Training, "accuracy", full)
    assert len(course_of(CPU).epochs) == 3


@every_recipe
@pytest.mark.parametrize("stop", [1, 2])
def test_a_training_that_was_cut_off_keeps_the_part_before_it(
    recipe: Recipe, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging(monkeypatch, 1, 2)
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0.0)

    def cut(epochs: int) -> None:
        if epochs == stop:
            raise KeyboardInterrupt

    kept = tmp_path / "kept.safetensors"
    with pytest.raises(KeyboardInterrupt):
        course_of(recipe, checkpoint=kept, on_epoch=cut)
    assert len(read_checkpoint(kept).values["course"]) == stop
    assert course_of(recipe, checkpoint=kept) == course_of(recipe)


def test_from_a_checkpoint_of_before_courses_were_kept_a_training_goes_on_with_the_rest_of_its_course() -> None:
    training = training_of(CPU)
    training.epoch()
    held = training.state()
    values = {name: value for name, value in held.values.items() if name != "course"}
    training.load(replace(held, values=values))
    assert training.judge() == training.judge()
    training.epoch()
    assert [one.number for one in training.course.epochs] == [2]


def test_a_checkpoint_with_a_damaged_course_is_refused(tmp_path: Path) -> None:
    training = training_of(CPU)
    training.epoch()
    held = training.state()
    path = write_checkpoint(replace(held, values={**held.values, "course": [[1]]}), tmp_path / "t.safetensors")
    with pytest.raises(CheckpointError, match=r"incomplete .expected a training's course"):
        training.load(read_checkpoint(path))
