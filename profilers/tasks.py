"""What a campaign measures: one task a thing, by the method of its backend."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from latency_tables import keyed, split
from profilers.backends.contract import Backend, InPlace, Inspection, IsolatedKernel, Isolating, Method
from profilers.errors import CampaignError, ModelError
from profilers.guards import checked_inspection
from profilers.kernels import block_kernels
from profilers.models import block_models, floor_model
from profilers.precision import PRECISIONS, arithmetic, with_precision

BLOCK_PREFIX = "block:"  # a block timed as one kernel


class Workload(Protocol):
    """A network to be profiled."""

    @property
    def name(self) -> str:
        """Unique in the campaign, its batch as ``latency_tables.keyed`` writes it."""

    @property
    def model(self) -> bytes:
        """Serialised ONNX model with fixed shapes."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Prefix of a part's tensor names, to the key of the block it is."""


@dataclass(frozen=True)
class OnnxWorkload:
    """Any ONNX network to be profiled.

    Attributes:
        name: Unique in the campaign, its batch as ``latency_tables.keyed`` writes it.
        model: Serialised ONNX model with fixed shapes.
        parts: Prefix of a part's tensor names (what stands before the first slash) to the key of the block it is; one
            prefix for a network without parts.
    """

    name: str
    model: bytes
    parts: Mapping[str, str]


@dataclass(frozen=True)
class Converted:
    """A workload in another precision; converted anew each time, so that a list of large networks takes no memory.

    Attributes:
        workload: As it was.
        precision: As it is to be.
        symmetric: Whether ``int8`` is signed and lies around zero; see ``profilers.precision.with_precision``.
    """

    workload: Workload
    precision: str
    symmetric: bool = False

    @property
    def name(self) -> str:
        """With its coordinates."""
        return _at(self.workload.name, self.precision)

    @property
    def model(self) -> bytes:
        """Serialised ONNX model."""
        return with_precision(self.workload.model, self.precision, symmetric=self.symmetric)

    @property
    def parts(self) -> Mapping[str, str]:
        """Prefix to block key, with its coordinates."""
        return {prefix: _at(key, self.precision) for prefix, key in self.workload.parts.items()}


@dataclass(frozen=True)
class Task:
    """One thing that is timed in every round.

    Attributes:
        kind: ``"kernels"`` (a network with the kernels inside), ``"kernel"``, ``"network"``, ``"step"`` or ``"floor"``.
        name: Unique among its kind.
        load: Gives the model that runs; large networks are not all held at once.
        parts: Of a network: prefix to block key.
        copies: Of a kernel: how often it is put side by side.
    """

    kind: str
    name: str
    load: Callable[[], bytes] = bytes
    parts: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1

    def id(self, round_: int) -> str:
        """Names this task in one round."""
        return f"{self.kind}/{round_}/{self.name}"


def converted(workload: Workload, precision: str, *, symmetric: bool = False) -> Workload:
    """A workload in a precision; itself in ``"fp32"``.

    Args:
        workload: As it is.
        precision: As it is to be.
        symmetric: Whether ``int8`` is signed and lies around zero: ask ``profilers.backends.contract.symmetric_int8``.

    Raises:
        CampaignError: No such precision.
    """
    require_precisions([precision])
    return workload if precision == "fp32" else Converted(workload, precision, symmetric)


def require_precisions(names: Sequence[str]) -> tuple[str, ...]:
    """Names of precisions, each once.

    Raises:
        CampaignError: One of them is none.
    """
    for name in names or ("",):
        if name not in PRECISIONS:
            raise CampaignError(f"unknown precision {name!r}: expected one of {', '.join(PRECISIONS)}")
    return tuple(dict.fromkeys(names))


def _at(key: str, precision: str) -> str:
    name, batch, _ = split(key)
    return keyed(name, batch=batch, precision=precision)


def _loader(workload: Workload) -> Callable[[], bytes]:
    return lambda: workload.model


def structure_entry(inspection: Inspection, parts: Mapping[str, str], *, provider: str) -> dict[str, Any]:
    """What a network became, for the journal."""
    kernels: dict[str, dict[str, Any]] = {}
    for use in inspection.uses:
        kernels[use.key] = {
            "provider": use.provider or provider,
            "arithmetic": arithmetic(use.op_type, use.elements),
            "memory_mib": use.memory_mib,
        }
    return {
        "about": kernels,
        "blocks": block_kernels(inspection.uses, parts),
        "memory_mib": inspection.memory_mib,
        "operators": Counter(f"{use.op_type}:{arithmetic(use.op_type, use.elements)}" for use in inspection.uses),
    }


def in_place_tasks(workloads: Sequence[Workload]) -> list[Task]:
    """Networks whose kernels are timed where they run."""
    return [Task("kernels", workload.name, _loader(workload), workload.parts) for workload in workloads]


def network_tasks(references: Sequence[Workload]) -> list[Task]:
    """Networks that are timed as a whole."""
    return [Task("network", workload.name, _loader(workload), workload.parts) for workload in references]


def floor_task() -> Task:
    """A call that does no work."""
    return Task("floor", "call", floor_model)


def block_structure(workload: Workload, *, provider: str) -> dict[str, Any]:
    """The entry of a network whose blocks are the kernels."""
    key = {block: f"{BLOCK_PREFIX}{block}" for block in workload.parts.values()}
    precision = split(workload.name)[2]
    return {
        "about": {
            kernel: {"provider": provider, "arithmetic": precision, "memory_mib": None} for kernel in key.values()
        },
        "blocks": [(block, {kernel: 1}) for block, kernel in key.items()],
        "memory_mib": None,
        "operators": {},
    }


def kernel_models(
    backend: Backend, workload: Workload, method: Method
) -> tuple[dict[str, Any], dict[str, IsolatedKernel]]:
    """What a network became, and each kernel of it as a model of its own.

    Args:
        backend: What runs it.
        workload: The network.
        method: ``"blocks"`` or ``"isolated"``.

    Raises:
        ModelError: The backend cannot load the network or cut it up.
        DeviceError: It ran elsewhere.
        CampaignError: The backend has no such method.
    """
    if method == "blocks":
        models = block_models(workload.model, workload.parts)
        alone = {f"{BLOCK_PREFIX}{block}": IsolatedKernel(model=model) for block, model in models.items()}
        return block_structure(workload, provider=backend.provider), alone
    if isinstance(backend, Isolating):
        inspection, alone = backend.isolate(workload.model, workload.parts)
        inspection = checked_inspection(backend, inspection, workload.parts)
        return structure_entry(inspection, workload.parts, provider=backend.provider), alone
    if isinstance(backend, InPlace):
        raise CampaignError(f"the backend {backend.name!r} cannot run a kernel alone: choose --method in-place")
    raise CampaignError(f"the backend {backend.name!r} cannot tell its kernels apart: choose --method blocks")


def identity(groups: Mapping[str, Sequence[Workload]], *, method: str) -> str:
    """Hash of what is measured: names alone are the same for images of any shape."""
    content = {group: [[one.name, dict(one.parts)] for one in found] for group, found in groups.items()}
    return hashlib.sha256(json.dumps([method, content], sort_keys=True).encode()).hexdigest()


def named(task: Task, error: ModelError) -> ModelError:
    """The error with the network it came from."""
    return ModelError(f"{'network' if task.kind == 'structure' else task.kind} {task.name}: {error}")


def distinct(workloads: Sequence[Workload]) -> Iterator[Workload]:
    """Each name once."""
    seen: set[str] = set()
    for workload in workloads:
        if workload.name not in seen:
            seen.add(workload.name)
            yield workload
