"""The plain PyTorch file computes what the network does, with PyTorch alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hwnas.exports import Exported
from hwnas.exports.plain_module import plain_module
from hwnas.networks import network_family
from hwnas.networks.sequences import GATES

READING = {"interpolation": "bilinear, antialiased", "mean": [0.5], "std": [0.25]}


def read(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "plain"}
    exec(compile(source, "plain.py", "exec"), names)  # noqa: S102  (the very file that users are given)
    return names


@pytest.mark.parametrize("space", ["mobilenet:tiny", "mobilenet:small", "gpunet:tiny", "nasbench201"])
@pytest.mark.parametrize("seed", range(3))
def test_the_file_builds_the_same_network_under_the_same_names(space: str, seed: int) -> None:
    family = network_family(space, channels=3, classes=7)
    architecture = family.space.sample(np.random.default_rng(seed))
    module = family.module(architecture, seed=seed).eval()
    source = plain_module(family.blocks(architecture), name="knee", title="It.", in_channels=3, preprocessing=READING)
    built = read(source)["network"]()
    built.load_state_dict(module.state_dict())  # strict: every name and shape
    images = torch.randn(2, 3, family.resolution(architecture), family.resolution(architecture))
    with torch.no_grad():
        assert torch.equal(built.eval()(images), module(images))
    assert max(len(line) for line in source.splitlines()) <= 120


@pytest.mark.parametrize("cell", GATES)
def test_the_file_computes_recurrent_networks_in_every_form(cell: str) -> None:
    family = network_family("recurrent:tiny", channels=3, classes=7)
    for form in ("dense", "low-rank", "tensor-train", "block-term"):
        architecture = next(a for a in family.space.enumerate() if (a["cell"], a["map"]) == (cell, form))
        module = family.module(architecture, seed=0).eval()
        blocks = family.blocks(architecture)
        source = plain_module(blocks, name="knee", title="It.", in_channels=3, preprocessing=READING)
        built = read(source)["network"]()
        built.load_state_dict(module.state_dict())  # strict: every name and shape
        clips = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(built.eval()(clips), module(clips))
        assert max(len(line) for line in source.splitlines()) <= 120


def test_the_file_needs_torch_alone_and_reads_the_weights_beside_it(exported: Exported) -> None:
    script = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"hwnas", "profilers", "latency_tables", "onnx", "safetensors"}}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {str(exported.model.parent)!r})
import json, knee, torch
torch.set_num_threads(1)
size = {exported.card["preprocessing"]["resize"][0]}
with torch.no_grad():
    logits = knee.load({str(exported.model.with_suffix(".safetensors"))!r})(torch.ones(1, 1, size, size))
print(json.dumps(logits.tolist()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(exported.model)
    images = np.ones(session.get_inputs()[0].shape, dtype=np.float32)
    assert np.allclose(json.loads(done.stdout), session.run(None, {"image": images})[0], atol=1e-4)


def test_beside_the_model_lie_weights_architecture_and_source_each_with_its_hash(exported: Exported) -> None:
    folder = exported.model.parent
    names = {"knee.onnx", "knee.safetensors", "knee.py", "architectures/knee.json"}
    assert set(exported.card["files"]) == names
    found = json.loads((folder / "architectures" / "knee.json").read_text())
    assert found["architecture"] == dict(exported.trial.architecture)
    assert found["space"] == "mobilenet:tiny"
    assert all(Path(folder, name).stat().st_size for name in names)
