"""Does ONNX Runtime on this NVIDIA GPU behave as its backends assume? Run once on every new kind of machine.

Each line is a check: what was measured, and what was expected of it. `LOOK` marks those that are not as expected; the
bounds on times are generous, but a shared or throttled GPU can break them: repeat before believing one. With --golden
the files that the runtime itself writes are kept: its optimised graph and its profile, to be read by tests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from latency_tables import Json
from profilers import BackendSettings, DeviceError, ProfilerError, RunPlan
from profilers.backends import TimedRuns
from profilers.backends.onnxruntime_gpu import CudaBackend, TensorRtProviderBackend
from profilers.models import floor_model, parse_model, prepared, sentinel_model
from profilers.testing import chain

PLAN = RunPlan(warmup_runs=5, runs=60)
CHANNELS, PIXELS = 256, 56
LENGTHS = (1, 2, 4, 8)

Open = Callable[..., Any]
"""Opens a backend; takes the settings by name."""


class Checks:
    """Prints every check and counts those that are not as expected."""

    def __init__(self) -> None:
        self.made = self.failed = 0

    def require(self, holds: bool, measured: str, expected: str) -> None:
        """One check."""
        self.made += 1
        self.failed += not holds
        print(f"{'ok  ' if holds else 'LOOK'}  {measured}; expected {expected}", flush=True)

    def ratio(self, name: str, value: float, low: float, high: float) -> None:
        """Whether the quotient of two times lies between bounds."""
        self.require(low <= value <= high, f"{name}: {value:.2f}", f"{low:g} to {high:g}")

    @contextlib.contextmanager
    def works(self, name: str) -> Any:
        """Whether the body goes through; what the package raises ends the body, and nothing after it."""
        try:
            yield
        except ProfilerError as error:
            self.require(False, f"{name}: {type(error).__name__}: {error}", "no error")
        else:
            self.require(True, f"{name}: no error", "no error")

    def refuses(self, name: str, call: Callable[[], object], kind: type[ProfilerError], word: str) -> None:
        """Whether a call raises an error of a kind that holds a word."""
        try:
            call()
        except ProfilerError as error:
            told = f"{type(error).__name__}: {error}"
            self.require(isinstance(error, kind) and word in str(error), f"{name}: {told}", f"{kind.__name__}, {word}")
        else:
            self.require(False, f"{name}: not refused", f"{kind.__name__}, {word}")

    def summary(self) -> str:
        """The last line."""
        return f"{self.made - self.failed} of {self.made} checks are as expected"


def convolutions(count: int, *, channels: int = CHANNELS, pixels: int = PIXELS) -> bytes:
    """A chain of convolutions with rectifiers, all of one size."""
    return chain((channels,) * (count + 1), pixels=pixels).model


def measure(name: str, backend: Any, model: bytes) -> TimedRuns:
    """Times a model and prints it, in microseconds."""
    runs: TimedRuns = backend.time(model, PLAN)
    host_ms = runs.run_ms if runs.host_ms is None else runs.host_ms
    on_device, on_host = (
        " ".join(f"{value * 1e3:9.1f}" for value in np.quantile(times, [0, 0.5, 0.9]))
        for times in (runs.run_ms, host_ms)
    )
    once = f"load {runs.load_ms or 0:8.1f} ms, first run {runs.first_ms or 0:8.1f} ms"
    print(f"      {name:34} device us min/median/p90 {on_device} | host {on_host} | {once}", flush=True)
    return runs


def median_ms(runs: TimedRuns) -> float:
    """The median time on the device."""
    return float(np.median(runs.run_ms))


def quotient(value: float, of: float) -> float:
    """One time over another; not a number where the clock stood still."""
    return value / of if of > 0 else float("nan")


def check_times(backend: Any, checks: Checks) -> dict[int, float]:
    """Times of the floor, the sentinel and chains; gives the medians of the chains by their length."""
    found = {
        "floor (Relu of one number)": measure("floor (Relu of one number)", backend, floor_model()),
        "sentinel": measure("sentinel", backend, sentinel_model()),
    }
    for length in LENGTHS:
        name = f"chain of {length} convolutions"
        found[name] = measure(name, backend, convolutions(length))
    slower = [
        name for name, runs in found.items() if runs.host_ms is not None and median_ms(runs) > np.median(runs.host_ms)
    ]
    checks.require(not slower, f"longer on the device than on the host: {', '.join(slower) or 'none'}", "none")
    chains = {length: median_ms(found[f"chain of {length} convolutions"]) for length in LENGTHS}
    checks.ratio("chain of 8 over chain of 4", quotient(chains[8], chains[4]), 1.6, 2.4)
    # the same names of nodes, other shapes: engines in a cache must not be mixed up
    narrow = median_ms(measure("chain of 4, half as wide", backend, convolutions(4, channels=CHANNELS // 2)))
    checks.ratio("chain of 4, half as wide over the full width", quotient(narrow, chains[4]), 0.1, 0.8)
    return chains


def check_settings(open_: Open, backend: Any, plain_ms: float, checks: Checks, *, floor_ratio: float) -> None:
    """Copies and CUDA graphs, against a plain chain of 4.

    Args:
        open_: Opens a backend.
        backend: One without either setting.
        plain_ms: Its time of the chain.
        checks: What counts.
        floor_ratio: How long the floor may take in a graph, beside without one.
    """
    with contextlib.closing(open_(include_io=True)) as copying:
        with_copies = median_ms(measure("chain of 4, copies included", copying, convolutions(4)))
    megabytes = CHANNELS * PIXELS * PIXELS * 4 / 1e6
    checks.require(
        with_copies > plain_ms,
        f"copies take {(with_copies - plain_ms) * 1e3:.1f} us",
        f"more than nothing, for twice {megabytes:.1f} MB",
    )
    floor_ms = median_ms(measure("floor again", backend, floor_model()))
    with checks.works("CUDA graph"), contextlib.closing(open_(cuda_graph=True)) as replaying:
        replayed = median_ms(measure("chain of 4, CUDA graph", replaying, convolutions(4)))
        checks.ratio("chain of 4 as a CUDA graph over the plain one", quotient(replayed, plain_ms), 0.2, 1.1)
        replayed = median_ms(measure("floor, CUDA graph", replaying, floor_model()))
        checks.ratio("floor as a CUDA graph over the plain one", quotient(replayed, floor_ms), 0.0, floor_ratio)


def recording(kind: type[CudaBackend]) -> type[CudaBackend]:
    """A backend with a stopwatch for launches, and able to keep what the runtime writes."""

    class Recording(kind):  # type: ignore[misc,valid-type]
        """Runs as the backend does."""

        def launches(self, model: bytes, runs: int) -> list[tuple[float, float]]:
            """Milliseconds until a run is launched and until it is finished, for some runs in a row."""
            session, found = self._session(model, self._options()), []
            with contextlib.ExitStack() as held:
                binding, options = session.io_binding(), self._run_options()
                self._bind(session, binding, held)
                held.callback(self._cuda.settle, self._stream)
                for _ in range(runs):
                    start = time.perf_counter()
                    session.run_with_iobinding(binding, options)
                    launched = time.perf_counter()
                    self._cuda.synchronize(self._stream)
                    found.append(((launched - start) * 1e3, (time.perf_counter() - start) * 1e3))
            return found

        def record(self, model: bytes, folder: Path) -> None:
            """Writes the optimised graph and the profile of one run, as the runtime writes them."""
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(folder / "profile")
            options.optimized_model_filepath = str(folder / "optimised.onnx")
            session = self._session(prepared(parse_model(model)), options)
            self._runs(session, RunPlan(warmup_runs=0, runs=1))
            shutil.move(session.end_profiling(), folder / "profile.json")

    return Recording


def check_launches(backend: Any, checks: Checks) -> None:
    """The host must not wait inside a run: the second event would be recorded after it had waited."""
    found = np.array(backend.launches(convolutions(8, channels=2 * CHANNELS, pixels=2 * PIXELS), 25))
    launched, finished = np.median(found[5:], axis=0)
    checks.require(
        launched < finished / 2,
        f"a long run is launched after {launched * 1e3:.0f} us, finished after {finished * 1e3:.0f} us",
        "launched in less than half of the time",
    )


def check_kernels(backend: Any, whole_ms: float, checks: Checks) -> None:
    """Kernels alone: each on the provider, and together about as long as the network of four."""
    inspection, alone = backend.isolate(convolutions(4), {f"p{index}": "conv" for index in range(4)})
    for use in inspection.uses:
        print(f"      kernel {use.part} {use.provider} {use.key}")
    print(f"      memory {inspection.memory_mib} MiB")
    astray = sorted({str(use.provider) for use in inspection.uses} - {backend.provider})
    checks.require(not astray, f"kernels on other providers: {', '.join(astray) or 'none'}", "none")
    convolving = [use for use in inspection.uses if use.op_type in {"Conv", "FusedConv"}]
    checks.require(len(convolving) == 4, f"{len(convolving)} convolutions among the kernels", "4")
    checks.require(
        {use.key for use in inspection.uses} == set(alone), f"{len(alone)} kernels run alone", "every one of them"
    )
    each_ms = {key: median_ms(backend.time_kernel(kernel, PLAN)) / kernel.copies for key, kernel in alone.items()}
    for key, time_ms in each_ms.items():
        print(f"      alone {time_ms * 1e3:9.1f} us, {alone[key].copies} copies, {key}")
    total_ms = sum(each_ms.get(use.key, 0.0) for use in inspection.uses)
    checks.ratio("sum of the kernels alone over the whole", quotient(total_ms, whole_ms), 0.7, 1.3)


def check_refusals(backend: Any, checks: Checks) -> None:
    """What must not be measured, and that all is well afterwards."""
    named = "Det"  # no provider of ONNX Runtime's has a kernel for it but the CPU's; named since ONNX Runtime 1.24
    checks.refuses("an operator for the CPU alone", lambda: backend.time(determinant_model(), PLAN), DeviceError, named)
    if isinstance(backend, TensorRtProviderBackend):  # TensorRT refuses tensors of that size for other reasons
        return
    checks.refuses("512 GiB", lambda: backend.time(huge_model(), PLAN), DeviceError, "out of memory")
    with checks.works("the sentinel afterwards"):
        measure("sentinel", backend, sentinel_model())


def determinant_model() -> bytes:
    """A model with an operator that only the CPU has a kernel for, behind one that every provider has."""
    ends = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("image", [1, 3, 3]), ("p/out", [1]))]
    nodes = [
        helper.make_node("Relu", ["image"], ["p/relu"], "p/relu"),
        helper.make_node("Det", ["p/relu"], ["p/out"], "p/det"),
    ]
    return _serialised(helper.make_graph(nodes, "determinant", ends[:1], ends[1:]))


def huge_model() -> bytes:
    """A model with one number in, one number out, and half a tebibyte in between."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1] * 4) for name in ("image", "p/out")]
    shape = numpy_helper.from_array(np.array([1, 128, 32768, 32768], dtype=np.int64), "p/shape")
    nodes = [
        helper.make_node("Expand", ["image", "p/shape"], ["p/expanded"], "p/expand"),
        helper.make_node("ReduceMax", ["p/expanded"], ["p/out"], "p/max"),
    ]
    return _serialised(helper.make_graph(nodes, "huge", ends[:1], ends[1:], [shape]))


def _serialised(graph: Any) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def write_conditions(fingerprint: dict[str, Json], folder: Path) -> None:
    """Keeps what wrote the golden files: GPU, driver and versions."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conditions.json").write_text(json.dumps(fingerprint, indent=1) + "\n", encoding="utf-8")


def verify(open_: Open, checks: Checks, golden: Path | None = None) -> None:
    """All checks, on backends that ``open_`` opens.

    Raises:
        DeviceError: Not even the first model runs, or the GPU was lost.
    """
    backend = open_()
    with contextlib.closing(backend):
        print(json.dumps(backend.fingerprint(), indent=1))
        chains = check_times(backend, checks)
        check_launches(backend, checks)
        check_settings(open_, backend, chains[4], checks, floor_ratio=0.9)  # the host's launches are most of it
        if backend.method == "isolated":
            with checks.works("kernels alone"):
                check_kernels(backend, chains[4], checks)
        if golden is not None:
            write_conditions(backend.fingerprint(), golden)
            if backend.method == "isolated":  # an engine cannot be saved as a graph
                backend.record(convolutions(2, channels=8, pixels=8), golden)
            print("golden files:", ", ".join(sorted(path.name for path in golden.iterdir())))
        check_refusals(backend, checks)


def report(open_: Open, run: Callable[[Open, Checks, Path | None], None], golden: Path | None) -> int:
    """Runs a script's checks and prints what came of them.

    Returns:
        The exit status: 0 when all is as expected, and where there is nothing to verify and no files were asked for.
    """
    try:
        open_().close()
    except DeviceError as error:
        print(f"nothing was verified: {error}")
        return 0 if golden is None else 3
    checks = Checks()
    try:
        run(open_, checks, golden)
    except ProfilerError as error:
        print(f"LOOK  ended early, {checks.summary()}: {type(error).__name__}: {error}")
        return 1
    print(checks.summary())
    return int(checks.failed > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", choices=["cuda", "tensorrt"], default="cuda")
    parser.add_argument("--golden", type=Path, metavar="FOLDER", help="keep what the runtime writes here")
    arguments = parser.parse_args()
    kind = recording({"cuda": CudaBackend, "tensorrt": TensorRtProviderBackend}[arguments.provider])
    sys.exit(report(lambda **chosen: kind(BackendSettings(device="gpu", **chosen)), verify, arguments.golden))


if __name__ == "__main__":
    main()
