"""Runs with made-up accuracies: the record, table, folder and report of a search that nobody had to wait for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hwnas.networks import network_family
from hwnas.objectives import COSTS
from hwnas.study import Run, RunSettings
from hwnas.study.folders import begin_run
from hwnas.study.storage import open_storage
from hwnas.training import Course, Epoch, Recipe
from latency_tables import open_shipped, shipped, table_sha256

_SPACE = "mobilenet:small"
_NOISE, _STOPPED = 0.05, 0.4  # of accuracies; share of the trials that were stopped at a rung


def made_up_run(
    folder: Path,
    trials: int,
    *,
    targets: tuple[str, ...] = ("latency", "params"),
    seed: int = 0,
    algorithm: str = "lamoo",
    halving: float | None = None,
) -> Run:
    """Makes a run of different random networks whose accuracy grows with their latency, with noise.

    Args:
        folder: Where; must not hold a run.
        trials: How many.
        targets: Costs traded.
        seed: Of networks and accuracies.
        algorithm: What it says has searched.
        halving: Stops some of the trials early, where given.
    """
    table = next(open_shipped(one.name) for one in shipped() if one.manifest.space == _SPACE)
    family = network_family(_SPACE, channels=1, classes=10)
    rng = np.random.default_rng(seed)
    drawn = {found.id: found for found in (family.space.sample(rng) for _ in range(2 * trials))}
    architectures = list(drawn.values())[:trials]
    settings = RunSettings(
        space=_SPACE,
        data="digits",
        data_sha256="0" * 64,
        channels=1,
        classes=10,
        targets=targets,
        algorithm=algorithm,
        inner="mutation" if algorithm == "lamoo" else None,
        trials=trials,
        recipe=Recipe(epochs=9),
        table_sha256=table_sha256(table),
        halving=halving,
        seed=seed,
    )
    names = [COSTS[target].name for target in targets]
    sizes = {"latency_ms": 0.3, "params_m": 0.3, "flops_m": 20.0, "macs_m": 10.0, "memory_mib": 2.0}
    reference = {"accuracy": 0.1, **{name: sizes[name] for name in names}}
    run = begin_run(folder, settings, table, reference, storage=f"journal:{folder / 'study.log'}")
    costs = run.costs.values(architectures)
    latency_ms = costs["latency_ms"]
    accuracies = 0.6 + 0.37 * (1 - np.exp(-latency_ms / np.median(latency_ms)))
    accuracies = np.clip(accuracies - np.abs(rng.normal(0, _NOISE, len(architectures))), 0.1, 0.999)
    stopped = rng.random(len(architectures)) < (_STOPPED if halving else 0.0)
    options = {choice.name: CategoricalDistribution(choice.options) for choice in family.space.choices}
    entries = []
    for i, architecture in enumerate(architectures):
        known = {name: float(values[i]) for name, values in costs.items()}
        accuracy = float(accuracies[i])
        halts = {str(at): {"accuracy": accuracy * (1 - 0.3 / at), "train_s": 0.1} for at in (3,)} if halving else {}
        why = {"inner": "initial"} if i < 10 else {"inner": "mutation", "region": "+-", "bound": 0.03, "visits": i}
        end = {"stopped": "after 3 of 9 epochs: made up", "epochs_done": 3, "rung_accuracy": 0.7 * accuracy}
        entries.append(
            optuna.trial.create_trial(
                state=TrialState.PRUNED if stopped[i] else TrialState.COMPLETE,
                values=None if stopped[i] else [accuracy, *(known[name] for name in names)],
                params=dict(architecture),
                distributions={name: options[name] for name in architecture},
                user_attrs={
                    "id": architecture.id,
                    "why": why,
                    **known,
                    **({"rungs": halts} if halts else {}),
                    "course": _course(accuracy, 3 if stopped[i] else 9),
                    **(end if stopped[i] else {"accuracy": accuracy}),
                },
            )
        )
    optuna.load_study(storage=open_storage(run.place), study_name=run.place.study).add_trials(entries)
    return run


def _course(accuracy: float, epochs: int) -> list[list[float]]:
    """A training of nine epochs that comes to an accuracy, as far as it went; judged after each third."""
    found = (
        Epoch(
            number=number,
            loss=2.3 * (1.05 - accuracy) ** (number / 9),
            learning_rate=8e-3 * (1 - number / 9),
            accuracy=accuracy * (1 - 0.3 / number) if number % 3 == 0 else None,
        )
        for number in range(1, epochs + 1)
    )
    return Course(tuple(found)).brief().to_json()
