"""FAKE of ONNX Runtime's GPU wheel: sessions that enqueue made-up work on a fake device.

Signatures are those of onnxruntime-gpu 1.30; what sessions do is made up, not recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

from tests.profilers.fakes_cuda import FakeCuda

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class Options:
    """FAKE of session options and run options."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.enable_profiling = False
        self.optimized_model_filepath = ""

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value

    def add_run_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class Binding:
    """FAKE: what was bound, by name."""

    def __init__(self) -> None:
        self.inputs: dict[str, tuple[Any, ...]] = {}
        self.outputs: dict[str, tuple[Any, ...]] = {}

    def bind_input(
        self, name: str, device_type: str, device_id: int, element_type: int, shape: list[int], buffer_ptr: int
    ) -> None:
        self.inputs[name] = (device_type, device_id, element_type, shape, buffer_ptr)

    def bind_output(
        self, name: str, device_type: str, device_id: int, element_type: int, shape: list[int], buffer_ptr: int
    ) -> None:
        self.outputs[name] = (device_type, device_id, element_type, shape, buffer_ptr)


@dataclass
class FakeRuntime:
    """How the fake behaves, and what was asked of it.

    Attributes:
        cuda: Where work is enqueued.
        available: Providers that the wheel was built with.
        taken: Providers that a session takes, of those asked for.
        run_ms: Time on the device of a run.
        astray: Provider to the nodes, operator and name, that land on it.
        tells: Whether there is the interface for the assignment of nodes.
        load_error: Raised by every new session.
        run_error: Raised by every run.
        run_errors: Raised by single runs, by their number.
        outputs: Shape of the output.
        extra_nodes: Operators added to the saved graph and the profile.
        sessions: Arguments of each session made.
        bindings: Of each session.
        runs: Options of each run.
    """

    cuda: FakeCuda
    available: tuple[str, ...] = (TENSORRT, CUDA, CPU)
    taken: tuple[str, ...] = (TENSORRT, CUDA, CPU)
    run_ms: float = 0.25
    astray: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    tells: bool = True
    load_error: Exception | None = None
    run_error: Exception | None = None
    run_errors: dict[int, Exception] = field(default_factory=dict)
    outputs: Sequence[Any] = (1, 3)
    extra_nodes: tuple[str, ...] = ()
    sessions: list[SimpleNamespace] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    runs: list[dict[str, str]] = field(default_factory=list)

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Options by provider of the session made last."""
        return dict(self.sessions[-1].providers)


def fake_onnxruntime(fake: FakeRuntime) -> ModuleType:
    """FAKE module."""
    module: Any = ModuleType("onnxruntime")
    module.__version__, module.cuda_version = "1.30.0", "13.0"
    module.SessionOptions = module.RunOptions = Options
    module.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL=99, ORT_DISABLE_ALL=0)
    module.get_available_providers = lambda: list(fake.available)
    module.preload_dlls = lambda: print("Failed to load libcufft.so.12: no such file")  # noqa: T201
    module.InferenceSession = _session_class(fake)
    return module


def _session_class(fake: FakeRuntime) -> type:
    class Session:
        def __init__(self, model: bytes, options: Options, *, providers: Any, enable_fallback: int) -> None:
            fake.sessions.append(
                SimpleNamespace(model=model, options=options, providers=providers, fallback=enable_fallback)
            )
            if fake.load_error is not None:
                raise fake.load_error
            self.asked, self.options = [name for name, _ in providers], options
            self.model, self.events = onnx.ModelProto.FromString(model), 0

        def get_providers(self) -> list[str]:
            return [name for name in fake.taken if name in {*self.asked, CPU}]

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="image", type="tensor(float)", shape=[1, 3])]

        def get_outputs(self) -> list[Any]:
            return [SimpleNamespace(name="p/out", type="tensor(float)", shape=list(fake.outputs))]

        def io_binding(self) -> Binding:
            fake.bindings.append(Binding())
            return fake.bindings[-1]

        def run_with_iobinding(self, _: Binding, options: Options) -> None:
            fake.runs.append(options.entries)
            if fake.run_error is not None:
                raise fake.run_error
            if len(fake.runs) - 1 in fake.run_errors:
                raise fake.run_errors[len(fake.runs) - 1]
            self.events += 1
            fake.cuda.work(fake.run_ms)

        def end_profiling(self) -> str:
            for kind in fake.extra_nodes:
                self.model.graph.node.add(op_type=kind, name=f"{kind}_1", input=["p/out"], output=[f"{kind}_out"])
            onnx.save(self.model, self.options.optimized_model_filepath)
            events = [self._event(node, index) for index, node in enumerate(self.model.graph.node)] * self.events
            path = Path(f"{self.options.profile_file_prefix}.json")
            path.write_text(json.dumps(events), encoding="utf-8")
            return str(path)

        def _event(self, node: onnx.NodeProto, index: int) -> dict[str, Any]:
            told = {
                "provider": self.asked[0],
                "op_name": node.op_type,
                "node_index": str(index),
                "input_type_shape": [{"float": [1, 3]}],
                "output_type_shape": [{"float": [1, 3]}],
            }
            return {"cat": "Node", "name": f"{node.name}_kernel_time", "dur": 3, "args": told}

    if fake.tells:
        Session.get_provider_graph_assignment_info = _assignment(fake)  # type: ignore[attr-defined]
    return Session


def _assignment(fake: FakeRuntime) -> Callable[[Any], list[Any]]:
    def info(session: Any) -> list[Any]:
        found = {session.asked[0]: [("Relu", "p/relu")], **fake.astray}
        return [_group(name, nodes) for name, nodes in found.items()]

    return info


def _group(name: str, nodes: list[tuple[str, str]]) -> Any:
    made = [SimpleNamespace(op_type=op_type, name=node, domain="") for op_type, node in nodes]
    return SimpleNamespace(ep_name=name, get_nodes=lambda: made)
