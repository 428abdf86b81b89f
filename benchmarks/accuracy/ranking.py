"""How well cheap evaluations rank networks, and what they cost.

Random networks of a space are trained alone; that is the truth. Against it stand the accuracies with the weights of one
supernet, and of four with as many steps altogether, each of several seeds; accuracies learned from the truth of the
other networks; scores before training; and parameters and FLOPs, which whatever costs more has to beat. Printed for
each: Kendall's tau with the truth over all networks and over the better half of them, with bootstrap errors, and the
minutes that it took; and how far four supernets are ahead of one. Everything is computed on one thread and minutes are
those of the processor, so a machine that does other things beside it delays them and does not lengthen them. What was
finished is kept, and the same command goes on.

First comes the published case, recomputed: the 15,625 cells of NAS-Bench-201 on CIFAR-10, estimated by one supernet and
by five (Zhao et al., 2021). It needs `nasbench201.parquet` and `nasbench201_supernet_estimates.parquet` in the folder
that HWNAS_DATA names; `--networks 0` prints it alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from spent import Clock, part_of

import hwnas
from hwnas.core import Architecture, Evaluator, Trial
from hwnas.evaluators import (
    DEFAULT_SCORES,
    SCORES,
    Cached,
    FewShotEvaluator,
    PredictorEvaluator,
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
FOLDS = 5
SHARED = {"one-shot": SupernetEvaluator, "few-shot": FewShotEvaluator}

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to judge networks.

    Attributes:
        name: What it is called, also in the names of its files.
        evaluator: What judges.
        settings: What decides its judgements, in JSON's terms.
        value: Which of the evaluator's values is the judgement.
        clock: Of what has to be trained first.
    """

    name: str
    evaluator: Evaluator
    settings: Mapping[str, object]
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
        method, start = self.method, time.process_time()
        before = method.training_s
        if method.clock:
            method.clock.start()
        values = method.evaluator.evaluate(architecture)
        spent = time.process_time() - start - (method.training_s - before)
        return {**values, "evaluated_s": max(0.0, spent)}


def methods(family: NetworkFamily, data: ImageData, arguments: argparse.Namespace, folder: Path) -> Iterator[Method]:
    """The truth first, and then what is held against it."""
    seed = arguments.seed
    alone = Recipe(epochs=arguments.epochs, channels_last=True, device="cpu")
    yield Method(
        name="trained",
        evaluator=TrainedEvaluator(family=family, data=data, recipe=alone, seed=seed),
        settings={"recipe": alone.to_json(), "seed": seed},
    )
    shared = SupernetRecipe(epochs=arguments.supernet_epochs)
    for number in range(seed, seed + arguments.supernet_seeds):
        for kind, evaluator in SHARED.items():
            name = f"{kind} {number}"
            clock = Clock(folder / f"{_file(name)}-times.jsonl")
            yield Method(
                name=name,
                evaluator=evaluator(
                    family=family,
                    data=data,
                    recipe=shared,
                    seed=number,
                    folder=folder / _file(name),
                    on_progress=partial(told, name, clock),
                ),
                settings={"recipe": shared.to_json(), "seed": number},
                clock=clock,
            )
    for name, scores in {"proxies together": DEFAULT_SCORES, **{score: (score,) for score in SCORES}}.items():
        proxy = ProxyEvaluator(family=family, data=data, seed=seed, scores=scores, sample=32 if len(scores) > 1 else 4)
        yield Method(name=name, evaluator=proxy, settings={"seed": seed}, value="proxy_score")


def told(name: str, clock: Clock, progress: SupernetProgress) -> None:
    """Notes what an epoch took."""
    clock.event(progress.stage, progress.done)
    print(f"{name}: {progress.stage}, {progress.done} of {progress.total} steps", flush=True)


def _file(name: str) -> str:
    return name.replace(" ", "-")


def judged(method: Method, networks: Sequence[Architecture], folder: Path, settings: Mapping[str, object]) -> Array:
    """Judgement and seconds of each network, shape ``(n, 2)``."""
    cached = Cached(
        evaluator=Timed(method=method),
        path=folder / f"{_file(method.name)}.jsonl",
        settings={**settings, **method.settings},
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


def learned(family: NetworkFamily, networks: Sequence[Architecture], truth: Array, *, seed: int) -> Array:
    """Judgement and seconds of each network, shape ``(n, 2)``: what four fifths of the truth teach of the last fifth.

    The seconds are those of learning, not of the training of what is learned from.
    """
    order = np.random.default_rng(seed).permutation(len(networks))
    found, start = np.empty((len(networks), 2)), time.process_time()
    for fold in range(FOLDS):
        out = order[fold::FOLDS]
        trials = [
            Trial(number=int(i), architecture=networks[i], values={"accuracy": float(truth[i])})
            for i in np.setdiff1d(order, out)
        ]
        predictor = PredictorEvaluator.fit(trials, family=family, seed=seed)
        found[out, 0] = predictor.predict([networks[i] for i in out])[0]
    found[:, 1] = (time.process_time() - start) / len(networks)
    return found


def row(name: str, truth: Array, found: Array, *, training_s: float) -> dict[str, str | float]:
    """What is told of a method; ``found`` is judgements and seconds, shape ``(n, 2)``."""
    better = truth >= np.median(truth)
    whole, half = with_error(truth, found[:, 0]), with_error(truth[better], found[better, 0])
    return {
        "method": name,
        "tau": round(whole[0], 4),
        "tau_error": round(whole[1], 4),
        "tau_better_half": round(half[0], 4),
        "tau_better_half_error": round(half[1], 4),
        "minutes": round((float(found[:, 1].sum()) + training_s) / 60, 3),
    }


def ahead(truth: Array, guesses: Mapping[str, Array], *, seed: int = 0) -> tuple[float, float]:
    """By how much the mean tau of few-shot is above that of one-shot, and its error over networks and seeds.

    Args:
        truth: Shape ``(n,)``.
        guesses: Of each kind those of every seed, shape ``(seeds, n)``.
        seed: Of the bootstrap, which draws networks, the same for both kinds, and seeds.
    """
    rng = np.random.default_rng(seed)
    one, few = (guesses[kind] for kind in SHARED)

    def difference(seeds: NDArray[np.int64], picked: NDArray[np.int64]) -> float:
        taus = [[tau(truth[picked], kind[i][picked]) for i in seeds] for kind in (one, few)]
        return float(np.mean(taus[1]) - np.mean(taus[0]))

    networks, seeds = np.arange(len(truth)), np.arange(len(one))
    drawn = [difference(rng.choice(seeds, len(seeds)), rng.choice(networks, len(networks))) for _ in range(RESAMPLES)]
    return difference(seeds, networks), float(np.std(drawn))


def ranked(arguments: argparse.Namespace) -> None:
    """Trains, judges and compares."""
    data = part_of(hwnas.load_data(arguments.data), images=arguments.images, judged_by=arguments.judged_by)
    family = hwnas.network_family(arguments.space, channels=data.channels, classes=data.classes)
    part = f"-{arguments.images}" if arguments.images else ""
    name = f"{Path(arguments.data).stem}{part}-{arguments.space.replace(':', '-')}-{arguments.seed}"
    folder = arguments.out / name
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    networks = [family.space.sample(rng) for _ in range(arguments.networks)]
    about = {"data_sha256": data.fingerprint, "space": family.space.name}
    print(
        f"\n{name}: {len(networks)} networks, {len(data.train.images):,} images to learn from, "
        f"{len(data.validation.images):,} to judge by; {arguments.epochs} epochs alone, "
        f"{arguments.supernet_epochs} shared"
    )
    truth = np.empty(0)
    guesses: dict[str, list[Array]] = {kind: [] for kind in SHARED}
    results = []
    for method in methods(family, data, arguments, folder):
        found = judged(method, networks, folder, about)
        truth = truth if len(truth) else found[:, 0]
        results.append(row(method.name, truth, found, training_s=method.training_s))
        if method.clock:
            guesses[method.name.partition(" ")[0]].append(found[:, 0])
    results.append(row("predictor", truth, learned(family, networks, truth, seed=arguments.seed), training_s=0.0))
    text = "".join(json.dumps({**one, **about, **vars(arguments), "out": ""}) + "\n" for one in results)
    (folder / "results.jsonl").write_text(text, encoding="utf-8")
    print(f"{'':20}{'tau':>16}{'better half':>16}{'minutes':>10}")
    for one in results[1:]:
        cells = [f"{one[key]:.3f} ± {one[f'{key}_error']:.3f}" for key in ("tau", "tau_better_half")]
        print(f"{one['method']:20}{cells[0]:>16}{cells[1]:>16}{one['minutes']:>10.2f}")
    print(f"{'trained alone':20}{'':32}{results[0]['minutes']:>10.2f}")
    if arguments.supernet_seeds:
        better = truth >= np.median(truth)
        held = {kind: np.array(found) for kind, found in guesses.items()}
        whole = "{:+.3f} ± {:.3f}".format(*ahead(truth, held))
        half = "{:+.3f} ± {:.3f}".format(*ahead(truth[better], {kind: one[:, better] for kind, one in held.items()}))
        print(f"few-shot over one-shot, mean of {arguments.supernet_seeds} seeds: {whole}, better half {half}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--networks", type=int, default=60, help="0: the published case alone")
    parser.add_argument("--epochs", type=int, default=12, help="of each network alone")
    parser.add_argument("--images", type=int, default=0, help="to learn from; 0: all")
    parser.add_argument("--judged-by", type=int, default=0, help="validation images; 0: all")
    parser.add_argument("--supernet-epochs", type=int, default=30, help="of one supernet, and of the four together")
    parser.add_argument("--supernet-seeds", type=int, default=2, help="how many times supernets are trained")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RUNS, help="where results are kept")
    arguments = parser.parse_args()
    published()
    if arguments.networks:
        ranked(arguments)


if __name__ == "__main__":
    main()
