"""GPUNet: three latency tiers on this CPU, with killed workers, beside random search and a scaled network.

``gpunet:small`` is profiled here, and the tiers are set by its fastest network: a tier's network has to take no more
than the limit and no less than four fifths of it. 2,000 images of Fashion-MNIST are trained on for three epochs, 2,000
judge. All searches run on two worker processes, and each loses one of them by a kill in its middle. Three ways to the
tiers, with equally many trainings:

- ``la-mcts``: as in the paper, a search for each tier, in which networks outside of its band do not exist;
- ``random``: the same bands, networks drawn at random;
- ``one run``: ``lamoo`` over all tiers at once, whose front is sorted into them afterwards.

The most accurate network of each tier is trained for twice as many epochs, exported as a hub, and in the end measured
again, all networks in turn and so often that the median says more than a moment of the machine. The accuracies are
those of this training. The baseline, ``scaled``, is trained and measured likewise: of a network that is
alike in all stages, at every combination of resolution, depth and filters, the one with the most operations that keeps
the limit. (Of ``one run`` and ``scaled`` the limit alone is asked, not the lower end of the tier.)

What was profiled, and every search with its winners, is kept in ``runs/benchmarks/gpunet``, and the same command goes
on with it, or with other ``--ways``. Only the uniform networks are trained anew. For another space, other tiers, epochs
or another seed, remove the folder first.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil

import hwnas
import profilers
from hwnas.core import Architecture, Value
from hwnas.evaluators import training_seed
from hwnas.executors import ExecutorSettings
from hwnas.exports.bundles import tiers_of, write_hub
from hwnas.networks import NetworkFamily, macs_m
from hwnas.predictors import LatencyPredictor
from hwnas.study import Run, SearchProgress, preview
from hwnas.study.measuring import Doubts
from hwnas.training import ImageData, Recipe, accuracy, train
from latency_tables import LatencyTable

FOLDER = Path("runs/benchmarks/gpunet")
TIMES = (2.0, 4.0, 8.0)  # limits of the tiers over the latency of the fastest network
BAND = 0.8  # the lower end of a tier over its limit
MARGIN = 0.02  # searches keep so far from the ends of a tier: more than two measurements of one network differ


@dataclass(frozen=True)
class Setting:
    """What all searches have in common."""

    family: NetworkFamily
    table: LatencyTable
    data: Path
    recipe: Recipe
    workers: int
    meter: profilers.DeviceMeter
    seed: int


@dataclass(frozen=True)
class Row:
    """A network of a tier, as it is printed.

    Attributes:
        tier: Its name.
        way: What found it.
        validation: Accuracy.
        test: Accuracy.
        predicted_ms: Latency that the search went by.
        band: Lower end and limit that it has to keep, in milliseconds.
        model: What is measured.
    """

    tier: str
    way: str
    validation: float
    test: float
    predicted_ms: float
    band: tuple[float, float]
    model: bytes

    def told(self, found: Sequence[profilers.MeasuredLatency]) -> str:
        """A line of the table, with the median of what was measured.

        It is given as measured and at the speed that the device had when it was profiled, which networks whose
        latencies the table holds tell.
        """
        least, most = self.band
        now_ms = float(np.median([one.latency_ms for one in found]))
        then_ms = float(np.median([one.latency_ms / (one.device_speed or 1.0) for one in found]))
        kept = ["yes" if least <= ms <= most else "no" for ms in (now_ms, then_ms)]
        return (
            f"| {self.tier} | {self.way} | {self.validation:.2%} | {self.test:.2%} | {least:.3f} to {most:.3f} | "
            f"{self.predicted_ms:.4f} | {now_ms:.4f} | {kept[0]} | {then_ms:.4f} | {kept[1]} |"
        )


@dataclass(frozen=True)
class Killer:
    """Kills a worker once half of the trials have ended.

    Attributes:
        mark: File that is there once that has happened, so that it happens once to a search that is gone on with.
    """

    mark: Path

    def __call__(self, now: SearchProgress) -> None:
        """Looks how far the search is."""
        if self.mark.exists() or now.stage != "trials" or 2 * now.done < now.total:
            return
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it may be gone
                if "spawn_main" in " ".join(process.cmdline()):
                    process.kill()
                    self.mark.touch()
                    return


def few(file: Path) -> None:
    """A part of Fashion-MNIST, as it comes; in a file, since workers read it, too."""
    whole = hwnas.load_data("fashion-mnist")
    parts = {"train": (whole.train, 2000), "val": (whole.validation, 2000), "test": (whole.test, 5000)}
    arrays: dict[str, Any] = {"class_names": np.array(whole.class_names)}
    for name, (part, n) in parts.items():
        arrays |= {f"{name}_images": part.images[:n, ..., 0], f"{name}_labels": part.labels[:n]}
    np.savez(file, **arrays)


def searched(way: str, name: str, limits: Mapping[str, float], trials: int, setting: Setting) -> Run:
    """A search that loses a worker; prints what became of its trials."""
    killer = Killer(FOLDER / f"{way}-{name}.killed")
    run = hwnas.search(
        table=setting.table,
        out=FOLDER / f"{way}-{name}",
        space=setting.family.space.name,
        data=str(setting.data),
        algorithm=way,
        trials=trials,
        limits=limits,
        seed=setting.seed,
        recipe=setting.recipe,
        meter=setting.meter,
        executor=ExecutorSettings(name="processes", workers=setting.workers),
        on_progress=killer,
    )
    ended = run.record.finished()
    failed = sum(trial.failed is not None for trial in ended)
    doubled = len(ended) - len({trial.architecture.id for trial in ended})
    print(
        f"  {way}, {name}: {len(ended)} of {trials} trials after {killer.mark.exists():d} kill, failed {failed}, "
        f"doubled {doubled}, best validation accuracy {max(trial.values['accuracy'] for trial in run.trials()):.2%}, "
        f"{len(run.measured.latencies)} measured",
        flush=True,
    )
    return run


def exported(
    way: str, run: Run, names: Sequence[str], bands: Mapping[str, tuple[float, float]], setting: Setting
) -> list[Row]:
    """The hub of some tiers, from one run."""
    tiers = tiers_of(run, names, doubts=Doubts(run, setting.meter))
    done = {one: hwnas.export(run, one, meter=setting.meter) for one in {tier.trial.architecture.id for tier in tiers}}
    hub = FOLDER / "hubs" / f"{way}-{'-'.join(names)}"
    index = write_hub(run, tiers, done, hub, force=True)
    rows = []
    for entry in index["tiers"]:
        least, most = bands[entry["tier"]]
        found = entry["accuracy"]
        rows.append(
            Row(
                tier=entry["tier"],
                way=way,
                validation=found["validation"],
                test=found["test"],
                predicted_ms=entry["searched_latency_ms"],
                band=(least if len(names) == 1 else 0.0, most),
                model=(hub / entry["model"]).read_bytes(),
            )
        )
    return rows


def uniform(family: NetworkFamily) -> list[Architecture]:
    """One network, alike in all stages, at every combination of resolution, depth and filters."""
    choices = family.space.by_name
    scales = itertools.product(choices["resolution"].options, (1, 2, 3), (0, -1))
    found = []
    for resolution, depth, filters in scales:
        values: dict[str, Value] = {name: choice.options[0] for name, choice in choices.items()}
        for name, choice in choices.items():
            if name.endswith(".depth"):
                values[name] = min(depth, int(choice.options[-1]))
            elif name.endswith(".filters"):
                values[name] = choice.options[filters]
        found.append(family.space.architecture({**values, "resolution": resolution}))
    return found


def baseline(name: str, band: tuple[float, float], setting: Setting, data: ImageData) -> Row:
    """The largest of the uniform networks that keeps a limit, trained as the others are."""
    family, networks = setting.family, uniform(setting.family)
    latency_ms = LatencyPredictor.of(setting.table, family).predict(networks)[0].tolist()
    order = sorted(zip(networks, latency_ms, strict=True), key=lambda entry: macs_m(family.blocks(entry[0])))
    best, predicted_ms = [entry for entry in order if entry[1] <= band[1]][-1]
    seed, size = training_seed(setting.seed, best), family.resolution(best)
    module = family.module(best, seed=seed)
    recipe = replace(setting.recipe, epochs=2 * setting.recipe.epochs)
    train(module, data, recipe, size=size, seed=seed)
    return Row(
        tier=name,
        way="scaled",
        validation=accuracy(module, data.validation, data, size=size),
        test=accuracy(module, data.test, data, size=size),
        predicted_ms=predicted_ms,
        band=(0.0, band[1]),
        model=family.workload(best).model,
    )


def profiled(family: NetworkFamily) -> tuple[LatencyTable, profilers.DeviceMeter]:
    """The table of this CPU, and what measures on it."""
    backend, start = profilers.open_device("cpu"), time.monotonic()
    table = profilers.profile(
        family.workloads(),
        family.references(),
        backend=backend,
        out=FOLDER / "table.jsonl",
        settings=profilers.CampaignSettings(space=family.space.name, steps=False),
    )
    print(f"{len(table.kernels)} kernels of {len(table.blocks)} blocks profiled in {time.monotonic() - start:.0f} s")
    known = {one.name: (one.model, table.networks[one.name].timing.latency_ms) for one in family.references()[1::4]}
    references = {name: profilers.Reference(model=model, latency_ms=ms) for name, (model, ms) in known.items()}
    return table, profilers.DeviceMeter(backend=backend, references=references)


def tiers(family: NetworkFamily, table: LatencyTable, times: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Lower end and limit of each tier by its name, in whole microseconds."""
    reach = preview(family, table=table, also=["latency_ms"]).reaches[0]
    print(f"latencies of {family.space.name}: {reach.least:.4f} to {reach.most:.4f} ms")
    limits_us = [round(1000 * reach.least * factor) for factor in times]
    return {f"{limit_us}us": (BAND * limit_us / 1000, limit_us / 1000) for limit_us in limits_us}


def inside(least: float, most: float) -> dict[str, float]:
    """Limits of a search for the tiers between two latencies."""
    return {"min_latency_ms": (1 + MARGIN) * least, "latency_ms": (1 - MARGIN) * most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="gpunet:small")
    parser.add_argument("--times", default=",".join(map(str, TIMES)), help="limits over the fastest latency")
    parser.add_argument("--ways", default="la-mcts,random,one run", help="with commas")
    parser.add_argument("--trials", type=int, default=20, help="trainings a tier")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each network in the end")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = FOLDER / "few.npz"
    if not data.exists():
        few(data)
    images = hwnas.load_data(str(data))
    family = hwnas.network_family(arguments.space, channels=images.channels, classes=images.classes)
    table, meter = profiled(family)
    setting = Setting(
        family=family,
        table=table,
        data=data,
        recipe=Recipe(epochs=arguments.epochs, device="cpu"),
        workers=arguments.workers,
        meter=meter,
        seed=arguments.seed,
    )
    bands = tiers(family, table, [float(factor) for factor in arguments.times.split(",")])
    rows: list[Row] = []
    for way in arguments.ways.split(","):
        if way == "one run":
            limits = inside(min(least for least, _ in bands.values()), max(most for _, most in bands.values()))
            run = searched("lamoo", "one-run", limits, len(bands) * arguments.trials, setting)
            rows += exported(way, run, list(bands), bands, setting)
            continue
        for name, band in bands.items():
            run = searched(way, name, inside(*band), arguments.trials, setting)
            rows += exported(way, run, [name], bands, setting)
    rows += [baseline(name, band, setting, images) for name, band in bands.items()]
    found: list[list[profilers.MeasuredLatency]] = [[] for _ in rows]
    for _ in range(arguments.rounds):
        for row, measured in zip(rows, found, strict=True):
            measured.append(meter(row.model))
    columns = ["tier", "way", "validation", "test", "asked, ms", "predicted, ms", "measured, ms", "kept"]
    print(f"| {' | '.join(columns)} | at the speed of the profile, ms | kept |")
    print("| --- |" + " --- |" * 9)
    for row, measured in sorted(zip(rows, found, strict=True), key=lambda entry: float(entry[0].tier[:-2])):
        print(row.told(measured))


if __name__ == "__main__":
    main()
