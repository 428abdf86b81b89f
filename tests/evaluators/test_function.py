"""The user's own function: found, called with what it asks for, and its mistakes named."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.core import Architecture, HwnasError, UsageError
from hwnas.evaluators import FunctionError, FunctionEvaluator, training_seed
from hwnas.networks import NetworkFamily

SOURCE = """
import numpy as np
import torch

def of_dictionary(architecture):
    assert type(architecture) is dict
    return architecture["width"] / 4

def of_everything(architecture, *, seed, module):
    return {"accuracy": 0.5, "seed": seed, "params": sum(p.numel() for p in module.parameters())}

def of_seed(architecture, seed=None):
    return np.float32(0.25) if seed is not None else 0.0

def of_keywords(architecture, **rest):
    return torch.tensor(len(rest) / 10)

def fails(architecture):
    raise KeyError("no such thing")

def exits(architecture):
    raise SystemExit(5)

def wants_more(architecture, budget):
    return 0.5

def wants_nothing():
    return 0.5

text, nothing, word = "no function", lambda architecture: None, lambda architecture: "good"
nan, infinite = lambda architecture: float("nan"), lambda architecture: {"accuracy": 0.5, "loss": float("inf")}
percent, nameless = lambda architecture: 91.5, lambda architecture: {"loss": 1.0}
several, flag = lambda architecture: torch.ones(2), lambda architecture: True
numbered = lambda architecture: {1: 0.5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture
def one(tiny_family: NetworkFamily) -> Architecture:
    return tiny_family.space.sample(np.random.default_rng(0))


def evaluator(name: str, family: NetworkFamily, *, seed: int = 3) -> FunctionEvaluator:
    return FunctionEvaluator(function=name, family=family, seed=seed)


def test_a_function_gets_the_choices_as_a_dictionary_and_its_answer_is_the_accuracy(
    file: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    assert evaluator(f"{file}:of_dictionary", tiny_family).evaluate(one) == {"accuracy": one["width"] / 4}  # type: ignore[operator]


def test_seed_and_module_are_given_to_whoever_names_them(
    file: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    values = evaluator(f"{file}:of_everything", tiny_family).evaluate(one)
    module: nn.Module = tiny_family.module(one, seed=0)
    assert values == {
        "accuracy": 0.5,
        "seed": training_seed(3, one),
        "params": sum(parameter.numel() for parameter in module.parameters()),
    }
    assert evaluator(f"{file}:of_seed", tiny_family).evaluate(one) == {"accuracy": 0.25}
    assert evaluator(f"{file}:of_keywords", tiny_family).evaluate(one)["accuracy"] == pytest.approx(0.2)


def test_a_function_of_an_installed_module_is_imported_by_name(tiny_family: NetworkFamily, one: Architecture) -> None:
    found = evaluator("math:fsum", tiny_family)
    with pytest.raises(FunctionError, match=r"math:fsum, called for architecture \w+, raised TypeError"):
        found.evaluate(one)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"raised KeyError: 'no such thing'"),
        ("exits", r"raised SystemExit: 5"),
        ("nothing", r"returned None as 'accuracy': expected a number, or a mapping of names to numbers"),
        ("word", r"returned 'good' as 'accuracy': expected a number"),
        ("flag", r"returned True as 'accuracy': expected a number"),
        ("several", r"returned tensor\(\[1., 1.\]\) as 'accuracy': expected a number"),
        ("numbered", r"returned 0.5 as 1: expected a number, or a mapping of names to numbers"),
        ("nan", r"returned nan as 'accuracy': expected a finite number"),
        ("infinite", r"returned inf as 'loss': expected a finite number"),
        ("percent", r"returned an accuracy of 91.5: expected 0 to 1, not percent"),
        ("nameless", r"returned loss: expected 'accuracy' among the names"),
    ],
)
def test_what_goes_wrong_in_it_is_an_error_that_names_function_and_architecture(
    name: str, message: str, file: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    about = re.escape(f"{file}:{name}, called for architecture {one.id}, ")
    with pytest.raises(FunctionError, match=about + message) as error:
        evaluator(f"{file}:{name}", tiny_family).evaluate(one)
    assert isinstance(error.value, HwnasError)  # one architecture's failure, not the search's


def test_what_cannot_be_found_or_called_is_refused_before_the_first_trial(
    file: Path, tiny_family: NetworkFamily, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("this is no Python", encoding="utf-8")
    for name, message in (
        ("nothing_at_all", "expected a function as package.module:function or file.py:function, received 'nothing_at_"),
        ("no.such.module:f", r"cannot import 'no\.such\.module' .*: ModuleNotFoundError"),
        (f"{tmp_path / 'absent.py'}:f", r"cannot import .*absent\.py' .*: FileNotFoundError"),
        (f"{broken}:f", r"cannot import .*broken\.py' .*: SyntaxError"),
        (f"{file}:absent", r"has no function 'absent': it has exits, fails, flag, .*of_dictionary"),
        (f"{file}:text", r"has no function 'text'"),
        (
            f"{file}:wants_more",
            r"takes \(architecture, budget\): expected \(architecture\), and if wanted seed and module",
        ),
        (f"{file}:wants_nothing", r"takes \(\): expected \(architecture\)"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluator(name, tiny_family)


def test_a_file_is_executed_once_until_it_is_changed(
    tmp_path: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    file, said = tmp_path / "counted.py", tmp_path / "said.txt"
    source = f"with open({str(said)!r}, 'a') as said:\n    said.write('.')\n\ndef of(architecture):\n    return {{}}\n"
    for value in (0.25, 0.5):
        file.write_text(source.format(value), encoding="utf-8")
        os.utime(file, ns=(0, int(value * 1e9)))
        for _ in range(2):
            assert evaluator(f"{file}:of", tiny_family).evaluate(one) == {"accuracy": value}
    assert said.read_text(encoding="utf-8") == ".."


def test_an_evaluator_can_be_sent_elsewhere_even_after_its_function_was_read_from_a_file(
    file: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    here = evaluator(f"{file}:of_dictionary", tiny_family)
    tiny_family.block_keys(one)  # what a family works out on the way stays here
    values = here.evaluate(one)
    assert pickle.loads(pickle.dumps(here)).evaluate(one) == values  # noqa: S301  (our own bytes)


def test_the_module_does_not_depend_on_the_global_random_state(
    file: Path, tiny_family: NetworkFamily, one: Architecture
) -> None:
    state = torch.get_rng_state()
    evaluator(f"{file}:of_everything", tiny_family).evaluate(one)
    assert torch.equal(torch.get_rng_state(), state)
