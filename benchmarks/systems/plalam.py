"""PlaLaM in mazes: success and reward at equal rollouts, beside CMA-ES and random ways, and with parts taken out.

Three by three rooms, 50 steps of two numbers; the reward tells how the way ended and nothing else. A run ends when the
goal is reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from mazes import STEPS, Maze, maze_problem
from scipy.stats import binomtest

from hwnas.core import Architecture, Searcher, Trial
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.searchers.evolution import WarmCmaEsInner
from hwnas.searchers.tree import Mean, PlaLaM, TreeSettings

INITIAL = BATCH = 50

Make = Callable[[SearchProblem, int], Searcher]


def named(name: str) -> Make:
    return lambda problem, seed: make_searcher(name, problem, seed=seed, initial=INITIAL)


def changed(settings: TreeSettings) -> Make:
    return lambda problem, seed: PlaLaM(problem, WarmCmaEsInner(), seed=seed, initial=INITIAL, settings=settings)


MAKERS: Mapping[str, Make] = {
    "random": named("random"),
    "cmaes": named("cmaes"),
    "warm-cmaes": named("warm-cmaes"),
    "plalam": named("plalam"),
    "plalam, mean": changed(replace(PlaLaM.recipe, value=Mean())),
    "plalam, no latent": changed(replace(PlaLaM.recipe, latent=None)),
}


def walked(maze: Maze, architectures: Sequence[Architecture], *, first: int) -> list[Trial]:
    """Rollouts, with the places that were passed as what is told of the way."""
    actions = np.array([list(one.values()) for one in architectures], dtype=np.float64)
    rewards, ways = maze.walked(actions.reshape(len(architectures), STEPS, 2))
    return [
        Trial(
            number=first + i,
            architecture=one,
            values={"reward": float(rewards[i]), **{f"path.{j}": float(at) for j, at in enumerate(ways[i].ravel())}},
        )
        for i, one in enumerate(architectures)
    ]


def searched(make: Make, maze: Maze, *, seed: int, rollouts: int) -> tuple[float, int]:
    """The best reward, and the rollouts it took; fewer than allowed where the goal was reached."""
    problem = maze_problem()
    searcher, trials, best = make(problem, seed), list[Trial](), -np.inf
    while len(trials) < rollouts and best < 1:
        searcher.tell(trials)
        found = searcher.ask(min(BATCH, rollouts - len(trials)), pending=[])
        trials += walked(maze, [one.architecture for one in found], first=len(trials))
        best = max(trial.values["reward"] for trial in trials)
    return best, len(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mazes", type=int, default=20)
    parser.add_argument("--rooms", type=int, default=3, help="in a row")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--only", default=";".join(MAKERS), help="names with semicolons")
    arguments = parser.parse_args()
    makers = {name: MAKERS[name] for name in arguments.only.split(";")}
    mazes = [Maze.drawn(seed, rooms=arguments.rooms) for seed in range(arguments.mazes)]
    solved: dict[str, list[bool]] = {}
    for name, make in makers.items():
        ends = [searched(make, maze, seed=seed, rollouts=arguments.rollouts) for seed, maze in enumerate(mazes)]
        solved[name] = [best >= 1 for best, _ in ends]
        taken = np.median([number if best >= 1 else np.inf for best, number in ends])
        mean = np.mean([best for best, _ in ends])
        print(
            f"{name}: {sum(solved[name])} of {len(mazes)} mazes, mean reward {mean:.3f}, median rollouts {taken:.0f}",
            flush=True,
        )
    for name in makers:
        if name != "plalam" and "plalam" in makers:
            pairs = list(zip(solved["plalam"], solved[name], strict=True))
            better, worse = pairs.count((True, False)), pairs.count((False, True))
            chance = binomtest(better, better + worse).pvalue if better + worse else 1.0
            print(f"plalam over {name}: {better} to {worse}, p = {chance:.2g}")


if __name__ == "__main__":
    main()
