"""Orders of graph passes on a network as PyTorch exports it: kernels that are left, and the latency of the best.

Each of 16 steps applies one of eleven passes to the first place where it fits, so that which passes, how often and in
which order matter. The search minimises the kernels that are executed with ONNX Runtime's own optimiser off; what the
best orders come to in milliseconds is measured at the end (``--measure``), beside that optimiser.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from passes import PASSES, passed
from trials import trials_of

from hwnas import network_family
from hwnas.core import Architecture, Objective
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.spaces import Choice, SearchSpace
from profilers import OnnxRuntimeBackend, OnnxWorkload, time_networks

STEPS = 16
INITIAL = BATCH = 20
ARMS = (
    "random",
    "regularized-evolution",
    "cmaes",
    "warm-cmaes",
    "la-mcts+regularized-evolution",
    "plalam+regularized-evolution",
    "plalam",
)


class Unoptimised(OnnxRuntimeBackend):
    """Runs graphs as they are written."""

    def _options(self) -> Any:
        options = super()._options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options


def exported(architecture_seed: int) -> onnx.ModelProto:
    """A network of ``mobilenet:tiny`` with ReLUs, batch normalisations left in."""
    family = network_family("mobilenet:tiny")
    rng = np.random.default_rng(architecture_seed)
    drawn = dict(family.space.sample(rng))
    architecture = family.space.architecture(
        {**drawn, **{name: "relu" for name, value in drawn.items() if "activation" in name and value != "relu"}}
    )
    module = family.module(architecture, seed=0).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as after training: nothing is folded for being 0 or 1
            with torch.no_grad():
                for name in ("weight", "bias", "running_mean", "running_var"):
                    getattr(layer, name).copy_(torch.from_numpy(rng.uniform(0.5, 2, layer.num_features)))
    side = family.resolution(architecture)
    image = torch.zeros((1, family.shape.channels, side, side))
    preserved = torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        file = Path(folder, "exported.onnx")
        torch.onnx.export(module, (image,), file, dynamo=False, training=preserved, do_constant_folding=False)
        return onnx.load(file)


def problem() -> SearchProblem:
    choices = tuple(Choice(name=f"step{i}", options=tuple(PASSES), ordinal=False) for i in range(STEPS))
    goal = Objective(name="kernels", unit="", direction="minimize", known="trained")
    return SearchProblem(space=SearchSpace("passes", choices), objectives=(goal,), reference=np.array([1000.0]))


def searched(name: str, model: onnx.ModelProto, *, seed: int, evaluations: int) -> tuple[int, list[str]]:
    """The fewest kernels found, and the order that led there."""
    algorithm, _, inner = name.partition("+")
    searcher = make_searcher(algorithm, problem(), seed=seed, inner=inner or None, initial=INITIAL)

    def evaluate(architecture: Architecture) -> Mapping[str, float]:
        _, way = passed(model, [str(value) for value in architecture.values()])
        told = {f"path.{i}": float(value) for i, value in enumerate(way.ravel())}
        return {"kernels": float(way[-1, 0]), **told}

    trials = trials_of(searcher, evaluate, n=evaluations, batch=BATCH)
    best = min(trials, key=lambda trial: trial.values["kernels"])
    return int(best.values["kernels"]), [str(value) for value in best.architecture.values()]


def difference(model: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """The largest difference between the outputs of two models, relative to the largest output."""
    entry = model.graph.input[0]
    shape = [one.dim_value for one in entry.type.tensor_type.shape.dim]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    outputs = [
        onnxruntime.InferenceSession(one.SerializeToString(), options, ["CPUExecutionProvider"]).run(
            None, {entry.name: image}
        )[0]
        for one in (model, other)
    ]
    return float(np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[0]).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help="time the best of each algorithm; wants a quiet machine")
    arguments = parser.parse_args()
    model = exported(0)
    print(f"as exported: {len(model.graph.node)} kernels")
    best: dict[str, onnx.ModelProto] = {}
    for name in ARMS:
        found = [searched(name, model, seed=seed, evaluations=arguments.evaluations) for seed in range(arguments.seeds)]
        kernels = [count for count, _ in found]
        best[name], _ = passed(model, min(found)[1])
        print(
            f"{name}: kernels {np.mean(kernels):.1f} in the mean, {min(kernels)} to {max(kernels)}; "
            f"outputs of the best differ by {difference(model, best[name]):.1e}",
            flush=True,
        )
    if arguments.measure:
        _measured({"as exported": model, **best})


def _measured(models: dict[str, onnx.ModelProto]) -> None:
    """Latencies of one interleaved run without the runtime's optimiser, and of the exported model with it."""
    work = [OnnxWorkload(name, one.SerializeToString(), {}) for name, one in models.items()]
    with tempfile.TemporaryDirectory() as folder:
        plain = time_networks(work, backend=Unoptimised(), out=Path(folder, "plain.jsonl"))
        own = time_networks(work[:1], backend=OnnxRuntimeBackend(), out=Path(folder, "own.jsonl"))
    for name, timed in (*plain.items(), *((f"{name}, by the runtime", one) for name, one in own.items())):
        timing = timed.row.timing
        print(f"{name}: {timing.latency_ms:.4g} ms{' (noisy)' if timing.noise == 'noisy' else ''}")


if __name__ == "__main__":
    main()
