"""What an export may be asked for beside the candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwnas.conversion import CALIBRATION_IMAGES, PRECISIONS, opset_for
from hwnas.core import Architecture, UsageError, unknown
from hwnas.spaces import precision_of

PLAIN = "fp32"  # what a search trains and predicts where it has no choice
MAX_DROP = 0.01  # accuracy, as a share of the images, where the precision was no part of the search


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """How a candidate is to be written.

    Attributes:
        precision: One of ``PRECISIONS``; ``None`` takes the one that the search chose, fp32 where it had no choice.
            The types stand in the ONNX graph.
        dynamic_batch: Whether the number of images stays open; latency is measured with one.
        opset: Version of the ONNX operators; ``None`` takes 18, for ``fp16`` 19.
        max_drop: How much accuracy a conversion may cost, as a share of the images. ``None`` takes 0.01, and for a
            precision that the search chose no bound: the accuracy it chose by was that of the converted network.
        calibration_images: Training images that the ranges of ``int8`` are found with, at the most.
        symmetric: For ``int8``: signed activations around zero, as TensorRT asks for.

    Raises:
        UsageError: One of them cannot be.
    """

    precision: str | None = None
    dynamic_batch: bool = False
    opset: int | None = None
    max_drop: float | None = None
    calibration_images: int = CALIBRATION_IMAGES
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.precision not in {None, *PRECISIONS}:
            raise unknown("precision", str(self.precision), PRECISIONS)
        if self.max_drop is not None and not 0 <= self.max_drop <= 1:
            raise UsageError(f"expected a largest drop from 0 to 1, such as 0.01, received {self.max_drop:g}")
        if self.calibration_images < 1:
            raise UsageError(f"expected one calibration image or more, received {self.calibration_images}")
        opset_for(self.precision or PLAIN, self.opset)

    def for_(self, architecture: Architecture) -> ExportSettings:
        """The settings with what they leave to the candidate filled in."""
        own = precision_of(architecture)
        precision = self.precision or own
        usual = 1.0 if precision == own else MAX_DROP
        return replace(self, precision=precision, max_drop=usual if self.max_drop is None else self.max_drop)

    @property
    def written_opset(self) -> int:
        """The version of the operators that is written."""
        return opset_for(self.precision or PLAIN, self.opset)

    def name(self, pick: str, *, own: str = PLAIN) -> str:
        """What the files of an export are called, without their endings.

        Args:
            pick: The name it was asked for by.
            own: The precision that the search chose for it.
        """
        return pick if self.precision in {None, own} else f"{pick}-{self.precision}"
