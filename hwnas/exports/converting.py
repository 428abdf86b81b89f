"""A trained network in another precision, and what that costs in accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from hwnas.conversion import (
    EXPORTERS,
    calibration_images,
    halves,
    onnx_accuracy,
    onnx_logits,
    outputs_apart,
    quantised,
)
from hwnas.exports.settings import MAX_DROP, PLAIN, ExportSettings
from hwnas.training import ImageData, prepared


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of a network in another precision.

    Attributes:
        precision: ``"fp16"`` or ``"int8"``.
        accuracy: Of the converted model on validation and test images, by ONNX Runtime on the CPU.
        float_accuracy: Of the trained network on the same images.
        max_drop: How much lower the first may be.
        samples: Test images on which logits were compared.
        max_abs: Largest absolute difference of a logit.
        max_rel: Largest difference relative to the largest logit of its image.
        top1_agreement: Share of these images that both put into the same class.
        calibration_images: Training images the ranges were found with; 0 where none are needed.
        nodes: Nodes that could have been rounded; 0 likewise.
        kept: Nodes left in floating point, with the measured effect of rounding each.
        passed: Whether neither accuracy fell by more than ``max_drop``.
    """

    precision: str
    accuracy: Mapping[str, float]
    float_accuracy: Mapping[str, float]
    max_drop: float
    samples: int
    max_abs: float
    max_rel: float
    top1_agreement: float
    calibration_images: int
    nodes: int
    kept: tuple[tuple[str, float], ...]
    passed: bool

    @property
    def drops(self) -> dict[str, float]:
        """How much each accuracy fell."""
        return {part: self.float_accuracy[part] - self.accuracy[part] for part in self.accuracy}

    def to_json(self) -> dict[str, Any]:
        """Field by field, and the drops."""
        kept = [{"node": name, "effect": effect} for name, effect in self.kept]
        return {**asdict(self), "kept": kept, "drop": self.drops}


def converted(
    module: nn.Module,
    model: bytes,
    exporter: str,
    *,
    data: ImageData,
    size: int,
    accuracy: Mapping[str, float],
    settings: ExportSettings,
) -> tuple[bytes, Conversion]:
    """A trained network in the precision of the settings.

    Args:
        module: The trained network.
        model: The same as serialised ONNX in float32, checked.
        exporter: What wrote that.
        data: Its training images give the ranges, validation and test images the verdict.
        size: Height and width of the images in pixels.
        accuracy: Of the trained network on ``"validation"`` and ``"test"`` images.
        settings: The precision and how much it may cost.

    Raises:
        MachineError: ONNX Runtime is not installed.
        VerificationError: No exporter can write the network in halves.
    """
    precision, max_drop = settings.precision or PLAIN, MAX_DROP if settings.max_drop is None else settings.max_drop
    before = {part: accuracy[part] for part in ("validation", "test")}
    kept: Sequence[tuple[str, float]] = ()
    nodes = calibration = 0
    if precision == "fp16":
        made = halves(
            module,
            channels=data.channels,
            size=size,
            opset=settings.written_opset,
            dynamic_batch=settings.dynamic_batch,
            exporters=sorted(EXPORTERS, key=lambda name: name != exporter),
        )
    else:
        images = calibration_images(data, size=size, most=settings.calibration_images)
        found = quantised(
            model,
            images,
            judge=lambda one: onnx_accuracy(one, data.validation, data, size=size),
            least=before["validation"] - max_drop,
            symmetric=settings.symmetric,
        )
        made, kept, nodes, calibration = found.model, found.kept, found.nodes, len(images)
    after = {
        "validation": onnx_accuracy(made, data.validation, data, size=size),
        "test": onnx_accuracy(made, data.test, data, size=size),
    }
    compared = prepared(data.test.images[:64], data, size=size).numpy()
    apart = outputs_apart([onnx_logits(made, compared)], [onnx_logits(model, compared)])
    return made, Conversion(
        precision=precision,
        accuracy=after,
        float_accuracy=before,
        max_drop=max_drop,
        samples=apart.samples,
        max_abs=apart.max_abs,
        max_rel=apart.max_rel,
        top1_agreement=apart.top1_agreement or 0.0,
        calibration_images=calibration,
        nodes=nodes,
        kept=tuple(kept),
        passed=all(before[part] - after[part] <= max_drop + 1e-12 for part in after),
    )
