"""What is known of the exported networks: the cards that lie beside the models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.reports.trials import course_of
from hwnas.training import Course


@dataclass(frozen=True, kw_only=True)
class LatencyOutcome:
    """A promised latency and the measured one.

    Attributes:
        predicted_ms: From the table.
        spread_ms: Standard deviation of the prediction.
        measured_ms: The exported file on the device.
        iqr_ms: Interquartile range of the raw times.
        n: Number of raw times.
        provider: Execution provider that ran it.
        device_speed: How slow the device was in those minutes relative to its table; ``None`` where not measured.
        ratio: Measured over predicted.
        tolerance: How far the ratio may be from 1.
        passed: Whether it is within, as it is or with the device's speed taken out.
    """

    predicted_ms: float
    spread_ms: float
    measured_ms: float
    iqr_ms: float
    n: int
    provider: str
    device_speed: float | None
    ratio: float
    tolerance: float
    passed: bool

    @property
    def corrected_ratio(self) -> float | None:
        """The ratio with the device's speed taken out."""
        return self.ratio / self.device_speed if self.device_speed else None


@dataclass(frozen=True, kw_only=True)
class ParityOutcome:
    """How far the exported model is from what was trained.

    Attributes:
        samples: Images compared.
        max_abs: Largest absolute difference of a logit.
        top1_agreement: Share of the images put into the same class.
        tolerance_abs: What ``max_abs`` may be at most.
        passed: Whether the export computes what was trained.
    """

    samples: int
    max_abs: float
    top1_agreement: float
    tolerance_abs: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Card:
    """One exported network.

    Attributes:
        pick: The role or id it was exported under.
        trial: Number of its trial.
        id: Its architecture.
        exporter: What wrote the ONNX file.
        opset: The ONNX operator set.
        epochs: Epochs of the full training; ``None`` where the recipe does not say.
        validation: Validation accuracy after the full training.
        test: Test accuracy after the full training.
        parity: The comparison with the trained network.
        latency: The comparison with the prediction; ``None`` where nothing was measured.
        skipped: Why nothing was measured, or compared with a prediction.
        measured_ms: Latency where it was measured and there is no prediction to compare it with.
        precision: What it computes in.
        files: File names and their SHA-256.
        course: How the full training went; empty where nothing is on record.
    """

    pick: str
    trial: int
    id: str
    exporter: str
    opset: int
    epochs: int | None
    validation: float
    test: float
    parity: ParityOutcome
    latency: LatencyOutcome | None
    skipped: str
    measured_ms: float | None
    precision: str
    files: tuple[tuple[str, str], ...]
    course: Course

    @property
    def model(self) -> str:
        """The ONNX file, relative to the run folder."""
        return f"models/{self.pick}.onnx"


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A card nobody can make sense of.

    Attributes:
        file: Relative to the run folder.
        reason: What is wrong with it.
    """

    file: str
    reason: str


def read_cards(folder: Path) -> tuple[tuple[Card, ...], tuple[Unreadable, ...]]:
    """Every card of a run, those of the winners first.

    Args:
        folder: The run folder.

    Returns:
        The cards, and what could not be read; a damaged card must not cost the whole report.
    """
    roles = ("knee", "fastest", "best")
    cards, unreadable = [], []
    for file in sorted((folder / "models").glob("*.json")):
        try:
            cards.append(_card(json.loads(file.read_text(encoding="utf-8"))))
        except KeyError as error:
            unreadable.append(Unreadable(file=f"models/{file.name}", reason=f"it has no entry {error}"))
        except (ValueError, TypeError, AttributeError, OSError) as error:
            unreadable.append(Unreadable(file=f"models/{file.name}", reason=str(error)))
    cards.sort(key=lambda card: (roles.index(card.pick) if card.pick in roles else len(roles), card.trial, card.pick))
    return tuple(cards), tuple(unreadable)


def _card(value: Mapping[str, Any]) -> Card:
    latency = value["latency"]
    epochs = value["recipe"].get("epochs")
    return Card(
        pick=str(value["pick"]),
        trial=int(value["trial"]),
        id=str(value["id"]),
        exporter=str(value["exporter"]),
        opset=int(value["opset"]),
        epochs=None if epochs is None else int(epochs),
        validation=float(value["accuracy"]["validation"]),
        test=float(value["accuracy"]["test"]),
        parity=_parity(value["parity"]),
        latency=None if "skipped" in latency else _latency(latency, value["costs"]),
        skipped=str(latency.get("skipped", "")),
        measured_ms=float(latency["measured_ms"]) if "skipped" in latency and "measured_ms" in latency else None,
        precision=str(value.get("precision", "fp32")),
        files=tuple((str(name), str(digest)) for name, digest in sorted(value["files"].items())),
        course=course_of(value.get("course", ())),
    )


def _parity(value: Mapping[str, Any]) -> ParityOutcome:
    return ParityOutcome(
        samples=int(value["samples"]),
        max_abs=float(value["max_abs"]),
        top1_agreement=float(value["top1_agreement"]),
        tolerance_abs=float(value["tolerance_abs"]),
        passed=bool(value["passed"]),
    )


def _latency(value: Mapping[str, Any], costs: Mapping[str, Any]) -> LatencyOutcome:
    speed = value["device_speed"]
    return LatencyOutcome(
        predicted_ms=float(value["predicted_ms"]),
        spread_ms=float(costs["latency_spread_ms"]),
        measured_ms=float(value["measured_ms"]),
        iqr_ms=float(value["iqr_ms"]),
        n=int(value["n"]),
        provider=str(value["provider"]),
        device_speed=None if speed is None else float(speed),
        ratio=float(value["ratio"]),
        tolerance=float(value["tolerance"]),
        passed=bool(value["passed"]),
    )
