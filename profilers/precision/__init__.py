"""The arithmetic of a model: float32 models made into float16, bfloat16 or 8-bit ones, and what a runtime made of them.

Contents:
    convert: ``with_precision``, a float32 model in another precision.
    readout: which precision each kernel computed in, and which operator a runtime lacks.
    reading: loads a model, finds its precisions and prepares it for conversion.
    graphs: the graphs of a model, and the base of what rewrites them.
    halves: float16 and bfloat16.
    integers: 8-bit integers.

The precision stands in the types of the ONNX graph, because runtimes take it from there and from no flag.
"""

from profilers.precision.convert import PRECISIONS, with_precision
from profilers.precision.reading import precision_of
from profilers.precision.readout import arithmetic, fallbacks, unsupported_op

__all__ = ["PRECISIONS", "arithmetic", "fallbacks", "precision_of", "unsupported_op", "with_precision"]
