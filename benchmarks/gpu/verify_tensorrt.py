"""Does TensorRT on this NVIDIA GPU behave as its backend assumes? Run once on every new kind of machine.

Each line is a check: what was measured, and what was expected of it. `LOOK` marks those that are not as expected; the
bounds on times are generous, but engines differ from build to build: repeat before believing one. With --golden what
the engine inspector and the profiler of layers say is kept, word for word, to be read by tests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from verify_onnxruntime import (
    PLAN,
    Checks,
    Open,
    check_settings,
    check_times,
    convolutions,
    determinant_model,
    measure,
    median_ms,
    quotient,
    report,
    write_conditions,
)

from profilers import BackendSettings, ModelError, RunPlan
from profilers.backends.tensorrt import TensorRtBackend
from profilers.precision import with_precision

PARTS = {f"p{index}": "conv" for index in range(3)}


class RecordingBackend(TensorRtBackend):
    """The backend, able to write down what TensorRT tells it."""

    def record(self, model: bytes, folder: Path) -> None:
        """Writes the inspector's description of the layers, and names and times of the layers in three runs."""
        with self._loaded(model, graph=False) as loaded:
            inspector = loaded.engine.create_engine_inspector()
            text = str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))
            _, rows = self._profiled(loaded, RunPlan(warmup_runs=0, runs=3))
        tag = self.version.rpartition(".")[0]
        (folder / f"tensorrt-{tag}-layers.json").write_text(text, encoding="utf-8")
        (folder / f"tensorrt-{tag}-times.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def mean_model() -> bytes:
    """A convolution and a mean over all pixels, whose axes are an input: so since opset 18."""
    model = onnx.load_from_string(convolutions(1))
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "p1/axes"))
    graph.node.append(helper.make_node("ReduceMean", [graph.output[0].name, "p1/axes"], ["p1/out"], "p1/m", keepdims=0))
    channels = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("p1/out", TensorProto.FLOAT, [1, channels]))
    return bytes(model.SerializeToString())


def check_models(backend: Any, chains: dict[int, float], checks: Checks) -> None:
    """Models that versions of TensorRT differ about, and the cache of engines."""
    with checks.works("a mean over pixels in opset 18"):
        mean_ms = median_ms(measure("chain of 1 and a mean", backend, mean_model()))
        checks.ratio("chain of 1 and a mean over the chain of 1", quotient(mean_ms, chains[1]), 0.8, 2.0)
    for precision in ("fp16", "int8"):
        with checks.works(precision):
            model = with_precision(convolutions(4), precision, symmetric=backend.symmetric_int8)
            narrow_ms = median_ms(measure(f"chain of 4, {precision}", backend, model))
            checks.ratio(f"chain of 4 in {precision} over fp32", quotient(narrow_ms, chains[4]), 0.05, 0.9)
    before = backend.builds
    again_ms = median_ms(measure("chain of 4 from the engines kept", backend, convolutions(4)))
    checks.require(backend.builds == before, f"{backend.builds - before} engines built for a model seen before", "0")
    checks.ratio("chain of 4 again over the first time", quotient(again_ms, chains[4]), 0.9, 1.1)


def check_layers(backend: Any, checks: Checks) -> None:
    """Layers in place: known by name, booked on their parts, together at most as long as the whole."""
    found = backend.profile(convolutions(3), PARTS, PLAN)
    for use, times_ms in zip(found.uses, found.kernel_ms, strict=True):
        print(f"      layer {use.part} {np.median(times_ms) * 1e3:8.1f} us {use.node} | {use.key}")
    print(f"      memory {found.inspection.memory_mib} MiB, layers of several parts: {backend.shared_layers}")
    nameless = [use.node for use in found.uses if use.op_type == "Unknown"]
    checks.require(not nameless, f"layers that the inspector does not know: {', '.join(nameless) or 'none'}", "none")
    untold = [use.node for use in found.uses if "unknown[" in use.key]
    checks.require(not untold, f"layers with types that are not understood: {', '.join(untold) or 'none'}", "none")
    parts = sorted({use.part for use in found.uses})
    checks.require(parts == sorted(PARTS), f"parts that have layers: {', '.join(parts)}", ", ".join(sorted(PARTS)))
    operators = [use.node for use in found.uses if "ops=Conv" in use.key]
    checks.require(len(operators) == len(PARTS), f"{len(operators)} layers made from a Conv", str(len(PARTS)))
    whole_ms = float(np.median(found.run_ms))
    layers_ms = float(np.median(found.kernel_ms.sum(axis=0)))
    checks.ratio("sum of the layers over the whole", quotient(layers_ms, whole_ms), 0.5, 1.02)
    plain_ms = median_ms(measure("chain of 3", backend, convolutions(3)))
    checks.ratio("chain of 3 with the profiler on over without", quotient(whole_ms, plain_ms), 0.9, 1.2)


def verify(open_: Open, checks: Checks, golden: Path | None = None) -> None:
    """All checks, on backends that ``open_`` opens.

    Raises:
        DeviceError: Not even the first model runs, or the GPU was lost.
    """
    backend = open_()
    with contextlib.closing(backend):
        print(json.dumps(backend.fingerprint(), indent=1))
        chains = check_times(backend, checks)
        check_models(backend, chains, checks)
        check_settings(open_, backend, chains[4], checks, floor_ratio=1.3)  # a launch is quick without a graph, too
        with checks.works("layers in place"):
            check_layers(backend, checks)
        if golden is not None:
            write_conditions(backend.fingerprint(), golden)
            backend.record(convolutions(3), golden)
            print("golden files:", ", ".join(sorted(path.name for path in golden.iterdir())))
        unknown = determinant_model()
        checks.refuses("an operator that TensorRT has not", lambda: backend.time(unknown, PLAN), ModelError, "Det")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", type=Path, metavar="FOLDER", help="keep what TensorRT tells of its layers here")
    arguments = parser.parse_args()
    sys.exit(
        report(lambda **chosen: RecordingBackend(BackendSettings(device="gpu", **chosen)), verify, arguments.golden)
    )


if __name__ == "__main__":
    main()
