"""LEMONADE in four parts: exact steps, what a step gives, whole searches at equal epochs, and its search on a table.

- ``exactness``: random networks of three spaces and all their neighbours; the largest difference of a logit between a
  parent and a child that is said to be exact, in evaluation and in training, in 32-bit floats.
- ``children``: 2,000 training and 1,000 validation images of Fashion-MNIST, ``mobilenet:tiny``. Random networks are
  trained by the whole recipe, and of each some random neighbours: with inherited weights for a third of its epochs,
  from scratch for as many, and from scratch by the whole recipe.
- ``inheritance``: the same data and space, accuracy against the logarithm of the parameters, LEMONADE's search. Ten
  networks are trained by the whole recipe, then children in one of those three ways, until the same number of epochs
  is spent. Fronts are judged by their own accuracies, and after training each of their networks from scratch by the
  whole recipe, with another seed.
- ``table``: NAS-Bench-201, with and without each of the two stages. Share of the largest hypervolume, and the largest
  gap between neighbours on the front as a share of the front's extent in the (logarithm of the) cost.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwnas.bench import BenchProblem, first_designs, open_problem, sign_test
from hwnas.core import Architecture, Evaluator, Objective, Searcher, Trial
from hwnas.evaluators import InheritedEvaluator, TrainedEvaluator
from hwnas.evaluators.inherited import child_recipe
from hwnas.networks import NetworkFamily, network_family, params_m
from hwnas.networks.inheriting import inherit
from hwnas.pareto import hypervolume, non_dominated
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.searchers.evolution import LemonadeInner
from hwnas.searchers.inner import InnerSearcher
from hwnas.searchers.plain import PlainSearcher
from hwnas.training import ImageData, Recipe, Split, load_data

INITIAL = 10
INHERITED, WHOLE = "inherited", "from scratch, whole"
WAYS = (INHERITED, "from scratch, as short", WHOLE)
SPACES = ("mobilenet:tiny", "mobilenet:small", "nasbench201")
PROBLEMS = ("nasbench201", "nasbench201:pixel3", "nasbench201:silver_4114")
STAGES = {
    "both stages": LemonadeInner(),
    "parents by density": LemonadeInner(children=1),
    "children by density": LemonadeInner(by_density=False),
    "neither": LemonadeInner(children=1, by_density=False),
}


# --- exactness


def lived_in(module: nn.Module, images: torch.Tensor, *, seed: int) -> nn.Module:
    """Weights that are not as they were drawn, and the statistics that belong to them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None
        module.train()(images)
    return module


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, images: torch.Tensor, *, training: bool) -> float:
    first, second = (copy.deepcopy(module).train(training)(images) for module in (one, other))
    return float((first - second).abs().max())


def exactness(space: str, *, networks: int, checked: int) -> None:
    """The worst of the exact neighbours of random networks."""
    family, rng = network_family(space, channels=1, classes=10), np.random.default_rng(0)
    steps = exact = 0
    worst = {True: 0.0, False: 0.0}
    for number in range(networks):
        parent = family.space.sample(rng)
        size = family.resolution(parent)
        images = torch.randn(16, 1, size, size, generator=torch.Generator().manual_seed(number))
        module = lived_in(family.module(parent, seed=number), images, seed=number)
        heirs = [inherit(family, parent, one, module.state_dict(), seed=1) for one in family.space.neighbors(parent)]
        found = [heir.module for heir in heirs if heir.exact]
        steps, exact = steps + len(heirs), exact + len(found)
        for place in rng.permutation(len(found))[:checked]:
            for training, before in worst.items():
                worst[training] = max(before, difference(module, found[place], images, training=training))
    print(
        f"{space}: {exact} of {steps} steps from {networks} networks are exact; largest difference of a logit "
        f"{worst[False]:.1e} in evaluation, {worst[True]:.1e} in training",
        flush=True,
    )


# --- inheritance


def few() -> ImageData:
    """A part of Fashion-MNIST, as it comes."""
    whole = load_data("fashion-mnist")
    parts = [Split(part.images[:n], part.labels[:n]) for part, n in ((whole.train, 2000), (whole.validation, 1000))]
    return ImageData(
        name="fashion-mnist-few", class_names=whole.class_names, train=parts[0], validation=parts[1], test=whole.test
    )


def children(*, parents: int, steps: int) -> None:
    """What a step costs and gives."""
    data, recipe = few(), Recipe(device="cpu")
    family, rng = network_family("mobilenet:tiny", channels=1, classes=10), np.random.default_rng(5)
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for seed in range(parents):
        parent = family.space.sample(rng)
        with tempfile.TemporaryDirectory() as folder:
            first = ways(family, data, recipe, seed=seed, folder=Path(folder, "parent"))[INHERITED].evaluate(parent)
            for number in range(steps):
                alone = shutil.copytree(Path(folder, "parent"), Path(folder, str(number)))  # without its siblings
                evaluators = ways(family, data, recipe, seed=seed, folder=alone)
                child = family.space.mutate(parent, rng)
                values = [evaluators[name].evaluate(child) for name in WAYS]
                accuracies = [first["accuracy"], *(one["accuracy"] for one in values)]
                found[bool(values[0]["parent_exact"])].append(accuracies)
    for exact, rows in found.items():
        means = dict(zip(("parents", *WAYS), np.mean(rows, axis=0).tolist(), strict=True))
        told = ", ".join(f"{name} {100 * mean:.1f} %" for name, mean in means.items())
        print(f"{len(rows)} children that are {'' if exact else 'not '}exact: {told}", flush=True)


def logarithms(family: NetworkFamily, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Of the parameters of networks, to base 10; shape ``(n,)``."""
    return np.log10([1e6 * params_m(family.blocks(one)) for one in architectures])


def small_problem(family: NetworkFamily) -> SearchProblem:
    largest = family.space.architecture({choice.name: choice.options[-1] for choice in family.space.choices})
    return SearchProblem(
        space=family.space,
        objectives=(
            Objective(name="accuracy", unit="", direction="maximize", known="trained"),
            Objective(name="log_params", unit="", direction="minimize", known="tabulated"),
        ),
        reference=np.array([-0.5, float(logarithms(family, [largest])[0])]),
        known=lambda batch: logarithms(family, batch)[:, None],
    )


def ways(family: NetworkFamily, data: ImageData, recipe: Recipe, *, seed: int, folder: Path) -> dict[str, Evaluator]:
    """What evaluates children, by name."""
    short = replace(recipe, epochs=child_recipe(recipe, exact=True).epochs)
    return {
        INHERITED: InheritedEvaluator(family=family, data=data, recipe=recipe, seed=seed, folder=folder),
        "from scratch, as short": TrainedEvaluator(family=family, data=data, recipe=short, seed=seed),
        WHOLE: TrainedEvaluator(family=family, data=data, recipe=recipe, seed=seed),
    }


def spent(
    problem: SearchProblem, family: NetworkFamily, first: Evaluator, then: Evaluator, *, seed: int, children: int
) -> list[Trial]:
    """The trials of a search for so many children after the first networks."""
    searcher, trials = make_searcher("lemonade", problem, seed=seed, initial=INITIAL), list[Trial]()
    while len(trials) < INITIAL + children:
        searcher.tell(trials)
        one = searcher.ask(1, pending=[])[0].architecture
        values = (first if len(trials) < INITIAL else then).evaluate(one)
        cost = {"accuracy": values["accuracy"], "log_params": float(logarithms(family, [one])[0])}
        trials.append(Trial(number=len(trials), architecture=one, values=cost))
    return trials


def compared(name: str, *, seed: int, n: int) -> tuple[float, float]:
    """What one way to evaluate children comes to: hypervolumes by own accuracies, and as judged."""
    data, recipe = few(), Recipe(device="cpu")
    family = network_family("mobilenet:tiny", channels=1, classes=10)
    problem = small_problem(family)
    judge = TrainedEvaluator(family=family, data=data, recipe=recipe, seed=seed + 1000)
    with tempfile.TemporaryDirectory() as folder:
        evaluators = ways(family, data, recipe, seed=seed, folder=Path(folder))
        if name == WHOLE:
            n = n * child_recipe(recipe, exact=True).epochs // recipe.epochs
        first = evaluators[INHERITED if name == INHERITED else WHOLE]
        trials = spent(problem, family, first, evaluators[name], seed=seed, children=n)
    costs = problem.costs(trials)
    front = [trials[place].architecture for place in np.flatnonzero(non_dominated(costs))]
    again = np.array([[-judge.evaluate(one)["accuracy"], float(logarithms(family, [one])[0])] for one in front])
    own, judged = (hypervolume(one, problem.reference) for one in (costs, again))
    print(
        f"seed {seed}, {name}: {n} children, hypervolume {own:.4f}, best {-costs[:, 0].min():.3f}; the {len(front)} of "
        f"the front trained from scratch: {judged:.4f}, best {-again[:, 0].min():.3f}",
        flush=True,
    )
    return own, judged


def inheritance(*, seeds: int, n: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for seed in range(seeds):
        for name, values in found.items():
            values.append(compared(name, seed=seed, n=n))
    for name, values in found.items():
        (own, judged), errors = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / seeds**0.5
        print(f"{name}: {own:.4f} +- {errors[0]:.4f}, trained from scratch {judged:.4f} +- {errors[1]:.4f}")


# --- table


def made(problem: BenchProblem, searcher: Searcher, *, seed: int, evaluations: int) -> NDArray[np.float64]:
    """Costs of a search's trials, shape ``(evaluations, 2)``."""
    trials = list[Trial]()

    def evaluated(found: Sequence[Architecture]) -> Iterator[Trial]:
        for one in found:
            yield Trial(number=len(trials), architecture=one, values=problem.evaluator.evaluate(one))

    for trial in evaluated(first_designs(problem, INITIAL, seed=seed)):
        trials.append(trial)
    while len(trials) < evaluations:
        searcher.tell(trials)
        for trial in evaluated([one.architecture for one in searcher.ask(5, pending=[])]):
            trials.append(trial)
    return problem.search.costs(trials)


def gap(costs: NDArray[np.float64]) -> float:
    """The largest step between neighbours on a front, as a share of the whole way in the second cost."""
    steps = costs[non_dominated(costs), 1]
    ordered = np.sort(np.log(steps) if (steps > 0).all() else steps)
    return float(np.diff(ordered).max() / (ordered[-1] - ordered[0]))


def staged(problem: BenchProblem, inner: InnerSearcher, seed: int) -> Searcher:
    return PlainSearcher(problem.search, inner, seed=seed, initial=INITIAL)


def table(name: str, *, seeds: int, evaluations: int) -> None:
    problem = open_problem(name)
    makers: dict[str, Callable[[int], Searcher]] = {
        **{stage: partial(staged, problem, inner) for stage, inner in STAGES.items()},
        "nsga2": lambda seed: make_searcher("nsga2", problem.search, seed=seed, initial=INITIAL),
        "random": lambda seed: make_searcher("random", problem.search, seed=seed, initial=INITIAL),
    }
    print(f"{name}, {seeds} seeds, {evaluations} evaluations")
    at, ends = evaluations // 2, dict[str, list[float]]()
    for algorithm, make in makers.items():
        costs = [made(problem, make(seed), seed=seed, evaluations=evaluations) for seed in range(seeds)]
        halves, ends[algorithm] = (
            [100 * hypervolume(one[:n], problem.search.reference) / problem.best for one in costs]
            for n in (at, evaluations)
        )
        end, error = np.mean(ends[algorithm]), np.std(ends[algorithm], ddof=1) / seeds**0.5
        print(
            f"  {algorithm:20} {np.mean(halves):6.2f} % after {at}, {end:6.2f} +- {error:.2f} % at the end, largest "
            f"gap {np.mean([gap(one) for one in costs]):.3f}",
            flush=True,
        )
    one, other = ((stage, np.array(ends[stage])) for stage in ("both stages", "neither"))
    test = sign_test(one, other, measure="at the end")
    print(f"  {test.better} over {test.worse}: {test.wins} to {test.losses} seeds, p = {test.p:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="exactness,table,children,inheritance", help="with commas")
    parser.add_argument("--networks", type=int, default=20, help="for the exactness")
    parser.add_argument("--checked", type=int, default=10, help="exact children of each network, at the most")
    parser.add_argument("--children", type=int, default=30, help="that inherit")
    parser.add_argument("--parents", type=int, default=12, help="of which four children each are trained")
    parser.add_argument("--training-seeds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=20, help="on the table")
    parser.add_argument("--evaluations", type=int, default=200)
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    torch.set_num_threads(1)
    if "exactness" in parts:
        for space in SPACES:
            exactness(space, networks=arguments.networks, checked=arguments.checked)
    if "table" in parts:
        for problem in PROBLEMS:
            table(problem, seeds=arguments.seeds, evaluations=arguments.evaluations)
    if "children" in parts:
        children(parents=arguments.parents, steps=4)
    if "inheritance" in parts:
        inheritance(seeds=arguments.training_seeds, n=arguments.children)


if __name__ == "__main__":
    main()
