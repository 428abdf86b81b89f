"""FAKE of a runtime: a backend that runs nothing, and computes every time from the graph it is given.

Its clock is its own, its times are the same on every machine, and a test decides when it is slow, interrupted, broken
or lost. It offers what a test asks for: nothing but whole runs (``PlainFake``), kernels in place, kernels alone, or all
of it (``FakeBackend``). Networks for it are made by ``network``: a chain of blocks, each a kernel of its own and a copy
that all blocks share. Any other ONNX model will do, too; every node of it is a kernel then.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from latency_tables import LatencyTable, convolution
from profilers import (
    CampaignSettings,
    DeviceError,
    MeasuringProtocol,
    ModelError,
    OnnxWorkload,
    Progress,
    RunPlan,
    Workload,
    profile,
)
from profilers.backends import Inspection, IsolatedKernel, Method, ProfiledRuns, TimedRuns
from profilers.devices.clocks import ClockReading
from profilers.kernels import KernelUse, NodeRun, TensorType, kernel_uses
from profilers.models import floor_model, kernel_model, parse_model, prepared, sentinel_model

DOMAIN = "made.up"
PROVIDER = "FakeProvider"
SENTINEL, FLOOR = "sentinel", "floor"
COPY = f"{DOMAIN}.Copy(float[1x4])->float[1x4]"
_FLOOR_KEY = "Relu(float[1])->float[1]"

Times = NDArray[np.float64]
Runs = TypeVar("Runs", bound=TimedRuns)


def network(name: str, *blocks: str) -> OnnxWorkload:
    """A chain of blocks."""
    nodes, between, tensor = [], [], "image"
    for index, block in enumerate(blocks):
        made = [f"p{index}/{kind}" for kind in ("work", "copy")]
        nodes.append(helper.make_node("Work", [tensor], made[:1], made[0], domain=DOMAIN, block=block))
        nodes.append(helper.make_node("Copy", made[:1], made[1:], made[1], domain=DOMAIN))
        between += made
        tensor = made[1]
    values = [helper.make_tensor_value_info(one, TensorProto.FLOAT, [1, 4]) for one in ("image", *between)]
    graph = helper.make_graph(nodes, name, values[:1], values[-1:], value_info=values[1:-1])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return OnnxWorkload(name, model.SerializeToString(), {f"p{i}": block for i, block in enumerate(blocks)})


def work(block: str) -> str:
    """The key of a block's own kernel."""
    return f"{DOMAIN}.Work(float[1x4])->float[1x4]{{block={block}}}"


def made_up_ms(key: str) -> float:
    """The duration of a kernel: 1 to 2 ms, by its name."""
    return 1 + int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1000 / 1000


def block_ms(block: str) -> float:
    """The duration of a block, as the fake runs it where nothing is slow."""
    return made_up_ms(work(block)) + made_up_ms(COPY)


def falling(rng: np.random.Generator, runs: int) -> Times:
    """Factors on the runs of a block: from 1.02 down to 1, the same every time."""
    return 1 + 0.02 * np.arange(runs)[::-1] / max(runs - 1, 1)


def quiet_factor(runs: int, fraction: float) -> float:
    """What the quietest share of ``falling`` runs takes on the average."""
    return float(np.sort(falling(np.random.default_rng(), runs))[: max(1, round(fraction * runs))].mean())


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A call of the backend that is about to be answered.

    Attributes:
        kind: ``"time"``, ``"kernel"``, ``"profile"``, ``"inspect"`` (a profile of one run) or ``"isolate"``.
        what: The network's name, ``SENTINEL``, ``FLOOR``, a kernel's key, ``"block a"`` or ``"probe"`` with a key.
        visit: How many calls of this kind there were for the same thing before.
        call: How many calls there were in all before.
        clock_ms: The fake's clock.
    """

    kind: str
    what: str
    visit: int
    call: int
    clock_ms: float

    @property
    def measuring(self) -> bool:
        """Whether it is a measurement: neither the sentinel nor a look at what a model becomes."""
        return self.kind in {"time", "kernel", "profile"} and self.what != SENTINEL


@dataclass
class PlainFake:
    """FAKE of a backend that times whole runs and no more.

    Attributes:
        method: The method that suits it best, as it says itself.
        device: ``"made-up"`` has no clocks to read and no energy; with ``"gpu"`` replace what reads them.
        floor_ms: What every call takes beside its kernels.
        costs: Duration of kernels by key, before anything else decides.
        growth: Duration of a convolution by its output channels.
        draw: Factors on the runs of a block.
        slowdown: Factor on all times of a call.
        preempted: Whether all runs of a call are reported as interrupted.
        failure: What a call raises instead of an answer; ``KeyboardInterrupt`` is Ctrl-C.
        distort: What becomes of an answer on its way out.
        load_ms: Time to load a model; ``None`` for unknown.
        first_ms: Time of the first run; ``None`` for unknown, though it is spent all the same.
        memory_mib: Of every network.
        copies: How often a kernel is put side by side.
        fuse: What the runtime makes of the kernels of a network.
        uncut: Kernels of which it gives no model of their own.
        conditions: The fingerprint.
        calls: Every answered call.
        plans: The plan of every call that had one.
        clock_ms: Time that has passed.
        busy_ms: Time of it in which the device worked.
    """

    method: Method = "blocks"
    device: str = "made-up"
    floor_ms: float = 0.25
    costs: dict[str, float] = field(default_factory=dict)
    growth: Callable[[int], float] = lambda channels: 0.01 * channels
    draw: Callable[[np.random.Generator, int], Times] = falling
    slowdown: Callable[[Moment], float] = lambda moment: 1.0
    preempted: Callable[[Moment], bool] = lambda moment: False
    failure: Callable[[Moment], BaseException | None] = lambda moment: None
    distort: Callable[[Moment, Any], Any] = lambda moment, runs: runs
    load_ms: float | None = 12.0
    first_ms: float | None = 5.0
    memory_mib: float | None = 0.75
    copies: int = 3
    fuse: Callable[[tuple[KernelUse, ...]], tuple[KernelUse, ...]] = lambda uses: uses
    uncut: frozenset[str] = frozenset()
    conditions: dict[str, Any] = field(default_factory=lambda: {"device": "made-up", "chip": "one", "threads": 1})
    calls: list[Moment] = field(default_factory=list)
    plans: list[RunPlan] = field(default_factory=list)
    clock_ms: float = 0.0
    busy_ms: float = 0.0

    name = "fakeruntime"
    version = "0.0"
    device_name = "Fake device"
    provider = PROVIDER
    threads = 1

    @property
    def measured(self) -> Counter[tuple[str, str]]:
        """Kind and thing of every measurement that was answered."""
        return Counter((moment.kind, moment.what) for moment in self.calls if moment.measuring)

    def fingerprint(self) -> dict[str, Any]:
        return dict(self.conditions)

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        moment = self._begin("time", _called(model))
        return self._answer(moment, self._timed(moment, self._model_ms(model), plan))

    def cost_ms(self, key: str) -> float:
        """Duration of a kernel on the device at its usual speed."""
        if key in self.costs:
            return self.costs[key]
        shape = convolution(key)
        if shape is not None:
            return self.growth(shape.out_channels)
        if key.startswith(f"{DOMAIN}."):
            return made_up_ms(key)
        return 0.0 if key == _FLOOR_KEY else 0.02

    def _model_ms(self, model: bytes) -> float:
        return sum(self.cost_ms(use.key) for use in self.fuse(_read(model).uses({"p": ""})))

    def _begin(self, kind: str, what: str) -> Moment:
        visit = sum(moment.kind == kind and moment.what == what for moment in self.calls)
        moment = Moment(kind=kind, what=what, visit=visit, call=len(self.calls), clock_ms=self.clock_ms)
        error = self.failure(moment)
        if error is not None:
            raise error
        return moment

    def _work(self, busy_ms: float, *, idle_ms: float = 0.0) -> None:
        self.clock_ms += idle_ms + busy_ms
        self.busy_ms += busy_ms

    def _answer(self, moment: Moment, runs: Runs) -> Runs:
        self.calls.append(moment)
        answer: Runs = self.distort(moment, runs)
        return answer

    def _timed(self, moment: Moment, work_ms: float, plan: RunPlan) -> TimedRuns:
        self.plans.append(plan)
        usual_ms = (self.floor_ms + work_ms) * self.slowdown(moment)
        runs = min(plan.runs, max(plan.least_runs, math.floor(plan.budget_ms / usual_ms)))
        rng = np.random.default_rng(zlib.crc32(f"{moment.kind} {moment.what} {moment.visit}".encode()))
        run_ms = usual_ms * self.draw(rng, runs)
        first_ms = usual_ms if self.first_ms is None else self.first_ms
        self._work(first_ms + usual_ms * plan.warmup_runs, idle_ms=self.load_ms or 0.0)
        if plan.began is not None:
            plan.began()
        self._work(float(run_ms.sum()))
        return TimedRuns(
            run_ms=run_ms,
            preempted=np.full(runs, self.preempted(moment)),
            provider=self.provider,
            load_ms=self.load_ms,
            first_ms=self.first_ms,
        )


class InPlaceFake(PlainFake):
    """FAKE of a backend whose runtime times kernels where they run."""

    def profile(self, model: bytes, parts: Mapping[str, str], plan: RunPlan) -> ProfiledRuns:
        moment = self._begin("inspect" if plan.runs == 1 else "profile", _called(model))
        uses = self.fuse(_read(model).uses(parts))
        cost_ms = np.array([self.cost_ms(use.key) for use in uses])
        timed = self._timed(moment, float(cost_ms.sum()), plan)
        factors = timed.run_ms / (self.floor_ms + float(cost_ms.sum()))
        profiled = ProfiledRuns(
            run_ms=timed.run_ms,
            preempted=timed.preempted,
            provider=timed.provider,
            load_ms=timed.load_ms,
            first_ms=timed.first_ms,
            inspection=Inspection(uses=uses, memory_mib=self.memory_mib),
            kernel_ms=np.outer(cost_ms, factors),
        )
        return self._answer(moment, profiled)


class IsolatingFake(PlainFake):
    """FAKE of a backend that can run a kernel alone."""

    def isolate(self, model: bytes, parts: Mapping[str, str]) -> tuple[Inspection, dict[str, IsolatedKernel]]:
        moment = self._begin("isolate", _called(model))
        self.calls.append(moment)
        read = _read(model)
        nodes = {node.name: node for node in read.graph.graph.node}
        alone: dict[str, IsolatedKernel] = {}
        for use in self.fuse(read.uses(parts)):
            single = kernel_model(nodes[use.node], read.graph, read.types)
            assert single is not None
            if use.key not in self.uncut:
                alone.setdefault(use.key, IsolatedKernel(model=single, copies=self.copies))
        found = Inspection(uses=self.fuse(read.uses(parts)), memory_mib=self.memory_mib)
        answer: tuple[Inspection, dict[str, IsolatedKernel]] = self.distort(moment, (found, alone))
        return answer

    def time_kernel(self, kernel: IsolatedKernel, plan: RunPlan) -> TimedRuns:
        (use,) = _read(kernel.model).uses({"p": ""})
        moment = self._begin("kernel", use.key)
        return self._answer(moment, self._timed(moment, kernel.copies * self.cost_ms(use.key), plan))


@dataclass
class FakeBackend(InPlaceFake, IsolatingFake):
    """FAKE of a backend that can do all three."""

    method: Method = "in-place"


@dataclass(frozen=True)
class _Read:
    graph: onnx.ModelProto
    types: Mapping[str, TensorType]
    ran: Mapping[str, NodeRun]

    def uses(self, parts: Mapping[str, str]) -> tuple[KernelUse, ...]:
        return kernel_uses(self.graph, self.ran, parts)


@lru_cache(maxsize=2048)
def _read(model: bytes) -> _Read:
    """What the runtime makes of a model: every node is a kernel."""
    graph = parse_model(prepared(parse_model(model)))
    try:
        inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True)
    except Exception as error:
        raise ModelError(f"the fake runtime cannot load the model: {error}") from error
    types = {one.name: _declared(one) for one in (*graph.graph.input, *graph.graph.output, *inferred.graph.value_info)}
    made_up = TensorType(element="float", shape=(1, 4))  # no shape is inferred for operators nobody knows
    types = {name: made_up for node in graph.graph.node if node.domain == DOMAIN for name in node.output} | types
    for weight in graph.graph.initializer:
        types[weight.name] = _type(weight.data_type, tuple(weight.dims))
    ran = {node.name: _ran(node, types) for node in graph.graph.node}
    return _Read(graph, types, ran)


def _ran(node: onnx.NodeProto, types: Mapping[str, TensorType]) -> NodeRun:
    read = [types[name] for name in node.input if name]
    written = tuple(types[name] for name in node.output if name)
    numbers = sum(math.prod(one.shape) for one in (*read, *written))
    elements = tuple(one.element for one in read)
    return NodeRun(outputs=written, elements=elements, provider=PROVIDER, memory_mib=numbers / 2**18)


def _declared(value: onnx.ValueInfoProto) -> TensorType:
    tensor = value.type.tensor_type
    return _type(tensor.elem_type, tuple(size.dim_value for size in tensor.shape.dim))


def _type(code: int, shape: tuple[int, ...]) -> TensorType:
    return TensorType(element=TensorProto.DataType.Name(code).lower(), shape=shape)


@lru_cache(maxsize=2048)
def _called(model: bytes) -> str:
    """What a model is, for a test to name it."""
    if model in {*_sentinels(), floor_model()}:
        return SENTINEL if model in _sentinels() else FLOOR
    graph = parse_model(model).graph
    if graph.name == "block" and graph.node[0].domain == DOMAIN:
        return f"block {graph.node[0].attribute[0].s.decode()}"
    if graph.name == "probe":
        return f"probe {next(use.key for use in _read(model).uses({'p': ''}) if convolution(use.key))}"
    return graph.name if graph.node[0].domain == DOMAIN else f"{graph.name} {zlib.crc32(model):08x}"


@lru_cache(maxsize=1)
def _sentinels() -> set[bytes]:
    return {sentinel_model("cpu"), sentinel_model("gpu")}


# --- a campaign of made-up networks

PROTOCOL = MeasuringProtocol(
    warmup_runs=0, profiled_runs=4, timed_runs=8, rounds=3, most_rounds=6, sentinel_runs=4, target=0.03
)
WORKLOADS = (
    network("one", "stem", "a", "b", "head"),
    network("two", "stem", "b", "c", "head"),
    network("three", "stem", "c", "d", "d", "head"),
)
REFERENCES = (network("first", "stem", "a", "head"), network("second", "stem", "a", "a", "d", "head"))
BLOCKS = ("stem", "a", "b", "c", "d", "head")


def campaign(
    backend: PlainFake,
    out: Path,
    workloads: Sequence[Workload] = WORKLOADS,
    references: Sequence[Workload] = REFERENCES,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> LatencyTable:
    """``profile`` with a short protocol, and without steps."""
    chosen = CampaignSettings(**{"space": "made-up", "protocol": PROTOCOL, "steps": False, **settings})
    return profile(workloads, references, backend=backend, out=out, settings=chosen, on_progress=on_progress)


def things(
    method: Method,
    workloads: Iterable[Workload] = WORKLOADS,
    references: Iterable[Workload] = REFERENCES,
) -> list[tuple[str, str]]:
    """Kind and name of everything that a round of such a campaign measures, as in ``PlainFake.measured``."""
    networks, timed = list(workloads), list(references)
    blocks = {block for one in (*networks, *timed) for block in one.parts.values()}
    kernels = {
        "in-place": [("profile", one.name) for one in networks],
        "isolated": [("kernel", key) for key in (COPY, *map(work, sorted(blocks)))],
        "blocks": [("time", f"block {block}") for block in sorted(blocks)],
    }
    return [*kernels[method], *(("time", one.name) for one in timed), ("time", FLOOR)]


# --- what a test makes a backend do


def slow_calls(first: int, last: int, factor: float) -> Callable[[Moment], float]:
    """A slow spell of the whole device, from one call to another, the sentinel's included."""
    return lambda moment: factor if first <= moment.call <= last else 1.0


def slow_visits(*factors: float) -> Callable[[Moment], float]:
    """A factor for each time a thing is measured, the last one from then on; the sentinel is never slow."""
    return lambda moment: factors[min(moment.visit, len(factors) - 1)] if moment.measuring else 1.0


def stops_at(measurement: int) -> Callable[[Moment], BaseException | None]:
    """Ctrl-C within a measurement, counted from 0 over everything the backend measures."""
    return _once(measurement, KeyboardInterrupt())


def lost_at(measurement: int) -> Callable[[Moment], BaseException | None]:
    """The device is lost within a measurement, counted likewise."""
    return _once(measurement, DeviceError("the fake device fell off the bus."))


def _once(measurement: int, error: BaseException) -> Callable[[Moment], BaseException | None]:
    seen = 0

    def failure(moment: Moment) -> BaseException | None:
        nonlocal seen
        seen += moment.measuring
        return error if moment.measuring and seen == measurement + 1 else None

    return failure


@dataclass
class FakeClocks:
    """FAKE of ``ClockWatch``: what the clocks say by how often they were read; made in place of the class.

    Attributes:
        clock_mhz: Clock at each reading, the last one from then on; ``None`` for unknown.
        throttled: Number of the readings at which heat holds the clock down.
        readings: How often it was read.
        closed: Whether it was let go of.
    """

    clock_mhz: tuple[float | None, ...] = (1500.0,)
    throttled: frozenset[int] = frozenset()
    readings: int = 0
    closed: bool = False
    reason = None

    def __call__(self, device: str) -> FakeClocks:
        return self

    def read(self) -> ClockReading:
        index, self.readings = self.readings, self.readings + 1
        return ClockReading(
            clock_mhz=self.clock_mhz[min(index, len(self.clock_mhz) - 1)],
            memory_clock_mhz=None,
            temperature_c=None,
            power_w=None,
            throttle_reasons=("hw_thermal_slowdown",) if index in self.throttled else (),
        )

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeMeter:
    """FAKE of an energy counter: a device that draws ``idle_w`` always, and ``extra_w`` while it works.

    Attributes:
        backend: Whose clock and work are counted.
        idle_w: Power of the idle device in watts.
        extra_w: Power beyond that while it runs something.
        answers: How many readings it gives before the device no longer tells.
        closed: Whether it was let go of.
    """

    backend: PlainFake
    idle_w: float = 10.0
    extra_w: float = 40.0
    answers: float = math.inf
    closed: bool = False
    method = "made-up counter"

    def read_mj(self) -> float:
        if self.answers <= 0:
            raise DeviceError("the made-up counter no longer answers")
        self.answers -= 1
        return self.idle_w * self.backend.clock_ms + self.extra_w * self.backend.busy_ms

    def clock(self) -> float:
        """The backend's clock in seconds."""
        return self.backend.clock_ms / 1e3

    def sleep(self, seconds: float) -> None:
        """Time in which nothing runs."""
        self.backend.clock_ms += 1e3 * seconds

    def close(self) -> None:
        self.closed = True
