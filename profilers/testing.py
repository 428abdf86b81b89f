"""What a backend must do, as tests: subclass ``BackendConformance`` in your own test suite and say how to make one.

Needs pytest only to be collected; every test is a plain method that raises ``AssertionError``.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from latency_tables import read_table
from profilers.backends.contract import METHODS, Backend, InPlace, Isolating, RunPlan, TimedRuns
from profilers.campaign import CampaignSettings, profile
from profilers.coverage import coverage
from profilers.errors import ModelError
from profilers.protocol import MeasuringProtocol
from profilers.tasks import OnnxWorkload

_PLAN = RunPlan(warmup_runs=2, runs=12, least_runs=4, budget_ms=2000.0)
_QUICK = MeasuringProtocol(warmup_runs=1, profiled_runs=8, timed_runs=8, least_runs=4, rounds=2, most_rounds=2)


def chain(widths: tuple[int, ...], *, pixels: int = 8, open_batch: bool = False) -> OnnxWorkload:
    """A chain of 3x3 convolutions with rectifiers, one part each: what the tests run.

    Args:
        widths: Channels before, between and after the convolutions.
        pixels: A side.
        open_batch: Whether the batch is left open, as a backend must refuse.
    """
    rng = np.random.default_rng(0)
    nodes, weights, tensor = [], [], "image"
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        value = (0.05 * rng.standard_normal((after, before, 3, 3))).astype(np.float32)
        weights.append(numpy_helper.from_array(value, f"p{index}/weight"))
        nodes.append(helper.make_node("Conv", [tensor, f"p{index}/weight"], [f"p{index}/conv"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"p{index}/conv"], [f"p{index}/out"]))
        tensor = f"p{index}/out"
    batch: int | str = "n" if open_batch else 1
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, widths[0], pixels, pixels])],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [batch, widths[-1], pixels, pixels])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    parts = {f"p{i}": f"conv({a}->{b},px={pixels})" for i, (a, b) in enumerate(itertools.pairwise(widths))}
    return OnnxWorkload("chain-" + "-".join(map(str, widths)), model.SerializeToString(), parts)


class BackendConformance:
    """Tests that every backend must pass; those that do not concern its method pass by themselves."""

    def make_backend(self) -> Backend:
        """The backend to be tested, opened; give this one."""
        raise NotImplementedError("say how to make the backend: def make_backend(self): return MyBackend(...)")

    def test_it_says_what_it_is(self) -> None:
        """Every attribute of the contract is there and of its type."""
        backend = self.make_backend()
        for name in ("name", "version", "device", "device_name", "provider"):
            value = getattr(backend, name)
            assert isinstance(value, str), f"{name} must be text, not {value!r}"
            assert value, f"{name} must not be empty"
        assert isinstance(backend.threads, int), f"threads must be a whole number, not {backend.threads!r}"
        assert backend.threads >= 1, "a backend uses at least one thread"
        assert isinstance(backend, Backend), "it lacks a method of profilers.backends.Backend"
        devices = getattr(type(backend), "devices", ())
        assert backend.device in devices, f"the class must list {backend.device!r} in `devices`, not {devices!r}"

    def test_it_has_what_its_method_needs(self) -> None:
        """The method is one of the known, and the backend can do it."""
        backend = self.make_backend()
        assert backend.method in METHODS, f"method must be one of {METHODS}, not {backend.method!r}"
        needed = {"in-place": InPlace, "isolated": Isolating, "blocks": Backend}[backend.method]
        assert isinstance(backend, needed), f"method {backend.method!r} needs what {needed.__name__} has"

    def test_its_fingerprint_is_flat_complete_and_steady(self) -> None:
        """Two fingerprints are equal, can be written as JSON, and tell what a latency depends on."""
        backend = self.make_backend()
        first, second = backend.fingerprint(), backend.fingerprint()
        assert first == second, "a fingerprint must not change from minute to minute: leave load and clocks out"
        json.dumps(first, allow_nan=False)
        nested = [name for name, value in first.items() if isinstance(value, dict | list)]
        assert not nested, f"a fingerprint must be flat: {nested}"
        lacking = {"device", "runtime", "provider", "threads"} - set(first)
        assert not lacking, f"a fingerprint must hold {lacking}"

    def test_times_are_times(self) -> None:
        """Times are finite and positive, as many as were planned, and carry the provider's name."""
        backend = self.make_backend()
        timed = backend.time(chain((8, 8)).model, _PLAN)
        _require_times(timed, backend)

    def test_more_work_takes_longer(self) -> None:
        """A network with a hundred times the work is slower; anything else is not measuring what it runs."""
        backend = self.make_backend()
        small = np.median(backend.time(chain((8, 8)).model, _PLAN).run_ms)
        large = np.median(backend.time(chain((64, 64, 64), pixels=32).model, _PLAN).run_ms)
        assert large > small, f"256 times the work took {large} ms, the small network {small} ms"

    def test_what_is_no_model_is_refused(self) -> None:
        """Bytes that are no model, and models with open sizes, raise ModelError."""
        backend = self.make_backend()
        _require_refused(lambda: backend.time(b"this is no model", _PLAN), "bytes that are no model")
        _require_refused(lambda: backend.time(chain((8, 8), open_batch=True).model, _PLAN), "an open batch")

    def test_kernels_in_place(self) -> None:
        """Where kernels are timed in place: the same ones every time, a time for each in each run, parts known."""
        backend, network = self.make_backend(), chain((8, 16, 8))
        if not isinstance(backend, InPlace) or backend.method == "isolated":
            return
        runs = backend.profile(network.model, network.parts, _PLAN)
        _require_times(runs, backend)
        assert runs.uses, "a network is made of at least one kernel"
        assert np.shape(runs.kernel_ms) == (len(runs.uses), len(runs.run_ms)), "kernel_ms must be (uses, runs)"
        assert {use.part for use in runs.uses} <= set(network.parts), "a kernel belongs to one of the parts"
        again = backend.profile(network.model, network.parts, _PLAN)
        assert [use.key for use in again.uses] == [use.key for use in runs.uses], "keys must not change"

    def test_kernels_alone(self) -> None:
        """Where kernels are timed alone: each has a model, and it runs."""
        backend, network = self.make_backend(), chain((8, 16, 8))
        if not isinstance(backend, Isolating):
            return
        inspection, alone = backend.isolate(network.model, network.parts)
        assert {use.key for use in inspection.uses} == set(alone), "every kernel of a plain chain can run alone"
        for kernel in alone.values():
            _require_times(backend.time_kernel(kernel, _PLAN), backend)

    def test_a_campaign_makes_a_table(self) -> None:
        """The whole way: two networks in, a sound table out that covers both."""
        backend, networks = self.make_backend(), [chain((8, 16, 8)), chain((8, 8, 8, 8))]
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            out = Path(folder, "table.jsonl")
            settings = CampaignSettings(space="chain", steps=False, protocol=_QUICK)
            table = profile(networks, networks, backend=backend, out=out, settings=settings)
            assert read_table(out) == table, "the table must come back from its file as it was"
        assert set(table.networks) == {network.name for network in networks}
        assert coverage(table, networks, backend=backend).complete == len(networks), "a kernel has no row"
        assert all(row.provider == backend.provider for row in table.kernels.values()), "a row of another provider"


def _require_times(timed: TimedRuns, backend: Backend) -> None:
    times = np.asarray(timed.run_ms)
    assert times.ndim == 1, f"run_ms must be a row of times, not of shape {times.shape}"
    assert _PLAN.least_runs <= len(times) <= _PLAN.runs, f"{len(times)} runs, planned {_PLAN.runs}"
    assert np.shape(timed.preempted) == times.shape, "preempted must tell of each run"
    assert np.isfinite(times).all(), "times must be finite"
    assert (times > 0).all(), "times must be positive"
    assert timed.provider == backend.provider, f"ran on {timed.provider!r}, the backend is {backend.provider!r}"


def _require_refused(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except ModelError:
        return
    raise AssertionError(f"{what} must raise profilers.ModelError")
