"""What it costs to find the front: every candidate trained to its end, against halving and against shared weights.

The same searcher, seeds, table, data and recipe, three times. With successive halving, what is saved is spent on
further trials, until both have spent the same number of epochs. With shared weights a supernet is trained, candidates
are judged by it, and the best are trained and ranked by that; all three count in what is spent. After every trial, or
winner, stands what was spent so far beside the hypervolume of the networks that were trained to their end by then; what
was stopped or only estimated counts in what was spent, and nowhere else. Printed: what each spends until shares of the
better final hypervolume of two, and until the other's own final one, seed by seed, and the median ratio. Epochs are the
same on every machine. Seconds are those of the processor, on one thread, for all that a search does.

A search picks what was lucky on the validation images. So at the end all fronts are trained once more, with another
seed, by the whole recipe, and judged on the test images: "judged alike".

What was finished is kept, and the same command goes on. The default takes minutes; with a real training for each
candidate it is `--data fashion-mnist --space mobilenet --trials 60 --epochs 12`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spent import Clock, part_of

import hwnas
import profilers
from hwnas.core import Trial
from hwnas.evaluators import Cached, TrainedEvaluator
from hwnas.networks import NetworkFamily
from hwnas.study import Run, SearchProgress
from hwnas.study.progress import TRIALS, WINNERS
from hwnas.study.record import EPOCHS_DONE
from hwnas.training import ImageData, Recipe
from latency_tables import LatencyTable

RUNS = Path("runs/benchmarks/accuracy/time_to_front")
SHARES = (0.95, 0.98, 0.99, 0.995, 1.0)
OTHER_SEED = 1000  # added to that of the search, for what is judged at the end
OWN = "its own"  # the share that is the other's final hypervolume

Unit = Literal["epochs", "seconds"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A search after one of its trials, or after one of its winners.

    Attributes:
        epochs: Of trainings so far.
        seconds: Of the processor so far.
        hypervolume: Of the networks trained to their end.
    """

    epochs: int
    seconds: float
    hypervolume: float


def course(run: Run, clock: Clock) -> list[Step]:
    """A search trial by trial."""
    spent_s = {event.done: event.total_s for event in clock.events() if event.stage == TRIALS}
    steps, ended = [], list[Trial]()
    epochs = 0
    for done, trial in enumerate(run.record.finished(), start=1):
        epochs += round(trial.values.get(EPOCHS_DONE, run.settings.recipe.epochs))
        ended += [trial] if trial.complete else []
        steps.append(Step(epochs=epochs, seconds=spent_s[done], hypervolume=run.hypervolume(ended)))
    return steps


def course_of_winners(run: Run, clock: Clock) -> list[Step]:
    """A search by shared weights, winner by winner; before the first there is no network."""
    trained = {trial.number: trial for trial in run.judged(run.record.finished())}
    steps, winners = [], list[Trial]()
    for event in clock.events():
        if event.stage == WINNERS and event.about:
            winners.append(trained[int(event.about)])
            epochs = len(winners) * run.settings.recipe.epochs
            steps.append(Step(epochs=epochs, seconds=event.total_s, hypervolume=run.hypervolume(winners)))
    return steps


def newly_trained(folder: Path, before: set[int]) -> str:
    """The number of the winner that was trained last, which is then among those of ``before``."""
    run = hwnas.open_run(folder)
    fresh = run.retrained.accuracies().keys() - before
    run.record.close()
    before |= fresh
    return str(max(fresh)) if fresh else ""


def judged_alike(run: Run, data: ImageData, folder: Path) -> float:
    """Hypervolume of a front whose networks were trained again and judged on the test images."""
    settings, front = run.settings, run.front()
    on_test = replace(data, name=f"{data.name} on its test images", validation=data.test)
    seed = settings.seed + OTHER_SEED
    trained = TrainedEvaluator(family=run.family, data=on_test, recipe=settings.recipe, seed=seed)
    kept = {"data_sha256": data.fingerprint, "recipe": settings.recipe.to_json(), "seed": seed, "space": settings.space}
    cached = Cached(evaluator=trained, path=folder / f"judged-{settings.seed}.jsonl", settings=kept)
    found = [
        replace(one, values={**one.values, "accuracy": cached.evaluate(one.architecture)["accuracy"]}) for one in front
    ]
    return run.hypervolume(found)


def table_of(family: NetworkFamily, folder: Path) -> LatencyTable:
    """The latency table, measured once."""
    return profilers.profile(
        family.workloads(),
        family.references(),
        backend=profilers.open_device("cpu"),
        out=folder / "table.jsonl",
        settings=profilers.CampaignSettings(space=family.space.name),
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where searches of a seed are kept, and what they have in common."""

    folder: Path
    seed: int
    table: LatencyTable
    data: ImageData


@dataclass(frozen=True, kw_only=True)
class Way:
    """How candidates are judged.

    Attributes:
        name: For people and files.
        evaluator: As of ``hwnas.search``.
        halving: Likewise.
        supernet_epochs: Likewise.
    """

    name: str
    evaluator: str = "trained"
    halving: float | None = None
    supernet_epochs: int = 30


def searched(arguments: argparse.Namespace, place: Place, way: Way, *, trials: int) -> tuple[Run, list[Step]]:
    """A search, or the rest of it, and its course."""
    folder = place.folder / f"{way.name}-{place.seed}"
    clock = Clock(place.folder / f"{folder.name}-spent.jsonl")
    before: list[tuple[str, int]] = []
    trained: set[int] = set()

    def on_progress(progress: SearchProgress) -> None:
        now = (progress.stage, progress.done)
        fresh = newly_trained(folder, trained) if progress.stage == WINNERS else ""
        if before or progress.stage not in {TRIALS, WINNERS}:  # the first word of these only says where it begins
            clock.event(*now, about=fresh if progress.done else "")
        else:
            clock.start()
        before[:] = [now]
        print(f"{folder.name}: {progress.stage}, {progress.done} of {progress.total}   ", end="\r", file=sys.stderr)

    run = hwnas.search(
        table=place.table,
        out=folder,
        space=arguments.space,
        data=place.data,
        algorithm=arguments.algorithm,
        trials=max(trials, ended_already(folder)),
        seed=place.seed,
        recipe=Recipe(epochs=arguments.epochs, channels_last=True, device="cpu"),
        evaluator=way.evaluator,
        supernet_epochs=way.supernet_epochs,
        halving=way.halving,
        on_progress=on_progress,
    )
    return run, course(run, clock) if way.evaluator == "trained" else course_of_winners(run, clock)


def ended_already(folder: Path) -> int:
    """Trials of a search that ended before; a budget cannot shrink."""
    if not (folder / "run.json").exists():
        return 0
    run = hwnas.open_run(folder)
    ended = len(run.record.finished())
    run.record.close()
    return ended


def halved_for(arguments: argparse.Namespace, place: Place, *, budget: int) -> tuple[Run, list[Step]]:
    """Halving with as many trials as a budget of epochs allows."""
    way, trials = Way(name=f"halving-{arguments.halving:g}", halving=arguments.halving), arguments.trials
    while True:
        run, steps = searched(arguments, place, way, trials=trials)
        left = (budget - steps[-1].epochs) // arguments.epochs
        if left < 1:
            return run, steps
        trials = len(steps) + left


def all_ways(arguments: argparse.Namespace, place: Place) -> dict[str, tuple[Run, list[Step]]]:
    """Full training first, then what was asked for."""
    found = {"full": searched(arguments, place, Way(name="full"), trials=arguments.trials)}
    if arguments.halving:
        found["halving"] = halved_for(arguments, place, budget=found["full"][1][-1].epochs)
    for evaluator in arguments.shared:
        epochs = arguments.supernet_epochs
        way = Way(name=f"{evaluator}-{epochs}", evaluator=evaluator, supernet_epochs=epochs)
        found[evaluator] = searched(arguments, place, way, trials=arguments.estimated)
    return found


def spent_until(steps: Sequence[Step], level: float, unit: Unit) -> float | None:
    """What was spent at the first step at a hypervolume; ``None`` where it was not reached."""
    return next((getattr(step, unit) for step in steps if step.hypervolume >= level * (1 - 1e-12)), None)


Rows = Mapping[str, tuple[float | None, float | None]]


def compared(full: Sequence[Step], other: Sequence[Step], unit: Unit) -> Rows:
    """What both spent until each share of the better final hypervolume, and until the other's own."""
    best = max(full[-1].hypervolume, other[-1].hypervolume)
    levels = {f"{100 * share:g} %": share * best for share in SHARES} | {OWN: other[-1].hypervolume}
    return {name: (spent_until(full, level, unit), spent_until(other, level, unit)) for name, level in levels.items()}


def told(rows: Rows, name: str, unit: Unit, in_all: tuple[float, float]) -> list[str]:
    """A comparison in lines; where one of the two did not get there, its ratio is a bound by what it spent in all."""
    lines = [f"  {'share':>7}{f'{unit} full':>14}{name:>12}{'ratio':>8}"]
    for share, (full, other) in rows.items():
        cells = ["-" if value is None else f"{value:.0f}" for value in (full, other)]
        bound = "" if full is not None and other is not None else ">" if full is None else "<"
        lines.append(f"  {share:>7}{cells[0]:>14}{cells[1]:>12}{bound + f'{ratio_of(full, other, in_all):.2f}':>8}")
    return lines


def ratio_of(full: float | None, other: float | None, in_all: tuple[float, float]) -> float:
    """What full training spends over what the other does; who did not get there, with what was spent in all."""
    return (in_all[0] if full is None else full) / (in_all[1] if other is None else other)


def compare_seed(arguments: argparse.Namespace, place: Place) -> dict[tuple[str, Unit], dict[str, float]]:
    """Searches, tells, and gives the ratios of those who got there, by way and unit and then by share."""
    found = all_ways(arguments, place)
    print(f"seed {place.seed}:")
    record = {}
    for name, (run, steps) in found.items():
        stopped = sum(trial.stopped is not None for trial in run.record.finished())
        alike = judged_alike(run, place.data, place.folder)
        record[name] = {
            "trials": len(run.record.finished()),
            "stopped": stopped,
            "trained_to_the_end": len(steps) - stopped,
            "seconds": round(steps[-1].seconds, 1),
            "hypervolume": round(steps[-1].hypervolume, 6),
            "judged_alike": round(alike, 6),
        }
        run.record.close()
        print(f"  {name}: " + ", ".join(f"{key} {value:g}" for key, value in record[name].items()))
    (place.folder / f"results-{place.seed}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    ratios: dict[tuple[str, Unit], dict[str, float]] = {}
    full = found.pop("full")[1]
    for name, (_, steps) in found.items():
        units: tuple[Unit, ...] = ("epochs", "seconds") if name == "halving" else ("seconds",)
        for unit in units:
            in_all = (getattr(full[-1], unit), getattr(steps[-1], unit))
            rows = compared(full, steps, unit)
            print("\n".join(told(rows, name, unit, in_all)), flush=True)
            ratios[name, unit] = {share: ratio_of(*both, in_all) for share, both in rows.items() if None not in both}
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mobilenet:tiny")
    parser.add_argument("--algorithm", default="lamoo")
    parser.add_argument("--trials", type=int, default=30, help="that are trained, or stopped")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=0, help="to learn from; 0: all")
    parser.add_argument("--judged-by", type=int, default=0, help="validation images; 0: all")
    parser.add_argument("--halving", type=float, default=3, help="0: without")
    parser.add_argument("--shared", nargs="*", choices=("supernet", "few-shot"), default=["supernet"])
    parser.add_argument("--supernet-epochs", type=int, default=30)
    parser.add_argument("--estimated", type=int, default=200, help="trials that are judged by shared weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RUNS, help="where runs are kept; the same command goes on")
    arguments = parser.parse_args()
    data = part_of(hwnas.load_data(arguments.data), images=arguments.images, judged_by=arguments.judged_by)
    family = hwnas.network_family(arguments.space, channels=data.channels, classes=data.classes)
    what = (Path(arguments.data).stem, arguments.images or "all", arguments.space.replace(":", "-"))
    folder = arguments.out / "-".join(map(str, (*what, arguments.algorithm, arguments.epochs)))
    table = table_of(family, folder)
    found = [
        compare_seed(arguments, Place(folder=folder, seed=seed, table=table, data=data))
        for seed in range(arguments.seeds)
    ]
    for name, unit in found[0]:
        print(f"{unit} of full training over those of {name}, median of {arguments.seeds} seeds (how many got there):")
        for share in (*(f"{100 * share:g} %" for share in SHARES), OWN):
            ratios = [one[name, unit][share] for one in found if share in one[name, unit]]
            print(f"  {share:>7} {f'{statistics.median(ratios):.2f}' if ratios else '-':>6} ({len(ratios)})")


if __name__ == "__main__":
    main()
