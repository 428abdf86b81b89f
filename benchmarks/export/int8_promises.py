"""What int8 networks take on this CPU, exported and quantised, against what a table of int8 predicts of them.

Random networks of a space are quantised as an export does it, with ranges from images of noise, and timed in shuffled
rounds beside the same networks in the form in which their kernels were profiled. Make the table first, with

    hwnas profile --space mobilenet:tiny --precision fp32,int8 --out int8.jsonl

A table is only as good as the moment (see README.md), so the predictor is judged as it stands and with the device's
present speed taken out: that is the median ratio of the profiled forms to their predictions.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from hwnas.conversion import model_in
from hwnas.networks import network_family
from hwnas.predictors import LatencyPredictor
from latency_tables import read_table
from profilers import OnnxWorkload, converted, open_device, time_networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="of fp32 and int8, made on this machine")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = read_table(arguments.table)
    family = network_family(table.manifest.space)
    predictor = LatencyPredictor.of(table, family.at(batch=1, precision="int8"))
    rng = np.random.default_rng(arguments.seed)
    drawn = {one.id: one for one in (family.space.sample(rng) for _ in range(arguments.networks))}
    workloads = []
    for name, architecture in drawn.items():
        size = family.resolution(architecture)
        images = rng.standard_normal((8, family.shape.channels, size, size)).astype(np.float32)
        exported = model_in(family.module(architecture, seed=0).eval(), "int8", images)
        profiled = converted(family.workload(architecture), "int8").model
        workloads += [OnnxWorkload(f"{name}-exported", exported, {}), OnnxWorkload(f"{name}-profiled", profiled, {})]
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        timed = time_networks(workloads, backend=open_device("cpu"), out=Path(folder, "timed"))
    times = {name: one.row.timing for name, one in timed.items()}
    predicted = predictor.predict(list(drawn.values()))[0]
    exported_ms, profiled_ms = (
        np.array([times[f"{name}-{form}"].latency_ms for name in drawn]) for form in ("exported", "profiled")
    )
    speed = float(np.median(profiled_ms / predicted))
    print(f"{'network':14}{'predicted':>11}{'profiled':>10}{'exported':>10}  ms")
    for name, *row in zip(drawn, predicted, profiled_ms, exported_ms, strict=True):
        noisy = "noisy" in {times[f"{name}-{form}"].noise for form in ("exported", "profiled")}
        print(f"{name:14}{row[0]:>11.4f}{row[1]:>10.4f}{row[2]:>10.4f}{'  noisy' * noisy}")
    for what, errors in {
        "exported against profiled form": exported_ms / profiled_ms - 1,
        "exported against predicted": exported_ms / predicted - 1,
        f"the same, the device {speed:.3f}x as slow as in the table": exported_ms / (speed * predicted) - 1,
    }.items():
        spread = np.quantile(np.abs(errors), 0.95)
        print(
            f"{what}: median {np.median(errors):+.1%}, mean error {np.abs(errors).mean():.1%}, 95 % below {spread:.1%}"
        )


if __name__ == "__main__":
    main()
