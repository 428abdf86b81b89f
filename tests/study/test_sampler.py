"""A searcher as a sampler of Optuna."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hwnas.core import UsageError
from hwnas.study.sampler import HwnasSampler

EXAMPLE = Path(__file__).parents[2] / "examples" / "optuna_sampler.py"
SPACE = {
    "width": IntDistribution(8, 64, step=8),
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "kind": CategoricalDistribution(["a", "b", None]),
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    width, rate = trial.suggest_int("width", 8, 64, step=8), trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    return (math.log10(rate) + 2.5) ** 2 + abs(width - 40) / 64 + (kind is not None)


def params_of(study: optuna.Study) -> list[Mapping[str, Any]]:
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("algorithm", ["la-mcts", "alphax", "mutation"])
def test_a_study_of_one_objective_is_searched_without_repeats(algorithm: str) -> None:
    study = optuna.create_study(sampler=HwnasSampler(algorithm, space=SPACE, levels=8))
    study.optimize(objective, n_trials=40)
    assert len({str(sorted(params.items(), key=str)) for params in params_of(study)}) == 40
    values = [float(trial.value or 0.0) for trial in study.trials]
    assert min(values[10:]) < min(values[:10])


def test_the_same_seed_gives_the_same_trials_and_a_study_goes_on_after_a_restart() -> None:
    traces = []
    for pieces in ((16,), (16,), (10, 6)):
        study = optuna.create_study()
        for n in pieces:
            study.sampler = HwnasSampler("lamoo", space=SPACE, seed=3)
            study.optimize(objective, n_trials=n)
        traces.append(params_of(study))
    assert traces[0] == traces[1] == traces[2]


def test_without_a_space_the_parameters_of_the_trials_are_taken() -> None:
    study = optuna.create_study(sampler=HwnasSampler("random", seed=1))
    study.optimize(objective, n_trials=6)
    noted = [trial for trial in study.trials if "hwnas:proposed" in trial.system_attrs]
    assert [trial.number for trial in noted] == [1, 2, 3, 4, 5]


def test_known_objectives_and_limits_are_used_before_anything_is_evaluated() -> None:
    sampler = HwnasSampler(
        "lamoo",
        space=SPACE,
        reference=(4.0, 70.0),
        known={1: lambda params: float(params["width"])},
        feasible=lambda params: params["kind"] != "b",
    )
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(lambda trial: (objective(trial), float(trial.params["width"])), n_trials=20)
    assert study.trials[0].params["width"] == 8  # the cheapest is where a search begins
    assert all(trial.params["kind"] != "b" for trial in study.trials)


def test_trials_under_way_are_not_proposed_again_and_failed_ones_neither() -> None:
    study = optuna.create_study(directions=["maximize"], sampler=HwnasSampler("mutation", space=SPACE))
    asked = [study.ask(SPACE) for _ in range(6)]
    study.tell(asked[0], state=optuna.trial.TrialState.FAIL)
    study.tell(asked[1], 1.0)
    asked += [study.ask(SPACE) for _ in range(6)]
    assert len({str(sorted(trial.params.items(), key=str)) for trial in asked}) == 12


def test_a_space_that_is_used_up_ends_in_random_trials() -> None:
    space = {"a": IntDistribution(0, 2)}
    study = optuna.create_study(sampler=HwnasSampler("random", space=space))
    study.optimize(lambda trial: trial.suggest_int("a", 0, 2), n_trials=6)
    assert sorted(trial.params["a"] for trial in study.trials[:3]) == [0, 1, 2]
    assert len(study.trials) == 6


def test_values_off_the_grid_are_taken_for_the_nearest() -> None:
    study = optuna.create_study(sampler=HwnasSampler("mutation", space=SPACE, levels=4))
    study.enqueue_trial({"width": 8, "rate": 0.0123, "kind": None})
    study.optimize(objective, n_trials=4)
    assert study.trials[0].params["rate"] == 0.0123
    levels = (1e-4, 1e-3, 1e-2, 1e-1)
    assert all(min(abs(trial.params["rate"] / level - 1) for level in levels) < 1e-6 for trial in study.trials[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reference": (1.0, 2.0)}, "expected 1 reference values, received 2"),
        ({"known": {3: lambda _: 0.0}}, r"known objectives among 0 to 0, received \[3\]"),
    ],
)
def test_what_does_not_fit_the_study_is_refused(settings: dict[str, Any], message: str) -> None:
    study = optuna.create_study(sampler=HwnasSampler("random", space=SPACE, **settings))
    with pytest.raises(UsageError, match=message):
        study.ask(SPACE)


def test_an_unknown_algorithm_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="unknown algorithm 'lamo'"):
        HwnasSampler("lamo")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("optuna_sampler", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = module.main(14)
    assert len(study.trials) == 14
    assert capsys.readouterr().out.count("error ") == len(study.best_trials) > 1
