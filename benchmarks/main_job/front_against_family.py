"""The front a search finds, against the family an engineer would make by hand from the same space.

The family holds the space's uniform settings: every stage alike, kernel 3, expansion 6, ReLU, no squeeze-and-
excitation, at every combination of resolution, width and depth: 27 networks. The search gets 27 trials. Both are
trained by the same recipe and judged on the same validation images and the same reference point. Printed: hypervolume
of the search's front over the family's, for three seeds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path

import hwnas
import profilers
from hwnas.core import Architecture, Trial, Value
from hwnas.evaluators import TrainedEvaluator
from hwnas.networks import NetworkFamily
from hwnas.study import Run

FOLDER = Path("runs/benchmarks/front_against_family")


def uniform_family(family: NetworkFamily) -> list[Architecture]:
    """Every stage alike, over all resolutions, widths and depths."""
    choice = family.space.by_name
    globals_ = (choice["resolution"].options, choice["width"].options, choice["s1.depth"].options)
    networks = []
    for resolution, width, depth in itertools.product(*globals_):
        values: dict[str, Value] = {name: entry.options[0] for name, entry in choice.items()}
        values |= {name: 6 for name in choice if name.endswith("expansion")}
        values |= {name: depth for name in choice if name.endswith("depth")}
        values |= {"resolution": resolution, "width": width}
        networks.append(family.space.architecture(values))
    return networks


def family_trials(run: Run, networks: list[Architecture], *, seed: int) -> list[Trial]:
    """The family, trained and costed like the trials of a run."""
    evaluator = TrainedEvaluator(
        family=run.family, data=hwnas.load_data(run.settings.data), recipe=run.settings.recipe, seed=seed
    )
    costs = run.costs.values(networks)
    return [
        Trial(
            number=number,
            architecture=network,
            values={**evaluator.evaluate(network), **{name: float(costs[name][number]) for name in costs}},
        )
        for number, network in enumerate(networks)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="digits")
    arguments = parser.parse_args()
    images = hwnas.load_data(arguments.data)
    family = hwnas.network_family(channels=images.channels, classes=images.classes)
    table = profilers.profile(
        family.workloads(),
        family.references(),
        backend=profilers.open_device("cpu"),
        out=FOLDER / f"{arguments.data}.jsonl",
        settings=profilers.CampaignSettings(space=family.space.name),
    )
    networks = uniform_family(family)
    ratios = []
    for seed in range(arguments.seeds):
        start = time.monotonic()
        run = hwnas.search(
            table=table, data=arguments.data, trials=len(networks), seed=seed, out=FOLDER / f"{arguments.data}-{seed}"
        )
        found = run.hypervolume(run.trials())
        by_hand = run.hypervolume(family_trials(run, networks, seed=seed))
        ratios.append(found / by_hand)
        print(
            f"seed {seed}: search {found:.5f}, family {by_hand:.5f}, ratio {found / by_hand:.4f} "
            f"({len(networks)} trainings each, {time.monotonic() - start:.0f} s)",
            flush=True,
        )
    print(f"hypervolume ratio, median of {len(ratios)} seeds: {statistics.median(ratios):.4f}")


if __name__ == "__main__":
    main()
