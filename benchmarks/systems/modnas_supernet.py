"""MODNAS with a supernet of its own: NAS-Bench-201's cells of two operations on the digits, latencies as published.

Weights that these 64 cells share are trained first (``--operations`` takes more), then policies against what they lose
on 256 validation images:

- ``expectation``: every cell is run once, and the table's expectations are exact.
- ``reinmax``, ``gumbel``: cells are run as they are drawn, each with its neighbours.

The share is that of the largest hypervolume of this loss and the latency, on devices never seen, 24 preferences. Then
the networks that the first ``reinmax`` policy gives for some of these devices, and random ones, are trained alone, and
their fronts of validation accuracy and latency compared: that of the policy with those of as many random networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from modnas import LEARNED, UNSEEN, Problem, volume
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture
from hwnas.evaluators import TrainedEvaluator
from hwnas.networks import NetworkFamily, network_family
from hwnas.relaxed import (
    CostTensor,
    DeviceTask,
    Modnas,
    ModnasSettings,
    RelaxedCost,
    SupernetError,
    positions,
    rays,
)
from hwnas.relaxed.costs import Scaled
from hwnas.supernets import OneShot, SupernetRecipe
from hwnas.training import ImageData, Recipe, load_data

OPERATIONS = ("skip_connect", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "none")
TRAINED_FOR = ("titan_rtx_1", "eyeriss")
DRAWS = 200

Array = NDArray[np.float64]


class Asked:
    """The supernet once more, counting what a policy has it run; the losses are known since the first time."""

    multilinear = False

    def __init__(self, known: SupernetError) -> None:
        self.space, self._known, self.places = known.space, known, set[tuple[int, ...]]()

    def scaled(self, kept: Tensor | None) -> Scaled:
        """As the supernet does."""
        inner = self._known.scaled(kept)

        def counted(choices: Sequence[Tensor]) -> Tensor:
            rows = torch.stack([part.argmax(1) for part in choices], dim=1).tolist()
            for row in rows:
                for i, part in enumerate(choices):
                    self.places |= {(*row[:i], option, *row[i + 1 :]) for option in range(part.shape[1])}
            return inner(choices)

        return counted


class SmallProblem:
    """The cells, what shared weights lose, and published latencies."""

    def __init__(self, family: NetworkFamily, data: ImageData, *, epochs: int, seed: int) -> None:
        self.family, self.data, self.whole = family, data, Problem()
        self.networks = family.space.listed
        shared = OneShot(family=family, data=data, recipe=SupernetRecipe(epochs=epochs), seed=seed)
        shared.prepare()
        every = SupernetError(shared.supernet(self.networks[0]), family.space, data)
        self.losses = np.array([every.loss(tuple(positions(family.space, one))) for one in self.networks])
        table, devices = self.whole.table, (*LEARNED, *UNSEEN)
        self.latencies = {one: table.values(f"{one}_latency_ms", self.networks) for one in devices}
        self.every = every

    def asked(self) -> Asked:
        """The supernet, of which nothing is known yet."""
        return Asked(self.every)

    def tensor(self, values: Array) -> CostTensor:
        """A column as a table."""
        return CostTensor.of(self.family.space, self.networks, values)

    def policy(self, error: RelaxedCost, settings: ModnasSettings, *, seed: int) -> Modnas:
        """Learned."""
        tasks = [
            DeviceTask(
                name=device, costs=(self.tensor(self.latencies[device]),), description=self.whole.described(device)
            )
            for device in LEARNED
        ]
        modnas = Modnas(error, tasks, seed=seed, settings=settings)
        modnas.fit()
        return modnas

    def share(self, device: str, found: list[Architecture]) -> float:
        """Hypervolume of some by loss and latency over that of all, in percent."""
        columns = (self.losses, self.latencies[device])
        scaled = np.column_stack([(column - column.min()) / np.ptp(column) for column in columns])
        rows = {one: row for row, one in enumerate(self.networks)}
        return 100 * volume(scaled[[rows[one] for one in found]]) / volume(scaled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of policies; the supernet has one")
    parser.add_argument("--steps", type=int, default=ModnasSettings().steps)
    parser.add_argument("--operations", type=int, default=2, help="a choice, of the five")
    parser.add_argument("--random", type=int, default=16, help="networks to train beside those of the policy")
    parser.add_argument("--supernet-epochs", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6, help="of each network that is trained alone")
    parser.add_argument("--rays", type=int, default=24)
    arguments = parser.parse_args()
    data = load_data("digits")
    family = network_family("nasbench201", channels=data.channels, classes=data.classes)
    kept = OPERATIONS[: arguments.operations]
    family = replace(family, space=family.space.restrict({choice.name: kept for choice in family.space.choices}))
    problem = SmallProblem(family, data, epochs=arguments.supernet_epochs, seed=0)
    wanted = rays(arguments.rays, objectives=2)
    chosen: dict[str, list[Architecture]] = {}
    for estimator in ("expectation", "reinmax", "gumbel"):
        settings = replace(ModnasSettings(), steps=arguments.steps, estimator=estimator)
        shares, runs = [], []
        for seed in range(arguments.seeds):
            asked = problem.asked()
            error: RelaxedCost = problem.tensor(problem.losses) if estimator == "expectation" else asked
            modnas = problem.policy(error, settings, seed=seed)
            found = {device: modnas.propose(problem.whole.described(device), wanted) for device in UNSEEN}
            shares.append(np.mean([problem.share(device, some) for device, some in found.items()]))
            runs.append(len(asked.places) or len(problem.networks))
            if estimator == "reinmax":
                chosen = chosen or found
        print(
            f"{estimator:12} {np.mean(shares):.2f} ± {np.std(shares):.2f} % of the largest hypervolume on devices "
            f"never seen; {np.mean(runs):.0f} of {len(problem.networks)} cells run",
            flush=True,
        )
    _train(problem, chosen, epochs=arguments.epochs, others=arguments.random)


def _train(problem: SmallProblem, chosen: dict[str, list[Architecture]], *, epochs: int, others: int) -> None:
    """Fronts of networks trained alone: those of the policy, and random ones."""
    rng = np.random.default_rng(0)
    random = [problem.networks[i] for i in rng.choice(len(problem.networks), others, replace=False)]
    evaluator = TrainedEvaluator(family=problem.family, data=problem.data, recipe=Recipe(epochs=epochs), seed=0)
    networks = list(dict.fromkeys([*random, *(one for device in TRAINED_FOR for one in chosen[device])]))
    errors = {one: 1 - evaluator.evaluate(one)["accuracy"] for one in networks}
    worst = max(errors.values())
    for device in TRAINED_FOR:
        latency_ms = dict(zip(problem.networks, problem.latencies[device], strict=True))
        most = float(np.max(problem.latencies[device]))
        scaled = {one: [error / worst, latency_ms[one] / most] for one, error in errors.items()}
        ours = list(dict.fromkeys(chosen[device]))
        drawn = [
            _filled(scaled, [random[i] for i in rng.choice(len(random), min(len(ours), len(random)), replace=False)])
            for _ in range(DRAWS)
        ]
        print(
            f"{device:12} {len(ours)} networks of the policy {_filled(scaled, ours):.2f}, as many random ones "
            f"{np.mean(drawn):.2f} ± {np.std(drawn):.2f}, all {len(random)} {_filled(scaled, random):.2f} "
            "(hypervolume in %)",
            flush=True,
        )


def _filled(scaled: dict[Architecture, list[float]], some: list[Architecture]) -> float:
    """Hypervolume of some networks, in percent of the box to the worst of all."""
    return 100 * volume(np.array([scaled[one] for one in some]))


if __name__ == "__main__":
    main()
