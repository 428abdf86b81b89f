"""Random `mobilenet` architectures exported, verified and reloaded where there is only ONNX Runtime and numpy.

Weights are random, batch-normalisation statistics settled on training images, so activations are of the size they have
in a trained network. Each model is verified against its plain PyTorch file, then a clean process, in which nothing but
the runtime and numpy can be imported, loads it and gives logits for test images, which are compared with PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from hwnas.conversion import check_parity
from hwnas.conversion.onnx_model import EXPORTERS, to_onnx
from hwnas.exports import verify
from hwnas.exports.facts import preprocessing_of
from hwnas.exports.plain_module import plain_module
from hwnas.exports.verification import data_samples
from hwnas.exports.weights import save_weights
from hwnas.networks import NetworkFamily, network_family
from hwnas.training import ImageData, load_data, logits, prepared

CLEAN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "hwnas", "profilers", "latency_tables", "onnx", "onnxscript", "safetensors"}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Refuse())
import numpy, onnxruntime
images = numpy.load(sys.argv[1])
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
numpy.save(sys.argv[3], numpy.concatenate([session.run(None, {name: images[i:i + 1]})[0] for i in range(len(images))]))
"""


def settled(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Batch-normalisation statistics of some images, over all of them alike."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    module.train()
    with torch.no_grad():
        for i in range(0, len(images), 64):
            module(images[i : i + 64])
    return module.eval()


def exported(seed: int, folder: Path, *, space: str = "mobilenet") -> Path:
    """One random network as ONNX, with its weights and its plain PyTorch file beside it."""
    data = load_data("digits")
    family = network_family(space, channels=data.channels, classes=data.classes)
    return _written(family, data, seed, folder)[0]


def _written(
    family: NetworkFamily, data: ImageData, seed: int, folder: Path
) -> tuple[Path, nn.Module, torch.Tensor, str]:
    architecture = family.space.sample(np.random.default_rng(seed))
    size = family.resolution(architecture)
    module = settled(family.module(architecture, seed=seed), prepared(data.train.images[:512], data, size=size))
    images = prepared(data.test.images[:64], data, size=size)
    for exporter in EXPORTERS:
        model = to_onnx(module, images[:1], exporter=exporter)
        if check_parity(module, model, images).passed:
            break
    file = folder / f"n{seed:03d}.onnx"
    file.write_bytes(model)
    save_weights(module, file.with_suffix(".safetensors"), {})
    source = plain_module(
        family.blocks(architecture),
        name=file.stem,
        title=f"Network {architecture.id}.",
        in_channels=data.channels,
        preprocessing=preprocessing_of(data, size),
    )
    file.with_suffix(".py").write_text(source)
    return file, module, images, exporter


def has_everything(model: onnx.ModelProto) -> bool:
    """Whether there is something to break of every kind: a sum, and a wide kernel that keeps the size."""
    kinds = {node.op_type for node in model.graph.node}
    strides = [
        list(one.ints)
        for node in model.graph.node
        if node.op_type == "Conv"
        for one in node.attribute
        if one.name == "strides"
    ]
    return {"Add", "ReduceMean", "Gemm"} <= kinds and [1, 1] in strides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--space", default="mobilenet")
    arguments = parser.parse_args()
    data = load_data("digits")
    family = network_family(arguments.space, channels=data.channels, classes=data.classes)
    passed, apart, agreement, exporters = 0, [], [], []
    with tempfile.TemporaryDirectory(prefix="hwnas-") as place:
        folder = Path(place)
        for seed in range(arguments.seed, arguments.seed + arguments.networks):
            file, module, images, exporter = _written(family, data, seed, folder)
            found = verify(file, against=file.with_suffix(".py"), samples=data_samples(onnx.load(file), data))
            np.save(folder / "images.npy", images.numpy())
            script = [sys.executable, "-c", CLEAN, *map(str, (folder / "images.npy", file, folder / "logits.npy"))]
            done = subprocess.run(script, capture_output=True, text=True, check=False)
            expected = logits(module, images).numpy()
            clean = np.load(folder / "logits.npy") if done.returncode == 0 else np.full_like(expected, np.nan)
            difference = float(np.abs(clean - expected).max())
            same = float((clean.argmax(axis=1) == expected.argmax(axis=1)).mean())
            good = found.passed and difference <= 1e-3 and same == 1.0
            passed += good
            apart.append(difference)
            agreement.append(same)
            exporters.append(exporter)
            if not good:
                print(f"LOOK {seed}: {json.dumps(found.problems)} {difference:.3g} {same:.1%} {done.stderr[-99:]}")
    counts = {name: exporters.count(name) for name in EXPORTERS}
    print(f"{arguments.space}: {passed} of {arguments.networks} pass, exporters {counts}")
    print(f"largest difference of a logit {max(apart):.3g}, same class for {np.mean(agreement):.2%} of the images")


if __name__ == "__main__":
    main()
