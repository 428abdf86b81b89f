"""Verification of any ONNX model: is it sound, and does it compute what something else does?

Contents:
    culprits: why a tensor is another than that of the reference, in words.
    localising: the first tensor that differs, by bisection over the graph.
    outputs: whether the outputs of two models are near enough to each other.
    references: what a model is compared with.
    samples: what a model is fed with.
    soundness: the checker, and shapes.
    verifying: all of it, and the record of it.
"""

from hwnas.exports.verification.culprits import Culprit
from hwnas.exports.verification.samples import Samples, data_samples, file_samples, made_up_samples, open_shapes
from hwnas.exports.verification.verifying import Verification, verify

__all__ = [
    "Culprit",
    "Samples",
    "Verification",
    "data_samples",
    "file_samples",
    "made_up_samples",
    "open_shapes",
    "verify",
]
