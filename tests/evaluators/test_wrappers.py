"""Evaluators around evaluators: what is counted, kept and disturbed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, RunMismatchError, StudyError, UsageError
from hwnas.evaluators import Cached, Counted, Noisy

NETWORKS = [Architecture({"width": width}) for width in range(40)]


@dataclass
class MadeUp:
    """Accuracy by width; remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def evaluate(self, architecture: Architecture) -> dict[str, float]:
        self.asked.append(architecture.id)
        return {"accuracy": float(architecture["width"]) / 100, "train_s": 1.5}


class Failing:
    def evaluate(self, _: Architecture) -> dict[str, float]:
        raise ArithmeticError("it diverged")


# --- cached


def test_nothing_is_evaluated_twice_not_even_by_another_process(tmp_path: Path) -> None:
    inner, path = MadeUp(), tmp_path / "deep" / "values.jsonl"
    first = Cached(evaluator=inner, path=path)
    values = [first.evaluate(one) for one in (*NETWORKS[:3], *NETWORKS[:3])]
    assert values[:3] == values[3:] == [MadeUp().evaluate(one) for one in NETWORKS[:3]]
    assert inner.asked == [one.id for one in NETWORKS[:3]]
    assert [Cached(evaluator=inner, path=path).evaluate(one) for one in NETWORKS[:3]] == values[:3]
    assert len(inner.asked) == 3


def test_two_at_once_see_what_the_other_has_found(tmp_path: Path) -> None:
    one, other = (Cached(evaluator=MadeUp(), path=tmp_path / "values.jsonl") for _ in range(2))
    one.evaluate(NETWORKS[0])
    other.evaluate(NETWORKS[1])
    one.evaluate(NETWORKS[1])
    assert one.evaluator.asked == [NETWORKS[0].id]  # type: ignore[attr-defined]


def test_what_fails_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    with pytest.raises(ArithmeticError, match="it diverged"):
        Cached(evaluator=Failing(), path=path).evaluate(NETWORKS[0])
    assert not path.exists()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_file_cut_off_at_any_byte_loses_at_most_what_was_behind_it_and_is_whole_again(cut: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "values.jsonl")
        for one in NETWORKS[:4]:
            Cached(evaluator=MadeUp(), path=path, settings={"seed": 1}).evaluate(one)
        whole = path.read_bytes()
        path.write_bytes(whole[: cut % (len(whole) + 1)])
        left = max(0, path.read_bytes().count(b"\n") - 1)
        inner = MadeUp()
        cached = Cached(evaluator=inner, path=path, settings={"seed": 1})
        for one in NETWORKS[:4]:
            assert cached.evaluate(one) == MadeUp().evaluate(one)
        assert inner.asked == [one.id for one in NETWORKS[left:4]]
        assert path.read_bytes() == whole


def test_a_file_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    Cached(evaluator=MadeUp(), path=path, settings={"epochs": 3}).evaluate(NETWORKS[0])
    with pytest.raises(
        RunMismatchError, match=r"expected \{'epochs': 4\}, received \{'epochs': 3\}; give another file"
    ):
        Cached(evaluator=MadeUp(), path=path, settings={"epochs": 4}).evaluate(NETWORKS[0])


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": "x"}', '{"id": "x", "values": {"accuracy": "high"}}'])
def test_a_whole_line_that_is_none_is_an_error_that_names_it(line: str, tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    Cached(evaluator=MadeUp(), path=path).evaluate(NETWORKS[0])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"values\.jsonl, line 3: expected an evaluation as JSON, received"):
        Cached(evaluator=MadeUp(), path=path).evaluate(NETWORKS[1])


def test_a_line_says_which_architecture_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    Cached(evaluator=MadeUp(), path=path).evaluate(NETWORKS[7])
    entry = json.loads(path.read_text(encoding="utf-8").splitlines()[1])
    assert entry == {"id": NETWORKS[7].id, "architecture": {"width": 7}, "values": {"accuracy": 0.07, "train_s": 1.5}}


# --- noisy


def test_noise_has_its_deviation_and_is_the_same_each_time() -> None:
    noisy = Noisy(evaluator=MadeUp(), deviation=0.5, seed=0, name="train_s")
    many = [Architecture({"width": width}) for width in range(2000)]
    added = np.array([noisy.evaluate(one)["train_s"] - 1.5 for one in many])
    assert abs(added.mean()) < 0.05
    assert added.std() == pytest.approx(0.5, rel=0.1)
    assert [noisy.evaluate(one)["train_s"] - 1.5 for one in many[:5]] == added[:5].tolist()
    other = Noisy(evaluator=MadeUp(), deviation=0.5, seed=1, name="train_s")
    assert other.evaluate(many[0]) != noisy.evaluate(many[0])


def test_an_accuracy_with_noise_stays_between_0_and_1_and_the_rest_is_left_alone() -> None:
    noisy = Noisy(evaluator=MadeUp(), deviation=3.0, seed=0)
    values = [noisy.evaluate(one) for one in NETWORKS]
    assert {0.0, 1.0} <= {one["accuracy"] for one in values}
    assert all(0 <= one["accuracy"] <= 1 and one["train_s"] == 1.5 for one in values)
    quiet = Noisy(evaluator=MadeUp(), deviation=0.0, seed=0)
    assert quiet.evaluate(NETWORKS[3]) == MadeUp().evaluate(NETWORKS[3])


def test_noise_that_cannot_be_is_refused() -> None:
    for deviation in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected a deviation of 0 or more, received"):
            Noisy(evaluator=MadeUp(), deviation=deviation, seed=0)
    with pytest.raises(UsageError, match="noise was asked for on 'loss': the values are accuracy, train_s"):
        Noisy(evaluator=MadeUp(), deviation=0.1, seed=0, name="loss").evaluate(NETWORKS[0])


# --- counted


def test_evaluations_are_counted_and_failures_are_not() -> None:
    counted = Counted(evaluator=MadeUp())
    for one in (*NETWORKS[:3], NETWORKS[0]):
        counted.evaluate(one)
    assert (counted.count, len(counted.architectures)) == (4, 3)
    failing = Counted(evaluator=Failing())
    with pytest.raises(ArithmeticError):
        failing.evaluate(NETWORKS[0])
    assert failing.count == 0
