"""A float32 model in another precision, to be measured."""

from __future__ import annotations

from profilers.errors import CampaignError, ModelError
from profilers.precision.halves import Narrower
from profilers.precision.integers import Quantiser
from profilers.precision.reading import load, precisions_of, prepared

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


def with_precision(model: bytes, precision: str, *, symmetric: bool = False) -> bytes:
    """A float32 model in another precision, to be measured.

    ``fp16`` and ``bf16``: all that was float32 becomes that type, inputs and outputs included. What an operator takes
    in float32 alone stays so (the scales of ``Resize``), behind a Cast where it is no constant.

    ``int8``: Q/DQ with made-up ranges, a scale for each channel of the weights, int32 biases. Inputs, and outputs of a
    last linear layer, stay float32. Activations are unsigned, since ONNX Runtime's CPU provider leaves most of a model
    with signed ones in float32; means over all pixels become the pooling that it has an integer kernel for.

    Args:
        model: Serialised ONNX model with its weights inside.
        precision: One of ``PRECISIONS``.
        symmetric: For ``int8``: signed activations around zero and float32 biases instead, as TensorRT asks for.

    Returns:
        The serialised model; the same bytes where it already has that precision.

    Raises:
        CampaignError: No such precision.
        ModelError: Not a loadable model, not a float32 one, or of an opset that cannot be raised.
    """
    if precision not in PRECISIONS:
        raise CampaignError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    loaded = load(model)
    ends, held = precisions_of(loaded)
    there = ends == {precision}
    if precision == "int8" and "int8" in held:
        return model
    if held - {"fp32"} - (ends if there else set()):
        raise ModelError(
            f"expected a model in fp32 to give it the precision {precision}, but found {', '.join(sorted(held))}. "
            "Export it in fp32, or ask for the precision it has."
        )
    if there or precision == "fp32":
        return model
    ready = prepared(loaded, precision)
    rewriter = Quantiser(ready, symmetric=symmetric) if precision == "int8" else Narrower(ready, precision)
    return bytes(rewriter.run().SerializeToString())
