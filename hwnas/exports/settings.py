"""What an export may be asked for beside the candidate."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.conversion import CALIBRATION_IMAGES, PRECISIONS, opset_for
from hwnas.core import UsageError, unknown

MAX_DROP = 0.01  # accuracy, as a share of the images


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """How a candidate is to be written.

    Attributes:
        precision: One of ``PRECISIONS``. The types stand in the ONNX graph.
        dynamic_batch: Whether the number of images stays open; latency is measured with one.
        opset: Version of the ONNX operators; ``None`` takes 18, for ``fp16`` 19.
        max_drop: How much accuracy a conversion may cost, as a share of the images.
        calibration_images: Training images that the ranges of ``int8`` are found with, at the most.
        symmetric: For ``int8``: signed activations around zero, as TensorRT asks for.

    Raises:
        UsageError: One of them cannot be.
    """

    precision: str = "fp32"
    dynamic_batch: bool = False
    opset: int | None = None
    max_drop: float = MAX_DROP
    calibration_images: int = CALIBRATION_IMAGES
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if not 0 <= self.max_drop <= 1:
            raise UsageError(f"expected a largest drop from 0 to 1, such as 0.01, received {self.max_drop:g}")
        if self.calibration_images < 1:
            raise UsageError(f"expected one calibration image or more, received {self.calibration_images}")
        opset_for(self.precision, self.opset)

    @property
    def written_opset(self) -> int:
        """The version of the operators that is written."""
        return opset_for(self.precision, self.opset)

    def name(self, pick: str) -> str:
        """What the files of an export are called, without their endings."""
        return pick if self.precision == "fp32" else f"{pick}-{self.precision}"
