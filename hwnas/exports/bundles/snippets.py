"""The runner in Python, and what Triton and TensorRT are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from hwnas.exports.bundles.cpp_runner import quoted

MOST_AT_ONCE = 8  # images a run that servers are told of, where the batch is open

RUNNER = '''"""Classifies an image: python run.py IMAGE.npy, an array (height, width, channels) of 0 to 255."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def resize(length, size):  # antialiased bilinear, as a matrix (size, length)
    scale = length / size
    centre = (np.arange(size)[:, None] + 0.5) * scale - 0.5
    weights = np.maximum(1 - np.abs(np.arange(length) - centre) / max(scale, 1), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def prepare(image, rules):  # (h, w, c) to (1, c, height, width)
    (height, width), image = rules["resize"], image.reshape(*image.shape[:2], -1) * rules["scale"]
    image = np.einsum("yh,hwc,xw->cyx", resize(image.shape[0], height), image, resize(image.shape[1], width))
    return ((image - np.reshape(rules["mean"], (-1, 1, 1))) / np.reshape(rules["std"], (-1, 1, 1)))[None]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rules = json.loads(Path(__file__).with_name("preprocessing.json").read_text())
    session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"))
    kind = np.float16 if "16" in session.get_inputs()[0].type else np.float32
    logits = session.run(None, {"image": prepare(np.load(sys.argv[1]), rules).astype(kind)})[0][0].astype(float)
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    print(rules["labels"][int(chances.argmax())], f"{chances.max():.3f}")
'''

_TRITON = Template("""name: $name
platform: "onnxruntime_onnx"
max_batch_size: $batch
input [
  {
    name: "image"
    data_type: TYPE_$kind
    dims: [ $read ]
  }
]
output [
  {
    name: "logits"
    data_type: TYPE_$kind
    dims: [ $written ]
  }
]
""")


def triton_config(card: Mapping[str, Any], *, name: str, channels: int, classes: int) -> str:
    """The ``config.pbtxt`` of the model of a card for Triton's backend of ONNX Runtime."""
    opened = card["batch"] == "dynamic"
    first: Sequence[int] = [] if opened else [1]
    return _TRITON.substitute(
        name=quoted(name),
        batch=MOST_AT_ONCE if opened else 0,  # 0: the shapes below are the whole ones
        kind="FP16" if card["precision"] == "fp16" else "FP32",
        read=", ".join(str(n) for n in [*first, channels, *card["preprocessing"]["resize"]]),
        written=", ".join(str(n) for n in [*first, classes]),
    )


def trtexec_line(card: Mapping[str, Any], *, channels: int, engine: Mapping[str, Any] | None = None) -> str:
    """The command that makes a TensorRT engine of the model of a card.

    Args:
        card: As in ``card.json``.
        channels: Of the images.
        engine: What is said of the bundle's own engine, so that another one is made as that was; ``None`` for none.
    """
    words = ["trtexec", "--onnx=model.onnx", "--saveEngine=model.plan"]
    if card["precision"] != "fp32":
        words.append("--stronglyTyped")  # the types stand in the graph
    if engine is not None:
        words.append("--noTF32")  # the profiler's engines do without it
    if engine is not None and engine.get("timing_cache"):
        words.append(f"--timingCacheFile={engine['timing_cache']}")
    if card["batch"] == "dynamic":
        shape = "x".join(str(n) for n in [channels, *card["preprocessing"]["resize"]])
        words += [f"--{end}Shapes=image:{n}x{shape}" for end, n in (("min", 1), ("opt", 1), ("max", MOST_AT_ONCE))]
    return " ".join(words)
