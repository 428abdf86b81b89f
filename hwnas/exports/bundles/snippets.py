"""Runners in Python and C++, and what Triton and TensorRT are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

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
    rules = json.loads(Path(__file__).with_name("preprocessing.json").read_text())
    session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"))
    kind = np.float16 if "16" in session.get_inputs()[0].type else np.float32
    logits = session.run(None, {"image": prepare(np.load(sys.argv[1]), rules).astype(kind)})[0][0].astype(float)
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    print(rules["labels"][int(chances.argmax())], f"{chances.max():.3f}")
'''

_CPP = Template("""// Runs model.onnx with ONNX Runtime: c++ -std=c++17 run.cpp -lonnxruntime
// Fill `image` with a prepared image (preprocessing.json): planes of channels, row by row.
#include <onnxruntime_cxx_api.h>
#include <algorithm>
#include <array>
#include <iostream>
#include <vector>

int main() {
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "$name");
    Ort::Session session(env, ORT_TSTR("model.onnx"), Ort::SessionOptions{});
    std::array<int64_t, 4> shape{1, $channels, $size, $size};
    std::vector<$element> image($channels * $size * $size);
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<$element>(memory, image.data(), image.size(), shape.data(), shape.size());
    const char* inputs[] = {"image"};
    const char* outputs[] = {"logits"};
    auto found = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
    const $element* logits = found[0].GetTensorData<$element>();
    std::cout << std::max_element(logits, logits + $classes$order) - logits << std::endl;  // index into the labels
}
""")

_TRITON = Template("""name: "$name"
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


def cpp_runner(card: Mapping[str, Any], *, channels: int, classes: int) -> str:
    """A C++ program that runs the model of a card once."""
    element = "Ort::Float16_t" if card["precision"] == "fp16" else "float"
    size = card["preprocessing"]["resize"][0]
    order = ", [](auto a, auto b) { return a.ToFloat() < b.ToFloat(); }" if card["precision"] == "fp16" else ""
    return _CPP.substitute(name=card["id"], channels=channels, classes=classes, size=size, element=element, order=order)


def triton_config(card: Mapping[str, Any], *, name: str, channels: int, classes: int) -> str:
    """The ``config.pbtxt`` of the model of a card for Triton's backend of ONNX Runtime."""
    size = card["preprocessing"]["resize"][0]
    opened = card["batch"] == "dynamic"
    first: Sequence[int] = [] if opened else [1]
    return _TRITON.substitute(
        name=name,
        batch=MOST_AT_ONCE if opened else 0,  # 0: the shapes below are the whole ones
        kind="FP16" if card["precision"] == "fp16" else "FP32",
        read=", ".join(str(n) for n in [*first, channels, size, size]),
        written=", ".join(str(n) for n in [*first, classes]),
    )


def trtexec_line(card: Mapping[str, Any], *, channels: int) -> str:
    """The command that makes a TensorRT engine of the model of a card."""
    size = card["preprocessing"]["resize"][0]
    words = ["trtexec", "--onnx=model.onnx", "--saveEngine=model.plan"]
    if card["precision"] != "fp32":
        words.append("--stronglyTyped")  # the types stand in the graph
    if card["batch"] == "dynamic":
        shape = f"{channels}x{size}x{size}"
        words += [f"--{end}Shapes=image:{n}x{shape}" for end, n in (("min", 1), ("opt", 1), ("max", MOST_AT_ONCE))]
    return " ".join(words)
