"""Prints how well 10 and 20 measured networks order all others on a device that was left out of the pool.

Devices are left out with all their batches (``model``), alone (``setting``), with everything of their kind, such as all
phones (``kind``), and as HELP splits them, as far as its devices are in the tables. Measured networks are never scored;
all others are, near-zero latencies included. Nothing but the networks called random is drawn.

Needs HWNAS_DATA; see docs/adaptation.md. About two minutes on one core.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ConstantInputWarning, kendalltau, spearmanr

from hwnas.core import Architecture, MachineError
from hwnas.networks import flops_m, network_family, params_m
from hwnas.predictors import (
    DevicePrior,
    LatencyPredictor,
    cleaned,
    device_model,
    left_out,
    read_latencies,
    read_pool,
)
from hwnas.predictors.adapted import SUSPECT
from hwnas.spaces.nasbench201 import EDGES, OPERATIONS
from latency_tables import Coordinates, MissingExtraError, read_table, resolve

Array = NDArray[np.float64]
SAMPLES = (10, 20)
SEEDS = 5  # of networks drawn at random
KINDS = {"gpu": ("ti", "tita", "v100"), "cpu": ("gold", "silver"), "phone": ("samsung", "essential", "pixel")}
HELP = {  # devices to learn from, of its released code; the others here are scored
    "nasbench201": (
        "1080ti_1 1080ti_32 1080ti_256 silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7"
    ),
    "fbnet": "1080ti_1 1080ti_32 1080ti_64 silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7",
    "ofa": "2080ti_1 2080ti_32 2080ti_64 titan_xp_1 titan_xp_32 titan_xp_64 v100_1 v100_32 v100_64",
}
TEST = {"nasbench201": ("eyeriss",), "fbnet": ("eyeriss",), "ofa": ("titan_rtx_1", "titan_rtx_32", "titan_rtx_64")}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """One table: what is learned from, and what baselines need."""

    name: str
    devices: tuple[str, ...]
    latency_ms: Array  # (d, n)
    features: Array  # (n, p)
    counts: Array  # (n, c): how often each operation occurs
    without: Callable[[Sequence[str]], DevicePrior]  # what all devices but these say
    simple: dict[str, Array]  # FLOPs, parameters: (n,)
    ceilings: dict[str, Callable[[Array], float]]  # what noise leaves possible, where that is known


def main() -> None:
    warnings.simplefilter("ignore", ConstantInputWarning)
    for make in (nasbench201, ofa, fbnet):
        pool = make()
        print(f"\n== {pool.name}: {len(pool.devices)} devices, {len(pool.features)} networks")
        by_device(pool)
        for title, groups in protocols(pool).items():
            for n in SAMPLES:
                summary(f"{title}, {n} networks", [score(pool, device, held, n) for device, held in groups])
                if title == "kind left out":
                    by_kind(pool, groups, n)
        random_choice(pool)
    unlike_the_pool()


def by_device(pool: Pool) -> None:
    """Every device left out with all its batches, beside the baselines."""
    names = [*pool.simple, "pool mean", *(f"ridge {n}" for n in SAMPLES), "all", *pool.ceilings]
    heads = [f"{figure} {n}" for n in SAMPLES for figure in ("rho", "tau")]
    print("Spearman (rho) and Kendall (tau) of each device, all batches of its model left out; baselines: Spearman")
    print(f"{'':15s}" + "".join(f"{head:>10s}" for head in [*heads, *names]))
    rows = []
    for device, held in protocols(pool)["model left out"]:
        truth = pool.latency_ms[pool.devices.index(device)]
        found = [figure for n in SAMPLES for figure in score(pool, device, held, n)[:2]]
        simple = [rank(values, truth) for values in pool.simple.values()]
        others = [row / row.mean() for row, name in zip(pool.latency_ms, pool.devices, strict=True) if name not in held]
        ridges = [ridge(pool, truth, chosen(pool, held, n)) for n in SAMPLES]
        everything = rank(fitted(pool.features, truth), truth)
        ceilings = [ceiling(truth) for ceiling in pool.ceilings.values()]
        rows.append([*found, *simple, rank(np.mean(others, axis=0), truth), *ridges, everything, *ceilings])
        print(f"{device:15s}" + "".join(f"{value:10.3f}" for value in rows[-1]))
    print(f"{'mean':15s}" + "".join(f"{value:10.3f}" for value in np.mean(rows, axis=0)))


def protocols(pool: Pool) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Each device scored, and the devices that are left out of the pool for it."""

    def alike(of: Callable[[str], str]) -> list[tuple[str, tuple[str, ...]]]:
        return [(one, tuple(other for other in pool.devices if of(other) == of(one))) for one in pool.devices]

    known = HELP[pool.name].split()
    unknown = tuple(device for device in pool.devices if device not in known)
    found = {
        "model left out": alike(device_model),
        "setting left out": alike(str),
        "kind left out": alike(kind) if len({kind(device) for device in pool.devices}) > 1 else [],
        "HELP's pool, devices it tests on": [(device, unknown) for device in TEST[pool.name]],
        "HELP's pool, all others": [(device, unknown) for device in unknown],
    }
    return {title: groups for title, groups in found.items() if groups}


def by_kind(pool: Pool, groups: Sequence[tuple[str, tuple[str, ...]]], n: int) -> None:
    found: dict[str, list[float]] = {}
    for device, held in groups:
        found.setdefault(kind(device), []).append(score(pool, device, held, n)[0])
    print("    of these " + ", ".join(f"{name} {np.mean(values):.3f}" for name, values in found.items()))


def kind(device: str) -> str:
    return next((name for name, parts in KINDS.items() if any(part in device for part in parts)), device)


@cache
def chosen(pool: Pool, held: tuple[str, ...], n: int) -> NDArray[np.intp]:
    """Networks to measure, chosen without a look at the devices left out."""
    return pool.without(held).choose(pool.features, n)


@cache
def score(
    pool: Pool, device: str, held: tuple[str, ...], n: int, seed: int | None = None
) -> tuple[float, float, float, float]:
    """Spearman, Kendall, median error, and share of the measurements within two spreads."""
    truth = pool.latency_ms[pool.devices.index(device)]
    rows = chosen(pool, held, n) if seed is None else drawn(pool, device, n, seed)
    return judged(*pool.without(held).adapt(pool.features[rows], truth[rows]).predict(pool.features), truth, rows)


def judged(
    latency_ms: Array, spread_ms: Array, truth: Array, rows: NDArray[np.intp]
) -> tuple[float, float, float, float]:
    """The figures of ``score``, on all networks but the measured ones."""
    latency_ms, spread_ms, truth = (np.delete(values, rows) for values in (latency_ms, spread_ms, truth))
    error = float(np.median(np.abs(latency_ms / truth - 1)))
    inside = float(np.mean(np.abs(latency_ms - truth) < 2 * spread_ms))
    return rank(latency_ms, truth), float(kendalltau(latency_ms, truth).statistic), error, inside


def summary(title: str, scores: Sequence[tuple[float, float, float, float]]) -> None:
    rho, tau, error, inside = np.mean(scores, axis=0)
    least = min(one[0] for one in scores)
    print(
        f"{title:47s} {len(scores):3d} cases: Spearman {rho:.3f} (least {least:.3f}), Kendall {tau:.3f}, "
        f"median error {error:.1%}, within 2 spreads {inside:.1%}"
    )


def random_choice(pool: Pool) -> None:
    groups = protocols(pool)["model left out"]
    for n in SAMPLES:
        found = [score(pool, device, held, n, seed) for seed in range(SEEDS) for device, held in groups]
        summary(f"model left out, {n} random networks, {SEEDS} seeds", found)
        if pool.name == "nasbench201":
            one_doubled(pool, n)
        truths = zip(pool.devices, pool.latency_ms, strict=True)
        ridges = [ridge(pool, truth, drawn(pool, one, n, seed)) for one, truth in truths for seed in range(SEEDS)]
        print(f"ridge without a pool on the same networks: Spearman {np.mean(ridges):.3f} (least {min(ridges):.3f})")


def one_doubled(pool: Pool, n: int) -> None:
    """One measurement in turn, every third, is recorded twice too large: what that costs, and whether it is noticed."""
    found, noticed, false = [], [], 0
    for device, held in protocols(pool)["model left out"]:
        prior, rows, truth = pool.without(held), chosen(pool, held, n), pool.latency_ms[pool.devices.index(device)]
        features = pool.features[rows]
        false += int(suspects(prior, features, truth[rows]).sum())
        for spoiled in range(0, n, 3):
            measured = truth[rows] * np.where(np.arange(n) == spoiled, 2.0, 1.0)
            predicted = prior.adapt(features, measured).predict(pool.features)[0]
            found.append(rank(np.delete(predicted, rows), np.delete(truth, rows)))
            noticed.append(suspects(prior, features, measured)[spoiled])
    print(
        f"model left out, {n} networks, one latency doubled: Spearman {np.mean(found):.3f} (least {min(found):.3f}), "
        f"pointed out {np.mean(noticed):.0%}; of {n * len(pool.devices)} sound ones {false}"
    )


def suspects(prior: DevicePrior, features: Array, measured: Array) -> NDArray[np.bool_]:
    """As ``AdaptedPredictor.suspects``."""
    predicted, spread = left_out(prior, features, measured)
    return np.asarray(np.abs(predicted - measured) > SUSPECT * spread)


def drawn(pool: Pool, device: str, n: int, seed: int) -> NDArray[np.intp]:
    rng = np.random.default_rng([seed, n, pool.devices.index(device)])
    return rng.choice(len(pool.features), n, replace=False)


def rank(predicted: Array, truth: Array) -> float:
    return float(spearmanr(predicted, truth).statistic)


def fitted(features: Array, truth: Array) -> Array:
    """Least squares on all networks of the device itself: what the features could do at the most."""
    design = np.column_stack([np.ones(len(features)), features])
    return np.asarray(design @ np.linalg.lstsq(design, truth, rcond=None)[0])


def ridge(pool: Pool, truth: Array, rows: NDArray[np.intp]) -> float:
    """Ridge regression on operation counts from the same measurements and no pool."""
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415  (slow to import)

    scaled = pool.counts / np.maximum(pool.counts.std(axis=0), 1e-9)
    model = RidgeCV(alphas=np.logspace(-4, 2, 13)).fit(scaled[rows], truth[rows])
    left = np.ones(len(truth), dtype=bool)
    left[rows] = False
    return rank(model.predict(scaled[left]), truth[left])


def ceiling(truth: Array) -> float:
    """What a perfect predictor would reach, from cells that are one up to the numbering of their nodes.

    Where no edge joins nodes 1 and 2, exchanging them changes nothing that is computed, dead branches included: 1,500
    networks were measured twice. The root of the rank correlation between the two is what truth has with one of them.
    """
    first, second = relabelled()
    return float(np.sqrt(rank(truth[first], truth[second])))


@cache
def relabelled() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    names = [f"edge_{i}_{j}" for i, j in EDGES]
    cells = [tuple(str(one[name]) for name in names) for one in read_pool("nasbench201").architectures]
    place = {cell: row for row, cell in enumerate(cells)}
    pairs = []
    for row, (e01, e02, e12, e03, e13, e23) in enumerate(cells):
        other = place[e02, e01, e12, e03, e23, e13]
        if e12 == "none" and other > row:
            pairs.append((row, other))
    first, second = np.array(pairs).T
    return first, second


def nasbench201() -> Pool:
    pool = read_pool("nasbench201")
    return Pool(
        name="nasbench201",
        devices=pool.devices,
        latency_ms=pool.latency_ms,
        features=pool.features,
        counts=pool.features[:, : len(OPERATIONS) - 1],
        without=pool.prior_without,
        simple=simple_costs("nasbench201", pool.architectures),
        ceilings={"ceiling": ceiling},
    )


def ofa() -> Pool:
    pool = read_pool("mobilenet:ofa")
    counts = pool.features[:, 1:91].reshape(-1, 10, 9)  # stage and place, kind of block
    return Pool(
        name="ofa",
        devices=pool.devices,
        latency_ms=pool.latency_ms,
        features=pool.features,
        counts=np.column_stack([pool.features[:, 0], counts.sum(axis=1), counts.sum(axis=2)]),
        without=pool.prior_without,
        simple=simple_costs("mobilenet:ofa", pool.architectures),
        ceilings={},
    )


def fbnet() -> Pool:
    devices, latency_ms, columns = read_latencies("fbnet_latency.parquet", columns=("op_indices",))
    kinds = np.array([[int(word) for word in text.split()] for text in columns["op_indices"]])  # (n, layers)
    features = np.eye(kinds.max() + 1)[kinds].reshape(len(kinds), -1)
    counts = np.eye(kinds.max() + 1)[kinds].sum(axis=1)
    prior = DevicePrior.learn(features, cleaned(latency_ms))

    def without(held: Sequence[str]) -> DevicePrior:
        return prior.of(np.array([device not in held for device in devices]))

    return Pool(
        name="fbnet",
        devices=devices,
        latency_ms=latency_ms,
        features=features,
        counts=counts,
        without=without,
        simple={},
        ceilings={},
    )


def simple_costs(space: str, architectures: Sequence[Architecture]) -> dict[str, Array]:
    family = network_family(space)
    found = [(flops_m(blocks), params_m(blocks)) for blocks in map(family.blocks, architectures)]
    flops, params = np.transpose(found)
    return {"FLOPs": flops, "params": params}


def unlike_the_pool() -> None:
    """ONNX Runtime on a CPU, dead branches removed: the shipped table's predictions stand for the device."""
    pool = read_pool("nasbench201")
    family = network_family("nasbench201")
    table = read_table(resolve("xeon-ort-nasbench201-fp32+int8"))
    prior = {"with": pool.prior, "without": pool.prior.of(np.arange(len(pool.prior.coefficients)) < len(pool.devices))}
    print("\n== nasbench201 as a shipped table predicts it for a Xeon under ONNX Runtime; all 22 devices known")
    for precision in ("fp32", "int8"):
        here = family.at(batch=1, precision=precision)
        coordinates = Coordinates(batch=1, precision=precision)
        truth = LatencyPredictor(table, here.block_keys, coordinates=coordinates).predict(pool.architectures)[0]
        flops = rank(simple_costs("nasbench201", pool.architectures)["FLOPs"], truth)
        for twins, known in prior.items():
            print(f"{precision}, {twins} devices as if they removed dead branches (FLOPs: Spearman {flops:.3f})")
            for n in SAMPLES:
                rows = known.choose(pool.features, n)
                predicted, spread = known.adapt(pool.features[rows], truth[rows]).predict(pool.features)
                summary(f"  {n} networks", [judged(predicted, spread, truth, rows)])


if __name__ == "__main__":
    try:
        main()
    except (MachineError, MissingExtraError) as error:
        print(f"skipped: {error}")
