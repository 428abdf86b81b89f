"""The result of an evaluation: what was measured where, and how far the predictions are off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwnas.core import DataError
from hwnas.predictors.bounds import Gate
from hwnas.predictors.evaluation import Accuracy, GroupAccuracy
from latency_tables import write_atomically

SCHEMA, SCHEMA_VERSION = "hwnas-evaluation", 1


@dataclass(frozen=True, kw_only=True)
class About:
    """Where the figures come from.

    Attributes:
        space: Name of the search space.
        shape: What the networks read and write, in words.
        batch: Images a run.
        precision: Arithmetic type.
        seed: Of everything drawn.
        front: What chose the networks of the front, in words.
        table: Name or file of the latency table.
        table_sha256: Its hash.
        table_created: When its campaign began.
        device: ``"cpu"`` or ``"gpu"``.
        device_name: The model name the device gives itself.
        runtime: The runtime's name.
        runtime_version: Its version.
        provider: The execution provider.
        threads: Intra-operator threads.
        measured: When the networks were measured, ISO 8601 in UTC.
        protocol: How, field by field.
    """

    space: str
    shape: str
    batch: int
    precision: str
    seed: int
    front: str
    table: str
    table_sha256: str
    table_created: str
    device: str
    device_name: str
    runtime: str
    runtime_version: str
    provider: str
    threads: int
    measured: str
    protocol: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SessionCheck:
    """The networks that a table is calibrated on, measured beside the others.

    Attributes:
        networks: How many.
        in_table: How many of them the table holds the latency of. The rest are of these; ``None`` for fewer than three.
        device_speed: Their latency now over that in the table, the median; above 1 the device is slower today.
        noise_median: How far they moved against one another, that speed taken out: median, relative.
        noise_p95: The 95th percentile of the same.
    """

    networks: int
    in_table: int
    device_speed: float | None
    noise_median: float | None
    noise_p95: float | None


@dataclass(frozen=True, kw_only=True)
class MeasuredNetwork:
    """One network.

    Attributes:
        id: Its architecture.
        group: ``"random"`` or ``"front"``.
        flops_m: FLOPs for one image in millions, two for each multiply-accumulate.
        params_m: Parameters in millions.
        truth_ms: Measured latency.
        halves_ms: The same from either half of the measuring rounds.
        noise: ``"ok"``, or ``"noisy"`` where the rounds did not agree.
        predicted_ms: By the name of the estimate.
        spread_ms: Standard deviation, of the estimates that state one.
    """

    id: str
    group: str
    flops_m: float
    params_m: float
    truth_ms: float
    halves_ms: tuple[float, float]
    noise: str
    predicted_ms: Mapping[str, float]
    spread_ms: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that an evaluation found.

    Attributes:
        about: Where it comes from.
        session: What became of the calibration networks.
        groups: Accuracy by group: ``"random"`` and ``"front"``.
        networks: Every network that was measured.
        unmeasured: Ids of those that did not fit the device.
        gates: The bounds that were set.
    """

    about: About
    session: SessionCheck
    groups: Mapping[str, GroupAccuracy]
    networks: tuple[MeasuredNetwork, ...]
    unmeasured: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs; ``from_json`` undoes it."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "about": {**asdict(self.about), "protocol": dict(self.about.protocol)},
            "session": asdict(self.session),
            "groups": {name: group.to_json() for name, group in self.groups.items()},
            "gates": [asdict(gate) for gate in self.gates],
            "unmeasured": list(self.unmeasured),
            "networks": [{**asdict(one), "halves_ms": list(one.halves_ms)} for one in self.networks],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Undoes ``to_json``.

        Raises:
            DataError: It is no evaluation, of another version, or lacks something.
        """
        try:
            if (value["schema"], value["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
                raise DataError(
                    f"expected {SCHEMA} version {SCHEMA_VERSION}, received {value['schema']} version "
                    f"{value['schema_version']}: evaluate again"
                )
            return cls(
                about=About(**value["about"]),
                session=SessionCheck(**value["session"]),
                groups={str(name): _group(group) for name, group in value["groups"].items()},
                gates=tuple(Gate(**gate) for gate in value["gates"]),
                unmeasured=tuple(value["unmeasured"]),
                networks=tuple(_network(one) for one in value["networks"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"expected an evaluation, received something else ({error}): evaluate again") from error


def write_evaluation(evaluation: Evaluation, path: Path) -> Path:
    """Writes ``evaluation.json``.

    Raises:
        OSError: The file cannot be written; an older one is untouched.
    """
    return write_atomically(path, json.dumps(evaluation.to_json(), indent=2, allow_nan=False) + "\n")


def read_evaluation(path: Path) -> Evaluation:
    """Reads what ``write_evaluation`` wrote.

    Raises:
        DataError: It is damaged, or of another version.
        OSError: The file cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}): evaluate again") from error
    try:
        return Evaluation.from_json(value)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _group(value: Mapping[str, Any]) -> GroupAccuracy:
    return GroupAccuracy(
        networks=int(value["networks"]),
        noise=Accuracy(**value["noise"]),
        estimates={str(name): Accuracy(**figures) for name, figures in value["estimates"].items()},
    )


def _network(value: Mapping[str, Any]) -> MeasuredNetwork:
    one, other = value["halves_ms"]
    return MeasuredNetwork(**{**value, "halves_ms": (float(one), float(other))})
