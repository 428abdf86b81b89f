"""How far predictions are off: random networks and networks that an optimiser chose, none of them in the table.

For each space a table is made. Then the networks to judge by and the 20 calibration networks are timed in the same
shuffled rounds, so that drift hits all alike; that is a session. A later second session times them again. Errors are
against the mean of both sessions, by the table's kernels calibrated on the calibration networks of the same sessions.
The noise of that truth stands beside them: one half of the rounds against the other, and one session against the other.

Beside the predictor stand lines through FLOPs and through parameters, fitted on the same calibration networks; the
plain sum over the rows of a per-operator table, without any calibration; and the idea of nn-Meter, one regression for
each kind of kernel instead of a row for each kernel (every kernel is predicted by regressions that have not seen it),
with the same calibration as ours.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

import hwnas
import profilers
from hwnas.core import Architecture
from hwnas.networks import NetworkFamily
from hwnas.predictors import Accuracy, Estimate, LatencyPredictor, accuracy
from hwnas.predictors.regression import KindRegression
from hwnas.predictors.shapes import kernel_shape
from hwnas.study import EvaluationPlan, plan_evaluation
from latency_tables import LatencyTable, write_table

FOLDER = Path("runs/benchmarks/prediction")
FOLDS, FEWEST = 5, 6  # a kind of fewer kernels teaches a regression nothing


def plain(family: NetworkFamily) -> NetworkFamily:
    return replace(family, precision="fp32")


def table_of(family: NetworkFamily, backend: profilers.Backend, path: Path) -> LatencyTable:
    return profilers.profile(
        plain(family).workloads(),
        plain(family).references(),
        backend=backend,
        out=path,
        settings=profilers.CampaignSettings(space=family.space.name, steps=False),  # nothing is missing here
    )


def timed(plan: EvaluationPlan, backend: profilers.Backend, name: str) -> dict[str, profilers.TimedNetwork]:
    protocol = profilers.MeasuringProtocol(rounds=5, most_rounds=8, timed_runs=30)
    settings = profilers.CampaignSettings(space=plan.family.space.name, protocol=protocol)
    return profilers.time_networks(plan.workloads(), backend=backend, out=FOLDER / f"{name}.json", settings=settings)


def pooled(
    one: dict[str, profilers.TimedNetwork], other: dict[str, profilers.TimedNetwork]
) -> dict[str, profilers.TimedNetwork]:
    """The mean of two sessions, the second at the pace of the first; its halves are the sessions."""
    both = sorted(set(one) & set(other))
    pace = float(np.median([other[n].row.timing.latency_ms / one[n].row.timing.latency_ms for n in both]))
    found = {}
    for name in both:
        a_ms, b_ms = one[name].row.timing.latency_ms, other[name].row.timing.latency_ms / pace
        row = one[name].row
        found[name] = profilers.TimedNetwork(
            row=replace(row, timing=replace(row.timing, latency_ms=(a_ms + b_ms) / 2)), halves_ms=(a_ms, b_ms)
        )
    print(f"the device was {pace - 1:+.1%} slower in the second session; that is taken out")
    return found


def regressed(table: LatencyTable) -> LatencyTable:
    """The table with every kernel as regressions predict it that have not seen it; rows of small kinds stay."""
    kinds = defaultdict(list)
    for key in table.kernels:
        shape = kernel_shape(key)
        if shape is not None:
            kinds[(shape.kind, *sorted(shape.logs))].append((key, shape))
    found = dict(table.kernels)
    for members in kinds.values():
        if len(members) < FEWEST:
            continue
        order = np.random.default_rng(0).permutation(len(members))
        for fold in range(FOLDS):
            out = {int(i) for i in order[fold::FOLDS]}
            kept = [members[i] for i in range(len(members)) if i not in out]
            times = np.array([table.kernels[key].timing.latency_ms for key, _ in kept])
            regression = KindRegression([shape for _, shape in kept], times)
            for i in out:
                key, shape = members[i]
                latency_ms = regression.extrapolate(shape)
                found[key] = replace(found[key], timing=replace(found[key].timing, latency_ms=latency_ms))
    return replace(table, kernels=found)


def line(name: str, one: Accuracy) -> str:
    inside = "" if one.inside is None else f"  inside {one.inside:4.0%}"
    return (
        f"  {name:22s} MAPE {one.mape:6.2%}  bias {one.bias:+6.1%}  "
        f"<5% {one.within_5:4.0%}  <10% {one.within_10:4.0%}  "
        f"worst 5% {one.worst_5:6.1%}  Spearman {one.spearman:.4f}  Kendall {one.kendall:.3f}  "
        f"regret {one.top_k_regret:.1%}{inside}"
    )


def report(plan: EvaluationPlan, measured: dict[str, profilers.TimedNetwork], half: dict[str, float]) -> None:
    """Prints every estimate of every group beside the noise of the truth."""
    judged = plan.judge(measured, when="", protocol={})
    table, family = plan.subject.table, plan.family
    again = {name: measured[name].row for name in sorted(plan.subject.calibration) if name in measured}
    session = replace(table, networks=again)
    others = {
        "per-operator sum": lambda of: plain_sum(of, table, family),
        "kernel regressions": LatencyPredictor.of(regressed(session), family).predict,
    }
    for group, result in judged.groups.items():
        chosen = [(measured[name], one) for name, one in plan.groups[group].items() if name in measured]
        truth_ms = np.array([one.row.timing.latency_ms for one, _ in chosen])
        networks = [architecture for _, architecture in chosen]
        print(f" {group}, {len(networks)} networks of {truth_ms.min():.3g} to {truth_ms.max():.3g} ms")
        apart = [half[one.row.key] for one, _ in chosen]
        print(f"  noise, half the rounds against the other half: median {np.median(apart):.2%}", end="")
        print(f", 95th percentile {np.quantile(apart, 0.95):.1%}")
        print(line("noise, session/session", result.noise))
        print(line("predictor", result.estimates["session"]))
        print(line("predictor, old session", result.estimates["table"]))
        for name, predict in others.items():
            print(line(name, accuracy(truth_ms, Estimate(predicted_ms=predict(networks)[0]))))
        print(line("FLOPs", result.estimates["flops"]))
        print(line("parameters", result.estimates["params"]))
    print(f" residual model: {dict(LatencyPredictor.of(session, family).calibration.residual) or 'off'}")


def plain_sum(
    networks: list[Architecture], table: LatencyTable, family: NetworkFamily
) -> tuple[np.ndarray, np.ndarray]:
    sums = [sum(table.block_cost(key)[0] * n for key, n in Counter(family.block_keys(a)).items()) for a in networks]
    return np.array(sums), np.zeros(len(sums))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", nargs="+", default=["nasbench201", "mobilenet", "mobilenet:ofa"])
    parser.add_argument("--networks", type=int, default=100, help="random networks of each space")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = profilers.BackendSettings(threads=arguments.threads)
    backend = profilers.open_device(arguments.device, settings=settings)
    plans: dict[str, EvaluationPlan] = {}
    first: dict[str, dict[str, profilers.TimedNetwork]] = {}
    for space in arguments.space:
        family = hwnas.network_family(space).at(batch=arguments.batch, precision="fp32")
        name = f"{space.replace(':', '-')}-t{arguments.threads}-b{arguments.batch}"
        path = FOLDER / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        table = table_of(family, backend, path)
        plans[space] = plan_evaluation(
            table, family, table_name=str(path), networks=arguments.networks, seed=arguments.seed
        )
        first[space] = timed(plans[space], backend, f"{name}-1")
    for space, plan in plans.items():
        name = f"{space.replace(':', '-')}-t{arguments.threads}-b{arguments.batch}"
        second = timed(plan, backend, f"{name}-2")
        about = plan.subject.table.manifest
        restless = about.conditions.get("restless_share")
        print(
            f"{space}, batch {arguments.batch}, {arguments.threads} threads, {about.device_name}, {about.provider}: "
            f"{len(plan.subject.table.kernels)} kernels, {restless:.0%} of the table's measurements restless"
        )
        half = {
            key: abs(one.halves_ms[0] / one.halves_ms[1] - 1) for key, one in first[space].items() if min(one.halves_ms)
        }
        truth = pooled(first[space], second)
        write_table(LatencyTable.from_rows(about, [one.row for one in truth.values()]), FOLDER / f"{name}-truth.jsonl")
        report(plan, truth, half)


if __name__ == "__main__":
    main()
