"""Predicted against re-measured latency: random networks the table has not seen, and the winners of a run.

The table is made, then 40 fresh random networks, half of them from the small and large ends of the space, are measured
in the same session, all of them in each of eight passes; the difference between the odd and the even passes is the
noise below which nothing can be claimed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import hwnas
import profilers
from hwnas.exports import read_card
from hwnas.networks import flops_m, params_m
from hwnas.predictors import LatencyPredictor

FOLDER = Path("runs/benchmarks/predicted_against_measured")
PASSES = 8


def error_line(name: str, predicted_ms: np.ndarray, measured_ms: np.ndarray) -> str:
    error = np.abs(predicted_ms / measured_ms - 1)
    return (
        f"{name:28s} MAPE {error.mean():6.1%}   within 5 % {np.mean(error < 0.05):5.0%}   "
        f"within 10 % {np.mean(error < 0.1):5.0%}   worst {error.max():6.1%}   "
        f"Spearman {spearman(predicted_ms, measured_ms):.3f}"
    )


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    first, second = (np.argsort(np.argsort(values)) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def scaled(quantity: np.ndarray, truth_ms: np.ndarray) -> np.ndarray:
    """A quantity as a latency: the best line through it, by relative errors."""
    design = np.column_stack([np.ones(len(quantity)), quantity])
    coefficients = np.linalg.lstsq(design / truth_ms[:, None], np.ones(len(truth_ms)), rcond=None)[0]
    return np.asarray(design @ coefficients)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--run", type=Path, help="a finished run whose exported winners are listed too")
    arguments = parser.parse_args()
    family = hwnas.network_family()
    device = profilers.open_device("cpu")
    path = FOLDER / "table.jsonl"
    path.unlink(missing_ok=True)
    table = profilers.profile(
        family.workloads(),
        family.references(),
        backend=device,
        out=path,
        settings=profilers.CampaignSettings(space=family.space.name),
    )
    predictor = LatencyPredictor(table, family.block_keys)
    rng = np.random.default_rng(12345)
    tilts = [0.0 if i % 2 else float(rng.uniform(-5, 5)) for i in range(arguments.networks)]
    networks = [family.space.sample(rng, tilt=tilt) for tilt in tilts]
    meter = profilers.DeviceMeter(backend=device, rounds=1, most_rounds=1)
    models = [family.workload(network).model for network in networks]
    passes = np.array([[meter(model).latency_ms for model in models] for _ in range(PASSES)])  # (passes, networks)
    truth_ms = passes.min(axis=0)
    noise = np.abs(passes[0::2].min(axis=0) / passes[1::2].min(axis=0) - 1)
    print(f"{len(networks)} fresh random networks, {truth_ms.min():.4f} to {truth_ms.max():.4f} ms")
    worst = np.quantile(noise, 0.95)
    print(f"noise of the truth (split halves): median {np.median(noise):.1%}, 95th percentile {worst:.1%}")
    print(f"stated spread of the predictor: {predictor.calibration.spread:.1%}")
    print(error_line("table, calibrated", predictor.predict(networks)[0], truth_ms))
    blocks = [family.blocks(network) for network in networks]
    sums = np.array([sum(table.block_cost(block.key)[0] for block in network) for network in blocks])
    print(error_line("table, plain sum", sums, truth_ms))
    print(error_line("FLOPs, line fitted to these", scaled(np.array([flops_m(b) for b in blocks]), truth_ms), truth_ms))
    print(
        error_line("params, line fitted to these", scaled(np.array([params_m(b) for b in blocks]), truth_ms), truth_ms)
    )
    if arguments.run:
        run = hwnas.open_run(arguments.run)
        for pick in run.picks():
            card = read_card(run, pick)
            if card is not None and "measured_ms" in card["latency"]:
                found = card["latency"]
                print(
                    f"{pick:8s} {card['id']}: predicted {found['predicted_ms']:.4f} ms, "
                    f"measured {found['measured_ms']:.4f} ms, "
                    f"ratio {found['ratio']:.3f}, device speed {found['device_speed']:.3f}"
                )


if __name__ == "__main__":
    main()
