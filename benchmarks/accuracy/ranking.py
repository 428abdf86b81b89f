"""How well cheap evaluations rank networks, and what they cost.

Random networks of a space are trained alone; that is the truth. Against it stand the accuracies with the weights of one
supernet, and of four with as many steps altogether; scores before training; and parameters and FLOPs, which whatever
costs more has to beat. Printed for each: Kendall's tau with the truth over all networks and over the better half of
them, with bootstrap errors, and the minutes that it took. What was finished is kept, and the same command goes on.

First comes the published case, recomputed: the 15,625 cells of NAS-Bench-201 on CIFAR-10, estimated by one supernet and
by five (Zhao et al., 2021). It needs `nasbench201.parquet` and `nasbench201_supernet_estimates.parquet` in the folder
that HWNAS_DATA names; `--networks 0` prints it alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

import hwnas
from hwnas.core import Architecture, Evaluator
from hwnas.evaluators import (
    SCORES,
    Cached,
    FewShotEvaluator,
    ProxyEvaluator,
    SupernetEvaluator,
    TrainedEvaluator,
    nasbench201_table,
    read_columns,
)
from hwnas.networks import NetworkFamily
from hwnas.supernets import SupernetProgress, SupernetRecipe
from hwnas.training import ImageData, Recipe

RUNS = Path("runs/benchmarks/accuracy")
ESTIMATES = "nasbench201_supernet_estimates.parquet"
RESAMPLES = 1000

Array = NDArray[np.float64]


class Clock:
    """Seconds of training, epoch by epoch, on disk: a training that is cut off does not forget what it has cost."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._last = time.monotonic()

    def start(self) -> None:
        """Counts from now on."""
        self._last = time.monotonic()

    def on_progress(self, progress: SupernetProgress) -> None:
        """Writes what the epoch took."""
        now = time.monotonic()
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"stage": progress.stage, "done": progress.done, "s": now - self._last}) + "\n")
        self._last = now
        print(f"{self._name}: {progress.stage}, {progress.done} of {progress.total} steps", flush=True)

    def total_s(self) -> float:
        """Seconds of all epochs."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        return sum(float(json.loads(line)["s"]) for line in lines)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to judge networks: what of its values is the judgement, and the clock of what has to be trained first."""

    name: str
    evaluator: Evaluator
    value: str = "accuracy"
    clock: Clock | None = None

    @property
    def training_s(self) -> float:
        """Seconds spent so far before anything could be judged."""
        return self.clock.total_s() if self.clock else 0.0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Says beside the values how long they took, in seconds, without what was trained for all."""

    method: Method

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """The values, and ``evaluated_s``."""
        method, start = self.method, time.monotonic()
        before = method.training_s
        if method.clock:
            method.clock.start()
        values = method.evaluator.evaluate(architecture)
        spent = time.monotonic() - start - (method.training_s - before)
        return {**values, "evaluated_s": max(0.0, spent)}


def methods(family: NetworkFamily, data: ImageData, arguments: argparse.Namespace, folder: Path) -> list[Method]:
    """The truth first, and then what is held against it."""
    seed = arguments.seed
    recipe = SupernetRecipe(epochs=arguments.supernet_epochs)
    trained = TrainedEvaluator(family=family, data=data, recipe=Recipe(epochs=arguments.epochs), seed=seed)
    found = [Method(name="trained", evaluator=trained)]
    for name, kind in (("one-shot", SupernetEvaluator), ("few-shot", FewShotEvaluator)):
        clock = Clock(folder / f"{name}-times.jsonl", name)
        shared: Evaluator = kind(
            family=family,
            data=data,
            recipe=recipe,
            seed=seed,
            folder=folder / name,
            on_progress=clock.on_progress,
        )
        found.append(Method(name=name, evaluator=shared, clock=clock))
    proxies = {"proxies together": ProxyEvaluator(family=family, data=data, seed=seed)}
    proxies |= {name: ProxyEvaluator(family=family, data=data, seed=seed, scores=(name,), sample=4) for name in SCORES}
    return found + [Method(name=name, evaluator=one, value="proxy_score") for name, one in proxies.items()]


def judged(method: Method, networks: Sequence[Architecture], folder: Path, settings: Mapping[str, object]) -> Array:
    """Judgement and seconds of each network, shape ``(n, 2)``."""
    cached = Cached(
        evaluator=Timed(method=method),
        path=folder / f"{method.name.replace(' ', '-')}.jsonl",
        settings=settings,
    )
    rows = []
    for number, network in enumerate(networks, start=1):
        values = cached.evaluate(network)
        rows.append((values[method.value], values["evaluated_s"]))
        if method.name == "trained":
            print(f"trained: {number} of {len(networks)}", flush=True)
    return np.array(rows)


def tau(truth: Array, guess: Array) -> float:
    """Kendall's tau-b; 0 where one of the two says the same of all."""
    found = float(kendalltau(truth, guess).statistic)
    return 0.0 if np.isnan(found) else found


def with_error(truth: Array, guess: Array, *, seed: int = 0) -> tuple[float, float]:
    """Kendall's tau and its bootstrap standard error."""
    rng = np.random.default_rng(seed)
    picks = (rng.integers(len(truth), size=len(truth)) for _ in range(RESAMPLES))
    return tau(truth, guess), float(np.std([tau(truth[pick], guess[pick]) for pick in picks]))


def published() -> None:
    """The estimates of the paper's supernets against the benchmark's own accuracies."""
    read = read_columns("nasbench201.parquet", ["arch_index", "cifar10_test_acc_200"])
    estimates = read_columns(ESTIMATES, ["arch_index", "one_shot_acc", "few_shot_acc"])
    known = dict(zip(read["arch_index"], read["cifar10_test_acc_200"], strict=True))
    truth = np.array([known[index] for index in estimates["arch_index"]])
    top = truth >= np.quantile(truth, 0.9)
    print(f"NAS-Bench-201, CIFAR-10, {len(truth):,} cells: Kendall's tau with the accuracy after 200 epochs")
    for name, column in (("one supernet", "one_shot_acc"), ("five supernets", "few_shot_acc")):
        guess = np.array(estimates[column])
        print(f"  {name:15} {tau(truth, guess):6.3f}   within the best tenth {tau(truth[top], guess[top]):6.3f}")
    counts = nasbench201_table(["flops_m", "params_m"])
    exact = {name: counts.columns[name] for name in ("flops_m", "params_m")}
    table = nasbench201_table(["cifar10_test_acc_200"]).columns["cifar10_test_acc_200"]
    best = table >= np.quantile(table, 0.9)
    for name, column in (("FLOPs", "flops_m"), ("parameters", "params_m")):
        whole, inside = tau(table, exact[column]), tau(table[best], exact[column][best])
        print(f"  {name:15} {whole:6.3f}   within the best tenth {inside:6.3f}")


def ranked(arguments: argparse.Namespace) -> None:
    """Trains, judges and compares."""
    data = hwnas.load_data(arguments.data)
    family = hwnas.network_family(arguments.space, channels=data.channels, classes=data.classes)
    name = f"{Path(arguments.data).stem}-{arguments.space.replace(':', '-')}-{arguments.seed}"
    folder = arguments.out / name
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    networks = [family.space.sample(rng) for _ in range(arguments.networks)]
    settings = {
        "data_sha256": data.fingerprint,
        "epochs": arguments.epochs,
        "supernet_epochs": arguments.supernet_epochs,
        "seed": arguments.seed,
        "space": family.space.name,
    }
    truth: Array | None = None
    results = []
    print(f"\n{name}: {len(networks)} networks, {arguments.epochs} epochs alone, {arguments.supernet_epochs} shared")
    for method in methods(family, data, arguments, folder):
        found = judged(method, networks, folder, settings)
        values, minutes = found[:, 0], (found[:, 1].sum() + method.training_s) / 60
        truth = values if truth is None else truth
        better = truth >= np.median(truth)
        whole, error = with_error(truth, values)
        half, half_error = with_error(truth[better], values[better])
        results.append(
            {
                "method": method.name,
                "networks": len(networks),
                "tau": round(whole, 4),
                "tau_error": round(error, 4),
                "tau_better_half": round(half, 4),
                "tau_better_half_error": round(half_error, 4),
                "minutes": round(float(minutes), 3),
                **settings,
            }
        )
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in results), encoding="utf-8")
    print(f"{'':20}{'tau':>16}{'better half':>16}{'minutes':>10}")
    for one in results[1:]:
        cells = [f"{one[key]:.3f} ± {one[f'{key}_error']:.3f}" for key in ("tau", "tau_better_half")]
        print(f"{one['method']:20}{cells[0]:>16}{cells[1]:>16}{one['minutes']:>10.2f}")
    print(f"{'trained alone':20}{'':32}{results[0]['minutes']:>10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--networks", type=int, default=60, help="0: the published case alone")
    parser.add_argument("--epochs", type=int, default=12, help="of each network alone")
    parser.add_argument("--supernet-epochs", type=int, default=30, help="of one supernet, and of the four together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RUNS, help="where results are kept")
    arguments = parser.parse_args()
    published()
    if arguments.networks:
        ranked(arguments)


if __name__ == "__main__":
    main()
