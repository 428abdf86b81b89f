"""What it costs to find the front: every candidate trained to its end, against successive halving.

The same searcher, seeds, table, data and recipe, once with each; what halving saves it spends on further trials, until
both have spent the same number of epochs. After every trial stands what was spent so far, in
epochs and in seconds of training, beside the hypervolume of the networks that were trained to their end by then; those
that were stopped count in what was spent, and nowhere else. Printed: what each spends until shares of the better final
hypervolume of the two, seed by seed, and the median ratio. Epochs are the same on every machine, seconds are this
one's, and mean nothing while it is busy with other things.

A search picks what was lucky on the validation images. So at the end both fronts are trained once more, with another
seed, by the whole recipe, and judged on the test images: "judged alike".

What was finished is kept, and the same command goes on. The default takes minutes; the real one is
`--data fashion-mnist --space mobilenet --trials 60 --epochs 12`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hwnas
import profilers
from hwnas.core import Trial
from hwnas.evaluators import Cached, TrainedEvaluator
from hwnas.networks import NetworkFamily
from hwnas.study import Run, SearchProgress
from hwnas.study.record import EPOCHS_DONE
from hwnas.training import ImageData, Recipe
from latency_tables import LatencyTable

RUNS = Path("runs/benchmarks/accuracy/time_to_front")
SHARES = (0.95, 0.98, 0.99, 0.995, 1.0)
OTHER_SEED = 1000  # added to that of the search, for what is judged at the end


@dataclass(frozen=True, kw_only=True)
class Step:
    """A search after one of its trials.

    Attributes:
        epochs: Spent so far.
        train_s: Seconds of training so far.
        hypervolume: Of the networks trained to their end.
    """

    epochs: int
    train_s: float
    hypervolume: float


def course(run: Run) -> list[Step]:
    """A search trial by trial."""
    steps, ended = [], list[Trial]()
    epochs, train_s = 0, 0.0
    for trial in run.record.finished():
        epochs += round(trial.values.get(EPOCHS_DONE, run.settings.recipe.epochs))
        train_s += trial.values.get("train_s", 0.0)
        ended += [trial] if trial.complete else []
        steps.append(Step(epochs=epochs, train_s=train_s, hypervolume=run.hypervolume(ended)))
    return steps


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


def searched(arguments: argparse.Namespace, place: Place, *, halving: float | None, trials: int) -> Run:
    """A search, or the rest of it."""
    name = f"{'full' if halving is None else f'halving-{halving:g}'}-{place.seed}"

    def on_progress(progress: SearchProgress) -> None:
        print(f"{name}: {progress.done} of {progress.total} trials", end="\r", file=sys.stderr)

    return hwnas.search(
        table=place.table,
        out=place.folder / name,
        space=arguments.space,
        data=place.data,
        algorithm=arguments.algorithm,
        trials=max(trials, ended_already(place.folder / name)),
        seed=place.seed,
        recipe=Recipe(epochs=arguments.epochs, device="cpu"),
        halving=halving,
        on_progress=on_progress,
    )


def ended_already(folder: Path) -> int:
    """Trials of a search that ended before; a budget cannot shrink."""
    if not (folder / "run.json").exists():
        return 0
    run = hwnas.open_run(folder)
    ended = len(run.record.finished())
    run.record.close()
    return ended


def both(arguments: argparse.Namespace, place: Place) -> tuple[Run, Run]:
    """Full training, and halving with as many trials as the epochs of full training allow."""
    full = searched(arguments, place, halving=None, trials=arguments.trials)
    budget, trials = course(full)[-1].epochs, arguments.trials
    while True:
        halved = searched(arguments, place, halving=arguments.halving, trials=trials)
        left = (budget - course(halved)[-1].epochs) // arguments.epochs
        if left < 1:
            return full, halved
        trials = len(course(halved)) + left


def spent_until(steps: Sequence[Step], level: float) -> Step | None:
    """The first step at a hypervolume; ``None`` where it was not reached."""
    return next((step for step in steps if step.hypervolume >= level * (1 - 1e-12)), None)


def compared(full: Sequence[Step], halved: Sequence[Step]) -> dict[str, Mapping[str, float | None]]:
    """What both spent until each share of the better final hypervolume."""
    best = max(full[-1].hypervolume, halved[-1].hypervolume)
    rows: dict[str, Mapping[str, float | None]] = {}
    for share in SHARES:
        reached = [spent_until(steps, share * best) for steps in (full, halved)]
        row: dict[str, float | None] = {}
        for name, step in zip(("full", "halving"), reached, strict=True):
            row[f"{name}_epochs"] = step.epochs if step else None
            row[f"{name}_s"] = round(step.train_s, 1) if step else None
        rows[f"{100 * share:g} %"] = row
    return rows


def told(rows: Mapping[str, Mapping[str, float | None]], spent: Sequence[int]) -> list[str]:
    """A comparison in lines; where one of the two did not get there, its ratio is a bound by what it spent in all."""
    lines = [f"  {'share':>7}{'epochs full':>14}{'halving':>10}{'ratio':>8}{'seconds full':>15}{'halving':>10}"]
    for share, row in rows.items():
        cells = ["-" if row[name] is None else f"{row[name]:g}" for name in row]
        full, halved = row["full_epochs"], row["halving_epochs"]
        bound = "" if full is not None and halved is not None else ">" if full is None else "<"
        shown = f"{bound}{(full or spent[0]) / (halved or spent[1]):.2f}"
        lines.append(f"  {share:>7}{cells[0]:>14}{cells[2]:>10}{shown:>8}{cells[1]:>15}{cells[3]:>10}")
    return lines


def ratio_of(row: Mapping[str, float | None]) -> float | None:
    """Epochs of full training over those of halving; ``None`` where one of them did not get there."""
    full, halved = row["full_epochs"], row["halving_epochs"]
    return full / halved if full is not None and halved else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mobilenet:tiny")
    parser.add_argument("--algorithm", default="lamoo")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--halving", type=float, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RUNS, help="where runs are kept; the same command goes on")
    arguments = parser.parse_args()
    data = hwnas.load_data(arguments.data)
    family = hwnas.network_family(arguments.space, channels=data.channels, classes=data.classes)
    what = (Path(arguments.data).stem, arguments.space.replace(":", "-"), arguments.algorithm, arguments.epochs)
    folder = arguments.out / "-".join(str(part) for part in what)
    table = table_of(family, folder)
    ratios: dict[str, list[float]] = {f"{100 * share:g} %": [] for share in SHARES}
    results = []
    for seed in range(arguments.seeds):
        runs = both(arguments, Place(folder=folder, seed=seed, table=table, data=data))
        courses = [course(run) for run in runs]
        rows = compared(*courses)
        finished = runs[1].record.finished()
        hypervolumes = [round(steps[-1].hypervolume, 6) for steps in courses]
        alike = [round(judged_alike(run, data, folder), 6) for run in runs]
        epochs = [steps[-1].epochs for steps in courses]
        one = {
            "seed": seed,
            "hypervolume": hypervolumes,
            "judged_alike": alike,
            "epochs": epochs,
            "train_s": [round(steps[-1].train_s, 1) for steps in courses],
            "stopped": sum(trial.stopped is not None for trial in finished),
            "shares": rows,
        }
        for run in runs:
            run.record.close()
        results.append(one)
        (folder / f"results-{arguments.halving:g}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in results), encoding="utf-8"
        )
        print(f"seed {seed}: {len(courses[0])} whole trainings, {epochs[0]} epochs")
        print(f"  against {len(finished)}, {one['stopped']} of them stopped early: {epochs[1]} epochs")
        print(f"  hypervolume of the front: {hypervolumes[0]:g} full, {hypervolumes[1]:g} halving")
        print(f"  trained again, on test images: {alike[0]:g} full, {alike[1]:g} halving")
        print("\n".join(told(rows, epochs)), flush=True)
        for share, row in rows.items():
            ratio = ratio_of(row)
            ratios[share] += [ratio] if ratio is not None else []
    print(f"epochs of full training over those of halving, median of {arguments.seeds} seeds (how many got there):")
    for share, found in ratios.items():
        print(f"  {share:>7} {f'{statistics.median(found):.2f}' if found else '-':>6} ({len(found)})")


if __name__ == "__main__":
    main()
